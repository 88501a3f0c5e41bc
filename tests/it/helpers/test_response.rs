//! A complete HTTP response, with assertions.

use reqwest::header::HeaderMap;
use serde_json::Value;

/// Status, headers and body of a response.
#[derive(Clone, Debug)]
pub struct TestResponse {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl TestResponse {
    pub async fn read(response: reqwest::Response) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{error}: {} {:?}", self.status, self.text))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Returns the status and the `WWW-Authenticate` header, or an empty string without one.
    pub fn challenge(&self) -> (u16, &str) {
        (self.status, self.header("www-authenticate").unwrap_or_default())
    }

    /// Returns a string member of the JSON body.
    pub fn text_of(&self, member: &str) -> String {
        let json = self.json();
        json[member].as_str().unwrap_or_else(|| panic!("no {member} in {json}")).to_owned()
    }

    pub fn access_token(&self) -> String {
        self.text_of("access_token")
    }

    pub fn refresh_token(&self) -> String {
        self.text_of("refresh_token")
    }

    /// Asserts an RFC 6749 §5.2 error, with the members and headers that every error has.
    #[track_caller]
    pub fn assert_error(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.json()["error"].as_str()), (status, Some(code)), "{self:?}");
        self.assert_uncacheable_json();
        let description = self.text_of("error_description");
        // RFC 6749 §5.2: "MUST NOT include characters outside the set %x20-21 / %x23-5B / %x5D-7E."
        let allowed = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        assert!(description.bytes().all(allowed), "{description}");
        assert_eq!(status == 401, self.header("www-authenticate").is_some(), "{self:?}");
        assert_eq!(status == 405, self.header("allow").is_some(), "{self:?}");
        let later = [429, 503].contains(&status);
        assert_eq!(later, self.header("retry-after").is_some(), "{self:?}");
    }

    #[track_caller]
    pub fn assert_uncacheable_json(&self) {
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert_eq!(self.header("cache-control"), Some("no-store"));
        assert_eq!(self.header("pragma"), Some("no-cache"));
    }
}
