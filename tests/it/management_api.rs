//! Tests of the JSON API for management.

mod access;
mod clients;
mod command_line;
mod description;
mod guide;
mod mongodb;
mod pages;
mod requests;
mod sessions;
mod users;
mod versions;

use reqwest::RequestBuilder;
use serde_json::Value;

use crate::helpers::{App, AppBuilder, TestResponse, send};

const API: &str = "/oauth/management/api";
const OPERATOR: &str = "operator";
const OPERATOR_PASSWORD: &str = "operators-own-password";

/// Returns the builder of an application with management credentials.
fn managed() -> AppBuilder {
    AppBuilder::default()
        .set("management.username", OPERATOR)
        .set("management.password", OPERATOR_PASSWORD)
}

impl App {
    /// Builds a request of the operator to `path` below the API's.
    fn api(&self, method: &str, path: &str) -> RequestBuilder {
        let request = self.request(method, &format!("{API}{path}"));
        request.basic_auth(OPERATOR, Some(OPERATOR_PASSWORD))
    }

    /// Sends a GET request of the operator.
    async fn get(&self, path: &str) -> TestResponse {
        send(self.api("GET", path)).await
    }

    /// Returns the JSON at `path`; asserts that it is answered with 200.
    async fn read(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    /// Sends a DELETE request of the operator.
    async fn delete(&self, path: &str) -> TestResponse {
        send(self.api("DELETE", path)).await
    }

    /// Sends a request of the operator with a JSON body.
    async fn send_json(&self, method: &str, path: &str, body: &Value) -> TestResponse {
        send(json(self.api(method, path), body)).await
    }

    /// Returns the path of the user that every test application has.
    fn alice(&self) -> String {
        format!("/users/{}", self.user.id)
    }

    /// Returns the path of the public client.
    fn public(&self) -> String {
        format!("/clients/{}", self.client.id)
    }

    /// Returns the path of the confidential client.
    fn confidential(&self) -> String {
        format!("/clients/{}", self.backend.id)
    }
}

fn json(request: RequestBuilder, body: &Value) -> RequestBuilder {
    request.header("content-type", "application/json").body(body.to_string())
}

impl TestResponse {
    /// Asserts an RFC 9457 problem with all common members and headers. Returns its `detail`.
    #[track_caller]
    fn assert_problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        assert_eq!(self.header("cache-control"), Some("no-store"));
        let problem = self.json();
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["status"], status);
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()));
        assert_eq!(status == 401, self.header("www-authenticate").is_some(), "{self:?}");
        assert_eq!(status == 405, self.header("allow").is_some(), "{self:?}");
        assert_eq!(status == 503, self.header("retry-after").is_some(), "{self:?}");
        self.text_of("detail")
    }

    /// Asserts a 422 about the value at `pointer`. Returns its `detail`.
    #[track_caller]
    fn assert_invalid(&self, pointer: &str) -> String {
        let detail = self.assert_problem(422);
        let problem = self.json();
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
        assert_eq!(problem["errors"][0]["detail"], detail.as_str());
        detail
    }

    /// Asserts a 400 about a URL parameter. Returns its `detail`.
    #[track_caller]
    fn assert_bad_parameter(&self, name: &str) -> String {
        let detail = self.assert_problem(400);
        let problem = self.json();
        assert_eq!(problem["errors"][0]["parameter"], name, "{problem}");
        detail
    }

    fn etag(&self) -> String {
        self.header("etag").unwrap_or_else(|| panic!("no ETag in {self:?}")).to_owned()
    }
}
