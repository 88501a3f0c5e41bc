//! Forms that were opened before a concurrent change: saving one does not undo that change.

use std::time::Duration;

use sentinel::admin::{ClientChange, UserChange, Versions};

use super::{managed, page, post, redirected};
use crate::helpers::{App, TestResponse};

/// Returns the version in the form of a page.
fn version(html: &str) -> String {
    let behind = html.split("name=\"version\" value=\"").nth(1).expect("a version");
    behind.split('"').next().unwrap().to_owned()
}

/// Returns the note beside a field that repeats the submitted value.
fn typed<'a>(answer: &'a TestResponse, field: &str) -> Option<&'a str> {
    let behind = answer.text.split(&format!("id=\"{field}-typed\">")).nth(1)?;
    behind.split('<').next()
}

/// Asserts that nothing was saved and that the form says so.
#[track_caller]
fn assert_changed(answer: &TestResponse, what: &str) {
    assert_eq!(answer.status, 409, "{answer:?}");
    let message = format!("The {what} was changed after this form was opened");
    assert!(answer.text.contains(&message), "{answer:?}");
}

async fn narrow(app: &App) {
    app.limit_user("read").await;
}

#[tokio::test]
async fn stale_user_form_does_not_undo_concurrent_change() {
    let app = managed().spawn().await;
    let user = format!("/users/{}", app.user.id);
    let opened = version(&page(&app, &user).await);
    narrow(&app).await;
    let form = [("username", "zoe"), ("scope_limit", "any"), ("version", &opened)];
    let answer = post(&app, &user, &form).await;
    assert_changed(&answer, "user");
    let stored = app.admin.user_by_id(app.user.id).await.unwrap();
    assert_eq!((stored.username.as_str(), stored.scopes.unwrap().as_str()), ("alice", "read"));
    // The form has the current values, with the submitted ones beside them.
    assert!(answer.text.contains("name=\"username\" value=\"alice\""), "{answer:?}");
    assert!(answer.text.contains("name=\"scopes\" value=\"read\""), "{answer:?}");
    assert_eq!(typed(&answer, "username"), Some("You entered “zoe”."));
    assert_eq!(typed(&answer, "scopes"), Some("You left it empty."));
    assert_eq!(typed(&answer, "scope_limit"), Some("You chose the other one."));

    // With the current version, the form is accepted.
    let shown = version(&answer.text);
    let form =
        [("username", "zoe"), ("scope_limit", "only"), ("scopes", "read"), ("version", &shown)];
    redirected(&app, &user, &form).await;
    let stored = app.admin.user("zoe").await.unwrap();
    assert_eq!(stored.scopes.unwrap().as_str(), "read");
}

#[tokio::test]
async fn form_with_error_keeps_version_that_it_was_opened_with() {
    let app = managed().spawn().await;
    let user = format!("/users/{}", app.user.id);
    let opened = version(&page(&app, &user).await);
    let form = [("username", ""), ("scope_limit", "any"), ("version", &opened)];
    let answer = post(&app, &user, &form).await;
    assert_eq!((answer.status, version(&answer.text)), (422, opened.clone()));
    narrow(&app).await;
    let form = [("username", "zoe"), ("scope_limit", "any"), ("version", &opened)];
    assert_changed(&post(&app, &user, &form).await, "user");
}

#[tokio::test]
async fn form_submitted_twice_is_applied_once() {
    let app = managed().spawn().await;
    let user = format!("/users/{}", app.user.id);
    let opened = version(&page(&app, &user).await);
    let form = [("username", "zoe"), ("scope_limit", "any"), ("version", &opened)];
    for _ in 0..2 {
        assert!(redirected(&app, &user, &form).await.ends_with("done=user-changed"));
    }
    let changed = app.admin.user("zoe").await.unwrap();
    assert_eq!(changed.version, app.user.version + 1);

    let client = format!("/clients/{}", app.client.id);
    let opened = version(&page(&app, &client).await);
    let form = [
        ("name", "shop"),
        ("grant_password", "on"),
        ("scopes", "read"),
        ("default_scopes", "write"),
        ("session_ttl", "1d"),
        ("version", &opened),
    ];
    for _ in 0..2 {
        assert!(redirected(&app, &client, &form).await.ends_with("done=client-changed"));
    }
}

#[tokio::test]
async fn stale_client_form_does_not_undo_concurrent_change() {
    let app = managed().spawn().await;
    let client = format!("/clients/{}", app.backend.id);
    let opened = version(&page(&app, &client).await);
    let change = ClientChange {
        introspection: Some(false),
        scopes: Some("read".parse().unwrap()),
        access_token_ttl: Some(Some(Duration::from_secs(60))),
        ..ClientChange::default()
    };
    let narrowed = app.admin.edit_client(&app.backend.id, &change).await.unwrap();
    let form = [
        ("name", "new name"),
        ("grant_password", "on"),
        ("grant_client_credentials", "on"),
        ("scopes", "read write admin"),
        ("default_scopes", "read write"),
        ("introspection", "on"),
        ("version", &opened),
    ];
    let answer = post(&app, &client, &form).await;
    assert_changed(&answer, "client");
    assert_eq!(app.admin.client(app.backend.id.as_str()).await.unwrap(), narrowed);
    assert_eq!(typed(&answer, "introspection"), Some("You ticked it."));
    assert_eq!(typed(&answer, "grant_refresh_token"), Some("You did not tick it."));
    assert_eq!(typed(&answer, "scopes"), Some("You entered “read write admin”."));
    assert_eq!(typed(&answer, "access_token_ttl"), Some("You left it empty."));
    assert_eq!(typed(&answer, "grant_password"), None);

    let shown = version(&answer.text);
    let form = [("name", "new name"), ("grant_password", "on"), ("version", &shown)];
    redirected(&app, &client, &form).await;
    assert_eq!(app.admin.client(app.backend.id.as_str()).await.unwrap().name, "new name");
}

#[tokio::test]
async fn form_without_version_is_applied_and_invalid_version_conflicts() {
    let app = managed().spawn().await;
    let user = format!("/users/{}", app.user.id);
    narrow(&app).await;
    let form = [("username", "zoe"), ("scope_limit", "only"), ("scopes", "read write")];
    redirected(&app, &user, &form).await;
    for nonsense in ["-1", "1.0", "x"] {
        let form = [("username", "alice"), ("scope_limit", "any"), ("version", nonsense)];
        assert_changed(&post(&app, &user, &form).await, "user");
    }
    let change = UserChange { enabled: Some(false), ..UserChange::default() };
    app.admin.edit_user(app.user.id, &change).await.unwrap();
    // A deleted user has no form.
    app.admin.delete_user(app.user.id, &Versions::Any).await.unwrap();
    assert_eq!(post(&app, &user, &form).await.status, 404);
}
