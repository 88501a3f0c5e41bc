//! Tests of the documents against the program: examples are run or parsed, names exist, and links
//! have targets.

mod commands;
mod databases;
mod errors;
mod events;
mod examples;
mod links;
mod machine;
mod nginx;
mod packages;
mod pages;
mod rate_limit_reset;
mod resource_servers;
mod settings;
mod sizes;
mod units;
mod user_import;
