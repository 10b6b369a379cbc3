//! The commits that names of revisions stand for. Anyone who can push decides which tags and
//! branches there are, so a name with several meanings is refused.

use crate::git::command::not_here;
use crate::git::repository::Repository;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, Shown, Typed, shell_word, some_names};

/// Git's own names for commits, which are files in git's folder.
const PSEUDO_REFS: [&str; 8] = [
    "FETCH_HEAD",
    "ORIG_HEAD",
    "MERGE_HEAD",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "REBASE_HEAD",
    "BISECT_HEAD",
    "AUTO_MERGE",
];
/// The text before and after a short name in each reference that it can mean, in git's order.
const MEANINGS: [(&str, &str); 5] = [
    ("refs/", ""),
    ("refs/tags/", ""),
    ("refs/heads/", ""),
    ("refs/remotes/", ""),
    ("refs/remotes/", "/HEAD"),
];

/// The beginnings of short names that mean exactly one reference, below `refs/`.
const BELOW_REFS: [&str; 3] = ["heads/", "remotes/", "tags/"];
/// The settings of a partial clone, and the branches that a clone fetches.
const OF_CLONE: &str =
    r"^(extensions\.partialclone|remote\..*\.(promisor|partialclonefilter|fetch))$";

impl Repository {
    /// Returns the commit of a revision.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if there is none, [`Kind::Usage`] if the name has several meanings.
    pub(crate) fn commit(&self, revision: &str) -> Result<String> {
        self.refuse_ambiguous(revision)?;
        let wanted = format!("{revision}^{{commit}}");
        let answer =
            self.try_ask(&["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted])?;
        match answer {
            Ok(id) => Ok(String::from_utf8_lossy(&id).trim().to_owned()),
            Err(_) => Err(self.no_revision(revision)?),
        }
    }

    fn no_revision(&self, revision: &str) -> Result<Failure> {
        let text = format!("git has no revision {}", Typed(revision));
        let failure = Failure::new(Kind::NotFound, text);
        Ok(match self.is_shallow()? {
            true => failure.with_help(
                "This clone is shallow. To fetch all commits: git fetch --unshallow. To fetch one branch: git fetch --depth 1 origin BRANCH:refs/remotes/origin/BRANCH",
            ),
            false if self.head()?.is_none() => {
                failure.with_help("The branch has no commit yet. To make the first one: git commit")
            }
            false => failure.with_help("`git log --all --oneline` lists the commits."),
        })
    }

    /// The full name of the reference that `revision` stands for, such as `refs/heads/main`.
    pub(super) fn full_name(&self, revision: &str) -> Option<String> {
        let ask = ["rev-parse", "--symbolic-full-name", "--verify", "--quiet", "--end-of-options"];
        let answer = self.try_ask(&[&ask[..], &[revision]].concat()).ok()?.ok()?;
        let name = String::from_utf8_lossy(&answer).trim().to_owned();
        Some(name).filter(|name| name.starts_with("refs/"))
    }

    /// Returns the commit of HEAD; `None` before the first commit of a branch.
    ///
    /// # Errors
    /// [`Kind::Io`] if git does not have the commit.
    pub(crate) fn head(&self) -> Result<Option<String>> {
        if let Ok(branch) = self.try_ask(&["symbolic-ref", "--quiet", "HEAD"])? {
            let branch = String::from_utf8_lossy(&branch);
            if self.try_ask(&["show-ref", "--verify", "--quiet", branch.trim()])?.is_err() {
                return Ok(None);
            }
        }
        let commit = self.try_ask(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])?;
        let commit = commit.map_err(|_| not_here("the commit of HEAD"))?;
        Ok(Some(String::from_utf8_lossy(&commit).trim().to_owned()))
    }

    /// Refuses a name that several references have. If a tag and a branch have the same name, git
    /// takes the tag, and anyone who can push may push a tag named `origin/main`.
    fn refuse_ambiguous(&self, revision: &str) -> Result<()> {
        let ends = [revision.find(['~', '^', ':']), revision.find("@{")];
        let end = ends.into_iter().flatten().min().unwrap_or(revision.len());
        let name = &revision[..end];
        if name.is_empty() {
            return Ok(());
        }
        let exists = |full: &str| -> Result<bool> {
            Ok(self.try_ask(&["show-ref", "--verify", "--quiet", full])?.is_ok())
        };
        // Git takes these names literally. If there is no such reference, a tag of the same name
        // must not replace it.
        let whole = match name {
            "HEAD" | "@" => Some(self.head()?.is_some()),
            full if full.starts_with("refs/") => Some(exists(full)?),
            short if BELOW_REFS.iter().any(|start| short.starts_with(start)) => {
                Some(exists(&format!("refs/{short}"))?)
            }
            _ => None,
        };
        match whole {
            Some(true) => return Ok(()),
            Some(false) => return Err(self.no_revision(revision)?),
            None => {}
        }
        let mut meanings = Vec::new();
        for (before, after) in MEANINGS {
            let full = format!("{before}{name}{after}");
            if exists(&full)? {
                meanings.push(full);
            }
        }
        // Git looks for these names in its folder first, and for references only if there are none.
        let is_gits_own = PSEUDO_REFS.contains(&name);
        if is_gits_own && !meanings.is_empty() {
            meanings.insert(0, format!("git's own {name}"));
        }
        if let [tag] = meanings.as_slice()
            && let Some(meant) = self.remote_meaning(name)?
            && tag.starts_with("refs/tags/")
        {
            meanings.push(meant);
        }
        if let Some(id) = id_in(name)
            && !meanings.is_empty()
        {
            let ids = self.ask(&["rev-parse", &format!("--disambiguate={id}")])?;
            let ids = String::from_utf8_lossy(&ids);
            meanings.extend(ids.lines().map(|id| format!("object {id}")));
            if ids.is_empty() && self.may_lack_commits()? {
                meanings.push(format!("a commit {id} that this clone may lack"));
            }
        }
        if meanings.len() < 2 {
            return Ok(());
        }
        let text = format!(
            "{} has several meanings in git: {}",
            Typed(name),
            Shown(&some_names(&meanings))
        );
        let help = match is_gits_own {
            true => "Use the id of the commit: git rev-parse, or git log".to_owned(),
            false => {
                // A branch is the likely meaning, and comes after a tag.
                let likely = meanings.iter().rfind(|full| full.starts_with("refs/"));
                let likely = likely.map_or_else(String::new, shell_word);
                format!("Use the full name, for example {likely}")
            }
        };
        Err(Failure::new(Kind::Usage, text).with_help(help))
    }

    /// Whether the clone was made so that it lacks commits of its remote: it is shallow or partial, or
    /// it fetches only some branches.
    fn may_lack_commits(&self) -> Result<bool> {
        if self.is_shallow()? {
            return Ok(true);
        }
        let settings = self.try_ask(&["config", "--get-regexp", OF_CLONE])?.unwrap_or_default();
        let settings = String::from_utf8_lossy(&settings);
        let (fetched, others): (Vec<_>, Vec<_>) = settings
            .lines()
            .filter_map(|line| line.split_once(' '))
            .partition(|(key, _)| key.ends_with(".fetch"));
        let is_every = |(_, refs): &(&str, &str)| {
            refs.starts_with("+refs/heads/*:") || refs.starts_with("+refs/*:")
        };
        Ok(!others.is_empty() || (!fetched.is_empty() && !fetched.iter().any(is_every)))
    }

    /// The reference to a remote's branch that `name` stands for, whether or not this clone has
    /// fetched the branch.
    fn remote_meaning(&self, name: &str) -> Result<Option<String>> {
        let remotes = self.remotes()?;
        if remotes.iter().any(|remote| remote == name) {
            return Ok(Some(format!("refs/remotes/{name}/HEAD")));
        }
        if self.is_of_remote(name)? {
            return Ok(Some(format!("refs/remotes/{name}")));
        }
        for remote in remotes {
            let full = format!("refs/remotes/{remote}/{name}");
            if self.try_ask(&["show-ref", "--verify", "--quiet", &full])?.is_ok() {
                return Ok(Some(full));
            }
        }
        Ok(None)
    }

    /// Whether this is the name of a remote, or begins with it, as in `origin/main`.
    pub(super) fn is_of_remote(&self, name: &str) -> Result<bool> {
        let is_in = |remote: &String| {
            name.strip_prefix(remote.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        Ok(self.remotes()?.iter().any(is_in))
    }

    fn remotes(&self) -> Result<Vec<String>> {
        let list = self.ask(&["remote"])?;
        Ok(String::from_utf8_lossy(&list).lines().map(str::to_owned).collect())
    }
}

/// The id, whole or short, that git finds in a name, if no reference has this name: the name itself,
/// or the end of what `git describe` prints, as in `v1-1-g0123abc`. Whole ids have 40 or 64 digits.
fn id_in(name: &str) -> Option<&str> {
    let id = name.rsplit_once("-g").map_or(name, |(_, id)| id);
    let is_id = (4..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then_some(id)
}
