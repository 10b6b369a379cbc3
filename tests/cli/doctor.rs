//! `doctor` finds problems, names the command that fixes each, and finds nothing after that command
//! ran.

use crate::support::{Home, Ran, team};
use bootseal_cli::World;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

fn chmod(home: &Home, name: &str, mode: u32) {
    std::fs::set_permissions(home.at(name), std::fs::Permissions::from_mode(mode)).unwrap();
}

/// The findings of `doctor` about files, without those about the machine: (finding, property,
/// mend).
fn found(home: &Home, args: &[&str]) -> Vec<(String, String, String)> {
    let ran = home.run(&[&["doctor", "--json"], args].concat());
    let document: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran:?}"));
    let findings = document["findings"].as_array().unwrap();
    let errors = document["errors"].as_array().unwrap();
    if errors.is_empty() {
        assert_eq!(ran.code, i32::from(!findings.is_empty()), "{document}");
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of_files = findings.iter().filter(|finding| !finding["file"].is_null());
    of_files
        .map(|finding| {
            (text(&finding["finding"]), text(&finding["property"]), text(&finding["mend"]))
        })
        .collect()
}

fn codes(found: &[(String, String, String)]) -> Vec<&str> {
    found.iter().map(|(code, _, _)| code.as_str()).collect()
}

/// Runs the command that `doctor` names, as someone who copies it would.
fn run_fix(home: &Home, command: &str) {
    let path = format!(
        "{}:/usr/bin:/bin",
        std::path::Path::new(env!("CARGO_BIN_EXE_bootseal")).parent().unwrap().display()
    );
    let mut shell = Command::new("sh");
    shell
        .args(["-c", command])
        .current_dir(home.path())
        .env_clear()
        .env("HOME", home.path())
        .env("PATH", path);
    let mut child =
        shell.stdin(Stdio::piped()).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"a new value\n");
    let ran: Ran = child.wait_with_output().unwrap().into();
    assert_eq!(ran.code, 0, "{command}: {}", ran.err);
}

#[test]
fn a_sound_file_with_two_writers_has_no_findings() {
    let home = team::team();
    assert_eq!(found(&home, &[]), []);
}

#[test]
fn a_single_writer_is_a_finding_and_the_suggested_command_adds_a_second() {
    let home = Home::with_vault("[acme]\npassword = \"secret:hunter2\"\n");
    let one = found(&home, &[]);
    assert_eq!(codes(&one), ["one-writer"]);
    // The command asks for a passphrase twice. Here it comes from a descriptor, and `--small` makes
    // the derivation fast.
    run_fix(
        &home,
        &format!("echo quay ladder stone | {} --small --yes --passphrase-fd 0", one[0].2),
    );
    let weak = found(&home, &[]);
    assert_eq!(codes(&weak), ["weak-passphrase"], "a writer is a person and has 256 MiB");
    run_fix(&home, &format!("echo quay ladder stone | {} --yes --passphrase-fd 0", weak[0].2));
    // The old entry was removed, and anyone with its passphrase knows the values sealed for it.
    let known = found(&home, &[]);
    assert_eq!(codes(&known), ["known-to-removed"]);
}

#[test]
fn values_known_to_a_removed_recipient_are_findings_until_replaced() {
    let home = team::team();
    home.ok(&["access", "remove", "bob", "--yes"]);
    let known = found(&home, &[]);
    assert_eq!(
        codes(&known),
        ["one-writer", "known-to-removed", "known-to-removed", "known-to-removed"]
    );
    let properties: Vec<&str> =
        known[1..].iter().map(|(_, property, _)| property.as_str()).collect();
    assert_eq!(properties, team::SEALED);
    for (_, _, command) in &known[1..] {
        run_fix(&home, command);
    }
    assert_eq!(codes(&found(&home, &[])), ["one-writer"]);
    assert_eq!(home.ok(&["get", "db.password"]), "a new value");
}

#[test]
fn without_a_key_doctor_reports_what_it_can_check() {
    let home = team::team();
    home.ok(&["access", "remove", "bob", "--yes"]);
    let other = team::elsewhere(&home, &[], &home.read(team::FILE));
    let seen = found(&other, &[]);
    assert_eq!(codes(&seen), ["no-pin", "one-writer", "known-to-removed"]);
    let ran = other.run(&["doctor"]);
    assert!(ran.err.contains("its values were not checked"), "{}", ran.err);
    assert!(ran.out.contains("bob was removed, and knows values"), "{}", ran.out);
    // A key named on the command line is expected to open the file.
    other.ok(&["keygen", "-o", "mine.key"]);
    let named = found(&other, &["-i", "mine.key"]);
    let (_, _, command) = named.iter().find(|(code, _, _)| code == "not-in-access").unwrap();
    let recipient = other.ok(&["keygen", "-y", "mine.key"]);
    assert!(command.contains(recipient.trim()), "{command}");
}

