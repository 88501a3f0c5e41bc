//! Contents of `docker-compose.yml`, `Dockerfile` and the files that they use.

use std::process::Command;

use serde_json::Value;

use super::stack::{compose, dockerfile, root};
use crate::helpers::installed;

const PASSING: [&str; 4] = ["sentinel", "mongo", "redis", "nginx"];

#[test]
fn dockerfile_passes_linter() {
    let linter = installed(".cache/hadolint", "bin/hadolint");
    let output = Command::new(linter).arg(root().join("Dockerfile")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn image_is_built_with_oldest_supported_rust() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let version = manifest.split("rust-version = \"").nth(1).unwrap().split('"').next().unwrap();
    let image = format!("FROM rust:{version}-slim-bookworm AS build\n");
    assert!(dockerfile().contains(&image), "{image}");
    // The binary runs on the distribution that it was linked on.
    assert!(dockerfile().contains("FROM debian:bookworm-slim\n"));
}

/// OpenShift runs containers under any user id, in group 0.
#[test]
fn data_folder_of_image_is_writable_for_group_0() {
    let image = std::fs::read_to_string(root().join("Dockerfile")).unwrap();
    assert!(image.contains("install -d -o 10001 -g 0 -m 770 /out/data"), "{image}");
}

#[test]
fn services_have_least_privilege() {
    let compose = compose();
    let services = compose["services"].as_object().unwrap();
    for (name, service) in services {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]), "{name}");
        let options = serde_json::json!(["no-new-privileges:true"]);
        assert_eq!(service["security_opt"], options, "{name}");
        assert_eq!(service["privileged"], Value::Null, "{name}");
        // The `local` driver limits the size of the logs.
        assert_eq!(service["logging"]["driver"], "local", "{name}");
        assert_eq!(service["ports"].is_array(), name == "nginx", "{name}");
        // The setup service changes the owners of files and has no network.
        let gives = name == "setup" && service["network_mode"] == "none";
        assert_eq!(service["cap_add"].is_array(), gives, "{name}");
    }
    assert!(dockerfile().contains("\nUSER 10001:10001\n"));
    let users = ["mongo", "redis", "nginx"].map(|name| services[name]["user"].as_str().unwrap());
    assert_eq!(users, ["999:999", "10002:10002", "10001:10001"]);
    for name in PASSING {
        assert_eq!(services[name]["restart"], "unless-stopped", "{name}");
    }
}

#[test]
fn only_sentinel_reaches_stores_and_only_nginx_is_published() {
    let compose = compose();
    let networks = compose["networks"].as_object().unwrap();
    let internal = ["inner", "stores"].map(|name| networks[name]["internal"] == true);
    assert_eq!(internal, [true; 2]);
    let on = |service: &str| match &compose["services"][service]["networks"] {
        Value::Array(names) => names.iter().map(|name| name.as_str().unwrap().to_owned()).collect(),
        names => names.as_object().unwrap().keys().cloned().collect::<Vec<_>>(),
    };
    assert_eq!(on("mongo"), ["stores"]);
    assert_eq!(on("redis"), ["stores"]);
    assert_eq!(sorted(on("sentinel")), ["inner", "stores"]);
    assert_eq!(sorted(on("nginx")), ["front", "inner"]);
    let ports = compose["services"]["nginx"]["ports"].as_array().unwrap();
    // Port of the management page.
    assert_eq!(ports[1], "127.0.0.1:9443:9443");
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names
}

#[test]
fn setup_script_succeeds_after_interrupted_run() {
    let folder = tempfile::tempdir().unwrap();
    let run = || {
        // In the container, root may change the owners of files and has no other privilege.
        let few: &[&str] = match rustix::process::geteuid().is_root() {
            true => &["setpriv", "--bounding-set=-all,+chown", "--inh-caps=-all", "--no-new-privs"],
            false => &["env"],
        };
        let mut command = Command::new(few[0]);
        command.args(&few[1..]).arg("sh").arg(root().join("examples/compose/setup.sh"));
        let output = command.arg(folder.path()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    run();
    for owner in [None, Some(999)] {
        // State of the file between the commands that create it.
        let draft = folder.path().join("draft");
        std::fs::write(&draft, "half").unwrap();
        std::fs::set_permissions(&draft, std::os::unix::fs::PermissionsExt::from_mode(0o400))
            .unwrap();
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&draft, owner, owner).unwrap();
        }
        std::fs::write(folder.path().join("made/draft"), "half").unwrap();
        run();
        assert!(!draft.exists());
    }
}

/// The commands without containers in `docs/docker.md` configure all that the services configure,
/// and listen on no address that other machines can reach.
#[test]
fn documented_manual_setup_matches_services() {
    let page = std::fs::read_to_string(root().join("docs/docker.md")).unwrap();
    let by_hand = page.split("## By hand").nth(1).unwrap();
    let compose = compose();
    let variables = compose["services"]["sentinel"]["environment"].as_object().unwrap();
    assert!(!variables.is_empty());
    for name in variables.keys() {
        assert!(by_hand.contains(&format!("{name}=")), "{name}");
    }
    let words = |service: &str| -> Vec<String> {
        let words = compose["services"][service]["command"].as_array().unwrap().iter();
        words.map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let redis = by_hand.lines().find(|line| line.contains("redis-server")).unwrap();
    for pair in words("redis")[2..].chunks(2).filter(|pair| pair[0] != "--appendonly") {
        let value = if pair[1].is_empty() { "''" } else { &pair[1] };
        assert!(redis.contains(&format!("{} {value}", pair[0])), "{pair:?}");
    }
    assert!(redis.contains(" --bind 127.0.0.1 ") && by_hand.contains("SERVER__BIND=127.0.0.1:"));

    // Output of `sed` for the nginx configuration.
    let lines = by_hand.lines().filter_map(|line| line.strip_prefix("# sed -i "));
    let script = lines.map(|line| line.split('\'').nth(1).unwrap()).collect::<Vec<_>>();
    assert_eq!(script.len(), 1);
    let file = root().join("examples/compose/nginx.conf");
    let output = Command::new("sed").arg(script[0]).arg(file).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let listening: Vec<_> = text.lines().filter(|line| line.contains("listen ")).collect();
    assert_eq!(listening.len(), 2, "{text}");
    assert!(listening.iter().all(|line| line.contains(" 127.0.0.1:")), "{listening:?}");
}
