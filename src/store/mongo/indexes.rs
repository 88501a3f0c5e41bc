//! Indexes of the MongoDB collections. They are created at every start, also on existing data.

use std::time::Duration;

use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{Acknowledgment, Hint, IndexOptions, WriteConcern};
use mongodb::{Collection, IndexModel};

use super::options::sentence;
use super::{DUPLICATE_KEY, MongoStore};
use crate::store::{Result, StoreError};

/// Maximum time for building the indexes of a MongoDB collection that already has data.
const BUILD_TIMEOUT: Duration = Duration::from_secs(600);

/// Codes of MongoDB's `IndexOptionsConflict` and `IndexKeySpecsConflict`: an index with the same
/// name or the same fields exists and has other options.
const CONFLICTS: [i32; 2] = [85, 86];

/// Name of the index of users by the key of the user name.
const USERNAME_KEY: &str = "username_key";

/// Returns the index of users by the key of the user name. It contains the documents without a key
/// too.
pub(super) fn username_key() -> Hint {
    Hint::Name(USERNAME_KEY.to_owned())
}

fn index(name: &str, keys: Document) -> IndexModel {
    options(keys, IndexOptions::builder().name(name.to_owned()).build())
}

fn options(keys: Document, options: IndexOptions) -> IndexModel {
    IndexModel::builder().keys(keys).options(options).build()
}

/// Returns the index of users or clients with an unfinished cascade (ending or renaming of their
/// sessions after a change). The index is sparse and usually empty.
fn cascade_index() -> IndexModel {
    let sparse = IndexOptions::builder().name("ending".to_owned()).sparse(true).build();
    options(doc! { "ending": 1 }, sparse)
}

/// Returns the index of sessions with a pending Redis invalidation (removal of stale copies). The
/// index is sparse and usually empty.
fn outbox_index() -> IndexModel {
    let sparse = IndexOptions::builder().name("lost".to_owned()).sparse(true).build();
    options(doc! { "lost": 1 }, sparse)
}

/// Creates all missing indexes of the MongoDB collections and leaves existing indexes as they are.
pub(super) async fn create(store: &MongoStore) -> Result<()> {
    // A user that is being deleted has no name, so that others may take it. The index is sparse,
    // because a unique index would otherwise accept only one document without a name.
    let name = IndexOptions::builder().name("username".to_owned()).unique(true).sparse(true);
    let over = IndexOptions::builder().name("expiry".to_owned()).expire_after(Duration::ZERO);
    let of_users = [
        options(doc! { "username": 1 }, name.build()),
        index(USERNAME_KEY, doc! { "username_key": 1, "username": 1 }),
        cascade_index(),
    ];
    let session_indexes = [
        index("user", doc! { "user_id": 1, "_id": 1 }),
        index("client", doc! { "client_id": 1, "_id": 1 }),
        options(doc! { "expires_at": 1 }, over.build()),
        outbox_index(),
    ];
    create_on(&store.users, of_users).await?;
    let of_clients = [index("name", doc! { "name": 1, "_id": 1 }), cascade_index()];
    create_on(&store.clients, of_clients).await?;
    create_on(&store.sessions, session_indexes).await?;
    for records in [&store.aliases, &store.rate_limits] {
        let over = IndexOptions::builder().name("expiry".to_owned()).expire_after(Duration::ZERO);
        create_on(records, [options(doc! { "expires_at": 1 }, over.build())]).await?;
    }
    Ok(())
}

async fn create_on(
    records: &Collection<RawDocumentBuf>,
    indexes: impl IntoIterator<Item = IndexModel>,
) -> Result<()> {
    // The other members of the replica set build the index too, which takes time on large
    // collections.
    let all = WriteConcern::builder().w(Acknowledgment::Majority).w_timeout(BUILD_TIMEOUT).build();
    let creating = records.create_indexes(indexes).write_concern(all);
    match tokio::time::timeout(BUILD_TIMEOUT, creating).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(creation_error(records.name(), &error)),
        Err(_) => Err(StoreError::Open(format!(
            "MongoDB did not build the indexes of the collection {} within {} minutes; start again later",
            records.name(),
            BUILD_TIMEOUT.as_secs() / 60
        ))),
    }
}

fn creation_error(collection: &str, error: &Error) -> StoreError {
    let message = sentence(error);
    StoreError::Open(match &*error.kind {
        ErrorKind::Command(command) if command.code == DUPLICATE_KEY => format!(
            "two documents of the collection {collection} have the same user name, which must be \
             unique; rename or remove one of them: {message}"
        ),
        ErrorKind::Command(command) if CONFLICTS.contains(&command.code) => format!(
            "the collection {collection} has an index with the name or the fields of one of \
             Sentinel's, but other options; drop it, and the next start creates it: {message}"
        ),
        _ => format!("cannot create the indexes of the collection {collection}: {message}"),
    })
}

/// Returns the index on the user id for a session query by both user and client: a user has few
/// sessions, a client many. Returns `None` for any other condition.
pub(super) fn session_index(condition: &Document) -> Option<Hint> {
    let both = condition.contains_key("user_id") && condition.contains_key("client_id");
    both.then(|| Hint::Name("user".to_owned()))
}

/// Returns the index with which MongoDB reads live sessions in the order of their ids, or `None`
/// for any other query. With the index on `expires_at`, MongoDB would read and sort all live
/// sessions.
pub(super) fn session_order_index(condition: &Document, order: &Document) -> Option<Hint> {
    let by_id = condition.contains_key("expires_at") && order.contains_key("_id");
    let name = match condition {
        condition if condition.contains_key("user_id") => "user",
        condition if condition.contains_key("client_id") => "client",
        _ => "_id_",
    };
    by_id.then(|| Hint::Name(name.to_owned()))
}
