//! Import of the collections `users`, `clients` and `tokens` from a MongoDB database of
//! flask-sentinel.
//!
//! Ids are kept. Each imported record is marked as imported and never imported again: a user
//! deleted here, or a session ended here, does not return with the next run. A record is written
//! before it is marked, and writing it twice has no effect. So a run may be interrupted at any
//! point and repeated.
//!
//! Documents are read in batches and imported concurrently, because each needs several round trips
//! to the store. The users of a batch are added in one write. Of several documents with the same
//! name, id or token, the first is imported: one that repeats a value of an earlier one waits until
//! that is done.
//!
//! A `tokens` document becomes a session. The refresh token identifies the session by its selector,
//! as Sentinel's own tokens do; the access token identifies it by an alias. See
//! [`Token::parse_legacy`].
//!
//! [`Token::parse_legacy`]: crate::domain::Token::parse_legacy

mod documents;
mod sessions;
mod source;

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt, stream};
use mongodb::bson::{Bson, Document, doc};

use super::report::{ImportCounts, ImportReport, RecordOutcome};
use crate::domain::{
    Client, ClientId, Lifetimes, SessionId, SessionUser, Timestamp, Token, TokenKind, User, UserId,
    fold_username, is_same_principal, username_key,
};
use crate::store::{Stores, imports};
use documents::id_of;
use sessions::{ConvertedSession, SourceTokens};
pub use source::{Collection, ImportError};

/// Maximum number of documents that are read before they are imported.
const BATCH: usize = 500;
/// Maximum number of documents that are imported concurrently.
const MAX_CONCURRENT_DOCUMENTS: usize = 64;
/// Number of characters of flask-sentinel's tokens.
const LEGACY_TOKEN_LENGTH: usize = 30;
/// Reason for which a user is skipped that cannot be added.
const IN_USE: &str = "its _id or its username is already in use";

/// One run of the import from flask-sentinel, the server that Sentinel replaces.
pub struct Import {
    stores: Option<Stores>,
    lifetimes: Lifetimes,
    now: Timestamp,
    /// Users that a dry run would import. `None` in a run that writes, which finds them in the
    /// store.
    dry_run: Option<DryRun>,
    /// Clients that this run has imported, or would import in a dry run.
    clients: HashMap<ClientId, Client>,
    /// Ids of the sessions to which this run or earlier ones have converted `tokens` documents.
    sessions: HashSet<SessionId>,
    report: ImportReport,
    /// Flag that ends the run before the next batch of documents.
    stop: Arc<AtomicBool>,
}

/// Ids and names of the users that a dry run would import.
#[derive(Default)]
struct DryRun {
    users: HashSet<UserId>,
    /// For each key of a user name, the users with this name in any spelling.
    names: HashMap<String, Vec<(String, UserId)>>,
}

/// Outcome of importing one document, and what it adds to the records that this run knows.
struct Done {
    outcome: RecordOutcome,
    user: Option<User>,
    /// Whether the store has no user of this name yet.
    is_new_user: bool,
    client: Option<Client>,
    sessions: Vec<SessionId>,
}

impl From<RecordOutcome> for Done {
    fn from(outcome: RecordOutcome) -> Self {
        Self { outcome, user: None, is_new_user: false, client: None, sessions: Vec::new() }
    }
}

/// Divides documents of a collection into consecutive groups, in each of which no two documents
/// have the same id, user name, client id or token.
fn independent_groups(collection: Collection, documents: &[Document]) -> Vec<&[Document]> {
    let fields: &[&str] = match collection {
        Collection::Users => &["_id", "username"],
        Collection::Clients => &["_id", "client_id"],
        Collection::Tokens => &["_id", "access_token", "refresh_token"],
    };
    let (mut groups, mut seen, mut start) = (Vec::new(), HashSet::new(), 0);
    for (at, document) in documents.iter().enumerate() {
        let values = fields.iter().filter_map(|field| document.get(field));
        let values = values.filter(|value| !matches!(value, Bson::Null));
        // Several spellings of a user name are the same name. Other texts lose nothing by it.
        let values =
            values.map(|value| value.as_str().map_or_else(|| value.to_string(), username_key));
        let values: Vec<_> = values.collect();
        if values.iter().any(|value| seen.contains(value)) {
            groups.extend(documents.get(start..at));
            start = at;
            seen.clear();
        }
        seen.extend(values);
    }
    groups.extend(documents.get(start..));
    groups
}

