//! A clock that is behind the newest date in a file is reported by every verb that signs the file.

use crate::crash::killing::{VERB, Verb, command};
use crate::crash::with_each;
use crate::crash::writing::{ACCESS_VERBS, REVIEW_VERBS, VALUE_VERBS, home};
use crate::support::repo::{path, read};
use crate::support::team::FILE;
use crate::support::{Home, Ran, fed};
use bootseal_core::{IdentityFile, Secret, ValueKind};

const WARNING: &str = "the clock of this machine is behind";

/// Dates a value of the file as a machine does whose clock is `ahead` seconds ahead.
fn set_elsewhere(home: &Home, file: &str, ahead: u64) {
    let identity = home.at(".config/bootseal/identity.txt");
    let identities = IdentityFile::read(&identity).unwrap().identities;
    let mut vault = read(&home.read(file)).open_for_writing(&identities).unwrap();
    let value = Secret::copy_of(b"marker-elsewhere").unwrap();
    let now = bootseal_cli::system_time() + ahead;
    vault.set(&path("elsewhere"), ValueKind::Text, &value, now).unwrap();
    home.write(file, vault.sign().unwrap());
}

fn warnings(home: &Home, verb: &Verb) -> usize {
    let ran: Ran = fed(command(home, verb), verb.stdin.as_bytes());
    assert_eq!(ran.code, 0, "{:?}: {}", verb.args, ran.err);
    ran.err.matches(WARNING).count()
}

/// The verbs of the tables that change the sealed file, without the typed value, which differs from
/// the piped one only in its source.
fn verbs() -> impl Iterator<Item = &'static Verb> {
    let tables = [VALUE_VERBS, ACCESS_VERBS, REVIEW_VERBS].into_iter().flatten();
    tables.filter(|verb| {
        verb.code == 0 && verb.typed.is_none() && !verb.args.starts_with(&["access", "pin"])
    })
}

#[test]
fn every_verb_that_signs_reports_a_clock_behind_the_newest_value_once() {
    assert!(verbs().count() >= 20);
    for (ahead, expected) in [(3600, 1), (0, 0)] {
        let scene = || {
            let home = home();
            set_elsewhere(&home, FILE, ahead);
            home
        };
        with_each(verbs(), scene, |home, verb| {
            (verb.prepare)(home);
            assert_eq!(warnings(home, verb), expected, "{:?}, {ahead} s ahead", verb.args);
        });
    }
}

#[test]
fn a_run_for_several_files_reports_the_clock_once() {
    const ROTATE: Verb = Verb { args: &["rotate", "-f", FILE, "-f", "dev.sealed.toml"], ..VERB };
    let home = home();
    home.ok(&["init", "-f", "dev.sealed.toml"]);
    for file in [FILE, "dev.sealed.toml"] {
        set_elsewhere(&home, file, 3600);
    }
    assert_eq!(warnings(&home, &ROTATE), 1);
}

#[test]
fn the_date_of_a_removal_counts() {
    const SET: Verb = Verb { args: &["set", "elsewhere", "-"], stdin: "marker-new", ..VERB };
    const UNSET: Verb = Verb { args: &["unset", "elsewhere"], ..VERB };
    let home = home();
    set_elsewhere(&home, FILE, 3600);
    home.ok(&["access", "remove", "app", "--yes"]);
    // The other values stay marked as known to app, up to the date of the removal.
    assert_eq!(warnings(&home, &UNSET), 1);
    assert_eq!(warnings(&home, &SET), 1);
}
