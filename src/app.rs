//! The composition root: from settings to a server that listens.
//!
//! Everything that can be wrong is found before the first request is taken: stores are open,
//! certificates are loaded and sockets are bound when [`Application::build`] returns.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_cors::Cors;
use actix_web::dev::{Server, ServerHandle};
use actix_web::http::header;
use actix_web::middleware::Condition;
use actix_web::{App, HttpServer};
use rustls::ServerConfig;

use crate::admin::Admin;
use crate::domain::{Clock, Grant, Lifetimes};
use crate::oauth::{Policy, Provider};
use crate::password::{self, PasswordPool};
use crate::settings::{self, Bind, Settings, TlsMode};
use crate::store::{SessionStore, StoreError, Stores, connect};
use crate::web::client_address::UnixPeer;
use crate::web::{Routes, Web, WebPolicy, tls};

/// How often expired sessions are removed.
const PURGE_EVERY: Duration = Duration::from_secs(60);
/// How many are removed in one write, so that others get their turn in between.
const PURGE_BATCH: u32 = 500;
/// How long calls in flight may take to finish when the server stops.
const DRAIN: Duration = Duration::from_secs(30);
/// How long an idle connection is kept: longer than nginx keeps its own (60 s), so that it is the
/// proxy that closes, and no request meets a closing connection.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// The server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The certificate or its key is no good.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// The password settings cannot be used.
    #[error(transparent)]
    Passwords(#[from] password::StartError),
    /// Something is asked for that this version has not.
    #[error("{0}")]
    Unsupported(&'static str),
    /// A socket cannot be had.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// As it was set.
        address: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// A server that is about to answer.
pub struct Application {
    server: Server,
    addresses: Vec<SocketAddr>,
    admin: Admin,
    purge: Purge,
}

impl Application {
    /// Opens the stores, loads certificates, binds sockets. Call it inside a Tokio runtime.
    ///
    /// # Errors
    /// [`StartError`], one sentence for the operator.
    pub fn build(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        if settings.redis.url.is_some() {
            return Err(StartError::Unsupported(
                "redis.url is set, but Redis is not in this version yet",
            ));
        }
        let stores = connect::connect(settings)?;
        let passwords = &settings.password;
        let pool =
            PasswordPool::start(password_policy(passwords), passwords.workers, passwords.queue)?;
        let provider =
            Provider::new(stores.clone(), pool, Arc::clone(&clock), oauth_policy(settings));
        let web = Web::new(provider, web_policy(settings));
        let (server, addresses) = listen(settings, web)?;
        let purge = Purge::start(Arc::clone(&stores.sessions), Arc::clone(&clock));
        Ok(Self { server, addresses, admin: Admin::new(stores, clock), purge })
    }

    /// The TCP addresses that are listened on, with the ports that the system chose for port 0.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What an operator can do, on the stores of this server.
    pub const fn admin(&self) -> &Admin {
        &self.admin
    }

    /// Stops the server from elsewhere.
    pub fn handle(&self) -> ServerHandle {
        self.server.handle()
    }

    /// Answers until a signal comes (SIGTERM and SIGINT let calls in flight finish).
    ///
    /// # Errors
    /// When the system takes the sockets away.
    pub async fn run(self) -> io::Result<()> {
        let Self { server, purge, .. } = self;
        let result = server.await;
        drop(purge);
        result
    }
}

/// The hashing policy that the settings ask for.
pub const fn password_policy(settings: &settings::Password) -> password::Policy {
    password::Policy {
        scheme: match settings.scheme {
            settings::Scheme::Argon2id => password::Scheme::Argon2id,
            settings::Scheme::Bcrypt => password::Scheme::Bcrypt,
        },
        memory_kib: settings.memory_kib,
        iterations: settings.iterations,
        parallelism: settings.parallelism,
        bcrypt_cost: settings.bcrypt_cost,
    }
}

fn oauth_policy(settings: &Settings) -> Policy {
    let oauth = &settings.oauth;
    let grant = |name: &settings::GrantName| match name {
        settings::GrantName::Password => Grant::Password,
        settings::GrantName::RefreshToken => Grant::RefreshToken,
        settings::GrantName::ClientCredentials => Grant::ClientCredentials,
    };
    Policy {
        grants: oauth.grants.iter().map(grant).collect(),
        lifetimes: Lifetimes {
            access_token: oauth.access_token_ttl,
            refresh_idle: oauth.refresh_idle_ttl,
            session: oauth.session_ttl,
            refresh_grace: oauth.refresh_grace,
        },
        issuer: settings.server.public_url.clone(),
    }
}

fn web_policy(settings: &Settings) -> WebPolicy {
    let (oauth, server) = (&settings.oauth, &settings.server);
    let error_uri = match (&oauth.error_uri, &server.public_url) {
        (Some(settings::ErrorUri::Url(url)), _) => Some(url.clone()),
        (Some(settings::ErrorUri::Path(path)), Some(base)) => Some(format!("{base}{path}")),
        _ => None,
    };
    WebPolicy {
        routes: Routes {
            token: oauth.token_path(),
            introspection: oauth.introspection_path(),
            revocation: oauth.revocation_path(),
            verify: oauth.verify_path(),
            metadata: oauth.metadata_url.clone(),
        },
        error_uri,
        max_body: usize::try_from(server.max_body).unwrap_or(usize::MAX),
        body_timeout: server.request_timeout,
        trusted_proxies: server.trusted_proxies.clone(),
        flask_sentinel_status: settings.compat.flask_sentinel_status,
    }
}

/// Binds all sockets and makes the server that will serve them.
fn listen(settings: &Settings, web: Web) -> Result<(Server, Vec<SocketAddr>), StartError> {
    let origins = settings.cors.allowed_origins.clone();
    let mut server = HttpServer::new(move || {
        App::new()
            .wrap(Condition::new(!origins.is_empty(), cors(&origins)))
            .configure(|config| web.configure(config))
    })
    .on_connect(|connection, extensions| {
        if connection.is::<tokio::net::UnixStream>() {
            extensions.insert(UnixPeer);
        }
    })
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(settings.server.request_timeout)
    .shutdown_timeout(DRAIN.as_secs());
    if settings.server.workers > 0 {
        server = server.workers(settings.server.workers);
    }
    let tls = tls_config(settings)?;
    let mut addresses = Vec::new();
    for bind in &settings.server.bind {
        let failed = |source| StartError::Listen { address: bind.to_string(), source };
        server = match bind {
            Bind::Unix(path) => {
                remove_stale_socket(path).map_err(failed)?;
                server.bind_uds(path).map_err(failed)?
            }
            Bind::Tcp(address) => {
                for address in address.to_socket_addrs().map_err(failed)? {
                    let listener = TcpListener::bind(address).map_err(failed)?;
                    addresses.push(listener.local_addr().map_err(failed)?);
                    server = match &tls {
                        Some(tls) => server.listen_rustls_0_23(listener, tls.clone()),
                        None => server.listen(listener),
                    }
                    .map_err(failed)?;
                }
                server
            }
        };
    }
    Ok((server.run(), addresses))
}

fn tls_config(settings: &Settings) -> Result<Option<ServerConfig>, StartError> {
    let files = (&settings.tls.cert, &settings.tls.key);
    Ok(match (settings.tls.mode, files) {
        (TlsMode::Off, _) => None,
        (TlsMode::SelfSigned, _) => {
            Some(tls::self_signed(data_folder(settings), &self_signed_names(settings))?)
        }
        (TlsMode::Files, (Some(cert), Some(key))) => Some(tls::from_files(cert, key)?),
        (TlsMode::Files, _) => {
            return Err(StartError::Unsupported("tls.mode = \"files\" needs tls.cert and tls.key"));
        }
    })
}

/// The folder of the embedded store, where a self-signed certificate is kept too.
pub fn data_folder(settings: &Settings) -> &Path {
    let parent = settings.store.path.parent();
    parent.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

fn self_signed_names(settings: &Settings) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let url = settings
        .server
        .public_url
        .as_deref()
        .and_then(|url| url.parse::<actix_web::http::Uri>().ok());
    if let Some(host) = url.as_ref().and_then(|url| url.host())
        && !names.iter().any(|name| name == host)
    {
        names.push(host.to_owned());
    }
    names
}

/// A socket file stays behind when a server is killed; one that still answers is left alone.
fn remove_stale_socket(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another server answers there"));
    }
    std::fs::remove_file(path)
}

/// What scripts on pages of other origins may do: get tokens, and ask for their own.
fn cors(origins: &[String]) -> Cors {
    let base = Cors::default()
        .allowed_methods(["GET", "POST"])
        .allowed_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .max_age(3600);
    origins.iter().fold(base, |cors, origin| match origin.as_str() {
        "*" => cors.allow_any_origin().send_wildcard(),
        origin => cors.allowed_origin(origin),
    })
}

/// Removes expired sessions in the background for as long as it is kept.
struct Purge(tokio::task::JoinHandle<()>);

impl Purge {
    fn start(sessions: Arc<dyn SessionStore>, clock: Arc<dyn Clock>) -> Self {
        Self(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(PURGE_EVERY);
            loop {
                ticks.tick().await;
                purge(&*sessions, &*clock).await;
            }
        }))
    }
}

impl Drop for Purge {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn purge(sessions: &dyn SessionStore, clock: &dyn Clock) {
    loop {
        match sessions.purge(clock.now(), PURGE_BATCH).await {
            Ok(removed) if removed >= u64::from(PURGE_BATCH) => {}
            Ok(_) => return,
            Err(error) => {
                tracing::warn!(%error, "expired sessions could not be removed");
                return;
            }
        }
    }
}

/// The stores of the settings, for the command line.
///
/// # Errors
/// When they cannot be opened.
pub fn open_stores(settings: &Settings) -> Result<Stores, StartError> {
    Ok(connect::connect(settings)?)
}
