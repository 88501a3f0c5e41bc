//! Stock page of flask-sentinel: adds a user and a client as its operators did.

use super::Browser;
use crate::helpers::App;

pub async fn manage(browser: &Browser, app: &App) {
    let body = browser.text_at("//body").await;
    assert!(body.contains("There are 1 authorized users.") && body.contains("alice"), "{body}");
    assert!(body.contains("(hidden)") && body.contains(app.client.id.as_str()), "{body}");
    let type_into = async |field: &str, text: &str| {
        browser.set_value(&format!("//input[@name=\"{field}\"]"), text).await;
    };
    let press = async |button: &str| {
        browser.click_and_wait(&format!("//input[@value=\"{button}\"]")).await;
    };
    type_into("username", "zoe").await;
    type_into("password", "short").await;
    browser.expect_refusal(422);
    press("Add User").await;
    // The stock page cannot show the error, so a page of its own shows it and links back.
    browser.assert_shown("8 characters").await;
    browser.follow("To the dashboard").await;

    type_into("username", "zoe").await;
    type_into("password", "long enough").await;
    press("Add User").await;
    let body = browser.text_at("//body").await;
    assert!(body.contains("There are 2 authorized users.") && body.contains("zoe"), "{body}");
    assert_eq!(app.login_with_password("zoe", "long enough").await.status, 200);

    press("Add Client").await;
    let body = browser.text_at("//body").await;
    assert!(body.contains("There are 3 authorized clients."), "{body}");
}
