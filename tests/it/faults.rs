//! Servers in processes of their own on one MongoDB and one Redis, and what becomes of them when one of
//! those fails. What was measured is printed; `docs/faults.md` has it from one run.

mod audit;
mod commands;
mod load;
mod mongo_connections;
mod outlasting;
mod processes;
mod races;
mod redis_connections;
mod redis_faults;
mod replica_set;
mod table;
mod unanswered;
