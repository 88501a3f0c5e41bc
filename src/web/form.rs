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
        // RFC 6749 §4.3.2, §6: parameters come "using the "application/x-www-form-urlencoded"
        // format […] with a character encoding of UTF-8".
        Ok(Self {
            body: body(web, request, payload, web.config.max_body).await?,
            authorization: authorization::authorization(request)?,
            address: client_address::of(request, &web.config.trusted_proxies),
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
    if !is_of_type(request, &[FORM]) {
        return Err(RequestError::MediaType);
    }
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

/// Returns whether the request headers declare a body of one of these media types, in UTF-8 and
/// without compression.
pub(super) fn is_of_type(request: &HttpRequest, types: &[&str]) -> bool {
    let mut headers = request.headers().get_all(CONTENT_TYPE);
    let (Some(header), None) = (headers.next(), headers.next()) else { return false };
    names_one_of(header, types) && is_plain(request)
}

fn names_one_of(header: &HeaderValue, types: &[&str]) -> bool {
    // Fast path: most headers have exactly this form.
    if types.iter().any(|wanted| header.as_bytes() == wanted.as_bytes()) {
        return true;
    }
    let Ok(text) = header.to_str() else { return false };
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let utf8 = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    });
    types.iter().any(|wanted| essence.eq_ignore_ascii_case(wanted)) && utf8
}

fn is_plain(request: &HttpRequest) -> bool {
    let coding = request.headers().get(CONTENT_ENCODING);
    coding.is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"))
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
