//! Everything that is tested from outside, in one binary.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::indexing_slicing, clippy::print_stdout, clippy::print_stderr, unreachable_pub)]

mod browser;
mod caller_changes;
mod cli;
mod clients;
mod compose;
mod cors;
mod crash;
mod endings;
mod examples;
mod faults;
mod foreign_hashes;
mod helpers;
mod housekeeping;
mod importing;
mod inactive;
mod introspection;
mod introspection_callers;
mod management;
mod management_api;
mod metrics;
mod mongodb;
mod notify;
mod password;
mod password_policy;
mod password_pool;
mod quick_start;
mod read_only;
mod readme;
mod real_clients;
mod redis;
mod refresh;
mod reload;
mod request_ids;
mod revocation;
mod secrets_in_log;
mod session_model;
mod settings;
mod sqlite;
mod storage_copy;
mod store_contract;
mod throttle;
mod tidy;
mod tls;
mod token;
mod traces;
mod verify;
