//! Observes every request: request ids and, if they are enabled, metrics and traces.
//!
//! Introspection and verify take a few microseconds, so this module does only what is needed: a
//! request id is made when it is first used, and the clock is read only for metrics and traced
//! requests.

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, Uri};

use super::{Web, client_address};
use crate::observe::metrics::{EndpointMetrics, Metrics};
use crate::observe::request::{RequestContext, RequestId, with_current};
use crate::observe::trace::{Collector, Recorder, Span, SpanContext, parse_traceparent};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: &str = "traceparent";
/// Path without a route: no setting may contain a percent sign in a path.
const NO_ROUTE: &str = "/%";

/// Receivers of the metrics and traces of HTTP requests; none by default.
#[derive(Clone, Default)]
pub struct Telemetry {
    /// Metrics that count requests and measure their duration; `None` if metrics are off.
    pub metrics: Option<Arc<Metrics>>,
    /// Collector of the spans of traced requests; `None` if traces are off.
    pub traces: Option<Arc<dyn Collector>>,
}

/// Endpoint that receives a request, as metrics and traces name the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    Introspection,
    Verify,
    Token,
    Revocation,
    Metadata,
    Errors,
    Alive,
    Ready,
    Management,
    Other,
}

impl Endpoint {
    const NAMES: [&'static str; 10] = [
        "introspection",
        "verify",
        "token",
        "revocation",
        "metadata",
        "errors",
        "healthz",
        "readyz",
        "management",
        "other",
    ];

    fn name(self) -> &'static str {
        Self::NAMES.get(self as usize).copied().unwrap_or("other")
    }
}

/// Observer of the requests of one I/O thread (ids, metrics, traces). Clones share all state.
#[derive(Clone)]
pub struct RequestObserver(Rc<ObserverState>);

struct ObserverState {
    web: Web,
    /// URL paths with the endpoints at these paths, the most requested endpoint first.
    paths: Vec<(String, Endpoint)>,
    /// Prefix of the URL paths below the verify endpoint; `None` if that endpoint is off.
    below_verify: Option<String>,
    /// URL path of the management page and all pages below; `None` without a management page.
    management: Option<String>,
    /// Metrics of each endpoint, in the order of [`Endpoint::NAMES`]; `None` if metrics are off.
    metrics: Option<Vec<EndpointMetrics>>,
    traces: Option<Arc<dyn Collector>>,
}

impl Web {
    /// Creates the observer (request ids, metrics, traces) for the requests of one I/O thread.
    pub fn observer(&self) -> RequestObserver {
        let routes = &self.config.routes;
        let paths = [
            (&routes.introspection, Endpoint::Introspection),
            (&routes.verify, Endpoint::Verify),
            (&routes.token, Endpoint::Token),
            (&routes.revocation, Endpoint::Revocation),
            (&routes.errors, Endpoint::Errors),
            (&Some("/healthz".to_owned()), Endpoint::Alive),
            (&Some("/readyz".to_owned()), Endpoint::Ready),
        ];
        let paths =
            paths.into_iter().filter_map(|(path, endpoint)| Some((path.clone()?, endpoint)));
        let metadata = self.metadata_paths().into_iter().map(|path| (path, Endpoint::Metadata));
        RequestObserver(Rc::new(ObserverState {
            web: self.clone(),
            paths: paths.chain(metadata).collect(),
            below_verify: routes.below_verify(),
            management: self.management.as_ref().map(|management| management.path().to_owned()),
            metrics: self.telemetry.metrics.as_ref().map(|all| all.endpoints(&Endpoint::NAMES)),
            traces: self.telemetry.traces.clone(),
        }))
    }
}

impl RequestObserver {
    /// Passes a request to `service`, records metrics and trace, and returns the response.
    pub fn call<S, B>(
        &self,
        mut request: ServiceRequest,
        service: &S,
    ) -> impl Future<Output = Result<ServiceResponse<B>, S::Error>> + use<S, B>
    where
        S: Service<ServiceRequest, Response = ServiceResponse<B>>,
    {
        refuse_encoded_route(&mut request);
        let shared = Rc::clone(&self.0);
        let endpoint = shared.endpoint(request.path());
        let id = shared.given_id(&request);
        let trace = parent(request.headers());
        let recorder = shared.recorder(trace.as_ref(), &request);
        let timed = shared.metrics.is_some() || recorder.is_some();
        let started = timed.then(Instant::now);
        let method = recorder.as_ref().and_then(|_| known(request.method()));
        let answering = service.call(request);
        RequestContext::new(id, trace, recorder).scope(async move {
            let mut response = answering.await?;
            let status = response.status();
            with_current(|context| {
                // Introspection and verify have to be fast: their successful responses carry an id
                // only if one exists already.
                // Test: `request_id_is_sent_except_with_successful_introspection_and_verify`.
                let fast = matches!(endpoint, Endpoint::Introspection | Endpoint::Verify);
                let quiet = fast && status.is_success();
                let id = if quiet { context.known_id() } else { Some(context.id()) };
                if let Some(id) = id
                    && let Ok(id) = HeaderValue::from_str(id.as_str())
                {
                    response.headers_mut().insert(X_REQUEST_ID, id);
                }
                if let Some(started) = started {
                    let took = started.elapsed();
                    if let Some(metrics) = &shared.metrics
                        && let Some(endpoint) = metrics.get(endpoint as usize)
                    {
                        endpoint.answered(status.as_u16(), took);
                    }
                    if let (Some(traces), Some(recorder)) = (&shared.traces, context.recorder()) {
                        let request = response.request();
                        traces.take(Span {
                            context: recorder.context().clone(),
                            parent: context.parent().cloned(),
                            method,
                            route: request.match_pattern(),
                            endpoint: endpoint.name(),
                            secure: request.app_config().secure(),
                            status: status.as_u16(),
                            started,
                            took,
                            steps: recorder.steps(),
                        });
                    }
                }
            });
            Ok(response)
        })
    }
}

