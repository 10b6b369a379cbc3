//! Errors, with the fact, the place, the next step and the exit code, as an operator finds them in
//! a log.

use crate::shown::Shown;
use std::fmt;
use std::path::{Path, PathBuf};

/// The kind of a failure: `--json` prints it, and [`Kind::exit_code`] derives the exit code from
/// it.
///
/// ```
/// use bootseal_core::{Kind, PropertyPath};
///
/// match "a b".parse::<PropertyPath>() {
///     Err(error) if error.kind() == Kind::Usage => eprintln!("{error}"),
///     other => drop(other?),
/// }
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The call or command line is wrong.
    Usage,
    /// The operating system reported an error.
    Io,
    /// The file is not a sealed file, or breaks a rule of the format.
    Malformed,
    /// There is no such file, property or profile.
    NotFound,
    /// A file or property of that name already exists.
    Exists,
    /// Others can read or write a key file.
    UnsafeFile,
    /// The signature is not valid.
    Forged,
    /// The file is authentic, but belongs to another vault than the expected one.
    WrongVault,
    /// The file is authentic, but older than a pin or the known vaults allow.
    OldGeneration,
    /// A sealed value does not belong to this name in this vault.
    MovedValue,
    /// No available identity opens the file, or none of them may write.
    NoIdentity,
    /// The passphrase is wrong.
    WrongPassphrase,
    /// A question needs an answer, but there is no terminal.
    NoTerminal,
    /// The request contradicts the present state.
    Conflict,
    /// The vendor says that these credentials are wrong.
    LoginRefused,
    /// The vendor throttles logins.
    LoginThrottled,
    /// The vendor cannot be reached, or reports a server error.
    LoginDown,
    /// A trusted TLS connection to the vendor cannot be established.
    LoginTls,
    /// The vendor sent a response that the profile does not describe.
    LoginProtocol,
}

impl Kind {
    /// The name of the kind in JSON, messages and docs.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Usage => "usage",
            Kind::Io => "io",
            Kind::Malformed => "malformed",
            Kind::NotFound => "not-found",
            Kind::Exists => "exists",
            Kind::UnsafeFile => "unsafe-file",
            Kind::Forged => "forged",
            Kind::WrongVault => "wrong-vault",
            Kind::OldGeneration => "old-generation",
            Kind::MovedValue => "moved-value",
            Kind::NoIdentity => "no-identity",
            Kind::WrongPassphrase => "wrong-passphrase",
            Kind::NoTerminal => "no-terminal",
            Kind::Conflict => "conflict",
            Kind::LoginRefused => "login-refused",
            Kind::LoginThrottled => "login-throttled",
            Kind::LoginDown => "login-down",
            Kind::LoginTls => "login-tls",
            Kind::LoginProtocol => "login-protocol",
        }
    }

    /// The exit code of a program that fails with this kind.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Io
            | Kind::Malformed
            | Kind::NotFound
            | Kind::Exists
            | Kind::UnsafeFile
            | Kind::Conflict => 1,
            Kind::Usage | Kind::NoTerminal => 2,
            Kind::Forged | Kind::WrongVault | Kind::OldGeneration | Kind::MovedValue => 3,
            Kind::NoIdentity | Kind::WrongPassphrase => 4,
            Kind::LoginRefused => 5,
            Kind::LoginThrottled | Kind::LoginDown | Kind::LoginTls | Kind::LoginProtocol => 6,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure, with its kind, the fact, the place and the next step. It never contains a value, key
/// or token.
///
/// `Debug` prints the same text as `Display`, so that an error returned from `main` with `?` is
/// readable.
///
/// ```
/// let error = bootseal_core::SealedFile::parse(b"password = \"hunter2\"\n".to_vec()).unwrap_err();
/// assert_eq!(error.kind(), bootseal_core::Kind::Malformed);
/// assert!(error.help().is_some());
/// ```
#[derive(Clone)]
pub struct Error(Box<Facts>);

