//! Reads secrets, each from its setting or from the file that its `*_file` twin names.

use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use super::error::SettingProblem;
use super::file::read_text;
use super::reader::Reader;
use super::{show, text_checks};

/// Reads a secret setting that may be any text. Returns `None` if the secret is empty.
pub(super) fn optional(reader: &mut Reader, key: &str) -> Option<SecretString> {
    let secret = read(reader, key, "text", |_| true);
    (!secret.expose_secret().is_empty()).then_some(secret)
}

/// Reads the secret setting `key` from its value, or from the file that `<key>_file` names.
/// `expected` describes the values that `valid` accepts.
pub(super) fn read(
    reader: &mut Reader,
    key: &str,
    expected: &str,
    valid: impl Fn(&str) -> bool,
) -> SecretString {
    let secret = reader.hidden(key, expected, &valid);
    let twin = format!("{key}_file");
    let Some(path) = reader.path(&twin) else {
        return secret;
    };
    if reader.rank(key) > 0 && !secret.expose_secret().is_empty() {
        reader.reject(format!("{key} and {twin} are both set; remove one"));
        return secret;
    }
    let found = from_file(&path)
        .and_then(|text| if valid(&text) { Ok(text) } else { Err(format!("expected {expected}")) });
    match found {
        Ok(text) => {
            reader.warn_of_quotation_marks(&text, &format!("the text in {}", path.display()));
            reader.show(key, show::secret(key, &text));
            reader.secret_files.push((twin, path));
            text.into()
        }
        Err(reason) => {
            reader.problems.push(SettingProblem::SecretFile { key: twin, path, reason });
            SecretString::default()
        }
    }
}

fn from_file(path: &Path) -> Result<String, String> {
    let text = read_text(path).map_err(|error| error.to_string())?;
    let text = text_checks::trimmed(&text);
    match text_checks::invisible_in(text) {
        Some(character) => {
            Err(format!("it contains the invisible character U+{:04X}", u32::from(character)))
        }
        None if text.is_empty() => Err("it is empty".to_owned()),
        None => Ok(text.to_owned()),
    }
}
