//! Test support: the real application on a port of its own with a manual clock, databases, external
//! programs, and clients.

mod app;
pub mod authority;
mod captured;
mod external;
pub mod mongod;
mod operator;
mod process;
pub mod redis;
mod script;
mod servers;
mod test_response;
mod tls;

pub use app::{App, AppBuilder, PASSWORD, START, raw_exchange, send, spawn_app};
pub use captured::CapturedLog;
pub use external::{ExternalProgram, SETUP, UnresponsiveServer, command, free_port};
pub use process::{Process, sentinel, signal};
pub use script::{ClientScript, installed};
pub use servers::{ServerClient, Servers};
pub use test_response::TestResponse;
pub use tls::trust_any_certificate;

/// Runs calls concurrently and returns their results in the order of the calls.
pub async fn all<T: Send + 'static>(
    calls: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = calls.into_iter().map(tokio::spawn).collect();
    let mut answers = Vec::with_capacity(tasks.len());
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}
