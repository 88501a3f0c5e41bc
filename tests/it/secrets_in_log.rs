//! What is logged of a whole token cycle, and that no secret is in it.

use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

use crate::helpers::{PASSWORD, spawn_app};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_secret_is_in_the_log_of_a_full_cycle() {
    let captured = Captured::default();
    // For the whole process: the server answers on threads of its own.
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(captured.clone());
    let _ = tracing::subscriber::set_global_default(subscriber.finish());

    let app = spawn_app().await;
    let typed = "typed-into-the-wrong-field";
    app.login_as(typed, "some-wrong-password", &[]).await;
    app.login_as("alice", "some-wrong-password", &[]).await;
    let first = app.login().await;
    let second = app.refresh(&first.refresh_token()).await;
    app.introspect(&second.access_token()).await;
    app.verify(&second.access_token(), "?scope=read").await;
    app.post("/oauth/token", &[("client_id", typed), ("grant_type", "password")]).await;
    app.revoke(&second.access_token()).await;
    let third = app.refresh(&second.refresh_token()).await;
    app.refresh(&first.refresh_token()).await.assert_error(400, "invalid_grant");

    let log = String::from_utf8_lossy(&captured.0.lock().unwrap()).into_owned();
    for event in ["login", "refresh", "revoke", "replay"] {
        let field = format!("event=\"{event}\"");
        assert!(log.contains(&field), "no {field} in the log, so this test proves nothing");
    }
    let mut secrets = vec![
        PASSWORD.to_owned(),
        "some-wrong-password".to_owned(),
        typed.to_owned(),
        app.backend_secret.clone(),
        app.user.password.encoded().to_owned(),
    ];
    for answer in [first, second, third] {
        for token in [answer.access_token(), answer.refresh_token()] {
            // The selector alone finds a session: it must not be there either.
            secrets.push(token[4..26].to_owned());
            secrets.push(token[26..69].to_owned());
        }
    }
    for secret in secrets {
        assert!(!log.contains(&secret), "a secret is in the log");
    }
}
