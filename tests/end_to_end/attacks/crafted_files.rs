//! Crafted files: bad vectors, files that a reader wrote, and sealed and readable values swapped.

use super::*;

/// Every row of the vectors through the binary and the loader. The crafted files have a valid
/// signature, so that only the named fault is wrong: truncated or moved values, values in arrays,
/// duplicates, small-order keys.
#[test]
fn every_bad_vector_is_refused_by_the_binary_and_by_the_loader() {
    let vectors = root().join("tests/vectors");
    let rows: Vec<serde_json::Value> =
        serde_json::from_str(&std::fs::read_to_string(vectors.join("vectors.json")).unwrap())
            .unwrap();
    let home = Home::new();
    let mut wrong = Vec::new();
    for row in rows.iter().filter(|row| row["identity"].is_string()) {
        let text = |key: &str| row[key].as_str();
        let (name, expect) = (text("file").unwrap(), text("expect").unwrap());
        let whole = format!("{name} ({}, pin {:?})", text("identity").unwrap(), text("pin"));
        let key = std::fs::read_to_string(vectors.join(text("identity").unwrap())).unwrap();
        let key: String = key
            .lines()
            .filter(|line| !line.starts_with("# vault:"))
            .map(|line| format!("{line}\n"))
            .collect();
        private(&home.at("key"), key.as_bytes());
        let file = vectors.join(name);
        let mut args = vec!["verify", "--json", "-i", "key", file.to_str().unwrap()];
        args.extend(text("pin").map(|pin| ["--pin", pin]).into_iter().flatten());
        let ran = home.run(&args);
        let found =
            kind_of(&ran).unwrap_or_else(|| if ran.code == 0 { "ok".into() } else { "?".into() });
        let code = rows_code(expect);
        if found != expect
            || ran.code != code
            || (code != 0 && !ran.out.is_empty())
            || ran.err.contains("sealed:A")
        {
            wrong.push(format!(
                "verify {whole}: {found} ({}), not {expect}\n{}{}",
                ran.code, ran.out, ran.err
            ));
        }
        if code == 3 && !has_help(&ran.err) {
            wrong.push(format!("verify {whole}: no next step\n{}", ran.err));
        }
        // A fault in the writers' block does not concern the loader, which never opens it.
        let Some(pin) = text("pin").filter(|_| !name.starts_with("bad/write-key-")) else {
            continue;
        };
        let loaded = load(&file, &pinned_key(&key, pin));
        if loaded.kind.as_deref().unwrap_or("ok") != expect {
            wrong.push(format!("loader {whole}: {:?}, not {expect}\n{}", loaded.kind, loaded.err));
        }
        if loaded.err.contains("sealed:A") {
            wrong.push(format!("loader {whole}: ciphertext in the message\n{}", loaded.err));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn rows_code(kind: &str) -> i32 {
    match kind {
        "ok" => 0,
        "malformed" => 1,
        "no-identity" => 4,
        _ => 3,
    }
}

/// A reader has the data key, and still cannot make a file that another reader accepts.
#[test]
fn a_reader_cannot_change_the_file() {
    let scene = Scene::new();
    let web = Home::new();
    web.write(FILE, &scene.text);
    private(&web.at("app.key"), scene.alice.read("app.key").as_bytes());
    web.write("more.toml", "extra = \"secret:from-the-reader\"\n");
    assert_eq!(web.ok(&["get", "acme.password", "-i", "app.key"]), "hunter2-canary");
    let recipient = web.ok(&["keygen", "-o", "eve.key"]);
    let attempts: &[&[&str]] = &[
        &["set", "acme.password", "-"],
        &["set", "acme.new", "-"],
        &["set", "acme.timeout", "--plain", "99s"],
        &["set", "acme.login.url", "--plain", "https://evil.example/login"],
        &["set", "acme.password", "--plain", "x", "--force"],
        &["set", "acme.password", "--generate"],
        &["seal", "more.toml", "-f", FILE],
        &["access", "add", "eve", recipient.trim(), "--yes"],
        &["access", "add", "eve", recipient.trim(), "--writer", "--yes"],
        &["access", "add", "eve", "--new-key", "new.key", "--yes"],
    ];
    for args in attempts {
        let ran = web.run_with(&[*args, &["-i", "app.key"]].concat(), b"from-the-reader");
        assert_eq!(ran.code, 4, "{args:?}: {}", ran.err);
        assert!(ran.err.contains("alice") && ran.err.contains("\n  "), "{args:?}: {}", ran.err);
        assert_eq!(web.read(FILE), scene.text, "{args:?}");
    }
    assert!(!web.at("new.key").exists());
    assert_eq!(
        std::fs::read_dir(web.path())
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("tmp"))
            .count(),
        0
    );

    // In the library, a reader's identity opens no signing seed: `Vault<CanRead>` cannot sign.
    let identities = IdentityFile::read(&web.at("app.key")).unwrap().identities;
    let verified = || {
        SealedFile::parse(scene.text.clone().into_bytes())
            .unwrap()
            .verify(&[scene.pinned()])
            .unwrap()
    };
    assert_eq!(verified().role_of(&identities), Some(Role::Reader));
    let error = verified().open_for_writing(&identities).unwrap_err();
    assert_eq!(error.kind(), Kind::NoIdentity);

    // A reader can make a new file with every value, name and recipient, signed with another key.
    let opened = verified().open(&identities).unwrap();
    let user = scene.text.split("[bootseal]\n").next().unwrap();
    let plain =
        opened.file().properties().filter(|(_, property)| matches!(property, Property::Sealed(_)));
    let values: Vec<(PropertyPath, ValueKind, Secret)> = plain
        .map(|(path, _)| (path.clone(), ValueKind::Text, opened.open(&path).unwrap().secret))
        .collect();
    let cleared = values.iter().fold(user.to_owned(), |text, (path, ..)| {
        let Some(Property::Sealed(old)) = opened.file().property(path) else { panic!("{path}") };
        edit(&text, &old, "")
    });
    let mut copy = Vault::create(opened.file().access().to_vec(), &cleared).unwrap();
    copy.set_all(values.into_iter().map(Ok), 1).unwrap();
    let copy = copy.sign().unwrap();
    let unpinned = SealedFile::parse(copy.clone().into_bytes()).unwrap().verify(&[]).unwrap();
    assert_eq!(
        unpinned.property(&"acme.url".parse().unwrap()),
        opened.file().property(&"acme.url".parse().unwrap())
    );
    let wrong: Vec<String> = scene
        .readings(copy.as_bytes(), &scene.pin)
        .iter()
        .filter_map(|reading| reading.problem(Kind::WrongVault))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    // The same attack, but the data key and the key blocks stay as they are: only the last two
    // lines, `vault` and `signature`, are new. The library offers no way to make such a file, so
    // it is a test vector.
    let taken = root().join("tests/vectors/bad/taken-over.sealed.toml");
    let pin = line(
        &std::fs::read_to_string(root().join("tests/vectors/good/acme.sealed.toml")).unwrap(),
        "vault = ",
    )[9..73]
        .to_owned();
    assert_eq!(
        SealedFile::read(&taken).unwrap().verify(&[pin.parse().unwrap()]).unwrap_err().kind(),
        Kind::WrongVault
    );
    let key = std::fs::read_to_string(root().join("tests/vectors/payments-app.key")).unwrap();
    assert_eq!(load(&taken, &key).kind.as_deref(), Some("wrong-vault"));
}

#[test]
fn ciphertext_is_never_returned_as_a_value() {
    let scene = Scene::new();
    let ciphertext = sealed(&scene.text, "acme", "password");
    // A writer refuses to store ciphertext as a readable value.
    let me = bootseal_core::Identity::generate().unwrap();
    let access = || vec![Access::new("me", Role::Writer, me.recipient()).unwrap()];
    for text in [
        format!("a = [{ciphertext}]\n"),
        format!("a = [[1, {ciphertext}]]\n"),
        format!("a = [{{ b = {ciphertext} }}]\n"),
        format!("[[a]]\nb = {ciphertext}\n"),
        format!("[[a]]\n[a.b]\nc = {ciphertext}\n"),
        format!("a = {}\"\n", &ciphertext[..ciphertext.len() - 4]),
        "a = \"sealed:\"\n".into(),
        "a = 'sealed:words'\n".into(),
        "a = \"\\u0073ealed:words\"\n".into(),
        "a = [\"\"\"\nsealed:words\"\"\"]\n".into(),
    ] {
        assert_eq!(
            Vault::create(access(), &text).err().map(|error| error.kind()),
            Some(Kind::Malformed),
            "{text}"
        );
    }
    // Even if a writer signed a file with ciphertext in the wrong place (the crafted files), no verb
    // and no loader returns the ciphertext.
    let vectors = root().join("tests/vectors");
    let home = Home::new();
    let key = std::fs::read_to_string(vectors.join("alice.key")).unwrap();
    private(&home.at("key"), key.as_bytes());
    let bad = [
        "moved",
        "moved-from-dotted",
        "moved-to-table",
        "foreign-value",
        "sealed-in-array",
        "sealed-in-table-in-array",
        "sealed-in-array-of-tables",
        "sealed-cut",
        "sealed-words",
    ];
    for name in bad {
        let file = vectors.join(format!("bad/{name}.sealed.toml"));
        let text = std::fs::read_to_string(&file).unwrap();
        let pin = &line(&text, "vault = ")[9..73];
        let whole = SealedFile::read(&file).unwrap().verify(&[pin.parse().unwrap()]);
        let (kind, names) = match &whole {
            Ok(file) => (
                Kind::MovedValue,
                file.properties()
                    .filter(|(_, property)| matches!(property, Property::Sealed(_)))
                    .map(|(path, _)| path.to_string())
                    .collect(),
            ),
            Err(error) => (error.kind(), vec!["acme.password".to_owned(), "mirrors".into()]),
        };
        let file = file.to_str().unwrap();
        assert_eq!(
            load(Path::new(file), &pinned_key(&key, pin)).kind.as_deref(),
            Some(kind.as_str()),
            "{name}"
        );
        let mut refused = 0;
        for property in names {
            for json in [&["--json"][..], &[]] {
                let ran = home.run(
                    &[&["get", &property, "-f", file, "-i", "key", "--pin", pin], json].concat(),
                );
                assert!(
                    !ran.out.contains("sealed:") && !ran.err.contains("sealed:A"),
                    "{name}: {property}: {}{}",
                    ran.out,
                    ran.err
                );
                refused +=
                    usize::from(ran.code == i32::from(kind.exit_code()) && ran.out.is_empty());
            }
        }
        assert!(refused > 0, "{name}");
    }
}

#[test]
fn a_readable_value_is_never_returned_as_a_secret_or_the_reverse() {
    let scene = Scene::new();
    let key = scene.alice.at("app.key");
    let secrets = Loader::exactly(scene.alice.at(FILE))
        .identity_file(key)
        .environment(HashMap::new())
        .load()
        .unwrap();
    for readable in ["acme.url", "acme.note", "acme.login.url", "release"] {
        let error = secrets.secret(readable).unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict, "{readable}");
        assert!(error.help().is_some());
        assert!(secrets.text(readable).is_ok());
    }
    for sealed in ["acme.password", "db.password"] {
        assert!(secrets.secret(sealed).is_ok());
        let error = secrets.text(sealed).unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict, "{sealed}");
        assert!(!error.to_string().contains("sealed:"));
    }
    for table in
        ["acme", "acme.login", "acme.password.x", "bootseal", "bootseal.read_key", "bootseal.vault"]
    {
        assert_eq!(secrets.secret(table).unwrap_err().kind(), Kind::NotFound, "{table}");
    }
}

