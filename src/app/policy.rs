//! Converts settings into the policies of the other layers, which do not read settings.

use crate::oauth::OAuthPolicy;
use crate::password;
use crate::rate_limit::RateLimitPolicy;
use crate::settings::{self, Settings};
use crate::web::management::{ManagementConfig, Operator};
use crate::web::{Routes, WebConfig};

/// Returns the password hashing policy of the settings.
pub const fn password_policy(settings: &settings::PasswordSettings) -> password::HashPolicy {
    password::HashPolicy {
        scheme: settings.scheme,
        memory_kib: settings.memory_kib,
        iterations: settings.iterations,
        parallelism: settings.parallelism,
        bcrypt_cost: settings.bcrypt_cost,
    }
}

pub(super) fn oauth_policy(settings: &Settings) -> OAuthPolicy {
    let oauth = &settings.oauth;
    OAuthPolicy {
        grants: oauth.grants.iter().copied().collect(),
        lifetimes: oauth.lifetimes,
        issuer: settings.server.public_url.clone(),
    }
}

pub(super) const fn rate_limit_policy(settings: &settings::ThrottleSettings) -> RateLimitPolicy {
    RateLimitPolicy {
        enabled: settings.enabled,
        failures_per_address: settings.failures_per_address,
        failures_per_user: settings.failures_per_user,
        window: settings.window,
    }
}

pub(super) fn web_config(settings: &Settings) -> WebConfig {
    let (oauth, server) = (&settings.oauth, &settings.server);
    let error_uri = match (&oauth.error_uri, &server.public_url) {
        (Some(settings::ErrorUri::Url(url)), _) => Some(url.clone()),
        (Some(settings::ErrorUri::Path(path)), Some(base)) => Some(format!("{base}{path}")),
        _ => None,
    };
    WebConfig {
        routes: Routes {
            token: oauth.token_path(),
            introspection: oauth.introspection_path(),
            revocation: oauth.revocation_path(),
            verify: oauth.verify_path(),
            metadata: oauth.metadata_url.clone(),
            errors: match &oauth.error_uri {
                Some(settings::ErrorUri::Path(path)) => Some(path.clone()),
                _ => None,
            },
        },
        error_uri,
        max_body: usize::try_from(server.max_body).unwrap_or(usize::MAX),
        body_timeout: server.request_timeout,
        allowed_origins: settings.cors.allowed_origins.clone(),
        allowed_headers: settings.cors.allowed_headers.clone(),
        trusted_proxies: server.trusted_proxies.clone(),
        tracing_callers: settings.traces.trusted_callers.clone(),
        flask_sentinel_status: settings.compat.flask_sentinel_status,
    }
}

/// Returns the configuration of the management page and API. Returns `None` if they are switched
/// off or no credentials are set.
pub(super) fn management_config(settings: &Settings) -> Option<ManagementConfig> {
    let management = &settings.management;
    let path = management.path(&settings.oauth)?;
    let (username, password) = management.credentials()?;
    let operator = Operator::new(username, password);
    Some(ManagementConfig { path, operator, shortest_password: settings.password.min_length })
}
