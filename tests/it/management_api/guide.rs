//! Runs the commands of `docs/api.md` in their order.

use super::{OPERATOR, OPERATOR_PASSWORD, managed};

#[tokio::test]
async fn documented_commands_succeed() {
    let app = managed().spawn().await;
    let text = include_str!("../../../docs/api.md");
    let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let script = blocks.collect::<Vec<_>>().join("\n");
    let script = script.replace("https://auth.example.org", &app.url);
    assert!(script.contains(&format!("API={}", app.url)), "{script}");
    let mut shell = tokio::process::Command::from(crate::helpers::command("timeout"));
    shell.args(["60", "bash", "-euo", "pipefail", "-c", &script]).kill_on_drop(true);
    shell.env("OPERATOR", format!("{OPERATOR}:{OPERATOR_PASSWORD}"));
    let output = shell.output().await.unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    for expected in [
        r#""username":"zoe","scopes":["read"],"enabled":true"#,
        r#""username":"zoe","scopes":["read"],"enabled":false"#,
        r#""access_token_ttl":900"#,
        r#"{"ended":0}"#,
        r#""next":null}"#,
    ] {
        assert!(printed.contains(expected), "no {expected} in {printed}");
    }
    assert!(app.admin.user("zoe").await.is_err(), "it is removed at the end");
}
