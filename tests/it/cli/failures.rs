//! Failures of commands: one clear line, and an exit code that scripts can tell apart.

use std::net::TcpListener;

use rusqlite::Connection;

use super::{Cli, CommandResult, finish};
use crate::helpers::redis::Redis;
use crate::helpers::sentinel;

/// Commands that open the store: two that read it, one that writes, and the server.
const COMMANDS: [&[&str]; 4] = [
    &["user", "list"],
    &["client", "add"],
    &["session", "list"],
    &["serve", "--bind", "127.0.0.1:0", "--set", "log.level=off"],
];

/// Asserts that every command refuses a store that cannot be opened.
#[track_caller]
fn assert_store_refused(cli: &Cli, path: &str, what: &str) {
    assert_store_refused_with(69, cli, path, what);
}

#[track_caller]
fn assert_store_refused_with(code: i32, cli: &Cli, path: &str, what: &str) {
    for arguments in COMMANDS {
        let mut command = sentinel(cli.folder.path());
        command.arg("--set").arg(format!("store.path={path}")).args(arguments);
        let done = finish(&mut command, b"");
        done.fails(code, what);
        assert!(done.stderr.contains(path), "{done:?}");
    }
}

/// A service manager restarts after 69, and not after 78 (docs/cli.md).
#[test]
fn malformed_connection_string_has_same_exit_code_in_every_command() {
    let cli = Cli::new();
    let mut commands = COMMANDS.to_vec();
    commands.push(&["config", "check"]);
    for (key, url) in [
        ("redis.url", "redis://127.0.0.1/notanumber"),
        ("redis.url", "redis://127.0.0.1:port"),
        ("redis.url", "http://127.0.0.1"),
        ("redis.url", "redis://"),
        ("redis.url", "nonsense"),
        ("mongo.uri", "mongodb://"),
        ("mongo.uri", "mongodb://127.0.0.1/?noSuchOption=1"),
        ("mongo.uri", "mongodb://127.0.0.1:port"),
        ("mongo.uri", "mongodb://127.0.0.1:99999"),
        ("mongo.uri", "mongodb://127.0.0.1/?readPreference=x"),
        ("mongo.uri", "mongodb://a,b/?directConnection=true"),
        ("mongo.uri", "mongodb://127.0.0.1/?w=0&journal=true"),
        ("mongo.uri", "mongodb://127.0.0.1/?maxPoolSize=0"),
        ("mongo.uri", "mongodb://127.0.0.1/?loadBalanced=true&replicaSet=x"),
        ("mongo.uri", "mongodb+srv://db.invalid:27017"),
        ("mongo.uri", "postgres://127.0.0.1"),
    ] {
        let setting = format!("{key}={url}");
        let backend = if key == "mongo.uri" { "mongodb" } else { "embedded" };
        let backend = format!("store.backend={backend}");
        for arguments in &commands {
            let more = ["--set", &setting, "--set", &backend];
            cli.run(&[arguments, &more[..]].concat()).fails(78, key);
        }
    }
}

#[test]
fn store_that_is_a_folder_is_refused() {
    let cli = Cli::new();
    std::fs::create_dir(cli.path("folder")).unwrap();
    assert_store_refused_with(78, &cli, &cli.path("folder"), "it is a folder");
}

#[test]
fn store_below_a_file_is_refused() {
    let cli = Cli::new();
    cli.write("file", "");
    assert_store_refused_with(78, &cli, &cli.path("file/sentinel.db"), "is not a folder");
}

#[test]
fn store_that_is_a_text_file_is_refused_and_unchanged() {
    let cli = Cli::new();
    let text = "not a database, but my novel\n".repeat(100);
    let path = cli.write("novel.txt", &text);
    assert_store_refused(&cli, &path, "not a database");
    assert_eq!(std::fs::read_to_string(path).unwrap(), text);
}

