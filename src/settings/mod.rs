//! Settings of the server: merged from layers, validated, and provided as plain data.
//!
//! `config/default.toml` names every setting and its default. A settings file, the environment and
//! the flags override it; [`Sources`] holds these. [`Settings::load`] merges the layers and reports
//! all problems at once. Each table of settings has a module of its own. Of the others, `keys` has
//! the names, `layer` and `environment` collect values, `reader` gives them types, `secret` reads
//! `*_file` settings, `cross_checks` compares settings of different tables, and `show` prints them.
//!
//! This module does not read certificates or templates, open stores, or parse flags.

mod bind;
mod compat;
mod cors;
mod cross_checks;
mod environment;
mod error;
mod grant;
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
mod throttle;
mod tls;
mod traces;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub use bind::Bind;
pub use compat::CompatSettings;
pub use cors::CorsSettings;
pub use error::{Error, SettingProblem};
pub use grant::GrantName;
pub use log::{LogFormat, LogSettings};
pub use management::ManagementSettings;
pub use metrics::MetricsSettings;
pub use mongo::{MongoSettings, ReadPreference};
pub use oauth::{ErrorUri, OAuthSettings};
pub use password::{PasswordSettings, Scheme};
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

/// All settings, validated. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Listeners, trusted proxies and limits.
    pub server: ServerSettings,
    /// TLS on the listeners.
    pub tls: TlsSettings,
    /// Endpoints, grants and lifetimes.
    pub oauth: OAuthSettings,
    /// Store backend.
    pub store: StoreSettings,
    /// Connection to MongoDB.
    pub mongo: MongoSettings,
    /// Connection to Redis, if Redis is used.
    pub redis: RedisSettings,
    /// Password hashing.
    pub password: PasswordSettings,
    /// Rate limits on failed attempts.
    pub throttle: ThrottleSettings,
    /// Management page and API.
    pub management: ManagementSettings,
    /// Cross-origin requests.
    pub cors: CorsSettings,
    /// Prometheus listener.
    pub metrics: MetricsSettings,
    /// Format and level of the log.
    pub log: LogSettings,
    /// Export of spans.
    pub traces: TracesSettings,
    /// The operator's own templates.
    pub templates: TemplatesSettings,
    /// Deviations for compatibility with flask-sentinel.
    pub compat: CompatSettings,
    shown: BTreeMap<String, toml::Value>,
    /// Remarks that `config show` prints beside values.
    notes: BTreeMap<&'static str, String>,
    given: BTreeSet<String>,
    warnings: Vec<String>,
    file: Option<PathBuf>,
}

impl Settings {
    /// Merges `sources` over the defaults and validates the result.
    ///
    /// # Errors
    /// Returns [`Error::Invalid`] with every unknown name and invalid value. A file that cannot be
    /// read or is not valid TOML is reported alone.
    pub fn load(sources: &Sources) -> Result<Self, Error> {
        let (reader, names_mongodb) = merged(sources)?;
        let mut settings = Self::read(reader)?;
        if let Some(name) = names_mongodb
            && !settings.is_given("store.backend")
        {
            let note = format!("since {name} is set and store.backend is not");
            settings.notes.insert("store.backend", note);
        }
        settings.warnings = environment::ineffective_settings(&sources.env);
        settings.warnings.extend(settings.ineffective_settings());
        settings.file = sources.path();
        Ok(settings)
    }

    /// Returns the listeners and TLS settings of `sources`, for a health check.
    ///
    /// Validates no other table and reads no secret, since the user who runs a health check may not
    /// have permission to read secret files.
    ///
    /// # Errors
    /// As [`load`](Self::load), for the tables that are read and for unknown names.
    pub fn listening(sources: &Sources) -> Result<(ServerSettings, TlsSettings), Error> {
        let (mut reader, _) = merged(sources)?;
        let found = (ServerSettings::read(&mut reader), TlsSettings::read(&mut reader));
        if reader.problems.is_empty() { Ok(found) } else { Err(Error::Invalid(reader.problems)) }
    }

    /// Returns the default settings.
    ///
    /// # Errors
    /// Never fails with the present defaults, which a test verifies.
    pub fn builtin() -> Result<Self, Error> {
        Self::load(&Sources::default())
    }

    /// Returns whether the user set `key` (as `table.name`) in any layer, even to its default.
    pub fn is_given(&self, key: &str) -> bool {
        self.given.contains(key)
    }

    /// Returns whether the user set any key of a table.
    pub fn is_any_given(&self, table: &str) -> bool {
        self.given.iter().any(|key| key.split_once('.').is_some_and(|(own, _)| own == table))
    }

    /// Returns the settings as TOML, in the order of `config/default.toml` and without secrets.
    pub fn describe(&self) -> String {
        show::text(&self.shown, &self.notes)
    }

    /// Returns the path of the settings file, if one was read.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Returns one sentence for each setting that is set and has no effect. These do not prevent
    /// the start.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns the values that [`describe`](Self::describe) prints, as nested tables.
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
            given: r.given(),
            warnings: Vec::new(),
            file: None,
        };
        settings.cross_check(r);
        if !reader.problems.is_empty() {
            return Err(Error::Invalid(reader.problems));
        }
        settings.shown = reader.shown;
        Ok(settings)
    }
}

/// Merges all layers. Also returns flask-sentinel's name for the address of MongoDB, if a layer
/// sets it.
fn merged(sources: &Sources) -> Result<(Reader, Option<&'static str>), Error> {
    let mut problems = Vec::new();
    let file = match sources.path() {
        Some(path) => Layer::file(&path, &mut problems)?,
        None => Layer::default(),
    };
    let environment = Layer::environment(&sources.env, &mut problems);
    let overrides = Layer::overrides(&sources.overrides, &mut problems);
    let names_mongodb = environment.names_mongodb.or(file.names_mongodb);
    let layers = [Layer::builtin(names_mongodb)?, file, environment, overrides];
    Ok((Reader::new(&layers, problems)?, names_mongodb))
}
