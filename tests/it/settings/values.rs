//! Formats of the values.

use secrecy::ExposeSecret;
use std::time::Duration;

use sentinel::domain::Grant;
use sentinel::settings::{Bind, Settings};

use super::{env, flag_refused, from_env, from_flags, load_file, refused};

#[test]
fn durations_are_seconds_or_have_units() {
    for (text, seconds) in [
        ("3600", 3600),
        ("15m", 900),
        ("30d", 2_592_000),
        ("1h30m", 5400),
        (" 1h 30m ", 5400),
        ("1 h 1500ms 58s 500ms", 3660),
    ] {
        assert_eq!(
            from_flags(&[("oauth.session_ttl", text)]).oauth.lifetimes.session.as_secs(),
            seconds,
            "{text}"
        );
    }
    assert_eq!(
        load_file("[oauth]\nsession_ttl = 90").unwrap().oauth.lifetimes.session.as_secs(),
        90
    );
    assert_eq!(
        load_file("[oauth]\nsession_ttl = \"90\"").unwrap().oauth.lifetimes.session.as_secs(),
        90
    );
    for text in [
        "-5",
        "-5m",
        "",
        "5 parsecs",
        "1.5",
        "0",
        "500ms",
        "99999999999999",
        "18446744073709551615",
        // Months and years have no fixed length, and `15M` is a typo for minutes.
        "15M",
        "1mo",
        "2months",
        "1y",
        "200y",
        "2w",
        "15min",
        "1hour",
        "30S",
        "5D",
        "1h30",
        "30 1h",
        "m",
        "h1",
        "1h,30m",
        "1_0m",
        "١m",
        "36501d",
        "99999999999999999999d",
        "999999999999999999d",
    ] {
        let message = flag_refused("oauth.session_ttl", text);
        assert!(message.contains("expected a duration"), "{text}");
        assert!(message.contains("numbers with s, m, h or d"), "{text}: {message}");
    }
    for text in ["-5", "1.5", "15M"] {
        let message = flag_refused("oauth.refresh_grace", text);
        assert!(message.contains("numbers with ms, s, m, h or d"), "{text}: {message}");
    }
    assert!(load_file("[oauth]\nsession_ttl = -1").is_err());
    assert!(load_file("[oauth]\nsession_ttl = 1.5").is_err());
}

#[test]
fn zero_duration_is_rejected_except_for_refresh_grace() {
    assert_eq!(
        from_flags(&[("oauth.refresh_grace", "0")]).oauth.lifetimes.refresh_grace,
        Duration::ZERO
    );
    for key in [
        "oauth.access_token_ttl",
        "oauth.refresh_idle_ttl",
        "oauth.session_ttl",
        "throttle.window",
        "server.request_timeout",
    ] {
        assert!(flag_refused(key, "0").contains(key));
    }
}

#[test]
fn sizes_are_bytes_or_have_units() {
    for (text, bytes) in [("512", 512), ("16KiB", 16384), ("1MB", 1_000_000), ("2 MiB", 2_097_152)]
    {
        assert_eq!(from_flags(&[("server.max_body", text)]).server.max_body, bytes);
    }
    assert_eq!(load_file("[server]\nmax_body = 99").unwrap().server.max_body, 99);
    for text in ["0", "-1", "big"] {
        assert!(flag_refused("server.max_body", text).contains("expected a size"));
    }
}

#[test]
fn max_connections_and_workers_outside_their_range_are_rejected() {
    assert_eq!(from_flags(&[("server.max_connections", "1")]).server.max_connections, 1);
    assert_eq!(from_flags(&[("server.workers", "512")]).server.workers, 512);
    for (key, text) in [
        ("server.max_connections", "0"),
        ("server.max_connections", "-1"),
        ("server.max_connections", "1000001"),
        ("server.workers", "513"),
    ] {
        assert!(flag_refused(key, text).contains("expected a whole number"), "{key} {text}");
    }
}

#[test]
fn binds_are_host_and_port_or_a_unix_socket() {
    for good in ["127.0.0.1:0", "localhost:80", "[::1]:5000", "unix:/run/s.sock"] {
        let bind = &from_flags(&[("server.bind", good)]).server.bind[0];
        assert_eq!(bind.to_string(), good);
        assert!(bind.is_local());
    }
    for bad in [
        "",
        "localhost",
        ":5000",
        "127.0.0.1:",
        "127.0.0.1:70000",
        "::1:5000",
        "1.2.3:80",
        "unix:",
        "a b:1",
        "h:+1",
    ] {
        assert!(flag_refused("server.bind", bad).contains("server.bind"), "{bad}");
    }
    assert_eq!(
        from_flags(&[("metrics.bind", "0.0.0.0:9")]).metrics.bind,
        Some(Bind::Tcp("0.0.0.0:9".into()))
    );
    assert!(flag_refused("metrics.bind", "9").contains("metrics.bind"));
}

