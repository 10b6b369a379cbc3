//! Commands on many files or keys at once: `-f` with several files and patterns, `init --like`,
//! `access pin`.

use crate::support::Home;
use crate::support::team::{FILE, host, private, team};
use bootseal::Kind;
use serde_json::Value;

const KEY: &str = ".config/bootseal/identity.txt";
const PATTERN: &[&str] = &["-f", "deploy/*.sealed.toml"];
const FILES: [&str; 3] = ["deploy/a.sealed.toml", "deploy/b.sealed.toml", "deploy/c.sealed.toml"];

/// `a` and `b` have `db.password`, `c` does not; `b` has a reader `web`.
fn deploy() -> Home {
    let home = Home::new();
    std::fs::create_dir(home.at("deploy")).unwrap();
    home.write("with.toml", "[db]\nname = \"app\"\npassword = \"secret:hunter2\"\n");
    for file in &FILES[..2] {
        home.ok(&["seal", "with.toml", "-o", file]);
    }
    home.ok(&["init", "-f", FILES[2]]);
    home.ok(&["access", "add", "web", "--new-key", "web.key", "--yes", "-f", FILES[1]]);
    home
}

fn read(home: &Home) -> [String; 3] {
    FILES.map(|file| home.read(file))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn generation(home: &Home, file: &str) -> u64 {
    json(&home.ok(&["verify", file, "--json"]))["generation"].as_u64().unwrap()
}

/// Invalidates one file by changing a byte of its readable part.
fn forge(home: &Home, file: &str) {
    home.write(file, home.read(file).replace("name = \"app\"", "name = \"apq\""));
}

#[test]
fn set_asks_once_and_writes_the_value_to_each_file_that_has_it() {
    let home = deploy();
    let before = read(&home);
    let ran = home.run_with(&[&["set", "db.password"], PATTERN].concat(), b"new");
    assert!(ran.code == 0 && ran.out.is_empty(), "{}", ran.err);
    assert!(ran.err.contains("deploy/c.sealed.toml has no db.password"), "{}", ran.err);
    for file in &FILES[..2] {
        assert_eq!(home.ok(&["get", "db.password", "-f", file]), "new");
    }
    assert_eq!(home.read(FILES[2]), before[2]);
    assert_ne!(home.read(FILES[0]), home.read(FILES[1]));
    // A name that none of the files has is not added everywhere.
    let ran = home.run_with(&[&["set", "db.pasword"], PATTERN].concat(), b"new");
    assert!(ran.code == 1 && ran.err.contains("none of these files"), "{}", ran.err);
    home.ok(&[&["unset", "db.password"], PATTERN].concat());
    assert!(FILES.iter().all(|file| !home.read(file).contains("password")));
}

#[test]
fn a_failing_file_does_not_stop_the_others_and_the_worst_sets_the_exit_code() {
    let home = deploy();
    forge(&home, FILES[0]);
    let before = read(&home);
    let ran = home.run_with(&[&["set", "db.password"], PATTERN].concat(), b"new");
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert!(ran.err.contains(FILES[0]) && !ran.err.contains("new"), "{}", ran.err);
    assert!(ran.err.contains(&format!("bootseal: changed: {}\n", FILES[1])), "{}", ran.err);
    assert_eq!(home.read(FILES[0]), before[0]);
    assert_eq!(home.ok(&["get", "db.password", "-f", FILES[1]]), "new");
    for verb in [&["verify"][..], &["list"], &["access", "list"], &["rotate"]] {
        let ran = home.run(&[verb, PATTERN, &["--json"]].concat());
        assert_eq!(ran.code, 3, "{verb:?}: {}", ran.err);
        let answer = json(&ran.out);
        let files = answer["files"].as_array().unwrap();
        assert_eq!(
            files.iter().map(|row| row["file"].as_str().unwrap()).collect::<Vec<_>>(),
            FILES
        );
        assert_eq!(files[0]["error"]["kind"], "forged", "{verb:?}");
        assert!(files[1..].iter().all(|row| row["error"].is_null()), "{verb:?}: {answer}");
    }
    assert_eq!([FILES[1], FILES[2]].map(|file| generation(&home, file)), [4, 2]);
    // A verb that only reads says of no file that it was changed.
    for verb in [&["verify"][..], &["list"], &["access", "list"]] {
        let ran = home.run(&[verb, PATTERN].concat());
        assert!(
            !ran.err.contains("changed:") && !ran.out.contains("changed:"),
            "{verb:?}: {ran:?}"
        );
    }
    // Exit code 3 is worse than that of a missing value.
    home.write("not.sealed.toml", "x = 1\n");
    let all = [&["list", "-f", "none.sealed.toml", "-f", "not.sealed.toml"], PATTERN].concat();
    assert_eq!(home.run(&all).code, 3);
    assert_eq!(home.run(&all[..5]).code, 1);
}

#[test]
fn each_file_is_used_once_and_a_pattern_without_a_match_is_an_error() {
    let home = deploy();
    let args = ["rotate", "-f", FILES[0], "-f", "deploy/[ab].sealed.toml", "-f", FILES[0]];
    home.ok(&args);
    assert_eq!(FILES.map(|file| generation(&home, file)), [2, 3, 1]);
    let ran = home.run(&["rotate", "-f", FILES[0], "-f", "deploi/*.toml"]);
    assert!(ran.code == 1 && ran.err.contains("deploi/*.toml"), "{}", ran.err);
    assert_eq!(generation(&home, FILES[0]), 2);
    // The name of an existing file is not a pattern.
    home.write("odd[1].sealed.toml", home.read(FILES[2]));
    home.ok(&["verify", "odd[1].sealed.toml"]);
    // A verb for one file refuses several.
    for verb in [
        &["get", "db.password"][..],
        &["rename", "db.name", "db.base"],
        &["access", "pin", "web.key"],
    ] {
        let ran = home.run(&[verb, &["-f", FILES[0], "-f", FILES[1]]].concat());
        assert!(ran.code == 2 && ran.err.contains("one file"), "{verb:?}: {}", ran.err);
    }
}

#[test]
fn a_recipient_is_added_to_and_removed_from_many_files_with_one_key() {
    let home = deploy();
    home.ok(&[&["access", "add", "ops", "--new-key", "ops.key", "--yes"], PATTERN].concat());
    for file in FILES {
        home.ok(&["verify", file, "-i", "ops.key"]);
    }
    let key = home.read("ops.key");
    assert_eq!(key.lines().filter(|line| line.starts_with("# vault: ")).count(), 3, "{key}");
    let before = read(&home);
    // A mistyped name is in no file, and that is an error.
    let ran = home.run(&[&["access", "remove", "opps", "--yes"], PATTERN].concat());
    assert!(ran.code == 1 && ran.err.contains("opps"), "{}", ran.err);
    let ran = home.run(&[&["access", "remove", "web", "--yes"], PATTERN].concat());
    assert!(
        ran.code == 0 && ran.err.contains("deploy/a.sealed.toml: web is not in access"),
        "{}",
        ran.err
    );
    assert_eq!([home.read(FILES[0]), home.read(FILES[2])], [before[0].clone(), before[2].clone()]);
    let answer =
        json(&home.ok(&[&["access", "remove", "ops", "--yes", "--json"], PATTERN].concat()));
    let exposed: Vec<usize> = answer["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["exposed"].as_array().unwrap().len())
        .collect();
    assert_eq!(exposed, [1, 1, 0]);
    for file in FILES {
        assert_eq!(home.run(&["verify", file, "-i", "ops.key"]).code, 4);
    }
}

#[test]
fn min_generation_applies_to_each_file() {
    let home = deploy();
    let ran = home.run(&["verify", "--min-generation", "2", FILES[0], FILES[1]]);
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert!(
        ran.err.contains(FILES[0]) && ran.out.contains(FILES[1]) && !ran.out.contains(FILES[0]),
        "{}",
        ran.err
    );
    home.ok(&["verify", "--min-generation", "2", FILES[1]]);
    let ran = home.run(&["verify", "--min-generation", "2", FILES[0], "--json"]);
    assert!(ran.code == 3 && json(&ran.err)["error"]["kind"] == "old-generation", "{}", ran.err);
}

#[test]
fn init_like_copies_the_recipients_and_makes_new_keys() {
    let home = team();
    home.ok(&["access", "remove", "bob", "--yes"]);
    std::fs::create_dir(home.at("new")).unwrap();
    let new = "new/app.sealed.toml";
    let recipient = home.ok(&["keygen", "-o", "carol.key"]);
    let carol = format!("carol={}", recipient.trim());
    let id = home.ok(&["init", "-f", new, "--like", FILE, "--reader", &carol]);
    assert_ne!(id.trim(), home.vault_id());
    let table = |file| home.ok(&["access", "list", "-f", file]);
    assert_eq!(
        table(new).lines().take(2).collect::<Vec<_>>(),
        table(FILE).lines().collect::<Vec<_>>()
    );
    assert!(table(new).lines().nth(2).unwrap().starts_with("carol"));
    // The new vault has none of the keys, values or history of the old one.
    let (one, other) = (home.read(FILE), home.read(new));
    assert!(
        !other.contains("\"bob\"")
            && !other.contains("sealed:")
            && other.contains("generation = 1\nepoch = 1\n")
    );
    let block = |text: &str| text.split("\"\"\"").nth(1).unwrap().to_owned();
    assert_ne!(block(&one), block(&other));
    home.ok_with(&["set", "x", "-f", new], b"v");
    assert_eq!(home.ok(&["get", "x", "-f", new, "-i", "carol.key"]), "v");
    // The application's key file has the pin of the old vault.
    assert_eq!(home.run(&["get", "x", "-f", new, "-i", "app.key"]).code, 3);
    assert_eq!(home.run(&["init", "-f", new, "--like", FILE]).code, 1);
}

#[test]
fn init_like_refuses_an_untrusted_vault() {
    let (home, eve) = (Home::new(), Home::new());
    home.ok(&["keygen"]);
    let own = format!("victim={}", home.ok(&["keygen", "-y", KEY]).trim());
    eve.ok(&["init", "--reader", &own]);
    home.write("eve.sealed.toml", eve.read(FILE));
    let ran = home.run(&["init", "--like", "eve.sealed.toml", "--yes"]);
    assert!(ran.code == 3 && ran.err.contains("not trusted yet"), "{}", ran.err);
    assert!(!home.at(FILE).exists() && !home.at(".local/state/bootseal/known_vaults").exists());
}

#[test]
fn access_pin_replaces_the_pin_and_keeps_the_rest_of_the_key_file() {
    let home = team();
    let (id, secret) = (home.vault_id(), home.read("app.key").lines().last().unwrap().to_owned());
    let foreign = Home::with_vault("a = \"1\"\n").vault_id();
    let old = format!(
        "# payments, on web1\n# vault: {foreign}\n#vault: vault1typo\n# vault:\n  # VAULT: {id}@999999\n\n# vaults are nice\n{secret}\n# end"
    );
    private(&home, "app.key", &old);
    #[cfg(unix)]
    std::fs::set_permissions(
        home.at("app.key"),
        std::os::unix::fs::PermissionsExt::from_mode(0o400),
    )
    .unwrap();
    assert_eq!(host(&home, "app.key").load().unwrap_err().kind(), Kind::Malformed);
    let ran = home.run(&["access", "pin", "app.key", "bob.key"]);
    assert!(
        ran.code == 0 && ran.err.contains("app.key") && ran.err.contains("bob.key"),
        "{}",
        ran.err
    );
    let new = home.read("app.key");
    // The other lines that were meant as pins are empty comments now.
    let empty = |length| format!("{:<length$}", "#");
    let (one, other, last) = (empty(18), empty(8), empty(82));
    assert_eq!(
        new,
        format!(
            "# payments, on web1\n# vault: {id}\n{one}\n{other}\n{last}\n\n# vaults are nice\n{secret}\n# end"
        )
    );
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &home.at("app.key").metadata().unwrap().permissions(),
        );
        assert_eq!(mode & 0o7777, 0o400);
    }
    host(&home, "app.key").load().unwrap();
    // A second run changes nothing.
    home.ok(&["access", "pin", "app.key"]);
    assert_eq!(home.read("app.key"), new);
    assert!(
        home.path().read_dir().unwrap().all(|entry| !entry
            .unwrap()
            .path()
            .to_string_lossy()
            .ends_with(".tmp"))
    );
    let answer = json(&home.ok(&["access", "pin", "app.key", "--json"]));
    assert_eq!(
        (answer["vault"].as_str(), answer["files"][0].as_str()),
        (Some(&*id), Some("app.key"))
    );
}

