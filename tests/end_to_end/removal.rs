//! Someone who was removed keeps the past only: they cannot open what is sealed afterwards, and
//! what they sign is refused.
//!
//! Files are made and changed by the real binary; hosts are the real loader.

use crate::support;
use crate::support::team::{FILE, SEALED, elsewhere, host, key_without_pin, known_to, team, told};
use crate::support::{Home, at_a_terminal};
use bootseal::Kind;
use bootseal_core::{
    Access, FileLock, Identity, IdentityFile, Role, SealedFile, Secret, ValueKind, Vault,
};
use serde_json::json;

/// What a run that must be refused says; the file is as it was.
fn refused(home: &Home, args: &[&str], stdin: &[u8], code: i32) -> String {
    let before = home.read(FILE);
    let ran = home.run_with(args, stdin);
    assert_eq!(ran.code, code, "bootseal {}: {}{}", args.join(" "), ran.out, ran.err);
    assert_eq!(home.read(FILE), before, "{args:?}");
    ran.err
}

/// The line of the file that begins with `start`.
fn line<'a>(text: &'a str, start: &str) -> &'a str {
    text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start} in {text}"))
}

fn block<'a>(text: &'a str, key: &str) -> &'a str {
    let start = text.find(&format!("\n{key} = \"\"\"")).unwrap();
    &text[start..start + text[start..].find("-----END").unwrap()]
}

fn sealed_texts(text: &str) -> Vec<&str> {
    text.split('"').filter(|part| part.starts_with("sealed:")).collect()
}

/// What bob, who keeps his key and a copy from before his removal, makes of the file: generations
/// beyond all others.
fn by_bob(old: &str, home: &Home, first: &[&str]) -> String {
    let bob = elsewhere(home, &["bob.key"], old);
    bob.ok(&[first, &["-i", "bob.key"]].concat());
    for at in 0..8 {
        bob.ok_with(&["set", "acme.password", "-i", "bob.key"], format!("bobs {at}").as_bytes());
    }
    bob.read(FILE)
}

#[test]
fn a_removed_readers_key_opens_neither_the_new_file_nor_any_value_in_it() {
    let home = team();
    let old = home.read(FILE);
    assert_eq!(home.ok(&["get", "acme.password", "-i", "app.key"]), "hunter2");
    let known = home.ok(&["access", "remove", "app", "--yes"]);
    assert_eq!(known.lines().collect::<Vec<_>>(), SEALED);
    let new = home.read(FILE);
    assert_eq!(
        (line(&new, "vault = "), line(&new, "epoch = ")),
        (line(&old, "vault = "), "epoch = 2")
    );
    assert!(
        !line(&new, "  { name = \"bob\"").contains("app") && !new.contains("name = \"app\", role")
    );
    for name in SEALED {
        assert_eq!(home.run(&["get", name, "-i", "app.key"]).code, 4, "{name}");
        home.ok(&["get", name, "-i", "bob.key"]);
    }
    assert_eq!(home.run(&["verify", "-i", "app.key"]).code, 4);
    assert_eq!(host(&home, "app.key").load().unwrap_err().kind(), Kind::NoIdentity);
    // Nothing that the old data key opens is left.
    assert_eq!(sealed_texts(&new).len(), SEALED.len());
    assert!(sealed_texts(&old).iter().all(|sealed| !new.contains(sealed)));
    // The block that opens for the old key, put back by someone without a key of a writer, is no
    // part of what was signed.
    home.write(FILE, new.replace(block(&new, "read_key"), block(&old, "read_key")));
    let ran = home.run(&["get", "acme.password", "-i", "app.key", "--json"]);
    assert!(
        ran.code == 3 && ran.err.contains("\"forged\"") && !ran.out.contains("hunter2"),
        "{}",
        ran.err
    );
}

