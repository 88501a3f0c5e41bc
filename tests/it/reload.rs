//! Reload on SIGHUP, and rolling restarts.

mod certificates;
mod rolling_restarts;
