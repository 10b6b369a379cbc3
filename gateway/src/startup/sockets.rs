//! At which addresses are calls taken? Sockets that systemd opened, or our own.

use bootseal_core::Listen;
use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, PoisonError};

/// A socket that listens.
pub(crate) enum Socket {
    Tcp(std::net::TcpListener),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener),
}

/// Sockets that nobody serves yet, by their addresses.
pub(crate) struct Sockets(Mutex<HashMap<Listen, Socket>>);

impl Sockets {
    /// What systemd handed over (`sd_listen_fds(3)`).
    ///
    /// # Errors
    /// Where one of them is no socket that listens.
    pub(crate) fn handed_over() -> io::Result<Sockets> {
        let mut there = HashMap::new();
        #[cfg(unix)]
        {
            let mut handed = listenfd::ListenFd::from_env();
            for at in 0..handed.len() {
                if let Ok(Some(socket)) = handed.take_tcp_listener(at) {
                    there.insert(Listen::Tcp(socket.local_addr()?), Socket::Tcp(socket));
                } else if let Ok(Some(socket)) = handed.take_unix_listener(at) {
                    let address = socket.local_addr()?;
                    let path = address
                        .as_pathname()
                        .ok_or_else(|| io::Error::other("a socket was handed over that has no path"))?;
                    there.insert(Listen::Unix(path.to_owned()), Socket::Unix(socket));
                }
            }
        }
        Ok(Sockets(Mutex::new(there)))
    }

    /// Sees to it that there is one of this address. `everyone`: other users of this machine may connect, for they are asked who they are.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn open(&self, listen: &Listen, everyone: bool) -> io::Result<()> {
        let mut there = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !there.contains_key(listen) {
            let socket =
                bind(listen, everyone).map_err(|error| io::Error::new(error.kind(), format!("{listen}: {error}")))?;
            there.insert(listen.clone(), socket);
        }
        Ok(())
    }

    pub(crate) fn take(&self, listen: &Listen) -> Option<Socket> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(listen)
    }

    /// Closes those that nobody wants after all.
    pub(crate) fn close_rest(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn bind(listen: &Listen, everyone: bool) -> io::Result<Socket> {
    match listen {
        // Never shared with another process: SO_REUSEPORT would share the calls, too.
        Listen::Tcp(address) => std::net::TcpListener::bind(address).map(Socket::Tcp),
        #[cfg(unix)]
        Listen::Unix(path) => {
            let socket = unix(path)?;
            if everyone {
                use std::os::unix::fs::PermissionsExt;
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
            }
            Ok(Socket::Unix(socket))
        }
        #[cfg(not(unix))]
        Listen::Unix(_) => {
            let _ = everyone;
            Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no Unix sockets"))
        }
    }
}

/// A socket that a process left which is gone makes room; one that is served does not.
#[cfg(unix)]
fn unix(path: &std::path::Path) -> io::Result<std::os::unix::net::UnixListener> {
    use std::os::unix::fs::FileTypeExt;
    use std::os::unix::net::{UnixListener, UnixStream};
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let is_socket = std::fs::symlink_metadata(path)?.file_type().is_socket();
            let served = UnixStream::connect(path).is_ok();
            if !is_socket || served {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    }
}