#[test]
fn what_a_removed_one_knew_stays_marked_until_each_is_given_anew() {
    let home = team();
    let answer: serde_json::Value =
        serde_json::from_str(&home.ok(&["access", "remove", "app", "--yes", "--json"])).unwrap();
    assert_eq!(answer["exposed"], json!(SEALED));
    assert!(
        home.ok(&["list"]).lines().filter(|line| line.ends_with("known to app")).count()
            == SEALED.len()
    );
    assert!(SEALED.iter().all(|name| known_to(&home, name) == ["app"]));
    // New keys, another name and other people do not make it unknown.
    home.ok(&["rotate"]);
    home.ok(&["rotate", "--signing-key"]);
    home.ok(&["rename", "acme.user", "acme.account"]);
    home.ok(&["access", "add", "web2", "--new-key", "web2.key", "--yes"]);
    home.ok_with(&["set", "later"], b"came after app went");
    home.ok(&["access", "remove", "web2", "--yes"]);
    assert_eq!(known_to(&home, "later"), ["web2"]);
    for name in ["acme.account", "acme.password", "db.password"] {
        assert_eq!(known_to(&home, name), ["app", "web2"], "{name}");
    }
    // Given anew in the same second even, it is known to nobody; one more stands for as long as one
    // value is marked.
    home.ok_with(&["set", "acme.password"], b"new");
    assert!(known_to(&home, "acme.password").is_empty());
    home.ok_with(&["set", "later"], b"new");
    home.ok_with(&["set", "acme.account"], b"new");
    assert!(home.read(FILE).contains("{ name = \"app\", at = "));
    assert_eq!(known_to(&home, "db.password"), ["app", "web2"]);
    home.ok(&["unset", "db.password"]);
    assert_eq!(line(&home.read(FILE), "removed = "), "removed = []");
    assert!(!home.ok(&["list"]).contains("known to"));
}

#[test]
fn a_value_that_was_never_sealed_for_them_is_not_marked() {
    let home = team();
    home.ok(&["access", "remove", "app", "--yes"]);
    home.ok_with(&["set", "later"], b"x");
    assert!(known_to(&home, "later").is_empty() && known_to(&home, "acme.url").is_empty());
    // Who knew nothing leaves no trace.
    let empty = Home::new();
    empty.ok(&["init"]);
    empty.ok(&["access", "add", "app", "--new-key", "app.key", "--yes"]);
    assert_eq!(empty.ok(&["access", "remove", "app", "--yes"]), "");
    assert!(!empty.read(FILE).contains("name = \"app\""));
}

#[test]
fn a_removal_is_asked_about_and_shows_who_is_left() {
    let home = team();
    let text = refused(&home, &["access", "remove", "app"], b"", 2);
    assert!(text.contains("--yes"), "{text}");
    refused(&home, &["access", "remove", "nobody", "--yes"], b"", 1);
    let before = home.read(FILE);
    let Some((code, seen, _)) =
        at_a_terminal(&home, &["access", "remove", "app"], &[("[y/N] ", "n\n")])
    else {
        return;
    };
    assert!(
        code != 0
            && seen.contains("access will be:\nalice  writer")
            && !seen.contains("app    reader"),
        "{seen}"
    );
    assert_eq!(home.read(FILE), before);
    let (code, seen, _) =
        at_a_terminal(&home, &["access", "remove", "app"], &[("[y/N] ", "y\n")]).unwrap();
    assert!(code == 0 && seen.contains("acme.password"), "{seen}");
}

#[test]
fn a_loader_that_pins_the_old_id_takes_the_new_file_and_warns() {
    let home = team();
    let old = home.vault_id();
    let ran = home.run(&["access", "remove", "bob", "--yes"]);
    let new = home.vault_id();
    assert_ne!(old, new);
    assert!(
        ran.err.contains(&old) && ran.err.contains(&new) && ran.err.contains("access pin"),
        "{}",
        ran.err
    );
    for _ in 0..2 {
        let (loaded, log) = told(|| host(&home, "app.key").load());
        assert!(
            loaded.unwrap().vault_id().to_string() == new && log.contains("renew the pin"),
            "{log}"
        );
        assert!(log.contains(&old) && log.contains(&new), "{log}");
    }
    home.ok(&["access", "pin", "app.key"]);
    let (loaded, log) = told(|| host(&home, "app.key").load());
    assert!(loaded.is_ok() && !log.contains("WARN"), "{log}");
}

