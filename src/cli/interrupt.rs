//! Ctrl-C (SIGINT) and SIGTERM during a long command: the command finishes what it has begun,
//! reports it, and exits with code 75. A second signal ends the process at once.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::failure::Failure;

/// Time between two checks for a signal while a pipe has no data.
const CHECK_INTERVAL: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Exit code (`EX_TEMPFAIL`) of a command that a second signal ends.
const EXIT_CODE: i32 = 75;

/// Whether a signal has asked the command to stop.
#[derive(Clone)]
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Handles the signals from now on.
    pub(super) fn watch() -> Result<Self, Failure> {
        let is_set = Arc::new(AtomicBool::new(false));
        let register = |signal| {
            // Handlers run in the order of registration, so the first signal finds the flag unset.
            flag::register_conditional_shutdown(signal, EXIT_CODE, Arc::clone(&is_set))?;
            flag::register(signal, Arc::clone(&is_set))
        };
        for signal in [SIGINT, SIGTERM] {
            register(signal).map_err(|error| {
                Failure::unavailable(format!("cannot handle SIGINT and SIGTERM: {error}"))
            })?;
        }
        Ok(Self(is_set))
    }

    /// Returns whether a signal has asked the command to stop.
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Returns the flag that a signal sets, for code that does not know signals.
    pub(super) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }

    /// Returns the failure of a command that a signal has interrupted.
    pub(super) fn failure() -> Failure {
        Failure::incomplete("interrupted by a signal; run the command again to do the rest")
    }
}

/// Reads a pipe, and fails once a signal has arrived. A plain read would wait for the writer.
pub(super) struct PipeReader {
    pub(super) pipe: File,
    pub(super) interrupt: Interrupt,
}

impl Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.interrupt.is_set() {
            let mut ready = [PollFd::from_borrowed_fd(self.pipe.as_fd(), PollFlags::IN)];
            match poll(&mut ready, Some(&CHECK_INTERVAL)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return self.pipe.read(buffer),
                Err(error) => return Err(error.into()),
            }
        }
        // Not the end of the file: the row that is being read would be cut off. Not
        // `ErrorKind::Interrupted` either, which readers repeat.
        Err(io::Error::other("interrupted by a signal"))
    }
}