/// Adds the user of a result, if it is a new one and an earlier attempt has not added it.
async fn add_user(stores: &Stores, done: Done) -> Result<Done, ImportError> {
    let Some(user) = done.user.as_ref().filter(|_| done.is_new_user) else { return Ok(done) };
    if stores.transfer.insert_users(slice::from_ref(user)).await? == [true] {
        return Ok(done);
    }
    let found = stores.users.find(user.id).await?;
    let was_added = found.is_some_and(|found| found.username == user.username);
    Ok(if was_added { done } else { RecordOutcome::skipped(IN_USE).into() })
}

/// Returns remarks for the operator on a user who has to log in with exactly the imported spelling
/// of the name. `owners` are the users who have the name in any spelling.
fn remarks_on_name(user: &User, owners: &[(String, UserId)]) -> Vec<String> {
    let mut remarks = Vec::new();
    if fold_username(&user.username).is_none() {
        let remark = "its username is not one that a new user could have, and logs in with exactly \
                      these characters only";
        remarks.push(remark.to_owned());
    }
    let others = owners.iter().filter(|(_, id)| *id != user.id);
    remarks.extend(others.map(|(name, id)| {
        format!(
            "user {id} has its username in another spelling, {name:?}: both log in with the exact \
             spelling only"
        )
    }));
    remarks
}

impl Import {
    /// Creates an import run into `stores` (`None`: an empty store). With `dry_run` nothing is
    /// written.
    pub fn new(
        stores: Option<Stores>,
        lifetimes: Lifetimes,
        now: Timestamp,
        dry_run: bool,
    ) -> Self {
        Self {
            stores,
            lifetimes,
            now,
            dry_run: dry_run.then(DryRun::default),
            clients: HashMap::new(),
            sessions: HashSet::new(),
            report: ImportReport { dry_run, ..ImportReport::default() },
            stop: Arc::default(),
        }
    }

    /// Returns this run, which ends before the next batch of documents once `stop` is set.
    #[must_use]
    pub fn stopped_by(self, stop: Arc<AtomicBool>) -> Self {
        Self { stop, ..self }
    }

    /// Imports all records of the database that `source`, a MongoDB connection string, names.
    ///
    /// # Errors
    /// [`ImportError`] if the source database cannot be read, the store fails, or the run is
    /// stopped. Records imported until then are kept, and the report counts them.
    pub async fn import_all(&mut self, source: &str) -> Result<(), ImportError> {
        let database = source::open(source).await?;
        let names = database.list_collection_names().await?;
        if !Collection::IN_ORDER.iter().any(|one| names.iter().any(|name| name == one.name())) {
            return Err(ImportError::NoCollections(database.name().to_owned()));
        }
        if let Some(stores) = self.target() {
            stores.mark_in_use().await?;
        }
        for collection in Collection::IN_ORDER {
            // Natural order is the order in which flask-sentinel's own queries find the documents.
            let order = doc! { "$natural": 1 };
            let records = database.collection::<Document>(collection.name());
            let mut batches = records.find(doc! {}).sort(order).await?.chunks(BATCH);
            while let Some(batch) = batches.next().await {
                if self.stop.load(Ordering::Relaxed) {
                    return Err(ImportError::Stopped);
                }
                let mut read = Ok(());
                let documents = batch.into_iter();
                let documents = documents.map_while(|next| next.map_err(|e| read = Err(e)).ok());
                let documents: Vec<_> = documents.collect();
                self.import_documents(collection, &documents).await?;
                read?;
            }
        }
        self.count_unknown_tokens().await
    }

    /// Counts the keys in Redis that flask-sentinel left there when it deleted the `tokens`
    /// document, at each login and each refresh.
    async fn count_unknown_tokens(&mut self) -> Result<(), ImportError> {
        let Some(stores) = self.target().cloned() else { return Ok(()) };
        let Some(publisher) = &stores.publisher else { return Ok(()) };
        for key in publisher.keys_of_length(LEGACY_TOKEN_LENGTH).await? {
            let Some(token) = Token::parse_legacy(&key, TokenKind::Access) else { continue };
            let digest = token.verifier.digest();
            let is_unknown = stores.imports.find_legacy_token(&digest).await?.is_none();
            self.report.unknown_tokens += u64::from(is_unknown);
        }
        Ok(())
    }

