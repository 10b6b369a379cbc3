//! Another vault or an older copy in place of the pinned one.

use super::*;

#[test]
fn an_older_copy_is_refused_if_the_pin_has_a_minimum_generation() {
    let scene = Scene::new();
    // The copy is authentic, so a pin without a minimum generation accepts it. A pin with one
    // refuses it, and the error kind is `old-generation`.
    for (pin, code) in [(scene.pin.clone(), 0), (format!("{}@1", scene.pin), 0)] {
        let read = scene.alice.at(FILE);
        scene.alice.write(FILE, &scene.older);
        assert_eq!(
            scene.alice.run(&["verify", "--pin", &pin, "-f", read.to_str().unwrap()]).code,
            code
        );
    }
    let floor = format!("{}@2", scene.pin);
    let wrong: Vec<String> = scene
        .readings(scene.older.as_bytes(), &floor)
        .iter()
        .filter_map(|reading| reading.problem(Kind::OldGeneration))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(scene.readings(scene.text.as_bytes(), &floor).iter().all(|reading| reading.code == 0));
    // A second pin with a lower minimum does not lower the first one, and a pin for another vault
    // does not replace it.
    scene.alice.write(FILE, &scene.older);
    let foreign = line(&scene.foreign, "vault = ")[9..73].to_owned();
    for other in [scene.pin.clone(), foreign] {
        assert_eq!(scene.alice.run(&["verify", "--pin", &floor, "--pin", &other]).code, 3);
        assert_eq!(scene.alice.run(&["verify", "--pin", &other, "--pin", &floor]).code, 3);
    }
    // No verb that writes accepts the copy either.
    let before = scene.alice.read(FILE);
    assert_eq!(
        scene.alice.run_with(&["set", "acme.password", "-", "--pin", &floor], b"new").code,
        3
    );
    assert_eq!(scene.alice.read(FILE), before);
}

/// The attack that pins and known vaults prevent: someone else's complete vault, made for our
/// recipients, in place of ours.
#[test]
fn a_foreign_vault_in_place_gets_no_secret() {
    let scene = Scene::new();
    let clone = Home::new();
    let identity = scene.alice.at(".config/bootseal/identity.txt");
    let identity = identity.to_str().unwrap();
    for home in [&scene.alice, &clone] {
        home.write(FILE, &scene.foreign);
        home.write("more.toml", "[acme]\npassword = \"secret:hunter2-canary\"\n");
        let remembered = std::fs::read(home.at(".local/state/bootseal/known_vaults")).ok();
        let attempts: &[&[&str]] = &[
            &["set", "acme.password", "-"],
            &["set", "acme.password", "-", "--yes"],
            &["set", "acme.password", "--generate", "--quiet"],
            &["set", "acme.timeout", "--plain", "99s"],
            &["seal", "more.toml", "-f", FILE],
            &["seal", "more.toml", "-f", FILE, "--shred", "--yes"],
            &["access", "add", "bob", "--new-key", "bob.key", "--yes"],
            &["login", "acme"],
        ];
        for args in attempts {
            let ran = home.run_with(&[*args, &["-i", identity]].concat(), b"hunter2-canary");
            assert_eq!(ran.code, 3, "{args:?}: {}", ran.err);
            assert!(ran.out.is_empty() && ran.err.contains("--pin"), "{args:?}: {}", ran.err);
            assert_eq!(home.read(FILE), scene.foreign, "{args:?}");
            assert!(
                home.read("more.toml").contains("hunter2-canary"),
                "{args:?}: the input is gone"
            );
            assert!(!home.at("bob.key").exists(), "{args:?}");
        }
        // None of this makes the vault known, and neither does reading it.
        for args in [&["verify"][..], &["list"], &["get", "acme.url"], &["access", "list"]] {
            let code = home.run(&[args, &["-i", identity]].concat()).code;
            assert_eq!(code, if remembered.is_some() { 3 } else { 0 }, "{args:?}");
        }
        assert_eq!(std::fs::read(home.at(".local/state/bootseal/known_vaults")).ok(), remembered);
    }
    // A loader without a pin does not start, and one that is allowed to start unpinned does not log
    // in.
    let bare = clone.at("bare.key");
    let key: String = scene
        .alice
        .read("app.key")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect();
    private(&bare, key.as_bytes());
    let loader =
        || Loader::exactly(clone.at(FILE)).identity_file(&bare).environment(HashMap::new());
    assert_eq!(loader().load().unwrap_err().kind(), Kind::WrongVault);
    let secrets = loader().allow_unpinned().load().unwrap();
    assert_eq!(
        secrets.token_source("acme").err().map(|error| error.kind()),
        Some(Kind::WrongVault)
    );
}

/// A home with the vaults `prod` and `staging`; mallory is a reader of the second.
fn two_vaults_of_one_team() -> (Home, Home) {
    let (home, mallory) = (Home::new(), Home::new());
    mallory.ok(&["keygen"]);
    let recipient = mallory.ok(&["keygen", "-y", ".config/bootseal/identity.txt"]);
    home.ok(&["init", "-f", "prod.sealed.toml"]);
    home.ok(&["init", "-f", "staging.sealed.toml"]);
    home.ok(&["access", "add", "mallory", recipient.trim(), "-f", "staging.sealed.toml", "--yes"]);
    (home, mallory)
}

