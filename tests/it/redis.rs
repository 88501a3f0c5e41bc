//! Redis in front of a store: what is in it, what a client sees when it is not there. What every store
//! promises is in `store_contract`, which runs behind Redis too.

mod cache;
mod damaged;
mod many;
mod outages;
mod published;
mod restarts;
mod settings;

pub(crate) use outages::login_at_last;
