//! Rolling restart of servers behind nginx.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::examples::nginx_proxy::nginx;
use crate::helpers::{App, ExternalProgram, PASSWORD, Process, free_port, send, spawn_app};

/// Returns the server part of the configuration in `docs/operations.md`, with these ports.
fn documented(port: u16, servers: [u16; 2]) -> String {
    let page = include_str!("../../../docs/operations.md");
    let block = page.split("```nginx\n").nth(1).unwrap().split("```").next().unwrap();
    block
        .replace("127.0.0.1:8080", &format!("127.0.0.1:{port}"))
        .replace("127.0.0.1:5001", &format!("127.0.0.1:{}", servers[0]))
        .replace("127.0.0.1:5002", &format!("127.0.0.1:{}", servers[1]))
}

fn start_nginx(folder: &Path, servers: [u16; 2]) -> ExternalProgram {
    let port = free_port();
    let text = format!(
        "worker_processes 1;\npid nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n\
         access_log off;\nclient_body_temp_path client_body;\nproxy_temp_path proxy;\n\
         fastcgi_temp_path fastcgi;\nuwsgi_temp_path uwsgi;\nscgi_temp_path scgi;\n{}}}\n",
        documented(port, servers)
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, text).unwrap();
    ExternalProgram::start(nginx(folder, &file), port, folder)
}

/// Starts a server on the store of `app`, on a fixed port.
fn serve(app: &App, port: u16) -> Process {
    let store = format!("store.path={}", app.folder.path().join("sentinel.db").display());
    let bind = format!("127.0.0.1:{port}");
    let weak = ["--set", "password.memory_kib=64", "--set", "password.iterations=1"];
    let arguments = [&["--bind", &bind, "--set", &store][..], &weak].concat();
    Process::serve(app.folder.path(), &arguments)
}

/// Logs in, refreshes, verifies and introspects repeatedly until `done` is set.
async fn use_tokens(app: Arc<App>, url: String, done: Arc<AtomicBool>, calls: Arc<AtomicUsize>) {
    let client = app.client.id.as_str();
    let token = async |form: &[(&str, &str)]| {
        let answer = send(app.http.post(format!("{url}/oauth/token")).form(form)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        calls.fetch_add(1, Ordering::SeqCst);
        answer
    };
    while !done.load(Ordering::SeqCst) {
        let who = [("username", "alice"), ("password", PASSWORD), ("client_id", client)];
        let mut tokens = token(&[&[("grant_type", "password")], &who[..]].concat()).await;
        for _ in 0..5 {
            let verify = app.http.get(format!("{url}/oauth/verify"));
            let answer = send(verify.bearer_auth(tokens.access_token())).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let introspect = app.http.post(format!("{url}/oauth/introspect"));
            let introspect =
                introspect.basic_auth(app.backend.id.as_str(), Some(&app.backend_secret));
            let answer = send(introspect.form(&[("token", &tokens.access_token())])).await;
            assert_eq!(answer.json()["active"], true, "{answer:?}");
            calls.fetch_add(2, Ordering::SeqCst);
            let (grant, old) = (("grant_type", "refresh_token"), tokens.refresh_token());
            tokens = token(&[grant, ("client_id", client), ("refresh_token", &old)]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_restart_behind_nginx_causes_no_failed_request() {
    let app = Arc::new(spawn_app().await);
    let (folder, ports) = (tempfile::tempdir().unwrap(), [free_port(), free_port()]);
    let mut processes = ports.map(|port| serve(&app, port));
    let nginx = start_nginx(folder.path(), ports);
    let (done, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let users: Vec<_> = (0..4)
        .map(|_| {
            use_tokens(Arc::clone(&app), nginx.url.clone(), Arc::clone(&done), Arc::clone(&calls))
        })
        .map(tokio::spawn)
        .collect();
    let more = async |number: usize| {
        let before = calls.load(Ordering::SeqCst);
        while calls.load(Ordering::SeqCst) < before + number {
            assert!(users.iter().all(|user| !user.is_finished()), "{}", nginx.output());
            tokio::task::yield_now().await;
        }
    };
    for _ in 0..2 {
        for (process, port) in processes.iter_mut().zip(ports) {
            more(50).await;
            let stopped = tokio::task::block_in_place(|| process.terminate());
            assert_eq!(stopped, Some(0));
            more(50).await;
            *process = tokio::task::block_in_place(|| serve(&app, port));
        }
    }
    more(50).await;
    done.store(true, Ordering::SeqCst);
    for user in users {
        user.await.unwrap();
    }
}
