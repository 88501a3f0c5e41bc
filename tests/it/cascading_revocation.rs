//! Tests that all sessions of a user or client are revoked when the command that ends them returns,
//! including sessions that were started while it ran.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use secrecy::ExposeSecret;
use sentinel::admin::{NewClient, NewUser, UserChange};
use sentinel::app::password_policy;
use sentinel::domain::PasswordHash;
use sentinel::password::Hasher;
use sentinel::settings::{Settings, Sources};
use sentinel::store::{Page, SessionFilter};

use crate::helpers::{App, AppBuilder, PASSWORD, TestResponse, all, send};

const TASKS: usize = 6;

/// User and client of one round, and their server.
struct Round {
    app: Arc<App>,
    username: String,
    client: String,
    secret: String,
}

impl Round {
    async fn start(app: &Arc<App>, number: usize) -> Self {
        let username = format!("user-{number}");
        let password = app.user.password.clone();
        let user = NewUser { username: username.clone(), password, scopes: None, enabled: true };
        app.admin.add_user(user).await.unwrap();
        let client = NewClient { confidential: true, ..NewClient::default() };
        let (client, secret) = app.admin.add_client(client).await.unwrap();
        let secret = secret.unwrap().expose_secret().to_owned();
        Self { app: Arc::clone(app), username, client: client.id.to_string(), secret }
    }

    fn token(&self, form: &[(&str, &str)]) -> impl Future<Output = TestResponse> + use<> {
        let request = self.app.request("POST", "/oauth/token").form(form);
        send(request.basic_auth(&self.client, Some(&self.secret)))
    }

    fn login(&self, password: &str) -> impl Future<Output = TestResponse> + use<> {
        let who = [("username", self.username.as_str()), ("password", password)];
        self.token(&[&[("grant_type", "password")], &who[..]].concat())
    }

    fn refresh(&self, token: &str) -> impl Future<Output = TestResponse> + use<> {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)])
    }
}

/// Returns the tokens in an answer.
fn tokens(answer: &TestResponse) -> Vec<String> {
    let json = answer.json();
    let members = ["access_token", "refresh_token"].into_iter();
    members.filter_map(|member| json[member].as_str().map(str::to_owned)).collect()
}

/// Repeats the call until it is refused. Returns all tokens that were issued, and the refusal. It
/// ends because the command under test revokes the access that the calls need.
async fn until_refused<F: Future<Output = TestResponse>>(
    mut call: impl FnMut(Option<TestResponse>) -> F,
) -> (Vec<String>, TestResponse) {
    let (mut found, mut last) = (Vec::new(), None);
    loop {
        let answer = call(last.take()).await;
        if answer.status != 200 {
            return (found, answer);
        }
        found.extend(tokens(&answer));
        last = Some(answer);
    }
}

/// Requests that run while the command does.
#[derive(Clone, Copy, PartialEq)]
enum Load {
    /// Logins of the user, and refreshes of sessions that existed before.
    User,
    /// The requests of `User`, and client credentials requests.
    Client,
}

/// Runs the command while tokens are being issued, and asserts that none of them is active
/// afterwards. Runs four rounds, each with its own user and client.
async fn assert_all_revoked(load: Load, command: [&str; 2], input: &str) {
    let app = spawn().await;
    for number in 0..4 {
        let round = Arc::new(Round::start(&app, number).await);
        assert_all_revoked_in(&round, load, command, input).await;
    }
}

