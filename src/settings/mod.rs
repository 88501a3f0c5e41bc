//! Settings: what an operator may say about the server, read from layers, checked, and handed on as
//! plain data.
//!
//! `config/default.toml` names every setting and its default. Over it go a settings file, the
//! environment and the flags, as [`Sources`] hands them in; [`Settings::load`] merges them, and
//! reports everything that is wrong with them at once. One file here is one table of settings. The
//! rest: `keys` knows the names, `layer` and `environment` find values, `reader` gives them types,
//! `secret` follows `*_file`, `together` knows what goes with what, `show` prints.
//!
//! Not here: reading certificates and templates, opening stores, and parsing flags.

mod bind;
mod choice;
mod compat;
mod cors;
mod environment;
mod error;
mod grant;
mod items;
mod keys;
mod layer;
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
mod together;
mod traces;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub use bind::Bind;
pub use compat::Compat;
pub use cors::Cors;
pub use error::{Error, Problem};
pub use grant::GrantName;
pub use log::{Log, LogFormat};
pub use management::Management;
pub use metrics::Metrics;
pub use mongo::{Mongo, ReadPreference};
pub use oauth::{ErrorUri, OAuth};
pub use password::{Password, Scheme};
pub use redis::Redis;
pub use server::Server;
pub use sources::Sources;
pub use store::{Backend, Store};
pub use templates::Templates;
pub use throttle::Throttle;
pub use tls::{Tls, TlsMode};
pub use traces::Traces;

use layer::Layer;
use reader::Reader;

/// Every setting, checked. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen, and what is taken from whom.
    pub server: Server,
    /// TLS on the listeners.
    pub tls: Tls,
    /// The protocol: endpoints, grants, lifetimes.
    pub oauth: OAuth,
    /// Which store holds the truth.
    pub store: Store,
    /// How to reach MongoDB.
    pub mongo: Mongo,
    /// Redis, if there is one.
    pub redis: Redis,
    /// Password hashing.
    pub password: Password,
    /// How guessing is slowed.
    pub throttle: Throttle,
    /// The operator's page and API.
    pub management: Management,
    /// Cross-origin calls.
    pub cors: Cors,
    /// The listener for Prometheus.
    pub metrics: Metrics,
    /// The log.
    pub log: Log,
    /// Where spans go.
    pub traces: Traces,
    /// The operator's own pages.
    pub templates: Templates,
    /// Deviations for flask-sentinel's callers.
    pub compat: Compat,
    shown: BTreeMap<String, toml::Value>,
    /// What `config show` says beside a value.
    notes: BTreeMap<&'static str, String>,
    given: BTreeSet<String>,
    warnings: Vec<String>,
    file: Option<PathBuf>,
}

impl Settings {
    /// Merges `sources` over the defaults and checks the result.
    ///
    /// # Errors
    /// [`Error::Invalid`] lists everything that is wrong with values and names; a file that cannot
    /// be read, or is not TOML, is reported alone.
    pub fn load(sources: &Sources) -> Result<Self, Error> {
        let (reader, names_mongodb) = merged(sources)?;
        let mut settings = Self::read(reader)?;
        if let Some(name) = names_mongodb
            && !settings.is_given("store.backend")
        {
            let note = format!("since {name} is set and store.backend is not");
            settings.notes.insert("store.backend", note);
        }
        settings.warnings = environment::without_effect(&sources.env);
        settings.warnings.extend(settings.without_effect());
        settings.file = sources.path();
        Ok(settings)
    }

    /// Where a server with these `sources` listens, and whether with TLS. It is for who asks a server
    /// whether it is well: other tables are not looked at, and no secret is read, which not everybody
    /// may who may ask.
    ///
    /// # Errors
    /// As [`load`](Self::load), of what is read and of unknown names.
    pub fn listening(sources: &Sources) -> Result<(Server, Tls), Error> {
        let (mut reader, _) = merged(sources)?;
        let found = (Server::read(&mut reader), Tls::read(&mut reader));
        if reader.problems.is_empty() { Ok(found) } else { Err(Error::Invalid(reader.problems)) }
    }

    /// The defaults alone.
    ///
    /// # Errors
    /// None with the defaults as they are; a test holds that.
    pub fn builtin() -> Result<Self, Error> {
        Self::load(&Sources::default())
    }

    /// Whether the user set `key` (as `table.name`) anywhere, even to its default.
    pub fn is_given(&self, key: &str) -> bool {
        self.given.contains(key)
    }

    /// Whether anything in a table was set by anybody.
    pub fn is_any_given(&self, table: &str) -> bool {
        self.given.iter().any(|key| key.split_once('.').is_some_and(|(own, _)| own == table))
    }

    /// The settings as loaded, as TOML in the order of `config/default.toml`, with no secret in it.
    pub fn describe(&self) -> String {
        show::text(&self.shown, &self.notes)
    }

    /// The settings file that was read, if there is one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// What is set and has no effect, one sentence each. It is no reason not to start.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What [`describe`](Self::describe) says, as nested tables.
    pub fn to_table(&self) -> toml::Table {
        show::table(&self.shown)
    }

    fn read(mut reader: Reader) -> Result<Self, Error> {
        let r = &mut reader;
        let mut settings = Self {
            server: Server::read(r),
            tls: Tls::read(r),
            oauth: OAuth::read(r),
            store: Store::read(r),
            mongo: Mongo::read(r),
            redis: Redis::read(r),
            password: Password::read(r),
            throttle: Throttle::read(r),
            management: Management::read(r),
            cors: Cors::read(r),
            metrics: Metrics::read(r),
            log: Log::read(r),
            traces: Traces::read(r),
            templates: Templates::read(r),
            compat: Compat::read(r),
            shown: BTreeMap::new(),
            notes: BTreeMap::new(),
            given: r.given(),
            warnings: Vec::new(),
            file: None,
        };
        settings.check_together(r);
        if !reader.problems.is_empty() {
            return Err(Error::Invalid(reader.problems));
        }
        settings.shown = reader.shown;
        Ok(settings)
    }
}

/// All layers as one, and flask-sentinel's name for where MongoDB is, if one of them has it.
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
