//! The nginx configurations in `docs/http.md`, in front of Sentinel and an API.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Url;
use tempfile::TempDir;

use super::examples::whole;
use super::pages::page;
use crate::examples::nginx_proxy::{Api, nginx, received};
use crate::helpers::authority::Authority;
use crate::helpers::{App, ExternalProgram, TestResponse, free_port, send, spawn_app};
use crate::management::{OPERATOR, OPERATOR_PASSWORD, managed};

/// Starts nginx with the configurations of the page.
fn documented_nginx(app: &App, api: &Api) -> (ExternalProgram, TempDir) {
    let port = free_port();
    let part = page("docs/http.md").joined("nginx");
    let text = whole(&part, &Authority::new())
        .replace("listen 127.0.0.1:1;", &format!("listen 127.0.0.1:{port};"))
        .replace("http://127.0.0.1:8000", &format!("http://127.0.0.1:{}", api.port))
        .replace("http://127.0.0.1:5000", &app.url);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nginx.conf");
    std::fs::write(&file, text).unwrap();
    (ExternalProgram::start(nginx(folder.path(), &file), port, folder.path()), folder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documented_nginx_configuration_protects_an_api() {
    let (app, api) = (spawn_app().await, Api::start());
    let (front, _folder) = documented_nginx(&app, &api);

    let request = || app.http.get(format!("{}/api/x", front.url));
    let none = send(request()).await;
    assert_eq!((none.status, none.challenge().1.starts_with("Bearer")), (401, true), "{none:?}");
    let narrow = app.login_with(&[("scope", "write")]).await.access_token();
    assert_eq!(send(request().bearer_auth(narrow)).await.status, 403);
    assert_eq!(api.calls(), 0);

    let token = app.login().await.access_token();
    let claim = request().header("x-auth-username", "root").header("x-auth-scope", "admin");
    let answer = send(claim.bearer_auth(&token)).await;
    assert_eq!(answer.status, 200, "{answer:?} {}", front.output());
    for (name, value) in [
        ("x-auth-user-id", app.user.id.to_string()),
        ("x-auth-username", "alice".to_owned()),
        ("x-auth-client-id", app.client.id.to_string()),
        ("x-auth-scope", "read write".to_owned()),
    ] {
        assert_eq!(received(&answer, name), [value], "{name}");
    }
    assert!(received(&answer, "authorization").is_empty());
    app.revoke(&token).await;
    assert_eq!(send(request().bearer_auth(&token)).await.status, 401);
}

/// Sends an operator's request as a browser does, through the proxy at the public URL's origin.
async fn browse(app: &App, method: &str, url: &Url, form: &[(&str, &str)]) -> TestResponse {
    let request = app.http.request(method.parse().unwrap(), url.clone());
    let request = request.basic_auth(OPERATOR, Some(OPERATOR_PASSWORD));
    send(match method {
        "POST" => request.header("origin", "https://example.org").form(form),
        _ => request,
    })
    .await
}

/// Returns the targets of the attributes `names` in a page at `url`, as a browser resolves them.
fn targets<'a>(url: &'a Url, html: &'a str, names: &'a [&str]) -> impl Iterator<Item = Url> + 'a {
    let values = names.iter().flat_map(|name| {
        let parts = html.split(&format!(" {name}=\"")).skip(1).collect::<Vec<_>>();
        parts.into_iter().map(|rest| rest.split('"').next().unwrap())
    });
    values.map(|value| url.join(&value.replace("&amp;", "&")).unwrap())
}

