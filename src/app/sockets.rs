//! Sockets to listen on: those inherited from systemd (sd_listen_fds(3)), or else those of the
//! settings.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use listenfd::ListenFd;
use socket2::{Domain, SockAddr, Type};

use super::StartError;
use crate::settings::{Bind, Settings, TlsMode};

/// Maximum length of a socket's accept queue; the system may lower it (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// Listening socket with its address or path.
pub(super) enum Socket {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, String),
}

impl Socket {
    /// Returns the address or path of the socket.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Tcp(_, address) => address.to_string(),
            Self::Unix(_, path) => path.clone(),
        }
    }
}

/// Addresses and paths that the server listens on.
#[derive(Debug, Default)]
pub struct ListenAddresses {
    /// TCP addresses, with the ports that the system chose for port 0.
    pub addresses: Vec<SocketAddr>,
    /// Paths of Unix sockets, or a description of an inherited socket that has no path.
    pub unix_sockets: Vec<String>,
}

/// Opens all sockets to listen on. Sockets inherited from systemd replace `server.bind`.
pub(super) fn open_sockets(settings: &Settings) -> Result<Vec<Socket>, StartError> {
    let mut inherited = ListenFd::from_env();
    if inherited.len() > 0 {
        let sockets =
            (0..inherited.len()).map(|index| take_inherited(&mut inherited, index, settings));
        return sockets.collect();
    }
    let mut sockets = Vec::new();
    for address in &settings.server.bind {
        bind("server.bind", address, &mut sockets)?;
    }
    Ok(sockets)
}

/// Binds the address in the setting `key`, and adds the sockets to `sockets`. A host name may
/// resolve to several addresses.
pub(super) fn bind(key: &str, bind: &Bind, sockets: &mut Vec<Socket>) -> Result<(), StartError> {
    let failed = |source| StartError::Listen { address: format!("{bind} ({key})"), source };
    bind_all(bind, sockets).map_err(failed)
}

fn bind_all(bind: &Bind, sockets: &mut Vec<Socket>) -> io::Result<()> {
    match bind {
        Bind::Unix(path) => {
            remove_stale_socket(path)?;
            sockets.push(Socket::Unix(bind_unix(path)?, path.display().to_string()));
        }
        Bind::Tcp(address) => {
            for address in address.to_socket_addrs()? {
                let listener = TcpListener::bind(address)?;
                // The backlog of the standard library, 128, is soon full when many clients connect
                // at once. Clients that are turned away retry only after a second.
                rustix::net::listen(&listener, BACKLOG)?;
                let address = listener.local_addr()?;
                sockets.push(Socket::Tcp(listener, address));
            }
        }
    }
    Ok(())
}

/// Binds a Unix socket that only its owner can connect to, and its group if the umask lets the
/// group write.
///
/// Peers on a Unix socket are trusted like a proxy, so other users of the machine must never be
/// able to connect, whatever the umask.
///
/// No connection is possible before `listen`, so that the socket never accepts one under another
/// mode. Changing the umask instead would affect files that other threads create meanwhile.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let mut mode = std::fs::symlink_metadata(path)?.permissions();
    mode.set_mode(mode.mode() & 0o660);
    std::fs::set_permissions(path, mode)?;
    socket.listen(BACKLOG)?;
    Ok(OwnedFd::from(socket).into())
}

/// Returns the socket with this index among those inherited from systemd.
fn take_inherited(
    inherited: &mut ListenFd,
    index: usize,
    settings: &Settings,
) -> Result<Socket, StartError> {
    let failed =
        |source| StartError::Listen { address: format!("inherited socket {index}"), source };
    if let Ok(Some(listener)) = inherited.take_tcp_listener(index) {
        let address = listener.local_addr().map_err(failed)?;
        check_plain_http(address, settings)?;
        return Ok(Socket::Tcp(listener, address));
    }
    match inherited.take_unix_listener(index).map_err(failed)? {
        Some(listener) => {
            if is_world_accessible(&listener) {
                tracing::warn!(
                    "every user of this machine can connect to inherited socket {index}, and its \
                     peers are trusted like a proxy: set SocketMode=0660 and SocketGroup="
                );
            }
            let path = listener.local_addr().ok();
            let path = path.as_ref().and_then(|address| address.as_pathname());
            let path = path.map(|path| path.display().to_string());
            Ok(Socket::Unix(listener, path.unwrap_or_else(|| format!("inherited socket {index}"))))
        }
        None => Err(failed(io::ErrorKind::NotFound.into())),
    }
}

/// Returns whether the mode of the socket lets all users of this machine connect, not considering
/// the permissions of its folders. A socket in Linux's abstract namespace has no mode and is open
/// to all.
fn is_world_accessible(listener: &UnixListener) -> bool {
    let Ok(address) = listener.local_addr() else { return false };
    match address.as_pathname() {
        Some(path) => {
            std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o002 != 0)
        }
        None => true,
    }
}

/// Rejects an inherited socket that offers plain HTTP to other machines, unless settings allow it.
fn check_plain_http(address: SocketAddr, settings: &Settings) -> Result<(), StartError> {
    let server = &settings.server;
    let allowed = address.ip().to_canonical().is_loopback()
        || settings.tls.mode != TlsMode::Off
        || server.allow_plain_http
        || !server.trusted_proxies.is_empty();
    if allowed { Ok(()) } else { Err(StartError::PlainHttp(address)) }
}

/// Removes the socket file that a killed server left behind, but only if the system reports that no
/// process accepts connections there, since any other result may mean that the socket is in use.
fn remove_stale_socket(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A server whose accept queue is full would block this attempt.
    socket.set_nonblocking(true)?;
    let in_use = |what: &str| Err(io::Error::new(io::ErrorKind::AddrInUse, what));
    match socket.connect(&SockAddr::unix(path)?) {
        Ok(()) => in_use("another server is listening on it"),
        Err(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
            // Its server has just removed the file.
            io::ErrorKind::NotFound => Ok(()),
            io::ErrorKind::WouldBlock => in_use("another server is listening on it, and is busy"),
            // A socket of another type (EPROTOTYPE) or of another user (EACCES).
            kind => Err(io::Error::new(
                kind,
                format!("a socket exists there that may be in use: {error}"),
            )),
        },
    }
}
