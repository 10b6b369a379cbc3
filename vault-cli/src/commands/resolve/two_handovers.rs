//! The way out of a merge of two sides that one id was handed over to.

use crate::basis::two_handovers::{TwoHandovers, again};
use crate::cli::Resolve;
use crate::commands::resolve::sides::Sides;
use crate::git::repository::Repository;
use crate::ui::failure::Result;
use bootseal_core::{Taken, shell_path, shell_word};
use std::path::Path;

/// What becomes of our commits.
const BRANCH: &str = " Our commits are then on the branch `mine`: do not push it, because others would have to decide between the two handovers.";

/// Refuses two sides that one id was handed over to: the values of one of them do not open under the
/// id of the other.
///
/// # Errors
/// [`Kind::WrongVault`](bootseal_core::Kind::WrongVault), with the commands that continue from one
/// side.
pub(super) fn refuse(
    sides: &Sides,
    repository: &Repository,
    path: &Path,
    options: &Resolve,
) -> Result<()> {
    let Some(two) = TwoHandovers::of(&sides.ours, &sides.theirs) else { return Ok(()) };
    let file = shell_path(path);
    let in_progress = |head: &str| repository.commit(head).ok();
    let (abort, taken, commands) = if let (Some(ours), Some(theirs)) =
        (&options.ours, &options.theirs)
    {
        (None, Taken::Theirs, from_theirs(ours, theirs))
    } else if let Some(theirs) = in_progress("MERGE_HEAD") {
        (Some("git merge --abort"), Taken::Theirs, from_theirs("HEAD", &theirs))
    } else if in_progress("REBASE_HEAD").is_some() {
        (Some("git rebase --abort"), Taken::Ours, vec!["git rebase --skip".to_owned()])
    } else if in_progress("CHERRY_PICK_HEAD").is_some() {
        (Some("git cherry-pick --abort"), Taken::Ours, vec!["git cherry-pick --skip".to_owned()])
    } else {
        (None, Taken::Theirs, from_theirs("HEAD^1", "HEAD^2"))
    };
    let (side, kept, other, branch) = match taken {
        Taken::Theirs => ("their", &two.theirs, &two.ours, BRANCH),
        Taken::Ours => ("our", &two.ours, &two.theirs, ""),
    };
    let first = abort.filter(|_| taken == Taken::Theirs).map(str::to_owned);
    let last = format!("{} -f {file}", again(kept, other));
    let way: Vec<String> = first.into_iter().chain(commands).chain([last]).collect();
    let leave = abort.map_or(String::new(), |abort| format!(" To leave it as it was: {abort}."));
    let help = format!(
        "A former writer may have made one of them, so ask who made the other side.{leave} If both are honest, such as two removals at the same time, continue from {side} side, and make the other change again:\n    {}\n  Then set again what the other side had set since.{branch}",
        way.join("\n    ")
    );
    Err(two.failure().with_help(help).in_file(path))
}

/// The commands that make the current branch continue from their side, and keep our commits.
fn from_theirs(ours: &str, theirs: &str) -> Vec<String> {
    vec![
        format!("git branch mine {}", shell_word(ours)),
        format!("git reset --hard {}", shell_word(theirs)),
    ]
}
