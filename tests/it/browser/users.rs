//! Users: added, found, edited and deleted. Each change applies at the token endpoint.

use sentinel::admin::UserChange;

use super::Browser;
use crate::helpers::App;

/// Asserts that a login is answered with this status.
async fn log_in(app: &App, username: &str, password: &str, status: u16) {
    let answer = app.login_with_password(username, password).await;
    assert_eq!(answer.status, status, "{username}: {answer:?}");
}

async fn fill_passwords(browser: &Browser, first: &str, password: &str, again: &str) {
    browser.fill(first, password).await;
    browser.fill("Repeat the password", again).await;
}

pub async fn manage(browser: &Browser, app: &App) {
    add(browser, app).await;
    search(browser).await;
    change(browser, app).await;
    change_meanwhile(browser, app).await;
    sessions(browser, app).await;
    delete(browser, app).await;
}

/// Adds `zoe`, after every possible error in the form.
async fn add(browser: &Browser, app: &App) {
    browser.follow("Users").await;
    browser.follow("Add a user").await;

    fill_passwords(browser, "Password", "short", "short").await;
    browser.press_expecting_error("Add the user").await;
    assert_eq!(browser.remark("Name").await, "Enter a name.");
    let remark = browser.remark("Password").await;
    assert!(remark.contains('8'), "{remark}");

    browser.fill("Name", "alice").await;
    browser.choose("No more than these").await;
    browser.fill("Scopes", "read").await;
    fill_passwords(browser, "Password", "long enough", "long enough").await;
    browser.press_expecting_error("Add the user").await;
    assert_eq!(browser.remark("Name").await, "There is already a user called “alice”.");
    // The form keeps its values, except for the passwords.
    assert_eq!(browser.value("Name").await, "alice");
    assert_eq!(browser.value("Scopes").await, "read");
    assert_eq!(browser.value("Password").await, "");
    assert!(browser.is_chosen("No more than these").await);

    browser.fill("Name", "zoe").await;
    fill_passwords(browser, "Password", "long enough", "long enuogh").await;
    browser.press_expecting_error("Add the user").await;
    assert_eq!(browser.remark("Repeat the password").await, "The two passwords differ.");
    assert_eq!(browser.value("Name").await, "zoe");
    log_in(app, "zoe", "long enough", 400).await;

    fill_passwords(browser, "Password", "long enough", "long enough").await;
    browser.press("Add the user").await;
    browser.assert_shown("The user was added.").await;
    let answer = app.login_with_password("zoe", "long enough").await;
    assert_eq!((answer.status, answer.text_of("scope").as_str()), (200, "read"), "{answer:?}");
}

async fn search(browser: &Browser) {
    browser.follow("Users").await;
    assert_eq!(browser.rows().await, 2);
    browser.fill("Name contains", "zo").await;
    browser.press("Search").await;
    assert_eq!(browser.rows().await, 1);
    browser.assert_shown("zoe").await;
    browser.fill("Name contains", "ZO").await;
    browser.press("Search").await;
    browser.assert_shown("zoe").await;
    browser.fill("Name contains", "OE").await;
    browser.press("Search").await;
    assert_eq!(browser.rows().await, 1);
    browser.assert_shown("1–1 of 1 found").await;
    browser.fill("Name contains", "oez").await;
    browser.press("Search").await;
    browser.assert_shown("No user’s name contains this text.").await;
    browser.follow("Show all").await;
    assert_eq!(browser.rows().await, 2);
}

