//! Converts the merged layers into typed values.
//!
//! Reading goes on after an invalid value, so that one start reports all problems. Each value is
//! kept in the form that `config show` prints as well.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use config::{Value, ValueKind};
use secrecy::SecretString;

use super::error::{Error, SettingProblem};
use super::keyword::Keyword;
use super::layer::Layer;
use super::list_value::list_value;
use super::{keys, parse, show, text_checks};

/// Merged settings of all layers, with the problems found and the values read so far.
pub(super) struct Reader {
    values: BTreeMap<String, Value>,
    ranks: BTreeMap<String, usize>,
    /// Keys of the settings whose value is not the default.
    changed: BTreeSet<String>,
    pub(super) problems: Vec<SettingProblem>,
    pub(super) shown: BTreeMap<String, toml::Value>,
    /// Whether the settings file contains a password.
    pub(super) has_secret_in_file: bool,
    /// Files from which secrets were read, each with the setting that names it.
    pub(super) secret_files: Vec<(String, PathBuf)>,
    /// Warnings for the operator, which do not prevent the start.
    pub(super) warnings: Vec<String>,
}

/// Parsed value of a setting with its printed form; `None` if the value is invalid.
type Read<T> = Option<(T, toml::Value)>;

impl Reader {
    /// Merges layers of settings, of which later ones override earlier ones.
    pub(super) fn new(layers: &[Layer], problems: Vec<SettingProblem>) -> Result<Self, Error> {
        let merged = layers
            .iter()
            .fold(config::Config::builder(), |builder, layer| builder.add_source(layer.clone()))
            .build()?;
        let (mut values, mut ranks) = (BTreeMap::new(), BTreeMap::new());
        let mut changed = BTreeSet::new();
        for (table, inner) in merged.cache.into_table()? {
            for (name, value) in inner.into_table()? {
                let key = format!("{table}.{name}");
                ranks.insert(
                    key.clone(),
                    layers.iter().rposition(|layer| layer.has(&key)).unwrap_or(0),
                );
                if layers.first().is_none_or(|defaults| !defaults.has_value(&key, &value)) {
                    changed.insert(key.clone());
                }
                values.insert(key, value);
            }
        }
        Ok(Self {
            values,
            ranks,
            changed,
            problems,
            shown: BTreeMap::new(),
            has_secret_in_file: false,
            secret_files: Vec::new(),
            warnings: layers.iter().flat_map(|layer| layer.warnings.iter().cloned()).collect(),
        })
    }

    /// Returns the index of the last layer that sets `key`; 0 is the layer of built-in defaults.
    pub(super) fn rank(&self, key: &str) -> usize {
        self.ranks.get(key).copied().unwrap_or(0)
    }

    /// Returns the index of the last layer that sets `key`, or 0 if the value is `""` or 0, which
    /// in a compose file stands for "not set".
    pub(super) fn rank_if_set(&self, key: &str) -> usize {
        let is_nothing = self.values.get(key).is_none_or(|value| match &value.kind {
            ValueKind::String(text) => matches!(text.trim(), "" | "0"),
            ValueKind::I64(number) => *number == 0,
            _ => false,
        });
        if is_nothing { 0 } else { self.rank(key) }
    }

    /// Returns the keys of the settings that the user set.
    pub(super) fn given(&self) -> BTreeSet<String> {
        self.ranks.iter().filter(|(_, rank)| **rank > 0).map(|(key, _)| key.clone()).collect()
    }

    /// Returns the origin of each value in words, for `config show --origin`.
    pub(super) fn origins(&self) -> BTreeMap<String, String> {
        let origin = |(key, value): (&String, &Value)| {
            let origin = value.origin().unwrap_or_default();
            let words = match (self.rank(key), origin.strip_prefix(", ")) {
                (_, Some(reason)) => reason,
                (0, None) => "default",
                (_, None) => origin.trim(),
            };
            (key.clone(), words.to_owned())
        };
        let mut origins: BTreeMap<_, _> = self.values.iter().map(origin).collect();
        for (twin, path) in &self.secret_files {
            let key = twin.trim_end_matches("_file").to_owned();
            origins.insert(key, format!("in {} ({twin})", path.display()));
        }
        origins
    }

    /// Returns the keys of the settings whose value is not the default.
    pub(super) const fn changed(&self) -> &BTreeSet<String> {
        &self.changed
    }

    /// Reports that settings contradict each other, with the message for the operator.
    pub(super) fn reject(&mut self, message: impl Into<String>) {
        self.problems.push(SettingProblem::Contradiction(message.into()));
    }

    /// Replaces the value that `config show` prints for the setting `key`.
    pub(super) fn show(&mut self, key: &str, value: impl Into<toml::Value>) {
        self.shown.insert(key.to_owned(), value.into());
    }