#[test]
fn sqlite_file_of_another_program_is_refused_and_unchanged() {
    let cli = Cli::new();
    let path = cli.path("other.db");
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE notes (text TEXT)").unwrap();
    drop(other);
    let before = std::fs::read(&path).unwrap();
    assert_store_refused(&cli, &path, "not a Sentinel store");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn store_of_newer_version_is_refused() {
    let cli = Cli::new();
    cli.create_store();
    let store = Connection::open(cli.path("sentinel.db")).unwrap();
    store.pragma_update(None, "user_version", 4711).unwrap();
    drop(store);
    assert_store_refused(&cli, &cli.path("sentinel.db"), "written by a newer Sentinel");
}

/// The last line of the output says that the change was made, even if nothing else is read.
#[test]
fn change_with_failed_invalidation_is_reported_as_done() {
    let (cli, mut redis) = (Cli::new(), Redis::start());
    cli.add_user("erin", "correct horse");
    // Pending invalidation of an arbitrary session.
    let store = Connection::open(cli.path("sentinel.db")).unwrap();
    store.execute("INSERT INTO losses (session) VALUES (zeroblob(12))", []).unwrap();
    drop(store);
    redis.kill();
    let url = format!("redis.url={}", redis.url);
    let done = cli.run(&["user", "disable", "erin", "--set", &url]);
    assert_eq!(done.code, 69, "{done:?}");
    let last = done.stderr.lines().last().unwrap();
    assert!(
        last.starts_with("sentinel: the change is stored, but its Redis invalidation failed"),
        "{last}"
    );
    assert_eq!(cli.json(&["user", "show", "erin"])["enabled"], false);
}

#[test]
fn mistyped_setting_is_named_with_nearest_valid_one() {
    let cli = Cli::new();
    for arguments in COMMANDS.into_iter().chain([&["config", "check"][..], &["healthcheck"]]) {
        let wrong = ["--set", "oauth.acces_token_ttl=15m"];
        cli.run(&[arguments, &wrong].concat()).fails(78, "oauth.access_token_ttl");
    }
    let mut command = cli.command();
    let done = finish(command.args(["user", "list"]).env("SENTINEL_STORE__PAHT", "x"), b"");
    done.fails(78, "SENTINEL_STORE__PATH");
    let file = cli.write("sentinel.toml", "[stor]\npath = \"x\"\n");
    cli.run(&["user", "list", "--config", &file]).fails(78, "store");
}

#[test]
fn unreadable_settings_file_is_named() {
    let cli = Cli::new();
    let missing = cli.path("missing.toml");
    let folder = cli.folder.path().to_str().unwrap().to_owned();
    let binary = cli.write("binary.toml", [0xff, 0xfe, 0x00]);
    let broken = cli.write("broken.toml", "[store\n");
    for path in [&missing, &folder, &binary, &broken] {
        cli.run(&["user", "list", "--config", path]).fails(78, path);
        let mut command = cli.command();
        finish(command.args(["user", "list"]).env("SENTINEL_CONFIG", path), b"").fails(78, path);
    }
}

#[test]
fn setting_with_invalid_value_is_named() {
    let cli = Cli::new();
    let done = cli.run(&["user", "list", "--set", "password.parallelism=x"]);
    done.fails(78, "password.parallelism");
    cli.run(&["user", "list", "--set", "nonsense"]).fails_with_usage("expected KEY=VALUE");
}

#[test]
fn invalid_command_line_is_usage_error() {
    let cli = Cli::new();
    let cases: [&[&str]; 7] = [
        &[],
        &["frobnicate"],
        &["user"],
        &["user", "frobnicate"],
        &["user", "show"],
        &["user", "list", "--frobnicate"],
        &["client", "show", "a", "b"],
    ];
    for arguments in cases {
        cli.run(arguments).fails_with_usage("Usage: sentinel");
    }
    cli.run(&["completions", "command.com"]).fails_with_usage("possible values: bash");
}

#[test]
fn occupied_port_is_named() {
    let cli = Cli::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let done = cli.run(&["serve", "--bind", &address]);
    done.fails(69, &format!("cannot listen on {address} (server.bind): "));
    let metrics = format!("metrics.bind={address}");
    let done =
        cli.run(&["serve", "--bind", "127.0.0.1:0", "--set", &metrics, "--set", "log.level=error"]);
    done.fails(69, &format!("cannot listen on {address} (metrics.bind): "));
}

#[test]
fn invalid_certificate_file_is_named() {
    let cli = Cli::new();
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let good = cli.write("good.pem", key.cert.pem());
    let good_key = cli.write("good.key", key.signing_key.serialize_pem());
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other_key = cli.write("other.key", other.signing_key.serialize_pem());
    let bad = cli.write("bad.pem", "no certificate");
    let missing = cli.path("missing.pem");
    let serve = |cert: &str, key: &str| -> CommandResult {
        let (cert, key) = (format!("tls.cert={cert}"), format!("tls.key={key}"));
        let tls = ["--set", "tls.mode=files", "--set", &cert, "--set", &key];
        cli.run(&[&["serve", "--bind", "127.0.0.1:0"], &tls[..]].concat())
    };
    serve(&bad, &good_key).fails(78, &bad);
    serve(&missing, &good_key).fails(78, &missing);
    serve(&good, &bad).fails(78, &bad);
    serve(&good, &other_key).fails(78, "");
}
