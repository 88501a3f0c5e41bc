//! Management page for the operator, and the JSON API below it.
//!
//! [`routes`] puts all routes behind one authentication check, [`operator_auth`]. A request without
//! the operator's credentials is refused in the same way whether its path exists or not. [`state`]
//! has what the handlers need. Imports go from routes over handlers to state. The operations on
//! users, clients and sessions are in `admin`.

mod api;
mod csrf;
mod operator_auth;
mod operator_check_error;
mod page;
pub(super) mod routes;
pub(super) mod state;

pub use page::samples::samples;
pub use state::{Management, ManagementConfig, Operator};
