//! From the MongoDB database of a flask-sentinel: `users`, `clients`, `tokens`.
//!
//! Ids are kept. What has been taken over is noted, record by record, and never taken over again: a user
//! that was deleted here, or a session that was ended, does not come back with the next run. Each record is
//! written before it is noted, and writing it twice does nothing, so a run may be interrupted anywhere.
//!
//! A document of tokens becomes a session. Its refresh token finds the session as one of our own does;
//! its access token by an alias. See [`Token::parse_legacy`].
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

/// The database where the connection string names none.
const DATABASE: &str = "oauth";
const CONNECT: Duration = Duration::from_secs(5);

/// The import cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The source is no connection string.
    #[error("--from is not a connection string of MongoDB: {0}")]
    Source(String),
    /// The source cannot be read.
    #[error("cannot read the source: {0}")]
    Read(#[source] Box<mongodb::error::Error>),
    /// There is nothing of flask-sentinel in it.
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
        // What the driver says may hold the whole string, password and all.
        .map_err(|_| ImportError::Source("expected mongodb://HOST/DATABASE".to_owned()))?;
    options.server_selection_timeout = options.server_selection_timeout.or(Some(CONNECT));
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    let name = options.default_database.clone().unwrap_or_else(|| DATABASE.to_owned());
    Ok(Driver::with_options(options)?.database(&name))
}

/// What flask-sentinel keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collection {
    /// Who can log in.
    Users,
    /// Through which apps.
    Clients,
    /// What was issued to them.
    Tokens,
}

impl Collection {
    /// Tokens are taken over with their users and clients there.
    pub const IN_ORDER: [Self; 3] = [Self::Users, Self::Clients, Self::Tokens];

    /// What it is called in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Clients => "clients",
            Self::Tokens => "tokens",
        }
    }
}

/// One run.
pub struct Import {
    stores: Option<Stores>,
    lifetimes: Lifetimes,
    now: Timestamp,
    /// What a dry run would have written; `None` in one that writes, which finds it in the store.
    trial: Option<Trial>,
    /// The clients of this run.
    clients: HashMap<ClientId, Client>,
    /// The sessions of this run, and those that its documents have become earlier.
    sessions: HashSet<SessionId>,
    report: Report,
}

/// The users of a dry run.
#[derive(Default)]
struct Trial {
    users: HashSet<UserId>,
    names: HashMap<String, UserId>,
}

impl Import {
    /// Without `stores`, nothing is there yet; with `dry_run`, nothing is written.
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

    /// Takes over what is in the database that `source` names.
    ///
    /// # Errors
    /// [`ImportError`]. What was taken over until then stays, and is in the report.
    pub async fn take_all(&mut self, source: &str) -> Result<(), ImportError> {
        let database = open(source).await?;
        let names = database.list_collection_names().await?;
        if !Collection::IN_ORDER.iter().any(|one| names.iter().any(|name| name == one.name())) {
            return Err(ImportError::Nothing(database.name().to_owned()));
        }
        if let Some(stores) = self.target() {
            stores.take_into_use().await?;
        }
        for collection in Collection::IN_ORDER {
            // As flask-sentinel's own queries would come upon them.
            let order = doc! { "$natural": 1 };
            let records = database.collection::<Document>(collection.name());
            let mut found = records.find(doc! {}).sort(order).await?;
            while let Some(record) = found.try_next().await? {
                self.take(collection, &record).await?;
            }
        }
        Ok(())
    }

    /// Takes one document over, or says in the report why not.
    ///
    /// # Errors
    /// When the store fails.
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

    /// What became of the documents.
    pub fn into_report(self) -> Report {
        self.report
    }

    async fn is_imported(&self, key: &str) -> Result<bool, ImportError> {
        match &self.stores {
            Some(stores) => Ok(stores.imports.is_imported(key).await?),
            None => Ok(false),
        }
    }

    /// The stores, if they are to be written to.
    fn target(&self) -> Option<&Stores> {
        self.stores.as_ref().filter(|_| self.trial.is_none())
    }

    async fn note(&self, key: &str) -> Result<(), ImportError> {
        match self.target() {
            Some(stores) => Ok(stores.imports.note_imported(key).await?),
            None => Ok(()),
        }
    }

    /// Whose a user name is.
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
        // Written by a run that was interrupted before it could note it.
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

/// The `_id` of a record, as text.
fn id_of(record: &Document) -> String {
    match record.get("_id") {
        Some(Bson::ObjectId(id)) => id.to_hex(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}
