//! Log lines of the start.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use crate::helpers::sentinel;

/// Starts a server and returns its log lines up to `listening`.
pub(crate) fn lines(folder: &Path, arguments: &[&str]) -> Vec<String> {
    lines_until(folder, arguments, "\"listening\"")
}

/// Starts a server and returns its log lines up to the one that contains `text`.
pub(crate) fn lines_until(folder: &Path, arguments: &[&str], text: &str) -> Vec<String> {
    let mut command = sentinel(folder);
    command.args(["serve", "--bind", "127.0.0.1:0", "--set", "log.format=json"]).args(arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut message = Vec::new();
    for line in lines {
        let is_last = line.contains(text);
        message.push(line);
        if is_last {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(message.last().is_some_and(|line| line.contains(text)), "{message:#?}");
    message
}

#[test]
fn start_is_logged_in_one_line_with_version_config_and_store() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("here.toml"), "[server]\nworkers = 2\n").unwrap();
    let message = lines(folder.path(), &["--config", "here.toml"]);
    let started: Vec<_> =
        message.iter().filter(|line| line.contains("sentinel has started")).collect();
    let [line] = started.as_slice() else { panic!("{message:#?}") };
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&line["config"], &line["store"]), (&"here.toml".into(), &"embedded".into()));
    assert_eq!(line["path"], "data/sentinel.db");

    let message = lines(folder.path(), &[]);
    let line = message.iter().find(|line| line.contains("sentinel has started")).unwrap();
    assert!(!line.contains("config"), "{line}");
}

#[test]
fn library_messages_at_start_are_hidden_unless_log_level_enables_them() {
    let folder = tempfile::tempdir().unwrap();
    let of_libraries = |level: &str| {
        let message = lines(folder.path(), &["--set", &format!("log.level={level}")]);
        message.iter().filter(|line| line.contains("\"target\":\"actix_server")).count()
    };
    assert_eq!(of_libraries("info"), 0);
    assert_eq!(of_libraries("info,sentinel::store=debug"), 0);
    assert!(of_libraries("debug") > 0);
    assert!(of_libraries("info,actix_server=info") > 0);
}
