//! `bootseal exec`: runs a program with values in its environment, or in files in memory.

pub(crate) mod memory_folder;
mod on_change;
mod program;
mod selection;

pub(crate) use program::OWN_FAILURE;

use crate::cli::{Exec, OnChange};
use crate::commands::exec::memory_folder::MemoryFolder;
use crate::commands::exec::on_change::{Reopen, look_after};
use crate::commands::exec::program::{NotStarted, Program};
use crate::commands::exec::selection::{Selection, needs_key, values};
use crate::context::Context;
use crate::trust::locate::{self, OpenedFile};
use crate::trust::variable;
use crate::trust::vouch::vouch_for_use;
use crate::ui::failure::{Exit, Failure};
use bootseal_core::Kind;

pub(crate) fn run(options: &Exec, context: &mut Context<'_>) -> Result<(), Exit> {
    let (code, failure) = match start(options, context) {
        Ok(0) => return Ok(()),
        Ok(code) => return Err(Exit::Reported(code)),
        Err(NotStarted(code, failure)) => (code, failure),
    };
    context.ui.failure(&failure);
    Err(Exit::Reported(code))
}

fn start(options: &Exec, context: &mut Context<'_>) -> Result<u8, NotStarted> {
    if options.on_change == Some(OnChange::Signal) && options.files.is_none() {
        let what = "--on-change signal needs --files: the environment of a running program cannot be changed";
        return Err(Failure::new(Kind::Usage, what)
            .with_help("--on-change restart restarts the program.")
            .into());
    }
    let selection = Selection::of(options, context)?;
    let OpenedFile { path, mut keys, memory, mut file, .. } = locate::find(context)?;
    vouch_for_use(&mut file, &memory, &path, context)?;
    let wanted = selection.wanted(&file)?;
    context.ui.warn_each(selection.left_out(&file).iter().map(variable::left_out));
    if needs_key(&wanted, &file) {
        keys.unlock(&file, context)?;
    }
    let seen = (file.vault_id(), file.generation());
    let (values, unfit) = selection.fitting(values(wanted, file, &keys)?)?;
    let why = "its value contains a NUL byte, which a variable cannot contain";
    let help = "To pass the value as a file: bootseal exec --files";
    context.ui.warn_each(unfit.iter().map(|slot| format!("{slot} is left out: {why}. {help}")));
    let folder = match &options.files {
        None => None,
        Some(None) => Some(MemoryFolder::create(context)?),
        Some(Some(named)) => Some(MemoryFolder::create_at(named)?),
    };
    if folder.is_some() {
        context.ui.warn_of_swap("the files of --files");
    }
    let program = Program { command: &options.command, no_stdin: context.ui.stdin_taken, folder };
    program.put(&values, &[])?;
    let _ = context.ui.stdout.flush();
    match options.on_change {
        None => program.become_it(&values),
        Some(how) => {
            let again = Reopen { path, keys, seen, selection };
            look_after(&program, how, values, again, context)
        }
    }
}