    /// Imports one document of a collection of flask-sentinel, and adds the result to the report:
    /// imported, or the reason why not.
    ///
    /// # Errors
    /// [`ImportError::Store`] if the store fails.
    pub async fn import_document(
        &mut self,
        collection: Collection,
        record: &Document,
    ) -> Result<(), ImportError> {
        self.import_documents(collection, slice::from_ref(record)).await
    }

    async fn import_documents(
        &mut self,
        collection: Collection,
        records: &[Document],
    ) -> Result<(), ImportError> {
        for group in independent_groups(collection, records) {
            self.import_group(collection, group).await?;
        }
        Ok(())
    }

    /// Imports documents concurrently, which must be independent of each other, marks them, and
    /// adds the results to the report. After a failure of the store, imports that have begun are
    /// completed.
    async fn import_group(
        &mut self,
        collection: Collection,
        records: &[Document],
    ) -> Result<(), ImportError> {
        let key = |id: &str| format!("{}/{id}", collection.name());
        let keys: Vec<_> = records.iter().map(|record| key(&id_of(record))).collect();
        let already = match &self.stores {
            Some(stores) => stores.imports.filter_imported(&keys).await?,
            None => HashSet::new(),
        };
        let has_failed = Cell::new(false);
        let importing = stream::iter(records.iter().zip(keys)).map(async |(record, key)| {
            if has_failed.get() {
                return None;
            }
            let done = self.import_one(collection, record, already.contains(&key)).await;
            has_failed.set(has_failed.get() || done.is_err());
            Some((id_of(record), done))
        });
        let finished: Vec<_> = importing.buffered(MAX_CONCURRENT_DOCUMENTS).collect().await;
        let finished = self.add_users(finished.into_iter().flatten().collect()).await?;
        let (mut result, mut imported) = (Ok(()), Vec::new());
        for (id, done) in finished {
            self.counts(collection).read += 1;
            match done {
                Ok(done) => {
                    if matches!(done.outcome, RecordOutcome::Imported { .. }) {
                        imported.push(key(&id));
                    }
                    self.add(collection, id, done);
                }
                Err(error) => result = result.and(Err(error)),
            }
        }
        if let Some(stores) = self.target() {
            stores.imports.record_imports(&imported).await?;
        }
        result
    }

    /// Adds the new users among the results for a group to the store, in one write, unless a client
    /// has the name or the id. Returns the results. A dry run adds no user.
    async fn add_users(
        &self,
        mut finished: Vec<(String, Result<Done, ImportError>)>,
    ) -> Result<Vec<(String, Result<Done, ImportError>)>, ImportError> {
        let new = finished.iter_mut().filter_map(|(_, done)| done.as_mut().ok());
        let mut new: Vec<&mut Done> = new.filter(|done| done.is_new_user).collect();
        let users: Vec<User> = new.iter().filter_map(|done| done.user.clone()).collect();
        let Some(stores) = self.stores.as_ref().filter(|_| !users.is_empty()) else {
            return Ok(finished);
        };
        for (done, is_like_client) in new.iter_mut().zip(stores.are_like_clients(&users).await?) {
            if is_like_client {
                let reason = "a client has its _id or its username as client_id";
                **done = RecordOutcome::skipped(reason).into();
            }
        }
        if self.target().is_none() {
            return Ok(finished);
        }
        new.retain(|done| done.is_new_user);
        let users: Vec<User> = new.iter().filter_map(|done| done.user.clone()).collect();
        if let Ok(added) = stores.transfer.insert_users(&users).await {
            for (done, _) in new.into_iter().zip(added).filter(|(_, added)| !added) {
                *done = RecordOutcome::skipped(IN_USE).into();
            }
            return Ok(finished);
        }
        // Any of them may have been added. One at a time shows which, and adds the others.
        let has_failed = Cell::new(false);
        let adding = stream::iter(finished).map(async |(id, done)| {
            let done = match done {
                Ok(Done { is_new_user: true, .. }) if has_failed.get() => return None,
                Ok(done) => add_user(stores, done).await,
                Err(error) => Err(error),
            };
            has_failed.set(has_failed.get() || done.is_err());
            Some((id, done))
        });
        let finished: Vec<_> = adding.buffered(MAX_CONCURRENT_DOCUMENTS).collect().await;
        Ok(finished.into_iter().flatten().collect())
    }