    fn read<T>(
        &mut self,
        key: &str,
        expected: &str,
        parse: impl FnOnce(&ValueKind) -> Read<T>,
    ) -> Option<T> {
        let value = self.check_text(key, false)?;
        self.parsed(key, &value, expected, parse)
    }

    /// Returns the value of a setting. Rejects invisible characters in it, and warns of quotation
    /// marks around it. A list that is written as text (`is_list`) may have line breaks.
    fn check_text(&mut self, key: &str, is_list: bool) -> Option<Value> {
        let value = self.values.get(key).cloned().unwrap_or_default();
        let place = value.origin().unwrap_or_default().to_owned();
        if let Some(character) = text_checks::invisible_in_value(&value.kind, is_list) {
            let key = key.to_owned();
            self.problems.push(SettingProblem::Invisible { key, character, place });
            return None;
        }
        if let ValueKind::String(text) = &value.kind {
            self.warn_of_quotation_marks(text, &format!("{key}{place}"));
        }
        Some(value)
    }

    /// Warns of quotation marks around a text. `source` names the setting and the origin of the
    /// text. Shells remove such marks; `docker run --env-file` and systemd credentials do not.
    pub(super) fn warn_of_quotation_marks(&mut self, text: &str, source: &str) {
        if text_checks::is_quoted(text) {
            self.warnings.push(format!(
                "{source} begins and ends with a quotation mark, and both are part of the value; \
                 remove them if they are not meant"
            ));
        }
    }

    fn parsed<T>(
        &mut self,
        key: &str,
        value: &Value,
        expected: &str,
        parse: impl FnOnce(&ValueKind) -> Read<T>,
    ) -> Option<T> {
        if let Some((read, shown)) = parse(&value.kind) {
            self.show(key, shown);
            return Some(read);
        }
        self.problems.push(SettingProblem::Value {
            key: key.to_owned(),
            value: (!keys::SECRETS.contains(&key)).then(|| show::value(&value.kind)),
            expected: expected.to_owned(),
            place: value.origin().unwrap_or_default().to_owned(),
        });
        None
    }

    /// Reads a setting that is written as text. Numbers and booleans are passed to `parse` as text.
    fn scalar<T>(
        &mut self,
        key: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Read<T>,
    ) -> Option<T> {
        self.read(key, expected, |kind| match kind {
            ValueKind::String(text) => parse(text),
            ValueKind::I64(number) => parse(&number.to_string()),
            ValueKind::Boolean(flag) => parse(&flag.to_string()),
            _ => None,
        })
    }

    pub(super) fn text(
        &mut self,
        key: &str,
        expected: &str,
        valid: impl FnOnce(&str) -> bool,
    ) -> String {
        self.read(key, expected, |kind| match kind {
            ValueKind::String(text) if valid(text) => Some((text.clone(), text.as_str().into())),
            _ => None,
        })
        .unwrap_or_default()
    }

    pub(super) fn optional_text(&mut self, key: &str) -> Option<String> {
        Some(self.text(key, "text", |_| true)).filter(|text| !text.is_empty())
    }

    pub(super) fn path(&mut self, key: &str) -> Option<PathBuf> {
        self.optional_text(key).map(PathBuf::from)
    }

    pub(super) fn flag(&mut self, key: &str) -> bool {
        self.scalar(key, "true or false", |text| {
            let flag = text.trim().to_ascii_lowercase().parse::<bool>().ok()?;
            Some((flag, flag.into()))
        })
        .unwrap_or_default()
    }

    pub(super) fn integer<T>(&mut self, key: &str, range: RangeInclusive<T>) -> T
    where
        T: Copy + Default + Display + PartialOrd + TryFrom<i64>,
    {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.scalar(key, &expected, |text| {
            // 0 stands for "not set". A compose file passes an empty variable for one that is not
            // set.
            let text = if text.trim().is_empty() { "0" } else { text.trim() };
            let written = text.parse::<i64>().ok()?;
            let number = T::try_from(written).ok().filter(|number| range.contains(number))?;
            Some((number, written.into()))
        })
        .unwrap_or_default()
    }

    /// Reads a number setting, of which 0 means "not set" and gives `None`.
    pub(super) fn optional_integer<T>(&mut self, key: &str, range: RangeInclusive<T>) -> Option<T>
    where
        T: Copy + Default + Display + PartialOrd + TryFrom<i64>,
    {
        Some(self.integer(key, range)).filter(|number| *number != T::default())
    }

