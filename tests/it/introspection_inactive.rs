//! Tests that introspection answers the same for every inactive token and hint (RFC 7662 §2.2).

use secrecy::ExposeSecret;
use sentinel::admin::ClientChange;
use sentinel::domain::{Grant, Selector, Token, TokenKind, Verifier};

use crate::helpers::{App, AppBuilder, TestResponse, all, spawn_app};

const KINDS: [TokenKind; 2] = [TokenKind::Access, TokenKind::Refresh];

/// Token type hints: none, those of RFC 7662 §2.1, and unknown ones.
const HINTS: [Option<&str>; 6] = [
    None,
    Some("access_token"),
    Some("refresh_token"),
    Some(""),
    Some("id_token"),
    Some("\u{1f511} &=+%"),
];

fn ask(app: &App, token: &str, hint: Option<&str>) -> impl Future<Output = TestResponse> + use<> {
    let hint = hint.map(|hint| ("token_type_hint", hint));
    let form: Vec<_> = [("token", token)].into_iter().chain(hint).collect();
    app.post_as_backend("/oauth/introspect", &form)
}

/// Returns a well-formed token that was never issued, with the selector of the token `of` or with a
/// random one.
fn forged_token(kind: TokenKind, of: Option<&str>) -> String {
    let selector = of.map(|text| Token::parse(text).unwrap().selector);
    let selector = selector.unwrap_or_else(|| Selector::generate().unwrap());
    let token = Token { kind, selector, verifier: Verifier::generate().unwrap() };
    token.to_secret().expose_secret().to_owned()
}

/// Returns the token with the other kind prefix and a valid checksum.
fn with_other_kind(text: &str) -> String {
    let Token { kind, selector, verifier } = Token::parse(text).unwrap();
    let kind = if kind == TokenKind::Access { TokenKind::Refresh } else { TokenKind::Access };
    Token { kind, selector, verifier }.to_secret().expose_secret().to_owned()
}

