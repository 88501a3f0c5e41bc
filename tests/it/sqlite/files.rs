//! Creation, opening and rejection of database files, and their contents after an answered write.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Barrier};

use sentinel::store::sqlite::SqliteStore;
use sentinel::store::{OpenMode, Page, SessionFilter, StoreError};

use super::{Embedded, open};
use crate::store_contract::samples::user;

#[cfg(unix)]
#[tokio::test]
async fn database_files_and_folders_are_accessible_to_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("not/there yet");
    let _stores = open(&inner.join("sentinel.db"));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    for made in [inner.as_path(), inner.parent().unwrap()] {
        assert_eq!(mode(made), 0o700, "{}", made.display());
    }
    let files: Vec<_> = fs::read_dir(&inner).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 2, "no write-ahead log: {files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

/// Returns the error for a file that is rejected, and asserts that it is unchanged.
fn refusal(path: &Path) -> String {
    let before = fs::read(path).unwrap();
    let names = || fs::read_dir(path.parent().unwrap()).unwrap().count();
    let files = names();
    let Err(error) = SqliteStore::open(path) else { panic!("it was opened") };
    assert!(matches!(error, StoreError::Open(_)), "{error:?}");
    assert_eq!(fs::read(path).unwrap(), before, "the file was changed");
    assert_eq!(names(), files, "something was left beside it");
    let message = error.to_string();
    assert!(message.contains(path.to_str().unwrap()), "{message}");
    message
}

#[test]
fn database_of_another_program_is_rejected_and_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    for (name, sql) in [
        ("tables.db", "CREATE TABLE users (id INTEGER); INSERT INTO users VALUES (1)"),
        ("marked.db", "PRAGMA application_id = 42; PRAGMA user_version = 1"),
        ("wal.db", "PRAGMA journal_mode = DELETE; CREATE TABLE t (x)"),
    ] {
        let path = folder.path().join(name);
        rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let message = refusal(&path);
        assert!(message.contains("not a Sentinel store"), "{message}");
    }
}

#[test]
fn file_that_is_not_a_database_is_rejected_and_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    for text in ["buy milk\n".to_owned(), "x".repeat(100_000)] {
        fs::write(&path, text).unwrap();
        let message = refusal(&path);
        assert!(message.contains("not a database"), "{message}");
    }
}

#[test]
fn folder_in_place_of_database_file_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let Err(error) = SqliteStore::open(folder.path()) else { panic!("it was opened") };
    assert!(matches!(error, StoreError::Configuration(_)), "{error:?}");
}

#[test]
fn database_of_newer_version_is_rejected_and_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sentinel.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "PRAGMA application_id = 0x534e544c; PRAGMA user_version = 1000;
             CREATE TABLE users (name TEXT)",
        )
        .unwrap();
    drop(connection);
    let message = refusal(&path);
    assert!(message.contains("1000") && message.contains("newer"), "{message}");
}

#[tokio::test]
async fn database_of_older_version_is_migrated() {
    let store = Embedded::fresh().await;
    assert!(store.stores.sessions.insert(&store.session()).await.unwrap());
    // The schema of version 1, as far as the migration depends on it.
    store
        .raw()
        .execute_batch(
            "BEGIN; DROP TABLE sessions; DROP TABLE losses; DROP TABLE imported;
             DROP TABLE aliases; DROP TABLE known_devices; DROP TABLE spent_budgets;
             DROP TABLE rate_limit_orders;
             DROP INDEX clients_by_name; PRAGMA user_version = 1;
             ALTER TABLE clients DROP COLUMN introspect_refresh_tokens;
             ALTER TABLE clients DROP COLUMN secret_hash;
             DROP INDEX users_by_key; ALTER TABLE users DROP COLUMN username_key;
             CREATE TABLE sessions (id BLOB NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;
             CREATE INDEX sessions_by_client ON sessions (id); COMMIT",
        )
        .unwrap();
    let again = open(&store.path);
    assert_eq!(again.clients.find(&store.client.id).await.unwrap().as_ref(), Some(&store.client));
    let session = store.session();
    assert!(again.sessions.insert(&session).await.unwrap());
    assert_eq!(again.sessions.find(session.id).await.unwrap(), Some(session));
}

#[tokio::test]
async fn migrated_client_may_not_introspect_refresh_tokens() {
    let store = Embedded::fresh().await;
    let update = "UPDATE clients SET introspection = TRUE";
    let before = "ALTER TABLE clients DROP COLUMN introspect_refresh_tokens;
        ALTER TABLE clients DROP COLUMN secret_hash; DROP TABLE known_devices;
        DROP TABLE spent_budgets; DROP TABLE rate_limit_orders; DROP INDEX users_by_key;
        ALTER TABLE users DROP COLUMN username_key; PRAGMA user_version = 5";
    store.raw().execute_batch(&format!("{update}; {before}")).unwrap();
    let again = open(&store.path);
    let client = again.clients.find(&store.client.id).await.unwrap().unwrap();
    assert!(client.introspection && !client.introspect_refresh_tokens);
}

#[tokio::test]
async fn opening_for_reading_rejects_older_version_and_leaves_it_unchanged() {
    let store = Embedded::fresh().await;
    let version = |version| {
        store.raw().pragma_update(None, "user_version", version).unwrap();
    };
    let current: i64 = store.raw().query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    version(current - 1);
    let Err(error) = SqliteStore::open_for(&store.path, OpenMode::Read) else {
        panic!("it was opened");
    };
    let message = error.to_string();
    assert!(message.contains("written by an older Sentinel"), "{message}");
    let after: i64 = store.raw().query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(after, current - 1);
}

#[tokio::test]
async fn opening_does_not_wait_for_lock_of_another_writer() {
    let store = Embedded::fresh().await;
    let other = store.raw();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let started = std::time::Instant::now();
    for mode in [OpenMode::Read, OpenMode::Write, OpenMode::Create] {
        let opened = SqliteStore::open_for(&store.path, mode).unwrap().into_stores();
        let found = opened.clients.find(&store.client.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(&store.client));
    }
    assert!(started.elapsed() < std::time::Duration::from_secs(4), "{:?}", started.elapsed());
}

#[tokio::test]
async fn store_open_for_reading_writes_nothing() {
    let store = Embedded::fresh().await;
    let session = store.session();
    let reading = SqliteStore::open_for(&store.path, OpenMode::Read).unwrap().into_stores();
    let refused = reading.sessions.insert(&session).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!(reading.sessions.find(session.id).await.unwrap(), None);
}

#[tokio::test]
async fn closed_store_leaves_one_file_and_fails_further_calls() {
    let store = Embedded::fresh().await;
    let session = store.session();
    assert!(store.stores.sessions.insert(&session).await.unwrap());
    store.stores.health.close().await;
    let folder = store.path.parent().unwrap();
    let files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, ["sentinel.db"]);
    assert!(store.stores.sessions.find(session.id).await.is_err());
    assert!(store.stores.sessions.insert(&store.session()).await.is_err());
    assert!(store.stores.health.probe().await.is_err());
    assert_eq!(open(&store.path).sessions.find(session.id).await.unwrap(), Some(session));
}

