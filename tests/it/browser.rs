//! The management page in a real browser: Chromium, which ChromeDriver drives.

mod clients;
mod driver;
mod pages;
mod sessions;
mod users;

use driver::Browser;

use crate::helpers::{App, mongod};
use crate::management::managed;

/// Every task, one after the other.
async fn do_everything(browser: &Browser, app: &App) {
    browser.open("").await;
    browser.see("Store answers").await;
    users::add(browser, app).await;
    users::search(browser).await;
    users::change(browser, app).await;
    users::delete(browser, app).await;
    clients::add_change_delete(browser, app).await;
    sessions::find_and_end(browser, app).await;
}

#[tokio::test]
async fn an_operator_does_every_task_in_a_browser_on_the_embedded_store() {
    let app = managed().spawn().await;
    let browser = Browser::start(&app, &[]).await;
    do_everything(&browser, &app).await;
    browser.quit().await;
}

#[tokio::test]
async fn an_operator_does_every_task_in_a_browser_on_mongodb() {
    let target = mongod::replica_set().await;
    let app = managed().mongodb(&target).spawn().await;
    let browser = Browser::start(&app, &[]).await;
    do_everything(&browser, &app).await;
    browser.quit().await;
}

#[tokio::test]
async fn an_operator_does_every_task_in_a_browser_that_runs_no_script() {
    let app = managed().spawn().await;
    let browser = Browser::start(&app, &["--blink-settings=scriptEnabled=false"]).await;
    // Or else this would be the same test once more.
    let page = "data:text/html,<title>as it came</title><script>document.title = 'run'</script>";
    assert_eq!(browser.title_of(page).await, "as it came");
    do_everything(&browser, &app).await;
    browser.quit().await;
}
