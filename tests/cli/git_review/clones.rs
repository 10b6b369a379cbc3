//! Partial and shallow clones: content that the clone lacks is an error, never an absent file.

use super::*;
use std::path::PathBuf;

const PARTIAL: [&str; 2] = ["--filter=blob:none", "--filter=tree:0"];
const REFETCH: &[&str] = &["fetch", "-q", "--refetch", "--no-filter"];

/// A clone of the branch `pr` in `out/`, used by carol, who has alice's identity but no known
/// vaults.
struct Clone<'a> {
    repo: &'a Repo,
    folder: PathBuf,
}

impl Clone<'_> {
    fn of<'a>(repo: &'a Repo, options: &[&str]) -> Clone<'a> {
        let mut folders = (1..).map(|number| repo.home.at(&format!("out/clone{number}")));
        let folder = folders.find(|folder| !folder.exists()).unwrap();
        let _ = std::fs::remove_dir_all(repo.home.at("carol"));
        std::fs::create_dir_all(repo.home.at("carol/.config/bootseal")).unwrap();
        std::fs::copy(repo.identity(), repo.home.at("carol/.config/bootseal/identity.txt"))
            .unwrap();
        repo.git_ok(&["config", "uploadpack.allowFilter", "true"]);
        repo.git_ok(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
        let from = format!("file://{}", repo.home.path().display());
        let to = folder.to_str().unwrap();
        repo.git_ok(
            &[&["clone", "-q", "-c", "gc.auto=0", "-b", "pr"], options, &[&from, to]].concat(),
        );
        Clone { repo, folder }
    }

    fn git(&self, args: &[&str]) -> String {
        let output = self.repo.git_command("carol", args).current_dir(&self.folder).output();
        let ran: Ran = output.unwrap().into();
        assert_eq!(ran.code, 0, "git {args:?}: {}", ran.err);
        ran.out
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.repo.command("carol", args).current_dir(&self.folder).output().unwrap().into()
    }

    #[track_caller]
    fn ends(&self, args: &[&str], code: i32, words: &[&str]) {
        let ran = self.run(args);
        assert_eq!(ran.code, code, "{args:?}: {}{}", ran.out, ran.err);
        for word in words {
            assert!(ran.err.contains(word) || ran.out.contains(word), "{word}: {}", ran.err);
        }
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.folder.join(FILE)).unwrap()
    }
}

/// `main` has a newer version than the branch `pr`, which restores the old one under this name.
fn restored_as(name: &str) -> Repo {
    let repo = Repo::new();
    let old = repo.text();
    repo.set("acme.password", "changed after the leak");
    repo.commit("changed");
    repo.branch("pr", |repo| {
        repo.git_ok(&["mv", "-k", FILE, name]);
        repo.home.write(name, old);
    });
    repo
}

/// The branch `pr` edits the file without a key, and lets eve in.
fn edited_without_a_key() -> Repo {
    let repo = Repo::new();
    std::fs::create_dir(repo.home.at("eve")).unwrap();
    let eve = repo.ok_as("eve", &["keygen"], b"");
    let row = format!(
        "access = [\n  {{ name = \"eve\", role = \"reader\", recipient = \"{}\" }},\n",
        eve.trim()
    );
    repo.branch("pr", |repo| repo.edit("access = [\n", &row));
    repo
}

#[test]
fn since_calls_no_file_new_that_a_partial_clone_cannot_compare() {
    for name in [FILE, "moved.sealed.toml"] {
        let repo = restored_as(name);
        let pin = repo.pin();
        let verify = ["verify", "--since", "origin/main", "--pin", &pin, name];
        for filter in PARTIAL {
            let clone = Clone::of(&repo, &[filter]);
            clone.ends(&verify, 1, &["git does not have", "git fetch --refetch --no-filter"]);
            clone.git(REFETCH);
            clone.ends(&verify, 3, &["an older or a different file was added"]);
        }
    }
}

#[test]
fn since_works_in_a_shallow_clone_that_has_the_compared_commit() {
    let repo = restored_as(FILE);
    let pin = repo.pin();
    let verify = ["verify", "--since", "origin/main", "--pin", &pin];
    let fetch_main = ["fetch", "-q", "--depth", "1", "origin", "main:refs/remotes/origin/main"];
    let clone = Clone::of(&repo, &["--depth", "1"]);
    clone.ends(&verify, 1, &["no revision", "git fetch --depth 1 origin BRANCH"]);
    clone.git(&fetch_main);
    clone.ends(&verify, 3, &["an older or a different file was added"]);
    repo.git_ok(&["checkout", "-q", "pr"]);
    repo.git_ok(&["checkout", "-q", "main", "--", FILE]);
    repo.set("acme.token", "newer");
    repo.commit("newer");
    let clone = Clone::of(&repo, &["--depth", "1"]);
    clone.git(&fetch_main);
    clone.ends(&verify, 0, &["generation 4 → 5 since origin/main"]);
    // A broken file is compared with the last version in the history, which is not there.
    repo.git_ok(&["checkout", "-q", "main"]);
    repo.edit("\"10s\"", "\"20s\"");
    repo.commit("broken");
    clone.git(&["fetch", "-q", "--depth", "1", "origin", "+main:refs/remotes/origin/main"]);
    clone.ends(&verify, 3, &["shallow", "git fetch --unshallow"]);
}