    /// Adds the result for a document to the report and to the records that this run knows.
    fn add(&mut self, collection: Collection, id: String, done: Done) {
        self.counts(collection).add(id, done.outcome);
        if let (Some(dry_run), Some(user)) = (&mut self.dry_run, done.user) {
            dry_run.users.insert(user.id);
            let names = dry_run.names.entry(username_key(&user.username)).or_default();
            names.push((user.username, user.id));
        }
        self.clients.extend(done.client.map(|client| (client.id.clone(), client)));
        self.sessions.extend(done.sessions);
    }

    async fn import_one(
        &self,
        collection: Collection,
        record: &Document,
        already: bool,
    ) -> Result<Done, ImportError> {
        Ok(match (already, collection) {
            (true, Collection::Tokens) => {
                // Another document with one of its tokens is still skipped.
                let tokens = sessions::parse(record, self.now).ok().flatten();
                let sessions = tokens.iter().flat_map(SourceTokens::session_ids).collect();
                Done { sessions, ..RecordOutcome::AlreadyImported.into() }
            }
            (true, _) => RecordOutcome::AlreadyImported.into(),
            (false, Collection::Users) => self.import_user(record).await?,
            (false, Collection::Clients) => self.import_client(record).await?,
            (false, Collection::Tokens) => self.import_session(record).await?,
        })
    }

    const fn counts(&mut self, collection: Collection) -> &mut ImportCounts {
        match collection {
            Collection::Users => &mut self.report.users,
            Collection::Clients => &mut self.report.clients,
            Collection::Tokens => &mut self.report.tokens,
        }
    }

    /// Returns the report of this import run, with the results for all its documents.
    pub fn into_report(self) -> ImportReport {
        self.report
    }

    /// Returns the stores to write imported records to; `None` in a dry run.
    fn target(&self) -> Option<&Stores> {
        self.stores.as_ref().filter(|_| self.dry_run.is_none())
    }

    /// Returns the names and ids of the users with this name in any spelling, in the store and
    /// among those that a dry run would add.
    async fn find_owners(&self, name: &str) -> Result<Vec<(String, UserId)>, ImportError> {
        let planned = self.dry_run.as_ref().map(|dry_run| &dry_run.names);
        let planned = planned.and_then(|names| names.get(&username_key(name)));
        let mut owners = planned.cloned().unwrap_or_default();
        if let Some(stores) = &self.stores {
            let users = stores.users.find_all_by_name(name).await?;
            owners.extend(users.into_iter().map(|user| (user.username, user.id)));
        }
        Ok(owners)
    }

    async fn import_user(&self, record: &Document) -> Result<Done, ImportError> {
        let user = match documents::user(record, self.now) {
            Ok(user) => user,
            Err(reason) => return Ok(RecordOutcome::Skipped(reason).into()),
        };
        let owners = self.find_owners(&user.username).await?;
        let owner = owners.iter().find(|(name, _)| *name == user.username).map(|(_, id)| *id);
        if let Some(owner) = owner.filter(|owner| *owner != user.id) {
            let reason = format!("user {owner} has the same username");
            return Ok(RecordOutcome::skipped(reason).into());
        }
        // An interrupted run may have written the user without marking it as imported.
        let is_new_user = owner.is_none();
        let outcome = RecordOutcome::Imported { remarks: remarks_on_name(&user, &owners) };
        Ok(Done { user: Some(user), is_new_user, ..outcome.into() })
    }

    async fn import_client(&self, record: &Document) -> Result<Done, ImportError> {
        let (client, remarks) = match documents::client(record, self.now) {
            Ok(client) => client,
            Err(reason) => return Ok(RecordOutcome::Skipped(reason).into()),
        };
        if self.clients.contains_key(&client.id) {
            return Ok(RecordOutcome::skipped("another client has the same client_id").into());
        }
        let existing = match &self.stores {
            Some(stores) => stores.clients.find(&client.id).await?,
            None => None,
        };
        match existing {
            // An interrupted run may have written the client without marking it as imported. The
            // name contains the id of the document.
            Some(existing) if existing.name == client.name => {}
            Some(_) => {
                let reason = "a client with this client_id already exists";
                return Ok(RecordOutcome::skipped(reason).into());
            }
            None if self.is_like_user(&client.id).await? => {
                let reason = "a user has its client_id as name or id";
                return Ok(RecordOutcome::skipped(reason).into());
            }
            None => {
                if let Some(stores) = self.target()
                    && !stores.clients.insert(&client).await?
                {
                    let reason = "a client with this client_id already exists";
                    return Ok(RecordOutcome::skipped(reason).into());
                }
            }
        }
        Ok(Done { client: Some(client), ..RecordOutcome::Imported { remarks }.into() })
    }

