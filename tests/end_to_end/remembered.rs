//! Vault ids and generations that a machine remembers, and the files that it refuses because of
//! them: on a writer's machine and on a host with a state folder.

use crate::support::Home;
use crate::support::team::{FILE, elsewhere, host, key_without_pin, private, team, told};
use bootseal::{Kind, Loader};
use std::collections::HashMap;
use std::ffi::OsString;

const KEY: &str = ".config/bootseal/identity.txt";
const MEMORY: &str = ".local/state/bootseal/known_vaults";

/// Commands that seal a value for the file's readers, sign the file, or take over its vault id or
/// its members; `more.toml` and `p.proposal` are inputs.
const WRITES: &[&[&str]] = &[
    &["set", "acme.password"],
    &["set", "acme.url", "--plain", "x"],
    &["set", "acme.password", "--generate"],
    &["seal", "more.toml", "-f", FILE],
    &["accept", "p.proposal"],
    &["propose", "acme.password", "--to", FILE],
    &["access", "add", "web", "--new-key", "web.key"],
    &["access", "remove", "bob"],
    &["access", "pin", "bob.key"],
    &["rotate"],
    &["rotate", "--signing-key"],
    &["rename", "acme.user", "acme.account"],
    &["unset", "acme.user"],
    &["init", "-f", "alike.sealed.toml", "--like", FILE],
];

/// The team's home with the inputs of the verbs.
fn at_work() -> Home {
    let home = team();
    home.write("more.toml", "more = \"secret:canary\"\n");
    home.ok_with(&["propose", "acme.password", "--to", FILE, "-o", "p.proposal"], b"canary");
    home
}

