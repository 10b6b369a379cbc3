//! A passphrase opens a vault as a key does, for people and services. It is never shown, guessed or
//! used as a value.

use crate::support;
use crate::support::{Home, Ran, at_a_terminal, root};
use bootseal::{Kind, Loader};
use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The passphrase has a composed letter, and is never printed.
const GLASS: &str = "gr\u{fc}n wie sieben Hügel";
const WEB: &str = "quay ladder ember fossil";

/// A vault of alice with two passphrase entries: the reader `web1` and the writer `break-glass`.
fn vault() -> Home {
    let home = Home::with_vault("[acme]\npassword = \"secret:hunter2\"\n");
    add(&home, &["break-glass", "--writer"], GLASS);
    add(&home, &["web1"], WEB);
    home
}

/// The same on a machine without a key; the vault is still known.
fn without_a_key() -> Home {
    let home = vault();
    std::fs::rename(home.at(".config/bootseal/identity.txt"), home.at("alice.key")).unwrap();
    home
}

fn add(home: &Home, who: &[&str], passphrase: &str) {
    let args = ["access", "add", "--passphrase", "--small", "--passphrase-fd", "0", "--yes"];
    quiet(home.run_with(&[&args, who].concat(), passphrase.as_bytes()));
}

fn with(home: &Home, args: &[&str], passphrase: &str) -> Ran {
    unseen(home.run_with(&[args, &["--passphrase-fd", "0"]].concat(), passphrase.as_bytes()))
}

fn quiet(ran: Ran) -> String {
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.out
}

/// Checks that no passphrase was printed.
fn unseen(ran: Ran) -> Ran {
    for secret in [GLASS, WEB, "Hügel", "fossil"] {
        assert!(!ran.out.contains(secret) && !ran.err.contains(secret), "{ran:?}");
    }
    ran
}

/// Runs a shell line that opens descriptors for the binary: `"$BOOTSEAL" get …`.
fn shell(home: &Home, line: &str) -> Ran {
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(home.path()).env_clear().env("HOME", home.path());
    command
        .env("BOOTSEAL", env!("CARGO_BIN_EXE_bootseal"))
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::null());
    unseen(command.output().unwrap().into())
}

fn entry(home: &Home, name: &str) -> String {
    let text = home.read("app.sealed.toml");
    text.lines().find(|line| line.contains(&format!("\"{name}\""))).unwrap().to_owned()
}

#[test]
fn a_passphrase_entry_has_the_chosen_cost_profile_and_its_own_salt() {
    let home = vault();
    let args = ["access", "add", "bob", "--passphrase", "--passphrase-fd", "0", "--yes"];
    let ran = unseen(home.run_with(&args, WEB.as_bytes()));
    assert_eq!(ran.code, 0, "{}", ran.err);
    let salt = |name: &str, profile: &str| {
        let line = entry(&home, name);
        let salt = line
            .split_once(&format!("passphrase = \"{profile}:"))
            .unwrap_or_else(|| panic!("{line}"))
            .1;
        salt.split_once('"').unwrap().0.to_owned()
    };
    // web1 and bob have the same passphrase.
    assert_ne!(salt("web1", "argon2id-1s"), salt("bob", "argon2id-1"));
    let listed = home.ok(&["access", "list"]);
    assert!(
        listed.lines().find(|line| line.starts_with("bob")).unwrap().ends_with("  by passphrase"),
        "{listed}"
    );
    let listed: serde_json::Value =
        serde_json::from_str(&home.ok(&["access", "list", "--json"])).unwrap();
    let flags: Vec<&serde_json::Value> =
        listed["access"].as_array().unwrap().iter().map(|row| &row["passphrase"]).collect();
    assert_eq!(flags, [false, true, true, true]);
    // Other entries and comments are kept by later changes.
    let before = entry(&home, "web1");
    home.ok(&["access", "add", "web2", "--new-key", "web2.key", "--yes"]);
    assert_eq!(entry(&home, "web1"), before);
    // The entry that needs 256 MiB opens too.
    assert_eq!(quiet(with(&home, &["get", "acme.password", "-i", "web2.key"], WEB)), "hunter2");
}

