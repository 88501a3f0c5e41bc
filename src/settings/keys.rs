//! The names of settings: the valid ones, flask-sentinel's, and the nearest to a mistyped one.
//!
//! `config/default.toml` is the one list of keys. It is scanned line by line besides being parsed,
//! because a parsed table has forgotten the order that `config show` keeps.

/// The defaults, and by that the set of valid keys.
pub(super) const DEFAULTS: &str = include_str!("../../config/default.toml");

/// Said of an unknown name that resembles no valid one.
pub(super) const WHERE_LISTED: &str = "`sentinel config show` lists the valid ones";

/// What the names of our environment variables begin with.
pub(super) const ENV_PREFIX: &str = "SENTINEL_";

/// The names flask-sentinel used, in the environment and in its configuration file, and what they
/// are called here.
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

/// The settings whose values are never shown, each with a `*_file` twin.
pub(super) const SECRETS: &[&str] =
    &["mongo.uri", "mongo.password", "redis.url", "management.password"];

/// Every valid key as `table.name`, in the order of `config/default.toml`.
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

/// The key that flask-sentinel's `name` stands for.
pub(super) fn legacy(name: &str) -> Option<&'static str> {
    LEGACY.iter().find(|(old, _)| *old == name).map(|(_, key)| *key)
}

/// `oauth.token_url` as `SENTINEL_OAUTH__TOKEN_URL`.
pub(super) fn variable(key: &str) -> String {
    format!("{ENV_PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}

/// Up to three of `candidates` that `name` may have been meant to be, the nearest first.
pub(super) fn nearest<I>(name: &str, candidates: I) -> Vec<String>
where
    I: IntoIterator<Item = String>,
{
    /// Below this two names have little more in common than their letters.
    const ALIKE: f64 = 0.6;
    /// A name this much farther than the best one is noise beside it.
    const MARGIN: f64 = 0.12;
    let mut scored: Vec<(f64, String)> = candidates
        .into_iter()
        .map(|candidate| (likeness(name, &candidate), candidate))
        .filter(|(score, _)| *score >= ALIKE)
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

fn likeness(name: &str, candidate: &str) -> f64 {
    let name = name.to_ascii_lowercase();
    let candidate = candidate.to_ascii_lowercase();
    let whole = strsim::normalized_damerau_levenshtein(&name, &candidate);
    // The right name in the wrong table, or in none, is a common slip that whole names do not show.
    let leaf = strsim::normalized_damerau_levenshtein(leaf(&name), leaf(&candidate)) * 0.9;
    whole.max(leaf)
}

fn leaf(name: &str) -> &str {
    let name = name.rsplit('.').next().unwrap_or(name);
    name.rsplit("__").next().unwrap_or(name)
}
