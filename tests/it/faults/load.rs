//! Clients in a closed loop that compare each response with earlier ones: it is consistent or 503.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::table::Row;
use crate::helpers::{ServerClient, TestResponse, all};

/// Pause between two calls of one client, so that the servers get processor time.
const PACE: Duration = Duration::from_millis(4);
/// Number of tokens of a chain that are checked again; a session keeps 16.
const KEPT: usize = 12;

/// Clients that call several servers until this is dropped.
pub struct Load {
    shared: Arc<LoadState>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

struct LoadState {
    peers: Vec<ServerClient>,
    over: AtomicBool,
    calls: Mutex<Vec<Call>>,
    /// Tokens that a response reported as issued, by chain.
    alive: Mutex<Vec<Vec<String>>>,
    /// Tokens that a response reported as revoked.
    ended: Mutex<Vec<String>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Refresh,
    Introspect,
    Verify,
    Login,
    Ready,
}

const KINDS: [Kind; 5] = [Kind::Refresh, Kind::Introspect, Kind::Verify, Kind::Login, Kind::Ready];

#[derive(Clone, Copy)]
struct Call {
    kind: Kind,
    started: Instant,
    ended: Instant,
    failed: bool,
}

impl Load {
    /// Starts two refresh chains for each server, and clients that introspect, log in and revoke.
    pub async fn start(peers: &[ServerClient]) -> Self {
        let chains = 2 * peers.len();
        let shared = Arc::new(LoadState {
            peers: peers.to_vec(),
            over: AtomicBool::new(false),
            calls: Mutex::default(),
            alive: Mutex::new(vec![Vec::new(); chains]),
            ended: Mutex::default(),
        });
        let mut tasks = Vec::new();
        for chain in 0..chains {
            tasks.push(tokio::spawn(refresh(Arc::clone(&shared), chain)));
        }
        for peer in 0..peers.len() {
            tasks.push(tokio::spawn(look(Arc::clone(&shared), peer)));
            tasks.push(tokio::spawn(end(Arc::clone(&shared), peer)));
            tasks.push(tokio::spawn(probe(Arc::clone(&shared), peer)));
        }
        let load = Self { shared, tasks };
        load.settle(Instant::now()).await;
        load
    }

    /// Applies the fault and waits until all kinds of calls succeed again.
    pub async fn during(&self, server: &str, what: &str, fault: impl Future<Output = ()>) -> Row {
        let started = Instant::now();
        fault.await;
        let healed = Instant::now();
        self.settle(healed).await;
        let calls = self.shared.calls.lock().unwrap();
        let calls: Vec<Call> = calls.iter().filter(|call| call.ended > started).copied().collect();
        let failed = calls.iter().filter(|call| call.failed);
        Row {
            server: server.to_owned(),
            what: what.to_owned(),
            answered: calls.len() - failed.clone().count(),
            unavailable: failed.clone().count(),
            unready: failed.clone().filter(|call| call.kind == Kind::Ready).count(),
            longest: calls.iter().map(|call| call.ended - call.started).max().unwrap_or_default(),
            lasted: healed - started,
            failing: failed.map(|call| call.ended - started).max().unwrap_or_default(),
        }
    }

