//! A server in this process without sockets: two clients, a user, a session, an operator. Every
//! input finds it in the same state.

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::{BoxBody, to_bytes};
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode, Uri};
use actix_web::test::{self, TestRequest};
use actix_web::web::Bytes;
use actix_web::{App, rt};
use futures_util::future::LocalBoxFuture;
use secrecy::ExposeSecret;
use sentinel::admin::Admin;
use sentinel::domain::{
    Clock, Grant, Lifetimes, ManualClock, Session, SessionId, Timestamp, Token,
};
use sentinel::oauth::{OAuthPolicy, Provider};
use sentinel::password::PasswordPool;
use sentinel::rate_limit::{RateLimitPolicy, RateLimiter};
use sentinel::store::sqlite::SqliteStore;
use sentinel::store::{Page, SessionFilter, Stores};
use sentinel::web::management::{Management, ManagementConfig, Operator, samples};
use sentinel::web::request_observer::Telemetry;
use sentinel::web::templates::Templates;
use sentinel::web::{Routes, Transport, Web, WebConfig};
use tempfile::TempDir;

use super::captured::{CapturedAddresses, Spans};
use super::kept::{fill, issued, session};
use super::password_hashes;

/// 2100-01-01T00:00:00Z.
pub const NOW: Timestamp = Timestamp::from_millis(4_102_444_800_000);
pub const PUBLIC: &str = "app";
/// In form encoding, this is `back+end`.
pub const CONFIDENTIAL: &str = "back end";
/// Form decoding changes this text.
pub const SECRET: &str = "s+1%2b&=";
pub const USER: &str = "j\u{f6}rg";
pub const PASSWORD: &str = "pass word";
pub const OPERATOR: (&str, &str) = ("op", "top:secret");
pub const SCOPES: [&str; 2] = ["read", "write"];
pub const TRACING: &str = "0.0.0.0/0";
pub const TRUSTED: [&str; 3] = ["127.0.0.0/8", "10.0.0.0/8", "2001:db8:1::/48"];
pub const MAX_BODY: usize = 4096;
pub const LIFETIMES: Lifetimes = Lifetimes {
    access_token: Duration::from_secs(3600),
    refresh_idle: Duration::from_secs(30 * 86_400),
    session: Duration::from_secs(180 * 86_400),
    refresh_grace: Duration::from_secs(30),
};

/// A request.
#[derive(Debug)]
pub struct Call {
    pub method: Method,
    pub target: Uri,
    pub peer: Option<IpAddr>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Vec<u8>,
}

/// A response.
#[derive(Debug)]
pub struct TestResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

type PendingResponse = LocalBoxFuture<'static, Result<ServiceResponse<BoxBody>, actix_web::Error>>;

pub struct World {
    runtime: rt::Runtime,
    service: Box<dyn Fn(TestRequest) -> PendingResponse>,
    pub stores: Stores,
    session: Session,
    pub access: String,
    pub refresh: String,
    pub captured: CapturedAddresses,
    pub spans: Spans,
    folder: TempDir,
}

thread_local! {
    // The runtime has thread-locals of its own, which may be gone when those of this thread are
    // dropped.
    static WORLD: RefCell<Option<ManuallyDrop<World>>> = const { RefCell::new(None) };
}

/// Runs `work` with the world, which is created at the first call.
pub fn with_world<T>(work: impl FnOnce(&World) -> T) -> T {
    WORLD
        .with_borrow_mut(|world| work(world.get_or_insert_with(|| ManuallyDrop::new(World::new()))))
}

/// Ends the world of this thread, and removes its files.
pub fn end_world() {
    drop(WORLD.take().map(ManuallyDrop::into_inner));
}

/// Creates a folder, in memory if possible.
pub fn folder() -> TempDir {
    let named = tempfile::Builder::new().prefix("sentinel-fuzz-").to_owned();
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { named.tempdir_in(memory) } else { named.tempdir() }.unwrap()
}

impl World {
    fn new() -> Self {
        let folder = folder();
        let runtime = rt::Runtime::new().unwrap();
        let stores = SqliteStore::open(&folder.path().join("sentinel.db")).unwrap().into_stores();
        let (access, refresh) = issued();
        let session = session(&access, &refresh);
        let (captured, spans) = (CapturedAddresses::listen(), Spans::default());
        let service = runtime.block_on(async {
            fill(&stores, &session).await;
            let web = web(&stores, &spans);
            let observer = web.observer();
            let app = App::new()
                .wrap_fn(move |request, service| observer.call(request, service))
                .configure(|config| web.configure(config, Transport::Tcp));
            let service = Rc::new(test::init_service(app).await);
            Box::new(move |request: TestRequest| {
                let service = Rc::clone(&service);
                Box::pin(async move { service.call(request.to_request()).await }) as PendingResponse
            }) as Box<dyn Fn(_) -> _>
        });
        let text = |token: &Token| token.to_secret().expose_secret().to_owned();
        let (access, refresh) = (text(&access), text(&refresh));
        Self { runtime, service, stores, session, access, refresh, captured, spans, folder }
    }

    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Returns the id of the session.
    pub const fn session_id(&self) -> SessionId {
        self.session.id
    }

