//! The caller cache: clients that have authenticated, by their credentials.
//!
//! A resource server sends the same header with thousands of introspections a second. Parsing it
//! and comparing its contents costs more than the rest of an introspection outside the store, and
//! verifying a secret that was stored as a password hash costs a thousand times more. The cache key
//! is a MAC of the credentials under a key that exists only in the memory of the process. Whoever
//! uses a cached client compares it with its current record, so that a change takes effect at once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::Request;
use crate::domain::{Client, Digest, ProcessKey, Timestamp};

/// Maximum number of authenticated clients in the cache; most servers have fewer.
const CAPACITY: usize = 1024;
/// Time after the last use in which credentials stay in the cache.
const TTL: Duration = Duration::from_secs(600);
/// Precision of the time of the last use. Frequent callers write it rarely.
const PRECISION_MS: i64 = 30_000;

/// Cache of the records of clients that have authenticated, by a MAC of the credentials that they
/// sent.
pub(super) struct CallerCache {
    key: ProcessKey,
    callers: RwLock<HashMap<Digest, Caller>>,
}

struct Caller {
    client: Arc<Client>,
    /// Time of the last use, in milliseconds.
    used_at: AtomicI64,
}

impl CallerCache {
    /// Returns the client that authenticated before with the credentials of `request`, if it is
    /// cached. The client's record in the store may have changed since.
    pub(super) fn get(&self, request: &Request<'_>, now: Timestamp) -> Option<Arc<Client>> {
        let key = self.cache_key(request)?;
        let callers = self.callers.read().unwrap_or_else(PoisonError::into_inner);
        let caller = callers.get(&key).filter(|caller| caller.is_fresh(now))?;
        let used_at = caller.used_at.load(Ordering::Relaxed);
        if now.as_millis().saturating_sub(used_at) > PRECISION_MS {
            caller.used_at.store(now.as_millis(), Ordering::Relaxed);
        }
        Some(Arc::clone(&caller.client))
    }

    /// Adds `client`, which has authenticated, under the credentials of `request`.
    pub(super) fn insert(&self, request: &Request<'_>, client: &Client, now: Timestamp) {
        let Some(key) = self.cache_key(request) else { return };
        // Checked under the read lock: repeated requests of a cached caller must not block others.
        let cached = self.callers.read().unwrap_or_else(PoisonError::into_inner);
        if cached.get(&key).is_some_and(|cached| cached.is_fresh(now) && *cached.client == *client)
        {
            return;
        }
        drop(cached);
        let mut callers = self.callers.write().unwrap_or_else(PoisonError::into_inner);
        if callers.len() >= CAPACITY {
            callers.retain(|_, caller| caller.is_fresh(now));
        }
        if callers.len() >= CAPACITY {
            callers.clear();
        }
        let client = Arc::new(client.clone());
        callers.insert(key, Caller { client, used_at: AtomicI64::new(now.as_millis()) });
    }

    /// Returns the cache key: the MAC of the credentials in the request, all of which decide about
    /// the authentication. Returns `None` if the request has neither a header nor a secret.
    fn cache_key(&self, request: &Request<'_>) -> Option<Digest> {
        let (id, secret) = (request.params.get("client_id"), request.params.get("client_secret"));
        let header = request.authorization.header();
        if header.is_none() && secret.is_none() {
            return None;
        }
        let (id, secret) = (id.unwrap_or_default(), secret.unwrap_or_default());
        let header = header.unwrap_or_default();
        Some(self.key.mac(&[header, id.as_bytes(), secret.as_bytes()]))
    }
}

impl Default for CallerCache {
    fn default() -> Self {
        Self { key: ProcessKey::generate(), callers: RwLock::default() }
    }
}

impl Caller {
    fn is_fresh(&self, now: Timestamp) -> bool {
        now < Timestamp::from_millis(self.used_at.load(Ordering::Relaxed)).plus(TTL)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::{ClientId, ClientKind, Scope, StoredSecret};
    use crate::oauth::{Authorization, AuthorizationHeader, Params};

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000_000);

