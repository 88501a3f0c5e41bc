//! Kills the real binary at random moments. No answered token may be lost, and every client can
//! still refresh (DESIGN §10).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::RngExt;
use secrecy::ExposeSecret;
use sentinel::admin::{Admin, NewClient, NewUser};
use sentinel::app::password_policy;
use sentinel::domain::SystemClock;
use sentinel::password::Hasher;
use sentinel::settings::{Settings, Sources};
use sentinel::store::sqlite::SqliteStore;
use serde_json::Value;
use tokio::sync::Notify;

use crate::helpers::{PASSWORD, Process, all};

const ROUNDS: usize = 3;
const TASKS: usize = 16;
/// Number of refreshes in each session. With the first access token and the two of the check, a
/// session stays below its maximum of 16 live access tokens.
const REFRESHES: usize = 10;

/// Tokens of one session, as its client knows them.
#[derive(Clone)]
struct Chain {
    access: Vec<String>,
    refresh: String,
    /// Whether the server was killed before it answered the next refresh.
    in_flight: bool,
}

/// Address of the server, and the ids and secrets of the clients that call it.
struct Target {
    http: reqwest::Client,
    url: String,
    client: String,
    judge: (String, String),
}

/// Creates a user and two clients. Returns the id of the public one, and id and secret of the one
/// with the introspection permission.
async fn prepare(path: &Path) -> (String, (String, String)) {
    let stores = SqliteStore::open(path).unwrap().into_stores();
    let admin = Admin::new(stores, Arc::new(SystemClock));
    let overrides = [("password.memory_kib", "64"), ("password.iterations", "1")];
    let overrides = overrides.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let settings = Settings::load(&Sources { overrides, ..Sources::default() }).unwrap();
    let mut hasher = Hasher::new(password_policy(&settings.password)).unwrap();
    let password = hasher.hash(&PASSWORD.into()).unwrap();
    let user = NewUser { username: "alice".into(), password, scopes: None, enabled: true };
    admin.add_user(user).await.unwrap();
    let (app, _) = admin.add_client(NewClient::default()).await.unwrap();
    let judge = NewClient {
        confidential: true,
        introspection: true,
        introspect_refresh_tokens: true,
        ..NewClient::default()
    };
    let (judge, secret) = admin.add_client(judge).await.unwrap();
    let secret = secret.unwrap().expose_secret().to_owned();
    (app.id.to_string(), (judge.id.to_string(), secret))
}

fn start(path: &Path) -> Process {
    let store = format!("store.path={}", path.display());
    let fast = ["--set", "password.memory_kib=64", "--set", "password.iterations=1"];
    let arguments = [&["--set", store.as_str()], &fast[..]].concat();
    Process::serve(path.parent().unwrap(), &arguments)
}

impl Target {
    fn new(server: &Process, client: &str, judge: &(String, String)) -> Arc<Self> {
        Arc::new(Self {
            http: reqwest::Client::new(),
            url: format!("http://{}", server.address),
            client: client.to_owned(),
            judge: judge.clone(),
        })
    }

    /// Returns the answer to a token request, or `None` if the server was killed.
    async fn token(&self, form: &[(&str, &str)]) -> Option<Value> {
        let mut fields = vec![("client_id", self.client.as_str())];
        fields.extend_from_slice(form);
        let request = self.http.post(format!("{}/oauth/token", self.url)).form(&fields);
        let answer = request.send().await.ok()?;
        let status = answer.status();
        let text = answer.text().await.ok()?;
        assert_eq!(status, 200, "{text}");
        Some(serde_json::from_str(&text).unwrap())
    }

    async fn login(&self) -> Option<Value> {
        let form = [("grant_type", "password"), ("username", "alice"), ("password", PASSWORD)];
        self.token(&form).await
    }

