//! A command killed at any moment leaves the old file or the new one, and nothing that blocks the
//! next command.

use crate::support::Home;
use crate::support::team::FILE;
use bootseal_core::{Identity, IdentityFile, SealedFile};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

const VALUES: usize = 300;
const KILLS: u32 = 200;
const MEMORY: &str = ".local/state/bootseal/known_vaults";
const SIGKILL: i32 = 9;

/// A command that changes the file, and its preparation. Each distinct way to write has a line.
struct Operation {
    args: &'static [&'static str],
    /// Prepares the command's input from the initial file; its result counts as the old file.
    prepare: fn(&Home),
    /// Whether the command gives the vault a new id.
    new_id: bool,
    /// A command that must work afterwards, on the old file and on the new one.
    next: &'static [&'static str],
}

const SET: &[&str] = &["set", "next", "--plain", "command"];

#[rustfmt::skip] // one operation a line
const OPERATIONS: &[Operation] = &[
    Operation { args: &["rotate"], prepare: |_| {}, new_id: false, next: SET },
    Operation { args: &["rotate", "--signing-key"], prepare: |_| {}, new_id: true, next: SET },
    Operation { args: &["access", "remove", "app", "--yes"], prepare: |_| {}, new_id: false, next: SET },
    Operation { args: &["access", "remove", "bob", "--yes"], prepare: |_| {}, new_id: true, next: SET },
    Operation { args: &["access", "add", "web", "--new-key", "web.key", "--yes"], prepare: forget_key, new_id: false, next: SET },
    Operation { args: SIGN, prepare: edit_by_hand, new_id: false, next: SIGN },
    Operation { args: MERGE, prepare: make_branches, new_id: false, next: SET },
];

const SIGN: &[&str] = &["sign", "--yes", "--against", "basis"];
/// As git calls the driver; here its output file is the sealed file itself.
const MERGE: &[&str] = &["git", "merge", "common", FILE, "theirs", FILE];

fn edit_by_hand(home: &Home) {
    let signed = home.read(FILE);
    home.write("basis", &signed);
    home.write(FILE, signed.replace("# readable", "# edited"));
}

/// Two branches of one version, each with its own new property; made once.
fn make_branches(home: &Home) {
    if !home.at("ours").exists() {
        let common = home.read(FILE);
        home.write("common", &common);
        for (name, property) in [("ours", "w.a"), ("theirs", "w.b")] {
            home.write(FILE, &common);
            home.ok(&["set", property, "--plain", name]);
            home.write(name, home.read(FILE));
        }
        for args in [
            &["init", "-q"][..],
            &[
                "-c",
                "user.name=a",
                "-c",
                "user.email=a@b",
                "commit",
                "-q",
                "--allow-empty",
                "-m",
                "empty",
            ],
        ] {
            let mut git = std::process::Command::new("git");
            assert!(
                git.args(args)
                    .current_dir(home.path())
                    .env("HOME", home.path())
                    .status()
                    .unwrap()
                    .success()
            );
        }
    }
    home.write(FILE, home.read("ours"));
}

fn forget_key(home: &Home) {
    let _ = std::fs::remove_file(home.at("web.key"));
}

fn value(at: usize) -> String {
    format!("value {at} {}", "x".repeat(at % 100))
}

fn vault() -> Home {
    let values = (0..VALUES).map(|at| format!("v{at} = \"secret:{}\"\n", value(at)));
    let home = Home::with_vault(&format!("# readable\n{}", values.collect::<String>()));
    home.ok(&["access", "add", "bob", "--new-key", "bob.key", "--writer", "--yes"]);
    home.ok(&["access", "add", "app", "--new-key", "app.key", "--yes"]);
    home
}

