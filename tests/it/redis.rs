//! Redis in front of a store: its contents, and the behavior when it is unavailable. The contract
//! that every store fulfils is tested in `store_contract`, which runs with Redis too.

mod cache;
mod corrupt_sessions;
mod large_batches;
mod memory;
mod outages;
mod published_tokens;
mod restarts;
mod settings;

pub(crate) use outages::login_at_last;
