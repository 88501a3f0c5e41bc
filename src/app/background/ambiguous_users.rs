//! Reports users who could be taken for a client, once after the start. Only a store that was
//! copied, or that an earlier version wrote, has such users.

use crate::observe::error_chain;
use crate::store::Stores;

/// Maximum number of users that are reported.
const MAX_REPORTED: usize = 20;

pub(super) async fn run(stores: Stores) {
    let users = match stores.ambiguous_users(MAX_REPORTED).await {
        Ok(users) => users,
        Err(error) => {
            tracing::warn!(
                error = error_chain(&error),
                "user names were not compared with client ids; the next start does so again"
            );
            return;
        }
    };
    for user in users {
        let (username, id) = (user.username, user.id);
        match user.client {
            Some(client) => tracing::warn!(
                %username, user = %id, %client,
                "a user has the name or id of a client: a resource server that names users by \
                 username and clients by client_id takes both for one; rename the user (`sentinel \
                 user edit --rename`), or replace the client"
            ),
            None => tracing::warn!(
                %username, user = %id,
                "a user's name begins with https:// or dcr-, as ids of clients do; rename the user \
                 (`sentinel user edit --rename`)"
            ),
        }
    }
}
