//! `sentinel store restore`, and backups that were copied into place without it.

use std::fs;
use std::io::Write;
use std::path::Path;

use super::server::{PASSWORD, Server};
use super::{Cli, finish, members};
use crate::helpers::{mongod, sentinel};

/// Returns the names of the users in the store.
fn users(cli: &Cli) -> Vec<String> {
    let users = cli.json(&["user", "list"]);
    let users = users.as_array().unwrap().iter();
    users.map(|user| user["username"].as_str().unwrap().to_owned()).collect()
}

/// Returns the names of the files in a folder.
fn names(folder: impl AsRef<Path>) -> Vec<String> {
    let files = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Makes a backup with the user `alice`, then adds `bob`.
fn backed_up(cli: &Cli) -> String {
    cli.add_user("alice", PASSWORD);
    let backup = cli.path("backup.db");
    cli.json(&["store", "backup", &backup]);
    cli.add_user("bob", PASSWORD);
    backup
}

#[test]
fn restored_store_has_data_of_backup_and_replaced_files_are_kept() {
    let cli = Cli::new();
    let backup = backed_up(&cli);
    let done = cli.run(&["store", "restore", &backup, "--json"]);
    assert_eq!(done.audited()["event"], "store_restored");
    let done = done.json();
    assert_eq!(members(&done), ["bytes", "file", "replaced"]);
    assert_eq!(done["file"], cli.path("sentinel.db"));
    assert_eq!(done["bytes"], fs::metadata(cli.path("sentinel.db")).unwrap().len());
    assert_eq!(users(&cli), ["alice"]);
    let replaced = done["replaced"].as_str().unwrap();
    assert!(replaced.starts_with(&cli.path("replaced-")), "{replaced}");
    let old = format!("store.path={replaced}/sentinel.db");
    let old = cli.run(&["user", "list", "--set", &old]);
    assert!(old.ok().contains("bob"), "{old:?}");
    // The backup itself is unchanged, and can be restored again or read in its place.
    assert_eq!(names(cli.folder.path()).len(), 3);
    let list = cli.run(&["user", "list", "--set", &format!("store.path={backup}")]);
    assert!(list.ok().contains("alice"), "{list:?}");
    assert!(!Path::new(&format!("{backup}-wal")).exists());
}

#[test]
fn backup_is_restored_where_no_store_is() {
    let cli = Cli::new();
    let backup = backed_up(&cli);
    let store = format!("store.path={}", cli.path("new/folder/sentinel.db"));
    let done = cli.json(&["store", "restore", &backup, "--set", &store]);
    assert!(done["replaced"].is_null(), "{done}");
    assert_eq!(names(cli.path("new/folder")), ["sentinel.db"]);
    let list = cli.run(&["user", "list", "--set", &store]);
    assert!(list.ok().contains("alice") && !list.stdout.contains("bob"), "{list:?}");
}

#[test]
fn restore_beside_a_running_server_is_refused() {
    let server = Server::start();
    let cli = &server.cli;
    let backup = cli.path("backup.db");
    cli.json(&["store", "backup", &backup]);
    let before = names(cli.folder.path());
    cli.run(&["store", "restore", &backup]).fails(65, "is in use: stop the server");
    assert_eq!(names(cli.folder.path()), before);
    assert_eq!(users(cli), ["alice"]);
}

/// Commands that would mix the backup with the log beside it.
const COMMANDS: [&[&str]; 4] = [
    &["user", "list"],
    &["client", "add"],
    &["store", "backup", "other.db"],
    &["serve", "--bind", "127.0.0.1:0", "--set", "log.level=off"],
];

/// Asserts that every command refuses the backup in the place of the store, and leaves it
/// unchanged, and that `store restore` of that very file makes it a store.
fn assert_refused_until_restored(cli: &Cli) {
    let path = cli.path("sentinel.db");
    let (file, log) = (fs::read(&path).unwrap(), fs::read(format!("{path}-wal")).unwrap());
    for arguments in COMMANDS {
        let done = finish(cli.command().args(arguments), b"");
        done.fails(69, &format!("it is a backup, and {path}-wal is the write-ahead log"));
        assert!(done.stderr.contains(&format!("sentinel store restore {path}")), "{done:?}");
    }
    cli.run(&["config", "check"]).fails(78, "it is a backup");
    assert_eq!(fs::read(&path).unwrap(), file);
    assert_eq!(fs::read(format!("{path}-wal")).unwrap(), log);

    let done = cli.json(&["store", "restore", &path]);
    let kept = names(done["replaced"].as_str().unwrap());
    assert_eq!(kept, ["sentinel.db", "sentinel.db-shm", "sentinel.db-wal"]);
    assert_eq!(users(cli), ["alice"]);
}

#[test]
fn backup_copied_beside_the_log_of_a_killed_server_is_refused_until_restored() {
    for is_moved in [false, true] {
        let cli = Cli::new();
        cli.add_user("alice", PASSWORD);
        let mut process = cli.serve();
        let backup = cli.path("backup.db");
        cli.json(&["store", "backup", &backup]);
        cli.add_user("bob", PASSWORD);
        process.kill();
        let path = cli.path("sentinel.db");
        if is_moved {
            fs::rename(&backup, path).unwrap();
        } else {
            fs::copy(&backup, path).unwrap();
        }
        assert_refused_until_restored(&cli);
    }
}

#[tokio::test]
async fn backup_copied_over_the_store_of_a_running_server_is_refused_until_restored() {
    let Server { cli, client, mut process, http } = Server::start();
    let backup = cli.path("backup.db");
    cli.json(&["store", "backup", &backup]);
    cli.add_user("bob", PASSWORD);
    // Overwritten and not truncated first, since the server has the file mapped into its memory.
    let content = fs::read(&backup).unwrap();
    let mut file = fs::OpenOptions::new().write(true).open(cli.path("sentinel.db")).unwrap();
    file.write_all(&content).unwrap();
    file.set_len(content.len() as u64).unwrap();
    drop(file);
    let form = [
        ("grant_type", "password"),
        ("client_id", &*client),
        ("username", "alice"),
        ("password", PASSWORD),
    ];
    let login = http.post(format!("http://{}/oauth/token", process.address)).form(&form);
    assert_eq!(login.send().await.unwrap().status(), 503);
    let ready = http.get(format!("http://{}/readyz", process.address)).send().await.unwrap();
    assert_eq!(ready.status(), 503);
    cli.run(&["store", "restore", &backup]).fails(65, "is in use: stop the server");
    // The stop does not write the log into the backup.
    assert_eq!(process.terminate(), Some(0));
    assert_eq!(fs::read(cli.path("sentinel.db")).unwrap(), content);
    assert_refused_until_restored(&cli);
}

#[test]
fn backup_copied_over_the_store_of_a_stopped_server_is_taken_into_use() {
    let Server { cli, mut process, .. } = Server::start();
    let backup = cli.path("backup.db");
    cli.json(&["store", "backup", &backup]);
    cli.add_user("bob", PASSWORD);
    assert_eq!(process.terminate(), Some(0));
    fs::copy(&backup, cli.path("sentinel.db")).unwrap();
    assert_eq!(users(&cli), ["alice"]);
    // From its first use on, the file is a store, and may have a log.
    let mut process = cli.serve();
    cli.add_user("carol", PASSWORD);
    process.kill();
    assert!(Path::new(&cli.path("sentinel.db-wal")).exists());
    assert_eq!(users(&cli), ["alice", "carol"]);
}

#[test]
fn restore_replaces_a_damaged_store() {
    let cli = Cli::new();
    let backup = backed_up(&cli);
    cli.write("sentinel.db", "no database at all".repeat(1000));
    cli.run(&["store", "restore", &backup]).ok();
    assert_eq!(users(&cli), ["alice"]);
}

#[test]
fn restore_of_something_else_is_refused_and_changes_nothing() {
    let cli = Cli::new();
    let backup = backed_up(&cli);
    let text = cli.write("text", "no database at all".repeat(1000));
    let empty = cli.write("empty", "");
    let other = cli.path("other.db");
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let damaged = cli.path("damaged.db");
    let mut content = fs::read(&backup).unwrap();
    let middle = content.len() / 2;
    content.get_mut(middle..).unwrap().fill(0xff);
    fs::write(&damaged, content).unwrap();
    let running = Cli::new();
    let _server = running.serve();
    running.add_user("dora", PASSWORD);
    let before = (names(cli.folder.path()), fs::read(cli.path("sentinel.db")).unwrap());
    for (file, code, reason) in [
        (cli.path("missing"), 65, "there is no backup at"),
        (cli.folder.path().display().to_string(), 65, "there is no backup at"),
        (text, 69, "file is not a database"),
        (empty, 69, "is not a Sentinel backup"),
        (other, 69, "not a Sentinel store"),
        (damaged, 69, "the store"),
        (running.path("sentinel.db"), 65, "is not a backup but a store"),
    ] {
        cli.run(&["store", "restore", &file]).fails(code, reason);
    }
    assert_eq!((names(cli.folder.path()), fs::read(cli.path("sentinel.db")).unwrap()), before);
    assert_eq!(users(&cli), ["alice", "bob"]);
}

#[tokio::test]
async fn restore_to_mongodb_is_refused_and_names_mongorestore() {
    let target = mongod::standalone().await;
    let cli = Cli::new();
    let mut command = sentinel(cli.folder.path());
    for (key, value) in target.overrides() {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    finish(command.args(["store", "restore", "backup"]), b"").fails(64, "use mongorestore");
}