#[tokio::test]
async fn migrated_users_are_found_by_any_spelling_unless_two_have_the_name() {
    let store = Embedded::fresh().await;
    let names = ["Alice", "alice", "Zo\u{eb}", "x\u{200b}"];
    for name in names {
        assert!(store.stores.transfer.put_user_unchecked(&user(name)).await.unwrap());
    }
    let before = "DROP INDEX users_by_key; ALTER TABLE users DROP COLUMN username_key;
        PRAGMA user_version = 7";
    store.raw().execute_batch(before).unwrap();
    let again = open(&store.path);
    let found = async |name: &str| {
        let found = again.users.find_by_name(name).await.unwrap();
        found.map(|user| user.username)
    };
    for name in names {
        assert_eq!(found(name).await.as_deref(), Some(name));
    }
    assert_eq!(found("ZOE\u{308} ").await.as_deref(), Some("Zo\u{eb}"));
    assert_eq!((found("ALICE").await, found("x").await), (None, None));
    for name in ["ALICE", "zo\u{eb}"] {
        assert!(!again.users.insert(&user(name)).await.unwrap(), "{name}");
    }
    let all = again.listing.list_users("al", &Page::first(10)).await.unwrap();
    assert_eq!(all.len(), 2, "{all:?}");
}

#[test]
fn new_database_can_be_opened_concurrently() {
    const PROCESSES: usize = 8;
    for round in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sentinel.db");
        let start = Arc::new(Barrier::new(PROCESSES));
        let threads: Vec<_> = (0..PROCESSES)
            .map(|_| {
                let (path, start) = (path.clone(), Arc::clone(&start));
                std::thread::spawn(move || {
                    start.wait();
                    SqliteStore::open(&path).map(|_| ())
                })
            })
            .collect();
        for thread in threads {
            let opened = thread.join().unwrap();
            assert!(opened.is_ok(), "round {round}: {}", opened.unwrap_err());
        }
    }
}

#[tokio::test]
async fn answered_write_is_in_the_files() {
    let store = Embedded::fresh().await;
    let folder = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let session = store.session();
        assert!(store.stores.sessions.insert(&session).await.unwrap());
        // A copy of the files is what a kill at this moment would leave.
        let copy = folder.path().join(format!("{round}.db"));
        let beside = |path: &Path| format!("{}-wal", path.display());
        fs::copy(&store.path, &copy).unwrap();
        fs::copy(beside(&store.path), beside(&copy)).unwrap();
        assert_eq!(open(&copy).sessions.find(session.id).await.unwrap(), Some(session));
    }
}

#[tokio::test]
async fn reopened_store_keeps_its_records() {
    let store = Embedded::fresh().await;
    let session = store.session();
    assert!(store.stores.sessions.insert(&session).await.unwrap());
    let Embedded { stores, path, client, _folder } = store;
    drop(stores);
    let again = open(&path);
    assert_eq!(again.sessions.find(session.id).await.unwrap(), Some(session));
    assert_eq!(again.clients.find(&client.id).await.unwrap(), Some(client));
}

#[tokio::test]
async fn damaged_record_is_an_error_not_a_missing_record() {
    let store = Embedded::fresh().await;
    let (damaged, fine) = (store.session(), store.session());
    for session in [&damaged, &fine] {
        assert!(store.stores.sessions.insert(session).await.unwrap());
    }
    let rows = store
        .raw()
        .execute("UPDATE sessions SET tokens = x'ff' WHERE id = ?1", [damaged.id.as_bytes()]);
    assert_eq!(rows.unwrap(), 1);
    let found = store.stores.sessions.find(damaged.id).await;
    assert!(matches!(found, Err(StoreError::Corrupt { .. })), "{found:?}");
    let list =
        store.stores.listing.list_sessions(&SessionFilter::default(), &Page::first(10)).await;
    assert!(matches!(list, Err(StoreError::Corrupt { .. })), "{list:?}");
    let sound = store.stores.listing.list_sessions_skipping_corrupt(&Page::first(1)).await.unwrap();
    assert_eq!(sound, std::slice::from_ref(&fine));
    assert_eq!(store.stores.sessions.find(fine.id).await.unwrap(), Some(fine));
    assert!(store.stores.sessions.delete(damaged.id).await.unwrap().value);
}
