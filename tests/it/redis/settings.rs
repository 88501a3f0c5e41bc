//! Connection to Redis: passwords, database numbers and invalid URLs.

use crate::helpers::redis::Redis;
use crate::helpers::{AppBuilder, sentinel};

#[tokio::test]
async fn password_and_database_number_come_from_url() {
    let mut redis = Redis::start_with(&["--save", "", "--requirepass", "a/secret"]);
    redis.url = format!("{}/3", redis.url.replace("a/secret", "a%2Fsecret"));
    let app = AppBuilder::default().redis(&redis).spawn().await;
    let token = app.login().await.access_token();
    assert!(redis.owner(&token).await.is_some());
    redis.url = redis.url.replace("/3", "/0");
    assert_eq!(redis.owner(&token).await, None);
}

#[tokio::test]
async fn wrong_password_is_503() {
    let redis = Redis::start_with(&["--save", "", "--requirepass", "right"]);
    let url = redis.url.replace("right", "wrong-password");
    let app = AppBuilder::default().set("redis.url", &url).spawn().await;
    app.login_with(&[]).await.assert_error(503, "temporarily_unavailable");
}

#[test]
fn invalid_url_stops_start_without_printing_password() {
    let folder = tempfile::tempdir().unwrap();
    let mut serve = sentinel(folder.path());
    serve.args(["serve", "--set", "redis.url=redis://:secret@host:port/x"]);
    let output = serve.output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(message.contains("redis.url") && !message.contains("secret@"), "{message}");
    assert!(!message.contains("InvalidClientConfig"), "{message}");
}
