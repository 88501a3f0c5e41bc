//! Clients as they were last found, in memory, for [`super::ClientStore::recall`].

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::domain::{Client, ClientId};

/// So many clients are remembered at most; a server has fewer that call it all the time.
const REMEMBERED: usize = 1024;

/// Clients as they were last found.
#[derive(Default)]
pub(super) struct Remembered(RwLock<HashMap<ClientId, Arc<Client>>>);

impl Remembered {
    pub(super) fn get(&self, id: &ClientId) -> Option<Arc<Client>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    pub(super) fn note(&self, id: &ClientId, found: Option<&Client>) {
        // Most calls find what is remembered already, and should not wait for each other.
        if self.get(id).as_deref() == found {
            return;
        }
        let mut clients = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match found {
            None => drop(clients.remove(id)),
            Some(client) => {
                if clients.len() >= REMEMBERED {
                    clients.clear();
                }
                clients.insert(id.clone(), Arc::new(client.clone()));
            }
        }
    }
}
