//! The management page and what is around it.

mod gate;

use reqwest::RequestBuilder;

use crate::helpers::{App, AppBuilder};

const OPERATOR: &str = "op";
const OPERATOR_PASSWORD: &str = "p:ä ss\u{1f511}word";

/// An application with an operator.
fn managed() -> AppBuilder {
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
