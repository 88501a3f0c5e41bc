//! Scripts in `tests/clients/`, which use third-party client libraries in other languages.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::external::{SETUP, command};
use super::{App, PASSWORD};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Timeout of a script, which normally runs for a second or two.
const LIMIT: Duration = Duration::from_secs(60);

/// Client script, by its interpreter.
#[derive(Clone, Copy)]
pub enum ClientScript {
    Python(&'static str),
    Node(&'static str),
}

impl ClientScript {
    /// Runs the script against a server. One JSON argument has the issuer and the credentials; the
    /// script exits with 0 if all its checks passed.
    pub async fn run(self, app: &App) {
        let (program, name) = match self {
            Self::Python(name) => (installed(".cache/python", "bin/python"), name),
            Self::Node(name) => {
                installed("tests/clients/node_modules", "");
                (PathBuf::from("node"), name)
            }
        };
        let target = serde_json::json!({
            "issuer": app.settings.server.public_url,
            "client_id": app.client.id.as_str(),
            "backend_id": app.backend.id.as_str(),
            "backend_secret": app.backend_secret,
            "user_id": app.user.id.to_string(),
            "username": "alice",
            "password": PASSWORD,
        });
        let mut command = Command::from(command(&program));
        command.arg(Path::new(ROOT).join("tests/clients").join(name)).arg(target.to_string());
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.kill_on_drop(true).spawn();
        let child = child.unwrap_or_else(|error| panic!("{}: {error}; {SETUP}", program.display()));
        let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await;
        let output = output.unwrap_or_else(|_| panic!("{name} did not end in {LIMIT:?}")).unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {}\n{printed}\n{errors}", output.status);
        // A script that ends early has checked nothing.
        assert_eq!(printed.lines().last(), Some("done"), "{name}\n{printed}\n{errors}");
    }
}

/// Returns a path in a folder that `tests/setup.sh` has completely set up.
pub fn installed(folder: &str, path: &str) -> PathBuf {
    let folder = Path::new(ROOT).join(folder);
    // `made-from` is the last file that the setup writes.
    assert!(folder.join("made-from").exists(), "{} is not installed; {SETUP}", folder.display());
    folder.join(path)
}
