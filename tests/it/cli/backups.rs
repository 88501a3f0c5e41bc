//! `sentinel store backup`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Cli, members};
use crate::helpers::mongod;

/// Returns the names of the files in the test's folder, except for those of the store.
fn others(cli: &Cli) -> Vec<String> {
    let files = std::fs::read_dir(cli.folder.path()).unwrap();
    let mut names: Vec<String> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.starts_with("sentinel.db"));
    names.sort();
    names
}

#[test]
fn backup_in_place_of_store_has_data_of_backup_time() {
    let cli = Cli::new();
    cli.add_user("alice", "correct horse");
    let client = cli.add_client(&[]);
    let file = cli.path("backup");
    let done = cli.json(&["store", "backup", &file]);
    assert_eq!(members(&done), ["bytes", "file"]);
    assert_eq!(done["bytes"], std::fs::metadata(&file).unwrap().len());
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(others(&cli), ["backup"]);
    cli.add_user("bob", "later than alice");

    for name in ["sentinel.db", "sentinel.db-wal", "sentinel.db-shm"] {
        let _ = std::fs::remove_file(cli.path(name));
    }
    std::fs::rename(&file, cli.path("sentinel.db")).unwrap();
    let users = cli.json(&["user", "list"]);
    assert_eq!(users.as_array().unwrap().len(), 1);
    assert_eq!(users[0]["username"], "alice");
    assert_eq!(cli.json(&["client", "show", &client])["client_id"], *client);
    let server = cli.serve();
    assert!(!server.address.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_during_logins_are_complete() {
    let cli = Cli::new();
    cli.add_user("alice", "correct horse");
    let client = cli.add_client(&[]);
    let server = cli.serve();
    let url = format!("http://{}/oauth/token", server.address);
    let over = Arc::new(AtomicBool::new(false));
    let logins = (0..4).map(|_| {
        let (url, client, over) = (url.clone(), client.clone(), Arc::clone(&over));
        tokio::spawn(async move {
            let form = [
                ("grant_type", "password"),
                ("client_id", &*client),
                ("username", "alice"),
                ("password", "correct horse"),
            ];
            let http = reqwest::Client::new();
            let mut done = 0;
            while !over.load(Ordering::Relaxed) {
                assert_eq!(http.post(&url).form(&form).send().await.unwrap().status(), 200);
                done += 1;
            }
            done
        })
    });
    let logins: Vec<_> = logins.collect();
    let mut sessions: Vec<i64> = Vec::new();
    // Five backups, and more until one contains a session.
    for number in 0..100 {
        if number >= 5 && sessions.last() > Some(&0) {
            break;
        }
        let file = cli.path(&format!("backup{number}"));
        tokio::task::block_in_place(|| cli.json(&["store", "backup", &file]));
        let backup = rusqlite::Connection::open(&file).unwrap();
        let count = |sql| backup.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(count("SELECT count(*) FROM users"), 1);
        sessions.push(count("SELECT count(*) FROM sessions"));
    }
    over.store(true, Ordering::Relaxed);
    for login in logins {
        assert!(login.await.unwrap() > 0);
    }
    assert!(sessions.is_sorted() && sessions.last() > Some(&0), "{sessions:?}");
}

#[test]
fn backup_to_existing_file_is_refused() {
    let cli = Cli::new();
    cli.add_user("alice", "correct horse");
    let file = cli.write("precious", "other things");
    cli.run(&["store", "backup", &file]).fails(65, "exists already");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "other things");
    cli.run(&["store", "backup", &cli.path("sentinel.db")]).fails(65, "exists already");
    assert_eq!(others(&cli), ["precious"]);
}

#[test]
fn failed_backup_leaves_no_file() {
    let cli = Cli::new();
    cli.run(&["store", "backup", &cli.path("backup")]).fails(65, "there is no store at");
    cli.write("sentinel.db", "no database at all, whatever its name says, but a text");
    cli.run(&["store", "backup", &cli.path("backup")]).fails(69, "is not a database");
    cli.run(&["store", "backup", &cli.path("no/folder")]).fails(74, "cannot write");
    assert_eq!(others(&cli), Vec::<String>::new());
    assert!(!Path::new(&cli.path("no")).exists());
}

#[tokio::test]
async fn backup_of_mongodb_store_is_refused_and_names_mongodump() {
    let target = mongod::standalone().await;
    let cli = Cli::new();
    let settings: Vec<String> =
        target.overrides().into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mut arguments = vec!["store", "backup", "backup"];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    cli.run(&arguments).fails(64, "use mongodump");
    assert_eq!(others(&cli), Vec::<String>::new());
}
