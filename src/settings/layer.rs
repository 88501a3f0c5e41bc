//! One layer of settings: the keys and values that a file, the environment or the flags set, with
//! their origin.

use std::collections::BTreeMap;
use std::path::Path;

use config::{Map, Source, Value, ValueKind};

use super::error::{Error, SettingProblem};
use super::file::read_text;
use super::{environment, keys, text_checks};

/// One layer of settings (such as a file): values by `table.name`, each with its origin in words.
#[derive(Clone, Debug, Default)]
pub(super) struct Layer {
    values: BTreeMap<String, Value>,
    /// flask-sentinel's name for the address of MongoDB, if the layer sets an address by that name.
    pub(super) names_mongodb: Option<&'static str>,
    /// Warnings about settings of flask-sentinel that are ignored.
    pub(super) warnings: Vec<String>,
}

impl Layer {
    /// Returns the layer of built-in defaults. If a later layer sets `names_mongodb`, a
    /// flask-sentinel setting, the default store is MongoDB. flask-sentinel had no other store, so
    /// an operator who keeps its variables must not get an empty embedded one.
    pub(super) fn builtin(names_mongodb: Option<&'static str>) -> Result<Self, Error> {
        let mut layer = Self::toml(keys::DEFAULTS, "config/default.toml", &mut Vec::new())?;
        if let Some(name) = names_mongodb {
            layer.set("store.backend", "mongodb".into(), &format!(", since {name} is set"));
        }
        Ok(layer)
    }

    /// Reads a settings file as a layer. Adds unknown names to `problems`.
    pub(super) fn file(path: &Path, problems: &mut Vec<SettingProblem>) -> Result<Self, Error> {
        let text = read_text(path)
            .map_err(|source| Error::Unreadable { path: path.to_path_buf(), source })?;
        Self::toml(&text, &path.display().to_string(), problems)
    }

    fn toml(text: &str, place: &str, problems: &mut Vec<SettingProblem>) -> Result<Self, Error> {
        let text = text_checks::without_byte_order_mark(text);
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let start = error.span().map_or(0, |span| span.start);
            let line = text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1;
            Error::Syntax { place: place.to_owned(), line, message: error.message().to_owned() }
        })?;
        let mut leaves = Vec::new();
        flatten("", table, &mut leaves);

        let known = keys::all();
        let mut layer = Self::default();
        let mut legacy = Self::default();
        for (name, value) in leaves {
            if known.contains(&name) {
                layer.set(&name, value, &format!(" in {place}"));
            } else if let Some(key) = keys::legacy(&name) {
                legacy.set(key, value, &format!(" ({name} in {place})"));
            } else if let Some(reason) = keys::ignored(&name) {
                layer.warnings.push(format!("{name} in {place} is ignored: {reason}"));
            } else {
                let old = keys::LEGACY.iter().map(|(old, _)| (*old).to_owned());
                let tables = keys::tables().into_iter().map(|table| format!("[{table}]"));
                // A name without a dot may be a misspelled header of an empty table.
                let tables = tables.filter(|_| !name.contains('.'));
                problems.push(SettingProblem::Unknown {
                    what: "setting",
                    nearest: keys::nearest(&name, known.iter().cloned().chain(old).chain(tables)),
                    name,
                    place: format!(" in {place}"),
                });
            }
        }
        layer.fill(legacy);
        Ok(layer)
    }

    /// Reads environment variables as a layer. Adds invalid variables to `problems`.
    pub(super) fn environment(
        variables: &[(std::ffi::OsString, std::ffi::OsString)],
        problems: &mut Vec<SettingProblem>,
    ) -> Self {
        let (named, legacy) = environment::read(variables, problems);
        let mut layer = Self::default();
        let mut old = Self::default();
        for (target, found) in [(&mut layer, named), (&mut old, legacy)] {
            for (key, (name, text)) in found {
                target.set(&key, text.into(), &format!(" from {name}"));
            }
        }
        layer.fill(old);
        layer
    }

    /// Reads settings from command-line flags as a layer. Adds unknown names to `problems`.
    pub(super) fn overrides(
        flags: &[(String, String)],
        problems: &mut Vec<SettingProblem>,
    ) -> Self {
        let known = keys::all();
        let mut layer = Self::default();
        for (key, text) in flags {
            if known.contains(key) {
                layer.set(key, text.as_str().into(), " on the command line");
            } else {
                problems.push(SettingProblem::Unknown {
                    what: "setting",
                    name: key.clone(),
                    place: " on the command line".to_owned(),
                    nearest: keys::nearest(key, known.iter().cloned()),
                });
            }
        }
        layer
    }

    /// Returns whether the layer contains a password, also as a part of a connection string.
    pub(super) fn has_secret(&self) -> bool {
        let is_secret = |key: &str, text: &str| {
            if key.ends_with(".password") { !text.is_empty() } else { text.contains('@') }
        };
        keys::SECRETS.iter().any(|key| match self.values.get(*key).map(|value| &value.kind) {
            Some(ValueKind::String(text)) => is_secret(key, text),
            _ => false,
        })
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// Returns whether this layer sets `key` to `value`.
    pub(super) fn has_value(&self, key: &str, value: &Value) -> bool {
        self.values.get(key).is_some_and(|own| own.kind == value.kind)
    }

    fn set(&mut self, key: &str, value: toml::Value, origin: &str) {
        self.values.insert(key.to_owned(), Value::new(Some(&origin.to_owned()), kind(value)));
    }

    /// Adds the values of `legacy`, set by names of the predecessor flask-sentinel, that this layer
    /// does not set. Within a layer, Sentinel's name takes precedence over flask-sentinel's.
    fn fill(&mut self, legacy: Self) {
        self.names_mongodb = keys::LEGACY_MONGODB_ADDRESSES.into_iter().find(|name| {
            let value = keys::legacy(name).and_then(|key| legacy.values.get(key));
            value.is_some_and(
                |value| !matches!(&value.kind, ValueKind::String(text) if text.is_empty()),
            )
        });
        for (key, value) in legacy.values {
            self.values.entry(key).or_insert(value);
        }
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.values.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

/// Converts nested TOML tables into pairs of dotted name and value. An empty table with an unknown
/// name is kept as a name, so that a misspelled header is reported even if no key follows it.
fn flatten(prefix: &str, table: toml::Table, leaves: &mut Vec<(String, toml::Value)>) {
    for (name, value) in table {
        let name = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value {
            toml::Value::Table(inner) if inner.is_empty() && keys::is_table(&name) => {}
            toml::Value::Table(inner) if !inner.is_empty() => flatten(&name, inner, leaves),
            value => leaves.push((name, value)),
        }
    }
}

fn kind(value: toml::Value) -> ValueKind {
    match value {
        toml::Value::String(text) => text_checks::trimmed(&text).into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(kind).collect::<Vec<_>>().into(),
        toml::Value::Table(table) => {
            table.into_iter().map(|(name, value)| (name, kind(value))).collect::<Map<_, _>>().into()
        }
    }
}
