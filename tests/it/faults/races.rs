//! Once a revocation is answered, no server and no Redis lookup reports the token as active: not
//! from a warm cache, and not if one of the servers is suspended in the middle of an operation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{Client, cmd};
use rand::RngExt;

use crate::helpers::redis::Redis;
use crate::helpers::{ServerClient, Servers, TestResponse, mongod};

/// Number of concurrent sessions.
const LANES: usize = 4;
/// Number of lookups of each kind after the revocation.
const AFTER: usize = 3;

struct World {
    servers: Servers,
    redis: Redis,
    /// Number of lookups that found a token active, which shows that there was a race.
    seen: AtomicUsize,
}

impl World {
    async fn start() -> Arc<Self> {
        let redis = Redis::start();
        let mut settings = mongod::replica_set().await.overrides();
        settings.push(("redis.url".to_owned(), redis.url.clone()));
        let servers = Servers::start(2, &settings).await;
        Arc::new(Self { servers, redis, seen: AtomicUsize::new(0) })
    }

    /// The server with the warm cache, which is also the one that is suspended.
    fn one(&self) -> &ServerClient {
        &self.servers.peers[0]
    }

    /// The server that revokes.
    fn other(&self) -> &ServerClient {
        &self.servers.peers[1]
    }

    async fn plain(&self) -> MultiplexedConnection {
        let client = Client::open(self.redis.url.as_str()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }
}

/// Repeats the call while it returns 503: a suspended server may take Redis for unreachable.
async fn answered<F: Future<Output = TestResponse> + Send>(call: impl Fn() -> F) -> TestResponse {
    loop {
        let answer = call().await;
        if answer.status != 503 {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An active access token and the refresh token it was issued for, which can be retried.
struct TestSession {
    used: String,
    access: String,
    refresh: String,
}

async fn start(world: &World) -> TestSession {
    let login = answered(|| world.other().login()).await;
    let used = login.refresh_token();
    let next = answered(|| world.other().refresh(&used)).await;
    TestSession { used, access: next.access_token(), refresh: next.refresh_token() }
}

/// Lookup that is repeated during the race.
#[derive(Clone, Copy, Debug)]
enum Lookup {
    IntrospectOne,
    IntrospectOther,
    VerifyOne,
    VerifyOther,
    Redis,
}

async fn ask(world: &World, plain: &mut MultiplexedConnection, how: Lookup, token: &str) -> bool {
    let introspected = |answer: TestResponse| match answer.status {
        200 => answer.json()["active"].as_bool().unwrap(),
        _ => panic!("{answer:?}"),
    };
    let verified = |answer: TestResponse| match answer.status {
        200 => true,
        401 => false,
        _ => panic!("{answer:?}"),
    };
    match how {
        Lookup::IntrospectOne => introspected(world.one().introspect(token).await),
        Lookup::IntrospectOther => introspected(world.other().introspect(token).await),
        Lookup::VerifyOne => verified(world.one().verify(token).await),
        Lookup::VerifyOther => verified(world.other().verify(token).await),
        Lookup::Redis => {
            let owner: Option<String> = cmd("GET").arg(token).query_async(plain).await.unwrap();
            owner.is_some()
        }
    }
}

/// Performs lookups of all kinds before, during and after the revocation. Meanwhile a client
/// retries the refresh, which publishes the token again. It does not in the case of
/// [`End::Replay`], where the retry itself would be the reuse that revokes the session.
async fn race(world: &Arc<World>, started: &TestSession, end: End) {
    use Lookup::{IntrospectOne, IntrospectOther, Redis, VerifyOne, VerifyOther};
    let ended = Arc::new(AtomicBool::new(false));
    let asking = [IntrospectOne, IntrospectOther, VerifyOne, VerifyOther, Redis].map(|how| {
        let (world, ended, token) = (Arc::clone(world), Arc::clone(&ended), started.access.clone());
        tokio::spawn(async move {
            let mut plain = world.plain().await;
            let mut after = 0;
            while after < AFTER {
                let is_over = ended.load(Ordering::SeqCst);
                let is_alive = ask(&world, &mut plain, how, &token).await;
                assert!(!(is_over && is_alive), "{how:?}: alive after {end:?}");
                world.seen.fetch_add(usize::from(is_alive), Ordering::Relaxed);
                after += usize::from(is_over);
            }
        })
    });
    let retrying = {
        let (world, ended, used) = (Arc::clone(world), Arc::clone(&ended), started.used.clone());
        tokio::spawn(async move {
            while !ended.load(Ordering::SeqCst) && end != End::Replay {
                world.one().refresh(&used).await;
            }
        })
    };
    let moment = rand::rng().random_range(0..25);
    tokio::time::sleep(Duration::from_millis(moment)).await;
    revoke_or_end(world, started, end).await;
    ended.store(true, Ordering::SeqCst);
    for task in asking {
        task.await.unwrap();
    }
    retrying.await.unwrap();
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Access,
    Session,
    Replay,
    /// `sentinel user … alice`.
    Command(&'static str),
}

async fn revoke_or_end(world: &World, started: &TestSession, end: End) {
    let other = world.other();
    match end {
        End::Access => {
            assert_eq!(answered(|| other.revoke(&started.access)).await.status, 200);
        }
        End::Session => {
            assert_eq!(answered(|| other.revoke(&started.refresh)).await.status, 200);
        }
        End::Replay => {
            // The successor is used, so another use of the used token counts as theft.
            let next = answered(|| other.refresh(&started.refresh)).await;
            assert_eq!(next.status, 200, "{next:?}");
            let replayed = answered(|| other.refresh(&started.used)).await;
            replayed.assert_error(400, "invalid_grant");
        }
        End::Command(word) => world.servers.run(&["user", word, "alice"]).await,
    }
}

async fn rounds(world: &Arc<World>, count: usize) {
    let lanes: Vec<_> = (0..LANES)
        .map(|lane| {
            let world = Arc::clone(world);
            tokio::spawn(async move {
                for round in 0..count / LANES {
                    let started = start(&world).await;
                    let end = [End::Access, End::Session, End::Replay][(lane + round) % 3];
                    race(&world, &started, end).await;
                }
            })
        })
        .collect();
    for lane in lanes {
        lane.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn token_is_inactive_everywhere_once_its_revocation_is_answered() {
    let world = World::start().await;
    rounds(&world, 204).await;
    assert!(world.seen.load(Ordering::Relaxed) > 204, "the races were none");
    let left = world.redis.strings().await;
    assert_eq!(left.len(), 204 / 3, "only sessions whose first access token was left go on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn suspended_server_does_not_restore_revoked_tokens() {
    let world = World::start().await;
    let over = Arc::new(AtomicBool::new(false));
    let stopping = {
        let (world, over) = (Arc::clone(&world), Arc::clone(&over));
        tokio::spawn(async move {
            let mut stops = 0;
            while !over.load(Ordering::SeqCst) {
                let (runs, stands) = {
                    let mut random = rand::rng();
                    // Sometimes long enough that its calls to Redis have timed out when it resumes.
                    let long = random.random_ratio(1, 15);
                    let stands = if long { 700 } else { random.random_range(1..30) };
                    (random.random_range(1..20), stands)
                };
                tokio::time::sleep(Duration::from_millis(runs)).await;
                world.servers.processes[0].suspend();
                tokio::time::sleep(Duration::from_millis(stands)).await;
                world.servers.processes[0].resume();
                stops += 1;
            }
            stops
        })
    };
    rounds(&world, 60).await;
    over.store(true, Ordering::SeqCst);
    let stops: usize = stopping.await.unwrap();
    let seen = world.seen.load(Ordering::Relaxed);
    println!("stopped {stops} times; seen alive {seen} times");
    assert!(stops > 20);
    assert!(seen > 0, "the races were none");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tokens_are_inactive_once_user_disable_or_delete_command_returns() {
    let world = World::start().await;
    for _ in 0..12 {
        let started = start(&world).await;
        race(&world, &started, End::Command("disable")).await;
        assert!(world.redis.strings().await.is_empty());
        world.servers.run(&["user", "enable", "alice"]).await;
    }
    let started = start(&world).await;
    let user = world.servers.user.clone();
    assert_eq!(world.redis.owner(&started.access).await, Some(user));
    race(&world, &started, End::Command("delete")).await;
    assert!(world.redis.strings().await.is_empty());
    assert!(world.seen.load(Ordering::Relaxed) > 0, "the races were none");
}
