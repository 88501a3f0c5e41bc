//! The commands of `docs/install.md`, `docs/upgrade.md` and the restore in `docs/stores.md`, run in
//! sequence and unchanged, on a machine simulated by a folder: systemd and the package manager are
//! scripts, all other programs are real.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::pages::{page, root};
use crate::helpers::authority::Authority;
use crate::helpers::{command, free_port};

/// Path prefixes that are moved into the folder.
const PATHS: [&str; 7] = [
    "/usr/local/bin",
    "/etc/sentinel",
    "/etc/systemd",
    "/etc/nginx",
    "/var/lib/sentinel",
    "/run/credentials",
    "/run/as_sentinel",
];

/// Scripts in place of system programs. `sudo` just runs the command: `id -u` is always 0 here.
const PROGRAMS: [(&str, &str); 7] = [
    ("units.sh", include_str!("machine/units.sh")),
    ("systemctl", include_str!("machine/systemctl.sh")),
    ("systemd-run", include_str!("machine/systemd-run.sh")),
    ("sudo", "#!/bin/sh\nexec \"$@\"\n"),
    ("id", "#!/bin/sh\n[ \"$*\" = -u ] && echo 0\n"),
    ("apt-get", "#!/bin/sh\n"),
    ("make", "#!/bin/sh\n[ \"$*\" = build ]\n"),
];

const NGINX: &str = r#"#!/bin/sh
exec NGINX -p "$MACHINE/run/" -c "$MACHINE/etc/nginx/nginx.conf" "$@"
"#;

