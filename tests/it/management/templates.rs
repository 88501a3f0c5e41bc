//! Templates of the operator.

use std::path::Path;

use sentinel::admin::NewUser;

use super::{below_page, managed, page, post, redirected};
use crate::helpers::{AppBuilder, installed, sentinel};

/// Template that an operator wrote for flask-sentinel.
const FLASK_SENTINEL: &str = r#"<!DOCTYPE html>
<html><head><title>Our users</title></head><body>
{% for user in users %}<li class="user">{{ user.username }}</li>{% endfor %}
{% for client in clients %}<li class="client">{{ client.client_id }}</li>{% endfor %}
<form action="" method="post"><input name="username"><input name="password" type="password">
<input type="submit" name="submit" value="Add User"><input type="submit" name="submit" value="Add Client"></form>
</body></html>"#;

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn with_folder(folder: &tempfile::TempDir) -> AppBuilder {
    managed().set("templates.dir", folder.path().to_str().unwrap())
}

/// Runs `sentinel templates check` on a folder. Returns exit code, standard output and standard
/// error.
fn check(folder: &Path, more: &[&str]) -> (Option<i32>, String, String) {
    let setting = format!("templates.dir={}", folder.display());
    let output = sentinel(folder)
        .args(["templates", "check", "--set", &setting])
        .args(more)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn custom_flask_sentinel_page_keeps_working() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "management.html", FLASK_SENTINEL);
    let app = with_folder(&folder).spawn().await;
    let html = page(&app, "").await;
    assert!(
        html.contains("<title>Our users</title>") && html.contains("<li class=\"user\">alice</li>")
    );
    assert!(html.contains(app.client.id.as_str()));
    let user = [("username", "<zoe>"), ("password", "long enough"), ("submit", "Add User")];
    assert_eq!(redirected(&app, "", &user).await, "?done=user-added");
    assert!(page(&app, "").await.contains("<li class=\"user\">&lt;zoe&gt;</li>"));
    assert_eq!(app.login_with_password("<zoe>", "long enough").await.status, 200);
    redirected(&app, "", &[("submit", "Add Client")]).await;
    assert_eq!(page(&app, "").await.matches("class=\"client\"").count(), 3);
    for wrong in [("username", "alice"), ("username", ""), ("password", "short")] {
        let mut form: Vec<_> = user.into_iter().filter(|(name, _)| *name != wrong.0).collect();
        form.push(wrong);
        assert_eq!(post(&app, "", &form).await.status, 422, "{wrong:?}");
    }
    assert_eq!(post(&app, "", &[("submit", "Drop")]).await.status, 400);
    // The other pages keep the built-in templates.
    assert!(page(&app, "/users").await.contains("<title>Users – Sentinel</title>"));
}

#[tokio::test]
async fn custom_flask_sentinel_page_reports_password_too_long_for_bcrypt() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "management.html", FLASK_SENTINEL);
    let bcrypt =
        with_folder(&folder).set("password.scheme", "bcrypt").set("password.bcrypt_cost", "4");
    let app = bcrypt.spawn().await;
    let long = "p".repeat(80);
    let user = [("username", "zoe"), ("password", &*long), ("submit", "Add User")];
    let answer = post(&app, "", &user).await;
    assert_eq!(answer.status, 422, "{answer:?}");
    assert!(answer.text.contains("at most 72 bytes") && !answer.text.contains(&long), "{answer:?}");
}

/// Returns the page of flask-sentinel itself, from which operators derived their own.
pub fn stock_page() -> String {
    // The folder contains one entry, named after the Python version.
    let mut versions = std::fs::read_dir(installed(".cache/flask-sentinel", "lib")).unwrap();
    let folder = versions.next().unwrap().unwrap().path();
    let page = folder.join("site-packages/flask_sentinel/templates/management.html");
    std::fs::read_to_string(page).unwrap()
}

#[tokio::test]
async fn stock_flask_sentinel_page_works_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "management.html", &stock_page());
    assert_eq!(check(folder.path(), &[]).0, Some(0));
    let app = with_folder(&folder).spawn().await;
    let html = page(&app, "").await;
    for part in [
        "There are 1 authorized users.",
        "<td>alice</td>",
        "<td>(hidden)</td>",
        "<td>public</td>",
        "<form method=\"post\" action=./management>",
    ] {
        assert!(html.contains(part), "no {part} in {html}");
    }
    let alice = app.admin.user("alice").await.unwrap();
    assert!(html.contains(&format!("<td>{}</td>", alice.id)), "{html}");
    assert!(html.contains(&format!("<td>{}</td>", app.client.id)), "{html}");
    let zoe = [("username", "zoe"), ("password", "long enough"), ("submit", "Add User")];
    redirected(&app, "", &zoe).await;
    redirected(&app, "", &[("submit", "Add Client")]).await;
    let html = page(&app, "").await;
    assert!(html.contains("There are 2 authorized users.") && html.contains("<td>zoe</td>"));
    assert_eq!(app.login_with_password("zoe", "long enough").await.status, 200);
    // This page has no place for an error, so a page of its own shows it.
    let refused = post(&app, "", &zoe).await;
    assert_eq!(refused.status, 422);
    assert!(
        refused.text.contains("There is already a user called &quot;zoe&quot;."),
        "{refused:?}"
    );
}

