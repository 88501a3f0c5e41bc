//! Redis in front of a store: its contents, and the behavior when it is unavailable. The contract
//! that every store fulfils is tested in `store_contract`, which runs with Redis too.

mod cache;
mod corrupt;
mod many;
mod outages;
mod published;
mod restarts;
mod settings;

pub(crate) use outages::login_at_last;
