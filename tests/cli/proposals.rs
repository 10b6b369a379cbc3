//! `propose` and `accept`: someone who cannot read a vault can propose a value for it and do
//! nothing else. Hostile proposals are encrypted by stock `age`, as docs/format.md describes them.

use crate::support::{Home, Ran};
use serde_json::Value;
use std::io::Write;
use std::process::{Command, Stdio};

const CANARY: &str = "canary-hunter2";
const INPUT: &str = r#"
title = "shop"

[acme]
user = "bob"
password = "secret:old-canary"

[acme.login]
url = "https://api.acme.example/v1/login"
json = { user = "${user}", password = "${password}" }
"#;

/// Alice, a writer; app, a reader; and Bob, who has only the file and the pin.
struct Scene {
    alice: Home,
    bob: Home,
}

impl Scene {
    fn new() -> Scene {
        let alice = Home::with_vault(INPUT);
        alice.ok(&["access", "add", "app", "--new-key", "app.key", "--yes"]);
        let bob = Home::new();
        std::fs::copy(alice.at("app.sealed.toml"), bob.at("app.sealed.toml")).unwrap();
        Scene { alice, bob }
    }

    /// Bob proposes a value; the proposal is put into Alice's home.
    fn propose(&self, path: &str, more: &[&str], value: &[u8]) {
        let pin = self.alice.vault_id();
        let args = [&["propose", path, "--to", "app.sealed.toml", "--pin", &pin], more].concat();
        self.alice.write("proposal", self.bob.ok_with(&args, value));
    }

