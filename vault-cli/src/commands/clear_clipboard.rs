//! `bootseal clear-clipboard`: the background process of `get --clip`, which clears the clipboard
//! after a delay.

use crate::cli::ClearClipboard;
use crate::context::Context;
use crate::ui::clipboard::{Clipboard, wait_and_clear};
use crate::ui::failure::Exit;

pub(crate) fn run(options: &ClearClipboard, context: &mut Context<'_>) -> Result<(), Exit> {
    let clipboard = Clipboard::find(|name| context.var(name))?;
    Ok(wait_and_clear(&clipboard, &mut context.ui.stdin, options.seconds)?)
}
