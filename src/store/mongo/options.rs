//! From `[mongo]` to the driver's options: where MongoDB is, who logs in, and how long a call waits.

use std::time::Duration;

use mongodb::options::{
    Acknowledgment, ClientOptions, ConnectionString, Credential, ReadConcern, ReadPreference,
    ReadPreferenceOptions, SelectionCriteria, ServerAddress, WriteConcern,
};
use secrecy::{ExposeSecret, SecretString};

use crate::settings::{self, Mongo};
use crate::store::{Result, StoreError};

/// Where neither the settings nor the connection string say otherwise. A request is to be answered
/// 503 within a few seconds, and the driver's own defaults are half a minute and no end at all.
const CALL: Duration = Duration::from_secs(4);
const CONNECT: Duration = Duration::from_secs(3);
/// Connections to each server, as the driver has it.
const CONNECTIONS: u32 = 10;
const SELECT: Duration = Duration::from_secs(3);

/// How MongoDB is used.
pub(super) struct Options {
    pub(super) client: ClientOptions,
    pub(super) dbname: String,
    /// Which members lists are read from. All else is read from the primary.
    pub(super) lists: SelectionCriteria,
    /// Until a call is given up.
    pub(super) call: Duration,
    /// Connections to each server at most; 0 is any number.
    pub(super) connections: u32,
    /// The servers, for people.
    pub(super) hosts: String,
}

impl Options {
    /// Resolves what the connection string names, if that takes DNS.
    pub(super) async fn read(settings: &Mongo) -> Result<Self> {
        let invalid = |error| invalid(settings.uri.expose_secret(), &error);
        let parsed = ConnectionString::parse(settings.uri.expose_secret()).map_err(invalid)?;
        #[allow(deprecated)] // the driver reads it and leaves it at that
        let in_uri = parsed.socket_timeout.filter(|limit| !limit.is_zero());
        let call = settings.socket_timeout.or(in_uri).unwrap_or(CALL);
        let resolving = tokio::time::timeout(CONNECT * 2, ClientOptions::parse(parsed));
        let mut client = match resolving.await {
            Ok(parsed) => parsed.map_err(invalid)?,
            Err(_) => return Err(StoreError::Unusable(NO_DNS.to_owned())),
        };
        client.app_name = Some("sentinel".to_owned());
        client.connect_timeout =
            settings.connect_timeout.or(client.connect_timeout).or(Some(CONNECT));
        let select = settings.server_selection_timeout.or(client.server_selection_timeout);
        client.server_selection_timeout = select.or(Some(SELECT));
        let connections = settings.max_pool_size.or(client.max_pool_size).unwrap_or(CONNECTIONS);
        client.max_pool_size = Some(connections);
        client.repl_set_name = settings.replica_set.clone().or(client.repl_set_name);
        log_in(settings, &mut client);

        let lists = settings.read_preference.map(preference).or(client.selection_criteria);
        client.selection_criteria = Some(primary());
        client.read_concern = Some(ReadConcern::local());
        // What has been answered survives any minority of the servers, whatever the connection string
        // says, and a write that waits for them in vain ends before the call does.
        let limit = call.saturating_sub(Duration::from_millis(500)).max(call / 2);
        let all = WriteConcern::builder().w(Acknowledgment::Majority).journal(true);
        client.write_concern = Some(all.w_timeout(limit).build());
        client.retry_writes = Some(true);

        let hosts: Vec<_> = client.hosts.iter().map(ServerAddress::to_string).collect();
        Ok(Self {
            hosts: hosts.join(", "),
            client,
            dbname: settings.dbname.clone(),
            lists: lists.unwrap_or_else(primary),
            call,
            connections,
        })
    }
}

/// Whether the connection string is one, without asking DNS what it names.
pub(super) fn check(settings: &Mongo) -> Result<()> {
    let uri = settings.uri.expose_secret();
    ConnectionString::parse(uri).map(drop).map_err(|error| invalid(uri, &error))
}

const NO_DNS: &str = "mongo.uri names servers that DNS did not resolve in time";

fn primary() -> SelectionCriteria {
    ReadPreference::Primary.into()
}

/// What the settings say of the login, over what the connection string says.
fn log_in(settings: &Mongo, client: &mut ClientOptions) {
    if let Some(username) = &settings.username {
        let mut credential = Credential::default();
        credential.username = Some(username.clone());
        let password = settings.password.as_ref().map(SecretString::expose_secret);
        credential.password = password.map(str::to_owned);
        let former = client.credential.take();
        credential.source = former.as_ref().and_then(|former| former.source.clone());
        credential.mechanism = former.and_then(|former| former.mechanism);
        client.credential = Some(credential);
    }
    if let (Some(source), Some(credential)) = (&settings.auth_source, &mut client.credential) {
        credential.source = Some(source.clone());
    }
}

fn preference(setting: settings::ReadPreference) -> SelectionCriteria {
    let options = Some(ReadPreferenceOptions::default());
    match setting {
        settings::ReadPreference::Primary => ReadPreference::Primary,
        settings::ReadPreference::PrimaryPreferred => ReadPreference::PrimaryPreferred { options },
        settings::ReadPreference::Secondary => ReadPreference::Secondary { options },
        settings::ReadPreference::SecondaryPreferred => {
            ReadPreference::SecondaryPreferred { options }
        }
        settings::ReadPreference::Nearest => ReadPreference::Nearest { options },
    }
    .into()
}

/// The driver quotes what it does not understand, and that may be a piece of the password.
fn invalid(uri: &str, error: &mongodb::error::Error) -> StoreError {
    let message = super::sentence(error);
    let login = uri.split_once("://").map_or(uri, |(_, rest)| rest).rsplit_once('@');
    let quotes = login.is_some_and(|(login, _)| {
        login.split([':', '@', '/', '?']).any(|part| !part.is_empty() && message.contains(part))
    });
    let message = if quotes { "its user or password has to be percent-encoded" } else { &message };
    StoreError::Unusable(format!("mongo.uri cannot be used: {message}"))
}
