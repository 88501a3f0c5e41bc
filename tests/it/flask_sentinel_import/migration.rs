//! Migration of a deployment: users stay logged in, and what was revoked stays revoked.

use serde_json::json;

use super::source_server::{FlaskSentinel, Login};
use super::target::{ImportTarget, TargetServer};
use crate::helpers::mongod;

const PASSWORDS: [(&str, &str); 3] =
    [("alice", "wonder land"), ("b\u{f6}b", "pa\u{df}word"), ("carol", "c")];

struct Shop {
    old: FlaskSentinel,
    client: String,
    logins: Vec<Login>,
}

/// Creates a deployment with three users, each of them logged in.
async fn shop() -> Shop {
    let old = FlaskSentinel::start().await;
    let client = old.add_client().await;
    let mut logins = Vec::new();
    for (name, password) in PASSWORDS {
        old.add_user(name, password).await;
        logins.push(old.login(&client, name, password).await);
    }
    Shop { old, client, logins }
}

async fn assert_migration_keeps_logins(shop: &Shop, ours: &ImportTarget) {
    let Shop { old, client, logins } = shop;
    let before = ours.contents().await;
    let planned = ours.import(&old.uri(), &["--dry-run"]);
    assert_eq!(ours.contents().await, before, "a dry run wrote something");
    let mut report = ours.import(&old.uri(), &[]);
    assert_eq!(report["dry_run"], false);
    report["dry_run"] = json!(true);
    assert_eq!(report, planned);
    let counts = |read: u64, imported: u64| {
        json!({
            "read": read, "imported": imported, "already": 0, "expired": 0,
            "skipped": [], "remarks": [],
        })
    };
    assert_eq!(report["users"], counts(3, 3));
    assert_eq!(report["clients"], counts(1, 1));
    assert_eq!(report["tokens"], counts(3, 3));

    let server = ours.serve();
    for ((name, password), login) in PASSWORDS.into_iter().zip(logins) {
        assert_stays_logged_in(&server, old, client, name, login).await;
        assert!(ours.hash_of(name).await.starts_with("$2"));
        let wrong = server.login(client, name, "wrong").await;
        wrong.assert_error(400, "invalid_grant");
        assert_eq!(server.login(client, name, password).await.status, 200);
        assert!(ours.hash_of(name).await.starts_with("$argon2id$"), "it is not upgraded");
    }
    assert_refreshes_like_own_token(&server, client, &logins[0]).await;
    // Revocation before any other use at Sentinel.
    assert_eq!(server.revoke(client, &logins[1].access).await.status, 200);
    assert!(!server.is_active(&logins[1].access).await);
    assert!(server.is_active(&logins[1].refresh).await);
    assert_eq!(server.revoke(client, &logins[1].refresh).await.status, 200);
    assert!(!server.is_active(&logins[1].refresh).await);
    server.refresh(client, &logins[1].refresh).await.assert_error(400, "invalid_grant");
    ours.run(&["user", "delete", "carol"]);
    assert!(!server.is_active(&logins[2].access).await);

    let before = ours.contents().await;
    let again = ours.import(&old.uri(), &[]);
    assert_eq!(ours.contents().await, before, "a second run changed something");
    for kind in ["users", "clients", "tokens"] {
        assert_eq!(again[kind]["imported"], 0, "{again}");
        assert_eq!(again[kind]["already"], again[kind]["read"], "{again}");
    }
    for token in [&logins[1].refresh, &logins[1].access, &logins[2].refresh, &logins[2].access] {
        assert!(!server.is_active(token).await, "it came back");
    }
}

async fn assert_stays_logged_in(
    server: &TargetServer,
    old: &FlaskSentinel,
    client: &str,
    name: &str,
    login: &Login,
) {
    let id = old.id_of(name).await;
    for token in [&login.access, &login.refresh] {
        let json = server.introspect(token).await;
        assert_eq!((&json["active"], &json["sub"]), (&json!(true), &json!(id)), "{json}");
        assert_eq!((&json["username"], &json["client_id"]), (&json!(name), &json!(client)));
    }
    let verified = server.verify(&login.access).await;
    assert_eq!((verified.status, verified.header("x-auth-user-id")), (200, Some(id.as_str())));
    // A token of the wrong kind and a forged one are refused.
    assert_eq!(server.verify(&login.refresh).await.status, 401);
    server.refresh(client, &login.access).await.assert_error(400, "invalid_grant");
    let made_up = login.access.to_uppercase();
    assert!(!server.is_active(&made_up).await);
    assert_eq!(server.verify(&made_up).await.status, 401);
}

/// Asserts that an imported refresh token behaves like one of Sentinel's own.
async fn assert_refreshes_like_own_token(server: &TargetServer, client: &str, login: &Login) {
    let next = server.refresh(client, &login.refresh).await;
    assert_eq!(next.status, 200, "{next:?}");
    assert!(next.access_token().starts_with("sna_"));
    let again = server.refresh(client, &login.refresh).await;
    assert_eq!(again.access_token(), next.access_token());
    assert_eq!(again.refresh_token(), next.refresh_token());
    assert!(!server.is_active(&login.refresh).await);
    assert!(server.is_active(&login.access).await);
    let last = server.refresh(client, &next.refresh_token()).await;
    assert_eq!(last.status, 200, "{last:?}");
    // The imported refresh token is reused and revokes the session.
    server.refresh(client, &login.refresh).await.assert_error(400, "invalid_grant");
    for token in [&last.access_token(), &last.refresh_token(), &login.access] {
        assert!(!server.is_active(token).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migration_to_embedded_store_keeps_users_logged_in() {
    let shop = shop().await;
    assert_migration_keeps_logins(&shop, &ImportTarget::embedded()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migration_to_another_database_keeps_users_logged_in() {
    let shop = shop().await;
    assert_migration_keeps_logins(&shop, &ImportTarget::mongodb(&mongod::replica_set().await))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migration_in_same_database_keeps_tokens_published() {
    let shop = shop().await;
    let Shop { old, client, logins } = &shop;
    let redis = format!("redis.url={}", old.redis.url);
    let ours = ImportTarget::mongodb(&old.source).with(redis);
    let login = &logins[0];
    let id = old.id_of("alice").await;
    assert_eq!(old.redis.owner(&login.access).await.as_ref(), Some(&id));
    // flask-sentinel would leave this key when it deletes the record of the token.
    old.redis.ask::<()>(&["SET", "unknownunknownunknownunknown30", &id, "EX", "3600"]).await;
    assert_eq!(ours.import(&old.uri(), &[])["unknown_tokens"], 1);
    assert_eq!(old.redis.owner(&login.access).await.as_ref(), Some(&id));
    let ttl: i64 = old.redis.ask(&["TTL", &login.access]).await;
    assert!((3500..=3600).contains(&ttl), "{ttl}");

    let server = ours.serve();
    let next = server.refresh(client, &login.refresh).await;
    assert_eq!(old.redis.owner(&next.access_token()).await.as_ref(), Some(&id));
    assert_eq!(server.revoke(client, &login.access).await.status, 200);
    assert_eq!(old.redis.owner(&login.access).await, None);
    assert!(server.is_active(&logins[1].access).await);
    assert_eq!(server.revoke(client, &logins[1].refresh).await.status, 200);
    assert_eq!(old.redis.owner(&logins[1].access).await, None);
    ours.run(&["user", "disable", "carol"]);
    assert_eq!(old.redis.owner(&logins[2].access).await, None);
    assert!(!server.is_active(&logins[2].access).await);
}
