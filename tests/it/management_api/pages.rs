//! Pagination of lists.

use serde_json::{Value, json};

use super::{API, OPERATOR, OPERATOR_PASSWORD, managed};
use crate::helpers::{App, send};

/// User names with unusual characters.
const NAMES: [&str; 7] = ["\u{e9}", "b c", "a&b=c", "A", "z", "\u{3b1}", "alfa"];

async fn add_users(app: &App, names: &[&str]) {
    for name in names {
        let new = json!({ "username": name, "password": "long enough" });
        assert_eq!(app.send_json("POST", "/users", &new).await.status, 201, "{name}");
    }
}

fn members(items: &Value, name: &str) -> Vec<String> {
    let items = items.as_array().unwrap();
    items.iter().map(|item| item[name].as_str().unwrap().to_owned()).collect()
}

/// Follows `Link: …; rel="next"` to the end, checks it against `next` and returns all pages.
async fn follow(app: &App, list: &str, member: &str) -> Vec<Vec<String>> {
    let (mut path, mut pages) = (list.to_owned(), Vec::new());
    loop {
        let answer = app.get(&path).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let page = answer.json();
        pages.push(members(&page["items"], member));
        let Some(link) = answer.header("link") else {
            assert_eq!(page["next"], json!(null));
            return pages;
        };
        let url = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
        assert!(url.ends_with(&format!("after={}", page["next"].as_str().unwrap())), "{url}");
        path = url.strip_prefix(API).unwrap().to_owned();
    }
}

#[tokio::test]
async fn user_list_is_sorted_by_name_and_paged() {
    let app = managed().spawn().await;
    add_users(&app, &NAMES).await;
    let mut names = NAMES.to_vec();
    names.push("alice");
    names.sort_unstable_by_key(|name| name.as_bytes());
    for limit in [1, 2, 7, 8, 9, 1000] {
        let pages = follow(&app, &format!("/users?limit={limit}"), "username").await;
        assert_eq!(pages.concat(), names, "by {limit}");
        assert!(pages.iter().all(|page| page.len() <= limit && !page.is_empty()), "{pages:?}");
    }
    assert_eq!(follow(&app, "/users", "username").await.len(), 1);
}

#[tokio::test]
async fn user_search_finds_parts_of_names_and_is_paged() {
    let app = managed().spawn().await;
    add_users(&app, &["al", "alan", "Alma", "bal", "a l", "alz"]).await;
    let found = follow(&app, "/users?limit=2&search=al", "username").await;
    assert_eq!(found, [vec!["al", "alan"], vec!["alice", "Alma"], vec!["alz", "bal"]]);
    assert_eq!(follow(&app, "/users?limit=2&search=AL%20", "username").await, found);
    assert_eq!(follow(&app, "/users?search=a%20l", "username").await.concat(), ["a l"]);
    assert_eq!(follow(&app, "/users?search=a+l", "username").await.concat(), ["a l"]);
    assert_eq!(follow(&app, "/users?search=", "username").await.concat().len(), 7);
    assert_eq!(follow(&app, "/users?search=%25", "username").await, [[""; 0]]);
}

#[tokio::test]
async fn client_list_is_sorted_by_id_and_searchable_by_name() {
    let app = managed().spawn().await;
    for name in ["appendix", "api", "App"] {
        app.send_json("POST", "/clients", &json!({ "type": "public", "name": name })).await;
    }
    let ids = follow(&app, "/clients?limit=2", "client_id").await.concat();
    assert!(ids.len() == 5 && ids.is_sorted(), "{ids:?}");
    let mut found = follow(&app, "/clients?limit=1&search=app", "name").await.concat();
    found.sort();
    assert_eq!(found, ["App", "app", "appendix"]);
    let id = app.client.id.as_str();
    let by_id = follow(&app, &format!("/clients?search={}", &id[5..25]), "client_id").await;
    assert_eq!(by_id, [[id]]);
}

