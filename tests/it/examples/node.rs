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
async fn it_knows_whose_a_token_is() {
    resource_server::knows_whose_a_token_is(node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_refuses_what_is_no_live_access_token() {
    resource_server::refuses_what_is_no_live_access_token(node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_wants_the_scope() {
    resource_server::wants_the_scope(node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_lets_nobody_in_when_it_cannot_ask() {
    resource_server::lets_nobody_in_when_it_cannot_ask(node).await;
}
