//! What is only so with MongoDB behind the server. What every store promises is in `store_contract`.

mod bulk;
mod command_line;
mod endings;
mod logins;
mod outages;
mod plans;
mod starts;
mod two_servers;
