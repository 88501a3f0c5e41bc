//! Audit events: the table in the documents lists exactly those in the code.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::pages::{page, root};

fn events(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            events(&path, found);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        // In `event!`, the name follows the level if an event has several outcomes.
        for before in ["event = \"", "        info, \"", "        warn, \""] {
            let named = text.split(before).skip(1).map(|rest| rest.split('"').next().unwrap());
            found.extend(named.map(str::to_owned));
        }
    }
}

#[test]
fn operations_page_lists_exactly_the_audit_events_of_the_code() {
    let mut ours = BTreeSet::new();
    events(&root().join("src"), &mut ours);
    assert!(ours.len() > 15, "{ours:?}");
    let text = page("docs/operations.md").text;
    let section = text.split("### Audit events").nth(1).unwrap().split("\n## ").next().unwrap();
    let table = section.lines().skip_while(|line| !line.starts_with("| `event`"));
    let rows = table.take_while(|line| line.starts_with('|'));
    let first = rows.filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let named = first.flat_map(|cell| cell.split(", ")).map(|name| name.trim_matches('`'));
    // `login`, `outcome` "ok"
    let named = named.filter(|name| !name.starts_with("outcome") && *name != "event");
    let named = named.map(str::to_owned);
    assert_eq!(ours, named.collect());
}
