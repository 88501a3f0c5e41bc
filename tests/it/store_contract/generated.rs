//! Random records are read back unchanged.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use sentinel::domain::{
    AccessToken, Client, ClientId, ClientKind, Digest, Grant, MAX_ACCESS_TOKENS, PasswordHash,
    RefreshChain, Scope, Session, SessionId, SessionUser, StoredSecret, Timestamp, UsedRefresh,
    User, UserId,
};
use sentinel::store::{SessionFilter, Stores, Update};

use super::Backend;
use super::samples::NextVersion;

fn text(longest: usize) -> impl Strategy<Value = String> {
    vec(any::<char>(), 1..=longest).prop_map(String::from_iter)
}

fn scope() -> impl Strategy<Value = Scope> {
    vec("[!#-\\[\\]-~]{1,12}", 0..6).prop_map(|tokens| tokens.join(" ").parse().unwrap())
}

fn moment() -> impl Strategy<Value = Timestamp> {
    moment_from(0)
}

fn moment_from(earliest: i64) -> impl Strategy<Value = Timestamp> {
    (earliest..253_402_300_800_000).prop_map(Timestamp::from_millis)
}

fn counter() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..3, 0u64..(1 << 53)]
}

fn ttl() -> impl Strategy<Value = Option<Duration>> {
    option::of((0u64..(1 << 50)).prop_map(Duration::from_millis))
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest::from_bytes)
}

prop_compose! {
    fn any_user()(
        (id, username) in (any::<[u8; 12]>(), text(60)),
        (imported, hash) in (any::<bool>(), text(120)),
        (scopes, enabled) in (option::of(scope()), any::<bool>()),
        (generation, version) in (counter(), counter()),
        (created_at, updated_at) in (moment(), moment()),
    ) -> User {
        let password =
            if imported { PasswordHash::imported(hash) } else { PasswordHash::own(hash) };
        let id = UserId::from_bytes(id);
        User { id, username, password, scopes, enabled, generation, version, created_at, updated_at }
    }
}

prop_compose! {
    fn any_client()(
        (id, name) in ("[ -~]{1,255}", text(60)),
        (kind, hash) in (option::of(digest()), option::of(text(60))),
        grants in btree_set(proptest::sample::select(&Grant::ALL[..]), 0..=3),
        (scopes, default_scopes) in (scope(), scope()),
        (access_token_ttl, refresh_idle_ttl, session_ttl) in (ttl(), ttl(), ttl()),
        (introspection, introspect_refresh_tokens, enabled) in any::<(bool, bool, bool)>(),
        (generation, version) in (counter(), counter()),
        (created_at, updated_at) in (moment(), moment()),
    ) -> Client {
        let id: ClientId = id.parse().unwrap();
        let kind = match (kind, hash) {
            (None, _) => ClientKind::Public,
            (Some(digest), None) => ClientKind::Confidential(StoredSecret::Digest(digest)),
            (Some(_), Some(hash)) => {
                ClientKind::Confidential(StoredSecret::Hash(PasswordHash::own(hash)))
            }
        };
        let grants: BTreeSet<Grant> = grants;
        Client {
            id, name, kind, grants, scopes, default_scopes, access_token_ttl, refresh_idle_ttl,
            session_ttl, introspection, introspect_refresh_tokens, enabled, generation, version,
            created_at, updated_at,
        }
    }
}

prop_compose! {
    fn access_token(earliest: i64)(
        digest in digest(), scope in option::of(scope()), issued_at in moment(),
        expires_at in moment_from(earliest),
    ) -> AccessToken {
        AccessToken { digest, scope, issued_at, expires_at }
    }
}

prop_compose! {
    fn used()(digest in digest(), salt in any::<[u8; 32]>(), at in moment()) -> UsedRefresh {
        UsedRefresh { digest, salt, at }
    }
}

prop_compose! {
    fn chain(earliest: i64)(
        key in any::<[u8; 16]>(), current in digest(), issued_at in moment(),
        idle_ends_at in moment_from(earliest),
        used in option::of(used()),
    ) -> RefreshChain {
        RefreshChain { mac_key: key, current, issued_at, idle_ends_at, used }
    }
}

