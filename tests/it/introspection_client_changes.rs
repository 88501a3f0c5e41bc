//! Tests that a change of a client takes effect on its next introspection request, on every
//! connection and thread, although the caller cache has an entry for the client.

use std::path::Path;
use std::time::Duration;

use secrecy::ExposeSecret;
use sentinel::domain::{Client, ClientKind, ClientSecret, StoredSecret};
use sentinel::store::Stores;
use sentinel::store::sqlite::SqliteStore;

use crate::helpers::{App, AppBuilder, TestResponse, all, send};

/// Number of parallel calls: more than the server has threads.
const CONNECTIONS: usize = 16;

/// A client with the introspection permission, and the tokens that it asks about.
struct Caller {
    app: App,
    secret: String,
    access: String,
    refresh: String,
}

impl Caller {
    /// Starts an application whose caller cache has an entry for the client.
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

    /// Sends one introspection request. The token is an access token, a refresh token or malformed,
    /// depending on `turn`, since a refusal must not depend on it.
    fn call(&self, turn: usize, secret: &str) -> impl Future<Output = TestResponse> + use<> {
        let token = [self.access.as_str(), self.refresh.as_str(), "x"][turn % 3];
        let request = self.app.request("POST", "/oauth/introspect");
        if turn.is_multiple_of(2) {
            return send(request.form(&[("token", token)]).basic_auth(self.id(), Some(secret)));
        }
        let proof = [("client_id", self.id()), ("client_secret", secret)];
        send(request.form(&[&[("token", token)], &proof[..]].concat()))
    }

    /// Sends one request, and then many in parallel on connections that are already open.
    async fn calls(&self, secret: &str) -> Vec<TestResponse> {
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
async fn disabled_introspection_client_is_refused_until_enabled_again() {
    let caller = Caller::served().await;
    for _ in 0..3 {
        caller.app.run(&["client", "disable", caller.id()]).await;
        caller.assert_refused(&caller.secret, 401, "invalid_client").await;
        caller.app.run(&["client", "enable", caller.id()]).await;
        caller.assert_served().await;
    }
}

#[tokio::test]
async fn introspection_is_refused_while_permission_is_withdrawn() {
    let caller = Caller::served().await;
    for _ in 0..3 {
        caller.app.run(&["client", "edit", caller.id(), "--no-introspection"]).await;
        caller.assert_refused(&caller.secret, 403, "unauthorized_client").await;
        let again = ["--introspection", "--introspect-refresh-tokens"];
        caller.app.run(&[&["client", "edit", caller.id()], &again[..]].concat()).await;
        caller.assert_served().await;
    }
}

#[tokio::test]
async fn old_secret_of_introspection_client_is_refused_after_rotation() {
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
async fn deleted_introspection_client_is_refused() {
    let caller = Caller::served().await;
    caller.app.run(&["client", "delete", caller.id()]).await;
    caller.assert_refused(&caller.secret, 401, "invalid_client").await;
}

#[tokio::test]
async fn change_of_name_or_scopes_keeps_introspection_working() {
    let caller = Caller::served().await;
    caller.app.run(&["client", "edit", caller.id(), "--name", "another"]).await;
    caller.assert_served().await;
    caller.app.run(&["client", "edit", caller.id(), "--scope", "other"]).await;
    caller.assert_served().await;
}

/// Opens the store of the running application a second time.
fn open(folder: &Path) -> Stores {
    SqliteStore::open(&folder.join("sentinel.db")).unwrap().into_stores()
}

/// Deletes the client and inserts it with the same id, as an import can. Its version and generation
/// start at 0 again, and its creation time differs by one millisecond.
async fn recreate(caller: &Caller, change: impl FnOnce(&mut Client)) {
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
async fn recreated_client_accepts_new_secret_only() {
    let mut caller = Caller::served().await;
    for _ in 0..3 {
        let secret = ClientSecret::generate().unwrap();
        let kind = ClientKind::Confidential(StoredSecret::Digest(secret.digest()));
        recreate(&caller, |client| client.kind = kind).await;
        let new = secret.expose_secret().to_owned();
        let old = std::mem::replace(&mut caller.secret, new);
        caller.assert_refused(&old, 401, "invalid_client").await;
        caller.assert_served().await;
        caller.warm_up().await;
    }
}

#[tokio::test]
async fn recreated_client_has_new_permission_status_and_type_only() {
    let caller = Caller::served().await;
    recreate(&caller, |client| client.introspection = false).await;
    caller.assert_refused(&caller.secret, 403, "unauthorized_client").await;
    recreate(&caller, |client| client.introspection = true).await;
    caller.assert_served().await;
    recreate(&caller, |client| client.enabled = false).await;
    caller.assert_refused(&caller.secret, 401, "invalid_client").await;
    recreate(&caller, |client| client.enabled = true).await;
    caller.assert_served().await;
    recreate(&caller, |client| {
        client.kind = ClientKind::Public;
        client.introspection = false;
    })
    .await;
    caller.assert_refused(&caller.secret, 401, "invalid_client").await;
}

#[tokio::test]
async fn introspection_is_refused_after_concurrent_client_change() {
    let caller = Caller::served().await;
    for round in 0..4 {
        let (off, on): (&[&str], &[&str]) = if round % 2 == 0 {
            (&["client", "disable", caller.id()], &["client", "enable", caller.id()])
        } else {
            (
                &["client", "edit", caller.id(), "--no-introspection"],
                &["client", "edit", caller.id(), "--introspection", "--introspect-refresh-tokens"],
            )
        };
        // Each task sends requests until one is refused, so that some overlap the change.
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
            caller.assert_all_refused().await;
        }
        assert!(calling.await.unwrap().iter().sum::<usize>() > 0);
        caller.assert_all_refused().await;
        caller.app.run(on).await;
        caller.assert_served().await;
    }
}

impl Caller {
    /// Asserts that every call is refused, with 401 or 403.
    async fn assert_all_refused(&self) {
        for answer in self.calls(&self.secret).await {
            assert!(matches!(answer.status, 401 | 403), "{answer:?}");
        }
    }
}
