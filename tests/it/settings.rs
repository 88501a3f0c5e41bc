//! Settings: names, defaults and layers. The submodules test values, checks, secrets and messages.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::path::PathBuf;
use std::time::Duration;

use secrecy::ExposeSecret;
use sentinel::domain::Grant;
use sentinel::password::HashScheme;
use sentinel::settings::{
    Backend, Bind, Error, ErrorUri, LogFormat, ReadPreference, Settings, Sources, TlsMode,
};
use tempfile::TempDir;

mod backend;
mod checks;
mod messages;
mod secrets;
mod values;

const DEFAULTS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/config/default.toml"));

fn env(variables: &[(&str, &str)]) -> Sources {
    let env = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
    Sources { env, ..Sources::default() }
}

fn flags(flags: &[(&str, &str)]) -> Sources {
    let overrides =
        flags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Sources { overrides, ..Sources::default() }
}

/// Writes a settings file, which is removed when the returned folder is dropped.
fn file(text: &str) -> (TempDir, Sources) {
    let dir = TempDir::new().unwrap();
    let path = write(&dir, "sentinel.toml", text);
    (dir, Sources { file: Some(path), ..Sources::default() })
}

fn write(dir: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn load_file(text: &str) -> Result<Settings, Error> {
    let (_dir, sources) = file(text);
    Settings::load(&sources)
}

fn from_env(variables: &[(&str, &str)]) -> Settings {
    Settings::load(&env(variables)).unwrap()
}

fn from_flags(given: &[(&str, &str)]) -> Settings {
    Settings::load(&flags(given)).unwrap()
}

fn refused(sources: &Sources) -> String {
    Settings::load(sources).unwrap_err().to_string()
}

fn flag_refused(key: &str, value: &str) -> String {
    refused(&flags(&[(key, value)]))
}

fn default_keys() -> Vec<(String, String)> {
    let table: toml::Table = DEFAULTS.parse().unwrap();
    let keys = |(table, inner): (&String, &toml::Value)| {
        let names = inner.as_table().unwrap().keys();
        names.map(|name| (table.clone(), name.clone())).collect::<Vec<_>>()
    };
    table.iter().flat_map(keys).collect()
}

#[test]
fn built_in_settings_have_the_documented_defaults() {
    let s = Settings::builtin().unwrap();
    let (minute, hour, day) =
        (Duration::from_secs(60), Duration::from_secs(3600), Duration::from_secs(86400));
    assert_eq!(s.server.bind, [Bind::Tcp("127.0.0.1:5000".into())]);
    assert_eq!(s.server.public_url, None);
    assert!(s.server.trusted_proxies.is_empty());
    assert_eq!((s.server.workers, s.server.max_body), (0, 16 * 1024));
    assert_eq!(s.server.request_timeout, Duration::from_secs(10));
    assert_eq!(s.server.max_connections, 16_000);
    assert!(!s.server.allow_plain_http);
    assert_eq!((s.tls.mode, s.tls.cert, s.tls.key), (TlsMode::Off, None, None));
    assert_eq!(s.oauth.route_prefix, "/oauth");
    assert_eq!(s.oauth.token_url.as_deref(), Some("/token"));
    assert_eq!(s.oauth.introspection_url.as_deref(), Some("/introspect"));
    assert_eq!(s.oauth.revocation_url.as_deref(), Some("/revoke"));
    assert_eq!(s.oauth.verify_url.as_deref(), Some("/verify"));
    assert_eq!(s.oauth.metadata_url.as_deref(), Some("/.well-known/oauth-authorization-server"));
    assert_eq!(s.oauth.error_uri, Some(ErrorUri::Path("/oauth/errors".into())));
    assert_eq!(s.oauth.grants, [Grant::Password, Grant::RefreshToken, Grant::ClientCredentials]);
    assert_eq!((s.oauth.lifetimes.access_token, s.oauth.lifetimes.refresh_idle), (hour, 30 * day));
    assert_eq!(
        (s.oauth.lifetimes.session, s.oauth.lifetimes.refresh_grace),
        (180 * day, 2 * minute)
    );
    assert_eq!(
        (s.store.backend, s.store.path),
        (Backend::Embedded, PathBuf::from("data/sentinel.db"))
    );
    assert_eq!(s.mongo.uri.expose_secret(), "mongodb://localhost:27017");
    assert_eq!(s.mongo.dbname, "oauth");
    assert!(s.mongo.host.is_none() && s.mongo.port.is_none() && s.mongo.username.is_none());
    assert!(
        s.mongo.password.is_none()
            && s.mongo.auth_source.is_none()
            && s.mongo.replica_set.is_none()
    );
    assert!(s.mongo.max_pool_size.is_none() && s.mongo.read_preference.is_none());
    assert!(s.mongo.socket_timeout.is_none() && s.mongo.connect_timeout.is_none());
    assert!(s.mongo.server_selection_timeout.is_none());
    assert!(s.redis.url.is_none() && s.redis.publish_tokens);
    assert_eq!((s.password.scheme, s.password.min_length), (HashScheme::Argon2id, 8));
    assert_eq!(
        (s.password.memory_kib, s.password.iterations, s.password.parallelism),
        (19456, 2, 1)
    );
    assert_eq!((s.password.bcrypt_cost, s.password.workers, s.password.queue), (12, 0, 256));
    assert!(s.throttle.enabled);
    assert_eq!((s.throttle.failures_per_address, s.throttle.failures_per_user), (20, 10));
    assert_eq!(s.throttle.window, 5 * minute);
    assert_eq!(s.management.url.as_deref(), Some("/management"));
    assert!(s.management.credentials().is_none());
    assert!(s.cors.allowed_origins.is_empty() && s.cors.allowed_headers.is_empty());
    assert!(s.metrics.bind.is_none() && s.templates.dir.is_none());
    assert_eq!((s.log.format, s.log.level.as_str()), (LogFormat::Auto, "info"));
    assert!(!s.compat.flask_sentinel_status);
}

#[test]
fn description_of_the_defaults_equals_default_toml() {
    let described = Settings::builtin().unwrap().describe();
    let lines = |text: &str| -> Vec<String> {
        let names = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        names.map(str::to_owned).collect()
    };
    assert_eq!(lines(&described), lines(DEFAULTS));
}

#[test]
fn description_parses_to_the_same_table_as_to_table() {
    let settings = from_flags(&[
        ("oauth.token_url", "false"),
        ("cors.allowed_origins", "https://a.b,https://c.d"),
    ]);
    assert_eq!(settings.describe().parse::<toml::Table>().unwrap(), settings.to_table());
    assert_eq!(settings.to_table()["oauth"]["token_url"], toml::Value::Boolean(false));
}

#[test]
fn description_without_secrets_loads_to_the_same_description() {
    let first = from_flags(&[
        ("oauth.access_token_ttl", "90m"),
        ("oauth.refresh_grace", "1500ms"),
        ("server.max_body", "1000"),
        ("oauth.verify_url", "False"),
        ("server.trusted_proxies", "10.0.0.0/8"),
    ]);
    let second = load_file(&first.describe()).unwrap();
    assert_eq!(first.describe(), second.describe());
    assert_eq!(second.server.max_body, 1000);
}

#[test]
fn layers_override_in_the_order_defaults_file_environment_flags() {
    let text = "[oauth]\naccess_token_ttl = 100\nrefresh_grace = 100\nsession_ttl = 100\n";
    let (_dir, mut sources) = file(text);
    sources.env = env(&[
        ("SENTINEL_OAUTH__ACCESS_TOKEN_TTL", "200"),
        ("SENTINEL_OAUTH__REFRESH_GRACE", "200"),
    ])
    .env;
    sources.overrides = flags(&[("oauth.access_token_ttl", "300")]).overrides;
    let oauth = Settings::load(&sources).unwrap().oauth;
    assert_eq!(oauth.lifetimes.session.as_secs(), 100);
    assert_eq!(oauth.lifetimes.refresh_grace.as_secs(), 200);
    assert_eq!(oauth.lifetimes.access_token.as_secs(), 300);
    assert_eq!(oauth.lifetimes.refresh_idle.as_secs(), 30 * 86400);
}

#[test]
fn explicit_settings_file_overrides_sentinel_config() {
    let dir = TempDir::new().unwrap();
    let one = write(&dir, "one.toml", "[mongo]\ndbname = \"one\"\n");
    let two = write(&dir, "two.toml", "[mongo]\ndbname = \"two\"\n");
    let mut sources =
        Sources { env: vec![("SENTINEL_CONFIG".into(), one.into())], ..Sources::default() };
    assert_eq!(Settings::load(&sources).unwrap().mongo.dbname, "one");
    sources.file = Some(two);
    assert_eq!(Settings::load(&sources).unwrap().mongo.dbname, "two");
    assert_eq!(from_env(&[("SENTINEL_CONFIG", "")]).mongo.dbname, "oauth");
}

#[test]
fn setting_path_in_an_environment_variable_is_case_insensitive() {
    assert_eq!(from_env(&[("SENTINEL_mongo__DbName", "x")]).mongo.dbname, "x");
    let twice = env(&[("SENTINEL_mongo__dbname", "x"), ("SENTINEL_MONGO__DBNAME", "y")]);
    assert_eq!(
        refused(&twice),
        "the environment variables SENTINEL_mongo__dbname and SENTINEL_MONGO__DBNAME set the same setting; remove one"
    );
}

#[test]
fn every_key_can_be_set_by_an_environment_variable() {
    let keys = default_keys();
    assert!(keys.len() > 60, "only {} were found", keys.len());
    for (table, name) in keys {
        let variable = format!("SENTINEL_{}__{}", table.to_uppercase(), name.to_uppercase());
        let message =
            Settings::load(&env(&[(&variable, "\u{1}")])).err().map(|error| error.to_string());
        assert!(!message.unwrap_or_default().contains("unknown"), "{variable}");
    }
}

#[test]
fn lists_are_comma_separated_or_toml_or_json_arrays() {
    let two = [Bind::Tcp("[::1]:5000".into()), Bind::Unix("/run/s.sock".into())];
    for text in [
        "[::1]:5000,unix:/run/s.sock",
        " [::1]:5000 , unix:/run/s.sock ,",
        r#"["[::1]:5000", "unix:/run/s.sock"]"#,
        "['[::1]:5000','unix:/run/s.sock']",
    ] {
        assert_eq!(from_env(&[("SENTINEL_SERVER__BIND", text)]).server.bind, two, "{text}");
        assert_eq!(from_flags(&[("server.bind", text)]).server.bind, two, "{text}");
    }
    assert!(from_env(&[("SENTINEL_CORS__ALLOWED_ORIGINS", "")]).cors.allowed_origins.is_empty());
    assert_eq!(
        load_file("[oauth]\ngrants = \"password\"").unwrap().oauth.grants,
        [Grant::Password]
    );
}

#[test]
fn flask_sentinel_names_are_accepted_in_the_environment() {
    let s = from_env(&[
        ("SENTINEL_ROUTE_PREFIX", "/auth/"),
        ("SENTINEL_TOKEN_URL", "/t"),
        ("SENTINEL_MANAGEMENT_URL", "False"),
        ("SENTINEL_REDIS_URL", "redis://r:6379/1"),
        ("SENTINEL_MONGO_URI", "mongodb://m:1/"),
        ("SENTINEL_MONGO_DBNAME", "db"),
        ("SENTINEL_MONGO_USERNAME", "mu"),
        ("SENTINEL_MONGO_PASSWORD", "mp"),
        ("SENTINEL_MONGO_AUTH_SOURCE", "admin"),
        ("SENTINEL_MONGO_REPLICA_SET", "rs0"),
        ("SENTINEL_MONGO_MAX_POOL_SIZE", "7"),
        ("SENTINEL_MONGO_READ_PREFERENCE", "PRIMARY_PREFERRED"),
        ("SENTINEL_MONGO_SOCKET_TIMEOUT_MS", "11"),
        ("SENTINEL_MONGO_CONNECT_TIMEOUT_MS", "12"),
        ("SENTINEL_MONGO_SERVER_SELECTION_TIMEOUT_MS", "13"),
        ("SENTINEL_MANAGEMENT_USERNAME", "op"),
        ("SENTINEL_MANAGEMENT_PASSWORD", "pw"),
        ("OAUTH2_PROVIDER_TOKEN_EXPIRES_IN", "77"),
        ("OAUTH2_PROVIDER_ERROR_URI", "https://e.org/errors"),
        ("OAUTH2_PROVIDER_TOKEN_GENERATOR", "ignored"),
        ("PATH", "/bin"),
    ]);
    assert_eq!(s.oauth.token_path().as_deref(), Some("/auth/t"));
    assert_eq!(s.management.path(&s.oauth), None);
    assert_eq!(s.redis.url.unwrap().expose_secret(), "redis://r:6379/1");
    assert_eq!(s.mongo.uri.expose_secret(), "mongodb://m:1/");
    assert_eq!((s.mongo.dbname.as_str(), s.mongo.username.as_deref()), ("db", Some("mu")));
    assert_eq!(s.mongo.password.unwrap().expose_secret(), "mp");
    assert_eq!(
        (s.mongo.auth_source.as_deref(), s.mongo.replica_set.as_deref()),
        (Some("admin"), Some("rs0"))
    );
    assert_eq!(s.mongo.max_pool_size, Some(7));
    assert_eq!(s.mongo.read_preference, Some(ReadPreference::PrimaryPreferred));
    let millis =
        [s.mongo.socket_timeout, s.mongo.connect_timeout, s.mongo.server_selection_timeout];
    assert_eq!(millis.map(|time| time.unwrap().as_millis()), [11, 12, 13]);
    let (name, password) = s.management.credentials().unwrap();
    assert_eq!((name, password.expose_secret()), ("op", "pw"));
    assert_eq!(s.oauth.lifetimes.access_token.as_secs(), 77);
    assert_eq!(s.oauth.error_uri, Some(ErrorUri::Url("https://e.org/errors".into())));
}

#[test]
fn flask_sentinel_names_are_accepted_at_the_top_level_of_a_file() {
    let text = "SENTINEL_TOKEN_URL = false\nOAUTH2_PROVIDER_TOKEN_EXPIRES_IN = 60\nSENTINEL_MONGO_PORT = 9\n";
    let s = load_file(text).unwrap();
    assert_eq!((s.oauth.token_path(), s.oauth.lifetimes.access_token.as_secs()), (None, 60));
    assert_eq!(s.mongo.uri.expose_secret(), "mongodb://localhost:9");
}

#[test]
fn new_name_overrides_flask_sentinel_name_within_the_same_layer_only() {
    let both = [("SENTINEL_OAUTH__TOKEN_URL", "/new"), ("SENTINEL_TOKEN_URL", "/old")];
    assert_eq!(from_env(&both).oauth.token_url.as_deref(), Some("/new"));
    let (_dir, mut sources) =
        file("SENTINEL_TOKEN_URL = \"/old\"\n[oauth]\ntoken_url = \"/new\"\n");
    assert_eq!(Settings::load(&sources).unwrap().oauth.token_url.as_deref(), Some("/new"));
    sources.env = env(&[("SENTINEL_TOKEN_URL", "/later")]).env;
    assert_eq!(Settings::load(&sources).unwrap().oauth.token_url.as_deref(), Some("/later"));
}

#[test]
fn kubernetes_service_variables_are_ignored() {
    let s = from_env(&[
        ("SENTINEL_SERVICE_HOST", "10.0.0.1"),
        ("SENTINEL_SERVICE_PORT", "5000"),
        ("SENTINEL_SERVICE_PORT_HTTP", "5000"),
        ("SENTINEL_PORT", "tcp://10.0.0.1:5000"),
        ("SENTINEL_PORT_5000_TCP", "tcp://10.0.0.1:5000"),
        ("SENTINEL_PORT_5000_TCP_PROTO", "tcp"),
        ("SENTINEL_PORT_5000_TCP_PORT", "5000"),
        ("SENTINEL_PORT_53_UDP_ADDR", "10.0.0.1"),
        ("SENTINEL_MONGO_PORT", "tcp://10.0.0.2:27017"),
        ("SENTINEL_MONGO_SERVICE_HOST", "10.0.0.2"),
        ("SENTINEL_MONGO_PORT_27017_TCP_ADDR", "10.0.0.2"),
    ]);
    assert_eq!(s.describe(), Settings::builtin().unwrap().describe());
    assert!(
        refused(&env(&[("SENTINEL_PORT", "5000")]))
            .contains("unknown environment variable SENTINEL_PORT")
    );
}

#[test]
fn is_given_is_true_for_explicitly_set_keys_only() {
    let s = from_env(&[("SENTINEL_MONGO_URI", "mongodb://h")]);
    assert!(s.is_given("mongo.uri") && !s.is_given("store.backend"));
}
