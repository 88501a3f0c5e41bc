//! People whose names have space at an end, as flask-sentinel let them have.

use mongodb::bson::{DateTime, Document, doc, oid::ObjectId};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::target::Ours;
use crate::helpers::{mongod, send};

/// Of "secret".
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

/// A flask-sentinel's database with all of them, each logged in; where it is.
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

async fn nobody_is_locked_out(ours: Ours) {
    let (from, ids) = source().await;
    let report = ours.import(&from, &[]);
    assert_eq!(report["users"]["imported"], NAMES.len(), "{report}");
    assert_eq!(report["tokens"]["imported"], NAMES.len(), "{report}");
    let server = ours.serve();
    for (&name, id) in NAMES.iter().zip(&ids) {
        let access = token('a', name);
        assert_eq!(server.introspect(&access).await["username"], name);
        let verified = server.verify(&access).await;
        assert_eq!(verified.header("x-auth-user-id"), Some(&*id.to_hex()), "{verified:?}");
        // Space at an end of a header's value would be lost on the way: then it is another user's name.
        let header = verified.header("x-auth-username").unwrap();
        assert_eq!(header.trim(), header);
        let decoded = percent_encoding::percent_decode_str(header).decode_utf8().unwrap();
        assert_eq!(decoded, name);
        assert_eq!(server.refresh(CLIENT, &token('r', name)).await.status, 200, "{name:?}");
        let login = server.login(CLIENT, name, "secret").await;
        assert_eq!(login.status, 200, "{name:?} {login:?}");
        assert_eq!(server.introspect(&login.access_token()).await["sub"], id.to_hex());
        assert_eq!(ours.run(&["user", "show", name])["id"], id.to_hex());

        // The page's form, as it comes back when nothing of the name is changed.
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
    let listed = send(server.manage("GET", "/api/users?search=%20")).await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 3, "{listed}");
    assert_eq!(server.login(CLIENT, "bob  ", "secret").await.status, 400);
    // New ones do not get such names.
    let user = json!({ "username": " new", "password": "long enough" });
    let adding = with_json(server.manage("POST", "/api/users"), &user);
    assert_eq!(send(adding).await.status, 422);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_with_space_at_an_end_are_taken_over_as_they_are() {
    nobody_is_locked_out(Ours::embedded()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_with_space_at_an_end_are_taken_over_into_mongodb_too() {
    nobody_is_locked_out(Ours::mongodb(&mongod::replica_set().await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_go_out_and_in_again_by_a_file() {
    let (from, ids) = source().await;
    let (ours, other) = (Ours::embedded(), Ours::embedded());
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
