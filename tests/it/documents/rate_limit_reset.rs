//! The commands of `docs/operations.md` that list and clear rate limits, with Redis and the Redis
//! user that `docs/databases.md` defines for Sentinel.

use super::databases::redis;
use super::pages::page;
use crate::helpers::authority::Authority;
use crate::helpers::{App, AppBuilder, PASSWORD};

/// Starts a server that uses this Redis.
async fn server(url: &str) -> App {
    let builder = AppBuilder::default().set("redis.url", url).set("redis.publish_tokens", "false");
    builder.set("throttle.failures_per_address", "3").spawn().await
}

/// Returns the status of a login with the right password.
async fn right(app: &App) -> u16 {
    app.login_as("alice", PASSWORD, &[]).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limit_in_redis_survives_a_restart_until_the_documented_command() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let (redis, _) = redis(&authority, folder.path());
    let url = redis.url.replace("admin:ADMIN-PASSWORD", "sentinel:SENTINEL-PASSWORD");
    let app = server(&url).await;
    for number in 0..3 {
        let name = format!("nobody-{number}");
        app.login_as(&name, "wrong", &[]).await.assert_error(400, "invalid_grant");
    }
    assert_eq!(right(&app).await, 429);
    assert_eq!(right(&server(&url).await).await, 429, "the others know, too");
    let text = page("docs/operations.md").text;
    for command in ["throttle list", "throttle clear --all"] {
        assert!(text.contains(&format!("sentinel {command}")), "{command}");
        app.run(&command.split(' ').collect::<Vec<_>>()).await;
    }
    let keys: Vec<_> = redis.keys().await.into_keys().collect();
    assert!(keys.iter().all(|key| !key.contains(":throttle:")), "{keys:?}");
    assert_eq!(right(&server(&url).await).await, 200);
}
