//! OpenAPI description, and the API tested against it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

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

/// Returns the examples of `docs/api.md`, each with the pointer to its schema in the description:
/// the bodies of requests in commands, and the blocks of JSON.
fn documented_examples() -> Vec<Value> {
    let text = include_str!("../../../docs/api.md");
    let mut examples = Vec::new();
    for line in text.lines().filter(|line| line.contains("--json '")) {
        let body = line.split("--json '").nth(1).unwrap().split('\'').next().unwrap();
        let path = line.split("\"$API/").nth(1).unwrap().split('"').next().unwrap();
        let id = |part: &'static str| if part.starts_with('$') { "{id}" } else { part };
        let path: Vec<_> = path.split('/').map(id).collect();
        let method = if line.contains("-X PATCH") { "patch" } else { "post" };
        let operation = format!("/paths/~1{}/{method}", path.join("~1"));
        examples.push(json!({
            "schema": format!("{operation}/requestBody/content/application~1json/schema"),
            "value": serde_json::from_str::<Value>(body).unwrap(),
        }));
    }
    let blocks = text.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let schemas = ["User", "Session", "Problem"];
    assert_eq!(blocks.clone().count(), schemas.len());
    for (block, schema) in blocks.zip(schemas) {
        let value = serde_json::from_str::<Value>(block).unwrap();
        examples.push(json!({ "schema": format!("/components/schemas/{schema}"), "value": value }));
    }
    assert!(examples.len() >= 8, "{examples:?}");
    examples
}

/// Passes the description and the examples to the linter, and returns its output.
async fn lint(description: &Value, examples: &[Value]) -> Result<String, String> {
    // Node.js looks for the packages of a script on the command line in the working directory.
    let mut node = tokio::process::Command::from(command("node"));
    node.args(["--input-type=module", "--eval", include_str!("../../openapi/check.mjs")]);
    node.current_dir(installed(".cache/openapi", "")).kill_on_drop(true);
    node.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut node = node.spawn().unwrap();
    let input = json!({ "description": description, "examples": examples }).to_string();
    node.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let output = tokio::time::timeout(LIMIT, node.wait_with_output()).await;
    let output = output.expect("the linter ends by itself").unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[tokio::test]
async fn linter_accepts_description_and_documented_examples() {
    let app = managed().spawn().await;
    let mut described = app.read("/openapi.json").await;
    let mut examples = documented_examples();
    assert_eq!(lint(&described, &examples).await.as_deref(), Ok("done"));

    // The linter detects the faults that it is used for.
    examples.push(json!({ "schema": "/components/schemas/User", "value": { "id": "x" } }));
    let found = lint(&described, &examples).await.unwrap_err();
    assert!(found.contains("must have required property 'username'"), "{found}");
    described["components"]["schemas"]["ClientType"]["type"] = json!("object");
    let found = lint(&described, &[]).await.unwrap_err();
    assert!(found.contains("no-enum-type-mismatch"), "{found}");
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
    command.env("SCHEMATHESIS_HOOKS", root.join("tests/schemathesis/hooks.py"));
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