    /// Encrypts this text to Alice with stock `age`, as a proposal.
    fn forge(&self, text: &str) {
        let recipient = self.alice.ok(&["keygen", "-y", ".config/bootseal/identity.txt"]);
        let mut command = Command::new("age");
        command.args(["-a", "-r", recipient.trim()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("age; scripts/test installs what the tests need");
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        self.alice.write("proposal", output.stdout);
    }

    /// Forges a proposal from a valid text changed by `change`.
    fn forged(&self, path: &str, change: impl Fn(String) -> String) {
        let path = serde_json::to_string(path).unwrap();
        let now = from_now(0);
        self.forge(&change(format!(
            "vault = \"{}\"\npath = {path}\nkind = \"text\"\nproposed_at = {now}\nvalue = \"{CANARY}\"\n",
            self.alice.vault_id()
        )));
    }

    /// Forges a proposal for `acme.password` with the date `time`.
    fn forged_at(&self, time: &str) {
        self.forged("acme.password", |text| {
            let line = text.lines().find(|line| line.starts_with("proposed_at")).unwrap();
            text.replace(line, &format!("proposed_at = {time}"))
        });
    }

    /// Checks that `accept` fails with `kind`, changes nothing and shows no value.
    fn refused(&self, kind: &str, what: &str) -> String {
        let before = self.alice.read("app.sealed.toml");
        let script = self.alice.run(&["accept", "proposal", "--yes", "--json"]);
        let person = self.alice.run(&["accept", "proposal", "--yes"]);
        let error: Value = serde_json::from_str(script.err.lines().last().unwrap()).unwrap();
        assert_eq!(error["error"]["kind"], kind, "{what}: {}", script.err);
        for ran in [&script, &person] {
            assert!(ran.code != 0 && ran.out.is_empty(), "{what}: {ran:?}");
            silent(ran);
        }
        assert_eq!(self.alice.read("app.sealed.toml"), before, "{what}: nothing is changed");
        person.err
    }
}

/// The time this many seconds from now, as TOML writes it.
fn from_now(seconds: i64) -> String {
    let now = i64::try_from(bootseal_cli::system_time()).unwrap();
    jiff::Timestamp::from_second(now + seconds).unwrap().to_string()
}

fn silent(ran: &Ran) {
    for said in [&ran.out, &ran.err] {
        assert!(!said.contains("canary") && !said.contains("panicked"), "{ran:?}");
    }
}

#[test]
fn someone_without_read_access_proposes_and_a_writer_accepts() {
    let scene = Scene::new();
    let pin = scene.alice.vault_id();
    let to = ["--to", "app.sealed.toml", "--pin", &pin];
    let sent = scene.bob.ok_with(
        &[&["propose", "acme.\"api.key\""], &to[..], &["--note", "from the vendor"]].concat(),
        format!("{CANARY}\n").as_bytes(),
    );
    assert!(sent.starts_with("-----BEGIN AGE ENCRYPTED FILE-----") && !sent.contains("canary"));
    assert_eq!(scene.bob.run(&["get", "acme.password"]).code, 4, "Bob can open nothing");

    let ran = scene.alice.run_with(&["accept", "-", "--new", "--yes"], sent.as_bytes());
    silent(&ran);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    for said in [
        "its sender is not verified",
        "acme.\"api.key\"",
        "it is new",
        "\"from the vendor\"",
        "according to the proposal",
    ] {
        assert!(ran.err.contains(said), "{said}: {}", ran.err);
    }
    assert_eq!(scene.alice.ok(&["get", "acme.\"api.key\""]), CANARY);
    scene.alice.ok(&["verify"]);
    scene.alice.write("proposal", &sent);
    assert!(scene.refused("conflict", "the same proposal again").contains("not newer"));
}

#[test]
fn the_java_example_proposes_a_password_and_zeroes_it() {
    let scene = Scene::new();
    let classes = scene.bob.at("classes");
    scene.bob.write(
        "Caller.java",
        r#"class Caller {
            public static void main(String[] arguments) throws Exception {
                char[] password = "canary-\u00e4\u20ac".toCharArray();
                try {
                    Propose.propose(java.nio.file.Path.of(arguments[0]), "acme.password", password, java.nio.file.Path.of("acme.proposal"));
                } finally {
                    if (password[0] != 0) throw new AssertionError("not zeroed");
                }
            }
        }"#,
    );
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/java/Propose.java");
    let javac = Command::new("javac")
        .args(["-Xlint:all", "-Werror", "-encoding", "UTF-8", "-d"])
        .args([classes.as_os_str(), example.as_ref(), scene.bob.at("Caller.java").as_os_str()])
        .output()
        .expect("javac; scripts/test installs what the tests need");
    assert!(javac.status.success(), "{}", String::from_utf8_lossy(&javac.stderr));

    let bootseal = std::path::Path::new(env!("CARGO_BIN_EXE_bootseal")).parent().unwrap();
    let java = |vault: &str| {
        let mut command = Command::new("java");
        command.arg("-cp").arg(&classes).args(["Caller", vault]).current_dir(scene.bob.path());
        command.env("HOME", scene.bob.path()).env("BOOTSEAL_PIN", scene.alice.vault_id());
        command.env("PATH", format!("{}:{}", bootseal.display(), std::env::var("PATH").unwrap()));
        command.output().unwrap()
    };
    let missing = java("none.sealed.toml");
    let said = String::from_utf8_lossy(&missing.stderr);
    assert!(
        !missing.status.success() && said.contains("none.sealed.toml") && !said.contains("canary"),
        "{said}"
    );

    let done = java("app.sealed.toml");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    scene.alice.write("proposal", std::fs::read(scene.bob.at("acme.proposal")).unwrap());
    scene.alice.ok(&["accept", "proposal", "--new", "--yes"]);
    assert_eq!(scene.alice.ok(&["get", "acme.password"]), "canary-\u{e4}\u{20ac}");
}

#[test]
fn accept_reports_the_replaced_date_and_sets_that_of_the_proposal() {
    let scene = Scene::new();
    let proposed = from_now(30);
    scene.forged_at(&proposed);
    let listed = |home: &Home| -> String {
        let list: Value =
            serde_json::from_str(&home.ok(&["list", "acme.password", "--json"])).unwrap();
        list["properties"][0]["set_at"].as_str().unwrap().to_owned()
    };
    let before = listed(&scene.alice);
    let ran = scene.alice.run(&["accept", "proposal", "--new", "--yes", "--json"]);
    silent(&ran);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&document["name"], &document["sealed"]), (&"acme.password".into(), &true.into()));
    assert_eq!(
        (document["replaced"].as_str(), document["set_at"].as_str()),
        (Some(before.as_str()), Some(proposed.as_str()))
    );
    assert_eq!(listed(&scene.alice), proposed);
    assert_eq!(scene.alice.ok(&["get", "acme.password"]), CANARY);
}