#[derive(Clone)]
struct Facts {
    kind: Kind,
    what: String,
    file: Option<PathBuf>,
    line: Option<(usize, usize)>,
    property: Option<String>,
    help: Option<String>,
}

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Creates an error of `kind`; `what` is the fact, without the place.
    ///
    /// ```
    /// use bootseal_core::{Error, Kind};
    ///
    /// let path: bootseal_core::PropertyPath = "acme.password".parse()?;
    /// let error = Error::new(Kind::NotFound, "no such property")
    ///     .in_file("app.sealed.toml".as_ref())
    ///     .at(&path)
    ///     .with_help("`bootseal list` shows all names.");
    /// assert_eq!(error.to_string(), "app.sealed.toml: acme.password: no such property\n  `bootseal list` shows all names.");
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn new(kind: Kind, what: impl Into<String>) -> Error {
        Error(Box::new(Facts {
            kind,
            what: what.into(),
            file: None,
            line: None,
            property: None,
            help: None,
        }))
    }

    pub(crate) fn malformed(what: impl Into<String>) -> Error {
        Error::new(Kind::Malformed, what)
    }

    /// Adds the file, unless the error already names one.
    ///
    /// See the example of [`Error::new`].
    #[must_use]
    pub fn in_file(mut self, file: &Path) -> Error {
        self.0.file.get_or_insert_with(|| file.to_path_buf());
        self
    }

    /// Adds the file if there is one, which is not the case for a text in memory.
    #[must_use]
    pub fn in_file_if(self, file: Option<&Path>) -> Error {
        match file {
            Some(file) => self.in_file(file),
            None => self,
        }
    }

    /// Adds the property, unless the error already names one. The property is a TOML dotted key, as
    /// [`PropertyPath`](crate::PropertyPath) prints it.
    ///
    /// See the example of [`Error::new`].
    #[must_use]
    pub fn at(mut self, property: &impl fmt::Display) -> Error {
        self.0.property.get_or_insert_with(|| property.to_string());
        self
    }

    /// Adds the line and the column, both counted from 1.
    ///
    /// ```
    /// # use bootseal_core::{Error, Kind};
    /// let error = Error::new(Kind::Malformed, "an unterminated quote").at_line(3, 7);
    /// assert_eq!(error.to_string(), "line 3, column 7: an unterminated quote");
    /// ```
    #[must_use]
    pub fn at_line(mut self, line: usize, column: usize) -> Error {
        self.0.line = Some((line, column));
        self
    }

    /// Adds the line and the column of the byte `offset` of `text`, both counted from 1.
    #[must_use]
    pub(crate) fn at_offset(mut self, text: &str, offset: usize) -> Error {
        let before = text.get(..offset.min(text.len())).unwrap_or(text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        self.0.line = Some((before.matches('\n').count() + 1, before[start..].chars().count() + 1));
        self
    }

    /// Adds `lines` to the line number, because the parsed text begins that many lines below the
    /// start of the file.
    #[must_use]
    pub(crate) fn below(mut self, lines: usize) -> Error {
        if let Some((line, _)) = &mut self.0.line {
            *line += lines;
        }
        self
    }

    /// Adds the next step, unless the error already has one.
    #[must_use]
    pub(crate) fn or_help(self, help: &str) -> Error {
        if self.0.help.is_some() { self } else { self.with_help(help) }
    }

    /// Adds the next step, replacing an earlier one.
    ///
    /// See the example of [`Error::new`].
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Error {
        self.0.help = Some(help.into());
        self
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The fact alone, without place and next step.
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// The file in question; `None` if there is none.
    pub fn file(&self) -> Option<&Path> {
        self.0.file.as_deref()
    }

    /// The line and the column, both counted from 1, if the error is in a text.
    pub fn line(&self) -> Option<(usize, usize)> {
        self.0.line
    }

    /// The property in question, as a TOML dotted key; `None` if the error is not about a property.
    pub fn property(&self) -> Option<&str> {
        self.0.property.as_deref()
    }

    /// The next step for the reader, if there is one.
    pub fn help(&self) -> Option<&str> {
        self.0.help.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = &self.0;
        if let Some(file) = &facts.file {
            write!(f, "{}", Shown::path(file))?;
            if let Some((line, column)) = facts.line {
                write!(f, ", line {line}, column {column}")?;
            }
            f.write_str(": ")?;
        } else if let Some((line, column)) = facts.line {
            write!(f, "line {line}, column {column}: ")?;
        }
        if let Some(property) = &facts.property {
            write!(f, "{property}: ")?;
        }
        f.write_str(&facts.what)?;
        match &facts.help {
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

impl From<bootseal_memory::MemoryError> for Error {
    fn from(error: bootseal_memory::MemoryError) -> Error {
        Error::new(Kind::Io, error.to_string())
    }
}
