//! `access add` and `access list` manage and show readers and writers.

#[cfg(unix)]
use crate::answers::mode;
use crate::answers::{ACME, block, document, fails};
use crate::support::team::{FILE, team};
use crate::support::{Home, at_a_terminal};
use serde_json::json;

#[test]
fn access_add_and_list_show_readers_and_writers() {
    let home = Home::with_vault(ACME);
    let mine = home.ok(&["keygen", "-y", ".config/bootseal/identity.txt"]).trim().to_owned();
    let bob = home.ok(&["keygen", "-o", "bob.key"]).trim().to_owned();
    let ran = home.run(&["access", "add", "bob", &bob, "--writer", "--yes"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    assert_eq!(
        ran.err,
        "bootseal: bob can open every value that this file contains, now and in future, and change the file\n"
    );
    assert_eq!(
        home.ok(&["access", "list"]),
        format!("alice  writer  {mine}\nbob    writer  {bob}\n")
    );
    let row = |name: &str, role: &str, recipient: &str| json!({ "name": name, "role": role, "recipient": recipient, "passphrase": false });
    let wanted = json!({ "access": [row("alice", "writer", &mine), row("bob", "writer", &bob)] });
    assert_eq!(document(&home, &["access", "list"]), wanted);
    // A writer can change the file and add others; the result is available as JSON too.
    home.ok_with(&["set", "acme.password", "-i", "bob.key"], b"by bob");
    let web = home.ok(&["keygen", "-o", "web.key"]).trim().to_owned();
    let after = document(&home, &["access", "add", "web", &web, "--yes", "-i", "bob.key"]);
    assert_eq!(after["access"][2], row("web", "reader", &web));
    assert_eq!(home.ok(&["get", "acme.password", "-i", "web.key"]), "by bob");
    // A reader cannot add anyone.
    for args in [
        &["set", "acme.x", "--plain", "1", "-i", "web.key"][..],
        &["access", "add", "eve", "--new-key", "eve.key", "--yes", "-i", "web.key"],
    ] {
        let text = fails(&home, args, "no-identity");
        assert!(text.contains("can read, but not write"), "{text}");
    }
    assert!(!home.at("eve.key").exists());
}

#[test]
fn an_unknown_member_is_an_error_before_any_question() {
    let home = Home::with_vault(ACME);
    let bob = home.ok(&["keygen", "-o", "bob.key"]).trim().to_owned();
    home.ok(&["access", "add", "bob", &bob, "--yes"]);
    let before = home.read("app.sealed.toml");
    for args in [
        &["access", "remove", "bobb"][..],
        &["access", "remove", "bob", "bobb"],
        &["access", "rename", "bobb", "bo"],
    ] {
        // Without a terminal, a question would end with no-terminal.
        let said = fails(&home, args, "not-found");
        assert!(said.contains("nobody in access is called `bobb`"), "{said}");
        assert_eq!(home.read("app.sealed.toml"), before, "{args:?}");
    }
    home.write("two.toml", "a = 1\n");
    home.ok(&["seal", "two.toml"]);
    let args = ["access", "remove", "bobb", "-f", "app.sealed.toml", "-f", "two.sealed.toml"];
    assert!(fails(&home, &args, "not-found").contains("bobb"));
}

#[test]
fn access_add_changes_no_value_and_refuses_an_existing_recipient() {
    let home = Home::with_vault(ACME);
    let before = home.read("app.sealed.toml");
    let mine = home.ok(&["keygen", "-y", ".config/bootseal/identity.txt"]).trim().to_owned();
    let bob = home.ok(&["keygen", "-o", "bob.key"]).trim().to_owned();
    for (args, kind, word) in [
        (&["access", "add", "alice", &bob, "--yes"][..], "exists", "alice (writer)"),
        (&["access", "add", "me2", &mine, "--yes"], "exists", "alice (writer)"),
        (&["access", "add", "b b", &bob, "--yes"], "usage", "`b b`"),
        (&["access", "add", "bob", "age1nonsense", "--yes"], "usage", "age1nonsense"),
        (&["access", "add", "bob"], "usage", ""),
        (&["access", "add", "bob", &bob, "--new-key", "x"], "usage", ""),
        (&["access", "add", "bob", &bob], "no-terminal", "--yes"),
        (&["access", "add", "bob", "--new-key", "x"], "no-terminal", "--yes"),
        (&["access", "add", "bob", "--new-key", "bob.key", "--yes"], "exists", "bob.key"),
        (&["access", "add", "bob", "--new-key", "none/x", "--yes"], "io", "none/x"),
        (&["access"], "usage", ""),
    ] {
        if args.len() == 1 {
            assert_eq!(home.run(args).code, 2);
            continue;
        }
        let text = fails(&home, args, kind);
        assert!(text.contains(word), "{args:?}: {text}");
        assert_eq!(home.read("app.sealed.toml"), before, "{args:?}");
    }
    assert!(!home.at("x").exists());
    home.ok(&["access", "add", "bob", &bob, "--yes"]);
    let after = home.read("app.sealed.toml");
    assert_eq!(before.split("[bootseal]").next(), after.split("[bootseal]").next());
    assert_eq!(
        block(&before, "write_key"),
        block(&after, "write_key"),
        "a reader changes nothing for writers"
    );
    assert_ne!(block(&before, "read_key"), block(&after, "read_key"));
}

#[test]
fn access_add_new_key_writes_a_working_key_file_with_the_pin() {
    let home = Home::with_vault(ACME);
    let ran = home.run(&["access", "add", "web1", "--new-key", "web1.key", "--yes"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    assert!(ran.err.contains("made web1.key: give it to web1 only"), "{}", ran.err);
    #[cfg(unix)]
    assert_eq!(mode(&home.at("web1.key")), 0o600);
    let key = home.read("web1.key");
    assert_eq!(key.lines().next().unwrap(), format!("# vault: {}", home.vault_id()));
    assert_eq!(home.ok(&["get", "acme.password", "-i", "web1.key"]), "hunter2");
    // With stdout as the target, the key file is all that is printed there.
    let ran = home.run(&["access", "add", "web2", "--new-key", "-", "--yes"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.out.lines().next().unwrap(), format!("# vault: {}", home.vault_id()));
    assert_eq!(home.ok_with(&["get", "acme.password", "-i", "-"], ran.out.as_bytes()), "hunter2");
    assert!(
        !ran.err.contains("AGE-SECRET-KEY") && !home.read("app.sealed.toml").contains("AGE-SECRET")
    );
    // The pin in the key file is enforced: another vault is refused.
    home.ok(&["init", "-f", "other.sealed.toml"]);
    fails(&home, &["list", "-f", "other.sealed.toml", "-i", "web1.key"], "wrong-vault");
}

#[test]
fn no_new_key_is_printed_for_a_file_that_the_user_may_not_change() {
    let home = Home::with_vault(ACME);
    home.ok(&["access", "add", "web", "--new-key", "web.key", "--yes"]);
    let ran = home.run(&["access", "add", "eve", "--new-key", "-", "--yes", "-i", "web.key"]);
    assert_eq!((ran.code, ran.out.as_str()), (4, ""));
}

/// A key that nobody has would open the file, and the member would have no access.
#[cfg(target_os = "linux")]
#[test]
fn nobody_is_added_if_the_new_key_cannot_be_written() {
    let home = Home::with_vault(ACME);
    let before = home.read("app.sealed.toml");
    let add = ["access", "add", "web", "--new-key", "-", "--yes"];
    let (reader, closed) = std::io::pipe().unwrap();
    drop(reader);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let closed: [std::process::Stdio; 2] = [closed.into(), full.into()];
    for stdout in closed {
        let mut child = home.command(&add);
        child.stdin(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
        let ran: crate::support::Ran =
            child.stdout(stdout).spawn().unwrap().wait_with_output().unwrap().into();
        assert_eq!(ran.code, 1, "{}", ran.err);
        assert!(
            ran.err.contains("the new key cannot be written to stdout")
                && ran.err.contains("nothing was changed"),
            "{}",
            ran.err
        );
        assert_eq!(home.read("app.sealed.toml"), before);
    }
    // The same for a file that cannot be made.
    fails(&home, &["access", "add", "web", "--new-key", "none/web.key", "--yes"], "io");
    assert_eq!(home.read("app.sealed.toml"), before);
}

#[test]
fn a_new_key_on_stdout_opens_several_files() {
    let home = Home::with_vault(ACME);
    home.ok(&["init", "-f", "other.sealed.toml"]);
    let add = ["access", "add", "web", "--new-key", "-", "--yes", "-f", "*.sealed.toml"];
    let ran = home.run(&add);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.out.matches("# vault: ").count(), 2, "{}", ran.err);
    for file in ["app.sealed.toml", "other.sealed.toml"] {
        home.ok_with(&["list", "-f", file, "-i", "-"], ran.out.as_bytes());
    }
}

#[cfg(unix)]
#[test]
fn access_add_shows_the_list_and_proceeds_only_on_yes() {
    let home = Home::with_vault(ACME);
    let before = home.read("app.sealed.toml");
    let bob = home.ok(&["keygen", "-o", "bob.key"]).trim().to_owned();
    let add = ["access", "add", "bob", &bob, "--writer"];
    for answer in ["n\n", "\n", "yy\n", "\u{4}"] {
        let Some((code, seen, _)) = at_a_terminal(&home, &add, &[("[y/N] ", answer)]) else {
            return;
        };
        assert_eq!(code, 2, "{answer:?}: {seen}");
        assert!(
            seen.starts_with("Access will be:\nalice  writer  age1")
                && seen.contains(&format!("bob    writer  {bob}\nAdd bob as a writer? [y/N] ")),
            "{seen}"
        );
        assert_eq!(home.read("app.sealed.toml"), before);
    }
    let new_key = ["access", "add", "web", "--new-key", "web.key"];
    assert_eq!(at_a_terminal(&home, &new_key, &[("[y/N] ", "n\n")]).unwrap().0, 2);
    assert!(!home.at("web.key").exists());
    assert_eq!(at_a_terminal(&home, &add, &[("[y/N] ", "Y\n")]).unwrap().0, 0);
    assert!(home.ok(&["access", "list"]).contains(&bob));
}

#[test]
fn access_rename_changes_only_the_name() {
    let home = Home::with_vault(ACME);
    home.ok(&["access", "add", "web1", "--new-key", "web1.key", "--yes"]);
    let (before, id) = (home.read("app.sealed.toml"), home.vault_id());
    let ran = home.run(&["access", "rename", "web1", "web-1"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    assert_eq!(ran.err, "bootseal: web1 is now called web-1; nobody's access has changed\n");
    assert!(home.ok(&["access", "list"]).contains("\nweb-1  reader  age1"));
    let after = home.read("app.sealed.toml");
    for key in ["read_key", "write_key"] {
        assert_eq!(block(&before, key), block(&after, key));
    }
    assert_eq!(id, home.vault_id());
    assert_eq!(home.ok(&["get", "acme.password", "-i", "web1.key"]), "hunter2");
    home.ok(&["verify"]);
    // A member who opens the file by passphrase still does so.
    let break_glass =
        ["access", "add", "glass", "--passphrase", "--small", "--yes", "--passphrase-fd", "0"];
    home.ok_with(&break_glass, b"six random words make one");
    home.ok(&["access", "rename", "glass", "break-glass"]);
    let get = ["get", "acme.password", "--passphrase-fd", "0", "-i", "none.key"];
    home.ok(&["keygen", "-o", "none.key"]);
    assert_eq!(home.ok_with(&get, b"six random words make one"), "hunter2");
}

#[test]
fn access_rename_refuses_unknown_taken_invalid_and_equal_names() {
    let home = Home::with_vault(ACME);
    home.ok(&["access", "add", "web1", "--new-key", "web1.key", "--yes"]);
    let before = home.read("app.sealed.toml");
    for (args, kind, word) in [
        (["web2", "web3"], "not-found", "Members: alice (writer"),
        (["web1", "alice"], "exists", "alice (writer)"),
        (["web1", "web 1"], "usage", "`web 1`"),
        (["web1", "web1"], "usage", "nothing was changed"),
    ] {
        let text = fails(&home, &["access", "rename", args[0], args[1]], kind);
        assert!(text.contains(word), "{args:?}: {text}");
    }
    let reader = ["access", "rename", "web1", "web2", "-i", "web1.key"];
    assert!(fails(&home, &reader, "no-identity").contains("can read, but not write"));
    assert_eq!(home.read("app.sealed.toml"), before);
}

#[test]
fn access_rename_in_several_files_changes_those_that_have_the_member() {
    let home = Home::with_vault(ACME);
    home.ok(&["access", "add", "web1", "--new-key", "web1.key", "--yes"]);
    home.ok(&["init", "-f", "b.sealed.toml"]);
    let all = ["access", "rename", "web1", "web-1", "-f", "*.sealed.toml"];
    let ran = home.run(&all);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("b.sealed.toml: web1 is not in access"), "{}", ran.err);
    assert!(home.ok(&["access", "list", "-f", "app.sealed.toml"]).contains("web-1"));
    assert!(fails(&home, &all, "not-found").contains("no member of these files"));
}

#[test]
fn access_request_prints_the_line_that_a_writer_runs() {
    let home = Home::with_vault(ACME);
    let bob = Home::new();
    let ran = bob.command(&["access", "request", "--writer"]).env("USER", "bob").output().unwrap();
    let ran = crate::support::Ran::from(ran);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("you had no identity, so "), "{}", ran.err);
    let recipient = bob.ok(&["keygen", "-y", ".config/bootseal/identity.txt"]).trim().to_owned();
    assert_eq!(ran.out, format!("bootseal access add bob {recipient} --writer\n"));
    // The writer pastes the line.
    let line: Vec<&str> = ran.out.split_whitespace().skip(1).chain(["--yes"]).collect();
    home.ok(&line);
    bob.write("app.sealed.toml", home.read("app.sealed.toml"));
    assert_eq!(bob.ok(&["get", "acme.password", "--pin", &home.vault_id()]), "hunter2");
    // An existing identity is used, under a given name; a file is named in the line.
    let again = bob.run(&["access", "request", "bob@laptop", "-f", "deploy/a b.sealed.toml"]);
    let wanted =
        format!("bootseal access add bob@laptop {recipient} -f 'deploy/a b.sealed.toml'\n");
    assert_eq!((again.out, again.err.contains("you had no identity")), (wanted, false));
}

#[cfg(unix)]
#[test]
fn access_request_quotes_an_ssh_recipient_and_creates_nothing_for_an_invalid_name() {
    let home = Home::new();
    assert!(fails(&home, &["access", "request", "b b"], "usage").contains("`b b`"));
    assert!(!home.at(".config").exists());
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "bob@laptop", "-f", "id_ssh"])
        .current_dir(home.path())
        .status()
        .unwrap();
    assert!(made.success());
    let line = home.ok(&["access", "request", "-i", "id_ssh"]);
    assert!(line.starts_with("bootseal access add alice 'ssh-ed25519 AAAA"), "{line}");
    assert!(line.ends_with("'\n"), "{line}");
}

#[test]
fn a_member_who_has_access_again_is_not_named_as_one_who_was_removed() {
    let home = team();
    let list = home.ok(&["access", "list"]);
    let line = list.lines().find(|line| line.starts_with("app ")).unwrap();
    let app = line.split_whitespace().last().unwrap().to_owned();
    home.ok(&["access", "remove", "app", "--yes"]);
    let said = |args: &[&str]| home.run(args).out;
    let doctor = || said(&["doctor", "-f", FILE]);
    assert!(said(&["list"]).contains("  known to app\n"));
    assert!(doctor().contains("is known to app, who was removed: change it"), "{}", doctor());
    let added = home.run(&["access", "add", "app", &app, "--yes"]);
    assert!(added.err.contains("called app was removed before"), "{}", added.err);
    // The former key may be in other hands, so the values stay marked.
    assert!(said(&["list"]).contains("  known to app (former access)\n"));
    let found = doctor();
    assert!(!found.contains("who was removed"), "{found}");
    let words =
        "is known to app (former access): change it at the vendor, then here, if the former key";
    assert!(found.contains(words), "{found}");
    let rows = document(&home, &["list"]);
    assert_eq!(rows["properties"][1]["known_to"], json!(["app"]), "{rows}");
    // So do those that a replaced key opens.
    home.ok(&["access", "add", "app", "--new-key", "new.key", "--replace", "--yes"]);
    assert!(said(&["list"]).contains("  known to app (former access)\n"));
    home.ok(&["access", "rename", "app", "web"]);
    assert!(said(&["list"]).contains("  known to app\n"));
    let renamed = home.run(&["access", "rename", "web", "app"]);
    assert!(renamed.err.contains("called app was removed before"), "{}", renamed.err);
}
