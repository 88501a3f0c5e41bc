//! Too much of anything: connections, requests, octets. The server stays as large as it is, says early
//! what it cannot take, and goes on answering those who ask as they should. What was measured is
//! printed; `docs/overload.md` has it from one run.

mod connections;
mod floods;
mod http2;
mod one_at_a_time;
mod pipelines;
mod slow_clients;
mod stores;
pub mod target;
mod watch;
pub mod wire;