#[test]
fn a_passphrase_opens_in_every_unicode_form() {
    let home = without_a_key();
    for same in [GLASS, "gru\u{308}n wie sieben Hu\u{308}gel", &format!("{GLASS}\n")] {
        assert_eq!(quiet(with(&home, &["get", "acme.password"], same)), "hunter2", "{same:?}");
    }
    for other in ["grün wie sieben hügel", &format!("{GLASS}\n\n"), &format!("{GLASS} "), "x"] {
        let ran = with(&home, &["get", "acme.password"], other);
        assert_eq!((ran.code, ran.out.as_str()), (4, ""), "{other:?}");
        assert!(
            ran.err.contains("app.sealed.toml: wrong passphrase for break-glass, web1"),
            "{}",
            ran.err
        );
    }
    let ran = with(&home, &["get", "acme.password", "--json"], "x");
    let error: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!(error["error"]["kind"], "wrong-passphrase");
    let ran = with(&home, &["get", "acme.password"], "");
    assert!(ran.code == 4 && ran.err.contains("the passphrase is empty"), "{}", ran.err);
    let ran = unseen(home.run_with(&["get", "acme.password", "--passphrase-fd", "0"], b"gr\xfcn"));
    assert!(ran.code == 2 && ran.err.contains("not UTF-8"), "{}", ran.err);
    let ran = with(&home, &["get", "acme.password"], &"x".repeat(5000));
    assert!(ran.code == 2 && ran.err.contains("4 KiB"), "{}", ran.err);
}

#[test]
fn a_writers_passphrase_can_write_and_a_readers_cannot() {
    let home = without_a_key();
    home.write("glass", GLASS);
    home.write("web", WEB);
    let set = "printf hunter3 | \"$BOOTSEAL\" set acme.password --passphrase-fd 3";
    let ran = shell(&home, &format!("{set} 3< web"));
    assert!(ran.code == 4 && ran.err.contains("can read, but not write"), "{}", ran.err);
    quiet(shell(&home, &format!("{set} 3< glass")));
    assert_eq!(
        quiet(shell(&home, "\"$BOOTSEAL\" get acme.password --passphrase-fd 7 7< web")),
        "hunter3"
    );
    // When a passphrase entry is added, the descriptor carries the new passphrase, so here the
    // writer opens with a key.
    quiet(shell(
        &home,
        "\"$BOOTSEAL\" access add bob --new-key bob.key --yes --passphrase-fd 3 3< glass",
    ));
    assert_eq!(home.ok(&["get", "acme.password", "-i", "bob.key"]), "hunter3");
}

#[test]
fn a_passphrase_on_stdin_is_never_used_as_a_value() {
    let home = vault();
    let none = Home::with_vault("[acme]\npassword = \"secret:hunter2\"\n");
    for (home, args) in [
        (&home, ["set", "acme.password"].as_slice()),
        (&none, &["set", "acme.password"]),
        (&none, &["set", "acme.password", "-"]),
        (&none, &["get", "acme.password", "-i", "-"]),
        (&none, &["seal", "-", "--format", "toml", "-o", "x.sealed.toml"]),
        (&none, &["access", "add", "bob", "--passphrase", "-i", "-", "--yes"]),
    ] {
        let ran = with(home, args, GLASS);
        assert!(ran.code == 2 && ran.err.contains("stdin cannot be both"), "{args:?}: {}", ran.err);
    }
    assert_eq!(none.ok(&["get", "acme.password"]), "hunter2");
    let ran = shell(&home, "\"$BOOTSEAL\" get acme.password --passphrase-fd 9");
    assert!(
        ran.code == 1 && ran.err.contains("descriptor 9 cannot be read") && ran.err.contains("9<"),
        "{}",
        ran.err
    );
}