#[test]
fn trusted_proxies_are_networks_or_addresses_with_ipv4_mapped_as_ipv4() {
    let text = "10.0.0.0/8,192.0.2.1,::1,2001:db8::/32,::ffff:10.1.0.0/112,::ffff:10.2.0.1";
    let nets = from_flags(&[("server.trusted_proxies", text)]).server.trusted_proxies;
    let shown: Vec<_> = nets.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        ["10.0.0.0/8", "192.0.2.1/32", "::1/128", "2001:db8::/32", "10.1.0.0/16", "10.2.0.1/32"]
    );
    for bad in ["10.0.0.0/33", "proxy", "10.0.0"] {
        assert!(flag_refused("server.trusted_proxies", bad).contains("CIDR"));
    }
}

#[test]
fn public_url_is_absolute_http_url_without_trailing_slash() {
    for (text, url) in [
        ("https://id.example.org/", "https://id.example.org"),
        ("http://localhost:5000", "http://localhost:5000"),
        ("https://example.org/auth/", "https://example.org/auth"),
        ("https://[::1]:8443", "https://[::1]:8443"),
    ] {
        assert_eq!(
            from_flags(&[("server.public_url", text)]).server.public_url.as_deref(),
            Some(url)
        );
    }
    for bad in [
        "id.example.org",
        "/auth",
        "ftp://a.b",
        "https://",
        "https:///x",
        "https://a.b?x=1",
        "https://a.b/#x",
        "https://u:p@a.b",
        "https://a b",
    ] {
        assert!(
            flag_refused("server.public_url", bad).contains("absolute http or https URL"),
            "{bad}"
        );
    }
}

#[test]
fn endpoint_paths_have_the_prefix_and_can_be_switched_off() {
    let oauth = Settings::builtin().unwrap().oauth;
    assert_eq!(oauth.token_path().as_deref(), Some("/oauth/token"));
    assert_eq!(oauth.introspection_path().as_deref(), Some("/oauth/introspect"));
    assert_eq!(oauth.revocation_path().as_deref(), Some("/oauth/revoke"));
    assert_eq!(oauth.verify_path().as_deref(), Some("/oauth/verify"));
    let s = Settings::builtin().unwrap();
    assert_eq!(s.management.path(&s.oauth).as_deref(), Some("/oauth/management"));
    for (prefix, token) in
        [("", "/token"), ("/", "/token"), ("/x", "/x/token"), ("/x/y/", "/x/y/token")]
    {
        let oauth = from_flags(&[("oauth.route_prefix", prefix)]).oauth;
        assert_eq!(oauth.token_path().as_deref(), Some(token));
        assert_eq!(oauth.metadata_url.as_deref(), Some("/.well-known/oauth-authorization-server"));
    }
    for off in ["false", "False", "FALSE"] {
        let s = from_flags(&[
            ("oauth.verify_url", off),
            ("oauth.error_uri", off),
            ("oauth.metadata_url", off),
        ]);
        assert_eq!(
            (s.oauth.verify_path(), s.oauth.error_uri, s.oauth.metadata_url),
            (None, None, None)
        );
    }
    for off in ["false", "\"False\""] {
        assert_eq!(
            load_file(&format!("[oauth]\ntoken_url = {off}")).unwrap().oauth.token_path(),
            None
        );
    }
    for bad in ["token", "/a b", "/t?x", "/t#x", "//t", "/{t}"] {
        assert!(flag_refused("oauth.token_url", bad).contains("starts with \"/\""), "{bad}");
    }
    assert!(flag_refused("oauth.error_uri", "errors").contains("absolute URL"));
}

/// In a compose file, `SENTINEL_TOKEN_URL=${TOKEN_URL}` is empty if the variable is not set.
#[test]
fn empty_value_does_not_disable_an_endpoint() {
    const URLS: [&str; 7] = [
        "oauth.token_url",
        "oauth.introspection_url",
        "oauth.revocation_url",
        "oauth.verify_url",
        "oauth.metadata_url",
        "oauth.error_uri",
        "management.url",
    ];
    for key in URLS {
        for empty in ["", " "] {
            let message = flag_refused(key, empty);
            assert!(
                message.contains(&format!("{key} = \"{empty}\" on the command line")),
                "{message}"
            );
            assert!(message.ends_with("or false to switch it off"), "{message}");
        }
        let (table, name) = key.split_once('.').unwrap();
        let message = load_file(&format!("[{table}]\n{name} = \"\"")).unwrap_err().to_string();
        assert!(message.contains(&format!("{key} = \"\" in ")), "{message}");
        let variable = format!("SENTINEL_{}__{}", table.to_uppercase(), name.to_uppercase());
        let message = refused(&env(&[(&variable, "")]));
        assert!(message.contains(&format!("{key} = \"\" from {variable}")), "{message}");
    }
    for old in ["SENTINEL_TOKEN_URL", "SENTINEL_MANAGEMENT_URL", "OAUTH2_PROVIDER_ERROR_URI"] {
        let message = refused(&env(&[(old, "")]));
        assert!(message.contains(&format!("from {old}: expected a path")), "{message}");
        assert!(load_file(&format!("{old} = \"\"")).is_err());
    }
    // An empty prefix is valid.
    assert_eq!(from_flags(&[("oauth.route_prefix", "")]).oauth.route_prefix, "");
}

