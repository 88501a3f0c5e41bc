//! Secrets are read from files and are never shown.

use secrecy::ExposeSecret;
use sentinel::settings::Settings;
use tempfile::TempDir;

use super::{env, flag_refused, flags, from_env, from_flags, load_file, refused, write};

#[test]
fn error_messages_contain_no_secret_value() {
    for key in ["mongo.uri", "redis.url"] {
        let error = Settings::load(&flags(&[(key, "http://u:hunter2@h")])).unwrap_err();
        assert!(
            error.to_string().starts_with(&format!("{key} on the command line: expected a URL")),
            "{error}"
        );
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    let error = load_file("[management]\nusername = \"op\"\npassword = 74911").unwrap_err();
    assert!(error.to_string().contains("management.password in "), "{error}");
    assert!(!format!("{error} {error:?}").contains("74911"));
    let sources = env(&[("SENTINEL_MANAGEMENT_PASSWORD", "hunter2"), ("AWS_SECRET", "hunter2")]);
    assert!(!format!("{sources:?}").contains("hunter2"));
}

#[test]
fn secrets_read_from_files_lose_trailing_line_breaks() {
    let dir = TempDir::new().unwrap();
    let password = write(&dir, "password", "\u{feff}pass word\n\n");
    let mongo = write(&dir, "mongo", "mongodb://u:p@h/\r\n");
    let redis = write(&dir, "redis", "redis://:p@h");
    let s = from_env(&[
        ("SENTINEL_MANAGEMENT_USERNAME", "op"),
        ("SENTINEL_MANAGEMENT__PASSWORD_FILE", password.to_str().unwrap()),
        ("SENTINEL_MONGO__URI_FILE", mongo.to_str().unwrap()),
        ("SENTINEL_MONGO__USERNAME", "op"),
        ("SENTINEL_MONGO__PASSWORD_FILE", password.to_str().unwrap()),
        ("SENTINEL_REDIS__URL_FILE", redis.to_str().unwrap()),
    ]);
    assert_eq!(s.management.credentials().unwrap().1.expose_secret(), "pass word");
    assert_eq!(s.mongo.uri.expose_secret(), "mongodb://u:p@h/");
    assert_eq!(s.mongo.password.as_ref().unwrap().expose_secret(), "pass word");
    assert_eq!(s.redis.url.as_ref().unwrap().expose_secret(), "redis://:p@h");
    let shown = s.to_table();
    assert_eq!(shown["management"]["password"].as_str(), Some("(hidden)"));
    assert_eq!(shown["management"]["password_file"].as_str(), password.to_str());
    assert_eq!(shown["redis"]["url"].as_str(), Some("redis://:***@h"));
}

#[test]
fn unusable_secret_file_error_names_key_and_path() {
    let dir = TempDir::new().unwrap();
    let empty = write(&dir, "empty", "\n");
    let wrong = write(&dir, "wrong", "hunter2");
    let missing = flag_refused("mongo.uri_file", "/nowhere/uri");
    assert!(
        missing.starts_with("mongo.uri_file: cannot read the secret from /nowhere/uri: "),
        "{missing}"
    );
    let message = flag_refused("redis.url_file", empty.to_str().unwrap());
    assert!(
        message.ends_with("empty: it is empty") && message.starts_with("redis.url_file"),
        "{message}"
    );
    let message = flag_refused("redis.url_file", wrong.to_str().unwrap());
    assert!(message.contains("expected a URL") && !message.contains("hunter2"), "{message}");
    let lone = flag_refused("management.password_file", "/nowhere/pw");
    assert!(!lone.contains("set both or neither"), "{lone}");
}

#[test]
fn secret_and_its_file_together_are_rejected_unless_one_is_empty() {
    let dir = TempDir::new().unwrap();
    let path = write(&dir, "url", "redis://h");
    let both = flags(&[("redis.url", "redis://x"), ("redis.url_file", path.to_str().unwrap())]);
    assert_eq!(refused(&both), "redis.url and redis.url_file are both set; remove one");
    let s = from_flags(&[("redis.url", ""), ("redis.url_file", path.to_str().unwrap())]);
    assert_eq!(s.redis.url.unwrap().expose_secret(), "redis://h");
}

#[test]
fn debug_and_describe_show_no_secret() {
    let s = from_flags(&[
        ("management.username", "op"),
        ("management.password", "hunter2"),
        ("mongo.username", "m"),
        ("mongo.password", "hunter3"),
        (
            "mongo.uri",
            "mongodb://user:hunter4@h1,h2/db?authSource=admin&tlsCertificateKeyFilePassword=hunter5",
        ),
        ("redis.url", "unix:///run/redis.sock?db=1&pass=hunter6"),
    ]);
    for text in [format!("{s:?}"), s.describe(), s.to_table().to_string()] {
        assert!(!text.contains("hunter"), "{text}");
    }
    let shown = s.to_table();
    assert_eq!(
        shown["mongo"]["uri"].as_str(),
        Some("mongodb://user:***@h1,h2/db?authSource=admin&tlsCertificateKeyFilePassword=***")
    );
    assert_eq!(shown["mongo"]["password"].as_str(), Some("(hidden)"));
    assert_eq!(shown["redis"]["url"].as_str(), Some("unix:///run/redis.sock?db=1&pass=***"));
}

#[test]
fn url_password_with_unescaped_delimiters_is_fully_hidden() {
    for (url, shown) in [
        ("redis://u:hun@ter/h@h:1/0", "redis://u:***@h:1/0"),
        ("redis://token@h", "redis://token@h"),
        // The host was forgotten.
        ("redis://user:hunter2", "redis://***"),
        ("redis://user:hunter2/0", "redis://***"),
        ("redis://[::1]:6379/2", "redis://[::1]:6379/2"),
        ("redis://h:6379/2", "redis://h:6379/2"),
    ] {
        assert_eq!(
            from_flags(&[("redis.url", url)]).to_table()["redis"]["url"].as_str(),
            Some(shown)
        );
    }
}

#[test]
fn invisible_character_in_secret_file_is_refused() {
    let dir = TempDir::new().unwrap();
    let path = write(&dir, "password", "hun\u{200b}ter2");
    let message = flag_refused("management.password_file", path.to_str().unwrap());
    assert!(message.contains("invisible character U+200B"), "{message}");
    assert!(!message.contains("ter2"), "{message}");
}

#[test]
fn quotation_marks_around_secret_in_file_cause_warning() {
    let dir = TempDir::new().unwrap();
    let path = write(&dir, "password", "\"hunter2hunter2\"\n");
    let settings = from_flags(&[
        ("management.username", "op"),
        ("management.password_file", path.to_str().unwrap()),
    ]);
    let [warning] = settings.warnings() else { panic!("{:?}", settings.warnings()) };
    assert!(warning.contains(path.to_str().unwrap()), "{warning}");
    assert!(warning.contains("quotation mark") && !warning.contains("hunter2"), "{warning}");
}

#[test]
fn login_in_misplaced_address_is_hidden_in_error_messages() {
    for (key, value) in [
        ("mongo.host", "op:hunter2@db"),
        ("mongo.host", "mongodb://op:hunter2@db"),
        ("server.bind", "[\"https://op:hunter2@h\"]"),
        ("server.trusted_proxies", "op:hunter2@h"),
        ("cors.allowed_origins", "https://op:hunter2@h"),
        ("server.public_url", "https://op:hunter2@h"),
        ("traces.endpoint", "https://op:hunter2@h"),
    ] {
        let message = flag_refused(key, value);
        assert!(message.starts_with(key) && !message.contains("hunter2"), "{message}");
    }
    let message = load_file("[server]\nbind = [\"op:hunter2@h\"]").unwrap_err().to_string();
    assert!(!message.contains("hunter2"), "{message}");
}
