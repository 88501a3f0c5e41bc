//! Users with spaces at the ends of their names, which flask-sentinel allowed.

use mongodb::bson::{DateTime, Document, doc, oid::ObjectId};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::target::ImportTarget;
use crate::helpers::{mongod, send};

/// Hash of "secret".
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";
const CLIENT: &str = "abcdefghijabcdefghijabcdefghijabcdefghij";
const NAMES: [&str; 5] = ["bob", " bob", "bob ", "  Jöran %  ", " "];

fn number(name: &str) -> usize {
    NAMES.iter().position(|known| *known == name).unwrap()
}

fn token(kind: char, name: &str) -> String {
    format!("{kind}{:029}", number(name))
}

fn with_json(request: RequestBuilder, body: &Value) -> RequestBuilder {
    request.header("content-type", "application/json").body(body.to_string())
}

/// Creates a flask-sentinel database in which all of them are logged in. Returns its connection
/// string and the ids of the users.
async fn source() -> (String, Vec<ObjectId>) {
    let target = mongod::replica_set().await;
    let database = target.database().await;
    let ids: Vec<_> = NAMES.iter().map(|_| ObjectId::new()).collect();
    let of = |name: &str| ids[number(name)];
    let user = |name| doc! { "_id": of(name), "username": name, "hashpw": HASH };
    let expires = DateTime::from_millis(DateTime::now().timestamp_millis() + 3_600_000);
    let tokens = |name| {
        doc! {
            "client_id": CLIENT, "user_id": of(name), "expires": expires, "scopes": [""],
            "access_token": token('a', name), "refresh_token": token('r', name),
        }
    };
    let client = doc! { "client_id": CLIENT, "client_type": "public" };
    for (collection, documents) in [
        ("users", NAMES.map(user).to_vec()),
        ("clients", vec![client]),
        ("tokens", NAMES.map(tokens).to_vec()),
    ] {
        database.collection::<Document>(collection).insert_many(documents).await.unwrap();
    }
    (format!("{}/{}", target.uri, target.dbname), ids)
}

async fn assert_names_keep_working(ours: ImportTarget) {
    let (from, ids) = source().await;
    for more in [&["--dry-run"][..], &[]] {
        let report = ours.import(&from, more);
        assert_eq!(report["users"]["imported"], NAMES.len(), "{report}");
        let remarks = report["users"]["remarks"].to_string();
        for (index, name) in [(0, "bob"), (1, " bob")] {
            let spelling = format!("user {} has its username in another spelling", ids[index]);
            assert!(remarks.contains(&spelling) && remarks.contains(name), "{remarks}");
        }
        assert!(remarks.contains("not one that a new user could have"), "{remarks}");
        assert_eq!(report["tokens"]["imported"], NAMES.len(), "{report}");
    }
    let server = ours.serve();
    for (&name, id) in NAMES.iter().zip(&ids) {
        let access = token('a', name);
        assert_eq!(server.introspect(&access).await["username"], name);
        let verified = server.verify(&access).await;
        assert_eq!(verified.header("x-auth-user-id"), Some(&*id.to_hex()), "{verified:?}");
        // Spaces at the ends of a header value get lost, which yields the name of another user.
        let header = verified.header("x-auth-username").unwrap();
        assert_eq!(header.trim(), header);
        let decoded = percent_encoding::percent_decode_str(header).decode_utf8().unwrap();
        assert_eq!(decoded, name);
        assert_eq!(server.refresh(CLIENT, &token('r', name)).await.status, 200, "{name:?}");
        let login = server.login(CLIENT, name, "secret").await;
        assert_eq!(login.status, 200, "{name:?} {login:?}");
        assert_eq!(server.introspect(&login.access_token()).await["sub"], id.to_hex());
        assert_eq!(ours.run(&["user", "show", name])["id"], id.to_hex());

        // The form as a browser sends it when the name is not edited.
        let path = format!("/users/{id}");
        let page = send(server.manage("GET", &path)).await;
        assert_eq!(page.status, 200);
        assert!(page.text.contains(&format!("value=\"{name}\"")), "{page:?}");
        let form = [("username", name), ("scope_limit", "only"), ("scopes", "read")];
        let saved = send(server.manage("POST", &path).form(&form)).await;
        assert_eq!(saved.status, 303, "{saved:?}");
        let change = server.manage("PATCH", &format!("/api{path}"));
        let changed = send(with_json(change, &json!({ "scopes": null }))).await;
        assert_eq!((changed.status, changed.text_of("username").as_str()), (200, name));
    }
    let listed = send(server.manage("GET", "/api/users?search=%20BOB")).await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 3, "{listed}");
    assert_eq!(server.login(CLIENT, "bob  ", "secret").await.status, 400);
    // New users cannot get such names.
    let add = |name: &str| {
        let user = json!({ "username": name, "password": "long enough" });
        send(with_json(server.manage("POST", "/api/users"), &user))
    };
    assert_eq!(add(" new").await.text_of("username"), "new");
    assert_eq!(add("BOB").await.status, 409);
    assert_eq!(add("  ").await.status, 422);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_with_outer_spaces_keep_working_on_embedded_store() {
    assert_names_keep_working(ImportTarget::embedded()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_with_outer_spaces_keep_working_on_mongodb() {
    assert_names_keep_working(ImportTarget::mongodb(&mongod::replica_set().await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_with_outer_spaces_survive_export_and_import() {
    let (from, ids) = source().await;
    let (ours, other) = (ImportTarget::embedded(), ImportTarget::embedded());
    ours.import(&from, &[]);
    let folder = tempfile::tempdir().unwrap();
    for name in ["users.csv", "users.jsonl"] {
        let file = folder.path().join(name).display().to_string();
        ours.run(&["user", "export", &file]);
        let report = other.run(&["user", "import", &file]);
        assert_eq!(report["bad"], json!([]), "{report}");
    }
    for (&name, id) in NAMES.iter().zip(&ids) {
        assert_eq!(other.run(&["user", "show", name])["id"], id.to_hex());
    }
}
