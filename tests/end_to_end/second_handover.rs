//! A former writer hands the old id over a second time, to an id of their own, or continues to sign
//! with the old id: a writer's machine and a host refuse this because of what they saw at any path.

use crate::support::Home;
use crate::support::repo::Repo;
use crate::support::team::{FILE, elsewhere, key_without_pin, private, team};
use bootseal::{Kind, Loader};
use std::collections::HashMap;

const KEY: &str = ".config/bootseal/identity.txt";
const COPY: &str = "copy/app.sealed.toml";

/// A team with a second known place of its file. Bob was removed at the first place.
struct Scene {
    home: Home,
    /// The file of the second place, and the id of both before the removal.
    before: String,
    old: String,
    new: String,
}

impl Scene {
    fn new() -> Scene {
        let home = team();
        let old = home.vault_id();
        std::fs::create_dir(home.at("copy")).unwrap();
        home.write(COPY, home.read(FILE));
        home.ok(&["set", "acme.url", "--plain", "x", "-f", COPY, "--pin", &old]);
        home.ok(&["access", "remove", "bob", "--yes"]);
        Scene { before: home.read(COPY), new: home.vault_id(), old, home }
    }

    /// The text of the second place's file after bob has run these commands on it with his key.
    fn by_bob(&self, commands: &[&[&str]]) -> String {
        let bob = elsewhere(&self.home, &["bob.key"], &self.before);
        for command in commands {
            bob.ok(&[command, &["-i", "bob.key"][..]].concat());
        }
        bob.read(FILE)
    }

    fn at_copy(&self, text: &str, args: &[&str], pin: &[&str]) -> crate::support::Ran {
        self.home.write(COPY, text);
        let at = args.iter().position(|word| *word == "--").unwrap_or(args.len());
        let (verb, rest) = args.split_at(at);
        let ran = self.home.run_with(&[verb, &["-f", COPY], pin, rest].concat(), b"canary");
        assert!(!ran.err.contains("canary"), "{ran:?}");
        ran
    }
}

#[test]
fn a_second_handover_is_refused_at_every_path_under_no_pin_and_under_an_old_one() {
    let scene = Scene::new();
    let fork = scene.by_bob(&[&["rotate", "--signing-key"], &["set", "acme.url", "--plain", "y"]]);
    // A longer chain is refused too.
    let longer = scene.by_bob(&[&["rotate", "--signing-key"], &["rotate", "--signing-key"]]);
    let old = ["--pin", &scene.old];
    for (text, pin) in [(&fork, &[][..]), (&fork, &old), (&longer, &[]), (&longer, &old)] {
        for args in [
            &["set", "acme.password"][..],
            &["rotate", "--yes"],
            &["access", "add", "web", "--new-key", "web.key", "--yes"],
            &["access", "pin", "bob.key"],
            &["get", "acme.url"],
            &["list"],
            &["verify"],
            &["export"],
            &["login", "acme"],
            &["vaults", "add"],
            &["exec", "--", "true"],
        ] {
            let ran = scene.at_copy(text, args, pin);
            let code = if args[0] == "exec" { 125 } else { 3 };
            assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{args:?}: {ran:?}");
            for part in [&scene.old, &scene.new, "a former writer may have signed", "\n  "] {
                assert!(ran.err.contains(part), "{args:?}, {part}: {ran:?}");
            }
            assert_eq!(&scene.home.read(COPY), text, "{args:?}");
        }
    }
    private(&scene.home, KEY, format!("# vault: {}\n{}", scene.old, scene.home.read(KEY)));
    assert_eq!(scene.at_copy(&fork, &["set", "acme.password"], &[]).code, 3);
    assert_eq!(scene.at_copy(&fork, &["get", "acme.url"], &[]).code, 3);
    // `sign` does not continue from such a file either.
    scene.home.write("fork.sealed.toml", &fork);
    let args = ["sign", COPY, "--against", "fork.sealed.toml", "--yes"];
    scene.home.write(COPY, scene.before.replace("\"x\"", "\"z\""));
    let ran = scene.home.run(&args);
    assert!(ran.code == 3 && ran.err.contains(&scene.new), "{ran:?}");
}

