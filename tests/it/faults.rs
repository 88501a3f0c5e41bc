//! Tests of several server processes with one MongoDB and one Redis, and of failures of each. The
//! tests print their measurements; `docs/faults.md` contains those of one run.

mod audit;
mod commands;
mod load;
mod mongo_connections;
mod outages;
mod processes;
mod races;
mod redis_connections;
mod redis_faults;
mod redis_refusals;
mod replica_set;
mod table;
