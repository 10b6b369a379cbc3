//! A removal that a machine has only read, or that only git has: no verb writes to a file that lacks
//! it, or that a former writer handed over to an id of their own.

use crate::support::repo::{FILE, Repo};

/// A repository on the branch `main`, where alice has removed the writer bob, and the machine of
/// carol, a writer, which knows the vault as it was before.
struct Scene {
    repo: Repo,
    /// The file before the removal, and its id.
    before: String,
    old: String,
    /// The id after the removal.
    new: String,
    /// The file that bob handed over to an id of his own, and that id.
    fork: String,
    evil: String,
}

impl Scene {
    fn new() -> Scene {
        let repo = Repo::new();
        for who in ["bob", "carol"] {
            repo.invite(who, &["--writer"]);
        }
        repo.commit("team");
        let (before, old) = (repo.text(), repo.pin());
        repo.ok_as("carol", &["vaults", "add", "--pin", &old], b"");
        repo.ok_as("bob", &["rotate", "--signing-key", "--pin", &old], b"");
        let (fork, evil) = (repo.text(), repo.pin());
        repo.write(&before);
        repo.ok(&["access", "remove", "bob", "--yes"]);
        let new = repo.pin();
        Scene { repo, before, old, new, fork, evil }
    }

    /// Runs a verb of carol's, which must be refused, change nothing and name these ids.
    #[track_caller]
    fn refused(&self, args: &[&str], code: i32, ids: &[&str]) {
        let before = self.repo.text();
        let ran = self.repo.run_as("carol", args, b"canary");
        assert_eq!(ran.code, code, "{args:?}: {ran:?}");
        assert!(!ran.err.contains("canary"), "{ran:?}");
        for id in ids {
            assert!(ran.err.contains(id), "{args:?}, {id}: {ran:?}");
        }
        assert_eq!(self.repo.text(), before, "{args:?}");
    }

    fn carol(&self, args: &[&str]) {
        self.repo.ok_as("carol", args, b"canary");
    }
}

const DOUBT: &str = "a former writer may have made one of";
const SET: &[&str] = &["set", "acme.password", "-"];
const WRITES: [&[&str]; 6] = [
    SET,
    &["set", "acme.timeout", "--plain", "20s"],
    &["unset", "acme.token"],
    &["rotate"],
    &["access", "remove", "app", "--yes"],
    &["vaults", "add"],
];
const READS: [&[&str]; 4] = [&["get", "acme.password"], &["list"], &["verify"], &["diff"]];

#[test]
fn a_removed_writer_who_was_only_read_about_gets_nothing_new() {
    for reading in [&["get", "acme.password"][..], &["list"], &["verify"]] {
        let scene = Scene::new();
        scene.carol(reading);
        // Bob's own handover, and the file from before the removal.
        scene.repo.write(&scene.fork);
        for write in WRITES {
            scene.refused(write, 3, &[&scene.old, &scene.new, &scene.evil]);
        }
        scene.repo.write(&scene.before);
        for write in WRITES {
            scene.refused(write, 3, &[&scene.old, &scene.new]);
        }
        // Reading goes on, with a warning where the file is doubtful.
        for read in READS {
            let ran = scene.repo.run_as("carol", read, b"");
            assert!(ran.code == 0 || read == ["diff"] && ran.code == 1, "{read:?}: {ran:?}");
        }
    }
}

#[test]
fn a_removed_reader_who_was_only_read_about_gets_nothing_new() {
    let repo = Repo::new();
    repo.invite("bob", &[]);
    repo.invite("carol", &["--writer"]);
    let (before, id) = (repo.text(), repo.pin());
    repo.ok_as("carol", &["vaults", "add", "--pin", &id], b"");
    repo.ok(&["access", "remove", "bob", "--yes"]);
    repo.ok_as("carol", &["get", "acme.password"], b"");
    repo.write(&before);
    let ran = repo.run_as("carol", SET, b"canary");
    assert!(ran.code == 3 && ran.err.contains("epoch 2"), "{ran:?}");
    assert_eq!(repo.text(), before);
    assert_eq!(repo.ok_as("carol", &["get", "acme.password"], b""), "first-password");
}

