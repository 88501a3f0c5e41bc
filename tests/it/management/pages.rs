//! Contents of the management pages.

use super::{below_page, managed, page};
use crate::helpers::{App, PASSWORD, send};

const NASTY: [&str; 5] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' autofocus onfocus='alert(1)",
    "{{ 7 * 7 }}{% raw %}&amp;",
    "evil\u{202e}gnp.exe",
];

/// Logs in and returns the addresses of all pages.
async fn addresses(app: &App) -> Vec<String> {
    let (user, client) = (app.user.id, &app.backend.id);
    app.login().await;
    vec![
        String::new(),
        "/".to_owned(),
        "/users".to_owned(),
        "/users/new".to_owned(),
        format!("/users/{user}"),
        format!("/users/{user}/delete"),
        "/clients".to_owned(),
        "/clients/new".to_owned(),
        "/clients/new?kind=confidential".to_owned(),
        format!("/clients/{client}"),
        format!("/clients/{client}/secret"),
        format!("/clients/{client}/delete"),
        "/sessions".to_owned(),
        format!("/sessions?user={user}"),
        "/sessions/end".to_owned(),
        format!("/sessions/end?user={user}&client={client}"),
    ]
}

#[tokio::test]
async fn pages_have_no_script_and_no_external_resource() {
    let app = managed().spawn().await;
    let mut fields = 0;
    for address in addresses(&app).await {
        let answer = send(app.operate("GET", &address)).await;
        assert_eq!(answer.status, 200, "{address}");
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let html = &answer.text;
        for forbidden in ["<script", "style=", "<style", " onclick", "=\"http", "url(", "$argon2"] {
            assert!(!html.contains(forbidden), "{forbidden} in {address}");
        }
        for needed in
            ["<html lang=\"en\">", "<h1>", "class=\"skip\"", "<title>", "name=\"viewport\""]
        {
            assert!(html.contains(needed), "no {needed} in {address}");
        }
        // Every field has a label.
        for field in html.split("<input ").skip(1).map(|rest| rest.split('>').next().unwrap()) {
            let hidden = field.contains("type=\"hidden\"") || field.contains("aria-hidden");
            let id = field.split(" id=\"").nth(1).or(field.strip_prefix("id=\""));
            let id = id.map(|rest| rest.split('"').next().unwrap());
            let labelled = id.is_some_and(|id| html.contains(&format!("<label for=\"{id}\"")));
            assert!(hidden || labelled, "{field} in {address}");
            fields += 1;
        }
        let head = send(app.operate("HEAD", &address)).await;
        assert_eq!((head.status, head.text.as_str()), (200, ""), "{address}");
    }
    assert!(fields > 0, "no field was found");
}

#[tokio::test]
async fn assets_are_cacheable_and_require_credentials() {
    let app = managed().spawn().await;
    let html = page(&app, "").await;
    let links = html.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let assets: Vec<_> = links.filter(|link| link.contains("/assets/")).collect();
    assert_eq!(assets.len(), 2, "{assets:?}");
    for (asset, media_type) in assets.into_iter().zip(["text/css; charset=utf-8", "image/svg+xml"])
    {
        let path = below_page("", asset);
        let anyone = app.request("GET", &format!("/oauth/management{path}"));
        assert_eq!(send(anyone).await.status, 401);
        let answer = send(app.operate("GET", &path)).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(media_type)));
        assert!(answer.header("cache-control").unwrap().contains("immutable"));
        assert!(answer.header("content-security-policy").is_some());
    }
    assert_eq!(send(app.operate("GET", "/assets/management-0.css")).await.status, 404);
}