#[test]
fn a_bad_passphrase_is_refused_or_causes_a_warning() {
    let home = vault();
    let before = home.read("app.sealed.toml");
    let args = ["access", "add", "bob", "--passphrase", "--small", "--yes"];
    for (passphrase, words) in [("", "empty"), ("\n", "empty"), ("two\nlines", "cannot be typed")] {
        let ran = with(&home, &args, passphrase);
        assert!(ran.code == 2 && ran.err.contains(words), "{passphrase:?}: {}", ran.err);
    }
    for (args, code, words) in [
        (
            ["access", "add", "web1", "--passphrase", "--yes"].as_slice(),
            1,
            "web1 (reader) is in access already",
        ),
        (&["access", "add", "two words", "--passphrase", "--yes"], 2, "is not a valid name"),
        (&["access", "add", "bob", "--small", "--new-key", "x", "--yes"], 2, "cannot be used"),
        (&["access", "add", "bob", "--passphrase", "--new-key", "x", "--yes"], 2, "cannot be used"),
        (&["access", "add", "bob", "--passphrase"], 2, "--yes"),
    ] {
        let ran = with(&home, args, "long enough to be one");
        assert!(ran.code == code && ran.err.contains(words), "{args:?}: {} {}", ran.code, ran.err);
    }
    let ran = home.run(&args);
    assert!(
        ran.code == 2 && ran.err.contains("no terminal") && ran.err.contains("--passphrase-fd"),
        "{}",
        ran.err
    );
    assert_eq!(home.read("app.sealed.toml"), before);
    // A writer's short passphrase would let anyone sign; a reader's causes a warning.
    let ran = with(&home, &[&args[..], &["--writer"]].concat(), "elf letters");
    assert!(ran.code == 2 && ran.err.contains("fewer than 12 characters"), "{}", ran.err);
    assert_eq!(home.read("app.sealed.toml"), before);
    let ran = with(&home, &args, "elf letters");
    assert!(
        ran.code == 0 && ran.err.contains("warning: the passphrase has fewer than 12 characters"),
        "{}",
        ran.err
    );
    assert!(
        !home
            .run_with(
                &[
                    "access",
                    "add",
                    "eve",
                    "--passphrase",
                    "--small",
                    "--yes",
                    "--passphrase-fd",
                    "0"
                ],
                "zwölf Zeichen".as_bytes()
            )
            .err
            .contains("warning")
    );
}

#[test]
fn commands_that_only_look_ask_for_no_passphrase_but_try_a_given_one() {
    let home = without_a_key();
    for (args, without, given) in [
        (["list"].as_slice(), "acme.password  sealed\n", "acme.password  sealed    2"),
        (&["verify"], "values not opened", "every value opens (reader)"),
        (&["access", "list"], "by passphrase", "by passphrase"),
    ] {
        assert!(home.ok(args).contains(without), "{args:?}");
        assert!(quiet(with(&home, args, WEB)).contains(given), "{args:?}");
    }
    assert!(quiet(with(&home, &["verify"], GLASS)).contains("every value opens (writer)"));
    assert_eq!(with(&home, &["verify"], "not that one").code, 4);
    // Several files with different salts open with a passphrase that is read once.
    std::fs::copy(home.at("app.sealed.toml"), home.at("other.sealed.toml")).unwrap();
    let said = quiet(with(&home, &["verify", "app.sealed.toml", "other.sealed.toml"], WEB));
    assert_eq!(said.matches("every value opens (reader)").count(), 2, "{said}");
    std::fs::remove_file(home.at("other.sealed.toml")).unwrap();
    // A given passphrase is also checked if the user's own key opens the file.
    assert_eq!(with(&home, &["verify", "-i", "alice.key"], "not that one").code, 4);
    // Without a terminal and a passphrase, the error names the entries that have one.
    let ran = home.run(&["get", "acme.password"]);
    assert!(
        ran.code == 4 && ran.err.contains("By passphrase: break-glass, web1 (--passphrase-fd)"),
        "{}",
        ran.err
    );
}