/// The path is a folder, a pipe or another special file.
#[cfg(unix)]
#[test]
fn a_path_that_is_no_regular_file_is_refused_without_blocking() {
    let scene = Scene::new();
    let place = scene.alice.at(FILE);
    let key = pinned_key(&scene.alice.read("app.key"), &scene.pin);
    let refused = |what: &str, code: i32| {
        for args in [&["verify"][..], &["get", "acme.password"], &["set", "acme.password", "-"]] {
            let ran =
                scene.alice.run_with(&[args, &["-f", FILE, "--pin", &scene.pin]].concat(), b"x");
            assert_eq!(ran.code, code, "{what}: {args:?}: {}", ran.err);
        }
        assert_eq!(load(&place, &key).code, code, "{what}");
    };
    std::fs::remove_file(&place).unwrap();
    refused("nothing", 1);
    std::fs::create_dir(&place).unwrap();
    refused("a folder", 1);
    std::fs::remove_dir(&place).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &place).unwrap();
    refused("a device without end", 1);
    std::fs::remove_file(&place).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&place).status().unwrap().success());
    refused("a pipe", 1);
    std::fs::remove_file(&place).unwrap();
    std::os::unix::fs::symlink(FILE, &place).unwrap();
    refused("a link to itself", 1);
    std::fs::remove_file(&place).unwrap();
    scene.alice.write("other.sealed.toml", &scene.foreign);
    std::os::unix::fs::symlink("other.sealed.toml", &place).unwrap();
    refused("a link to another vault", 3);
    assert_eq!(scene.alice.read("other.sealed.toml"), scene.foreign);
}

#[test]
fn a_readable_value_that_looks_sealed_is_refused_when_it_is_set() {
    let home = Home::with_vault("password = \"hunter2\"\n");
    let before = home.read("app.sealed.toml");
    let ran = home.run(&["set", "foo", "--plain", &format!("sealed:{}", "A".repeat(139))]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert_eq!(home.read("app.sealed.toml"), before);
}
