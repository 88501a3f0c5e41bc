//! Every error that the code can return is on the page for it, with the same text.

use std::collections::BTreeSet;
use std::fs;

use sentinel::oauth::ErrorCode;

use super::pages::{page, root};
use crate::helpers::{AppBuilder, send, spawn_app};

/// Returns the texts that follow `mark` in a source file, up to the next quotation mark. A
/// backslash at the end of a line joins it to the next.
fn texts_after(file: &str, mark: &str) -> Vec<String> {
    let source = fs::read_to_string(root().join("src").join(file)).unwrap();
    // Texts in unit tests are not sent to clients.
    let source = source.split("#[cfg(test)]").next().unwrap();
    // A long text has a line of its own.
    let source = source.split("(\n").map(str::trim_start).collect::<Vec<_>>().join("(");
    let starts = source.match_indices(mark).map(|(at, _)| at + mark.len());
    let texts = starts.map(|at| source[at..].split('"').next().unwrap());
    let join = |text: &str| text.split("\\\n").map(str::trim_start).collect::<Vec<_>>().join("");
    texts.map(join).filter(|text| !text.starts_with('{')).collect()
}

/// Returns every `error_description` in the code.
fn descriptions() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in [
        "client_auth",
        "introspection",
        "refresh",
        "revocation",
        "token",
        "params",
        "password",
        "scope",
        "verify",
    ] {
        let file = format!("oauth/{file}.rs");
        found.extend(texts_after(&file, "InvalidRequest(\""));
        let source = fs::read_to_string(root().join("src").join(&file)).unwrap();
        for call in source.match_indices(".require(").map(|(at, _)| &source[at..]) {
            found.extend(call[..call.find(')').unwrap()].split('"').nth(3).map(str::to_owned));
        }
        for call in source.match_indices("text(request, ").map(|(at, _)| &source[at..]) {
            found.extend(call[..call.find(')').unwrap()].split('"').nth(3).map(str::to_owned));
        }
    }
    for file in ["web/authorization.rs", "web/verify.rs"] {
        found.extend(texts_after(file, "InvalidRequest(\""));
    }
    // Only those of `Error`: the reasons in other types appear in the log alone.
    let source = fs::read_to_string(root().join("src/oauth/error.rs")).unwrap();
    let errors = source.split("pub enum Error {").nth(1).unwrap().split("\nimpl").next().unwrap();
    let quoted = errors.split('"').skip(1).step_by(2).map(str::to_owned);
    found.extend(quoted.filter(|text| !text.starts_with('{')));
    let source = fs::read_to_string(root().join("src/web/error.rs")).unwrap();
    let refusals =
        source.split("enum RequestError {").nth(1).unwrap().split("\nimpl").next().unwrap();
    found.extend(refusals.split('"').skip(1).step_by(2).map(str::to_owned));
    found.extend(texts_after("web/error.rs", "error_description: \""));
    found.extend(texts_after("rate_limit/mod.rs", "#[error(\""));
    let verify = fs::read_to_string(root().join("src/web/verify.rs")).unwrap();
    let verify = verify.replace("\\\"", "'");
    found.extend(
        verify
            .split("error_description='")
            .skip(1)
            .map(|rest| rest.split('\'').next().unwrap().to_owned()),
    );
    found
}

#[test]
fn http_page_lists_exactly_the_error_descriptions_of_the_code() {
    let found = descriptions();
    assert!(found.len() > 20, "{found:?}");
    let text = page("docs/http.md").text;
    for description in &found {
        assert!(text.contains(&format!("`{description}`")), "docs/http.md has no `{description}`");
    }
    // The page lists no description that the code does not have.
    let section =
        text.split("### Error descriptions").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let listed: Vec<_> = rows.collect();
    assert!(listed.len() > 20);
    for said in listed {
        let takes = said.starts_with("this endpoint accepts ");
        assert!(takes || said == "error_description" || found.contains(said), "nobody says {said}");
    }
}

#[tokio::test]
async fn http_page_and_served_error_page_list_every_error_code() {
    let text = page("docs/http.md").text;
    let app = spawn_app().await;
    let served = send(app.request("GET", "/oauth/errors")).await.text;
    let bearers = ["invalid_token", "insufficient_scope"];
    for code in ErrorCode::ALL.map(ErrorCode::as_str).iter().chain(&bearers) {
        assert!(text.contains(code), "docs/http.md has no {code}");
        assert!(served.contains(&format!("id=\"{code}\"")), "/oauth/errors has no {code}");
    }
    // The status of each row is on the served page, beside the code.
    let table = text.split("## Errors").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| ")).filter_map(|row| {
        let mut cells = row.split(" | ");
        let status = cells.next()?.parse::<u16>().ok()?;
        Some((status, cells.next()?.trim_matches('`').to_owned()))
    });
    let rows: Vec<_> = rows.collect();
    assert!(rows.len() > 10, "{rows:?}");
    for (status, code) in rows {
        let entry = served.split(&format!("id=\"{code}\"")).nth(1).unwrap();
        let entry = entry.split("id=\"").next().unwrap();
        assert!(entry.contains(&status.to_string()), "/oauth/errors has no {status} for {code}");
    }
}

#[tokio::test]
async fn api_page_lists_every_error_status_of_the_management_api() {
    let app = AppBuilder::default()
        .set("management.username", "operator")
        .set("management.password", "operators-own-password");
    let app = app.spawn().await;
    let description = app.request("GET", "/oauth/management/api/openapi.json");
    let description = description.basic_auth("operator", Some("operators-own-password"));
    let answer = send(description).await.json();
    let text = page("docs/api.md").text;
    let section = text.split("\n## Errors").nth(1).unwrap();
    let mut checked = BTreeSet::new();
    for path in answer["paths"].as_object().unwrap().values() {
        for operation in path.as_object().unwrap().values() {
            let Some(responses) = operation["responses"].as_object() else { continue };
            for status in responses.keys().filter(|status| status.starts_with(['4', '5'])) {
                let row = section.lines().any(|line| {
                    let first = line.strip_prefix("| ").and_then(|row| row.split(" | ").next());
                    first.is_some_and(|cell| cell.split(", ").any(|one| one == status))
                });
                assert!(row, "docs/api.md says nothing of {status}");
                checked.insert(status.clone());
            }
        }
    }
    assert!(checked.len() > 8, "{checked:?}");
}
