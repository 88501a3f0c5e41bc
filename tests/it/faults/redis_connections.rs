//! TLS and ACL users of Redis, with real servers.

use std::path::Path;

use crate::helpers::authority::Authority;
use crate::helpers::redis::Redis;
use crate::helpers::{App, AppBuilder, sentinel};

fn with_tls(authority: &Authority, asks_for_certificate: bool) -> Redis {
    let files = ["server.pem", "server.key", "ca.pem"].map(|name| authority.path(name));
    let [cert, key, ca] = &files;
    let asks = if asks_for_certificate { "yes" } else { "no" };
    Redis::start_with_tls(&[
        "--save",
        "",
        "--tls-cert-file",
        cert,
        "--tls-key-file",
        key,
        "--tls-ca-cert-file",
        ca,
        "--tls-auth-clients",
        asks,
    ])
}

async fn assert_published(app: &App, redis: &Redis) {
    let login = app.login().await;
    let owner: Option<String> = redis.owner(&login.access_token()).await;
    assert_eq!(owner, Some(app.user.id.to_string()));
    assert_eq!(app.revoke(&login.access_token()).await.status, 200);
    assert_eq!(redis.owner(&login.access_token()).await, None);
}

#[tokio::test]
async fn redis_with_private_ca_is_trusted_if_tls_ca_names_it() {
    let authority = Authority::new();
    let redis = with_tls(&authority, false);
    let app = AppBuilder::default()
        .redis(&redis)
        .set("redis.tls_ca", &authority.path("ca.pem"))
        .spawn()
        .await;
    assert_published(&app, &redis).await;
}

#[tokio::test]
async fn redis_with_untrusted_certificate_receives_no_data() {
    let (authority, other) = (Authority::new(), Authority::new());
    let redis = with_tls(&authority, false);
    let strange = other.path("ca.pem");
    for ca in ["", &strange] {
        let app = AppBuilder::default().redis(&redis).set("redis.tls_ca", ca).spawn().await;
        app.login_with(&[]).await.assert_error(503, "temporarily_unavailable");
    }
    assert!(redis.keys().await.is_empty());
}

#[tokio::test]
async fn redis_client_certificate_is_sent_if_configured() {
    let authority = Authority::new();
    let redis = with_tls(&authority, true);
    let trusting =
        || AppBuilder::default().redis(&redis).set("redis.tls_ca", &authority.path("ca.pem"));
    let app = trusting().spawn().await;
    app.login_with(&[]).await.assert_error(503, "temporarily_unavailable");
    let app = trusting()
        .set("redis.tls_cert", &authority.path("client.pem"))
        .set("redis.tls_key", &authority.path("client.key"))
        .spawn()
        .await;
    assert_published(&app, &redis).await;
}

fn refused(folder: &Path, settings: &[&str]) -> String {
    let mut serve = sentinel(folder);
    serve.arg("serve");
    for setting in settings {
        serve.args(["--set", setting]);
    }
    let output = serve.output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn startup_fails_for_invalid_redis_tls_settings() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("empty.pem"), "nothing").unwrap();
    let url = "redis.url=rediss://localhost:1";
    for (settings, expected) in [
        (&[url, "redis.tls_ca=missing.pem"][..], "redis.tls_ca: cannot use missing.pem"),
        (
            &[url, "redis.tls_ca=empty.pem"],
            "redis.tls_ca: cannot use empty.pem: it contains no PEM certificate",
        ),
        (&[url, "redis.tls_cert=missing.pem"], "redis.tls_cert needs redis.tls_key"),
        (&["redis.url=redis://localhost:1", "redis.tls_ca=missing.pem"], "starts with rediss://"),
    ] {
        let told = refused(folder.path(), settings);
        assert!(told.contains(expected), "{told}");
    }
}

/// ACL permissions that `docs/settings.md` lists for Sentinel's Redis user.
const ALLOWED: &str = "on >se/cret ~* -@all +ping +info +select +multi +exec +get +set +del +hget +hset \
    +hsetnx +hdel +hgetall +hincrby +pexpire +zadd +zrem +zrange +zremrangebyscore +scan +eval +evalsha +script|load \
    +unwatch";

#[tokio::test]
async fn documented_redis_acl_permissions_are_sufficient() {
    let mut words = vec!["--save", "", "--user", "sentinel"];
    words.extend(ALLOWED.split_whitespace());
    let redis = Redis::start_with(&words);
    let target = crate::helpers::mongod::replica_set().await;
    let url = redis.url.replace("redis://", "redis://sentinel:se%2Fcret@");
    let app =
        AppBuilder::default().mongodb(&target).set("redis.url", &format!("{url}/5")).spawn().await;
    let login = app.login().await;
    // The cache is filled, read and invalidated.
    for _ in 0..3 {
        assert!(app.is_active(&login.access_token()).await);
    }
    let next = app.refresh(&login.refresh_token()).await;
    assert_eq!(app.revoke(&next.refresh_token()).await.status, 200);
    assert!(!app.is_active(&login.access_token()).await);
    // A wrong password updates the rate-limit counters.
    let wrong = [
        ("grant_type", "password"),
        ("client_id", app.client.id.as_str()),
        ("username", "alice"),
        ("password", "wrong"),
    ];
    app.post("/oauth/token", &wrong).await.assert_error(400, "invalid_grant");
    let denied: Vec<Vec<deadpool_redis::redis::Value>> = redis.ask(&["ACL", "LOG"]).await;
    assert!(denied.is_empty(), "{denied:?}");
}
