//! Reports users who could be taken for a client, and users who have one name in different
//! spellings, once after the start. Only a store that was copied, that an earlier version wrote, or
//! that has imported users has them.

use crate::observe::error_chain;
use crate::store::Stores;

/// Maximum number of users that are reported.
const MAX_REPORTED: u32 = 20;

pub(super) async fn run(stores: Stores) {
    report_spellings(&stores).await;
    report_users_like_clients(&stores).await;
}

async fn report_spellings(stores: &Stores) {
    let users = match stores.listing.list_spellings(MAX_REPORTED).await {
        Ok(users) => users,
        Err(error) => {
            tracing::warn!(
                error = error_chain(&error),
                "user names were not compared with each other; the next start does so again"
            );
            return;
        }
    };
    for user in users {
        tracing::warn!(
            username = user.username, user = %user.id,
            "another user has this name in another spelling, so both log in with the exact spelling \
             only; rename one of them (`sentinel user edit --rename`)"
        );
    }
}

async fn report_users_like_clients(stores: &Stores) {
    let users = match stores.ambiguous_users(MAX_REPORTED as usize).await {
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
