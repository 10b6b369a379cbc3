//! Prompts: yes-or-no questions, words, passphrases and secrets, which are typed without echo.
//!
//! Without a terminal, every prompt fails with an error that names the next step.

use crate::ui::Ui;
use crate::ui::failure::{Failure, Result};
use crate::ui::review::Review;
use crate::ui::terminal::Terminal;
use bootseal_core::{Kind, PropertyPath, Secret, some_names};

/// How often a secret can be typed before two different inputs are an error.
const TRIES: usize = 3;

/// Names of user names, without `_` and other signs, in lower case.
const USER_NAMES: [&str; 5] = ["user", "username", "userid", "clientid", "email"];

/// A confirmation that is asked for before something is done.
pub(crate) struct Consent<'a> {
    /// What the user should review first.
    pub(crate) shown: Review,
    /// The question, such as "Sign this?".
    pub(crate) question: &'a str,
    /// The action, such as "signing", for the error if there is no terminal.
    pub(crate) what: &'a str,
    /// The result of a no, such as "not signed".
    pub(crate) declined: &'a str,
    /// Whether to show the text with `--yes` as well, because someone else made the change.
    pub(crate) always: bool,
}

impl Consent<'_> {
    pub(crate) fn to_sign(shown: Review) -> Consent<'static> {
        Consent {
            shown,
            question: "Sign this?",
            what: "signing",
            declined: "not signed",
            always: true,
        }
    }
}

impl Ui<'_> {
    /// Whether the user can be asked: stdin and stderr are a terminal.
    pub(crate) fn can_ask(&self) -> bool {
        self.terminal.is_some() && self.stdin_is_terminal && self.stderr_is_terminal
    }

    pub(crate) fn terminal(&mut self) -> Result<&mut dyn Terminal> {
        match &mut self.terminal {
            Some(terminal) => Ok(&mut **terminal),
            None => Err(Failure::new(Kind::NoTerminal, "there is no terminal to ask for it")),
        }
    }

    /// Asks a yes-or-no question; any answer except yes means no.
    pub(crate) fn ask(&mut self, question: &str) -> Result<bool> {
        let answer = self.terminal()?.line(&format!("{question} [y/N] ")).map_err(no_answer)?;
        Ok(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Asks a yes-or-no question; any answer except no means yes.
    pub(crate) fn ask_unless_no(&mut self, question: &str) -> Result<bool> {
        let answer = self.terminal()?.line(&format!("{question} [Y/n] ")).map_err(no_answer)?;
        Ok(!matches!(answer.to_ascii_lowercase().as_str(), "n" | "no"))
    }

    /// Whether the user can be asked for a passphrase: stderr is a terminal, but stdin may be a
    /// pipe with a value.
    pub(crate) fn can_ask_passphrase(&self) -> bool {
        self.terminal.is_some() && self.stderr_is_terminal
    }

    /// Asks for the passphrase of one of `names`; if there are several, first asks whose.
    pub(crate) fn ask_passphrase(&mut self, names: &[&str]) -> Result<(String, Secret)> {
        let terminal = self.terminal()?;
        let name = match names {
            [only] => (*only).to_owned(),
            several => terminal
                .line(&format!("Whose passphrase ({})? ", some_names(several)))
                .map_err(no_answer)?,
        };
        if !names.contains(&name.as_str()) {
            return Err(Failure::new(
                Kind::Usage,
                "no member of that name opens this file by passphrase",
            )
            .with_help(format!("The possible names are: {}", some_names(names))));
        }
        let passphrase = terminal.secret(&format!("Passphrase of {name}: ")).map_err(no_answer)?;
        Ok((name, passphrase))
    }

    /// Continues only after a yes, at the terminal or by `--yes`. The text to review is part of the
    /// question; without a terminal, it is printed as a note.
    ///
    /// # Errors
    /// If the answer is no, or if there is no terminal and `--yes` was not given.
    pub(crate) fn agree(&mut self, consent: Consent<'_>) -> Result<()> {
        let Consent { shown, question, what, declined, always } = consent;
        if !self.yes && self.can_ask() {
            return match self.ask(&shown.question(question))? {
                true => Ok(()),
                false => Err(Failure::new(Kind::Usage, format!("{declined}; nothing was changed"))),
            };
        }
        if always || !self.yes {
            self.note(shown.whole());
        }
        match self.yes {
            true => Ok(()),
            false => Err(Failure::new(
                Kind::NoTerminal,
                format!("{what} needs a confirmation, and there is no terminal to ask for it"),
            )
            .with_help("Review the change, then add --yes.")),
        }
    }

    /// Asks for one line of text.
    pub(crate) fn ask_text(&mut self, question: &str) -> Result<String> {
        self.terminal()?.line(question).map_err(no_answer)
    }

    /// Asks for one word, and returns it in lower case.
    pub(crate) fn ask_word(&mut self, question: &str) -> Result<String> {
        Ok(self.terminal()?.line(question).map_err(no_answer)?.to_ascii_lowercase())
    }

    /// Asks for a secret twice, and again if the inputs differ.
    ///
    /// # Errors
    /// If the inputs differ three times.
    pub(crate) fn ask_secret(&mut self, what: &str) -> Result<Secret> {
        for _ in 1..TRIES {
            if let Some(secret) = self.ask_twice(what)? {
                return Ok(secret);
            }
            self.note("the two inputs differ; type them again");
        }
        self.ask_twice(what)?
            .ok_or_else(|| Failure::new(Kind::Usage, "the two inputs differ; nothing was changed"))
    }

    fn ask_twice(&mut self, what: &str) -> Result<Option<Secret>> {
        let terminal = self.terminal()?;
        let first = terminal.secret(&format!("{what}: ")).map_err(no_answer)?;
        let second = terminal.secret(&format!("{what}, again: ")).map_err(no_answer)?;
        Ok(first.same_as(&second).then_some(first))
    }

    /// Asks for the value of a property: for a user name once and with echo, for everything else as
    /// [`Ui::ask_secret`] does.
    pub(crate) fn ask_value(&mut self, path: &PropertyPath) -> Result<Secret> {
        if !is_user_name(path) {
            return self.ask_secret(&path.to_string());
        }
        let typed = self.ask_text(&format!("{path}: "))?;
        Ok(Secret::copy_of(typed.as_bytes())?)
    }
}

/// Whether the last part of a name is one under which user names are stored. They are typed with
/// echo, because a typing error that nobody sees costs a refused login.
fn is_user_name(path: &PropertyPath) -> bool {
    let last = path.segments().last().map(String::as_str).unwrap_or_default();
    let plain: String = last.chars().filter(char::is_ascii_alphanumeric).collect();
    USER_NAMES.contains(&plain.to_ascii_lowercase().as_str())
}

/// The error of a prompt that received no answer.
pub(crate) fn no_answer(error: std::io::Error) -> Failure {
    let interrupted = error.kind() == std::io::ErrorKind::Interrupted;
    let failure = Failure::new(Kind::NoTerminal, format!("no answer from the terminal: {error}"));
    if interrupted { failure.by_interrupt() } else { failure }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_user_name_is_known_by_the_last_part_of_the_path() {
        for path in ["acme.username", "user", "acme.user_name", "acme.clientId", "a.\"E-Mail\""] {
            assert!(is_user_name(&path.parse().unwrap()), "{path}");
        }
        for path in ["acme.password", "user.password", "acme.client_secret", "users", "acme.token"]
        {
            assert!(!is_user_name(&path.parse().unwrap()), "{path}");
        }
    }
}
