//! The terminal for prompts: the trait [`Terminal`], and [`Console`], the terminal of the process.

use bootseal_core::Secret;
use std::io::{BufRead, Write};

/// A terminal at which a user answers prompts.
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
    /// Shows `prompt` and reads one line without echo, without its newline.
    ///
    /// # Errors
    /// If there is no terminal, or its input has ended.
    fn secret(&mut self, prompt: &str) -> std::io::Result<Secret>;

    /// Shows `prompt` and reads one line, trimmed.
    ///
    /// # Errors
    /// The same as those of [`Terminal::secret`].
    fn line(&mut self, prompt: &str) -> std::io::Result<String>;

    /// Shows `prompt` and reads lines without echo, up to an empty one.
    ///
    /// # Errors
    /// The same as those of [`Terminal::secret`].
    fn text(&mut self, prompt: &str) -> std::io::Result<Secret> {
        self.secret(prompt)
    }
}

/// The controlling terminal of the process, even if stdin and stdout are redirected.
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
        hidden::read(prompt, |_| true)
    }

    fn text(&mut self, prompt: &str) -> std::io::Result<Secret> {
        // The text is not read line by line, because pasted text is already buffered, and the
        // terminal's line discipline cuts lines at 4 KiB.
        hidden::read(prompt, |typed| typed.is_empty() || typed.ends_with(b"\n"))
    }

    fn line(&mut self, prompt: &str) -> std::io::Result<String> {
        let (input, output) =
            if cfg!(windows) { ("CONIN$", "CONOUT$") } else { ("/dev/tty", "/dev/tty") };
        let mut output = std::fs::OpenOptions::new().write(true).open(output)?;
        write!(output, "{prompt}")?;
        output.flush()?;
        let mut line = String::new();
        std::io::BufReader::new(std::fs::File::open(input)?).read_line(&mut line)?;
        if line.is_empty() {
            Err(std::io::ErrorKind::UnexpectedEof.into())
        } else {
            Ok(line.trim().to_owned())
        }
    }
}

/// Reads without echo, byte by byte, onto a guarded page. Signals from keys are disabled while it
/// reads, so that Ctrl-C arrives as a byte and the terminal is restored before the program ends.
#[cfg(unix)]
mod hidden {
    use bootseal_core::Secret;
    use bootseal_memory::SecretBuf;
    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
    use std::fs::{File, OpenOptions};
    use std::io::{Error, ErrorKind, Read, Write};

    /// Restores the terminal when dropped.
    struct Quiet<'a>(&'a File, Termios);

    impl Drop for Quiet<'_> {
        fn drop(&mut self) {
            let _ = tcsetattr(self.0, OptionalActions::Flush, &self.1);
            let _ = self.0.write_all(b"\n");
        }
    }

    /// Reads up to the first line end at which `ended` returns true for the text before it.
    pub(super) fn read(prompt: &str, ended: fn(&[u8]) -> bool) -> std::io::Result<Secret> {
        let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
        let before = tcgetattr(&terminal)?;
        let mut quiet = before.clone();
        quiet
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
        // Echo is disabled before the prompt appears; earlier input is discarded and never shown.
        tcsetattr(&terminal, OptionalActions::Flush, &quiet)?;
        let _quiet = Quiet(&terminal, before);
        (&terminal).write_all(prompt.as_bytes())?;
        let mut typed = SecretBuf::with_capacity(256).map_err(Error::other)?;
        let mut byte = [0];
        loop {
            if (&terminal).read(&mut byte)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            match byte[0] {
                b'\r' | b'\n' if typed.expose(ended) => return Ok(typed.freeze()),
                b'\r' | b'\n' => typed.push(b"\n").map_err(Error::other)?,
                0x03 | 0x1C => {
                    return Err(Error::new(
                        ErrorKind::Interrupted,
                        "interrupted; nothing was changed",
                    ));
                }
                0x04 if typed.is_empty() => return Err(ErrorKind::UnexpectedEof.into()),
                0x04 => return Ok(typed.freeze()),
                0x15 => typed.truncate(0),
                0x08 | 0x7F => {
                    let shorter =
                        typed.expose(|bytes| bytes.iter().rposition(|byte| byte & 0xC0 != 0x80));
                    typed.truncate(shorter.unwrap_or_default());
                }
                other => typed.push(&[other]).map_err(Error::other)?,
            }
            byte = [0];
        }
    }
}

#[cfg(not(unix))]
mod hidden {
    use bootseal_core::Secret;
    use zeroize::Zeroize;

    /// Reads one line, because these systems cannot read several lines without echo.
    pub(super) fn read(prompt: &str, _: fn(&[u8]) -> bool) -> std::io::Result<Secret> {
        let mut typed = rpassword::prompt_password(prompt)?;
        let secret = Secret::copy_of(typed.as_bytes()).map_err(std::io::Error::other);
        typed.zeroize();
        secret
    }
}
