//! The clipboard, filled and cleared through the system's own programs; a value is passed to them
//! through a pipe only.

use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, Secret, Shown};
use bootseal_memory::SecretBuf;
use std::ffi::OsString;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The maximum number of bytes that are read back; no password is longer.
const MAX: usize = 1 << 20;

/// The clipboard of one system: the programs that copy and paste, each with its arguments.
struct Kinds {
    /// The variable that is set if this clipboard is available.
    variable: Option<&'static str>,
    copy: &'static [&'static str],
    paste: &'static [&'static str],
}

const KINDS: &[Kinds] = &[
    Kinds {
        variable: Some("WAYLAND_DISPLAY"),
        copy: &["wl-copy"],
        paste: &["wl-paste", "--no-newline"],
    },
    Kinds {
        variable: Some("DISPLAY"),
        copy: &["xclip", "-selection", "clipboard", "-in"],
        paste: &["xclip", "-selection", "clipboard", "-out"],
    },
    Kinds { variable: None, copy: &["pbcopy"], paste: &["pbpaste"] },
    // Windows, and WSL.
    Kinds {
        variable: None,
        copy: &["clip.exe"],
        paste: &[
            "powershell.exe",
            "-NoProfile",
            "-Command",
            "[Console]::Out.Write((Get-Clipboard -Raw))",
        ],
    },
];

/// The programs of this machine, by their absolute paths.
pub(crate) struct Clipboard {
    copy: (PathBuf, &'static [&'static str]),
    paste: Option<(PathBuf, &'static [&'static str])>,
}

impl Clipboard {
    /// Finds the first available clipboard; `set` looks up an environment variable. Relative
    /// folders in PATH are ignored: otherwise the current folder would decide which program runs.
    pub(crate) fn find(set: impl Fn(&str) -> Option<OsString>) -> Result<Clipboard> {
        let path = set("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> =
            std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect();
        let at = |call: &&'static [&'static str]| {
            let (name, args) = call.split_first()?;
            Some((
                folders.iter().map(|folder| folder.join(name)).find(|program| program.is_file())?,
                args,
            ))
        };
        let here = KINDS
            .iter()
            .filter(|kind| kind.variable.is_none_or(|variable| set(variable).is_some()));
        let found = here
            .filter_map(|kind| Some(Clipboard { copy: at(&kind.copy)?, paste: at(&kind.paste) }))
            .next();
        found.ok_or_else(|| {
            Failure::new(Kind::NotFound, "no clipboard was found: neither wl-copy (with WAYLAND_DISPLAY), xclip (with DISPLAY), pbcopy nor clip.exe is on PATH")
                .with_help("--out FILE writes the value to a file that only you can read.")
        })
    }

    pub(crate) fn fill(&self, secret: &Secret) -> Result<()> {
        let (program, args) = &self.copy;
        let failed = |error: std::io::Error| {
            Failure::new(
                Kind::Io,
                format!("the clipboard was not filled: {}: {error}", Shown::path(program)),
            )
        };
        // The program may keep running to serve the clipboard, and must not keep the streams of
        // this process open.
        let mut command = Command::new(program);
        let mut child = command
            .args(*args)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        feed(&mut child, secret).map_err(failed)?;
        match child.wait().map_err(failed)? {
            ended if ended.success() => Ok(()),
            ended => Err(failed(std::io::Error::other(ended.to_string()))),
        }
    }

    /// Whether the clipboard still holds `secret`; true if this cannot be determined.
    fn holds(&self, secret: &Secret) -> bool {
        let Some((program, args)) = &self.paste else { return true };
        let mut command = Command::new(program);
        let started = command
            .args(*args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = started else { return true };
        let (output, page) = (child.stdout.take(), SecretBuf::with_capacity(4096));
        let read = match (output, page) {
            (Some(mut output), Ok(mut page)) => {
                page.read_to_end(&mut output, MAX).map(|_| page.freeze()).ok()
            }
            _ => None,
        };
        let _ = child.wait();
        read.is_none_or(|held| held.same_as(secret))
    }
}

fn feed(child: &mut Child, secret: &Secret) -> std::io::Result<()> {
    match child.stdin.take() {
        Some(mut input) => secret.expose(|bytes| std::io::Write::write_all(&mut input, bytes)),
        None => Ok(()),
    }
}

/// Starts this program again, to wait for `seconds` and then clear the clipboard; it receives the
/// value through a pipe.
pub(crate) fn clear_later(secret: &Secret, seconds: u64) -> Result<()> {
    let failed = |error: std::io::Error| {
        Failure::new(
            Kind::Io,
            format!("the clipboard contains the value, and will not be cleared: {error}"),
        )
    };
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    command.args(["clear-clipboard", &seconds.to_string()]).current_dir("/");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    feed(&mut child, secret).map_err(failed)
}

/// Waits for `seconds`, and clears the clipboard if it still holds the value that `input` contains.
pub(crate) fn wait_and_clear(
    clipboard: &Clipboard,
    mut input: &mut dyn Read,
    seconds: u64,
) -> Result<()> {
    // In a new session, this process survives the end of the terminal window in which it was
    // started.
    #[cfg(unix)]
    let _ = rustix::process::setsid();
    let mut page = SecretBuf::with_capacity(4096)?;
    page.read_to_end(&mut input, MAX).map_err(|error| Failure::new(Kind::Io, error.to_string()))?;
    let secret = page.freeze();
    std::thread::sleep(Duration::from_secs(seconds));
    // If something else was copied in the meantime, it is kept.
    if clipboard.holds(&secret) { clipboard.fill(&Secret::copy_of(b"")?) } else { Ok(()) }
}
