//! How many files and sockets may be open at once (getrlimit(2)), and what of that connections may have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What connections leave for the store, for MongoDB and Redis, and for files that are read again, of a
/// limit that is large; of a small one it is half.
const RESERVED: usize = 256;

/// Lets the process open as many files as it may. Systems start programs with 1024, for the sake of those
/// that use select(2), and let them ask for more.
pub fn raise_open_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, "the limit on open files stays as it is");
    }
}

/// How many connections there may be: as many as are wanted, if there can be so many open files.
///
/// Without a file left, a connection would be refused by the system in the middle of being taken, and so
/// would be a new one to MongoDB. So those beyond wait to be taken until others have gone.
pub(super) fn connections(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    let possible =
        limit.map_or(usize::MAX, |limit| available(usize::try_from(limit).unwrap_or(usize::MAX)));
    if possible < wanted {
        tracing::warn!(
            wanted,
            possible,
            "there can be fewer connections than server.max_connections: the limit on open files is too low"
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
    fn something_is_left_for_the_store() {
        assert_eq!([128, 1024, 65536].map(available), [64, 768, 65280]);
    }
}
