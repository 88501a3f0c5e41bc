//! Domain types and rules without I/O: tokens, sessions, users, clients, scopes and time.
//!
//! The rules of refreshing (rotation, retry, replay detection) are pure functions in
//! [`refresh_rotation`], from a session and a time to the next version of the session. They are
//! tested without a store and apply to every store. Tokens, secrets and ids are generated here.
//! Time is an argument and comes from a [`Clock`]. Not here: protocols (`oauth`), persistence
//! (`store`) and password hashing (`password`).

mod base62;
mod client;
mod client_secret;
mod clock;
mod digest;
mod duration;
mod grant;
pub mod hash_limits;
mod id;
mod known_devices;
mod legacy_token;
mod password_hash;
mod random;
mod rate_limit_key;
mod refresh_rotation;
mod scope;
mod session;
mod sliding_window;
mod token;
mod user;
mod username;

pub use client::{
    Client, ClientKind, InvalidClientName, Lifetimes, MAX_CLIENT_NAME_BYTES, check_client_name,
};
pub use client_secret::{
    ClientSecret, InvalidClientSecret, MIN_CLIENT_SECRET, StoredSecret, check_client_secret,
};
pub use clock::{Clock, ClockNotSet, ManualClock, SystemClock, Timestamp};
pub use digest::{Digest, ProcessKey};
pub use duration::{LIFETIME, LIFETIME_SECONDS, parse_duration, parse_lifetime, show_duration};
pub use grant::{Grant, UnknownGrant};
pub use id::{ClientId, InvalidId, SessionId, UserId};
pub use known_devices::KnownDevices;
pub use legacy_token::legacy_mac_key;
pub use password_hash::PasswordHash;
pub use random::{RandomError, random_bytes, random_index};
pub use rate_limit_key::{RateLimitKey, RateLimitKeyKind};
pub use refresh_rotation::RefreshOutcome;
pub use scope::{InvalidScope, Scope};
pub use session::{
    AccessToken, IssuedTokens, MAX_ACCESS_TOKENS, NewSession, RefreshChain, Session, SessionUser,
    UsedRefresh,
};
pub use sliding_window::{Bucket, WindowCounter};
pub use token::{Selector, TOKEN_BYTES, Token, TokenKind, Verifier};
pub use user::{InvalidPassword, User, check_password, is_login_text, to_nfc};
pub use username::{
    InvalidUsername, MAX_USERNAME_BYTES, RESERVED_NAME_PREFIXES, check_kept_username,
    check_username, fold_username, is_same_principal, username_key, username_key_parts,
};
