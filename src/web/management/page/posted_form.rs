//! Names and values of a query string or a posted form.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use percent_encoding::percent_decode;

use super::page_error::PageError;
use crate::admin::Versions;
use crate::web::form;
use crate::web::state::Web;

/// Maximum size of a posted form of the management page, in bytes. It is far more than the fields
/// may hold, so that the page can show the error about a long value beside its field.
const MAX_FORM: usize = 256 << 10;

/// Names and values of a form or a query string. If a name is repeated, its first value counts.
pub(super) struct PostedFields(Vec<(String, String)>);

impl PostedFields {
    pub(super) fn parse(encoded: &[u8]) -> Self {
        Self(form_urlencoded::parse(encoded).into_owned().collect())
    }

    /// Returns the value of the form field or query parameter `name`; "" if it is missing.
    pub(super) fn get(&self, name: &str) -> &str {
        let value = self.0.iter().find(|(known, _)| known == name);
        value.map_or("", |(_, value)| value.as_str())
    }

    /// Returns whether the check box of this name is ticked in the submitted form.
    pub(super) fn is_on(&self, name: &str) -> bool {
        !self.get(name).is_empty()
    }

    /// Returns the versions (change counters) of the user or client for which the form is meant. A
    /// form without a version, as in an operator's own template, is meant for every version. A
    /// malformed version matches none, since it is safer to change nothing.
    pub(super) fn versions(&self) -> Versions {
        match self.get("version") {
            "" => Versions::Any,
            version => Versions::OneOf(version.parse().into_iter().collect()),
        }
    }
}

/// Fields of a posted form, as a parameter of a page handler.
pub(super) struct PostedForm(pub(super) PostedFields);

impl FromRequest for PostedForm {
    type Error = PageError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, PageError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let reading = web::Payload::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let web = request.app_data::<web::Data<Web>>().ok_or(PageError::NoSuchPage)?;
            let payload = reading.await.map_err(|_| PageError::Malformed)?;
            let body = form::body(web, &request, payload, MAX_FORM).await?;
            // Browsers send UTF-8, the encoding of the page. Other octets are rejected, since the
            // parser would replace them.
            percent_decode(&body).decode_utf8().map_err(|_| PageError::NotUtf8)?;
            Ok(Self(PostedFields::parse(&body)))
        })
    }
}
