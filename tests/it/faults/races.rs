//! From the moment that an end is answered nobody is told that the token is alive: not by either server,
//! whose cache is warm, not by Redis, and not while one of the servers is stopped again and again in the
//! middle of what it does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{Client, cmd};
use rand::RngExt;

use crate::helpers::redis::Redis;
use crate::helpers::{Answer, Peer, Servers, mongod};

/// So many sessions at a time.
const LANES: usize = 4;
/// How often each of them is asked for after the end.
const AFTER: usize = 3;

struct World {
    servers: Servers,
    redis: Redis,
    /// How often a token was seen alive: how often there was something to race with.
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

    /// The one that is asked with a warm cache, and that is stopped.
    fn one(&self) -> &Peer {
        &self.servers.peers[0]
    }

    /// The one that ends.
    fn other(&self) -> &Peer {
        &self.servers.peers[1]
    }

    async fn plain(&self) -> MultiplexedConnection {
        let client = Client::open(self.redis.url.as_str()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }
}

/// Calls until it is answered: a server that was stopped for long may think that Redis is gone.
async fn answered<F: Future<Output = Answer> + Send>(call: impl Fn() -> F) -> Answer {
    loop {
        let answer = call().await;
        if answer.status != 503 {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A token that is alive, and the refresh token that it was answered for, which may be tried again.
struct Started {
    used: String,
    access: String,
    refresh: String,
}

async fn start(world: &World) -> Started {
    let login = answered(|| world.other().login()).await;
    let used = login.refresh_token();
    let next = answered(|| world.other().refresh(&used)).await;
    Started { used, access: next.access_token(), refresh: next.refresh_token() }
}

/// What somebody does again and again with a token; whether it was told that the token is alive.
#[derive(Clone, Copy, Debug)]
enum Asking {
    IntrospectOne,
    IntrospectOther,
    VerifyOne,
    VerifyOther,
    Redis,
}

async fn ask(world: &World, plain: &mut MultiplexedConnection, how: Asking, token: &str) -> bool {
    let introspected = |answer: Answer| match answer.status {
        200 => answer.json()["active"].as_bool().unwrap(),
        _ => panic!("{answer:?}"),
    };
    match how {
        Asking::IntrospectOne => introspected(world.one().introspect(token).await),
        Asking::IntrospectOther => introspected(world.other().introspect(token).await),
        Asking::VerifyOne => world.one().verify(token).await.status == 204,
        Asking::VerifyOther => world.other().verify(token).await.status == 204,
        Asking::Redis => {
            let owner: Option<String> = cmd("GET").arg(token).query_async(plain).await.unwrap();
            owner.is_some()
        }
    }
}

/// Asks all the time, in all ways, while the end is on its way and after it. Beside that, the client that
/// has lost an answer asks for it again, which publishes the token anew; but not where that would be the
/// end itself, not done with yet when another server refuses.
async fn race(world: &Arc<World>, started: &Started, end: End) {
    use Asking::{IntrospectOne, IntrospectOther, Redis, VerifyOne, VerifyOther};
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
    take_away(world, started, end).await;
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

async fn take_away(world: &World, started: &Started, end: End) {
    let other = world.other();
    match end {
        End::Access => {
            assert_eq!(answered(|| other.revoke(&started.access)).await.status, 200);
        }
        End::Session => {
            assert_eq!(answered(|| other.revoke(&started.refresh)).await.status, 200);
        }
        End::Replay => {
            // The successor is used, so the used token is one that somebody has stolen.
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
async fn nothing_is_alive_after_its_end_was_answered_in_hundreds_of_races_across_processes() {
    let world = World::start().await;
    rounds(&world, 204).await;
    assert!(world.seen.load(Ordering::Relaxed) > 204, "the races were none");
    let left = world.redis.strings().await;
    assert_eq!(left.len(), 204 / 3, "only sessions whose first access token was left go on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_is_stopped_in_the_middle_of_it_puts_nothing_back() {
    let world = World::start().await;
    let over = Arc::new(AtomicBool::new(false));
    let stopping = {
        let (world, over) = (Arc::clone(&world), Arc::clone(&over));
        tokio::spawn(async move {
            let mut stops = 0;
            while !over.load(Ordering::SeqCst) {
                let (runs, stands) = {
                    let mut random = rand::rng();
                    // Now and then so long that its calls to Redis are over when it goes on.
                    let long = random.random_ratio(1, 15);
                    let stands = if long { 700 } else { random.random_range(1..30) };
                    (random.random_range(1..20), stands)
                };
                tokio::time::sleep(Duration::from_millis(runs)).await;
                world.servers.processes[0].freeze();
                tokio::time::sleep(Duration::from_millis(stands)).await;
                world.servers.processes[0].thaw();
                stops += 1;
            }
            stops
        })
    };
    rounds(&world, 60).await;
    over.store(true, Ordering::SeqCst);
    let stops: usize = stopping.await.unwrap();
    println!("stopped {stops} times; seen alive {} times", world.seen.load(Ordering::Relaxed));
    assert!(stops > 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_alive_after_the_command_that_disables_its_user() {
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
}
