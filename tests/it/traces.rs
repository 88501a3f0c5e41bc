//! Spans, as a collector gets them with OTLP over HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::helpers::{App, AppBuilder, PASSWORD, Process, free_port, send};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// A collector that takes everything, and keeps the bodies.
struct Collector {
    url: String,
    bodies: Receiver<Vec<u8>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
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
                let length = head.iter().find_map(|line| line.strip_prefix("Content-Length: "));
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

    /// Waits for the first batch; its spans, and what it was on the wire.
    fn spans(&self) -> (Vec<Span>, Vec<u8>) {
        let body = self.bodies.recv_timeout(Duration::from_secs(20)).expect("spans come");
        let batch = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        let [of_resource] = batch.resource_spans.as_slice() else { panic!("{batch:?}") };
        assert!(format!("{:?}", of_resource.resource).contains("\"sentinel\""), "{of_resource:?}");
        let scopes = of_resource.scope_spans.iter();
        (scopes.flat_map(|scope| scope.spans.clone()).collect(), body)
    }
}

async fn spawn(collector: &Collector, percent: &str) -> App {
    let app = AppBuilder::default().set("traces.endpoint", &collector.url);
    app.set("traces.sample_percent", percent).spawn().await
}

#[tokio::test]
async fn a_call_is_a_span_in_the_trace_of_its_caller() {
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
    let of_call: Vec<_> = spans.iter().filter(|span| span.name == "POST token").collect();
    let [call] = of_call.as_slice() else { panic!("{spans:?}") };
    assert_eq!((hex::encode(&call.parent_span_id).as_str(), call.kind), (SPAN, 2));
    for known in ["http.response.status_code", "IntValue(200)", "StringValue(\"POST\")"] {
        assert!(format!("{:?}", call.attributes).contains(known), "{call:?}");
    }
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
async fn what_the_caller_does_not_trace_is_not_and_the_rest_by_its_share() {
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
    assert_eq!(names, ["GET healthz", "GET other"]);
    assert_ne!(spans[0].trace_id, spans[1].trace_id);
    assert!(spans.iter().all(|span| span.parent_span_id.iter().all(|byte| *byte == 0)));
}

#[tokio::test]
async fn a_collector_that_is_not_there_is_one_warning_and_harms_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = format!("traces.endpoint=http://127.0.0.1:{}/v1/traces", free_port());
    let mut process = Process::serve(folder.path(), &["--set", &endpoint]);
    for _ in 0..3 {
        let answer = send(reqwest::Client::new().get(format!("http://{}/readyz", process.address)));
        assert_eq!(answer.await.status, 200);
    }
    let line = process.wait_for("spans are lost");
    assert!(line.contains("\"WARN\""), "{line}");
    assert_eq!(process.terminate(), Some(0));
}
