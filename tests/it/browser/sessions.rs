//! Sessions that began with a login over HTTP: listed, filtered and ended.

use super::Browser;
use crate::helpers::{App, PASSWORD};

const USER: &str = "User (name or id)";
const CLIENT: &str = "Client id";

pub async fn manage(browser: &Browser, app: &App) {
    let through_app = app.login().await.access_token();
    let form = [("grant_type", "password"), ("username", "alice"), ("password", PASSWORD)];
    let through_backend = app.post_as_backend("/oauth/token", &form).await.access_token();

    browser.follow("Sessions").await;
    assert_eq!(browser.rows().await, 2);
    browser.fill(USER, "nobody").await;
    browser.press("Filter").await;
    assert_eq!(browser.text_at("//p[@id=\"user-error\"]").await, "There is no such user.");
    assert_eq!(browser.value(USER).await, "nobody");
    browser.assert_shown("There are no such sessions.").await;

    browser.fill(USER, "alice").await;
    browser.fill(CLIENT, app.backend.id.as_str()).await;
    browser.press("Filter").await;
    assert_eq!(browser.rows().await, 1);
    browser.press("End").await;
    browser.assert_shown("The session was ended.").await;
    browser.assert_shown("There are no such sessions.").await;
    assert_eq!(browser.value(USER).await, "alice");
    assert!(!app.is_active(&through_backend).await);
    assert!(app.is_active(&through_app).await);

    let another = app.login().await.access_token();
    browser.follow("Show all").await;
    assert_eq!(browser.rows().await, 2);
    browser.fill(USER, "alice").await;
    browser.press("Filter").await;
    browser.follow("End all of these…").await;
    browser.assert_shown("All sessions of the user alice will be ended.").await;
    browser.follow("Cancel").await;
    assert!(app.is_active(&through_app).await && app.is_active(&another).await);
    browser.follow("End all sessions…").await;
    browser.assert_shown("This ends all sessions of all users and clients").await;
    browser.press("End the sessions").await;
    browser.assert_shown("2 sessions were ended.").await;
    browser.assert_shown("Nobody is logged in.").await;
    for token in [through_app, another] {
        assert!(!app.is_active(&token).await);
        assert_eq!(app.verify(&token, "").await.status, 401);
    }
}
