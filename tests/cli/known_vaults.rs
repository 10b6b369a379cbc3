//! The known vaults of a machine: `vaults` lists them, `vaults forget` is the way back after a
//! removal was undone, and `vaults add` is the one command that a new machine needs.

use crate::support::team::{FILE, elsewhere, team};
use crate::support::{Home, at_a_terminal};
use serde_json::Value;

fn listed(home: &Home) -> Vec<Value> {
    let text = home.ok(&["vaults", "--json"]);
    let document: Value = serde_json::from_str(&text).unwrap();
    document["vaults"].as_array().unwrap().clone()
}

/// A team whose file was restored to the version from before `who` was removed: the home, and the
/// id of the restored file.
fn undone(who: &str) -> (Home, String) {
    let home = team();
    let (before, id) = (home.read(FILE), home.vault_id());
    home.ok(&["access", "remove", who, "--yes", "--myself", who]);
    home.write(FILE, before);
    (home, id)
}

#[test]
fn vaults_lists_path_id_generation_epoch_and_former_ids() {
    let home = Home::new();
    let ran = home.run(&["vaults"]);
    assert!(ran.code == 0 && ran.out.is_empty() && ran.err.contains("knows no vault"), "{ran:?}");
    assert_eq!(listed(&home), Vec::<Value>::new());

    let home = team();
    let old = home.vault_id();
    home.ok(&["access", "remove", "bob", "--yes"]);
    let id = home.vault_id();
    let [file] = &listed(&home)[..] else { panic!() };
    assert!(file["path"].as_str().unwrap().ends_with("/app.sealed.toml"), "{file}");
    assert_eq!((file["vault"].as_str(), file["former"][0].as_str()), (Some(&*id), Some(&*old)));
    assert_eq!((&file["generation"], &file["epoch"]), (&4.into(), &1.into()), "{file}");
    let text = home.ok(&["vaults"]);
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.contains(&format!("  {id}  generation 4, epoch 1\n  formerly {old}")), "{text}");
}

#[test]
fn an_undone_removal_of_a_reader_can_be_forgotten() {
    let (home, id) = undone("app");
    let ran = home.run_with(&["set", "acme.password"], b"x");
    let help = format!("bootseal vaults forget {id}");
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(
        ran.err.contains(&help) && ran.err.contains("can then read what is sealed next"),
        "{ran:?}"
    );
    assert_eq!(home.ok(&["get", "acme.password"]), "hunter2");
    // Without a terminal, it needs --yes; what is shown is who can read what is sealed next.
    let ran = home.run(&["vaults", "forget", &id]);
    assert_eq!(ran.code, 2, "{ran:?}");
    for words in
        ["what is sealed next into this file", "epoch 1) can be read by", "\napp    reader  age1"]
    {
        assert!(ran.err.contains(words), "{words}: {ran:?}");
    }
    assert_eq!(home.run_with(&["set", "acme.password"], b"x").code, 3);
    let ran = home.run(&["vaults", "forget", &id, "--yes"]);
    assert!(ran.code == 0 && ran.err.contains("\napp    reader  age1"), "{ran:?}");
    assert_eq!(listed(&home), Vec::<Value>::new());
    // The vault is unknown now, so it must be confirmed or pinned.
    let ran = home.run_with(&["set", "acme.password"], b"x");
    assert!(ran.code == 3 && ran.err.contains("neither pinned nor known"), "{ran:?}");
    home.ok(&["vaults", "add", "--pin", &id]);
    home.ok_with(&["set", "acme.password"], b"new");
    assert_eq!(home.ok(&["get", "acme.password"]), "new");
}

#[test]
fn an_undone_removal_of_a_writer_or_of_oneself_can_be_forgotten() {
    for who in ["bob", "alice"] {
        let (home, id) = undone(who);
        let forget = format!("bootseal vaults forget {id}");
        for args in [&["get", "acme.password"][..], &["list"]] {
            let ran = home.run(args);
            assert_eq!(ran.code, 3, "{ran:?}");
            assert!(ran.err.contains(&format!("To read this file anyway: --pin {id}")), "{ran:?}");
            assert!(ran.err.contains(&forget), "{ran:?}");
            home.ok(&[args, &["--pin", &id]].concat());
        }
        let pinned = ["set", "acme.password", "--pin", &id];
        let ran = home.run_with(&pinned, b"x");
        assert!(ran.code == 3 && ran.err.contains(&forget), "{ran:?}");
        // The id is forgotten at every place, such as another clone.
        let clone = home.at("clone");
        std::fs::create_dir(&clone).unwrap();
        std::fs::copy(home.at(FILE), clone.join(FILE)).unwrap();
        let ran = home
            .run_with(&["set", "acme.password", "-f", "clone/app.sealed.toml", "--pin", &id], b"x");
        assert_eq!(ran.code, 3, "{ran:?}");
        home.ok(&["vaults", "forget", &id, "--yes"]);
        home.ok_with(&["set", "acme.password", "-f", "clone/app.sealed.toml", "--pin", &id], b"x");
        home.ok_with(&pinned, b"new");
        assert_eq!(home.ok(&["get", "acme.password"]), "new");
    }
}

