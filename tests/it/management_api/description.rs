//! OpenAPI description, and the API tested against it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use super::{API, OPERATOR, OPERATOR_PASSWORD, managed};
use crate::helpers::{command, installed};

/// Time limit for schemathesis, which takes some 15 seconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(300);

#[tokio::test]
async fn openapi_description_has_every_operation() {
    let app = managed().spawn().await;
    let described = app.read("/openapi.json").await;
    assert_eq!(described["openapi"], "3.1.0");
    assert_eq!(described["info"]["version"], env!("CARGO_PKG_VERSION"));
    let mut operations = BTreeSet::new();
    for (path, item) in described["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            operations.insert(format!("{} {path}", method.to_uppercase()));
            assert!(operation["summary"].is_string(), "{method} {path}");
            for status in ["401", "503"] {
                let content = &operation["responses"][status]["content"];
                let schema = &content["application/problem+json"]["schema"];
                let problem = schema.get("$ref").unwrap_or(&schema["anyOf"][0]["$ref"]);
                assert_eq!(problem, "#/components/schemas/Problem", "{method} {path} {status}");
            }
        }
    }
    let expected = [
        "DELETE /clients/{id}",
        "DELETE /sessions",
        "DELETE /sessions/{id}",
        "DELETE /users/{id}",
        "GET /clients",
        "GET /clients/{id}",
        "GET /openapi.json",
        "GET /sessions",
        "GET /sessions/{id}",
        "GET /users",
        "GET /users/{id}",
        "PATCH /clients/{id}",
        "PATCH /users/{id}",
        "POST /clients",
        "POST /clients/{id}/secret",
        "POST /users",
        "POST /users/{id}/password",
    ];
    assert_eq!(operations.iter().collect::<Vec<_>>(), expected);
    assert_eq!(described["components"]["securitySchemes"]["operator"]["scheme"], "basic");
    let items = &described["components"]["schemas"]["Listing_User"]["properties"]["items"];
    assert_eq!(items["items"]["$ref"], "#/components/schemas/User");
}

/// Schemathesis (https://schemathesis.io) sends requests that conform to the description and
/// requests that do not, one by one and in chains, and checks every response against it. All checks
/// are enabled.
#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_no_failure() {
    let app = managed().spawn().await;
    for _ in 0..5 {
        app.login().await;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let mut command = tokio::process::Command::from(command(installed(
        ".cache/schemathesis",
        "bin/schemathesis",
    )));
    command.arg("--config-file").arg(root.join("tests/schemathesis/schemathesis.toml"));
    command.args(["run", &format!("{}{API}/openapi.json", app.url)]);
    command.args(["--auth", &format!("{OPERATOR}:{OPERATOR_PASSWORD}")]);
    command.args(["--checks", "all", "--max-examples", "20", "--seed", "1", "--workers", "1"]);
    command.args(["--generation-database", "none", "--request-timeout", "60"]);
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("HOME", folder.path());
    command.current_dir(folder.path()).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = tokio::time::timeout(LIMIT, command.output()).await;
    let output = output.expect("schemathesis ends by itself").unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}\n{errors}");
    // Every phase tests every operation except the one that returns the description.
    for line in ["Tested: 16", "Examples", "Coverage", "Fuzzing", "Stateful"] {
        assert!(printed.contains(line), "no {line} in {printed}");
    }
}