#[test]
fn a_pin_of_the_old_id_does_not_decide_between_two_handovers_and_one_of_the_new_id_does() {
    let scene = Scene::new();
    // This machine has no record, only a pin in a key file.
    std::fs::remove_dir_all(scene.repo.home.at("carol/.local")).unwrap();
    let key = scene.repo.home.at("carol/.config/bootseal/identity.txt");
    let text = std::fs::read_to_string(&key).unwrap();
    std::fs::write(&key, format!("# vault: {}\n{text}", scene.old)).unwrap();
    let right = scene.repo.text();
    scene.carol(&["get", "acme.password"]);
    scene.repo.write(&scene.fork);
    scene.refused(SET, 3, &[&scene.old, &scene.new, &scene.evil]);
    // Now this machine has read both, so the right one is refused too, until a person decides.
    scene.carol(&["get", "acme.password"]);
    scene.repo.write(&right);
    scene.refused(SET, 3, &[&scene.old, &scene.new, &scene.evil]);
    scene.carol(&["set", "acme.password", "-", "--pin", &scene.new]);
    scene.carol(SET);
}

#[test]
fn a_fork_that_was_read_first_does_not_win() {
    let scene = Scene::new();
    let right = scene.repo.text();
    scene.repo.write(&scene.fork);
    scene.carol(&["get", "acme.password"]);
    scene.repo.write(&right);
    scene.refused(SET, 3, &[&scene.old, &scene.new, &scene.evil]);
    scene.carol(&["get", "acme.password"]);
    let mut args = SET.to_vec();
    args.extend(["--pin", &scene.new]);
    scene.carol(&args);
    // From now on the decision is recorded: the right file needs no pin, and bob's cannot be read.
    scene.carol(SET);
    scene.repo.write(&scene.fork);
    scene.refused(&["get", "acme.password"], 3, &[&scene.new, &scene.evil]);
}

#[test]
fn what_was_read_is_listed_and_can_be_forgotten() {
    let scene = Scene::new();
    scene.carol(&["list"]);
    let listed = scene.repo.ok_as("carol", &["vaults"], b"");
    assert!(listed.contains(&format!("{}\n  handed over to {}", scene.old, scene.new)), "{listed}");
    let document = scene.repo.ok_as("carol", &["vaults", "--json"], b"");
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["read"][0]["successors"][0], scene.new.as_str());
    // Alice undid the removal on purpose.
    scene.repo.write(&scene.before);
    scene.refused(SET, 3, &["bootseal vaults forget"]);
    scene.carol(&["vaults", "forget", &scene.new, "--yes"]);
    scene.carol(SET);
    scene.refused(&["vaults", "forget", &scene.new, "--yes"], 1, &[]);
}

#[test]
fn a_pin_that_reads_a_doubtful_file_anyway_records_nothing() {
    let scene = Scene::new();
    let right = scene.repo.text();
    scene.repo.write(&scene.fork);
    scene.carol(&["get", "acme.password", "--pin", &scene.evil]);
    scene.repo.write(&right);
    scene.carol(SET);
}

/// Bob's handover is on the branch `fix`, alice's removal on `main`, and carol's machine has read
/// neither.
fn forked() -> Scene {
    let scene = Scene::new();
    scene.repo.commit("bob goes");
    scene.repo.git_ok(&["checkout", "-q", "-b", "fix", "HEAD^"]);
    scene.repo.write(&scene.fork);
    scene.repo.commit("fix");
    scene
}

