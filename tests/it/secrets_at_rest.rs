//! Contents of the stores after tokens have been issued, used and revoked: no more than
//! `docs/threat-model.md` says that a reader of them finds.

use mongodb::bson::{Document, doc};
use sentinel::domain::{ClientKind, StoredSecret};

use crate::helpers::redis::Redis;
use crate::helpers::{App, AppBuilder, PASSWORD, TestResponse, mongod, spawn_app};

/// Byte strings that must not be found, each with a description.
#[derive(Clone, Default)]
struct Secrets(Vec<(String, Vec<u8>)>);

impl Secrets {
    fn add(&mut self, what: &str, bytes: &[u8]) {
        self.0.push((what.to_owned(), bytes.to_vec()));
    }

    /// Adds a token as text, and its two secret parts as text, bytes and hexadecimal digits.
    fn add_token(&mut self, what: &str, token: &str) {
        self.add(what, token.as_bytes());
        self.add_parts(what, token);
    }

    fn add_parts(&mut self, what: &str, token: &str) {
        for (part, length) in [(&token[4..26], 16), (&token[26..69], 32)] {
            self.add(&format!("a part of {what}"), part.as_bytes());
            self.add(&format!("the bytes of {what}"), &base62(part, length));
            self.add(
                &format!("{what} in hexadecimal"),
                hex::encode(base62(part, length)).as_bytes(),
            );
        }
    }

    /// Asserts that `found` contains none of the secrets.
    fn assert_not_in(&self, place: &str, found: &[u8]) {
        for (what, secret) in &self.0 {
            assert!(!holds(found, secret), "{what} is in {place}");
        }
    }
}

fn holds(found: &[u8], wanted: &[u8]) -> bool {
    found.windows(wanted.len()).any(|part| part == wanted)
}

/// Decodes base62 digits into a big-endian number of `length` bytes.
fn base62(digits: &str, length: usize) -> Vec<u8> {
    let value = |c: u8| match c {
        b'0'..=b'9' => c - b'0',
        b'A'..=b'Z' => c - b'A' + 10,
        _ => c - b'a' + 36,
    };
    let mut bytes = vec![0_u8; length];
    for digit in digits.bytes().map(value) {
        let mut carry = u32::from(digit);
        for byte in bytes.iter_mut().rev() {
            carry += u32::from(*byte) * 62;
            *byte = carry.to_be_bytes()[3];
            carry >>= 8;
        }
        assert_eq!(carry, 0, "{digits} do not fit");
    }
    bytes
}

#[test]
fn base62_decodes_known_values() {
    assert_eq!(base62("00", 1), [0]);
    assert_eq!(base62("47", 1), [4 * 62 + 7]);
    assert_eq!(base62("000G8", 2), [3, 0xe8]);
}

/// Creates tokens in every state: active, used, revoked, of an ended and of a continuing session.
async fn cycle(app: &App) -> (Secrets, Vec<TestResponse>) {
    let first = app.login().await;
    let second = app.refresh(&first.refresh_token()).await;
    let third = app.refresh(&second.refresh_token()).await;
    for token in [third.access_token(), third.refresh_token(), second.access_token()] {
        assert!(app.is_active(&token).await);
    }
    assert_eq!(app.revoke(&second.access_token()).await.status, 200);
    let ended = app.login().await;
    assert_eq!(app.revoke(&ended.refresh_token()).await.status, 200);
    let own = app.post_as_backend("/oauth/token", &[("grant_type", "client_credentials")]).await;
    app.login_as("typed-into-the-wrong-field", "some-wrong-password", &[]).await;
    app.login_as("alice", "some-wrong-password", &[]).await;
    app.post("/oauth/token", &[("client_id", "nobody-knows-it"), ("grant_type", "password")]).await;

    let mut secrets = Secrets::default();
    secrets.add("a password", PASSWORD.as_bytes());
    secrets.add("a wrong password", b"some-wrong-password");
    secrets.add("what was taken for a name", b"typed-into-the-wrong-field");
    secrets.add("what was taken for a client", b"nobody-knows-it");
    secrets.add("a client secret", app.backend_secret.as_bytes());
    for answer in [&first, &second, &third, &ended] {
        secrets.add_token("a refresh token", &answer.refresh_token());
    }
    let answers = vec![first, second, third, ended, own];
    (secrets, answers)
}

/// Adds the access tokens, which must not be found in a store either.
fn with_access(mut secrets: Secrets, answers: &[TestResponse]) -> Secrets {
    for answer in answers {
        secrets.add_token("an access token", &answer.access_token());
    }
    secrets
}

