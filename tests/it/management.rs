//! The management page and what is around it.

mod audit;
mod client_tasks;
mod contrast;
mod gate;
mod pages;
mod tasks;
mod templates;
mod versions;

use reqwest::RequestBuilder;

pub use templates::stock_page;

use crate::helpers::{Answer, App, AppBuilder, send};

pub const OPERATOR: &str = "op";
pub const OPERATOR_PASSWORD: &str = "p:ä ss\u{1f511}word";

/// An application with an operator.
pub fn managed() -> AppBuilder {
    AppBuilder::default()
        .set("management.username", OPERATOR)
        .set("management.password", OPERATOR_PASSWORD)
}

impl App {
    /// A request as the operator, to a path below the page's.
    fn operate(&self, method: &str, path: &str) -> RequestBuilder {
        let request = self.request(method, &format!("/oauth/management{path}"));
        request.basic_auth(OPERATOR, Some(OPERATOR_PASSWORD))
    }
}

/// A page that is there.
async fn page(app: &App, path: &str) -> String {
    let answer = send(app.operate("GET", path)).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.text
}

/// Posts a form as a browser does.
async fn post(app: &App, path: &str, form: &[(&str, &str)]) -> Answer {
    let request = app.operate("POST", path).form(form);
    send(request.header("origin", &app.url).header("sec-fetch-site", "same-origin")).await
}

/// Posts a form that is followed; where the browser is sent, below the page's path.
async fn redirected(app: &App, path: &str, form: &[(&str, &str)]) -> String {
    let answer = post(app, path, form).await;
    assert_eq!(answer.status, 303, "{path} {form:?}: {answer:?}");
    answer.header("location").unwrap().strip_prefix("/oauth/management").unwrap().to_owned()
}
