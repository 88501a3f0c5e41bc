//! Metrics of requests, tokens, hashes, stores and the cache.

use std::time::Duration;

use sentinel::domain::Clock;
use sentinel::observe::metrics::{Metrics, Operation};
use sentinel::store::{OpenMode, imports};

use super::{scrape, spawn, value};
use crate::helpers::redis::Redis;
use crate::helpers::{AppBuilder, mongod, send, spawn_app};

#[tokio::test]
async fn requests_tokens_hashes_and_store_operations_are_counted() {
    let app = spawn().await;
    let first = app.login().await;
    let second = app.login().await;
    app.login_with_password("alice", "wrong").await.assert_error(400, "invalid_grant");
    app.refresh(&first.refresh_token()).await;
    let odd = [("grant_type", "magic"), ("client_id", app.client.id.as_str())];
    app.post("/oauth/token", &odd).await.assert_error(400, "unsupported_grant_type");
    for _ in 0..3 {
        app.introspect(&second.access_token()).await;
        app.verify(&second.access_token(), "").await;
    }
    app.verify("nonsense", "").await;
    send(app.request("GET", "/nowhere")).await;
    let text = scrape(&app).await;
    for (sample, expected) in [
        (r#"sentinel_http_requests_total{route="token",status="200"}"#, 3.0),
        (r#"sentinel_http_requests_total{route="token",status="400"}"#, 2.0),
        (r#"sentinel_http_requests_total{route="introspection",status="200"}"#, 3.0),
        (r#"sentinel_http_requests_total{route="verify",status="200"}"#, 3.0),
        (r#"sentinel_http_requests_total{route="verify",status="401"}"#, 1.0),
        (r#"sentinel_http_requests_total{route="other",status="404"}"#, 1.0),
        (r#"sentinel_http_request_duration_seconds_count{route="token"}"#, 5.0),
        (r#"sentinel_http_request_duration_seconds_bucket{route="token",le="+Inf"}"#, 5.0),
        (r#"sentinel_http_request_duration_seconds_count{route="verify"}"#, 4.0),
        (r#"sentinel_http_request_duration_seconds_count{route="revocation"}"#, 0.0),
        (r#"sentinel_token_requests_total{grant="password",outcome="ok"}"#, 2.0),
        (r#"sentinel_token_requests_total{grant="password",outcome="invalid_grant"}"#, 1.0),
        (r#"sentinel_token_requests_total{grant="refresh_token",outcome="ok"}"#, 1.0),
        (r#"sentinel_token_requests_total{grant="other",outcome="unsupported_grant_type"}"#, 1.0),
        ("sentinel_password_hash_seconds_count", 3.0),
        ("sentinel_password_queue_wait_seconds_count", 3.0),
        ("sentinel_password_queue_depth", 0.0),
        ("sentinel_password_queue_capacity", 256.0),
        ("sentinel_password_queue_full_total", 0.0),
        (
            r#"sentinel_store_operation_duration_seconds_count{of="sessions",operation="insert"}"#,
            2.0,
        ),
        (r#"sentinel_store_failures_total{of="sessions",operation="insert"}"#, 0.0),
        (r#"sentinel_cache_lookups_total{outcome="hit"}"#, 0.0),
        (r#"sentinel_throttled_requests_total{by="address"}"#, 0.0),
        (concat!("sentinel_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1.0),
    ] {
        assert!((value(&text, sample) - expected).abs() < 1e-9, "{sample} in {text}");
    }
    let took = value(&text, r#"sentinel_http_request_duration_seconds_sum{route="token"}"#);
    let hashed = value(&text, "sentinel_password_hash_seconds_sum");
    assert!(0.0 < hashed && hashed < took, "{hashed} {took}");
    assert!(value(&text, "process_resident_memory_bytes") > 1e6);
    assert!(value(&text, "process_open_fds") > 5.0);
    assert!(value(&text, "process_max_fds") > 5.0);
    assert!(value(&text, "process_cpu_seconds_total") < 3600.0);
    let started = value(&text, "process_start_time_seconds");
    assert!((started - 4_102_444_800.0).abs() < 1.0, "{started}");
    for name in [app.client.id.as_str(), "alice", "/nowhere", &app.user.id.to_string()] {
        assert!(!text.contains(name), "{name} is in {text}");
    }
}

#[tokio::test]
async fn cache_hits_and_misses_are_counted() {
    let (redis, target) = (Redis::start(), mongod::replica_set().await);
    let app = AppBuilder::default().mongodb(&target).redis(&redis).set("metrics.bind", "[::1]:0");
    let app = app.spawn().await;
    let token = app.login().await.access_token();
    let before = session_reads(&scrape(&app).await);
    for _ in 0..4 {
        assert_eq!(app.verify(&token, "").await.status, 200);
    }
    let text = scrape(&app).await;
    let lookups = |outcome: &str| {
        value(&text, &format!("sentinel_cache_lookups_total{{outcome=\"{outcome}\"}}"))
    };
    assert_eq!([lookups("hit"), lookups("miss"), lookups("failure")], [3.0, 1.0, 0.0]);
    assert!(value(&text, "sentinel_cache_lookup_duration_seconds_count") > 3.5);
    // Only the first look-up reads from the store behind the cache.
    assert_eq!(session_reads(&text) - before, 1);
}

/// The embedded store has no cache, so no other metric shows the outage.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_outage_and_recovery_are_visible() {
    for publish in ["true", "false"] {
        let mut redis = Redis::start();
        let app = AppBuilder::default().redis(&redis).set("redis.publish_tokens", publish);
        let app = app.set("metrics.bind", "127.0.0.1:0").spawn().await;
        app.login().await;
        let failures = |text: &str| {
            let of = |why| value(text, &format!("sentinel_redis_failures_total{{why=\"{why}\"}}"));
            ["down", "connect", "answer", "refused"].map(of).iter().sum::<f64>()
        };
        let text = scrape(&app).await;
        assert!(value(&text, "sentinel_redis_up") > 0.5 && failures(&text) < 0.5, "{text}");
        redis.kill();
        let expected = if publish == "true" { 503 } else { 200 };
        assert_eq!(app.login_with(&[]).await.status, expected);
        let text = scrape(&app).await;
        assert!(value(&text, "sentinel_redis_up") < 0.5 && failures(&text) > 0.5, "{text}");
        redis.restart();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while value(&scrape(&app).await, "sentinel_redis_up") < 0.5 {
            assert!(std::time::Instant::now() < deadline, "it is not found again");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn commands_refused_by_redis_are_counted() {
    let redis = Redis::start();
    let app = AppBuilder::default().redis(&redis).set("metrics.bind", "127.0.0.1:0").spawn().await;
    redis.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    app.login_with(&[]).await.assert_error(503, "temporarily_unavailable");
    let text = scrape(&app).await;
    assert!(value(&text, r#"sentinel_redis_failures_total{why="refused"}"#) > 0.5, "{text}");
    assert!(value(&text, "sentinel_redis_up") > 0.5, "{text}");
}

/// Returns the number of times that the store was asked for a session.
fn session_reads(text: &str) -> u32 {
    let counts = text
        .lines()
        .filter(|line| line.starts_with("sentinel_store_operation_duration_seconds_count"))
        .filter(|line| line.contains("\"sessions\"") && line.contains("\"find"));
    counts.map(|line| line.rsplit(' ').next().unwrap().parse::<u32>().unwrap()).sum()
}

#[tokio::test]
async fn management_requests_are_counted_under_their_route() {
    let app = AppBuilder::default().set("metrics.bind", "127.0.0.1:0");
    let app = app.set("server.public_url", "https://auth.example.org/team");
    let app = app.set("management.username", "operator").set("management.password", "sesame");
    let app = app.spawn().await;
    let page = |path: &str| app.request("GET", path).basic_auth("operator", Some("sesame"));
    for path in ["", "/", "/users", "/api/users", "/api/openapi.json"] {
        let answer = send(page(&format!("/oauth/management{path}"))).await;
        assert_eq!(answer.status, 200, "{path}");
    }
    assert_eq!(send(page("/oauth/management/nowhere")).await.status, 404);
    assert_eq!(send(app.request("GET", "/oauth/management/users")).await.status, 401);
    assert_eq!(send(page("/oauth/managements")).await.status, 404);
    for path in ["", "/team"] {
        let path = format!("/.well-known/oauth-authorization-server{path}");
        assert_eq!(send(app.request("GET", &path)).await.status, 200);
    }
    let text = scrape(&app).await;
    for (sample, expected) in [
        (r#"sentinel_http_requests_total{route="management",status="200"}"#, 5.0),
        (r#"sentinel_http_requests_total{route="management",status="404"}"#, 1.0),
        (r#"sentinel_http_requests_total{route="management",status="401"}"#, 1.0),
        (r#"sentinel_http_requests_total{route="metadata",status="200"}"#, 2.0),
        (r#"sentinel_http_requests_total{route="other",status="404"}"#, 1.0),
    ] {
        assert!((value(&text, sample) - expected).abs() < 1e-9, "{sample} in {text}");
    }
    // Without a management page, its route counts nothing.
    let app = spawn().await;
    send(app.request("GET", "/oauth/management")).await;
    let text = scrape(&app).await;
    let other = value(&text, r#"sentinel_http_requests_total{route="other",status="404"}"#);
    assert!((other - 1.0).abs() < 1e-9, "{text}");
}

#[tokio::test]
async fn metrics_are_served_only_on_configured_listener() {
    let app = spawn_app().await;
    assert_eq!(app.metrics, None);
    assert_eq!(send(app.request("GET", "/metrics")).await.status, 404);

    let app = spawn().await;
    assert_eq!(send(app.request("GET", "/metrics")).await.status, 404);
    let base = app.metrics.clone().unwrap().replace("/metrics", "");
    for path in ["/", "/healthz", "/oauth/token", "/oauth/management"] {
        assert_eq!(send(app.http.get(format!("{base}{path}"))).await.status, 404, "{path}");
    }
    assert_eq!(send(app.http.post(app.metrics.as_ref().unwrap())).await.status, 405);
}

#[tokio::test]
async fn legacy_token_is_looked_up_only_while_imported_sessions_exist() {
    let app = spawn().await;
    let text = "a".repeat(30);
    let find =
        r#"sentinel_store_operation_duration_seconds_count{of="imports",operation="find_alias"}"#;
    let ask = async || {
        assert_eq!(app.verify(&text, "").await.status, 401);
        assert!(!app.is_active(&text).await);
        app.refresh(&text).await.assert_error(400, "invalid_grant");
        let counts = scrape(&app).await;
        counts.contains(find).then(|| value(&counts, find))
    };
    assert_eq!(ask().await, None);
    let sessions =
        r#"sentinel_store_operation_duration_seconds_count{of="sessions",operation="find"}"#;
    assert!(!scrape(&app).await.contains(sessions));
    let stores = sentinel::app::open_stores(&app.settings, OpenMode::Write).await.unwrap();
    // Any session can stand for an imported one.
    let login = app.login().await;
    let page = sentinel::store::Page::first(1);
    let session = stores.listing.list_sessions(&Default::default(), &page).await.unwrap().remove(0);
    imports::record_session(&stores, session.id).await.unwrap();
    // The store's answer is reused for one second.
    app.advance(2);
    assert_eq!(ask().await, Some(2.0));
    imports::purge_session_records(&stores, app.clock.now()).await.unwrap();
    app.advance(2);
    assert_eq!(ask().await, Some(4.0));
    assert_eq!(app.revoke(&login.refresh_token()).await.status, 200);
    imports::purge_session_records(&stores, app.clock.now()).await.unwrap();
    app.advance(2);
    assert_eq!(ask().await, Some(4.0));
}

#[test]
fn duration_is_counted_in_bucket_with_inclusive_upper_bound() {
    let metrics = Metrics::new(&["other"], &["ok"], 0);
    for nanoseconds in [0, 50_000, 50_001, 10_000_000_000, 10_000_000_001] {
        metrics.store.done(Operation::UsersFind, Duration::from_nanos(nanoseconds), false);
    }
    let text = metrics.render();
    let name = "sentinel_store_operation_duration_seconds";
    let labels = r#"of="users",operation="find""#;
    for (bound, count) in [("0.00005", 2.0), ("0.0001", 3.0), ("10", 4.0), ("+Inf", 5.0)] {
        let found = value(&text, &format!("{name}_bucket{{{labels},le=\"{bound}\"}}"));
        assert!((found - count).abs() < 1e-9, "{bound}: {found}");
    }
    let sum = value(&text, &format!("{name}_sum{{{labels}}}"));
    assert!((sum - 20.000_100_002).abs() < 1e-9, "{sum}");
}