#[test]
fn no_passphrase_is_read_for_a_file_that_is_not_authentic() {
    let home = without_a_key();
    home.write("app.sealed.toml", home.read("app.sealed.toml").replace("[acme]", "[acne]"));
    // The passphrase is not even read: descriptor 9 is not open.
    let ran = shell(&home, "\"$BOOTSEAL\" get acme.password --passphrase-fd 9");
    assert!(ran.code == 3, "{}", ran.err);
}

#[test]
fn too_little_memory_is_an_error_with_a_remedy() {
    let home = vault();
    let args = ["access", "add", "bob", "--passphrase", "--passphrase-fd", "0", "--yes"];
    quiet(home.run_with(&args, b"a passphrase of 256 MiB"));
    home.write("bob", "a passphrase of 256 MiB");
    std::fs::remove_file(home.at(".config/bootseal/identity.txt")).unwrap();
    let ran = shell(
        &home,
        "ulimit -v 220000; exec \"$BOOTSEAL\" get acme.password --passphrase-fd 3 3< bob",
    );
    assert!(ran.code == 1 && ran.err.contains("argon2id-1 needs 256 MiB of memory"), "{ran:?}");
    assert!(ran.err.contains("access add NAME --new-key"), "{}", ran.err);
}

#[test]
fn at_a_terminal_the_passphrase_is_asked_for_without_echo() {
    let home = Home::with_vault("[acme]\npassword = \"secret:hunter2\"\n");
    let typed = format!("{GLASS}\n");
    let add = ["access", "add", "break-glass", "--passphrase", "--small", "--writer"];
    let answers = [("Passphrase of break-glass: ", typed.as_str()), ("again: ", "another\n")];
    let three_times = answers.repeat(3);
    let Some((code, seen, echo)) = at_a_terminal(&home, &add, &three_times) else { return };
    assert!(
        code == 2 && seen.contains("the two inputs differ") && echo == "echo",
        "{code}: {seen}"
    );
    let answers =
        [("Passphrase of break-glass: ", typed.as_str()), ("again: ", &typed), ("[y/N] ", "y\n")];
    let (code, seen, _) = at_a_terminal(&home, &add, &answers).unwrap();
    assert!(code == 0 && !seen.contains(GLASS), "{code}: {seen}");
    assert!(
        seen.contains("break-glass  writer  age1") && seen.contains("  by passphrase\n"),
        "{seen}"
    );
    assert!(seen.contains("Add break-glass as a writer? [y/N]"), "{seen}");

    // Alice's own key opens the file: there is no prompt.
    let (code, seen, _) = at_a_terminal(&home, &["get", "acme.password"], &[]).unwrap();
    assert_eq!((code, seen.as_str()), (0, "hunter2\n"));
    std::fs::remove_file(home.at(".config/bootseal/identity.txt")).unwrap();
    for args in [["list"].as_slice(), &["verify"], &["access", "list"]] {
        let (code, seen, _) = at_a_terminal(&home, args, &[]).unwrap();
        assert!(code == 0 && !seen.contains("Passphrase"), "{args:?}: {seen}");
    }
    let ask = "Passphrase of break-glass: ";
    let (code, seen, echo) =
        at_a_terminal(&home, &["get", "acme.password"], &[(ask, &typed)]).unwrap();
    // On a busy machine the derivation may show its progress line, which is erased again.
    let left: Vec<&str> =
        seen.lines().map(|line| line.rsplit("\r\u{1b}[K").next().unwrap()).collect();
    assert_eq!(
        (code, left, echo.as_str()),
        (0, vec!["Passphrase of break-glass: ", "hunter2"], "echo")
    );
    assert!(!seen.contains(GLASS), "{seen:?}");
    let (code, seen, _) =
        at_a_terminal(&home, &["get", "acme.password"], &[(ask, "a guess\n")]).unwrap();
    assert!(
        code == 4 && seen.contains("wrong passphrase for break-glass") && !seen.contains("a guess"),
        "{seen}"
    );
    let (code, seen, echo) =
        at_a_terminal(&home, &["get", "acme.password"], &[(ask, "\u{3}")]).unwrap();
    assert!(code == 130 && echo == "echo", "{code}: {seen}");
}

