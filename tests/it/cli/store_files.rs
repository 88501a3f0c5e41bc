//! Files of the embedded store: which commands create them, which remain after a stop, and what
//! happens if they are removed or replaced.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::server::{PASSWORD, Server};
use super::{Cli, CommandResult, finish};
use crate::helpers::{Process, sentinel};

/// Returns the sorted names of the files in the test's folder.
fn names(cli: &Cli) -> Vec<String> {
    let files = fs::read_dir(cli.folder.path()).unwrap();
    let mut names: Vec<_> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Returns the names of the users in the store.
fn users(cli: &Cli) -> Vec<String> {
    let users = cli.json(&["user", "list"]);
    let users = users.as_array().unwrap().iter();
    users.map(|user| user["username"].as_str().unwrap().to_owned()).collect()
}

/// Commands that need an existing store.
const OTHERS: [&[&str]; 19] = [
    &["user", "list"],
    &["user", "show", "alice"],
    &["user", "edit", "alice", "--rename", "bob"],
    &["user", "passwd", "alice", "--password-stdin"],
    &["user", "disable", "alice"],
    &["user", "enable", "alice"],
    &["user", "delete", "alice"],
    &["user", "export", "users.csv"],
    &["client", "list"],
    &["client", "show", "app"],
    &["client", "edit", "app", "--name", "App"],
    &["client", "rotate-secret", "app"],
    &["client", "disable", "app"],
    &["client", "enable", "app"],
    &["client", "delete", "app"],
    &["client", "export", "clients.jsonl"],
    &["session", "list"],
    &["session", "end", "--user", "alice"],
    &["store", "backup", "backup.db"],
];

#[test]
fn only_serve_add_and_import_create_a_store() {
    let cli = Cli::new();
    let path = cli.folder.path().join("data/sentinel.db");
    let missing = format!("there is no store at {}: check store.path", path.display());
    // The default path is relative to the folder in which the command runs.
    let run = |arguments: &[&str]| {
        finish(sentinel(cli.folder.path()).args(arguments), PASSWORD.as_bytes())
    };
    for arguments in OTHERS.into_iter().chain([&["store", "copy", "--to", "copy.db"][..]]) {
        run(arguments).fails(65, &missing);
        assert_eq!(names(&cli), Vec::<String>::new(), "{arguments:?}");
    }
    cli.write("users.csv", "username,password\nbob,a long password\n");
    cli.write("clients.jsonl", "{\"client_id\":\"app\"}\n");
    let creating: [&[&str]; 4] = [
        &["user", "add", "alice", "--password-stdin"],
        &["client", "add"],
        &["user", "import", "users.csv"],
        &["client", "import", "clients.jsonl"],
    ];
    for arguments in creating {
        for is_new in [true, false] {
            // The second call would add the same user again.
            if !is_new && arguments.contains(&"alice") {
                continue;
            }
            let done = run(arguments);
            assert_eq!(done.code, 0, "{done:?}");
            let created = format!("sentinel: created the store {}", path.display());
            let lines = done.stderr.lines().filter(|line| *line == created).count();
            assert_eq!(lines, usize::from(is_new), "{done:?}");
        }
        fs::remove_dir_all(cli.folder.path().join("data")).unwrap();
    }
    let copied = run(&["client", "add"]);
    assert_eq!(copied.code, 0, "{copied:?}");
    let copied = run(&["store", "copy", "--to", "copy.db"]);
    let line = format!("sentinel: created the store {}", cli.path("copy.db"));
    assert!(copied.code == 0 && copied.stderr.lines().any(|text| text == line), "{copied:?}");
}

#[test]
fn server_logs_the_absolute_path_of_a_store_that_it_creates() {
    let cli = Cli::new();
    let lines = crate::startup::lines(cli.folder.path(), &[]);
    let created = lines.iter().find(|line| line.contains("created the store")).unwrap();
    let created: serde_json::Value = serde_json::from_str(created).unwrap();
    assert_eq!(created["path"], cli.path("data/sentinel.db"));
    let again = crate::startup::lines(cli.folder.path(), &[]);
    assert!(!again.iter().any(|line| line.contains("created the store")), "{again:?}");
}

#[tokio::test]
async fn stopped_server_leaves_one_file_with_all_data() {
    let mut server = Server::start();
    for round in 0..20 {
        server.log_in("alice", &server.client).await;
        assert_eq!(server.process.terminate(), Some(0));
        assert_eq!(names(&server.cli), ["sentinel.db"], "round {round}");
        let file = rusqlite::Connection::open(server.cli.path("sentinel.db")).unwrap();
        let sessions: i64 =
            file.query_row("SELECT count(*) FROM sessions", [], |row| row.get(0)).unwrap();
        assert_eq!(sessions, round + 1);
        drop(file);
        server.process = server.cli.serve();
    }
}

#[test]
fn commands_leave_one_file_with_all_data() {
    let cli = Cli::new();
    for round in 0..20 {
        cli.add_user(&format!("user{round}"), PASSWORD);
        assert_eq!(names(&cli), ["sentinel.db"], "round {round}");
        assert_eq!(users(&cli).len(), round + 1);
        assert_eq!(names(&cli), ["sentinel.db"], "round {round}");
    }
}

#[test]
fn killed_server_leaves_a_log_that_the_next_command_reads() {
    let Server { cli, mut process, .. } = Server::start();
    cli.add_user("bob", PASSWORD);
    process.kill();
    assert_eq!(names(&cli), ["sentinel.db", "sentinel.db-shm", "sentinel.db-wal"]);
    assert_eq!(users(&cli), ["alice", "bob"]);
}

#[tokio::test]
async fn server_whose_store_file_was_removed_answers_503_until_it_is_back() {
    let server = Server::start();
    let (cli, app) = (&server.cli, &server.client);
    let tokens = server.log_in("alice", app).await;
    fs::rename(cli.path("sentinel.db"), cli.path("moved.db")).unwrap();
    server.try_log_in("alice", PASSWORD).await.assert_error(503, "temporarily_unavailable");
    let refresh = server.refresh(&tokens.refresh_token(), app).await;
    refresh.assert_error(503, "temporarily_unavailable");
    assert_eq!(server.get("/readyz", "").await.status, 503);
    // Reads too: another process may have ended the token in another file.
    assert_eq!(server.get("/oauth/verify", &tokens.access_token()).await.status, 503);
    // A command must not create a store beside the log that the server has open.
    let added = cli.pipe(PASSWORD, &["user", "add", "bob", "--password-stdin"]);
    added.fails(69, "there is no such file, but its write-ahead log");
    let log = server.process.wait_for("fails; requests get 503");
    assert!(log.contains("the store file was removed or replaced"), "{log}");

    fs::rename(cli.path("moved.db"), cli.path("sentinel.db")).unwrap();
    wait_for(&server, "/readyz", "", 200).await;
    let refresh = server.refresh(&tokens.refresh_token(), app).await;
    assert_eq!(refresh.status, 200, "{refresh:?}");
}

/// Asks until the server answers with this status.
async fn wait_for(server: &Server, path: &str, token: &str, status: u16) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while server.get(path, token).await.status != status {
        assert!(Instant::now() < deadline, "{path} is not answered with {status}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn removed_store_is_noticed_without_a_write() {
    let server = Server::start();
    let tokens = server.log_in("alice", &server.client).await;
    fs::remove_file(server.cli.path("sentinel.db")).unwrap();
    wait_for(&server, "/oauth/verify", &tokens.access_token(), 503).await;
}

#[tokio::test]
async fn stop_after_the_store_was_replaced_does_not_touch_the_new_file() {
    let Server { cli, mut process, .. } = Server::start();
    let backup = cli.path("backup.db");
    cli.json(&["store", "backup", &backup]);
    cli.add_user("bob", PASSWORD);
    fs::rename(&backup, cli.path("sentinel.db")).unwrap();
    let before = fs::read(cli.path("sentinel.db")).unwrap();
    assert_eq!(process.terminate(), Some(0));
    assert_eq!(fs::read(cli.path("sentinel.db")).unwrap(), before);
}

/// The log of a killed server is longer than the limit on the size of files, so that the next write
/// fails as on a full disk, although the files can be opened.
#[tokio::test]
async fn server_that_starts_on_a_full_disk_is_not_ready() {
    let server = Server::start();
    let token = server.log_in("alice", &server.client).await.access_token();
    let Server { cli, client, mut process, http } = server;
    process.kill();
    assert!(fs::metadata(cli.path("sentinel.db-wal")).unwrap().len() > 80 << 10);
    let serve = cli.command();
    let mut command = Command::new("sh");
    command.env_clear().args(["-c", "trap '' XFSZ; ulimit -f 160; exec \"$@\"", "sh"]);
    command.arg(serve.get_program()).args(serve.get_args());
    command.args(["serve", "--bind", "127.0.0.1:0", "--set", "log.format=json"]);
    let process = Process::start(command);
    let server = Server { cli, client, http, process };
    assert_eq!(server.get("/readyz", "").await.status, 503);
    server.try_log_in("alice", PASSWORD).await.assert_error(503, "temporarily_unavailable");
    // Reads go on.
    assert_eq!(server.get("/oauth/verify", &token).await.status, 200);
    drop(server.process);
    let again = server.cli.serve();
    let ready = server.http.get(format!("http://{}/readyz", again.address)).send().await.unwrap();
    assert_eq!(ready.status(), 200);
}

#[test]
fn path_that_is_no_file_is_named_with_the_reason() {
    let cli = Cli::new();
    let run = |path: &str, arguments: &[&str]| {
        let store = format!("store.path={path}");
        finish(sentinel(cli.folder.path()).args(["--set", &store]).args(arguments), b"")
    };
    for uri in ["file:x.db", "file:x.db?mode=memory", ":memory:", "sqlite:///x.db"] {
        for arguments in [&["user", "list"][..], &["client", "add"], &["config", "check"]] {
            let expected = "the path of a file, not a URI and not :memory:";
            run(uri, arguments).fails(78, expected);
        }
        let to = ["store", "copy", "--to", uri];
        cli.run(&to).fails(64, "--to must be the path of a file");
    }
    assert_eq!(names(&cli), Vec::<String>::new());
    assert_eq!(run("./file:x.db", &["client", "add"]).code, 0);
    assert_eq!(names(&cli), ["file:x.db"]);
    fs::remove_file(cli.path("file:x.db")).unwrap();

    std::os::unix::fs::symlink("nowhere/x.db", cli.path("link.db")).unwrap();
    std::os::unix::fs::symlink("nowhere", cli.path("link")).unwrap();
    for (path, link, target) in
        [("link.db", "link.db", "nowhere/x.db"), ("link/x.db", "link", "nowhere")]
    {
        let reason = format!("{link} is a symbolic link to {target}, which does not exist");
        for arguments in [&["user", "list"][..], &["client", "add"]] {
            run(path, arguments).fails(69, &reason);
        }
        run(path, &["config", "check"]).fails(78, &reason);
        run(path, &["store", "backup", "b.db"]).fails(69, &reason);
    }
    run("/dev/null", &["client", "add"]).fails(78, "it is not a regular file");
}

/// Runs a command as a user without access to root's files, if the tests run as root.
fn as_other_user(mut command: Command) -> CommandResult {
    if rustix::process::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    finish(&mut command, b"")
}

#[test]
fn missing_permission_is_named_with_the_file() {
    let cli = Cli::new();
    let outer = cli.folder.path();
    fs::set_permissions(outer, fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(outer.join("data")).unwrap();
    let path = outer.join("data/sentinel.db");
    let run = |arguments: &[&str]| {
        let mut command = sentinel(outer);
        command.arg("--set").arg(format!("store.path={}", path.display())).args(arguments);
        as_other_user(command)
    };
    let mode =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(&outer.join("data"), 0o555);
    run(&["client", "add"]).fails(69, "Permission denied");
    run(&["config", "check"]).fails(78, "Permission denied");
    mode(&outer.join("data"), 0o755);
    cli.run(&["client", "add", "--set", &format!("store.path={}", path.display())]).ok();
    mode(&path, 0o444);
    for arguments in
        [&["client", "list"][..], &["client", "add"], &["store", "backup", "/nowhere/b"]]
    {
        mode(&outer.join("data"), 0o000);
        let done = run(arguments);
        done.fails(69, &format!("cannot open the store {}: Permission denied", path.display()));
        mode(&outer.join("data"), 0o755);
    }
    for arguments in [&["client", "list"][..], &["client", "add"]] {
        let done = run(arguments);
        done.fails(69, &format!("cannot write to {}: Permission denied", path.display()));
    }
    let refused = format!("cannot write to {}: Permission denied", path.display());
    run(&["config", "check"]).assert_failed(78, &refused);
    if fs::metadata(&path).unwrap().uid() == 0 {
        mode(&path, 0o666);
        let folder = outer.join("data");
        let done = run(&["client", "list"]);
        done.fails(69, &format!("cannot write to {}: Permission denied", folder.display()));
    }
}