#[test]
fn grants_must_be_known_and_not_empty() {
    let grants =
        from_flags(&[("oauth.grants", "refresh_token,password,refresh_token")]).oauth.grants;
    assert_eq!(grants, [Grant::RefreshToken, Grant::Password]);
    assert!(flag_refused("oauth.grants", "implicit").contains("\"client_credentials\""));
    assert!(flag_refused("oauth.grants", "").contains("oauth.grants"));
    assert_eq!(Grant::ClientCredentials.to_string(), "client_credentials");
}

#[test]
fn allowed_headers_are_header_names() {
    let headers = from_flags(&[("cors.allowed_headers", "traceparent,X-Requested-With")]);
    assert_eq!(headers.cors.allowed_headers, ["traceparent", "x-requested-with"]);
    for bad in ["*", "x y", "x:y", "h\u{e4}nder", "[\"\"]", "\"x\"", "a/b"] {
        let refused = flag_refused("cors.allowed_headers", bad);
        assert!(refused.contains("the name of a request header"), "{bad}: {refused}");
    }
}

#[test]
fn allowed_origins_are_a_star_or_scheme_host_and_port() {
    let origins = from_flags(&[("cors.allowed_origins", "*,https://A.example.org:8443")])
        .cors
        .allowed_origins;
    assert_eq!(origins, ["*", "https://a.example.org:8443"]);
    for bad in ["a.example.org", "https://a.b/", "https://", "https://a.b/x", "https://*.b"] {
        assert!(flag_refused("cors.allowed_origins", bad).contains("scheme://host"), "{bad}");
    }
}

#[test]
fn log_levels_are_levels_or_directives() {
    for good in [
        "debug",
        "WARN",
        "info,sentinel::store=debug",
        "info, sentinel::store=debug",
        "sentinel=trace",
        "[call]=debug",
    ] {
        assert_eq!(from_flags(&[("log.level", good)]).log.level, good.replace(", ", ","));
    }
    for bad in ["", "inof", "info,sentinel", "x=loud", "[=debug", "a[b=info", "x[{=debug"] {
        assert!(flag_refused("log.level", bad).contains("log.level"), "{bad}");
    }
}

/// OpenTelemetry Protocol Exporter: a URL without a path is the base of all signals, and traces are
/// sent to `v1/traces` below it.
#[test]
fn traces_endpoint_without_path_gets_v1_traces() {
    for (given, meant) in [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        ("https://otel.example.org/", "https://otel.example.org/v1/traces"),
        ("http://127.0.0.1:4318/v1/traces", "http://127.0.0.1:4318/v1/traces"),
        ("http://127.0.0.1/otel", "http://127.0.0.1/otel"),
    ] {
        let settings = from_flags(&[("traces.endpoint", given)]);
        assert_eq!(settings.traces.endpoint.as_deref(), Some(meant));
        assert_eq!(settings.to_table()["traces"]["endpoint"].as_str(), Some(meant));
    }
}

#[test]
fn lifetimes_are_whole_seconds_of_at_least_one() {
    for key in ["oauth.access_token_ttl", "oauth.refresh_idle_ttl", "oauth.session_ttl"] {
        for bad in ["1500ms", "0", "999ms", "36501d"] {
            assert!(flag_refused(key, bad).contains("whole seconds"), "{key} {bad}");
        }
        from_flags(&[(key, "1000ms"), ("oauth.refresh_grace", "1500ms")]);
    }
}

#[test]
fn byte_order_mark_and_trailing_line_breaks_are_removed_from_values() {
    let s = from_env(&[
        ("SENTINEL_MANAGEMENT_USERNAME", "\u{feff}op\r\n"),
        ("SENTINEL_MANAGEMENT__PASSWORD", "pw\n\n"),
        ("SENTINEL_REDIS__URL", "\n"),
        ("SENTINEL_SERVER__BIND", "127.0.0.1:1,\n\t127.0.0.1:2\n"),
        ("SENTINEL_TLS__MODE", "self-signed\n"),
    ]);
    let (username, password) = s.management.credentials().unwrap();
    assert_eq!((username, password.expose_secret()), ("op", "pw"));
    assert!(s.redis.url.is_none());
    assert_eq!(s.server.bind.len(), 2);
    let s = load_file("\u{feff}[server]\npublic_url = \"\"\"https://example.org\n\"\"\"").unwrap();
    assert_eq!(s.server.public_url.as_deref(), Some("https://example.org"));
}