    /// Waits until each kind of call has succeeded many times in a row.
    async fn settle(&self, since: Instant) {
        let deadline = Instant::now() + Duration::from_secs(45);
        let wanted = 10 * self.shared.peers.len();
        loop {
            self.check();
            let has_settled = |kind: &Kind| {
                let calls = self.shared.calls.lock().unwrap();
                let of_kind = calls.iter().rev().filter(|call| call.kind == *kind);
                of_kind.take_while(|call| call.started > since && !call.failed).count() >= wanted
            };
            if KINDS.iter().all(has_settled) {
                return;
            }
            assert!(Instant::now() < deadline, "the servers do not recover");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asserts that no client has stopped, which it does on an inconsistent response.
    fn check(&self) {
        assert!(self.tasks.iter().all(|task| !task.is_finished()), "a caller was answered wrongly");
    }

    /// Stops all clients and checks every token once more.
    pub async fn finish(self) {
        self.shared.over.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
        let alive = self.shared.alive.lock().unwrap().concat();
        let ended = self.shared.ended.lock().unwrap().clone();
        assert!(alive.len() > KEPT && ended.len() > KEPT);
        for peer in &self.shared.peers {
            for (tokens, wanted) in [(&alive, true), (&ended, false)] {
                let seen = all(tokens.iter().map(|token| {
                    let (peer, token) = (peer.clone(), token.clone());
                    async move { peer.is_active(&token).await }
                }));
                assert!(
                    seen.await.iter().all(|active| *active == wanted),
                    "not {wanted} at the end"
                );
            }
        }
    }
}

impl LoadState {
    fn is_running(&self) -> bool {
        !self.over.load(Ordering::SeqCst)
    }

    /// Records the result of the call. Returns `None` for 503, which means that nothing was lost.
    async fn call(
        &self,
        kind: Kind,
        call: impl Future<Output = TestResponse>,
    ) -> Option<TestResponse> {
        let started = Instant::now();
        let answer = call.await;
        let failed = answer.status == 503;
        self.calls.lock().unwrap().push(Call { kind, started, ended: Instant::now(), failed });
        tokio::time::sleep(PACE).await;
        if failed {
            assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
            return None;
        }
        Some(answer)
    }

    /// Repeats the call until its response is not 503.
    async fn retry_on_503<F: Future<Output = TestResponse> + Send>(
        &self,
        kind: Kind,
        call: impl Fn() -> F,
    ) -> Option<TestResponse> {
        while self.is_running() {
            if let Some(answer) = self.call(kind, call()).await {
                return Some(answer);
            }
        }
        None
    }
}

/// Refreshes on each server in turn, and retries a failed refresh with the same token.
async fn refresh(shared: Arc<LoadState>, chain: usize) {
    let peers = shared.peers.len();
    let first = &shared.peers[chain % peers];
    let Some(login) = shared.retry_on_503(Kind::Login, || first.login()).await else {
        return;
    };
    assert_eq!(login.status, 200, "{login:?}");
    let mut current = login;
    let mut turn = chain;
    while shared.is_running() {
        let access = current.access_token();
        {
            let mut alive = shared.alive.lock().unwrap();
            alive[chain].push(access);
            let surplus = alive[chain].len().saturating_sub(KEPT);
            alive[chain].drain(..surplus);
        }
        let token = current.refresh_token();
        turn += 1;
        let next = || shared.peers[turn % peers].refresh(&token);
        let Some(next) = shared.retry_on_503(Kind::Refresh, next).await else { return };
        assert_eq!(next.status, 200, "a refresh token was burnt: {next:?}");
        current = next;
    }
}

/// Checks tokens that are active and tokens that were revoked.
async fn look(shared: Arc<LoadState>, peer: usize) {
    let peer = shared.peers[peer].clone();
    let mut turn = 0;
    while shared.is_running() {
        tokio::time::sleep(PACE).await;
        turn += 1;
        let token = {
            let alive = shared.alive.lock().unwrap();
            // The second newest token, which newer ones do not displace meanwhile.
            alive[turn % alive.len()].iter().rev().nth(1).cloned()
        };
        let ended = {
            let ended = shared.ended.lock().unwrap();
            let newest = ended.len().saturating_sub(1 + turn % 5);
            ended.get(newest).cloned()
        };
        for (token, wanted) in [(token, true), (ended, false)] {
            let Some(token) = token else { continue };
            if let Some(answer) = shared.call(Kind::Introspect, peer.introspect(&token)).await {
                assert_eq!(answer.json()["active"], wanted, "introspection: {answer:?}");
            }
            if let Some(answer) = shared.call(Kind::Verify, peer.verify(&token)).await {
                assert_eq!(answer.status, if wanted { 200 } else { 401 }, "verify: {answer:?}");
            }
        }
    }
}

/// Logs in on one server and revokes the token on the next one.
async fn end(shared: Arc<LoadState>, peer: usize) {
    let here = shared.peers[peer].clone();
    let there = shared.peers[(peer + 1) % shared.peers.len()].clone();
    while shared.is_running() {
        let login = shared.retry_on_503(Kind::Login, || here.login()).await;
        let Some(login) = login else { return };
        assert_eq!(login.status, 200, "{login:?}");
        let (access, refresh) = (login.access_token(), login.refresh_token());
        let token = if rand::random() { &access } else { &refresh };
        let revoked = shared.retry_on_503(Kind::Login, || there.revoke(token)).await;
        let Some(revoked) = revoked else { return };
        assert_eq!(revoked.status, 200, "{revoked:?}");
        shared.ended.lock().unwrap().push(access);
    }
}

async fn probe(shared: Arc<LoadState>, peer: usize) {
    let peer = shared.peers[peer].clone();
    while shared.is_running() {
        if let Some(answer) = shared.call(Kind::Ready, peer.ready()).await {
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }
}