#[test]
fn a_basis_from_before_the_removal_of_a_writer_names_the_way_back() {
    let (home, id) = undone("bob");
    let signed = home.read(FILE);
    home.write("basis.sealed.toml", &signed);
    home.write(FILE, signed.replace("[acme]", "[acme] # edited"));
    let sign = ["sign", FILE, "--against", "basis.sealed.toml", "--pin", &id, "--yes"];
    let ran = home.run(&sign);
    assert!(ran.code == 3 && ran.err.contains(&format!("bootseal vaults forget {id}")), "{ran:?}");
    home.ok(&["vaults", "forget", &id, "--yes"]);
    home.ok(&sign);
}

#[test]
fn forget_asks_and_a_no_forgets_nothing() {
    let (home, id) = undone("bob");
    let args = ["vaults", "forget", &id];
    let Some((code, seen, _)) = at_a_terminal(&home, &args, &[("[y/N] ", "n\n")]) else { return };
    assert_eq!(code, 2, "{seen}");
    assert!(
        seen.contains("bob    writer") && seen.contains(&format!("Forget {id}? [y/N]")),
        "{seen}"
    );
    assert_eq!(listed(&home)[0]["former"][0].as_str(), Some(&*id));
    assert_eq!(at_a_terminal(&home, &args, &[("[y/N] ", "y\n")]).unwrap().0, 0);
    assert_eq!(listed(&home)[0]["former"].as_array().unwrap().len(), 0);
    let ran = home.run(&args);
    assert!(ran.code == 1 && ran.err.contains("does not know"), "{ran:?}");
    assert_eq!(home.run(&["vaults", "forget", "nonsense"]).code, 1);
    // A file that is gone or broken does not prevent it.
    std::fs::write(home.at(FILE), "x = 1\n").unwrap();
    let id = listed(&home)[0]["vault"].as_str().unwrap().to_owned();
    let ran = home.run(&["vaults", "forget", &id, "--yes"]);
    assert!(ran.code == 0 && ran.err.contains("is unknown, because the file there"), "{ran:?}");
}

#[test]
fn forgetting_the_new_id_leaves_the_old_one_handed_over() {
    let home = team();
    let (old, copy) = (home.vault_id(), "copy/app.sealed.toml");
    std::fs::create_dir(home.at("copy")).unwrap();
    home.write(copy, home.read(FILE));
    let set = ["set", "acme.password", "-f", copy];
    home.ok_with(&[&set[..], &["--pin", &old]].concat(), b"x");
    home.ok(&["access", "remove", "bob", "--yes"]);
    let new = home.vault_id();
    home.ok(&["vaults", "forget", &new, "--yes"]);
    assert!(!home.ok(&["vaults"]).contains(&new));
    for pin in [&[][..], &["--pin", &old]] {
        let ran = home.run_with(&[&set[..], pin].concat(), b"x");
        assert!(ran.code == 3 && ran.err.contains(&format!("vaults forget {old}")), "{ran:?}");
    }
    // The new id must be confirmed again.
    let ran = home.run_with(&["set", "acme.password"], b"x");
    assert!(ran.code == 3 && ran.err.contains(&format!("--pin {new}")), "{ran:?}");
    home.ok(&["vaults", "add", "--pin", &new]);
    home.ok_with(&["set", "acme.password"], b"x");
    assert_eq!(home.run_with(&set, b"x").code, 3);
    home.ok(&["vaults", "forget", &new, "--yes"]);
    home.ok(&["vaults", "forget", &old, "--yes"]);
    assert_eq!(listed(&home), Vec::<Value>::new());
}

#[test]
fn a_forgotten_vault_can_be_confirmed_again_although_a_second_place_knows_it() {
    let home = team();
    let copy = "copy/app.sealed.toml";
    home.ok(&["access", "remove", "bob", "--yes"]);
    let new = home.vault_id();
    std::fs::create_dir(home.at("copy")).unwrap();
    home.write(copy, home.read(FILE));
    home.ok(&["vaults", "add", "--pin", &new, "-f", copy]);
    home.ok(&["vaults", "forget", &new, "--yes"]);
    home.ok(&["vaults", "add", "--pin", &new]);
    home.ok_with(&["set", "acme.password"], b"x");
    home.ok(&["exec", "--", "true"]);
    // The other place must be confirmed too, and then works.
    home.ok(&["vaults", "add", "--pin", &new, "-f", copy]);
    home.ok_with(&["set", "acme.password", "-f", copy], b"x");
}

