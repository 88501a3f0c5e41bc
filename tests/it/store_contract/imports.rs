//! Cases for `ImportStore`.

use std::time::Duration;

use sentinel::domain::{Digest, SessionId};
use sentinel::store::{LegacyToken, Page, imports};

use super::{Backend, samples};
use crate::helpers::START;

pub(super) async fn import_record_is_kept_until_forgotten(Backend { stores, other, .. }: &Backend) {
    let imports = &stores.imports;
    assert!(!imports.is_imported("users/1").await.unwrap());
    for _ in 0..2 {
        imports.record_import("users/1").await.unwrap();
        assert!(other.imports.is_imported("users/1").await.unwrap());
    }
    assert!(!imports.is_imported("users/2").await.unwrap());
    imports.delete_import_record("users/1").await.unwrap();
    imports.delete_import_record("users/2").await.unwrap();
    assert!(!other.imports.is_imported("users/1").await.unwrap());
}

pub(super) async fn import_records_are_written_and_found_together(
    Backend { stores, other, .. }: &Backend,
) {
    let keys = |names: &[&str]| -> Vec<String> { names.iter().map(ToString::to_string).collect() };
    stores.imports.record_imports(&[]).await.unwrap();
    stores.imports.record_import("users/2").await.unwrap();
    // A record that exists changes nothing for the others.
    stores.imports.record_imports(&keys(&["users/1", "users/2", "users/3"])).await.unwrap();
    let asked = keys(&["users/3", "users/4", "users/1", "users/2"]);
    let found = other.imports.filter_imported(&asked).await.unwrap();
    assert_eq!(found, keys(&["users/1", "users/2", "users/3"]).into_iter().collect());
    assert!(other.imports.filter_imported(&[]).await.unwrap().is_empty());
}

/// A server probes its store every second. `store copy` and `import` must not see that.
pub(super) async fn probe_writes_and_leaves_no_record(Backend { stores, other, .. }: &Backend) {
    for stores in [stores, other, stores] {
        stores.health.probe().await.unwrap();
        assert!(stores.health.last_write().is_recent_success());
    }
    let all = Page::first(10);
    assert!(other.imports.list_import_records(&all).await.unwrap().is_empty());
    let counted =
        [other.listing.count_users("", 9).await, other.listing.count_clients("", 9).await];
    assert!(counted.into_iter().all(|count| count.unwrap() == 0));
}

pub(super) async fn import_records_are_listed_by_key_in_pages(Backend { stores, .. }: &Backend) {
    for key in ["b", "a", "c", "B", "a/1"] {
        stores.imports.record_import(key).await.unwrap();
    }
    let list = async |after: Option<&str>, limit| {
        let page = Page { cursor: after.map(str::to_owned), limit };
        stores.imports.list_import_records(&page).await.unwrap()
    };
    assert_eq!(list(None, 10).await, ["B", "a", "a/1", "b", "c"]);
    assert_eq!(list(Some("a"), 2).await, ["a/1", "b"]);
    assert!(list(Some("c"), 2).await.is_empty());
}

pub(super) async fn alias_resolves_to_its_session_and_is_listed(Backend { stores, .. }: &Backend) {
    let mut aliases: Vec<LegacyToken> = (0_u8..5)
        .map(|number| LegacyToken {
            access: Digest::of(&[number]),
            session: SessionId::from_bytes([number; 12]),
            expires_at: START.plus(Duration::from_secs(number.into())),
        })
        .collect();
    for alias in aliases.iter().chain(&aliases) {
        stores
            .imports
            .add_legacy_token(&alias.access, alias.session, alias.expires_at)
            .await
            .unwrap();
    }
    for alias in &aliases {
        let found = stores.imports.find_legacy_token(&alias.access).await.unwrap();
        assert_eq!(found, Some(alias.session));
    }
    assert_eq!(stores.imports.find_legacy_token(&Digest::of(b"x")).await.unwrap(), None);
    aliases.sort_by_key(|alias| *alias.access.as_bytes());
    let first = stores.imports.list_legacy_tokens(None, 3).await.unwrap();
    assert_eq!(first, aliases[..3]);
    let rest = stores.imports.list_legacy_tokens(Some(&aliases[2].access), 10).await.unwrap();
    assert_eq!(rest, aliases[3..]);
}

pub(super) async fn imported_sessions_are_tracked_until_the_last_has_ended(
    Backend { stores, other, .. }: &Backend,
) {
    let some = async || imports::may_have_sessions(other).await.unwrap();
    let forget = async |now| imports::purge_session_records(stores, now).await.unwrap();
    stores.imports.record_import("tokens/1").await.unwrap();
    assert!(!some().await);
    let client = samples::client();
    let sessions: Vec<_> = (0..3).map(|_| samples::session(None, &client)).collect();
    for session in &sessions {
        stores.transfer.put_session_unchecked(session).await.unwrap();
        imports::record_session(stores, session.id).await.unwrap();
    }
    for session in &sessions {
        forget(START).await;
        assert!(some().await);
        assert!(stores.sessions.delete(session.id).await.unwrap().value);
    }
    forget(START).await;
    assert!(!some().await);
    // More records than one batch; only one of their sessions exists, and it expires later.
    for number in 0..250_u8 {
        imports::record_session(stores, SessionId::from_bytes([number; 12])).await.unwrap();
    }
    let last = samples::session(None, &client);
    stores.transfer.put_session_unchecked(&last).await.unwrap();
    imports::record_session(stores, last.id).await.unwrap();
    forget(START).await;
    assert!(some().await);
    forget(last.expires_at()).await;
    assert!(!some().await);
    assert!(stores.imports.is_imported("tokens/1").await.unwrap());
}
