//! Symbolic and hard links at the places that the command line writes to: nothing is written
//! through a link that a branch or another user could have made.

use crate::answers::fails;
use crate::support::Home;
use crate::support::repo::Repo;
use std::os::unix::fs::symlink;

#[test]
fn setup_writes_through_no_link_and_changes_nothing_if_there_is_one() {
    for link in [
        ".gitattributes",
        ".prettierignore",
        ".editorconfig",
        ".git/config",
        ".git/hooks/pre-commit",
        ".git/hooks/pre-merge-commit",
    ] {
        // The target exists or does not: both would be written.
        for exists in [true, false] {
            let repo = Repo::without_setup();
            let target = repo.home.at("victim");
            let _ = std::fs::remove_file(repo.home.at(link));
            if exists {
                repo.home
                    .write("victim", if link == ".git/config" { "[core]\n" } else { "mine\n" });
            }
            let before = std::fs::read(&target).ok();
            symlink(&target, repo.home.at(link)).unwrap();
            let config = std::fs::read(repo.home.at(".git/config")).ok();
            let error = repo.fails(&["git", "setup"], 1);
            assert!(
                error.contains(link) && error.contains("is a symbolic link"),
                "{link}, {exists}: {error}"
            );
            assert_eq!(std::fs::read(&target).ok(), before, "{link}");
            assert!(repo.home.at(link).is_symlink());
            assert_eq!(std::fs::read(repo.home.at(".git/config")).ok(), config, "{link}");
        }
    }
}

#[test]
fn setup_writes_no_hook_into_a_folder_that_is_a_link() {
    let repo = Repo::without_setup();
    std::fs::create_dir(repo.home.at("victim")).unwrap();
    std::fs::create_dir(repo.home.at("tools")).unwrap();
    // A folder of hooks that a branch contains.
    symlink("../victim", repo.home.at("tools/hooks")).unwrap();
    repo.git_ok(&["config", "core.hooksPath", "tools/hooks"]);
    let error = repo.fails(&["git", "setup", "--json"], 1);
    assert!(error.contains(r#""kind":"conflict""#) && error.contains("tools/hooks"), "{error}");
    assert_eq!(repo.home.at("victim").read_dir().unwrap().count(), 0);
    // A real folder is used.
    std::fs::remove_file(repo.home.at("tools/hooks")).unwrap();
    repo.ok(&["git", "setup"]);
    assert!(repo.home.read("tools/hooks/pre-commit").contains("git check --staged"));
}

#[test]
fn new_files_are_never_written_through_a_dangling_link() {
    let home = Home::with_vault("[acme]\npassword = \"secret:one\"\n");
    home.write("more.toml", "a = \"secret:1\"\n");
    for args in [
        &["seal", "more.toml", "-o", "link.toml"][..],
        &["init", "-f", "link.toml"],
        &["keygen", "-o", "link.toml"],
        &["get", "acme.password", "--out", "link.toml"],
        &["access", "add", "web", "--new-key", "link.toml", "--yes"],
    ] {
        symlink(home.at("victim"), home.at("link.toml")).unwrap();
        let ran = home.run(args);
        assert_eq!(ran.code, 1, "{args:?}: {}", ran.err);
        assert!(!home.at("victim").exists() && home.at("link.toml").is_symlink(), "{args:?}");
        std::fs::remove_file(home.at("link.toml")).unwrap();
    }
    std::fs::create_dir(home.at("pages")).unwrap();
    symlink(home.at("victim"), home.at("pages/bootseal.1")).unwrap();
    let error = fails(&home, &["man", "--out", "pages"], "conflict");
    assert!(error.contains("bootseal.1") && !home.at("victim").exists(), "{error}");
}

#[test]
fn shred_overwrites_no_target_of_a_link_and_seals_nothing_then() {
    let home = Home::new();
    home.write("victim.toml", "a = \"secret:1\"\n");
    symlink("victim.toml", home.at("app.toml")).unwrap();
    let error = fails(&home, &["seal", "app.toml", "--shred"], "conflict");
    assert!(error.contains("app.toml") && error.contains("symbolic link"), "{error}");
    assert_eq!(home.read("victim.toml"), "a = \"secret:1\"\n");
    assert!(home.at("app.toml").is_symlink() && !home.at("app.sealed.toml").exists());
    // Without --shred, a link is read like its target.
    home.ok(&["seal", "app.toml"]);
}

#[test]
fn shred_refuses_pipes_and_devices_without_reading_them() {
    let home = Home::new();
    crate::pipes::make(&home.at("pipe.toml"));
    let error = fails(&home, &["seal", "pipe.toml", "--shred"], "conflict");
    assert!(error.contains("pipe.toml") && error.contains("not a regular file"), "{error}");
    let error = fails(&home, &["seal", "/dev/null", "--format", "toml", "--shred"], "conflict");
    assert!(error.contains("/dev/null") && error.contains("not a regular file"), "{error}");
    assert!(std::path::Path::new("/dev/null").exists());
}

#[test]
fn shred_reports_other_names_of_the_file() {
    let home = Home::new();
    home.write("app.toml", "a = \"secret:hunter2\"\n");
    std::fs::hard_link(home.at("app.toml"), home.at("other.toml")).unwrap();
    let ran = home.run(&["seal", "app.toml", "--shred"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("app.toml had 1 more name (hard links)"), "{}", ran.err);
    assert!(!home.at("app.toml").exists());
    assert!(home.read("other.toml").bytes().all(|byte| byte == 0));
}
