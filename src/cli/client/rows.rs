//! Reads clients from a file of JSON Lines, as `client export` writes them. Error messages do not
//! quote values, which may be secrets.

use std::collections::{BTreeSet, HashMap};
use std::io::BufRead;

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::super::failure::Failure;
use super::Ttl;
use crate::admin::NewClient;
use crate::domain::{
    ClientId, Digest, Grant, InvalidClientSecret, PasswordHash, Scope, StoredSecret,
    check_client_secret,
};
use crate::import::lines::{InvalidRow, Lines, RowName};
use crate::password::import_hash;

/// Valid line of a file of clients: a client to be imported.
pub(super) struct ClientRow {
    pub(super) line: u64,
    pub(super) id: ClientId,
    pub(super) enabled: bool,
    pub(super) client: NewClient,
    /// Secret of a confidential client.
    pub(super) secret: Option<RowSecret>,
}

/// Secret of a client as a line of the file has it.
pub(super) enum RowSecret {
    /// Plain text, and whether it is so short that it can be guessed.
    Plain(SecretString, bool),
    /// Digest or hash.
    Stored(StoredSecret),
}

/// Reads the clients of a file one by one.
pub(super) struct ClientRows<R> {
    lines: Lines<R>,
    /// Number of the line in which each client id last occurred.
    seen: HashMap<ClientId, u64>,
}

impl<R: BufRead> ClientRows<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { lines: Lines::new(reader), seen: HashMap::new() }
    }

    /// Returns the next client, or the reason why its line is invalid; `None` at the end of the
    /// file.
    pub(super) fn next(&mut self) -> Result<Option<Result<ClientRow, InvalidRow>>, Failure> {
        let Some((line, object)) = self.lines.next_object()? else { return Ok(None) };
        let fields = object.and_then(ClientRowFields::parse);
        let name = fields.as_ref().ok().and_then(|fields| fields.client_id.clone());
        let name = name.map(RowName::ClientId);
        let row = fields.and_then(|fields| fields.row(line)).and_then(|row| {
            match self.seen.insert(row.id.clone(), line) {
                Some(first) => Err(format!("the same client_id is in line {first}")),
                None => Ok(row),
            }
        });
        Ok(Some(row.map_err(|reason| InvalidRow { line, name, reason })))
    }
}

/// Members of the JSON object on a line of a file of clients, before validation.
#[derive(Default)]
struct ClientRowFields {
    client_id: Option<String>,
    name: Option<String>,
    kind: Option<String>,
    client_secret: Option<String>,
    secret_sha256: Option<String>,
    secret_hash: Option<String>,
    grants: Option<Vec<String>>,
    scopes: Option<Vec<String>>,
    default_scopes: Option<Vec<String>>,
    access_token_ttl: Option<String>,
    refresh_idle_ttl: Option<String>,
    session_ttl: Option<String>,
    introspection: Option<bool>,
    introspect_refresh_tokens: Option<bool>,
    enabled: Option<bool>,
}

impl ClientRowFields {
    fn parse(object: Map<String, Value>) -> Result<Self, String> {
        let mut fields = Self::default();
        for (name, value) in object.into_iter().filter(|(_, value)| !value.is_null()) {
            let taken = match &*name {
                "client_id" => set(&mut fields.client_id, text(value)),
                "name" => set(&mut fields.name, text(value)),
                "type" => set(&mut fields.kind, text(value)),
                "client_secret" => set(&mut fields.client_secret, text(value)),
                "secret_sha256" => set(&mut fields.secret_sha256, text(value)),
                "secret_hash" => set(&mut fields.secret_hash, text(value)),
                "grants" => set(&mut fields.grants, words(value)),
                "scopes" => set(&mut fields.scopes, words(value)),
                "default_scopes" => set(&mut fields.default_scopes, words(value)),
                "access_token_ttl" => set(&mut fields.access_token_ttl, time(value)),
                "refresh_idle_ttl" => set(&mut fields.refresh_idle_ttl, time(value)),
                "session_ttl" => set(&mut fields.session_ttl, time(value)),
                "introspection" => set(&mut fields.introspection, value.as_bool()),
                "introspect_refresh_tokens" => {
                    set(&mut fields.introspect_refresh_tokens, value.as_bool())
                }
                "enabled" => set(&mut fields.enabled, value.as_bool()),
                // The timestamps of an export belong to the store that it was made from.
                "created_at" | "updated_at" => true,
                // The name is not quoted: in a malformed file it may be a secret.
                _ => return Err("it has a member that clients do not have".to_owned()),
            };
            if !taken {
                return Err(format!("its {name} is of the wrong type"));
            }
        }
        Ok(fields)
    }

