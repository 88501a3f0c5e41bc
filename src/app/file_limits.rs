//! Raises the limit on open files (getrlimit(2)), and derives the maximum number of connections
//! from it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Number of open files reserved for the store, MongoDB, Redis and files that are reloaded, but at
/// most half of the limit on open files.
const RESERVED: usize = 256;

/// Raises the soft limit on open files to the hard limit. Systems start programs with a soft limit
/// of 1024 for the sake of those that use select(2).
pub fn raise_open_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(
            %error,
            "cannot raise the limit on open files to the hard limit; fewer connections are possible \
             (LimitNOFILE= under systemd, else ulimit -n)"
        );
    }
}

/// Returns the maximum number of connections: `wanted`, or fewer if the limit on open files is too
/// low.
///
/// Without a free file descriptor the system would refuse to accept a connection, and a new
/// connection to MongoDB would fail as well. Connections above the maximum therefore wait in the
/// backlog until others are closed.
pub(super) fn max_connections(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    let possible =
        limit.map_or(usize::MAX, |limit| available(usize::try_from(limit).unwrap_or(usize::MAX)));
    if possible < wanted {
        tracing::warn!(
            wanted,
            possible,
            "fewer connections are accepted than server.max_connections, because the limit on open \
             files is too low; raise it (LimitNOFILE= under systemd, else ulimit -n)"
        );
    }
    wanted.min(possible)
}

fn available(limit: usize) -> usize {
    limit - RESERVED.min(limit / 2)
}

#[cfg(test)]
mod tests {
    use super::available;

    #[test]
    fn open_file_limit_leaves_descriptors_for_store() {
        assert_eq!([128, 1024, 65536].map(available), [64, 768, 65280]);
    }
}
