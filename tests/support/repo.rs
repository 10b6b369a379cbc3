//! A git repository with a vault: real git, real drivers and hooks, and only its own settings.

use super::{Home, Ran};
use bootseal_core::{
    CanWrite, IdentityFile, PropertyPath, SealedFile, Secret, ValueKind, Vault, VerifiedFile,
};
use std::path::PathBuf;
use std::process::{Command, Stdio};

pub const FILE: &str = "app.sealed.toml";
/// The date of every value of [`Repo::new`]: long ago, so that values set now are newer.
pub const GIVEN: u64 = 1_600_000_000;

pub const SETTINGS: &str = r#"# Acme payments
title = "shop"

[acme]
# who logs in
user = "bob"
password = "secret:first-password"
token = "secret:first-token"
timeout = "10s"

[acme.login]
url = "https://api.acme.example/login"
json = { p = "${password}" }
"#;

/// A home whose folder is also a repository: `app.sealed.toml` with [`SETTINGS`], its reader `app`
/// with `app.key`, set up and committed on `main`. Homes of other users, as `bob/`, are in it and
/// ignored by git.
pub struct Repo {
    pub home: Home,
}

impl Repo {
    pub fn new() -> Repo {
        let repo = Repo::without_setup();
        repo.ok(&["git", "setup"]);
        repo.commit("setup");
        repo
    }

    pub fn without_setup() -> Repo {
        let home = Home::with_vault(SETTINGS);
        home.ok(&["access", "add", "app", "--new-key", "app.key", "--yes"]);
        let repo = Repo { home };
        repo.change(|vault| {
            for name in ["acme.password", "acme.token"] {
                let opened = vault.open(&path(name)).unwrap();
                set_as_of(vault, name, &opened.secret, GIVEN);
            }
        });
        repo.git_ok(&["init", "-q", "-b", "main"]);
        repo.home.write(
            ".git/info/exclude",
            "/.config/\n/.local/\n/bob/\n/carol/\n/eve/\n*.key\n/state/\n/out/\n",
        );
        repo.commit("vault");
        repo
    }

    /// Sets git's environment, for git and for its callers.
    fn surroundings(&self, command: &mut Command, who: &str) {
        let home = match who {
            "alice" => self.home.path().to_path_buf(),
            other => self.home.at(other),
        };
        command.env("HOME", home).env("USER", who);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        for (name, value) in [
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_AUTHOR_NAME", who),
            ("GIT_AUTHOR_EMAIL", "who@example.org"),
            ("GIT_COMMITTER_NAME", who),
            ("GIT_COMMITTER_EMAIL", "who@example.org"),
            ("GIT_EDITOR", "true"),
            ("LC_ALL", "C"),
        ] {
            command.env(name, value);
        }
    }

    pub fn git_command(&self, who: &str, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.args(args).current_dir(self.home.path()).env_clear().stdin(Stdio::null());
        self.surroundings(&mut command, who);
        command
    }

    pub fn git(&self, args: &[&str]) -> Ran {
        self.git_as("alice", args)
    }

    pub fn git_as(&self, who: &str, args: &[&str]) -> Ran {
        self.git_command(who, args).output().unwrap().into()
    }

    pub fn git_ok(&self, args: &[&str]) -> String {
        let ran = self.git(args);
        assert_eq!(ran.code, 0, "git {}: {}{}", args.join(" "), ran.out, ran.err);
        ran.out
    }

    /// Commits everything without the hook: most tests are about later steps.
    pub fn commit(&self, message: &str) -> String {
        self.git_ok(&["add", "-A"]);
        self.git_ok(&["commit", "-q", "--no-verify", "-m", message]);
        self.git_ok(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    pub fn command(&self, who: &str, args: &[&str]) -> Command {
        let mut command = self.home.command(args);
        self.surroundings(&mut command, who);
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        self.run_as("alice", args, b"")
    }

    pub fn run_as(&self, who: &str, args: &[&str], stdin: &[u8]) -> Ran {
        let ran = super::fed(self.command(who, args), stdin);
        assert!(!ran.err.contains("panicked"), "{args:?}: {}", ran.err);
        ran
    }

    pub fn ok(&self, args: &[&str]) -> String {
        self.ok_as("alice", args, b"")
    }

    pub fn ok_as(&self, who: &str, args: &[&str], stdin: &[u8]) -> String {
        let ran = self.run_as(who, args, stdin);
        assert_eq!(ran.code, 0, "bootseal {}: {}", args.join(" "), ran.err);
        ran.out
    }

    /// Runs a command that must end with `code`; returns its stdout and stderr.
    pub fn fails(&self, args: &[&str], code: i32) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, code, "bootseal {}: {}{}", args.join(" "), ran.out, ran.err);
        [ran.out, ran.err].concat()
    }

