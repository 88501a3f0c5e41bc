//! Mutual authentication of Sentinel and MongoDB.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use mongodb::Client;
use mongodb::bson::doc;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use sentinel::settings::{Settings, Sources};
use sentinel::store::StoreError;
use sentinel::store::mongo::MongoStore;

use crate::helpers::mongod::{self, Mongod};
use crate::store_contract::samples::stored_user;

const PASSWORD: &str = "p@ss/word: 100%";
const ENCODED: &str = "p%40ss%2Fword%3A%20100%25";

async fn open(settings: &[(&str, &str)]) -> Result<MongoStore, StoreError> {
    let overrides = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let sources = Sources { overrides: overrides.collect(), ..Sources::default() };
    MongoStore::open(&Settings::load(&sources).unwrap().mongo).await
}

async fn refused(settings: &[(&str, &str)]) -> String {
    match open(settings).await {
        Err(StoreError::Configuration(sentence) | StoreError::Open(sentence)) => sentence,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("the store was opened"),
    }
}

#[tokio::test]
async fn scram_password_comes_from_settings_or_connection_string() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    fs::write(&key, "c2VudGluZWwgdGVzdHM=").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let key = key.to_str().unwrap();
    let mongod = Mongod::start(&["--replSet", "rs0", "--auth", "--keyFile", key]);
    mongod::prepare(&mongod.uri).await;
    // MongoDB accepts the first user from this machine without authentication.
    let admin = Client::with_uri_str(&mongod.uri).await.unwrap().database("admin");
    let root = doc! { "createUser": "root", "pwd": "root", "roles": ["root"] };
    admin.run_command(root).await.unwrap();
    let root = mongod.uri.replace("://", "://root:root@");
    let admin = Client::with_uri_str(&root).await.unwrap().database("admin");
    let roles = doc! { "role": "readWrite", "db": "tokens" };
    let user = doc! { "createUser": "op", "pwd": PASSWORD, "roles": [roles] };
    admin.run_command(user).await.unwrap();

    let uri = mongod.uri.as_str();
    let host = uri.trim_start_matches("mongodb://");
    let parts = |password| {
        [
            ("mongo.uri", uri),
            ("mongo.dbname", "tokens"),
            ("mongo.username", "op"),
            ("mongo.password", password),
            ("mongo.auth_source", "admin"),
            ("mongo.replica_set", "rs0"),
            ("mongo.max_pool_size", "3"),
        ]
    };
    let stores = open(&parts(PASSWORD)).await.unwrap().into_stores();
    let alice = stored_user(&stores, "alice").await;
    let whole = format!("mongodb://op:{ENCODED}@{host}/tokens?authSource=admin");
    let stores = open(&[("mongo.uri", &whole)]).await.unwrap().into_stores();
    assert_eq!(stores.users.find(alice.id).await.unwrap(), Some(alice));

    let wrong = format!("mongodb://op:hunter2@{host}/tokens?authSource=admin");
    for message in [
        refused(&parts("hunter2")).await,
        refused(&[("mongo.uri", &wrong)]).await,
        refused(&[("mongo.uri", uri), ("mongo.dbname", "tokens")]).await,
    ] {
        assert!(message.contains("uthenticat"), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
}

/// Creates a certificate authority and a server certificate, and returns the paths of their files.
fn certificates(folder: &Path) -> (String, String) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let server = server.signed_by(&key, &authority).unwrap();
    let (ca, both) = (folder.join("ca.pem"), folder.join("server.pem"));
    fs::write(&ca, authority.pem()).unwrap();
    fs::write(&both, server.pem() + &key.serialize_pem()).unwrap();
    (ca.to_str().unwrap().to_owned(), both.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn server_certificate_is_verified_with_ca_of_connection_string() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, both) = certificates(folder.path());
    let tls = ["--tlsMode", "requireTLS", "--tlsCertificateKeyFile", &both, "--tlsCAFile", &ca];
    let tls = [&tls[..], &["--tlsAllowConnectionsWithoutCertificates"]].concat();
    let mongod = Mongod::start(&tls);
    let with = |options: &str| format!("{}/?{options}", mongod.uri);
    let trusting = with(&format!("tls=true&tlsCAFile={ca}"));
    let stores = open(&[("mongo.uri", &trusting)]).await.unwrap().into_stores();
    let alice = stored_user(&stores, "alice").await;
    assert_eq!(stores.users.find(alice.id).await.unwrap(), Some(alice));

    let (unknown, nowhere) = (with("tls=true"), with("tls=true&tlsCAFile=/nowhere/ca.pem"));
    let plain = [("mongo.uri", mongod.uri.as_str())];
    let (unknown, nowhere) = ([("mongo.uri", &*unknown)], [("mongo.uri", &*nowhere)]);
    let (unknown, nowhere, _) = tokio::join!(refused(&unknown), refused(&nowhere), refused(&plain));
    assert!(unknown.contains("certificate"), "{unknown}");
    assert!(nowhere.contains("cannot"), "{nowhere}");
}
