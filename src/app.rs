//! The composition root: from settings to a server that listens.
//!
//! Everything that can be wrong is found before the first request is taken: stores are open,
//! certificates are loaded and sockets are bound when [`Application::build`] returns.

mod listener;
mod policy;
mod purge;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::dev::{Server, ServerHandle};

pub use listener::data_folder;
pub use policy::{lifetimes, password_policy};

use crate::admin::Admin;
use crate::domain::Clock;
use crate::oauth::Provider;
use crate::password::{self, PasswordPool};
use crate::settings::Settings;
use crate::store::{StoreError, Stores, connect};
use crate::web::{Web, tls};
use purge::Purge;

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
    /// A template cannot be rendered.
    #[error("a template is wrong: {0}")]
    Template(#[from] tera::Error),
    /// The system gives no signals.
    #[error("cannot wait for signals")]
    Signals(#[source] io::Error),
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
    pub async fn build(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let stores = connect::connect(settings).await?;
        stores.take_into_use().await?;
        let passwords = &settings.password;
        let pool =
            PasswordPool::start(password_policy(passwords), passwords.workers, passwords.queue)?;
        let provider =
            Provider::new(stores.clone(), pool, Arc::clone(&clock), policy::oauth_policy(settings));
        let web = Web::new(provider, policy::web_policy(settings))?;
        let (server, addresses) = listener::listen(settings, web)?;
        let purge = Purge::start(&stores, &clock);
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

    /// Answers until a signal comes. SIGTERM and SIGINT let calls in flight finish.
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

/// The stores of the settings, for the command line.
///
/// # Errors
/// When they cannot be opened.
pub async fn open_stores(settings: &Settings) -> Result<Stores, StartError> {
    Ok(connect::connect(settings).await?)
}

/// The same for reading alone; `None` when there are none yet.
///
/// # Errors
/// When they cannot be opened.
pub async fn open_stores_for_reading(settings: &Settings) -> Result<Option<Stores>, StartError> {
    Ok(connect::connect_reading(settings).await?)
}
