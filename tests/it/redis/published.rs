//! Published tokens: `<access token>` is the user's id for as long as the token is alive.

use std::collections::HashSet;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};

use crate::helpers::redis::Redis;
use crate::helpers::{App, AppBuilder, all, mongod};

/// Logins of a user who is being disabled fail, and would be taken for guesses.
async fn embedded(redis: &Redis) -> App {
    AppBuilder::default().redis(redis).set("throttle.enabled", "false").spawn().await
}

/// On MongoDB, where a session's end is a write of its own kind.
async fn on_mongodb(redis: &Redis) -> App {
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
async fn an_access_token_is_a_key_that_holds_the_users_id_and_expires_with_it() {
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
async fn a_clients_own_token_holds_the_clients_id() {
    let redis = Redis::start();
    let app = embedded(&redis).await;
    let form = [("grant_type", "client_credentials")];
    let token = app.post_as_backend("/oauth/token", &form).await.access_token();
    assert_eq!(redis.owner(&token).await, Some(app.backend.id.to_string()));
}

#[tokio::test]
async fn every_string_key_is_a_live_access_token_and_all_else_has_another_type_and_a_prefix() {
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
}

#[tokio::test]
async fn a_token_that_is_revoked_is_gone_at_once_and_the_others_stay() {
    let redis = Redis::start();
    for app in [embedded(&redis).await, on_mongodb(&redis).await] {
        let login = app.login().await;
        let next = app.refresh(&login.refresh_token()).await;
        let other = app.login().await;
        assert_eq!(app.revoke(&login.access_token()).await.status, 200);
        assert_only(&redis, &[&next.access_token(), &other.access_token()]).await;
        assert_eq!(app.revoke(&next.refresh_token()).await.status, 200);
        assert_only(&redis, &[&other.access_token()]).await;
        // A replay ends the session.
        let next = app.refresh(&other.refresh_token()).await;
        app.refresh(&next.refresh_token()).await;
        app.refresh(&other.refresh_token()).await.assert_error(400, "invalid_grant");
        assert_only(&redis, &[]).await;
    }
}

#[tokio::test]
async fn what_an_operator_ends_is_gone_at_once() {
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
        app.admin.delete_client(&app.backend.id).await.unwrap();
        assert_only(&redis, &[]).await;
    }
}

#[tokio::test]
async fn what_the_command_line_ends_is_gone_at_once() {
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
async fn the_oldest_of_too_many_tokens_is_gone() {
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
async fn a_lost_answer_is_published_again_by_the_retry() {
    let redis = Redis::start();
    let app = embedded(&redis).await;
    let login = app.login().await;
    let next = app.refresh(&login.refresh_token()).await;
    let _: i64 = redis.ask(&["DEL", &next.access_token()]).await;
    app.refresh(&login.refresh_token()).await;
    assert!(redis.owner(&next.access_token()).await.is_some());
    // One that was revoked meanwhile is not.
    app.revoke(&next.access_token()).await;
    assert_eq!(app.refresh(&login.refresh_token()).await.status, 200);
    assert_eq!(redis.owner(&next.access_token()).await, None);
}

#[tokio::test]
async fn nothing_is_published_where_that_is_off() {
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
async fn logins_and_refreshes_that_race_with_an_end_leave_nothing_published() {
    let redis = Redis::start();
    for app in [embedded(&redis).await, on_mongodb(&redis).await] {
        for round in 0..8 {
            let started = app.login().await;
            let (refresh, access) = (started.refresh_token(), started.access_token());
            let logins: Vec<_> = (0..6).map(|_| tokio::spawn(app.login_with(&[]))).collect();
            let refreshes: Vec<_> = (0..4).map(|_| tokio::spawn(app.refresh(&refresh))).collect();
            tokio::time::sleep(std::time::Duration::from_millis(round * 3)).await;
            app.disable_user().await;
            for call in logins.into_iter().chain(refreshes) {
                call.await.unwrap();
            }
            assert_eq!(redis.owner(&access).await, None);
            assert_only(&redis, &[]).await;
            app.enable_user().await;
        }
        let tokens: Vec<_> = all((0..8).map(|_| app.login_with(&[]))).await;
        let revoked = all(tokens.iter().map(|login| app.revoke(&login.refresh_token()))).await;
        assert!(revoked.iter().all(|answer| answer.status == 200));
        assert_only(&redis, &[]).await;
    }
}

/// As an update that disables the user leaves it, when its process is killed after the first write.
#[tokio::test]
async fn what_another_process_began_to_end_is_taken_down_by_whoever_ends_it() {
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
    // A start ends the sessions, and servers tell Redis of what is noted, each second.
    let other = server().spawn().await;
    let taken_down =
        async { while redis.owner(&token).await.is_some() || one.is_active(&token).await {} };
    tokio::time::timeout(std::time::Duration::from_secs(30), taken_down).await.unwrap();
    assert!(!other.is_active(&token).await);
}
