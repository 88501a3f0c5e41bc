//! Memory of Redis: the size of a published token, and what happens before and when it is full.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sentinel::domain::{Clock, SessionId, Token};

use super::published_tokens::{embedded, on_mongodb};
use crate::helpers::redis::Redis;
use crate::helpers::{App, AppBuilder, Process, all, mongod, send, sentinel};
use crate::metrics::scrape;

const PUBLISHED_TOKENS: u64 = 3000;
const EVICTING: [&str; 3] = ["volatile-lru", "allkeys-random", "volatile-ttl"];

async fn used_memory(redis: &Redis) -> u64 {
    let info: String = redis.ask(&["INFO", "memory"]).await;
    info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().parse().unwrap()
}

fn session(token: &str) -> SessionId {
    Token::parse(token).unwrap().session_id()
}

/// Limits the memory of Redis, and waits until the server has noticed.
async fn limit_memory(app: &App, redis: &Redis, max: u64) {
    redis.ask::<()>(&["CONFIG", "SET", "maxmemory", &max.to_string()]).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    let noticed = format!("sentinel_redis_memory_max_bytes {max}");
    while !scrape(app).await.lines().any(|line| line == noticed) {
        assert!(Instant::now() < deadline, "the server does not notice the limit");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn published_token_takes_at_most_600_bytes() {
    let redis = Redis::start();
    let app = embedded(&redis).await;
    app.login().await;
    let before = used_memory(&redis).await;
    for _ in 0..PUBLISHED_TOKENS / 20 {
        for login in all((0..20).map(|_| app.login_with(&[]))).await {
            assert_eq!(login.status, 200, "{login:?}");
        }
    }
    let keys: u64 = redis.ask(&["DBSIZE"]).await;
    assert!(keys >= 2 * PUBLISHED_TOKENS, "{keys}");
    let each = (used_memory(&redis).await - before) / PUBLISHED_TOKENS;
    println!("{each} bytes for a published token");
    assert!((200..=600).contains(&each), "{each} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_without_a_user_are_not_published_and_need_no_redis() {
    let mut redis = Redis::start();
    let apps = [embedded(&redis).await, on_mongodb(&redis).await];
    let keys = redis.keys().await;
    let form = [("grant_type", "client_credentials")];
    for app in &apps {
        for _ in 0..20 {
            let token = app.post_as_backend("/oauth/token", &form).await.access_token();
            assert_eq!(redis.owner(&token).await, None);
        }
    }
    assert_eq!(redis.keys().await, keys);
    redis.kill();
    for app in &apps {
        let answer = app.post_as_backend("/oauth/token", &form).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let answer = app.introspect(&answer.access_token()).await;
        assert_eq!(answer.json()["active"], true, "{answer:?}");
    }
}

/// Replaces the list of a session's published tokens by one of an earlier version.
async fn list_as_before(app: &App, redis: &Redis, token: &str) {
    let list = format!("sentinel:published:{}", session(token));
    let ttl: i64 = redis.ask(&["PTTL", &list]).await;
    assert!(ttl > 3_600_000, "{ttl}");
    redis.ask::<i64>(&["DEL", &list]).await;
    let expiry = app.clock.now().plus(Duration::from_secs(3600)).as_millis().to_string();
    redis.ask::<i64>(&["ZADD", &list, &expiry, token]).await;
    redis.ask::<i64>(&["PEXPIRE", &list, &ttl.to_string()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn list_of_an_earlier_version_is_extended_and_taken_down() {
    let redis = Redis::start();
    for app in [embedded(&redis).await, on_mongodb(&redis).await] {
        let login = app.login().await;
        list_as_before(&app, &redis, &login.access_token()).await;
        let next = app.refresh(&login.refresh_token()).await;
        assert_eq!(redis.strings().await.len(), 2);
        let list = format!("sentinel:published:{}", session(&login.access_token()));
        let listed: Vec<String> = redis.ask(&["ZRANGE", &list, "0", "-1"]).await;
        assert!(listed.contains(&next.access_token()), "an earlier version finds it");
        assert_eq!(app.revoke(&login.access_token()).await.status, 200);
        assert_eq!(redis.strings().await, [next.access_token()]);
        assert_eq!(app.revoke(&next.refresh_token()).await.status, 200);
        assert!(redis.strings().await.is_empty());
    }
}

#[tokio::test]
async fn expired_tokens_leave_the_list_of_their_session() {
    let redis = Redis::start();
    let app = embedded(&redis).await;
    let mut current = app.login().await;
    let list = format!("sentinel:published:{}", session(&current.access_token()));
    for _ in 0..4 {
        app.advance(1800);
        current = app.refresh(&current.refresh_token()).await;
    }
    // Each token lives for an hour: the last one, and the one before it.
    let listed: BTreeMap<Vec<u8>, i64> = redis.ask(&["HGETALL", &list]).await;
    assert_eq!(listed.len(), 2, "{listed:?}");
}

/// The cache must not take the memory that published tokens need.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cache_is_not_filled_above_three_quarters_of_the_memory() {
    let redis = Redis::start();
    let target = mongod::replica_set().await;
    let builder = AppBuilder::default().mongodb(&target).redis(&redis);
    let app = builder.set("metrics.bind", "127.0.0.1:0").spawn().await;
    let cached = async |token: &str| {
        assert!(app.is_active(token).await && app.is_active(token).await);
        redis.keys().await.contains_key(&format!("sentinel:session:{}", session(token)))
    };
    let token = app.login().await.access_token();
    assert!(cached(&token).await);
    limit_memory(&app, &redis, used_memory(&redis).await * 5 / 4).await;
    let other = app.login().await.access_token();
    assert!(!cached(&other).await, "a cache entry was filled");
    assert!(redis.owner(&other).await.is_some(), "tokens are published as before");
    limit_memory(&app, &redis, 0).await;
    assert!(cached(&other).await);
}

async fn is_ready(app: &App) -> bool {
    send(app.request("GET", "/readyz")).await.status == 200
}

async fn wait_until_ready(app: &App, wanted: bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while is_ready(app).await != wanted {
        assert!(Instant::now() < deadline, "the server does not become ready = {wanted}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_is_not_ready_while_redis_refuses_published_tokens() {
    let mut redis = Redis::start();
    for publishes in ["true", "false"] {
        let builder = || AppBuilder::default().redis(&redis).set("redis.publish_tokens", publishes);
        let target = mongod::replica_set().await;
        let apps = [builder().spawn().await, builder().mongodb(&target).spawn().await];
        for app in &apps {
            assert!(is_ready(app).await, "as soon as it listens");
        }
        redis.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
        let needs_redis = publishes == "true";
        for app in &apps {
            wait_until_ready(app, !needs_redis).await;
            assert_eq!(app.login_with(&[]).await.status == 503, needs_redis);
        }
        redis.ask::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;
        for app in &apps {
            wait_until_ready(app, true).await;
        }
        redis.kill();
        for app in &apps {
            wait_until_ready(app, !needs_redis).await;
        }
        redis.restart();
        for app in &apps {
            wait_until_ready(app, true).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn start_and_config_check_warn_about_redis_that_evicts_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let redis = Redis::start();
    let url = format!("redis.url={}", redis.url);
    let check = |publishes: &str| {
        let mut command = sentinel(folder.path());
        command.args(["config", "check", "--set", &url, "--set", publishes]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(check("redis.publish_tokens=true"), "");
    for policy in EVICTING {
        redis.ask::<()>(&["CONFIG", "SET", "maxmemory-policy", policy]).await;
        let warning = check("redis.publish_tokens=true");
        assert!(warning.contains(policy) && warning.contains("noeviction"), "{warning}");
        assert_eq!(check("redis.publish_tokens=false"), "");
        let mut command = sentinel(folder.path());
        command.args(["serve", "--bind", "127.0.0.1:0", "--set", "log.format=json", "--set", &url]);
        command.stdout(std::process::Stdio::null());
        // It is logged before the server listens.
        let process = Process::start_with_lines(command);
        assert_eq!(process.1.iter().filter(|line| line.contains(policy)).count(), 1, "{policy}");
    }
    drop(redis);
    assert_eq!(check("redis.publish_tokens=true"), "", "an unreachable Redis is no mistake");
}
