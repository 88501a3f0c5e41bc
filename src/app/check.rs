//! What can be said of settings without doing anything by them: nothing is made, opened for writing, connected
//! to or bound. `sentinel config check` says it, before a server has to.

use super::{StartError, listener, policy, traces};
use crate::password;
use crate::settings::Settings;
use crate::store::connect;
use crate::web::templates::Templates;

/// What would stop a server from starting, as far as that can be seen; empty if nothing.
pub fn check(settings: &Settings) -> Vec<StartError> {
    let passwords = policy::password_policy(&settings.password).check();
    let templates = Templates::load(settings.templates.dir.clone());
    [
        templates.map(drop).map_err(StartError::from),
        traces::check(&settings.traces),
        connect::check(settings).map_err(StartError::from),
        passwords.map_err(|error| password::StartError::from(error).into()),
        listener::check_certificate(settings),
    ]
    .into_iter()
    .filter_map(Result::err)
    .collect()
}
