//! Tests of behaviour that is specific to MongoDB. The contract of all stores is tested in
//! `store_contract`.

mod authentication;
mod bulk;
mod cascading_revocation;
mod command_line;
mod indexes;
mod outages;
mod startup;
mod two_servers;