#[tokio::test]
async fn user_input_is_escaped_on_every_page() {
    let app = managed().spawn().await;
    for name in NASTY {
        let form = [
            ("username", name),
            ("scope_limit", "any"),
            ("password", "long enough"),
            ("again", "long enough"),
            ("enabled", "on"),
        ];
        let added = send(app.operate("POST", "/users").form(&form)).await;
        // User names have no direction overrides, and names of clients may.
        let is_username = !name.contains('\u{202e}');
        assert_eq!(added.status, if is_username { 303 } else { 422 }, "{name}: {added:?}");
        let form = [("name", name), ("kind", "public"), ("grant_password", "on")];
        let added = send(app.operate("POST", "/clients").form(&form)).await;
        assert_eq!(added.status, 303, "{name}: {added:?}");
        let added = below_page("/clients", added.header("location").unwrap());
        let client = added.split(['/', '?']).nth(2).unwrap().to_owned();
        let (username, password) =
            if is_username { (name, "long enough") } else { ("alice", PASSWORD) };
        let form = [
            ("grant_type", "password"),
            ("client_id", client.as_str()),
            ("username", username),
            ("password", password),
        ];
        assert_eq!(app.post("/oauth/token", &form).await.status, 200);
    }
    let users = app.admin.users("", &sentinel::store::Page::first(100)).await.unwrap().items;
    let mut addresses = vec!["/users".to_owned(), "/clients".to_owned(), "/sessions".to_owned()];
    for user in &users {
        addresses.push(format!("/users/{}", user.id));
        addresses.push(format!("/users/{}/delete", user.id));
    }
    let query = |name: &str| name.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    for name in NASTY {
        for path in [
            "/users?q",
            "/clients?q",
            "/sessions?user",
            "/sessions?client",
            "/?done",
            "/users?after",
        ] {
            addresses.push(format!("{path}={}", query(name)));
        }
    }
    let mut names = 0;
    for address in addresses {
        let html = page(&app, &address).await;
        for raw in ["<script", "<img src=x", "' autofocus", " onerror=alert(1)>", "49{"] {
            assert!(!html.contains(raw), "{raw} in {address}");
        }
        // A name with a direction override is isolated from its surroundings.
        let turned = html.matches('\u{202e}').count();
        let shut_in = html.matches("<bdi>evil\u{202e}gnp.exe</bdi>").count();
        let in_values = html.matches("\"evil\u{202e}gnp.exe\"").count();
        let in_titles = html.matches("<title>evil\u{202e}gnp.exe").count();
        assert_eq!(turned, shut_in + in_values + in_titles, "{address}");
        names += turned;
    }
    assert!(names > 0, "no page shows the name with the direction override");
}

#[tokio::test]
async fn dashboard_shows_counts_and_health() {
    let app = managed().spawn().await;
    app.login().await;
    app.login().await;
    app.login_with_password("alice", "wrong").await;
    let html = page(&app, "").await;
    for shown in [
        "<span class=\"label\">Users</span><strong>1</strong>",
        "<span class=\"label\">Clients</span><strong>2</strong>",
        "<span class=\"label\">Live sessions</span><strong>2</strong>",
        "Store answers",
        "No Redis",
        "2 logins",
        "Counted by this process since its start",
        "1 failures",
    ] {
        assert!(html.contains(shown), "no {shown} in {html}");
    }
    // A day later, the process has counted no login in 24 hours. The sessions have a live refresh
    // token.
    app.advance(25 * 3600);
    let html = page(&app, "").await;
    assert!(html.contains("0 logins") && html.contains("Live sessions</span><strong>2<"), "{html}");
    app.advance(31 * 24 * 3600);
    assert!(page(&app, "").await.contains("Live sessions</span><strong>0<"));
}

