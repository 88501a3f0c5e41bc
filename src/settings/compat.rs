//! `[compat]`: deviations from the RFCs for compatibility with flask-sentinel.

use super::reader::Reader;

/// Deviations from the RFCs for clients that were written for flask-sentinel.
#[derive(Clone, Debug)]
pub struct CompatSettings {
    /// Whether the errors `invalid_grant`, `invalid_scope` and `unauthorized_client` are answered
    /// with 401, as by flask-sentinel, instead of 400 (RFC 6749 §5.2).
    pub flask_sentinel_status: bool,
}

impl CompatSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self { flask_sentinel_status: reader.flag("compat.flask_sentinel_status") }
    }
}
