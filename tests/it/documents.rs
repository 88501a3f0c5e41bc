//! What the documents say, held against what there is: examples are run or parsed, names exist, links lead
//! somewhere.

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
