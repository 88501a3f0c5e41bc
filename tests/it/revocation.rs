//! Token revocation (RFC 7009).

use crate::helpers::{all, spawn_app};

#[tokio::test]
async fn revoking_an_access_token_ends_the_token_but_not_its_session() {
    let app = spawn_app().await;
    let tokens = app.login().await;
    let answer = app.revoke(&tokens.access_token()).await;
    assert_eq!(answer.status, 200);
    answer.assert_uncacheable_json();
    assert!(!app.is_active(&tokens.access_token()).await);
    assert_eq!(app.verify(&tokens.access_token(), "").await.status, 401);
    assert_eq!(app.refresh(&tokens.refresh_token()).await.status, 200);
}

#[tokio::test]
async fn revoking_a_refresh_token_ends_its_session() {
    let app = spawn_app().await;
    let tokens = app.login().await;
    assert_eq!(app.revoke(&tokens.refresh_token()).await.status, 200);
    assert!(!app.is_active(&tokens.access_token()).await);
    app.refresh(&tokens.refresh_token()).await.assert_error(400, "invalid_grant");
    assert_eq!(app.revoke(&tokens.refresh_token()).await.status, 200, "twice is no error");
}

#[tokio::test]
async fn revoking_a_used_refresh_token_ends_its_session() {
    let app = spawn_app().await;
    let first = app.login().await;
    let second = app.refresh(&first.refresh_token()).await;
    assert_eq!(app.revoke(&first.refresh_token()).await.status, 200);
    assert!(!app.is_active(&second.access_token()).await);
}

#[tokio::test]
async fn revoking_a_malformed_token_is_not_an_error() {
    let app = spawn_app().await;
    for token in ["x", "snr_", "\u{1f511}", &"9".repeat(75)] {
        assert_eq!(app.revoke(token).await.status, 200, "{token}");
    }
    let form = [("client_id", app.client.id.as_str())];
    app.post("/oauth/revoke", &form).await.assert_error(400, "invalid_request");
    app.post("/oauth/revoke", &[("token", "x")]).await.assert_error(401, "invalid_client");
}

#[tokio::test]
async fn revoking_a_token_of_another_client_is_invalid_grant() {
    let app = spawn_app().await;
    let tokens = app.login().await;
    for token in [tokens.access_token(), tokens.refresh_token()] {
        let answer = app.post_as_backend("/oauth/revoke", &[("token", &token)]).await;
        answer.assert_error(400, "invalid_grant");
        assert!(app.is_active(&token).await);
    }
}

