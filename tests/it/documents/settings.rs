//! Settings named in the documents exist, and every setting is documented.

use std::collections::BTreeSet;

use super::pages::{pages, root};

fn defaults() -> String {
    std::fs::read_to_string(root().join("config/default.toml")).unwrap()
}

/// Returns `table.key` of every setting in the built-in defaults.
fn keys() -> BTreeSet<String> {
    let parsed: toml::Table = defaults().parse().unwrap();
    let keys = parsed.iter().flat_map(|(table, keys)| {
        keys.as_table().unwrap().keys().map(move |key| format!("{table}.{key}"))
    });
    keys.collect()
}

/// Returns the name in a span that looks like a setting: `redis.url`, `tls.mode = "files"`.
fn named(span: &str, tables: &BTreeSet<&str>) -> Option<String> {
    let name = span.split([' ', '=']).next().unwrap();
    let (table, key) = name.split_once('.')?;
    let is_file = [".html", ".css", ".toml", ".conf", ".js", ".rs", ".md", ".db"];
    let plain = key.chars().all(|c| c.is_ascii_lowercase() || "_*…".contains(c)) && !key.is_empty();
    let file = is_file.iter().any(|ending| name.ends_with(ending));
    (tables.contains(table) && plain && !file).then(|| name.to_owned())
}

#[test]
fn default_toml_has_a_comment_above_every_setting() {
    let text = defaults();
    let mut comment = false;
    let mut checked = 0;
    for line in text.lines() {
        if line.starts_with('#') {
            comment = true;
        } else if line.is_empty() || line.starts_with('[') {
            comment = false;
        } else {
            // One comment may describe several keys.
            assert!(comment, "nothing says what `{line}` means");
            checked += 1;
        }
    }
    assert_eq!(checked, keys().len());
}

#[test]
fn settings_named_in_documents_exist() {
    let keys = keys();
    let tables: BTreeSet<&str> =
        keys.iter().filter_map(|key| Some(key.split_once('.')?.0)).collect();
    let mut checked = 0;
    for page in pages().iter().filter(|page| !page.path.starts_with("docs/adr")) {
        for name in page.spans().iter().filter_map(|span| named(span, &tables)) {
            let known = match name.split_once('*') {
                // `oauth.*_url`
                Some((before, after)) => {
                    keys.iter().any(|key| key.starts_with(before) && key.ends_with(after))
                }
                None => keys.contains(&name),
            };
            assert!(known, "{} names {name}, which is no setting", page.path);
            checked += 1;
        }
    }
    assert!(checked > 80, "only {checked} were found");
}

#[test]
fn environment_variables_named_in_documents_are_settings() {
    let keys = keys();
    let variable = |key: &String| format!("SENTINEL_{}", key.replace('.', "__").to_uppercase());
    let known: BTreeSet<String> = keys.iter().map(variable).collect();
    let mut checked = 0;
    for page in pages() {
        let words =
            page.text.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
        for word in words.filter(|word| word.starts_with("SENTINEL_") && word.contains("__")) {
            assert!(known.contains(word), "{} names {word}, which is no setting", page.path);
            checked += 1;
        }
    }
    assert!(checked > 5, "only {checked} were found");
}

#[test]
fn every_settings_table_is_documented() {
    let pages: Vec<_> = pages().into_iter().filter(|page| page.path != "CHANGELOG.md").collect();
    let keys = keys();
    assert!(keys.len() > 60, "only {} were found", keys.len());
    for key in keys.iter().filter(|key| !key.ends_with("_file")) {
        let table = key.split('.').next().unwrap();
        let spoken = pages.iter().any(|page| {
            page.text.contains(&format!("`{table}.")) || page.text.contains(&format!("[{table}]"))
        });
        assert!(spoken, "no page says anything of [{table}]");
    }
}

#[test]
fn setting_names_are_distinguished_from_other_dotted_names() {
    let tables = BTreeSet::from(["redis", "management", "tls"]);
    assert_eq!(named("redis.url", &tables).as_deref(), Some("redis.url"));
    assert_eq!(named("tls.mode = \"files\"", &tables).as_deref(), Some("tls.mode"));
    assert_eq!(named("redis.nonsense=1", &tables).as_deref(), Some("redis.nonsense"));
    for other in ["management.html", "redis.get(token)", "redis", "a.b", "redis.conf"] {
        assert_eq!(named(other, &tables), None, "{other}");
    }
}
