//! The file, identity and pin of a command come from an option, a variable, or a search.

#[cfg(unix)]
use crate::answers::chmod;
use crate::answers::{ACME, document, fails, fails_with};
#[cfg(unix)]
use crate::support::repo::Repo;
use crate::support::{Home, Ran};

#[test]
fn the_file_comes_from_the_option_the_variable_or_is_the_only_one() {
    let home = Home::new();
    assert!(fails(&home, &["list"], "not-found").contains("bootseal init"));
    home.ok(&["init", "-f", "a.sealed.toml"]);
    home.ok(&["set", "x", "--plain", "a"]);
    home.ok(&["init", "-f", "b.sealed.toml"]);
    let text = fails(&home, &["list"], "usage");
    assert!(text.contains("a.sealed.toml, b.sealed.toml") && text.contains("-f FILE"), "{text}");
    let list = |file: &str, args: &[&str]| -> Ran {
        home.command(args).env("BOOTSEAL_FILE", file).output().unwrap().into()
    };
    assert_eq!(list("a.sealed.toml", &["list"]).out, "x  readable\n");
    assert_eq!(list("a.sealed.toml", &["list", "-f", "b.sealed.toml"]).out, "", "the option wins");
    assert_eq!(list("", &["list"]).code, 2, "an empty variable is none");
    assert_eq!(list("none.sealed.toml", &["list"]).code, 1);
    assert_eq!(list("c.sealed.toml", &["init"]).code, 0);
    assert!(home.at("c.sealed.toml").exists());
}

#[test]
fn the_identity_comes_from_the_option_the_variable_or_stdin() {
    let home = Home::with_vault(ACME);
    home.ok(&["access", "add", "web", "--new-key", "web.key", "--yes"]);
    home.ok(&["keygen", "-o", "stranger.key"]);
    let key = home.read("web.key");
    let get = |identity: &str, args: &[&str]| -> Ran {
        home.command(args).env("BOOTSEAL_IDENTITY", identity).output().unwrap().into()
    };
    assert_eq!(get("web.key", &["get", "acme.password"]).out, "hunter2");
    assert_eq!(
        get("stranger.key", &["get", "acme.password"]).code,
        4,
        "an identity is named, so the user's own is not tried"
    );
    assert_eq!(
        get("stranger.key", &["get", "acme.password", "-i", "web.key"]).out,
        "hunter2",
        "the option wins"
    );
    assert_eq!(
        home.ok(&["get", "acme.password", "-i", "stranger.key", "-i", "web.key"]),
        "hunter2"
    );
    assert_eq!(home.ok_with(&["get", "acme.password", "-i", "-"], key.as_bytes()), "hunter2");
    let own = std::fs::read_to_string(home.at(".config/bootseal/identity.txt")).unwrap();
    let before = home.read("app.sealed.toml");
    let text = fails_with(&home, &["set", "acme.password", "-i", "-"], own.as_bytes(), "usage");
    assert!(text.contains("stdin cannot be both"), "{text}");
    fails_with(&home, &["set", "acme.password", "-i", "-", "--empty"], own.as_bytes(), "usage");
    assert_eq!(home.read("app.sealed.toml"), before);
    home.ok_with(&["set", "acme.password", "--generate", "-i", "-"], own.as_bytes());
    fails_with(&home, &["get", "acme.password", "-i", "-"], b"junk hunter2", "malformed");
}

#[test]
fn a_pin_comes_from_the_option_else_the_variable_else_the_key_file() {
    let home = Home::with_vault(ACME);
    home.ok(&["access", "add", "web", "--new-key", "web.key", "--yes"]);
    home.ok(&["init", "-f", "other.sealed.toml"]);
    let other =
        document(&home, &["verify", "other.sealed.toml"])["vault"].as_str().unwrap().to_owned();
    let vault = home.vault_id();
    let list = |pin: &str, args: &[&str]| -> i32 {
        home.command(&[&["list", "-f", "app.sealed.toml"], args].concat())
            .env("BOOTSEAL_PIN", pin)
            .output()
            .unwrap()
            .status
            .code()
            .unwrap()
    };
    assert_eq!(list(&vault, &[]), 0);
    assert_eq!(list(&format!("{other} {vault}@2"), &[]), 0, "several pins, separated by spaces");
    assert_eq!(list(&format!("{vault}@3"), &[]), 3);
    assert_eq!(list(&other, &[]), 3);
    assert_eq!(list(&other, &["--pin", &vault]), 0, "the option wins");
    assert_eq!(list(&other, &["-i", "web.key"]), 3, "the variable beats the key file");
    assert_eq!(list("nonsense", &[]), 2);
    home.write("web.key", home.read("web.key").replacen("# vault: ", "# vault: x", 1));
    assert!(
        fails(&home, &["list", "-f", "app.sealed.toml", "-i", "web.key"], "malformed")
            .contains("# vault: vault1…")
    );
}