prop_compose! {
    /// A session with its client, and with a user that it belongs to or not.
    fn any_session(earliest: i64)(
        (id, version, of_client_alone) in (any::<[u8; 12]>(), counter(), any::<bool>()),
        (user, client) in (any_user(), any_client()),
        (scope, created_at) in (scope(), moment_from(earliest)),
        ends_at in moment_from(earliest),
        access in vec(access_token(earliest), 0..=MAX_ACCESS_TOKENS),
        refresh in option::of(chain(earliest)),
    ) -> (User, Client, Session) {
        let user = User { enabled: true, ..user };
        let client = Client { enabled: true, ..client };
        let of_session = SessionUser {
            id: user.id, username: user.username.clone(), generation: user.generation,
        };
        let session = Session {
            id: SessionId::from_bytes(id),
            version,
            user: (!of_client_alone).then_some(of_session),
            client_id: client.id.clone(),
            client_generation: client.generation,
            scope, created_at, ends_at, access_tokens: access, refresh,
        };
        (user, client, session)
    }
}

/// Runs `check` on generated values, on the test's runtime.
fn for_any<T: std::fmt::Debug, F: Future<Output = ()>>(
    cases: u32,
    values: impl Strategy<Value = T>,
    check: impl Fn(T) -> F,
) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let runtime = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        TestRunner::new(config)
            .run(&values, |value| {
                runtime.block_on(check(value));
                Ok(())
            })
            .unwrap();
    });
}

pub(super) async fn any_user_is_read_back_unchanged(Backend { stores, rounds, .. }: &Backend) {
    for_any(*rounds, (any_user(), any_user()), |(first, second)| async move {
        stores.users.delete(first.id, None).await.unwrap().into_result().unwrap();
        assert!(stores.users.insert(&first).await.unwrap());
        assert_eq!(stores.users.find(first.id).await.unwrap().as_ref(), Some(&first));
        let second = User { id: first.id, version: first.version + 1, ..second };
        assert_eq!(stores.users.update(&second).await.unwrap().value, Update::Done);
        let found = stores.users.find_by_name(&second.username).await.unwrap();
        assert_eq!(found, Some(second));
        assert!(stores.users.delete(first.id, None).await.unwrap().value);
    });
}

pub(super) async fn any_client_is_read_back_unchanged(Backend { stores, rounds, .. }: &Backend) {
    for_any(*rounds, (any_client(), any_client()), |(first, second)| async move {
        assert!(stores.clients.insert(&first).await.unwrap());
        assert_eq!(stores.clients.find(&first.id).await.unwrap().as_ref(), Some(&first));
        let second = Client { id: first.id.clone(), version: first.version + 1, ..second };
        assert_eq!(stores.clients.update(&second).await.unwrap().value, Update::Done);
        assert_eq!(stores.clients.find(&first.id).await.unwrap(), Some(second));
        assert!(stores.clients.delete(&first.id, None).await.unwrap().value);
    });
}

async fn insert_all(stores: &Stores, user: &User, client: &Client, session: &Session) {
    assert!(stores.users.insert(user).await.unwrap());
    assert!(stores.clients.insert(client).await.unwrap());
    assert!(stores.sessions.insert(session).await.unwrap());
}

async fn delete_all(stores: &Stores, user: &User, client: &Client) {
    assert!(stores.users.delete(user.id, None).await.unwrap().value);
    assert!(stores.clients.delete(&client.id, None).await.unwrap().value);
    assert_eq!(stores.sessions.delete_all(&SessionFilter::default()).await.unwrap().value, 0);
}

pub(super) async fn any_session_is_read_back_unchanged(
    Backend { stores, rounds, earliest, .. }: &Backend,
) {
    for_any(*rounds, any_session(*earliest), |(user, client, session)| async move {
        insert_all(stores, &user, &client, &session).await;
        assert_eq!(stores.sessions.find(session.id).await.unwrap(), Some(session));
        delete_all(stores, &user, &client).await;
    });
}

pub(super) async fn any_replaced_session_is_read_back_unchanged(
    Backend { stores, rounds, earliest, .. }: &Backend,
) {
    let access = vec(access_token(*earliest), 0..=MAX_ACCESS_TOKENS);
    let values = (any_session(*earliest), access, option::of(chain(*earliest)));
    for_any(*rounds, values, |((user, client, session), access, refresh)| async move {
        insert_all(stores, &user, &client, &session).await;
        let next = Session { access_tokens: access, refresh, ..session.next() };
        assert!(stores.sessions.replace(&next, false).await.unwrap().value);
        assert_eq!(stores.sessions.find(session.id).await.unwrap(), Some(next.clone()));
        // The session expires with the last of its new tokens, and not before.
        let end = next.expires_at();
        let before = Timestamp::from_millis(end.as_millis() - 1);
        assert_eq!(stores.sessions.purge(before, 10).await.unwrap(), 0);
        let after = Timestamp::from_millis(end.as_millis() + 1);
        assert_eq!(stores.sessions.purge(after, 10).await.unwrap(), 1);
        delete_all(stores, &user, &client).await;
    });
}
