//! Splits the value of a list setting into its items.

use config::ValueKind;

/// Returns the items of a list setting: an array, or a text that is comma-separated or a TOML or
/// JSON array.
pub(super) fn list_value(kind: &ValueKind) -> Option<Vec<String>> {
    match kind {
        ValueKind::Array(values) => values
            .iter()
            .map(|value| match &value.kind {
                ValueKind::String(item) => Some(item.trim().to_owned()),
                _ => None,
            })
            .collect(),
        ValueKind::String(text) => Some(array(text).unwrap_or_else(|| {
            text.split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect()
        })),
        _ => None,
    }
}

/// Returns the items of a text that is a TOML array of strings, or `None` for any other text, such
/// as the address `[::1]:5000`, which starts with a bracket too.
fn array(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    text.starts_with('[').then_some(())?;
    let table = format!("items = {text}").parse::<toml::Table>().ok()?;
    let items = table.get("items")?.as_array()?;
    items.iter().map(|item| item.as_str().map(|item| item.trim().to_owned())).collect()
}
