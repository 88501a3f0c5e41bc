//! Tests of the management page in Chromium, driven by ChromeDriver.
//!
//! Every task runs on both stores. On MongoDB the browser runs no scripts, so that no task can
//! depend on one.

mod clients;
mod driver;
mod flask_sentinel;
mod pages;
mod sessions;
mod users;

use driver::Browser;

use crate::helpers::{App, mongod};
use crate::management::{managed, stock_page};

async fn on_embedded(tasks: impl AsyncFnOnce(&Browser, &App)) {
    let app = managed().spawn().await;
    let browser = Browser::start(&app, &[]).await;
    browser.open("").await;
    browser.assert_shown("Store answers").await;
    tasks(&browser, &app).await;
    browser.quit().await;
}

async fn on_mongodb_without_scripts(tasks: impl AsyncFnOnce(&Browser, &App)) {
    let target = mongod::replica_set().await;
    let app = managed().mongodb(&target).spawn().await;
    let browser = Browser::start(&app, &["--blink-settings=scriptEnabled=false"]).await;
    let page = "data:text/html,<title>as it came</title><script>document.title = 'run'</script>";
    assert_eq!(browser.title_of(page).await, "as it came");
    browser.open("").await;
    browser.assert_shown("Store answers").await;
    tasks(&browser, &app).await;
    browser.quit().await;
}

#[tokio::test]
async fn users_are_added_found_changed_and_deleted_on_the_embedded_store() {
    on_embedded(users::manage).await;
}

#[tokio::test]
async fn users_are_added_found_changed_and_deleted_on_mongodb() {
    on_mongodb_without_scripts(users::manage).await;
}

#[tokio::test]
async fn clients_are_added_found_changed_and_deleted_on_the_embedded_store() {
    on_embedded(clients::manage).await;
}

#[tokio::test]
async fn clients_are_added_found_changed_and_deleted_on_mongodb() {
    on_mongodb_without_scripts(clients::manage).await;
}

#[tokio::test]
async fn sessions_are_found_and_ended_on_the_embedded_store() {
    on_embedded(sessions::manage).await;
}

#[tokio::test]
async fn sessions_are_found_and_ended_on_mongodb() {
    on_mongodb_without_scripts(sessions::manage).await;
}

#[tokio::test]
async fn flask_sentinel_management_template_works_in_browser() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("management.html"), stock_page()).unwrap();
    let app = managed().set("templates.dir", folder.path().to_str().unwrap()).spawn().await;
    let browser = Browser::start(&app, &[]).await;
    browser.open("").await;
    flask_sentinel::manage(&browser, &app).await;
    // The template links an external style sheet, which the policy blocks. It links no icon, so the
    // browser may request /favicon.ico. Its password field has no `autocomplete`.
    let known = ["Content Security Policy", "favicon.ico", "autocomplete attributes"];
    browser.quit_ignoring(&known).await;
}
