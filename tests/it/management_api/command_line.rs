//! The command line prints the same JSON as the API.

use serde_json::Value;

use super::managed;
use crate::helpers::{App, sentinel};

fn printed(app: &App, arguments: &[&str]) -> Value {
    let store = app.folder.path().join("sentinel.db");
    let mut command = sentinel(app.folder.path());
    command.arg("--set").arg(format!("store.path={}", store.display()));
    let output = command.args(arguments).arg("--json").output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn command_line_prints_json_of_api() {
    let app = managed().spawn().await;
    app.login().await;
    for list in ["user", "client", "session"] {
        let listed = app.read(&format!("/{list}s")).await;
        assert_ne!(listed["items"].as_array().unwrap().len(), 0, "{list}");
        assert_eq!(printed(&app, &[list, "list"]), listed["items"], "{list}");
    }
    assert_eq!(printed(&app, &["user", "show", "alice"]), app.read(&app.alice()).await);
    let client = printed(&app, &["client", "show", app.backend.id.as_str()]);
    assert_eq!(client, app.read(&app.confidential()).await);
}
