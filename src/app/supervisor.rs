//! Notifies systemd, or another supervisor that sets `NOTIFY_SOCKET`, of the server's state
//! (sd_notify(3)). Without that variable nothing is sent.

use std::time::Duration;

use sd_notify::NotifyState::{self, MonotonicUsec, Ready, Reloading, Stopping, Watchdog};

/// Reports that the server is ready: all sockets are bound, or a reload is complete.
pub(super) fn ready() {
    tell(&[Ready]);
}

/// Reports that a reload has begun. [`ready`] reports its end.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now @ MonotonicUsec(_)) => tell(&[Reloading, now]),
        _ => tell(&[Reloading]),
    }
}

/// Reports that the server accepts no more connections.
pub(super) fn stopping() {
    tell(&[Stopping]);
}

/// Sends a keep-alive at twice the requested rate. Never returns, even if the supervisor has no
/// watchdog.
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
