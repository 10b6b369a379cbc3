//! What reaches an application's log at 3 am? The fact, the place, what was tried, and the next step.

use bootseal_core::Kind;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Why something failed. Cheap to clone: all who waited for one login get the same error.
///
/// `Debug` prints what `Display` prints, so that `?` in `main` is readable. No value, key or token is ever part of it.
///
/// ```no_run
/// let error = bootseal::Loader::exactly("/nonexistent.sealed.toml").load().unwrap_err();
/// eprintln!("{error}"); // the fact, the place, and the next step
/// std::process::exit(error.exit_code().into());
/// ```
#[derive(Clone)]
pub struct Error(Arc<Facts>);

struct Facts {
    what: What,
    retry_after: Option<Duration>,
}

enum What {
    File(bootseal_core::Error),
    Own(Own),
    #[cfg(feature = "client")]
    Call(Call),
    #[cfg(feature = "client")]
    Http(reqwest::Error),
}

/// A call that came to nothing.
#[cfg(feature = "client")]
struct Call {
    text: String,
    connecting: bool,
    timed_out: bool,
}

#[derive(Clone)]
struct Own {
    kind: Kind,
    text: String,
    help: Option<String>,
    status: Option<u16>,
}

/// The result of everything here that can fail.
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
    pub(crate) fn new(kind: Kind, text: impl Into<String>) -> Error {
        Error::own(Own { kind, text: text.into(), help: None, status: None }, None)
    }

    fn own(own: Own, retry_after: Option<Duration>) -> Error {
        Error(Arc::new(Facts { what: What::Own(own), retry_after }))
    }

    /// What this error says, as one of our own that can be added to.
    fn to_own(&self) -> Own {
        match &self.0.what {
            What::Own(own) => own.clone(),
            _ => Own { kind: self.kind(), text: self.what(), help: self.help().map(str::to_owned), status: None },
        }
    }

    pub(crate) fn with_help(self, help: impl Into<String>) -> Error {
        Error::own(Own { help: Some(help.into()), ..self.to_own() }, self.0.retry_after)
    }

    #[cfg(feature = "client")]
    pub(crate) fn of_call(text: String, connecting: bool, timed_out: bool) -> Error {
        let call = Call { text, connecting, timed_out };
        Error(Arc::new(Facts { what: What::Call(call), retry_after: None }))
    }

    #[cfg(feature = "client")]
    pub(crate) fn with_status(self, status: Option<u16>) -> Error {
        Error::own(Own { status, ..self.to_own() }, self.0.retry_after)
    }

    #[cfg(feature = "client")]
    pub(crate) fn with_retry_after(&self, retry_after: Duration) -> Error {
        Error::own(self.to_own(), Some(retry_after))
    }

    /// The fact alone: no file, no next step, no time of the next attempt.
    ///
    /// ```
    /// let error = bootseal::Loader::exactly("/nonexistent.sealed.toml").load().unwrap_err();
    /// assert!(error.to_string().contains(&error.what()) && !error.what().contains("bootseal init"));
    /// ```
    pub fn what(&self) -> String {
        match &self.0.what {
            What::File(error) => error.what().to_owned(),
            What::Own(own) => own.text.clone(),
            #[cfg(feature = "client")]
            What::Call(call) => call.text.clone(),
            #[cfg(feature = "client")]
            What::Http(error) => chain(error),
        }
    }

    /// The kind: the same words as in the CLI. A call that came to nothing is [`Kind::Io`].
    ///
    /// ```
    /// let error = bootseal::Loader::exactly("/nonexistent.sealed.toml").load().unwrap_err();
    /// assert_eq!(error.kind(), bootseal::Kind::NotFound);
    /// ```
    pub fn kind(&self) -> Kind {
        match &self.0.what {
            What::File(error) => error.kind(),
            What::Own(own) => own.kind,
            #[cfg(feature = "client")]
            What::Call(_) | What::Http(_) => Kind::Io,
        }
    }

    /// The next step alone; `None` where none is known.
    ///
    /// ```
    /// let error = bootseal::Loader::exactly("/nonexistent.sealed.toml").load().unwrap_err();
    /// assert!(error.help().is_some_and(|help| help.contains("bootseal init")));
    /// ```
    pub fn help(&self) -> Option<&str> {
        match &self.0.what {
            What::File(error) => error.help(),
            What::Own(own) => own.help.as_deref(),
            #[cfg(feature = "client")]
            What::Call(_) | What::Http(_) => None,
        }
    }

    /// For a login that is not tried for now: how long until the next attempt may be made. `None` for every
    /// other error.
    ///
    /// ```
    /// # let vendor = bootseal_vendor_sim::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// vendor.down(true);
    /// let error = acme.token_blocking().unwrap_err();
    /// let error = acme.token_blocking().err().unwrap_or(error); // not tried again: the gate is shut
    /// assert!(error.retry_after().is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The status that a failed login was answered with; `None` where there was no answer, or no login.
    ///
    /// ```
    /// # let vendor = bootseal_vendor_sim::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// vendor.refuse(true);
    /// let error = acme.token_blocking().unwrap_err();
    /// assert_eq!((error.kind(), error.status()), (bootseal::Kind::LoginRefused, Some(401)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn status(&self) -> Option<u16> {
        match &self.0.what {
            What::Own(own) => own.status,
            _ => None,
        }
    }

    /// The exit code for a program that ends because of this: the table of the CLI.
    ///
    /// ```
    /// let error = bootseal::Loader::exactly("/nonexistent.sealed.toml").load().unwrap_err();
    /// assert_eq!(error.exit_code(), 1);
    /// ```
    pub fn exit_code(&self) -> u8 {
        self.kind().exit_code()
    }

    /// Whether a call, not a login, came to nothing because no connection could be made.
    ///
    /// ```
    /// # let vendor = bootseal_vendor_sim::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\nhosts = [\"127.0.0.1:1\"]\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let client = vault.token_source("acme")?.client();
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let error = client.get("http://127.0.0.1:1/").send().await.unwrap_err(); // nobody listens there
    /// assert!(error.is_connect() && !error.is_timeout());
    /// # Ok::<(), bootseal::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "client")]
    pub fn is_connect(&self) -> bool {
        match &self.0.what {
            What::Call(call) => call.connecting,
            What::Http(error) => error.is_connect(),
            _ => false,
        }
    }

    /// Whether a call, not a login, was not answered in the time that was set for it.
    ///
    /// ```
    /// # let vendor = bootseal_vendor_sim::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// # let client = acme.client();
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// acme.ready().await?;
    /// vendor.slow(std::time::Duration::from_secs(60));
    /// let call = client.get(vendor.url("/orders")).timeout(std::time::Duration::from_millis(10));
    /// assert!(call.send().await.unwrap_err().is_timeout());
    /// # Ok::<(), bootseal::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "client")]
    pub fn is_timeout(&self) -> bool {
        match &self.0.what {
            What::Call(call) => call.timed_out,
            What::Http(error) => error.is_timeout(),
            _ => false,
        }
    }

    /// reqwest's own error: of a client that was given to [`TokenSource::wrap`](crate::TokenSource::wrap), or of a body that could not be
    /// read.
    ///
    /// ```
    /// # let vendor = bootseal_vendor_sim::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\nhosts = [\"127.0.0.1:1\"]\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// # let _ = rustls::crypto::ring::default_provider().install_default();
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let client = acme.wrap(reqwest::Client::new());
    /// let error = client.get("http://127.0.0.1:1/").send().await.unwrap_err(); // nobody listens there
    /// assert!(error.as_http().is_some_and(|error| error.is_connect()));
    /// # Ok::<(), bootseal::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "client")]
    pub fn as_http(&self) -> Option<&reqwest::Error> {
        match &self.0.what {
            What::Http(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let What::File(error) = &self.0.what {
            return fmt::Display::fmt(error, f);
        }
        f.write_str(&self.what())?;
        if let Some(wait) = self.0.retry_after {
            write!(f, " (next attempt in {} s)", wait.as_secs().max(1))?;
        }
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

impl From<bootseal_core::Error> for Error {
    fn from(error: bootseal_core::Error) -> Error {
        Error(Arc::new(Facts { what: What::File(error), retry_after: None }))
    }
}

impl From<bootseal_memory::MemoryError> for Error {
    fn from(error: bootseal_memory::MemoryError) -> Error {
        bootseal_core::Error::from(error).into()
    }
}

#[cfg(feature = "client")]
impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Error {
        // A URL's query may hold what no log should.
        Error(Arc::new(Facts { what: What::Http(error.without_url()), retry_after: None }))
    }
}

/// An error with its causes, as one line.
#[cfg(feature = "client")]
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut at = error.source();
    while let Some(cause) = at {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        at = cause.source();
    }
    text
}