#[tokio::test]
async fn embedded_store_file_contains_no_token_secret_or_password() {
    let app = spawn_app().await;
    let (secrets, answers) = cycle(&app).await;
    let secrets = with_access(secrets, &answers);
    let backup = app.folder.path().join("backup");
    app.run(&["store", "backup", backup.to_str().unwrap()]).await;
    let mut has_hash = false;
    // The log is read before the file: a checkpoint in between copies its pages into the file.
    for name in ["sentinel.db-wal", "sentinel.db", "backup"] {
        let found = std::fs::read(app.folder.path().join(name)).unwrap();
        secrets.assert_not_in(name, &found);
        let has = |text: &str| holds(&found, text.as_bytes());
        // User names and hashes are there, as the page says.
        if name == "backup" {
            assert!(has("alice") && has("$argon2id$") && has("read write"));
        } else {
            has_hash |= has("$argon2id$");
        }
    }
    assert!(has_hash, "neither the store file nor its log contains the password hash");
}

#[tokio::test]
async fn backup_contains_no_deleted_user_and_no_replaced_hash() {
    let app = spawn_app().await;
    let old = app.user.password.encoded().to_owned();
    app.run_with("another horse", &["user", "passwd", "alice", "--password-stdin"]).await;
    app.run_with("a third horse", &["user", "add", "mallory", "--password-stdin"]).await;
    app.run(&["user", "delete", "mallory"]).await;
    let backup = app.folder.path().join("backup");
    app.run(&["store", "backup", backup.to_str().unwrap()]).await;
    let mut gone = Secrets::default();
    gone.add("a former hash", old.as_bytes());
    gone.add("a user who was deleted", b"mallory");
    let found = std::fs::read(backup).unwrap();
    assert!(holds(&found, b"alice"));
    gone.assert_not_in("the backup", &found);
}

/// Reads all documents of all collections of a database.
async fn documents(database: &mongodb::Database) -> Vec<u8> {
    use futures_util::TryStreamExt;
    let mut found = Vec::new();
    for name in database.list_collection_names().await.unwrap() {
        let all = database.collection::<Document>(&name).find(doc! {}).await.unwrap();
        for document in all.try_collect::<Vec<_>>().await.unwrap() {
            found.extend(document.to_vec().unwrap());
        }
    }
    found
}

#[tokio::test]
async fn mongodb_documents_contain_no_token_secret_or_password() {
    let (target, redis) = (mongod::replica_set().await, Redis::start());
    let app = AppBuilder::default().mongodb(&target).redis(&redis).spawn().await;
    let (secrets, answers) = cycle(&app).await;
    let found = documents(&target.database().await).await;
    with_access(secrets, &answers).assert_not_in("MongoDB", &found);
    let has = |text: &str| holds(&found, text.as_bytes());
    assert!(has("alice") && has("$argon2id$") && has(app.client.id.as_str()));
}

/// Reads all keys of Redis with their types and values.
async fn everything(redis: &Redis) -> Vec<(String, String, Vec<u8>)> {
    let mut found = Vec::new();
    for (key, kind) in redis.keys().await {
        let parts: Vec<Vec<u8>> = match kind.as_str() {
            "string" => vec![redis.ask(&["GET", &key]).await],
            "hash" => redis.ask(&["HGETALL", &key]).await,
            "zset" => redis.ask(&["ZRANGE", &key, "0", "-1"]).await,
            "set" => redis.ask(&["SMEMBERS", &key]).await,
            other => panic!("{key} is a {other}"),
        };
        found.push((key, kind, parts.join(&0)));
    }
    found
}

