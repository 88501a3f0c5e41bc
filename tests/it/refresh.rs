//! Refresh grant (RFC 6749 §6): rotation, retry within the grace period, replay detection, and
//! refusals, which consume nothing.

use crate::helpers::{AppBuilder, all, spawn_app};

#[tokio::test]
async fn refresh_returns_a_new_pair_and_keeps_the_old_access_token_active() {
    let app = spawn_app().await;
    let first = app.login().await;
    let second = app.refresh(&first.refresh_token()).await;
    assert_eq!(second.status, 200);
    second.assert_uncacheable_json();
    assert_ne!(second.access_token(), first.access_token());
    assert_ne!(second.refresh_token(), first.refresh_token());
    assert!(app.is_active(&first.access_token()).await);
    assert!(app.is_active(&second.access_token()).await);
    assert!(!app.is_active(&first.refresh_token()).await);
    assert!(app.is_active(&second.refresh_token()).await);
}

#[tokio::test]
async fn refresh_retry_within_grace_returns_same_tokens() {
    let app = spawn_app().await;
    let first = app.login().await;
    let second = app.refresh(&first.refresh_token()).await;
    app.advance(119);
    let again = app.refresh(&first.refresh_token()).await;
    assert_eq!(again.access_token(), second.access_token());
    assert_eq!(again.refresh_token(), second.refresh_token());
    assert_eq!(again.text_of("scope"), second.text_of("scope"));
    assert_eq!(again.json()["expires_in"], 3600 - 119);
}

#[tokio::test]
async fn fifty_parallel_refreshes_of_one_token_return_the_same_pair() {
    let app = spawn_app().await;
    let token = app.login().await.refresh_token();
    let answers = all((0..50).map(|_| app.refresh(&token))).await;
    for answer in &answers {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.access_token(), answers[0].access_token());
        assert_eq!(answer.refresh_token(), answers[0].refresh_token());
    }
    assert_eq!(app.refresh(&answers[0].refresh_token()).await.status, 200);
}

#[tokio::test]
async fn refresh_retry_after_grace_is_a_replay_and_revokes_the_session() {
    let app = spawn_app().await;
    let first = app.login().await;
    let second = app.refresh(&first.refresh_token()).await;
    app.advance(120);
    app.refresh(&first.refresh_token()).await.assert_error(400, "invalid_grant");
    for token in [first.access_token(), second.access_token(), second.refresh_token()] {
        assert!(!app.is_active(&token).await);
    }
    app.refresh(&second.refresh_token()).await.assert_error(400, "invalid_grant");
}

#[tokio::test]
async fn grace_period_ends_once_the_successor_is_used() {
    let app = spawn_app().await;
    let first = app.login().await;
    let second = app.refresh(&first.refresh_token()).await;
    let third = app.refresh(&second.refresh_token()).await;
    assert_eq!(third.status, 200);
    app.refresh(&first.refresh_token()).await.assert_error(400, "invalid_grant");
    assert!(!app.is_active(&third.access_token()).await);
    app.refresh(&third.refresh_token()).await.assert_error(400, "invalid_grant");
}

#[tokio::test]
async fn replay_does_not_revoke_other_sessions_of_the_user() {
    let app = spawn_app().await;
    let (stolen, other) = (app.login().await, app.login().await);
    let next = app.refresh(&stolen.refresh_token()).await;
    app.refresh(&next.refresh_token()).await;
    app.refresh(&stolen.refresh_token()).await.assert_error(400, "invalid_grant");
    assert!(app.is_active(&other.access_token()).await);
    assert_eq!(app.refresh(&other.refresh_token()).await.status, 200);
}

#[tokio::test]
async fn second_use_without_a_grace_period_is_a_replay() {
    let app = AppBuilder::default().set("oauth.refresh_grace", "0").spawn().await;
    let first = app.login().await;
    let second = app.refresh(&first.refresh_token()).await;
    app.refresh(&first.refresh_token()).await.assert_error(400, "invalid_grant");
    assert!(!app.is_active(&second.access_token()).await);
}