    fn row(self, line: u64) -> Result<ClientRow, String> {
        let id = self.client_id.as_deref().ok_or("it has no client_id")?;
        let id = id.parse().map_err(|error| format!("its client_id is invalid: {error}"))?;
        let secret = match (&self.client_secret, &self.secret_sha256, &self.secret_hash) {
            (None, None, None) => None,
            (Some(secret), None, None) => Some(plain(secret)?),
            (None, Some(digest), None) => Some(RowSecret::Stored(from_digest(digest)?)),
            (None, None, Some(hash)) => Some(RowSecret::Stored(from_hash(hash)?)),
            _ => {
                return Err("it has more than one of client_secret, secret_sha256 and \
                            secret_hash; give one of them"
                    .to_owned());
            }
        };
        check_type(self.kind.as_deref(), secret.is_some())?;
        let scope = |words: Option<Vec<String>>, name: &str| {
            let scope = words.unwrap_or_default().join(" ").parse::<Scope>();
            scope.map_err(|_| format!("its {name} are not scopes"))
        };
        let ttl = |text: Option<String>, name: &str| {
            let ttl = text.map(|text| text.parse::<Ttl>()).transpose();
            ttl.map(|ttl| ttl.and_then(|ttl| ttl.0)).map_err(|error| format!("its {name}: {error}"))
        };
        Ok(ClientRow {
            line,
            id,
            enabled: self.enabled.unwrap_or(true),
            client: NewClient {
                name: self.name.unwrap_or_default(),
                confidential: secret.is_some(),
                secret: None,
                grants: self.grants.as_deref().map(grants).transpose()?,
                scopes: scope(self.scopes, "scopes")?,
                default_scopes: scope(self.default_scopes, "default_scopes")?,
                access_token_ttl: ttl(self.access_token_ttl, "access_token_ttl")?,
                refresh_idle_ttl: ttl(self.refresh_idle_ttl, "refresh_idle_ttl")?,
                session_ttl: ttl(self.session_ttl, "session_ttl")?,
                introspection: self.introspection.unwrap_or(false),
                introspect_refresh_tokens: self.introspect_refresh_tokens.unwrap_or(false),
            },
            secret,
        })
    }
}

/// Checks that the stated client type, if any, agrees with whether the line has a secret.
fn check_type(stated: Option<&str>, has_secret: bool) -> Result<(), String> {
    match (stated, has_secret) {
        (None, _) | (Some("confidential"), true) | (Some("public"), false) => Ok(()),
        (Some("public"), true) => Err("it is public, but has a secret".to_owned()),
        (Some("confidential"), false) => {
            Err("it is confidential, but has neither client_secret nor secret_sha256".to_owned())
        }
        (Some(_), _) => Err("its type is neither public nor confidential".to_owned()),
    }
}

/// Returns a secret in plain text. A short one is accepted, since it exists elsewhere already.
fn plain(secret: &str) -> Result<RowSecret, String> {
    let is_short = match check_client_secret(secret) {
        Ok(()) => false,
        Err(InvalidClientSecret::TooShort) => true,
        Err(InvalidClientSecret::Characters) => {
            return Err("its client_secret is empty, or not printable ASCII".to_owned());
        }
    };
    Ok(RowSecret::Plain(SecretString::from(secret), is_short))
}

fn from_digest(digest: &str) -> Result<StoredSecret, String> {
    let bytes = hex::decode(digest).ok().and_then(|bytes| bytes.try_into().ok());
    let bytes = bytes.ok_or("its secret_sha256 is not 64 hexadecimal digits")?;
    Ok(StoredSecret::Digest(Digest::from_bytes(bytes)))
}

fn from_hash(hash: &str) -> Result<StoredSecret, String> {
    let hash = import_hash(hash).map_err(|error| format!("its secret_hash: {error}"))?;
    Ok(StoredSecret::Hash(PasswordHash::own(hash.encoded().to_owned())))
}

fn grants(names: &[String]) -> Result<BTreeSet<Grant>, String> {
    let grants = names.iter().map(|name| name.parse::<Grant>());
    grants.collect::<Result<_, _>>().map_err(|error| format!("its grants: {error}"))
}

/// Sets the field `to` to `value`. Returns whether `value` is `Some`.
fn set<T>(to: &mut Option<T>, value: Option<T>) -> bool {
    *to = value;
    to.is_some()
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// Returns the words of a list, or of a text with spaces between them; `None` for other JSON types.
fn words(value: Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(text.split(' ').map(str::to_owned).collect()),
        Value::Array(words) => words.into_iter().map(text).collect(),
        _ => None,
    }
}

/// Returns a lifetime as text: a number of seconds, or a text such as `15m`; `None` for other
/// types.
fn time(value: Value) -> Option<String> {
    match value {
        Value::Number(seconds) => Some(seconds.to_string()),
        other => text(other),
    }
}
