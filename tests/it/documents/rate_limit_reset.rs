//! The commands of `docs/operations.md` that reset the rate limits in Redis, run as the Redis user
//! that `docs/databases.md` defines for Sentinel.

use std::os::unix::fs::PermissionsExt;

use super::databases::redis;
use super::pages::{Block, page};
use crate::helpers::authority::Authority;
use crate::helpers::{App, AppBuilder, PASSWORD, command};

fn blocks() -> Vec<Block> {
    let blocks = page("docs/operations.md").blocks();
    blocks.into_iter().filter(|block| block.language == "sh").collect()
}

/// Starts a server that uses this Redis.
async fn server(url: &str) -> App {
    let builder = AppBuilder::default().set("redis.url", url).set("redis.publish_tokens", "false");
    let strict = builder.set("throttle.failures_per_address", "3");
    strict.set("throttle.failures_per_user", "2").spawn().await
}

/// Returns the status of a login with the right password.
async fn right(app: &App) -> u16 {
    app.login_as("alice", PASSWORD, &[]).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limit_in_redis_survives_a_restart_until_the_documented_reset() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let (redis, _) = redis(&authority, folder.path());
    let url = redis.url.replace("admin:ADMIN-PASSWORD", "sentinel:SENTINEL-PASSWORD");
    let app = server(&url).await;
    // This login makes a known device, which the reset keeps.
    assert_eq!(right(&app).await, 200);
    for _ in 0..3 {
        app.login_as("alice", "wrong", &[]).await.assert_error(400, "invalid_grant");
    }
    assert_eq!(right(&app).await, 429);
    assert_eq!(right(&server(&url).await).await, 429, "the others know, too");

    let program = folder.path().join("redis-cli");
    let path = std::env::var("PATH").unwrap();
    let script = format!(
        "#!/bin/sh\nPATH='{path}'\nexec redis-cli -p {} --user sentinel \"$@\"\n",
        redis.port()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let mut shell = command("timeout");
    shell.args(["30", "sh", "-eu", "-c", &blocks()[0].text]);
    shell.env("PATH", format!("{}:{path}", folder.path().display()));
    let output = shell.env("REDISCLI_AUTH", "SENTINEL-PASSWORD").output().unwrap();
    assert!(output.status.success(), "{output:?}");

    let keys: Vec<_> = redis.keys().await.into_keys().collect();
    let throttled: Vec<_> = keys.iter().filter(|key| key.contains(":throttle:")).collect();
    assert!(throttled.iter().all(|key| key.contains(":acquaintance:")), "{keys:?}");
    assert_eq!(throttled.len(), 1, "{keys:?}");
    assert_eq!(right(&app).await, 429, "what it has counted itself, it knows");
    assert_eq!(right(&server(&url).await).await, 200, "and a server that starts does not");
}

#[test]
fn container_commands_contain_the_plain_commands() {
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let [plain, docker] = [0, 1].map(|number| squeezed(&blocks()[number].text));
    assert!(docker.contains(&plain), "{docker}");
}