#[tokio::test]
async fn refresh_with_narrower_scope_narrows_the_access_token_only() {
    let app = spawn_app().await;
    let token = app.login().await.refresh_token();
    let id = app.client.id.as_str();
    let form = |token: String, scope: &'static str| {
        let (id, app) = (id.to_owned(), &app);
        async move {
            let form = [
                ("grant_type", "refresh_token"),
                ("client_id", id.as_str()),
                ("refresh_token", token.as_str()),
                ("scope", scope),
            ];
            app.post("/oauth/token", &form).await
        }
    };
    let narrow = form(token.clone(), "read").await;
    assert_eq!(narrow.text_of("scope"), "read");
    assert_eq!(app.introspect(&narrow.access_token()).await.text_of("scope"), "read");
    let introspected = app.introspect(&narrow.refresh_token()).await;
    assert_eq!(introspected.text_of("scope"), "read write");
    // A retry gets the first response again, whatever scope it requests.
    assert_eq!(form(token, "write").await.text_of("scope"), "read");
    let wide = app.refresh(&narrow.refresh_token()).await;
    assert_eq!(wide.text_of("scope"), "read write");
}

#[tokio::test]
async fn refused_refresh_does_not_consume_the_refresh_token() {
    let app = spawn_app().await;
    let token = app.login().await.refresh_token();
    let id = app.client.id.as_str();
    let grant = ("grant_type", "refresh_token");
    let refresh = ("refresh_token", token.as_str());
    let too_much = [grant, ("client_id", id), refresh, ("scope", "read admin")];
    app.post("/oauth/token", &too_much).await.assert_error(400, "invalid_scope");
    let other_client = app.post_as_backend("/oauth/token", &[grant, refresh]).await;
    other_client.assert_error(400, "invalid_grant");
    let no_client = app.post("/oauth/token", &[grant, refresh]).await;
    no_client.assert_error(401, "invalid_client");
    let secret = ("client_secret", "x");
    let wrong = app.post("/oauth/token", &[grant, ("client_id", id), secret, refresh]).await;
    wrong.assert_error(401, "invalid_client");
    assert_eq!(app.refresh(&token).await.status, 200);
}

#[tokio::test]
async fn replay_with_invalid_scope_is_detected() {
    let app = spawn_app().await;
    for scope in ["admin", "\"", "r\u{e9}ad", "read\twrite"] {
        let first = app.login().await;
        let second = app.refresh(&first.refresh_token()).await;
        let third = app.refresh(&second.refresh_token()).await;
        let form = async |token: &str| {
            let id = app.client.id.as_str();
            let form = [("grant_type", "refresh_token"), ("client_id", id)];
            let form = [&form[..], &[("refresh_token", token), ("scope", scope)]].concat();
            app.post("/oauth/token", &form).await
        };
        form(&third.refresh_token()).await.assert_error(400, "invalid_scope");
        assert!(app.is_active(&third.access_token()).await, "{scope}");
        form(&first.refresh_token()).await.assert_error(400, "invalid_grant");
        assert!(!app.is_active(&third.access_token()).await, "{scope}");
    }
}

#[tokio::test]
async fn refresh_with_access_token_or_malformed_token_is_invalid_grant() {
    let app = spawn_app().await;
    let tokens = app.login().await;
    let token = tokens.refresh_token();
    let (beginning, last) = token.split_at(token.len() - 1);
    let garbled = format!("{beginning}{}", if last == "x" { "y" } else { "x" });
    for text in [&tokens.access_token(), &garbled, "x", "snr_", "\u{1f511}", &"9".repeat(75)] {
        app.refresh(text).await.assert_error(400, "invalid_grant");
    }
    assert_eq!(app.refresh(&tokens.refresh_token()).await.status, 200);
}

