//! Notifies systemd, or another service manager that sets `NOTIFY_SOCKET`, of the server's state
//! (sd_notify(3)). Without that variable nothing is sent.

use std::io;
use std::time::Duration;

use sd_notify::NotifyState::{self, MonotonicUsec, Ready, Reloading, Stopping, Watchdog};

/// Reports to systemd that the server is ready: all sockets are bound, or a reload is complete.
pub(super) fn ready() {
    notify(&[Ready]);
}

/// Reports to systemd that a reload has begun. [`ready`] reports the end of the reload.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now @ MonotonicUsec(_)) => notify(&[Reloading, now]),
        _ => notify(&[Reloading]),
    }
}

/// Reports to systemd that the server accepts no more connections.
pub(super) fn stopping() {
    notify(&[Stopping]);
}

/// Sends systemd a keep-alive at twice the rate that its watchdog requests. Never returns, even if
/// no watchdog is configured.
pub(super) async fn watchdog() {
    let Some(limit) = sd_notify::watchdog_enabled().filter(|limit| *limit > Duration::ZERO) else {
        return std::future::pending().await;
    };
    let mut ticks = tokio::time::interval(limit / 2);
    loop {
        ticks.tick().await;
        notify(&[Watchdog]);
    }
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = send(state) {
        tracing::warn!(%error, "cannot notify systemd (NOTIFY_SOCKET): it may consider the server hung");
    }
}

/// Sends a message to the socket that `NOTIFY_SOCKET` names. The library supports paths only; a
/// name that begins with `@` is abstract (unix(7)).
fn send(state: &[NotifyState<'_>]) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if let Some(socket) = std::env::var_os("NOTIFY_SOCKET")
        && let Some(name) = socket.as_encoded_bytes().strip_prefix(b"@")
    {
        use std::os::linux::net::SocketAddrExt;
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
        let message: String = state.iter().map(|state| format!("{state}\n")).collect();
        let socket = std::os::unix::net::UnixDatagram::unbound()?;
        return socket.send_to_addr(message.as_bytes(), &address).map(drop);
    }
    sd_notify::notify(state)
}
