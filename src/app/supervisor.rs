//! What systemd, or another supervisor that sets `NOTIFY_SOCKET`, is told (sd_notify(3)). Where there is
//! none, nothing happens.

use std::time::Duration;

use sd_notify::NotifyState::{self, MonotonicUsec, Ready, Reloading, Stopping, Watchdog};

/// All sockets are bound.
pub(super) fn ready() {
    tell(&[Ready]);
}

/// Settings are being read again; [`ready`] says when it is done.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now @ MonotonicUsec(_)) => tell(&[Reloading, now]),
        _ => tell(&[Reloading]),
    }
}

/// No more connections are taken.
pub(super) fn stopping() {
    tell(&[Stopping]);
}

/// Says that the process is alive, twice as often as is asked for; never returns where nobody asks.
pub(super) async fn watchdog() {
    let Some(limit) = sd_notify::watchdog_enabled().filter(|limit| *limit > Duration::ZERO) else {
        return std::future::pending().await;
    };
    let mut ticks = tokio::time::interval(limit / 2);
    loop {
        ticks.tick().await;
        tell(&[Watchdog]);
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the supervisor cannot be told");
    }
}
