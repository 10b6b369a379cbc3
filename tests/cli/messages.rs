//! What messages have in common: each says once what is wrong and where, what to do next, and is
//! written in one piece.

use crate::support::{Home, Ran};
use bootseal_cli::World;
use std::io::Write;

/// Command lines that fail, one for each kind of mistake.
const MISTAKES: [&[&str]; 47] = [
    &["frobnicate"],
    &["rm"],
    &["list", "--frob"],
    &["list", "extra", "words"],
    &["login"],
    &["propose", "acme.password"],
    &["import", "in.yaml"],
    &["import", "--from", "nothing", "in.yaml"],
    &["completions", "tcsh"],
    &["set", "acme.user", "--type", "date", "--plain", "1"],
    &["set", "acme.user", "--generate", "--plain", "1"],
    &["set", "acme.user", "hunter2"],
    &["set", "acme..user", "--plain", "1"],
    &["set", "acme.password", "--plain", "1"],
    &["set", "acme.user.name", "--plain", "1"],
    &["set", "acme.user"],
    &["access", "add", "bob"],
    &["access", "add", "bob", "age1xyz"],
    &["access", "remove", "bob"],
    &["access", "remove", "alice", "--yes"],
    &["access", "rename", "bob", "carl"],
    &["access", "pin", "missing.key"],
    &["get", "acme"],
    &["get", "acme.users.0"],
    &["get", "acme.users[7]"],
    &["get", "acme.passwrd"],
    &["get", "nothing"],
    &["get", ""],
    &["get", "acme.user", "-f", "missing.toml"],
    &["get", "acme.user", "-f", "."],
    &["get", "acme.user", "-f", "in.yaml"],
    &["get", "acme.user", "-f", "empty.toml"],
    &["get", "acme.user", "-f", "acme/missing/app.toml"],
    &["get", "acme.user", "-f", "broken.sealed.toml"],
    &["get", "acme.password", "-i", "missing.key"],
    &["get", "acme.password", "-i", "empty.toml"],
    &["get", "acme.password", "-i", "in.yaml"],
    &["get", "acme.password", "-i", "acme/missing/bob.key"],
    &["get", "acme.user", "--pin", "vault1xyz"],
    &["unset", "nothing"],
    &["rename", "acme.user", "acme.password"],
    &["seal", "missing.yaml"],
    &["seal", "in.yaml"],
    &["login", "acme"],
    &["profile", "acme", "--preset", "nothing"],
    &["vaults", "forget", "vault1xyz"],
    &["exec", "--", "no-such-program"],
];

fn home() -> Home {
    let home = Home::with_vault(
        "[acme]\npassword = \"secret:hunter2\"\nuser = \"bob\"\nusers = ['a', 'b']\n",
    );
    home.write("in.yaml", "a: 1\nb: [1\n");
    home.write("empty.toml", "");
    let broken = home.read("app.sealed.toml").replace("bob", "eve");
    home.write("broken.sealed.toml", broken);
    home.write("acme", "");
    home
}

#[test]
fn a_message_begins_with_the_programs_name_and_names_everything_once() {
    let home = home();
    for args in MISTAKES {
        let ran = home.command(args).env("BOOTSEAL_FILE", "app.sealed.toml").output().unwrap();
        let ran = Ran::from(ran);
        assert!(ran.code != 0 && !ran.err.is_empty(), "{args:?}");
        assert!(!ran.err.contains("(os error"), "{args:?}: {}", ran.err);
        assert!(!ran.err.contains("hunter2"), "{args:?}: {}", ran.err);
        let mut lines = ran.err.lines();
        let first = lines.next().unwrap();
        assert!(first.starts_with("bootseal: "), "{args:?}: {}", ran.err);
        assert!(!first.contains("error: "), "{args:?}: {}", ran.err);
        // Further lines say what to do, and a second record has the name again.
        for line in lines {
            let is_help = line.starts_with("  ") || line.starts_with("bootseal: ");
            assert!(is_help, "{args:?}: {}", ran.err);
        }
        for place in ["app.sealed.toml", "missing.key", "missing.yaml", "in.yaml", "acme/missing"] {
            let times = first.matches(place).count();
            assert!(times <= 1, "{args:?} names {place} {times} times: {first}");
        }
    }
}

#[test]
fn a_mistake_on_the_command_line_is_followed_by_the_usage_and_the_help_of_the_verb() {
    let home = home();
    for (args, expected) in [
        (
            &["login"][..],
            "bootseal: missing: <PROFILE>\n  Usage: bootseal login <PROFILE>\n  Help: bootseal login --help\n",
        ),
        (
            &["access", "frobnicate"],
            "bootseal: there is no such command\n  Usage: bootseal access [OPTIONS] <COMMAND>\n  Help: bootseal access --help\n",
        ),
        (
            &["lsit"],
            "bootseal: there is no such command. Did you mean 'list'?\n  Usage: bootseal [OPTIONS] <COMMAND>\n  Help: bootseal --help\n",
        ),
    ] {
        let ran = home.run(args);
        assert_eq!((ran.code, ran.err.as_str()), (2, expected), "{args:?}");
    }
}

