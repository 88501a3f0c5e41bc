//! Several servers on one MongoDB and one Redis behave like a single server.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};

use crate::helpers::redis::Redis;
use crate::helpers::{AppBuilder, Servers, TestResponse, all, mongod};

async fn start_three() -> (Redis, Servers) {
    let redis = Redis::start();
    let mut settings = mongod::replica_set().await.overrides();
    settings.push(("redis.url".to_owned(), redis.url.clone()));
    let servers = Servers::start(3, &settings).await;
    (redis, servers)
}

fn pair(answer: &TestResponse) -> (String, String) {
    assert_eq!(answer.status, 200, "{answer:?}");
    (answer.access_token(), answer.refresh_token())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_refreshes_on_three_servers_return_one_token_pair() {
    let (redis, servers) = start_three().await;
    let mut current = servers.peers[0].login().await;
    for _ in 0..12 {
        let token = current.refresh_token();
        let calls = (0..48).map(|turn| {
            let (peer, token) = (servers.peers[turn % 3].clone(), token.clone());
            async move { peer.refresh(&token).await }
        });
        let answers = all(calls).await;
        let first = pair(&answers[0]);
        assert!(answers.iter().all(|answer| pair(answer) == first));
        assert!(redis.owner(&first.0).await.is_some());
        current = answers.into_iter().next_back().unwrap();
    }
    for peer in &servers.peers {
        assert!(peer.is_active(&current.access_token()).await);
        assert!(peer.is_active(&current.refresh_token()).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refresh_token_reuse_on_one_server_revokes_session_on_all() {
    let (redis, servers) = start_three().await;
    for turn in 0..15 {
        let [one, two, three] = [0, 1, 2].map(|at| &servers.peers[(turn + at) % 3]);
        let first = one.login().await;
        let second = two.refresh(&first.refresh_token()).await;
        let third = one.refresh(&second.refresh_token()).await;
        let (access, refresh) = pair(&third);
        for peer in &servers.peers {
            assert!(peer.is_active(&access).await);
        }
        // All servers receive a token that is two rotations old, at the same time.
        let stolen = first.refresh_token();
        let replays = all([one, two, three].map(|peer| {
            let (peer, stolen) = (peer.clone(), stolen.clone());
            async move { peer.refresh(&stolen).await }
        }));
        for replay in replays.await {
            replay.assert_error(400, "invalid_grant");
        }
        for peer in &servers.peers {
            assert!(!peer.is_active(&access).await);
            assert_eq!(peer.verify(&access).await.status, 401);
            peer.refresh(&refresh).await.assert_error(400, "invalid_grant");
        }
        assert!(redis.strings().await.is_empty());
    }
}

/// TCP proxy to Redis whose connections can be cut for one server only.
struct RedisProxy {
    port: u16,
    is_cut: Arc<AtomicBool>,
    passing: Arc<std::sync::Mutex<Vec<tokio::task::AbortHandle>>>,
}

impl RedisProxy {
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (is_cut, passing) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let proxy = Self { port: listener.local_addr().unwrap().port(), is_cut, passing };
        let (is_cut, passing) = (Arc::clone(&proxy.is_cut), Arc::clone(&proxy.passing));
        tokio::spawn(async move {
            loop {
                let (mut here, _) = listener.accept().await?;
                if is_cut.load(Ordering::SeqCst) {
                    continue;
                }
                let task = tokio::spawn(async move {
                    let mut there = TcpStream::connect(("127.0.0.1", port)).await?;
                    tokio::io::copy_bidirectional(&mut here, &mut there).await
                });
                passing.lock().unwrap().push(task.abort_handle());
            }
            #[allow(unreachable_code, reason = "says what the errors are")]
            io::Result::Ok(())
        });
        proxy
    }

    fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        for task in self.passing.lock().unwrap().drain(..) {
            task.abort();
        }
    }
}

/// Servers that still reach Redis have cached the token. They deliver the invalidation that the
/// disconnected server could not deliver; the token is then inactive on all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revocation_without_redis_is_delivered_to_cache_by_other_servers() {
    let redis = Redis::start();
    let proxy = RedisProxy::to(redis.port()).await;
    let target = mongod::replica_set().await;
    let one = AppBuilder::default().mongodb(&target).redis(&redis).spawn().await;
    let cut_off = format!("redis://127.0.0.1:{}", proxy.port);
    let mut other = AppBuilder::default().mongodb(&target).set("redis.url", &cut_off).spawn().await;
    other.client = one.client.clone();
    let login = other.login().await;
    let token = login.access_token();
    for app in [&one, &other, &one, &other] {
        assert!(app.is_active(&token).await);
    }
    proxy.cut();
    // 503: the revocation is not complete.
    other.revoke(&token).await.assert_error(503, "temporarily_unavailable");
    assert!(!other.is_active(&token).await);
    let deadline = Instant::now() + Duration::from_secs(20);
    while one.is_active(&token).await || redis.owner(&token).await.is_some() {
        assert!(Instant::now() < deadline, "it stays alive");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(one.verify(&token, "").await.status, 401);
}
