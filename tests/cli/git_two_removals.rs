//! Two writers remove a member each at the same time: the vault is handed over twice, and `resolve`
//! prints the commands that lead out.

use crate::support::repo::{FILE, Repo};
use std::process::Command;

/// Alice removed `x` on main, and bob removed `y` on the branch `bobs`, which is checked out.
struct Scene {
    repo: Repo,
    /// The ids after alice's and after bob's removal.
    alices: String,
    bobs: String,
}

impl Scene {
    fn new() -> Scene {
        let repo = Repo::new();
        for who in ["x", "y"] {
            let key = format!("{who}.key");
            repo.ok(&["access", "add", who, "--new-key", &key, "--writer", "--yes"]);
        }
        for who in ["bob", "carol"] {
            repo.invite(who, &["--writer"]);
        }
        repo.commit("team");
        let old = repo.pin();
        for who in ["bob", "carol"] {
            repo.ok_as(who, &["vaults", "add", "--pin", &old], b"");
        }
        let before = repo.text();
        let remove = |who: &str, name: &str| {
            repo.ok_as(who, &["access", "remove", name, "--yes"], b"");
            repo.pin()
        };
        repo.git_ok(&["checkout", "-q", "-b", "bobs"]);
        let bobs = remove("bob", "y");
        repo.commit("y is removed");
        repo.git_ok(&["checkout", "-q", "main"]);
        assert_eq!(repo.text(), before);
        // Alice has not seen bob's branch.
        let alices = remove("alice", "x");
        repo.commit("x is removed");
        repo.git_ok(&["checkout", "-q", "bobs"]);
        Scene { repo, alices, bobs }
    }

    /// Runs `resolve` as bob, which changes nothing; returns the commands that it prints.
    fn way_out(&self, args: &[&str]) -> Vec<String> {
        let before = self.repo.text();
        let args = [&["resolve", FILE, "--yes"], args].concat();
        let ran = self.repo.run_as("bob", &args, b"");
        assert_eq!((ran.code, self.repo.text()), (3, before), "{args:?}: {ran:?}");
        for part in ["handed over twice", &self.alices, &self.bobs, "A former writer may have"] {
            assert!(ran.err.contains(part), "{part}: {}", ran.err);
        }
        assert!(!ran.err.contains("Sign without it"), "{}", ran.err);
        let lines = ran.err.lines().filter_map(|line| line.strip_prefix("    "));
        lines.map(|line| line.trim().to_owned()).collect()
    }

    /// Runs these lines in bob's shell.
    fn follow(&self, lines: &[String]) {
        for line in lines {
            let line = match line.starts_with("bootseal ") {
                true => format!("{line} --yes"),
                false => line.clone(),
            };
            let words: Vec<&str> = line.split(' ').collect();
            let mut command: Command = match words[0] {
                "git" => self.repo.git_command("bob", &words[1..]),
                _ => self.repo.command("bob", &words[1..]),
            };
            let output = command.output().unwrap();
            let err = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{line}: {err}");
        }
    }

    /// Commits with the hook. Then everybody uses the vault, from which both members are gone.
    fn works(&self) {
        let repo = &self.repo;
        let commit = repo.git_as("bob", &["commit", "-q", "-a", "-m", "y is removed again"]);
        assert_eq!(commit.code, 0, "{commit:?}");
        let file = repo.file();
        let names: Vec<&str> = file.access().iter().map(|access| access.name.as_str()).collect();
        assert_eq!(names, ["alice", "app", "bob", "carol"]);
        // The others never see bob's first removal.
        repo.git(&["branch", "-q", "-D", "mine"]);
        for who in ["bob", "alice", "carol"] {
            repo.ok_as(who, &["set", "acme.token", "-"], who.as_bytes());
            assert_eq!(repo.ok_as(who, &["get", "acme.token"], b""), who);
            let commit = repo.git_as(who, &["commit", "-q", "-a", "-m", who]);
            assert_eq!(commit.code, 0, "{who}: {commit:?}");
        }
        repo.ok(&["verify", "--since", "main"]);
    }
}

#[test]
fn resolve_says_how_two_removals_at_once_become_one_line() {
    let scene = Scene::new();
    let merge = scene.repo.git_as("bob", &["merge", "--no-edit", "main"]);
    assert!(merge.code == 1 && merge.err.contains("handed over twice"), "{merge:?}");
    let way = scene.way_out(&[]);
    let last = format!("bootseal access remove y --pin {} -f {FILE}", scene.alices);
    assert_eq!(way.last(), Some(&last), "{way:?}");
    // A pin for either side does not help, because the values of the other do not open.
    assert_eq!(scene.way_out(&["--pin", &scene.alices, "--take", "theirs"]), way);
    assert_eq!(scene.way_out(&["--pin", &scene.bobs, "--take", "ours"]), way);
    scene.follow(&way);
    assert_eq!(scene.repo.git(&["show-ref", "--verify", "--quiet", "refs/heads/mine"]).code, 0);
    scene.works();
}

#[test]
fn in_a_rebase_the_replayed_removal_is_skipped_and_made_again() {
    let scene = Scene::new();
    assert_eq!(scene.repo.git_as("bob", &["rebase", "main"]).code, 1);
    let way = scene.way_out(&[]);
    assert_eq!(way[0], "git rebase --skip");
    scene.follow(&way);
    scene.works();
}

#[test]
fn the_way_out_of_named_sides_keeps_our_commits_on_a_branch() {
    let scene = Scene::new();
    let way = scene.way_out(&["--ours", "bobs", "--theirs", "main"]);
    assert_eq!(way[..2], ["git branch mine bobs", "git reset --hard main"]);
    scene.follow(&way);
    scene.works();
}

#[test]
fn two_new_signing_keys_at_once_are_two_handovers_too() {
    let repo = Repo::new();
    let rotate = |repo: &Repo| drop(repo.ok(&["rotate", "--signing-key", "--yes"]));
    let (before, old) = (repo.text(), repo.pin());
    repo.branch("other", rotate);
    // In another clone, by another machine of alice.
    std::fs::remove_dir_all(repo.home.at(".local")).unwrap();
    repo.ok(&["vaults", "add", "--pin", &old]);
    assert_eq!(repo.text(), before);
    rotate(&repo);
    repo.commit("rotated");
    assert_eq!(repo.git(&["merge", "--no-edit", "other"]).code, 1);
    let said = repo.fails(&["resolve", FILE, "--yes"], 3);
    assert!(said.contains("bootseal rotate --signing-key --pin vault1"), "{said}");
}
