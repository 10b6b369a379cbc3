//! The confirmation of `--shred` if the sealed file will not contain everything that the input
//! contains: comments, nulls, empty tables.

use crate::context::Context;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, Shown, and_more};
use std::path::Path;

/// The most entries that are listed.
const MOST: usize = 10;

/// Asks before the only copy of something is destroyed.
///
/// # Errors
/// [`Kind::Conflict`] if something was left out, and there is neither `--yes` nor a terminal;
/// [`Kind::Usage`] if the answer is no.
pub(super) fn confirm(
    path: &Path,
    comments: usize,
    left_out: &[String],
    context: &mut Context<'_>,
) -> Result<()> {
    let count = match comments {
        0 => None,
        1 => Some("1 comment".to_owned()),
        _ => Some(format!("{comments} comments")),
    };
    let mut rows: Vec<String> = count.into_iter().chain(left_out.iter().cloned()).collect();
    if rows.is_empty() || context.ui.yes {
        return Ok(());
    }
    let more = and_more(rows.len().saturating_sub(MOST));
    rows.truncate(MOST);
    rows.extend(more);
    let text = format!(
        "{}: --shred would destroy what is not in the sealed file:\n  {}",
        Shown::path(path),
        rows.join("\n  ")
    );
    if !context.ui.can_ask() {
        let text = format!("{text}\nnothing was sealed");
        return Err(Failure::new(Kind::Conflict, text)
            .with_help("Keep comments with --keep-comments, and nulls as empty strings with --null empty, or leave --shred out. To destroy what was left out, add --yes.")
            .in_file(path));
    }
    match context.ui.ask(&format!("{text}\nSeal the rest, and destroy the file?"))? {
        true => Ok(()),
        false => Err(Failure::new(Kind::Usage, "not sealed; nothing was changed").with_help(
            "To keep comments: --keep-comments. To keep nulls as empty strings: --null empty.",
        )),
    }
}
