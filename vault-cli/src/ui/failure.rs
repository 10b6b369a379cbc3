//! The failure of a command: one text for people, one document for scripts, and one exit code.

use bootseal_core::{Error, Kind, Shown};
use serde_json::json;
use std::path::Path;

/// The error of a command.
#[derive(Debug)]
pub(crate) struct Failure(Box<Facts>);

#[derive(Debug)]
struct Facts {
    kind: Kind,
    /// The complete text that people see.
    text: String,
    message: String,
    file: Option<String>,
    property: Option<String>,
    help: Option<String>,
    /// Whether the user pressed Ctrl-C.
    interrupted: bool,
}

/// The exit code of a program that ends after Ctrl-C, as shells report it: 128 and SIGINT.
const INTERRUPTED: u8 = 130;

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    pub(crate) fn new(kind: Kind, what: impl Into<String>) -> Failure {
        let what = without_number(what.into());
        Failure(Box::new(Facts {
            kind,
            text: what.clone(),
            message: what,
            file: None,
            property: None,
            help: None,
            interrupted: false,
        }))
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Failure {
        let help = help.into();
        self.0.text = format!("{}\n  {help}", self.0.text);
        self.0.help = Some(help);
        self
    }

    /// Adds a sentence to the help.
    pub(crate) fn and_help(mut self, more: &str) -> Failure {
        self.0.text = format!("{}\n  {more}", self.0.text);
        let help = self.0.help.take();
        self.0.help = Some(help.map_or(more.to_owned(), |help| format!("{help}\n  {more}")));
        self
    }

    /// Prepends the place to which the error applies.
    pub(crate) fn within(mut self, place: &str) -> Failure {
        self.0.text = format!("{place}: {}", self.0.text);
        self
    }

    /// Replaces the help.
    pub(crate) fn with_other_help(mut self, help: impl Into<String>) -> Failure {
        self.0.text = self.0.message.clone();
        self.with_help(help)
    }

    /// Sets the file for scripts, unless the failure already names one.
    pub(crate) fn in_file(mut self, path: &Path) -> Failure {
        self.0.file.get_or_insert_with(|| Shown::path(path).to_string());
        self
    }

    /// Marks the failure as the result of Ctrl-C at a prompt.
    pub(crate) fn by_interrupt(mut self) -> Failure {
        self.0.interrupted = true;
        self
    }

    pub(crate) fn is_interrupt(&self) -> bool {
        self.0.interrupted
    }

    pub(crate) fn exit_code(&self) -> u8 {
        if self.0.interrupted { INTERRUPTED } else { self.0.kind.exit_code() }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.0.kind
    }

    pub(crate) fn text(&self) -> &str {
        &self.0.text
    }

    /// Whether the text begins with the name of a file, and not only with a longer name.
    pub(crate) fn begins_with_file(&self, name: &str) -> bool {
        let rest = self.0.text.strip_prefix(name);
        rest.is_some_and(|rest| [": ", " and ", ", "].iter().any(|next| rest.starts_with(next)))
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        let facts = &self.0;
        json!({ "kind": facts.kind.as_str(), "message": facts.message, "file": facts.file, "property": facts.property, "help": facts.help })
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure(Box::new(Facts {
            kind: error.kind(),
            text: without_number(error.to_string()),
            message: without_number(match error.line() {
                Some((line, column)) => format!("line {line}, column {column}: {}", error.what()),
                None => error.what().to_owned(),
            }),
            file: error.file().map(|file| Shown::path(file).to_string()),
            property: error.property().map(str::to_owned),
            help: error.help().map(str::to_owned),
            interrupted: false,
        }))
    }
}

impl From<bootseal::Error> for Failure {
    fn from(error: bootseal::Error) -> Failure {
        Failure(Box::new(Facts {
            kind: error.kind(),
            text: without_number(error.to_string()),
            message: without_number(error.what().to_owned()),
            file: None,
            property: None,
            help: error.help().map(str::to_owned),
            interrupted: false,
        }))
    }
}

impl From<bootseal_memory::MemoryError> for Failure {
    fn from(error: bootseal_memory::MemoryError) -> Failure {
        Error::from(error).into()
    }
}

/// Converts an error of writing the result. Callers ignore a closed pipe before the conversion.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::new(Kind::Io, format!("the result could not be written: {error}"))
    }
}

/// The end of a command that did not succeed.
#[derive(Debug)]
pub(crate) enum Exit {
    Failed(Failure),
    /// The failure was reported already; only the exit code is left.
    Reported(u8),
}

impl Exit {
    /// Does the same as [`Failure::in_file`].
    pub(crate) fn in_file(self, path: &Path) -> Exit {
        match self {
            Exit::Failed(failure) => Exit::Failed(failure.in_file(path)),
            reported => reported,
        }
    }
}

impl<E: Into<Failure>> From<E> for Exit {
    fn from(error: E) -> Exit {
        Exit::Failed(error.into())
    }
}

/// The text without the numbers of system errors, such as ` (os error 2)`: the words before each
/// number say the same.
fn without_number(mut text: String) -> String {
    while let Some(start) = text.find(" (os error ") {
        let Some(length) = text[start..].find(')') else { break };
        text.replace_range(start..=start + length, "");
    }
    text
}

/// The error of a file that cannot be read.
pub(crate) fn unreadable(error: &std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::NotFound => Error::new(Kind::NotFound, "no such file"),
        _ => Error::new(Kind::Io, format!("cannot be read: {error}")),
    }
}
