//! Checks that involve several settings.

use secrecy::ExposeSecret;
use sentinel::password::HashScheme;
use sentinel::settings::{Settings, TlsMode};

use super::{env, file, flag_refused, flags, from_flags, refused};

#[test]
fn non_loopback_plain_http_listener_is_rejected_with_remedies() {
    for bind in [
        "0.0.0.0:5000",
        "[::]:5000",
        "192.168.0.1:80",
        "sentinel.example.org:80",
        "127.0.0.1:1,0.0.0.0:5000",
    ] {
        let message = flag_refused("server.bind", bind);
        for part in ["plain HTTP", "tls.mode", "server.trusted_proxies", "server.allow_plain_http"]
        {
            assert!(message.contains(part), "{message}");
        }
        from_flags(&[("server.bind", bind), ("server.allow_plain_http", "true")]);
        from_flags(&[("server.bind", bind), ("server.trusted_proxies", "10.0.0.0/8")]);
        from_flags(&[("server.bind", bind), ("tls.mode", "self-signed")]);
    }
    from_flags(&[("server.bind", "127.9.9.9:1,[::ffff:127.0.0.1]:2,LOCALHOST:3,unix:/run/s.sock")]);
}

#[test]
fn two_endpoints_at_one_path_are_refused() {
    assert_eq!(
        flag_refused("oauth.verify_url", "/token"),
        "oauth.token_url and oauth.verify_url have the same path, /oauth/token; change one of them"
    );
}

#[test]
fn endpoint_below_the_path_of_verify_is_refused() {
    assert_eq!(
        flag_refused("oauth.token_url", "/verify/token"),
        "oauth.token_url has the path /oauth/verify/token, which is below that of \
         oauth.verify_url; proxies append the paths of their callers there, so change one of them"
    );
    from_flags(&[("oauth.token_url", "/verify-token"), ("oauth.verify_url", "/verify/")]);
}

/// The endpoint and the probe would shadow each other.
#[test]
fn endpoint_at_the_path_of_a_probe_is_refused() {
    for path in ["/healthz", "/readyz"] {
        let given = [("oauth.route_prefix", ""), ("oauth.token_url", path)];
        let output_text =
            format!("the probe and oauth.token_url have the same path, {path}; change one of them");
        assert_eq!(refused(&flags(&given)), output_text);
        for key in ["oauth.metadata_url", "oauth.error_uri"] {
            assert!(flag_refused(key, path).contains("the probe"), "{key}");
        }
        from_flags(&[("oauth.token_url", path)]);
    }
}

#[test]
fn one_address_for_two_listeners_is_refused() {
    for (bind, metrics, output_text) in [
        ("127.0.0.1:5000,127.0.0.1:5000", "", "server.bind lists 127.0.0.1:5000 twice; remove one"),
        ("unix:/run/a,unix:/run/a", "", "server.bind lists unix:/run/a twice; remove one"),
        (
            "127.0.0.1:1,127.0.0.1:2",
            "127.0.0.1:2",
            "server.bind and metrics.bind have the same address, 127.0.0.1:2; change one of them",
        ),
    ] {
        let given = [("server.bind", bind), ("metrics.bind", metrics)];
        assert_eq!(refused(&flags(&given)), output_text);
    }
    from_flags(&[("server.bind", "127.0.0.1:0,127.0.0.1:0"), ("metrics.bind", "127.0.0.1:0")]);
}

#[test]
fn tls_from_files_needs_both_files() {
    let message = flag_refused("tls.mode", "files");
    assert!(message.contains("needs tls.cert") && message.contains("needs tls.key"), "{message}");
    let tls = from_flags(&[("tls.mode", "files"), ("tls.cert", "c.pem"), ("tls.key", "k.pem")]).tls;
    assert_eq!(
        (tls.mode, tls.cert, tls.key),
        (TlsMode::Files, Some("c.pem".into()), Some("k.pem".into()))
    );
}

#[test]
fn hashing_parameters_outside_scheme_limits_are_rejected() {
    assert!(
        refused(&flags(&[("password.memory_kib", "31"), ("password.parallelism", "4")]))
            .contains("at least 32")
    );
    from_flags(&[("password.memory_kib", "32"), ("password.parallelism", "4")]);
    for (key, bad) in [
        ("password.bcrypt_cost", "3"),
        ("password.bcrypt_cost", "17"),
        ("password.iterations", "0"),
        ("password.parallelism", "0"),
        ("password.parallelism", "256"),
        ("password.memory_kib", "1048577"),
        ("password.queue", "0"),
        ("password.min_length", "0"),
        ("password.min_length", "65"),
        ("password.scheme", "md5"),
        ("throttle.failures_per_user", "0"),
    ] {
        assert!(flag_refused(key, bad).contains(key));
    }
    assert_eq!(from_flags(&[("password.min_length", "64")]).password.min_length, 64);
    assert_eq!(from_flags(&[("password.scheme", "bcrypt")]).password.scheme, HashScheme::Bcrypt);
}

