//! BSON documents of users and clients, and conversions shared by all documents of this backend.
//!
//! Times are BSON dates, in milliseconds; counters are 64-bit integers; digests are binary. A
//! document may also have the fields `ending` and `deleting`, which `super::cascade` describes.
//! Sessions are in `super::session_document`.

use std::error::Error;
use std::time::Duration;

use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{
    Binary, Bson, DateTime, Document, RawDocument, deserialize_from_slice, oid::ObjectId,
};
use serde::{Deserialize, Serialize};

use crate::domain::{
    Client, ClientKind, Digest, PasswordHash, StoredSecret, Timestamp, User, UserId, username_key,
};
use crate::store::stored_counters::counter;
use crate::store::{Result, StoreError, client_kind};

const USER: &str = "user";
const CLIENT: &str = "client";

#[derive(Serialize, Deserialize)]
pub(super) struct UserDocument {
    #[serde(rename = "_id")]
    id: ObjectId,
    username: String,
    /// Key by which the user name is compared. Absent in documents that an earlier version wrote,
    /// until a later one adds it (`super::users`).
    #[serde(default)]
    username_key: String,
    password: String,
    password_imported: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<String>,
    enabled: bool,
    generation: i64,
    version: i64,
    created_at: DateTime,
    updated_at: DateTime,
    /// Version of the update whose cascade (ending or renaming the user's sessions) is unfinished.
    /// `None` if no cascade is unfinished.
    #[serde(rename = "ending", skip_serializing_if = "Option::is_none")]
    cascade_version: Option<i64>,
}

impl UserDocument {
    /// Converts a user to a document. `cascade_version` marks an update whose cascade to the user's
    /// sessions is unfinished, as described in `super::cascade`.
    pub(super) fn of(user: &User, cascade_version: Option<i64>) -> Self {
        Self {
            id: ObjectId::from_bytes(*user.id.as_bytes()),
            username: user.username.clone(),
            username_key: username_key(&user.username),
            password: user.password.encoded().to_owned(),
            password_imported: user.password.is_imported(),
            scopes: user.scopes.as_ref().map(ToString::to_string),
            enabled: user.enabled,
            generation: to_integer(user.generation),
            version: to_integer(user.version),
            created_at: to_date(user.created_at),
            updated_at: to_date(user.updated_at),
            cascade_version,
        }
    }
}

#[derive(Deserialize)]
struct PasswordDocument {
    password: String,
    password_imported: bool,
}

impl From<PasswordDocument> for PasswordHash {
    fn from(document: PasswordDocument) -> Self {
        let PasswordDocument { password, password_imported } = document;
        if password_imported { Self::imported(password) } else { Self::own(password) }
    }
}

/// Reads the password hash from the password fields of a user document.
pub(super) fn password(raw: &RawDocument) -> Result<PasswordHash> {
    read::<PasswordDocument>(raw, USER).map(Into::into)
}

/// Converts a document to a user. Returns `None` if the user is being deleted.
pub(super) fn user(raw: &RawDocument) -> Result<Option<User>> {
    if is_deleting(raw) {
        return Ok(None);
    }
    let document: UserDocument = read(raw, USER)?;
    Ok(Some(User {
        id: UserId::from_bytes(document.id.bytes()),
        username: document.username,
        password: PasswordDocument {
            password: document.password,
            password_imported: document.password_imported,
        }
        .into(),
        scopes: document.scopes.map(|text| parsed(&text, USER)).transpose()?,
        enabled: document.enabled,
        generation: counter(document.generation, USER)?,
        version: counter(document.version, USER)?,
        created_at: to_timestamp(document.created_at),
        updated_at: to_timestamp(document.updated_at),
    }))
}

#[derive(Serialize, Deserialize)]
pub(super) struct ClientDocument {
    #[serde(rename = "_id")]
    id: String,
    name: String,
    /// Digest of the client secret. `None` for a public client, and if there is a hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_digest: Option<Binary>,
    /// Password hash of a client secret that Sentinel did not generate.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_hash: Option<String>,
    grants: Vec<String>,
    scopes: String,
    default_scopes: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token_ttl_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_idle_ttl_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_ttl_ms: Option<i64>,
    introspection: bool,
    /// Absent in documents of versions that report refresh tokens to every client.
    #[serde(default)]
    introspect_refresh_tokens: bool,
    enabled: bool,
    generation: i64,
    version: i64,
    created_at: DateTime,
    updated_at: DateTime,
    /// Version of the update whose cascade (ending the client's sessions) is unfinished. `None` if
    /// no cascade is unfinished.
    #[serde(rename = "ending", skip_serializing_if = "Option::is_none")]
    cascade_version: Option<i64>,
}