#[test]
fn invisible_characters_in_values_are_refused() {
    for (value, character) in [
        ("pw\u{200b}", "U+200B"),
        ("p\u{feff}w", "U+FEFF"),
        ("p\nw", "U+000A"),
        ("pw\t", "U+0009"),
        ("pw\u{a0}", "U+00A0"),
        ("\u{202e}pw", "U+202E"),
    ] {
        let message = refused(&env(&[("SENTINEL_MANAGEMENT__PASSWORD", value)]));
        assert_eq!(
            message,
            format!(
                "management.password from SENTINEL_MANAGEMENT__PASSWORD contains the invisible \
                 character {character}; remove it, or write the value anew"
            )
        );
    }
    for key in ["mongo.host", "store.path", "log.level", "password.queue", "server.bind"] {
        let message = flag_refused(key, "1\u{200d}");
        assert!(message.starts_with(key) && message.contains("U+200D"), "{message}");
    }
    let message = load_file("[cors]\nallowed_origins = [\"https://a\\n\"]").unwrap();
    assert_eq!(message.cors.allowed_origins, ["https://a"]);
    let message = load_file("[cors]\nallowed_origins = [\"https://a\\u200B\"]").unwrap_err();
    assert!(message.to_string().contains("U+200B"), "{message}");
}

#[test]
fn quotation_marks_around_value_cause_warning() {
    for value in ["\"long password\"", "'long password'", "“long password”"] {
        let s = from_env(&[
            ("SENTINEL_MANAGEMENT__USERNAME", "op"),
            ("SENTINEL_MANAGEMENT__PASSWORD", value),
        ]);
        assert_eq!(s.management.credentials().unwrap().1.expose_secret(), value);
        assert_eq!(
            s.warnings(),
            ["management.password from SENTINEL_MANAGEMENT__PASSWORD begins and ends with a \
              quotation mark, and both are part of the value; remove them if they are not meant"]
        );
    }
    assert!(from_flags(&[("server.bind", "[\"127.0.0.1:1\"]")]).warnings().is_empty());
}

#[test]
fn redis_database_is_taken_from_path_or_parameter_as_in_redis_py() {
    for (url, read) in [
        ("redis://h?db=2", "redis://h/2"),
        ("redis://u:p%3F@h:1/?db=2", "redis://u:p%3F@h:1/2"),
        ("rediss://h/2?db=2", "rediss://h/2"),
        ("redis://h/2", "redis://h/2"),
        ("unix:///run/redis.sock?db=2", "unix:///run/redis.sock?db=2"),
        (
            "unix:///run/redis.sock?username=a&password=p%26w&db=1",
            "unix:///run/redis.sock?user=a&pass=p%26w&db=1",
        ),
    ] {
        let settings = from_flags(&[("redis.url", url)]);
        assert_eq!(settings.redis.url.unwrap().expose_secret(), read);
    }
}

#[test]
fn redis_url_with_parts_that_would_be_ignored_is_refused() {
    for url in [
        "redis://h?db=x",
        "redis://h/1?db=2",
        "redis://h?db=1&db=2",
        "redis://h?ssl_cert_reqs=none",
        "redis://:pw?hunter2@h",
        "redis://:pw#hunter2@h",
        "rediss://h#insecure",
        "unix:///s?database=1",
    ] {
        let message = flag_refused("redis.url", url);
        assert!(message.starts_with("redis.url ") && !message.contains("hunter2"), "{message}");
    }
}

#[test]
fn settings_of_flask_pymongo_without_effect_cause_warning() {
    let names = [
        "SENTINEL_MONGO_AUTH_MECHANISM",
        "SENTINEL_MONGO_CONNECT",
        "SENTINEL_MONGO_AUTO_START_REQUEST",
    ];
    for name in names {
        let settings = from_env(&[(name, "SCRAM-SHA-1")]);
        let [warning] = settings.warnings() else { panic!("{:?}", settings.warnings()) };
        assert!(warning.starts_with(&format!("{name} is ignored: ")), "{warning}");
        let settings = load_file(&format!("{name} = true")).unwrap();
        let [warning] = settings.warnings() else { panic!("{:?}", settings.warnings()) };
        assert!(warning.starts_with(&format!("{name} in ")), "{warning}");
    }
}
