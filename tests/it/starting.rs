//! What the log says of a start.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use crate::helpers::sentinel;

/// The lines up to the one that says where it listens.
pub(crate) fn lines(folder: &Path, arguments: &[&str]) -> Vec<String> {
    let mut command = sentinel(folder);
    command.args(["serve", "--bind", "127.0.0.1:0", "--set", "log.format=json"]).args(arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut said = Vec::new();
    for line in lines {
        let is_last = line.contains("\"listening\"");
        said.push(line);
        if is_last {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(said.last().is_some_and(|line| line.contains("\"listening\"")), "{said:#?}");
    said
}

#[test]
fn one_line_says_which_version_it_is_by_which_settings_and_on_which_store() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("here.toml"), "[server]\nworkers = 2\n").unwrap();
    let said = lines(folder.path(), &["--config", "here.toml"]);
    let started: Vec<_> =
        said.iter().filter(|line| line.contains("sentinel has started")).collect();
    let [line] = started.as_slice() else { panic!("{said:#?}") };
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&line["config"], &line["store"]), (&"here.toml".into(), &"embedded".into()));
    assert_eq!(line["path"], "data/sentinel.db");

    let said = lines(folder.path(), &[]);
    let line = said.iter().find(|line| line.contains("sentinel has started")).unwrap();
    assert!(!line.contains("config"), "{line}");
}

#[test]
fn libraries_say_nothing_of_a_start_but_to_those_who_ask_for_more() {
    let folder = tempfile::tempdir().unwrap();
    let of_libraries = |level: &str| {
        let said = lines(folder.path(), &["--set", &format!("log.level={level}")]);
        said.iter().filter(|line| line.contains("\"target\":\"actix_server")).count()
    };
    assert_eq!(of_libraries("info"), 0);
    assert_eq!(of_libraries("info,sentinel::store=debug"), 0);
    assert!(of_libraries("debug") > 0);
    assert!(of_libraries("info,actix_server=info") > 0);
}
