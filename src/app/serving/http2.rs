//! HTTP/2 (RFC 9113): one connection, and no more at once than it is told.

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use actix_http::error::PayloadError;
use actix_http::{BoxedPayloadStream, Payload, Request, Response, ResponseHead};
use actix_server::GracefulShutdownSignal;
use actix_service::Service;
use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::http::header::{self, HeaderName, HeaderValue, HttpDate};
use actix_web::http::{StatusCode, Version};
use actix_web::web::Bytes;
use futures_util::{FutureExt, Stream, future::poll_fn};
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep, timeout};

/// Requests at once on one connection. §5.1.2: "Streams that are in the "open" state or in either of
/// the "half-closed" states count toward the maximum number of streams that an endpoint is permitted
/// to open."
const STREAMS: u32 = 128;
/// The largest header list, unpacked: a few octets can stand for a large one (RFC 7541 §7.3). It is
/// what HTTP/1.1 may send of it in a request of 96 headers.
const HEADERS: u32 = 32 * 1024;
/// What a client may send of a body before it is read, and what is kept of an answer before it is
/// taken, on one stream; no body is larger than a few of them.
const WINDOW: u32 = 64 * 1024;
/// The same for a connection.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// How long an answer may wait to be taken.
const TAKING: Duration = Duration::from_secs(60);

/// What belongs to one connection in HTTP/1.1, and has no meaning here (§8.2.2).
const OF_CONNECTIONS: [HeaderName; 5] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// How long a connection may take to do what.
pub(super) struct Limits<'a> {
    /// To begin.
    pub(super) preface: Duration,
    /// To be there without a request.
    pub(super) idle: Duration,
    /// Says when the server stops.
    pub(super) stopping: &'a GracefulShutdownSignal,
}

impl Limits<'_> {
    /// For how long nothing may happen.
    const fn patience(&self, ending: bool) -> Duration {
        if ending { self.preface } else { self.idle }
    }
}

/// Serves a connection until it ends.
pub(super) async fn serve<T, S, B>(io: T, peer: Option<SocketAddr>, app: &Rc<S>, limits: Limits<'_>)
where
    T: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    B: MessageBody + 'static,
{
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADERS)
        .max_send_buffer_size(WINDOW as usize)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let beginning = timeout(limits.preface, builder.handshake::<_, Bytes>(io));
    let Ok(Ok(mut connection)) = beginning.await else { return };
    // As many as there are requests being answered, and this one.
    let answering = Rc::new(());
    let mut stopping = pin!(limits.stopping.notified().fuse());
    let mut idle = pin!(sleep(limits.idle));
    let mut ending = false;
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                // Those that the client took back count no more for `h2`, and are still being answered.
                Some(Ok((_, mut respond))) if Rc::strong_count(&answering) > STREAMS as usize => {
                    respond.send_reset(Reason::REFUSED_STREAM);
                }
                Some(Ok((request, respond))) => {
                    idle.as_mut().reset(Instant::now() + limits.patience(ending));
                    let (app, answering) = (Rc::clone(app), Rc::clone(&answering));
                    tokio::task::spawn_local(async move {
                        answer(&*app, request, peer, respond).await;
                        drop(answering);
                    });
                }
                // The client has gone, or does what it must not.
                Some(Err(_)) | None => return,
            },
            () = &mut idle => {
                if Rc::strong_count(&answering) > 1 {
                    idle.as_mut().reset(Instant::now() + limits.patience(ending));
                } else if ending {
                    return;
                } else {
                    // §6.8: it is told which was the last request, and has some time to go.
                    ending = true;
                    connection.graceful_shutdown();
                    idle.as_mut().reset(Instant::now() + limits.preface);
                }
            }
            () = &mut stopping, if !ending => {
                ending = true;
                connection.graceful_shutdown();
                // Who is no longer there will not say goodbye.
                idle.as_mut().reset(Instant::now() + limits.patience(ending));
            }
        }
    }
}

/// Answers one request.
async fn answer<S, B>(
    app: &S,
    request: http::Request<RecvStream>,
    peer: Option<SocketAddr>,
    mut respond: SendResponse<Bytes>,
) where
    S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody,
{
    let is_head = request.method() == http::Method::HEAD;
    let Some(request) = taken(request, peer) else {
        // It is HTTP/2, but nothing that the application could be asked.
        respond.send_reset(Reason::PROTOCOL_ERROR);
        return;
    };
    match app.call(request).await {
        Ok(response) => send(response.into(), is_head, &mut respond).await,
        Err(error) => send(Response::from(error), is_head, &mut respond).await,
    }
}

