//! `sentinel config`, `completions` and `man`; `healthcheck` is in [`super::server`].

use std::process::Command;

use super::{Cli, finish};

#[test]
fn bash_completions_are_valid() {
    let cli = Cli::new();
    let script = cli.run(&["completions", "bash"]);
    assert!(script.ok().contains("rotate-secret"));
    let checked = finish(Command::new("bash").arg("-n"), script.stdout.as_bytes());
    assert_eq!((checked.code, checked.stderr.as_str()), (0, ""));
}

#[test]
fn completions_exist_for_every_shell() {
    let cli = Cli::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        assert!(cli.run(&["completions", shell]).ok().contains("sentinel"));
    }
}

#[test]
fn config_show_hides_secrets() {
    let cli = Cli::new();
    let file = cli.write("password", "hunter-in-file\n");
    let secrets = [
        "management.username=operator",
        "mongo.uri=mongodb://app:hunter-in-uri@db.example/oauth",
        "mongo.username=somebody",
        "mongo.password=hunter-in-mongo",
        "redis.url=redis://:hunter-in-redis@cache.example/",
        &format!("management.password_file={file}"),
    ];
    let mut arguments = vec!["config", "show"];
    arguments.extend(secrets.iter().flat_map(|setting| ["--set", setting]));
    for json in [&["--json"][..], &[]] {
        let shown = cli.run(&[&arguments, json].concat());
        assert!(!shown.ok().contains("hunter"), "{shown:?}");
        assert!(shown.stdout.contains("operator"), "{shown:?}");
        assert!(shown.stdout.contains("db.example"), "{shown:?}");
    }
}

#[test]
fn config_default_prints_a_commented_settings_file_that_is_valid() {
    let cli = Cli::new();
    let default = cli.run(&["config", "default"]);
    assert!(default.ok().contains("\n# "), "{default:?}");
    let file = cli.write("sentinel.toml", &default.stdout);
    cli.run(&["config", "check", "--config", &file]).ok();
    let shown = |arguments: &[&str]| cli.json(&[&["config", "show"], arguments].concat());
    assert_eq!(shown(&["--config", &file]), shown(&[]));
}

#[test]
fn config_show_names_the_origin_of_each_value() {
    let cli = Cli::new();
    let file = cli.write("sentinel.toml", "[oauth]\naccess_token_ttl = \"30m\"\n");
    let password = cli.write("password", "long enough for all\n");
    let mut command = cli.command();
    command.env("SENTINEL_OAUTH__SESSION_TTL", "90d").args(["config", "show", "--origin"]);
    command.args(["--config", &file, "--set", "oauth.refresh_grace=1m"]);
    command.args(["--set", "management.username=operator"]);
    command.args(["--set", &format!("management.password_file={password}")]);
    let shown = finish(&mut command, b"");
    for line in [
        format!("access_token_ttl = \"30m\"  # in {file}\n"),
        "session_ttl = \"90d\"  # from SENTINEL_OAUTH__SESSION_TTL\n".to_owned(),
        "refresh_grace = \"1m\"  # on the command line\n".to_owned(),
        "refresh_idle_ttl = \"30d\"  # default\n".to_owned(),
        format!("password = \"(hidden)\"  # in {password} (management.password_file)\n"),
    ] {
        assert!(shown.stdout.contains(&line), "no {line} in {shown:?}");
    }
    let origins = finish(command.arg("--json"), b"").json();
    assert_eq!(origins["oauth.session_ttl"], "from SENTINEL_OAUTH__SESSION_TTL");
    let mut migrated = cli.command();
    migrated.env("SENTINEL_MONGO_HOST", "db.example").args(["config", "show", "--origin"]);
    let migrated = finish(&mut migrated, b"").stdout;
    assert!(migrated.contains("backend = \"mongodb\"  # since SENTINEL_MONGO_HOST"), "{migrated}");
}

