//! `examples/node`.

use std::process::Command;

use super::resource_server::{self, example};
use crate::helpers::command;

fn node(port: u16) -> Command {
    let mut node = command("node");
    node.arg(example("node/server.mjs")).env("PORT", port.to_string());
    node
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn token_identifies_user_and_client() {
    resource_server::token_identifies_user_and_client(node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_without_active_access_token_are_refused() {
    resource_server::requests_without_active_access_token_are_refused(node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn token_without_required_scope_is_403() {
    resource_server::token_without_required_scope_is_403(node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unavailable_introspection_is_503() {
    resource_server::unavailable_introspection_is_503(node).await;
}
