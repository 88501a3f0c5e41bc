//! Client secrets of another form than Sentinel's, which may be as weak as passwords.

use secrecy::ExposeSecret;
use sentinel::admin::{ImportedClient, NewClient};
use sentinel::domain::{Client, ClientId, ClientKind, ClientSecret, Digest, StoredSecret};

use super::{assert_refused, strict};
use crate::helpers::{App, TestResponse, all, send};
use crate::metrics::scrape;

const HERE: &str = "192.0.2.1";
const SECRET: &str = "s3cret7";

/// Imports a client whose secret `SECRET` is stored as a digest.
async fn import(app: &App) -> ClientId {
    import_as(app, "imported").await
}

async fn import_as(app: &App, id: &str) -> ClientId {
    let id: ClientId = id.parse().unwrap();
    let client = NewClient { confidential: true, introspection: true, ..NewClient::default() };
    let kind = ClientKind::Confidential(StoredSecret::Digest(Digest::of(SECRET.as_bytes())));
    let new = ImportedClient { id: id.clone(), kind, enabled: true, client };
    app.admin.import_client(new).await.unwrap();
    id
}

fn call(app: &App, from: &str, secret: &str) -> impl Future<Output = TestResponse> + Send + use<> {
    call_as(app, from, "imported", secret)
}

fn call_as(
    app: &App,
    from: &str,
    id: &str,
    secret: &str,
) -> impl Future<Output = TestResponse> + Send + use<> {
    let request = app.request("POST", "/oauth/introspect").header("x-forwarded-for", from);
    send(request.basic_auth(id, Some(secret)).form(&[("token", "garbage")]))
}

async fn stored(app: &App, id: &ClientId) -> Client {
    app.admin.client(id.as_str()).await.unwrap()
}

#[tokio::test]
async fn imported_digest_becomes_a_hash_at_its_next_correct_use() {
    let app = strict().spawn().await;
    let id = import(&app).await;
    let before = stored(&app, &id).await;
    call(&app, HERE, "wrong").await.assert_error(401, "invalid_client");
    assert_eq!(stored(&app, &id).await, before);
    for _ in 0..3 {
        assert_eq!(call(&app, HERE, SECRET).await.status, 200);
        let client = stored(&app, &id).await;
        let ClientKind::Confidential(StoredSecret::Hash(hash)) = &client.kind else {
            panic!("{:?}", client.kind)
        };
        assert!(hash.encoded().starts_with("$argon2id$"));
        assert_eq!(Client { kind: before.kind.clone(), ..client }, before);
    }
    call(&app, HERE, "wrong").await.assert_error(401, "invalid_client");
}

/// The budget is checked first, so the right guess is refused like all others.
#[tokio::test]
async fn guesses_at_chosen_secret_stop_at_the_budget_of_the_address() {
    let app = strict().set("throttle.failures_per_user", "1000").spawn().await;
    import(&app).await;
    for number in 0..5 {
        let answer = call(&app, HERE, &format!("s3cret{}", number + 10)).await;
        answer.assert_error(401, "invalid_client");
    }
    assert_refused(&call(&app, HERE, SECRET).await);
    assert_eq!(call(&app, "192.0.2.2", SECRET).await.status, 200);
}

/// The guesses are at another client, so that the budget of the address alone is spent.
#[tokio::test]
async fn known_client_is_served_from_the_address_of_a_guesser() {
    let app = strict().set("throttle.failures_per_user", "1000").spawn().await;
    import(&app).await;
    assert_eq!(call(&app, HERE, SECRET).await.status, 200);
    for _ in 0..2 {
        for number in 0..20 {
            call_as(&app, HERE, "another", &format!("guess-{number}")).await;
        }
        assert_refused(&call_as(&app, HERE, "another", SECRET).await);
        assert_eq!(call(&app, HERE, SECRET).await.status, 200);
        // The second time, the client is not in the cache.
        app.advance(11 * 60);
    }
}