#[test]
fn the_variable_that_names_a_missing_file_is_named() {
    let home = home();
    let ran = home.command(&["list"]).env("BOOTSEAL_FILE", "missing.toml").output().unwrap();
    let ran = Ran::from(ran);
    assert!(
        ran.err.starts_with("bootseal: BOOTSEAL_FILE: missing.toml: no such file\n"),
        "{}",
        ran.err
    );
    // The option beats the variable.
    let mut command = home.command(&["list", "-f", "other.toml"]);
    let ran = Ran::from(command.env("BOOTSEAL_FILE", "missing.toml").output().unwrap());
    assert!(ran.err.starts_with("bootseal: other.toml: no such file\n"), "{}", ran.err);
}

#[test]
fn a_number_after_an_array_leads_to_the_element() {
    let home = home();
    let ran = home.run(&["get", "acme.users.1", "-f", "app.sealed.toml"]);
    assert!(ran.err.contains("For one element: acme.users[1]"), "{}", ran.err);
    assert_eq!(home.ok(&["get", "acme.users[1]", "-f", "app.sealed.toml"]), "b");
}

#[test]
fn verify_says_that_a_file_is_older_than_one_seen_here() {
    let home = Home::with_vault("a = 1\n");
    let first = home.read("app.sealed.toml");
    home.ok(&["set", "b", "--plain", "2"]);
    let second = home.read("app.sealed.toml");
    assert!(!home.run(&["verify"]).err.contains("was seen"));
    home.write("app.sealed.toml", &first);
    let ran = home.run(&["verify"]);
    assert_eq!(ran.code, 0);
    let older = "bootseal: warning: app.sealed.toml is generation 1; generation 2 was seen here\n";
    assert!(ran.err.contains(older), "{}", ran.err);
    assert!(ran.out.contains("generation 1, 1 property, 1 sealed"), "{}", ran.out);

    home.write("app.sealed.toml", second);
    home.ok(&["rotate"]);
    home.write("app.sealed.toml", first);
    let ran = home.run(&["verify"]);
    assert!(ran.err.contains("is from before a new data key: it has epoch 1"), "{}", ran.err);
    // What the advice of a refused write names must not be refused for the same reason.
    let ran = home.run(&["set", "b", "--plain", "3"]);
    assert!(ran.code == 3 && !ran.err.contains("bootseal sign"), "{}", ran.err);
}

#[test]
fn resolve_and_keygen_take_the_usual_file_if_none_is_named() {
    let home = Home::with_vault("a = 1\n");
    let own = home.ok(&["keygen", "-y"]);
    assert!(own.starts_with("age1") && home.ok(&["access", "list"]).contains(own.trim()));
    let ran = home.run(&["resolve"]);
    assert!(!ran.err.contains("missing"), "{}", ran.err);
}

#[test]
fn an_advice_fits_what_is_wrong() {
    let home = home();
    home.write("note.txt", "not a proposal");
    for (args, expected) in [
        (
            &["seal", "app.sealed.toml"][..],
            "app.sealed.toml is a sealed file already\n  To change it: bootseal set",
        ),
        (&["accept", "note.txt"], "is not a proposal\n  bootseal propose makes one"),
        (&["init", "-f", "nowhere/x.sealed.toml"], "its folder does not exist"),
        (
            &["set", "seal.names", "--plain", "[\"x[\"]", "--type", "toml"],
            "A rule is a pattern as for --only",
        ),
    ] {
        let ran = home.command(args).env("BOOTSEAL_FILE", "app.sealed.toml").output().unwrap();
        let ran = Ran::from(ran);
        assert!(ran.code != 0 && ran.err.contains(expected), "{args:?}: {}", ran.err);
    }
}

/// Counts the writes of each record.
#[derive(Default)]
struct Records(Vec<String>);

impl Write for Records {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.push(String::from_utf8_lossy(bytes).into_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn each_record_is_written_in_one_piece() {
    let home = Home::with_vault("a = 1\n");
    let env = |name: &str| (name == "HOME").then(|| home.path().into());
    let file = home.at("app.sealed.toml");
    let file = file.to_str().unwrap();
    for args in [
        &["get", "nothing"][..],
        &["frobnicate"],
        &["--json", "get", "nothing"],
        &["set", "b", "--plain", "1", "-v"],
        &["verify", "--pin", "vault1xyz"],
    ] {
        let (mut input, mut out, mut records) = (std::io::empty(), Vec::new(), Records::default());
        let mut world = World { env: &env, ..World::new(&mut input, &mut out, &mut records) };
        bootseal_cli::run(["bootseal"].iter().chain(args).chain(&["-f", file]), &mut world);
        for record in &records.0 {
            let whole = record.starts_with("bootseal: ") || record.starts_with('{');
            assert!(whole && record.ends_with('\n'), "{args:?}: {:?}", records.0);
        }
        assert!(!records.0.is_empty() || args[0] == "set", "{args:?}");
    }
}
