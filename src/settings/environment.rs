//! Reads settings from environment variables, named by Sentinel's or flask-sentinel's convention.
//!
//! Variables that only look like settings, such as those that Kubernetes creates, are ignored.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::error::SettingProblem;
use super::keys;

/// Environment variables with Sentinel's prefix that are not settings.
const NOT_SETTINGS: [&str; 2] = ["SENTINEL_CONFIG", "SENTINEL_COPY_TO"];

/// Found environment variables: from the key of a setting to the variable's name and value.
type FoundVariables = BTreeMap<String, (String, String)>;

/// Returns the settings in `variables` by Sentinel's names and those by its predecessor's names.
/// Adds unknown names, duplicates and values that are not UTF-8 to `problems`.
pub(super) fn read(
    variables: &[(OsString, OsString)],
    problems: &mut Vec<SettingProblem>,
) -> (FoundVariables, FoundVariables) {
    let known = keys::all();
    let (mut named, mut legacy) = (FoundVariables::new(), FoundVariables::new());
    for (name, value) in variables {
        let name = name.to_string_lossy();
        let old = keys::legacy(&name);
        let is_foreign = old.is_none() && !name.starts_with(keys::ENV_PREFIX);
        if is_foreign || NOT_SETTINGS.contains(&&*name) || keys::ignored(&name).is_some() {
            continue;
        }
        let Some(value) = value.to_str() else {
            problems.push(SettingProblem::NotUnicode(name.into_owned()));
            continue;
        };
        if is_service_link(&name, value) {
            continue;
        }
        let entry = (name.to_string(), value.to_owned());
        if let Some(key) = old {
            legacy.insert(key.to_owned(), entry);
            continue;
        }
        match keys::key_of_variable(&name).filter(|key| known.contains(key)) {
            Some(key) => {
                if let Some((other, _)) = named.insert(key, entry) {
                    problems.push(SettingProblem::Twice(other, name.into_owned()));
                }
            }
            None => problems.push(unknown(&name, &known)),
        }
    }
    (named, legacy)
}

/// Returns a warning for each environment variable that is a setting of flask-sentinel without an
/// effect here, or has flask-oauthlib's prefix and is not a setting of Sentinel. Such variables do
/// not prevent the start: another program may use them.
pub(super) fn ineffective_settings(variables: &[(OsString, OsString)]) -> Vec<String> {
    let names = variables.iter().filter_map(|(name, _)| name.to_str());
    let ignored = names.clone().filter_map(|name| {
        keys::ignored(name).map(|reason| format!("{name} is ignored: {reason}"))
    });
    let foreign = names
        .filter(|name| name.starts_with(keys::OAUTHLIB_PREFIX) && keys::legacy(name).is_none());
    let legacy: Vec<_> = keys::LEGACY
        .iter()
        .filter(|(old, _)| old.starts_with(keys::OAUTHLIB_PREFIX))
        .map(|(old, _)| (*old).to_owned())
        .collect();
    let warning = |name: &str| match keys::nearest(name, legacy.clone()).first() {
        Some(nearest) => format!("{name} is ignored; did you mean {nearest}?"),
        None => format!("{name} is ignored; only {} are read", legacy.join(" and ")),
    };
    ignored.chain(foreign.map(warning)).collect()
}

/// Environment variables that other servers have for the address that they listen at.
const ADDRESS_NAMES: [&str; 4] =
    ["SENTINEL_HOST", "SENTINEL_PORT", "SENTINEL_BIND", "SENTINEL_ADDRESS"];

fn unknown(name: &str, known: &[String]) -> SettingProblem {
    if ADDRESS_NAMES.contains(&name) {
        return SettingProblem::Unknown {
            what: "environment variable",
            name: name.to_owned(),
            place: String::new(),
            nearest: vec![keys::variable("server.bind")],
        };
    }
    let current = known.iter().map(|key| keys::variable(key));
    let old = keys::LEGACY.iter().map(|(old, _)| (*old).to_owned());
    SettingProblem::Unknown {
        what: "environment variable",
        name: name.to_owned(),
        place: String::new(),
        nearest: keys::nearest(name, current.chain(old)),
    }
}

/// Returns whether Kubernetes (or Docker's legacy links) created this environment variable.
///
/// A Service called `sentinel` gives every pod of its namespace `SENTINEL_SERVICE_HOST`,
/// `SENTINEL_SERVICE_PORT[_name]`, `SENTINEL_PORT=tcp://…` and
/// `SENTINEL_PORT_5000_TCP[_ADDR|_PORT|_PROTO]`. A Service called `sentinel-mongo` gives
/// `SENTINEL_MONGO_PORT=tcp://…`, which looks like flask-sentinel's name for the port of MongoDB.
/// The operator did not write these variables, so they must not prevent the start.
fn is_service_link(name: &str, value: &str) -> bool {
    const PROTOCOLS: [&str; 3] = ["tcp", "udp", "sctp"];
    let Some(rest) = name.strip_prefix("SENTINEL") else {
        return false;
    };
    if rest.contains("__") {
        return false;
    }
    let is_address =
        value.split_once("://").is_some_and(|(protocol, _)| PROTOCOLS.contains(&protocol));
    let is_port_of_protocol = rest.split("_PORT_").skip(1).any(|tail| {
        let mut parts = tail.split('_');
        let number = parts.next().is_some_and(|part| part.parse::<u16>().is_ok());
        number
            && parts
                .next()
                .is_some_and(|part| PROTOCOLS.contains(&part.to_ascii_lowercase().as_str()))
    });
    rest.ends_with("_SERVICE_HOST")
        || rest.ends_with("_SERVICE_PORT")
        || rest.contains("_SERVICE_PORT_")
        || (rest.ends_with("_PORT") && is_address)
        || is_port_of_protocol
}
