//! The verb `healthy`: a readiness probe for container images without curl and for supervisors that
//! run a program.

use bootseal_core::{Gateway, Listen, SealedFile};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

/// The time limit of the connection, and of the response.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What to do about a gateway that has no admin address.
const WITHOUT_ADMIN: &str = "A gateway has an admin address only if its file names one: bootseal set gateway.admin --plain 127.0.0.1:9300, and restart the gateway";

/// Asks the gateway at `admin`, or at the admin address that `file` names.
///
/// # Errors
/// A message that explains why the gateway is not ready.
pub(crate) fn ask(file: &Path, admin: Option<Listen>) -> Result<(), String> {
    let admin = match admin {
        Some(admin) => admin,
        None => admin_of(file)?,
    };
    let response = get(&admin).map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
            format!("{admin}: nothing listens there\n{WITHOUT_ADMIN}")
        }
        _ => format!("{admin}: {error}"),
    })?;
    let status = response.split(' ').nth(1).unwrap_or_default();
    if status == "200" { Ok(()) } else { Err(format!("{admin}: not ready (status {status})")) }
}

/// Reads the admin address from the file. The signature must be valid, but the signer need not be
/// trusted, because the probe sends no secret to the address.
fn admin_of(file: &Path) -> Result<Listen, String> {
    let gateway = SealedFile::read(file)
        .and_then(|file| file.verify(&[]))
        .and_then(|file| Gateway::read(&file));
    let help = "pass the admin address, so that no file is read: --admin 127.0.0.1:9300";
    let admin = gateway.map_err(|error| format!("{error}\nOr {help}"))?.admin;
    admin.ok_or_else(|| format!("{} has no gateway.admin\n{WITHOUT_ADMIN}", file.display()))
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

fn get(admin: &Listen) -> io::Result<String> {
    let mut stream: Box<dyn Stream> = match admin {
        Listen::Tcp(address) => {
            let mut address = *address;
            // An unspecified address (0.0.0.0) cannot be connected to; it includes loopback.
            if address.ip().is_unspecified() {
                address.set_ip(if address.is_ipv4() {
                    [127, 0, 0, 1].into()
                } else {
                    std::net::Ipv6Addr::LOCALHOST.into()
                });
            }
            let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            Box::new(stream)
        }
        #[cfg(unix)]
        Listen::Unix(path) => {
            let stream = std::os::unix::net::UnixStream::connect(path)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            Box::new(stream)
        }
        #[cfg(not(unix))]
        Listen::Unix(_) => {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this system has no Unix sockets",
            ));
        }
    };
    stream.write_all(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut response = [0; 64];
    // The status line is enough.
    let length = stream.read(&mut response)?;
    Ok(String::from_utf8_lossy(&response[..length]).into_owned())
}
