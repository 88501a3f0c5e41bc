//! What can be said of settings without doing anything by them: nothing is made, opened for writing, connected
//! to or bound. `sentinel config check` says it, before a server has to.

use super::{StartError, listener, policy, traces};
use crate::domain::Clock;
use crate::password;
use crate::settings::Settings;
use crate::store::connect;
use crate::web::templates::Templates;

/// What a check has found.
#[derive(Debug, Default)]
pub struct Found {
    /// What would stop a server from starting, as far as that can be seen; empty if nothing.
    pub errors: Vec<StartError>,
    /// What would not, and is no good all the same, one sentence each.
    pub warnings: Vec<String>,
}

/// Looks at everything that the settings name.
pub fn check(settings: &Settings, clock: &dyn Clock) -> Found {
    let mut found = Found::default();
    let passwords = policy::password_policy(&settings.password).check();
    let templates = Templates::load(settings.templates.dir.clone());
    let certificate = listener::check_certificate(settings, clock);
    let certificate = certificate.map(|warnings| found.warnings.extend(warnings));
    found.errors = [
        templates.map(drop).map_err(StartError::from),
        traces::check(&settings.traces),
        connect::check(settings).map_err(StartError::from),
        passwords.map_err(|error| password::StartError::from(error).into()),
        certificate,
    ]
    .into_iter()
    .filter_map(Result::err)
    .collect();
    found
}
