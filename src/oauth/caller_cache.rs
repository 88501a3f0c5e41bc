//! The caller cache: clients that have authenticated for introspection, by their credentials.
//!
//! A resource server sends the same header with thousands of introspections a second. Parsing it
//! and comparing its contents costs more than the rest of an introspection outside the store. The
//! cache key is a SHA-256 digest of the header. The header contains a random secret, so the key is
//! as sensitive as the digest of the secret, which every store has. Credentials in the body are
//! handled likewise.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use zeroize::Zeroizing;

use super::Request;
use crate::domain::{Client, Digest};

/// Maximum number of authenticated introspection clients in the cache; most servers have fewer.
const CAPACITY: usize = 1024;

/// Cache of the records of clients that have authenticated for introspection, by the SHA-256 digest
/// of the credentials that they sent.
#[derive(Default)]
pub(super) struct CallerCache(RwLock<HashMap<Digest, Arc<Client>>>);

impl CallerCache {
    /// Returns the client that authenticated before with the credentials of `request`, if it is
    /// cached. The client's record in the store may have changed since.
    pub(super) fn get(&self, request: &Request<'_>) -> Option<Arc<Client>> {
        let key = cache_key(request)?;
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key).map(Arc::clone)
    }

    /// Adds `caller`, an authenticated client with the introspection permission, under the
    /// credentials of `request`.
    pub(super) fn insert(&self, request: &Request<'_>, caller: &Client) {
        let Some(key) = cache_key(request) else { return };
        // Checked under the read lock: repeated requests of a cached caller must not block others.
        let cached = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if cached.get(&key).is_some_and(|cached| **cached == *caller) {
            return;
        }
        drop(cached);
        let mut callers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if callers.len() >= CAPACITY {
            callers.clear();
        }
        callers.insert(key, Arc::new(caller.clone()));
    }

    /// Removes the client cached for the credentials of `request`, because its record has changed.
    pub(super) fn remove(&self, request: &Request<'_>) {
        if let Some(key) = cache_key(request) {
            self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&key);
        }
    }
}

/// Returns the cache key: the SHA-256 digest of the credentials in the request, all of which decide
/// about the authentication. Returns `None` if the request has neither a header nor a secret.
fn cache_key(request: &Request<'_>) -> Option<Digest> {
    let (id, secret) = (request.params.get("client_id"), request.params.get("client_secret"));
    match (request.authorization.header(), id, secret) {
        (None, _, None) => None,
        (Some(header), None, None) => Some(Digest::of(header)),
        // A NUL separates the values. Neither a header (RFC 9110 §5.5) nor the id of a client
        // contains one, so keys of different credentials cannot be equal.
        (header, id, secret) => {
            let header = header.unwrap_or_default();
            let (id, secret) = (id.unwrap_or_default(), secret.unwrap_or_default());
            let all = Zeroizing::new([header, id.as_bytes(), secret.as_bytes()].join(&0));
            Some(Digest::of(&all))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::{ClientId, ClientKind, Scope, Timestamp};
    use crate::oauth::{Authorization, AuthorizationHeader, Params};

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
            id: ClientId::generate(),
            name: String::new(),
            kind: ClientKind::Confidential(Digest::of(b"secret")),
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
        let get = |header, body| with(header, body, |request| cache.get(request));
        with(Some("Basic eA=="), "token=x", |request| cache.insert(request, &caller));
        with(None, "client_id=a&client_secret=b", |request| cache.insert(request, &caller));
        let both = "client_id=a&client_secret=b";
        with(Some("Basic eg=="), both, |request| cache.insert(request, &caller));
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
        with(Some("Basic eA=="), "token=x", |request| cache.remove(request));
        assert_eq!(get(Some("Basic eA=="), "token=x"), None);
    }

    #[test]
    fn caller_cache_size_is_bounded() {
        let (cache, caller) = (CallerCache::default(), caller());
        for number in 0..2 * CAPACITY {
            let header = format!("Basic {number}");
            with(Some(&header), "", |request| cache.insert(request, &caller));
        }
        assert!(cache.0.read().is_ok_and(|callers| (1..=CAPACITY).contains(&callers.len())));
    }
}
