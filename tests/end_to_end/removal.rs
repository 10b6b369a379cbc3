//! A removed recipient keeps only old values: they cannot open values sealed afterwards, and files
//! that they sign are refused.
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

/// Runs a command that must fail without changing the file, and returns its error text.
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

/// A file that bob signs with his old key and a copy from before his removal, with the highest
/// generation.
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
    // No value that the old data key opens is left.
    assert_eq!(sealed_texts(&new).len(), SEALED.len());
    assert!(sealed_texts(&old).iter().all(|sealed| !new.contains(sealed)));
    // The old key block, restored by someone without a writer's key, invalidates the signature.
    home.write(FILE, new.replace(block(&new, "read_key"), block(&old, "read_key")));
    let ran = home.run(&["get", "acme.password", "-i", "app.key", "--json"]);
    assert!(
        ran.code == 3 && ran.err.contains("\"forged\"") && !ran.out.contains("hunter2"),
        "{}",
        ran.err
    );
}

#[test]
fn values_known_to_a_removed_recipient_stay_marked_until_replaced() {
    let home = team();
    let answer: serde_json::Value =
        serde_json::from_str(&home.ok(&["access", "remove", "app", "--yes", "--json"])).unwrap();
    assert_eq!(answer["exposed"], json!(SEALED));
    assert!(
        home.ok(&["list"]).lines().filter(|line| line.ends_with("known to app")).count()
            == SEALED.len()
    );
    assert!(SEALED.iter().all(|name| known_to(&home, name) == ["app"]));
    // New keys, a new name and other recipients do not clear the mark.
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
    // A replaced value is known to nobody, even if it is replaced in the same second. The entry in
    // `removed` stays as long as one value is marked.
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
fn a_value_never_sealed_for_a_removed_recipient_is_not_marked() {
    let home = team();
    home.ok(&["access", "remove", "app", "--yes"]);
    home.ok_with(&["set", "later"], b"x");
    assert!(known_to(&home, "later").is_empty() && known_to(&home, "acme.url").is_empty());
    // A removed recipient who knew no value leaves no entry.
    let empty = Home::new();
    empty.ok(&["init"]);
    empty.ok(&["access", "add", "app", "--new-key", "app.key", "--yes"]);
    assert_eq!(empty.ok(&["access", "remove", "app", "--yes"]), "");
    assert!(!empty.read(FILE).contains("name = \"app\""));
}

#[test]
fn a_removal_needs_confirmation_and_shows_the_remaining_recipients() {
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
fn a_loader_that_pins_the_old_id_accepts_the_new_file_with_a_warning() {
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
fn a_loader_with_state_refuses_a_former_writer_at_any_generation() {
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
    // A host that only pins the old id must renew its pin, as the removal says; then it refuses
    // such a file too.
    host(&home, "app.key").load().unwrap();
    home.write(FILE, &ours);
    home.ok(&["access", "pin", "app.key"]);
    home.write(FILE, &forged);
    assert_eq!(host(&home, "app.key").load().unwrap_err().kind(), Kind::WrongVault);
}

#[test]
fn a_former_writers_own_handover_is_refused() {
    let home = team();
    let (before, old) = (home.read(FILE), home.vault_id());
    host(&home, "app.key").state(home.at("state")).load().unwrap();
    home.ok(&["access", "remove", "bob", "--yes"]);
    host(&home, "app.key").state(home.at("state")).load().unwrap();
    // Bob hands the old id over to his own: for a pin of the old id this is a valid chain.
    let forged = by_bob(&before, &home, &["rotate", "--signing-key"]);
    home.write(FILE, &forged);
    let error = host(&home, "app.key").state(home.at("state")).load().unwrap_err();
    assert_eq!(error.kind(), Kind::WrongVault, "{error}");
    for pin in [&[][..], &["--pin", &old]] {
        let text = refused(&home, &[&["set", "acme.password"], pin].concat(), b"for-alice-only", 3);
        assert!(!text.contains("for-alice-only"));
    }
    // Known vaults overrule a pin of the old id, but not a pin of the file's own id.
    host(&home, "bob.key").pin(&home.vault_id()).unwrap().state(home.at("state")).load().unwrap();
}

#[test]
fn an_old_pin_still_loads_after_two_removals_of_writers() {
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
    // The minimum generation of a pin applies across the removals.
    assert_eq!(home.run(&["verify", "--pin", &format!("{first}@6")]).code, 0);
    assert_eq!(home.run(&["verify", "--pin", &format!("{first}@7")]).code, 3);
}

#[test]
fn after_65_handovers_the_oldest_id_is_no_longer_accepted() {
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
    // The writer's machine knew the first id: it asks for a pin, and accepts the vault with it.
    let text = refused(&home, &["set", "acme.password"], b"x", 3);
    assert!(text.contains("this is a different vault") && text.contains("--pin"), "{text}");
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
fn a_writer_who_becomes_a_reader_can_no_longer_sign() {
    let home = team();
    let (before, old, recipient) =
        (home.read(FILE), home.vault_id(), home.ok(&["keygen", "-y", "bob.key"]));
    refused(&home, &["access", "add", "bob", recipient.trim(), "--yes"], b"", 1);
    let forged = by_bob(&before, &home, &["set", "x", "--plain", "y"]);
    home.ok(&["access", "add", "bob", recipient.trim(), "--replace", "--yes"]);
    assert_ne!(home.vault_id(), old);
    // Bob can still read, so no value needs to be replaced.
    assert_eq!(home.ok(&["get", "acme.password", "-i", "bob.key"]), "hunter2");
    assert!(known_to(&home, "acme.password").is_empty());
    refused(&home, &["set", "acme.password", "-i", "bob.key"], b"x", 4);
    home.write(FILE, forged);
    refused(&home, &["set", "acme.password"], b"x", 3);
}

#[test]
fn replacing_the_recipient_of_a_name_removes_the_old_one() {
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
fn the_only_writer_can_replace_their_own_key() {
    let home = Home::with_vault("a = \"1\"\n");
    let (before, old) = (home.read(FILE), home.vault_id());
    home.ok(&["access", "add", "alice", "--new-key", "new.key", "--writer", "--replace", "--yes"]);
    assert_ne!(home.vault_id(), old);
    assert_eq!(home.run(&["get", "a", "-i", ".config/bootseal/identity.txt"]).code, 4);
    // The pin of the new key file has the new id, which the old key cannot sign for.
    assert!(
        home.read("new.key").contains(&format!("# vault: {}\n", home.vault_id())),
        "the pin has the old id"
    );
    let ran = home.run_with(&["set", "a", "-i", "new.key"], b"2");
    assert!(ran.code == 0 && !ran.err.contains("renew the pin"), "{}", ran.err);
    assert_eq!(home.ok(&["get", "a", "-i", "new.key"]), "2");
    home.write(FILE, before);
    assert_eq!(host(&home, "new.key").load().unwrap_err().kind(), Kind::WrongVault);
}

#[test]
fn a_writer_can_remove_themselves_while_another_remains() {
    let home = team();
    let known = home.ok(&["access", "remove", "alice", "--yes", "--myself", "alice"]);
    assert_eq!(known.lines().collect::<Vec<_>>(), SEALED);
    assert_eq!(home.run(&["get", "acme.password"]).code, 4);
    home.ok_with(&["set", "acme.password", "-i", "bob.key"], b"without her");
}

#[test]
fn a_new_key_on_stdout_has_the_new_vault_id() {
    let home = team();
    let key =
        home.ok(&["access", "add", "bob", "--new-key", "-", "--writer", "--replace", "--yes"]);
    assert!(key.contains(&format!("# vault: {}\n", home.vault_id())), "the pin has the old id");
}

#[test]
fn a_65th_removed_member_who_knows_values_joins_the_oldest_in_one_entry() {
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
    home.ok(&args);
    // Whoever knows the value is still marked, and the newest by name.
    let known = home.ok(&["list", "--json", "-i", "me.key", "--pin", &pin]);
    assert!(known.contains("earlier-removed-members") && known.contains("reader64"), "{known}");
    // The text shows the first names, and counts the others.
    assert!(home.ok(&["list", "-i", "me.key", "--pin", &pin]).contains("… and 44 more"));
    home.ok_with(&["set", "password", "-i", "me.key"], b"new");
    assert!(!home.ok(&["list", "-i", "me.key"]).contains("known to"));
    assert!(SealedFile::read(&home.at(FILE)).unwrap().verify(&[]).unwrap().access().len() == 2);
}