/// Checks that the file verifies, opens for the writer and has every value. Returns its generation,
/// and whether the vault is still `id`.
fn whole(home: &Home, alice: &[Identity], id: &str) -> (u64, bool) {
    let file = SealedFile::read(&home.at(FILE)).unwrap().verify(&[id.parse().unwrap()]).unwrap();
    let generation = file.generation();
    let writer = file.open_for_writing(alice).unwrap();
    writer.check_key_blocks(alice).unwrap();
    let values = writer.open_all().unwrap();
    assert_eq!(values.len(), VALUES);
    for (at, (name, opened)) in values.iter().enumerate() {
        assert_eq!(name.to_string(), format!("v{at}"));
        assert!(opened.secret.expose(|bytes| bytes == value(at).as_bytes()), "{name}");
    }
    (generation, writer.file().vault_id().to_string() == id)
}

/// The number of temporary files of killed commands, each checked to be sealed like the file.
fn leftovers(home: &Home) -> usize {
    let files = [".", ".local/state/bootseal"]
        .into_iter()
        .flat_map(|folder| home.at(folder).read_dir().unwrap());
    let left = files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "tmp"));
    left.inspect(|path| {
        assert!(!std::fs::read_to_string(path).unwrap().contains("value "), "{path:?}")
    })
    .count()
}

/// A random number from 0 to 1.
fn random() -> f64 {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).unwrap();
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

#[test]
fn a_command_that_is_killed_leaves_the_old_file_or_the_new_one() {
    let home = vault();
    let alice = IdentityFile::read(&home.at(".config/bootseal/identity.txt")).unwrap().identities;
    let (first, memory, id) = (home.read(FILE), home.read(MEMORY), home.vault_id());
    let (generation, _) = whole(&home, &alice, &id);
    // The initial file; leftovers of killed commands stay beside it.
    let restore = || {
        home.write(FILE, &first);
        home.write(MEMORY, &memory);
    };
    let (mut killed, mut renamed) = (0, 0);
    for (number, operation) in OPERATIONS.iter().enumerate() {
        // The duration of an undisturbed run, so that the kills fall inside it.
        let start = |home: &Home| {
            home.command(operation.args)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        };
        let mut length = Duration::ZERO;
        for _ in 0..3 {
            restore();
            (operation.prepare)(&home);
            let began = Instant::now();
            assert!(start(&home).wait().unwrap().success(), "{:?}", operation.args);
            length = length.max(began.elapsed());
        }
        let share = OPERATIONS.len() as u32;
        let kills = KILLS / share + u32::from((number as u32) < KILLS % share);
        for kill in 0..kills {
            restore();
            (operation.prepare)(&home);
            let old = home.read(FILE);
            let mut child = start(&home);
            // Every other kill falls into the last part, where the file is written. The sleep
            // chooses the moment of the kill; it waits for nothing.
            let from = if kill % 2 == 0 { 0.0 } else { 0.7 };
            std::thread::sleep(length.mul_f64(from + (1.0 - from) * random()));
            child.kill().unwrap();
            let died = child.wait().unwrap().signal() == Some(SIGKILL);
            killed += u32::from(died);
            let changed = home.read(FILE) != old;
            if changed {
                renamed += u32::from(died);
                let (now, same_id) = whole(&home, &alice, &id);
                assert!(
                    now > generation && same_id != operation.new_id,
                    "{:?}: generation {now}",
                    operation.args
                );
            }
            // Load on this machine changes the duration, so the estimate follows it.
            length = length.mul_f64(if changed { 0.9 } else { 1.03 });
            // No stale lock blocks the next command, and the known-vaults file is not truncated.
            let ran = home.run(operation.next);
            assert_eq!(ran.code, 0, "after {:?}: {}", operation.args, ran.err);
        }
    }
    let left = leftovers(&home);
    println!(
        "{killed} of {KILLS} were killed before they had ended, {renamed} of them with the new file in place; {left} temporary files were left"
    );
    assert!(killed > 0 && renamed < killed, "{killed} killed, {renamed} of them after the rename");
    // A complete run from the start, beside all leftovers.
    restore();
    home.ok(&["rotate", "--signing-key"]);
    home.ok(&["access", "remove", "app", "--yes"]);
    home.ok(&["verify"]);
    assert_eq!(leftovers(&home), left);
}

