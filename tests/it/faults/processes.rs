//! Servers on one MongoDB and one Redis behave as one.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};

use crate::helpers::redis::Redis;
use crate::helpers::{Answer, AppBuilder, Servers, all, mongod};

async fn three() -> (Redis, Servers) {
    let redis = Redis::start();
    let mut settings = mongod::replica_set().await.overrides();
    settings.push(("redis.url".to_owned(), redis.url.clone()));
    let servers = Servers::start(3, &settings).await;
    (redis, servers)
}

fn pair(answer: &Answer) -> (String, String) {
    assert_eq!(answer.status, 200, "{answer:?}");
    (answer.access_token(), answer.refresh_token())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_refreshes_on_three_servers_get_one_pair_each_time_and_nothing_forks() {
    let (redis, servers) = three().await;
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
async fn a_replay_on_one_server_ends_on_all_what_the_others_have_rotated() {
    let (redis, servers) = three().await;
    for turn in 0..15 {
        let [one, two, three] = [0, 1, 2].map(|at| &servers.peers[(turn + at) % 3]);
        let first = one.login().await;
        let second = two.refresh(&first.refresh_token()).await;
        let third = one.refresh(&second.refresh_token()).await;
        let (access, refresh) = pair(&third);
        for peer in &servers.peers {
            assert!(peer.is_active(&access).await);
        }
        // All of them at once see a token that is two steps old.
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

/// A way to Redis that can be cut, for one server alone.
struct Way {
    port: u16,
    is_cut: Arc<AtomicBool>,
    passing: Arc<std::sync::Mutex<Vec<tokio::task::AbortHandle>>>,
}

impl Way {
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (is_cut, passing) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let way = Self { port: listener.local_addr().unwrap().port(), is_cut, passing };
        let (is_cut, passing) = (Arc::clone(&way.is_cut), Arc::clone(&way.passing));
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
        way
    }

    fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        for task in self.passing.lock().unwrap().drain(..) {
            task.abort();
        }
    }
}

/// The others still reach Redis, and what is in it of before. They do for the one that does not what it
/// could not do, and the token is dead on all of them when it is gone from Redis.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_without_redis_has_ended_the_others_take_out_of_the_cache() {
    let redis = Redis::start();
    let way = Way::to(redis.port()).await;
    let target = mongod::replica_set().await;
    let one = AppBuilder::default().mongodb(&target).redis(&redis).spawn().await;
    let cut_off = format!("redis://127.0.0.1:{}", way.port);
    let mut other = AppBuilder::default().mongodb(&target).set("redis.url", &cut_off).spawn().await;
    other.client = one.client.clone();
    let login = other.login().await;
    let token = login.access_token();
    for app in [&one, &other, &one, &other] {
        assert!(app.is_active(&token).await);
    }
    way.cut();
    // Not answered: it is not done.
    other.revoke(&token).await.assert_error(503, "temporarily_unavailable");
    assert!(!other.is_active(&token).await);
    let deadline = Instant::now() + Duration::from_secs(20);
    while one.is_active(&token).await || redis.owner(&token).await.is_some() {
        assert!(Instant::now() < deadline, "it stays alive");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(one.verify(&token, "").await.status, 401);
}