    /// Returns whether a user, in the store or among those that a dry run would add, has the name
    /// or the id `client`.
    async fn is_like_user(&self, client: &ClientId) -> Result<bool, ImportError> {
        let mut names = self.dry_run.iter().flat_map(|dry_run| dry_run.names.values().flatten());
        if names.any(|(name, id)| is_same_principal(name, Some(*id), client)) {
            return Ok(true);
        }
        match &self.stores {
            Some(stores) => Ok(stores.user_like_client(client).await?.is_some()),
            None => Ok(false),
        }
    }

    async fn import_session(&self, record: &Document) -> Result<Done, ImportError> {
        let tokens = match sessions::parse(record, self.now) {
            Ok(Some(tokens)) => tokens,
            Ok(None) => return Ok(RecordOutcome::Expired.into()),
            Err(reason) => return Ok(RecordOutcome::Skipped(reason).into()),
        };
        let Some(user) = self.find_user(tokens.user).await? else {
            return Ok(RecordOutcome::skipped("its user does not exist").into());
        };
        let Some(client) = self.find_client(&tokens.client).await? else {
            return Ok(RecordOutcome::skipped("its client does not exist").into());
        };
        let Some(new) = tokens.into_session(user, &client, &self.lifetimes, self.now) else {
            return Ok(RecordOutcome::Expired.into());
        };
        let id = new.session.id;
        if self.sessions.contains(&id) {
            return Ok(RecordOutcome::skipped("another document has the same token").into());
        }
        let outcome = if self.write(&new).await? {
            RecordOutcome::Imported { remarks: new.remark.into_iter().collect() }
        } else {
            RecordOutcome::skipped("its user or its client is disabled")
        };
        Ok(Done { sessions: vec![id], ..outcome.into() })
    }

    async fn find_user(&self, id: UserId) -> Result<Option<SessionUser>, ImportError> {
        if let Some(stores) = &self.stores
            && let Some(user) = stores.users.find(id).await?
        {
            let generation = user.generation;
            return Ok(Some(SessionUser { id, username: user.username, generation }));
        }
        // The user name is not needed, because a dry run writes no session.
        let dry_run = self.dry_run.as_ref().filter(|dry_run| dry_run.users.contains(&id));
        Ok(dry_run.map(|_| SessionUser { id, username: String::new(), generation: 0 }))
    }

    async fn find_client(&self, id: &ClientId) -> Result<Option<Client>, ImportError> {
        if let Some(stores) = &self.stores
            && let Some(client) = stores.clients.find(id).await?
        {
            return Ok(Some(client));
        }
        Ok(self.clients.get(id).filter(|_| self.dry_run.is_some()).cloned())
    }

    /// Writes a session converted from a `tokens` document. Returns `false` if the user or client
    /// is disabled; a dry run always returns `true`. The alias (digest of the access token, which
    /// leads to the session) is written first, since it has no effect until the session exists.
    async fn write(&self, new: &ConvertedSession) -> Result<bool, ImportError> {
        let Some(stores) = self.target() else { return Ok(true) };
        let session = &new.session;
        if let Some((access, expires_at)) = &new.access {
            let digest = access.token.verifier.digest();
            stores.imports.add_legacy_token(&digest, session.id, *expires_at).await?;
        }
        // An interrupted run may have written the session without marking it as imported.
        let exists = stores.sessions.find(session.id).await?.is_some();
        if !exists && !stores.sessions.insert(session).await? {
            return Ok(false);
        }
        imports::record_session(stores, session.id).await?;
        if let (Some(publisher), Some((access, expires_at))) = (&stores.publisher, &new.access) {
            let (digest, left) = (access.token.verifier.digest(), expires_at.remaining(self.now));
            publisher.publish(session, &access.text, &digest, left).await?;
        }
        Ok(true)
    }
}