#[test]
fn a_loader_that_remembers_believes_no_former_writer_whatever_the_generation() {
    let home = team();
    let (before, old) = (home.read(FILE), home.vault_id());
    key_without_pin(&home, "app.key", "bare.key");
    for (key, state) in [("bare.key", "state-of-bare"), ("app.key", "state-of-pinned")] {
        home.write(FILE, &before);
        host(&home, key).state(home.at(state)).load().unwrap();
    }
    home.ok(&["access", "remove", "bob", "--yes"]);
    let ours = home.read(FILE);
    let forged = by_bob(&before, &home, &["set", "acme.user", "--plain", "evil", "--force"]);
    for (key, state) in [("bare.key", "state-of-bare"), ("app.key", "state-of-pinned")] {
        home.write(FILE, &ours);
        let (loaded, log) = told(|| host(&home, key).state(home.at(state)).load());
        assert!(loaded.is_ok() && log.contains("renew the pin") && log.contains(&old), "{log}");
        home.write(FILE, &forged);
        let error = host(&home, key).state(home.at(state)).load().unwrap_err();
        assert_eq!(error.kind(), Kind::WrongVault, "{key}: {error}");
        assert!(error.to_string().contains("former writer") && error.help().is_some(), "{error}");
    }
    // Who only pins the old id is told by the removal what to do; once it is done, it holds there
    // too.
    host(&home, "app.key").load().unwrap();
    home.write(FILE, &ours);
    home.ok(&["access", "pin", "app.key"]);
    home.write(FILE, &forged);
    assert_eq!(host(&home, "app.key").load().unwrap_err().kind(), Kind::WrongVault);
}

#[test]
fn a_former_writers_own_handover_leads_nowhere() {
    let home = team();
    let (before, old) = (home.read(FILE), home.vault_id());
    host(&home, "app.key").state(home.at("state")).load().unwrap();
    home.ok(&["access", "remove", "bob", "--yes"]);
    host(&home, "app.key").state(home.at("state")).load().unwrap();
    // He hands the old id over to one of his own: for the pin of the old id a perfect chain.
    let forged = by_bob(&before, &home, &["rotate", "--signing-key"]);
    home.write(FILE, &forged);
    let error = host(&home, "app.key").state(home.at("state")).load().unwrap_err();
    assert_eq!(error.kind(), Kind::WrongVault, "{error}");
    for pin in [&[][..], &["--pin", &old]] {
        let text = refused(&home, &[&["set", "acme.password"], pin].concat(), b"for-alice-only", 3);
        assert!(!text.contains("for-alice-only"));
    }
    // Memory stands in the way of an old pin's reach, not of what someone insists on now.
    host(&home, "bob.key").pin(&home.vault_id()).unwrap().state(home.at("state")).load().unwrap();
}

#[test]
fn two_removals_of_writers_before_the_pin_is_renewed_still_boot() {
    let home = team();
    let first = home.vault_id();
    home.ok(&["access", "add", "carol", "--new-key", "carol.key", "--writer", "--yes"]);
    home.ok(&["access", "remove", "bob", "--yes"]);
    let second = home.vault_id();
    home.ok(&["access", "remove", "carol", "--yes"]);
    for pin in [&first, &second, &home.vault_id()] {
        let secrets = host(&home, "app.key").pin(pin).unwrap().load().unwrap();
        assert!(secrets.secret("acme.password").unwrap().expose(|bytes| bytes == b"hunter2"));
        home.ok(&["verify", "--pin", pin]);
    }
    // A pin's floor holds across them.
    assert_eq!(home.run(&["verify", "--pin", &format!("{first}@6")]).code, 0);
    assert_eq!(home.run(&["verify", "--pin", &format!("{first}@7")]).code, 3);
}

