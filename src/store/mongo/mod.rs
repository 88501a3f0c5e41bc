//! Store backend for MongoDB, shared by any number of processes. It works with a single server or a
//! replica set; a sharded cluster should work and is untested.
//!
//! Users, clients and sessions have one collection each. Others contain pending invalidations of
//! clients, import records, imported access tokens, and records of the rate limiter. A session is
//! one document: issuing, rotating and revoking are one write each, acknowledged by a majority. The
//! store uses no transactions. [`sessions`] describes how a login and a concurrent disabling are
//! resolved, [`cascade`] how ending a user's sessions survives a crash. All reads that decide about
//! a token, a user or a client go to the primary.

mod cascade;
mod clients;
mod concurrency_limit;
mod documents;
mod failure;
mod imports;
mod indexes;
mod listing;
mod options;
mod outbox;
mod rate_limit_records;
mod session_document;
mod sessions;
mod transfer;
mod users;

use std::collections::HashSet;
use std::future::IntoFuture;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use mongodb::bson::{Document, RawDocumentBuf, doc, serialize_to_raw_document_buf};
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::options::SelectionCriteria;
use mongodb::{Client, ClientSession, Collection, Database};
use serde::Serialize;

use super::prefix::prefix_range_end;
use super::{Health, LastWrite, Result, StoreError, Stores};
use crate::settings::MongoSettings;
use concurrency_limit::ConcurrencyLimit;
pub use options::check_tls_files;
use options::{MongoOptions, sentence};
#[doc(hidden)]
pub use session_document::session as read_session;

/// Id of the document that a probe writes. It is in the collection of the import records, whose ids
/// are texts, so that a probe needs no further permission and is not taken for an import record.
const PROBE_ID: i32 = 0;

/// Store backend for MongoDB. Clones share the connections and the concurrency limit.
#[derive(Clone)]
pub struct MongoStore {
    database: Database,
    users: Collection<RawDocumentBuf>,
    clients: Collection<RawDocumentBuf>,
    sessions: Collection<RawDocumentBuf>,
    lists: SelectionCriteria,
    call_timeout: Duration,
    limit: Arc<ConcurrencyLimit>,
    client_invalidations: Collection<RawDocumentBuf>,
    imported: Collection<RawDocumentBuf>,
    aliases: Collection<RawDocumentBuf>,
    rate_limits: Collection<RawDocumentBuf>,
    records_invalidations: bool,
    last_write: Arc<LastWrite>,
    name: Arc<str>,
}

/// Validates the MongoDB connection string without connecting and without DNS look-ups.
///
/// # Errors
/// [`StoreError::Configuration`], with a message for the operator, if the connection string or a
/// certificate file that it names is invalid.
pub fn check(settings: &MongoSettings) -> Result<()> {
    options::check(settings)
}

impl MongoStore {
    /// Connects to MongoDB, creates the indexes, and completes the cascades (ends of sessions after
    /// a change of their user or client) that other processes left unfinished.
    ///
    /// # Errors
    /// [`StoreError::Configuration`] if the settings are invalid, [`StoreError::Open`] if MongoDB
    /// is unreachable or the indexes cannot be created, each with a message for the operator.
    /// Another [`StoreError`] if an unfinished cascade cannot be completed.
    pub async fn open(settings: &MongoSettings) -> Result<Self> {
        Self::connect_read_only(settings).await?.prepare().await
    }

    /// Connects to MongoDB, creates the indexes, and completes unfinished cascades (ends of
    /// sessions after a change of their user or client). The returned store records pending Redis
    /// invalidations ([`Invalidation`](super::Invalidation)), including those of the cascades
    /// completed here.
    ///
    /// # Errors
    /// [`StoreError::Configuration`] if the settings are invalid, [`StoreError::Open`] if MongoDB
    /// is unreachable or the indexes cannot be created, each with a message for the operator.
    /// Another [`StoreError`] if an unfinished cascade cannot be completed.
    pub async fn open_with_outbox(settings: &MongoSettings) -> Result<Self> {
        Self::connect_read_only(settings).await?.with_outbox().prepare().await
    }

    async fn prepare(self) -> Result<Self> {
        indexes::create(&self).await?;
        self.fill_username_keys().await?;
        self.finish_cascades().await?;
        Ok(self)
    }

