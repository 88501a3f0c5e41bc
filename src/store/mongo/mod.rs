//! The store over MongoDB: many processes, a replica set, a sharded cluster or a single server.
//!
//! Three collections; a session is one document, and issuing, rotating and revoking are one write
//! each, acknowledged by a majority. There are no transactions: [`sessions`] says how a login races
//! with a disabling, [`endings`] how the end of a user's sessions survives a crash. Whatever decides
//! about a token, a user or a client is read from the primary.

mod clients;
mod documents;
mod endings;
mod imports;
mod indexes;
mod losses;
mod options;
mod session_document;
mod sessions;
mod turns;
mod users;

use std::collections::HashSet;
use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use mongodb::bson::{Document, RawDocumentBuf, doc, serialize_to_raw_document_buf};
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::options::SelectionCriteria;
use mongodb::{Client, ClientSession, Collection, Database};
use serde::Serialize;

use super::prefix;
use super::{Health, Result, StoreError, Stores};
use crate::settings::Mongo;
use options::Options;
#[doc(hidden)]
pub use session_document::session as read_session;
use turns::Turns;

/// The store over MongoDB. Clones share everything.
#[derive(Clone)]
pub struct MongoStore {
    database: Database,
    users: Collection<RawDocumentBuf>,
    clients: Collection<RawDocumentBuf>,
    sessions: Collection<RawDocumentBuf>,
    lists: SelectionCriteria,
    call: Duration,
    turns: Arc<Turns>,
    client_losses: Collection<RawDocumentBuf>,
    imported: Collection<RawDocumentBuf>,
    aliases: Collection<RawDocumentBuf>,
    notes_losses: bool,
    name: Arc<str>,
}

/// Whether the connection string is one, without connecting or asking DNS.
///
/// # Errors
/// [`StoreError::Unusable`] with a sentence for the operator.
pub fn check(settings: &Mongo) -> Result<()> {
    options::check(settings)
}

impl MongoStore {
    /// Connects, makes the indexes, and finishes what other processes began and did not.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] with a sentence for the operator when MongoDB cannot be reached or
    /// its data is not as it has to be.
    pub async fn open(settings: &Mongo) -> Result<Self> {
        Self::open_reading(settings).await?.finished().await
    }

