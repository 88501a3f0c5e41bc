//! Checks the settings for `sentinel config check`, before a server is started with them.
//!
//! The check has no side effects: it creates nothing, opens nothing for writing, and binds no
//! address. It connects to Redis alone, and only to read its policy for a full memory.

use super::{StartError, file_access_warnings, listener, policy, traces};
use crate::domain::Clock;
use crate::password;
use crate::settings::Settings;
use crate::store::{connect, redis};
use crate::web::management::samples;
use crate::web::templates::Templates;

/// Result of a check of the settings.
#[derive(Debug, Default)]
pub struct ConfigReport {
    /// Errors that would prevent a server from starting, as far as a check can detect them.
    pub errors: Vec<StartError>,
    /// Problems that would not prevent a server from starting, one sentence each.
    pub warnings: Vec<String>,
}

/// Checks the settings, with the templates, certificates and stores that they name. Warns about the
/// policy of Redis for a full memory, if Redis answers.
pub async fn check(settings: &Settings, clock: &dyn Clock) -> ConfigReport {
    let mut report =
        ConfigReport { warnings: file_access_warnings(settings), ..ConfigReport::default() };
    let passwords = policy::password_policy(&settings.password).check();
    let templates = Templates::load(settings.templates.dir.clone(), samples);
    let certificate = listener::check_certificate(settings, clock);
    let certificate = certificate.map(|warnings| report.warnings.extend(warnings));
    report.errors = [
        templates.map(drop).map_err(StartError::from),
        traces::check(&settings.traces),
        connect::check(settings).map_err(StartError::from),
        passwords.map_err(|error| password::PoolStartError::from(error).into()),
        certificate,
    ]
    .into_iter()
    .filter_map(Result::err)
    .collect();
    if settings.redis.url.is_some() {
        report.warnings.extend(redis::eviction_warning(&settings.redis).await);
    }
    report
}