#[test]
fn no_verb_follows_a_handover_if_any_branch_has_another_one() {
    let scene = forked();
    for branch in ["fix", "main"] {
        scene.repo.git_ok(&["checkout", "-q", branch]);
        for write in WRITES {
            scene.refused(write, 3, &[DOUBT, &scene.new, &scene.evil]);
            // A pin of the old id on the command line does not decide between the two.
            let pinned = [write, &["--pin", &scene.old]].concat();
            scene.refused(&pinned, 3, &[DOUBT, &scene.new, &scene.evil]);
        }
        scene.repo.edit("timeout = \"10s\"", "timeout = \"20s\"");
        scene.refused(&["sign", "--yes"], 3, &[DOUBT, &scene.new, &scene.evil]);
        scene.repo.git_ok(&["checkout", "-q", "--", "."]);
        std::fs::remove_dir_all(scene.repo.home.at("carol/.local")).unwrap();
        scene.repo.git_ok(&["stash", "-q", "-u"]);
        scene.repo.write(&scene.before);
        scene.carol(&["vaults", "add", "--pin", &scene.old]);
        scene.repo.git_ok(&["checkout", "-q", "--", "."]);
    }
    let mut args = SET.to_vec();
    args.extend(["--pin", &scene.new]);
    scene.carol(&args);
}

#[test]
fn no_merge_follows_a_handover_if_any_branch_has_another_one() {
    let scene = forked();
    let repo = &scene.repo;
    repo.git_ok(&["checkout", "-q", "-b", "work", "main^"]);
    repo.ok_as("carol", &["set", "acme.token", "-"], b"canary");
    repo.commit("token");
    for branch in ["fix", "main"] {
        let ran = repo.git_as("carol", &["merge", "--no-edit", branch]);
        assert_ne!(ran.code, 0, "{branch}: {ran:?}");
        for part in [DOUBT, &scene.new, &scene.evil] {
            assert!(ran.err.contains(part), "{branch}, {part}: {ran:?}");
        }
        scene.refused(&["resolve", FILE, "--yes"], 3, &[DOUBT, &scene.evil]);
        repo.git_ok(&["merge", "--abort"]);
    }
}

#[test]
fn no_value_leaves_through_a_handover_if_any_branch_has_another_one() {
    let scene = forked();
    let uses = [&["export"][..], &["login", "acme"], &["vendor", "acme"], &["exec", "--", "true"]];
    for branch in ["fix", "main"] {
        scene.repo.git_ok(&["checkout", "-q", branch]);
        // The second attempt is refused like the first one, and so is one after reading.
        for args in uses.iter().chain(&uses) {
            let code = if args[0] == "exec" { 125 } else { 3 };
            scene.refused(args, code, &[&scene.old, &scene.new, &scene.evil]);
        }
        let ran = scene.repo.run_as("carol", &["get", "acme.password"], b"");
        assert!(ran.code == 0 && ran.err.contains(DOUBT), "{ran:?}");
    }
    scene.carol(&["exec", "--pin", &scene.new, "--", "true"]);
}

