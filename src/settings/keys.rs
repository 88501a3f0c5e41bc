//! Names of settings: the valid ones, those of flask-sentinel, and suggestions for misspelled ones.
//!
//! `config/default.toml` is the only list of keys. It is scanned line by line besides being parsed,
//! because a parsed table loses the order, which `config show` preserves.

/// Default settings as TOML text, which also defines the valid keys.
pub(super) const DEFAULTS: &str = include_str!("../../config/default.toml");

/// Hint that an error message gives for an unknown setting name that resembles no valid one.
const LIST_ALL: &str = "`sentinel config show` lists all settings";

/// Prefix of the names of Sentinel's environment variables.
pub(super) const ENV_PREFIX: &str = "SENTINEL_";

/// Prefix of setting names that Sentinel's predecessor flask-sentinel inherited from
/// flask-oauthlib. Other programs may read environment variables with this prefix too.
pub(super) const OAUTHLIB_PREFIX: &str = "OAUTH2_PROVIDER_";

/// Names of the settings of flask-sentinel, Sentinel's predecessor, for the address of MongoDB.
pub(super) const LEGACY_MONGODB_ADDRESSES: [&str; 2] =
    ["SENTINEL_MONGO_URI", "SENTINEL_MONGO_HOST"];

/// Setting names of flask-sentinel, Sentinel's predecessor, in the environment and in its
/// configuration file, each with the key of Sentinel's setting.
pub(super) const LEGACY: &[(&str, &str)] = &[
    ("SENTINEL_ROUTE_PREFIX", "oauth.route_prefix"),
    ("SENTINEL_TOKEN_URL", "oauth.token_url"),
    ("SENTINEL_MANAGEMENT_URL", "management.url"),
    ("SENTINEL_REDIS_URL", "redis.url"),
    ("SENTINEL_MONGO_URI", "mongo.uri"),
    ("SENTINEL_MONGO_DBNAME", "mongo.dbname"),
    ("SENTINEL_MONGO_HOST", "mongo.host"),
    ("SENTINEL_MONGO_PORT", "mongo.port"),
    ("SENTINEL_MONGO_USERNAME", "mongo.username"),
    ("SENTINEL_MONGO_PASSWORD", "mongo.password"),
    ("SENTINEL_MONGO_AUTH_SOURCE", "mongo.auth_source"),
    ("SENTINEL_MONGO_REPLICA_SET", "mongo.replica_set"),
    ("SENTINEL_MONGO_MAX_POOL_SIZE", "mongo.max_pool_size"),
    ("SENTINEL_MONGO_READ_PREFERENCE", "mongo.read_preference"),
    ("SENTINEL_MONGO_SOCKET_TIMEOUT_MS", "mongo.socket_timeout_ms"),
    ("SENTINEL_MONGO_CONNECT_TIMEOUT_MS", "mongo.connect_timeout_ms"),
    ("SENTINEL_MONGO_SERVER_SELECTION_TIMEOUT_MS", "mongo.server_selection_timeout_ms"),
    ("SENTINEL_MANAGEMENT_USERNAME", "management.username"),
    ("SENTINEL_MANAGEMENT_PASSWORD", "management.password"),
    ("OAUTH2_PROVIDER_TOKEN_EXPIRES_IN", "oauth.access_token_ttl"),
    ("OAUTH2_PROVIDER_ERROR_URI", "oauth.error_uri"),
];

/// Names of flask-sentinel's settings that Sentinel ignores with a warning, each with the reason.
/// flask-sentinel passed them on to Flask-PyMongo.
const IGNORED: &[(&str, &str)] = &[
    (
        "SENTINEL_MONGO_AUTH_MECHANISM",
        "Sentinel and MongoDB agree on a SCRAM mechanism; to require a mechanism, add authMechanism to mongo.uri",
    ),
    ("SENTINEL_MONGO_CONNECT", "Sentinel connects to MongoDB at the start"),
    ("SENTINEL_MONGO_AUTO_START_REQUEST", "drivers of MongoDB have no such option any more"),
];

/// Keys of secret settings, whose values are never shown. The twin `<key>_file` of each names a
/// file with the secret.
pub(super) const SECRETS: &[&str] =
    &["mongo.uri", "mongo.password", "redis.url", "management.password"];

