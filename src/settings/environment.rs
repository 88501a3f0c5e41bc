//! Settings in environment variables: which are ours, which only look like it, and what they set.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::error::Problem;
use super::keys;

/// Variables of our own that are no settings.
const NO_SETTINGS: [&str; 2] = ["SENTINEL_CONFIG", "SENTINEL_COPY_TO"];

/// By key: the variable's name as the user wrote it, and its value.
type Found = BTreeMap<String, (String, String)>;

/// What the environment sets by our names, and what it sets by flask-sentinel's.
pub(super) fn read(
    variables: &[(OsString, OsString)],
    problems: &mut Vec<Problem>,
) -> (Found, Found) {
    let known = keys::all();
    let (mut named, mut legacy) = (Found::new(), Found::new());
    for (name, value) in variables {
        let name = name.to_string_lossy();
        let old = keys::legacy(&name);
        if NO_SETTINGS.contains(&&*name) || (old.is_none() && !name.starts_with(keys::ENV_PREFIX)) {
            continue;
        }
        let Some(value) = value.to_str() else {
            problems.push(Problem::NotUnicode(name.into_owned()));
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
        match keys::of_variable(&name).filter(|key| known.contains(key)) {
            Some(key) => {
                if let Some((other, _)) = named.insert(key, entry) {
                    problems.push(Problem::Twice(other, name.into_owned()));
                }
            }
            None => problems.push(unknown(&name, &known)),
        }
    }
    (named, legacy)
}

/// What is to be said of names that flask-oauthlib had, or others of its kind, and that have no effect here. They
/// begin as two of ours do, but not with `SENTINEL_`: whoever else reads them may have set them, and so they
/// do not stop the start.
pub(super) fn without_effect(variables: &[(OsString, OsString)]) -> Vec<String> {
    let names = variables.iter().filter_map(|(name, _)| name.to_str());
    let foreign = names
        .filter(|name| name.starts_with(keys::OAUTHLIB_PREFIX) && keys::legacy(name).is_none());
    let ours: Vec<_> = keys::LEGACY
        .iter()
        .filter(|(old, _)| old.starts_with(keys::OAUTHLIB_PREFIX))
        .map(|(old, _)| (*old).to_owned())
        .collect();
    let warning = |name: &str| match keys::nearest(name, ours.clone()).first() {
        Some(nearest) => format!("{name} has no effect here; did you mean {nearest}?"),
        None => format!("{name} has no effect here; of its kind {} have", ours.join(" and ")),
    };
    foreign.map(warning).collect()
}

fn unknown(name: &str, known: &[String]) -> Problem {
    let ours = known.iter().map(|key| keys::variable(key));
    let old = keys::LEGACY.iter().map(|(old, _)| (*old).to_owned());
    Problem::Unknown {
        what: "environment variable",
        name: name.to_owned(),
        place: String::new(),
        nearest: keys::nearest(name, ours.chain(old)),
    }
}

/// Whether Kubernetes (or Docker's old links) made this variable.
///
/// A Service called `sentinel` gives every pod of its namespace `SENTINEL_SERVICE_HOST`,
/// `SENTINEL_SERVICE_PORT[_name]`, `SENTINEL_PORT=tcp://…` and
/// `SENTINEL_PORT_5000_TCP[_ADDR|_PORT|_PROTO]`; one called `sentinel-mongo` gives
/// `SENTINEL_MONGO_PORT=tcp://…`, which looks like flask-sentinel's name for the port of MongoDB.
/// Nobody wrote them, so they must not stop the start.
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
