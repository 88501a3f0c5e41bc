//! Translates requests of hyper for the actix-web application, and its responses for hyper.
//!
//! actix-web uses an older version of the `http` crate, so heads are copied field by field.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_http::{ConnectionType, Payload, Request, RequestHead, Response};
use actix_service::Service;
use actix_web::body::{MessageBody, to_bytes};
use actix_web::http::{StatusCode, Uri, Version, header};
use actix_web::web::Bytes;
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue, PRAGMA,
    TRANSFER_ENCODING,
};
use http::request::Parts;
use http::uri::Authority;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::App;
use super::activity::InFlight;
use super::request_body::RequestBody;
use crate::web;

/// Maximum octets in a frame of a response body. The library `h2` takes a whole frame as soon as
/// the client accepts one octet, and the request counts as finished with the last frame.
const MAX_FRAME: usize = 1024;
/// Maximum number of fields in a request head. hyper's own limit for HTTP/1.1 is 100, in a buffer
/// on the stack; with another limit it clears a buffer on the heap for each request.
const MAX_FIELDS: usize = 96;

/// Passes a request to the actix-web application and returns the response.
pub(super) async fn respond(
    app: Rc<App>,
    request: http::Request<Incoming>,
    peer: Option<SocketAddr>,
    in_flight: Rc<InFlight>,
) -> Result<http::Response<ResponseBody>, h2::Error> {
    let (parts, incoming) = request.into_parts();
    let is_head = parts.method == http::Method::HEAD;
    let version = parts.version;
    let is_http2 = version == http::Version::HTTP_2;
    let body = (!incoming.is_end_stream()).then(|| RequestBody::new(incoming, &parts));
    let payload = body.as_ref().map_or(Payload::None, RequestBody::payload);
    let request = translate_request(&parts, payload, peer);
    // A small head on the wire can be large in memory.
    drop(parts);
    let response = match request {
        Err((status, reason)) => web::bad_request(status, reason).into(),
        Ok(request) => match app.call(request).await {
            Ok(response) => response.into(),
            Err(error) => Response::from(error),
        },
    };
    let mut keeps_alive = response.head().connection_type() != ConnectionType::Close;
    if let Some(body) = body.filter(|body| !body.is_complete()) {
        let is_late = response.status() == StatusCode::REQUEST_TIMEOUT;
        // Boxed, so that other requests do not reserve memory for it.
        keeps_alive &= Box::pin(body.finish(is_late, &in_flight)).await;
    }
    let (head, body) = response.into_parts();
    let body = match body.try_into_bytes() {
        Ok(bytes) => bytes,
        Err(body) => Box::pin(to_bytes(body)).await.map_err(|_| h2::Reason::INTERNAL_ERROR)?,
    };
    // The application makes no response that cannot be translated.
    let mut response =
        translate_response(&head, body, is_head, in_flight).ok_or(h2::Reason::INTERNAL_ERROR)?;
    if !keeps_alive && !is_http2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        // hyper adds "keep-alive" to a response of HTTP/1.1 to a request of HTTP/1.0.
        *response.version_mut() = version;
    }
    Ok(response)
}

/// HTTP status and `error_description` of the response to a request that is rejected.
type RejectedRequest = (StatusCode, &'static str);

/// Translates a request of hyper for actix-web, and rejects invalid requests that hyper accepts.
///
/// # Errors
/// 431 for too many fields, 400 for an invalid host or head, 501 for a transfer coding other than
/// chunked.
fn translate_request(
    parts: &Parts,
    body: Payload,
    peer: Option<SocketAddr>,
) -> Result<Request, RejectedRequest> {
    if parts.headers.len() > MAX_FIELDS {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err((status, "the request has too many header fields"));
    }
    if !has_valid_host(parts) {
        return Err((StatusCode::BAD_REQUEST, "the Host header field is missing or invalid"));
    }
    // RFC 9112 §6.1: "A server that receives a request message with a transfer coding it does not
    // understand SHOULD respond with 501 (Not Implemented)."
    let mut codings = parts.headers.get_all(TRANSFER_ENCODING).iter();
    if !codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Err((StatusCode::NOT_IMPLEMENTED, "chunked is the only transfer coding supported"));
    }
    let mut request = Request::with_payload(body);
    translate_head(parts, request.head_mut())
        .ok_or((StatusCode::BAD_REQUEST, "the request head is invalid"))?;
    request.head_mut().peer_addr = peer;
    Ok(request)
}