    pub fn json(&self, args: &[&str]) -> serde_json::Value {
        let ran = self.run(&[args, &["--json"]].concat());
        serde_json::from_str(&ran.out)
            .unwrap_or_else(|_| panic!("{args:?}: no JSON: {}{}", ran.out, ran.err))
    }

    pub fn set(&self, name: &str, value: &str) {
        self.ok_as("alice", &["set", name, "-"], value.as_bytes());
    }

    pub fn get(&self, name: &str) -> String {
        self.ok(&["get", name])
    }

    /// Makes another home with an identity that trusts the vault by pin; `role` is `--writer`, or
    /// empty for a reader.
    pub fn invite(&self, who: &str, role: &[&str]) {
        std::fs::create_dir_all(self.home.at(who)).unwrap();
        let recipient = self.ok_as(who, &["keygen"], b"");
        self.ok(&[&["access", "add", who, recipient.trim(), "--yes"], role].concat());
    }

    /// The current pin, for a user of another home.
    pub fn pin(&self) -> String {
        self.home.vault_id()
    }

    /// The pin of the vault at `main`'s first parent, for a file that has conflict markers.
    pub fn file_pin(&self) -> String {
        read(&self.git_ok(&["show", &format!("HEAD^1:{FILE}")])).vault_id().to_string()
    }

    pub fn text(&self) -> String {
        self.home.read(FILE)
    }

    pub fn write(&self, text: &str) {
        self.home.write(FILE, text);
    }

    /// A hand edit: replaces `from`, which must occur.
    pub fn edit(&self, from: &str, to: &str) {
        let text = self.text();
        assert!(text.contains(from), "{from:?} is not in {text}");
        self.write(&text.replacen(from, to, 1));
    }

    pub fn file(&self) -> VerifiedFile {
        read(&self.text())
    }

    pub fn identity(&self) -> PathBuf {
        self.home.at(".config/bootseal/identity.txt")
    }

    /// Changes and signs the file through the library as alice, so that a test can choose dates.
    pub fn change(&self, change: impl FnOnce(&mut Vault<CanWrite>)) {
        let identities = IdentityFile::read(&self.identity()).unwrap().identities;
        let mut vault = self.file().open_for_writing(&identities).unwrap();
        change(&mut vault);
        self.write(&vault.sign().unwrap());
    }

    /// Sets a value with this date.
    pub fn give(&self, name: &str, value: &str, at: u64) {
        let value = Secret::copy_of(value.as_bytes()).unwrap();
        self.change(|vault| set_as_of(vault, name, &value, at));
    }

    /// A loader with the key of `app` and the state folder `state/`.
    pub fn loader(&self) -> bootseal::Loader {
        bootseal::Loader::exactly(self.home.at(FILE))
            .identity_file(self.home.at("app.key"))
            .state(self.home.at("state"))
    }

    /// The text of a sealed value in `text`.
    pub fn sealed(text: &str, name: &str) -> String {
        match read(text).property(&path(name)) {
            Some(bootseal_core::Property::Sealed(sealed)) => sealed.clone(),
            other => panic!("{name}: {other:?}"),
        }
    }

    /// Makes a branch of HEAD with this name and commits what `change` does to it.
    pub fn branch(&self, name: &str, change: impl FnOnce(&Repo)) {
        self.git_ok(&["checkout", "-q", "-b", name]);
        change(self);
        self.commit(name);
        self.git_ok(&["checkout", "-q", "main"]);
    }
}

/// A new value is dated after the sealed one that it replaces, so a readable one is put between.
fn set_as_of(vault: &mut Vault<CanWrite>, name: &str, value: &Secret, at: u64) {
    vault.set_readable(&path(name), &toml::Value::String(String::new())).unwrap();
    vault.set(&path(name), ValueKind::Text, value, at).unwrap();
}

pub fn read(text: &str) -> VerifiedFile {
    SealedFile::parse(text.as_bytes().to_vec()).unwrap().verify(&[]).unwrap()
}

pub fn path(text: &str) -> PropertyPath {
    text.parse().unwrap()
}