    /// Connects to MongoDB and writes nothing, not even indexes.
    ///
    /// # Errors
    /// [`StoreError::Configuration`], with a message for the operator, if the settings are invalid,
    /// or `mongo.uri` connects directly to one of several members of a replica set.
    /// [`StoreError::Open`] if MongoDB is unreachable.
    pub async fn connect_read_only(settings: &MongoSettings) -> Result<Self> {
        let options = MongoOptions::read(settings).await?;
        let direct = options.client.direct_connection == Some(true);
        let client = Client::with_options(options.client).map_err(|error| {
            StoreError::Configuration(format!("mongo.uri cannot be used: {}", sentence(&error)))
        })?;
        let database = client.database(&options.dbname);
        let store = Self {
            users: database.collection("sentinel_users"),
            clients: database.collection("sentinel_clients"),
            sessions: database.collection("sentinel_sessions"),
            // The collection keeps its former name.
            client_invalidations: database.collection("sentinel_client_losses"),
            imported: database.collection("sentinel_imported"),
            aliases: database.collection("sentinel_aliases"),
            rate_limits: database.collection("sentinel_rate_limits"),
            database,
            lists: options.lists,
            call_timeout: options.call,
            limit: Arc::new(ConcurrencyLimit::new(options.connections)),
            records_invalidations: false,
            last_write: Arc::default(),
            name: format!("MongoDB at {}", options.hosts).into(),
        };
        let hello = store.hello(&options.hosts).await?;
        if direct && has_other_members(&hello) {
            return Err(StoreError::Configuration(format!(
                "mongo.uri has directConnection=true, and {} is one of several members of a replica \
                 set: it would be read even if it is not the primary; remove directConnection",
                options.hosts
            )));
        }
        Ok(store)
    }

    /// Returns this MongoDB store as the implementation of every store trait.
    pub fn into_stores(self) -> Stores {
        Stores::of(Arc::new(self))
    }

    /// Sends MongoDB's `hello` command, the first call to the server, and returns the reply.
    async fn hello(&self, hosts: &str) -> Result<Document> {
        let hello = self.database.run_command(doc! { "hello": 1 });
        match tokio::time::timeout(self.call_timeout, hello).await {
            Ok(reply) => reply.map_err(|error| connection_error("reach MongoDB", hosts, &error)),
            Err(_) => Err(StoreError::Open(format!(
                "cannot reach MongoDB at {hosts}: it did not answer in time"
            ))),
        }
    }

    /// Rejects new look-ups with [`StoreError::Busy`] while too many calls to MongoDB are
    /// unanswered. Only the first look-up of a request checks this, so that no request is abandoned
    /// midway.
    fn check_load(&self) -> Result<()> {
        if self.limit.has_capacity() { Ok(()) } else { Err(StoreError::Busy) }
    }

    /// Runs a call of the MongoDB driver within the time limit `call_timeout`, and returns its
    /// output.
    async fn call<T>(&self, call: impl IntoFuture<Output = Result<T, Error>>) -> Result<T> {
        self.with_timeout(call).await?.map_err(|error| failed(&error))
    }

    /// Runs a write of the MongoDB driver within the time limit `call_timeout`, records whether it
    /// succeeded, and returns its output.
    async fn write<T>(&self, call: impl IntoFuture<Output = Result<T, Error>>) -> Result<T> {
        let started = Instant::now();
        let written = self.call(call).await;
        self.last_write.record(started, written.is_ok());
        written
    }

    /// Runs a write of the MongoDB driver within the time limit `call_timeout`. Returns the output,
    /// or `None` if another document already has a unique key of the written one.
    async fn insert_unless_duplicate<T>(
        &self,
        call: impl IntoFuture<Output = Result<T, Error>>,
    ) -> Result<Option<T>> {
        match self.with_timeout(call).await? {
            Err(error) if is_duplicate(&error) => Ok(None),
            done => done.map(Some).map_err(|error| failed(&error)),
        }
    }

    /// Runs a call of the MongoDB driver, and limits how long the call may wait for its turn and
    /// for an answer. The driver has no time limit for an answer on an open connection.
    async fn with_timeout<T>(
        &self,
        call: impl IntoFuture<Output = Result<T, Error>>,
    ) -> Result<Result<T, Error>> {
        let answer = self.limit.run(self.call_timeout, call.into_future()).await;
        answer.ok_or_else(|| StoreError::unavailable("MongoDB did not answer in time"))
    }

