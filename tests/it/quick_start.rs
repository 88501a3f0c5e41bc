//! The quick start with the real binary: `serve --dev` is started, and the commands that it prints
//! are run.

use std::process::{Command, Stdio};

use crate::helpers::{Process, sentinel};

/// Runs shell commands in a folder and returns their output.
fn paste(folder: &std::path::Path, lines: &str) -> String {
    let mut shell = Command::new("bash");
    let output = shell.args(["-ceu", lines]).current_dir(folder).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}\n{lines}");
    String::from_utf8(output.stdout).unwrap()
}

/// Starts `serve --dev`, and returns the process with the output meant for pasting.
fn start(folder: &std::path::Path) -> (Process, String) {
    let printed = folder.join("printed");
    let file = std::fs::File::create(&printed).unwrap();
    let process = Process::serve_with(folder, &["--dev"], Stdio::from(file));
    (process, std::fs::read_to_string(printed).unwrap())
}

#[test]
fn printed_commands_log_in_introspect_verify_and_refresh() {
    let folder = tempfile::tempdir().unwrap();
    let (mut process, printed) = start(folder.path());
    let output = paste(folder.path(), &printed_lines(&printed));
    for expected in [
        "\"token_type\":\"Bearer\"",
        "\"active\":true",
        "\"username\":\"demo\"",
        "HTTP/2 200",
        "x-auth-username: demo",
    ] {
        assert!(output.contains(expected), "no {expected} in {output}");
    }
    assert_eq!(output.matches("\"access_token\"").count(), 2, "{output}");
    // The settings do not mention the TLS that `--dev` enables: `healthcheck` has to detect it.
    let bind = format!("server.bind={}", process.address);
    let health = sentinel(folder.path()).args(["healthcheck", "--set", &bind]).output().unwrap();
    assert!(health.status.success(), "{health:?}");
    assert_eq!(process.terminate(), Some(0));

    // After a restart, certificate, client and user are the same.
    let (_process, again) = start(folder.path());
    let credentials = |text: &str| text.split("client_id=").nth(1).unwrap()[..90].to_owned();
    assert_eq!(credentials(&again), credentials(&printed));
    let output = paste(folder.path(), &printed_lines(&again));
    assert!(output.contains("\"active\":true"), "{output}");
}

/// The commands in the output. Above each group is a line that ends with a colon.
fn printed_lines(printed: &str) -> String {
    let (_, commands) = printed.split_once("\n\n").unwrap();
    let commands = commands.lines().filter(|line| !line.ends_with(':'));
    let commands: Vec<&str> = commands.collect();
    // zsh rejects comments in pasted lines, and expands `?` and `*`.
    assert!(commands.iter().all(|line| !line.starts_with('#') && !line.contains('?')));
    commands.join("\n")
}

#[test]
fn dev_mode_on_a_store_in_use_creates_no_demo_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let add = ["client", "add", "--json"];
    let output = sentinel(folder.path()).args(add).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let (_process, printed) = start(folder.path());
    assert!(printed.contains("no demo data was added"), "{printed}");
    assert!(printed.contains("data/self-signed-cert.pem\n"), "{printed}");
    assert!(!folder.path().join("data/dev-credentials.json").exists());
}

#[test]
fn password_of_demo_user_that_was_changed_is_not_printed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut process, printed) = start(folder.path());
    let (_, password) = printed.split_once("password=").unwrap();
    let (password, _) = password.split_once(')').unwrap();
    assert_eq!(process.terminate(), Some(0));
    let mut passwd = sentinel(folder.path());
    passwd.args(["user", "passwd", "demo", "--password-stdin"]).stdin(Stdio::piped());
    let mut passwd = passwd.spawn().unwrap();
    std::io::Write::write_all(passwd.stdin.as_mut().unwrap(), b"another password").unwrap();
    assert!(passwd.wait().unwrap().success());
    let (_process, again) = start(folder.path());
    assert!(!again.contains(password) && again.contains("no demo data was added"), "{again}");
}

/// Whether a line matches the one in the README, where `…` stands for the rest of a generated
/// value.
fn is_as_shown(shown: &str, line: &str) -> bool {
    let mut rest = line;
    let mut pieces = shown.split('…').peekable();
    while let Some(piece) = pieces.next() {
        let made_up = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let wanted = if pieces.peek().is_some() { piece.trim_end_matches(made_up) } else { piece };
        let Some(at) = rest.find(wanted) else { return false };
        rest = &rest[at + wanted.len()..];
    }
    true
}

#[test]
fn dev_mode_output_matches_the_readme() {
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let shown = readme.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (process, printed) = start(folder.path());
    let port = process.address.rsplit(':').next().unwrap();
    let data = folder.path().canonicalize().unwrap().join("data");
    let printed = printed
        .replace(&format!("localhost:{port}"), "localhost:5000")
        .replace(data.to_str().unwrap(), "/home/you/sentinel/data");
    let (shown, printed): (Vec<_>, Vec<_>) =
        (shown.trim().lines().collect(), printed.trim().lines().collect());
    assert_eq!(shown.len(), printed.len(), "{printed:?}");
    for (shown, printed) in shown.iter().zip(&printed) {
        assert!(is_as_shown(shown, printed), "the README shows\n{shown}\nand this is\n{printed}");
    }
    assert!(!is_as_shown("user x, password GQ7w…", "user y, password abc"));
}

/// Checks the protection from other users of the machine that `docs/threat-model.md` describes.
#[test]
fn data_folder_is_accessible_to_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (_process, _) = start(folder.path());
    let data = folder.path().join("data");
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        // The certificate is public.
        if name != "self-signed-cert.pem" {
            assert_eq!(mode(&path), 0o600, "{name}");
        }
        found.push(name);
    }
    for name in ["dev-credentials.json", "dev-operator-password", "self-signed-key.pem"] {
        assert!(found.iter().any(|other| other == name), "no {name} in {found:?}");
    }
}
