//! `[mongo]`: the connection to MongoDB.

use std::net::Ipv6Addr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::keyword::Keyword;
use super::reader::Reader;
use super::{parse, secret, show};

/// Settings of the connection to MongoDB. `None` means the value in `uri`, or else a default.
#[derive(Clone, Debug)]
pub struct MongoSettings {
    /// Connection string for MongoDB, built from `host` and `port` if these override it.
    pub uri: SecretString,
    /// Name of the MongoDB database.
    pub dbname: String,
    /// Host name or address of the MongoDB server, merged into `uri` if it overrides `uri`.
    pub host: Option<String>,
    /// Port of the MongoDB server, merged into `uri` if it overrides `uri`.
    pub port: Option<u16>,
    /// User name for authentication at the MongoDB server.
    pub username: Option<String>,
    /// Password for `username` at the MongoDB server.
    pub password: Option<SecretString>,
    /// MongoDB database that authenticates `username`.
    pub auth_source: Option<String>,
    /// Name of the MongoDB replica set.
    pub replica_set: Option<String>,
    /// Maximum number of connections to MongoDB that one process keeps open.
    pub max_pool_size: Option<u32>,
    /// Members of the MongoDB replica set that may be read from.
    pub read_preference: Option<ReadPreference>,
    /// Time limit of one MongoDB operation.
    pub socket_timeout: Option<Duration>,
    /// Time limit of one attempt to connect to MongoDB.
    pub connect_timeout: Option<Duration>,
    /// Time limit for the selection of a usable MongoDB server.
    pub server_selection_timeout: Option<Duration>,
}

/// Members of a MongoDB replica set that may be read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadPreference {
    /// Reads go to the primary only.
    Primary,
    /// Reads go to the primary, or to a secondary if there is no primary.
    PrimaryPreferred,
    /// Reads go to secondaries only.
    Secondary,
    /// Reads go to a secondary, or to the primary if there is no secondary.
    SecondaryPreferred,
    /// Reads go to the member that responds fastest.
    Nearest,
}

impl Keyword for ReadPreference {
    const KEYWORDS: &'static [(&'static str, Self)] = &[
        ("primary", Self::Primary),
        ("primaryPreferred", Self::PrimaryPreferred),
        ("secondary", Self::Secondary),
        ("secondaryPreferred", Self::SecondaryPreferred),
        ("nearest", Self::Nearest),
    ];
}

const HOST: &str = "a host name or address with no port; a whole URL goes into mongo.uri";

fn is_host(text: &str) -> bool {
    text.parse::<Ipv6Addr>().is_ok() || !text.contains([':', '/', '@', ',', '?'])
}

impl MongoSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let before = reader.problems.len();
        let is_uri = |text: &str| parse::has_scheme(text, &["mongodb", "mongodb+srv"]);
        let mut mongo = Self {
            uri: secret::read(
                reader,
                "mongo.uri",
                "a URL that starts with mongodb:// or mongodb+srv://",
                is_uri,
            ),
            dbname: reader.text("mongo.dbname", "the name of a database", |name| !name.is_empty()),
            host: Some(reader.text("mongo.host", HOST, is_host)).filter(|host| !host.is_empty()),
            port: reader.optional_integer("mongo.port", 0..=u16::MAX),
            username: reader.optional_text("mongo.username"),
            password: secret::optional(reader, "mongo.password"),
            auth_source: reader.optional_text("mongo.auth_source"),
            replica_set: reader.optional_text("mongo.replica_set"),
            max_pool_size: reader.optional_integer("mongo.max_pool_size", 0..=u32::MAX),
            read_preference: reader.optional_keyword("mongo.read_preference"),
            socket_timeout: milliseconds(reader, "mongo.socket_timeout_ms"),
            connect_timeout: milliseconds(reader, "mongo.connect_timeout_ms"),
            server_selection_timeout: milliseconds(reader, "mongo.server_selection_timeout_ms"),
        };
        mongo.merge_address(reader);
        // After another problem, one of the two may be missing only because it could not be read.
        match (&mongo.username, &mongo.password) {
            (None, Some(_)) if before == reader.problems.len() => reader
                .reject("mongo.password is set and mongo.username is not; set both or neither"),
            (Some(_), None) if before == reader.problems.len() && mongo.needs_password() => reader
                .reject(
                    "mongo.username is set and mongo.password (or mongo.password_file) is not; set \
                     both or neither",
                ),
            _ => {}
        }
        mongo
    }

    /// Returns whether MongoDB authentication as `username` needs a password. It does unless
    /// `authMechanism` in `uri` names a mechanism with other means, for example a certificate.
    fn needs_password(&self) -> bool {
        const OTHERWISE: [&str; 4] = ["MONGODB-X509", "MONGODB-AWS", "MONGODB-OIDC", "GSSAPI"];
        let (_, options) = self.uri.expose_secret().rsplit_once('?').unwrap_or_default();
        let mechanism = options
            .split('&')
            .filter_map(|option| option.split_once('='))
            .find_map(|(name, value)| name.eq_ignore_ascii_case("authMechanism").then_some(value));
        !mechanism
            .is_some_and(|name| OTHERWISE.iter().any(|other| other.eq_ignore_ascii_case(name)))
    }

    /// Merges `uri`, `host`, `port` and `dbname`, which can each name the server or the database,
    /// into one connection string and one database name.
    fn merge_address(&mut self, reader: &mut Reader) {
        let set = |key| reader.rank_if_set(key);
        let uri_rank = set("mongo.uri").max(set("mongo.uri_file"));
        let part_rank = set("mongo.host").max(set("mongo.port"));
        if part_rank > uri_rank && (self.host.is_some() || self.port.is_some()) {
            let host = self.host.as_deref().unwrap_or("localhost");
            let host = if host.parse::<Ipv6Addr>().is_ok() {
                format!("[{host}]")
            } else {
                host.to_owned()
            };
            let uri = format!("mongodb://{host}:{}", self.port.unwrap_or(27017));
            reader.show("mongo.uri", show::secret("mongo.uri", &uri));
            self.uri = uri.into();
        } else if reader.rank("mongo.dbname") == 0
            && let Some(name) = database(self.uri.expose_secret())
        {
            reader.show("mongo.dbname", name);
            self.dbname = name.to_owned();
        }
    }
}

/// Returns the database that a MongoDB connection string names. Ignores `admin`, which is the
/// database for authentication and not meant for tokens.
fn database(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let (_, path) = rest.split('?').next()?.rsplit_once('/')?;
    (!path.is_empty() && path != "admin" && !path.contains(['@', '%', '.', ','])).then_some(path)
}

fn milliseconds(reader: &mut Reader, key: &str) -> Option<Duration> {
    reader.optional_integer(key, 0..=u32::MAX).map(|number| Duration::from_millis(number.into()))
}