#[test]
fn with_several_passphrases_the_name_is_asked_for_and_writing_needs_a_writers() {
    let home = without_a_key();
    let whose = "Whose passphrase (break-glass, web1)? ";
    let web = format!("{WEB}\n");
    let answers = [(whose, "web1\n"), ("Passphrase of web1: ", web.as_str())];
    let Some((code, seen, _)) = at_a_terminal(&home, &["get", "acme.password"], &answers) else {
        return;
    };
    assert!(code == 0 && seen.ends_with("\nhunter2\n"), "{code}: {seen}");
    let (code, seen, _) =
        at_a_terminal(&home, &["get", "acme.password"], &[(whose, "alice\n")]).unwrap();
    assert!(
        code == 2 && seen.contains("The possible names are: break-glass, web1"),
        "{code}: {seen}"
    );
    // A reader's passphrase is not enough.
    let glass = format!("{GLASS}\n");
    let answers = [
        ("Passphrase of break-glass: ", glass.as_str()),
        ("password: ", "s3\n"),
        ("again: ", "s3\n"),
    ];
    let (code, seen, _) = at_a_terminal(&home, &["set", "acme.password"], &answers).unwrap();
    assert!(code == 0 && !seen.contains("Whose"), "{code}: {seen}");
    assert_eq!(home.ok(&["get", "acme.password", "-i", "alice.key"]), "s3");
}

#[test]
fn stock_age_opens_the_block_with_an_identity_derived_by_another_program() {
    let home = vault();
    let python = std::env::var_os("BOOTSEAL_TEST_PYTHON")
        .map_or_else(|| root().join("target/python/bin/python"), PathBuf::from);
    let entry = entry(&home, "break-glass");
    let how = entry.split_once("passphrase = \"").unwrap().1.split_once('"').unwrap().0;
    let derive = "import base64, sys\nsys.path.insert(0, sys.argv[1])\nimport format1\n\
                  profile, _, salt = sys.argv[2].partition(':')\n\
                  key = format1.passphrase_identity(sys.stdin.read(), profile, base64.urlsafe_b64decode(salt + '=='))\n\
                  print(format1.age_identity(key))";
    let mut child = Command::new(&python)
        .args(["-c", derive, root().join("tests/vectors").to_str().unwrap(), how])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; scripts/test makes it", python.display()));
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), GLASS.as_bytes()).unwrap();
    home.write("derived.key", child.wait_with_output().unwrap().stdout);
    let text = home.read("app.sealed.toml");
    for (key, bytes) in [("read_key", 32), ("write_key", 64)] {
        let block = text
            .split_once(&format!("{key} = \"\"\"\n"))
            .unwrap()
            .1
            .split_once("\n\"\"\"")
            .unwrap()
            .0;
        home.write("block", format!("{block}\n"));
        let opened = Command::new("age")
            .args(["-d", "-i", "derived.key", "block"])
            .current_dir(home.path())
            .output();
        let opened = opened.unwrap_or_else(|error| {
            panic!("age: {error}; scripts/test installs what the tests need")
        });
        assert_eq!(
            opened.stdout.len(),
            bytes,
            "{key}: {}",
            String::from_utf8_lossy(&opened.stderr)
        );
    }
}

// The loader

/// A loader with a credential folder that contains this passphrase with this mode.
fn host(home: &Home, passphrase: &str, mode: u32) -> Loader {
    std::fs::create_dir_all(home.at("credentials")).unwrap();
    home.write("credentials/bootseal.passphrase", passphrase);
    let permissions = PermissionsExt::from_mode(mode);
    std::fs::set_permissions(home.at("credentials/bootseal.passphrase"), permissions).unwrap();
    let variables: HashMap<String, OsString> = [
        ("CREDENTIALS_DIRECTORY".into(), home.at("credentials").into()),
        ("BOOTSEAL_PIN".into(), home.vault_id().into()),
    ]
    .into();
    Loader::exactly(home.at("app.sealed.toml")).environment(variables)
}

