//! The error of a request that got no response.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Any error of a library.
pub type Boxed = Box<dyn std::error::Error + Send + Sync>;

/// The result of sending a request.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The reason why a request got no response. `Display` prints the error with its causes in one
/// line, without any secret.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The client's rule forbids connections to this origin; contains the error that the rule
    /// returned.
    NotAllowed(Boxed),
    /// The request or an option cannot be used.
    Unusable(String),
    /// TLS or the proxy cannot be set up.
    Setup(String),
    /// The system could not supply random bytes or guarded memory.
    System(String),
    /// No connection was made, so no byte of the request was sent.
    Connect(Boxed),
    /// The connection broke while the request was sent or the response's head was read.
    Exchange(hyper::Error),
    /// The upstream does not take a head of this size (SETTINGS_MAX_HEADER_LIST_SIZE).
    HeadTooLarge {
        /// The size of the head, as HTTP/2 counts it.
        size: usize,
        /// The most that the upstream takes.
        most: u32,
    },
    /// The head of the response is larger than this client takes.
    ResponseHeadTooLarge,
    /// The upstream takes this request only over HTTP/1.1 (RFC 9113 §7, HTTP_1_1_REQUIRED).
    NeedsHttp1,
    /// The response's head did not arrive within this time.
    Timeout(Duration),
}

impl Error {
    /// Whether no connection could be made.
    pub fn is_connect(&self) -> bool {
        matches!(self, Error::Connect(_))
    }

    /// Whether the cause is a timeout.
    pub fn is_timeout(&self) -> bool {
        let timed_out = |cause: &(dyn std::error::Error + 'static)| {
            cause
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
        };
        match self {
            Error::Timeout(_) => true,
            Error::Connect(error) => causes(&**error).any(timed_out),
            Error::Exchange(error) => causes(error).any(timed_out),
            _ => false,
        }
    }

    /// Whether this process or machine has no file descriptor or guarded memory left, so that the
    /// other side is not at fault.
    pub fn is_out_of_resources(&self) -> bool {
        let out = |cause: &(dyn std::error::Error + 'static)| {
            cause.downcast_ref::<io::Error>().is_some_and(is_out_of_descriptors)
        };
        match self {
            Error::System(_) => true,
            Error::Connect(error) => causes(&**error).any(out),
            _ => false,
        }
    }

    /// Whether TLS itself failed, not the network below it. Every [`Error::Setup`] counts, even if
    /// the cause is the proxy.
    pub fn is_tls(&self) -> bool {
        match self {
            Error::Setup(_) => true,
            Error::Connect(error) => caused_by_tls(&**error),
            // TLS 1.3 refuses a client's certificate only after the handshake.
            Error::Exchange(error) => caused_by_tls(error),
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotAllowed(error) | Error::Connect(error) => f.write_str(&chain(&**error)),
            Error::Exchange(error) => f.write_str(&chain(error)),
            Error::Unusable(text) | Error::Setup(text) | Error::System(text) => f.write_str(text),
            Error::HeadTooLarge { size, most } => write!(
                f,
                "the head of the call has {size} bytes, but the upstream takes at most {most}"
            ),
            Error::ResponseHeadTooLarge => {
                f.write_str("the head of the response has more than 256 KiB")
            }
            Error::NeedsHttp1 => f.write_str(
                "the upstream requires HTTP/1.1 for this call; set `http2 = false` in its profile",
            ),
            Error::Timeout(limit) => write!(f, "no response within {limit:?}"),
        }
    }
}

// `source()` returns nothing, because `Display` prints the causes.
impl std::error::Error for Error {}

impl From<bootseal_memory::MemoryError> for Error {
    fn from(error: bootseal_memory::MemoryError) -> Error {
        Error::System(error.to_string())
    }
}

/// An error with its causes, as one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    for cause in causes(error).skip(1) {
        let cause = cause.to_string();
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// One error for several requests that waited for the same connection.
#[derive(Clone, Debug)]
pub(crate) struct SharedError(Arc<Boxed>);

impl SharedError {
    pub(crate) fn new(error: Boxed) -> SharedError {
        SharedError(Arc::new(error))
    }
}

impl fmt::Display for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for SharedError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&**self.0)
    }
}

/// An error and its causes, the outermost first.
pub(crate) fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

/// Whether the error says that the process or the machine has no file descriptor left.
///
/// ```
/// let error = std::io::Error::other("any other error");
/// assert!(!bootseal_wire::is_out_of_descriptors(&error));
/// ```
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    // EMFILE and ENFILE, which have these numbers on every Unix; WSAEMFILE.
    let codes: &[i32] = if cfg!(windows) { &[10024] } else { &[24, 23] };
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

fn caused_by_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    causes(error).any(|cause| {
        // `source()` of an io::Error does not return the wrapped error.
        let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause.is::<rustls::Error>() || wrapped.is_some_and(|wrapped| caused_by_tls(wrapped))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_and_tls_errors_are_recognised_inside_other_errors() {
        let late = || io::Error::new(io::ErrorKind::TimedOut, "no connection within 3s");
        let error = Error::Connect(Box::new(late()));
        assert!(error.is_connect() && error.is_timeout() && !error.is_tls());
        assert_eq!(error.to_string(), "no connection within 3s");
        let tls = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::DecryptError);
        let error = Error::Connect(Box::new(tls));
        assert!(error.is_tls() && !error.is_timeout());
        assert!(Error::Timeout(Duration::from_secs(3)).is_timeout());
        assert!(!Error::NotAllowed("not there".into()).is_connect());
    }

    #[cfg(unix)]
    #[test]
    fn missing_descriptors_are_recognised_inside_other_errors() {
        let error = |code| Error::Connect(Box::new(io::Error::from_raw_os_error(code)));
        assert!(error(24).is_out_of_resources() && error(23).is_out_of_resources());
        assert!(!error(111).is_out_of_resources());
        assert!(Error::System("no guarded memory".into()).is_out_of_resources());
    }
}