#[tokio::test]
async fn flask_sentinel_template_variables_keep_their_meaning() {
    let folder = tempfile::tempdir().unwrap();
    let text = "{{ request.method }} {{ request.path }} {{ error or 'no error' }}
        {% for user in users %}<{{ user._id }} {{ user.username | e }} {{ user.hashpw }}>{% endfor %}
        {% for client in clients %}[{{ client._id }} {{ client.client_id }} {{ client.client_type }} \
        {% for grant in client.allowed_grant_types %}{{ grant }},{% endfor %} \
        {{ client.default_scopes | count }} {{ client.default_redirect_uri }}]{% endfor %}";
    write(folder.path(), "management.html", text);
    let app = with_folder(&folder).spawn().await;
    let (user, client) = (app.admin.user("alice").await.unwrap(), &app.client.id);
    let html = page(&app, "").await;
    assert!(html.contains("GET ./management no error"), "{html}");
    assert!(html.contains(&format!("<{} alice (hidden)>", user.id)), "{html}");
    let part = format!("[{client} {client} public password,refresh_token, 2 ]");
    assert!(html.contains(&part), "no {part} in {html}");
    // This page has a place for an error.
    let refused = post(&app, "", &[("submit", "Add User"), ("username", "alice")]).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text.starts_with("POST ./management The password "), "{refused:?}");
}

#[tokio::test]
async fn custom_page_lists_a_thousand_users() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "management.html", "{{ users | length }} of {{ counts.users }}");
    let app = with_folder(&folder).spawn().await;
    for number in 0..1000 {
        let (username, password) = (format!("user {number}"), app.user.password.clone());
        let new = NewUser { username, password, scopes: None, enabled: true };
        app.admin.add_user(new).await.unwrap();
    }
    assert_eq!(page(&app, "").await.trim_end(), "1000 of 1,001");
}

#[tokio::test]
async fn custom_layout_and_error_page_replace_built_in_ones() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "management.css", "body { color: teal }");
    write(folder.path(), "errors.html", "{{ entries | length }} codes of ours");
    write(
        folder.path(),
        "management/layout.html",
        "<link rel=\"stylesheet\" href=\"{{ page.style }}\">{% block title %}{% endblock %}\
        <main>{% block content %}{% endblock %} ours</main>\n",
    );
    write(folder.path(), "notes.txt", "{{ not a template");
    let app = with_folder(&folder).spawn().await;
    let users = page(&app, "/users").await;
    assert!(users.ends_with("ours</main>\n"), "{users}");
    let style = users.split(" href=\"").nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(page(&app, &below_page("/users", style)).await, "body { color: teal }");
    let errors = crate::helpers::send(app.request("GET", "/oauth/errors")).await;
    assert_eq!(errors.text.trim_end(), "9 codes of ours");
}

#[test]
fn built_in_templates_pass_check() {
    let folder = tempfile::tempdir().unwrap();
    let (code, output, errors) = check(folder.path(), &[]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(output.contains("22 templates and styles are valid"), "{output}");
    let (_, output, _) = check(folder.path(), &["--json"]);
    let report: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!(report, serde_json::json!({ "ok": true, "count": 22, "own": [], "errors": [] }));
}

#[test]
fn template_error_is_reported_with_file_and_line() {
    for (name, text, line, message) in [
        ("management.html", "<p>\n{% if %}\n</p>", 2, ""),
        ("management.html", "a\nb\n{{ cuonts.users }}\n", 3, "cuonts"),
        (
            "management/users.html",
            "{% for user in users %}\n\n\n{{ user.hash }}{% endfor %}",
            4,
            "hash",
        ),
        ("management/user.html", "\n{{ user.username | shout }}", 2, "shout"),
        ("errors.html", "\n\n{{ nothing }}", 3, "nothing"),
        ("management/parts.html", "{% component nav_link() %}\n{{ x }}{% endcomponent %}", 0, ""),
        ("management/clients.html", "{% extends \"nowhere.html\" %}", 0, "nowhere.html"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), name, text);
        let (code, output, errors) = check(folder.path(), &["--json"]);
        assert_eq!(code, Some(78), "{name}: {errors}");
        let report: serde_json::Value = serde_json::from_str(&output).unwrap();
        assert_eq!(report["ok"], false);
        let error = &report["errors"][0];
        assert!(error["message"].as_str().unwrap().contains(message), "{report}");
        if line > 0 {
            let file = folder.path().join(name).display().to_string();
            assert_eq!(
                (error["file"].as_str(), error["line"].as_u64()),
                (Some(&*file), Some(line))
            );
            assert!(errors.contains(&format!("{file}:{line}:")), "{errors}");
        }
        // The server does not start with it, either.
        let setting = format!("templates.dir={}", folder.path().display());
        let serve = sentinel(folder.path()).args(["serve", "--set", &setting]).output().unwrap();
        assert_eq!(serve.status.code(), Some(78), "{serve:?}");
    }
}

#[test]
fn template_that_never_ends_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/zero", folder.path().join("management.html")).unwrap();
    let (code, _, errors) = check(folder.path(), &[]);
    assert_eq!(code, Some(78), "{errors}");
    assert!(errors.contains("management.html") && errors.contains("larger than 1 MiB"), "{errors}");
}

#[test]
fn missing_template_folder_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let output = sentinel(folder.path())
        .args(["templates", "check", "--set", "templates.dir=nowhere"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nowhere"));
}

#[test]
fn template_reload_keeps_old_templates_on_error() {
    use sentinel::web::management::samples;
    use sentinel::web::templates::Templates;
    let folder = tempfile::tempdir().unwrap();
    let templates = Templates::load(Some(folder.path().to_owned()), samples).unwrap();
    assert!(templates.checked().own.is_empty());
    write(folder.path(), "management.html", "ours");
    templates.reload().unwrap();
    assert_eq!(templates.checked().own, ["management.html"]);
    write(folder.path(), "management.html", "{{ nothing }}");
    assert!(templates.reload().unwrap_err().to_string().contains("management.html:1:"));
    assert_eq!(templates.checked().own, ["management.html"]);
}