impl ObserverState {
    fn endpoint(&self, path: &str) -> Endpoint {
        if let Some((_, endpoint)) = self.paths.iter().find(|(known, _)| known == path) {
            return *endpoint;
        }
        if self.below_verify.as_ref().is_some_and(|prefix| path.starts_with(prefix.as_str())) {
            return Endpoint::Verify;
        }
        let below = self.management.as_ref().and_then(|page| path.strip_prefix(page.as_str()));
        match below {
            Some(below) if below.is_empty() || below.starts_with('/') => Endpoint::Management,
            _ => Endpoint::Other,
        }
    }

    /// Returns the request id in `X-Request-Id`; `None` unless a trusted proxy sent a valid one.
    fn given_id(&self, request: &ServiceRequest) -> Option<RequestId> {
        let header = request.headers().get(X_REQUEST_ID)?;
        let trusted = &self.web.config.trusted_proxies;
        let id = RequestId::parse(header.to_str().ok()?)?;
        client_address::is_trusted_peer(request.request(), trusted).then_some(id)
    }

    /// Returns a recorder of the request's steps; `None` if the request is not traced. A request
    /// without `traceparent` is traced at the configured sampling rate. A request that its caller
    /// traces is always traced if the caller may demand this, and otherwise at the sampling rate. A
    /// request that its caller does not trace is not traced.
    ///
    /// W3C Trace Context §7.2: "When distributed tracing is enabled on a service with a public API
    /// and naively continues any trace with the `sampled` flag set, a malicious attacker could
    /// overwhelm an application with tracing overhead". Trace ids are accepted from every caller:
    /// they cost nothing, and without them a caller's trace would be incomplete. Test:
    /// `untrusted_caller_cannot_raise_the_sampling_rate`.
    fn recorder(&self, parent: Option<&SpanContext>, request: &ServiceRequest) -> Option<Recorder> {
        let traces = self.traces.as_ref()?;
        let sampled = match parent {
            None => traces.samples(),
            Some(parent) => {
                parent.is_sampled() && (self.may_demand_tracing(request) || traces.samples())
            }
        };
        sampled.then(|| Recorder::new(parent))
    }

    /// Returns whether the caller may demand that its requests are traced. This depends on the IP
    /// address of the client and not on its proxy: proxies pass on the `traceparent` of any client.
    fn may_demand_tracing(&self, request: &ServiceRequest) -> bool {
        let config = &self.web.config;
        let address = client_address::of(request.request(), &config.trusted_proxies);
        address.is_some_and(|address| client_address::is_in(address, &config.tracing_callers))
    }
}

/// Lets a request get 404 if the router would find its route only after percent-decoding, as for
/// `/oauth/%6danagement`. Metrics, the audit log and the access rules of a proxy see the path as it
/// was sent. Ids in a path may be percent-encoded.
fn refuse_encoded_route(request: &mut ServiceRequest) {
    if !request.path().contains('%') {
        return;
    }
    let routes = request.resource_map();
    let decoded = request.match_info().as_str();
    if routes.match_pattern(request.path()) != routes.match_pattern(decoded) {
        request.match_info_mut().get_mut().update(&Uri::from_static(NO_ROUTE));
    }
}

/// Returns the name of an HTTP method that RFC 9110 §9 or RFC 5789 defines; otherwise `None`.
/// Clients can invent any number of others, which would make the values in traces unbounded.
fn known(method: &Method) -> Option<&'static str> {
    const KNOWN: [&str; 9] =
        ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];
    KNOWN.into_iter().find(|known| *known == method.as_str())
}

/// Returns the caller's span in the `traceparent` header; `None` if the header is missing,
/// malformed or repeated (W3C Trace Context §3.2).
fn parent(headers: &HeaderMap) -> Option<SpanContext> {
    let mut values = headers.get_all(TRACEPARENT);
    let (value, None) = (values.next()?, values.next()) else { return None };
    parse_traceparent(value.to_str().ok()?)
}