#[tokio::test]
async fn token_type_hint_does_not_affect_revocation() {
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
async fn revocation_during_parallel_refreshes_leaves_no_token_active() {
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

#[tokio::test]
async fn revocation_applies_to_the_next_request_on_every_connection() {
    let app = spawn_app().await;
    for round in 0..20 {
        let tokens = app.login().await;
        let (access, refresh) = (tokens.access_token(), tokens.refresh_token());
        // Fills any cache that frequent requests for a token may use.
        let warm = (0..16).map(|_| app.verify(&access, ""));
        assert!(all(warm).await.iter().all(|answer| answer.status == 200));
        assert!(app.is_active(&refresh).await);
        let revoked = if round % 2 == 0 { &access } else { &refresh };
        assert_eq!(app.revoke(revoked).await.status, 200);
        let asked = all((0..8).map(|_| app.introspect(&access)));
        let verified = all((0..8).map(|_| app.verify(&access, "")));
        let (asked, verified) = tokio::join!(asked, verified);
        assert!(asked.iter().all(|answer| answer.text == r#"{"active":false}"#));
        assert!(verified.iter().all(|answer| answer.status == 401));
        assert_eq!(app.is_active(&refresh).await, round % 2 == 0);
    }
}

#[tokio::test]
async fn revocation_during_successive_refreshes_leaves_no_token_active() {
    let app = spawn_app().await;
    let (mut overtaken, mut refreshes) = (0, 0);
    for round in 0..40 {
        let first = app.login().await;
        let mut chains = Vec::new();
        for _ in 0..3 {
            let id = app.client.id.to_string();
            let (http, url) = (app.http.clone(), format!("{}/oauth/token", app.url));
            let mut last = first.clone();
            // Each chain refreshes its latest refresh token until one is refused.
            chains.push(async move {
                let mut found = Vec::new();
                loop {
                    let token = last.refresh_token();
                    let form = [
                        ("grant_type", "refresh_token"),
                        ("client_id", &id),
                        ("refresh_token", &token),
                    ];
                    last = crate::helpers::send(http.post(&url).form(&form)).await;
                    if last.status != 200 {
                        last.assert_error(400, "invalid_grant");
                        return found;
                    }
                    found.extend([last.access_token(), last.refresh_token()]);
                }
            });
        }
        // A single chain ends only by the revocation; several may also end each other by a replay.
        chains.truncate(1 + round % 3);
        let chains = tokio::spawn(all(chains));
        for _ in 0..round % 4 {
            tokio::task::yield_now().await;
            assert!(app.verify("x", "").await.status == 401);
        }
        assert_eq!(app.revoke(&first.refresh_token()).await.status, 200);
        let found: Vec<_> = chains.await.unwrap().into_iter().flatten().collect();
        refreshes += found.len();
        overtaken += usize::from(found.is_empty());
        let earlier = [first.access_token(), first.refresh_token()];
        for answer in all(found.iter().chain(&earlier).map(|token| app.introspect(token))).await {
            assert_eq!(answer.text, r#"{"active":false}"#);
        }
        for answer in all(found.iter().map(|token| app.refresh(token))).await {
            answer.assert_error(400, "invalid_grant");
        }
    }
    assert!(refreshes > 0 && overtaken < 40, "{refreshes} {overtaken}");
}

#[tokio::test]
async fn revoking_an_access_token_during_refreshes_ends_that_token_only() {
    let app = spawn_app().await;
    for _ in 0..20 {
        let first = app.login().await;
        let token = first.refresh_token();
        let refreshes = all((0..4).map(|_| app.refresh(&token)));
        let revocations = all((0..2).map(|_| app.revoke(&first.access_token())));
        let (refreshed, revoked) = tokio::join!(refreshes, revocations);
        assert!(revoked.iter().all(|answer| answer.status == 200), "{revoked:?}");
        assert!(!app.is_active(&first.access_token()).await);
        for answer in &refreshed {
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.access_token(), refreshed[0].access_token());
        }
        assert!(app.is_active(&refreshed[0].access_token()).await);
        assert_eq!(app.refresh(&refreshed[0].refresh_token()).await.status, 200);
    }
}

#[tokio::test]
async fn refresh_retry_does_not_reactivate_a_revoked_access_token() {
    let app = spawn_app().await;
    let first = app.login().await;
    let second = app.refresh(&first.refresh_token()).await;
    assert_eq!(app.revoke(&second.access_token()).await.status, 200);
    // A retry within the grace period returns the same token, which stays revoked.
    let again = app.refresh(&first.refresh_token()).await;
    assert_eq!(again.access_token(), second.access_token());
    assert!(!app.is_active(&second.access_token()).await);
    let third = app.refresh(&second.refresh_token()).await;
    assert!(app.is_active(&third.access_token()).await);
    assert!(!app.is_active(&second.access_token()).await);
}

#[tokio::test]
async fn revocation_by_a_confidential_client_requires_authentication() {
    let app = crate::helpers::AppBuilder::default().set("throttle.enabled", "false").spawn().await;
    let form = [("grant_type", "client_credentials")];
    let token = app.post_as_backend("/oauth/token", &form).await.access_token();
    let (id, secret) = (app.backend.id.as_str(), app.backend_secret.as_str());
    for credentials in [
        vec![],
        vec![("client_id", id)],
        vec![("client_id", id), ("client_secret", "wrong")],
        vec![("client_secret", secret)],
    ] {
        let form = [&[("token", token.as_str())], &credentials[..]].concat();
        app.post("/oauth/revoke", &form).await.assert_error(401, "invalid_client");
        let dead = [&[("token", "x")], &credentials[..]].concat();
        app.post("/oauth/revoke", &dead).await.assert_error(401, "invalid_client");
    }
    app.revoke(&token).await.assert_error(400, "invalid_grant");
    assert!(app.is_active(&token).await);
    let proof = [("token", token.as_str()), ("client_id", id), ("client_secret", secret)];
    let answer = app.post("/oauth/revoke", &proof).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "{}"));
    assert!(!app.is_active(&token).await);
}
