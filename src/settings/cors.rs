//! `[cors]`: origins whose scripts may call the server, and the headers that they may send.

use super::parse;
use super::reader::Reader;

/// Settings for cross-origin requests of browsers (CORS).
#[derive(Clone, Debug)]
pub struct CorsSettings {
    /// Origins whose scripts may call the server. Each is `*`, or `scheme://host[:port]` in lower
    /// case, as browsers send it in `Origin` (RFC 6454 §6.2).
    pub allowed_origins: Vec<String>,
    /// Names of request headers in lower case that scripts of these origins may send, beside
    /// `Authorization` and `Content-Type`.
    pub allowed_headers: Vec<String>,
}

impl CorsSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let expected =
            "\"*\" or scheme://host[:port] with no path, such as \"https://app.example.org\"";
        Self {
            allowed_origins: reader.list(
                "cors.allowed_origins",
                expected,
                false,
                parse::web_origin,
            ),
            allowed_headers: reader.list(
                "cors.allowed_headers",
                "the name of a request header, such as \"traceparent\"; \"*\" is not supported",
                false,
                parse::header_name,
            ),
        }
    }
}