/// Returns whether the Host field is valid. RFC 9112 §3.2: "A server MUST respond with a 400 (Bad
/// Request) status code to any HTTP/1.1 request message that lacks a Host header field and to any
/// request message that contains more than one Host header field line or a Host header field with
/// an invalid field value."
fn has_valid_host(parts: &Parts) -> bool {
    let mut hosts = parts.headers.get_all(HOST).iter().map(HeaderValue::as_bytes);
    let (host, None) = (hosts.next(), hosts.next()) else { return false };
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    if !authority.is_none_or(is_valid_host) {
        return false;
    }
    match (parts.version, authority) {
        // RFC 9113 §8.3.1: ":authority" takes the place of Host, and must not contradict it.
        (http::Version::HTTP_2, Some(authority)) => {
            host.is_none_or(|host| host.eq_ignore_ascii_case(authority))
        }
        (http::Version::HTTP_10, _) => host.is_none_or(is_valid_host),
        _ => host.is_some_and(is_valid_host),
    }
}

/// Returns whether a host is valid. RFC 9110 §7.2: `Host = uri-host [ ":" port ]`. "http" and
/// "https" have no empty host (§4.2.1), and their user information is refused (§4.2.4).
fn is_valid_host(host: &[u8]) -> bool {
    let colon = host.iter().rposition(|octet| *octet == b':').filter(|_| !host.ends_with(b"]"));
    let (name, port) = host.split_at(colon.unwrap_or(host.len()));
    let port =
        port.strip_prefix(b":").and_then(|port| std::str::from_utf8(port).ok()).unwrap_or_default();
    let is_port = port.bytes().all(|digit| digit.is_ascii_digit())
        && (port.is_empty() || port.parse::<u16>().is_ok());
    // The usual case is a name or an IPv4 address.
    let is_simple = |octet: &u8| octet.is_ascii_alphanumeric() || b"-.".contains(octet);
    let is_name = || Authority::try_from(name).is_ok_and(|parsed| parsed.host().as_bytes() == name);
    is_port && !name.is_empty() && (name.iter().all(is_simple) || is_name())
}

fn translate_head(from: &Parts, to: &mut RequestHead) -> Option<()> {
    to.method = from.method.as_str().parse().ok()?;
    to.uri = match from.uri.path_and_query() {
        Some(path) if from.uri.authority().is_none() => Uri::try_from(path.as_str()),
        _ => Uri::try_from(from.uri.to_string()),
    }
    .ok()?;
    to.version = match from.version {
        http::Version::HTTP_2 => Version::HTTP_2,
        http::Version::HTTP_10 => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    for (name, value) in &from.headers {
        let value = header::HeaderValue::from_bytes(value.as_bytes()).ok()?;
        to.headers.append(translate_request_name(name)?, value);
    }
    Some(())
}

/// Converts the name of a request field for actix-web. Common names have constants, which is faster
/// than parsing.
fn translate_request_name(name: &HeaderName) -> Option<header::HeaderName> {
    Some(match name.as_str() {
        "host" => header::HOST,
        "authorization" => header::AUTHORIZATION,
        "content-type" => header::CONTENT_TYPE,
        "content-length" => header::CONTENT_LENGTH,
        "user-agent" => header::USER_AGENT,
        "accept" => header::ACCEPT,
        "accept-encoding" => header::ACCEPT_ENCODING,
        "connection" => header::CONNECTION,
        other => header::HeaderName::from_bytes(other.as_bytes()).ok()?,
    })
}

/// Converts the name of a response field for hyper. Common names have constants.
fn translate_response_name(name: &header::HeaderName) -> Option<HeaderName> {
    Some(match name.as_str() {
        "cache-control" => CACHE_CONTROL,
        "content-type" => CONTENT_TYPE,
        "pragma" => PRAGMA,
        other => HeaderName::from_bytes(other.as_bytes()).ok()?,
    })
}

fn translate_response(
    head: &Response<()>,
    bytes: Bytes,
    is_head: bool,
    in_flight: Rc<InFlight>,
) -> Option<http::Response<ResponseBody>> {
    let length = bytes.len();
    let bytes = if is_head { Bytes::new() } else { bytes };
    let mut response = http::Response::new(ResponseBody { bytes, _in_flight: in_flight });
    *response.status_mut() = http::StatusCode::from_u16(head.status().as_u16()).ok()?;
    let fields = response.headers_mut();
    fields.reserve(head.headers().len() + 3);
    for (name, value) in head.headers() {
        let value = HeaderValue::from_bytes(value.as_bytes()).ok()?;
        fields.append(translate_response_name(name)?, value);
    }
    // RFC 9110 §9.3.2: the fields of a response to HEAD are those of a response to GET.
    if is_head && head.status() != StatusCode::NO_CONTENT {
        fields.insert(CONTENT_LENGTH, length.into());
    }
    Some(response)
}

/// Body of a response. The request counts as in progress until this body is sent.
pub(super) struct ResponseBody {
    bytes: Bytes,
    _in_flight: Rc<InFlight>,
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let length = self.bytes.len().min(MAX_FRAME);
        let data = self.bytes.split_to(length);
        Poll::Ready((length > 0).then(|| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}