/// Renames `zoe` to `zoë`; changes her scopes and password; disables and enables her.
async fn change(browser: &Browser, app: &App) {
    browser.follow("zoe").await;
    browser.fill("Name", "alice").await;
    browser.press_expecting_error("Save").await;
    assert_eq!(browser.remark("Name").await, "There is already a user called “alice”.");
    assert_eq!(browser.value("Name").await, "alice");
    browser.jump("Name: There is already a user called “alice”.").await;
    browser.fill("Name", "zoe").await;
    browser.press("Save").await;
    browser.assert_shown("Nothing changed.").await;
    browser.fill("Name", "zoë").await;
    browser.choose("Whatever the client may be granted").await;
    browser.press("Save").await;
    browser.assert_shown("The changes were saved.").await;
    log_in(app, "zoe", "long enough", 400).await;
    let answer = app.login_with_password("zoë", "long enough").await;
    assert_eq!((answer.status, answer.text_of("scope").as_str()), (200, "read write"));
    let token = answer.access_token();

    fill_passwords(browser, "New password", "another one", "another two").await;
    browser.press_expecting_error("Set the password").await;
    assert_eq!(browser.remark("Repeat the password").await, "The two passwords differ.");
    assert!(app.is_active(&token).await);
    fill_passwords(browser, "New password", "another one", "another one").await;
    browser.press("Set the password").await;
    browser.assert_shown("The password was set, and the user's sessions were ended.").await;
    browser.assert_shown("The user has no sessions.").await;
    assert!(!app.is_active(&token).await);
    log_in(app, "zoë", "long enough", 400).await;
    let token = app.login_with_password("zoë", "another one").await.access_token();

    browser.press("Disable").await;
    browser.assert_shown("The user was disabled, and their sessions were ended.").await;
    assert!(!app.is_active(&token).await);
    log_in(app, "zoë", "another one", 400).await;
    browser.press("Enable").await;
    browser.assert_shown("The user was enabled.").await;
    log_in(app, "zoë", "another one", 200).await;
}

/// Saves a form that was opened before a concurrent change of the user.
async fn change_meanwhile(browser: &Browser, app: &App) {
    let user = app.admin.user("zoë").await.unwrap();
    let narrowed = Some(Some("read".parse().unwrap()));
    let change = UserChange { scopes: narrowed, ..UserChange::default() };
    app.admin.edit_user(user.id, &change).await.unwrap();
    browser.fill("Name", "chloë").await;
    browser.expect_refusal(409);
    browser.press("Save").await;
    browser.assert_shown("The user was changed after this form was opened").await;
    browser.assert_shown("You entered “chloë”.").await;
    assert_eq!(browser.value("Name").await, "zoë");
    assert!(browser.is_chosen("No more than these").await);
    assert_eq!(browser.value("Scopes").await, "read");

    browser.choose("Whatever the client may be granted").await;
    browser.press("Save").await;
    browser.assert_shown("The changes were saved.").await;
    assert_eq!(app.admin.user("zoë").await.unwrap().scopes, None);
}

/// Ends one of two sessions and then the other, on the page of the user.
async fn sessions(browser: &Browser, app: &App) {
    browser.follow("Users").await;
    browser.follow("zoë").await;
    browser.press("End").await;
    browser.assert_shown("The user has no sessions.").await;
    let first = app.login_with_password("zoë", "another one").await.access_token();
    let second = app.login_with_password("zoë", "another one").await.access_token();
    browser.follow("Users").await;
    browser.follow("zoë").await;
    assert_eq!(browser.rows().await, 2);
    browser.press("End").await;
    browser.assert_shown("The session was ended.").await;
    assert_eq!(browser.rows().await, 1);
    assert!(app.is_active(&first).await != app.is_active(&second).await);
    browser.follow("End all sessions").await;
    browser.press("End the sessions").await;
    browser.assert_shown("1 session was ended.").await;
    assert!(!app.is_active(&first).await && !app.is_active(&second).await);
}

async fn delete(browser: &Browser, app: &App) {
    browser.follow("Users").await;
    browser.follow("zoë").await;
    browser.follow("Delete…").await;
    browser.assert_shown("Delete zoë?").await;
    browser.follow("Cancel").await;
    log_in(app, "zoë", "another one", 200).await;
    browser.follow("Delete…").await;
    browser.press("Delete the user").await;
    browser.assert_shown("The user was deleted, and their sessions were ended.").await;
    browser.assert_hidden("zoë").await;
    log_in(app, "zoë", "another one", 400).await;
}
