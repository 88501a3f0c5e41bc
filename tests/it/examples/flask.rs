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
async fn token_identifies_user_and_client() {
    resource_server::token_identifies_user_and_client(flask).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_without_active_access_token_are_refused() {
    resource_server::requests_without_active_access_token_are_refused(flask).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn token_without_required_scope_is_403() {
    resource_server::token_without_required_scope_is_403(flask).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unavailable_introspection_is_503() {
    resource_server::unavailable_introspection_is_503(flask).await;
}
