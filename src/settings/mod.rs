//! Settings of the server: merged from layers, validated, and provided as plain data.
//!
//! `config/default.toml` names every setting and its default. A settings file, the environment and
//! the flags override it; [`Sources`] holds these. [`Settings::load`] merges the layers and reports
//! all problems at once. Each table of settings has a module of its own. Of the others, `keys` has
//! the names, `layer` and `environment` collect values, `reader` gives them types, `secret` reads
//! `*_file` settings, `text_checks` finds invisible characters in values, `cross_checks` compares
//! settings of different tables, and `show` prints them.
//!
//! This module does not read certificates or templates, open stores, or parse flags.

mod bind;
mod compat;
mod cors;
mod cross_checks;
mod environment;
mod error;
mod file;
mod keys;
mod keyword;
mod layer;
mod list_value;
mod log;
mod management;
mod metrics;
mod mongo;
mod oauth;
pub(crate) mod parse;
mod password;
mod reader;
mod redis;
mod secret;
mod server;
mod show;
mod sources;
mod store;
mod templates;
mod text_checks;
mod throttle;
mod tls;
mod traces;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub use bind::Bind;
pub use compat::CompatSettings;
pub use cors::CorsSettings;
pub use error::{Error, SettingProblem};
pub use file::read_limited;
pub use log::{LogFormat, LogSettings};
pub use management::ManagementSettings;
pub use metrics::MetricsSettings;
pub use mongo::{MongoSettings, ReadPreference};
pub use oauth::{ErrorUri, OAuthSettings};
pub use password::PasswordSettings;
pub use redis::RedisSettings;
pub use server::ServerSettings;
pub use sources::Sources;
pub use store::{Backend, StoreSettings};
pub use templates::TemplatesSettings;
pub use throttle::ThrottleSettings;
pub use tls::{TlsMode, TlsSettings};
pub use traces::TracesSettings;

use layer::Layer;
use reader::Reader;

/// All settings of the server, validated. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Settings of listeners, trusted proxies, and limits on connections and requests.
    pub server: ServerSettings,
    /// Settings of TLS on the listeners.
    pub tls: TlsSettings,
    /// Settings of OAuth endpoints, grants, and lifetimes of tokens and sessions.
    pub oauth: OAuthSettings,
    /// Settings of the store of users, clients and sessions.
    pub store: StoreSettings,
    /// Settings of the connection to MongoDB.
    pub mongo: MongoSettings,
    /// Settings of the connection to Redis, if Redis is used.
    pub redis: RedisSettings,
    /// Settings of password hashing.
    pub password: PasswordSettings,
    /// Settings of rate limits on failed attempts.
    pub throttle: ThrottleSettings,
    /// Settings of the management page and API.
    pub management: ManagementSettings,
    /// Settings for cross-origin requests.
    pub cors: CorsSettings,
    /// Settings of the Prometheus listener.
    pub metrics: MetricsSettings,
    /// Settings of the log: format and level.
    pub log: LogSettings,
    /// Settings of the export of tracing spans.
    pub traces: TracesSettings,
    /// Settings of the operator's own page templates.
    pub templates: TemplatesSettings,
    /// Settings that deviate from the RFCs for compatibility with flask-sentinel.
    pub compat: CompatSettings,
    shown: BTreeMap<String, toml::Value>,
    /// Remarks that `config show` prints beside values, by the key of the setting.
    notes: BTreeMap<String, String>,
    origins: BTreeMap<String, String>,
    given: BTreeSet<String>,
    changed: BTreeSet<String>,
    warnings: Vec<String>,
    file: Option<PathBuf>,
    has_secret_in_file: bool,
    secret_files: Vec<(String, PathBuf)>,
}

impl Settings {
    /// Merges `sources` over the default settings and validates the result.
    ///
    /// # Errors
    /// Returns [`Error::Invalid`] with every unknown name and invalid value. A settings file that
    /// cannot be read or is not valid TOML is reported alone.
    pub fn load(sources: &Sources) -> Result<Self, Error> {
        let (reader, names_mongodb) = merged(sources)?;
        let mut settings = Self::read(reader)?;
        if let Some(name) = names_mongodb
            && !settings.is_given("store.backend")
        {
            let note = format!("since {name} is set and store.backend is not");
            settings.notes.insert("store.backend".to_owned(), note);
        }
        settings.warnings.extend(environment::ineffective_settings(&sources.env));
        settings.warnings.extend(settings.ineffective_settings());
        settings.warnings.extend(settings.weak_password());
        settings.file = sources.path();
        Ok(settings)
    }

    /// Returns the settings of listeners and TLS from `sources`, for a health check.
    ///
    /// Validates no other table and reads no secret, since the user who runs a health check may not
    /// have permission to read secret files.
    ///
    /// # Errors
    /// Returns [`Error`] if the file cannot be read, a name is unknown or a value is invalid.
    pub fn listening(sources: &Sources) -> Result<(ServerSettings, TlsSettings), Error> {
        let (mut reader, _) = merged(sources)?;
        let found = (ServerSettings::read(&mut reader), TlsSettings::read(&mut reader));
        if reader.problems.is_empty() { Ok(found) } else { Err(Error::Invalid(reader.problems)) }
    }