#[test]
fn config_check_warns_about_certificate_for_another_host_and_short_sessions() {
    let cli = Cli::new();
    let made = rcgen::generate_simple_self_signed(["auth.example.org".to_owned()]).unwrap();
    let cert = format!("tls.cert={}", cli.write("cert.pem", made.cert.pem()));
    let key = format!("tls.key={}", cli.write("key.pem", made.signing_key.serialize_pem()));
    let tls = ["config", "check", "--set", "tls.mode=files", "--set", &cert, "--set", &key];
    let check = |setting: &str| cli.run(&[&tls[..], &["--set", setting]].concat());
    check("server.public_url=https://auth.example.org").ok();
    let other = check("server.public_url=https://login.example.org");
    assert_eq!(other.code, 0, "{other:?}");
    assert!(other.stderr.contains("is not valid for login.example.org"), "{other:?}");
    let short = check("oauth.session_ttl=10m");
    assert!(short.stderr.contains("oauth.session_ttl (10m) is shorter"), "{short:?}");
}

#[test]
fn config_check_reports_valid_and_invalid_settings() {
    let cli = Cli::new();
    assert_eq!(cli.run(&["config", "check"]).ok(), "the settings are valid");
    assert_eq!(cli.json(&["config", "check"]), serde_json::json!({ "ok": true }));
    cli.run(&["config", "check", "--set", "server.bind=0.0.0.0:5000"]).fails(78, "plain HTTP");
}

/// The check reports the errors with which `serve` would fail.
#[test]
fn config_check_reports_errors_that_would_stop_serve() {
    let cli = Cli::new();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let cert = cli.write("cert.pem", made.cert.pem());
    let key = cli.write("key.pem", made.signing_key.serialize_pem());
    let stray = cli.write("stray.pem", other.signing_key.serialize_pem());
    std::fs::create_dir(cli.path("pages")).unwrap();
    cli.write("pages/errors.html", "{{ nothing.of.that.name }}");
    std::fs::create_dir(cli.path("folder")).unwrap();
    let missing = cli.path("missing");
    let check = |settings: &[&str]| {
        let sets = settings.iter().flat_map(|setting| ["--set", setting]);
        cli.run(&["config", "check"].into_iter().chain(sets).collect::<Vec<_>>())
    };
    let (tls_cert, tls_key) = (format!("tls.cert={cert}"), format!("tls.key={key}"));
    check(&["tls.mode=files", &tls_cert, &tls_key]).ok();
    check(&["tls.mode=files", &tls_cert, &format!("tls.key={missing}")]).fails(78, &missing);
    check(&["tls.mode=files", &tls_cert, &format!("tls.key={stray}")])
        .fails(78, "do not work together");
    check(&[&format!("templates.dir={missing}")]).assert_failed(78, &missing);
    check(&[&format!("templates.dir={}", cli.path("pages"))]).assert_failed(78, "errors.html");
    check(&["redis.url=rediss://r", &format!("redis.tls_ca={missing}")]).fails(78, &missing);
    check(&[&format!("management.password_file={missing}")]).fails(78, &missing);
    check(&[&format!("store.path={}", cli.path("folder"))])
        .fails(78, "store.path: cannot open the store");
    check(&[&format!("store.path={cert}/sentinel.db")]).fails(78, "is not a folder");
    let mongodb = |uri: &str| check(&["store.backend=mongodb", &format!("mongo.uri={uri}")]);
    mongodb("mongodb://db:port").fails(78, "mongo.uri");
    let tls =
        |option: &str, path: &str| mongodb(&format!("mongodb://db/?tls=true&{option}={path}"));
    tls("tlsCAFile", &cert).ok();
    tls("tlsCAFile", &missing).fails(78, &format!("tlsCAFile in mongo.uri: cannot use {missing}"));
    tls("tlsCertificateKeyFile", &cert).fails(78, "it contains no PEM private key");
    let pair = cli.write("pair.pem", made.cert.pem() + &made.signing_key.serialize_pem());
    tls("tlsCertificateKeyFile", &pair).ok();

    let both = check(&[
        "tls.mode=files",
        &tls_cert,
        &format!("tls.key={missing}"),
        &format!("templates.dir={missing}"),
    ]);
    both.assert_failed(78, "2 problems in the settings:");
    assert!(
        both.stderr.contains("  - invalid templates (templates.dir)")
            && both.stderr.contains("  - cannot read the TLS key")
    );
    check(&["tls.mode=self-signed"]).ok();
    // The check creates no file.
    assert!(!cli.folder.path().join("sentinel.db").exists());
    assert!(!cli.folder.path().join("self-signed-cert.pem").exists());
}

