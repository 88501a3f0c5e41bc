//! Tests of the unchanged examples, with the programs that they are written for.

mod eve;
mod flask;
mod nginx;
pub(crate) mod nginx_proxy;
mod node;
mod proxies;
mod resource_server;