    /// Starts a session of the MongoDB driver with causal consistency, so that reads in the session
    /// see its earlier writes.
    async fn causal_session(&self) -> Result<ClientSession> {
        // This sends nothing to MongoDB, so it needs no permit.
        let session = self.database.client().start_session().causal_consistency(true).await;
        session.map_err(|error| failed(&error))
    }

    /// Returns up to `limit` documents in the given order, for one page of a list. The read
    /// preference may direct this read to a secondary.
    async fn list_page(
        &self,
        records: &Collection<RawDocumentBuf>,
        filter: Document,
        order: Document,
        limit: u32,
    ) -> Result<Vec<RawDocumentBuf>> {
        // MongoDB treats limit 0 as no limit.
        if limit == 0 {
            return Ok(Vec::new());
        }
        let hint = indexes::session_index(&filter)
            .or_else(|| indexes::session_order_index(&filter, &order));
        let mut find = records.find(filter).sort(order).limit(limit.into());
        find = find.selection_criteria(self.lists.clone());
        if let Some(index) = hint {
            find = find.hint(index);
        }
        self.call(async { find.await?.try_collect().await }).await
    }

    /// Returns the number of documents that match `filter`, or `limit` if there are more, for
    /// display. The read preference may direct this read to a secondary.
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
        let count = count.max_time(self.call_timeout);
        self.call(count.selection_criteria(self.lists.clone())).await
    }
}

#[async_trait]
impl Health for MongoStore {
    fn name(&self) -> &str {
        &self.name
    }

    async fn probe(&self) -> Result<()> {
        let change = doc! { "$currentDate": { "probed_at": true } };
        let write = self.imported.update_one(doc! { "_id": PROBE_ID }, change).upsert(true);
        self.write(write).await.map(drop)
    }

    fn last_write(&self) -> &LastWrite {
        &self.last_write
    }
}

/// Returns the MongoDB condition that a string begins with `prefix`.
fn prefix_condition(prefix: &str) -> Document {
    let mut range = doc! { "$gte": prefix };
    if let Some(end) = prefix_range_end(prefix) {
        range.insert("$lt", end);
    }
    range
}

fn to_raw(document: &impl Serialize, what: &'static str) -> Result<RawDocumentBuf> {
    serialize_to_raw_document_buf(document).map_err(|error| StoreError::corrupt(what, error))
}

const DUPLICATE_KEY: i32 = 11000;

fn is_duplicate(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::Write(WriteFailure::WriteError(error)) => error.code == DUPLICATE_KEY,
        // `findAndModify` reports a duplicate key as a command error.
        ErrorKind::Command(error) => error.code == DUPLICATE_KEY,
        _ => false,
    }
}

/// Returns the positions of the documents that `insert_many` rejected because of a duplicate key,
/// or `None` if `insert_many` failed for any other reason.
fn duplicate_positions(error: &Error) -> Option<HashSet<usize>> {
    let ErrorKind::InsertMany(failed) = &*error.kind else { return None };
    let errors = failed.write_errors.as_deref().unwrap_or_default();
    let all = failed.write_concern_error.is_none()
        && errors.iter().all(|error| error.code == DUPLICATE_KEY);
    all.then(|| errors.iter().map(|error| error.index).collect())
}

/// Returns whether the MongoDB server that sent this `hello` reply belongs to a replica set with
/// other data-bearing members.
fn has_other_members(hello: &Document) -> bool {
    let count = |kind| hello.get_array(kind).map_or(0, Vec::len);
    count("hosts") + count("passives") > 1
}

/// Returns the error for a call that MongoDB did not perform, or that it may have performed without
/// an answer.
fn failed(error: &Error) -> StoreError {
    StoreError::unavailable(failure::reason(error))
}

fn connection_error(what: &str, hosts: &str, error: &Error) -> StoreError {
    let reason = failure::reason(error);
    // The reason of a single server begins with its address.
    let alone = reason.strip_prefix(hosts).and_then(|rest| rest.strip_prefix(": "));
    StoreError::Open(format!("cannot {what} at {hosts}: {}", alone.unwrap_or(&reason)))
}
