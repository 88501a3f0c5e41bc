//! Conversion of the `[mongo]` settings to options of the MongoDB driver: addresses, credentials
//! and timeouts.

use std::time::Duration;

use futures_util::FutureExt;
use mongodb::error::ErrorKind;
use mongodb::options::{
    Acknowledgment, ClientOptions, ConnectionString, Credential, ReadConcern, ReadPreference,
    ReadPreferenceOptions, SelectionCriteria, ServerAddress, Tls, WriteConcern,
};
use secrecy::{ExposeSecret, SecretString};

use crate::settings::parse::has_password_as_port;
use crate::settings::{self, MongoSettings};
use crate::store::{Result, StoreError, pem};

/// Default time limit of a call to MongoDB, if neither the settings nor the connection string set
/// one. A request must be answered with 503 within a few seconds; the driver has no limit by
/// default.
const CALL: Duration = Duration::from_secs(4);
/// Default time limit for opening a connection to MongoDB.
const CONNECT: Duration = Duration::from_secs(3);
/// Default maximum number of connections to each MongoDB server, equal to the driver's default.
const CONNECTIONS: u32 = 10;
/// Default time limit for server selection (finding a usable MongoDB server). The driver's default
/// is 30 seconds.
const SELECT: Duration = Duration::from_secs(3);

/// Options of the MongoDB driver, and the settings that [`super::MongoStore`] needs itself.
pub(super) struct MongoOptions {
    pub(super) client: ClientOptions,
    pub(super) dbname: String,
    /// Read preference of lists, counts and password hash samples. All other reads go to the
    /// primary.
    pub(super) lists: SelectionCriteria,
    /// Time limit of a call to MongoDB.
    pub(super) call: Duration,
    /// Maximum number of connections to each MongoDB server; 0 means no limit.
    pub(super) connections: u32,
    /// Addresses of the MongoDB servers, for messages.
    pub(super) hosts: String,
}

