//! The shared cache: it is used, and no entry outlives a revocation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sentinel::admin::Versions;
use sentinel::domain::{SessionId, Token};

use crate::helpers::redis::Redis;
use crate::helpers::{App, AppBuilder, mongod};

/// Starts two servers on one MongoDB and one Redis.
async fn start_two_servers(redis: &Redis) -> (App, App) {
    let target = mongod::replica_set().await;
    let one = AppBuilder::default().mongodb(&target).redis(redis).spawn().await;
    let mut other = AppBuilder::default().mongodb(&target).redis(redis).spawn().await;
    other.client = one.client.clone();
    (one, other)
}

fn session(token: &str) -> SessionId {
    Token::parse(token).unwrap().session_id()
}

async fn is_cached(redis: &Redis, token: &str) -> bool {
    let key = format!("sentinel:session:{}", session(token));
    let fields: Vec<String> = redis.ask(&["HKEYS", &key]).await;
    fields.iter().any(|field| field.starts_with("v1:"))
}

#[tokio::test]
async fn session_read_by_one_server_is_cached_for_another() {
    let redis = Redis::start();
    let (one, other) = start_two_servers(&redis).await;
    let login = one.login().await;
    let token = login.access_token();
    // The first call of a server authenticates its caller against the store.
    for app in [&one, &other, &one, &other] {
        assert!(app.is_active(&token).await);
    }
    let first = one.introspect(&token).await.json();
    assert!(is_cached(&redis, &token).await);
    // Deletes the sessions behind the cache, so that only the cache has them.
    let sessions = database(&one).await.collection::<mongodb::bson::Document>("sentinel_sessions");
    sessions.delete_many(mongodb::bson::doc! {}).await.unwrap();
    assert_eq!(one.introspect(&token).await.json(), first);
    assert!(other.is_active(&token).await);
    let verified = other.verify(&token, "").await;
    assert_eq!(verified.status, 200);
    assert_eq!(verified.headers["x-auth-user-id"], one.user.id.to_string());
}

async fn database(app: &App) -> mongodb::Database {
    use secrecy::ExposeSecret;
    let mongo = &app.settings.mongo;
    let client = mongodb::Client::with_uri_str(mongo.uri.expose_secret()).await.unwrap();
    client.database(&mongo.dbname)
}

#[tokio::test]
async fn every_revocation_invalidates_cache_entry() {
    let redis = Redis::start();
    let (one, other) = start_two_servers(&redis).await;
    let warm = async |token: &str| {
        for app in [&one, &other] {
            assert!(app.is_active(token).await);
            assert!(app.is_active(token).await);
            assert_eq!(app.verify(token, "").await.status, 200);
        }
        assert!(is_cached(&redis, token).await);
    };
    let cold = async |token: &str| {
        for app in [&other, &one] {
            assert!(!app.is_active(token).await);
            assert_eq!(app.verify(token, "").await.status, 401);
        }
    };
    let login = one.login().await;
    warm(&login.access_token()).await;
    one.revoke(&login.access_token()).await;
    cold(&login.access_token()).await;

    let next = one.refresh(&login.refresh_token()).await;
    warm(&next.access_token()).await;
    one.revoke(&next.refresh_token()).await;
    cold(&next.access_token()).await;

    let login = other.login().await;
    warm(&login.access_token()).await;
    one.disable_user().await;
    cold(&login.access_token()).await;
    one.enable_user().await;

    let login = other.login().await;
    warm(&login.access_token()).await;
    one.rename_user("alicia").await;
    for app in [&other, &one] {
        let json = app.introspect(&login.access_token()).await.json();
        assert_eq!(json["username"], "alicia");
    }
    one.disable_client().await;
    cold(&login.access_token()).await;
}

#[tokio::test]
async fn refresh_token_is_never_answered_from_cache() {
    let redis = Redis::start();
    let (one, other) = start_two_servers(&redis).await;
    let login = one.login().await;
    assert!(one.is_active(&login.access_token()).await);
    assert!(one.is_active(&login.refresh_token()).await);
    let next = other.refresh(&login.refresh_token()).await;
    assert!(!one.is_active(&login.refresh_token()).await);
    assert!(one.is_active(&next.refresh_token()).await);
    // The new access token is not in the cache entry, and is found in the store.
    assert!(one.is_active(&next.access_token()).await);
    assert!(one.is_active(&login.access_token()).await);
}

#[tokio::test]
async fn introspection_client_is_refused_after_its_change() {
    let redis = Redis::start();
    let (one, other) = start_two_servers(&redis).await;
    let login = one.login().await;
    for app in [&one, &other, &one, &other] {
        assert!(app.is_active(&login.access_token()).await);
    }
    one.set_introspection(false).await;
    one.introspect(&login.access_token()).await.assert_error(403, "unauthorized_client");
    one.set_introspection(true).await;
    assert!(one.is_active(&login.access_token()).await);
    let rotated = other.admin.rotate_secret(&one.backend.id, Versions::Any).await.unwrap();
    rotated.into_result().unwrap();
    one.introspect(&login.access_token()).await.assert_error(401, "invalid_client");
    other.admin.delete_client(&other.backend.id, &Versions::Any).await.unwrap();
    other.introspect(&login.access_token()).await.assert_error(401, "invalid_client");
}

/// Readers on two servers query a token continuously. From the answer to its revocation on, the
/// token is never active again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_readers_do_not_cache_revoked_token() {
    let redis = Redis::start();
    let (one, other) = start_two_servers(&redis).await;
    let (one, other) = (Arc::new(one), Arc::new(other));
    let mut seen_active = 0;
    for round in 0..40 {
        let login = one.login().await;
        let token = login.access_token();
        let revoked = Arc::new(AtomicBool::new(false));
        let readers: Vec<_> = (0..6)
            .map(|reader| {
                let app = if reader % 2 == 0 { Arc::clone(&one) } else { Arc::clone(&other) };
                let (token, revoked) = (token.clone(), Arc::clone(&revoked));
                tokio::spawn(async move {
                    let (mut active, mut after) = (0, 0);
                    while after < 5 {
                        let was_revoked = revoked.load(Ordering::SeqCst);
                        let is_active = if reader < 4 {
                            app.is_active(&token).await
                        } else {
                            app.verify(&token, "").await.status == 200
                        };
                        assert!(!(was_revoked && is_active), "a revoked token is active");
                        active += usize::from(is_active);
                        after += usize::from(was_revoked);
                    }
                    active
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(round % 7)).await;
        let answer = match round % 3 {
            0 => one.revoke(&token).await,
            1 => other.revoke(&login.refresh_token()).await,
            _ => {
                // The cache is flushed during the revocation.
                let (answer, ()) = tokio::join!(one.revoke(&token), redis.ask::<()>(&["FLUSHALL"]));
                answer
            }
        };
        assert_eq!(answer.status, 200);
        revoked.store(true, Ordering::SeqCst);
        for reader in readers {
            seen_active += reader.await.unwrap();
        }
    }
    assert!(seen_active > 40, "the race was none: {seen_active}");
}
