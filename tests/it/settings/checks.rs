//! Settings that have to go together.

use secrecy::ExposeSecret;
use sentinel::settings::{Scheme, Settings, TlsMode};

use super::{env, file, flag_refused, flags, from_flags, refused};

#[test]
fn a_plain_http_listener_that_others_can_reach_is_refused_with_what_to_do() {
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
        "oauth.token_url and oauth.verify_url are both /oauth/token; give each a path of its own"
    );
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
fn hashing_parameters_stay_within_what_the_schemes_allow() {
    assert!(
        refused(&flags(&[("password.memory_kib", "31"), ("password.parallelism", "4")]))
            .contains("at least 32")
    );
    from_flags(&[("password.memory_kib", "32"), ("password.parallelism", "4")]);
    for (key, bad) in [
        ("password.bcrypt_cost", "3"),
        ("password.bcrypt_cost", "32"),
        ("password.iterations", "0"),
        ("password.parallelism", "0"),
        ("password.queue", "0"),
        ("password.min_length", "0"),
        ("password.min_length", "65"),
        ("password.scheme", "md5"),
        ("throttle.failures_per_user", "0"),
    ] {
        assert!(flag_refused(key, bad).contains(key));
    }
    assert_eq!(from_flags(&[("password.min_length", "64")]).password.min_length, 64);
    assert_eq!(from_flags(&[("password.scheme", "bcrypt")]).password.scheme, Scheme::Bcrypt);
}

#[test]
fn management_needs_a_name_and_a_password_or_neither() {
    for key in ["management.username", "management.password"] {
        assert!(flag_refused(key, "op").contains("set both or neither"));
    }
    assert!(
        refused(&flags(&[("management.username", "a:b"), ("management.password", "x")]))
            .contains("no colon")
    );
    assert!(flag_refused("mongo.password", "x").contains("mongo.username"));
}

#[test]
fn host_and_port_of_mongodb_replace_an_earlier_uri_and_a_uri_beside_them_wins() {
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

#[test]
fn the_database_in_the_uri_counts_when_no_name_is_set() {
    let name = |given: &[(&str, &str)]| from_flags(given).mongo.dbname;
    assert_eq!(name(&[("mongo.uri", "mongodb://u:p@h:1,i:2/prod?replicaSet=a")]), "prod");
    assert_eq!(name(&[("mongo.uri", "mongodb://h/prod"), ("mongo.dbname", "other")]), "other");
    assert_eq!(name(&[("mongo.uri", "mongodb://u:p@h/admin")]), "oauth");
    assert_eq!(name(&[("mongo.uri", "mongodb://u:p@h/")]), "oauth");
    assert_eq!(name(&[("mongo.uri", "mongodb+srv://h/?tls=true")]), "oauth");
}