impl MongoOptions {
    /// Builds the driver options from the settings. Resolves the connection string by DNS if it is
    /// a `mongodb+srv` URI.
    pub(super) async fn read(settings: &MongoSettings) -> Result<Self> {
        let parsed = parse(settings)?;
        #[allow(deprecated)] // the driver parses the option and does not apply it
        let in_uri = parsed.socket_timeout.filter(|limit| !limit.is_zero());
        let call = settings.socket_timeout.or(in_uri).unwrap_or(CALL);
        let resolving = tokio::time::timeout(CONNECT * 2, ClientOptions::parse(parsed));
        let mut client = match resolving.await {
            Ok(parsed) => parsed.map_err(|error| match &*error.kind {
                ErrorKind::DnsResolve { .. } => {
                    StoreError::Open(format!("mongo.uri: {}", sentence(&error)))
                }
                _ => invalid(settings.uri.expose_secret(), &error),
            })?,
            Err(_) => return Err(StoreError::Open(NO_DNS.to_owned())),
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
        // Acknowledged writes survive the loss of any minority of servers, even if the connection
        // string asks for less. The write concern times out before the call does.
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

/// Validates the MongoDB connection string and the certificate files that it names, without DNS
/// look-ups.
pub(super) fn check(settings: &MongoSettings) -> Result<()> {
    let parsed = parse(settings)?;
    let uri = settings.uri.expose_secret();
    if uri.starts_with("mongodb+srv://") {
        return Ok(());
    }
    // The driver checks combinations of options here. Without DNS look-ups it does not wait.
    match ClientOptions::parse(parsed).into_future().now_or_never() {
        Some(Err(error)) => Err(invalid(uri, &error)),
        _ => Ok(()),
    }
}

fn parse(settings: &MongoSettings) -> Result<ConnectionString> {
    let uri = settings.uri.expose_secret();
    let parsed = ConnectionString::parse(uri).map_err(|error| invalid(uri, &error))?;
    check_tls_files(parsed.tls.as_ref(), "mongo.uri")?;
    Ok(parsed)
}

/// Checks the certificate files that the MongoDB connection string in `setting` names. The driver
/// reads files of any size.
///
/// # Errors
/// [`StoreError::Configuration`] for a file that cannot be used.
pub fn check_tls_files(tls: Option<&Tls>, setting: &str) -> Result<()> {
    let Some(Tls::Enabled(tls)) = tls else { return Ok(()) };
    if let Some(path) = &tls.ca_file_path {
        pem::certificates(&format!("tlsCAFile in {setting}"), path)?;
    }
    if let Some(path) = &tls.cert_key_file_path {
        let option = format!("tlsCertificateKeyFile in {setting}");
        pem::certificates(&option, path)?;
        pem::private_key(&option, path)?;
    }
    Ok(())
}

const NO_DNS: &str = "mongo.uri names servers that DNS did not resolve in time";

fn primary() -> SelectionCriteria {
    ReadPreference::Primary.into()
}

/// Applies the user name, password and authentication source of the settings, which take precedence
/// over those of the connection string.
fn log_in(settings: &MongoSettings, client: &mut ClientOptions) {
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

/// Builds the error for an invalid MongoDB connection string without revealing the password. The
/// driver quotes the text that it cannot parse, which may be part of the password. So the string is
/// parsed again with placeholder credentials, and the error of that attempt is shown, if there is
/// one.
fn invalid(uri: &str, error: &mongodb::error::Error) -> StoreError {
    const NO_HOST: &str =
        "the port is not a number; after a user and a password, write @ and the host";
    const ENCODE: &str = "its user or password must be percent-encoded";
    let (_, rest) = uri.split_once("://").unwrap_or_default();
    let message = match split_credentials(uri) {
        None if has_password_as_port(rest) => NO_HOST.to_owned(),
        None => without_value(&sentence(error)),
        Some((login, _)) if !is_encoded(login) => ENCODE.to_owned(),
        Some((login, other)) => {
            let of_rest = ConnectionString::parse(&other).err();
            let (_, password) = login.split_once(':').unwrap_or_default();
            // The password may occur in the rest of the string too.
            redact(&without_value(&sentence(of_rest.as_ref().unwrap_or(error))), password)
        }
    };
    StoreError::Configuration(format!("mongo.uri cannot be used: {message}"))
}

/// Returns a message of the driver without the value that it quotes at its end, which may be a
/// secret.
fn without_value(message: &str) -> String {
    message.split(", got ").next().unwrap_or(message).to_owned()
}

/// Splits off the credentials of a MongoDB connection string, up to the last `@`, and returns them
/// with a connection string that has placeholder credentials instead.
fn split_credentials(uri: &str) -> Option<(&str, String)> {
    let (scheme, rest) = uri.split_once("://")?;
    let (login, hosts) = rest.rsplit_once('@')?;
    let other = if login.contains(':') { "user:password" } else { "user" };
    Some((login, format!("{scheme}://{other}@{hosts}")))
}

/// Returns whether the credentials of a connection string are valid userinfo (RFC 3986 §3.2.1) with
/// at most one colon.
fn is_encoded(login: &str) -> bool {
    let is_hex = |part: &str| {
        part.get(..2).is_some_and(|two| two.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    !login.contains(['/', '?', '#', '[', ']', '@'])
        && login.matches(':').count() <= 1
        && login.split('%').skip(1).all(is_hex)
}

/// Replaces `secret` in `text` by `***`. A secret of at most four bytes may be part of ordinary
/// words and is replaced only as a whole word.
fn redact(text: &str, secret: &str) -> String {
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

/// Returns the message of a MongoDB driver error without the text that the error type adds.
pub(super) fn sentence(error: &mongodb::error::Error) -> String {
    error.kind.to_string()
}

#[cfg(test)]
mod tests {
    use super::{redact, without_value};
    use crate::settings::parse::has_password_as_port;

    #[test]
    fn password_without_host_is_not_quoted() {
        assert!(has_password_as_port("admin:secret"));
        assert!(has_password_as_port("admin:secret/oauth"));
        assert!(!has_password_as_port("a:1,b:2/oauth?x=y:z"));
        assert!(!has_password_as_port("[::1]:27017/oauth"));
        assert!(!has_password_as_port("[::1]/oauth"));
        assert_eq!(without_value("`tls` must be a boolean, got secret"), "`tls` must be a boolean");
    }

    #[test]
    fn password_is_masked_and_short_one_as_whole_word_only() {
        assert_eq!(redact("'hunter2' is no option", "hunter2"), "'***' is no option");
        assert_eq!(redact("hunter23 is no option", "hunter2"), "***3 is no option");
        assert_eq!(redact("op, stop: option op", "op"), "***, stop: option ***");
        assert_eq!(redact("as it is", ""), "as it is");
        assert_eq!(redact("ssss s", "s"), "ssss ***");
    }
}
