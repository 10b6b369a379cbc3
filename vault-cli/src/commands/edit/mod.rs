//! `bootseal edit`: the whole file in an editor, sealed values as `"secret:…"`; nothing typed is lost, and nothing in clear is left.

mod banner;
mod draft;
mod session;

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
use zeroize::Zeroizing;

pub(crate) fn run(context: &mut Context<'_>) -> Result<(), Exit> {
    let (target, file) = Target::find(context)?;
    sit_down(&target, file, context).map_err(|done| done.in_file(target.path()))
}

fn sit_down(target: &Target, file: VerifiedFile, context: &mut Context<'_>) -> Result<(), Exit> {
    let editor = Editor::find(|name| context.var(name))?;
    let drafts = Drafts::of(target.path(), context).ok();
    let kept = match drafts.as_ref().filter(|drafts| drafts.is_there()) {
        Some(drafts) if goes_on(drafts, target.path(), context)? => {
            let help = format!("It is kept for the day when it opens. To give it up: rm {}", drafts.word());
            Some(drafts.open(&file, target.keys()).map_err(|failure| failure.within("the draft").with_help(help))?)
        }
        Some(drafts) => {
            drafts.remove();
            None
        }
        None => None,
    };
    let (base, typed) = match kept {
        Some((base, typed)) => (base, Some(Zeroizing::new(typed.expose(<[u8]>::to_vec)))),
        None => (file.open_for_writing(&target.keys().identities)?, None),
    };
    let mut session = Session::begin(target, base, context)?;
    if cfg!(not(target_os = "linux")) {
        context.ui.note("this system has no memory file system: the text lies in your temporary folder, and is overwritten and deleted after");
    }
    if let Some(remark) = editor.remark() {
        context.ui.note(remark);
    }
    let done = session.run(typed, &editor, context);
    if let Some(drafts) = &drafts {
        match (&done, session.unwritten.take()) {
            (Err(_), Some(typed)) => match drafts.save(&session.base, &typed, context.now()) {
                Ok(()) => context.ui.warn("what was typed is kept, sealed: `bootseal edit` goes on with it"),
                Err(failure) => context.ui.warn(failure.text()),
            },
            _ => drafts.remove(),
        }
    }
    let path = target.path();
    match done? {
        Outcome::Nothing => {
            context.ui.note(format_args!("{}: nothing was changed", shown(path)));
            said(path, session.base.file().generation(), &Changes::default(), context)
        }
        Outcome::Written(changes, generation) => {
            context.ui.note(format_args!(
                "{}: generation {generation}\n{}",
                shown(path),
                change_report::text(&changes)
            ));
            said(path, generation, &changes, context)
        }
    }
}

fn said(path: &Path, generation: u64, changes: &Changes, context: &mut Context<'_>) -> Result<(), Exit> {
    if context.ui.style.json {
        context.ui.document(&json!({
            "file": path.to_string_lossy(), "generation": generation, "changes": change_report::document(changes),
        }))?;
    }
    Ok(())
}

fn shown(path: &Path) -> String {
    Shown(&path.to_string_lossy()).to_string()
}

/// Whether the draft is gone on with; if not, it is given up. Neither happens without a yes.
fn goes_on(drafts: &Drafts, path: &Path, context: &mut Context<'_>) -> Result<bool> {
    let text = format!("{}: an edit that was broken off is kept", shown(path));
    if context.options.yes {
        context.ui.note(format_args!("{text}, and goes on"));
        return Ok(true);
    }
    if !context.ui.can_ask() {
        return Err(Failure::new(
            Kind::NoTerminal,
            format!("{text}, and there is no terminal to ask at whether it is to go on"),
        )
        .with_help(format!("To go on with it, add --yes. To give it up: rm {}", drafts.word())));
    }
    if context.ui.ask(&format!("{text}. Go on with it?"))? {
        return Ok(true);
    }
    if context.ui.ask("Give it up, and with it what was typed?")? {
        return Ok(false);
    }
    Err(Failure::new(Kind::Usage, format!("{}: nothing was done, and the edit is still kept", shown(path))))
}
