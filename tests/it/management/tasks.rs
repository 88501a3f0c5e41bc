//! Every task for users and sessions as a browser posts it, and every error in the forms;
//! `client_tasks` has those for clients.

use super::{below_page, managed, page, post, redirected};
use crate::helpers::{App, PASSWORD, send};

const NEW_USER: [(&str, &str); 5] = [
    ("username", "zoe"),
    ("scope_limit", "any"),
    ("password", "long enough"),
    ("again", "long enough"),
    ("enabled", "on"),
];

/// Changes to a valid form, the field that is invalid then, and a part of its message.
pub(super) type Mistake<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);

/// Returns a form with some fields changed.
pub(super) fn with<'a>(
    form: &[(&'a str, &'a str)],
    changes: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let kept = form.iter().filter(|(name, _)| !changes.iter().any(|(other, _)| other == name));
    kept.chain(changes).copied().collect()
}

async fn can_log_in(app: &App, username: &str, password: &str) -> bool {
    app.login_with_password(username, password).await.status == 200
}

/// A resource server could take the user for the client.
#[tokio::test]
async fn user_form_refuses_names_of_clients() {
    let app = managed().spawn().await;
    let alice = format!("/users/{}", app.user.id);
    for (name, message) in [
        (app.client.id.as_str(), "There is a client with this id."),
        ("https://app.example.org/", "does not begin with https:// or dcr-"),
        ("DCR-1", "does not begin with https:// or dcr-"),
    ] {
        let new = with(&NEW_USER, &[("username", name)]);
        let rename = [("username", name), ("scope_limit", "any")];
        for answer in [post(&app, "/users", &new).await, post(&app, &alice, &rename).await] {
            assert_eq!(answer.status, 422, "{name}: {answer:?}");
            assert!(answer.text.contains(message), "{name}: {answer:?}");
        }
    }
    assert_eq!(app.admin.count_users("", 10).await.unwrap(), 1);
}

#[tokio::test]
async fn user_can_be_added_edited_and_deleted() {
    let app = managed().spawn().await;
    let shown = redirected(&app, "/users", &NEW_USER).await;
    assert!(page(&app, &shown).await.contains("The user was added."));
    assert!(can_log_in(&app, "zoe", "long enough").await);
    let user = shown.split('?').next().unwrap().to_owned();

    let change = [("username", "Zoë"), ("scope_limit", "only"), ("scopes", "read")];
    let shown = redirected(&app, &user, &change).await;
    assert!(page(&app, &shown).await.contains("The changes were saved."));
    let stored = app.admin.user("Zoë").await.unwrap();
    assert_eq!(stored.scopes.unwrap().as_str(), "read");
    assert!(stored.enabled);

    let password = [("password", "another one"), ("again", "another one")];
    redirected(&app, &format!("{user}/password"), &password).await;
    assert!(!can_log_in(&app, "Zoë", "long enough").await);
    assert!(app.login_as("Zoë", "another one", &[("scope", "read")]).await.status == 200);

    redirected(&app, &format!("{user}/disable"), &[]).await;
    assert!(page(&app, &user).await.contains(">disabled<"));
    assert!(!can_log_in(&app, "Zoë", "another one").await);
    redirected(&app, &format!("{user}/enable"), &[]).await;
    assert!(app.login_as("Zoë", "another one", &[("scope", "read")]).await.status == 200);

    assert!(page(&app, &format!("{user}/delete")).await.contains("cannot be undone"));
    let shown = redirected(&app, &format!("{user}/delete"), &[]).await;
    assert!(page(&app, &shown).await.contains("The user was deleted"));
    assert_eq!(send(app.operate("GET", &user)).await.status, 404);
}

#[tokio::test]
async fn user_search_finds_parts_of_names_in_any_case() {
    let app = managed().spawn().await;
    redirected(&app, "/users", &NEW_USER).await;
    let html = page(&app, "/users?q=al").await;
    assert!(html.contains(">alice<") && !html.contains(">zoe<"));
    assert!(page(&app, "/users?q=AL").await.contains(">alice<"));
    assert!(page(&app, "/users?q=LIC").await.contains(">alice<"));
    assert!(page(&app, "/users?q=licx").await.contains("No user’s name contains this text"));
    let long = "a".repeat(1001);
    assert!(page(&app, &format!("/users?q={long}")).await.contains("No user’s name contains"));
    assert!(page(&app, &format!("/clients?q={long}")).await.contains("No client’s name or id"));
}

