//! Tests of behaviour that is specific to MongoDB. The contract of all stores is tested in
//! `store_contract`.

mod bulk;
mod cascade;
mod command_line;
mod logins;
mod outages;
mod plans;
mod starts;
mod two_servers;