#[tokio::test]
async fn redis_contains_published_live_access_tokens_and_no_other_secret() {
    let (target, redis) = (mongod::replica_set().await, Redis::start());
    let app = AppBuilder::default().mongodb(&target).redis(&redis).spawn().await;
    let (mut secrets, answers) = cycle(&app).await;
    let [first, second, third, ended, own] = answers.as_slice() else { panic!("{answers:?}") };
    secrets.add("a password hash", app.user.password.encoded().as_bytes());
    let ClientKind::Confidential(StoredSecret::Digest(digest)) = &app.backend.kind else {
        panic!("{:?}", app.backend.kind)
    };
    secrets.add("a client secret's digest", digest.as_bytes());
    // Revoked tokens, and those of ended sessions, have been removed.
    secrets.add("a revoked token", second.access_token().as_bytes());
    secrets.add_token("a token of a session that was ended", &ended.access_token());
    // A token without a user is not published.
    secrets.add_token("a token of a client", &own.access_token());
    let live = [first, third].map(TestResponse::access_token);
    let text = live.clone().map(|token| token.as_bytes()[4..26].to_vec());
    let bytes = live.clone().map(|token| base62(&token[4..26], 16));
    let selectors = [text, bytes].concat();
    let mut kinds = std::collections::BTreeSet::new();
    let mut published = 0;
    for (key, kind, value) in everything(&redis).await {
        let text = [key.as_bytes(), b"\0", &value].concat();
        if kind == "string" {
            assert!(live.contains(&key), "{key} is no live token");
            assert_eq!(value, app.user.id.to_string().into_bytes());
            published += 1;
            continue;
        }
        let family = key.split(':').take(2).collect::<Vec<_>>().join(":");
        // The list of published tokens beside a session contains tokens too, as bytes or as text,
        // and so the selector that all tokens of a session share.
        let mut forbidden = secrets.clone();
        if family == "sentinel:published" {
            forbidden.0.retain(|(_, secret)| !selectors.contains(secret));
        } else {
            live.iter().for_each(|token| forbidden.add_token("an access token", token));
        }
        forbidden.assert_not_in(&key, &text);
        kinds.insert(family);
    }
    let known = ["client", "published", "server", "session", "throttle"];
    let known = known.map(|name| format!("sentinel:{name}"));
    assert!(kinds.iter().all(|family| known.contains(family)), "{kinds:?}");
    assert!(kinds.contains("sentinel:published"), "{kinds:?}");
    assert_eq!(published, live.len());

    // With `redis.publish_tokens = false`, Redis contains no token at all.
    let redis = Redis::start();
    let target = mongod::replica_set().await;
    let app = AppBuilder::default().mongodb(&target).redis(&redis);
    let app = app.set("redis.publish_tokens", "false").spawn().await;
    let (secrets, answers) = cycle(&app).await;
    let secrets = with_access(secrets, &answers);
    let all = everything(&redis).await;
    assert!(!all.is_empty());
    for (key, _, value) in all {
        secrets.assert_not_in(&key, &[key.as_bytes(), b"\0", &value].concat());
    }
}

#[tokio::test]
async fn metrics_contain_no_secret_name_id_or_address() {
    let app = AppBuilder::default().set("metrics.bind", "127.0.0.1:0").spawn().await;
    let (secrets, answers) = cycle(&app).await;
    let mut secrets = with_access(secrets, &answers);
    secrets.add("a user's name", b"alice");
    secrets.add("a user's id", app.user.id.to_string().as_bytes());
    secrets.add("a client's id", app.client.id.as_str().as_bytes());
    secrets.add("an address", b"127.0.0.1");
    let url = app.metrics.clone().unwrap();
    let found = crate::helpers::send(app.http.get(url)).await.text;
    assert!(found.contains("sentinel_token_requests_total"));
    secrets.assert_not_in("the metrics", found.as_bytes());
}

/// Confirms that write access to Redis is trusted, as `docs/threat-model.md` says.
#[tokio::test]
async fn forged_redis_cache_entry_reactivates_a_revoked_access_token() {
    use deadpool_redis::redis::{Client, cmd};
    let (target, redis) = (mongod::replica_set().await, Redis::start());
    let app = AppBuilder::default().mongodb(&target).redis(&redis).spawn().await;
    let login = app.login().await;
    let token = login.access_token();
    // The first introspection fills the cache, which the second reads.
    assert!(app.is_active(&token).await && app.is_active(&token).await);
    let keys = redis.keys().await;
    let key = keys.into_keys().find(|key| key.starts_with("sentinel:session:")).unwrap();
    let fields: Vec<Vec<u8>> = redis.ask(&["HGETALL", &key]).await;
    assert_eq!(app.revoke(&login.refresh_token()).await.status, 200);
    assert!(!app.is_active(&token).await);
    let mut connection =
        Client::open(redis.url.as_str()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let mut forge = cmd("HSET");
    forge.arg(&key);
    for part in &fields {
        forge.arg(part);
    }
    forge.query_async::<()>(&mut connection).await.unwrap();
    assert!(app.is_active(&token).await, "the cache is believed");
    // Refreshes do not use the cache.
    app.refresh(&login.refresh_token()).await.assert_error(400, "invalid_grant");
    // The embedded store uses no cache.
    let app = AppBuilder::default().redis(&redis).spawn().await;
    let login = app.login().await;
    assert!(app.is_active(&login.access_token()).await);
    let keys = redis.keys().await;
    let mut cached = keys.keys().filter(|key| key.starts_with("sentinel:session:"));
    assert!(cached.all(|other| *other == key), "nothing but the forged one is there: {keys:?}");
}
