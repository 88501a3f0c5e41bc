//! The examples, as they are, with the programs that they are for.

mod eve;
mod flask;
pub(crate) mod front;
mod nginx;
mod node;
mod resource_server;