#[test]
fn config_check_warns_about_ineffective_settings() {
    let cli = Cli::new();
    let done = cli.run(&["config", "check", "--set", "mongo.uri=mongodb://db.example"]);
    assert_eq!((done.code, done.stdout.trim_end()), (0, "the settings are valid"));
    assert_eq!(
        done.stderr,
        "sentinel: warning: the settings in [mongo] are ignored, because store.backend is \"embedded\"\n"
    );
    let mut command = cli.command();
    command.args(["config", "check"]).env("OAUTH2_PROVIDER_TOKEN_EXPIRES", "5");
    let done = finish(&mut command, b"");
    assert!(
        done.code == 0 && done.stderr.contains("did you mean OAUTH2_PROVIDER_TOKEN_EXPIRES_IN?")
    );
}

#[test]
fn log_level_applies_to_audit_events_of_commands() {
    let cli = Cli::new();
    for (name, level, is_told) in [
        ("alice", "info", true),
        ("bob", "off", false),
        ("carol", "error", false),
        ("dave", "off,audit=info", true),
        ("erin", "info,audit=off", false),
        ("frank", "trace", true),
    ] {
        let level = format!("log.level={level}");
        let done =
            cli.pipe("a password", &["user", "add", name, "--password-stdin", "--set", &level]);
        assert_eq!((done.code, done.remarks()), (0, String::new()), "{done:?}");
        assert_eq!(done.stderr.contains("user_added"), is_told, "{level}: {done:?}");
    }
}

#[test]
fn last_set_option_before_or_after_command_wins() {
    let cli = Cli::new();
    let before = ["--set", "oauth.session_ttl=7d", "--set", "oauth.access_token_ttl=1m"];
    let between = ["config", "--set", "oauth.refresh_idle_ttl=2d", "show", "--json"];
    let behind = ["--set", "oauth.access_token_ttl=2m", "--set", "log.level=debug"];
    let done = cli.run(&[&before[..], &between, &behind].concat());
    let settings = done.json();
    assert_eq!(settings["oauth"]["session_ttl"], "7d");
    assert_eq!(settings["oauth"]["refresh_idle_ttl"], "2d");
    assert_eq!(settings["oauth"]["access_token_ttl"], "2m");
    assert_eq!(settings["log"]["level"], "debug");
    assert_eq!(settings["store"]["path"], cli.path("sentinel.db"));
}

#[test]
fn help_and_version_exit_with_success() {
    let cli = Cli::new();
    assert!(cli.run(&["--version"]).ok().starts_with("sentinel "));
    for family in [&["--help"][..], &["user", "add", "--help"], &["help", "client", "edit"]] {
        assert!(cli.run(family).ok().contains("Usage: sentinel"));
    }
}

#[test]
fn manual_page_has_commands_options_and_exit_codes() {
    let cli = Cli::new();
    let page = cli.run(&["man"]);
    assert!(page.ok().contains(".TH sentinel 1"));
    for command in [
        "SENTINEL SERVE",
        "SENTINEL USER ADD",
        "SENTINEL CLIENT ROTATE\\-SECRET",
        "SENTINEL SESSION END",
        "SENTINEL IMPORT FLASK\\-SENTINEL",
        "SENTINEL STORE COPY",
        "SENTINEL CONFIG CHECK",
        "SENTINEL HEALTHCHECK",
    ] {
        assert!(page.stdout.contains(&format!(".SH \"{command}\"")), "{command}: {}", page.stdout);
    }
    for text in ["\\-\\-password\\-stdin", "\\-\\-dry\\-run", "EXIT STATUS", "\\fB75\\fR"] {
        assert!(page.stdout.contains(text), "{text}");
    }
}

