//! Conversion of user and client documents of flask-sentinel. Their contents are not trusted: every
//! field is validated.

use std::collections::BTreeSet;

use mongodb::bson::{Bson, Document};

use crate::domain::{
    Client, ClientId, ClientKind, Grant, PasswordHash, Scope, Timestamp, User, UserId,
    check_kept_username,
};

/// Reason why a document of flask-sentinel, or a part of it, cannot be imported.
pub(super) type Reason = String;

/// Returns the `_id` of a document as text, or an empty string if the document has none.
pub(super) fn id_of(record: &Document) -> String {
    match record.get("_id") {
        Some(Bson::ObjectId(id)) => id.to_hex(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

/// Converts a user document of flask-sentinel to a user of Sentinel.
pub(super) fn user(record: &Document, now: Timestamp) -> Result<User, Reason> {
    let id = record.get_object_id("_id").map_err(|_| "its _id is not an ObjectId")?;
    let username = record.get_str("username").map_err(|_| "it has no username")?;
    check_kept_username(username).map_err(|error| format!("its username is invalid: {error}"))?;
    let hash = match record.get("hashpw") {
        Some(Bson::String(text)) => text.clone(),
        Some(Bson::Binary(binary)) => String::from_utf8(binary.bytes.clone())
            .map_err(|_| "its hashpw is not a bcrypt hash")?,
        _ => return Err("it has no hashpw".to_owned()),
    };
    if !is_bcrypt(&hash) {
        return Err("its hashpw is not a bcrypt hash".to_owned());
    }
    Ok(User {
        id: UserId::from_bytes(id.bytes()),
        username: username.to_owned(),
        password: PasswordHash::imported(hash),
        scopes: None,
        enabled: true,
        generation: 0,
        version: 0,
        created_at: Timestamp::from_millis(id.timestamp().timestamp_millis()).min(now),
        updated_at: now,
    })
}

/// Returns whether the text is a bcrypt hash: for example `$2b$12$` and 53 more characters.
fn is_bcrypt(hash: &str) -> bool {
    let rest = ["$2a$", "$2b$", "$2y$"].iter().find_map(|prefix| hash.strip_prefix(prefix));
    let Some((cost, rest)) = rest.and_then(|rest| rest.split_once('$')) else { return false };
    cost.len() == 2
        && cost.parse::<u8>().is_ok_and(|cost| (4..=31).contains(&cost))
        && rest.len() == 53
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'/')
}

/// Converts a client document of flask-sentinel. Also returns descriptions of its parts that are
/// not imported.
pub(super) fn client(record: &Document, now: Timestamp) -> Result<(Client, Vec<Reason>), Reason> {
    let text = record.get_str("client_id").map_err(|_| "it has no client_id")?;
    let id: ClientId = text
        .parse()
        .map_err(|_| "its client_id is not 1 to 255 printable ASCII characters".to_owned())?;
    let mut remarks = Vec::new();
    match record.get_str("client_type") {
        Ok("public") | Err(_) => {}
        Ok(_) => {
            return Err("its client_type is not public, and the document has no secret to import"
                .to_owned());
        }
    }
    let mut grants = BTreeSet::new();
    // flask-sentinel creates every client with this grant type only, so it is the default.
    let default = Bson::from(vec!["password"]);
    let allowed = record.get("allowed_grant_types").filter(|value| !matches!(value, Bson::Null));
    for name in strings(allowed.or(Some(&default)))
        .ok_or("its allowed_grant_types is neither a string nor a list of strings")?
    {
        match name.as_str() {
            // flask-sentinel did not check the grant type of a refresh, so these clients could
            // refresh.
            "password" => grants.extend([Grant::Password, Grant::RefreshToken]),
            "refresh_token" => drop(grants.insert(Grant::RefreshToken)),
            other => remarks.push(format!(
                "the grant type {other:?} is not imported: a public client cannot have it"
            )),
        }
    }
    if grants.is_empty() {
        return Err("it has no grant type that a public client can have".to_owned());
    }
    let scopes = match scope(record.get("default_scopes")) {
        Ok(scopes) => scopes,
        Err(reason) => {
            remarks.push(format!("its default_scopes are not imported: {reason}"));
            Scope::empty()
        }
    };
    // Clients of flask-sentinel have no name.
    let created = record.get_object_id("_id").map(|id| id.timestamp().timestamp_millis());
    let client = Client {
        name: format!("flask-sentinel {}", id_of(record)),
        id,
        kind: ClientKind::Public,
        grants,
        default_scopes: scopes.clone(),
        scopes,
        access_token_ttl: None,
        refresh_idle_ttl: None,
        session_ttl: None,
        introspection: false,
        introspect_refresh_tokens: false,
        enabled: true,
        generation: 0,
        version: 0,
        created_at: Timestamp::from_millis(created.unwrap_or(now.as_millis())).min(now),
        updated_at: now,
    };
    Ok((client, remarks))
}

/// Parses a scope from a list of strings or from one string with spaces. Empty strings are ignored.
pub(super) fn scope(value: Option<&Bson>) -> Result<Scope, Reason> {
    let words = strings(value).ok_or("neither a string nor a list of strings")?;
    let words: Vec<&str> = words.iter().flat_map(|text| text.split_whitespace()).collect();
    words.join(" ").parse().map_err(|_| "not a scope (RFC 6749 section 3.3)".to_owned())
}

/// Returns the strings in a value: one, a list, or none if it is missing; `None` for other types.
fn strings(value: Option<&Bson>) -> Option<Vec<String>> {
    match value {
        None | Some(Bson::Null) => Some(Vec::new()),
        Some(Bson::String(text)) => Some(vec![text.clone()]),
        Some(Bson::Array(values)) => {
            values.iter().map(|value| value.as_str().map(str::to_owned)).collect()
        }
        _ => None,
    }
}
