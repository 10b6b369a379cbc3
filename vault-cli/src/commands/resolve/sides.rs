//! The sides of a merge that git left as a conflict, and who made them.

use crate::cli::Resolve;
use crate::git::repository::Repository;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, Shown};

/// The three versions of the merge, from git, and the last change of the file on each side, for
/// people: who, when, and in which commit.
pub(super) struct Sides {
    pub(super) base: Option<Vec<u8>>,
    pub(super) ours: Vec<u8>,
    pub(super) theirs: Vec<u8>,
    pub(super) last_changes: [Option<String>; 2],
}

impl Sides {
    /// Reads the versions from the revisions that were named, else from the index during a merge,
    /// else from HEAD and MERGE_HEAD if the file was added to the index during the merge, else from
    /// the parents if HEAD is a merge commit.
    pub(super) fn of(repository: &Repository, name: &str, options: &Resolve) -> Result<Sides> {
        let missing = |which: &str| {
            Failure::new(Kind::NotFound, format!("{which} has no {}", Shown(name)))
                .with_help("Name the two sides: bootseal resolve FILE --ours REV --theirs REV")
        };
        if let (Some(ours), Some(theirs)) = (&options.ours, &options.theirs) {
            return Sides::at(
                repository,
                name,
                &repository.commit(ours)?,
                &repository.commit(theirs)?,
                missing,
            );
        }
        let unmerged = repository.ask(&["ls-files", "-u", "-z", "--", name])?;
        if !unmerged.is_empty() {
            let theirs = ["MERGE_HEAD", "CHERRY_PICK_HEAD", "REBASE_HEAD"]
                .into_iter()
                .find_map(|head| repository.commit(head).ok());
            return Ok(Sides {
                last_changes: [
                    repository.head()?.and_then(|ours| last_change(repository, &ours, name)),
                    theirs.and_then(|theirs| last_change(repository, &theirs, name)),
                ],
                base: repository.blob(":1", name)?,
                ours: repository.blob(":2", name)?.ok_or_else(|| missing("our side"))?,
                theirs: repository.blob(":3", name)?.ok_or_else(|| missing("their side"))?,
            });
        }
        if let Some(theirs) = merge_head(repository)? {
            let ours = repository.commit("HEAD")?;
            return Sides::at(repository, name, &ours, &theirs, missing);
        }
        match (repository.commit("HEAD^1"), repository.commit("HEAD^2")) {
            (Ok(ours), Ok(theirs)) => Sides::at(repository, name, &ours, &theirs, missing),
            _ => Err(Failure::new(
                Kind::NotFound,
                "no merge is in progress, and HEAD is not a merge commit, so there are no two sides",
            )
            .with_help(
                "Name them: bootseal resolve FILE --ours REV --theirs REV. After a manual edit: bootseal sign",
            )),
        }
    }

    fn at(
        repository: &Repository,
        name: &str,
        ours: &str,
        theirs: &str,
        missing: impl Fn(&str) -> Failure,
    ) -> Result<Sides> {
        let base = repository.merge_base(ours, theirs)?;
        Ok(Sides {
            last_changes: [ours, theirs].map(|commit| last_change(repository, commit, name)),
            base: base.map(|base| repository.blob(&base, name)).transpose()?.flatten(),
            ours: repository.blob(ours, name)?.ok_or_else(|| missing("our side"))?,
            theirs: repository.blob(theirs, name)?.ok_or_else(|| missing("their side"))?,
        })
    }
}

/// The commit that is being merged. It is read from git's own file, because a branch can be called
/// `MERGE_HEAD` too.
fn merge_head(repository: &Repository) -> Result<Option<String>> {
    let Some(text) = repository.own_file("MERGE_HEAD")? else { return Ok(None) };
    let mut commits = text.lines();
    match (commits.next(), commits.next()) {
        (Some(only), None) => repository.commit(only).map(Some),
        _ => Err(Failure::new(Kind::Usage, "the merge in progress has more than two sides")
            .with_help("Name two of them: bootseal resolve FILE --ours REV --theirs REV")),
    }
}

/// Who changed the file last in the history of a commit, when, and in which commit; `None` if git
/// cannot say. Anyone can write any name into a commit.
fn last_change(repository: &Repository, commit: &str, name: &str) -> Option<String> {
    let log = ["log", "-1", "--format=%an, %aI, in %h", commit, "--", name];
    let line = repository.ask(&log).ok()?;
    let line = String::from_utf8_lossy(&line);
    Some(Shown(line.trim()).to_string()).filter(|line| !line.is_empty())
}