#[test]
fn propose_reads_a_value_as_set_does_and_writes_a_private_file() {
    let scene = Scene::new();
    scene.bob.write("bytes", [0, 255, 10]);
    scene.propose("acme.bytes", &["--from-file", "bytes"], b"");
    scene.alice.ok(&["accept", "proposal", "--new", "--yes"]);
    assert!(scene.alice.ok(&["get", "acme.bytes", "--json"]).contains("AP8K"));
    scene.propose("acme.made", &["--generate=40"], b"");
    scene.alice.ok(&["accept", "proposal", "--new", "--yes"]);
    assert_eq!(scene.alice.ok(&["get", "acme.made"]).len(), 40);

    let pin = scene.alice.vault_id();
    let to = ["propose", "acme.new", "--to", "app.sealed.toml", "--pin", &pin];
    assert_eq!(scene.bob.run_with(&[&to[..], &["-o", "out"]].concat(), CANARY.as_bytes()).code, 0);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(scene.bob.at("out").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    let made = scene.bob.read("out");
    let ran = scene.bob.run_with(&[&to[..], &["-o", "out"]].concat(), CANARY.as_bytes());
    assert!(
        ran.code == 1 && scene.bob.read("out") == made,
        "never over an existing one: {}",
        ran.err
    );
    let document: Value =
        serde_json::from_str(&scene.bob.ok_with(&[&to[..], &["--json"]].concat(), b"x")).unwrap();
    assert!(document["proposal"].as_str().unwrap().starts_with("-----BEGIN AGE"));
    assert_eq!(
        (&document["name"], &document["vault"], &document["file"]),
        (&"acme.new".into(), &pin.as_str().into(), &Value::Null)
    );
    for (more, value) in [
        (&["canary-hunter2"][..], ""),
        (&[], ""),
        (&["--generate=3"], ""),
        (&["--from-file", "bytes", "-"], ""),
    ] {
        let ran = scene.bob.run_with(&[&to[..], more].concat(), value.as_bytes());
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{more:?}");
        silent(&ran);
    }
}

#[test]
fn a_proposal_has_the_documented_fields() {
    let scene = Scene::new();
    scene.propose("acme.\"a.b\"", &["--note", "n \u{202e}"], b"two\nlines \"'''\x7f\n");
    let mut command = Command::new("age");
    command
        .args(["-d", "-i", ".config/bootseal/identity.txt", "proposal"])
        .current_dir(scene.alice.path());
    let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let keys: Vec<&str> = table.keys().map(String::as_str).collect();
    assert_eq!(keys, ["vault", "path", "kind", "proposed_at", "note", "value"], "{text}");
    assert!(table["proposed_at"].is_datetime());
    let string = |key: &str| table[key].as_str().unwrap().to_owned();
    assert_eq!(
        (string("vault"), string("path"), string("kind")),
        (scene.alice.vault_id(), "acme.\"a.b\"".into(), "text".into())
    );
    assert_eq!(
        (string("note"), string("value")),
        ("n \u{202e}".into(), "two\nlines \"'''\u{7f}".into())
    );
}

#[test]
fn propose_refuses_an_untrusted_vault() {
    let scene = Scene::new();
    let args = ["propose", "acme.password", "--to", "app.sealed.toml"];
    let ran = scene.bob.run_with(&args, CANARY.as_bytes());
    assert_eq!((ran.code, ran.out.as_str()), (3, ""));
    assert!(ran.err.contains("--pin"), "{}", ran.err);
    // The first pin makes the vault known; a foreign vault in its place is then refused.
    scene.propose("acme.password", &[], b"x");
    scene.bob.ok_with(&args, b"x");
    let mallory = Home::with_vault(INPUT);
    std::fs::copy(mallory.at("app.sealed.toml"), scene.bob.at("app.sealed.toml")).unwrap();
    let ran = scene.bob.run_with(&args, CANARY.as_bytes());
    assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{}", ran.err);
    let pin = scene.alice.vault_id();
    let ran = scene.bob.run_with(&[&args[..], &["--pin", &pin]].concat(), CANARY.as_bytes());
    assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{}", ran.err);
    silent(&ran);
}

#[test]
fn a_proposal_for_another_vault_is_refused() {
    let scene = Scene::new();
    let other = Home::with_vault(INPUT);
    let own = scene.alice.ok(&["keygen", "-y", ".config/bootseal/identity.txt"]);
    other.ok(&["access", "add", "alice2", own.trim(), "--writer", "--yes"]);
    let sent =
        other.ok_with(&["propose", "acme.password", "--to", "app.sealed.toml"], CANARY.as_bytes());
    scene.alice.write("proposal", sent);
    assert!(scene.refused("wrong-vault", "another vault").contains(&other.vault_id()));
    // The same for a proposal that Alice cannot open.
    let stranger = Home::with_vault(INPUT);
    let sent = stranger
        .ok_with(&["propose", "acme.password", "--to", "app.sealed.toml"], CANARY.as_bytes());
    scene.alice.write("proposal", sent);
    scene.refused("no-identity", "not for her");
}

#[test]
fn a_proposal_for_a_profile_or_a_readable_value_is_refused() {
    let scene = Scene::new();
    let pin = scene.alice.vault_id();
    for path in [
        "bootseal.generation",
        "bootseal.access",
        "bootseal",
        "acme.login.url",
        "acme.login.json.password",
        "acme.login.headers.\"X-New\"",
        "other.login.url",
        "x.route.upstream",
        "x.y.route.listen",
        "fleet.store",
        "gateway.admin",
        "title",
        "acme",
    ] {
        scene.forged(path, |text| text);
        scene.refused("conflict", path);
        if path != "acme" {
            let ran = scene.bob.run_with(
                &["propose", path, "--to", "app.sealed.toml", "--pin", &pin],
                CANARY.as_bytes(),
            );
            assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{path}: {}", ran.err);
            silent(&ran);
        }
    }
}

#[test]
fn a_proposal_from_the_past_or_the_future_is_refused() {
    let scene = Scene::new();
    scene.forged_at(&from_now(-3600));
    assert!(scene.refused("conflict", "an old one").contains("not newer"));
    scene.forged_at(&from_now(3600));
    assert!(scene.refused("conflict", "one from the future").contains("future"));
    for time in [
        "1",
        "\"2026-01-01T00:00:00Z\"",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "0001-01-01T00:00:00Z",
    ] {
        scene.forged_at(time);
        scene.refused("malformed", time);
    }
}

#[test]
fn a_note_cannot_control_the_terminal() {
    let scene = Scene::new();
    let note = "fine\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}txet\u{2066}\r\nbootseal: sealed\u{200b}";
    scene.propose("acme.\"pass\u{202e}word\"", &["--note", note], CANARY.as_bytes());
    let ran = scene.alice.run(&["accept", "proposal", "--new"]);
    let hidden =
        |text: &str| text.chars().any(|next| bootseal_core::is_hidden(next) && next != '\n');
    assert_eq!(ran.code, 2);
    assert!(!hidden(&ran.err), "{:?}", ran.err);
    assert!(
        ran.err.contains(r"fine\u{1b}[2J")
            && ran.err.contains(r"\u{202e}txet")
            && ran.err.contains(r#""pass\u202Eword""#),
        "{}",
        ran.err
    );
    assert!(!ran.err.lines().any(|line| line.starts_with("bootseal: sealed")), "{}", ran.err);
    let ran = scene.alice.run(&["accept", "proposal", "--new", "--yes", "--json"]);
    assert!(ran.code == 0 && !hidden(&ran.out), "{ran:?}");
    assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap()["note"], note);
    scene.forged("acme.password", |text| format!("{text}note = \"{}\"\n", "n".repeat(2000)));
    scene.refused("malformed", "a long note");
}

#[test]
fn an_oversized_proposal_is_refused_by_propose_and_by_accept() {
    let scene = Scene::new();
    let (long, pin) = ("canary".repeat(12_000), scene.alice.vault_id());
    let args = ["propose", "acme.password", "--to", "app.sealed.toml", "--pin", &pin];
    let ran = scene.bob.run_with(&args, long.as_bytes());
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("64 KiB"), "{}", ran.err);
    silent(&ran);
    scene.forged("acme.password", |text| text.replace(CANARY, &long));
    assert!(scene.refused("malformed", "long inside").contains("65536"));
    scene.alice.write("proposal", "x".repeat(300_000));
    assert!(scene.refused("malformed", "long outside").contains("256 KiB"));
}

