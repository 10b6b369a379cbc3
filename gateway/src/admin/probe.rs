//! Is the running gateway ready? Asked by a program of its own, for probes that cannot speak HTTP, or images without curl.

use bootseal_core::{Gateway, Listen, SealedFile};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(2);

/// `Ok` where it is ready.
///
/// # Errors
/// Why it is not, in words.
pub(crate) fn ask(file: &Path, admin: Option<Listen>) -> Result<(), String> {
    let admin = match admin {
        Some(admin) => admin,
        None => admin_of(file)?,
    };
    let response = get(&admin).map_err(|error| format!("{admin}: {error}"))?;
    let status = response.split(' ').nth(1).unwrap_or_default();
    if status == "200" { Ok(()) } else { Err(format!("{admin}: not ready (status {status})")) }
}

/// Where the file says that it can be asked. Its signature has to hold; whose it is does not matter for a question.
fn admin_of(file: &Path) -> Result<Listen, String> {
    let gateway = SealedFile::read(file).and_then(|file| file.verify(&[])).and_then(|file| Gateway::read(&file));
    let help = "say where it can be asked, and no file is read: --admin 127.0.0.1:9300";
    let admin = gateway.map_err(|error| format!("{error}\nOr {help}"))?.admin;
    admin.ok_or_else(|| format!("{} has no gateway.admin; {help}", file.display()))
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

fn get(admin: &Listen) -> io::Result<String> {
    let mut stream: Box<dyn Stream> = match admin {
        Listen::Tcp(address) => {
            let mut address = *address;
            // Listening everywhere includes here.
            if address.ip().is_unspecified() {
                address.set_ip(if address.is_ipv4() {
                    [127, 0, 0, 1].into()
                } else {
                    std::net::Ipv6Addr::LOCALHOST.into()
                });
            }
            let stream = TcpStream::connect_timeout(&address, WITHIN)?;
            stream.set_read_timeout(Some(WITHIN))?;
            Box::new(stream)
        }
        #[cfg(unix)]
        Listen::Unix(path) => {
            let stream = std::os::unix::net::UnixStream::connect(path)?;
            stream.set_read_timeout(Some(WITHIN))?;
            Box::new(stream)
        }
        #[cfg(not(unix))]
        Listen::Unix(_) => return Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no Unix sockets")),
    };
    stream.write_all(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut response = [0; 64];
    let length = stream.read(&mut response)?;
    Ok(String::from_utf8_lossy(&response[..length]).into_owned())
}
