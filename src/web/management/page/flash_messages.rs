//! Confirmation messages that a page shows after a redirect. The URL contains a fixed word and a
//! number, but no text that an attacker could choose.

use super::posted_form::PostedFields;

/// Words for the query parameter `done`, and the confirmation messages that they stand for.
const NOTICES: [(&str, &str); 15] = [
    ("user-added", "The user was added."),
    ("user-changed", "The changes were saved."),
    ("password-set", "The password was set, and the user's sessions were ended."),
    ("user-disabled", "The user was disabled, and their sessions were ended."),
    ("user-enabled", "The user was enabled."),
    ("user-deleted", "The user was deleted, and their sessions were ended."),
    ("client-added", "The client was added."),
    ("client-changed", "The changes were saved."),
    ("client-disabled", "The client was disabled, and its sessions were ended."),
    ("client-enabled", "The client was enabled."),
    ("client-deleted", "The client was deleted, and its sessions were ended."),
    ("nothing-changed", "Nothing changed."),
    ("session-ended", "The session was ended."),
    ("session-gone", "The session had ended already."),
    ("sessions-ended", "sessions were ended."),
];

/// Returns the confirmation message for the word in the query parameter `done`; otherwise `None`.
pub(super) fn of(query: &PostedFields) -> Option<String> {
    let (word, text) = NOTICES.iter().find(|(word, _)| *word == query.get("done"))?;
    if *word != "sessions-ended" {
        return Some((*text).to_owned());
    }
    match query.get("count").parse::<u64>().ok()? {
        1 => Some("1 session was ended.".to_owned()),
        count => Some(format!("{count} {text}")),
    }
}
