//! `[compat]`: what flask-sentinel did and the RFCs do not.

use super::reader::Reader;

/// Deviations for callers that were written against flask-sentinel.
#[derive(Clone, Debug)]
pub struct Compat {
    /// Whether errors that RFC 6749 §5.2 answers with 400 are answered 401, as flask-sentinel did.
    pub flask_sentinel_status: bool,
}

impl Compat {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self { flask_sentinel_status: reader.flag("compat.flask_sentinel_status") }
    }
}
