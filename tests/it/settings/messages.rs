//! Messages about unknown names and wrong values.

use std::ffi::OsString;

use sentinel::settings::{Error, SettingProblem, Settings, Sources};

use super::{env, file, flag_refused, flags, load_file, refused};

#[test]
fn unreadable_settings_file_is_named_without_its_content() {
    let missing = Sources { file: Some("/nowhere/sentinel.toml".into()), ..Sources::default() };
    assert_eq!(refused(&missing), "cannot read the settings file /nowhere/sentinel.toml");
    let (_dir, broken) = file("[management]\nusername = \"op\"\npassword = \"hunter2\n");
    let error = Settings::load(&broken).unwrap_err();
    assert!(error.to_string().contains("sentinel.toml is not valid TOML at line 3"), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    let (_dir, broken) = file("[management]\npassword = hunter2\n");
    let error = Settings::load(&broken).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
}

#[test]
fn unknown_key_in_file_is_reported_with_file_and_suggestions() {
    let (_dir, sources) = file("[oauth]\nacess_token_ttl = \"1h\"\n");
    let path = sources.file.clone().unwrap();
    assert_eq!(
        refused(&sources),
        format!(
            "unknown setting oauth.acess_token_ttl in {}; did you mean oauth.access_token_ttl?",
            path.display()
        )
    );
}

#[test]
fn unknown_tables_and_top_level_names_are_rejected_with_suggestions() {
    for (text, unknown, meant) in [
        ("[oath]\ntoken_url = \"/t\"", "oath.token_url", "oauth.token_url"),
        ("access_token_ttl = 5", "access_token_ttl", "oauth.access_token_ttl"),
        ("[server]\naccess_token_ttl = 5", "server.access_token_ttl", "oauth.access_token_ttl"),
        ("SENTINEL_TOKEN_URI = \"/t\"", "SENTINEL_TOKEN_URI", "SENTINEL_TOKEN_URL"),
        ("[oauth.token_url]\nx = 1", "oauth.token_url.x", "oauth.token_url"),
        ("[Oauth]\ntoken_url = 1", "Oauth.token_url", "oauth.token_url"),
    ] {
        let message = load_file(text).unwrap_err().to_string();
        assert!(message.contains(&format!("unknown setting {unknown} in ")), "{message}");
        assert!(message.contains(meant), "{message}");
    }
    for text in ["oauth = 3", "[oath]", "[[server]]\nbind = []", "[qqqqqq]\nzzzzzz = 1"] {
        assert!(load_file(text).unwrap_err().to_string().contains("unknown setting"), "{text}");
    }
}

#[test]
fn unknown_variable_is_reported_as_written_with_suggestions() {
    assert_eq!(
        refused(&env(&[("SENTINEL_OAUTH__Acess_token_ttl", "1h")])),
        "unknown environment variable SENTINEL_OAUTH__Acess_token_ttl; did you mean SENTINEL_OAUTH__ACCESS_TOKEN_TTL?"
    );
    for (name, meant) in [
        ("SENTINEL_OAUTH_ACCESS_TOKEN_TTL", "SENTINEL_OAUTH__ACCESS_TOKEN_TTL"),
        ("SENTINEL_TOKEN_URI", "SENTINEL_TOKEN_URL"),
        ("SENTINEL_LOG_LEVEL", "SENTINEL_LOG__LEVEL"),
    ] {
        assert!(refused(&env(&[(name, "x")])).contains(meant), "{}", refused(&env(&[(name, "x")])));
    }
}

#[test]
fn unknown_flag_is_reported_with_at_most_three_suggestions() {
    assert_eq!(
        flag_refused("sever.bind", "x"),
        "unknown setting sever.bind on the command line; did you mean server.bind or metrics.bind?"
    );
    let Err(Error::Invalid(problems)) = Settings::load(&flags(&[("x.url", "y")])) else {
        unreachable!()
    };
    let [SettingProblem::Unknown { nearest, .. }] = &problems[..] else { unreachable!() };
    assert!((1..=3).contains(&nearest.len()), "{nearest:?}");
    assert_eq!(
        flag_refused("zzzzzzzz", "x"),
        "unknown setting zzzzzzzz on the command line; `sentinel config show` lists all settings"
    );
}

#[test]
fn unknown_key_without_similar_name_lists_keys_of_its_table() {
    let listed = "; the settings in [compat] are flask_sentinel_status";
    for text in ["[compat.foo]", "[compat]\nfoo = 1", "[compat.foo]\nbar = 1"] {
        let message = load_file(text).unwrap_err().to_string();
        assert!(message.starts_with("unknown setting compat.foo"), "{message}");
        assert!(message.ends_with(listed), "{message}");
    }
    assert!(flag_refused("compat.foo", "1").ends_with(listed));
    assert!(refused(&env(&[("SENTINEL_COMPAT__FOO", "1")])).ends_with(listed));
}

#[test]
fn table_given_as_value_is_reported_as_a_table() {
    let listed = "; the settings in [metrics] are bind";
    for text in ["metrics = 1", "metrics = []", "[[metrics]]\nbind = \"secret\""] {
        let message = load_file(text).unwrap_err().to_string();
        assert!(message.starts_with("unknown setting metrics in "), "{message}");
        assert!(message.ends_with(listed), "{message}");
    }
    assert!(flag_refused("metrics", "1").ends_with(listed));
    assert!(refused(&env(&[("SENTINEL_METRICS", "1")])).ends_with(listed));
}

#[test]
fn dissimilar_names_are_not_suggested() {
    let nothing = "; `sentinel config show` lists all settings";
    for text in ["foo = 1", "[bogus]", "[bogus]\nx = 1", "SENTINEL_DEBUG = true"] {
        let message = load_file(text).unwrap_err().to_string();
        assert!(message.ends_with(nothing), "{message}");
    }
    assert!(flag_refused("a.b.c", "1").ends_with(nothing));
    for name in ["SENTINEL_DEBUG", "SENTINEL_SECRET_KEY", "SENTINEL_X"] {
        let message = refused(&env(&[(name, "1")]));
        assert!(message.ends_with(nothing), "{message}");
    }
    for name in ["SENTINEL_HOST", "SENTINEL_PORT"] {
        let message = refused(&env(&[(name, "5000")]));
        assert!(message.ends_with("did you mean SENTINEL_SERVER__BIND?"), "{message}");
    }
    assert!(load_file("[oath]").unwrap_err().to_string().ends_with("; did you mean [oauth]?"));
}

/// These names share the prefix of two supported ones, but may belong to another program.
#[test]
fn ineffective_flask_oauthlib_variables_cause_a_warning() {
    let warnings = |name: &str| Settings::load(&env(&[(name, "x")])).unwrap().warnings().to_vec();
    assert_eq!(
        warnings("OAUTH2_PROVIDER_TOKEN_EXPIRES"),
        [
            "OAUTH2_PROVIDER_TOKEN_EXPIRES is ignored; did you mean OAUTH2_PROVIDER_TOKEN_EXPIRES_IN?"
        ]
    );
    assert_eq!(
        warnings("OAUTH2_PROVIDER_TOKEN_GENERATOR"),
        ["OAUTH2_PROVIDER_TOKEN_GENERATOR is ignored; only OAUTH2_PROVIDER_TOKEN_EXPIRES_IN and \
             OAUTH2_PROVIDER_ERROR_URI are read"]
    );
    assert!(warnings("OAUTH2_PROVIDER_ERROR_ENDPOINT")[0].contains("is ignored"));
    assert!(Settings::builtin().unwrap().warnings().is_empty());
    assert!(load_file("OAUTH2_PROVIDER_TOKEN_GENERATOR = \"x\"").is_err());
}

/// Otherwise plain HTTP or the system's CA certificates would be used silently.
#[test]
fn unused_certificate_settings_cause_a_warning() {
    let warnings = |given: &[(&str, &str)]| {
        let given = flags(given);
        Settings::load(&given).unwrap().warnings().join("; ")
    };
    let files = [("tls.cert", "c.pem"), ("tls.key", "k.pem")];
    assert_eq!(
        warnings(&files),
        "tls.cert and tls.key are ignored, because tls.mode is \"off\"; set it to \"files\" to use them"
    );
    let mode = |mode| [&files[..1], &[("tls.mode", mode)]].concat();
    assert!(
        warnings(&mode("self-signed"))
            .starts_with("tls.cert is ignored, because tls.mode is \"self")
    );
    assert_eq!(warnings(&[&files[..], &[("tls.mode", "files")]].concat()), "");

    let redis =
        [("redis.tls_ca", "a.pem"), ("redis.tls_cert", "c.pem"), ("redis.tls_key", "k.pem")];
    assert_eq!(
        warnings(&redis),
        "redis.tls_ca, redis.tls_cert and redis.tls_key are ignored, because redis.url is not set"
    );
    assert_eq!(warnings(&[&redis[..], &[("redis.url", "rediss://h")]].concat()), "");
}

#[test]
fn wrong_value_is_reported_with_key_value_source_and_expectation() {
    assert_eq!(
        refused(&env(&[("SENTINEL_OAUTH__ACCESS_TOKEN_TTL", "soon")])),
        "oauth.access_token_ttl = \"soon\" from SENTINEL_OAUTH__ACCESS_TOKEN_TTL: expected a duration of at least 1s, in \
         whole seconds: 3600, or numbers with s, m, h or d, such as \"15m\" or \"1h30m\""
    );
    let (_dir, sources) = file("[password]\nbcrypt_cost = 3\nSENTINEL = 1\n");
    let message = refused(&sources);
    let path = sources.file.unwrap().display().to_string();
    assert!(message.contains(&format!(
        "password.bcrypt_cost = 3 in {path}: expected a whole number from 4 to 16"
    )));
    assert!(
        refused(&env(&[("OAUTH2_PROVIDER_TOKEN_EXPIRES_IN", "x")]))
            .contains("from OAUTH2_PROVIDER_TOKEN_EXPIRES_IN")
    );
    assert!(flag_refused("log.format", "xml").contains(r#"one of "auto", "pretty", "json""#));
    for wrong in [
        "[server]\nworkers = \"many\"",
        "[server]\nworkers = 1.5",
        "[server]\nworkers = -1",
        "[server]\nbind = [5000]",
        "[server]\nbind = 5000",
        "[server]\nallow_plain_http = \"yes\"",
        "[oauth]\ntoken_url = true",
        "[oauth]\ntoken_url = [\"/t\"]",
        "[store]\npath = 5",
        "[log]\nlevel = \"inof\"",
        "[mongo]\nport = 70000",
    ] {
        let message = load_file(wrong).unwrap_err().to_string();
        assert!(message.contains(": expected "), "{wrong}: {message}");
    }
}

#[test]
fn all_problems_are_reported_together() {
    let (_dir, mut sources) = file("[oauth]\ntoken_ulr = \"/t\"\nsession_ttl = 0\n");
    sources.env =
        env(&[("SENTINEL_SEVER__BIND", "x"), ("SENTINEL_PASSWORD__BCRYPT_COST", "40")]).env;
    sources.overrides = flags(&[("log.format", "xml")]).overrides;
    let message = refused(&sources);
    assert!(message.starts_with("5 settings are invalid:\n  - "), "{message}");
    for part in [
        "oauth.token_ulr",
        "oauth.session_ttl",
        "SENTINEL_SEVER__BIND",
        "password.bcrypt_cost",
        "log.format",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[cfg(unix)]
#[test]
fn non_utf8_variable_is_an_error_only_with_sentinel_prefix() {
    use std::os::unix::ffi::OsStringExt;
    let bad = || OsString::from_vec(vec![0x66, 0xff]);
    let sources = |name: &str| Sources { env: vec![(name.into(), bad())], ..Sources::default() };
    assert_eq!(
        refused(&sources("SENTINEL_STORE__PATH")),
        "the environment variable SENTINEL_STORE__PATH is not valid UTF-8"
    );
    assert!(Settings::load(&sources("LESSOPEN")).is_ok());
    assert!(Settings::load(&sources("OAUTH2_PROVIDER_X")).is_ok());
}
