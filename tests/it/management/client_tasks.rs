//! Every task for clients as a browser posts it, and every error in the forms.

use sentinel::admin::ClientChange;
use sentinel::domain::{Client, Grant};

use super::tasks::{Mistake, with};
use super::{managed, page, post, redirected};
use crate::helpers::{TestResponse, send};

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

/// Asserts that the page begins with a summary that links to the field, and that its title says so.
#[track_caller]
fn assert_summary(answer: &TestResponse, field: &str, message: &str) {
    assert!(answer.text.contains("<title>Error: "), "{answer:?}");
    let content = answer.text.split_once("<main").unwrap().1.split_once('>').unwrap().1;
    assert!(content.trim_start().starts_with("<div class=\"notice bad summary\""), "{content}");
    let link = content.split(&format!("<a href=\"#{field}\">")).nth(1).expect("a link");
    assert!(link.split('<').next().unwrap().contains(message), "{link}");
}

#[tokio::test]
async fn new_client_form_offers_only_what_its_type_may_have() {
    let app = managed().spawn().await;
    let types = page(&app, "/clients/new").await;
    assert!(!types.contains("<form") && types.contains("new?kind=public\""), "{types}");
    let only_confidential =
        ["grant_client_credentials", "introspection", "introspect_refresh_tokens"];
    for (kind, offered) in [("public", false), ("confidential", true)] {
        let form = page(&app, &format!("/clients/new?kind={kind}")).await;
        assert!(form.contains(&format!("name=\"kind\" value=\"{kind}\"")), "{form}");
        for name in only_confidential {
            assert_eq!(form.contains(&format!("name=\"{name}\"")), offered, "{kind} {name}");
        }
        // A form with an error keeps its type.
        let answer = post(&app, "/clients", &[("kind", kind)]).await;
        assert_summary(&answer, "grant_password", "Choose at least one grant.");
        assert_eq!(answer.text.contains("name=\"introspection\""), offered);
    }
}

#[tokio::test]
async fn connect_box_has_commands_for_what_the_client_may_do_only() {
    let app = managed().spawn().await;
    let lines = async |client: &Client| -> Vec<String> {
        let html = page(&app, &format!("/clients/{}", client.id)).await;
        let lines = html.split("<pre class=\"command\"><code>").skip(1);
        let line = |rest: &str| {
            rest.split('<').next().unwrap().replace("&#x27;", "'").replace("&#39;", "'")
        };
        lines.map(line).collect()
    };
    let (url, id) = (app.url.as_str(), app.client.id.as_str());
    let grants = |grants: &[Grant]| ClientChange {
        grants: Some(grants.iter().copied().collect()),
        introspection: Some(false),
        ..ClientChange::default()
    };
    let change = grants(&[Grant::Password, Grant::RefreshToken]);
    let public = app.admin.edit_client(&app.client.id, &change).await.unwrap();
    assert_eq!(
        lines(&public).await,
        [
            format!(
                "curl '{url}/oauth/token' -d client_id={id} -d grant_type=password -d username=USERNAME -d password=PASSWORD"
            ),
            format!(
                "curl '{url}/oauth/token' -d client_id={id} -d grant_type=refresh_token -d refresh_token=REFRESH_TOKEN"
            ),
            format!("curl '{url}/oauth/revoke' -d client_id={id} -d token=TOKEN"),
        ]
    );
    let public = app.admin.edit_client(&app.client.id, &grants(&[Grant::Password])).await.unwrap();
    assert!(!lines(&public).await.concat().contains("refresh_token"));
    let change = grants(&[Grant::ClientCredentials]);
    let backend = app.admin.edit_client(&app.backend.id, &change).await.unwrap();
    let id = backend.id.as_str();
    assert_eq!(
        lines(&backend).await,
        [
            format!(
                "curl '{url}/oauth/token' -u {id}:CLIENT_SECRET -d grant_type=client_credentials"
            ),
            format!("curl '{url}/oauth/revoke' -u {id}:CLIENT_SECRET -d token=TOKEN"),
        ]
    );
    let change = ClientChange { introspection: Some(true), ..ClientChange::default() };
    let backend = app.admin.edit_client(&backend.id, &change).await.unwrap();
    let wanted =
        format!("curl '{url}/oauth/introspect' -u {id}:CLIENT_SECRET -d token=ACCESS_TOKEN");
    assert!(lines(&backend).await.contains(&wanted));
}

#[tokio::test]
async fn connect_box_has_public_url_and_no_grant_that_the_server_lacks() {
    let app = managed()
        .set("server.public_url", "https://auth.example/base")
        .set("oauth.grants", "[\"client_credentials\"]")
        .spawn()
        .await;
    let html = page(&app, &format!("/clients/{}", app.backend.id)).await;
    assert!(html.contains("<code>https://auth.example/base/oauth/token</code>"), "{html}");
    assert!(!html.contains("grant_type=password") && !html.contains(&app.url), "{html}");
    // A host that is none does not reach the commands.
    let app = managed().spawn().await;
    let request = app.operate("GET", &format!("/clients/{}", app.backend.id));
    let answer = send(request.header("host", "a'$(id)")).await;
    assert!(!answer.text.contains("$(id)"), "{answer:?}");
}

#[tokio::test]
async fn saving_without_changes_says_so_and_changes_nothing() {
    let app = managed().spawn().await;
    let (user, client) = (format!("/users/{}", app.user.id), format!("/clients/{}", app.client.id));
    let shown = redirected(&app, &user, &[("username", "alice"), ("scope_limit", "any")]).await;
    assert!(page(&app, &shown).await.contains("Nothing changed."));
    let stored = app.admin.user_by_id(app.user.id).await.unwrap();
    assert_eq!(stored, app.user);
    let boxes = app.client.grants.iter().map(|grant| match grant {
        Grant::Password => ("grant_password", "on"),
        Grant::RefreshToken => ("grant_refresh_token", "on"),
        Grant::ClientCredentials => ("grant_client_credentials", "on"),
    });
    let mut form = vec![
        ("name", app.client.name.as_str()),
        ("scopes", app.client.scopes.as_str()),
        ("default_scopes", app.client.default_scopes.as_str()),
    ];
    form.extend(boxes);
    let shown = redirected(&app, &client, &form).await;
    assert!(page(&app, &shown).await.contains("Nothing changed."));
    assert_eq!(app.admin.client(app.client.id.as_str()).await.unwrap(), app.client);
}

#[tokio::test]
async fn client_form_errors_are_shown_beside_field() {
    let app = managed().spawn().await;
    let form = [("name", "App"), ("kind", "public"), ("grant_password", "on"), ("scopes", "read")];
    let long = "n".repeat(10_000);
    let mistakes: [Mistake<'_>; 10] = [
        (&[("name", &long)], "name", "The name has 10000 bytes"),
        (&[("name", "a\tb")], "name", "control characters"),
        (&[("grant_password", "")], "grants", "Choose at least one grant."),
        (&[("grant_client_credentials", "on")], "grants", "confidential clients"),
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
        let target = if field == "grants" { "grant_password" } else { field };
        assert_summary(&answer, target, message);
    }
    // The form of a public client has no such field.
    let answer = post(&app, "/clients", &with(&form, &[("introspection", "on")])).await;
    assert_summary(&answer, "introspection", "Only a confidential client");
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
