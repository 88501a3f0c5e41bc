//! The HTTP server: sockets, dressed in TLS where it is asked for, and how it stops.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::{Condition, from_fn};
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use tokio::signal::unix::{SignalKind, signal};

use super::sockets::{self, Socket};
use super::{StartError, supervisor};
use crate::settings::{Settings, TlsMode};
use crate::web::certificate::{Certificate, Source};
use crate::web::client_address::UnixPeer;
use crate::web::{Web, cors};

/// How long calls in flight may take to finish when the server stops.
const DRAIN: Duration = Duration::from_secs(30);
/// How long an idle connection is kept: longer than nginx keeps its own (60 s), so that it is the
/// proxy that closes, and no request meets a closing connection.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Binds all sockets and makes the server that will serve them.
pub(super) fn listen(
    settings: &Settings,
    web: Web,
    certificate: Option<&Arc<Certificate>>,
) -> Result<(Server, Vec<SocketAddr>), StartError> {
    let mut server = HttpServer::new(move || {
        let observer = web.observer();
        App::new()
            .wrap(Condition::new(
                web.has_allowed_origins(),
                from_fn::<_, (Data<Web>,)>(cors::answer),
            ))
            // Around all else: what the others answer is seen too.
            .wrap_fn(move |request, service| observer.call(request, service))
            .configure(|config| web.configure(config))
    })
    .on_connect(|connection, extensions| {
        if connection.is::<tokio::net::UnixStream>() {
            extensions.insert(UnixPeer);
        }
    })
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(settings.server.request_timeout)
    .shutdown_timeout(DRAIN.as_secs())
    .shutdown_signal(stop_signal().map_err(StartError::Signals)?);
    if settings.server.workers > 0 {
        server = server.workers(settings.server.workers);
    }
    let tls = certificate.map(Certificate::server_config).transpose()?;
    let mut addresses = Vec::new();
    for socket in sockets::all(settings)? {
        server = match socket {
            Socket::Unix(listener) => {
                server.listen_uds(listener).map_err(failed("a Unix socket"))?
            }
            Socket::Tcp(listener, address) => {
                addresses.push(address);
                match &tls {
                    Some(tls) => server.listen_rustls_0_23(listener, tls.clone()),
                    None => server.listen(listener),
                }
                .map_err(failed(address))?
            }
        };
    }
    Ok((server.run(), addresses))
}

fn failed(address: impl ToString) -> impl FnOnce(io::Error) -> StartError {
    move |source| StartError::Listen { address: address.to_string(), source }
}

/// The certificate that the settings ask for, if they do.
pub(super) fn certificate(settings: &Settings) -> Result<Option<Arc<Certificate>>, StartError> {
    let source = match (settings.tls.mode, &settings.tls.cert, &settings.tls.key) {
        (TlsMode::Off, ..) => return Ok(None),
        (TlsMode::SelfSigned, ..) => Source::SelfSigned {
            folder: data_folder(settings).to_owned(),
            names: self_signed_names(settings),
        },
        (TlsMode::Files, Some(cert), Some(key)) => {
            Source::Files { cert: cert.clone(), key: key.clone() }
        }
        (TlsMode::Files, ..) => {
            return Err(StartError::Unsupported("tls.mode = \"files\" needs tls.cert and tls.key"));
        }
    };
    Ok(Some(Arc::new(Certificate::load(source)?)))
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

/// Resolves when the process is told to stop. The handlers are in place when this returns, so that a
/// signal that comes while the server starts stops it as calmly as a later one.
fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: finishing the calls in flight"),
            _ = interrupt.recv() => tracing::info!("SIGINT: finishing the calls in flight"),
        }
        supervisor::stopping();
    })
}