#[test]
fn a_service_opens_with_the_passphrase_in_its_credentials() {
    let home = vault();
    let vault = host(&home, &format!("{WEB}\n"), 0o400).load().unwrap();
    assert!(vault.secret("acme.password").unwrap().expose(|bytes| bytes == b"hunter2"));
    // A key beside it has priority, even if the passphrase is wrong.
    home.ok(&["access", "add", "app", "--new-key", "app.key", "--yes"]);
    std::fs::rename(home.at("app.key"), home.at("credentials/bootseal.key")).unwrap();
    host(&home, "not that one", 0o400).load().unwrap();
    // A key that opens nothing is skipped.
    home.ok(&["keygen", "-o", "credentials/stranger.key"]);
    std::fs::rename(home.at("credentials/stranger.key"), home.at("credentials/bootseal.key"))
        .unwrap();
    host(&home, WEB, 0o400).load().unwrap();
}

#[test]
fn the_loaders_error_names_the_fault_of_the_passphrase() {
    let home = vault();
    let place = "$CREDENTIALS_DIRECTORY/bootseal.passphrase";
    for (passphrase, mode, words) in [
        ("not that one", 0o400, "(wrong passphrase for break-glass, web1)"),
        ("", 0o400, "(the passphrase is empty)"),
        (WEB, 0o444, "(others can read this key file (mode 0444))"),
        (WEB, 0o620, "(others can write this key file (mode 0620))"),
    ] {
        let error = host(&home, passphrase, mode).load().unwrap_err();
        assert_eq!(error.kind(), Kind::NoIdentity);
        assert!(error.to_string().contains(&format!("{place} {words}")), "{error}");
        assert!(
            error.to_string().contains("It can be opened by: alice, break-glass (writers), web1."),
            "{error}"
        );
        std::fs::remove_file(home.at("credentials/bootseal.passphrase")).unwrap();
    }
    let none = Home::with_vault("a = \"secret:b\"\n");
    let error = host(&none, WEB, 0o400).load().unwrap_err();
    assert!(
        error
            .to_string()
            .contains(&format!("{place} (a passphrase was given, but no entry in access")),
        "{error}"
    );
}

#[test]
fn a_passphrase_set_in_code_is_used_or_is_an_error() {
    let home = vault();
    let loader = |passphrase: &str| {
        let loader = Loader::exactly(home.at("app.sealed.toml")).environment(HashMap::new());
        loader.passphrase(bootseal::Secret::copy_of(passphrase.as_bytes()).unwrap())
    };
    loader(GLASS).pin(&home.vault_id()).unwrap().load().unwrap();
    let error = loader("x").pin(&home.vault_id()).unwrap().load().unwrap_err();
    assert_eq!((error.kind(), error.exit_code()), (Kind::WrongPassphrase, 4));
    // A passphrase carries no pin.
    assert_eq!(loader(GLASS).load().unwrap_err().kind(), Kind::WrongVault);
    loader(GLASS).allow_unpinned().load().unwrap();
    let foreign = Home::with_vault("a = \"secret:b\"\n").vault_id();
    assert_eq!(loader(GLASS).pin(&foreign).unwrap().load().unwrap_err().kind(), Kind::WrongVault);
}

// An identity locked by a passphrase

