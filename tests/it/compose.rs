//! Tests of `docker-compose.yml` and `Dockerfile` without Docker. The services run with the files,
//! arguments, environment and start order given there, on free ports and in a temporary folder.

mod files;
mod running;
mod stack;
