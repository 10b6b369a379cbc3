//! `bootseal access rename`: gives a member another name; no key changes.

use crate::cli::AccessRename;
use crate::commands::access::add::note_former;
use crate::commands::access::list::document;
use crate::commands::access::remove::leave_out_absent;
use crate::context::Context;
use crate::trust::each_file::{self, Answer};
use crate::trust::target::Target;
use crate::ui::failure::{Exit, Failure, Result};
use bootseal_core::{Kind, Typed};

pub(crate) fn run(options: &AccessRename, context: &mut Context<'_>) -> Result<(), Exit> {
    let (old, new) = (&options.member, &options.new_name);
    if old == new {
        let text = format!("{} is the old and the new name; nothing was changed", Typed(old));
        return Err(Failure::new(Kind::Usage, text).into());
    }
    let mut targets = Target::find_all(context)?;
    leave_out_absent(std::slice::from_ref(old), &mut targets, context)?;
    each_file::each(targets, context, |(target, _), context| {
        let mut was_removed = false;
        let access = target.change(context, |vault| {
            was_removed = vault.file().known_to(0).contains(&new.as_str());
            vault.rename_access(old, new).map_err(|error| error.in_file(target.path()))?;
            Ok(vault.file().access().to_vec())
        })?;
        context.ui.note(format_args!("{old} is now called {new}; nobody's access has changed"));
        if was_removed {
            note_former(new, context);
        }
        Ok(Answer { document: document(&access), text: String::new() })
    })
}