#[test]
fn the_same_handover_and_a_longer_chain_through_it_are_accepted_everywhere() {
    let scene = Scene::new();
    let home = &scene.home;
    let ran = scene.at_copy(&home.read(FILE), &["set", "acme.password"], &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    home.ok(&["rotate", "--signing-key"]);
    let ran = scene.at_copy(&home.read(FILE), &["set", "acme.password"], &["--pin", &scene.old]);
    assert_eq!(ran.code, 0, "{ran:?}");
    // The first place gets another vault; what it knew of the old one still agrees with the chain.
    std::fs::remove_file(home.at(FILE)).unwrap();
    home.ok(&["init"]);
    home.ok_with(&["set", "acme.password", "-f", COPY], b"x");
    home.ok(&["rotate", "--signing-key", "-f", COPY]);
    home.ok_with(&["set", "acme.password", "-f", COPY], b"x");
}

#[test]
fn the_team_can_decide_for_the_other_handover() {
    let scene = Scene::new();
    let fork = scene.by_bob(&[&["rotate", "--signing-key"]]);
    let set = ["set", "acme.password"];
    let ran = scene.at_copy(&fork, &set, &[]);
    assert!(ran.err.contains(&format!("bootseal vaults forget {}", scene.old)), "{ran:?}");
    scene.home.ok(&["vaults", "forget", &scene.old, "--yes"]);
    let id = scene.home.read(COPY);
    let id = id.split('"').find(|part| part.starts_with("vault1")).unwrap();
    assert_eq!(scene.at_copy(&fork, &set, &["--pin", id]).code, 0);
    assert_eq!(scene.home.run_with(&["set", "acme.password", "-f", COPY], b"x").code, 0);
}

#[test]
fn resolve_does_not_continue_from_a_second_handover() {
    let repo = Repo::new();
    repo.invite("bob", &["--writer"]);
    repo.commit("bob");
    let (before, old) = (repo.text(), repo.pin());
    repo.branch("other", |repo| {
        repo.ok_as("bob", &["rotate", "--signing-key", "--pin", &old], b"");
        repo.ok_as("bob", &["set", "acme.timeout", "--plain", "1s", "--pin", &old], b"");
    });
    repo.set("acme.token", "ours");
    repo.commit("ours");
    // Bob is removed in another clone.
    std::fs::create_dir(repo.home.at("out")).unwrap();
    repo.home.write("out/app.sealed.toml", before);
    let remove = ["access", "remove", "bob", "--yes", "--pin", &old, "-f", "out/app.sealed.toml"];
    repo.ok(&remove);
    assert_eq!(repo.git(&["merge", "--no-edit", "other"]).code, 1);
    let (conflict, out) = (repo.text(), repo.home.read("out/app.sealed.toml"));
    repo.fails(&["resolve", FILE, "--yes"], 3);
    assert_eq!((repo.text(), repo.home.read("out/app.sealed.toml")), (conflict, out));
}

#[test]
fn a_host_that_saw_a_handover_under_one_name_refuses_another_under_any_name() {
    let scene = Scene::new();
    let fork = scene.by_bob(&[&["rotate", "--signing-key"]]);
    let home = &scene.home;
    key_without_pin(home, "app.key", "bare.key");
    let start = |name: &str, text: &str, key: &str| {
        home.write(name, text);
        let loader = Loader::exactly(home.at(name)).identity_file(home.at(key));
        loader.environment(HashMap::new()).state(home.at("state")).load().map(drop)
    };
    let kind = |started: bootseal::Result<()>| started.map_err(|error| error.kind());
    let (before, new) = (scene.before.as_str(), home.read(FILE));
    for key in ["bare.key", "app.key"] {
        start("b.sealed.toml", before, key).unwrap();
        start("a.sealed.toml", &new, key).unwrap();
        for name in ["b.sealed.toml", "never-seen.sealed.toml"] {
            let error = start(name, &fork, key).unwrap_err();
            assert_eq!(error.kind(), Kind::WrongVault, "{key}, {name}: {error}");
            assert!(error.to_string().contains("a former writer may have signed"), "{error}");
            assert!(error.help().is_some(), "{error}");
        }
        assert_eq!(kind(start("b.sealed.toml", before, key)), Err(Kind::OldGeneration));
        start("b.sealed.toml", &new, key).unwrap();
        std::fs::remove_dir_all(home.at("state")).unwrap();
    }
}

#[test]
fn values_that_a_former_writer_signed_leave_only_when_asked_for() {
    let scene = Scene::new();
    let pulled = scene.by_bob(&[&["set", "acme.url", "--plain", "https://bob.example"]]);
    private(&scene.home, KEY, format!("# vault: {}\n{}", scene.old, scene.home.read(KEY)));
    let doubt = "a former writer may have signed";
    for args in [&["export"][..], &["login", "acme"], &["vendor", "acme"], &["exec", "--", "true"]]
    {
        let ran = scene.at_copy(&pulled, args, &[]);
        let code = if args[0] == "exec" { 125 } else { 3 };
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{args:?}: {ran:?}");
        for part in [doubt, "git merge", &format!("--pin {}", scene.old)] {
            assert!(ran.err.contains(part), "{args:?}, {part}: {ran:?}");
        }
    }
    for args in [&["export"][..], &["exec", "--", "true"]] {
        let ran = scene.at_copy(&pulled, args, &["--pin", &scene.old]);
        assert!(ran.code == 0 && ran.err.matches(doubt).count() == 1, "{args:?}: {ran:?}");
    }
    for args in [&["get", "acme.url"][..], &["list"], &["verify"]] {
        let ran = scene.at_copy(&pulled, args, &[]);
        assert!(ran.code == 0 && ran.err.matches(doubt).count() == 1, "{args:?}: {ran:?}");
    }
}

#[test]
fn doctor_finds_a_file_that_a_former_writer_may_have_signed() {
    let scene = Scene::new();
    for text in [&scene.before, &scene.by_bob(&[&["set", "acme.url", "--plain", "x"]])] {
        let list = scene.at_copy(text, &["list"], &[]);
        assert!(list.err.contains("a former writer may have signed"), "{list:?}");
        let ran = scene.at_copy(text, &["doctor"], &[]);
        assert_eq!(ran.code, 1, "{ran:?}");
        for part in ["a former writer may have signed", "fix: git pull"] {
            assert!(ran.out.contains(part), "{part}: {ran:?}");
        }
        let ran = scene.at_copy(text, &["doctor", "--json"], &[]);
        assert!(ran.out.contains("doubtful-handover"), "{ran:?}");
    }
}

#[test]
fn an_honest_worktree_from_before_a_removal_can_still_be_read_and_used() {
    let scene = Scene::new();
    for args in [
        &["get", "acme.password"][..],
        &["list"],
        &["verify"],
        &["export"],
        &["exec", "--", "true"],
    ] {
        let ran = scene.at_copy(&scene.before, args, &[]);
        let doubts = ran.err.matches("a former writer may have signed").count();
        assert_eq!((ran.code, doubts), (0, 1), "{args:?}: {ran:?}");
        assert!(ran.err.contains("git merge"), "{args:?}: {ran:?}");
    }
}
