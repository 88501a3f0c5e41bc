//! Baseline servers: actix-web handlers that parse the same request and return the same bytes as
//! Sentinel.

use std::io::Write as _;
use std::sync::Arc;

use actix_web::error::ErrorBadGateway;
use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::{Context, Result};
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{Client, cmd};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use serde::Deserialize;

#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Kind {
    Introspection,
    /// Introspection over TLS, with HTTP/1.1 or HTTP/2.
    TlsIntrospection,
    /// Introspection after one `GET` from the Redis whose URL is the first line of `body`.
    RedisGet,
    Verify,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Introspection => "introspection",
            Self::TlsIntrospection => "tls-introspection",
            Self::RedisGet => "redis-get",
            Self::Verify => "verify",
        }
    }
}

#[derive(Deserialize)]
struct Form {
    token: String,
}

/// Serves on a free port until the process is killed. Prints the address.
pub fn serve(kind: Kind, body: String) -> Result<()> {
    actix_web::rt::System::new().block_on(async move {
        let server = HttpServer::new(move || {
            let app = App::new().app_data(web::Data::new(body.clone()));
            match kind {
                Kind::Introspection | Kind::TlsIntrospection => app
                    .service(web::resource("/oauth/introspect").route(web::post().to(introspect)))
                    .service(web::resource("/healthz").route(web::get().to(healthz))),
                Kind::RedisGet => app
                    .app_data(web::Data::new(Redis::default()))
                    .service(web::resource("/oauth/introspect").route(web::post().to(redis_get))),
                Kind::Verify => {
                    app.service(web::resource("/oauth/verify").route(web::get().to(verify)))
                }
            }
        });
        let server = server.workers(1);
        let server = match kind {
            Kind::TlsIntrospection => server.bind_rustls_0_23("127.0.0.1:0", tls_config()?)?,
            _ => server.bind("127.0.0.1:0")?,
        };
        let address = *server.addrs().first().context("bound to nothing")?;
        println!("{address}");
        std::io::stdout().flush()?;
        Ok(server.run().await?)
    })
}

/// TLS configuration equal to Sentinel's with `tls.mode = "self-signed"`.
fn tls_config() -> Result<ServerConfig> {
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivateKeyDer::Pkcs8(certificate.signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions()?.with_no_client_auth();
    Ok(config.with_single_cert(vec![certificate.cert.der().clone()], key)?)
}

async fn introspect(form: web::Form<Form>, body: web::Data<String>) -> HttpResponse {
    std::hint::black_box(&form.token);
    HttpResponse::Ok()
        .insert_header(("cache-control", "no-store"))
        .insert_header(("pragma", "no-cache"))
        .content_type("application/json")
        .body(body.as_str().to_owned())
}

async fn healthz(body: web::Data<String>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("cache-control", "no-store"))
        .insert_header(("pragma", "no-cache"))
        .content_type("application/json")
        .body(body.as_str().to_owned())
}

/// Connection that all requests of a worker share, opened at the first request.
#[derive(Default)]
struct Redis(tokio::sync::OnceCell<MultiplexedConnection>);

async fn redis_get(
    form: web::Form<Form>,
    body: web::Data<String>,
    redis: web::Data<Redis>,
) -> actix_web::Result<HttpResponse> {
    let (url, body) = body.split_once('\n').unwrap_or_default();
    let connect = async || Client::open(url)?.get_multiplexed_async_connection().await;
    let connection = redis.0.get_or_try_init(connect).await.map_err(ErrorBadGateway)?;
    let get = cmd("GET").arg(&form.token).query_async(&mut connection.clone()).await;
    let user: Option<String> = get.map_err(ErrorBadGateway)?;
    user.ok_or_else(|| ErrorBadGateway("the key does not exist"))?;
    Ok(HttpResponse::Ok()
        .insert_header(("cache-control", "no-store"))
        .insert_header(("pragma", "no-cache"))
        .content_type("application/json")
        .body(body.to_owned()))
}

/// Returns the headers in `body`, which has one `name: value` per line.
async fn verify(body: web::Data<String>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    for (name, value) in body.lines().filter_map(|line| line.split_once(": ")) {
        response.insert_header((name, value));
    }
    response.finish()
}