#[cfg(unix)]
#[test]
fn a_key_file_that_others_can_read_or_write_is_refused_with_the_chmod_command() {
    let home = Home::with_vault(ACME);
    home.ok(&["access", "add", "web", "--new-key", "web.key", "--yes"]);
    for (bits, word) in [
        (0o644, "read"),
        (0o640, "read"),
        (0o604, "read"),
        (0o620, "write"),
        (0o602, "write"),
        (0o666, "write"),
    ] {
        chmod(&home.at("web.key"), bits);
        for args in [
            &["get", "acme.password", "-i", "web.key"][..],
            &["list", "-i", "web.key"],
            &["keygen", "-y", "web.key"],
        ] {
            let text = fails(&home, args, "unsafe-file");
            assert_eq!(
                text,
                format!(
                    "bootseal: web.key: others can {word} this key file (mode {bits:04o})\n  chmod 600 web.key\n"
                )
            );
        }
    }
    for bits in [0o600, 0o400, 0o700] {
        chmod(&home.at("web.key"), bits);
        assert_eq!(home.ok(&["get", "acme.password", "-i", "web.key"]), "hunter2");
    }
}

#[test]
fn an_invalid_identity_file_is_named_and_never_quoted() {
    let home = Home::with_vault(ACME);
    for (text, word) in [
        ("hunter2\n", "line 1: not an age identity"),
        ("", "contains no identity"),
        ("# only a comment\n", "contains no identity"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n", "SSH key"),
        ("age-encryption.org/v1\nhunter2\n", "an encrypted identity file"),
        ("AGE-SECRET-KEY-1HUNTER2\n", "line 1: not an age identity"),
    ] {
        home.write("key", text);
        #[cfg(unix)]
        chmod(&home.at("key"), 0o600);
        let said = fails(&home, &["get", "acme.password", "-i", "key"], "malformed");
        assert!(
            said.contains(word) && !said.contains("hunter2") && !said.contains("HUNTER2"),
            "{said}"
        );
    }
    home.write("key", vec![b'#'; 100_000]);
    #[cfg(unix)]
    chmod(&home.at("key"), 0o600);
    assert!(fails(&home, &["list", "-i", "key"], "malformed").contains("64 KiB"));
}

#[test]
fn a_missing_file_is_reported_as_not_found() {
    let home = Home::with_vault(ACME);
    for args in [
        &["list", "-f", "none"][..],
        &["list", "-i", "none"],
        &["keygen", "-y", "none"],
        &["seal", "none.toml"],
        &["set", "x", "--from-file", "none"],
    ] {
        fails(&home, args, "not-found");
    }
}

#[cfg(unix)]
#[test]
fn the_file_is_found_above_within_the_repository_only() {
    let repo = Repo::new();
    let home = &repo.home;
    let deep = home.at("services/api");
    std::fs::create_dir_all(&deep).unwrap();
    let run = |folder: &std::path::Path, args: &[&str]| -> Ran {
        let mut command = repo.command("alice", args);
        command.current_dir(folder).output().unwrap().into()
    };
    let get = run(&deep, &["get", "acme.password"]);
    assert_eq!((get.code, get.out.as_str()), (0, "first-password"), "{}", get.err);
    // The path is shown relative to the current folder, by verbs that read, change and ask git.
    let set = run(&deep, &["set", "acme.timeout", "--plain", "20s", "-v"]);
    assert!(set.err.contains("../../app.sealed.toml: acme.timeout is readable"), "{}", set.err);
    let verify = run(&deep, &["verify"]);
    assert!(verify.out.starts_with("../../app.sealed.toml: "), "{}", verify.out);
    assert!(run(&deep, &["diff"]).out.contains("acme.timeout"));
    assert_eq!(run(&deep, &["exec", "--only", "acme", "--", "true"]).code, 0);
    assert_eq!(run(&deep, &["git", "check"]).code, 0);
    let missing = run(&deep, &["get", "acme.none"]);
    assert!(missing.err.starts_with("bootseal: ../../app.sealed.toml: "), "{}", missing.err);
    // The nearest folder wins, and a folder with several is not skipped.
    let init = ["init", "-f", "services/a.sealed.toml"];
    assert_eq!(run(home.path(), &init).code, 0);
    assert!(run(&deep, &["verify"]).out.starts_with("../a.sealed.toml: "));
    assert_eq!(run(home.path(), &["init", "-f", "services/b.sealed.toml"]).code, 0);
    let two = run(&deep, &["list"]);
    assert_eq!(two.code, 2);
    let named = "the folder .. has several sealed files: ../a.sealed.toml, ../b.sealed.toml";
    assert!(two.err.contains(named), "{}", two.err);
    // A repository within the repository is another one.
    repo.git_ok(&["init", "-q", "services/api"]);
    let inner = run(&deep, &["list"]);
    assert_eq!(inner.code, 1);
    assert!(inner.err.contains("or above it in the git repository"), "{}", inner.err);
    let below = deep.join("src");
    std::fs::create_dir(&below).unwrap();
    assert_eq!(run(&below, &["list"]).code, 1);
}

/// A stranger can create `.git` and a sealed file in a shared folder such as /tmp.
#[cfg(unix)]
#[test]
fn a_file_above_is_not_used_outside_a_repository_or_in_one_of_another_user() {
    let repo = Repo::new();
    let deep = repo.home.at("deep");
    std::fs::create_dir(&deep).unwrap();
    let list = |variables: &[(&str, &str)]| -> Ran {
        let mut command = repo.command("alice", &["list"]);
        command.current_dir(&deep).envs(variables.iter().copied()).output().unwrap().into()
    };
    assert_eq!(list(&[]).code, 0);
    // Git's own tests imitate a repository of another user in this way.
    let other = list(&[("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")]);
    assert_eq!(other.code, 1, "{}", other.out);
    assert!(other.err.contains("The folders above were not searched: "), "{}", other.err);
    assert!(other.err.contains("dubious ownership"), "{}", other.err);
    std::fs::rename(repo.home.at(".git"), repo.home.at("git")).unwrap();
    let none = list(&[]);
    assert_eq!(none.code, 1, "{}", none.out);
    assert!(none.err.contains("there is no *.sealed.toml in this folder\n"), "{}", none.err);
}

#[cfg(unix)]
#[test]
fn in_a_worktree_the_file_of_the_worktree_is_found() {
    let repo = Repo::new();
    repo.git_ok(&["worktree", "add", "-q", "tree", "-b", "other"]);
    let tree = repo.home.at("tree");
    let deep = tree.join("deep");
    std::fs::create_dir(&deep).unwrap();
    let mut command = repo.command("alice", &["set", "acme.timeout", "--plain", "20s", "--yes"]);
    let id = repo.home.vault_id();
    let ran: Ran = command.env("BOOTSEAL_PIN", &id).current_dir(&deep).output().unwrap().into();
    let here = std::fs::read_to_string(tree.join("app.sealed.toml")).unwrap();
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(here.contains("timeout = \"20s\""));
    assert!(repo.home.read("app.sealed.toml").contains("timeout = \"10s\""));
}

#[test]
fn a_file_on_the_command_line_beats_the_variable() {
    let home = Home::with_vault(ACME);
    home.ok(&["init", "-f", "b.sealed.toml"]);
    let pin = home.vault_id();
    let run = |args: &[&str]| -> Ran {
        let mut command = home.command(args);
        command.env("BOOTSEAL_FILE", "b.sealed.toml").output().unwrap().into()
    };
    for args in [
        &["verify", "app.sealed.toml"][..],
        &["verify", "-f", "app.sealed.toml"],
        &["verify", "--as-loader", "app.sealed.toml", "--pin", &pin],
        &["verify", "--as-loader", "-f", "app.sealed.toml", "--pin", &pin],
    ] {
        let ran = run(args);
        assert!(ran.out.starts_with("app.sealed.toml: "), "{args:?}: {ran:?}");
    }
    let text = format!("{pin}@999");
    assert!(run(&["sign", "app.sealed.toml", "--pin", &text]).err.contains("app.sealed.toml"));
    assert!(run(&["verify"]).out.starts_with("b.sealed.toml: "));
}