#[tokio::test]
async fn sessions_expire_by_idle_and_by_absolute_lifetime() {
    let app = AppBuilder::default()
        .set("oauth.access_token_ttl", "10s")
        .set("oauth.refresh_idle_ttl", "100s")
        .set("oauth.session_ttl", "250s")
        .spawn()
        .await;
    let idle = app.login().await;
    let mut used = app.login().await;
    for _ in 0..3 {
        app.advance(80);
        used = app.refresh(&used.refresh_token()).await;
        assert_eq!(used.status, 200);
    }
    app.refresh(&idle.refresh_token()).await.assert_error(400, "invalid_grant");
    assert!(!app.is_active(&idle.refresh_token()).await);
    // 240 of 250 s have passed: tokens issued now expire with the session.
    assert_eq!(used.json()["expires_in"], 10);
    app.advance(10);
    assert!(!app.is_active(&used.access_token()).await);
    assert!(!app.is_active(&used.refresh_token()).await);
    app.refresh(&used.refresh_token()).await.assert_error(400, "invalid_grant");
}

#[tokio::test]
async fn access_token_ttl_of_the_client_overrides_the_setting() {
    let app = spawn_app().await;
    app.set_access_token_ttl(60).await;
    assert_eq!(app.login().await.json()["expires_in"], 60);
}

#[tokio::test]
async fn only_the_sixteen_newest_access_tokens_stay_active() {
    let app = spawn_app().await;
    let mut tokens = vec![app.login().await];
    for _ in 0..16 {
        let refresh = tokens.last().unwrap().refresh_token();
        tokens.push(app.refresh(&refresh).await);
    }
    assert!(!app.is_active(&tokens[0].access_token()).await);
    for token in &tokens[1..] {
        assert!(app.is_active(&token.access_token()).await);
    }
}

#[tokio::test]
async fn refresh_does_not_grant_scopes_removed_from_the_user() {
    let app = spawn_app().await;
    let tokens = app.login().await;
    app.limit_user("read").await;
    let refreshed = app.refresh(&tokens.refresh_token()).await;
    assert_eq!(refreshed.text_of("scope"), "read");
}

#[tokio::test]
async fn new_password_disabling_or_deletion_of_the_user_revokes_sessions() {
    let app = spawn_app().await;
    for round in 0..3 {
        let tokens = app.login().await;
        match round {
            0 => app.change_password().await,
            1 => app.disable_user().await,
            _ => app.delete_user().await,
        }
        assert!(!app.is_active(&tokens.access_token()).await, "round {round}");
        let refused = app.refresh(&tokens.refresh_token()).await;
        refused.assert_error(400, "invalid_grant");
        if round == 1 {
            app.enable_user().await;
            app.refresh(&tokens.refresh_token()).await.assert_error(400, "invalid_grant");
        }
    }
}

/// Forges a refresh token from an access token of the session: the selector is right, the verifier
/// is not.
fn forged_token(access_token: &str) -> String {
    use sentinel::domain::{Token, TokenKind, Verifier};
    let access = Token::parse(access_token).unwrap();
    let verifier = Verifier::generate().unwrap();
    let forged = Token { kind: TokenKind::Refresh, selector: access.selector, verifier };
    secrecy::ExposeSecret::expose_secret(&forged.to_secret()).to_owned()
}

#[tokio::test]
async fn forged_refresh_token_with_a_valid_selector_revokes_nothing() {
    let app = spawn_app().await;
    let first = app.login().await;
    let forged = forged_token(&first.access_token());
    app.refresh(&forged).await.assert_error(400, "invalid_grant");
    assert_eq!(app.revoke(&forged).await.status, 200);
    assert!(app.is_active(&first.refresh_token()).await);
    let second = app.refresh(&first.refresh_token()).await;
    assert_eq!(second.status, 200);
    app.refresh(&forged_token(&second.access_token())).await.assert_error(400, "invalid_grant");
    assert_eq!(app.refresh(&second.refresh_token()).await.status, 200);
}