impl ClientDocument {
    /// Converts a client to a document. `cascade_version` marks an update whose cascade to the
    /// client's sessions is unfinished, as described in `super::cascade`.
    pub(super) fn of(client: &Client, cascade_version: Option<i64>) -> Self {
        let millis = |ttl: Duration| i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
        Self {
            id: client.id.to_string(),
            name: client.name.clone(),
            secret_digest: match &client.kind {
                ClientKind::Confidential(StoredSecret::Digest(digest)) => {
                    Some(to_binary(digest.as_bytes()))
                }
                ClientKind::Public | ClientKind::Confidential(StoredSecret::Hash(_)) => None,
            },
            secret_hash: match &client.kind {
                ClientKind::Confidential(StoredSecret::Hash(hash)) => {
                    Some(hash.encoded().to_owned())
                }
                ClientKind::Public | ClientKind::Confidential(StoredSecret::Digest(_)) => None,
            },
            grants: client.grants.iter().map(|grant| grant.as_str().to_owned()).collect(),
            scopes: client.scopes.to_string(),
            default_scopes: client.default_scopes.to_string(),
            access_token_ttl_ms: client.access_token_ttl.map(millis),
            refresh_idle_ttl_ms: client.refresh_idle_ttl.map(millis),
            session_ttl_ms: client.session_ttl.map(millis),
            introspection: client.introspection,
            introspect_refresh_tokens: client.introspect_refresh_tokens,
            enabled: client.enabled,
            generation: to_integer(client.generation),
            version: to_integer(client.version),
            created_at: to_date(client.created_at),
            updated_at: to_date(client.updated_at),
            cascade_version,
        }
    }
}

/// Converts a document to a client. Returns `None` if the client is being deleted.
pub(super) fn client(raw: &RawDocument) -> Result<Option<Client>> {
    if is_deleting(raw) {
        return Ok(None);
    }
    let document: ClientDocument = read(raw, CLIENT)?;
    let digest = document.secret_digest.map(|bytes| digest(bytes, CLIENT)).transpose()?;
    let ttl = |millis: Option<i64>| millis.map(|ttl| Duration::from_millis(ttl.unsigned_abs()));
    let grants = document.grants.iter().map(|grant| parsed(grant, CLIENT));
    Ok(Some(Client {
        id: parsed(&document.id, CLIENT)?,
        name: document.name,
        kind: client_kind(digest, document.secret_hash),
        grants: grants.collect::<Result<_>>()?,
        scopes: parsed(&document.scopes, CLIENT)?,
        default_scopes: parsed(&document.default_scopes, CLIENT)?,
        access_token_ttl: ttl(document.access_token_ttl_ms),
        refresh_idle_ttl: ttl(document.refresh_idle_ttl_ms),
        session_ttl: ttl(document.session_ttl_ms),
        introspection: document.introspection,
        introspect_refresh_tokens: document.introspect_refresh_tokens,
        enabled: document.enabled,
        generation: counter(document.generation, CLIENT)?,
        version: counter(document.version, CLIENT)?,
        created_at: to_timestamp(document.created_at),
        updated_at: to_timestamp(document.updated_at),
    }))
}

/// Account status of a user or client: the fields that decide whether its sessions are valid.
#[derive(Deserialize)]
pub(super) struct AccountStatus {
    #[serde(default)]
    pub(super) enabled: bool,
    #[serde(default)]
    pub(super) deleting: bool,
    pub(super) generation: i64,
    pub(super) version: i64,
    /// User name of the user; empty for a client.
    #[serde(default)]
    pub(super) username: String,
    #[serde(rename = "ending")]
    pub(super) cascade_version: Option<i64>,
}

/// Returns the MongoDB projection (selection of document fields) for reading an [`AccountStatus`].
pub(super) fn account_status_fields() -> Document {
    let fields = ["enabled", "deleting", "generation", "version", "username", "ending"];
    fields.into_iter().map(|field| (field.to_owned(), Bson::Int32(1))).collect()
}

/// Returns whether the deletion of this user or client has begun.
fn is_deleting(raw: &RawDocument) -> bool {
    raw.get_bool("deleting").unwrap_or(false)
}

pub(super) fn read<'a, T: Deserialize<'a>>(raw: &'a RawDocument, what: &'static str) -> Result<T> {
    deserialize_from_slice(raw.as_bytes()).map_err(|error| StoreError::corrupt(what, error))
}

pub(super) fn parsed<T>(text: &str, what: &'static str) -> Result<T>
where
    T: std::str::FromStr<Err: Error + Send + Sync + 'static>,
{
    text.parse().map_err(|error| StoreError::corrupt(what, error))
}

/// Converts a version or generation to a signed integer, the only kind that BSON has. Sentinel
/// writes no values that do not fit.
pub(super) fn to_integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) const fn to_date(moment: Timestamp) -> DateTime {
    DateTime::from_millis(moment.as_millis())
}

pub(super) const fn to_timestamp(date: DateTime) -> Timestamp {
    Timestamp::from_millis(date.timestamp_millis())
}

pub(super) fn to_binary(bytes: &[u8]) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }
}

pub(super) fn digest(binary: Binary, what: &'static str) -> Result<Digest> {
    bytes(binary, what).map(Digest::from_bytes)
}

pub(super) fn bytes<const N: usize>(binary: Binary, what: &'static str) -> Result<[u8; N]> {
    let length = binary.bytes.len();
    binary
        .bytes
        .try_into()
        .map_err(|_| StoreError::corrupt(what, format!("expected {N} bytes, got {length}")))
}