#[test]
fn a_missing_or_old_pin_is_found_and_renewed() {
    let home = team::team();
    team::key_without_pin(&home, "app.key", "bare.key");
    let other = team::elsewhere(&home, &["bare.key", "app.key"], &home.read(team::FILE));
    let missing = found(&other, &["-i", "bare.key"]);
    assert_eq!(codes(&missing), ["no-pin"]);
    let (command, _) = missing[0].2.split_once("   (").unwrap();
    run_fix(&other, command);
    assert_eq!(found(&other, &["-i", "bare.key"]), []);
    // A writer is removed and the vault gets a new id: the pin is old.
    home.ok(&["access", "remove", "bob", "--yes"]);
    other.write(team::FILE, home.read(team::FILE));
    let old = found(&other, &["-i", "app.key"]);
    assert!(codes(&old).contains(&"old-pin"), "{old:?}");
    let command = &old.iter().find(|(code, _, _)| code == "old-pin").unwrap().2;
    run_fix(&other, &format!("{command} --pin {}", home.vault_id()));
    assert!(!codes(&found(&other, &["-i", "app.key"])).contains(&"old-pin"));
}

#[test]
fn file_modes_open_to_others_are_found_and_fixed() {
    let home = team::team();
    chmod(&home, team::FILE, 0o666);
    chmod(&home, "app.key", 0o644);
    std::fs::create_dir(home.at("open")).unwrap();
    std::fs::copy(home.at("bob.key"), home.at("open/bob.key")).unwrap();
    chmod(&home, "open", 0o777);
    let modes = found(&home, &["-i", "app.key", "-i", "open/bob.key"]);
    assert_eq!(codes(&modes), ["file-mode"; 3], "{modes:?}");
    assert_eq!(modes[0].2, "chmod 600 app.key");
    for (_, _, command) in &modes {
        run_fix(&home, command);
    }
    assert_eq!(found(&home, &["-i", "app.key", "-i", "open/bob.key"]), []);
    // A folder with the sticky bit, as /tmp, is no finding.
    chmod(&home, "open", 0o1777);
    assert_eq!(found(&home, &["-i", "open/bob.key"]), []);
    // An invalid or missing key file does not stop the other checks.
    home.write("broken.key", "no key");
    chmod(&home, "broken.key", 0o600);
    let broken = found(&home, &["-i", "broken.key", "-i", "missing.key", "-i", "bob.key"]);
    assert_eq!(codes(&broken), ["key-file", "key-file"]);
}

