//! The editor: found at an absolute path, and started without swap, undo, backup and history files.

use crate::ui::child_environment::without_keys;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, Shown};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

/// An editor and its arguments.
pub(crate) struct Editor {
    program: PathBuf,
    args: Vec<String>,
    family: Family,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Vim,
    Nano,
    Emacs,
    /// A client that passes the file to a running process, which has its own settings.
    Server,
    Code,
    Other,
}

/// How the editor ended.
pub(crate) enum Closed {
    Well,
    /// With a code other than 0, or by a signal: the text must not be used.
    Badly(String),
    /// This signal asked bootseal to end, and was passed on to the editor.
    Signal(u8),
}

impl Editor {
    /// Finds `$VISUAL`, else `$EDITOR`, else `vi`. `variable` looks up an environment variable.
    pub(crate) fn find(variable: impl Fn(&str) -> Option<OsString>) -> Result<Editor> {
        let (source, line) = ["VISUAL", "EDITOR"]
            .into_iter()
            .find_map(|name| Some((name, variable(name)?)))
            .unwrap_or(("EDITOR", "vi".into()));
        let refuse = |what: &str| {
            Failure::new(Kind::NotFound, format!("${source}: {what}"))
                .with_help("Name an existing one: EDITOR=nano bootseal edit")
        };
        let text = line.to_str().ok_or_else(|| refuse("is not UTF-8"))?;
        // An existing path may contain spaces.
        let mut words = match Path::new(text).is_absolute() && Path::new(text).is_file() {
            true => vec![text.to_owned()],
            false => shlex::split(text).ok_or_else(|| refuse("has an unclosed quote"))?,
        }
        .into_iter();
        let name = words.next().ok_or_else(|| refuse("names no program"))?;
        let program = absolute(&name, variable("PATH")).ok_or_else(|| {
            refuse(&format!("{} was not found in an absolute folder of PATH", Shown(&name)))
        })?;
        let family = Family::of(&program);
        Ok(Editor { program, args: words.collect(), family })
    }

    /// A warning about an editor that may leave copies behind.
    pub(crate) fn remark(&self) -> Option<String> {
        let name = self.program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = Shown(&name).to_string();
        match self.family {
            Family::Vim | Family::Nano | Family::Emacs => None,
            Family::Server => Some(format!(
                "{name}: the settings of its server determine whether it keeps backup or history files"
            )),
            Family::Code => Some(format!(
                "{name} keeps a copy of the saved text on the disk, unless workbench.localHistory.enabled and files.hotExit are off"
            )),
            Family::Other => Some(format!(
                "{name} is an unknown editor: its settings determine whether it keeps swap, backup or history files elsewhere"
            )),
        }
    }

    fn command(&self, file: &Path, folder: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args);
        match self.family {
            Family::Vim => {
                // Before and after the user's own settings.
                let nothing = "set noswapfile nobackup nowritebackup noundofile";
                command.args(["-n", "-i", "NONE", "--cmd", nothing, "-c", nothing]);
            }
            // Only nano's settings can enable backups and a search history, so they are ignored.
            Family::Nano => drop(command.arg("--ignorercfiles")),
            Family::Emacs => {
                let nothing = "(setq make-backup-files nil auto-save-default nil auto-save-list-file-prefix nil create-lockfiles nil)";
                command.args(["-Q", "--eval", nothing]);
            }
            Family::Server | Family::Code | Family::Other => {}
        }
        without_keys(&mut command);
        if !matches!(self.family, Family::Server | Family::Code) {
            // The editor's temporary files are kept in memory too.
            command.env("TMPDIR", folder).env("TMP", folder).env("TEMP", folder);
        }
        command.arg(file);
        command
    }
}

impl Family {
    /// Recognises an editor by the file that a link such as `vi` points to.
    fn of(program: &Path) -> Family {
        let name = |path: &Path| {
            path.file_stem().and_then(OsStr::to_str).unwrap_or_default().to_lowercase()
        };
        let (asked, real) = (
            name(program),
            program.canonicalize().map_or_else(|_| name(program), |real| name(&real)),
        );
        match real.as_str() {
            "busybox" | "nvi" | "elvis" => Family::Other,
            _ if real.contains("emacsclient") || asked.contains("emacsclient") => Family::Server,
            _ if real.contains("emacs") => Family::Emacs,
            _ if ["vim", "nvim", "gvim"].iter().any(|vim| real.starts_with(vim)) => Family::Vim,
            // If it is not a link, it is vim's smallest build.
            "vi" | "view" | "ex" => Family::Vim,
            "nano" | "rnano" => Family::Nano,
            _ if ["code", "codium", "code-insiders", "cursor"].contains(&asked.as_str()) => {
                Family::Code
            }
            _ => Family::Other,
        }
    }
}