    /// Returns the path of the store's file.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("sentinel.db")
    }

    /// Sends a request, and checks the properties of all responses.
    pub fn send(&self, call: &Call) -> TestResponse {
        let answer = self.answer(call);
        let message = String::from_utf8_lossy(&answer.body);
        assert!(!answer.status.is_server_error(), "{}: {message}", answer.status);
        for secret in [SECRET, PASSWORD, &self.refresh] {
            let is_sent = call.target.to_string().contains(secret)
                || String::from_utf8_lossy(&call.body).contains(secret);
            assert!(is_sent || !message.contains(secret), "a secret is in {message}");
        }
        answer
    }

    fn answer(&self, call: &Call) -> TestResponse {
        let mut request = TestRequest::default()
            .method(call.method.clone())
            .uri(&call.target.to_string())
            .set_payload(call.body.clone());
        for header in &call.headers {
            request = request.append_header(header.clone());
        }
        if let Some(peer) = call.peer {
            request = request.peer_addr(SocketAddr::new(peer, 40_000));
        }
        self.captured.forget();
        self.block_on(async {
            let response = match (self.service)(request).await {
                Ok(response) => response.into_parts().1,
                Err(error) => error.error_response(),
            };
            let (status, headers) = (response.status(), response.headers().clone());
            let body = to_bytes(response.into_body()).await.unwrap();
            TestResponse { status, headers, body }
        })
    }

    /// Undoes the changes of the last request: restores the session, and removes a session that it
    /// started.
    pub fn restore(&self, started: Option<&Token>) {
        self.block_on(async {
            if let Some(id) = started.map(Token::session_id).filter(|id| *id != self.session.id) {
                assert!(self.stores.sessions.delete(id).await.unwrap().value);
            }
            let now = self.stores.sessions.find(self.session.id).await;
            if !now.is_ok_and(|now| now.as_ref() == Some(&self.session)) {
                self.stores.transfer.put_session_unchecked(&self.session).await.unwrap();
            }
        });
    }

    /// Restores the state that an operator may have changed.
    pub fn restore_all(&self) {
        self.block_on(async {
            let Stores { users, clients, listing, .. } = &self.stores;
            for user in listing.list_users("", &Page::first(1000)).await.unwrap() {
                users.delete(user.id, None).await.unwrap().into_result().unwrap();
            }
            for client in listing.list_clients("", &Page::first(1000)).await.unwrap() {
                clients.delete(&client.id, None).await.unwrap().into_result().unwrap();
            }
            self.stores
                .sessions
                .delete_all(&SessionFilter::default())
                .await
                .unwrap()
                .into_result()
                .unwrap();
            fill(&self.stores, &self.session).await;
        });
    }
}

fn web(stores: &Stores, spans: &Spans) -> Web {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(NOW));
    let passwords = PasswordPool::start(password_hashes::POLICY, 1, 4).unwrap();
    // Otherwise the inputs after the first few would be refused.
    let rate_limits = RateLimitPolicy {
        enabled: false,
        failures_per_address: 20,
        failures_per_user: 10,
        window: Duration::from_secs(300),
    };
    let limiter = RateLimiter::new(
        Arc::clone(&stores.rate_limits),
        Arc::clone(&stores.rate_limit_records),
        Arc::clone(&clock),
        rate_limits,
        None,
    );
    let policy = OAuthPolicy { grants: Grant::ALL.into(), lifetimes: LIFETIMES, issuer: None };
    let provider = Provider::new(
        stores.clone(),
        passwords.clone(),
        Arc::clone(&clock),
        policy,
        limiter.clone(),
    );
    let templates = Arc::new(Templates::load(None, samples).unwrap());
    let management = Management::new(
        ManagementConfig {
            path: "/oauth/management".to_owned(),
            operator: Operator::new(OPERATOR.0, &OPERATOR.1.into()),
            shortest_password: 8,
        },
        Admin::new(stores.clone(), clock),
        passwords,
        Arc::clone(&templates),
        limiter,
    );
    let path = |path: &str| Some(format!("/oauth/{path}"));
    let config = WebConfig {
        routes: Routes {
            token: path("token"),
            introspection: path("introspect"),
            revocation: path("revoke"),
            verify: path("verify"),
            metadata: None,
            errors: path("errors"),
        },
        error_uri: None,
        max_body: MAX_BODY,
        body_timeout: Duration::from_secs(10),
        trusted_proxies: TRUSTED.map(|net| net.parse().unwrap()).into(),
        allowed_origins: Vec::new(),
        allowed_headers: Vec::new(),
        tracing_callers: vec![TRACING.parse().unwrap()],
        flask_sentinel_status: false,
    };
    let traces = Some(Arc::new(spans.clone()) as _);
    Web::new(provider, Some(management), templates, config)
        .observed_by(Telemetry { metrics: None, traces })
}
