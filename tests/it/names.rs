//! User names and passwords as people type them: case, spaces, forms of Unicode text (RFC 8265).

use sentinel::admin::{ImportResult, ImportedUser, NewUser};
use sentinel::domain::{PasswordHash, UserId};
use sentinel::password::import_hash;

use crate::helpers::{App, PASSWORD, spawn_app};

/// Composed (NFC) and decomposed (NFD) form of one password.
const COMPOSED: &str = "p\u{e4}ssw\u{f6}rd \u{2713}";
const DECOMPOSED: &str = "pa\u{308}sswo\u{308}rd \u{2713}";
/// PBKDF2 hash by Django of the octets of [`DECOMPOSED`].
const OF_DECOMPOSED: &str =
    "pbkdf2_sha256$1000$seasalt0seasalt0seasa0$msmm5Uf3CCZiTV/LZL6fD25oZ5j1w6DBZRPuzxC+++Y=";

async fn add(app: &App, username: &str, password: PasswordHash) {
    let user = NewUser { username: username.to_owned(), password, scopes: None, enabled: true };
    app.admin.add_user(user).await.unwrap();
}

async fn hash_of(app: &App, password: &str) -> PasswordHash {
    let policy = sentinel::app::password_policy(&app.settings.password);
    sentinel::password::Hasher::new(policy).unwrap().hash(&password.into()).unwrap()
}

#[tokio::test]
async fn login_accepts_any_spelling_and_tokens_have_the_stored_name() {
    let app = spawn_app().await;
    add(&app, " Zo\u{eb} Doe ", hash_of(&app, "long enough").await).await;
    for name in ["Zo\u{eb} Doe", "zo\u{eb} doe", "ZOE\u{308} DOE", "  zoe\u{308} Doe "] {
        let login = app.login_with_password(name, "long enough").await;
        assert_eq!(login.status, 200, "{name:?} {login:?}");
        let token = app.introspect(&login.access_token()).await.json();
        assert_eq!(token["username"], "Zo\u{eb} Doe");
    }
    for name in [
        "zoe doe",
        "zo\u{eb}  doe",
        "zo\u{eb}\u{200b} doe",
        "\u{202e}zo\u{eb} doe",
        "zo\u{eb}\u{a0}doe",
    ] {
        let login = app.login_with_password(name, "long enough").await;
        login.assert_error(400, "invalid_grant");
    }
}

#[tokio::test]
async fn login_with_one_of_several_spellings_requires_the_exact_one() {
    let app = spawn_app().await;
    let user = NewUser {
        username: "Alice".to_owned(),
        password: hash_of(&app, "long enough").await,
        scopes: None,
        enabled: true,
    };
    let id = Some(UserId::from_bytes([7; 12]));
    let imported = app.admin.import_users(vec![ImportedUser { id, user }]).await.unwrap();
    assert!(matches!(imported[..], [Ok(ImportResult::AddedSpelling)]), "{imported:?}");
    for (name, password) in [("alice", PASSWORD), ("Alice", "long enough")] {
        let login = app.login_with_password(name, password).await;
        let token = app.introspect(&login.access_token()).await.json();
        assert_eq!(token["username"], name);
    }
    for (name, password) in
        [("ALICE", PASSWORD), ("ALICE", "long enough"), ("alice ", PASSWORD), ("Alice", PASSWORD)]
    {
        let login = app.login_with_password(name, password).await;
        login.assert_error(400, "invalid_grant");
    }
}

#[tokio::test]
async fn login_accepts_any_unicode_form_of_the_password() {
    let app = spawn_app().await;
    for (name, set) in [("composed", COMPOSED), ("decomposed", DECOMPOSED)] {
        add(&app, name, hash_of(&app, set).await).await;
        for typed in [COMPOSED, DECOMPOSED] {
            assert_eq!(app.login_with_password(name, typed).await.status, 200, "{name} {typed:?}");
        }
        // Nothing else is changed: neither case nor spaces nor compatible characters.
        for other in
            [COMPOSED.to_uppercase(), format!("{COMPOSED} "), COMPOSED.replace('p', "\u{ff50}")]
        {
            let login = app.login_with_password(name, &other).await;
            login.assert_error(400, "invalid_grant");
        }
    }
}

#[tokio::test]
async fn imported_hash_of_decomposed_password_is_replaced_at_login() {
    let app = spawn_app().await;
    add(&app, "zoe", import_hash(OF_DECOMPOSED).unwrap()).await;
    app.login_with_password("zoe", COMPOSED).await.assert_error(400, "invalid_grant");
    assert_eq!(app.login_with_password("zoe", DECOMPOSED).await.status, 200);
    for typed in [COMPOSED, DECOMPOSED] {
        assert_eq!(app.login_with_password("zoe", typed).await.status, 200, "{typed:?}");
    }
}
