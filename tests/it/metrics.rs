//! Tests of `GET /metrics`, and that documents, dashboard and alerts agree with it.

mod counts;
mod documents;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::helpers::{App, AppBuilder, SETUP, send};

async fn spawn() -> App {
    AppBuilder::default().set("metrics.bind", "127.0.0.1:0").spawn().await
}

/// Returns the text that Prometheus would scrape.
pub(crate) async fn scrape(app: &App) -> String {
    let answer = send(app.http.get(app.metrics.as_ref().unwrap())).await;
    assert_eq!(answer.status, 200);
    let media_type = answer.header("content-type");
    assert_eq!(media_type, Some("text/plain; version=0.0.4; charset=utf-8"));
    answer.text
}

/// Returns the value of a sample, given by its name and labels as they are written.
#[track_caller]
fn value(text: &str, sample: &str) -> f64 {
    let found = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("no {sample} in {text}")).parse().unwrap()
}

/// Returns the metric families in a text, each with its type and the labels of its samples.
fn families(text: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut found: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    let mut last = String::new();
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("# TYPE ") {
            let (name, kind) = head.split_once(' ').unwrap();
            last = name.to_owned();
            found.insert(last.clone(), (kind.to_owned(), BTreeSet::new()));
        } else if !line.starts_with('#') {
            assert!(line.starts_with(&last), "{line} stands under {last}");
            let labels = line.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
            let names = labels.iter().flat_map(|(labels, _)| labels.split(','));
            let names = names.map(|label| label.split('=').next().unwrap().to_owned());
            found.get_mut(&last).unwrap().1.extend(names.filter(|name| name != "le"));
        }
    }
    found
}

/// Runs promtool, asserts that it succeeds, and returns its output.
fn promtool(arguments: &[&str], input: &str) -> String {
    let child = Command::new("promtool")
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/observability"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap_or_else(|error| panic!("promtool: {error}; {SETUP}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "{arguments:?}: {text}");
    text
}
