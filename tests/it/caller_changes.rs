//! What an operator does to a client that introspects is seen by its very next call, on whichever
//! connection and thread it arrives, however often the client was served before.

use std::path::Path;
use std::time::Duration;

use secrecy::ExposeSecret;
use sentinel::domain::{Client, ClientKind, ClientSecret};
use sentinel::store::Stores;
use sentinel::store::sqlite::SqliteStore;

use crate::helpers::{Answer, App, AppBuilder, all, send};

/// More connections than the server has threads.
const CONNECTIONS: usize = 16;

/// A client that introspects, and a token to ask about.
struct Caller {
    app: App,
    secret: String,
    access: String,
    refresh: String,
}

impl Caller {
    /// Who has been served on every thread.
    async fn served() -> Self {
        let app = AppBuilder::default().set("throttle.enabled", "false").spawn().await;
        let tokens = app.login().await;
        let secret = app.backend_secret.clone();
        let (access, refresh) = (tokens.access_token(), tokens.refresh_token());
        let caller = Self { app, secret, access, refresh };
        caller.warm_up().await;
        caller
    }

    fn id(&self) -> &str {
        self.app.backend.id.as_str()
    }

    /// One call. Refused ones must not depend on the token, so both kinds and none are asked about.
    fn call(&self, turn: usize, secret: &str) -> impl Future<Output = Answer> + use<> {
        let token = [self.access.as_str(), self.refresh.as_str(), "x"][turn % 3];
        let request = self.app.request("POST", "/oauth/introspect");
        if turn.is_multiple_of(2) {
            return send(request.form(&[("token", token)]).basic_auth(self.id(), Some(secret)));
        }
        let proof = [("client_id", self.id()), ("client_secret", secret)];
        send(request.form(&[&[("token", token)], &proof[..]].concat()))
    }

    /// The very next call, and then many at once on connections that are open already.
    async fn calls(&self, secret: &str) -> Vec<Answer> {
        let mut answers = vec![self.call(0, secret).await];
        answers.extend(all((0..CONNECTIONS).map(|turn| self.call(turn, secret))).await);
        answers
    }

    async fn assert_served(&self) {
        let turns = [0].into_iter().chain(0..CONNECTIONS);
        for (turn, answer) in turns.zip(self.calls(&self.secret).await) {
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.json()["active"], turn % 3 < 2, "{answer:?}");
        }
    }

    async fn assert_refused(&self, secret: &str, status: u16, code: &str) {
        for answer in self.calls(secret).await {
            answer.assert_error(status, code);
        }
    }

    async fn warm_up(&self) {
        for _ in 0..10 {
            self.assert_served().await;
        }
    }
}

#[tokio::test]
async fn a_disabled_caller_is_refused_and_an_enabled_one_is_served() {
    let caller = Caller::served().await;
    for _ in 0..3 {
        caller.app.run(&["client", "disable", caller.id()]).await;
        caller.assert_refused(&caller.secret, 401, "invalid_client").await;
        caller.app.run(&["client", "enable", caller.id()]).await;
        caller.assert_served().await;
    }
}

#[tokio::test]
async fn a_caller_without_the_permission_is_refused_and_with_it_is_served() {
    let caller = Caller::served().await;
    for _ in 0..3 {
        caller.app.run(&["client", "edit", caller.id(), "--no-introspection"]).await;
        caller.assert_refused(&caller.secret, 403, "unauthorized_client").await;
        caller.app.run(&["client", "edit", caller.id(), "--introspection"]).await;
        caller.assert_served().await;
    }
}

#[tokio::test]
async fn a_rotated_secret_is_the_only_one_from_then_on() {
    let mut caller = Caller::served().await;
    for _ in 0..3 {
        let rotated = caller.app.run(&["client", "rotate-secret", caller.id(), "--json"]).await;
        let rotated: serde_json::Value = serde_json::from_str(&rotated).unwrap();
        let new = rotated["client_secret"].as_str().unwrap().to_owned();
        let old = std::mem::replace(&mut caller.secret, new);
        caller.assert_refused(&old, 401, "invalid_client").await;
        caller.assert_served().await;
        caller.assert_refused(&old, 401, "invalid_client").await;
        caller.warm_up().await;
    }
}

