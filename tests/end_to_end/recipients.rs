//! SSH keys and plugins as recipients, made by the real `ssh-keygen` and opened by the real `age`.

use crate::support;
use crate::support::{Home, Ran};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const VALUE: &str = "[db]\npassword = \"hunter2\"\n";

/// Makes `name` and `name.pub`, and returns the public key with its comment.
fn ssh_key(home: &Home, name: &str, kind: &[&str], passphrase: &str) -> String {
    let path = home.at(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut command = Command::new("ssh-keygen");
    command
        .args(["-q", "-C", "alice at her laptop", "-N", passphrase, "-f"])
        .arg(&path)
        .arg("-t")
        .args(kind);
    let made = command.output().expect("ssh-keygen");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    home.read(&format!("{name}.pub")).trim().to_owned()
}

fn without_comment(key: &str) -> String {
    key.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// Removes the user's own identity, so that only the identities named by a test can open.
fn forget_own(home: &Home) {
    std::fs::remove_dir_all(home.at(".config")).unwrap();
}

fn key_block(home: &Home, name: &str) -> String {
    let file: toml::Table = toml::from_str(&home.read("app.sealed.toml")).unwrap();
    file["bootseal"][name].as_str().unwrap().to_owned()
}

fn refused(ran: &Ran, code: i32, words: &str) {
    assert_eq!(ran.code, code, "{} {}", ran.out, ran.err);
    assert!(ran.err.contains(words) && !ran.err.contains("panicked"), "{words}: {}", ran.err);
}

#[test]
fn ssh_keys_open_in_bootseal_and_in_age() {
    let home = Home::with_vault(VALUE);
    let ed = ssh_key(&home, "ed", &["ed25519"], "");
    let rsa = ssh_key(&home, "rsa", &["rsa", "-b", "2048"], "");
    home.ok(&["access", "add", "ed", &ed, "--writer", "--yes"]);
    home.ok(&["access", "add", "rsa", &rsa, "--yes"]);
    let list = home.ok(&["access", "list"]);
    assert!(
        list.contains(&without_comment(&ed))
            && list.contains(&without_comment(&rsa))
            && !list.contains("laptop")
    );
    refused(
        &home.run(&["access", "add", "other", &without_comment(&ed), "--yes"]),
        1,
        "in access already",
    );
    assert_eq!(home.ok(&["keygen", "-y", "ed"]).trim(), without_comment(&ed));

    forget_own(&home);
    home.ok_with(&["set", "db.password", "-i", "ed"], b"hunter3\n");
    assert_eq!(home.ok(&["get", "db.password", "-i", "rsa"]), "hunter3");
    refused(
        &home.run_with(&["set", "db.password", "-i", "rsa"], b"x"),
        4,
        "can read, but not write",
    );
    for (key, role) in [("ed", "writer"), ("rsa", "reader")] {
        assert!(home.ok(&["verify", "-i", key]).contains(role));
    }
    for (key, block, length) in
        [("ed", "read_key", 32), ("ed", "write_key", 64), ("rsa", "read_key", 32)]
    {
        home.write("block", key_block(&home, block));
        let opened = Command::new("age")
            .args(["-d", "-i", key, "block"])
            .current_dir(home.path())
            .output()
            .unwrap();
        assert!(opened.status.success(), "{key}: {}", String::from_utf8_lossy(&opened.stderr));
        assert_eq!(opened.stdout.len(), length);
    }
}

#[test]
fn the_users_own_ssh_key_is_tried_last_and_makes_no_vault() {
    let home = Home::new();
    let key = ssh_key(&home, ".ssh/id_ed25519", &["ed25519"], "");
    home.write(".ssh/id_rsa", "not a key at all");
    home.write("app.toml", VALUE);
    home.ok(&["seal", "app.toml"]);
    assert!(!home.ok(&["access", "list"]).contains("ssh-"));
    home.ok(&["access", "add", "laptop", &key, "--yes"]);
    forget_own(&home);
    assert_eq!(home.ok(&["get", "db.password"]), "hunter2");
    home.ok(&["init", "-f", "b.sealed.toml", "-i", ".ssh/id_ed25519"]);
    assert!(home.ok(&["access", "list", "-f", "b.sealed.toml"]).contains(&without_comment(&key)));
}

#[test]
fn a_passphrase_is_asked_for_only_if_the_key_has_access_and_the_signature_is_valid() {
    let home = Home::with_vault(VALUE);
    for (name, kind) in
        [("ed", &["ed25519", "-a", "2"][..]), ("rsa", &["rsa", "-b", "2048", "-a", "2"])]
    {
        let key = ssh_key(&home, name, kind, "open sesame");
        assert_eq!(home.ok(&["keygen", "-y", name]).trim(), without_comment(&key));
        let get = ["get", "db.password", "-i", name];
        refused(&home.run(&get), 4, "no key opens");
        home.ok(&["access", "add", name, &key, "--writer", "--yes"]);
        let prompt = format!("*Passphrase of the SSH key of {name}: ");
        let ran = home.typed(&get, &[], &[(&prompt, "open sesame\n")]);
        assert!(
            ran.code == 0 && ran.out.contains("hunter2") && !ran.out.contains("sesame"),
            "{}",
            ran.out
        );
        let ran = home.typed(&get, &[], &[(&prompt, "wrong\n")]);
        assert!(ran.code == 4 && ran.out.contains("wrong passphrase"), "{}", ran.out);
    }
    let ran = home.typed(
        &["set", "db.password", "-i", "ed"],
        &[],
        &[
            ("*Passphrase of", "open sesame\n"),
            ("*db.password", "hunter3\n"),
            ("*again", "hunter3\n"),
        ],
    );
    assert_eq!(ran.code, 0, "{}", ran.out);
    // The user's own key is already a writer.
    let own = ".config/bootseal/identity.txt";
    assert_eq!(home.ok(&["get", "db.password", "-i", own, "-i", "ed"]), "hunter3");
    home.write("forged.sealed.toml", home.read("app.sealed.toml").replace("[db]", "[dc]"));
    refused(
        &home.run(&["get", "dc.password", "-f", "forged.sealed.toml", "-i", "ed"]),
        3,
        "signature",
    );
}

#[test]
fn keys_that_cannot_open_are_reported() {
    let home = Home::with_vault(VALUE);
    let ecdsa = ssh_key(&home, "ecdsa", &["ecdsa"], "");
    refused(&home.run(&["get", "db.password", "-i", "ecdsa"]), 1, "ecdsa-sha2-nistp256");
    refused(&home.run(&["access", "add", "x", &ecdsa, "--yes"]), 2, "ssh-ed25519");
    ssh_key(&home, "small", &["rsa", "-b", "1024"], "");
    refused(&home.run(&["access", "add", "x", &home.read("small.pub"), "--yes"]), 2, "2048");
    ssh_key(&home, "old", &["rsa", "-b", "2048", "-m", "PEM"], "open sesame");
    refused(&home.run(&["get", "db.password", "-i", "old"]), 1, "ssh-keygen -p");
    let open = ssh_key(&home, "open", &["rsa", "-b", "2048", "-m", "PEM"], "");
    home.ok(&["access", "add", "old", &open, "--yes"]);
    assert_eq!(home.ok(&["get", "db.password", "-i", "open"]), "hunter2");
    std::fs::set_permissions(home.at("open"), std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .unwrap();
    refused(&home.run(&["get", "db.password", "-i", "open"]), 1, "chmod 600");
    home.write("cut", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END OPENSSH PRIVATE KEY-----\n");
    std::fs::set_permissions(home.at("cut"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    refused(&home.run(&["get", "db.password", "-i", "cut"]), 1, "not a complete SSH private key");
}

/// The plugin, built beside the tests; cargo does nothing if it exists already.
fn plugin() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        let profile = test.parent().unwrap().parent().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args([
            "build",
            "--quiet",
            "--locked",
            "--package",
            "bootseal-cli",
            "--example",
            "age-plugin-testkey",
        ]);
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        let built = cargo
            .current_dir(support::root())
            .arg("--target-dir")
            .arg(profile.parent().unwrap())
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        profile.join("examples/age-plugin-testkey")
    })
}

/// A key of the plugin: its recipient, and its recipient as a tag. The identity is written to
/// `name`.
fn plugin_key(home: &Home, name: &str) -> (String, String) {
    let made: Ran = Command::new(plugin()).output().unwrap().into();
    let [recipient, tag, identity] = made.out.lines().collect::<Vec<_>>().try_into().unwrap();
    home.write(name, format!("# a key on hardware\n{identity}\n"));
    std::fs::set_permissions(home.at(name), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    (recipient.to_owned(), tag.to_owned())
}

fn install(folder: &Path) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    let program = folder.join("age-plugin-testkey");
    std::fs::copy(plugin(), &program).unwrap();
    program
}

/// Runs the binary with these variables; returns the result and the plugin's own record of its
/// runs.
fn marked(home: &Home, args: &[&str], variables: &[(&str, &str)], stdin: &[u8]) -> (Ran, String) {
    let _ = std::fs::remove_file(home.at("mark"));
    home.write("stdin", stdin);
    let stdin = std::fs::File::open(home.at("stdin")).unwrap();
    let mut command = home.command(args);
    command.env("TESTKEY_MARK", home.at("mark")).envs(variables.iter().copied()).stdin(stdin);
    let ran = command.output().unwrap().into();
    (ran, std::fs::read_to_string(home.at("mark")).unwrap_or_default())
}

#[test]
fn a_plugin_identity_reads_and_writes() {
    let home = Home::with_vault(VALUE);
    install(&home.at(".local/bin"));
    let (reader, _) = plugin_key(&home, "reader.txt");
    let (writer, tag) = plugin_key(&home, "writer.txt");
    let ran = home.run(&["access", "add", "app", &reader, "--yes"]);
    assert!(
        ran.code == 0 && ran.err.contains("every writer needs age-plugin-testkey"),
        "{}",
        ran.err
    );
    home.ok(&["access", "add", "hardware", &writer, "--writer", "--yes"]);
    refused(&home.run(&["access", "add", "x", &writer, "--yes"]), 1, "in access already");
    forget_own(&home);

    let secret = [("BOOTSEAL_IDENTITY", "reader.txt"), ("BOOTSEAL_ANYTHING", "x"), ("OTHER", "y")];
    let (ran, mark) = marked(&home, &["get", "db.password"], &secret, b"");
    assert_eq!((ran.code, ran.out.as_str()), (0, "hunter2"), "{}", ran.err);
    assert!(
        mark.starts_with("identity-v1 in /\n")
            && mark.contains("  OTHER\n")
            && !mark.contains("BOOTSEAL_"),
        "{mark}"
    );

    let (ran, mark) = marked(&home, &["set", "db.password", "-i", "writer.txt"], &[], b"hunter3\n");
    assert_eq!(ran.code, 0, "{}", ran.err);
    // A hardware key is touched once.
    assert_eq!(
        (mark.matches("identity-v1").count(), mark.matches("recipient-v1").count()),
        (1, 0),
        "{mark}"
    );
    assert_eq!(home.ok(&["get", "db.password", "-i", "reader.txt"]), "hunter3");
    assert!(home.ok(&["verify", "-i", "writer.txt"]).contains("(writer)"));
    assert!(home.ok(&["verify", "-i", "reader.txt"]).contains("(reader)"));
    refused(&home.run_with(&["set", "db.password", "-i", "reader.txt"], b"x"), 4, "age1testkey1…");

    // Another key of the plugin, which is not in access.
    plugin_key(&home, "stranger.txt");
    refused(&home.run(&["get", "db.password", "-i", "stranger.txt"]), 4, "Tried: age1testkey1…");
    let ran = home.run(&["keygen", "-y", "writer.txt"]);
    assert!(ran.code == 0 && ran.err.contains("only the plugin knows"), "{}", ran.err);
    refused(
        &home.run(&["init", "-f", "b.sealed.toml", "-i", "writer.txt"]),
        2,
        "a plugin identity does not contain it",
    );
    home.ok(&["init", "-f", "b.sealed.toml", "--writer", &format!("me={writer}")]);
    home.ok_with(&["set", "a", "-f", "b.sealed.toml", "-i", "writer.txt"], b"x");

    // A hardware key of which only the public point is known; any plugin that has it opens it.
    home.ok(&["access", "add", "tag", &tag, "--yes", "-i", "writer.txt", "-f", "app.sealed.toml"]);
    std::fs::rename(home.at("writer.txt"), home.at("tag.txt")).unwrap();
    home.ok(&["init", "-f", "c.sealed.toml", "--writer", &format!("me={tag}")]);
    home.ok_with(&["set", "a", "-f", "c.sealed.toml", "-i", "tag.txt"], b"by its point");
    assert_eq!(home.ok(&["get", "a", "-f", "c.sealed.toml", "-i", "tag.txt"]), "by its point");
}

#[test]
fn a_plugin_asks_at_the_terminal_and_fails_without_one() {
    let home = Home::with_vault(VALUE);
    let program = install(&home.at("elsewhere"));
    let named = [("BOOTSEAL_PLUGIN", program.to_str().unwrap()), ("TESTKEY_PIN", "alice:1234")];
    let (recipient, _) = plugin_key(&home, "key.txt");
    let (ran, _) = marked(&home, &["access", "add", "app", &recipient, "--yes"], &named, b"");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let get = ["get", "db.password", "-i", "key.txt"];
    let asks = |confirm, pin| [("plugged in?", confirm), ("Who: ", "alice\n"), ("*PIN: ", pin)];
    let ran = home.typed(&get, &named, &asks("y\n", "1234\n"));
    assert!(
        ran.code == 0
            && ran.out.contains("hunter2")
            && ran.out.contains("[y = yes, it is, n = no]"),
        "{}",
        ran.out
    );
    assert!(!ran.out.contains("1234") && ran.out.contains(r"hello \u{1b}[2Jthere"), "{}", ran.out);
    let ran = home.typed(&get, &named, &asks("y\n", "4321\n"));
    assert!(
        ran.code == 4 && ran.out.contains("age-plugin-testkey failed: wrong PIN"),
        "{}",
        ran.out
    );
    let ran = home.typed(&get, &named, &asks("n\n", "")[..1]);
    assert!(ran.code == 4 && ran.out.contains("not plugged in"), "{}", ran.out);
    // setsid: there is no terminal to open by name.
    let mut alone = Command::new("setsid");
    alone.arg("--wait").arg(env!("CARGO_BIN_EXE_bootseal")).args(get).current_dir(home.path());
    let ran: Ran = alone.env("HOME", home.path()).envs(named).output().unwrap().into();
    refused(&ran, 2, "its question was not answered");
}

#[test]
fn no_planted_plugin_runs_and_none_before_the_signature_is_checked() {
    let home = Home::with_vault(VALUE);
    let (recipient, _) = plugin_key(&home, "key.txt");
    install(home.path());
    let planted = install(&home.at("planted"));
    let path = format!("{}:.:{}", home.at("planted").display(), std::env::var("PATH").unwrap());
    let on_path = [("PATH", path.as_str())];
    let (ran, mark) = marked(&home, &["access", "add", "app", &recipient, "--yes"], &on_path, b"");
    refused(&ran, 1, "PATH is not searched");
    assert_eq!(mark, "");

    let named = [("BOOTSEAL_PLUGIN", planted.to_str().unwrap())];
    let (ran, mark) = marked(&home, &["access", "add", "app", &recipient], &named, b"");
    refused(&ran, 2, "--yes"); // there is no terminal to confirm at
    assert_eq!(mark, "");
    let (ran, mark) = marked(&home, &["access", "add", "app", &recipient, "--yes"], &named, b"");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(mark.starts_with("recipient-v1"), "{mark}");
    let get = ["get", "db.password", "-i", "key.txt"];
    let (ran, mark) = marked(&home, &get, &on_path, b"");
    refused(&ran, 4, "PATH is not searched");
    assert_eq!(mark, "");

    // Everyone else opens the file as before, without running a program.
    let (ran, mark) = marked(
        &home,
        &["get", "db.password", "-i", ".config/bootseal/identity.txt", "-i", "key.txt"],
        &named,
        b"",
    );
    assert_eq!((ran.code, ran.out.as_str(), mark.as_str()), (0, "hunter2", ""));
    let (ran, mark) = marked(&home, &["set", "db.password"], &on_path, b"hunter2");
    assert_eq!((ran.code, mark.as_str()), (0, ""), "{}", ran.err);

    let sealed = home.read("app.sealed.toml");
    for (name, text) in [
        ("forged", sealed.replace("[db]", "[dc]")),
        ("renamed", sealed.replace("name = \"app\"", "name = \"apq\"")),
    ] {
        let file = format!("{name}.sealed.toml");
        home.write(&file, text);
        let (ran, mark) = marked(&home, &[&get[..], &["-f", &file]].concat(), &named, b"");
        refused(&ran, 3, "signature");
        assert_eq!(mark, "", "{name}");
        std::fs::remove_file(home.at(&file)).unwrap();
    }
    let other = Home::with_vault(VALUE);
    home.write("other.sealed.toml", other.read("app.sealed.toml"));
    let (ran, mark) =
        marked(&home, &[&get[..], &["-f", "other.sealed.toml"]].concat(), &named, b"");
    refused(&ran, 4, "no key opens");
    assert_eq!(mark, "", "no recipient in access uses that plugin");
    std::fs::remove_file(home.at("other.sealed.toml")).unwrap();

    for (wrong, code, words) in
        [("age-plugin-testkey", 2, "absolute path"), ("/bin/true", 2, "age-plugin-NAME")]
    {
        let (ran, _) = marked(&home, &get, &[("BOOTSEAL_PLUGIN", wrong)], b"");
        refused(&ran, code, words);
    }
    std::fs::set_permissions(&planted, std::os::unix::fs::PermissionsExt::from_mode(0o777))
        .unwrap();
    let (ran, mark) = marked(&home, &get, &named, b"");
    refused(&ran, 1, "any user can replace");
    assert_eq!(mark, "");
}

#[test]
fn members_whose_plugin_nobody_has_are_removed_together_with_whoever_added_them() {
    let home = Home::with_vault(VALUE);
    let program = install(&home.at(".local/bin"));
    home.ok(&["access", "add", "mallory", "--new-key", "mallory.key", "--writer", "--yes"]);
    for name in ["ghost0", "ghost1"] {
        let (recipient, _) = plugin_key(&home, "key.txt");
        home.ok(&["access", "add", name, &recipient, "--yes"]);
    }
    std::fs::remove_file(program).unwrap();
    let before = home.read("app.sealed.toml");
    for (args, command) in [
        (&["access", "remove", "mallory"][..], "access remove mallory ghost0 ghost1"),
        (&["access", "remove", "ghost1"], "access remove ghost1 ghost0"),
        (&["rotate"], "access remove ghost0 ghost1"),
        (&["rotate", "--signing-key"], "access remove ghost0 ghost1"),
        (&["access", "add", "x", "--new-key", "x.key"], "access remove ghost0 ghost1"),
    ] {
        let ran = home.run(&[args, &["--yes"]].concat());
        assert!(ran.code != 0 && ran.err.contains(command), "{args:?}: {ran:?}");
        assert!(ran.err.contains("cannot be wrapped for ghost"), "{args:?}: {ran:?}");
        assert_eq!(home.read("app.sealed.toml"), before, "{args:?}");
    }
    let id = home.vault_id();
    let all = ["access", "remove", "mallory", "ghost0", "ghost1"];
    let ran = home.run(&all);
    assert!(ran.code == 2 && ran.err.contains("removing mallory, ghost0, ghost1"), "{ran:?}");
    let ran = home.run(&[&all[..], &["--yes"]].concat());
    assert_eq!((ran.code, ran.out.as_str()), (0, "db.password\n"), "{ran:?}");
    assert!(ran.err.contains("mallory, ghost0, ghost1 know the values"), "{ran:?}");
    assert_ne!(home.vault_id(), id);
    assert_eq!(home.ok(&["access", "list"]).lines().count(), 1);
    home.ok(&["rotate", "--yes"]);
    refused(&home.run(&["access", "remove", "alice", "nobody", "--yes"]), 1, "nobody");
}

#[test]
fn a_misbehaving_plugin_is_named_in_the_error() {
    let home = Home::with_vault(VALUE);
    let (recipient, _) = plugin_key(&home, "key.txt");
    let good = install(&home.at("good"));
    let (ran, _) = marked(
        &home,
        &["access", "add", "app", &recipient, "--yes"],
        &[("BOOTSEAL_PLUGIN", good.to_str().unwrap())],
        b"",
    );
    assert_eq!(ran.code, 0, "{}", ran.err);
    let bad = home.at("age-plugin-testkey");
    let named = [("BOOTSEAL_PLUGIN", bad.to_str().unwrap())];
    let wrong_key = "printf -- '-> file-key 0\\nAAAA\\n-> done\\n\\n'";
    for (script, words) in [
        ("exit 1", "exited before it was done"),
        ("head -c 100000 /dev/zero | tr '\\0' A", "a line that is too long"),
        ("echo hello; echo", "not the protocol"),
        ("printf -- '-> error internal\\nYnJva2Vu\\n-> done\\n\\n'", "failed: broken"),
        ("printf -- '-> done\\n\\n'", "no key opens"),
        (wrong_key, "no key opens"),
    ] {
        home.write("age-plugin-testkey", format!("#!/bin/sh\n{script}\ncat > /dev/null\n"));
        std::fs::set_permissions(&bad, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
        let (ran, _) = marked(&home, &["get", "db.password", "-i", "key.txt"], &named, b"");
        refused(&ran, 4, words);
    }
}

#[test]
fn a_plugin_name_that_contains_a_path_is_refused() {
    let home = Home::with_vault(VALUE);
    let encode = |prefix: &str| {
        age_core::primitives::bech32_encode(bech32::Hrp::parse_unchecked(prefix), &[7; 20])
    };
    for prefix in ["age1../../tmp/x", "age1a/b", "age1..", "age1a_b"] {
        refused(
            &home.run(&["access", "add", "x", &encode(prefix), "--yes"]),
            2,
            "is not a recipient",
        );
    }
    refused(
        &home.run(&["access", "add", "x", &encode("age1testkey").to_uppercase(), "--yes"]),
        2,
        "is not a recipient",
    );
    refused(&home.run(&["access", "add", "x", &encode("age1tagpq"), "--yes"]), 2, "post-quantum");
    for prefix in ["age-plugin-../x-", "age-plugin-a/b-", "age-plugin--", "age-plugin-a.b-"] {
        home.write("key.txt", encode(prefix).to_uppercase());
        std::fs::set_permissions(
            home.at("key.txt"),
            std::os::unix::fs::PermissionsExt::from_mode(0o600),
        )
        .unwrap();
        refused(&home.run(&["get", "db.password", "-i", "key.txt"]), 1, "not an age identity");
    }
}

/// Runs in a child process, because it depends on the environment: opens the file named by
/// `LOADER_TEST` and prints the result.
#[test]
fn loader_in_a_child() {
    let Some(folder) = std::env::var_os("LOADER_TEST").map(PathBuf::from) else { return };
    let mut loader = bootseal::Loader::new(folder.join("app.sealed.toml")).allow_unpinned();
    if let Some(program) = std::env::var_os("LOADER_PLUGIN") {
        loader = loader.plugin(program);
    }
    match loader.load() {
        Ok(vault) => println!(
            "opened {}",
            vault.secret("db.password").unwrap().expose_str(str::to_owned).unwrap()
        ),
        Err(error) => println!("failed {error}"),
    }
}

#[test]
fn the_loader_runs_only_the_configured_plugin() {
    let home = Home::with_vault(VALUE);
    let (recipient, _) = plugin_key(&home, "key.txt");
    let program = install(&home.at(".local/bin")).to_str().unwrap().to_owned();
    home.ok(&["access", "add", "app", &recipient, "--yes"]);
    let ssh = ssh_key(&home, "ed", &["ed25519"], "");
    home.ok(&["access", "add", "ssh", &ssh, "--yes"]);
    ssh_key(&home, ".ssh/id_ed25519", &["ed25519"], "");
    let locked = ssh_key(&home, "locked", &["ed25519", "-a", "2"], "x");
    home.ok(&["access", "add", "locked", &locked, "--yes"]);
    forget_own(&home);
    let path = format!("{}:{}", home.at(".local/bin").display(), std::env::var("PATH").unwrap());
    let load = |variables: &[(&str, &str)]| {
        let _ = std::fs::remove_file(home.at("mark"));
        let mut child = Command::new(std::env::current_exe().unwrap());
        child
            .args(["--exact", "recipients::loader_in_a_child", "--nocapture"])
            .current_dir(home.at(".local/bin"));
        child
            .env("HOME", home.path())
            .env("PATH", &path)
            .env("TESTKEY_MARK", home.at("mark"))
            .env("LOADER_TEST", home.path());
        let ran: Ran = child.envs(variables.iter().copied()).output().unwrap().into();
        (ran.out, std::fs::read_to_string(home.at("mark")).unwrap_or_default())
    };
    let key = ("BOOTSEAL_IDENTITY", home.at("key.txt").to_str().unwrap().to_owned());
    let key = (key.0, key.1.as_str());
    // The loader searches neither PATH, nor the folders of the command line, nor the current
    // folder.
    let (out, mark) = load(&[key]);
    assert!(
        out.contains("failed") && out.contains("no plugin path is configured") && mark.is_empty(),
        "{out} {mark}"
    );
    for named in ["BOOTSEAL_PLUGIN", "LOADER_PLUGIN"] {
        let (out, mark) = load(&[key, (named, &program)]);
        assert!(
            out.contains("opened hunter2")
                && mark.contains("identity-v1")
                && !mark.contains("BOOTSEAL_"),
            "{out} {mark}"
        );
    }
    let (out, _) = load(&[key, ("LOADER_PLUGIN", &program), ("TESTKEY_PIN", "alice:1234")]);
    assert!(out.contains("its question was not answered"), "{out}");
    let (out, mark) = load(&[key, ("BOOTSEAL_PLUGIN", "age-plugin-testkey")]);
    assert!(out.contains("absolute path") && mark.is_empty(), "{out}");
    let ssh = home.at("ed");
    assert!(load(&[("BOOTSEAL_IDENTITY", ssh.to_str().unwrap())]).0.contains("opened hunter2"));
    let (out, _) = load(&[("BOOTSEAL_IDENTITY", home.at("locked").to_str().unwrap())]);
    assert!(out.contains("which is protected by a passphrase"), "{out}");
    let (out, _) = load(&[]);
    assert!(out.contains("no key opens") && !out.contains(".ssh"), "{out}");

    home.write("app.sealed.toml", home.read("app.sealed.toml").replace("[db]", "[dc]"));
    let (out, mark) = load(&[key, ("BOOTSEAL_PLUGIN", &program)]);
    assert!(out.contains("signature") && mark.is_empty(), "{out}");
}