/// Bob's handover is found whatever it or the right one is called, wherever the verb is run, and
/// whichever pin of the old id there is.
#[test]
fn a_fork_is_found_under_every_name_and_from_every_folder() {
    let uses = |verb: &[&str], file: &str, pin: &[&str]| {
        let at = verb.iter().position(|word| *word == "--").unwrap_or(verb.len());
        [&verb[..at], &["-f", file], pin, &verb[at..]].concat().join("\n")
    };
    for (name, renamed) in
        [(FILE, "other.sealed.toml"), ("deploy/app.sealed.toml", "d2/app.sealed.toml")]
    {
        let scene = forked();
        let repo = &scene.repo;
        repo.git_ok(&["checkout", "-q", "fix"]);
        let folder = |path: &str| std::path::Path::new(path).parent().unwrap().to_owned();
        for path in [name, renamed] {
            std::fs::create_dir_all(repo.home.path().join(folder(path))).unwrap();
        }
        repo.git_ok(&["mv", FILE, renamed]);
        if name != FILE {
            // The known path leads through a link.
            std::fs::remove_dir(repo.home.path().join(folder(name))).unwrap();
            #[cfg(unix)]
            std::os::unix::fs::symlink("d2", repo.home.at("deploy")).unwrap();
        }
        repo.commit("renamed");
        let file = repo.home.at(if name == FILE { renamed } else { name });
        let file = file.to_str().unwrap();
        let pin = ["--pin", scene.old.as_str()];
        let before = std::fs::read_to_string(file).unwrap();
        for verb in [SET, &["rotate"], &["export"], &["exec", "--", "true"]] {
            let args = uses(verb, file, &pin);
            let args: Vec<&str> = args.split('\n').collect();
            for from in [repo.home.path().to_path_buf(), std::env::temp_dir()] {
                let mut command = repo.command("carol", &args);
                command.current_dir(&from);
                let ran = crate::support::fed(command, b"canary");
                let code = if verb[0] == "exec" { 125 } else { 3 };
                assert_eq!(ran.code, code, "{args:?} in {}: {ran:?}", from.display());
                assert!(ran.err.contains("handed over twice"), "{args:?}: {ran:?}");
            }
        }
        assert_eq!(std::fs::read_to_string(file).unwrap(), before);
    }
}

#[test]
fn without_a_state_folder_nothing_leaves_through_a_fork_either() {
    let scene = forked();
    scene.repo.git_ok(&["checkout", "-q", "fix"]);
    let key = scene.repo.home.at("carol/.config/bootseal/identity.txt");
    let args = ["exec", "-i", key.to_str().unwrap(), "--pin", &scene.old, "--", "true"];
    let mut command = scene.repo.command("carol", &args);
    command.env_remove("HOME").env_remove("XDG_STATE_HOME");
    let ran = crate::support::fed(command, b"");
    assert!(ran.code == 125 && ran.err.contains("handed over twice"), "{ran:?}");
}

#[test]
fn a_clone_without_all_versions_follows_no_handover_when_it_writes() {
    let scene = forked();
    let repo = &scene.repo;
    let from = format!("file://{}", repo.home.path().display());
    let folder = tempfile::tempdir().unwrap();
    for (option, fetch) in
        [("--filter=blob:none", "git fetch --refetch"), ("--depth=1", "git fetch --unshallow")]
    {
        let to = folder.path().join(&option[2..7]);
        repo.git_ok(&["config", "uploadpack.allowFilter", "true"]);
        repo.git_ok(&["clone", "-q", option, "-b", "fix", &from, to.to_str().unwrap()]);
        let run = |args: &[&str]| {
            let mut command = repo.command("carol", args);
            command.current_dir(&to);
            crate::support::fed(command, b"canary")
        };
        let ran = run(&["set", "acme.password", "-", "--pin", &scene.old]);
        assert!(ran.code == 3 && ran.err.contains(fetch), "{option}: {ran:?}");
        assert!(ran.err.contains(&format!("--pin {}", scene.evil)), "{option}: {ran:?}");
    }
}

#[test]
fn a_decision_for_one_handover_counts_at_every_path() {
    let scene = forked();
    let repo = &scene.repo;
    repo.git_ok(&["checkout", "-q", "main"]);
    repo.git_ok(&["worktree", "add", "-q", "--detach", "out/second", "main~1"]);
    let second = format!("out/second/{FILE}");
    scene.carol(&["vaults", "add", "-f", &second, "--pin", &scene.old]);
    scene.carol(&["set", "acme.password", "-", "--pin", &scene.new]);
    repo.home.write(&second, repo.text());
    scene.carol(&["set", "acme.password", "-", "-f", &second]);
}

#[test]
fn a_program_that_follows_a_handover_confirms_it() {
    let scene = Scene::new();
    scene.carol(&["exec", "--", "true"]);
    scene.repo.write(&scene.fork);
    scene.refused(&["get", "acme.password"], 3, &[&scene.new, &scene.evil]);
}
