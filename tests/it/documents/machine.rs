//! `docs/install.md`, `docs/upgrade.md` and the restoring in `docs/stores.md`, run one after the other as they
//! stand, on a machine that is a folder: systemd and the package manager are scripts, all else is real.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::pages::{page, root};
use crate::helpers::authority::Authority;
use crate::helpers::{command, free_port};

/// What begins with these paths is in the folder.
const PATHS: [&str; 6] = [
    "/usr/local/bin",
    "/etc/sentinel",
    "/etc/systemd",
    "/etc/nginx",
    "/var/lib/sentinel",
    "/run/credentials",
];

/// Stands for systemd: it does what the unit and what lies beside it say of the start.
const SYSTEMCTL: &str = r#"#!/bin/bash
set -eu
units=$MACHINE/etc/systemd/system
values() { cat "$units/sentinel.service" "$units"/sentinel.service.d/*.conf | sed -n "s/^$1=//p"; }
start() {
    mkdir -p -m 700 "$MACHINE/var/lib/sentinel" "$MACHINE/run/credentials/sentinel.service"
    values LoadCredential | while IFS=: read -r name file; do
        cp "$file" "$MACHINE/run/credentials/sentinel.service/$name"
    done
    mapfile -t variables < <(values Environment)
    cd "$MACHINE/var/lib/sentinel"
    env -i "${variables[@]}" $(values ExecStart) >> "$MACHINE/log" 2>&1 < /dev/null &
    echo $! > "$MACHINE/run/sentinel.pid"
    until "$MACHINE/usr/local/bin/sentinel" healthcheck --config "$MACHINE/etc/sentinel/sentinel.toml" 2> /dev/null; do
        kill -0 $! || exit 1
        sleep 0.1
    done
}
stop() {
    id=$(cat "$MACHINE/run/sentinel.pid")
    kill "$id"
    while kill -0 "$id" 2> /dev/null; do sleep 0.05; done
}
case "$*" in
daemon-reload) ;;
'enable --now sentinel' | 'start sentinel') start ;;
'stop sentinel') stop ;;
'restart sentinel') stop; start ;;
'reload nginx') nginx || nginx -s reload ;;
*) echo "not known: systemctl $*" >&2; exit 1 ;;
esac
"#;

/// Stands for a unit that is made for one command.
const SYSTEMD_RUN: &str = r#"#!/bin/bash
set -eu
properties=
while [ "${1#--}" != "$1" ]; do
    case "$1" in
    --property=*) properties="$properties ${1#--property=}" ;;
    --setenv=*) export "${1#--setenv=}" ;;
    --quiet | --pipe | --wait | --collect) ;;
    *) echo "not known: $1" >&2; exit 1 ;;
    esac
    shift
done
# Those of the unit: else the folder would be somebody else's, or open to others.
for property in $properties; do
    grep -qx "$property" "$MACHINE/etc/systemd/system/sentinel.service"
done
exec "$@"
"#;

const NGINX: &str = r#"#!/bin/sh
exec NGINX -p "$MACHINE/run/" -c "$MACHINE/etc/nginx/nginx.conf" "$@"
"#;

/// As Debian has it, as far as it matters.
const NGINX_CONF: &str = "pid nginx.pid;\nerror_log stderr;\nUSER\nevents {}\nhttp {\naccess_log off;\n\
    client_body_temp_path body;\nproxy_temp_path proxy;\nfastcgi_temp_path fastcgi;\n\
    uwsgi_temp_path uwsgi;\nscgi_temp_path scgi;\ninclude sites-enabled/*;\n}\n";

struct Machine {
    folder: TempDir,
    authority: Authority,
    ports: [u16; 3],
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let machine =
            Self { folder, authority: Authority::new(), ports: [(); 3].map(|()| free_port()) };
        for path in
            ["bin", "run", "work/target/release", "work/docs/systemd", "work/examples/nginx"]
        {
            fs::create_dir_all(machine.path(path)).unwrap();
        }
        for path in ["usr/local/bin", "etc/systemd/system", "etc/nginx/sites-available"] {
            fs::create_dir_all(machine.path(path)).unwrap();
        }
        fs::create_dir_all(machine.path("etc/nginx/sites-enabled")).unwrap();
        fs::create_dir_all(machine.path("work/config")).unwrap();
        for file in ["config/example.toml", "docs/systemd/sentinel.service"] {
            machine.copy(file);
        }
        for entry in fs::read_dir(root().join("examples/nginx")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            machine.copy(&format!("examples/nginx/{name}"));
        }
        let built = machine.path("work/target/release/sentinel");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_sentinel"), built).unwrap();
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        fs::write(machine.path("etc/nginx/nginx.conf"), NGINX_CONF.replace("USER", user)).unwrap();
        let nginx = ["/usr/sbin/nginx", "/usr/bin/nginx"].map(PathBuf::from);
        let nginx = nginx.iter().find(|path| path.exists()).expect("tests/setup.sh installs nginx");
        machine.script("sudo", "#!/bin/sh\nexec \"$@\"\n");
        machine.script("apt-get", "#!/bin/sh\n");
        machine.script("make", "#!/bin/sh\n[ \"$*\" = build ]\n");
        machine.script("systemctl", SYSTEMCTL);
        machine.script("systemd-run", SYSTEMD_RUN);
        machine.script("nginx", &NGINX.replace("NGINX", nginx.to_str().unwrap()));
        let trust = format!("cacert = {}\n", machine.authority.path("ca.pem"));
        fs::write(machine.path("run/.curlrc"), trust).unwrap();
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn script(&self, name: &str, text: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(path, mode).unwrap();
    }

    /// A text of the repository with the paths and ports of this machine.
    fn here(&self, text: &str) -> String {
        let [public, sentinel, api] = self.ports.map(|port| port.to_string());
        let certificates = "/etc/letsencrypt/live/auth.example.org";
        let mut text = text
            .replace("    listen [::]:443 ssl;\n", "")
            .replace("listen 443 ssl", &format!("listen 127.0.0.1:{public} ssl"))
            .replace(&format!("{certificates}/fullchain.pem"), &self.authority.path("server.pem"))
            .replace(&format!("{certificates}/privkey.pem"), &self.authority.path("server.key"))
            .replace("127.0.0.1:5000", &format!("127.0.0.1:{sentinel}"))
            .replace("127.0.0.1:8081", &format!("127.0.0.1:{api}"))
            .replace("\"https://$HOST/", &format!("\"https://$HOST:{public}/"))
            .replace("HOST=auth.example.org", "HOST=localhost");
        for path in PATHS {
            text = text.replace(path, &format!("{}{path}", self.folder.path().display()));
        }
        text
    }

    fn copy(&self, file: &str) {
        let text = fs::read_to_string(root().join(file)).unwrap();
        fs::write(self.path("work").join(file), self.here(&text)).unwrap();
    }

    /// Runs lines as one shell does; what they print.
    fn paste(&self, lines: &str) -> String {
        let mut shell = command("timeout");
        shell.args(["120", "bash", "-euo", "pipefail", "-c", lines]).current_dir(self.path("work"));
        let path = std::env::var("PATH").unwrap();
        let (bin, own) = (self.path("bin"), self.path("usr/local/bin"));
        shell.env("PATH", format!("{}:{}:{path}", bin.display(), own.display()));
        shell.env("MACHINE", self.folder.path()).env("HOME", self.path("run"));
        // Files, since the servers that it starts keep what they were given open.
        let [printed, errors] = ["printed", "errors"].map(|name| self.path(name));
        let files = [&printed, &errors].map(|path| fs::File::create(path).unwrap());
        let [stdout, stderr] = files;
        let ended = shell.stdin(Stdio::null()).stdout(stdout).stderr(stderr).status().unwrap();
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        let printed = read(&printed);
        assert!(ended.success(), "{printed}\n{}\n{}", read(&errors), read(&self.path("log")));
        printed
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for name in ["run/nginx.pid", "run/sentinel.pid"] {
            if let Ok(id) = fs::read_to_string(self.path(name)) {
                let _ = Command::new("kill").arg(id.trim()).status();
            }
        }
    }
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_steps_of_installing_upgrading_going_back_and_restoring_can_be_followed() {
    let machine = Machine::new();
    let install = page("docs/install.md").joined("sh");
    let stores = page("docs/stores.md").joined("sh");
    // What a person has at hand who pastes into the same shell.
    let upgrade = page("docs/upgrade.md").blocks();
    let [up, back] = ["make build", "systemctl stop"].map(|first| {
        let found = upgrade.iter().find(|block| block.text.contains(first)).unwrap();
        found.text.clone()
    });
    let later = "echo 'a later horse' | as_sentinel user add bob --password-stdin\n";
    let listing = "echo == ; as_sentinel user list --json\n";
    let lines = [&install, listing, &up, later, listing, &back, listing, later, &stores, listing];
    let printed = machine.paste(&machine.here(&lines.map(str::to_owned).join("\n")));

    for expected in [
        "the settings are in order",
        "GET /api/hello as alice (",
        "\n401\n",
        "\"issuer\":\"https://localhost\"",
    ] {
        assert!(printed.contains(expected), "no {expected} in {printed}");
    }
    // alice; then bob too; gone with what was restored; and again.
    let lists: Vec<_> = printed.split("==").skip(1).map(|rest| rest.contains("\"bob\"")).collect();
    assert_eq!(lists, [false, true, false, false], "{printed}");
    assert!(printed.matches("\"alice\"").count() >= 4, "{printed}");

    assert_eq!(mode(&machine.path("var/lib/sentinel")), 0o700);
    assert_eq!(mode(&machine.path("etc/sentinel/management-password")), 0o600);
    for name in ["sentinel.db", "after-upgrade/sentinel.db"] {
        assert_eq!(mode(&machine.path("var/lib/sentinel").join(name)), 0o600, "{name}");
    }
    // The page is there, for who has the password.
    let password = fs::read_to_string(machine.path("etc/sentinel/management-password")).unwrap();
    let url = format!("http://127.0.0.1:{}/oauth/management", machine.ports[1]);
    for (password, status) in [(password.trim(), "200"), ("guessed", "401")] {
        let mut curl = command("curl");
        let page = machine.path("run/page");
        curl.args(["-sS", "-w", "%{http_code}", "-o"]).arg(page);
        curl.args(["-u", &format!("operator:{password}"), &url]);
        assert_eq!(String::from_utf8(curl.output().unwrap().stdout).unwrap(), status);
    }
}