#[test]
fn a_writer_can_pin_their_own_key_after_a_new_vault_id() {
    let home = team();
    home.ok(&["access", "pin", KEY]);
    home.ok(&["rotate", "--signing-key"]);
    assert!(home.run(&["list"]).err.contains("renew the pin"));
    home.ok(&["access", "pin", KEY]);
    assert_eq!(home.run(&["list"]).err, "");
    assert_eq!(home.read(KEY).matches("# vault: ").count(), 1);
}

#[test]
fn access_pin_refuses_a_file_that_is_not_a_private_key_file() {
    let home = team();
    let ssh = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU=\n-----END OPENSSH PRIVATE KEY-----\n";
    for (name, text, words) in [
        ("ssh.key", ssh, "BOOTSEAL_PIN"),
        ("notes.txt", "buy milk\n", ""),
        ("empty.key", "", ""),
        ("nothing-but.key", "# vault: x\n", ""),
    ] {
        private(&home, name, text);
        let ran = home.run(&["access", "pin", name]);
        assert!(
            ran.code == 1 && ran.err.contains(name) && ran.err.contains(words),
            "{name}: {}",
            ran.err
        );
        assert!(!ran.err.contains("milk"), "{}", ran.err);
        assert_eq!(home.read(name), text);
    }
    assert_eq!(home.run(&["access", "pin", "none.key"]).code, 1);
    // A key file that others could read is no longer secret, so its mode is not silently fixed.
    #[cfg(unix)]
    {
        let before = home.read("app.key");
        std::fs::set_permissions(
            home.at("app.key"),
            std::os::unix::fs::PermissionsExt::from_mode(0o644),
        )
        .unwrap();
        let ran = home.run(&["access", "pin", "app.key"]);
        assert!(ran.code == 1 && ran.err.contains("chmod"), "{}", ran.err);
        assert_eq!(home.read("app.key"), before);
    }
}

#[test]
fn access_pin_refuses_an_untrusted_vault_id() {
    let (home, eve) = (team(), Home::with_vault("a = \"1\"\n"));
    let before = home.read("app.key");
    home.write("eve.sealed.toml", eve.read(FILE));
    let ran = home.run(&["access", "pin", "app.key", "-f", "eve.sealed.toml", "--yes"]);
    assert!(ran.code == 3 && ran.err.contains("not trusted yet"), "{}", ran.err);
    home.write(FILE, eve.read(FILE));
    let ran = home.run(&["access", "pin", "app.key", "-f", FILE, "--yes"]);
    assert!(ran.code == 3 && ran.err.contains("this is a different vault"), "{}", ran.err);
    assert_eq!(home.read("app.key"), before);
}
