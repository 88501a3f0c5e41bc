//! Services started in the order of the file and in any order, and with some stopped for a while.

use std::path::Path;
use std::process::{Command, Stdio};

use super::stack::{Stack, root};
use crate::helpers::{command, sentinel};

/// Returns the commands of the README, which go through nginx.
fn readme() -> String {
    let text = std::fs::read_to_string(root().join("README.md")).unwrap();
    let blocks = text.split("```bash\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.collect::<Vec<_>>().join("\n")
}

/// Writes a `docker` program that runs the commands without containers.
fn write_docker(stack: &Stack) {
    let environment = stack.command("sentinel", &["sentinel".to_owned()]);
    let binary = Path::new(env!("CARGO_BIN_EXE_sentinel")).parent().unwrap().to_str().unwrap();
    let variables: Vec<_> = environment
        .get_envs()
        .filter_map(|(name, value)| Some(format!("'{}={}'", name.to_str()?, value?.to_str()?)))
        .collect();
    let script = format!(
        "#!/bin/sh\nset -eu\ncase \"$*\" in\n\
         'compose up --detach') ;;\n\
         'compose exec -T sentinel '*) shift 4; exec env -i {} \"PATH={binary}:$PATH\" \"$@\" ;;\n\
         *) echo \"not known: $*\" >&2; exit 1 ;;\nesac\n",
        variables.join(" ")
    );
    std::fs::create_dir(stack.path("bin")).unwrap();
    std::fs::write(stack.path("bin/docker"), script).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(stack.path("bin/docker"), mode).unwrap();
}

/// Runs shell commands beside the services and returns their output.
fn paste(stack: &Stack, lines: &str) -> String {
    let mut shell = command("timeout");
    let path = std::env::var("PATH").unwrap();
    shell.args(["60", "bash", "-euo", "pipefail", "-c", lines]).current_dir(stack.path(""));
    shell.env("PATH", format!("{}:{path}", stack.path("bin").display()));
    let output = shell.stdin(Stdio::null()).output().unwrap();
    let (printed, errors) = (output.stdout, String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(printed).unwrap();
    assert!(output.status.success(), "{printed}\n{errors}\n{}", stack.log("nginx"));
    printed
}

fn curl(stack: &Stack, arguments: &[&str]) -> String {
    let mut curl = command("curl");
    curl.args(["-sS", "--cacert"]).arg(stack.path("data/self-signed-cert.pem")).args(arguments);
    let output = curl.output().unwrap();
    assert!(output.status.success(), "{output:?}\n{}", stack.log("nginx"));
    String::from_utf8(output.stdout).unwrap()
}

fn status(stack: &Stack, arguments: &[&str]) -> String {
    let body = stack.path("body");
    let form = ["-o", body.to_str().unwrap(), "-w", "%{http_code} %{content_type}"];
    curl(stack, &[&form, arguments].concat())
}

/// Runs a command in the environment of the `sentinel` service and returns its output.
fn exec(stack: &Stack, words: &str, input: &str) -> String {
    let words: Vec<_> = words.split(' ').map(str::to_owned).collect();
    std::fs::write(stack.path("input"), input).unwrap();
    let mut command = stack.command("sentinel", &words);
    let output = command.stdin(std::fs::File::open(stack.path("input")).unwrap()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn member(json: &str, name: &str) -> String {
    let json: serde_json::Value = serde_json::from_str(json).unwrap();
    json[name].as_str().unwrap_or_else(|| panic!("no {name} in {json}")).to_owned()
}

/// Adds a client and returns the login form of alice without the password.
fn login_form_without_password(stack: &Stack) -> String {
    let client = exec(stack, "sentinel client add --default-scope read --json", "");
    let client = member(&client, "client_id");
    format!("grant_type=password&client_id={client}&username=alice")
}

/// Adds alice and returns her login form.
fn login_form(stack: &Stack) -> String {
    exec(stack, "sentinel user add alice --password-stdin", "correct horse battery staple");
    format!("{}&password=correct+horse+battery+staple", login_form_without_password(stack))
}

#[test]
fn readme_commands_work_through_nginx() {
    let mut stack = Stack::new();
    stack.up("nginx");
    stack.wait_until_healthy("nginx");
    write_docker(&stack);
    let lines = stack.localized(&readme());
    assert!(lines.contains("docker compose up") && lines.contains("curl"), "{lines}");
    let printed = paste(&stack, &lines);
    for expected in [
        "\"active\":true",
        "\"username\":\"alice\"",
        "\"scope\":\"read write\"",
        // Answer after the revocation.
        "HTTP/1.1 401",
    ] {
        assert!(printed.contains(expected), "no {expected} in {printed}");
    }
    let (public, operator) = (stack.public(), stack.operator());

    // Forwarding headers that a client sends are not trusted.
    let form = format!("{}&password=wrong", login_form_without_password(&stack));
    let token = format!("{public}/oauth/token");
    let claims = ["-H", "X-Forwarded-For: 203.0.113.9", "-H", "X-Request-Id: chosen-by-the-client"];
    let refused = status(&stack, &[&["-d", &form], &claims[..], &[&token]].concat());
    assert!(refused.starts_with("400 application/json"), "{refused}");
    let log = stack.log("sentinel");
    let failed: Vec<_> = log.lines().filter(|line| line.contains("\"wrong password\"")).collect();
    assert!(failed.len() == 1 && failed[0].contains("\"address\":\"127.0.0.1\""), "{log}");
    assert!(!log.contains("chosen-by-the-client"), "{log}");

    // The probes and the management page are not public; nginx's own pages are HTML.
    for path in ["/", "/readyz", "/healthz", "/_verify", "/oauth/management", "/oauth/management/x"]
    {
        let answer = status(&stack, &[&format!("{public}{path}")]);
        assert_eq!(answer, "404 text/html", "{path}");
    }
    let page = status(&stack, &[&format!("{operator}/oauth/management/x")]);
    assert!(!page.starts_with("404 text/html"), "it is not Sentinel that answers: {page}");
}

#[test]
fn services_recover_from_late_starts_and_restarts() {
    let mut stack = Stack::new();
    stack.start("setup");
    assert!(stack.wait("setup").success());
    // After a restart of the machine, Docker starts everything at once.
    stack.start("nginx");
    assert!(!stack.wait("nginx").success(), "it has no certificate yet");
    stack.start("sentinel");
    assert_eq!(stack.wait("sentinel").code(), Some(69), "{}", stack.log("sentinel"));
    assert!(stack.log("sentinel").contains("cannot reach MongoDB"), "{}", stack.log("sentinel"));
    stack.start("mongo");
    stack.wait_until_healthy("mongo");
    stack.start("sentinel");
    assert!(stack.wait_until_healthy("nginx") >= 1);

    // Redis starts last: no token is answered before it is published, so the server is not ready.
    let (form, public) = (login_form(&stack), stack.public());
    let (token, api) = (format!("{public}/oauth/token"), format!("{public}/api/x"));
    let login = ["-d", &form, &token];
    wait_for(&stack, &login, "503 application/json");
    stack.start("redis");
    stack.wait_until_healthy("redis");
    assert_eq!(stack.wait_until_healthy("sentinel"), 0);
    wait_for(&stack, &login, "200 ");
    let access = member(&curl(&stack, &login), "access_token");
    let bearer = format!("Authorization: Bearer {access}");
    let guarded = ["-H", &bearer, &api];
    assert_eq!(member(&curl(&stack, &guarded), "username"), "alice");

    for service in ["mongo", "redis"] {
        stack.kill(service);
        assert!(status(&stack, &login).starts_with("503 "), "without {service}");
        stack.start(service);
        stack.wait_until_healthy(service);
        assert_eq!(stack.wait_until_healthy("sentinel"), 0);
        wait_for(&stack, &login, "200 ");
        assert_eq!(member(&curl(&stack, &guarded), "username"), "alice");
    }

    stack.kill("sentinel");
    wait_for(&stack, &guarded, "503 application/json");
    assert_eq!(status(&stack, &login), "503 application/json");
    stack.start("sentinel");
    stack.wait_until_healthy("sentinel");
    wait_for(&stack, &guarded, "200 application/json");

    // `docker compose up` runs the setup each time, which must not replace anything.
    let before = std::fs::read_to_string(stack.path("secrets/sentinel/redis-url")).unwrap();
    stack.start("setup");
    assert!(stack.wait("setup").success());
    let after = std::fs::read_to_string(stack.path("secrets/sentinel/redis-url")).unwrap();
    assert_eq!(before, after);
}

/// Retries a request until the answer begins with `expected`.
fn wait_for(stack: &Stack, arguments: &[&str], expected: &str) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let answer = status(stack, arguments);
        if answer.starts_with(expected) {
            return;
        }
        let late = std::time::Instant::now() > deadline;
        assert!(!late, "{answer} and not {expected}: {}", stack.log("sentinel"));
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
}

#[test]
fn regenerated_passwords_reach_every_service() {
    let mut stack = Stack::new();
    stack.up("sentinel");
    stack.wait_until_healthy("sentinel");
    let form = login_form(&stack);
    for service in ["sentinel", "redis"] {
        stack.kill(service);
    }
    for name in ["mongo-sentinel", "redis"] {
        std::fs::remove_file(stack.path("secrets/made").join(name)).unwrap();
    }
    stack.start("setup");
    assert!(stack.wait("setup").success());
    stack.wait_until_healthy("mongo");
    stack.start("redis");
    stack.start("sentinel");
    stack.wait_until_healthy("sentinel");
    stack.start("nginx");
    stack.wait_until_healthy("nginx");
    let token = format!("{}/oauth/token", stack.public());
    wait_for(&stack, &["-d", &form, &token], "200 ");
}

#[test]
fn settings_of_image_pass_config_check() {
    let stack = Stack::new();
    let file = stack.path("sentinel.toml");
    let mut check = sentinel(stack.path("data").as_path());
    let output: std::process::Output =
        Command::output(check.args(["config", "check", "--config"]).arg(file)).unwrap();
    assert!(output.status.success(), "{output:?}");
}
