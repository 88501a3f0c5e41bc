//! Tests of connections and messages of HTTP/1.1 (RFC 9112) and HTTP/2 (RFC 9113), with the real
//! binary.

mod early_responses;
mod http2_client;
mod latency;
mod messages;
mod timeouts;
