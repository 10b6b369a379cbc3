//! Prompts: yes-or-no questions, words, passphrases and secrets, which are typed without echo.
//!
//! Every question fails with a next step if there is nobody to ask.

use crate::ui::Ui;
use crate::ui::failure::{Failure, Result};
use crate::ui::terminal::Terminal;
use bootseal_core::{Kind, Secret};

/// What is asked for before it is done.
pub(crate) struct Consent<'a> {
    /// All that is to be looked at first.
    pub(crate) shown: String,
    /// "Sign this?"
    pub(crate) question: &'a str,
    /// What is asked for, for who has no terminal: "signing".
    pub(crate) what: &'a str,
    /// "not signed": what was not done then.
    pub(crate) declined: &'a str,
    /// Shown with `--yes` as well: it is someone else's doing that is agreed to.
    pub(crate) always: bool,
}

impl Consent<'_> {
    pub(crate) fn to_sign(shown: String) -> Consent<'static> {
        Consent { shown, question: "Sign this?", what: "signing", declined: "not signed", always: true }
    }
}

impl Ui<'_> {
    /// Whether a person can be asked: somebody types at stdin and reads stderr.
    pub(crate) fn can_ask(&self) -> bool {
        self.terminal.is_some() && self.stdin_is_terminal && self.stderr_is_terminal
    }

    pub(crate) fn terminal(&mut self) -> Result<&mut dyn Terminal> {
        match &mut self.terminal {
            Some(terminal) => Ok(&mut **terminal),
            None => Err(Failure::new(Kind::NoTerminal, "there is no terminal to ask at")),
        }
    }

    /// Asks a yes-or-no question; anything but yes is no.
    pub(crate) fn ask(&mut self, question: &str) -> Result<bool> {
        let answer = self.terminal()?.line(&format!("{question} [y/N] ")).map_err(no_answer)?;
        Ok(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Whether a person can be asked for a passphrase: somebody reads stderr and has a terminal, though stdin may be a value's pipe.
    pub(crate) fn can_ask_passphrase(&self) -> bool {
        self.terminal.is_some() && self.stderr_is_terminal
    }

    /// Asks for the passphrase of one of `names`; where there are several, first whose.
    pub(crate) fn ask_passphrase(&mut self, names: &[&str]) -> Result<(String, Secret)> {
        let terminal = self.terminal()?;
        let name = match names {
            [only] => (*only).to_owned(),
            several => terminal.line(&format!("Whose passphrase ({})? ", several.join(", "))).map_err(no_answer)?,
        };
        if !names.contains(&name.as_str()) {
            return Err(Failure::new(Kind::Usage, "nobody of that name opens this file by passphrase")
                .with_help(format!("It can be: {}", names.join(", "))));
        }
        let passphrase = terminal.secret(&format!("Passphrase of {name}: ")).map_err(no_answer)?;
        Ok((name, passphrase))
    }

    /// Goes on only with a yes: someone's at the terminal, or `--yes`. What is agreed to is shown, and without a terminal it is said.
    pub(crate) fn agree(&mut self, consent: Consent<'_>) -> Result<()> {
        let Consent { shown, question, what, declined, always } = consent;
        if !self.yes && self.can_ask() {
            return match self.ask(&format!("{shown}\n{question}"))? {
                true => Ok(()),
                false => Err(Failure::new(Kind::Usage, format!("{declined}; nothing was changed"))),
            };
        }
        if always || !self.yes {
            self.note(shown);
        }
        match self.yes {
            true => Ok(()),
            false => {
                Err(Failure::new(Kind::NoTerminal, format!("{what} is asked for, and there is no terminal to ask at"))
                    .with_help("Look at what would be done, then add --yes."))
            }
        }
    }

    /// One word in answer, in lower case.
    pub(crate) fn ask_word(&mut self, question: &str) -> Result<String> {
        Ok(self.terminal()?.line(question).map_err(no_answer)?.to_ascii_lowercase())
    }

    /// Asks for a secret, twice.
    pub(crate) fn ask_secret(&mut self, what: &str) -> Result<Secret> {
        let terminal = self.terminal()?;
        let first = terminal.secret(&format!("{what}: ")).map_err(no_answer)?;
        let second = terminal.secret(&format!("{what}, again: ")).map_err(no_answer)?;
        if first.same_as(&second) {
            return Ok(first);
        }
        Err(Failure::new(Kind::Usage, "the two inputs differ; nothing was changed"))
    }
}

pub(crate) fn no_answer(error: std::io::Error) -> Failure {
    Failure::new(Kind::NoTerminal, format!("no answer from the terminal: {error}"))
}