async fn assert_inactive(app: &App, what: &str, token: &str) {
    for hint in HINTS {
        let answer = ask(app, token, hint).await;
        let (status, body) = (answer.status, answer.text.as_str());
        assert_eq!((status, body), (200, r#"{"active":false}"#), "{what}, hint {hint:?}");
        assert_eq!(answer.header("content-length"), Some("16"), "{what}, hint {hint:?}");
        answer.assert_uncacheable_json();
    }
    // The verify endpoint does not tell inactive tokens apart either.
    let verified = app.verify(token, "").await;
    assert_eq!((verified.status, verified.text.as_str()), (401, ""), "{what}");
}

async fn assert_active(app: &App, token: &str) {
    let introspected = ask(app, token, None).await;
    assert_eq!(introspected.json()["active"], true);
    for hint in HINTS {
        assert_eq!(ask(app, token, hint).await.text, introspected.text, "hint {hint:?}");
    }
}

#[tokio::test]
async fn introspection_of_expired_revoked_or_forged_token_is_inactive() {
    let app = spawn_app().await;
    let expired = app.login().await;
    app.advance(3600);
    let (alive, ended) = (app.login().await, app.login().await);
    app.revoke(&ended.refresh_token()).await;
    let (revoked, rotated) = (app.login().await, app.login().await);
    app.revoke(&revoked.access_token()).await;
    let next = app.refresh(&rotated.refresh_token()).await;
    let replayed = app.login().await;
    let of_replayed = app.refresh(&replayed.refresh_token()).await;
    app.refresh(&of_replayed.refresh_token()).await;
    app.refresh(&replayed.refresh_token()).await.assert_error(400, "invalid_grant");
    let crowded = app.login().await;
    let mut newest = crowded.clone();
    for _ in 0..16 {
        newest = app.refresh(&newest.refresh_token()).await;
    }
    let own = app.post_as_backend("/oauth/token", &[("grant_type", "client_credentials")]).await;

    for (what, token) in [
        ("expired", expired.access_token()),
        ("revoked", revoked.access_token()),
        ("of a revoked session", ended.access_token()),
        ("revoked, for refreshing", ended.refresh_token()),
        ("used", rotated.refresh_token()),
        ("replayed", replayed.refresh_token()),
        ("access of a replayed session", of_replayed.access_token()),
        ("successor of a replayed one", of_replayed.refresh_token()),
        ("one of too many", crowded.access_token()),
    ] {
        assert_inactive(&app, what, &token).await;
    }
    for token in [alive.access_token(), alive.refresh_token(), own.access_token()] {
        assert_inactive(&app, "of the other kind", &with_other_kind(&token)).await;
        for kind in KINDS {
            assert_inactive(&app, "made up", &forged_token(kind, Some(&token))).await;
        }
    }
    for kind in KINDS {
        assert_inactive(&app, "of no session", &forged_token(kind, None)).await;
    }
    // Related tokens that were neither revoked nor used are still active.
    for tokens in [&alive, &next, &newest] {
        assert_active(&app, &tokens.access_token()).await;
        assert_active(&app, &tokens.refresh_token()).await;
    }
    for token in [
        expired.refresh_token(),
        revoked.refresh_token(),
        rotated.access_token(),
        own.access_token(),
    ] {
        assert_active(&app, &token).await;
    }
}

#[tokio::test]
async fn introspection_of_malformed_token_is_inactive() {
    let app = spawn_app().await;
    let alive = app.login().await.access_token();
    let broken = [
        // One character missing, added or replaced; other case; other prefix.
        alive[..alive.len() - 1].to_owned(),
        format!("{alive}0"),
        format!("{} {}", &alive[..40], &alive[40..]),
        alive.replacen("sna_", "SNA_", 1),
        alive.replacen("sna_", "sns_", 1),
        alive.replacen("sna_", "", 1),
        format!("Bearer {alive}"),
        format!(" {alive}"),
        format!("{alive}\n"),
        format!("{alive}\0"),
        // The formats of flask-sentinel's tokens and of a JWT.
        "0Ab9".repeat(8)[..30].to_owned(),
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.".to_owned(),
        app.backend_secret.clone(),
        app.backend.id.to_string(),
        app.user.id.to_string(),
        "sna_".to_owned(),
        "snr_".to_owned(),
        "null".to_owned(),
        "\u{1f511}".repeat(40),
        "z".repeat(75),
        "x".repeat(15_000),
    ];
    for token in &broken {
        for hint in HINTS {
            let answer = ask(&app, token, hint).await;
            let (status, body) = (answer.status, answer.text.as_str());
            assert_eq!((status, body), (200, r#"{"active":false}"#), "{token:?}, hint {hint:?}");
        }
    }
    // Any changed character makes the token invalid.
    let changed = (0..alive.len()).map(|at| {
        let other = if alive.as_bytes()[at] == b'a' { "b" } else { "a" };
        app.introspect(&format!("{}{other}{}", &alive[..at], &alive[at + 1..]))
    });
    for answer in all(changed.collect::<Vec<_>>()).await {
        assert_eq!(answer.text, r#"{"active":false}"#);
    }
    assert_active(&app, &alive).await;
}

#[tokio::test]
async fn introspection_of_token_of_expired_session_is_inactive() {
    let app = AppBuilder::default()
        .set("oauth.access_token_ttl", "20s")
        .set("oauth.refresh_idle_ttl", "100s")
        .set("oauth.session_ttl", "150s")
        .spawn()
        .await;
    let idle = app.login().await;
    let used = app.login().await;
    app.advance(99);
    assert_active(&app, &idle.refresh_token()).await;
    let last = app.refresh(&used.refresh_token()).await;
    app.advance(1);
    assert_inactive(&app, "idle", &idle.refresh_token()).await;
    assert_inactive(&app, "idle", &idle.access_token()).await;
    app.advance(49);
    assert_active(&app, &last.refresh_token()).await;
    let newest = app.refresh(&last.refresh_token()).await;
    assert_active(&app, &newest.access_token()).await;
    app.advance(1);
    for token in [newest.access_token(), newest.refresh_token(), used.refresh_token()] {
        assert_inactive(&app, "of an old session", &token).await;
    }
}

/// The client could not use the refresh token. It becomes active again with the grant.
#[tokio::test]
async fn refresh_token_of_client_without_refresh_grant_is_inactive() {
    let app = spawn_app().await;
    let tokens = app.login().await;
    let set_grants = async |names: &[Grant]| {
        let grants = Some(names.iter().copied().collect());
        let change = ClientChange { grants, ..ClientChange::default() };
        app.admin.edit_client(&app.client.id, &change).await.unwrap();
    };
    set_grants(&[Grant::Password]).await;
    app.refresh(&tokens.refresh_token()).await.assert_error(400, "unauthorized_client");
    // The first call authenticates the caller, the second one finds it in the caller cache.
    for _ in 0..2 {
        assert_inactive(&app, "of a client without the grant", &tokens.refresh_token()).await;
    }
    assert_active(&app, &tokens.access_token()).await;
    set_grants(&[Grant::Password, Grant::RefreshToken]).await;
    assert_active(&app, &tokens.refresh_token()).await;
}

#[tokio::test]
async fn refresh_token_is_inactive_while_server_does_not_allow_refresh_grant() {
    let first = spawn_app().await;
    let token = first.login().await.refresh_token();
    let second = AppBuilder::default().on(&first.folder).set("oauth.grants", "password").spawn();
    assert_inactive(&second.await, "of a server without the grant", &token).await;
    assert_active(&first, &token).await;
}