/// `keygen --passphrase`: the file names its recipient and opens with the passphrase, in age too.
#[test]
fn a_passphrase_locked_identity_works_in_every_command() {
    let home = Home::new();
    home.write("glass", "four words are better\n");
    let made = shell(&home, "\"$BOOTSEAL\" keygen --passphrase --passphrase-fd 3 3< glass");
    assert_eq!(made.code, 0, "{}", made.err);
    let (own, recipient) = (".config/bootseal/identity.txt", made.out.trim());
    let text = home.read(own);
    assert!(
        text.starts_with(&format!(
            "# public key: {recipient}\n-----BEGIN AGE ENCRYPTED FILE-----\n"
        )),
        "{text}"
    );
    assert!(!text.contains("AGE-SECRET-KEY"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(home.at(own)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // The recipient is known without the passphrase: a vault is made and listed without a prompt.
    assert_eq!(home.ok(&["keygen", "-y", own]).trim(), recipient);
    home.ok(&["init"]);
    assert_eq!(home.ok(&["list"]), "");
    // Writing needs the passphrase.
    let ran = home.run_with(&["set", "acme.password"], b"hunter2");
    assert!(ran.code == 2 && ran.err.contains("--passphrase-fd"), "{}", ran.err);
    quiet(shell(
        &home,
        "printf hunter2 | \"$BOOTSEAL\" set acme.password --passphrase-fd 3 3< glass",
    ));
    assert_eq!(
        quiet(shell(&home, "\"$BOOTSEAL\" get acme.password --passphrase-fd 3 3< glass")),
        "hunter2"
    );
    home.write("wrong", "three words are worse\n");
    let ran = shell(&home, "\"$BOOTSEAL\" get acme.password --passphrase-fd 3 3< wrong");
    assert!(
        ran.code == 4 && ran.err.contains(&format!("wrong passphrase for {recipient}")),
        "{}",
        ran.err
    );
    // The pin is added below the locked part, which stays as it is, and the identity still opens.
    home.ok(&["access", "pin", own]);
    let pinned = home.read(own);
    assert!(pinned.starts_with(&text) && pinned[text.len()..].starts_with("# vault: vault1"));
    assert_eq!(
        quiet(shell(&home, "\"$BOOTSEAL\" get acme.password --passphrase-fd 3 3< glass")),
        "hunter2"
    );
    // At a terminal the passphrase is asked for once, and twice when it is set.
    let asked = [("Passphrase of the identity of alice: ", "four words are better\n")];
    let (code, seen, echo) = at_a_terminal(&home, &["get", "acme.password"], &asked).unwrap();
    assert!(
        code == 0 && seen.contains("hunter2") && !seen.contains("four words") && echo == "echo",
        "{seen}"
    );
    let differ = [
        ("Passphrase of other: ", "four words are better\n"),
        ("again: ", "four words are worse\n"),
    ];
    let (code, seen, _) =
        at_a_terminal(&home, &["keygen", "--passphrase", "-o", "other"], &differ).unwrap();
    assert!(code == 2 && seen.contains("differ") && !home.at("other").exists(), "{seen}");
    let twice = [("Passphrase of other: ", "short one\n"), ("again: ", "short one\n")];
    let (code, seen, _) =
        at_a_terminal(&home, &["keygen", "--passphrase", "-o", "other"], &twice).unwrap();
    assert!(
        code == 0 && seen.contains("fewer than 12 characters") && home.at("other").exists(),
        "{seen}"
    );
    // Without a terminal no file is created or renamed.
    let ran = home.run(&["keygen", "--passphrase", "--force"]);
    assert!(
        ran.code == 2 && ran.err.contains("--passphrase-fd") && home.read(own).contains(recipient),
        "{}",
        ran.err
    );
    for empty in ["", "\n"] {
        home.write("nothing", empty);
        let ran =
            shell(&home, "\"$BOOTSEAL\" keygen --passphrase --force --passphrase-fd 3 3< nothing");
        assert!(
            ran.code == 2 && ran.err.contains("empty") && home.read(own).contains(recipient),
            "{}",
            ran.err
        );
    }
}

#[test]
fn a_locked_identity_must_match_the_recipient_above_it() {
    let home = Home::new();
    home.write("glass", "four words are better\n");
    quiet(shell(&home, "\"$BOOTSEAL\" keygen --passphrase -o locked --passphrase-fd 3 3< glass"));
    home.ok(&["keygen", "-o", "other"]);
    let (locked, other) = (home.read("locked"), home.ok(&["keygen", "-y", "other"]));
    let own = home.ok(&["keygen", "-y", "locked"]);
    home.ok(&[
        "init",
        "--writer",
        &format!("a={}", own.trim()),
        "--writer",
        &format!("b={}", other.trim()),
    ]);
    quiet(shell(&home, "printf x | \"$BOOTSEAL\" set a.b -i other"));
    // Beside passphrase entries of the vault.
    let add = [
        "access",
        "add",
        "c",
        "--passphrase",
        "--small",
        "--passphrase-fd",
        "0",
        "--yes",
        "-i",
        "other",
    ];
    home.ok_with(&add, WEB.as_bytes());
    assert_eq!(
        quiet(shell(&home, "\"$BOOTSEAL\" get a.b -i locked --passphrase-fd 3 3< glass")),
        "x"
    );
    let get = "\"$BOOTSEAL\" get a.b -i changed --passphrase-fd 3 3< glass";
    for (changed, code, said) in [
        (locked.replace(own.trim(), other.trim()), 1, "does not match the public key"),
        (
            locked.lines().skip(1).map(|line| format!("{line}\n")).collect(),
            1,
            "without its public key",
        ),
        (locked.replace("-----END", "-----"), 1, "truncated"),
        (locked.replacen("\n", "\n# a word\n", 1).replace("\n", "\r\n"), 0, ""),
    ] {
        support::team::private(&home, "changed", changed);
        let ran = shell(&home, get);
        assert!(ran.code == code && ran.err.contains(said), "{said}: {}", ran.err);
    }
    // A flipped bit in the locked part.
    let middle = locked.lines().nth(6).unwrap();
    let flipped = middle.replacen(&middle[..1], if middle.starts_with('A') { "B" } else { "A" }, 1);
    support::team::private(&home, "changed", locked.replace(middle, &flipped));
    let ran = shell(&home, get);
    assert!(ran.code == 1 || ran.code == 4, "{}", ran.err);
    assert!(ran.out.is_empty() && !ran.err.contains("panicked"), "{}", ran.err);
}

/// An identity locked by age, with the recipient line added, opens here; one locked by us opens in
/// age.
#[cfg(target_os = "linux")]
#[test]
fn age_opens_and_makes_passphrase_locked_identities() {
    let home = Home::new();
    home.write("glass", "four words are better\n");
    quiet(shell(&home, "\"$BOOTSEAL\" keygen --passphrase -o locked --passphrase-fd 3 3< glass"));
    let age = |args: &[&str], answers: &[&str]| {
        const DRIVER: &str = r#"
import os, pty, sys
answers, command = sys.argv[1].split("|"), sys.argv[2:]
child, terminal = pty.fork()
if child == 0: os.execvp(command[0], command)
seen = b""
for answer in answers:
    start = len(seen)
    while b": " not in seen[start:]: seen += os.read(terminal, 4096)
    os.write(terminal, answer.encode() + b"\n")
while True:
    try: part = os.read(terminal, 4096)
    except OSError: break
    if not part: break
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"#;
        let mut command = std::process::Command::new("python3");
        command.args(["-c", DRIVER, &answers.join("|"), "age"]).args(args).current_dir(home.path());
        assert!(command.status().unwrap().success(), "age {args:?}; scripts/test installs it");
    };
    let armor =
        home.read("locked").lines().skip(1).map(|line| format!("{line}\n")).collect::<String>();
    home.write("armor", armor);
    age(&["-d", "-o", "opened", "armor"], &["four words are better"]);
    assert!(home.read("opened").contains("AGE-SECRET-KEY-1"));
    home.ok(&["keygen", "-o", "plain"]);
    let recipient = home.ok(&["keygen", "-y", "plain"]);
    age(
        &["-p", "-a", "-o", "by-age", "plain"],
        &["four words are better", "four words are better"],
    );
    support::team::private(
        &home,
        "mine",
        format!("# public key: {recipient}\n{}", home.read("by-age")),
    );
    home.ok(&["init", "-i", "mine"]);
    quiet(shell(&home, "printf x | \"$BOOTSEAL\" set a.b -i mine --passphrase-fd 3 3< glass"));
    assert_eq!(
        quiet(shell(&home, "\"$BOOTSEAL\" get a.b -i mine --passphrase-fd 3 3< glass")),
        "x"
    );
}
