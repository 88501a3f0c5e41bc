//! Import of the collections `users`, `clients` and `tokens` from a MongoDB database of
//! flask-sentinel.
//!
//! Ids are kept. Each imported record is noted and never imported again: a user deleted here, or a
//! session ended here, does not return with the next run. A record is written before it is noted,
//! and writing it twice has no effect. So a run may be interrupted at any point and repeated.
//!
//! A `tokens` document becomes a session. The refresh token identifies the session by its selector,
//! as Sentinel's own tokens do; the access token identifies it by an alias. See
//! [`Token::parse_legacy`].
//!
//! [`Token::parse_legacy`]: crate::domain::Token::parse_legacy

mod documents;
mod sessions;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::{ClientOptions, ReadPreference, SelectionCriteria};
use mongodb::{Client as Driver, Database};

use super::Report;
use crate::domain::{Client, ClientId, Lifetimes, SessionId, Timestamp, UserId};
use crate::store::{StoreError, Stores};

/// Default database, if the connection string names none.
const DATABASE: &str = "oauth";
const CONNECT: Duration = Duration::from_secs(5);

/// Reason why an import cannot continue.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The source is not a valid connection string.
    #[error("--from is not a connection string of MongoDB: {0}")]
    Source(String),
    /// The source cannot be read.
    #[error("cannot read the source: {0}")]
    Read(#[source] Box<mongodb::error::Error>),
    /// The source has none of the collections of flask-sentinel.
    #[error("the database {0} has none of the collections users, clients and tokens")]
    Nothing(String),
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<mongodb::error::Error> for ImportError {
    fn from(error: mongodb::error::Error) -> Self {
        Self::Read(Box::new(error))
    }
}

async fn open(source: &str) -> Result<Database, ImportError> {
    let mut options = ClientOptions::parse(source)
        .await
        // The driver's message may contain the whole string, including the password.
        .map_err(|_| ImportError::Source("expected mongodb://HOST/DATABASE".to_owned()))?;
    options.server_selection_timeout = options.server_selection_timeout.or(Some(CONNECT));
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    let name = options.default_database.clone().unwrap_or_else(|| DATABASE.to_owned());
    Ok(Driver::with_options(options)?.database(&name))
}

/// A collection of flask-sentinel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collection {
    /// Users.
    Users,
    /// Clients.
    Clients,
    /// Issued access and refresh tokens.
    Tokens,
}

impl Collection {
    /// All collections in import order: tokens come last, because they need their users and
    /// clients.
    pub const IN_ORDER: [Self; 3] = [Self::Users, Self::Clients, Self::Tokens];

    /// Returns the name of the collection in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Clients => "clients",
            Self::Tokens => "tokens",
        }
    }
}

/// One run of the import.
pub struct Import {
    stores: Option<Stores>,
    lifetimes: Lifetimes,
    now: Timestamp,
    /// Users that a dry run would import. `None` in a run that writes, which finds them in the
    /// store.
    trial: Option<Trial>,
    /// Clients imported by this run.
    clients: HashMap<ClientId, Client>,
    /// Sessions imported by this run, and those that documents of the source became in earlier
    /// runs.
    sessions: HashSet<SessionId>,
    report: Report,
}

/// Ids and names of the users that a dry run would import.
#[derive(Default)]
struct Trial {
    users: HashSet<UserId>,
    names: HashMap<String, UserId>,
}

