//! The verbs that write a file, each with the input that it needs.

use crate::crash::killing::{Again, VERB, Verb};
use crate::crash::left::IDENTITY;
use crate::support::Home;
use crate::support::team::FILE;
use std::process::Command;

const VALUES: usize = 40;

/// A home with a vault of sealed values and of a vendor's credentials; its writers alice and bob,
/// and its reader app.
pub(crate) fn home() -> Home {
    let values =
        (0..VALUES).map(|at| format!("v{at} = \"secret:marker-{at} {}\"\n", "x".repeat(at)));
    let acme = "[acme]\nusername = \"secret:marker-user\"\npassword = \"secret:marker-password\"\n";
    let home = Home::with_vault(&format!("# readable\n{}{acme}", values.collect::<String>()));
    home.ok(&["access", "add", "bob", "--new-key", "bob.key", "--writer", "--yes"]);
    home.ok(&["access", "add", "app", "--new-key", "app.key", "--yes"]);
    home
}

/// Verbs that change values.
#[rustfmt::skip] // one verb a line
pub(crate) const VALUE_VERBS: &[Verb] = &[
    Verb { args: &["set", "v1", "-"], stdin: "marker-new", ..VERB },
    Verb { args: &["set", "v1"], typed: Some("marker-typed\n"), ..VERB },
    Verb { args: &["set", "v1", "--from-file", "input"], prepare: input, ..VERB },
    Verb { args: &["set", "v1", "--plain", "open", "--force"], ..VERB },
    Verb { args: &["set", "v1", "-", "-f", FILE, "-f", "other.sealed.toml"], again: Again::Always, stdin: "marker-new", prepare: other_vault, ..VERB },
    Verb { args: &["unset", "v1"], ..VERB },
    Verb { args: &["rename", "v1", "w1"], ..VERB },
    Verb { args: &["seal", "more.env", "-f", FILE], prepare: |home| home.write("more.env", "V1=marker-more\nMORE=marker-more\n"), ..VERB },
    Verb { args: &["import", "--from", "spring", "app.properties", "--key-file", "spring.key", "-f", FILE], prepare: spring, ..VERB },
    Verb { args: &["accept", "sent.proposal", "--new", "--yes"], prepare: proposal, ..VERB },
    Verb { args: &["edit"], ..VERB },
    // An edit that fails is kept as a draft, and one that fails again replaces it.
    Verb { args: &["edit"], editor: FAILS, code: 1, again: Again::Anew, ..VERB },
    Verb { args: &["edit", "--yes"], editor: FAILS, code: 1, prepare: draft, ..VERB },
    Verb { args: &["profile", "acme", "--preset", "simplejwt", "--url", "https://acme.example"], ..VERB },
    Verb { args: &["route", "acme", "--listen", "127.0.0.1:9301", "--upstream", "https://acme.example"], prepare: a_profile, ..VERB },
    Verb { args: &["profile", "acme", "--from", "other.sealed.toml"], prepare: other_vault, ..VERB },
    Verb { args: &["profile", "curl", "--from-curl", "-", "--no-login"], stdin: "curl --json '{\"user\":\"marker-c\",\"password\":\"marker-c\"}' https://acme.example/login", ..VERB },
];

/// Verbs that change who has access, or the keys.
#[rustfmt::skip] // one verb a line
pub(crate) const ACCESS_VERBS: &[Verb] = &[
    Verb { args: &["rotate"], ..VERB },
    Verb { args: &["rotate", "--signing-key"], ..VERB },
    Verb { args: &["rotate", "-f", FILE, "-f", "other.sealed.toml"], again: Again::Always, prepare: other_vault, ..VERB },
    Verb { args: &["access", "remove", "app", "--yes"], ..VERB },
    Verb { args: &["access", "remove", "bob", "--yes"], ..VERB },
    Verb { args: &["access", "add", "web", "--new-key", "web.key", "--yes"], again: Again::Anew, ..VERB },
    Verb { args: &["access", "add", "app", "--new-key", "web.key", "--replace", "--yes"], again: Again::Anew, ..VERB },
    Verb { args: &["access", "rename", "app", "shop"], ..VERB },
    Verb { args: &["access", "pin", "app.key", "web.key"], again: Again::Always, prepare: keys_to_pin, ..VERB },
];

/// Verbs that continue from reviewed or merged versions.
#[rustfmt::skip] // one verb a line
pub(crate) const REVIEW_VERBS: &[Verb] = &[
    Verb { args: &["sign", "--yes", "--against", "basis"], prepare: edit_by_hand, ..VERB },
    Verb { args: &["sign", "--yes"], prepare: |home| { branches(home); edit_by_hand(home) }, ..VERB },
    // As git calls the driver; here its output file is the sealed file itself.
    Verb { args: &["git", "merge", "common", FILE, "theirs", FILE], prepare: branches, ..VERB },
    Verb { args: &["resolve", FILE, "--ours", "ours", "--theirs", "theirs", "--yes"], prepare: conflict, ..VERB },
];

