//! Sockets to listen on: those that systemd hands over (sd_listen_fds(3)), or else those of the settings.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use listenfd::ListenFd;
use socket2::{Domain, SockAddr, Type};

use super::StartError;
use crate::settings::{Bind, Settings, TlsMode};

/// So many connections wait in the kernel until they are taken, as with those of the standard library.
const BACKLOG: i32 = 128;

/// A socket that takes connections from now on.
pub(super) enum Socket {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener),
}

/// All sockets to listen on. Those that are handed over stand in place of `server.bind`.
pub(super) fn all(settings: &Settings) -> Result<Vec<Socket>, StartError> {
    let mut inherited = ListenFd::from_env();
    if inherited.len() > 0 {
        let sockets = (0..inherited.len()).map(|index| take(&mut inherited, index, settings));
        return sockets.collect();
    }
    let mut sockets = Vec::new();
    for address in &settings.server.bind {
        bind(address, &mut sockets)
            .map_err(|source| StartError::Listen { address: address.to_string(), source })?;
    }
    Ok(sockets)
}

/// Binds an address; a host name may be several.
pub(super) fn bind(bind: &Bind, sockets: &mut Vec<Socket>) -> io::Result<()> {
    match bind {
        Bind::Unix(path) => {
            remove_stale_socket(path)?;
            sockets.push(Socket::Unix(bind_unix(path)?));
        }
        Bind::Tcp(address) => {
            for address in address.to_socket_addrs()? {
                let listener = TcpListener::bind(address)?;
                let address = listener.local_addr()?;
                sockets.push(Socket::Tcp(listener, address));
            }
        }
    }
    Ok(())
}

/// Whoever can connect to a Unix socket is believed as a proxy is, so it is never for all on the machine,
/// whatever the umask: for the owner, and for the group if the umask lets it write.
///
/// Nobody can connect before `listen`, so there is no moment at which the mode is another one. Setting
/// the umask instead would reach the files that other threads make meanwhile.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let mut mode = std::fs::symlink_metadata(path)?.permissions();
    mode.set_mode(mode.mode() & 0o660);
    std::fs::set_permissions(path, mode)?;
    socket.listen(BACKLOG)?;
    Ok(OwnedFd::from(socket).into())
}

/// One that is handed over, by its index.
fn take(inherited: &mut ListenFd, index: usize, settings: &Settings) -> Result<Socket, StartError> {
    let failed =
        |source| StartError::Listen { address: format!("inherited socket {index}"), source };
    if let Ok(Some(listener)) = inherited.take_tcp_listener(index) {
        let address = listener.local_addr().map_err(failed)?;
        check_plain_http(address, settings)?;
        return Ok(Socket::Tcp(listener, address));
    }
    match inherited.take_unix_listener(index).map_err(failed)? {
        Some(listener) => Ok(Socket::Unix(listener)),
        None => Err(failed(io::ErrorKind::NotFound.into())),
    }
}

/// What `server.bind` is held to holds for the others too.
fn check_plain_http(address: SocketAddr, settings: &Settings) -> Result<(), StartError> {
    let server = &settings.server;
    let fine = address.ip().to_canonical().is_loopback()
        || settings.tls.mode != TlsMode::Off
        || server.allow_plain_http
        || !server.trusted_proxies.is_empty();
    if fine { Ok(()) } else { Err(StartError::PlainHttp(address)) }
}

/// A socket file stays behind when a server is killed; one that still answers is left alone.
fn remove_stale_socket(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    if UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another server answers there"));
    }
    std::fs::remove_file(path)
}
