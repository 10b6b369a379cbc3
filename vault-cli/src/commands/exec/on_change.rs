//! `exec --on-change`: restarts the program, or rewrites its files and sends SIGHUP, when a value
//! changes. A file that does not verify is ignored with a warning.

use crate::commands::exec::selection::{Selection, Values};
use crate::context::Context;
use crate::trust::keyring::Keys;
use crate::trust::locate;
use crate::trust::vouch::vouch_for_next_use;
use crate::ui::failure::Result;
use bootseal_core::{Pin, VaultId};
use std::path::PathBuf;

/// The data for reading the sealed file again. The keys are kept, because a source such as stdin
/// can be read only once.
pub(super) struct Reopen {
    pub(super) path: PathBuf,
    pub(super) keys: Keys,
    /// The vault and its generation.
    pub(super) seen: (VaultId, u64),
    pub(super) selection: Selection,
}

impl Reopen {
    /// Reads the current values; the file must belong to this vault and must not be older.
    fn read(&mut self, context: &mut Context<'_>) -> Result<Values> {
        let (vault, floor) = self.seen;
        let found =
            locate::find_at(&self.path, self.keys.clone(), vec![Pin { vault, floor }], context)?;
        vouch_for_next_use(&found.file, &found.memory, &self.path, context)?;
        let seen = (found.file.vault_id(), found.file.generation());
        let values = self.selection.values_of(found.file, &self.keys)?;
        self.seen = seen;
        Ok(values)
    }
}

fn same(one: &Values, other: &Values) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| one.0 == other.0 && one.1.same_as(&other.1))
}

#[cfg(unix)]
pub(super) use with_signals::look_after;

#[cfg(not(unix))]
pub(super) use without_signals::look_after;

#[cfg(not(unix))]
mod without_signals {
    use crate::cli::OnChange;
    use crate::commands::exec::on_change::Reopen;
    use crate::commands::exec::program::{NotStarted, Program};
    use crate::commands::exec::selection::Values;
    use crate::context::Context;
    use crate::ui::failure::Failure;
    use bootseal_core::Kind;

    pub(in crate::commands::exec) fn look_after(
        _: &Program<'_>,
        _: OnChange,
        _: Values,
        _: Reopen,
        _: &mut Context<'_>,
    ) -> Result<u8, NotStarted> {
        Err(Failure::new(Kind::Usage, "--on-change needs signals, which this system does not have")
            .into())
    }
}