/// Found by review: the clone lacked the good version, and one "y" signed the branch author's list.
#[test]
fn sign_asks_nothing_if_the_clone_may_lack_the_basis() {
    let repo = edited_without_a_key();
    let pin = repo.json(&["verify"])["vault"].as_str().unwrap().to_owned();
    for (options, word, fetch) in [
        (PARTIAL[0], "partial", REFETCH),
        (PARTIAL[1], "partial", REFETCH),
        ("--depth=1", "shallow", &["fetch", "-q", "--unshallow"]),
    ] {
        let clone = Clone::of(&repo, &[options]);
        let before = clone.text();
        clone.ends(&["sign", "--yes"], 3, &[word, "bootseal sign --against VERSION"]);
        assert_eq!(clone.text(), before);
        clone.git(fetch);
        clone.ends(&["sign", "--yes", "--pin", &pin], 0, &["against generation 3"]);
        assert!(!clone.text().contains("eve"), "{options}");
    }
}

#[test]
fn sign_in_a_shallow_clone_continues_from_a_named_version() {
    let repo = edited_without_a_key();
    let pin = repo.json(&["verify"])["vault"].as_str().unwrap().to_owned();
    let clone = Clone::of(&repo, &["--depth=1"]);
    clone.git(&["fetch", "-q", "--depth", "1", "origin", "main:refs/remotes/origin/main"]);
    let against = ["sign", "--yes", "--pin", &pin, "--against", "origin/main"];
    clone.ends(&against, 0, &["against generation 3"]);
    // The next edit has a signed version before it, but a newer one may be in the part that is cut.
    clone.git(&["commit", "-q", "--no-verify", "-a", "-m", "signed"]);
    let text = clone.text().replace("\"10s\"", "\"20s\"");
    std::fs::write(clone.folder.join(FILE), text).unwrap();
    clone.ends(&["sign", "--yes"], 3, &["shallow"]);
    clone.ends(&["sign", "--yes", "--against", "HEAD"], 0, &["acme.timeout: changed"]);
}

/// Found by review: a partial clone has the version that was checked out before a removal, and not
/// the one after it.
#[test]
fn sign_does_not_continue_from_before_a_removal_in_a_partial_clone() {
    let repo = Repo::new();
    repo.invite("bob", &[]);
    repo.commit("bob");
    let with_bob = repo.text();
    repo.git_ok(&["branch", "pr"]);
    let clone = Clone::of(&repo, &[PARTIAL[0]]);
    clone.ends(&["vaults", "add", "--pin", &repo.pin()], 0, &[]);
    repo.ok(&["access", "remove", "bob", "--yes"]);
    repo.commit("bob is removed");
    repo.git_ok(&["checkout", "-q", "-B", "pr"]);
    repo.write(&with_bob.replace("\"10s\"", "\"20s\""));
    repo.commit("edit without a key");
    clone.git(&["fetch", "-q"]);
    clone.git(&["reset", "-q", "--hard", "origin/pr"]);
    let before = clone.text();
    clone.ends(&["sign", "--yes"], 3, &["partial"]);
    assert_eq!(clone.text(), before);
    clone.git(REFETCH);
    clone.ends(&["sign", "--yes"], 0, &["acme.timeout: changed"]);
    let signed = crate::support::repo::read(&clone.text());
    assert!(signed.access().iter().all(|member| member.name != "bob"));
}

#[test]
fn resolve_does_not_merge_without_the_common_version_that_the_clone_lacks() {
    let repo = Repo::new();
    repo.branch("pr", |repo| repo.set("acme.token", "theirs"));
    repo.set("acme.password", "ours");
    repo.commit("ours");
    let pin = repo.pin();
    let resolve =
        ["resolve", FILE, "--ours", "origin/main", "--theirs", "HEAD", "--yes", "--pin", &pin];
    let clone = Clone::of(&repo, &[PARTIAL[0]]);
    clone.ends(&resolve, 1, &["git does not have"]);
    // Git fetches our side, but not the common version.
    clone.git(&["show", &format!("origin/main:{FILE}")]);
    clone.ends(&resolve, 1, &["git does not have"]);
    clone.git(REFETCH);
    clone.ends(&resolve, 0, &["signed as generation"]);
    let clone = Clone::of(&repo, &["--depth=1"]);
    clone.git(&["fetch", "-q", "--depth", "1", "origin", "main:refs/remotes/origin/main"]);
    clone.ends(&resolve, 1, &["the common version", "git fetch --unshallow"]);
    clone.git(&["fetch", "-q", "--unshallow"]);
    clone.ends(&resolve, 0, &["signed as generation"]);
}

#[test]
fn check_goes_on_without_unchanged_files_that_a_sparse_clone_lacks() {
    let repo = Repo::new();
    std::fs::create_dir(repo.home.at("deploy")).unwrap();
    repo.ok(&["init", "-f", "deploy/prod.sealed.toml"]);
    repo.commit("prod");
    repo.git_ok(&["branch", "pr"]);
    let clone = Clone::of(&repo, &[PARTIAL[0], "--sparse"]);
    std::fs::write(clone.folder.join("notes.txt"), "x").unwrap();
    clone.git(&["add", "notes.txt"]);
    clone.ends(&["git", "check", "--staged"], 0, &["not compared", "deploy/prod.sealed.toml"]);
    // A new sealed file could be an old version of the one that is not here.
    clone.ends(&["init", "-f", "new.sealed.toml"], 0, &[]);
    clone.git(&["add", "new.sealed.toml"]);
    clone.ends(&["git", "check", "--staged"], 1, &["new.sealed.toml", "git does not have"]);
    clone.git(REFETCH);
    clone.ends(&["git", "check", "--staged"], 0, &[]);
}