#[test]
fn an_invalid_proposal_is_refused() {
    let scene = Scene::new();
    for (what, bytes) in [
        ("nothing", &b""[..]),
        ("text", b"canary"),
        ("bytes", b"\xff\x00canary"),
        ("a stub", b"-----BEGIN AGE ENCRYPTED FILE-----\n"),
    ] {
        scene.alice.write("proposal", bytes);
        scene.refused("malformed", what);
    }
    scene.propose("acme.password", &[], CANARY.as_bytes());
    let good = scene.alice.read("proposal");
    scene.alice.write("proposal", &good[..good.len() * 2 / 3]);
    scene.refused("malformed", "cut");
    for text in ["", "canary", "vault = 1\n", "[canary]\n"] {
        scene.forge(text);
        scene.refused("malformed", text);
    }
    scene.forged("acme.password", |text| format!("{text}canary = 1\n"));
    scene.refused("malformed", "a key too many");
    scene.forged("acme.password", |text| text.replace("\"text\"", "\"toml\""));
    scene.refused("malformed", "not of its kind");
    assert_eq!(scene.alice.run(&["accept", "absent", "--yes"]).code, 1);
}

#[test]
fn at_a_terminal_accept_shows_the_proposal_and_asks() {
    let scene = Scene::new();
    scene.propose("acme.token", &["--note", "from the vendor's page"], b"canary-new");
    let before = scene.alice.read("app.sealed.toml");
    let question = "Seal its value and sign? [y/N] ";
    for no in ["n\n", "\n", "\x03"] {
        let ran = scene.alice.typed(&["accept", "proposal", "--new"], &[], &[(question, no)]);
        assert!(ran.code != 0 && scene.alice.read("app.sealed.toml") == before, "{no:?}: {ran:?}");
        let shown = ran.out.split(question).next().unwrap();
        for words in ["acme.token", "from the vendor's page", "app.sealed.toml"] {
            assert!(shown.contains(words), "{words}: {ran:?}");
        }
    }
    let ran = scene.alice.typed(&["accept", "proposal", "--new"], &[], &[(question, "yes\n")]);
    assert!(ran.code == 0 && !ran.out.contains("canary"), "{ran:?}");
    assert_eq!(scene.alice.ok(&["get", "acme.token"]), "canary-new");
}