#[cfg(unix)]
mod with_signals {
    use crate::cli::OnChange;
    use crate::commands::exec::on_change::{Reopen, same};
    use crate::commands::exec::program::{NotStarted, Program};
    use crate::commands::exec::selection::Values;
    use crate::context::Context;
    use crate::ui::failure::Failure;
    use bootseal::FileStamp;
    use bootseal_core::Shown;
    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getpid, kill_process, waitid};
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;
    use std::time::Duration;
    use tokio::process::Child;
    use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

    /// The interval at which the file is checked by its path, so that redirecting a link counts as
    /// a change too.
    const LOOK: Duration = Duration::from_millis(500);
    /// The time that a program has to end after SIGTERM before it is killed.
    const PATIENCE: Duration = Duration::from_secs(10);

    pub(in crate::commands::exec) fn look_after(
        program: &Program<'_>,
        how: OnChange,
        values: Values,
        again: Reopen,
        context: &mut Context<'_>,
    ) -> Result<u8, NotStarted> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(
            |error| {
                Failure::new(
                    bootseal_core::Kind::Io,
                    format!("the event loop cannot be started: {error}"),
                )
            },
        )?;
        runtime.block_on(run(program, how, values, again, context))
    }

    async fn run(
        program: &Program<'_>,
        how: OnChange,
        mut values: Values,
        mut again: Reopen,
        context: &mut Context<'_>,
    ) -> Result<u8, NotStarted> {
        let failed = |error: std::io::Error| {
            Failure::new(bootseal_core::Kind::Io, format!("signals cannot be passed on: {error}"))
        };
        let mut signals = Signals::new().map_err(failed)?;
        let mut stops = signal(SignalKind::child()).map_err(failed)?;
        // Check once at the start: the file may have changed since it was read.
        let mut looked_at = None;
        let mut child = spawn(program, &values)?;
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                // Ctrl-Z signals both processes. The signal to this process is handled first, then
                // the resulting stop of the program.
                biased;
                status = child.wait() => return Ok(code(status.map_err(failed)?)),
                signal = signals.next() => send(&child, signal),
                _ = stops.recv() => stop_with(&child),
                _ = look.tick() => {
                    let now = FileStamp::of(&again.path);
                    if now == looked_at {
                        continue;
                    }
                    looked_at = now;
                    let new = match again.read(context) {
                        Ok(new) if same(&new, &values) => continue,
                        Ok(new) => new,
                        Err(failure) => {
                            let shown = Shown::path(&again.path).to_string();
                            context.ui.warn(format_args!("{shown} has changed, but cannot be used; the program keeps the old values: {}", failure.text()));
                            continue;
                        }
                    };
                    match how {
                        OnChange::Signal => {
                            if let Err(failure) = program.put(&new, &values) {
                                context.ui.warn(format_args!("not all files were updated: {}", failure.text()));
                            }
                            send(&child, Signal::HUP);
                        }
                        OnChange::Restart => {
                            if let Some(status) = stop(&mut child, &mut signals).await.map_err(failed)? {
                                return Ok(code(status));
                            }
                            program.put(&new, &values)?;
                            child = spawn(program, &new)?;
                        }
                    }
                    context.ui.detail(format_args!("generation {} is in use", again.seen.1));
                    values = new;
                }
            }
        }
    }

    fn spawn(program: &Program<'_>, values: &Values) -> Result<Child, NotStarted> {
        let command = program.command(values);
        tokio::process::Command::from(command).spawn().map_err(|error| program.not_started(&error))
    }

    /// Ends the program; returns its status if a signal asked this process to end in the meantime.
    async fn stop(child: &mut Child, signals: &mut Signals) -> std::io::Result<Option<ExitStatus>> {
        send(child, Signal::TERM);
        let (mut ended, patience) = (false, tokio::time::sleep(PATIENCE));
        tokio::pin!(patience);
        loop {
            tokio::select! {
                status = child.wait() => return Ok(Some(status?).filter(|_| ended)),
                signal = signals.next() => {
                    ended |= [Signal::TERM, Signal::INT, Signal::QUIT].contains(&signal);
                    send(child, signal);
                }
                () = &mut patience => {
                    child.kill().await?;
                }
            }
        }
    }

    fn pid(child: &Child) -> Option<Pid> {
        child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?))
    }

    fn send(child: &Child, signal: Signal) {
        if let Some(pid) = pid(child) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Stops this process once the program has stopped, and continues the program when this process
    /// is continued.
    ///
    /// The shell watches only this process. If this process stopped first, the shell would show its
    /// prompt while the program could still read the terminal, and the program could receive a line
    /// that is meant for the shell.
    fn stop_with(child: &Child) {
        let Some(program) = pid(child) else { return };
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
        if let Ok(Some(status)) = waitid(WaitId::Pid(program), options)
            && status.stopped()
        {
            let _ = kill_process(getpid(), Signal::STOP);
            let _ = kill_process(program, Signal::CONT);
        }
    }

    /// The exit code, as shells report it.
    fn code(status: ExitStatus) -> u8 {
        let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
        code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
    }

    /// The signals that are passed on.
    struct Signals {
        hangup: Stream,
        interrupt: Stream,
        quit: Stream,
        terminate: Stream,
        user1: Stream,
        user2: Stream,
        terminal_stop: Stream,
    }

    impl Signals {
        fn new() -> std::io::Result<Signals> {
            Ok(Signals {
                hangup: signal(SignalKind::hangup())?,
                interrupt: signal(SignalKind::interrupt())?,
                quit: signal(SignalKind::quit())?,
                terminate: signal(SignalKind::terminate())?,
                user1: signal(SignalKind::user_defined1())?,
                user2: signal(SignalKind::user_defined2())?,
                terminal_stop: signal(SignalKind::from_raw(Signal::TSTP.as_raw()))?,
            })
        }

        async fn next(&mut self) -> Signal {
            loop {
                tokio::select! {
                    _ = self.hangup.recv() => return Signal::HUP,
                    _ = self.terminate.recv() => return Signal::TERM,
                    _ = self.user1.recv() => return Signal::USR1,
                    _ = self.user2.recv() => return Signal::USR2,
                    // Keys typed at the terminal signal the program directly.
                    _ = self.interrupt.recv() => if !in_foreground() { return Signal::INT },
                    _ = self.quit.recv() => if !in_foreground() { return Signal::QUIT },
                    _ = self.terminal_stop.recv() => if !in_foreground() { return Signal::TSTP },
                }
            }
        }
    }

    fn in_foreground() -> bool {
        let terminal = std::fs::File::open("/dev/tty");
        terminal.is_ok_and(|terminal| {
            rustix::termios::tcgetpgrp(&terminal)
                .is_ok_and(|group| group == rustix::process::getpgrp())
        })
    }
}
