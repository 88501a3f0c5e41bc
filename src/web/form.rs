//! Reads form bodies without the extractors of actix-web, so that every invalid body is answered
//! with JSON.

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use actix_web::web::{Bytes, BytesMut, Payload};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use futures_util::{FutureExt, StreamExt};
use std::net::IpAddr;
use std::pin::pin;

use super::error::RequestError;
use super::{Web, authorization, client_address};
use crate::oauth::{Authorization, Params, Request};

/// OAuth request with a form body: the client's credentials and IP address, and the body.
pub(super) struct FormRequest<'a> {
    authorization: Authorization<'a>,
    body: Bytes,
    address: Option<IpAddr>,
}

impl<'a> FormRequest<'a> {
    /// Reads the body and the credentials of a request. Parameters in the URL are never read (RFC
    /// 6749 §2.3.1: they "can only be transmitted in the request-body and MUST NOT be included in
    /// the request URI").
    pub(super) async fn read(
        web: &Web,
        request: &'a HttpRequest,
        payload: Payload,
    ) -> Result<Self, RequestError> {
        let trusted = &web.config.trusted_proxies;
        client_address::warn_if_ignored(request, trusted, &web.has_warned_of_proxy);
        // RFC 6749 §4.3.2, §6: parameters come "using the "application/x-www-form-urlencoded"
        // format […] with a character encoding of UTF-8".
        Ok(Self {
            body: body(web, request, payload, web.config.max_body).await?,
            authorization: authorization::authorization(request)?,
            address: client_address::of(request, trusted),
        })
    }

    /// Parses the form in the body, and returns the result of `call` for the OAuth request.
    pub(super) async fn handle<T>(
        &self,
        call: impl AsyncFnOnce(Request<'_>) -> Result<T, crate::oauth::Error>,
    ) -> Result<T, RequestError> {
        let params = Params::parse(&self.body)?;
        let request =
            Request { authorization: &self.authorization, params: &params, address: self.address };
        Ok(call(request).await?)
    }
}

/// Reads a form, passes the OAuth request to `call`, and makes a response with `reply`.
pub(super) async fn handle<T>(
    web: &Web,
    request: HttpRequest,
    payload: Payload,
    call: impl AsyncFnOnce(Request<'_>) -> Result<T, crate::oauth::Error>,
    reply: impl FnOnce(T) -> HttpResponse,
) -> Result<HttpResponse, RequestError> {
    let form = FormRequest::read(web, &request, payload).await?;
    form.handle(call).await.map(reply)
}

/// Returns a form body of at most `limit` bytes that arrives in time; an error for other bodies.
pub(super) async fn body(
    web: &Web,
    request: &HttpRequest,
    payload: Payload,
    limit: usize,
) -> Result<Bytes, RequestError> {
    check_headers(request, &[FORM])?;
    read_in_time(web, request, payload, limit).await
}

/// Returns a body of at most `limit` bytes that arrives within `body_timeout`; otherwise an error.
pub(super) async fn read_in_time(
    web: &Web,
    request: &HttpRequest,
    payload: Payload,
    limit: usize,
) -> Result<Bytes, RequestError> {
    let mut reading = pin!(read_body(request, payload, limit));
    // Most bodies arrive with their heads, and need no timer.
    match reading.as_mut().now_or_never() {
        Some(body) => body,
        None => {
            let body = tokio::time::timeout(web.config.body_timeout, reading).await;
            body.map_err(|_| RequestError::Slow)?
        }
    }
}

/// Returns a 200 response with `body` in JSON.
pub(super) fn ok(body: impl serde::Serialize) -> HttpResponse {
    super::error::json(StatusCode::OK).json(body)
}

const FORM: &str = "application/x-www-form-urlencoded";

/// Checks that the request headers declare an uncompressed body of one of these media types.
///
/// Parameters of the media type are ignored: forms and JSON are always read as UTF-8 (RFC 6749
/// Appendix B, RFC 8259 §8.1), and Apache HttpClient declares ISO-8859-1 unless it is configured.
pub(super) fn check_headers(request: &HttpRequest, types: &[&str]) -> Result<(), RequestError> {
    let mut headers = request.headers().get_all(CONTENT_TYPE);
    match (headers.next(), headers.next()) {
        (Some(header), None) if names_one_of(header, types) => {}
        _ => return Err(RequestError::MediaType),
    }
    let mut codings = request.headers().get_all(CONTENT_ENCODING);
    if codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        Ok(())
    } else {
        Err(RequestError::ContentCoding)
    }
}

fn names_one_of(header: &HeaderValue, types: &[&str]) -> bool {
    let essence = header.as_bytes().split(|octet| *octet == b';').next().unwrap_or_default();
    types.iter().any(|wanted| essence.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()))
}

async fn read_body(
    request: &HttpRequest,
    mut payload: Payload,
    limit: usize,
) -> Result<Bytes, RequestError> {
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if announced.and_then(|length| length.parse::<u64>().ok()).is_some_and(|n| n > limit as u64) {
        return Err(RequestError::TooLarge);
    }
    let mut first = Bytes::new();
    let mut more: Option<BytesMut> = None;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| RequestError::Broken)?;
        let have = more.as_ref().map_or(first.len(), BytesMut::len);
        if have + chunk.len() > limit {
            return Err(RequestError::TooLarge);
        }
        // Most bodies are one chunk, which needs no copy.
        match &mut more {
            Some(buffer) => buffer.extend_from_slice(&chunk),
            None if first.is_empty() => first = chunk,
            None => {
                let mut buffer = BytesMut::from(first.as_ref());
                buffer.extend_from_slice(&chunk);
                more = Some(buffer);
            }
        }
    }
    Ok(more.map_or(first, BytesMut::freeze))
}
