//! `sentinel config` and `completions`; `healthcheck` is in [`super::server`].

use std::process::Command;

use super::{Cli, finish};

#[test]
fn the_completions_for_bash_are_valid() {
    let cli = Cli::new();
    let script = cli.run(&["completions", "bash"]);
    assert!(script.ok().contains("rotate-secret"));
    let checked = finish(Command::new("bash").arg("-n"), script.stdout.as_bytes());
    assert_eq!((checked.code, checked.stderr.as_str()), (0, ""));
}

#[test]
fn every_shell_has_completions() {
    let cli = Cli::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        assert!(cli.run(&["completions", shell]).ok().contains("sentinel"));
    }
}

#[test]
fn the_settings_are_shown_without_their_secrets() {
    let cli = Cli::new();
    let file = cli.write("password", "hunter-in-file\n");
    let secrets = [
        "management.username=operator",
        "mongo.uri=mongodb://app:hunter-in-uri@db.example/oauth",
        "mongo.username=somebody",
        "mongo.password=hunter-in-mongo",
        "redis.url=redis://:hunter-in-redis@cache.example/",
        &format!("management.password_file={file}"),
    ];
    let mut arguments = vec!["config", "show"];
    arguments.extend(secrets.iter().flat_map(|setting| ["--set", setting]));
    for json in [&["--json"][..], &[]] {
        let shown = cli.run(&[&arguments, json].concat());
        assert!(!shown.ok().contains("hunter"), "{shown:?}");
        assert!(shown.stdout.contains("operator"), "{shown:?}");
        assert!(shown.stdout.contains("db.example"), "{shown:?}");
    }
}

#[test]
fn the_settings_are_checked() {
    let cli = Cli::new();
    assert_eq!(cli.run(&["config", "check"]).ok(), "the settings are in order");
    assert_eq!(cli.json(&["config", "check"]), serde_json::json!({ "ok": true }));
    cli.run(&["config", "check", "--set", "server.bind=0.0.0.0:5000"]).fails(78, "plain HTTP");
}

#[test]
fn settings_may_stand_before_and_behind_a_command_and_the_last_of_a_key_wins() {
    let cli = Cli::new();
    let before = ["--set", "oauth.session_ttl=7d", "--set", "oauth.access_token_ttl=1m"];
    let between = ["config", "--set", "oauth.refresh_idle_ttl=2d", "show", "--json"];
    let behind = ["--set", "oauth.access_token_ttl=2m", "--set", "log.level=debug"];
    let done = cli.run(&[&before[..], &between, &behind].concat());
    let settings = done.json();
    assert_eq!(settings["oauth"]["session_ttl"], "7d");
    assert_eq!(settings["oauth"]["refresh_idle_ttl"], "2d");
    assert_eq!(settings["oauth"]["access_token_ttl"], "2m");
    assert_eq!(settings["log"]["level"], "debug");
    assert_eq!(settings["store"]["path"], cli.path("sentinel.db"));
}

#[test]
fn help_and_version_are_no_failures() {
    let cli = Cli::new();
    assert!(cli.run(&["--version"]).ok().starts_with("sentinel "));
    for family in [&["--help"][..], &["user", "add", "--help"], &["help", "client", "edit"]] {
        assert!(cli.run(family).ok().contains("Usage: sentinel"));
    }
}

#[test]
fn the_manual_page_has_every_command_and_its_options() {
    let cli = Cli::new();
    let page = cli.run(&["man"]);
    assert!(page.ok().contains(".TH sentinel 1"));
    for command in [
        "SENTINEL SERVE",
        "SENTINEL USER ADD",
        "SENTINEL CLIENT ROTATE\\-SECRET",
        "SENTINEL SESSION END",
        "SENTINEL IMPORT FLASK\\-SENTINEL",
        "SENTINEL STORE COPY",
        "SENTINEL CONFIG CHECK",
        "SENTINEL HEALTHCHECK",
    ] {
        assert!(page.stdout.contains(&format!(".SH \"{command}\"")), "{command}: {}", page.stdout);
    }
    for text in ["\\-\\-password\\-stdin", "\\-\\-dry\\-run", "EXIT STATUS", "\\fB75\\fR"] {
        assert!(page.stdout.contains(text), "{text}");
    }
}
