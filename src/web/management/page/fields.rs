//! Names and values, from a query or from a form that was posted.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use percent_encoding::percent_decode;

use super::Failure;
use crate::admin::Versions;
use crate::web::{Web, form};

/// The largest form that is read. It is far more than any field may hold: who fills in too much is to be
/// told beside the field.
const MAX_FORM: usize = 256 << 10;

/// Names and values; of a name that is repeated the first counts.
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(super) fn parse(encoded: &[u8]) -> Self {
        Self(form_urlencoded::parse(encoded).into_owned().collect())
    }

    /// The value; "" where there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        let value = self.0.iter().find(|(known, _)| known == name);
        value.map_or("", |(_, value)| value.as_str())
    }

    /// Whether a box is ticked.
    pub(super) fn is_on(&self, name: &str) -> bool {
        !self.get(name).is_empty()
    }

    /// The version that a form was filled in for. A form without it, in an operator's own template, is meant for
    /// whichever there is; with what was never a version, for none: it is better to change nothing.
    pub(super) fn versions(&self) -> Versions {
        match self.get("version") {
            "" => Versions::Any,
            version => Versions::OneOf(version.parse().into_iter().collect()),
        }
    }
}

/// A form that was posted.
pub(super) struct Posted(pub(super) Fields);

impl FromRequest for Posted {
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Failure>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let reading = web::Payload::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let web = request.app_data::<web::Data<Web>>().ok_or(Failure::NoSuchPage)?;
            let payload = reading.await.map_err(|_| Failure::Malformed)?;
            let body = form::body(web, &request, payload, MAX_FORM).await?;
            // Browsers send UTF-8, since the page is; what is not would be changed by reading it.
            percent_decode(&body).decode_utf8().map_err(|_| Failure::Malformed)?;
            Ok(Self(Fields::parse(&body)))
        })
    }
}
