//! Callers that have proven themselves, remembered by the header that they did it with.
//!
//! A resource server sends the same header with each of thousands of introspections a second. To take it
//! apart and compare what is in it costs more than all else that an introspection does outside the store.
//! What is kept is a digest of the header, which holds a random secret: it is worth as much as the digest
//! of the secret, which every store has.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::Request;
use crate::domain::{Client, Digest};

/// So many are remembered at most; a server has fewer callers that call it all the time.
const REMEMBERED: usize = 1024;

/// Callers as they were when they proved themselves.
#[derive(Default)]
pub(super) struct Proven(RwLock<HashMap<Digest, Arc<Client>>>);

impl Proven {
    /// The caller that has sent such a request before, as it was then. It may have changed since.
    pub(super) fn recall(&self, request: &Request<'_>) -> Option<Arc<Client>> {
        let digest = digest(request)?;
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&digest).map(Arc::clone)
    }

    /// Remembers that this request is the caller's.
    pub(super) fn note(&self, request: &Request<'_>, caller: &Client) {
        let Some(digest) = digest(request) else { return };
        // Who calls like this for long should not keep others waiting.
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if known.get(&digest).is_some_and(|known| **known == *caller) {
            return;
        }
        drop(known);
        let mut callers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if callers.len() >= REMEMBERED {
            callers.clear();
        }
        callers.insert(digest, Arc::new(caller.clone()));
    }

    /// Forgets who has sent such a request: it is somebody else by now.
    pub(super) fn forget(&self, request: &Request<'_>) {
        if let Some(digest) = digest(request) {
            self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&digest);
        }
    }
}

/// What a request is known by: its header, if it is all that the request says of the caller.
fn digest(request: &Request<'_>) -> Option<Digest> {
    let header = request.authorization.header()?;
    let says_more = |name| request.params.get(name).is_some();
    let is_all = !says_more("client_id") && !says_more("client_secret");
    is_all.then(|| Digest::of(header))
}