/// Starts a command `kills` times and kills it at a random moment of its usual duration. `restore`
/// prepares each run, and `check` examines what is left.
fn kill_often(
    home: &Home,
    kills: u32,
    args: impl Fn(u32) -> Vec<&'static str>,
    restore: impl Fn(u32),
    check: impl Fn(u32),
) {
    let start = |number| {
        home.command(&args(number)).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    restore(0);
    let began = Instant::now();
    assert!(start(0).wait().unwrap().success(), "{:?}", args(0));
    let mut length = began.elapsed();
    let mut killed = 0;
    for number in 0..kills {
        restore(number);
        let mut child = start(number);
        // The sleep chooses the moment of the kill; it waits for nothing.
        let from = if number % 2 == 0 { 0.0 } else { 0.7 };
        std::thread::sleep(length.mul_f64(from + (1.0 - from) * random()));
        child.kill().unwrap();
        let died = child.wait().unwrap().signal() == Some(SIGKILL);
        killed += u32::from(died);
        check(number);
        length = length.mul_f64(if died { 1.03 } else { 0.9 });
    }
    println!("{killed} of {kills} runs of {:?} were killed before they had ended", args(0));
    assert!(killed > 0);
}

/// The files of a home that contain a private key.
fn with_private_key(home: &Home) -> Vec<std::path::PathBuf> {
    let private = |text: &[u8]| text.windows(15).any(|part| part == b"AGE-SECRET-KEY-");
    home.files().into_iter().filter(|(_, text)| private(text)).map(|(path, _)| path).collect()
}

#[test]
fn a_killed_access_pin_leaves_no_second_copy_of_the_key_and_a_readable_key_file() {
    let home = Home::with_vault("a = \"secret:1\"\n");
    home.ok(&["access", "add", "web", "--new-key", "web.key", "--yes"]);
    home.ok(&["init", "-f", "other.sealed.toml"]);
    let pinned = home.read("web.key");
    let recipient = IdentityFile::read(&home.at("web.key")).unwrap().identities[0].recipient();
    let bare: String =
        pinned.lines().filter(|line| !line.starts_with("# vault:")).collect::<Vec<_>>().join("\n");
    let others = with_private_key(&home);
    assert_eq!(others.len(), 2, "{others:?}"); // web.key, and the writer's own
    kill_often(
        &home,
        KILLS,
        |number| {
            vec![
                "access",
                "pin",
                "web.key",
                "-f",
                if number % 3 == 0 { FILE } else { "other.sealed.toml" },
            ]
        },
        // A key file without a pin now and then, to which a line is added.
        |number| {
            if number % 4 == 0 {
                std::fs::write(home.at("web.key"), &bare).unwrap()
            }
        },
        |number| {
            let file = IdentityFile::read(&home.at("web.key")).unwrap();
            assert_eq!(file.identities[0].recipient(), recipient);
            assert!(number % 4 == 0 || file.pins.len() <= 2);
            assert_eq!(with_private_key(&home), others);
            let mode = std::os::unix::fs::PermissionsExt::mode(
                &home.at("web.key").metadata().unwrap().permissions(),
            );
            assert_eq!(mode & 0o777, 0o600);
        },
    );
    home.ok(&["access", "pin", "web.key", "-f", FILE]);
    assert_eq!(IdentityFile::read(&home.at("web.key")).unwrap().pins.len(), 1);
    assert_eq!(leftovers(&home), 0);
}

#[test]
fn a_killed_keygen_leaves_a_complete_key_file_or_none() {
    let home = Home::new();
    home.ok(&["keygen"]);
    kill_often(
        &home,
        KILLS,
        |_| vec!["keygen", "-o", "new.key"],
        |_| drop(std::fs::remove_file(home.at("new.key"))),
        |_| {
            let left: Vec<_> = with_private_key(&home);
            let there = home.at("new.key").exists();
            assert_eq!(left.len(), 1 + usize::from(there), "{left:?}");
            if there {
                assert_eq!(IdentityFile::read(&home.at("new.key")).unwrap().identities.len(), 1);
            }
            assert_eq!(home.path().read_dir().unwrap().count(), 1 + usize::from(there));
        },
    );
}
