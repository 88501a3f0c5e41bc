//! Choice of the store backend if `store.backend` is not set.

use sentinel::settings::{Backend, Settings, Sources};

use super::{env, file, flags, from_env, from_flags};

fn backend(sources: &Sources) -> Backend {
    Settings::load(sources).unwrap().store.backend
}

/// flask-sentinel had no other store, so its variables imply MongoDB.
#[test]
fn flask_sentinel_mongo_uri_or_host_selects_mongodb_backend() {
    for (name, value) in
        [("SENTINEL_MONGO_URI", "mongodb://db/oauth"), ("SENTINEL_MONGO_HOST", "db")]
    {
        let settings = from_env(&[(name, value)]);
        assert_eq!(settings.store.backend, Backend::Mongodb, "{name}");
        assert!(!settings.is_given("store.backend"));
        let line =
            format!("\nbackend = \"mongodb\"  # since {name} is set and store.backend is not\n");
        assert!(settings.describe().contains(&line), "{}", settings.describe());
        assert_eq!(settings.to_table()["store"]["backend"].as_str(), Some("mongodb"));
        let (_dir, sources) = file(&format!("{name} = \"{value}\"\n"));
        assert_eq!(backend(&sources), Backend::Mongodb, "{name} in a file");
    }
}

#[test]
fn store_backend_in_any_layer_overrides_flask_sentinel_names() {
    let (_dir, mut sources) = file("[store]\nbackend = \"embedded\"\n");
    sources.env = env(&[("SENTINEL_MONGO_URI", "mongodb://db/oauth")]).env;
    assert_eq!(backend(&sources), Backend::Embedded);
    let shown = Settings::load(&sources).unwrap().describe();
    assert!(shown.contains("\nbackend = \"embedded\"\n"), "{shown}");

    let (_dir, mut sources) = file("SENTINEL_MONGO_HOST = \"db\"\n");
    sources.env = env(&[("SENTINEL_STORE__BACKEND", "embedded")]).env;
    assert_eq!(backend(&sources), Backend::Embedded);
    sources.env.clear();
    sources.overrides = flags(&[("store.backend", "embedded")]).overrides;
    assert_eq!(backend(&sources), Backend::Embedded);

    let settings = from_env(&[
        ("SENTINEL_MONGO_URI", "mongodb://db/oauth"),
        ("SENTINEL_STORE__BACKEND", "mongodb"),
    ]);
    assert!(settings.describe().contains("\nbackend = \"mongodb\"\n"));
}

#[test]
fn other_mongodb_settings_do_not_select_a_backend() {
    assert_eq!(from_flags(&[("mongo.uri", "mongodb://db")]).store.backend, Backend::Embedded);
    for (name, value) in [
        ("SENTINEL_MONGO__URI", "mongodb://db"),
        ("SENTINEL_MONGO__HOST", "db"),
        ("SENTINEL_MONGO_DBNAME", "oauth"),
        ("SENTINEL_MONGO_PORT", "27017"),
        // A variable that a compose file leaves empty.
        ("SENTINEL_MONGO_HOST", ""),
        // Set by Kubernetes for a service named sentinel-mongo.
        ("SENTINEL_MONGO_SERVICE_HOST", "10.0.0.2"),
    ] {
        assert_eq!(from_env(&[(name, value)]).store.backend, Backend::Embedded, "{name}");
    }
}