/// The absolute path of a program; the current folder is never searched.
fn absolute(name: &str, path: Option<OsString>) -> Option<PathBuf> {
    if name.contains(std::path::is_separator) {
        return std::path::absolute(name).ok().filter(|path| path.is_file());
    }
    let names = if cfg!(windows) {
        vec![format!("{name}.exe"), name.to_owned()]
    } else {
        vec![name.to_owned()]
    };
    let folders: Vec<PathBuf> =
        std::env::split_paths(&path?).filter(|folder| folder.is_absolute()).collect();
    folders
        .iter()
        .flat_map(|folder| names.iter().map(|name| folder.join(name)))
        .find(|path| runs(path))
}

#[cfg(unix)]
fn runs(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path)
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn runs(path: &Path) -> bool {
    path.is_file()
}

fn failed(error: std::io::Error) -> Failure {
    Failure::new(Kind::Io, format!("the editor cannot be run: {error}"))
}

fn how(status: std::process::ExitStatus) -> Closed {
    if status.success() { Closed::Well } else { Closed::Badly(status.to_string()) }
}

#[cfg(unix)]
pub(crate) use with_signals::Watch;

#[cfg(not(unix))]
pub(crate) struct Watch;

#[cfg(not(unix))]
impl Watch {
    pub(crate) fn new() -> Result<Watch> {
        Ok(Watch)
    }

    pub(crate) fn run(&mut self, editor: &Editor, file: &Path, folder: &Path) -> Result<Closed> {
        editor.command(file, folder).status().map(how).map_err(failed)
    }

    /// Asks a question between two runs of the editor.
    pub(crate) fn during<R>(
        &mut self,
        _: impl FnOnce(u8) + Send,
        ask: impl FnOnce() -> R,
    ) -> Result<R> {
        Ok(ask())
    }
}

#[cfg(unix)]
mod with_signals {
    use super::*;
    use rustix::process::{Pid, Signal, kill_process};
    use std::time::Duration;
    use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

    /// How long an editor may take to end after a signal.
    const PATIENCE: Duration = Duration::from_secs(3);

    /// Keeps signals from ending the process while the text is in the clear.
    pub(crate) struct Watch {
        runtime: tokio::runtime::Runtime,
        hangup: Stream,
        terminate: Stream,
        /// The signals of keys typed at the terminal, which are meant for the editor.
        _interrupt: [Stream; 2],
    }

    impl Watch {
        pub(crate) fn new() -> Result<Watch> {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(failed)?;
            let inside = runtime.enter();
            let on = |kind| signal(kind).map_err(failed);
            let (hangup, terminate) = (on(SignalKind::hangup())?, on(SignalKind::terminate())?);
            let interrupt = [on(SignalKind::interrupt())?, on(SignalKind::quit())?];
            drop(inside);
            Ok(Watch { runtime, hangup, terminate, _interrupt: interrupt })
        }

        /// Asks a question between two runs of the editor. A signal, also of a key, is then meant for
        /// this program: `end` is called with its number, and should end the process, since nothing
        /// else interrupts the question.
        ///
        /// # Errors
        /// [`Kind::Io`] if the signals cannot be received.
        pub(crate) fn during<R>(
            &mut self,
            end: impl FnOnce(u8) + Send,
            ask: impl FnOnce() -> R,
        ) -> Result<R> {
            let Watch { runtime, hangup, terminate, .. } = self;
            // Signals that were typed into the editor are received here, before the new streams.
            runtime.block_on(tokio::task::yield_now());
            let inside = runtime.enter();
            let on = |kind| signal(kind).map_err(failed);
            let (mut interrupt, mut quit) = (on(SignalKind::interrupt())?, on(SignalKind::quit())?);
            drop(inside);
            let (answered, answer) = tokio::sync::oneshot::channel::<()>();
            Ok(std::thread::scope(|scope| {
                scope.spawn(move || {
                    let number = runtime.block_on(async {
                        tokio::select! {
                            _ = answer => None,
                            _ = interrupt.recv() => Some(2),
                            _ = quit.recv() => Some(3),
                            _ = hangup.recv() => Some(1),
                            _ = terminate.recv() => Some(15),
                        }
                    });
                    if let Some(number) = number {
                        end(number);
                    }
                });
                let result = ask();
                drop(answered);
                result
            }))
        }

        pub(crate) fn run(
            &mut self,
            editor: &Editor,
            file: &Path,
            folder: &Path,
        ) -> Result<Closed> {
            let Watch { runtime, hangup, terminate, .. } = self;
            let command = editor.command(file, folder);
            runtime.block_on(async {
                let mut child = tokio::process::Command::from(command).spawn().map_err(failed)?;
                let (number, signal) = tokio::select! {
                    status = child.wait() => return status.map(how).map_err(failed),
                    _ = hangup.recv() => (1, Signal::HUP),
                    _ = terminate.recv() => (15, Signal::TERM),
                };
                if let Some(pid) = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?))
                {
                    let _ = kill_process(pid, signal);
                }
                if tokio::time::timeout(PATIENCE, child.wait()).await.is_err() {
                    child.kill().await.map_err(failed)?;
                }
                Ok(Closed::Signal(number))
            })
        }
    }
}
