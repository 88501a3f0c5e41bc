//! Life cycle of a confidential client: registration, edits, secret rotation and deletion.

use super::Browser;
use crate::helpers::{App, TestResponse, send};

/// Requests an access token with the client credentials grant.
async fn token(app: &App, id: &str, secret: &str) -> TestResponse {
    let request = app.request("POST", "/oauth/token").form(&[("grant_type", "client_credentials")]);
    send(request.basic_auth(id, Some(secret))).await
}

/// Asserts that the client gets an access token with this lifetime, and returns the token.
async fn assert_granted(app: &App, id: &str, secret: &str, seconds: u64) -> String {
    let answer = token(app, id, secret).await;
    assert_eq!((answer.status, answer.json()["expires_in"].as_u64()), (200, Some(seconds)));
    answer.access_token()
}

async fn assert_refused(app: &App, id: &str, secret: &str) {
    token(app, id, secret).await.assert_error(401, "invalid_client");
}

async fn secret_shown(browser: &Browser) -> String {
    browser.text_at("//code[@id=\"client-secret\"]").await
}

pub async fn manage(browser: &Browser, app: &App) {
    let (id, secret) = add(browser, app).await;
    change(browser, app, &id, &secret).await;
    search(browser, &id).await;
    let secret = rotate(browser, app, &id, &secret).await;
    disable(browser, app, &id, &secret).await;
    delete(browser, app, &id, &secret).await;
}

async fn add(browser: &Browser, app: &App) -> (String, String) {
    browser.follow("Clients").await;
    browser.follow("Add a client").await;
    browser.click_and_wait("//a[contains(., \"Public client\")]").await;
    browser.assert_hidden("Client credentials").await;
    browser.assert_hidden("Permissions").await;
    browser.follow("Type").await;
    browser.click_and_wait("//a[contains(., \"Confidential client\")]").await;
    browser.fill("Name", "shop").await;
    // Both are selected initially, so a click clears them.
    browser.choose("Password").await;
    browser.choose("Refresh token").await;
    browser.fill("Access token", "soon").await;
    browser.press_expecting_error("Add the client").await;
    let remark = browser.text_at("//p[@id=\"grants-error\"]").await;
    assert_eq!(remark, "Choose at least one grant.");
    assert!(!browser.remark("Access token").await.is_empty());
    // The summary of the errors has the focus and leads to the fields.
    assert!(browser.focus().await.starts_with("There are 2 errors"));
    assert!(browser.title().await.starts_with("Error: Add a client"));
    browser.jump("Grants: Choose at least one grant.").await;
    assert_eq!(browser.value("Name").await, "shop");
    assert_eq!(browser.value("Access token").await, "soon");
    assert!(!browser.is_chosen("Password").await);

    browser.fill("Access token", "15m").await;
    browser.choose("Client credentials").await;
    browser.fill("Allowed", "read write").await;
    browser.fill("Default", "read").await;
    browser.press("Add the client").await;
    browser.assert_shown("The client was added").await;
    let id = browser.text_at("//code[@id=\"client-id\"]").await;
    let secret = secret_shown(browser).await;
    assert_granted(app, &id, &secret, 900).await;
    browser.follow("Done").await;
    assert_gone(browser, &id, &secret).await;
    (id, secret)
}

/// Asserts that the secret is on no page: neither the client's page, nor the list, nor the page
/// that showed it when the browser goes back.
async fn assert_gone(browser: &Browser, id: &str, secret: &str) {
    let page = format!("/clients/{id}");
    browser.back().await;
    assert!(!browser.source().await.contains(secret));
    for address in ["/clients", &page] {
        browser.open(address).await;
        let source = browser.source().await;
        assert!(source.contains(id) && !source.contains(secret), "{address}");
    }
}

async fn change(browser: &Browser, app: &App, id: &str, secret: &str) {
    browser.fill("Unused refresh token", "-1").await;
    browser.press_expecting_error("Save").await;
    assert!(!browser.remark("Unused refresh token").await.is_empty());
    assert_eq!(browser.value("Unused refresh token").await, "-1");
    browser.fill("Unused refresh token", "").await;
    browser.press("Save").await;
    browser.assert_shown("Nothing changed.").await;
    browser.fill("Name", "store").await;
    browser.fill("Access token", "30m").await;
    browser.press("Save").await;
    browser.assert_shown("The changes were saved.").await;
    assert_granted(app, id, secret, 1800).await;
}

async fn search(browser: &Browser, id: &str) {
    browser.follow("Clients").await;
    assert_eq!(browser.rows().await, 3);
    for query in ["TOR", id] {
        browser.fill("Name or id contains", query).await;
        browser.press("Search").await;
        assert_eq!(browser.rows().await, 1, "{query}");
        browser.assert_shown(id).await;
    }
    browser.fill("Name or id contains", "shop").await;
    browser.press("Search").await;
    browser.assert_shown("No client’s name or id contains this text.").await;
    browser.follow("Show all").await;
    browser.follow("store").await;
}

async fn rotate(browser: &Browser, app: &App, id: &str, old: &str) -> String {
    browser.follow("New secret…").await;
    browser.follow("Cancel").await;
    assert_granted(app, id, old, 1800).await;
    browser.follow("New secret…").await;
    browser.press("Make a new secret").await;
    browser.assert_shown("The secret was replaced").await;
    let new = secret_shown(browser).await;
    assert_refused(app, id, old).await;
    assert_granted(app, id, &new, 1800).await;
    browser.follow("Done").await;
    assert_gone(browser, id, &new).await;
    new
}

async fn disable(browser: &Browser, app: &App, id: &str, secret: &str) {
    let token = assert_granted(app, id, secret, 1800).await;
    assert!(app.is_active(&token).await);
    browser.press("Disable").await;
    browser.assert_shown("The client was disabled, and its sessions were ended.").await;
    assert!(!app.is_active(&token).await);
    assert_refused(app, id, secret).await;
    browser.press("Enable").await;
    browser.assert_shown("The client was enabled.").await;
    assert_granted(app, id, secret, 1800).await;
}

async fn delete(browser: &Browser, app: &App, id: &str, secret: &str) {
    browser.follow("Delete…").await;
    browser.assert_shown("Delete store?").await;
    browser.follow("Cancel").await;
    assert_granted(app, id, secret, 1800).await;
    browser.follow("Delete…").await;
    browser.press("Delete the client").await;
    browser.assert_shown("The client was deleted, and its sessions were ended.").await;
    browser.assert_hidden(id).await;
    assert_refused(app, id, secret).await;
}
