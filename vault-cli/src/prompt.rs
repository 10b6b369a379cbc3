//! How is a person asked? Without echo for secrets, and never where nobody is.

use crate::exit::{Failure, Result};
use crate::world::World;
use bootseal_core::{Kind, Secret};
use std::io::{BufRead, Write};
use zeroize::Zeroize;

/// Someone who answers.
///
/// ```
/// use bootseal_cli::{Terminal, World};
/// use bootseal_core::Secret;
///
/// struct Yes;
/// impl Terminal for Yes {
///     fn secret(&mut self, _: &str) -> std::io::Result<Secret> { Err(std::io::ErrorKind::Unsupported.into()) }
///     fn line(&mut self, _: &str) -> std::io::Result<String> { Ok("yes".into()) }
/// }
///
/// # let (mut input, mut out, mut err) = (std::io::empty(), Vec::new(), Vec::new());
/// let mut yes = Yes;
/// let world = World { terminal: Some(&mut yes), ..World::new(&mut input, &mut out, &mut err) };
/// ```
pub trait Terminal {
    /// Shows `prompt` and reads one line without showing it, its newline cut off. See the example of [`Terminal`].
    ///
    /// # Errors
    /// Where there is no terminal, or the input ended.
    fn secret(&mut self, prompt: &str) -> std::io::Result<Secret>;

    /// Shows `prompt` and reads one line, blanks at both ends cut off. See the example of [`Terminal`].
    ///
    /// # Errors
    /// As [`Terminal::secret`].
    fn line(&mut self, prompt: &str) -> std::io::Result<String>;
}

/// The terminal of the process, whatever stdin and stdout are.
///
/// ```
/// use bootseal_cli::{Console, World};
///
/// let (mut input, mut out, mut err) = (std::io::empty(), Vec::new(), Vec::new());
/// let mut console = Console;
/// let world = World { terminal: Some(&mut console), ..World::new(&mut input, &mut out, &mut err) };
/// ```
#[derive(Debug)]
pub struct Console;

impl Terminal for Console {
    fn secret(&mut self, prompt: &str) -> std::io::Result<Secret> {
        let mut typed = rpassword::prompt_password(prompt)?;
        let secret = Secret::copy_of(typed.as_bytes()).map_err(std::io::Error::other);
        typed.zeroize();
        secret
    }

    fn line(&mut self, prompt: &str) -> std::io::Result<String> {
        let (input, output) = if cfg!(windows) { ("CONIN$", "CONOUT$") } else { ("/dev/tty", "/dev/tty") };
        let mut output = std::fs::OpenOptions::new().write(true).open(output)?;
        write!(output, "{prompt}")?;
        output.flush()?;
        let mut line = String::new();
        std::io::BufReader::new(std::fs::File::open(input)?).read_line(&mut line)?;
        if line.is_empty() { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(line.trim().to_owned()) }
    }
}

impl World<'_> {
    /// Whether a person can be asked: somebody types at stdin and reads stderr.
    pub(crate) fn can_ask(&self) -> bool {
        self.terminal.is_some() && self.stdin_is_terminal && self.stderr_is_terminal
    }

    fn terminal(&mut self) -> Result<&mut dyn Terminal> {
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

    /// Asks for a secret, twice.
    pub(crate) fn ask_secret(&mut self, what: &str) -> Result<Secret> {
        let terminal = self.terminal()?;
        let first = terminal.secret(&format!("{what}: ")).map_err(no_answer)?;
        let second = terminal.secret(&format!("{what}, again: ")).map_err(no_answer)?;
        if first.expose(|first| second.expose(|second| first == second)) {
            return Ok(first);
        }
        Err(Failure::new(Kind::Usage, "the two inputs differ; nothing was changed"))
    }
}

fn no_answer(error: std::io::Error) -> Failure {
    Failure::new(Kind::NoTerminal, format!("no answer from the terminal: {error}"))
}