#[tokio::test]
async fn session_list_is_paged_without_expired_sessions() {
    let app = managed().spawn().await;
    for _ in 0..5 {
        app.login().await;
    }
    // The session of this token expires and is not purged.
    app.post_as_backend("/oauth/token", &[("grant_type", "client_credentials")]).await;
    app.advance(3601);
    let pages = follow(&app, "/sessions?limit=2&user=alice", "id").await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
    assert!(pages.concat().is_sorted());
    assert_eq!(follow(&app, "/sessions?limit=2", "id").await, pages);
}

/// Entries that are added or deleted meanwhile cause no other entry to be skipped or repeated.
#[tokio::test]
async fn cursor_stays_valid_after_deletion_of_its_entry() {
    let app = managed().spawn().await;
    add_users(&app, &["b", "c", "d"]).await;
    let first = app.read("/users?limit=2").await;
    assert_eq!(members(&first["items"], "username"), ["alice", "b"]);
    let b = first["items"][1]["id"].as_str().unwrap();
    app.delete(&format!("/users/{b}")).await;
    add_users(&app, &["aa"]).await;
    let next = first["next"].as_str().unwrap();
    let second = app.read(&format!("/users?after={next}")).await;
    assert_eq!(members(&second["items"], "username"), ["c", "d"]);
}

#[tokio::test]
async fn links_are_absolute_with_public_url() {
    let app = managed().set("server.public_url", "https://auth.example.org/x").spawn().await;
    let new = json!({ "username": "bob", "password": "long enough" });
    let made = app.send_json("POST", "/users", &new).await;
    let base = format!("https://auth.example.org/x{API}");
    let location = made.header("location").unwrap().to_owned();
    assert_eq!(location, format!("{base}/users/{}", made.text_of("id")));
    let list = app.get("/users?limit=1&search=").await;
    let next = list.text_of("next");
    let link = format!("<{base}/users?limit=1&search=&after={next}>; rel=\"next\"");
    assert_eq!(list.header("link"), Some(link.as_str()));
    let described = app.read("/openapi.json").await;
    assert_eq!(described["servers"], json!([{ "url": base }]));
}

#[tokio::test]
async fn invalid_list_parameters_are_refused() {
    let app = managed().spawn().await;
    for list in ["/users", "/clients", "/sessions"] {
        for limit in ["0", "1001", "-1", "+5", "ten", "", "1.0", "99999999999999999999"] {
            let answer = app.get(&format!("{list}?limit={limit}")).await;
            answer.assert_bad_parameter("limit");
        }
        for after in ["", "x", "abc", "AB", "%00", "al%20ice", "ff", "c3"] {
            app.get(&format!("{list}?after={after}")).await.assert_bad_parameter("after");
        }
        app.get(&format!("{list}?limit=1&limit=2")).await.assert_bad_parameter("limit");
        app.get(&format!("{list}?serach=al")).await.assert_bad_parameter("serach");
    }
    app.get("/sessions?search=al").await.assert_bad_parameter("search");
    app.get("/users?user=alice").await.assert_bad_parameter("user");
}

/// A store would start the list again, which a caller takes for the next page.
#[tokio::test]
async fn cursor_that_is_no_key_of_the_list_is_refused() {
    let app = managed().spawn().await;
    app.login().await;
    let id = hex::encode(app.read("/sessions").await["items"][0]["id"].as_str().unwrap());
    let upper_case = hex::encode("AB".repeat(12));
    for after in [hex::encode("alice"), id[..46].to_owned(), format!("{id}61"), upper_case] {
        app.get(&format!("/sessions?after={after}")).await.assert_bad_parameter("after");
    }
    assert_eq!(app.get(&format!("/sessions?after={id}")).await.status, 200);
    // The management page refuses it as well.
    let page = app.request("GET", "/oauth/management/sessions?after=ff");
    let page = send(page.basic_auth(OPERATOR, Some(OPERATOR_PASSWORD))).await;
    assert_eq!(page.status, 400, "{page:?}");
}