#[test]
fn another_copy_of_a_known_vault_is_named_with_the_command_that_adds_it() {
    let home = team();
    let copy = "copy/app.sealed.toml";
    std::fs::create_dir(home.at("copy")).unwrap();
    home.write(copy, home.read(FILE));
    let ran = home.run_with(&["set", "acme.password", "-f", copy], b"x");
    let add = format!("bootseal vaults add --pin {} -f {copy}", home.vault_id());
    for part in ["known on this machine at", FILE, &add] {
        assert!(ran.code == 3 && ran.err.contains(part), "{part}: {ran:?}");
    }
    let add: Vec<&str> = add.split(' ').skip(1).collect();
    home.ok(&add);
    home.ok_with(&["set", "acme.password", "-f", copy], b"x");
}

#[test]
fn a_handover_that_a_person_adds_is_known_from_then_on() {
    let home = team();
    let (before, old) = (home.read(FILE), home.vault_id());
    let copy = "copy/app.sealed.toml";
    std::fs::create_dir(home.at("copy")).unwrap();
    home.write(copy, &before);
    let other = elsewhere(&home, &[], &before);
    let key = home.read(".config/bootseal/identity.txt");
    std::fs::create_dir_all(other.at(".config/bootseal")).unwrap();
    crate::support::team::private(&other, ".config/bootseal/identity.txt", key);
    other.ok(&["vaults", "add", "--pin", &old]);
    home.ok(&["access", "remove", "bob", "--yes"]);
    other.write(FILE, home.read(FILE));
    other.ok(&["vaults", "add", "--pin", &home.vault_id()]);
    assert_eq!(listed(&other)[0]["vault"].as_str(), Some(&*home.vault_id()));
    other.write(FILE, before);
    assert_eq!(other.run_with(&["set", "acme.password"], b"x").code, 3);
}

#[test]
fn removing_oneself_needs_the_name() {
    let home = team();
    let before = home.read(FILE);
    for args in [
        &["access", "remove", "alice", "--yes"][..],
        &["access", "remove", "alice", "--yes", "--myself", "bob"],
    ] {
        let ran = home.run(args);
        assert!(ran.code == 2 && ran.err.contains("alice is you"), "{ran:?}");
        assert_eq!(home.read(FILE), before);
    }
    let args = ["access", "remove", "alice"];
    let question = "Type your name to remove yourself: ";
    let Some((code, seen, _)) =
        at_a_terminal(&home, &args, &[("[y/N] ", "y\n"), (question, "y\n")])
    else {
        return;
    };
    assert!(code == 2 && seen.contains("nothing was changed"), "{seen}");
    assert_eq!(home.read(FILE), before);
    let typed = at_a_terminal(&home, &args, &[("[y/N] ", "y\n"), (question, "alice\n")]).unwrap();
    assert_eq!(typed.0, 0, "{}", typed.1);
    assert_ne!(home.read(FILE), before);
    // Others are removed as before.
    let other = team();
    other.ok(&["access", "remove", "bob", "--yes"]);
}

#[test]
fn a_new_laptop_needs_one_command() {
    let home = team();
    let id = home.vault_id();
    let laptop = elsewhere(&home, &["bob.key"], &home.read(FILE));
    laptop.write("bob.key", laptop.read("bob.key").replace(&format!("# vault: {id}\n"), ""));
    assert_eq!(laptop.run_with(&["set", "acme.password", "-i", "bob.key"], b"x").code, 3);
    let ran = laptop.run(&["vaults", "add"]);
    assert!(ran.code == 3 && ran.err.contains(&format!("--pin {id}")), "{ran:?}");
    let other = Home::with_vault("a = 1\n").vault_id();
    assert_eq!(laptop.run(&["vaults", "add", "--pin", &other]).code, 3);
    assert_eq!(listed(&laptop), Vec::<Value>::new());
    laptop.ok(&["vaults", "add", "--pin", &id]);
    assert_eq!(listed(&laptop)[0]["vault"].as_str(), Some(&*id));
    laptop.ok_with(&["set", "acme.password", "-i", "bob.key"], b"new");
    assert_eq!(laptop.ok(&["get", "acme.password", "-i", "bob.key"]), "new");
    let ran = laptop.run(&["get", "acme.user", "-i", "bob.key"]);
    assert!(ran.code == 0 && ran.err.is_empty(), "{ran:?}");
    // At a terminal, it asks instead.
    let laptop = elsewhere(&home, &["bob.key"], &home.read(FILE));
    let answers = [("Is it the right vault? [y/N] ", "y\n")];
    let Some((code, seen, _)) = at_a_terminal(&laptop, &["vaults", "add"], &answers) else {
        return;
    };
    assert_eq!((code, listed(&laptop).len()), (0, 1), "{seen}");
}