/// The relevant parts of Debian's `nginx.conf`.
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
        machine.copy("config/example.toml");
        for folder in ["docs/systemd", "examples/nginx"] {
            for entry in fs::read_dir(root().join(folder)).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                machine.copy(&format!("{folder}/{name}"));
            }
        }
        let built = machine.path("work/target/release/sentinel");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_sentinel"), built).unwrap();
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        fs::write(machine.path("etc/nginx/nginx.conf"), NGINX_CONF.replace("USER", user)).unwrap();
        let nginx = ["/usr/sbin/nginx", "/usr/bin/nginx"].map(PathBuf::from);
        let nginx = nginx.iter().find(|path| path.exists()).expect("tests/setup.sh installs nginx");
        for (name, text) in PROGRAMS {
            machine.script(name, text);
        }
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

    /// Replaces paths and ports in a text of the repository with those of this machine.
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

    /// Runs lines in one shell and returns their output.
    fn paste(&self, lines: &str) -> String {
        let mut shell = command("timeout");
        shell.args(["180", "bash", "-euo", "pipefail", "-c", lines]).current_dir(self.path("work"));
        let path = std::env::var("PATH").unwrap();
        let (bin, own) = (self.path("bin"), self.path("usr/local/bin"));
        shell.env("PATH", format!("{}:{}:{path}", bin.display(), own.display()));
        shell.env("MACHINE", self.folder.path()).env("HOME", self.path("run"));
        // Files and not pipes, since the servers that the shell starts keep their output open.
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

/// Returns the shell block of a page that contains a text.
fn block(path: &str, has: &str) -> String {
    let blocks = page(path).blocks();
    let found = blocks.iter().find(|block| block.language == "sh" && block.text.contains(has));
    found.unwrap_or_else(|| panic!("{path} has no block with {has}")).text.clone()
}

/// Command line that adds a user.
fn add(name: &str) -> String {
    format!("echo 'a later horse' | as_sentinel user add {name} --password-stdin\n")
}

#[test]
fn documented_install_upgrade_rollback_and_restore_can_be_repeated() {
    let machine = Machine::new();
    let install = page("docs/install.md").joined("sh");
    // All blocks are pasted into one shell. File names contain the time in seconds.
    let up = format!("sleep 1.1\n{}", block("docs/upgrade.md", "make build"));
    let back = format!("sleep 1.1\n{}", block("docs/upgrade.md", "systemctl stop"));
    let restore = format!("sleep 1.1\n{}", block("docs/stores.md", "systemctl stop"));
    let listing = "echo == ; as_sentinel user list --json\n".to_owned();
    let old = "touch -d '20 days ago' /var/lib/sentinel/backup-2020-01-01-030000.db\n\
        sudo systemctl start sentinel-backup\n";
    let lines = [
        &install,
        // The next backup removes the backup that is over two weeks old, and no other file.
        "sleep 1.1\n",
        old,
        &up,
        &add("bob"),
        &up,
        &add("carol"),
        &listing,
        // Rolls back the second upgrade, then the first.
        &back,
        &listing,
        &add("dora"),
        &back,
        &listing,
        &restore,
        &listing,
        &add("emil"),
        &restore,
        &listing,
    ];
    let printed = machine.paste(&machine.here(&lines.concat()));

    for expected in [
        "the settings are valid",
        "GET /api/hello as alice (",
        "\n401\n",
        "\"issuer\":\"https://localhost\"",
    ] {
        assert!(printed.contains(expected), "no {expected} in {printed}");
    }
    let lists: Vec<_> = printed
        .split("==")
        .skip(1)
        .map(|list| {
            let list = list.split(']').next().unwrap();
            ["alice", "bob", "carol", "dora", "emil"]
                .map(|name| list.contains(&format!("\"{name}\"")))
        })
        .collect();
    let second = [true, true, false, false, false];
    let first = [true, false, false, false, false];
    let before = [true, true, true, false, false];
    assert_eq!(lists, [before, second, second, first, first], "{printed}");

    let kept = fs::read_dir(machine.path("var/lib/sentinel")).unwrap();
    let kept: Vec<_> =
        kept.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let named = |start: &str| kept.iter().filter(|name| name.starts_with(start)).count();
    let counts = ["backup-", "before-upgrade-", "replaced-"].map(named);
    // Two rollbacks and two restores.
    assert_eq!(counts, [2, 2, 4], "{kept:?}");
    assert!(!kept.iter().any(|name| name.starts_with("backup-2020")), "{kept:?}");

    assert_eq!(mode(&machine.path("var/lib/sentinel")), 0o700);
    assert_eq!(mode(&machine.path("etc/sentinel/management-password")), 0o600);
    for name in kept.iter().filter(|name| name.ends_with(".db")) {
        assert_eq!(mode(&machine.path("var/lib/sentinel").join(name)), 0o600, "{name}");
    }
    // The management page is served to an operator with the right password.
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

#[test]
fn upgrade_stops_at_a_failed_backup_and_keeps_the_old_binary() {
    let machine = Machine::new();
    machine.paste(&machine.here(&page("docs/install.md").joined("sh")));
    let installed = machine.path("usr/local/bin/sentinel");
    let before = fs::read(&installed).unwrap();
    // The new binary differs, so that the test can tell which is installed.
    let newer = [&before[..], b"newer"].concat();
    fs::remove_file(machine.path("work/target/release/sentinel")).unwrap();
    fs::write(machine.path("work/target/release/sentinel"), newer).unwrap();
    // A missing folder makes the backup fail.
    let up =
        block("docs/upgrade.md", "make build").replace("before-upgrade-$NOW.db", "missing/x.db");
    let printed = machine.paste(&machine.here(&format!("{{ {up} }} || echo stopped\n")));
    // The commands before the backup have succeeded.
    assert!(printed.contains("the settings are valid"), "{printed}");
    assert!(printed.ends_with("stopped\n"), "{printed}");
    assert!(fs::read(&installed).unwrap() == before, "it was replaced without a backup");
}

#[test]
fn as_sentinel_passes_input_and_allowed_variables_and_no_others() {
    let machine = Machine::new();
    let install = page("docs/install.md").joined("sh");
    let spans = page("docs/install.md").spans().into_iter();
    let files: Vec<_> =
        spans.filter(|span| span.starts_with("as_sentinel") && span.contains(" - ")).collect();
    assert_eq!(files.len(), 2, "{files:?}");
    let csv = "username,password\nimported,some-long-password\n";
    fs::write(machine.path("work/users.csv"), csv).unwrap();
    let rest = r#"
SENTINEL_COPY_TO='/var/lib/sentinel/a"b$c`d\e.db' SENTINEL_STORE__PATH=elsewhere.db as_sentinel store copy
echo some-long-password | as_sentinel user add '$HOME ${HOME} $$%d "x"' --password-stdin
as_sentinel user show nobody || echo "ended with $?"
as_sentinel config show | grep -A9 '^.management'
"#;
    let lines = format!("{install}{}{rest}", files.join("\n"));
    let printed = machine.paste(&machine.here(&lines));
    assert!(printed.contains("ended with 65"), "{printed}");
    assert!(printed.contains("username = \"operator\""), "{printed}");
    let exported = fs::read_to_string(machine.path("work/users.jsonl")).unwrap();
    assert!(exported.contains("\"imported\""), "{exported}");
    let name = "a\"b$c`d\\e.db";
    assert!(machine.path("var/lib/sentinel").join(name).exists(), "{printed}");
    assert!(printed.contains("added user $HOME ${HOME} $$%d \"x\","), "{printed}");
    // The script writes the passed variables to a temporary file in `run`, and has removed it.
    let script = fs::read_to_string(machine.path("usr/local/bin/as_sentinel")).unwrap();
    let file = format!("mktemp {}.", machine.path("run/as_sentinel").display());
    assert!(script.contains(&file), "no {file} in {script}");
    let left = fs::read_dir(machine.path("run")).unwrap();
    let left: Vec<_> =
        left.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!left.iter().any(|name| name.starts_with("as_sentinel")), "{left:?}");
}