    pub(super) fn duration(&mut self, key: &str, least: Duration) -> Duration {
        let bound = match least {
            Duration::ZERO => String::new(),
            least => format!(" of at least {}", parse::show_duration(least)),
        };
        let expected = format!(
            "a duration{bound}: 3600 (seconds), or numbers with ms, s, m, h or d, such as \"15m\" or \"1h30m\""
        );
        self.scalar(key, &expected, |text| {
            let duration = parse::duration(text).filter(|duration| *duration >= least)?;
            Some((duration, parse::show_duration(duration).into()))
        })
        .unwrap_or_default()
    }

    /// Reads a setting that is the lifetime of a token or a session.
    pub(super) fn lifetime(&mut self, key: &str) -> Duration {
        self.scalar(key, parse::LIFETIME, |text| {
            let lifetime = parse::lifetime(text)?;
            Some((lifetime, parse::show_duration(lifetime).into()))
        })
        .unwrap_or_default()
    }

    pub(super) fn size(&mut self, key: &str) -> u64 {
        self.scalar(key, "a size of at least one byte, such as 16384 or \"16KiB\"", |text| {
            let bytes = parse::size(text).filter(|bytes| *bytes > 0)?;
            Some((bytes, parse::show_size(bytes).into()))
        })
        .unwrap_or_default()
    }

    pub(super) fn keyword<T: Keyword + Default>(&mut self, key: &str) -> T {
        self.scalar(key, &T::expected(), |text| {
            T::from_keyword(text).map(|(word, value)| (value, word.into()))
        })
        .unwrap_or_default()
    }

    /// Reads a keyword setting that may be left empty, which gives `None`.
    pub(super) fn optional_keyword<T: Keyword>(&mut self, key: &str) -> Option<T> {
        self.scalar(key, &T::expected(), |text| match text {
            "" => Some((None, "".into())),
            text => T::from_keyword(text).map(|(word, value)| (Some(value), word.into())),
        })
        .flatten()
    }

    /// Reads a setting that an empty text or `false` leaves out, which gives `None`.
    pub(super) fn switchable<T>(
        &mut self,
        key: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.scalar(key, &format!("{expected}, or false"), |text| match text.trim() {
            "" => Some((None, false.into())),
            off if off.eq_ignore_ascii_case("false") => Some((None, false.into())),
            text => parse(text).map(|value| (Some(value), text.into())),
        })
        .flatten()
    }

    /// Reads the setting of an endpoint, which `false` switches off, as in flask-sentinel. An empty
    /// text does not switch the endpoint off, since a compose file passes such a text for a
    /// variable that is not set.
    pub(super) fn endpoint<T>(
        &mut self,
        key: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let expected = format!("{expected}, or false to switch it off");
        self.scalar(key, &expected, |text| match text.trim() {
            off if off.eq_ignore_ascii_case("false") => Some((None, false.into())),
            text => parse(text).map(|value| (Some(value), text.into())),
        })
        .flatten()
    }

    pub(super) fn url_path(&mut self, key: &str) -> Option<String> {
        self.endpoint(key, "a path that starts with \"/\"", parse::url_path)
    }

    /// Reads a URL path prefix, without a trailing slash. An empty text or `false` means no prefix.
    pub(super) fn url_prefix(&mut self, key: &str) -> String {
        let expected = "a path that starts with \"/\", or \"\"";
        self.scalar(key, expected, |text| {
            let text = text.trim();
            let nothing = text.is_empty() || text.eq_ignore_ascii_case("false");
            let path = if nothing { String::new() } else { parse::url_path(text)? };
            let prefix = path.trim_end_matches('/').to_owned();
            Some((prefix.clone(), prefix.into()))
        })
        .unwrap_or_default()
    }

    /// Reads a list setting: an array, or a text that is comma-separated or a TOML or JSON array.
    pub(super) fn list<T>(
        &mut self,
        key: &str,
        expected: &str,
        at_least_one: bool,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let Some(value) = self.check_text(key, true) else { return Vec::new() };
        self.parsed(key, &value, &format!("a list, each item {expected}"), |kind| {
            let items = list_value(kind)?;
            let parsed: Vec<T> = items.iter().map(|item| parse(item)).collect::<Option<_>>()?;
            (!at_least_one || !parsed.is_empty()).then(|| (parsed, items.into()))
        })
        .unwrap_or_default()
    }

    /// Reads the text of the secret setting `key`, but not the file that its twin `<key>_file`
    /// names. Only [`secret`](super::secret) calls this.
    pub(super) fn hidden(
        &mut self,
        key: &str,
        expected: &str,
        valid: impl FnOnce(&str) -> bool,
    ) -> SecretString {
        self.read(key, expected, |kind| match kind {
            ValueKind::String(text) if valid(text) => {
                Some((text.as_str().into(), show::secret(key, text).into()))
            }
            _ => None,
        })
        .unwrap_or_default()
    }
}