/// A device never ends.
#[test]
fn file_of_setting_is_read_up_to_a_size() {
    let cli = Cli::new();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let cert = cli.write("cert.pem", made.cert.pem());
    let limit = "it is larger than 1 MiB";
    for setting in [
        "management.password_file=/dev/zero",
        "redis.url_file=/dev/zero",
        "mongo.password_file=/dev/urandom",
        "tls.cert=/dev/zero",
    ] {
        let more = ["--set", "tls.mode=files", "--set", "tls.key=/dev/zero"];
        let check = ["config", "check", "--set", setting];
        let done = cli.run(&[&check[..], &more].concat());
        assert!(done.code == 78 && done.stderr.contains(limit), "{setting}: {done:?}");
    }
    cli.run(&["config", "check", "--config", "/dev/zero"]).fails(78, limit);
    let key = ["--set", "tls.mode=files", "--set", &format!("tls.cert={cert}")];
    cli.run(&[&["config", "check", "--set", "tls.key=/dev/zero"], &key[..]].concat())
        .fails(78, limit);
    let redis = ["--set", "redis.url=rediss://r", "--set", "redis.tls_ca=/dev/zero"];
    cli.run(&[&["config", "check"], &redis[..]].concat()).fails(78, limit);
}

/// Shells and container runtimes pass secrets through pipes.
#[test]
fn secret_may_come_from_a_pipe() {
    let cli = Cli::new();
    let pipe = ["--set", "management.username=op", "--set", "management.password_file=/dev/stdin"];
    let check = [&["config", "check"], &pipe[..]].concat();
    cli.pipe("long enough a password\n", &check).ok();
    assert!(cli.pipe("short\n", &check).stderr.contains("management.password has fewer than 12"));
}

#[test]
fn files_that_every_user_can_read_or_change_are_reported() {
    use std::os::unix::fs::PermissionsExt;
    let cli = Cli::new();
    let set_mode = |path: &str, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let folder = cli.folder.path().to_str().unwrap().to_owned();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let cert = cli.write("cert.pem", made.cert.pem());
    let key = cli.write("key.pem", made.signing_key.serialize_pem());
    let secret = cli.write("secret", "long enough a password");
    let config = cli.write(
        "sentinel.toml",
        format!(
            "[management]\nusername = \"op\"\npassword_file = \"{secret}\"\n\
             [tls]\nmode = \"files\"\ncert = \"{cert}\"\nkey = \"{key}\"\n"
        ),
    );
    cli.add_user("alice", "long enough");
    let store = cli.path("sentinel.db");
    let files = [&store, &secret, &config, &key];
    let names = ["store.path", "management.password_file", "the settings file", "tls.key"];
    let check = || cli.run(&["config", "check", "--config", &config]);
    for file in files {
        set_mode(file, 0o640);
    }
    set_mode(&folder, 0o755);
    assert_eq!(check().ok(), "the settings are valid");
    for (file, name) in files.into_iter().zip(names) {
        for (mode, can) in [(0o644, "read"), (0o642, "change"), (0o646, "read and change")] {
            set_mode(file, mode);
            let done = check();
            let text = format!("{name}: every user of this machine can {can} {file}");
            // The settings file has no secret.
            let expected = !(name == "the settings file" && mode == 0o644);
            let text =
                if name == "the settings file" { text.replace("read and ", "") } else { text };
            assert_eq!(done.stderr.contains(&text), expected, "{mode:o} {file}: {done:?}");
            assert_eq!(done.code, 0, "{done:?}");
            // Other users cannot reach a file in a private folder.
            set_mode(&folder, 0o700);
            check().ok();
            set_mode(&folder, 0o755);
        }
        set_mode(file, 0o640);
    }
    set_mode(&folder, 0o777);
    let text = format!("every user of this machine can replace {secret}");
    assert!(check().stderr.contains(&text), "{:?}", check());
    // A folder like /tmp, in which only the owner of a file can replace it.
    set_mode(&folder, 0o1777);
    check().ok();
    cli.write("sentinel.toml", "[management]\nusername = \"op\"\npassword = \"a long password\"\n");
    set_mode(&config, 0o644);
    let text = format!("the settings file: every user of this machine can read {config}");
    assert!(check().stderr.contains(&text), "{:?}", check());
    let log = crate::startup::lines(cli.folder.path(), &["--config", &config]);
    assert!(log.iter().any(|line| line.contains(&text)), "{log:?}");
}
