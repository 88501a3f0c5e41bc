//! What stops an import, and how that is said.

use super::target::Ours;
use crate::helpers::{free_port, mongod};

fn assert_fails(ours: &Ours, from: &str, code: i32, said: &str) {
    let output = ours.command(&["import", "flask-sentinel", "--from", from]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.contains(said) && !text.contains("secret"), "{text}");
}

#[tokio::test]
async fn a_source_that_is_none_is_refused_with_a_sentence_and_without_its_password() {
    let ours = Ours::embedded();
    assert_fails(&ours, "mysql://user:secret@host/oauth", 64, "connection string");
    assert_fails(&ours, "mongodb://user:secret@:/oauth", 64, "connection string");
    let nobody = format!(
        "mongodb://user:secret@127.0.0.1:{}/oauth?serverSelectionTimeoutMS=500",
        free_port()
    );
    assert_fails(&ours, &nobody, 69, "cannot read the source");
    let empty = mongod::replica_set().await;
    let empty = format!("{}/{}", empty.uri, empty.dbname);
    assert_fails(&ours, &empty, 65, "has none of the collections");
}
