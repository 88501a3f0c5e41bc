//! Tests of background jobs, of graceful shutdown, and of a store that is locked.

use std::time::Duration;

use sentinel::store::{Page, SessionFilter};

use crate::helpers::{App, AppBuilder, Process, all, spawn_app};

#[tokio::test]
async fn expired_sessions_are_purged_in_background() {
    let app = spawn_app().await;
    // More sessions than one batch of the purge.
    let mut stored = 0;
    while stored <= 500 {
        let answers = all((0..40).map(|_| app.login_with(&[]))).await;
        stored += answers.iter().filter(|answer| answer.status == 200).count();
    }
    let sessions = async |app: &App| {
        app.admin.sessions(&SessionFilter::default(), &Page::first(1000)).await.unwrap().items.len()
    };
    assert_eq!(sessions(&app).await, stored);
    let month = 30 * 86_400;
    let early = AppBuilder::default().on(&app.folder).later(month - 1).spawn().await;
    let kept = early.login().await;
    let late = AppBuilder::default().on(&app.folder).later(month).spawn().await;
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while sessions(&late).await > 1 {
        assert!(std::time::Instant::now() < deadline, "expired sessions are still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(late.is_active(&kept.access_token()).await);
}

#[tokio::test]
async fn expired_access_tokens_are_purged_from_live_sessions() {
    let app = spawn_app().await;
    // More sessions than one batch of the purge.
    let mut tokens = Vec::new();
    while tokens.len() <= 200 {
        let answers = all((0..40).map(|_| app.login_with(&[]))).await;
        tokens.extend(answers.into_iter().filter(|answer| answer.status == 200));
    }
    let access_tokens = async |app: &App| {
        let all =
            app.admin.sessions(&SessionFilter::default(), &Page::first(1000)).await.unwrap().items;
        all.iter().map(|session| session.access_tokens.len()).sum::<usize>()
    };
    assert_eq!(access_tokens(&app).await, tokens.len());
    // A corrupt record must not stop the purge of the others.
    let file = rusqlite::Connection::open(app.folder.path().join("sentinel.db")).unwrap();
    let first = "(SELECT key FROM sessions ORDER BY key LIMIT 1)";
    let damaged: Vec<u8> = file
        .query_row(&format!("SELECT tokens FROM sessions WHERE key = {first}"), [], |row| {
            row.get(0)
        })
        .unwrap();
    let spoil = |tokens: &[u8]| {
        let sql = format!("UPDATE sessions SET tokens = ?1 WHERE key = {first}");
        assert_eq!(file.execute(&sql, [tokens]).unwrap(), 1);
    };
    spoil(&[0]);
    let last = "SELECT length(tokens) FROM sessions ORDER BY key DESC LIMIT 1";
    let length = || file.query_row(last, [], |row| row.get::<_, i64>(0)).unwrap();
    // The purge begins when the server starts.
    let before = length();
    let late = AppBuilder::default().on(&app.folder).later(3600).spawn().await;
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while length() == before {
        assert!(std::time::Instant::now() < deadline, "the expired token is still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    spoil(&damaged);
    while access_tokens(&late).await > 1 {
        assert!(std::time::Instant::now() < deadline, "expired tokens are still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(app.refresh(&tokens[0].refresh_token()).await.status, 200);
}

#[test]
fn in_flight_request_is_answered_before_shutdown() {
    let folder = tempfile::tempdir().unwrap();
    // Hashing takes long enough for the signal to arrive before the answer.
    let slow = ["--dev", "--set", "password.iterations=60", "--set", "tls.mode=off"];
    let printed = folder.path().join("printed");
    let out = std::fs::File::create(&printed).unwrap();
    let mut process = Process::serve_with(folder.path(), &slow, out.into());
    let printed = std::fs::read_to_string(printed).unwrap();
    let start = printed.find("TOKENS=").unwrap();
    let line = printed[start..].lines().next().unwrap();
    let mut shell = std::process::Command::new("bash");
    shell.args(["-c", line]);
    let answer = std::thread::spawn(move || shell.output().unwrap());
    // Hashing starts when the login has arrived.
    process.wait_until_hashing();
    let stopped = process.terminate();
    let output = answer.join().unwrap();
    assert_eq!(stopped, Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("access_token"), "{output:?}");
}

#[tokio::test]
async fn writes_waiting_for_store_lock_fail_together_and_server_recovers() {
    let app = spawn_app().await;
    let path = app.folder.path().join("sentinel.db");
    let other = rusqlite::Connection::open(path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let started = std::time::Instant::now();
    let answers = all((0..6).map(|_| app.login_with(&[]))).await;
    for answer in &answers {
        answer.assert_error(503, "temporarily_unavailable");
    }
    // One wait for the lock takes slightly more than five seconds, and six in a row half a minute.
    assert!(started.elapsed() < Duration::from_secs(18), "{:?}", started.elapsed());
    other.execute_batch("ROLLBACK").unwrap();
    // The next write of the server, a login or a probe, shows that it is ready again.
    app.login().await;
    let ready = crate::helpers::send(app.request("GET", "/readyz")).await;
    assert_eq!(ready.status, 200);
}
