//! From `[mongo]` to the driver's options: where MongoDB is, who logs in, and how long a call waits.

use std::time::Duration;

use mongodb::options::{
    Acknowledgment, ClientOptions, ConnectionString, Credential, ReadConcern, ReadPreference,
    ReadPreferenceOptions, SelectionCriteria, ServerAddress, Tls, WriteConcern,
};
use secrecy::{ExposeSecret, SecretString};

use crate::settings::{self, Mongo};
use crate::store::{Result, StoreError, pem};

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
        let parsed = parse(settings)?;
        #[allow(deprecated)] // the driver reads it and leaves it at that
        let in_uri = parsed.socket_timeout.filter(|limit| !limit.is_zero());
        let call = settings.socket_timeout.or(in_uri).unwrap_or(CALL);
        let resolving = tokio::time::timeout(CONNECT * 2, ClientOptions::parse(parsed));
        let mut client = match resolving.await {
            Ok(parsed) => parsed.map_err(|error| invalid(settings.uri.expose_secret(), &error))?,
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

/// Whether the connection string is one, and the files are there that it names, without asking DNS for servers.
pub(super) fn check(settings: &Mongo) -> Result<()> {
    parse(settings).map(drop)
}

fn parse(settings: &Mongo) -> Result<ConnectionString> {
    let uri = settings.uri.expose_secret();
    let parsed = ConnectionString::parse(uri).map_err(|error| invalid(uri, &error))?;
    if let Some(Tls::Enabled(tls)) = &parsed.tls {
        if let Some(path) = &tls.ca_file_path {
            pem::certificates("tlsCAFile in mongo.uri", path)?;
        }
        if let Some(path) = &tls.cert_key_file_path {
            let option = "tlsCertificateKeyFile in mongo.uri";
            pem::certificates(option, path)?;
            pem::private_key(option, path)?;
        }
    }
    Ok(parsed)
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

/// The driver quotes what it does not understand, and that may be a piece of the password. So it is asked again with
/// another login: what it says then is of the rest.
fn invalid(uri: &str, error: &mongodb::error::Error) -> StoreError {
    const ENCODE: &str = "its user or password has to be percent-encoded";
    let message = match login(uri) {
        None => super::sentence(error),
        Some((login, _)) if !is_encoded(login) => ENCODE.to_owned(),
        Some((login, other)) => {
            let of_rest = ConnectionString::parse(&other).err();
            let (_, password) = login.split_once(':').unwrap_or_default();
            // The rest may have it too.
            hide(&super::sentence(of_rest.as_ref().unwrap_or(error)), password)
        }
    };
    StoreError::Unusable(format!("mongo.uri cannot be used: {message}"))
}

/// Who logs in, up to the last `@` of all, and the connection string with somebody else.
fn login(uri: &str) -> Option<(&str, String)> {
    let (scheme, rest) = uri.split_once("://")?;
    let (login, hosts) = rest.rsplit_once('@')?;
    let other = if login.contains(':') { "user:password" } else { "user" };
    Some((login, format!("{scheme}://{other}@{hosts}")))
}

/// Whether it can stand before the `@` (RFC 3986 §3.2.1, and one colon).
fn is_encoded(login: &str) -> bool {
    let is_hex = |part: &str| {
        part.get(..2).is_some_and(|two| two.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    !login.contains(['/', '?', '#', '[', ']', '@'])
        && login.matches(':').count() <= 1
        && login.split('%').skip(1).all(is_hex)
}

/// `text` without `secret`. A short one is a piece of many words, and is hidden only where it is one of its own.
fn hide(text: &str, secret: &str) -> String {
    const SHORT: usize = 4;
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(secret).filter(|_| !secret.is_empty()) {
        shown.push_str(before);
        let inside =
            shown.ends_with(char::is_alphanumeric) || after.starts_with(char::is_alphanumeric);
        shown.push_str(if inside && secret.len() <= SHORT { secret } else { "***" });
        rest = after;
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::hide;

    #[test]
    fn a_password_is_hidden_where_it_is_a_word_and_leaves_others_whole() {
        assert_eq!(hide("'hunter2' is no option", "hunter2"), "'***' is no option");
        assert_eq!(hide("hunter23 is no option", "hunter2"), "***3 is no option");
        assert_eq!(hide("op, stop: option op", "op"), "***, stop: option ***");
        assert_eq!(hide("as it is", ""), "as it is");
        assert_eq!(hide("ssss s", "s"), "ssss ***");
    }
}
