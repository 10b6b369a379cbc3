//! The way out of a merge of two sides that one id was handed over to.

use crate::basis::two_handovers::{TwoHandovers, again};
use crate::cli::Resolve;
use crate::commands::resolve::sides::Sides;
use crate::git::repository::Repository;
use crate::ui::failure::Result;
use bootseal_core::{shell_path, shell_word};
use std::path::Path;

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
    let (skipped, side, commands) = if let Some(theirs) = in_progress("MERGE_HEAD") {
        ("git merge --abort", "their", from_theirs("HEAD", &theirs))
    } else if in_progress("REBASE_HEAD").is_some() {
        ("git rebase --abort", "our", vec!["git rebase --skip".to_owned()])
    } else if in_progress("CHERRY_PICK_HEAD").is_some() {
        ("git cherry-pick --abort", "our", vec!["git cherry-pick --skip".to_owned()])
    } else {
        let ours = options.ours.as_deref().unwrap_or("HEAD^1");
        let theirs = options.theirs.as_deref().unwrap_or("HEAD^2");
        ("", "their", from_theirs(ours, theirs))
    };
    let (kept, other) =
        if side == "their" { (&two.theirs, &two.ours) } else { (&two.ours, &two.theirs) };
    let abort = Some(skipped).filter(|abort| !abort.is_empty());
    let first = abort.filter(|_| side == "their").map(str::to_owned);
    let last = format!("{} -f {file}", again(kept, other));
    let way: Vec<String> = first.into_iter().chain(commands).chain([last]).collect();
    let branch = match side {
        "their" => {
            " Our commits are then on the branch `mine`: do not push it, because others would have to decide between the two handovers."
        }
        _ => "",
    };
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
