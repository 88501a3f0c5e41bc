//! Trace spans, as received by a collector with OTLP over HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use sentinel::observe::trace::parse_traceparent;

use crate::helpers::{App, AppBuilder, PASSWORD, Process, free_port, send};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
/// `traces.trusted_callers`: callers at these addresses decide whether a request is sampled.
const TRUSTED: &str = "127.0.0.1,192.0.2.7";
const PROXY: &str = "127.0.0.3";

/// OTLP collector that accepts everything and keeps the bodies.
struct Collector {
    url: String,
    bodies: Receiver<Vec<u8>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // The base URL, as other OpenTelemetry exporters take it; they append `/v1/traces`.
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, bodies) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let head: Vec<_> = stream
                    .by_ref()
                    .lines()
                    .map(Result::unwrap)
                    .take_while(|l| !l.is_empty())
                    .collect();
                assert!(head[0].starts_with("POST /v1/traces HTTP/1."), "{head:?}");
                assert!(head.iter().any(|line| line == "content-type: application/x-protobuf"));
                let length = head.iter().find_map(|line| line.strip_prefix("content-length: "));
                let mut body = vec![0; length.unwrap().parse().unwrap()];
                stream.read_exact(&mut body).unwrap();
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                stream.get_mut().write_all(answer).unwrap();
                if sender.send(body).is_err() {
                    break;
                }
            }
        });
        Self { url, bodies }
    }

    /// Waits for the first batch; returns its spans and the encoded body.
    fn spans(&self) -> (Vec<Span>, Vec<u8>) {
        let body = self.bodies.recv_timeout(Duration::from_secs(20)).expect("spans come");
        let batch = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        let [of_resource] = batch.resource_spans.as_slice() else { panic!("{batch:?}") };
        assert!(format!("{:?}", of_resource.resource).contains("\"sentinel\""), "{of_resource:?}");
        let scopes = of_resource.scope_spans.iter();
        (scopes.flat_map(|scope| scope.spans.clone()).collect(), body)
    }
}

/// Returns the attributes of a span as text, sorted by name.
fn attributes(span: &Span) -> Vec<(String, String)> {
    let text = |value: Option<any_value::Value>| match value {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        other => panic!("{other:?}"),
    };
    let all = span.attributes.iter().cloned();
    let mut all: Vec<_> =
        all.map(|one| (one.key, text(one.value.and_then(|value| value.value)))).collect();
    all.sort();
    all
}

async fn spawn(collector: &Collector, percent: &str) -> App {
    let app = AppBuilder::default().set("traces.endpoint", &collector.url);
    let app = app.set("traces.trusted_callers", TRUSTED).set("server.trusted_proxies", PROXY);
    app.set("traces.sample_percent", percent).spawn().await
}

/// Builds a request that is sent from this loopback address.
fn at(address: &str, app: &App, path: &str, parent: &str) -> reqwest::RequestBuilder {
    let http = reqwest::Client::builder().local_address(address.parse::<IpAddr>().unwrap());
    let request = http.build().unwrap().get(format!("{}{path}", app.url));
    request.header("traceparent", parent)
}