#[test]
fn after_65_handovers_the_oldest_id_leads_here_no_more() {
    let home = team();
    let (first, mine) =
        (home.vault_id(), IdentityFile::read(&home.at(".config/bootseal/identity.txt")).unwrap());
    let lock = FileLock::acquire(&home.at(FILE)).unwrap();
    let mut vault =
        lock.read().unwrap().verify(&[]).unwrap().open_for_writing(&mine.identities).unwrap();
    vault.rotate(true).unwrap();
    let second = vault.file().vault_id().to_string();
    (0..64).for_each(|_| vault.rotate(true).unwrap());
    lock.write(&vault.sign().unwrap()).unwrap();
    let error = host(&home, "app.key").load().unwrap_err();
    assert_eq!(error.kind(), Kind::WrongVault);
    assert!(error.to_string().contains(&first) && error.help().is_some(), "{error}");
    host(&home, "app.key").pin(&second).unwrap().load().unwrap();
    // The writer's machine knew the first one: it asks for a pin, and is resumed with it.
    let text = refused(&home, &["set", "acme.password"], b"x", 3);
    assert!(text.contains("another vault is here") && text.contains("--pin"), "{text}");
    home.ok_with(&["set", "acme.password", "--pin", &home.vault_id()], b"x");
    home.ok_with(&["set", "acme.password"], b"y");
}

#[test]
fn a_reader_becomes_a_writer_without_new_keys() {
    let home = team();
    let (before, recipient) = (home.read(FILE), home.ok(&["keygen", "-y", "app.key"]));
    assert_eq!(
        home.ok(&["access", "add", "app", recipient.trim(), "--writer", "--replace", "--yes"]),
        ""
    );
    let after = home.read(FILE);
    assert_eq!(sealed_texts(&after), sealed_texts(&before));
    for start in ["vault = ", "epoch = "] {
        assert_eq!(line(&after, start), line(&before, start));
    }
    home.ok_with(&["set", "acme.password", "-i", "app.key"], b"by app");
    assert!(known_to(&home, "db.password").is_empty());
}

#[test]
fn a_writer_becomes_a_reader_and_can_sign_for_this_vault_no_more() {
    let home = team();
    let (before, old, recipient) =
        (home.read(FILE), home.vault_id(), home.ok(&["keygen", "-y", "bob.key"]));
    refused(&home, &["access", "add", "bob", recipient.trim(), "--yes"], b"", 1);
    let forged = by_bob(&before, &home, &["set", "x", "--plain", "y"]);
    home.ok(&["access", "add", "bob", recipient.trim(), "--replace", "--yes"]);
    assert_ne!(home.vault_id(), old);
    // He goes on reading, so he learns nothing by the change, and nothing is to be given anew.
    assert_eq!(home.ok(&["get", "acme.password", "-i", "bob.key"]), "hunter2");
    assert!(known_to(&home, "acme.password").is_empty());
    refused(&home, &["set", "acme.password", "-i", "bob.key"], b"x", 4);
    home.write(FILE, forged);
    refused(&home, &["set", "acme.password"], b"x", 3);
}

#[test]
fn another_recipient_for_a_name_is_a_removal_of_the_old_one() {
    let home = team();
    let old = home.vault_id();
    let recipient = home.ok(&["keygen", "-o", "app2.key"]);
    let known = home.ok(&["access", "add", "app", recipient.trim(), "--replace", "--yes"]);
    assert_eq!(known.lines().collect::<Vec<_>>(), SEALED);
    assert_eq!(
        (home.vault_id(), known_to(&home, "acme.password")),
        (old.clone(), vec!["app".to_owned()])
    );
    assert_eq!(home.run(&["get", "acme.password", "-i", "app.key"]).code, 4);
    assert_eq!(home.ok(&["get", "acme.password", "-i", "app2.key"]), "hunter2");
    let recipient = home.ok(&["keygen", "-o", "bob2.key"]);
    let answer = home.ok(&[
        "access",
        "add",
        "bob",
        recipient.trim(),
        "--writer",
        "--replace",
        "--yes",
        "--json",
    ]);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&answer).unwrap()["exposed"],
        json!(SEALED)
    );
    assert_ne!(home.vault_id(), old);
    assert_eq!(known_to(&home, "acme.password"), ["app", "bob"]);
    // One recipient cannot have two names.
    refused(&home, &["access", "add", "app", recipient.trim(), "--replace", "--yes"], b"", 1);
}

