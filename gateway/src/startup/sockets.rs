//! Listening sockets: those that systemd handed over, or the gateway's own.

use bootseal_core::Listen;
use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A listening socket.
pub(crate) enum Socket {
    Tcp(std::net::TcpListener),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener),
}

/// Open sockets that are not served yet, by their addresses.
pub(crate) struct Sockets(Mutex<HashMap<Listen, Socket>>);

impl Sockets {
    /// Takes the sockets that systemd handed over (`sd_listen_fds(3)`).
    ///
    /// # Errors
    /// If one of them has no address that a route can name.
    pub(crate) fn handed_over() -> io::Result<Sockets> {
        let mut open = HashMap::new();
        #[cfg(unix)]
        {
            let mut handed = listenfd::ListenFd::from_env();
            for index in 0..handed.len() {
                if let Ok(Some(socket)) = handed.take_tcp_listener(index) {
                    open.insert(Listen::Tcp(socket.local_addr()?), Socket::Tcp(socket));
                } else if let Ok(Some(socket)) = handed.take_unix_listener(index) {
                    let address = socket.local_addr()?;
                    let path = address.as_pathname().ok_or_else(|| {
                        io::Error::other("a Unix socket without a path was handed over")
                    })?;
                    open.insert(Listen::Unix(path.to_owned()), Socket::Unix(socket));
                }
            }
        }
        Ok(Sockets(Mutex::new(open)))
    }

    /// Opens a socket for `listen`, unless one is open.
    ///
    /// # Errors
    /// Those of the operating system, with the address in the text.
    pub(crate) fn open(&self, listen: &Listen, users: Users) -> io::Result<()> {
        let mut open = self.lock();
        if !open.contains_key(listen) {
            let socket = bind(listen, users)
                .map_err(|error| io::Error::new(error.kind(), format!("{listen}: {error}")))?;
            open.insert(listen.clone(), socket);
        }
        Ok(())
    }

    pub(crate) fn take(&self, listen: &Listen) -> Option<Socket> {
        self.lock().remove(listen)
    }

    /// Closes every socket whose address is not in `wanted`.
    pub(crate) fn close_all_but(&self, wanted: &HashSet<Listen>) {
        self.lock().retain(|listen, _| wanted.contains(listen));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Listen, Socket>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The users that may connect to a Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Users {
    /// Every user of this machine, because callers are authenticated in another way.
    All,
    /// Only the user of the gateway.
    Own,
    /// Those that the umask allows.
    Usual,
}

fn bind(listen: &Listen, users: Users) -> io::Result<Socket> {
    match listen {
        // No SO_REUSEPORT: it would let a second process take a share of the calls.
        Listen::Tcp(address) => std::net::TcpListener::bind(address).map(Socket::Tcp),
        #[cfg(unix)]
        Listen::Unix(path) => {
            let socket = bind_unix(path, users == Users::Own)?;
            if users == Users::All {
                use std::os::unix::fs::PermissionsExt;
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
            }
            Ok(Socket::Unix(socket))
        }
        #[cfg(not(unix))]
        Listen::Unix(_) => {
            let _ = users;
            Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no Unix sockets"))
        }
    }
}

/// Replaces a socket file that no process serves any more. A socket that is served, and a file of
/// any other kind, stay.
#[cfg(unix)]
fn bind_unix(
    path: &std::path::Path,
    own_user: bool,
) -> io::Result<std::os::unix::net::UnixListener> {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    use std::os::unix::net::{UnixListener, UnixStream};
    let bind = || -> io::Result<UnixListener> {
        if !own_user {
            return UnixListener::bind(path);
        }
        let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
        // Linux gives the file the mode of the socket, so that nobody can connect in between.
        #[cfg(target_os = "linux")]
        rustix::fs::fchmod(&socket, rustix::fs::Mode::from_raw_mode(0o600))?;
        socket.bind(&socket2::SockAddr::unix(path)?)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        socket.listen(1024)?;
        Ok(socket.into())
    };
    match bind() {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let is_socket = std::fs::symlink_metadata(path)?.file_type().is_socket();
            let served = UnixStream::connect(path).is_ok();
            if !is_socket || served {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            bind()
        }
        bound => bound,
    }
}
