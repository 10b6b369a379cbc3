//! A command killed at any moment leaves each file as the old one or the new one, no second copy of
//! a key, and nothing that blocks the next command.
//!
//! Every run of the tests kills each verb a few times; `just kills` kills each 200 times.

use crate::support::{Home, verbs};
use bootseal_core::IdentityFile;
use std::path::PathBuf;

pub(crate) mod killing;
pub(crate) mod left;
pub(crate) mod writing;

use killing::{VERB, Verb, kill_often, kills, run_killed};
use left::{IDENTITY, State};
use writing::{ACCESS_VERBS, NEW_FILE_VERBS, REVIEW_VERBS, SETTINGS_VERBS, VALUE_VERBS, home};

/// Calls `each` with every verb and a home in the same state.
pub(crate) fn with_each(
    verbs: impl IntoIterator<Item = &'static Verb>,
    make: impl Fn() -> Home,
    each: impl Fn(&Home, &Verb),
) {
    let mut home = make();
    let mut first = State::of(&home);
    for verb in verbs {
        each(&home, verb);
        // The state does not contain a repository.
        if home.at(".git").exists() {
            home = make();
            first = State::of(&home);
        }
        first.restore(&home);
    }
}

#[test]
fn a_killed_change_of_values_leaves_the_old_file_or_the_new_one() {
    with_each(VALUE_VERBS, home, kill_often);
}

#[test]
fn a_killed_change_of_access_leaves_the_old_file_or_the_new_one() {
    with_each(ACCESS_VERBS, home, kill_often);
}

#[test]
fn a_killed_signature_or_merge_leaves_the_old_file_or_the_new_one() {
    with_each(REVIEW_VERBS, home, kill_often);
}

#[test]
fn a_killed_creation_leaves_a_complete_file_or_none() {
    with_each(NEW_FILE_VERBS, home, kill_often);
}

#[test]
fn a_killed_change_of_known_vaults_or_git_settings_leaves_no_half_file() {
    with_each(SETTINGS_VERBS, home, kill_often);
}

/// For a moment between two renames, only the old identity exists, under its new name.
#[test]
fn a_killed_replacement_of_an_identity_keeps_the_old_one_once() {
    const FORCE: Verb = Verb { args: &["keygen", "--force"], ..VERB };
    let home = Home::new();
    home.ok(&["keygen"]);
    let (first, old) = (State::of(&home), home.read(IDENTITY));
    let folder = home.at(IDENTITY).parent().unwrap().to_path_buf();
    let (mut length, mut killed, mut renamed) = (None, 0, 0);
    for kill in 0..=kills() {
        first.restore(&home);
        // The first run is complete.
        let end = run_killed(&home, &FORCE, kill, length);
        let took = *length.get_or_insert(end.after);
        length = Some(took.mul_f64(if end.killed { 1.03 } else { 0.9 }));
        let files: Vec<PathBuf> =
            folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        let texts: Vec<String> =
            files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
        assert_eq!(texts.iter().filter(|text| **text == old).count(), 1, "{files:?}");
        assert!(texts.len() <= 2, "{files:?}");
        for path in &files {
            assert_eq!(IdentityFile::read(path).unwrap().identities.len(), 1, "{path:?}");
        }
        killed += u32::from(end.killed);
        renamed += u32::from(end.killed && !home.at(IDENTITY).exists());
    }
    println!(
        "{killed} of {} runs were killed, {renamed} of them between the two files",
        kills() + 1
    );
    assert!(killed > 0);
}

/// The verbs that write no file, and the words that only lead to other verbs. `exec --files` writes
/// into a memory folder; its own tests kill it.
const WRITES_NOTHING: [&str; 13] = [
    "list",
    "verify",
    "access",
    "access list",
    "vaults",
    "diff",
    "git",
    "git check",
    "login",
    "vendor",
    "doctor",
    "completions",
    "exec",
];

#[test]
fn every_verb_either_is_killed_or_writes_no_file() {
    let tables = [VALUE_VERBS, ACCESS_VERBS, REVIEW_VERBS, NEW_FILE_VERBS, SETTINGS_VERBS];
    let killed: Vec<String> = tables
        .iter()
        .flat_map(|table| *table)
        .map(|verb| format!("{} ", verb.args.join(" ")))
        .collect();
    for verb in verbs(&Home::new()) {
        let verb = verb.join(" ");
        let is_killed = killed.iter().any(|line| line.starts_with(&format!("{verb} ")));
        assert!(is_killed || WRITES_NOTHING.contains(&verb.as_str()), "{verb}");
    }
}