    /// The same, with losses noted: those too that come of what others began.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_noting_losses(settings: &Mongo) -> Result<Self> {
        Self::open_reading(settings).await?.noting_losses().finished().await
    }

    async fn finished(self) -> Result<Self> {
        indexes::create(&self).await?;
        self.finish_endings().await?;
        Ok(self)
    }

    /// Connects, and writes nothing.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_reading(settings: &Mongo) -> Result<Self> {
        let options = Options::read(settings).await?;
        let direct = options.client.direct_connection == Some(true);
        let client = Client::with_options(options.client)
            .map_err(|error| cannot("use mongo.uri", &options.hosts, &error))?;
        let database = client.database(&options.dbname);
        let store = Self {
            users: database.collection("sentinel_users"),
            clients: database.collection("sentinel_clients"),
            sessions: database.collection("sentinel_sessions"),
            client_losses: database.collection("sentinel_client_losses"),
            imported: database.collection("sentinel_imported"),
            aliases: database.collection("sentinel_aliases"),
            database,
            lists: options.lists,
            call: options.call,
            turns: Arc::new(Turns::new(options.connections)),
            notes_losses: false,
            name: format!("MongoDB at {}", options.hosts).into(),
        };
        let hello = store.hello(&options.hosts).await?;
        if direct && has_other_members(&hello) {
            return Err(StoreError::Unusable(format!(
                "mongo.uri has directConnection=true, and {} is one of several members: it would be \
                 read from when it is no longer the primary; take directConnection out",
                options.hosts
            )));
        }
        Ok(store)
    }

    /// This store as all three, for the server.
    pub fn into_stores(self) -> Stores {
        Stores::of(self)
    }

    /// What the server says of itself; the first call that reaches it.
    async fn hello(&self, hosts: &str) -> Result<Document> {
        let hello = self.database.run_command(doc! { "hello": 1 });
        match tokio::time::timeout(self.call, hello).await {
            Ok(said) => said.map_err(|error| cannot("reach MongoDB", hosts, &error)),
            Err(_) => Err(StoreError::Unusable(format!(
                "cannot reach MongoDB at {hosts}: it did not answer in time"
            ))),
        }
    }

    /// Whether a call to Sentinel may begin with a look-up: not if MongoDB has not answered so many others.
    /// What has begun is let go on, so that nothing is left half done.
    fn has_room(&self) -> Result<()> {
        if self.turns.have_room() { Ok(()) } else { Err(StoreError::Busy) }
    }

    /// What the driver answers, unless it takes too long.
    async fn bounded<T>(&self, call: impl IntoFuture<Output = Result<T, Error>>) -> Result<T> {
        self.timed(call).await?.map_err(StoreError::unavailable)
    }

    /// The same for a write that may find its key taken: `None`.
    async fn unless_taken<T>(
        &self,
        call: impl IntoFuture<Output = Result<T, Error>>,
    ) -> Result<Option<T>> {
        match self.timed(call).await? {
            Err(error) if is_duplicate(&error) => Ok(None),
            done => done.map(Some).map_err(StoreError::unavailable),
        }
    }

    /// The driver has no end to how long it waits for an answer on a connection that is open.
    async fn timed<T>(
        &self,
        call: impl IntoFuture<Output = Result<T, Error>>,
    ) -> Result<Result<T, Error>> {
        let answer = self.turns.take(self.call, call.into_future()).await;
        answer.ok_or_else(|| StoreError::unavailable("MongoDB did not answer in time"))
    }

    /// A session of the driver in which reads see what was written in it.
    async fn causal_session(&self) -> Result<ClientSession> {
        // Nobody is asked for it, so it takes no turn.
        let session = self.database.client().start_session().causal_consistency(true).await;
        session.map_err(StoreError::unavailable)
    }

    /// The part of a list that is asked for; the only thing that a secondary may be asked.
    async fn list_page(
        &self,
        records: &Collection<RawDocumentBuf>,
        filter: Document,
        order: Document,
        limit: u32,
    ) -> Result<Vec<RawDocumentBuf>> {
        // To MongoDB, 0 is no limit.
        if limit == 0 {
            return Ok(Vec::new());
        }
        let hint = indexes::of_sessions(&filter).or_else(|| indexes::in_order(&filter, &order));
        let mut find = records.find(filter).sort(order).limit(limit.into());
        find = find.selection_criteria(self.lists.clone());
        if let Some(index) = hint {
            find = find.hint(index);
        }
        self.bounded(async { find.await?.try_collect().await }).await
    }

    /// How many records there are, for people to read: a secondary may be asked, too.
    async fn count_up_to(
        &self,
        records: &Collection<RawDocumentBuf>,
        filter: Document,
        limit: u32,
    ) -> Result<u64> {
        if limit == 0 {
            return Ok(0);
        }
        let count = records.count_documents(filter).limit(limit.into());
        self.bounded(count.selection_criteria(self.lists.clone())).await
    }
}

#[async_trait]
impl Health for MongoStore {
    fn name(&self) -> &str {
        &self.name
    }

    async fn check(&self) -> Result<()> {
        self.bounded(self.database.run_command(doc! { "ping": 1 })).await.map(drop)
    }
}

/// The condition on a text that it begins with `prefix`.
fn beginning_with(prefix: &str) -> Document {
    let mut range = doc! { "$gte": prefix };
    if let Some(end) = prefix::end_of(prefix) {
        range.insert("$lt", end);
    }
    range
}

fn to_raw(document: &impl Serialize, what: &'static str) -> Result<RawDocumentBuf> {
    serialize_to_raw_document_buf(document).map_err(|error| StoreError::damaged(what, error))
}

const DUPLICATE_KEY: i32 = 11000;

fn is_duplicate(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::Write(WriteFailure::WriteError(error)) => error.code == DUPLICATE_KEY,
        // As findAndModify says it.
        ErrorKind::Command(error) => error.code == DUPLICATE_KEY,
        _ => false,
    }
}

/// Which records of many found their keys taken; `None` when something else went wrong.
fn refused_as_taken(error: &Error) -> Option<HashSet<usize>> {
    let ErrorKind::InsertMany(failed) = &*error.kind else { return None };
    let errors = failed.write_errors.as_deref().unwrap_or_default();
    let all = failed.write_concern_error.is_none()
        && errors.iter().all(|error| error.code == DUPLICATE_KEY);
    all.then(|| errors.iter().map(|error| error.index).collect())
}

/// Whether this is a member of a replica set that has other members.
fn has_other_members(hello: &Document) -> bool {
    let count = |kind| hello.get_array(kind).map_or(0, Vec::len);
    count("hosts") + count("passives") > 1
}

fn cannot(what: &str, hosts: &str, error: &Error) -> StoreError {
    StoreError::Unusable(format!("cannot {what} at {hosts}: {}", sentence(error)))
}

/// What the driver says, without its own headings.
fn sentence(error: &Error) -> String {
    error.kind.to_string()
}