/// Verbs that create a file.
#[rustfmt::skip] // one verb a line
pub(crate) const NEW_FILE_VERBS: &[Verb] = &[
    Verb { args: &["init", "-f", "new.sealed.toml"], again: Again::Anew, ..VERB },
    Verb { args: &["init", "-f", "new.sealed.toml"], again: Again::Anew, prepare: without_identity, ..VERB },
    Verb { args: &["access", "request"], again: Again::Always, prepare: without_identity, ..VERB },
    Verb { args: &["init", "-f", "new.sealed.toml", "--like", FILE], again: Again::Anew, ..VERB },
    Verb { args: &["seal", "more.env"], again: Again::Anew, prepare: |home| home.write("more.env", "MORE=marker-more\n"), ..VERB },
    Verb { args: &["seal", "shred.env", "--shred"], again: Again::Anew, prepare: |home| home.write("shred.env", "MORE=marker-more\n"), ..VERB },
    Verb { args: &["import", "--from", "spring", "app.properties", "--key-file", "spring.key", "-o", "new.sealed.toml"], again: Again::Anew, prepare: spring, ..VERB },
    Verb { args: &["propose", "v1", "-", "--to", FILE, "-o", "new.proposal"], stdin: "marker-new", again: Again::Anew, ..VERB },
    Verb { args: &["keygen", "-o", "new.key"], again: Again::Anew, ..VERB },
    Verb { args: &["get", "v1", "--out", "value"], again: Again::Anew, ..VERB },
    Verb { args: &["export", "--force"], out: Some("exported"), ..VERB },
    Verb { args: &["man", "--out", "pages"], again: Again::Always, prepare: |home| std::fs::create_dir(home.at("pages")).unwrap(), ..VERB },
];

/// Verbs that write the known vaults, or the settings of git.
#[rustfmt::skip] // one verb a line
pub(crate) const SETTINGS_VERBS: &[Verb] = &[
    Verb { args: &["vaults", "add", "-i", "app.key"], prepare: forget, ..VERB },
    Verb { args: &["vaults", "forget", "ID", "--yes"], ..VERB },
    Verb { args: &["git", "setup"], again: Again::Always, prepare: repository, ..VERB },
];

/// An editor that changes the text and then fails.
const FAILS: &str = "sh -c 'sed -i s/marker-7/marker-edited/ \"$0\"; exit 3'";

fn draft(home: &Home) {
    let mut edit = home.command(&["edit"]);
    edit.env("PATH", "/usr/bin:/bin").env("EDITOR", FAILS);
    assert_eq!(edit.status().unwrap().code(), Some(1));
}

fn input(home: &Home) {
    home.write("input", "marker-from-file");
}

/// A login profile in the vault itself.
fn a_profile(home: &Home) {
    let profile = ["profile", "acme", "--preset", "simplejwt", "--url", "https://acme.example"];
    home.ok(&profile);
}

/// A second vault that alice knows, with a login profile.
fn other_vault(home: &Home) {
    let profile = "[acme.login]\nurl = \"https://acme.example/login\"\njson = { u = \"${username}\", p = \"${password}\" }\n";
    home.write(
        "other.toml",
        format!("v1 = \"secret:marker-other\"\n[acme]\nusername = \"secret:marker-u\"\npassword = \"secret:marker-p\"\n{profile}"),
    );
    home.ok(&["seal", "other.toml"]);
    std::fs::remove_file(home.at("other.toml")).unwrap();
}

/// A file of Spring Cloud Config, made with the default salt and an IV of 00 to 0f.
fn spring(home: &Home) {
    let sealed = "000102030405060708090a0b0c0d0e0fd20948054a091d082b17708f1358606b";
    home.write("app.properties", format!("imported={{cipher}}{sealed}\n"));
    home.write("spring.key", "spring-key");
}

fn proposal(home: &Home) {
    let sent = home.ok_with(&["propose", "proposed", "-", "--to", FILE], b"marker-proposed");
    home.write("sent.proposal", sent);
}

/// A key file with another vault's pin, and one without a pin.
fn keys_to_pin(home: &Home) {
    other_vault(home);
    home.ok(&["keygen", "-o", "web.key"]);
    home.ok(&["access", "pin", "app.key", "-f", "other.sealed.toml"]);
}

fn edit_by_hand(home: &Home) {
    let signed = home.read(FILE);
    home.write("basis", &signed);
    home.write(FILE, signed.replace("# readable", "# edited"));
}

fn git(home: &Home, args: &[&str]) {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=a", "-c", "user.email=a@b"]).args(args);
    git.current_dir(home.path()).env("HOME", home.path()).env("GIT_CONFIG_GLOBAL", "/dev/null");
    assert!(git.status().unwrap().success(), "{args:?}");
}

fn repository(home: &Home) {
    git(home, &["init", "-q", "-b", "main"]);
    home.write(".editorconfig", "root = true\n");
    home.write(".prettierignore", "dist");
}

/// Two branches of one version, each with its own new property, also as files; ours is checked out.
fn branches(home: &Home) {
    git(home, &["init", "-q", "-b", "main"]);
    git(home, &["add", FILE]);
    git(home, &["commit", "-q", "-m", "common"]);
    home.write("common", home.read(FILE));
    for (name, property) in [("theirs", "w.b"), ("ours", "w.a")] {
        git(home, &["checkout", "-q", "-b", name, "main"]);
        home.ok(&["set", property, "--plain", name]);
        home.write(name, home.read(FILE));
        git(home, &["commit", "-q", "-a", "-m", name]);
    }
}

fn conflict(home: &Home) {
    branches(home);
    let marked = format!(
        "<<<<<<< ours\n{}=======\n{}>>>>>>> theirs\n",
        home.read("ours"),
        home.read("theirs")
    );
    home.write(FILE, marked);
}

fn without_identity(home: &Home) {
    std::fs::rename(home.at(IDENTITY), home.at("alice.key")).unwrap();
}

fn forget(home: &Home) {
    std::fs::remove_file(home.at(".local/state/bootseal/known_vaults")).unwrap();
}
