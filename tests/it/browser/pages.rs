//! Rules for every page: it fits any screen, and can be used with a keyboard alone.

use fantoccini::key::Key;
use sentinel::admin::{NewClient, UserChange};

use super::Browser;
use crate::helpers::{App, PASSWORD};
use crate::management::managed;

/// Widths of a small phone, a phone, a tablet and a desktop screen.
const WIDTHS: [u32; 4] = [320, 390, 820, 1440];

async fn assert_fits(browser: &Browser, page: &str, width: u32) {
    let (whole, seen) = browser.widths().await;
    assert!(whole <= seen, "{page} at {width}: {whole} > {seen}");
}

/// Adds a user, a client and a session with very long names and scopes that contain no space.
/// Returns the client's id.
async fn add_records_with_long_names(app: &App) -> String {
    let name = "w".repeat(200);
    let scopes = format!("read write {}", "scope:".repeat(30));
    let change = UserChange {
        username: Some(name.clone()),
        scopes: Some(Some(scopes.parse().unwrap())),
        ..UserChange::default()
    };
    app.admin.edit_user(app.user.id, &change).await.unwrap();
    let client = NewClient {
        name: name.clone(),
        scopes: scopes.parse().unwrap(),
        default_scopes: scopes.parse().unwrap(),
        ..NewClient::default()
    };
    let (client, _) = app.admin.add_client(client).await.unwrap();
    let form = [
        ("grant_type", "password"),
        ("client_id", client.id.as_str()),
        ("username", name.as_str()),
        ("password", PASSWORD),
    ];
    assert_eq!(app.post("/oauth/token", &form).await.status, 200);
    client.id.to_string()
}

#[tokio::test]
async fn every_page_fits_phone_tablet_and_desktop_widths() {
    let app = managed().spawn().await;
    let client = add_records_with_long_names(&app).await;
    let (user, backend) = (app.user.id, &app.backend.id);
    let pages = [
        String::new(),
        "/users".to_owned(),
        "/users/new".to_owned(),
        format!("/users/{user}"),
        format!("/users/{user}/delete"),
        "/clients".to_owned(),
        "/clients/new".to_owned(),
        "/clients/new?kind=confidential".to_owned(),
        format!("/clients/{client}"),
        format!("/clients/{client}/delete"),
        format!("/clients/{backend}/secret"),
        "/sessions".to_owned(),
        format!("/sessions/end?user={user}&client={client}"),
    ];
    let browser = Browser::start(&app, &[]).await;
    for width in WIDTHS {
        browser.set_width(width).await;
        for page in &pages {
            browser.open(page).await;
            assert_fits(&browser, page, width).await;
        }
        browser.open_refused("/no/such/page", 404).await;
        assert_fits(&browser, "what is not there", width).await;
        browser.open(&format!("/clients/{backend}/secret")).await;
        browser.press("Make a new secret").await;
        browser.assert_shown("The secret was replaced").await;
        assert_fits(&browser, "a secret", width).await;
    }
    browser.quit().await;
}

/// Opens the page in a light and in a dark colour scheme, and asserts that axe-core finds nothing.
async fn assert_accessible(browser: &Browser, page: &str) {
    for scheme in ["light", "dark"] {
        browser.set_scheme(scheme).await;
        let faults = browser.accessibility_faults().await;
        assert!(faults.is_empty(), "{page} ({scheme}): {faults:#?}");
    }
}

#[tokio::test]
async fn axe_core_finds_no_fault_on_any_page() {
    let app = managed().spawn().await;
    let browser = Browser::start(&app, &[]).await;
    app.login().await;
    let (user, public, backend) = (app.user.id, &app.client.id, &app.backend.id);
    for page in [
        String::new(),
        "/users".to_owned(),
        "/users?q=nobody".to_owned(),
        "/users/new".to_owned(),
        format!("/users/{user}"),
        format!("/users/{user}/delete"),
        "/clients".to_owned(),
        "/clients/new".to_owned(),
        "/clients/new?kind=public".to_owned(),
        "/clients/new?kind=confidential".to_owned(),
        format!("/clients/{public}"),
        format!("/clients/{backend}"),
        format!("/clients/{backend}/secret"),
        format!("/clients/{backend}/delete"),
        "/sessions".to_owned(),
        "/sessions?user=nobody".to_owned(),
        format!("/sessions/end?user={user}"),
    ] {
        browser.open(&page).await;
        assert_accessible(&browser, &page).await;
    }
    browser.open_refused("/no/such/page", 404).await;
    assert_accessible(&browser, "what is not there").await;
    for (page, button) in
        [("/users/new", "Add the user"), (&format!("/users/{user}"), "Set the password")]
    {
        browser.open(page).await;
        browser.press_expecting_error(button).await;
        assert_accessible(&browser, "an error in a form").await;
    }
    browser.open(&format!("/clients/{backend}/secret")).await;
    browser.press("Make a new secret").await;
    assert_accessible(&browser, "a secret").await;
    let disabled = UserChange { enabled: Some(false), ..UserChange::default() };
    app.admin.edit_user(user, &disabled).await.unwrap();
    browser.open(&format!("/users/{user}?done=user-disabled")).await;
    assert_accessible(&browser, "a disabled user").await;
    for id in [app.client.id.clone(), app.backend.id.clone()] {
        app.admin.delete_client(&id, &sentinel::admin::Versions::Any).await.unwrap();
    }
    for page in ["", "/clients"] {
        browser.open(page).await;
        assert_accessible(&browser, "an empty list").await;
    }
    browser.quit().await;
}

/// Presses Tab until the element with this label has the focus.
async fn tab_to(browser: &Browser, label: &str) {
    for _ in 0..40 {
        browser.key(Key::Tab.into()).await;
        if browser.focus().await == label {
            return;
        }
    }
    panic!("the keyboard does not lead to {label}");
}

#[tokio::test]
async fn user_can_be_added_with_keyboard_alone() {
    let app = managed().spawn().await;
    let browser = Browser::start(&app, &[]).await;
    browser.open("").await;
    tab_to(&browser, "Users").await;
    browser.press_key_and_wait(Key::Enter.into()).await;
    // Skips the navigation.
    tab_to(&browser, "Skip to the content").await;
    browser.key(Key::Enter.into()).await;
    tab_to(&browser, "Add a user").await;
    browser.press_key_and_wait(Key::Enter.into()).await;
    for (label, text) in [("Name", "zoe"), ("Password", "long enough")] {
        tab_to(&browser, label).await;
        browser.type_keys(text).await;
    }
    tab_to(&browser, "May log in").await;
    browser.key(' ').await;
    assert!(!browser.is_chosen("May log in").await);
    browser.key(' ').await;
    // The second password is missing. The summary has the focus, and its link leads to the field.
    tab_to(&browser, "Add the user").await;
    browser.expect_refusal(422);
    browser.press_key_and_wait(Key::Enter.into()).await;
    assert_eq!(browser.remark("Repeat the password").await, "The two passwords differ.");
    assert!(browser.focus().await.starts_with("There is an error"));
    tab_to(&browser, "Repeat the password: The two passwords differ.").await;
    browser.key(Key::Enter.into()).await;
    assert_eq!(browser.focus().await, "Repeat the password");
    for label in ["Password", "Repeat the password"] {
        tab_to(&browser, label).await;
        browser.type_keys("long enough").await;
    }
    browser.press_key_and_wait(Key::Enter.into()).await;
    browser.assert_shown("The user was added.").await;
    assert_eq!(app.login_with_password("zoe", "long enough").await.status, 200);
    browser.quit().await;
}
