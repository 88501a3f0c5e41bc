//! Every task for clients as a browser posts it, and every error in the forms.

use super::tasks::{Mistake, with};
use super::{managed, page, post, redirected};
use crate::helpers::send;

#[tokio::test]
async fn public_client_can_be_added_edited_and_deleted() {
    let app = managed().spawn().await;
    let form = [
        ("name", "Shop"),
        ("kind", "public"),
        ("grant_password", "on"),
        ("scopes", "read write"),
        ("default_scopes", "read"),
        ("access_token_ttl", "15m"),
    ];
    let shown = redirected(&app, "/clients", &form).await;
    let html = page(&app, &shown).await;
    assert!(html.contains("The client was added.") && html.contains("value=\"15m\""));
    let client = shown.split('?').next().unwrap().to_owned();
    let id = client.strip_prefix("/clients/").unwrap();
    let stored = app.admin.client(id).await.unwrap();
    assert_eq!((stored.scopes.as_str(), stored.default_scopes.as_str()), ("read write", "read"));
    assert_eq!(stored.access_token_ttl, Some(std::time::Duration::from_secs(900)));

    let form = [
        ("name", "Shop 2"),
        ("grant_password", "on"),
        ("grant_refresh_token", "on"),
        ("scopes", "read"),
    ];
    redirected(&app, &client, &form).await;
    let stored = app.admin.client(id).await.unwrap();
    assert_eq!((stored.name.as_str(), stored.grants.len()), ("Shop 2", 2));
    assert_eq!((stored.access_token_ttl, stored.default_scopes.as_str()), (None, ""));

    redirected(&app, &format!("{client}/disable"), &[]).await;
    assert!(!app.admin.client(id).await.unwrap().enabled);
    redirected(&app, &format!("{client}/enable"), &[]).await;
    assert!(app.admin.client(id).await.unwrap().enabled);
    assert!(page(&app, "/clients?q=Shop").await.contains(">Shop 2<"));
    let shown = redirected(&app, &format!("{client}/delete"), &[]).await;
    assert!(page(&app, &shown).await.contains("The client was deleted"));
    assert!(app.admin.client(id).await.is_err());
}

#[tokio::test]
async fn client_secret_is_shown_once_and_authenticates() {
    let app = managed().spawn().await;
    let form = [
        ("name", "API"),
        ("kind", "confidential"),
        ("grant_client_credentials", "on"),
        ("introspection", "on"),
    ];
    let answer = post(&app, "/clients", &form).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
    let of = |html: &str, id: &str| {
        let rest = html.split(&format!("id=\"{id}\">")).nth(1).unwrap().to_owned();
        rest.split('<').next().unwrap().to_owned()
    };
    let (id, old) = (of(&answer.text, "client-id"), of(&answer.text, "client-secret"));
    assert!(old.starts_with("sns_"));
    let authenticated = async |secret: &str| {
        let request = app.request("POST", "/oauth/introspect").form(&[("token", "x")]);
        send(request.basic_auth(&id, Some(secret))).await.status == 200
    };
    assert!(authenticated(&old).await);
    assert!(!page(&app, &format!("/clients/{id}")).await.contains("sns_"));

    assert!(page(&app, &format!("/clients/{id}/secret")).await.contains("becomes invalid at once"));
    assert!(authenticated(&old).await);
    let answer = post(&app, &format!("/clients/{id}/secret"), &[]).await;
    assert_eq!((answer.status, answer.header("location")), (200, None));
    let new = of(&answer.text, "client-secret");
    assert!(authenticated(&new).await && !authenticated(&old).await);
}

#[tokio::test]
async fn permission_for_refresh_tokens_is_given_and_withdrawn_by_its_box() {
    let app = managed().spawn().await;
    let client = format!("/clients/{}", app.backend.id);
    let name = "introspect_refresh_tokens";
    let ticked = format!("name=\"{name}\" value=\"on\" checked");
    let form = [("name", "API"), ("grant_password", "on"), ("introspection", "on"), (name, "on")];
    for permitted in [false, true] {
        let form = if permitted { &form[..] } else { &form[..3] };
        redirected(&app, &client, form).await;
        let stored = app.admin.client(app.backend.id.as_str()).await.unwrap();
        assert!(stored.introspection);
        assert_eq!(stored.introspect_refresh_tokens, permitted);
        let shown = page(&app, &client).await;
        assert_eq!(shown.contains(&ticked), permitted, "{shown}");
    }
}

#[tokio::test]
async fn client_form_errors_are_shown_beside_field() {
    let app = managed().spawn().await;
    let form = [("name", "App"), ("kind", "public"), ("grant_password", "on"), ("scopes", "read")];
    let long = "n".repeat(10_000);
    let mistakes: [Mistake<'_>; 11] = [
        (&[("name", &long)], "name", "The name has 10000 bytes"),
        (&[("name", "a\tb")], "name", "control characters"),
        (&[("grant_password", "")], "grants", "Choose at least one grant."),
        (&[("grant_client_credentials", "on")], "grants", "confidential clients"),
        (&[("introspection", "on")], "introspection", "Only a confidential client"),
        (
            &[("kind", "confidential"), ("introspect_refresh_tokens", "on")],
            "introspect_refresh_tokens",
            "requires the permission Introspection",
        ),
        (&[("scopes", "caf\u{e9}")], "scopes", "Enter scopes"),
        (&[("default_scopes", "a\\b")], "default_scopes", "Enter scopes"),
        (&[("access_token_ttl", "soon")], "access_token_ttl", "Enter a duration"),
        (&[("session_ttl", "0")], "session_ttl", "Enter a duration"),
        (&[("access_token_ttl", "1500ms")], "access_token_ttl", "Enter a duration"),
    ];
    for (changes, field, message) in mistakes {
        let answer = post(&app, "/clients", &with(&form, changes)).await;
        assert_eq!(answer.status, 422, "{message}");
        let error = answer.text.split(&format!("id=\"{field}-error\">")).nth(1);
        let error = error.unwrap_or_else(|| panic!("no error at {field} for {message}"));
        assert!(error.split('<').next().unwrap().contains(message), "{message}");
    }
    // An edit is checked like an addition, and an invalid one changes nothing.
    let client = format!("/clients/{}", app.client.id);
    let answer = post(&app, &client, &[("name", "x"), ("grant_client_credentials", "on")]).await;
    assert_eq!(answer.status, 422);
    assert_eq!(app.admin.client(app.client.id.as_str()).await.unwrap(), app.client);
}

#[tokio::test]
async fn client_with_overlong_stored_name_can_be_edited() {
    let app = managed().spawn().await;
    let name = "n".repeat(300);
    let new = sentinel::admin::NewClient { name: name.clone(), ..Default::default() };
    let (client, _) = app.admin.add_client(new).await.unwrap();
    let form = [("name", name.as_str()), ("grant_password", "on"), ("scopes", "read")];
    redirected(&app, &format!("/clients/{}", client.id), &form).await;
    let stored = app.admin.client(client.id.as_str()).await.unwrap();
    assert_eq!((stored.name, stored.scopes.as_str()), (name, "read"));
}
