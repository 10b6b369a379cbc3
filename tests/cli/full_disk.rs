//! A full disk: no command leaves an empty or half file, the old file stays, and the error names
//! the cause.

use crate::support::repo::Repo;
use crate::support::{Home, Ran};
use std::process::{Command, Stdio};

/// Runs the binary in this folder with this limit in kibibytes for the size of every file that it
/// writes, as on a disk that is full after that. The signal is ignored, so that the write fails.
fn limited(command: Command, kibibytes: u32) -> Ran {
    let program = command.get_program().to_owned();
    let args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let mut shell = Command::new("bash");
    shell.args(["-c", r#"trap '' XFSZ; ulimit -f "$0"; exec "$@""#, &kibibytes.to_string()]);
    shell.arg(program).args(args).env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            shell.env(name, value);
        }
    }
    shell.current_dir(command.get_current_dir().unwrap());
    shell.stdin(Stdio::null()).output().unwrap().into()
}

#[test]
fn a_full_disk_leaves_every_file_as_it_was() {
    let home = Home::with_vault("[acme]\npassword = \"secret:one\"\n");
    home.ok(&["access", "add", "web", "--new-key", "web.key", "--yes"]);
    let bare: String = home.read("web.key").lines().skip(1).collect::<Vec<_>>().join("\n");
    home.write("web.key", bare);
    home.write("more.toml", "b = \"secret:2\"\n");
    home.write("p", "two");
    std::fs::create_dir(home.at("pages")).unwrap();
    let before = home.files();
    let commands: &[&[&str]] = &[
        &["set", "acme.user", "--plain", "bob"],
        &["seal", "more.toml"],
        &["seal", "more.toml", "--shred"],
        &["seal", "more.toml", "-f", "app.sealed.toml"],
        &["init", "-f", "new.sealed.toml"],
        &["keygen", "-o", "new.key"],
        &["keygen", "-o", "web.key", "--force"],
        &["access", "add", "bob", "--new-key", "bob.key", "--yes"],
        &["access", "remove", "web", "--yes"],
        &["rotate"],
        &["rename", "acme.password", "acme.pw"],
        &["access", "pin", "web.key"],
        &["get", "acme.password", "--out", "value"],
        &["propose", "acme.password", "--from-file", "p", "--to", "app.sealed.toml", "-o", "q.age"],
        &["man", "--out", "pages"],
        &["import", "more.toml", "--from", "jasypt"],
    ];
    for args in commands {
        let ran = limited(home.command(args), 0);
        assert_eq!(ran.code, 1, "{args:?}: {}", ran.err);
        if args[0] != "import" {
            assert!(ran.err.contains("File too large"), "{args:?}: {}", ran.err);
        }
        for ((path, content), (now, found)) in before.iter().zip(home.files()) {
            assert_eq!((path, content.len()), (&now, found.len()), "{args:?}");
            assert!(*content == found, "{args:?} changed {}", path.display());
        }
        assert_eq!(before.len(), home.files().len(), "{args:?}");
    }
    home.ok(&["access", "pin", "web.key"]);
}

#[test]
fn a_disk_that_is_full_in_the_middle_of_a_file_leaves_no_part_of_it() {
    let home = Home::with_vault(&format!("[acme]\npassword = \"secret:{}\"\n", "x".repeat(9000)));
    let before = home.files();
    for args in [
        &["set", "acme.user", "--plain", "bob"][..],
        &["get", "acme.password", "--out", "value"],
        &["rotate"],
        // The new key could be written, and is removed again.
        &["access", "add", "bob", "--new-key", "bob.key", "--yes"],
    ] {
        let ran = limited(home.command(args), 4);
        assert!(ran.code == 1 && ran.err.contains("File too large"), "{args:?}: {}", ran.err);
        assert!(home.files() == before, "{args:?}");
    }
}

#[test]
fn a_full_disk_leaves_the_settings_of_a_repository_as_they_were() {
    let repo = Repo::new();
    for name in [".gitattributes", ".prettierignore", ".editorconfig"] {
        // Longer than git's own settings, which are written first.
        repo.home.write(name, "# mine\n".repeat(300));
    }
    std::fs::remove_file(repo.home.at(".git/hooks/pre-commit")).unwrap();
    let before = repo.home.files();
    let ran = limited(repo.command("alice", &["git", "setup"]), 1);
    assert!(ran.code == 1 && ran.err.contains("File too large"), "{}", ran.err);
    assert!(repo.home.files() == before);
}

#[test]
fn a_new_key_that_was_printed_before_the_disk_was_full_is_reported_as_useless() {
    let home = Home::with_vault("[acme]\npassword = \"secret:one\"\n");
    let before = home.read("app.sealed.toml");
    let ran = limited(home.command(&["access", "add", "web", "--new-key", "-", "--yes"]), 0);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("the new key on stdout opens nothing"), "{}", ran.err);
    assert_eq!(home.read("app.sealed.toml"), before);
}
