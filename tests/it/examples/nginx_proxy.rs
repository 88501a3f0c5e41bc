//! nginx as configured in `examples/nginx`, between clients, Sentinel and an API.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::{App as Service, HttpRequest, HttpResponse, HttpServer, web};
use tempfile::TempDir;

use super::resource_server::example;
use crate::helpers::{App, ExternalProgram, TestResponse, command, free_port, send};

/// API behind nginx, which echoes each request as JSON and counts the calls.
pub struct Api {
    pub port: u16,
    calls: Arc<AtomicUsize>,
}

impl Api {
    pub fn start() -> Self {
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = web::Data::from(Arc::clone(&calls));
        let server = HttpServer::new(move || {
            Service::new().app_data(counter.clone()).default_service(web::to(echo))
        });
        let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
        let port = server.addrs()[0].port();
        tokio::spawn(server.run());
        Self { port, calls }
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

async fn echo(
    request: HttpRequest,
    body: web::Bytes,
    calls: web::Data<AtomicUsize>,
) -> HttpResponse {
    calls.fetch_add(1, Ordering::SeqCst);
    if let Some(status) = request.path().strip_prefix("/api/status/") {
        let status = status.parse::<u16>().unwrap().try_into().unwrap();
        return HttpResponse::build(status).body("the API's own");
    }
    let headers: Vec<_> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or("?")))
        .collect();
    HttpResponse::Ok().json(serde_json::json!({
        "method": request.method().as_str(),
        "uri": request.uri().to_string(),
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
    }))
}

/// nginx between clients, Sentinel and an API.
pub struct NginxProxy {
    pub nginx: ExternalProgram,
    pub api: Api,
    http: reqwest::Client,
    _folder: TempDir,
}

const FILES: [&str; 8] = [
    "guard.conf",
    "http.conf",
    "nginx-cached.conf",
    "nginx.conf",
    "sample-api.conf",
    "server.conf",
    "to-sentinel.conf",
    "verify.conf",
];

impl NginxProxy {
    pub fn start(file: &str, sentinel: &str) -> Self {
        let api = Api::start();
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        copy(folder.path(), port, api.port, sentinel);
        // The API of this test replaces the sample API.
        std::fs::write(folder.path().join("sample-api.conf"), "").unwrap();
        let nginx = ExternalProgram::start(
            nginx(folder.path(), &folder.path().join(file)),
            port,
            folder.path(),
        );
        Self { nginx, api, http: reqwest::Client::new(), _folder: folder }
    }

    pub fn of(file: &str, app: &App) -> Self {
        Self::start(file, &app.url)
    }

    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method.parse().unwrap(), format!("{}{path}", self.nginx.url))
    }

    pub async fn get(&self, path: &str, token: &str) -> TestResponse {
        send(self.request("GET", path).bearer_auth(token)).await
    }

    /// Asserts that nginx answers 503 with `Retry-After` and does not call the API.
    pub async fn assert_unavailable(&self, token: &str) {
        let before = self.api.calls();
        let answer = self.get("/api/x", token).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("2")), "{answer:?}");
        assert_eq!(answer.text_of("error"), "temporarily_unavailable");
        assert_eq!(self.api.calls(), before);
    }
}

/// Copies the files of the example into a folder, with these ports and this Sentinel.
pub fn copy(folder: &Path, port: u16, api: u16, sentinel: &str) {
    for name in FILES {
        let text = std::fs::read_to_string(example("nginx").join(name)).unwrap();
        let text = text
            .replace("127.0.0.1:8080", &format!("127.0.0.1:{port}"))
            .replace("127.0.0.1:8081", &format!("127.0.0.1:{api}"))
            .replace("127.0.0.1:5000", sentinel.trim_start_matches("http://"));
        std::fs::write(folder.join(name), text).unwrap();
    }
}

pub fn nginx(prefix: &Path, file: &Path) -> std::process::Command {
    let mut nginx = command("nginx");
    // As root, nginx would switch to a user that may not enter the folder.
    let root = rustix::process::geteuid().is_root();
    let global = if root { "daemon off; user root;" } else { "daemon off;" };
    nginx.arg("-p").arg(prefix).arg("-c").arg(file).args(["-g", global]);
    nginx
}

/// Returns the values of a header that the API received.
pub fn received(answer: &TestResponse, name: &str) -> Vec<String> {
    let json = answer.json();
    let headers = json["headers"].as_array().unwrap().iter();
    let values = headers.filter(|header| header[0] == name);
    values.map(|header| header[1].as_str().unwrap().to_owned()).collect()
}
