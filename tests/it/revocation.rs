//! Revocation (RFC 7009).

use crate::helpers::{all, spawn_app};

#[tokio::test]
async fn a_revoked_access_token_is_over_and_its_session_is_not() {
    let app = spawn_app().await;
    let tokens = app.login().await;
    let answer = app.revoke(&tokens.access_token()).await;
    assert_eq!(answer.status, 200);
    answer.assert_json_for_nobody_to_keep();
    assert!(!app.is_active(&tokens.access_token()).await);
    assert_eq!(app.verify(&tokens.access_token(), "").await.status, 401);
    assert_eq!(app.refresh(&tokens.refresh_token()).await.status, 200);
}

#[tokio::test]
async fn a_revoked_refresh_token_takes_its_session_with_it() {
    let app = spawn_app().await;
    let tokens = app.login().await;
    assert_eq!(app.revoke(&tokens.refresh_token()).await.status, 200);
    assert!(!app.is_active(&tokens.access_token()).await);
    app.refresh(&tokens.refresh_token()).await.assert_error(400, "invalid_grant");
    assert_eq!(app.revoke(&tokens.refresh_token()).await.status, 200, "twice is no error");
}

#[tokio::test]
async fn a_used_refresh_token_still_ends_its_session() {
    let app = spawn_app().await;
    let first = app.login().await;
    let second = app.refresh(&first.refresh_token()).await;
    assert_eq!(app.revoke(&first.refresh_token()).await.status, 200);
    assert!(!app.is_active(&second.access_token()).await);
}

#[tokio::test]
async fn what_is_no_token_is_no_error() {
    let app = spawn_app().await;
    for token in ["x", "snr_", "\u{1f511}", &"9".repeat(75)] {
        assert_eq!(app.revoke(token).await.status, 200, "{token}");
    }
    let form = [("client_id", app.client.id.as_str())];
    app.post("/oauth/revoke", &form).await.assert_error(400, "invalid_request");
    app.post("/oauth/revoke", &[("token", "x")]).await.assert_error(401, "invalid_client");
}

#[tokio::test]
async fn another_clients_token_is_left_alone() {
    let app = spawn_app().await;
    let tokens = app.login().await;
    for token in [tokens.access_token(), tokens.refresh_token()] {
        let answer = app.post_as_backend("/oauth/revoke", &[("token", &token)]).await;
        answer.assert_error(400, "invalid_grant");
        assert!(app.is_active(&token).await);
    }
}

#[tokio::test]
async fn hints_change_nothing() {
    let app = spawn_app().await;
    for hint in ["access_token", "refresh_token", "other"] {
        let token = app.login().await.access_token();
        let id = app.client.id.as_str();
        let form = [("client_id", id), ("token", &token), ("token_type_hint", hint)];
        assert_eq!(app.post("/oauth/revoke", &form).await.status, 200);
        assert!(!app.is_active(&token).await, "{hint}");
    }
}

#[tokio::test]
async fn a_revocation_that_races_with_refreshes_leaves_nothing_alive() {
    let app = spawn_app().await;
    for _ in 0..20 {
        let first = app.login().await;
        let token = first.refresh_token();
        let refreshes = tokio::spawn(all((0..4).map(|_| app.refresh(&token)).collect::<Vec<_>>()));
        assert_eq!(app.revoke(&token).await.status, 200);
        for answer in refreshes.await.unwrap() {
            if answer.status == 200 {
                assert!(!app.is_active(&answer.access_token()).await);
                assert!(!app.is_active(&answer.refresh_token()).await);
            } else {
                answer.assert_error(400, "invalid_grant");
            }
        }
        assert!(!app.is_active(&first.access_token()).await);
    }
}
