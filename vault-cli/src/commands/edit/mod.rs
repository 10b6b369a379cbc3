//! `bootseal edit`: opens the whole file in an editor, with sealed values as `"secret:…"`. Nothing
//! typed is lost, and no plaintext is left behind.

mod banner;
mod draft;
mod session;
mod text;

use crate::cli::Edit;
use crate::commands::edit::draft::Drafts;
use crate::commands::edit::session::{Outcome, Session};
use crate::context::Context;
use crate::trust::target::Target;
use crate::ui::change_report;
use crate::ui::editor::Editor;
use crate::ui::failure::{Exit, Failure, Result};
use bootseal_core::{Changes, Kind, Shown, VerifiedFile};
use serde_json::json;
use std::path::Path;

pub(crate) fn run(options: &Edit, context: &mut Context<'_>) -> Result<(), Exit> {
    let (target, file) = Target::find(context)?;
    let target = target.may_be_plain(options.allow_plain);
    edit_target(&target, file, context).map_err(|done| done.in_file(target.path()))
}

fn edit_target(target: &Target, file: VerifiedFile, context: &mut Context<'_>) -> Result<(), Exit> {
    let editor = Editor::find(|name| context.var(name))?;
    let drafts = Drafts::of(target.path(), context).ok();
    let kept = match drafts.as_ref().filter(|drafts| drafts.is_there()) {
        Some(drafts) if resumes_draft(drafts, target.path(), context)? => {
            let help =
                format!("It is kept until it can be opened. To discard it: rm {}", drafts.word());
            Some(
                drafts
                    .open(&file, target.keys())
                    .map_err(|failure| failure.within("the draft").with_help(help))?,
            )
        }
        Some(drafts) => {
            drafts.remove();
            None
        }
        None => None,
    };
    let (base, typed) = match kept {
        Some((base, typed)) => (base, Some(typed.into())),
        None => (file.open_for_writing(&target.keys().identities)?, None),
    };
    let mut session = Session::begin(target, base, context)?;
    if cfg!(not(target_os = "linux")) {
        context.ui.note(
            "this system has no memory file system: the text is kept in your temporary folder until the edit is finished",
        );
    }
    if let Some(remark) = editor.remark() {
        context.ui.note(remark);
    }
    context.ui.warn_of_swap("the text in the editor");
    let done = session.run(typed, &editor, drafts.as_ref(), context);
    if let Some(drafts) = &drafts {
        match (&done, session.unwritten.take()) {
            (Err(_), Some(typed)) => {
                let now = context.now();
                match typed.expose(|typed| drafts.save(&session.base, typed, now)) {
                    Ok(()) => {
                        context.ui.warn("your text is kept, encrypted: `bootseal edit` resumes it")
                    }
                    Err(failure) => context.ui.warn(failure.text()),
                }
            }
            _ => drafts.remove(),
        }
    }
    let path = target.path();
    match done? {
        Outcome::Nothing => {
            context.ui.note(format_args!("{}: nothing was changed", Shown::path(path)));
            report(path, session.base.file().generation(), &Changes::default(), context)
        }
        Outcome::Written(changes, generation) => {
            context.ui.note(format_args!(
                "{}: generation {generation}\n{}",
                Shown::path(path),
                change_report::text(&changes)
            ));
            report(path, generation, &changes, context)
        }
    }
}

fn report(
    path: &Path,
    generation: u64,
    changes: &Changes,
    context: &mut Context<'_>,
) -> Result<(), Exit> {
    if context.ui.style.json {
        context.ui.document(&json!({
            "file": path.to_string_lossy(), "generation": generation, "changes": change_report::document(changes),
        }))?;
    }
    Ok(())
}

/// Asks whether to resume the draft (true) or to discard it (false); it fails if the user agrees to
/// neither.
fn resumes_draft(drafts: &Drafts, path: &Path, context: &mut Context<'_>) -> Result<bool> {
    let text = format!("{}: an unfinished edit was kept", Shown::path(path));
    if context.options.yes {
        context.ui.note(format_args!("{text}, and is resumed"));
        return Ok(true);
    }
    if !context.ui.can_ask() {
        return Err(Failure::new(
            Kind::NoTerminal,
            format!("{text}, and there is no terminal to ask whether to resume it"),
        )
        .with_help(format!("To resume it, add --yes. To discard it: rm {}", drafts.word())));
    }
    if context.ui.ask(&format!("{text}. Resume it?"))? {
        return Ok(true);
    }
    if context.ui.ask("Discard it, with everything that was typed?")? {
        return Ok(false);
    }
    Err(Failure::new(
        Kind::Usage,
        format!("{}: nothing was done, and the edit is still kept", Shown::path(path)),
    ))
}