#[tokio::test]
async fn request_span_joins_the_trace_of_a_trusted_caller() {
    let collector = Collector::start();
    let app = spawn(&collector, "0").await;
    let form = [
        ("grant_type", "password"),
        ("client_id", app.client.id.as_str()),
        ("username", "alice"),
        ("password", PASSWORD),
    ];
    let login = app.request("POST", "/oauth/token").form(&form);
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let answer = send(login.header("traceparent", parent)).await;
    let (token, id) = (answer.access_token(), app.client.id.to_string());
    app.stop().await;
    let (spans, body) = collector.spans();
    assert!(spans.iter().all(|span| hex::encode(&span.trace_id) == TRACE), "{spans:?}");
    let of_call: Vec<_> = spans.iter().filter(|span| span.name == "POST /oauth/token").collect();
    let [call] = of_call.as_slice() else { panic!("{spans:?}") };
    assert_eq!((hex::encode(&call.parent_span_id).as_str(), call.kind), (SPAN, 2));
    assert_eq!(
        attributes(call),
        [
            ("http.request.method", "POST"),
            ("http.response.status_code", "200"),
            ("http.route", "/oauth/token"),
            ("sentinel.endpoint", "token"),
            ("url.scheme", "http"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
    );
    for step in ["clients.find", "users.find_by_name", "passwords.hash", "sessions.insert"] {
        let step = spans.iter().find(|span| span.name == step).unwrap_or_else(|| panic!("{step}"));
        assert_eq!(step.parent_span_id, call.span_id);
        assert!(step.start_time_unix_nano >= call.start_time_unix_nano);
        assert!(step.end_time_unix_nano <= call.end_time_unix_nano);
    }
    for secret in [&token[4..26], &token[26..69], PASSWORD, "alice", &id] {
        let bytes = secret.as_bytes();
        assert!(!body.windows(bytes.len()).any(|part| part == bytes), "{secret} was sent");
    }
}

#[tokio::test]
async fn sampling_follows_traceparent_or_else_sample_percent() {
    let collector = Collector::start();
    let app = spawn(&collector, "0").await;
    let other = TRACE.replace('4', "5");
    send(app.request("GET", "/healthz")).await;
    let ask = |parent: String| send(app.request("GET", "/healthz").header("traceparent", parent));
    ask(format!("00-{other}-{SPAN}-00")).await;
    ask(format!("00-{TRACE}-{SPAN}-01")).await;
    app.stop().await;
    let (spans, _) = collector.spans();
    assert_eq!(spans.len(), 1, "{spans:?}");
    assert_eq!(hex::encode(&spans[0].trace_id), TRACE);

    let collector = Collector::start();
    let app = spawn(&collector, "100").await;
    send(app.request("GET", "/healthz")).await;
    send(app.request("GET", "/nowhere")).await;
    app.stop().await;
    let (spans, _) = collector.spans();
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["GET /healthz", "GET"]);
    assert_ne!(spans[0].trace_id, spans[1].trace_id);
    assert!(spans.iter().all(|span| span.parent_span_id.iter().all(|byte| *byte == 0)));
}

/// Makes `calls` on a new server and returns the trace ids that the collector receives.
async fn traced(percent: &str, calls: &[(&str, u32, Option<&str>)]) -> Vec<String> {
    let collector = Collector::start();
    let app = spawn(&collector, percent).await;
    for (address, trace, forwarded) in calls {
        let parent = format!("00-{trace:032x}-{SPAN}-01");
        let mut request = at(address, &app, "/healthz", &parent);
        if let Some(client) = forwarded {
            request = request.header("x-forwarded-for", *client);
        }
        assert_eq!(send(request).await.status, 200);
    }
    app.stop().await;
    let (spans, _) = collector.spans();
    spans.iter().map(|span| hex::encode(&span.trace_id)).collect()
}

#[tokio::test]
async fn untrusted_caller_cannot_raise_the_sampling_rate() {
    let calls = [
        ("127.0.0.2", 1, None),
        // A trusted proxy is believed about addresses, but forwards `traceparent` of its clients.
        (PROXY, 2, None),
        (PROXY, 3, Some("192.0.2.8")),
        (PROXY, 4, Some("192.0.2.7")),
        // `X-Forwarded-For` from an address that is no trusted proxy is ignored.
        ("127.0.0.2", 5, Some("192.0.2.7")),
        ("127.0.0.1", 6, None),
    ];
    let ids = |all: &[u32]| all.iter().map(|id| format!("{id:032x}")).collect::<Vec<_>>();
    assert_eq!(traced("0", &calls).await, ids(&[4, 6]));
    // Requests sampled by percentage join the trace of any caller.
    assert_eq!(traced("100", &calls).await, ids(&[1, 2, 3, 4, 5, 6]));
}

#[tokio::test]
async fn span_names_contain_no_method_or_path_made_up_by_a_caller() {
    let collector = Collector::start();
    let app = spawn(&collector, "100").await;
    let made_up = || reqwest::Method::from_bytes(b"BREWCOFFEE").unwrap();
    for path in ["/healthz", "/oauth/token", "/made/up"] {
        let answer = send(app.http.request(made_up(), format!("{}{path}", app.url))).await;
        assert!([404, 405].contains(&answer.status), "{answer:?}");
    }
    app.stop().await;
    let (spans, body) = collector.spans();
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["HTTP /healthz", "HTTP /oauth/token", "HTTP"]);
    for span in &spans {
        let method = ("http.request.method".to_owned(), "_OTHER".to_owned());
        assert!(attributes(span).contains(&method), "{span:?}");
    }
    let text = String::from_utf8_lossy(&body);
    assert!(!text.contains("BREWCOFFEE") && !text.contains("/made"), "{text}");
}

#[tokio::test]
async fn unreachable_collector_is_warned_of_and_requests_succeed() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = format!("traces.endpoint=http://127.0.0.1:{}/v1/traces", free_port());
    let mut process = Process::serve(folder.path(), &["--set", &endpoint]);
    let url = format!("http://{}/readyz", process.address);
    let ask = || send(reqwest::Client::new().get(&url));
    for _ in 0..3 {
        assert_eq!(ask().await.status, 200);
    }
    let line = process.wait_for("cannot send spans");
    assert!(line.contains("\"WARN\""), "{line}");
    assert_eq!(ask().await.status, 200);
    assert_eq!(process.terminate(), Some(0));
}

#[test]
fn traceparent_is_parsed_strictly() {
    let good = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let parent = parse_traceparent(&good).unwrap();
    assert_eq!(parent.trace_id().to_string(), TRACE);
    assert_eq!((parent.span_id(), parent.is_sampled()), (0x00f0_67aa_0ba9_02b7.into(), true));
    let quiet = parse_traceparent(&good.replace("-01", "-00")).unwrap();
    assert!(!quiet.is_sampled());
    let later = format!("cc-{TRACE}-00f067aa0ba902b7-01");
    assert_eq!(parse_traceparent(&later), Some(parent.clone()));
    assert_eq!(parse_traceparent(&format!("{later}-what-is-new")), Some(parent));
    for bad in [
        String::new(),
        "ä".repeat(30),
        good.to_uppercase(),
        good.replace("00-4", "ff-4"),
        good.replace("00-4", "0-4"),
        good.replace("-01", "-1"),
        good.replace("-01", "-0+"),
        format!("{good}-more"),
        format!("{later}.more"),
        good.replace(TRACE, &"0".repeat(32)),
        good.replace("00f067aa0ba902b7", &"0".repeat(16)),
        good.replace("b7-01", "b-701"),
    ] {
        assert_eq!(parse_traceparent(&bad), None, "{bad}");
    }
}