    fn with<T>(header: Option<&str>, body: &str, run: impl FnOnce(&Request<'_>) -> T) -> T {
        let read = |_: &[u8]| AuthorizationHeader::Unreadable;
        let authorization = header.map_or_else(Authorization::missing, |header| {
            Authorization::of(header.as_bytes(), read)
        });
        let params = Params::parse(body.as_bytes()).unwrap_or_else(|_| panic!("{body}"));
        run(&Request { authorization: &authorization, params: &params, address: None })
    }

    fn caller() -> Client {
        let now = Timestamp::from_millis(0);
        Client {
            id: ClientId::generate().unwrap(),
            name: String::new(),
            kind: ClientKind::Confidential(StoredSecret::Digest(Digest::of(b"secret"))),
            grants: BTreeSet::new(),
            scopes: Scope::default(),
            default_scopes: Scope::default(),
            access_token_ttl: None,
            refresh_idle_ttl: None,
            session_ttl: None,
            introspection: true,
            introspect_refresh_tokens: false,
            enabled: true,
            generation: 0,
            version: 0,
            created_at: now,
            updated_at: now,
        }
    }

    #[test]
    fn caller_cache_hit_requires_identical_credentials() {
        let (cache, caller) = (CallerCache::default(), caller());
        let get = |header, body| with(header, body, |request| cache.get(request, NOW));
        with(Some("Basic eA=="), "token=x", |request| cache.insert(request, &caller, NOW));
        with(None, "client_id=a&client_secret=b", |request| cache.insert(request, &caller, NOW));
        let both = "client_id=a&client_secret=b";
        with(Some("Basic eg=="), both, |request| cache.insert(request, &caller, NOW));
        assert_eq!(get(Some("Basic eg=="), both).as_deref(), Some(&caller));
        assert_eq!(get(Some("Basic eA=="), "token=y").as_deref(), Some(&caller));
        assert_eq!(get(None, "client_secret=b&client_id=a").as_deref(), Some(&caller));
        for (header, body) in [
            (None, "token=x"),
            (Some("Basic eQ=="), "token=x"),
            (Some("Basic eA=="), "client_id=a"),
            (Some("Basic eA=="), both),
            (Some("Basic eg=="), "client_id=a"),
            (Some("Basic eg=="), "token=x"),
            (None, "client_id=a"),
            (None, "client_secret=b"),
            (None, "client_id=a&client_secret=c"),
            (Some("a"), "client_secret=b"),
        ] {
            assert_eq!(get(header, body), None, "{header:?} {body}");
        }
        // A client may send its id in the body too.
        let both = "client_id=a&token=x";
        with(Some("Basic eA=="), both, |request| cache.insert(request, &caller, NOW));
        assert_eq!(get(Some("Basic eA=="), both).as_deref(), Some(&caller));
        assert_eq!(get(Some("Basic eA=="), "client_id=b&token=x"), None);
    }

    #[test]
    fn caller_is_cached_for_ten_minutes_after_last_use() {
        let (cache, caller) = (CallerCache::default(), caller());
        let at = |seconds| NOW.plus(Duration::from_secs(seconds));
        let get = |seconds| with(Some("Basic eA=="), "", |request| cache.get(request, at(seconds)));
        with(Some("Basic eA=="), "", |request| cache.insert(request, &caller, NOW));
        for seconds in [0, 599, 1198] {
            assert!(get(seconds).is_some(), "{seconds}");
        }
        assert!(get(1798).is_none());
    }

    #[test]
    fn caller_cache_size_is_bounded() {
        let (cache, caller) = (CallerCache::default(), caller());
        for number in 0..2 * CAPACITY {
            let header = format!("Basic {number}");
            with(Some(&header), "", |request| cache.insert(request, &caller, NOW));
        }
        assert!(cache.callers.read().is_ok_and(|callers| (1..=CAPACITY).contains(&callers.len())));
    }
}
