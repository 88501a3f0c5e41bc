//! `[cors]`: scripts of which origins may call.

use super::parse;
use super::reader::Reader;

/// Cross-origin calls.
#[derive(Clone, Debug)]
pub struct Cors {
    /// Each `*` or `scheme://host[:port]` in lower case, as a browser's `Origin` has it (RFC 6454
    /// §6.2).
    pub allowed_origins: Vec<String>,
}

impl Cors {
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
        }
    }
}