#[test]
fn a_link_to_another_known_vault_is_refused() {
    let (home, _mallory) = two_vaults_of_one_team();
    std::fs::remove_file(home.at("prod.sealed.toml")).unwrap();
    std::os::unix::fs::symlink("staging.sealed.toml", home.at("prod.sealed.toml")).unwrap();
    let before = home.read("staging.sealed.toml");
    let ran = home.run_with(&["set", "acme.password", "-f", "prod.sealed.toml"], b"PROD-SECRET");
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert_eq!(home.read("staging.sealed.toml"), before);
    // The same for a folder that became a link.
    std::fs::create_dir(home.at("staging")).unwrap();
    std::fs::create_dir(home.at("live")).unwrap();
    home.ok(&["init", "-f", "staging/app.sealed.toml"]);
    home.ok(&["init", "-f", "live/app.sealed.toml"]);
    std::fs::remove_dir_all(home.at("live")).unwrap();
    std::os::unix::fs::symlink("staging", home.at("live")).unwrap();
    assert_eq!(
        home.run_with(&["set", "acme.password", "-f", "live/app.sealed.toml"], b"PROD-SECRET").code,
        3
    );
}

#[test]
fn an_empty_pin_does_not_override_the_pin_of_the_key_file() {
    let home = Home::with_vault("password = \"hunter2\"\n");
    home.ok(&["access", "add", "app", "--new-key", "app.key", "--yes"]);
    for empty in [" ", "\t", "\n"] {
        let ran = home
            .command(&["get", "password", "-i", "app.key"])
            .env("BOOTSEAL_PIN", empty)
            .output()
            .unwrap();
        assert_eq!(ran.status.code(), Some(2));
    }
}

#[test]
fn a_remembered_id_is_no_longer_trusted_after_its_handover() {
    // The vault of this vector has two handovers; `old` is its first id.
    let rows: Vec<serde_json::Value> = serde_json::from_str(
        &std::fs::read_to_string(root().join("tests/vectors/vectors.json")).unwrap(),
    )
    .unwrap();
    let handed_over = "good/removed-and-handover.sealed.toml";
    let pins: Vec<&str> = rows
        .iter()
        .filter(|row| row["file"] == handed_over)
        .map(|row| row["pin"].as_str().unwrap())
        .collect();
    let home = Home::new();
    home.write(
        "app.sealed.toml",
        std::fs::read(root().join("tests/vectors").join(handed_over)).unwrap(),
    );
    home.write("alice.key", std::fs::read(root().join("tests/vectors/alice.key")).unwrap());
    std::fs::set_permissions(
        home.at("alice.key"),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    let id = home.vault_id();
    let old = pins.iter().find(|pin| **pin != id).unwrap();
    // The writer's machine knew the old id, accepted the handover, and no longer trusts the old id.
    let ran = home.run_with(&["set", "note", "-i", "alice.key", "--pin", old], b"x");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("renew the pin"), "{}", ran.err);
    let memory = home.read(".local/state/bootseal/known_vaults");
    assert!(
        memory.contains(&format!("vault = \"{id}\""))
            && memory.contains("former = [")
            && memory.contains(*old),
        "{memory}"
    );
}

#[test]
fn a_pin_is_refused_if_a_new_vault_is_made() {
    let home = Home::with_vault("password = \"hunter2\"\n");
    let id = home.vault_id();
    home.write("in.toml", "a = \"b\"\n");
    for args in [
        &["init", "-f", "new.sealed.toml", "--pin", &id][..],
        &["seal", "in.toml", "-f", "new.sealed.toml", "--pin", &id],
    ] {
        let ran = home.run(args);
        assert_eq!(ran.code, 2, "{}", ran.err);
        assert!(!home.at("new.sealed.toml").exists());
    }
}

#[test]
fn a_key_without_a_pin_does_not_override_the_pin_of_another_key() {
    let (ours, mallory) = (Home::with_vault("a = \"1\"\n"), Home::new());
    ours.ok(&["access", "add", "app", "--new-key", "app.key", "--yes"]);
    ours.ok(&["keygen", "-o", "bare.key"]);
    let bare = ours.ok(&["keygen", "-y", "bare.key"]);
    mallory.ok(&["init", "--reader", &format!("app={}", bare.trim())]);
    for folder in ["credentials", "config/bootseal"] {
        std::fs::create_dir_all(ours.at(folder)).unwrap();
    }
    std::fs::rename(ours.at("app.key"), ours.at("credentials/bootseal.key")).unwrap();
    std::fs::rename(ours.at("bare.key"), ours.at("config/bootseal/identity.txt")).unwrap();
    let variables =
        [("CREDENTIALS_DIRECTORY", ours.at("credentials")), ("XDG_CONFIG_HOME", ours.at("config"))];
    let variables = variables
        .map(|(name, path)| (name.to_owned(), path.into_os_string()))
        .into_iter()
        .collect();
    let error = bootseal::Loader::exactly(mallory.at("app.sealed.toml"))
        .environment(variables)
        .allow_unpinned()
        .load()
        .unwrap_err();
    assert_eq!(error.kind(), bootseal::Kind::WrongVault, "{error}");
}
