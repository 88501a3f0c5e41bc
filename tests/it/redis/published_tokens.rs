//! Published tokens: `<access token>` holds the user's id for as long as the token is active.

use std::collections::HashSet;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};
use sentinel::admin::Versions;

use crate::helpers::redis::Redis;
use crate::helpers::{App, AppBuilder, all, mongod};

/// Starts a server without rate limiting: failed logins of a disabled user would count as guesses.
pub(super) async fn embedded(redis: &Redis) -> App {
    AppBuilder::default().redis(redis).set("throttle.enabled", "false").spawn().await
}

/// Starts a server on MongoDB, where the end of a session is a write of its own kind.
pub(super) async fn on_mongodb(redis: &Redis) -> App {
    let target = mongod::replica_set().await;
    let builder = AppBuilder::default().mongodb(&target).redis(redis);
    builder.set("throttle.enabled", "false").spawn().await
}

async fn assert_only(redis: &Redis, tokens: &[&str]) {
    let found: HashSet<String> = redis.strings().await.into_iter().collect();
    let wanted: HashSet<String> = tokens.iter().map(ToString::to_string).collect();
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn published_access_token_holds_user_id_and_expires() {
    let redis = Redis::start();
    for app in [embedded(&redis).await, on_mongodb(&redis).await] {
        let login = app.login().await;
        let owner = redis.owner(&login.access_token()).await;
        assert_eq!(owner, Some(app.user.id.to_string()));
        let ttl: i64 = redis.ask(&["TTL", &login.access_token()]).await;
        assert!((3590..=3600).contains(&ttl), "{ttl}");
        assert_eq!(redis.owner(&login.refresh_token()).await, None);

        let next = app.refresh(&login.refresh_token()).await;
        assert_eq!(redis.owner(&next.access_token()).await, Some(app.user.id.to_string()));
        assert_only(&redis, &[&login.access_token(), &next.access_token()]).await;
        app.revoke(&next.refresh_token()).await;
        assert_only(&redis, &[]).await;
    }
}

#[tokio::test]
async fn only_active_access_tokens_are_string_keys() {
    let redis = Redis::start();
    let app = on_mongodb(&redis).await;
    let login = app.login().await;
    for token in [login.access_token(), login.refresh_token(), "garbage".to_owned()] {
        app.introspect(&token).await;
        app.verify(&token, "").await;
    }
    let tokens = [login.access_token()];
    for (key, kind) in redis.keys().await {
        if kind == "string" {
            assert!(tokens.contains(&key), "{key}");
        } else {
            assert!(key.starts_with("sentinel:"), "{key} is a {kind}");
        }
    }
    assert_only(&redis, &[&login.access_token()]).await;
}

#[tokio::test]
async fn revoked_token_is_unpublished_immediately() {
    let redis = Redis::start();
    for app in [embedded(&redis).await, on_mongodb(&redis).await] {
        let login = app.login().await;
        let next = app.refresh(&login.refresh_token()).await;
        let other = app.login().await;
        assert_eq!(app.revoke(&login.access_token()).await.status, 200);
        assert_only(&redis, &[&next.access_token(), &other.access_token()]).await;
        assert_eq!(app.revoke(&next.refresh_token()).await.status, 200);
        assert_only(&redis, &[&other.access_token()]).await;
        // Reuse of a refresh token ends the session.
        let next = app.refresh(&other.refresh_token()).await;
        app.refresh(&next.refresh_token()).await;
        app.refresh(&other.refresh_token()).await.assert_error(400, "invalid_grant");
        assert_only(&redis, &[]).await;
    }
}

#[tokio::test]
async fn operator_changes_unpublish_tokens_immediately() {
    let redis = Redis::start();
    for app in [embedded(&redis).await, on_mongodb(&redis).await] {
        app.login().await;
        app.login().await;
        app.disable_user().await;
        assert_only(&redis, &[]).await;
        app.enable_user().await;
        app.login().await;
        app.change_password().await;
        assert_only(&redis, &[]).await;
        app.login().await;
        app.disable_client().await;
        assert_only(&redis, &[]).await;
        app.enable_client().await;
        app.login().await;
        app.delete_user().await;
        assert_only(&redis, &[]).await;
        let form = [("grant_type", "client_credentials")];
        app.post_as_backend("/oauth/token", &form).await.access_token();
        app.admin.delete_client(&app.backend.id, &Versions::Any).await.unwrap();
        assert_only(&redis, &[]).await;
    }
}

#[tokio::test]
async fn command_line_changes_unpublish_tokens_immediately() {
    let redis = Redis::start();
    for app in [embedded(&redis).await, on_mongodb(&redis).await] {
        app.login().await;
        app.run(&["user", "disable", "alice"]).await;
        assert_only(&redis, &[]).await;
        app.run(&["user", "enable", "alice"]).await;
        app.login().await;
        app.run(&["session", "end", "--user", "alice"]).await;
        assert_only(&redis, &[]).await;
        app.login().await;
        app.run(&["client", "delete", app.client.id.as_str()]).await;
        assert_only(&redis, &[]).await;
    }
}

#[tokio::test]
async fn oldest_token_over_limit_of_session_is_unpublished() {
    let redis = Redis::start();
    for app in [embedded(&redis).await, on_mongodb(&redis).await] {
        let mut current = app.login().await;
        let mut tokens = vec![current.access_token()];
        for _ in 0..17 {
            current = app.refresh(&current.refresh_token()).await;
            tokens.push(current.access_token());
        }
        let left: Vec<&str> = tokens.iter().skip(2).map(String::as_str).collect();
        assert_only(&redis, &left).await;
        app.revoke(&current.refresh_token()).await;
    }
}

#[tokio::test]
async fn refresh_retry_publishes_token_again_unless_revoked() {
    let redis = Redis::start();
    let app = embedded(&redis).await;
    let login = app.login().await;
    let next = app.refresh(&login.refresh_token()).await;
    let _: i64 = redis.ask(&["DEL", &next.access_token()]).await;
    app.refresh(&login.refresh_token()).await;
    assert!(redis.owner(&next.access_token()).await.is_some());
    // A token that was revoked meanwhile is not published again.
    app.revoke(&next.access_token()).await;
    assert_eq!(app.refresh(&login.refresh_token()).await.status, 200);
    assert_eq!(redis.owner(&next.access_token()).await, None);
}

#[tokio::test]
async fn no_token_is_published_without_publish_tokens() {
    let redis = Redis::start();
    let target = mongod::replica_set().await;
    let app = AppBuilder::default()
        .mongodb(&target)
        .redis(&redis)
        .set("redis.publish_tokens", "false")
        .spawn()
        .await;
    let login = app.login().await;
    assert!(app.is_active(&login.access_token()).await);
    assert!(redis.strings().await.is_empty());
    app.revoke(&login.access_token()).await;
    assert!(!app.is_active(&login.access_token()).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn login_or_refresh_racing_with_revocation_leaves_no_token() {
    let redis = Redis::start();
    for app in [embedded(&redis).await, on_mongodb(&redis).await] {
        let mut succeeded = 0;
        // The delay grows until a call has succeeded before the user was disabled.
        for round in 0..50 {
            if round >= 8 && succeeded > 0 {
                break;
            }
            let started = app.login().await;
            let (refresh, access) = (started.refresh_token(), started.access_token());
            let logins: Vec<_> = (0..6).map(|_| tokio::spawn(app.login_with(&[]))).collect();
            let refreshes: Vec<_> = (0..4).map(|_| tokio::spawn(app.refresh(&refresh))).collect();
            tokio::time::sleep(std::time::Duration::from_millis(round * 3)).await;
            app.disable_user().await;
            for call in logins.into_iter().chain(refreshes) {
                succeeded += u32::from(call.await.unwrap().status == 200);
            }
            assert_eq!(redis.owner(&access).await, None);
            assert_only(&redis, &[]).await;
            app.enable_user().await;
        }
        assert!(succeeded > 0, "no call succeeded before the user was disabled");
        let tokens: Vec<_> = all((0..8).map(|_| app.login_with(&[]))).await;
        let revoked = all(tokens.iter().map(|login| app.revoke(&login.refresh_token()))).await;
        assert!(revoked.iter().all(|answer| answer.status == 200));
        assert_only(&redis, &[]).await;
    }
}

/// Simulates an update that disables the user, whose process is killed after the first write.
#[tokio::test]
async fn interrupted_revocation_is_completed_and_unpublished() {
    let redis = Redis::start();
    let target = mongod::replica_set().await;
    let server = || AppBuilder::default().mongodb(&target).redis(&redis);
    let one = server().spawn().await;
    let token = one.login().await.access_token();
    assert!(one.is_active(&token).await && redis.owner(&token).await.is_some());
    let users = target.database().await.collection::<Document>("sentinel_users");
    let user = doc! { "_id": ObjectId::from_bytes(*one.user.id.as_bytes()) };
    let change = doc! {
        "$set": { "enabled": false, "ending": 1_i64 },
        "$inc": { "generation": 1_i64, "version": 1_i64 },
    };
    users.update_one(user, change).await.unwrap();
    // A starting server ends the sessions, and servers deliver pending invalidations each second.
    let other = server().spawn().await;
    let taken_down =
        async { while redis.owner(&token).await.is_some() || one.is_active(&token).await {} };
    tokio::time::timeout(std::time::Duration::from_secs(30), taken_down).await.unwrap();
    assert!(!other.is_active(&token).await);
}