#[tokio::test]
async fn client_in_use_is_served_despite_guesses_at_its_own_secret_from_its_address() {
    let app = strict().set("throttle.failures_per_user", "4").spawn().await;
    import(&app).await;
    assert_eq!(call(&app, HERE, SECRET).await.status, 200);
    let mut refused = 0;
    for number in 0..12 {
        refused += u32::from(call(&app, HERE, &format!("guess-{number}")).await.status == 429);
        assert_eq!(call(&app, HERE, SECRET).await.status, 200);
    }
    assert!(refused > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chosen_secret_is_hashed_once_and_not_for_every_call() {
    let app = strict().set("metrics.bind", "127.0.0.1:0").spawn().await;
    import(&app).await;
    for calls in [1, 50] {
        let answers = all((0..calls).map(|_| call(&app, HERE, SECRET))).await;
        assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
        let text = scrape(&app).await;
        assert!(text.contains("\nsentinel_password_hash_seconds_count 1\n"), "{text}");
    }
}

#[tokio::test]
async fn replaced_or_disabled_client_is_refused_despite_the_cache() {
    let app = strict().spawn().await;
    let id = import(&app).await;
    let enabled =
        |enabled| sentinel::admin::ClientChange { enabled: Some(enabled), ..Default::default() };
    assert_eq!(call(&app, HERE, SECRET).await.status, 200);
    app.admin.edit_client(&id, &enabled(false)).await.unwrap();
    call(&app, HERE, SECRET).await.assert_error(401, "invalid_client");
    app.admin.edit_client(&id, &enabled(true)).await.unwrap();
    assert_eq!(call(&app, HERE, SECRET).await.status, 200);
    app.admin.rotate_secret(&id, Default::default()).await.unwrap().into_result().unwrap();
    call(&app, HERE, SECRET).await.assert_error(401, "invalid_client");
}

#[tokio::test]
async fn percent_encoded_chosen_secret_is_accepted_in_both_readings() {
    let app = strict().spawn().await;
    let secret = "a secret + more";
    let id: ClientId = "imported".parse().unwrap();
    let client = NewClient { confidential: true, introspection: true, ..NewClient::default() };
    let kind = ClientKind::Confidential(StoredSecret::Digest(Digest::of(secret.as_bytes())));
    app.admin.import_client(ImportedClient { id, kind, enabled: true, client }).await.unwrap();
    for sent in ["a secret + more", "a+secret+%2B+more"] {
        assert_eq!(call(&app, HERE, sent).await.status, 200, "{sent}");
    }
}

#[tokio::test]
async fn guesses_of_one_address_do_not_spend_the_budget_of_its_network() {
    let app = strict().spawn().await;
    import(&app).await;
    // The network has the budget of eight addresses.
    for number in 0..60 {
        let secret = ClientSecret::generate().unwrap();
        let answer = call(&app, HERE, secret.expose_secret()).await;
        assert_eq!(answer.status, if number < 5 { 401 } else { 429 });
    }
    assert_eq!(call(&app, "192.0.2.200", SECRET).await.status, 200);
}

/// `a%2Bb` can only mean the client `a+b`, while `a+b` can also mean `a b`.
#[tokio::test]
async fn guesses_at_both_readings_of_a_client_id_count_for_both() {
    let app = strict().spawn().await;
    import_as(&app, "a+b").await;
    for number in 0..5 {
        let from = format!("198.51.{number}.1");
        let answer = call_as(&app, &from, "a+b", &format!("guess-{number}")).await;
        answer.assert_error(401, "invalid_client");
    }
    // Attempts on a name under attack run after a pause.
    let started = std::time::Instant::now();
    for number in 0..2 {
        let answer = call_as(&app, &format!("203.0.{number}.1"), "a%2Bb", "another").await;
        answer.assert_error(401, "invalid_client");
    }
    assert!(started.elapsed() >= std::time::Duration::from_millis(250));
}