/// Returns the key of every setting as `table.name`, in the order of `config/default.toml`.
pub(super) fn all() -> Vec<String> {
    let mut table = "";
    let mut keys = Vec::new();
    for line in DEFAULTS.lines() {
        if let Some(header) = line.strip_prefix('[') {
            table = header.trim_end().trim_end_matches(']');
        } else if let Some((name, _)) = line.split_once(" = ")
            && !line.starts_with('#')
        {
            keys.push(format!("{table}.{name}"));
        }
    }
    keys
}

/// Returns the names of the settings tables, in the order of `config/default.toml`.
pub(super) fn tables() -> Vec<&'static str> {
    DEFAULTS
        .lines()
        .filter_map(|line| line.strip_prefix('[')?.trim_end().strip_suffix(']'))
        .collect()
}

pub(super) fn is_table(name: &str) -> bool {
    tables().contains(&name)
}

/// Converts an environment variable's name, such as `SENTINEL_OAUTH__TOKEN_URL`, into the
/// setting's, `oauth.token_url`. Returns `None` for a name without the prefix `SENTINEL_`.
pub(super) fn key_of_variable(name: &str) -> Option<String> {
    Some(name.strip_prefix(ENV_PREFIX)?.to_ascii_lowercase().replace("__", "."))
}

/// Returns the key of the setting that flask-sentinel (Sentinel's predecessor) calls `name`, or
/// `None` for any other name.
pub(super) fn legacy(name: &str) -> Option<&'static str> {
    LEGACY.iter().find(|(old, _)| *old == name).map(|(_, key)| *key)
}

/// Returns the reason why a setting of flask-sentinel with this name is ignored, if it is.
pub(super) fn ignored(name: &str) -> Option<&'static str> {
    IGNORED.iter().find(|(old, _)| *old == name).map(|(_, reason)| *reason)
}

/// Converts a setting's name, such as `oauth.token_url`, into its environment variable's,
/// `SENTINEL_OAUTH__TOKEN_URL`.
pub(super) fn variable(key: &str) -> String {
    format!("{ENV_PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}

/// Returns a hint for an unknown setting `name` that resembles no valid one: the keys of its table,
/// or how to list all settings.
pub(super) fn hint_for(name: &str) -> String {
    let name = key_of_variable(name).unwrap_or_else(|| name.to_owned());
    let table = name.split('.').next().unwrap_or_default();
    if !is_table(table) {
        return LIST_ALL.to_owned();
    }
    let keys = all();
    let names: Vec<_> =
        keys.iter().filter_map(|key| key.strip_prefix(table)?.strip_prefix('.')).collect();
    format!("the settings in [{table}] are {}", names.join(", "))
}

/// Returns up to three of `candidates` that are similar to `name`, the most similar first.
pub(super) fn nearest<I>(name: &str, candidates: I) -> Vec<String>
where
    I: IntoIterator<Item = String>,
{
    /// Minimum similarity of a suggestion to the unknown name, from 0 to 1.
    const MIN_SIMILARITY: f64 = 0.6;
    /// Maximum difference in similarity between a suggestion and the best suggestion.
    const MARGIN: f64 = 0.12;
    // The name is a table without a key, so no other name is suggested.
    if is_table(&key_of_variable(name).unwrap_or_else(|| name.to_owned())) {
        return Vec::new();
    }
    let mut scored: Vec<(f64, String)> = candidates
        .into_iter()
        .map(|candidate| (similarity(name, &candidate), candidate))
        .filter(|(score, _)| *score >= MIN_SIMILARITY)
        .collect();
    scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let best = scored.first().map_or(0.0, |(score, _)| *score);
    scored
        .into_iter()
        .take_while(|(score, _)| *score >= best - MARGIN)
        .take(3)
        .map(|(_, name)| name)
        .collect()
}

fn similarity(name: &str, candidate: &str) -> f64 {
    let (name, candidate) = (without_prefix(name), without_prefix(candidate));
    let whole = strsim::normalized_damerau_levenshtein(&name, &candidate);
    // The right name in the wrong table, or in none, is a common mistake that a comparison of whole
    // names does not detect.
    let leaf = strsim::normalized_damerau_levenshtein(leaf(&name), leaf(&candidate)) * 0.9;
    whole.max(leaf)
}

/// Returns a setting name without the prefix `SENTINEL_` or `OAUTH2_PROVIDER_`, which would make
/// short names look similar.
fn without_prefix(name: &str) -> String {
    let rest = name.strip_prefix(ENV_PREFIX).or_else(|| name.strip_prefix(OAUTHLIB_PREFIX));
    let rest = rest.unwrap_or(name).trim_matches(['[', ']']);
    rest.to_ascii_lowercase().replace("__", ".")
}

fn leaf(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}
