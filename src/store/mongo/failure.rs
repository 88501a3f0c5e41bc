//! Errors of the MongoDB driver as one sentence for an operator.
//!
//! The driver describes a failed server selection with a dump of the whole topology.

use mongodb::error::{Error, ErrorKind};

/// Returns the reason for which MongoDB failed, without the parts of the message that only a
/// developer of the driver understands.
pub(super) fn reason(error: &Error) -> String {
    match &*error.kind {
        ErrorKind::ServerSelection { message, .. } => selection_reason(message),
        ErrorKind::Authentication { .. } => {
            format!("it refuses the user name or the password ({})", error.kind)
        }
        kind => kind.to_string(),
    }
}

/// Returns the reason in the driver's message about a failed server selection: the error of each
/// server in the topology that it prints, or else that there is no primary.
fn selection_reason(message: &str) -> String {
    let servers: Vec<&str> = message.split("Address: ").skip(1).collect();
    let reasons: Vec<String> = servers.iter().filter_map(|server| server_reason(server)).collect();
    if !reasons.is_empty() {
        return reasons.join("; ");
    }
    if servers.iter().any(|server| server.contains("Type: RsGhost")) {
        return "it belongs to a replica set that has not been initiated, or was removed from it"
            .to_owned();
    }
    if message.contains("ReplicaSetNoPrimary") {
        return "the replica set has no primary".to_owned();
    }
    "no server is suitable in time".to_owned()
}

/// Returns the error of a server, from its part of the topology: the address, a comma, and later
/// `Error: Kind: `, the error, and `, labels: `.
fn server_reason(server: &str) -> Option<String> {
    let (address, rest) = server.split_once(',')?;
    let (_, error) = rest.split_once("Error: Kind: ")?;
    let error = error.split(", labels: ").next().unwrap_or(error);
    let error = error.strip_prefix("I/O error: ").unwrap_or(error);
    Some(if error.contains("failed to lookup address") || error.contains("DNS") {
        format!(
            "the name in {address} has no address on this machine (members of a replica set are \
             contacted by the names in its configuration)"
        )
    } else if error.contains("Authentication failed") || error.contains("SCRAM") {
        format!("{address} refuses the user name or the password")
    } else {
        format!("{address}: {error}")
    })
}

#[cfg(test)]
mod tests {
    use super::selection_reason;

    #[test]
    fn reason_is_a_sentence_without_the_topology() {
        let of = |servers: &str| {
            selection_reason(&format!(
                "Server selection timeout: None of the available servers suitable for criteria \
                 ReadPreference(Primary). Topology: {{ Type: ReplicaSetNoPrimary, Set Name: rs0, \
                 Servers: [ {servers} ] }}"
            ))
        };
        let failing = |address: &str, error: &str| {
            format!(
                "{{ Address: {address}, Type: Unknown, Error: Kind: {error}, labels: {{}}, source: \
                 None, server response: None }}"
            )
        };
        let refused = failing("a:1", "I/O error: Connection refused (os error 111)");
        let lookup =
            failing("b:2", "I/O error: failed to lookup address information: Name or service");
        let login = failing("c:3", "SCRAM failure: Authentication failed.");
        assert_eq!(of(&refused), "a:1: Connection refused (os error 111)");
        assert_eq!(
            of(&format!("{refused}, {login}")),
            "a:1: Connection refused (os error 111); c:3 refuses the user name or the password"
        );
        assert!(of(&lookup).starts_with("the name in b:2 has no address on this machine"));
        assert!(
            of("{ Address: a:1, Type: RsGhost, Average RTT: 1ms }").contains("not been initiated")
        );
        assert_eq!(of("{ Address: a:1, Type: RsSecondary }"), "the replica set has no primary");
    }
}
