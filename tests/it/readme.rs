//! Runs the shell commands of the README, unchanged and in their order.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

/// Joins the blocks marked `sh`; the others show output or need a fresh machine.
fn shell_blocks(text: &str) -> String {
    let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.collect::<Vec<_>>().join("\n")
}

#[test]
fn readme_shell_blocks_run_and_print_the_expected_output() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let script = shell_blocks(&text).replace(":5000", &format!(":{free}"));
    assert!(script.contains("sentinel serve") && script.contains("curl"), "{script}");

    let home = tempfile::tempdir().unwrap();
    let folder = Path::new(env!("CARGO_BIN_EXE_sentinel")).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    // Without the trap, the server would outlive a script that fails half-way.
    let script = format!("trap 'kill $SERVER 2> /dev/null || true' EXIT\nSERVER=\n{script}");
    let mut shell = Command::new("timeout");
    shell.args(["60", "bash", "-euo", "pipefail", "-c", &script]).current_dir(home.path());
    shell.env_clear().env("HOME", home.path()).env("PATH", path);
    let output = shell.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}\n{errors}");

    for expected in [
        "the settings are valid",
        "\"active\":true",
        "HTTP/1.1 200",
        "x-auth-username: alice",
        // After the revocation.
        "HTTP/1.1 401",
        "access_token_ttl = \"15m\"",
        "access_token_ttl = \"10m\"",
    ] {
        assert!(printed.contains(expected), "no {expected} in {printed}");
    }
}
