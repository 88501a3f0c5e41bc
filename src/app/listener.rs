//! Binds the sockets, builds the HTTP server with its certificate, and stops it on signals.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_server::ServerBuilder;
use actix_web::App;
use actix_web::dev::Server;
use actix_web::http::header::STRICT_TRANSPORT_SECURITY;
use actix_web::middleware::{Condition, DefaultHeaders, from_fn};
use actix_web::web::Data;
use tokio::signal::unix::{SignalKind, signal};

use super::http_server::HttpServer;
use super::sockets::{ListenAddresses, Socket, open_sockets};
use super::{StartError, file_limits, systemd};
use crate::domain::Clock;
use crate::settings::{Settings, TlsMode};
use crate::web::certificate::{Certificate, CertificateSource};
use crate::web::{Transport, Web, cors};

/// Time limit for requests in progress when the server stops.
const DRAIN: Duration = Duration::from_secs(30);

/// Binds all sockets of the settings, and returns a server for them with their addresses.
pub(super) fn listen(
    settings: &Settings,
    web: Web,
    certificate: Option<&Arc<Certificate>>,
) -> Result<(Server, ListenAddresses), StartError> {
    let hsts = (settings.tls.mode == TlsMode::Files).then_some(settings.tls.hsts_max_age);
    let app = move |transport: Transport| {
        let web = web.clone();
        let hsts = hsts.filter(|_| transport == Transport::Tls);
        move || {
            let observer = web.observer();
            App::new()
                .wrap(Condition::new(
                    hsts.is_some(),
                    strict_transport_security(hsts.unwrap_or_default()),
                ))
                .wrap(Condition::new(
                    web.has_allowed_origins(),
                    from_fn::<_, (Data<Web>,)>(cors::handle),
                ))
                // Outermost, so that responses of the other middleware are observed too.
                .wrap_fn(move |request, service| observer.call(request, service))
                .configure(|config| web.configure(config, transport))
        }
    };
    let workers = match settings.server.workers {
        // actix-server supports at most 512 workers.
        0 => std::thread::available_parallelism().map_or(1, usize::from).min(512),
        some => some,
    };
    let connections = file_limits::max_connections(settings.server.max_connections);
    let mut server = ServerBuilder::new()
        .workers(workers)
        .max_concurrent_connections((connections / workers).max(1))
        .shutdown_timeout(DRAIN.as_secs())
        .shutdown_signal(stop_signal().map_err(StartError::Signals)?);
    let tls = certificate.map(Certificate::server_config);
    let tcp = if tls.is_some() { Transport::Tls } else { Transport::Tcp };
    let http = HttpServer::new(&server, settings.server.request_timeout, tls);
    let mut listening = ListenAddresses::default();
    for socket in open_sockets(settings)? {
        let transport = if matches!(socket, Socket::Unix(..)) { Transport::Unix } else { tcp };
        let failed = failed(socket.name());
        server = http.listen(server, socket, &mut listening, app(transport)).map_err(failed)?;
    }
    Ok((server.run(), listening))
}

/// Returns the middleware that adds `Strict-Transport-Security` to responses. RFC 6797 §7.2: "An
/// HSTS Host MUST NOT include the STS header field in HTTP responses conveyed over non-secure
/// transport." Browsers ignore it if they do not trust the certificate (§8.1), so it would have no
/// effect with a self-signed one.
fn strict_transport_security(max_age: Duration) -> DefaultHeaders {
    DefaultHeaders::new().add((STRICT_TRANSPORT_SECURITY, format!("max-age={}", max_age.as_secs())))
}

fn failed(address: String) -> impl FnOnce(io::Error) -> StartError {
    move |source| StartError::Listen { address, source }
}

/// Loads the TLS certificate that the settings select. Returns `None` if TLS is off.
pub(super) fn certificate(
    settings: &Settings,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Arc<Certificate>>, StartError> {
    let Some(source) = certificate_source(settings)? else { return Ok(None) };
    Ok(Some(Arc::new(Certificate::load(source, Arc::clone(clock))?)))
}

/// Checks whether the TLS certificate can be used. Returns the reasons for which clients may reject
/// it. A self-signed certificate that does not exist yet passes.
pub(super) fn check_certificate(
    settings: &Settings,
    clock: &dyn Clock,
) -> Result<Vec<String>, StartError> {
    match certificate_source(settings)? {
        Some(source) => Ok(source.check(clock.now())?),
        None => Ok(Vec::new()),
    }
}

fn certificate_source(settings: &Settings) -> Result<Option<CertificateSource>, StartError> {
    Ok(match (settings.tls.mode, &settings.tls.cert, &settings.tls.key) {
        (TlsMode::Off, ..) => None,
        (TlsMode::SelfSigned, ..) => Some(CertificateSource::SelfSigned {
            folder: data_folder(settings).to_owned(),
            host: public_host(settings),
        }),
        (TlsMode::Files, Some(cert), Some(key)) => Some(CertificateSource::Files {
            cert: cert.clone(),
            key: key.clone(),
            host: public_host(settings),
        }),
        (TlsMode::Files, ..) => {
            return Err(StartError::IncompleteSettings(
                "tls.mode = \"files\" needs tls.cert and tls.key",
            ));
        }
    })
}

/// Returns the data folder: the folder of the embedded store, which also holds a self-signed
/// certificate.
pub fn data_folder(settings: &Settings) -> &Path {
    let parent = settings.store.path.parent();
    parent.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Returns the host in `server.public_url`, an IPv6 address without its brackets.
fn public_host(settings: &Settings) -> Option<String> {
    let url = settings.server.public_url.as_deref()?.parse::<actix_web::http::Uri>().ok()?;
    url.host().map(|host| host.trim_start_matches('[').trim_end_matches(']').to_owned())
}

/// Returns a future that resolves on SIGTERM or SIGINT. The handlers are installed before this
/// function returns, so that a signal during the start stops the server gracefully too.
fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: finishing the requests in progress"),
            _ = interrupt.recv() => tracing::info!("SIGINT: finishing the requests in progress"),
        }
        systemd::stopping();
    })
}
