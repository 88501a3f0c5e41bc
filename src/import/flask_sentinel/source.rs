//! Source of the import: a MongoDB database of flask-sentinel.

use std::time::Duration;

use mongodb::error::ErrorKind;
use mongodb::options::{ClientOptions, ReadPreference, SelectionCriteria};
use mongodb::{Client as Driver, Database};

use crate::store::StoreError;
use crate::store::mongo::check_tls_files;

/// Name of the MongoDB database to import from, if the connection string names none.
const DEFAULT_DATABASE: &str = "oauth";
/// Time limit for finding the MongoDB server, unless the connection string sets a limit.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Reason why an import cannot continue.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The run was stopped before the end. Running the import again imports the rest.
    #[error("the import was stopped before the end; run it again to import the rest")]
    Stopped,
    /// The given source of the import is not a valid MongoDB connection string.
    #[error("--from is not a MongoDB connection string: {0}")]
    Source(String),
    /// A certificate or key file that the connection string names cannot be used.
    #[error(transparent)]
    SourceFile(StoreError),
    /// The source database cannot be read.
    #[error("cannot read the source: {0}")]
    Read(#[source] Box<mongodb::error::Error>),
    /// The source database has none of the collections of flask-sentinel.
    #[error("the database {0} has none of the collections users, clients and tokens")]
    NoCollections(String),
    /// The store of Sentinel, to which the import writes, fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<mongodb::error::Error> for ImportError {
    fn from(error: mongodb::error::Error) -> Self {
        Self::Read(Box::new(error))
    }
}

/// Opens the MongoDB database that the connection string `source` names.
pub(super) async fn open(source: &str) -> Result<Database, ImportError> {
    let mut options = ClientOptions::parse(source)
        .await
        // The driver's message may contain the whole string, including the password.
        .map_err(|error| match &*error.kind {
            ErrorKind::DnsResolve { .. } => ImportError::from(error),
            _ => ImportError::Source("expected mongodb://HOST/DATABASE".to_owned()),
        })?;
    check_tls_files(options.tls.as_ref(), "--from").map_err(ImportError::SourceFile)?;
    options.server_selection_timeout = options.server_selection_timeout.or(Some(CONNECT_TIMEOUT));
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    let name = options.default_database.clone().unwrap_or_else(|| DEFAULT_DATABASE.to_owned());
    Ok(Driver::with_options(options)?.database(&name))
}

/// A collection in a MongoDB database of flask-sentinel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collection {
    /// Collection of users.
    Users,
    /// Collection of clients.
    Clients,
    /// Collection of issued access and refresh tokens.
    Tokens,
}

impl Collection {
    /// All collections of flask-sentinel in import order: tokens come last, because they need their
    /// users and clients.
    pub const IN_ORDER: [Self; 3] = [Self::Users, Self::Clients, Self::Tokens];

    /// Returns the name of the collection in the MongoDB database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Clients => "clients",
            Self::Tokens => "tokens",
        }
    }
}
