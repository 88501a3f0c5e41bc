//! `docker-compose.yml` and `Dockerfile`, without Docker: the same programs with the same files,
//! arguments, environment and order of starts, on ports and in a folder of the test's own.

mod files;
mod running;
mod stack;
