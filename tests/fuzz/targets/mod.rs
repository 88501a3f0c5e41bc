//! Fuzz targets: functions that pass any bytes to production code, and panic if the result differs
//! from that of an independent implementation.
//!
//! `bins/` passes them to libFuzzer; `tests/it/fuzzing.rs` runs them on the stored seeds and on
//! generated input.

pub mod authorization;
pub mod flask_sentinel;
pub mod form_bodies;
pub mod forwarded;
pub mod management;
pub mod password_hashes;
pub mod settings;
pub mod stored_sessions;
pub mod tokens;
pub mod user_rows;

mod captured;
mod kept;
mod reading;
mod world;

pub use world::end_world;

/// Name and function of a target. The folder of its seeds has the same name.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const ALL: &[Target] = &[
    ("authorization", authorization::run),
    ("flask_sentinel", flask_sentinel::run),
    ("form_bodies", form_bodies::run),
    ("forwarded", forwarded::run),
    ("management", management::run),
    ("password_hashes", password_hashes::run),
    ("settings", settings::run),
    ("stored_sessions", stored_sessions::run),
    ("tokens", tokens::run),
    ("user_rows", user_rows::run),
];
