//! `examples/nginx` and `examples/proxies` with real proxies, by `tests/proxies/check.py`.
//! `make conformance` runs it with more proxies.

use std::path::Path;

use crate::helpers::{SETUP, command};

/// Runs the checks for these proxies, and asserts that all pass.
fn check(proxies: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/proxies/check.py");
    let mut python = command("python3");
    python.arg(script).arg(env!("CARGO_BIN_EXE_sentinel")).args(proxies);
    let output = python.env("PYTHONDONTWRITEBYTECODE", "1").output();
    let output = output.unwrap_or_else(|error| panic!("python3: {error}; {SETUP}"));
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}\n{errors}\n{SETUP}");
    // A script that ends early has checked nothing.
    assert_eq!(printed.lines().last(), Some("done"), "{printed}\n{errors}");
    for proxy in proxies {
        assert!(printed.matches(&format!("ok: {proxy}: ")).count() > 20, "{printed}");
    }
}

#[test]
fn nginx_examples_keep_forged_identities_from_the_api() {
    check(&["nginx", "nginx-cached"]);
}

#[test]
fn caddy_example_keeps_forged_identities_from_the_api() {
    check(&["caddy"]);
}
