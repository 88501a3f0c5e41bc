//! Runs that are repeated after changes or after an interruption.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sentinel::admin::Versions;
use sentinel::domain::{Digest, SystemClock};
use sentinel::store::copying::copy;
use sentinel::store::{LegacyToken, OpenMode, Page, SessionFilter, Stores};
use serde_json::json;

use super::CopyTarget;
use crate::helpers::{START, sentinel, spawn_app};
use crate::store_contract::samples::{session, stored_client, stored_user};
use crate::store_contract::{Backend, embedded, mongodb};

#[tokio::test(flavor = "multi_thread")]
async fn second_run_copies_changes() {
    let (app, to) = (spawn_app().await, CopyTarget::database().await);
    let hash = app.user.password.clone();
    let add = async |username: &str| {
        let (username, password) = (username.to_owned(), hash.clone());
        let new = sentinel::admin::NewUser { username, password, scopes: None, enabled: true };
        app.admin.add_user(new).await.unwrap()
    };
    let (bob, carol) = (add("bob").await, add("carol").await);
    let revoked = app.login().await;
    let refreshed = app.login().await;
    let with_bob = app.login_with_password("bob", crate::helpers::PASSWORD).await;
    assert_eq!(with_bob.status, 200);
    to.copy_of(&app, &[]).await;

    // Users exchange names, one name is freed, a session ends, and another one is refreshed.
    let rename = async |user: &sentinel::domain::User, name: &str| {
        let username = Some(name.to_owned());
        let change = sentinel::admin::UserChange { username, ..Default::default() };
        app.admin.edit_user(user.id, &change).await.unwrap();
    };
    rename(&bob, "free").await;
    rename(&carol, "bob").await;
    rename(&bob, "carol").await;
    let token = |answer: &crate::helpers::TestResponse| answer.json()["refresh_token"].clone();
    let answer = app.refresh(token(&refreshed).as_str().unwrap()).await;
    app.revoke(token(&revoked).as_str().unwrap()).await;
    let late = app.login().await;
    let planned = to.copy_of(&app, &["--dry-run"]).await;
    let report = to.copy_of(&app, &[]).await;
    for kind in ["users", "clients", "sessions"] {
        assert_eq!(planned[kind], report[kind]);
    }
    // Sessions that were deleted along with a replaced user are copied again.
    assert_eq!(report["users"], json!({ "read": 3, "written": 2, "removed": 2 }));
    assert_eq!(report["sessions"]["read"], 3);
    let third = to.copy_of(&app, &[]).await;
    for kind in ["users", "clients", "sessions", "aliases", "imported"] {
        assert_eq!((&third[kind]["written"], &third[kind]["removed"]), (&json!(0), &json!(0)));
    }

    let server = to.server().spawn().await;
    for (answer, active) in [(&late, true), (&answer, true), (&with_bob, true), (&revoked, false)] {
        let token = answer.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(server.is_active(&token).await, active, "{answer:?}");
    }
    let token = with_bob.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(server.introspect(&token).await.json()["username"], "carol");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_deleted_in_source_are_removed_from_target() {
    let (app, to) = (spawn_app().await, CopyTarget::database().await);
    let login = app.login().await.json()["access_token"].as_str().unwrap().to_owned();
    to.copy_of(&app, &[]).await;
    app.delete_user().await;
    app.admin.delete_client(&app.client.id, &Versions::Any).await.unwrap();
    let report = to.copy_of(&app, &[]).await;
    assert_eq!(report["users"], json!({ "read": 0, "written": 0, "removed": 1 }));
    assert_eq!(report["clients"], json!({ "read": 1, "written": 0, "removed": 1 }));
    let server = to.server().spawn().await;
    assert!(!server.is_active(&login).await);
}

/// Returns all records of a store.
async fn contents(stores: &Stores) -> impl PartialEq + std::fmt::Debug + use<> {
    let page = Page::first(100_000);
    (
        stores.listing.list_users("", &page).await.unwrap(),
        stores.listing.list_clients("", &page).await.unwrap(),
        stores.listing.list_sessions(&SessionFilter::default(), &page).await.unwrap(),
        stores.imports.list_legacy_tokens(None, 100_000).await.unwrap(),
        stores.imports.list_import_records(&page).await.unwrap(),
    )
}

async fn fill(stores: &Stores, sessions: usize) {
    let client = stored_client(stores).await;
    for number in 0..20 {
        let user = stored_user(stores, &format!("user {number}")).await;
        let started = (0..sessions / 20).map(|_| {
            let session = session(Some(&user), &client);
            async move {
                stores.transfer.put_session_unchecked(&session).await.unwrap();
                session
            }
        });
        let last = futures_util::future::join_all(started).await.pop().unwrap();
        let digest = Digest::of(&[number]);
        let until = START.plus(Duration::from_secs(60));
        stores.imports.add_legacy_token(&digest, last.id, until).await.unwrap();
        stores.imports.record_import(&format!("tokens/{number}")).await.unwrap();
    }
}

async fn assert_everything_is_copied(from: Backend, to: Backend) {
    fill(&from.stores, 3000).await;
    // A run that is stopped after the users writes these, and the next run the rest.
    let stop = AtomicBool::new(false);
    let stop_after_users = |kind: &str, _| {
        stop.fetch_or(kind == "clients", Ordering::Relaxed);
    };
    let to_stores = Some(&to.stores);
    let run = copy(&from.stores, to_stores, false, &SystemClock, &stop_after_users, &stop);
    let report = run.await.unwrap();
    assert!(report.stopped && report.users.written == 20 && report.sessions.written == 0);
    stop.store(false, Ordering::Relaxed);
    let run = copy(&from.stores, to_stores, false, &SystemClock, &|_, _| {}, &stop);
    let report = run.await.unwrap();
    assert!(!report.stopped);
    assert_eq!((report.users.written, report.sessions.written), (0, 3000));
    assert_eq!((report.aliases.written, report.imported.written), (20, 20));
    let of_the_copy = |notes: Vec<String>| {
        notes.into_iter().filter(|note| note.starts_with("copy/")).collect::<Vec<_>>()
    };
    let notes = to.stores.imports.list_import_records(&Page::first(100)).await.unwrap();
    assert_eq!(of_the_copy(notes), ["copy/target"]);
    to.stores.mark_in_use().await.unwrap();
    assert_eq!(contents(&from.stores).await, contents(&to.stores).await);
    let alias = LegacyToken {
        access: Digest::of(&[3]),
        session: to.stores.imports.find_legacy_token(&Digest::of(&[3])).await.unwrap().unwrap(),
        expires_at: START.plus(Duration::from_secs(60)),
    };
    assert!(to.stores.sessions.find(alias.session).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_records_are_copied_to_mongodb() {
    assert_everything_is_copied(embedded().await, mongodb().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_records_are_copied_to_embedded_store() {
    assert_everything_is_copied(mongodb().await, embedded().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_run_is_completed_by_the_next() {
    let app = spawn_app().await;
    let store = format!("store.path={}", app.settings.store.path.display());
    let source = sentinel::store::connect::connect(&app.settings, OpenMode::Create).await.unwrap();
    fill(&source, 3000).await;
    for to in [CopyTarget::file(), CopyTarget::database().await] {
        let start = || {
            let mut command = sentinel(app.folder.path());
            command.args(["--set", &store, "store", "copy", "--json", "--to", &to.name()]);
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
        };
        let mut killed = 0;
        // Kills the run later each time, until one completes first.
        for round in 1.. {
            let mut run = start();
            tokio::time::sleep(Duration::from_millis(15 * round)).await;
            if run.try_wait().unwrap().is_some_and(|status| status.success()) {
                break;
            }
            run.kill().unwrap();
            run.wait().unwrap();
            killed += 1;
        }
        assert!(killed > 0);
        let report = to.copy_of(&app, &[]).await;
        assert_eq!(report["sessions"], json!({ "read": 3000, "written": 0, "removed": 0 }));
        assert_eq!(report["users"], json!({ "read": 21, "written": 0, "removed": 0 }));
    }
}