/// The request as the application takes it: with the types of the `http` crate before its version 1, which
/// actix has and `h2`, where it is looked after, has not.
fn taken(request: http::Request<RecvStream>, peer: Option<SocketAddr>) -> Option<Request> {
    let (parts, body) = request.into_parts();
    let payload = if body.is_end_stream() {
        Payload::None
    } else {
        Payload::Stream { payload: Box::pin(Body(body)) as BoxedPayloadStream }
    };
    let mut request = Request::with_payload(payload);
    let head = request.head_mut();
    head.uri = parts.uri.to_string().parse().ok()?;
    head.method = parts.method.as_str().parse().ok()?;
    head.version = Version::HTTP_2;
    for (name, value) in &parts.headers {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
        head.headers.append(name, HeaderValue::from_bytes(value.as_bytes()).ok()?);
    }
    head.peer_addr = peer;
    Some(request)
}

/// The body of a request; the client may send more when something of it has been read.
struct Body(RecvStream);

impl Stream for Body {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let chunk = std::task::ready!(self.0.poll_data(context));
        Poll::Ready(chunk.map(|chunk| {
            let read = chunk.and_then(|chunk| {
                self.0.flow_control().release_capacity(chunk.len()).map(|()| chunk)
            });
            read.map_err(|_| PayloadError::Incomplete(None))
        }))
    }
}

/// Sends an answer, if the client takes it.
async fn send<B: MessageBody>(
    response: Response<B>,
    is_head: bool,
    respond: &mut SendResponse<Bytes>,
) {
    let (response, body) = response.into_parts();
    let size = body.size();
    let ends = is_head || size.is_eof();
    let Some(head) = head(response.head(), size) else {
        respond.send_reset(Reason::INTERNAL_ERROR);
        return;
    };
    let Ok(mut stream) = respond.send_response(head, ends) else { return };
    if ends {
        return;
    }
    let sent = {
        let mut sending = pin!(send_body(body, &mut stream));
        // Nearly every answer is taken at once: no timer is set for it.
        match sending.as_mut().now_or_never() {
            Some(sent) => sent,
            None => timeout(TAKING, sending).await.unwrap_or(None),
        }
    };
    if sent.is_none() {
        stream.send_reset(Reason::CANCEL);
    }
}

/// The head of an answer.
fn head(from: &ResponseHead, size: BodySize) -> Option<http::Response<()>> {
    let mut response = http::Response::new(());
    *response.status_mut() = http::StatusCode::from_u16(from.status.as_u16()).ok()?;
    let headers = response.headers_mut();
    for (name, value) in &from.headers {
        if !OF_CONNECTIONS.contains(name) {
            let name = http::HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
            headers.append(name, http::HeaderValue::from_bytes(value.as_bytes()).ok()?);
        }
    }
    // RFC 9110 §8.6: "A server MUST NOT send a Content-Length header field in any response with a
    // status code of 1xx (Informational) or 204 (No Content)."
    if let BodySize::Sized(length) = size
        && from.status != StatusCode::NO_CONTENT
    {
        headers.insert(http::header::CONTENT_LENGTH, http::HeaderValue::from(length));
    }
    headers.insert(http::header::DATE, http::HeaderValue::try_from(now().to_string()).ok()?);
    Some(response)
}

/// RFC 9110 §6.6.1 wants the time that it is, whatever the clock of the tokens says.
#[expect(clippy::disallowed_methods, reason = "nothing is decided by it")]
fn now() -> HttpDate {
    SystemTime::now().into()
}

/// Sends the body, as fast as the client takes it; `None` if that cannot be.
async fn send_body<B: MessageBody>(body: B, stream: &mut SendStream<Bytes>) -> Option<()> {
    let mut body = pin!(body);
    while let Some(chunk) = poll_fn(|context| body.as_mut().poll_next(context)).await {
        let mut chunk = chunk.ok()?;
        while !chunk.is_empty() {
            stream.reserve_capacity(chunk.len());
            let room = poll_fn(|context| stream.poll_capacity(context)).await?.ok()?;
            stream.send_data(chunk.split_to(room.min(chunk.len())), false).ok()?;
        }
    }
    stream.send_data(Bytes::new(), true).ok()
}
