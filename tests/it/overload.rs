//! Overload: too many connections, requests or octets. Memory use stays bounded, excess load is
//! rejected early, and well-behaved clients keep being served. Measurements are printed;
//! `docs/overload.md` shows those of one run.

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