/// Checks that each verb refuses the file with exit code 3, changes and creates nothing, and shows
/// no secret.
fn every_write_is_refused(home: &Home, pin: &[&str], why: &str) {
    let (file, key, memory) = (home.read(FILE), home.read("bob.key"), home.read(MEMORY));
    let before = names(home);
    for verb in WRITES {
        // `init` takes no pin.
        let pin = if verb[0] == "init" { &[] } else { pin };
        let args = [*verb, &["--yes"], pin].concat();
        let ran = home.run_with(&args, b"canary");
        assert_eq!(ran.code, 3, "{args:?}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(why) && ran.err.contains("\n  "), "{args:?}: {}", ran.err);
        assert!(
            ran.out.is_empty() && !ran.err.contains("canary"),
            "{args:?}: {}{}",
            ran.out,
            ran.err
        );
        assert_eq!(
            (home.read(FILE), home.read("bob.key")),
            (file.clone(), key.clone()),
            "{args:?}"
        );
        assert_eq!(names(home), before, "{args:?}");
    }
    assert_eq!(home.read(MEMORY), memory);
}

fn names(home: &Home) -> Vec<OsString> {
    let mut names: Vec<_> =
        home.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

fn pin_own_key(home: &Home, id: &str) {
    private(home, KEY, format!("# vault: {id}\n{}", home.read(KEY)));
}

#[test]
fn no_pin_allows_a_write_to_a_file_from_before_a_removal() {
    let home = at_work();
    let (old, id) = (home.read(FILE), home.vault_id());
    home.ok(&["access", "remove", "app", "--yes"]);
    assert_eq!(home.vault_id(), id);
    home.write(FILE, &old);
    let why = "epoch 2 was seen here";
    every_write_is_refused(&home, &[], why);
    every_write_is_refused(&home, &["--pin", &id], why);
    pin_own_key(&home, &id);
    every_write_is_refused(&home, &[], why);
    // The file is an authentic older version, so reading it is allowed.
    assert_eq!(home.ok(&["get", "acme.password"]), "hunter2");
    home.ok(&["list"]);
    home.ok(&["verify"]);
    assert!(home.ok(&["access", "list"]).contains("app"));
}

#[test]
fn a_file_from_before_a_removal_is_not_written_to_at_another_path() {
    let home = at_work();
    let (old, id) = (home.read(FILE), home.vault_id());
    std::fs::create_dir(home.at("moved")).unwrap();
    // Before the removal, a copy at another path can be written to as well.
    home.write("moved/app.sealed.toml", &old);
    let set = ["set", "acme.password", "-f", "moved/app.sealed.toml", "--pin", &id];
    home.ok_with(&set, b"before");
    std::fs::remove_dir_all(home.at("moved")).unwrap();
    home.ok(&["access", "remove", "app", "--yes"]);
    for folder in ["there", "here"] {
        let place = format!("{folder}/app.sealed.toml");
        std::fs::create_dir(home.at(folder)).unwrap();
        home.write(&place, &old);
        let ran = home.run_with(&["set", "acme.password", "-f", &place, "--pin", &id], b"canary");
        assert!(
            ran.code == 3 && ran.err.contains("epoch 2 was seen at ") && home.read(&place) == old,
            "{}",
            ran.err
        );
        home.ok(&["get", "acme.password", "-f", &place, "--pin", &id]);
    }
}

#[test]
fn a_removal_in_one_known_copy_binds_every_other_known_copy() {
    // If a reader is removed, the vault id stays; if a writer is removed, it changes.
    for (member, epoch) in [("app", "epoch 2"), ("bob", "epoch 1")] {
        let home = at_work();
        let (old, id) = (home.read(FILE), home.vault_id());
        std::fs::create_dir(home.at("copy")).unwrap();
        home.write("copy/app.sealed.toml", &old);
        let copy = ["-f", "copy/app.sealed.toml"];
        home.ok(&[&["set", "acme.url", "--plain", "x", "--pin", &id][..], &copy].concat());
        let known = home.read("copy/app.sealed.toml");
        home.ok(&["access", "remove", member, "--yes"]);
        for pin in [&[][..], &["--pin", &id]] {
            for verb in [
                &["set", "acme.password"][..],
                &["rotate"],
                &["access", "add", "web", "--new-key", "web.key"],
            ] {
                let ran = home.run_with(&[verb, &["--yes"], &copy, pin].concat(), b"canary");
                assert_eq!(ran.code, 3, "{verb:?}: {}", ran.err);
                let path = home.at(FILE);
                for part in [epoch, "git merge", path.to_str().unwrap()] {
                    assert!(ran.err.contains(part), "{verb:?}, {part}: {}", ran.err);
                }
                assert_eq!(home.read("copy/app.sealed.toml"), known);
            }
        }
        let ran =
            home.run_with(&[&["set", "acme.password", "--json"][..], &copy].concat(), b"canary");
        assert!(ran.err.contains("\"old-generation\""), "{}", ran.err);
        // Reading continues.
        assert_eq!(home.ok(&[&["get", "acme.password"][..], &copy].concat()), "hunter2");
        // The newer version in its place can be written to.
        home.write("copy/app.sealed.toml", home.read(FILE));
        home.ok_with(&[&["set", "acme.password"][..], &copy].concat(), b"new");
    }
}

#[test]
fn a_host_refuses_a_file_from_before_a_removal_under_any_name() {
    for member in ["app2", "bob"] {
        let home = team();
        home.ok(&["access", "add", "app2", "--new-key", "app2.key", "--yes"]);
        let old = home.read(FILE);
        home.ok(&["access", "remove", member, "--yes"]);
        host(&home, "app.key").state(home.at("state")).load().unwrap();
        home.write("other.sealed.toml", &old);
        let other = Loader::exactly(home.at("other.sealed.toml"))
            .identity_file(home.at("app.key"))
            .environment(HashMap::new());
        let error = other.state(home.at("state")).load().unwrap_err();
        assert_eq!(error.kind(), Kind::OldGeneration, "{member}: {error}");
    }
}

#[test]
fn generations_of_another_path_do_not_count() {
    let home = team();
    let old = home.read(FILE);
    home.ok_with(&["set", "acme.password"], b"newer");
    std::fs::create_dir(home.at("copy")).unwrap();
    home.write("copy/app.sealed.toml", &old);
    let id = home.vault_id();
    home.ok_with(&["set", "acme.password", "-f", "copy/app.sealed.toml", "--pin", &id], b"branch");
    host(&home, "app.key").state(home.at("state")).load().unwrap();
    let copy = Loader::exactly(home.at("copy/app.sealed.toml")).identity_file(home.at("app.key"));
    // A host knows files by name: the same name is the same place.
    let copy = copy.environment(HashMap::new()).state(home.at("state")).load();
    assert_eq!(copy.unwrap_err().kind(), Kind::OldGeneration);
    std::fs::rename(home.at("copy/app.sealed.toml"), home.at("copy/other.sealed.toml")).unwrap();
    let other =
        Loader::exactly(home.at("copy/other.sealed.toml")).identity_file(home.at("app.key"));
    other.environment(HashMap::new()).state(home.at("state")).load().unwrap();
}

#[test]
fn a_file_signed_by_a_former_vault_id_is_not_written_to() {
    let home = at_work();
    let (before, old) = (home.read(FILE), home.vault_id());
    home.ok(&["access", "remove", "bob", "--yes"]);
    let bob = elsewhere(&home, &["bob.key"], &before);
    for at in 0..5 {
        bob.ok(&["set", "acme.url", "--plain", &at.to_string(), "-i", "bob.key"]);
    }
    home.write(FILE, bob.read(FILE));
    let why = "former writer";
    every_write_is_refused(&home, &[], why);
    every_write_is_refused(&home, &["--pin", &old], why);
    pin_own_key(&home, &old);
    every_write_is_refused(&home, &[], why);
}

#[test]
fn a_foreign_vault_in_the_files_place_is_not_written_to() {
    let home = at_work();
    let recipient = home.ok(&["keygen", "-y", KEY]);
    let eve = Home::new();
    let own = eve.ok(&["keygen"]);
    eve.write("app.toml", "[acme]\nuser = \"svc\"\npassword = \"x\"\nurl = \"secret:u\"\n");
    let (alice, eves) = (format!("alice={}", recipient.trim()), format!("eve={}", own.trim()));
    eve.ok(&["seal", "app.toml", "--writer", &alice, "--writer", &eves]);
    let id = home.vault_id();
    home.write(FILE, eve.read(FILE));
    every_write_is_refused(&home, &[], "this is a different vault");
    every_write_is_refused(&home, &["--pin", &id], &id);
}

#[cfg(unix)]
#[test]
fn a_link_to_another_known_vault_is_not_written_to() {
    let home = at_work();
    // Staging is known here too, and has other readers.
    home.write("staging.toml", "[acme]\nuser = \"secret:svc\"\npassword = \"secret:x\"\n");
    std::fs::create_dir(home.at("staging")).unwrap();
    home.ok(&["seal", "staging.toml", "-o", "staging/app.sealed.toml"]);
    let staging = home.read("staging/app.sealed.toml");
    std::fs::remove_file(home.at(FILE)).unwrap();
    std::os::unix::fs::symlink("staging/app.sealed.toml", home.at(FILE)).unwrap();
    every_write_is_refused(&home, &[], "this is a different vault");
    assert_eq!(home.read("staging/app.sealed.toml"), staging);
    assert!(home.at(FILE).symlink_metadata().unwrap().is_symlink());
    home.ok_with(&["set", "acme.password", "-f", "staging/app.sealed.toml"], b"for staging");
}

#[test]
fn a_lower_generation_is_only_a_warning_for_a_writer() {
    let home = team();
    let old = home.read(FILE);
    home.ok_with(&["set", "acme.password"], b"one");
    home.write(FILE, &old);
    let ran = home.run_with(&["set", "acme.user"], b"two");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("is generation 3; generation 4 was seen here"), "{}", ran.err);
    assert_eq!(home.run_with(&["set", "acme.user", "-q"], b"two").err, "");
    // The remembered generation is not lowered.
    assert!(home.read(MEMORY).contains("generation = 5\n"), "{}", home.read(MEMORY));
}

#[test]
fn a_rotation_that_was_not_remembered_is_accepted_through_its_handover() {
    let home = team();
    let memory = home.read(MEMORY);
    home.ok(&["rotate", "--signing-key"]);
    // As if the machine had crashed between the rename and the update of the known vaults.
    home.write(MEMORY, &memory);
    let ran = home.run_with(&["set", "acme.password"], b"x");
    assert!(ran.code == 0 && ran.err.contains("was known as"), "{}", ran.err);
    assert!(home.read(MEMORY).contains("former = ["));
}

// A host

/// Four texts of one file, all signed by alice: `second` and `also_second` have the same generation,
/// `first` the one before and `third` the one after.
struct Line {
    home: Home,
    first: String,
    second: String,
    also_second: String,
    third: String,
}

impl Line {
    fn new() -> Line {
        let home = team();
        key_without_pin(&home, "app.key", "bare.key");
        let first = home.read(FILE);
        home.ok_with(&["set", "acme.password"], b"second");
        let second = home.read(FILE);
        home.write(FILE, &first);
        home.ok_with(&["set", "acme.password"], b"also second");
        let also_second = home.read(FILE);
        home.ok_with(&["set", "acme.password"], b"third");
        Line { third: home.read(FILE), home, first, second, also_second }
    }

    fn starts(&self, text: &str, key: &str) -> bootseal::Result<u64> {
        self.home.write(FILE, text);
        Ok(host(&self.home, key).state(self.home.at("state")).load()?.generation())
    }
}

#[test]
fn a_host_with_state_refuses_an_older_file_and_names_the_remedy() {
    let line = Line::new();
    for key in ["app.key", "bare.key"] {
        assert_eq!(line.starts(&line.second, key).unwrap(), 4);
        assert_eq!(line.starts(&line.second, key).unwrap(), 4);
        for (text, why) in [
            (&line.first, "generation 4 was seen here"),
            (&line.also_second, "another text was seen here"),
        ] {
            let error = line.starts(text, key).unwrap_err();
            assert_eq!(error.kind(), Kind::OldGeneration);
            let words = error.to_string();
            assert!(words.contains(FILE) && words.contains(why), "{words}");
            assert!(error.help().unwrap().contains("Deploy the newest"), "{words}");
        }
        assert_eq!(line.starts(&line.third, key).unwrap(), 5);
        assert_eq!(line.starts(&line.second, key).unwrap_err().kind(), Kind::OldGeneration);
        std::fs::remove_dir_all(line.home.at("state")).unwrap();
    }
    // Without a state folder, earlier starts do not count.
    line.home.write(FILE, &line.third);
    host(&line.home, "app.key").load().unwrap();
    line.home.write(FILE, &line.first);
    host(&line.home, "app.key").load().unwrap();
}

#[test]
fn a_host_identifies_the_file_by_its_name_in_any_folder() {
    let line = Line::new();
    line.starts(&line.second, "app.key").unwrap();
    std::fs::create_dir(line.home.at("release-2")).unwrap();
    line.home.write("release-2/app.sealed.toml", &line.first);
    let loader = Loader::exactly(line.home.at("release-2/app.sealed.toml"))
        .identity_file(line.home.at("app.key"));
    let error = loader.environment(HashMap::new()).state(line.home.at("state")).load().unwrap_err();
    assert_eq!(error.kind(), Kind::OldGeneration);
}

#[test]
fn the_state_folder_comes_from_code_else_our_variable_else_systemd() {
    let line = Line::new();
    line.home.write(FILE, &line.second);
    let path = |name: &str| line.home.at(name).into_os_string();
    let mut both = path("systemd");
    both.push(":");
    both.push(path("of-another-unit"));
    let all = [("BOOTSEAL_STATE", path("ours")), ("STATE_DIRECTORY", both)];
    let loader = |variables: &[(&str, OsString)]| {
        let variables =
            variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        host(&line.home, "app.key").environment(variables)
    };
    loader(&all).state(line.home.at("code")).load().unwrap();
    let there = |name: &str| line.home.at(name).join("known_vaults").exists();
    assert_eq!(
        ["code", "ours", "systemd", "of-another-unit"].map(there),
        [true, false, false, false]
    );
    loader(&all).load().unwrap();
    assert_eq!(
        ["code", "ours", "systemd", "of-another-unit"].map(there),
        [true, true, false, false]
    );
    loader(&all[1..]).load().unwrap();
    assert_eq!(
        ["code", "ours", "systemd", "of-another-unit"].map(there),
        [true, true, true, false]
    );
}

#[test]
fn a_first_start_without_a_pin_trusts_the_vault_with_a_warning_and_remembers_it() {
    let line = Line::new();
    let foreign = {
        let home = Home::new();
        let app = format!("app={}", line.home.ok(&["keygen", "-y", "bare.key"]).trim());
        home.ok(&["init", "--reader", &app]);
        home.read(FILE)
    };
    let (first, log) = told(|| line.starts(&line.second, "bare.key"));
    assert!(first.is_ok() && log.contains("WARN") && log.contains("trusted from now on"), "{log}");
    let (again, log) = told(|| line.starts(&line.second, "bare.key"));
    assert!(again.is_ok() && !log.contains("WARN"), "{log}");
    let error = line.starts(&foreign, "bare.key").unwrap_err();
    assert_eq!(error.kind(), Kind::WrongVault);
    assert!(error.to_string().contains("this is a different vault"), "{error}");
    // With neither pin nor state folder, not even a first start is allowed.
    line.home.write(FILE, &line.second);
    assert_eq!(host(&line.home, "bare.key").load().unwrap_err().kind(), Kind::WrongVault);
}

#[test]
fn a_file_that_did_not_open_is_not_remembered() {
    let line = Line::new();
    line.starts(&line.second, "app.key").unwrap();
    line.home.write(FILE, &line.second);
    line.home.ok(&["set", "acme.login.url", "--plain", "no address"]);
    let broken = line.home.read(FILE);
    assert_eq!(line.starts(&broken, "app.key").unwrap_err().kind(), Kind::Malformed);
    let stranger = line.home.ok(&["keygen", "-o", "stranger.key"]);
    assert!(!stranger.is_empty() && line.starts(&line.third, "stranger.key").is_err());
    assert_eq!(line.starts(&line.second, "app.key").unwrap(), 4);
}

#[test]
fn state_that_cannot_be_read_or_written_is_not_treated_as_empty() {
    let line = Line::new();
    line.starts(&line.second, "app.key").unwrap();
    line.home.write("state/known_vaults", "nonsense");
    let error = line.starts(&line.second, "app.key").unwrap_err();
    assert!(
        error.kind() == Kind::Malformed && error.to_string().contains("known_vaults"),
        "{error}"
    );
    // A folder that cannot be written: with a pin, the start is allowed. Without one, it is refused,
    // because every start would be a first start that trusts any vault.
    let nowhere = "/proc/nowhere";
    let (loaded, log) = told(|| host(&line.home, "app.key").state(nowhere).load());
    assert!(
        loaded.is_ok() && log.contains("WARN") && log.contains("could not be remembered"),
        "{log}"
    );
    assert_eq!(host(&line.home, "bare.key").state(nowhere).load().unwrap_err().kind(), Kind::Io);
}

#[test]
fn a_check_reports_the_state_and_does_not_change_it() {
    let line = Line::new();
    let state = |check: bootseal::Check| {
        check.sources.into_iter().find(|(what, _)| *what == "state").unwrap().1
    };
    line.home.write(FILE, &line.third);
    let check = || host(&line.home, "app.key").state(line.home.at("state")).check();
    assert!(state(check().unwrap()).contains("nothing seen yet"));
    assert!(!line.home.at("state").exists());
    assert!(state(host(&line.home, "app.key").check().unwrap()).contains("none"));
    line.starts(&line.second, "app.key").unwrap();
    line.home.write(FILE, &line.third);
    let seen = check().unwrap();
    assert_eq!((seen.generation, seen.values), (5, 3));
    assert!(state(seen).contains("generation 4 was seen"));
    // The older file still starts, because a check remembers nothing. A check refuses whatever a
    // start refuses.
    line.starts(&line.second, "app.key").unwrap();
    line.home.write(FILE, &line.first);
    assert_eq!(check().unwrap_err().kind(), Kind::OldGeneration);
}