#[tokio::test]
async fn a_deleted_caller_is_refused() {
    let caller = Caller::served().await;
    caller.app.run(&["client", "delete", caller.id()]).await;
    caller.assert_refused(&caller.secret, 401, "invalid_client").await;
}

#[tokio::test]
async fn what_else_is_changed_about_a_caller_refuses_nothing() {
    let caller = Caller::served().await;
    caller.app.run(&["client", "edit", caller.id(), "--name", "another"]).await;
    caller.assert_served().await;
    caller.app.run(&["client", "edit", caller.id(), "--scope", "other"]).await;
    caller.assert_served().await;
}

/// The store, opened by somebody else.
fn open(folder: &Path) -> Stores {
    SqliteStore::open(&folder.join("sentinel.db")).unwrap().into_stores()
}

/// Commands draw a new id for each client, but a store can be given one, as an import does. All of its
/// counters start anew; only the moment at which it was made is another, by as little as there is.
async fn make_again(caller: &Caller, change: impl FnOnce(&mut Client)) {
    let stores = open(caller.app.folder.path());
    let mut client = stores.clients.find(&caller.app.backend.id).await.unwrap().unwrap();
    caller.app.run(&["client", "delete", caller.id()]).await;
    client.version = 0;
    client.generation = 0;
    client.created_at = client.created_at.plus(Duration::from_millis(1));
    change(&mut client);
    assert!(stores.clients.insert(&client).await.unwrap());
}

#[tokio::test]
async fn a_caller_that_was_made_again_has_the_new_secret_only() {
    let mut caller = Caller::served().await;
    for _ in 0..3 {
        let secret = ClientSecret::generate();
        make_again(&caller, |client| client.kind = ClientKind::Confidential(secret.digest())).await;
        let new = secret.expose_secret().to_owned();
        let old = std::mem::replace(&mut caller.secret, new);
        caller.assert_refused(&old, 401, "invalid_client").await;
        caller.assert_served().await;
        caller.warm_up().await;
    }
}

#[tokio::test]
async fn a_caller_that_was_made_again_has_the_new_permission_only() {
    let caller = Caller::served().await;
    make_again(&caller, |client| client.introspection = false).await;
    caller.assert_refused(&caller.secret, 403, "unauthorized_client").await;
    make_again(&caller, |client| client.introspection = true).await;
    caller.assert_served().await;
    make_again(&caller, |client| client.enabled = false).await;
    caller.assert_refused(&caller.secret, 401, "invalid_client").await;
    make_again(&caller, |client| client.enabled = true).await;
    caller.assert_served().await;
    make_again(&caller, |client| {
        client.kind = ClientKind::Public;
        client.introspection = false;
    })
    .await;
    caller.assert_refused(&caller.secret, 401, "invalid_client").await;
}

#[tokio::test]
async fn a_caller_that_changes_while_it_calls_is_refused_from_then_on() {
    let caller = Caller::served().await;
    for round in 0..4 {
        let (off, on): (&[&str], &[&str]) = if round % 2 == 0 {
            (&["client", "disable", caller.id()], &["client", "enable", caller.id()])
        } else {
            (
                &["client", "edit", caller.id(), "--no-introspection"],
                &["client", "edit", caller.id(), "--introspection"],
            )
        };
        // Calls that go on until they are refused, so that some cross the change.
        let until_refused = (0..4).map(|_| {
            let request = caller.app.request("POST", "/oauth/introspect");
            let request = request.form(&[("token", &caller.access)]);
            let request = request.basic_auth(caller.id(), Some(&caller.secret));
            async move {
                let mut served = 0;
                while send(request.try_clone().unwrap()).await.status == 200 {
                    served += 1;
                }
                served
            }
        });
        let calling = tokio::spawn(all(until_refused.collect::<Vec<_>>()));
        while !calling.is_finished() {
            caller.app.run(off).await;
            caller.assert_refused_at_all().await;
        }
        assert!(calling.await.unwrap().iter().sum::<usize>() > 0);
        caller.assert_refused_at_all().await;
        caller.app.run(on).await;
        caller.assert_served().await;
    }
}

impl Caller {
    /// By whichever code.
    async fn assert_refused_at_all(&self) {
        for answer in self.calls(&self.secret).await {
            assert!(matches!(answer.status, 401 | 403), "{answer:?}");
        }
    }
}