#[test]
fn a_reader_cannot_accept_a_proposal() {
    let scene = Scene::new();
    scene.propose("acme.password", &[], CANARY.as_bytes());
    let before = scene.alice.read("app.sealed.toml");
    let ran = scene.alice.run(&["accept", "proposal", "--yes", "-i", "app.key"]);
    assert_eq!((ran.code, scene.alice.read("app.sealed.toml")), (4, before), "{}", ran.err);
    assert!(ran.err.contains("can read, but not write"), "{}", ran.err);
    silent(&ran);
}

/// Runs `bootseal accept proposal` at a terminal and types `answer`.
#[cfg(target_os = "linux")]
fn asked(home: &Home, answer: &str) -> String {
    let mut command = Command::new("script");
    let line = format!("'{}' accept proposal", env!("CARGO_BIN_EXE_bootseal"));
    command.args(["-qec", &line, "/dev/null"]).current_dir(home.path()).env("HOME", home.path());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script; scripts/test installs it");
    child.stdin.as_mut().unwrap().write_all(format!("{answer}\n").as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn accept_changes_nothing_without_a_yes() {
    let scene = Scene::new();
    scene.forged_at(&from_now(60));
    let before = scene.alice.read("app.sealed.toml");
    let ran = scene.alice.run(&["accept", "proposal", "--new"]);
    assert!(
        ran.code == 2 && ran.err.contains("--yes") && ran.err.contains("sealed since"),
        "{}",
        ran.err
    );
    silent(&ran);
    for answer in ["n", "", "maybe"] {
        let said = asked(&scene.alice, answer);
        assert!(
            said.contains("its sender is not verified") && said.contains("nothing was changed"),
            "{said}"
        );
        assert!(!said.contains("canary"), "{said}");
    }
    assert_eq!(scene.alice.read("app.sealed.toml"), before);
    let said = asked(&scene.alice, "y");
    assert!(said.contains("sealed since") && !said.contains("canary"), "{said}");
    assert_eq!(scene.alice.ok(&["get", "acme.password"]), CANARY);
}

#[test]
fn a_new_name_with_the_variable_of_another_property_is_refused() {
    let scene = Scene::new();
    for path in ["acme_password", "ACME.PASSWORD", "acme.\"pass word\"", "\"acme.password\""] {
        scene.propose(path, &[], b"canary");
        let ran = scene.alice.run(&["accept", "proposal", "--yes", "--new"]);
        silent(&ran);
        let same = path != "acme.\"pass word\"";
        assert_eq!(ran.code, i32::from(same), "{path}: {ran:?}");
        if same {
            for part in ["ACME_PASSWORD", "as acme.password does", "exec", "rename"] {
                assert!(ran.err.contains(part), "{path}, {part}: {ran:?}");
            }
        }
    }
    scene.alice.ok(&["exec", "--", "true"]);
}

#[test]
fn a_new_name_is_accepted_only_when_allowed_and_never_as_a_program() {
    let scene = Scene::new();
    scene.propose("acme.region", &[], b"canary");
    let said = scene.refused("conflict", "a name that the file lacks");
    assert!(said.contains("--new") && said.contains("ACME_REGION"), "{said}");
    let ran = scene.alice.run(&["accept", "proposal", "--yes", "--new"]);
    silent(&ran);
    assert!(ran.code == 0 && ran.err.contains("ACME_REGION"), "{}", ran.err);
    // A name that exists needs no permission.
    scene.forged_at(&from_now(5));
    scene.alice.ok(&["accept", "proposal", "--yes"]);
    for path in ["node.options", "ld.preload", "prompt.command", "env", "payments.opts", "jre.home"]
    {
        scene.propose(path, &[], b"canary");
        let ran = scene.alice.run(&["accept", "proposal", "--yes", "--new"]);
        silent(&ran);
        assert!(ran.code == 1 && ran.err.contains("decides what programs run"), "{path}: {ran:?}");
    }
}

#[test]
fn a_proposal_has_the_type_of_its_option_and_another_type_causes_a_warning() {
    let scene = Scene::new();
    scene.alice.ok_with(&["set", "acme.port", "--type", "integer"], b"443");
    std::fs::copy(scene.alice.at("app.sealed.toml"), scene.bob.at("app.sealed.toml")).unwrap();
    // A proposal is newer than the value only if it is made in a later second.
    scene.forged("acme.port", |text| {
        let line = text.lines().find(|line| line.starts_with("proposed_at")).unwrap();
        text.replace(line, &format!("proposed_at = {}", from_now(5)))
    });
    let ran = scene.alice.run(&["accept", "proposal", "--yes"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let warning = "acme.port was a number or another TOML value, and is text now";
    assert!(ran.err.contains(warning), "{}", ran.err);
    scene.propose("acme.timeout", &["--type", "integer"], b"30\n");
    let ran = scene.alice.run(&["accept", "proposal", "--new", "--yes"]);
    assert!(ran.code == 0 && !ran.err.contains("former type"), "{}", ran.err);
    let json = scene.alice.ok(&["get", "acme.timeout", "--json"]);
    assert_eq!(json.trim(), r#"{"name":"acme.timeout","value":30}"#);
    let args = ["propose", "acme.x", "--to", "app.sealed.toml", "--type", "integer"];
    let pin = scene.alice.vault_id();
    let wrong = scene.bob.run_with(&[&args[..], &["--pin", &pin]].concat(), b"thirty");
    assert!(wrong.code == 2 && !wrong.err.contains("thirty"), "{wrong:?}");
}
