//! SIGHUP, and servers that are restarted one after the other.

mod certificates;
mod rolling;