#[test]
fn old_values_are_findings() {
    let home = Home::with_vault("[acme]\npassword = \"secret:hunter2\"\n");
    let two_years_on = || bootseal_cli::system_time() + 2 * 365 * 24 * 60 * 60;
    let (mut input, mut out, mut err) = (std::io::empty(), Vec::new(), Vec::new());
    let env = |name: &str| (name == "HOME").then(|| home.path().into());
    let file = home.at("app.sealed.toml");
    let mut world =
        World { env: &env, now: &two_years_on, ..World::new(&mut input, &mut out, &mut err) };
    let code = bootseal_cli::run(
        ["bootseal", "doctor", "--json", "-f", file.to_str().unwrap()],
        &mut world,
    );
    let document: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(code, 1, "{document}");
    let old = document["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|finding| finding["finding"] == "old-value")
        .unwrap();
    assert_eq!(old["property"], "acme.password");
    assert_eq!(old["mend"], format!("bootseal set acme.password -f {}", file.display()));
    assert!(!codes(&found(&home, &[])).contains(&"old-value"));
}

#[test]
fn a_broken_profile_is_a_finding_with_the_missing_value() {
    let home = Home::with_vault(
        "[acme]\nuser = \"svc\"\n[acme.login]\nurl = \"https://acme.example/login\"\nform = { u = \"${user}\", p = \"${password}\" }\ntoken = { json = \"/t\" }\n",
    );
    let broken = found(&home, &[]);
    let (_, _, command) = broken.iter().find(|(code, _, _)| code == "profile").unwrap();
    assert_eq!(command, "bootseal set acme.password -f app.sealed.toml");
    run_fix(&home, command);
    assert_eq!(codes(&found(&home, &[])), ["one-writer"]);
}

#[test]
fn a_route_that_the_gateway_cannot_serve_is_a_finding() {
    let home = Home::with_vault(
        "[acme]\nusername = \"svc\"\npassword = \"secret:x\"\n[acme.login]\nurl = \"https://acme.example/login\"\nbasic = true\n[acme.route]\nlisten = \"127.0.0.1:9301\"\nupstream = \"https://acme.example\"\ncallers = { bearer = \"${caller_key}\" }\n",
    );
    let broken = found(&home, &[]);
    let (_, _, command) = broken.iter().find(|(code, _, _)| code == "route").unwrap();
    assert_eq!(command, "bootseal set acme.caller_key --generate -f app.sealed.toml");
    let ran = home.run(&["verify"]);
    assert_eq!(ran.code, 0, "a warning on stderr does not fail the check");
    assert!(ran.err.contains("`acme.route.callers.bearer` uses ${caller_key}"), "{ran:?}");
    run_fix(&home, command);
    assert_eq!(codes(&found(&home, &[])), ["one-writer"]);
    assert!(!home.run(&["verify"]).err.contains("caller_key"));
}

#[test]
fn with_many_files_each_finding_names_its_file_and_the_worst_sets_the_exit_code() {
    let home = team::team();
    home.ok(&["init", "-f", "single.sealed.toml"]);
    home.write("forged.sealed.toml", home.read(team::FILE).replace("acme.example", "evil.example"));
    let args = ["doctor", "--json", "-f", "*.sealed.toml"];
    let ran = home.run(&args);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(ran.code, 3, "{document}");
    assert_eq!(document["errors"][0]["file"], "forged.sealed.toml");
    assert_eq!(document["errors"][0]["error"]["kind"], "forged");
    let files: Vec<&str> = document["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|finding| finding["file"].as_str())
        .collect();
    assert_eq!(files, ["single.sealed.toml"]);
    let ran = home.run(&["doctor", "-f", "*.sealed.toml"]);
    assert!(
        ran.code == 3
            && ran.err.contains("forged.sealed.toml")
            && ran.out.contains("single.sealed.toml: alice"),
        "{ran:?}"
    );
    // A name with shell metacharacters is quoted in the command.
    std::fs::rename(home.at("single.sealed.toml"), home.at("it's mine.sealed.toml")).unwrap();
    let quoted = found(&home, &["-f", "it's mine.sealed.toml"]);
    assert!(codes(&quoted).contains(&"one-writer"));
    let verified: Value =
        serde_json::from_str(&home.ok(&["verify", "--json", "-f", "it's mine.sealed.toml"]))
            .unwrap();
    let command = &quoted.iter().find(|(code, _, _)| code == "one-writer").unwrap().2;
    run_fix(
        &home,
        &format!(
            "echo quay ladder stone | {command} --small --yes --passphrase-fd 0 --pin {}",
            verified["vault"]
        ),
    );
}

#[test]
fn doctor_opens_with_an_ssh_key_and_reports_a_folder_once() {
    let home = Home::with_vault("a = \"secret:x\"\n");
    std::fs::create_dir(home.at(".ssh")).unwrap();
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(home.at(".ssh/id_ed25519"))
        .status();
    assert!(made.unwrap().success());
    let public = home.read(".ssh/id_ed25519.pub");
    let recipient = public.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    home.ok(&["access", "add", "ssh", &recipient, "--writer", "--yes"]);
    home.ok(&["access", "add", "bob", "--new-key", "bob.key", "--yes"]);
    home.ok(&["access", "remove", "bob", "--yes", "-q"]);
    std::fs::rename(home.at(".config/bootseal/identity.txt"), home.at("alice.key")).unwrap();
    std::fs::copy(home.at("app.sealed.toml"), home.at("two.sealed.toml")).unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let ran = home.run(&["doctor", "-f", "app.sealed.toml", "-f", "two.sealed.toml"]);
    assert_eq!(ran.code, 1);
    assert!(!ran.err.contains("no available identity"), "{}", ran.err);
    assert_eq!(ran.out.matches(": a: is known to bob, who was removed").count(), 2, "{}", ran.out);
    assert_eq!(ran.out.matches("is a folder that everyone").count(), 1, "{}", ran.out);
}
