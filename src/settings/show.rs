//! Formats settings in the order of `config/default.toml`, without secrets.

use std::collections::BTreeMap;

use config::ValueKind;

use super::{keys, parse};

/// Placeholder that is printed instead of a secret that is set.
const HIDDEN: &str = "(hidden)";

/// Formats the value of a setting for an error message. The password of a URL is hidden in every
/// setting and list item, since the URL may have been entered in the wrong setting.
pub(super) fn value(kind: &ValueKind) -> String {
    toml_value(kind).map_or_else(|| "nothing".to_owned(), |value| value.to_string())
}

fn toml_value(kind: &ValueKind) -> Option<toml::Value> {
    Some(match kind {
        ValueKind::Boolean(flag) => (*flag).into(),
        ValueKind::I64(number) => (*number).into(),
        ValueKind::Float(number) => (*number).into(),
        ValueKind::String(text) if text.contains("://") => url(text).into(),
        // A login may also stand before a host without a scheme.
        ValueKind::String(text) if text.contains('@') => HIDDEN.into(),
        ValueKind::String(text) => text.as_str().into(),
        ValueKind::Array(items) => {
            toml::Value::Array(items.iter().filter_map(|item| toml_value(&item.kind)).collect())
        }
        ValueKind::Table(table) => toml::Value::Table(
            table
                .iter()
                .filter_map(|(name, item)| Some((name.clone(), toml_value(&item.kind)?)))
                .collect(),
        ),
        _ => return None,
    })
}

/// Formats the value of a secret setting: a URL without its password, a placeholder for any other.
pub(super) fn secret(key: &str, text: &str) -> String {
    match key {
        _ if text.is_empty() => String::new(),
        "mongo.uri" | "redis.url" => url(text),
        _ => HIDDEN.to_owned(),
    }
}

/// Replaces the password in the credentials of a URL, and the secrets in its query.
///
/// The credentials are assumed to extend to the last `@`. A raw `/` or `@` in a password is an
/// error, but hiding too much of a URL is better than showing a part of the password.
fn url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return HIDDEN.to_owned();
    };
    let rest = match rest
        .rsplit_once('@')
        .and_then(|(login, host)| Some((login.split_once(':')?.0, host)))
    {
        Some((user, host)) => format!("{user}:***@{host}"),
        None if parse::has_password_as_port(rest) => return format!("{scheme}://***"),
        None => rest.to_owned(),
    };
    let (path, query) = rest.split_once('?').unwrap_or((&rest, ""));
    let parameters: Vec<_> = query.split('&').map(parameter).collect();
    let mark = if rest.contains('?') { "?" } else { "" };
    format!("{scheme}://{path}{mark}{}", parameters.join("&"))
}

fn parameter(text: &str) -> String {
    // Redis has `pass` for Unix sockets. MongoDB has tlsCertificateKeyFilePassword, proxyPassword
    // and session tokens.
    const SECRET: [&str; 2] = ["pass", "authmechanismproperties"];
    match text.split_once('=') {
        Some((name, _)) if SECRET.iter().any(|word| name.to_ascii_lowercase().contains(word)) => {
            format!("{name}=***")
        }
        _ => text.to_owned(),
    }
}

/// Formats the settings `shown` as TOML, with the `notes` on single settings as comments.
pub(super) fn text(
    shown: &BTreeMap<String, toml::Value>,
    notes: &BTreeMap<String, String>,
) -> String {
    let mut out = String::new();
    let mut current = String::new();
    for key in keys::all() {
        let (Some(value), Some((table, name))) = (shown.get(&key), key.split_once('.')) else {
            continue;
        };
        if table != current {
            let gap = if current.is_empty() { "" } else { "\n" };
            out.push_str(&format!("{gap}[{table}]\n"));
            table.clone_into(&mut current);
        }
        let note = notes.get(&key).map(|note| format!("  # {note}")).unwrap_or_default();
        out.push_str(&format!("{name} = {value}{note}\n"));
    }
    out
}

/// Converts the settings `shown`, by `table.name`, into nested tables.
pub(super) fn table(shown: &BTreeMap<String, toml::Value>) -> toml::Table {
    let mut out = toml::Table::new();
    for (key, value) in shown {
        let Some((table, name)) = key.split_once('.') else {
            continue;
        };
        let inner = out.entry(table).or_insert_with(|| toml::Table::new().into());
        if let Some(inner) = inner.as_table_mut() {
            inner.insert(name.to_owned(), value.clone());
        }
    }
    out
}
