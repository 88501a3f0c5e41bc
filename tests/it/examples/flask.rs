//! `examples/flask`.

use std::process::Command;

use super::resource_server::{self, example};
use crate::helpers::{command, installed};

fn flask(port: u16) -> Command {
    let mut flask = command(installed(".cache/python", "bin/python"));
    flask.args(["-m", "flask", "--app"]).arg(example("flask/app.py"));
    flask.args(["run", "--port", &port.to_string()]).env("PYTHONDONTWRITEBYTECODE", "1");
    flask
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_knows_whose_a_token_is() {
    resource_server::knows_whose_a_token_is(flask).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_refuses_what_is_no_live_access_token() {
    resource_server::refuses_what_is_no_live_access_token(flask).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_wants_the_scope() {
    resource_server::wants_the_scope(flask).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_lets_nobody_in_when_it_cannot_ask() {
    resource_server::lets_nobody_in_when_it_cannot_ask(flask).await;
}
