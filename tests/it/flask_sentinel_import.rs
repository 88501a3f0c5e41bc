//! Tests of `sentinel import flask-sentinel`.

mod batches;
mod failures;
mod irregular_documents;
mod migration;
mod source_server;
mod target;
mod usernames;