#[test]
fn management_username_and_password_must_be_set_together() {
    for key in ["management.username", "management.password"] {
        assert!(flag_refused(key, "op").contains("set both or neither"));
    }
    assert!(
        refused(&flags(&[("management.username", "a:b"), ("management.password", "x")]))
            .contains("no colon")
    );
}

#[test]
fn mongodb_username_requires_password_unless_mechanism_is_x509() {
    assert!(flag_refused("mongo.password", "x").contains("mongo.username is not"));
    assert!(flag_refused("mongo.username", "x").contains("mongo.password_file) is not"));
    from_flags(&[("mongo.username", "x"), ("mongo.password", "y")]);
    let with = |mechanism: &str| {
        let uri = format!("mongodb://h/?tls=true&authMechanism={mechanism}");
        Settings::load(&flags(&[("mongo.username", "x"), ("mongo.uri", &uri)]))
    };
    assert!(with("SCRAM-SHA-256").is_err() && with("PLAIN").is_err());
    with("MONGODB-X509").unwrap();
    // An unreadable password file does not cause a second error about the missing password.
    let given = [("mongo.username", "x"), ("mongo.password_file", "/nowhere")];
    assert!(!refused(&flags(&given)).contains("both"), "{}", refused(&flags(&given)));
}

#[test]
fn mongodb_host_overrides_uri_of_earlier_layer_but_not_of_its_own() {
    let uri = |given: &[(&str, &str)]| from_flags(given).mongo.uri.expose_secret().to_owned();
    assert_eq!(uri(&[("mongo.host", "db")]), "mongodb://db:27017");
    assert_eq!(uri(&[("mongo.port", "1")]), "mongodb://localhost:1");
    assert_eq!(uri(&[("mongo.host", "::1"), ("mongo.port", "1")]), "mongodb://[::1]:1");
    assert_eq!(uri(&[("mongo.host", "db"), ("mongo.uri", "mongodb://u")]), "mongodb://u");
    let (_dir, mut sources) = file("[mongo]\nuri = \"mongodb://u\"\n");
    sources.env = env(&[("SENTINEL_MONGO_HOST", "db")]).env;
    let mongo = Settings::load(&sources).unwrap();
    assert_eq!(mongo.mongo.uri.expose_secret(), "mongodb://db:27017");
    assert_eq!(mongo.to_table()["mongo"]["uri"].as_str(), Some("mongodb://db:27017"));
}

/// Compose files set a variable without a value to the empty string.
#[test]
fn empty_values_do_not_change_the_mongodb_uri() {
    let uri = |given: &[(&str, &str)]| {
        Settings::load(&env(given)).unwrap().mongo.uri.expose_secret().to_owned()
    };
    let host = ("SENTINEL_MONGO_HOST", "db");
    assert_eq!(uri(&[host, ("SENTINEL_MONGO__URI_FILE", "")]), "mongodb://db:27017");
    let both = [("SENTINEL_MONGO_PORT", "1"), ("SENTINEL_MONGO__URI_FILE", "")];
    assert_eq!(uri(&both), "mongodb://localhost:1");
    let (_dir, mut sources) = file("[mongo]\nuri = \"mongodb://u\"\nhost = \"db\"\n");
    for nothing in ["", "0"] {
        sources.env = env(&[("SENTINEL_MONGO_PORT", nothing)]).env;
        let read = Settings::load(&sources).unwrap().mongo.uri;
        assert_eq!(read.expose_secret(), "mongodb://u", "{nothing:?}");
    }
}

#[test]
fn database_in_mongodb_uri_is_used_if_dbname_is_unset() {
    let name = |given: &[(&str, &str)]| from_flags(given).mongo.dbname;
    assert_eq!(name(&[("mongo.uri", "mongodb://u:p@h:1,i:2/prod?replicaSet=a")]), "prod");
    assert_eq!(name(&[("mongo.uri", "mongodb://h/prod"), ("mongo.dbname", "other")]), "other");
    assert_eq!(name(&[("mongo.uri", "mongodb://u:p@h/admin")]), "oauth");
    assert_eq!(name(&[("mongo.uri", "mongodb://u:p@h/")]), "oauth");
    assert_eq!(name(&[("mongo.uri", "mongodb+srv://h/?tls=true")]), "oauth");
}