#[test]
fn the_last_writer_can_be_neither_removed_nor_demoted() {
    let home = Home::with_vault("a = \"1\"\n");
    home.ok(&["access", "add", "app", "--new-key", "app.key", "--yes"]);
    let own = home.ok(&["keygen", "-y", ".config/bootseal/identity.txt"]);
    let recipient = home.ok(&["keygen", "-o", "alice2.key"]);
    for args in [
        &["access", "remove", "alice", "--yes"][..],
        &["access", "add", "alice", own.trim(), "--replace", "--yes"],
        &["access", "add", "alice", recipient.trim(), "--replace", "--yes"],
    ] {
        let text = refused(&home, args, b"", 1);
        assert!(text.contains("only writer"), "{text}");
    }
}

#[test]
fn the_only_writer_replaces_her_own_key() {
    let home = Home::with_vault("a = \"1\"\n");
    let (before, old) = (home.read(FILE), home.vault_id());
    home.ok(&["access", "add", "alice", "--new-key", "new.key", "--writer", "--replace", "--yes"]);
    assert_ne!(home.vault_id(), old);
    assert_eq!(home.run(&["get", "a", "-i", ".config/bootseal/identity.txt"]).code, 4);
    // The pin that comes with the new key is not the one that the old key can sign for.
    assert!(
        home.read("new.key").contains(&format!("# vault: {}\n", home.vault_id())),
        "made with the old id"
    );
    let ran = home.run_with(&["set", "a", "-i", "new.key"], b"2");
    assert!(ran.code == 0 && !ran.err.contains("renew the pin"), "{}", ran.err);
    assert_eq!(home.ok(&["get", "a", "-i", "new.key"]), "2");
    home.write(FILE, before);
    assert_eq!(host(&home, "new.key").load().unwrap_err().kind(), Kind::WrongVault);
}

#[test]
fn a_writer_can_remove_herself_while_another_one_stays() {
    let home = team();
    let known = home.ok(&["access", "remove", "alice", "--yes"]);
    assert_eq!(known.lines().collect::<Vec<_>>(), SEALED);
    assert_eq!(home.run(&["get", "acme.password"]).code, 4);
    home.ok_with(&["set", "acme.password", "-i", "bob.key"], b"without her");
}

#[test]
fn a_new_key_that_goes_to_stdout_has_the_new_id_too() {
    let home = team();
    let key =
        home.ok(&["access", "add", "bob", "--new-key", "-", "--writer", "--replace", "--yes"]);
    assert!(key.contains(&format!("# vault: {}\n", home.vault_id())), "made with the old id");
}

#[test]
fn nobody_is_removed_while_64_who_were_still_know_values() {
    let home = Home::new();
    let me = Identity::generate().unwrap();
    me.to_file_text(&[]).unwrap().expose(|bytes| support::team::private(&home, "me.key", bytes));
    let readers: Vec<String> = (0..66).map(|at| format!("reader{at}")).collect();
    let list = readers
        .iter()
        .map(|name| (name.as_str(), Role::Reader, Identity::generate().unwrap().recipient()));
    let list = list.chain([("alice", Role::Writer, me.recipient())]);
    let list =
        list.map(|(name, role, recipient)| Access::new(name, role, recipient).unwrap()).collect();
    let mut vault = Vault::create(list, "").unwrap();
    let value = Secret::copy_of(b"hunter2").unwrap();
    vault.set(&"password".parse().unwrap(), ValueKind::Text, &value, 1_700_000_000).unwrap();
    for reader in &readers[..64] {
        vault.remove_access(reader, 1_700_000_000).unwrap();
    }
    let pin = vault.file().vault_id().to_string();
    FileLock::acquire(&home.at(FILE)).unwrap().create(&vault.sign().unwrap()).unwrap();
    let remove = |name| {
        ["access", "remove", name, "--yes", "-i", "me.key", "--pin", &pin].map(str::to_owned)
    };
    let args = remove("reader64");
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let text = refused(&home, &args, b"", 1);
    assert!(text.contains("64") && text.contains("bootseal list"), "{text}");
    // What the help says is the way out.
    home.ok_with(&["set", "password", "-i", "me.key"], b"new");
    home.ok(&args);
    assert!(SealedFile::read(&home.at(FILE)).unwrap().verify(&[]).unwrap().access().len() == 2);
}
