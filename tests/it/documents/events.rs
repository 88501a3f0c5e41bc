//! Audit events: those in the code are in the table, and the table has no others.

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
        let named = text.split("event = \"").skip(1).map(|rest| rest.split('"').next().unwrap());
        found.extend(named.map(str::to_owned));
    }
}

#[test]
fn every_audit_event_is_on_the_page() {
    let mut ours = BTreeSet::new();
    events(&root().join("src"), &mut ours);
    assert!(ours.len() > 15, "{ours:?}");
    let text = page("docs/operations.md").text;
    let section = text.split("### Audit events").nth(1).unwrap().split("\n## ").next().unwrap();
    let first = section.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let named = first.flat_map(|cell| cell.split(", ")).map(|name| name.trim_matches('`'));
    // `login`, `outcome` "ok"
    let named = named.filter(|name| !name.starts_with("outcome") && *name != "event");
    let named = named.map(str::to_owned);
    assert_eq!(ours, named.collect());
}