    /// Returns the default settings, without any file, environment variable or flag.
    ///
    /// # Errors
    /// Never fails with the present defaults, which a test verifies.
    pub fn builtin() -> Result<Self, Error> {
        Self::load(&Sources::default())
    }

    /// Returns whether the user set `key` (as `table.name`) in any source, even to its default.
    pub fn is_given(&self, key: &str) -> bool {
        self.given.contains(key)
    }

    /// Returns whether the user set `key` (as `table.name`) to a value other than its default.
    fn is_changed(&self, key: &str) -> bool {
        self.changed.contains(key)
    }

    /// Returns whether the user set any key of the settings table `table` to a value other than its
    /// default. A file that `config default` has printed sets every key.
    fn is_any_changed(&self, table: &str) -> bool {
        self.changed.iter().any(|key| key.split_once('.').is_some_and(|(own, _)| own == table))
    }

    /// Returns the settings as TOML, in the order of `config/default.toml` and without secrets.
    pub fn describe(&self) -> String {
        show::text(&self.shown, &self.notes)
    }

    /// Returns the settings as [`describe`](Self::describe) does, each with a comment that names
    /// the origin of its value.
    pub fn describe_with_origin(&self) -> String {
        show::text(&self.shown, &self.origins)
    }

    /// Returns the origin of the value of each setting, by `table.name`: "default", the settings
    /// file, an environment variable, or an option.
    pub const fn origins(&self) -> &BTreeMap<String, String> {
        &self.origins
    }

    /// Returns the default settings as the text of a settings file, in which comments explain each
    /// setting.
    pub const fn defaults() -> &'static str {
        keys::DEFAULTS
    }

    /// Returns the path of the settings file, if one was read.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Returns whether the settings file contains a password.
    pub const fn has_secret_in_file(&self) -> bool {
        self.has_secret_in_file
    }

    /// Returns the files from which secrets were read, each with the setting that names it.
    pub fn secret_files(&self) -> &[(String, PathBuf)] {
        &self.secret_files
    }

    /// Returns one warning for each setting that is set and has no effect or is probably not meant
    /// as it is written, and for a password that is too short. Warnings do not prevent the start.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns the settings that [`describe`](Self::describe) prints, as nested tables.
    pub fn to_table(&self) -> toml::Table {
        show::table(&self.shown)
    }

    fn read(mut reader: Reader) -> Result<Self, Error> {
        let r = &mut reader;
        let mut settings = Self {
            server: ServerSettings::read(r),
            tls: TlsSettings::read(r),
            oauth: OAuthSettings::read(r),
            store: StoreSettings::read(r),
            mongo: MongoSettings::read(r),
            redis: RedisSettings::read(r),
            password: PasswordSettings::read(r),
            throttle: ThrottleSettings::read(r),
            management: ManagementSettings::read(r),
            cors: CorsSettings::read(r),
            metrics: MetricsSettings::read(r),
            log: LogSettings::read(r),
            traces: TracesSettings::read(r),
            templates: TemplatesSettings::read(r),
            compat: CompatSettings::read(r),
            shown: BTreeMap::new(),
            notes: BTreeMap::new(),
            origins: BTreeMap::new(),
            given: r.given(),
            changed: r.changed().clone(),
            warnings: Vec::new(),
            file: None,
            has_secret_in_file: r.has_secret_in_file,
            secret_files: Vec::new(),
        };
        settings.cross_check(r);
        if !reader.problems.is_empty() {
            return Err(Error::Invalid(reader.problems));
        }
        settings.origins = reader.origins();
        settings.shown = reader.shown;
        settings.secret_files = reader.secret_files;
        settings.warnings = reader.warnings;
        Ok(settings)
    }
}

/// Merges defaults, file, environment and flags. Also returns flask-sentinel's name for the address
/// of MongoDB, if one of these layers sets an address by that name.
fn merged(sources: &Sources) -> Result<(Reader, Option<&'static str>), Error> {
    let mut problems = Vec::new();
    let file = match sources.path() {
        Some(path) => Layer::file(&path, &mut problems)?,
        None => Layer::default(),
    };
    let environment = Layer::environment(&sources.env, &mut problems);
    let overrides = Layer::overrides(&sources.overrides, &mut problems);
    let names_mongodb = environment.names_mongodb.or(file.names_mongodb);
    let has_secret_in_file = file.has_secret();
    let layers = [Layer::builtin(names_mongodb)?, file, environment, overrides];
    let mut reader = Reader::new(&layers, problems)?;
    reader.has_secret_in_file = has_secret_in_file;
    Ok((reader, names_mongodb))
}
