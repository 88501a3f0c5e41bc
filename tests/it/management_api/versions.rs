//! Conditional requests with `ETag`, `If-Match` and `If-None-Match` (RFC 9110 §13).

use serde_json::json;

use super::managed;
use crate::helpers::{App, TestResponse, all, send};

async fn patch_if(app: &App, path: &str, tag: &str, body: &serde_json::Value) -> TestResponse {
    send(super::json(app.api("PATCH", path).header("if-match", tag), body)).await
}

#[tokio::test]
async fn patch_with_stale_etag_is_412() {
    let app = managed().spawn().await;
    for path in [app.alice(), app.public()] {
        let first = app.get(&path).await.etag();
        assert!(first.starts_with('"') && first.ends_with('"'), "{first}");
        let changed = patch_if(&app, &path, &first, &json!({ "enabled": false })).await;
        assert_eq!(changed.status, 200);
        let second = changed.etag();
        assert_ne!(first, second);
        assert_eq!(app.get(&path).await.etag(), second);
        let late = patch_if(&app, &path, &first, &json!({ "enabled": true })).await;
        late.assert_problem(412);
        assert_eq!(app.read(&path).await["enabled"], false);
        let either = format!("W/{second}, \"x\",{first} , {second}");
        assert_eq!(patch_if(&app, &path, &either, &json!({})).await.status, 200);
        assert_eq!(patch_if(&app, &path, "*", &json!({})).await.status, 200);
        // Without a condition, the last write wins.
        assert_eq!(app.send_json("PATCH", &path, &json!({ "enabled": true })).await.status, 200);
    }
}

#[tokio::test]
async fn if_match_without_current_strong_etag_is_412() {
    let app = managed().spawn().await;
    let path = app.alice();
    let tag = app.get(&path).await.etag();
    let bare = tag.trim_matches('"').to_owned();
    let padded = format!("\"0{bare}\"");
    for other in [&format!("W/{tag}"), &bare, &padded, "\"\"", "\"x\"", "", ",", "**", "\"0"] {
        patch_if(&app, &path, other, &json!({ "enabled": false })).await.assert_problem(412);
        let delete = app.api("DELETE", &path).header("if-match", other.to_owned());
        send(delete).await.assert_problem(412);
    }
    assert_eq!(app.get(&path).await.etag(), tag);
}

#[tokio::test]
async fn delete_with_stale_etag_is_412() {
    let app = managed().spawn().await;
    for path in [app.alice(), app.public()] {
        let first = app.get(&path).await.etag();
        let second = app.send_json("PATCH", &path, &json!({})).await.etag();
        let delete = |tag: String| send(app.api("DELETE", &path).header("if-match", tag));
        delete(first).await.assert_problem(412);
        assert_eq!(delete(second.clone()).await.status, 204);
        // RFC 9110 §13.2.1: a condition is ignored if the request would fail without it.
        delete(second).await.assert_problem(404);
    }
}

#[tokio::test]
async fn password_or_secret_change_with_stale_etag_is_412() {
    let app = managed().spawn().await;
    let (user, client) = (app.alice(), app.confidential());
    let old = [app.get(&user).await.etag(), app.get(&client).await.etag()];
    let set = async |tag: &str| {
        let request = app.api("POST", &format!("{user}/password")).header("if-match", tag);
        send(super::json(request, &json!({ "password": "long enough" }))).await
    };
    let rotate = async |tag: &str| {
        send(app.api("POST", &format!("{client}/secret")).header("if-match", tag)).await
    };
    let set_once = set(&old[0]).await;
    assert_eq!(set_once.status, 204);
    set(&old[0]).await.assert_problem(412);
    assert_eq!(set(&set_once.etag()).await.status, 204);
    let rotated = rotate(&old[1]).await;
    assert_eq!(rotated.status, 200);
    rotate(&old[1]).await.assert_problem(412);
    assert_eq!(rotate(&rotated.etag()).await.status, 200);
}

#[tokio::test]
async fn get_with_current_etag_is_304() {
    let app = managed().spawn().await;
    for path in [app.alice(), app.public()] {
        let tag = app.get(&path).await.etag();
        let ask =
            async |known: &str| send(app.api("GET", &path).header("if-none-match", known)).await;
        for known in [tag.as_str(), &format!("W/{tag}"), &format!("\"x\", {tag}"), "*"] {
            let answer = ask(known).await;
            assert_eq!((answer.status, answer.text.as_str()), (304, ""), "{known}");
            assert_eq!(answer.etag(), tag);
        }
        for other in ["\"x\"", "\"00\"", "nothing", ""] {
            assert_eq!(ask(other).await.status, 200, "{other}");
        }
        app.send_json("PATCH", &path, &json!({})).await;
        assert_eq!(ask(&tag).await.status, 200);
    }
}

#[tokio::test]
async fn concurrent_updates_are_not_lost() {
    let app = managed().spawn().await;
    assert_no_update_is_lost(&app).await;
}

/// Sends concurrent changes to one version, of which exactly one succeeds. Then many callers each
/// add a scope to the version that they read, and retry until they succeed.
pub(super) async fn assert_no_update_is_lost(app: &App) {
    let path = app.public();
    let tag = app.get(&path).await.etag();
    let at_once = (0..12).map(|n| {
        let request = app.api("PATCH", &path).header("if-match", tag.clone());
        send(super::json(request, &json!({ "name": format!("name {n}") })))
    });
    let answers = all(at_once.collect::<Vec<_>>()).await;
    let done: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(done.len(), 1, "{answers:?}");
    assert_eq!(app.read(&path).await["name"], done[0].json()["name"]);
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        refused.assert_problem(412);
    }

    let http = app.http.clone();
    let url = format!("{}{}{path}", app.url, super::API);
    let callers = (0..8).map(|n| {
        let (http, url) = (http.clone(), url.clone());
        async move {
            let operator = |request: reqwest::RequestBuilder| {
                request.basic_auth(super::OPERATOR, Some(super::OPERATOR_PASSWORD))
            };
            loop {
                let read = send(operator(http.get(&url))).await;
                let mut scopes = read.json()["scopes"].clone();
                scopes.as_array_mut().unwrap().push(json!(format!("scope{n}")));
                let patch = operator(http.patch(&url)).header("if-match", read.etag());
                match send(super::json(patch, &json!({ "scopes": scopes }))).await.status {
                    200 => return,
                    412 => {}
                    other => panic!("{other}"),
                }
            }
        }
    });
    all(callers.collect::<Vec<_>>()).await;
    let scopes = app.read(&path).await["scopes"].clone();
    for n in 0..8 {
        let scope = format!("scope{n}");
        assert!(scopes.as_array().unwrap().contains(&json!(scope)), "{scope} is lost: {scopes}");
    }
}
