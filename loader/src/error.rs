//! The loader's error: the fact, the place, the attempts and the next step, in a form that is
//! suitable for logs.

#[cfg(feature = "client")]
mod client;

use bootseal_core::{Kind, PropertyPath};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// An error of the loader. It is cheap to clone, because all callers that waited for one login get
/// the same error.
///
/// `Debug` prints the same text as `Display`, so that an error returned from `main` with `?` is
/// readable. The error never contains a value, key or token.
///
/// ```no_run
/// let error = bootseal::Loader::exactly("/nonexistent.sealed.toml").load().unwrap_err();
/// eprintln!("{error}"); // the fact, the place, and the next step
/// std::process::exit(error.exit_code().into());
/// ```
#[derive(Clone)]
pub struct Error(Arc<Facts>);

#[derive(Clone)]
struct Facts {
    /// Kind, fact, place and next step.
    error: bootseal_core::Error,
    /// The status of the response to a login.
    status: Option<u16>,
    /// The time until the next login may be tried.
    retry_after: Option<Duration>,
    /// For a call that got no response, whether connecting failed or the time limit was reached.
    unanswered: Option<Unanswered>,
    /// Whether this process has no descriptor or guarded memory left.
    out_of_resources: bool,
}

#[derive(Clone, Copy)]
#[cfg_attr(not(feature = "client"), allow(dead_code))] // made by calls only
struct Unanswered {
    connect: bool,
    timeout: bool,
}

/// The result type of this crate.
///
/// ```
/// fn pool_size(vault: &bootseal::Secrets) -> bootseal::Result<usize> {
///     Ok(vault.text("db.pool")?.parse().unwrap_or(10))
/// }
/// # assert_eq!(pool_size(&bootseal::testing::vault([], "[db]\npool = \"20\"\n")?)?, 20);
/// # Ok::<(), bootseal::Error>(())
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure of `kind`; `what` is the fact, without the place.
    ///
    /// ```
    /// use bootseal::{Error, Kind};
    ///
    /// let error = Error::new(Kind::Malformed, "`pool` is not a number").in_file("app.sealed.toml".as_ref());
    /// assert_eq!(error.to_string(), "app.sealed.toml: `pool` is not a number");
    /// ```
    pub fn new(kind: Kind, what: impl Into<String>) -> Error {
        bootseal_core::Error::new(kind, what).into()
    }

    /// Adds the file, unless the error already names a more precise place. See the example of
    /// [`Error::new`].
    #[must_use]
    pub fn in_file(self, file: &Path) -> Error {
        self.map(|error| error.in_file(file))
    }

    /// Adds the property, unless the error already names one.
    #[must_use]
    pub fn at(self, property: &PropertyPath) -> Error {
        self.map(|error| error.at(property))
    }

    /// Sets the next step, which replaces an earlier one.
    #[must_use]
    pub fn with_help(self, help: impl Into<String>) -> Error {
        self.map(|error| error.with_help(help))
    }

    fn map(self, change: impl FnOnce(bootseal_core::Error) -> bootseal_core::Error) -> Error {
        let facts = Arc::unwrap_or_clone(self.0);
        Error(Arc::new(Facts { error: change(facts.error), ..facts }))
    }

    /// The fact alone, without the file, the next step, and the time of the next attempt.
    ///
    /// ```
    /// let error = bootseal::Loader::exactly("/nonexistent.sealed.toml").load().unwrap_err();
    /// assert!(error.to_string().contains(error.what()) && !error.what().contains("bootseal init"));
    /// ```
    pub fn what(&self) -> &str {
        self.0.error.what()
    }

    /// The error kind, as in the CLI. A call that got no response is [`Kind::Io`].
    pub fn kind(&self) -> Kind {
        self.0.error.kind()
    }

    /// The next step alone, if one is known.
    pub fn help(&self) -> Option<&str> {
        self.0.error.help()
    }

    /// The exit code for a program that ends because of this error, as in the CLI.
    pub fn exit_code(&self) -> u8 {
        self.kind().exit_code()
    }

    /// The time until the next attempt, if the login is currently suppressed.
    ///
    /// ```
    /// fn wait(error: &bootseal::Error) -> std::time::Duration {
    ///     error.retry_after().unwrap_or_default() // other errors have no time of a next attempt
    /// }
    /// ```
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The status of the response to a login that failed; `None` if there was no response, or no
    /// login.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// Whether a call, not a login, failed because no connection could be made.
    pub fn is_connect(&self) -> bool {
        self.0.unanswered.is_some_and(|call| call.connect)
    }

    /// Whether a call or a login failed because this process has no file descriptor or guarded
    /// memory left, so that the vendor is not at fault. Such a login does not count for the backoff.
    pub fn is_out_of_resources(&self) -> bool {
        self.0.out_of_resources
    }

    /// Whether a call, not a login, got no response within its time limit.
    pub fn is_timeout(&self) -> bool {
        self.0.unanswered.is_some_and(|call| call.timeout)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(wait) = self.0.retry_after else { return fmt::Display::fmt(&self.0.error, f) };
        write!(f, "{} (next attempt in {} s)", self.what(), wait.as_secs().max(1))?;
        match self.help() {
            Some(help) => write!(f, "\n  {help}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

impl From<bootseal_core::Error> for Facts {
    fn from(error: bootseal_core::Error) -> Facts {
        Facts { error, status: None, retry_after: None, unanswered: None, out_of_resources: false }
    }
}

impl From<bootseal_core::Error> for Error {
    fn from(error: bootseal_core::Error) -> Error {
        Error(Arc::new(error.into()))
    }
}

impl From<bootseal_memory::MemoryError> for Error {
    fn from(error: bootseal_memory::MemoryError) -> Error {
        bootseal_core::Error::from(error).into()
    }
}