#[tokio::test]
async fn user_form_errors_are_shown_beside_field_without_password() {
    let app = managed().spawn().await;
    let long = "n".repeat(10_000);
    let wide = "\u{1f511}".repeat(10_000);
    let mistakes: [Mistake<'_>; 12] = [
        (&[("username", "")], "username", "Enter a name."),
        (&[("username", "alice")], "username", "There is already a user called “alice”."),
        (&[("username", "ALICE ")], "username", "There is already a user called “alice”."),
        (&[("username", "z\u{200b}oe")], "username", "Invisible characters"),
        (&[("username", "z\u{7}e")], "username", "control characters"),
        (&[("username", &long)], "username", "The name has 10000 bytes"),
        (&[("username", &wide)], "username", "The name has 40000 bytes"),
        (&[("password", "")], "password", "The password is empty."),
        (&[("password", "sh\u{f6}rt")], "password", "at least 8 characters"),
        (&[("password", "long\nenough")], "password", "control character"),
        (&[("again", "long enough?")], "again", "The two passwords differ."),
        (&[("scope_limit", "only"), ("scopes", "a\"b")], "scopes", "Enter scopes"),
    ];
    for (changes, field, message) in mistakes {
        let answer = post(&app, "/users", &with(&NEW_USER, changes)).await;
        assert_eq!(answer.status, 422, "{message}");
        let error = answer.text.split(&format!("id=\"{field}-error\">")).nth(1);
        let error = error.unwrap_or_else(|| panic!("no error at {field} for {message}"));
        assert!(error.split('<').next().unwrap().contains(message), "{message}");
        assert!(!answer.text.contains("long enough"), "{message}");
        assert!(answer.text.contains("aria-invalid"), "{message}");
        let typed = with(&NEW_USER, changes)[0].1;
        if field != "username" {
            assert!(
                answer.text.contains(&format!("name=\"username\" value=\"{typed}\"")),
                "{message}"
            );
        }
    }
    assert_eq!(
        app.admin.users("", &sentinel::store::Page::first(10)).await.unwrap().items.len(),
        1
    );

    let user = format!("/users/{}", app.user.id);
    redirected(&app, "/users", &NEW_USER).await;
    let taken = post(&app, &user, &[("username", "zoe"), ("scope_limit", "any")]).await;
    assert_eq!(taken.status, 422);
    assert!(taken.text.contains("There is already a user called “zoe”."));
    let weak = post(&app, &format!("{user}/password"), &[("password", "x"), ("again", "x")]).await;
    assert_eq!(weak.status, 422);
    assert!(can_log_in(&app, "alice", PASSWORD).await);
}

#[tokio::test]
async fn minimum_password_length_is_configurable() {
    let app = managed().set("password.min_length", "12").spawn().await;
    let (form, hint) = (page(&app, "/users/new").await, "At least 12 characters.");
    assert!(
        form.contains(hint) && page(&app, &format!("/users/{}", app.user.id)).await.contains(hint)
    );
    let answer = post(&app, "/users", &NEW_USER).await;
    assert_eq!(answer.status, 422);
    assert!(answer.text.contains("Expected a password of at least 12 characters."));
    let long = [("password", "long enough!"), ("again", "long enough!")];
    redirected(&app, "/users", &with(&NEW_USER, &long)).await;
    assert!(can_log_in(&app, "zoe", "long enough!").await);
}

#[tokio::test]
async fn password_too_long_for_bcrypt_is_shown_beside_field() {
    let app = managed().set("password.scheme", "bcrypt").set("password.bcrypt_cost", "4");
    let app = app.spawn().await;
    let long = "p".repeat(73);
    let answer =
        post(&app, "/users", &with(&NEW_USER, &[("password", &long), ("again", &long)])).await;
    assert_eq!(answer.status, 422);
    assert!(answer.text.contains("at most 72 bytes") && !answer.text.contains(&long));
}

#[tokio::test]
async fn body_that_is_not_a_form_is_refused_with_page() {
    let app = managed().spawn().await;
    let post = |media_type: &str, body: Vec<u8>| {
        send(app.operate("POST", "/users").header("content-type", media_type).body(body))
    };
    let form = "application/x-www-form-urlencoded";
    let username = |length: usize| format!("username={}", "a".repeat(length)).into_bytes();
    for (answer, status) in [
        (post("application/json", b"{}".to_vec()).await, 400),
        (post(form, b"username=%ff".to_vec()).await, 400),
        (post(form, username(300_000)).await, 413),
        (post(form, username(200_000)).await, 422),
        (post(form, Vec::new()).await, 422),
    ] {
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.text.contains("<h1>"), "{answer:?}");
    }
}

#[tokio::test]
async fn sessions_can_be_filtered_and_ended_singly_and_together() {
    let app = managed().spawn().await;
    redirected(&app, "/users", &NEW_USER).await;
    let (mut alices, zoes) = (Vec::new(), app.login_with_password("zoe", "long enough").await);
    for _ in 0..3 {
        alices.push(app.login().await.access_token());
    }
    let html = page(&app, "/sessions?user=alice").await;
    assert_eq!(html.matches("/end\">").count(), 3);
    let end = html.split("action=\"").find(|rest| rest.contains("/end\">")).unwrap();
    let end = below_page("/sessions", end.split('"').next().unwrap());
    let shown = redirected(&app, &end, &[("user", "alice")]).await;
    assert_eq!(shown, "/sessions?user=alice&done=session-ended");
    assert_eq!(page(&app, &shown).await.matches("/end\">").count(), 2);
    // Ending a session twice is not an error.
    let shown = redirected(&app, &end, &[("from", &app.user.id.to_string())]).await;
    assert_eq!(shown, format!("/users/{}?done=session-gone", app.user.id));

    let both = [("user", "alice"), ("client", app.client.id.as_str())];
    let shown = redirected(&app, "/sessions/end", &both).await;
    assert!(page(&app, &shown).await.contains("2 sessions were ended."));
    for token in &alices {
        assert!(!app.is_active(token).await);
    }
    assert!(app.is_active(&zoes.access_token()).await);
    // An unknown user does not select all sessions.
    assert_eq!(post(&app, "/sessions/end", &[("user", "nobody")]).await.status, 404);
    assert!(app.is_active(&zoes.access_token()).await);
    redirected(&app, "/sessions/end", &[("user", "")]).await;
    assert!(!app.is_active(&zoes.access_token()).await);
    assert!(page(&app, "/sessions").await.contains("Nobody is logged in."));
    assert!(page(&app, "/sessions?user=nobody").await.contains("There is no such user."));
}
