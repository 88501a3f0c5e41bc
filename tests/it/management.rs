//! Tests of the management page, its access control, templates and audit events.

mod audit;
mod client_tasks;
mod contrast;
mod operator_auth;
mod pages;
mod tasks;
mod templates;
mod versions;

use reqwest::RequestBuilder;

pub use templates::stock_page;

use crate::helpers::{App, AppBuilder, TestResponse, send};

pub const OPERATOR: &str = "op";
pub const OPERATOR_PASSWORD: &str = "p:ä ss\u{1f511}word";

/// Returns the builder of an application with management credentials.
pub fn managed() -> AppBuilder {
    AppBuilder::default()
        .set("management.username", OPERATOR)
        .set("management.password", OPERATOR_PASSWORD)
}

impl App {
    /// Builds a request of the operator to `path` below the management page's.
    fn operate(&self, method: &str, path: &str) -> RequestBuilder {
        let request = self.request(method, &format!("/oauth/management{path}"));
        request.basic_auth(OPERATOR, Some(OPERATOR_PASSWORD))
    }
}

/// Returns the text of the page at `path`; asserts that it is answered with 200.
async fn page(app: &App, path: &str) -> String {
    let answer = send(app.operate("GET", path)).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.text
}

/// Posts a form as a browser does.
async fn post(app: &App, path: &str, form: &[(&str, &str)]) -> TestResponse {
    let request = app.operate("POST", path).form(form);
    send(request.header("origin", &app.url).header("sec-fetch-site", "same-origin")).await
}

/// Posts a form and asserts a redirect. Returns its target below the management page's path.
async fn redirected(app: &App, path: &str, form: &[(&str, &str)]) -> String {
    let answer = post(app, path, form).await;
    assert_eq!(answer.status, 303, "{path} {form:?}: {answer:?}");
    below_page(path, answer.header("location").unwrap())
}

/// Resolves a reference on the page at `path`, as a browser does. Returns the part of the result
/// below the management page's path; asserts that there is one.
fn below_page(path: &str, reference: &str) -> String {
    let page = format!("http://sentinel.example/oauth/management{path}");
    let page = reqwest::Url::parse(&page).unwrap();
    let target = page.join(&reference.replace("&amp;", "&")).unwrap().to_string();
    target.strip_prefix("http://sentinel.example/oauth/management").unwrap().to_owned()
}
