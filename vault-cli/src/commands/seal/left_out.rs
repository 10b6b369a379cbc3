//! The confirmation of `--shred` if the sealed file will not contain everything that the input
//! contains: comments, nulls, empty tables.

use crate::cli::Seal;
use crate::context::Context;
use crate::formats::Input;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, PropertyPath, Shown, and_more};

/// The most entries that are listed.
const MOST: usize = 10;

/// Asks before the only copy of something is destroyed. `empty` are the tables that cannot be added to
/// an existing file, and `inlined` the blocks that became one array, each with whether it contains
/// comments.
///
/// # Errors
/// [`Kind::Conflict`] if something was left out, and there is neither `--yes` nor a terminal;
/// [`Kind::Usage`] if the answer is no.
pub(super) fn confirm(
    options: &Seal,
    comments: usize,
    input: &Input,
    (empty, inlined): (&[String], &[(PropertyPath, bool)]),
    context: &mut Context<'_>,
) -> Result<()> {
    let path = options.input.as_path();
    let mut rows: Vec<String> = match comments {
        0 => Vec::new(),
        1 => vec!["1 comment".to_owned()],
        _ => vec![format!("{comments} comments")],
    };
    rows.extend(input.left_out.iter().cloned());
    rows.extend(empty.iter().map(|path| format!("{path} (an empty table)")));
    let blocks = inlined.iter().filter(|(_, has_comments)| *has_comments && options.keep_comments);
    rows.extend(blocks.map(|(path, _)| format!("the comments in [[{path}]]")));
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