/// Follows all links from the first page. Asserts that links, styles, icons and forms lead to pages
/// below `first`. Returns the number of pages and the targets of forms.
async fn crawl(app: &App, first: &Url) -> (usize, BTreeSet<Url>) {
    let (mut seen, mut forms) = (BTreeMap::new(), BTreeSet::new());
    let mut open = vec![first.clone()];
    while let Some(mut url) = open.pop() {
        url.set_fragment(None);
        assert!(url.as_str().starts_with(first.as_str()), "{url} is not below {first}");
        if seen.contains_key(&url) {
            continue;
        }
        let answer = browse(app, "GET", &url, &[]).await;
        assert_eq!(answer.status, 200, "{url}: {answer:?}");
        if answer.header("content-type").unwrap().starts_with("text/html") {
            open.extend(targets(&url, &answer.text, &["href", "src"]));
            forms.extend(targets(&url, &answer.text, &["action"]));
        }
        seen.insert(url, answer.status);
    }
    for form in &forms {
        assert!(form.as_str().starts_with(first.as_str()), "{form} is not below {first}");
        // Some forms are for POST only.
        assert!([200, 405].contains(&browse(app, "GET", form, &[]).await.status), "{form}");
    }
    (seen.len(), forms)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn management_page_works_below_the_path_of_the_public_url_and_without_the_proxy() {
    let app = managed().set("server.public_url", "https://example.org/auth").spawn().await;
    app.login().await;
    let (front, _folder) = documented_nginx(&app, &Api::start());
    let proxied = Url::parse(&format!("{}/auth/oauth/management", front.url)).unwrap();
    let direct = Url::parse(&format!("{}/oauth/management", app.url)).unwrap();
    for first in [&proxied, &direct] {
        let (pages, forms) = crawl(&app, first).await;
        assert!(pages > 12 && forms.len() > 8, "{pages} pages, {forms:?}");
        // From the other pages, links lead to the first page with a slash.
        let slash = Url::parse(&format!("{first}/")).unwrap();
        assert_eq!(crawl(&app, &slash).await.0, pages - 1, "from {slash}");
    }

    // Each form leads back to a page.
    let at = |path: &str| Url::parse(&format!("{proxied}{path}")).unwrap();
    let user = [
        ("username", "zoe"),
        ("scope_limit", "any"),
        ("password", "long enough"),
        ("again", "long enough"),
        ("enabled", "on"),
    ];
    let client = [("name", "Shop"), ("kind", "public"), ("grant_password", "on")];
    let flask = [("username", "amy"), ("password", "long enough"), ("submit", "Add User")];
    let disable = format!("/users/{}/disable", app.user.id);
    let delete = format!("/clients/{}/delete", app.client.id);
    for (path, form, shown) in [
        ("/users", &user[..], "The user was added."),
        ("/clients", &client, "The client was added."),
        ("", &flask, "The user was added."),
        ("/", &[("submit", "Add Client")], "The client was added."),
        ("/sessions/end", &[("user", "alice")], "ended"),
        (&disable, &[], "disabled"),
        (&delete, &[], "The client was deleted"),
    ] {
        let answer = browse(&app, "POST", &at(path), form).await;
        assert_eq!(answer.status, 303, "{path}: {answer:?}");
        let target = at(path).join(answer.header("location").unwrap()).unwrap();
        let answer = browse(&app, "GET", &target, &[]).await;
        assert_eq!(answer.status, 200, "{target}");
        assert!(answer.text.contains(shown), "{target}: {}", answer.text);
    }
    // The API's URLs begin with the public URL.
    let new = serde_json::json!({ "username": "ann", "password": "long enough" });
    let add = app.http.post(at("/api/users")).basic_auth(OPERATOR, Some(OPERATOR_PASSWORD));
    let added = send(add.header("content-type", "application/json").body(new.to_string())).await;
    let public = "https://example.org/auth/oauth/management/api/users/";
    assert!(added.header("location").unwrap().starts_with(public), "{added:?}");
    // Error pages have the style too.
    let missing = browse(&app, "GET", &at("/users/nobody/x"), &[]).await;
    assert_eq!(missing.status, 404);
    let url = at("/users/nobody/x");
    let assets: Vec<_> = targets(&url, &missing.text, &["href"])
        .filter(|target| target.path().contains("/assets/"))
        .collect();
    assert!(!assets.is_empty());
    for asset in assets {
        assert_eq!(browse(&app, "GET", &asset, &[]).await.status, 200, "{asset}");
    }
    let metadata = format!("{}/.well-known/oauth-authorization-server/auth", front.url);
    let metadata = send(app.http.get(metadata)).await.json();
    assert_eq!(metadata["issuer"], "https://example.org/auth");
    assert_eq!(metadata["token_endpoint"], "https://example.org/auth/oauth/token");
}
