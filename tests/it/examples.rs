//! Tests of the unchanged examples, with the programs that they are written for.

mod eve;
mod flask;
pub(crate) mod front;
mod nginx;
mod node;
mod resource_server;
