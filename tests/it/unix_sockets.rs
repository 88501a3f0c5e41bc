//! Who may connect to Unix sockets: whoever may is believed as a proxy is.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::helpers::{Process, sentinel};

/// A server with two Unix sockets, started under this umask.
fn serve(folder: &Path, umask: &str) -> Process {
    let server = sentinel(folder);
    let mut command = Command::new("sh");
    command.args(["-c", "umask \"$0\" && exec \"$@\"", umask]).arg(server.get_program());
    command.args(["serve", "--set", "log.format=json", "--set"]);
    command.args([
        "server.bind=127.0.0.1:0,unix:api.sock",
        "--set",
        "metrics.bind=unix:numbers.sock",
    ]);
    command.current_dir(folder).env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
    command.stdout(Stdio::null());
    Process::start(command)
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_socket_is_never_for_all_and_for_the_group_if_the_umask_says_so() {
    for (umask, expected) in [("0", 0o660), ("007", 0o660), ("022", 0o640), ("077", 0o600)] {
        let folder = tempfile::tempdir().unwrap();
        let mut process = serve(folder.path(), umask);
        for name in ["api.sock", "numbers.sock"] {
            let found = mode(&folder.path().join(name));
            assert_eq!(found, expected, "{name} under {umask} is {found:o}");
        }
        assert_eq!(process.terminate(), Some(0));
    }
}

#[tokio::test]
async fn it_answers_its_owner_and_takes_the_place_of_one_that_was_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.sock");
    let http = reqwest::Client::builder().unix_socket(path.clone()).build().unwrap();
    let mut process = serve(folder.path(), "022");
    assert_eq!(http.get("http://localhost/healthz").send().await.unwrap().status(), 200);
    process.kill();
    assert!(path.exists());
    let http = reqwest::Client::builder().unix_socket(path).build().unwrap();
    let _next = serve(folder.path(), "022");
    assert_eq!(http.get("http://localhost/healthz").send().await.unwrap().status(), 200);
}