    async fn refresh(&self, token: &str) -> Option<Value> {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    async fn is_active(&self, token: &str) -> bool {
        let request = self.http.post(format!("{}/oauth/introspect", self.url));
        let request = request.basic_auth(&self.judge.0, Some(&self.judge.1));
        let answer = request.form(&[("token", token)]).send().await.unwrap();
        let json: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        json["active"].as_bool().unwrap()
    }
}

fn text(answer: &Value, member: &str) -> String {
    answer[member].as_str().unwrap().to_owned()
}

/// Logs in and refreshes until the server is killed. Counts the answers, and notifies `enough` at
/// answer number `kill_at`.
async fn load(
    target: Arc<Target>,
    answered: Arc<AtomicUsize>,
    enough: Arc<Notify>,
    kill_at: usize,
) -> Vec<Chain> {
    let mut chains = Vec::new();
    let count = || {
        if answered.fetch_add(1, Ordering::SeqCst) + 1 == kill_at {
            enough.notify_one();
        }
    };
    while let Some(answer) = target.login().await {
        count();
        let access = vec![text(&answer, "access_token")];
        let refresh = text(&answer, "refresh_token");
        let mut chain = Chain { access, refresh, in_flight: false };
        for _ in 0..REFRESHES {
            let Some(answer) = target.refresh(&chain.refresh).await else {
                chain.in_flight = true;
                break;
            };
            count();
            chain.access.push(text(&answer, "access_token"));
            chain.refresh = text(&answer, "refresh_token");
        }
        let gone = chain.in_flight;
        chains.push(chain);
        if gone {
            break;
        }
    }
    chains
}

/// Asserts that all answered tokens are active and that a refresh can be retried. Returns how many
/// refreshes were stored although their answer was lost.
async fn check(target: Arc<Target>, chains: Vec<Chain>) -> usize {
    let mut lost = 0;
    for chain in &chains {
        for token in &chain.access {
            assert!(target.is_active(token).await, "an answered access token is gone");
        }
        let alive = target.is_active(&chain.refresh).await;
        assert!(alive || chain.in_flight, "an answered refresh token is gone");
        lost += usize::from(!alive);
        // The retry succeeds, and its tokens are valid.
        let next = target.refresh(&chain.refresh).await.unwrap();
        assert!(target.is_active(&text(&next, "access_token")).await);
        let after = target.refresh(&text(&next, "refresh_token")).await.unwrap();
        assert!(target.is_active(&text(&after, "access_token")).await);
    }
    lost
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_at_random_moment_loses_no_answered_token_and_no_session() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sentinel.db");
    let (client, judge) = prepare(&path).await;
    let total = Arc::new(AtomicUsize::new(0));
    let (mut in_flight, mut lost) = (0, 0);
    let mut earlier: Vec<String> = Vec::new();
    for _ in 0..ROUNDS {
        let mut server = start(&path);
        let target = Target::new(&server, &client, &judge);
        let kill_at = total.load(Ordering::SeqCst) + rand::rng().random_range(200..1000);
        let enough = Arc::new(Notify::new());
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let load =
                    load(Arc::clone(&target), Arc::clone(&total), Arc::clone(&enough), kill_at);
                tokio::spawn(load)
            })
            .collect();
        enough.notified().await;
        server.kill();
        let mut chains = Vec::new();
        for task in tasks {
            chains.push(task.await.unwrap());
        }

        let server = start(&path);
        let target = Target::new(&server, &client, &judge);
        for token in &earlier {
            assert!(target.is_active(token).await, "a token of an earlier life is gone");
        }
        let of_round = chains.iter().flatten();
        earlier.extend(of_round.clone().flat_map(|chain| chain.access.clone()));
        in_flight += of_round.filter(|chain| chain.in_flight).count();
        lost += all(chains.into_iter().map(|chains| check(Arc::clone(&target), chains)))
            .await
            .into_iter()
            .sum::<usize>();
    }
    let total = total.load(Ordering::SeqCst);
    println!("{total} tokens, {in_flight} refreshes in flight, {lost} of them written");
    assert!(total >= 200 * ROUNDS && earlier.len() == total);
    assert!(in_flight > 0, "nothing was in flight at any kill");
}