impl Import {
    /// Creates a run. Without `stores` the target counts as empty; with `dry_run` nothing is
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
            trial: dry_run.then(Trial::default),
            clients: HashMap::new(),
            sessions: HashSet::new(),
            report: Report { dry_run, ..Report::default() },
        }
    }

    /// Imports all records of the database that `source`, a MongoDB connection string, names.
    ///
    /// # Errors
    /// [`ImportError`] if the source cannot be read or the store fails. Records imported until then
    /// are kept, and the report counts them.
    pub async fn take_all(&mut self, source: &str) -> Result<(), ImportError> {
        let database = open(source).await?;
        let names = database.list_collection_names().await?;
        if !Collection::IN_ORDER.iter().any(|one| names.iter().any(|name| name == one.name())) {
            return Err(ImportError::Nothing(database.name().to_owned()));
        }
        if let Some(stores) = self.target() {
            stores.mark_in_use().await?;
        }
        for collection in Collection::IN_ORDER {
            // Natural order is the order in which flask-sentinel's own queries find the documents.
            let order = doc! { "$natural": 1 };
            let records = database.collection::<Document>(collection.name());
            let mut found = records.find(doc! {}).sort(order).await?;
            while let Some(record) = found.try_next().await? {
                self.take(collection, &record).await?;
            }
        }
        Ok(())
    }

    /// Imports one document, or adds the reason why not to the report.
    ///
    /// # Errors
    /// [`ImportError::Store`] if the store fails.
    pub async fn take(
        &mut self,
        collection: Collection,
        record: &Document,
    ) -> Result<(), ImportError> {
        match collection {
            Collection::Users => self.user(record).await,
            Collection::Clients => self.client(record).await,
            Collection::Tokens => self.session(record).await,
        }
    }

    /// Returns the report of this run.
    pub fn into_report(self) -> Report {
        self.report
    }

    async fn is_imported(&self, key: &str) -> Result<bool, ImportError> {
        match &self.stores {
            Some(stores) => Ok(stores.imports.is_imported(key).await?),
            None => Ok(false),
        }
    }

    /// Returns the stores to write to; `None` in a dry run.
    fn target(&self) -> Option<&Stores> {
        self.stores.as_ref().filter(|_| self.trial.is_none())
    }

    async fn note(&self, key: &str) -> Result<(), ImportError> {
        match self.target() {
            Some(stores) => Ok(stores.imports.record_import(key).await?),
            None => Ok(()),
        }
    }

    /// Returns the id of the user that has this name.
    async fn owner_of(&self, name: &str) -> Result<Option<UserId>, ImportError> {
        if let Some(owner) = self.trial.as_ref().and_then(|trial| trial.names.get(name)) {
            return Ok(Some(*owner));
        }
        match &self.stores {
            Some(stores) => Ok(stores.users.find_by_name(name).await?.map(|user| user.id)),
            None => Ok(None),
        }
    }

    async fn user(&mut self, record: &Document) -> Result<(), ImportError> {
        self.report.users.read += 1;
        let id = id_of(record);
        let key = format!("users/{id}");
        if self.is_imported(&key).await? {
            self.report.users.already += 1;
            return Ok(());
        }
        let user = match documents::user(record, self.now) {
            Ok(user) => user,
            Err(reason) => {
                self.report.users.skip(&id, reason);
                return Ok(());
            }
        };
        let owner = self.owner_of(&user.username).await?;
        // An interrupted run may have written the user without noting it.
        let is_there = owner == Some(user.id);
        if let Some(owner) = owner.filter(|owner| *owner != user.id) {
            let reason = format!("its user name belongs to {owner}, who was there first");
            self.report.users.skip(&id, reason);
            return Ok(());
        }
        if let Some(stores) = self.target().filter(|_| !is_there)
            && !stores.users.insert(&user).await?
        {
            self.report.users.skip(&id, "its id or its user name is taken");
            return Ok(());
        }
        self.note(&key).await?;
        if let Some(trial) = &mut self.trial {
            trial.users.insert(user.id);
            trial.names.insert(user.username, user.id);
        }
        self.report.users.imported += 1;
        Ok(())
    }

    async fn client(&mut self, record: &Document) -> Result<(), ImportError> {
        self.report.clients.read += 1;
        let id = id_of(record);
        let key = format!("clients/{id}");
        if self.is_imported(&key).await? {
            self.report.clients.already += 1;
            return Ok(());
        }
        let (client, remarks) = match documents::client(record, self.now) {
            Ok(client) => client,
            Err(reason) => {
                self.report.clients.skip(&id, reason);
                return Ok(());
            }
        };
        if self.clients.contains_key(&client.id) {
            self.report.clients.skip(&id, "another client has the same client_id");
            return Ok(());
        }
        if let Some(stores) = &self.stores {
            let there = stores.clients.find(&client.id).await?;
            if there.as_ref().is_some_and(|there| there.name != client.name) {
                self.report.clients.skip(&id, "there is a client with this client_id already");
                return Ok(());
            }
            if there.is_none() && self.target().is_some() && !stores.clients.insert(&client).await?
            {
                self.report.clients.skip(&id, "there is a client with this client_id already");
                return Ok(());
            }
        }
        self.note(&key).await?;
        for remark in remarks {
            self.report.clients.remark(&id, remark);
        }
        self.clients.insert(client.id.clone(), client);
        self.report.clients.imported += 1;
        Ok(())
    }
}

/// Returns the `_id` of a document as text, or an empty string if it has none.
fn id_of(record: &Document) -> String {
    match record.get("_id") {
        Some(Bson::ObjectId(id)) => id.to_hex(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}