/// A write waits for the lock for more than five seconds.
#[tokio::test]
async fn pages_and_api_do_not_wait_for_lock_of_another_writer() {
    let app = managed().spawn().await;
    let mut addresses = addresses(&app).await;
    addresses.extend(["/api/users", "/api/clients", "/api/sessions"].map(str::to_owned));
    let other = rusqlite::Connection::open(app.folder.path().join("sentinel.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for address in addresses {
        let started = std::time::Instant::now();
        let shown = page(&app, &address).await;
        assert!(started.elapsed() < std::time::Duration::from_secs(3), "{address} waits");
        assert!(!shown.contains("Store does not answer"), "{shown}");
    }
}

#[tokio::test]
async fn long_list_is_paged_without_gaps() {
    let app = managed().spawn().await;
    for number in 0..60 {
        let client =
            sentinel::admin::NewClient { name: format!("n-{number:02}"), ..Default::default() };
        app.admin.add_client(client).await.unwrap();
        app.login().await;
    }
    for list in ["/clients?q=n-", "/sessions", "/sessions?user=alice"] {
        let mut seen = 0;
        let mut address = Some(list.to_owned());
        let mut pages = 0;
        while let Some(current) = address {
            let html = page(&app, &current).await;
            seen += html.matches("<td data-label=\"Scopes\">").count();
            pages += 1;
            address = html.split(" href=\"").skip(1).find_map(|rest| {
                let (link, tail) = rest.split_once('"').unwrap();
                tail.starts_with(" rel=\"next\"").then(|| below_page(&current, link))
            });
            assert!(pages < 5, "{list}");
        }
        assert_eq!((seen, pages), (60, 2), "{list}");
    }
}

#[tokio::test]
async fn lists_are_counted_and_users_are_sorted_without_regard_to_case() {
    let app = managed().spawn().await;
    for number in 0..64 {
        let name = if number % 2 == 0 { "B" } else { "b" };
        let user = sentinel::admin::NewUser {
            username: format!("{name}{number:02}"),
            password: app.user.password.clone(),
            scopes: None,
            enabled: true,
        };
        app.admin.add_user(user).await.unwrap();
    }
    let first = page(&app, "/users").await;
    assert!(first.contains("1–50 of 65<"), "{first}");
    let names: Vec<_> =
        first.split("<bdi>").skip(1).map(|rest| rest.split('<').next().unwrap()).collect();
    assert_eq!(names[..4], ["alice", "B00", "b01", "B02"]);
    let next = first.split_once("\" rel=\"next\"").unwrap().0;
    let next = below_page("/users", next.rsplit("href=\"").next().unwrap());
    let second = page(&app, &next).await;
    assert!(second.contains("51–65 of 65<"), "{second}");
    // The position in the URL changes only what is shown.
    for start in ["x", "-1", "99999999999999999999", "0"] {
        assert_eq!(
            page(&app, &format!("/users?after=b48&start={start}")).await.matches("<bdi>").count(),
            15
        );
    }
    assert!(page(&app, "/users?q=6").await.contains("1–10 of 10 found<"));
    assert!(page(&app, "/clients").await.contains("1–2 of 2<"));
}

#[tokio::test]
async fn sessions_show_the_id_in_the_log_and_whole_days() {
    let app = managed().spawn().await;
    let session = app.login().await;
    let listed =
        app.admin.live_sessions(&Default::default(), &sentinel::store::Page::first(1)).await;
    let id = listed.unwrap().items[0].id;
    app.advance(5);
    for address in ["/sessions".to_owned(), format!("/users/{}", app.user.id)] {
        let html = page(&app, &address).await;
        assert!(html.contains(&format!("<td data-label=\"Id\"><code>{id}</code>")), "{html}");
        assert!(html.contains(">in 30 d</time>"), "{html}");
    }
    assert_eq!(session.status, 200);
}

#[tokio::test]
async fn dashboard_shows_first_steps_until_there_are_a_user_and_a_client() {
    let app = managed().spawn().await;
    assert!(!page(&app, "").await.contains("First steps"));
    app.admin.delete_user(app.user.id, &sentinel::admin::Versions::Any).await.unwrap();
    let html = page(&app, "").await;
    assert!(html.contains("First steps") && html.contains("A client has been added."), "{html}");
    assert!(html.contains("/users/new\">Add a user</a>"), "{html}");
    for id in [&app.client.id, &app.backend.id] {
        app.admin.delete_client(id, &sentinel::admin::Versions::Any).await.unwrap();
    }
    assert!(page(&app, "").await.contains("/clients/new\">Add a client</a>"));
}

#[tokio::test]
async fn chart_has_an_axis_and_no_bar_for_an_hour_without_logins() {
    let app = managed().spawn().await;
    for _ in 0..3 {
        app.login().await;
    }
    let html = page(&app, "").await;
    assert!(html.contains("<span>4</span><span>2</span><span>0</span>"), "{html}");
    let bars = html.split("<rect class=\"logins\"").skip(1);
    let heights: Vec<_> =
        bars.map(|bar| bar.split("height=\"").nth(1).unwrap().split('"').next().unwrap()).collect();
    assert_eq!(heights.iter().filter(|height| **height != "0").collect::<Vec<_>>(), [&"75"]);
    assert!(!html.contains("class=\"hour\""), "{html}");
    assert_eq!(
        html.split_once("class=\"marks\"")
            .unwrap()
            .1
            .split("</div>")
            .next()
            .unwrap()
            .matches("<span>")
            .count(),
        4
    );
}

#[tokio::test]
async fn unknown_path_is_404_page_and_wrong_method_is_405() {
    let app = managed().spawn().await;
    for address in [
        "/nothing",
        "/users/",
        "/users/x",
        "/users/0123456789abcdef01234567",
        "/clients/x",
        "/users/x/delete",
        "/sessions/end?user=nobody",
    ] {
        let answer = send(app.operate("GET", address)).await;
        assert_eq!(answer.status, 404, "{address}");
        assert!(answer.text.contains("<h1>Not Found</h1>"), "{address}");
    }
    // A public client has no secret.
    let secret = format!("/clients/{}/secret", app.client.id);
    assert_eq!(send(app.operate("GET", &secret)).await.status, 404);
    assert_eq!(send(app.operate("POST", &secret).form(&[("x", "y")])).await.status, 404);
    let user = format!("/users/{}", app.user.id);
    for (method, address, allowed) in [
        ("GET", format!("{user}/disable"), "POST"),
        ("POST", "/users/new".to_owned(), "GET, HEAD"),
        ("DELETE", user, "GET, HEAD, POST"),
        ("PUT", "/clients".to_owned(), "GET, HEAD, POST"),
    ] {
        let answer = send(app.operate(method, &address)).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allowed)), "{address}");
    }
}
