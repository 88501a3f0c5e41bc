//! Overload: too many connections, requests or octets. Memory use stays bounded, excess load is
//! rejected early, and well-behaved clients keep being served. Measurements are printed;
//! `docs/overload.md` shows those of one run.

mod connections;
mod floods;
mod http2;
mod isolation;
mod pipelines;
pub mod raw_connection;
mod slow_clients;
mod stores;
pub mod target;
mod well_behaved_clients;
