//! Tests of the documents against the program: examples are run or parsed, names exist, and links
//! have targets.

mod commands;
mod databases;
mod errors;
mod events;
mod examples;
mod guarding;
mod kept_out;
mod links;
mod machine;
mod pages;
mod settings;
mod sizes;
mod units;