async fn assert_all_revoked_in(round: &Arc<Round>, load: Load, command: [&str; 2], input: &str) {
    let app = &round.app;
    let mut found = Vec::new();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..TASKS {
        let earlier = round.login(PASSWORD).await;
        assert_eq!(earlier.status, 200, "{earlier:?}");
        found.extend(tokens(&earlier));
        let in_round = Arc::clone(round);
        calls.spawn(until_refused(move |_| in_round.login(PASSWORD)));
        let in_round = Arc::clone(round);
        calls.spawn(until_refused(move |last| {
            in_round.refresh(&last.as_ref().unwrap_or(&earlier).refresh_token())
        }));
        if load == Load::Client {
            let in_round = Arc::clone(round);
            let form = [("grant_type", "client_credentials")];
            calls.spawn(until_refused(move |_| in_round.token(&form)));
        }
    }
    let subject = if command[0] == "user" { &round.username } else { &round.client };
    let mut arguments = vec![command[0], command[1], subject.as_str()];
    if !input.is_empty() {
        arguments.push("--password-stdin");
    }
    app.run_with(input, &arguments).await;
    let earlier = found.len();
    while let Some(done) = calls.join_next().await {
        let (handed_out, refusal) = done.unwrap();
        found.extend(handed_out);
        // A request that overlaps the command is `invalid_grant`; a later one of the client is
        // `invalid_client`.
        if load == Load::Client && refusal.status == 401 {
            refusal.assert_error(401, "invalid_client");
        } else {
            refusal.assert_error(400, "invalid_grant");
        }
    }
    assert!(found.len() > earlier, "nothing was handed out while the command ran");
    for answer in all(found.iter().map(|token| app.introspect(token))).await {
        assert_eq!(answer.text, r#"{"active":false}"#, "{command:?}");
    }
    let verified = all(found.iter().map(|token| app.verify(token, ""))).await;
    assert!(verified.iter().all(|answer| answer.status == 401), "{command:?}");
}

async fn spawn() -> Arc<App> {
    Arc::new(AppBuilder::default().set("throttle.enabled", "false").spawn().await)
}

#[tokio::test]
async fn disabling_user_revokes_all_sessions_including_concurrent_logins() {
    assert_all_revoked(Load::User, ["user", "disable"], "").await;
}

#[tokio::test]
async fn deleting_user_revokes_all_sessions_including_concurrent_logins() {
    assert_all_revoked(Load::User, ["user", "delete"], "").await;
}

#[tokio::test]
async fn password_change_revokes_all_sessions_including_concurrent_logins() {
    assert_all_revoked(Load::User, ["user", "passwd"], "another one\n").await;
}

#[tokio::test]
async fn disabling_client_revokes_all_sessions_including_concurrent_logins() {
    assert_all_revoked(Load::Client, ["client", "disable"], "").await;
}

#[tokio::test]
async fn deleting_client_revokes_all_sessions_including_concurrent_logins() {
    assert_all_revoked(Load::Client, ["client", "delete"], "").await;
}

fn slow_hash() -> PasswordHash {
    let overrides = [("password.memory_kib", "19456"), ("password.iterations", "8")];
    let overrides = overrides.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let settings = Settings::load(&Sources { overrides, ..Sources::default() }).unwrap();
    Hasher::new(password_policy(&settings.password)).unwrap().hash(&PASSWORD.into()).unwrap()
}

/// Phase of a login that was sent before the commands. The phase while they run is 1.
const BEFORE: u8 = 0;
/// Phase of a login that was sent after the commands.
const AFTER: u8 = 2;

#[tokio::test]
async fn enabling_again_keeps_old_sessions_revoked_and_allows_new_ones() {
    let app = spawn().await;
    for (number, family) in ["user", "client"].into_iter().enumerate() {
        let round = Arc::new(Round::start(&app, number).await);
        // Verifying this hash takes longer than both commands, so that logins overlap them.
        let user = app.admin.user(&round.username).await.unwrap().id;
        let change = UserChange { password: Some(slow_hash()), ..UserChange::default() };
        app.admin.edit_user(user, &change).await.unwrap();
        let phase = Arc::new(AtomicU8::new(BEFORE));
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..TASKS {
            let (round, phase) = (Arc::clone(&round), Arc::clone(&phase));
            calls.spawn(async move {
                let mut found = Vec::new();
                loop {
                    let sent = phase.load(Ordering::SeqCst);
                    let answer = round.login(PASSWORD).await;
                    if answer.status == 200 {
                        found.push((sent, answer));
                        if sent == AFTER {
                            return found;
                        }
                    } else {
                        assert_ne!(sent, AFTER, "{answer:?}");
                    }
                }
            });
        }
        let subject = if family == "user" { &round.username } else { &round.client };
        // Wait for the first session.
        let filter = SessionFilter { user: Some(user), ..SessionFilter::default() };
        while app.admin.sessions(&filter, &Page::first(1)).await.unwrap().items.is_empty() {
            tokio::task::yield_now().await;
        }
        phase.store(BEFORE + 1, Ordering::SeqCst);
        app.run(&[family, "disable", subject]).await;
        app.run(&[family, "enable", subject]).await;
        phase.store(AFTER, Ordering::SeqCst);
        let mut seen = [0; 3];
        while let Some(found) = calls.join_next().await {
            for (sent, answer) in found.unwrap() {
                seen[usize::from(sent)] += 1;
                for token in tokens(&answer) {
                    match sent {
                        BEFORE => assert!(!app.is_active(&token).await, "{family}"),
                        AFTER => assert!(app.is_active(&token).await, "{family}"),
                        // A login that was sent while the commands ran may have either result.
                        _ => {}
                    }
                }
            }
        }
        assert!(seen[0] > 0 && seen[2] == TASKS, "{seen:?}");
    }
}

#[tokio::test]
async fn sessions_started_with_new_password_stay_active() {
    let app = spawn().await;
    for number in 0..3 {
        let round = Arc::new(Round::start(&app, number).await);
        // The command may be done before the first login below.
        let earlier = round.login(PASSWORD).await;
        assert_eq!(earlier.status, 200, "{earlier:?}");
        let with_old = {
            let round = Arc::clone(&round);
            tokio::spawn(until_refused(move |_| round.login(PASSWORD)))
        };
        // Tries the new password until it is accepted.
        let with_new = {
            let round = Arc::clone(&round);
            tokio::spawn(async move {
                loop {
                    let answer = round.login("another one").await;
                    if answer.status == 200 {
                        return answer;
                    }
                    answer.assert_error(400, "invalid_grant");
                }
            })
        };
        app.run_with("another one\n", &["user", "passwd", &round.username, "--password-stdin"])
            .await;
        let after = round.login("another one").await;
        for token in with_old.await.unwrap().0.into_iter().chain(tokens(&earlier)) {
            assert!(!app.is_active(&token).await);
        }
        for answer in [with_new.await.unwrap(), after] {
            assert!(app.is_active(&answer.access_token()).await);
            let refreshed = round.refresh(&answer.refresh_token()).await;
            assert!(app.is_active(&refreshed.access_token()).await);
        }
    }
}

#[tokio::test]
async fn secret_rotation_keeps_sessions_and_refuses_old_secret() {
    let app = spawn().await;
    for number in 0..3 {
        let mut round = Round::start(&app, number).await;
        let earlier = round.login(PASSWORD).await;
        let old = Round {
            app: Arc::clone(&app),
            username: round.username.clone(),
            client: round.client.clone(),
            secret: round.secret.clone(),
        };
        let calls = tokio::spawn(until_refused(move |_| old.login(PASSWORD)));
        let rotated = app.run(&["client", "rotate-secret", &round.client, "--json"]).await;
        round.login(PASSWORD).await.assert_error(401, "invalid_client");
        round.refresh(&earlier.refresh_token()).await.assert_error(401, "invalid_client");
        let rotated: serde_json::Value = serde_json::from_str(&rotated).unwrap();
        round.secret = rotated["client_secret"].as_str().unwrap().to_owned();
        let (handed_out, refusal) = calls.await.unwrap();
        refusal.assert_error(401, "invalid_client");
        for token in handed_out.into_iter().chain(tokens(&earlier)) {
            assert!(app.is_active(&token).await, "a new secret leaves sessions alone");
        }
        assert_eq!(round.refresh(&earlier.refresh_token()).await.status, 200);
        assert_eq!(round.login(PASSWORD).await.status, 200);
    }
}
