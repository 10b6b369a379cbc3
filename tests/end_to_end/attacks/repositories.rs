//! Repositories inside a branch: what a branch contains never answers in place of the user's own
//! repository, and never runs a program.

use super::FILE;
use crate::support::repo::Repo;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const DEPLOYED: &str = "deploy/app.sealed.toml";

/// A repository whose vault is `deploy/app.sealed.toml`, with an old version of it in `old`.
fn deployed() -> Repo {
    let repo = Repo::new();
    for folder in ["deploy", "out"] {
        std::fs::create_dir(repo.home.at(folder)).unwrap();
    }
    repo.git_ok(&["mv", FILE, DEPLOYED]);
    repo.commit("moved");
    repo.home.write("out/old", repo.home.read(DEPLOYED));
    repo.ok_as(
        "alice",
        &["set", "acme.password", "-", "-f", DEPLOYED, "--pin", &pin(&repo)],
        b"new",
    );
    repo.commit("new");
    repo
}

fn pin(repo: &Repo) -> String {
    crate::support::repo::read(&repo.home.read(DEPLOYED)).vault_id().to_string()
}

/// Puts HEAD, objects, refs and config into a folder: all that git needs to take it for a bare
/// repository. Its one commit has the folder's `app.sealed.toml`.
fn embed(repo: &Repo, folder: &str, config: &str) {
    let bare = repo.home.at("out/bare");
    repo.git_ok(&["init", "-q", "--bare", bare.to_str().unwrap()]);
    for name in ["HEAD", "objects", "refs"] {
        let done =
            Command::new("cp").arg("-r").arg(bare.join(name)).arg(repo.home.at(folder)).status();
        assert!(done.unwrap().success());
    }
    let text =
        format!("[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = .\n{config}");
    repo.home.write(&format!("{folder}/config"), text);
    let inside = |args: &[&str]| {
        let mut git = repo.git_command("alice", args);
        git.env("GIT_DIR", repo.home.at(folder)).env("GIT_WORK_TREE", repo.home.at(folder));
        let output = git.output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    inside(&["-c", "core.fsmonitor=false", "add", "-f", FILE]);
    inside(&[
        "-c",
        "core.fsmonitor=false",
        "-c",
        "core.hooksPath=/dev/null",
        "commit",
        "-q",
        "-m",
        "e",
    ]);
    inside(&["update-ref", "refs/heads/main", "HEAD"]);
}

fn script(repo: &Repo, name: &str, text: &str) -> String {
    repo.home.write(name, format!("#!/bin/sh\n{text}\n"));
    let path = repo.home.at(name);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_tracked_bare_repository_does_not_answer_for_the_users_own() {
    let repo = deployed();
    repo.home.write(DEPLOYED, repo.home.read("out/old"));
    let verify = ["verify", "--since", "HEAD", DEPLOYED];
    let honest = repo.fails(&verify, 3);
    assert!(honest.contains("but at HEAD it was"), "{honest}");

    let ran = repo.home.at("out/ran");
    let program = script(&repo, "out/program", &format!("touch '{}'; exit 1", ran.display()));
    let config = format!(
        "\tfsmonitor = {program}\n\tpager = {program}\n\thooksPath = {}\n[log]\n\tshowSignature = true\n[gpg]\n\tprogram = {program}\n[diff]\n\texternal = {program}\n",
        repo.home.at("out").display()
    );
    embed(&repo, "deploy", &config);
    assert_eq!(repo.fails(&verify, 3), honest);
    let signed = repo.run(&["sign", DEPLOYED, "--yes"]);
    assert!(!signed.err.contains("nothing to accept"), "{}", signed.err);
    // The same from inside the folder.
    for args in [
        &["git", "check"][..],
        &["sign", "--yes"],
        &["diff", "HEAD"],
        &verify[..3],
        &["git", "setup"],
    ] {
        let mut command = repo.command("alice", args);
        command.current_dir(repo.home.at("deploy")).output().unwrap();
    }
    assert!(!repo.home.read("deploy/config").contains("bootseal"), "set up inside the branch");
    assert!(!ran.exists(), "a program that the branch names was run");
}

#[test]
fn a_file_of_another_repository_is_refused_with_the_command_to_go_there() {
    let repo = deployed();
    // A submodule and a nested clone both have a `.git`.
    let inner = repo.home.at("deploy");
    repo.git_ok(&["init", "-q", inner.to_str().unwrap()]);
    let real = inner.canonicalize().unwrap();
    for args in [
        &["verify", "--since", "HEAD", DEPLOYED][..],
        &["sign", DEPLOYED, "--yes"],
        &["git", "check", "-f", DEPLOYED],
        &["resolve", DEPLOYED],
    ] {
        let said = repo.fails(args, 2);
        let go = format!("cd {}", real.display());
        assert!(
            said.contains(&go) && said.contains("belongs to the git repository"),
            "{args:?}: {said}"
        );
    }
    // The user is asked nothing new once they are there.
    let mut command = repo.command("alice", &["git", "check"]);
    let output = command.current_dir(&inner).output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("belongs to"));
}

#[test]
fn a_working_tree_in_another_folder_is_refused() {
    let repo = Repo::new();
    let other = Repo::new();
    repo.git_ok(&["config", "core.worktree", other.home.path().to_str().unwrap()]);
    let said = repo.fails(&["verify", "--since", "HEAD"], 2);
    assert!(said.contains("core.worktree"), "{said}");
}

#[test]
fn git_older_than_2_38_is_refused() {
    let repo = deployed();
    script(&repo, "out/git", "echo git version 2.37.4");
    let mut command = repo.command("alice", &["verify", "--since", "HEAD", DEPLOYED]);
    command.env("PATH", repo.home.at("out"));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("2.37") && said.contains("2.38") && !output.status.success(), "{said}");
}

#[test]
fn a_hook_checks_the_index_that_git_prepared() {
    let repo = Repo::new();
    // `git commit FILE` gives its hooks an index of their own in GIT_INDEX_FILE.
    repo.home.write("plain.toml", "password = \"secret:canary\"\n");
    repo.home.write("other.toml", "a = 1\n");
    repo.git_ok(&["add", "-A"]);
    let ran = repo.git(&["commit", "-q", "-m", "one", "other.toml"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let ran = repo.git(&["commit", "-q", "-m", "two", "plain.toml"]);
    assert!(ran.code != 0 && ran.err.contains("plain.toml"), "{}", ran.err);
    // In a linked worktree GIT_DIR leads elsewhere.
    repo.git_ok(&["worktree", "add", "-q", "out/tree", "-b", "side"]);
    let tree = repo.home.at("out/tree");
    std::fs::write(tree.join("plain.toml"), "password = \"secret:canary\"\n").unwrap();
    let git = |args: &[&str]| repo.git_command("alice", args).current_dir(&tree).output().unwrap();
    assert!(git(&["add", "-A"]).status.success());
    let done = git(&["commit", "-q", "-m", "three"]);
    assert!(!done.status.success() && String::from_utf8_lossy(&done.stderr).contains("plain.toml"));
}

#[test]
fn only_one_function_starts_git() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![source];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if std::fs::read_to_string(&path).unwrap().contains("Command::new(\"git\")") {
                found.push(path.file_name().unwrap().to_owned());
            }
        }
    }
    assert_eq!(found, ["command.rs"]);
}
