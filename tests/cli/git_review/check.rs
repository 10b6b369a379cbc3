//! `git check` and its hook: plaintext secrets, broken vaults and old files before a commit.

use super::*;

#[cfg(target_os = "linux")]
#[test]
fn check_reports_files_it_cannot_check() {
    use std::os::unix::ffi::OsStrExt;
    let repo = Repo::new();
    std::fs::write(repo.home.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9.txt")), "x")
        .unwrap();
    repo.git_ok(&["add", "-A"]);
    finding(&repo, &["git", "check", "--staged"], 1, "the name is not UTF-8");
    let repo = Repo::new();
    repo.home.write("old.txt", repo.text());
    std::fs::remove_file(repo.home.at(FILE)).unwrap();
    std::os::unix::fs::symlink("old.txt", repo.home.at(FILE)).unwrap();
    repo.git_ok(&["add", "-A"]);
    finding(&repo, &["git", "check", "--staged"], 1, "a link replaced a sealed file");
    let repo = Repo::new();
    repo.home.write("App.toml", "[acme]\npassword = \"hunter2\"\n");
    repo.home.write("broken.toml", "a = \"secret:hunter2\"\nb = \n");
    repo.git_ok(&["add", "-A"]);
    finding(
        &repo,
        &["git", "check", "--staged"],
        1,
        "acme.password in the clear, which is sealed in",
    );
    finding(&repo, &["git", "check", "--staged"], 1, "not TOML that can be sealed");
}

fn finding(repo: &Repo, args: &[&str], code: i32, words: &str) {
    let ran = repo.run(args);
    assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{args:?}: {}", ran.err);
    assert!(ran.err.contains(words), "{words}: {}", ran.err);
    let json = repo.run(&[args, &["--json"]].concat());
    let document: Value = serde_json::from_str(&json.out).unwrap();
    let findings = document["findings"].as_array().unwrap();
    assert!(json.code == code && !findings.is_empty(), "{document}");
    assert!(
        findings.iter().all(|row| row["file"].is_string() && row["error"]["kind"].is_string()),
        "{document}"
    );
    for said in [&ran.err, &json.out, &json.err] {
        for secret in ["hunter2", "first-password", "AGE-SECRET-KEY-1"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
}

#[test]
fn check_finds_nothing_in_a_clean_repository() {
    let repo = Repo::new();
    let ran = repo.run(&["git", "check"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""));
    assert_eq!(repo.json(&["git", "check"]), json!({ "findings": [] }));
    repo.set("acme.token", "t2");
    repo.git_ok(&["add", "-A"]);
    repo.ok(&["git", "check", "--staged"]);
    repo.git_ok(&["commit", "-m", "t2"]);
}

#[test]
fn check_finds_plaintext_secrets_of_every_kind() {
    let plain = [
        ("deploy.toml", "[a]\npassword = \"secret:hunter2\"\n", "a.password is in the clear"),
        ("alice.txt", "# created\n  AGE-SECRET-KEY-1QQQHUNTER\n", "an age identity in the clear"),
        (
            "app.properties",
            "acme.password=hunter2\n",
            "acme.password in the clear, which is sealed in app.sealed.toml",
        ),
        (
            "app.yaml",
            "acme:\n  password: hunter2\n",
            "acme.password in the clear, which is sealed in app.sealed.toml",
        ),
        (
            "app.json",
            "{\"acme\": {\"password\": \"hunter2\"}}\n",
            "acme.password in the clear, which is sealed in app.sealed.toml",
        ),
        (
            "app.toml",
            "acme.password = \"hunter2\"\n",
            "acme.password in the clear, which is sealed in app.sealed.toml",
        ),
        ("app.yml", "acme: [\n", "may be the unsealed original of app.sealed.toml"),
    ];
    for (name, text, words) in plain {
        let repo = Repo::new();
        repo.home.write(name, text);
        repo.git_ok(&["add", name]);
        for args in [&["git", "check"][..], &["git", "check", "--staged"]] {
            finding(&repo, args, 1, words);
            finding(&repo, args, 1, name);
        }
        let commit = repo.git(&["commit", "-m", "leak"]);
        assert!(commit.code != 0 && commit.err.contains(words), "the hook: {}", commit.err);
        assert_eq!(repo.git_ok(&["log", "--format=%s", "-1"]), "setup\n");
    }
}

#[test]
fn check_finds_the_plaintext_input_of_seal() {
    // `.env` is sealed into `env.sealed.toml` in its own folder.
    let repo = Repo::new();
    std::fs::create_dir(repo.home.at("deploy")).unwrap();
    repo.home.write("deploy/.env", "PASSWORD=hunter2\n");
    let sealed: Ran = repo
        .command("alice", &["seal", ".env"])
        .current_dir(repo.home.at("deploy"))
        .output()
        .unwrap()
        .into();
    assert_eq!(sealed.code, 0, "{}", sealed.err);
    repo.git_ok(&["add", "-A"]);
    finding(&repo, &["git", "check", "--staged"], 1, "deploy/.env");
    // In another folder the same file is no finding.
    repo.git_ok(&["rm", "-q", "-f", "deploy/.env"]);
    repo.home.write(".env", "COLOUR=blue\n");
    repo.git_ok(&["add", "-A"]);
    repo.ok(&["git", "check", "--staged"]);
}

#[test]
fn check_accepts_ordinary_settings_beside_a_vault() {
    let repo = Repo::new();
    repo.home.write("app.toml", "[acme]\ncolour = \"blue\"\n");
    repo.git_ok(&["add", "-A"]);
    repo.ok(&["git", "check", "--staged"]);
    repo.home.write("app.toml", "[acme]\ncolour = \"blue\"\npassword = \"hunter2\"\n");
    repo.git_ok(&["add", "-A"]);
    let ran = repo.run(&["git", "check", "--staged"]);
    assert!(
        ran.code == 1
            && ran.err.contains("acme.password in the clear, which is sealed in app.sealed.toml"),
        "{}",
        ran.err
    );
    assert!(!ran.err.contains("hunter2"));
}

#[test]
fn check_finds_a_vault_that_does_not_verify_and_one_with_conflict_markers() {
    for edit in [("\"10s\"", "\"20s\""), ("[acme]\n", "<<<<<<< HEAD\n[acme]\n")] {
        let repo = Repo::new();
        repo.edit(edit.0, edit.1);
        repo.git_ok(&["add", "-A"]);
        finding(&repo, &["git", "check", "--staged"], 3, FILE);
        assert_ne!(repo.git(&["commit", "-m", "broken"]).code, 0);
        assert_ne!(repo.git(&["commit", "-a", "-m", "broken"]).code, 0);
        assert_ne!(repo.git(&["commit", "-m", "broken", "--", FILE]).code, 0);
    }
}

#[test]
fn check_finds_two_files_of_one_vault() {
    let repo = Repo::new();
    repo.home.write("copy.sealed.toml", repo.text());
    repo.git_ok(&["add", "-A"]);
    finding(&repo, &["git", "check"], 1, "init --like");
    finding(&repo, &["git", "check", "--staged"], 1, "a copy is not a new vault");
}

#[test]
fn check_treats_a_renamed_file_as_one_file() {
    let repo = Repo::new();
    repo.git_ok(&["mv", FILE, "payments.sealed.toml"]);
    repo.ok(&["git", "check", "--staged"]);
    repo.git_ok(&["commit", "-q", "-m", "renamed"]);
}

#[test]
fn check_finds_an_older_file_that_is_staged() {
    let repo = Repo::new();
    let old = repo.git_ok(&["rev-parse", "HEAD"]);
    repo.set("acme.password", "new");
    repo.commit("new");
    repo.git_ok(&["checkout", old.trim(), "--", FILE]);
    finding(&repo, &["git", "check", "--staged"], 3, "an older or a different file was added");
    assert_ne!(repo.git(&["commit", "-m", "older"]).code, 0);
}

#[test]
fn staged_checks_the_index_and_not_the_working_tree() {
    let repo = Repo::new();
    // Bad in the working tree only: the commit is allowed.
    repo.set("acme.token", "t2");
    repo.git_ok(&["add", "-A"]);
    repo.edit("\"10s\"", "\"20s\"");
    repo.home.write("notes.toml", "a = \"secret:hunter2\"\n");
    repo.ok(&["git", "check", "--staged"]);
    assert_eq!(repo.run(&["git", "check"]).code, 3);
    repo.git_ok(&["commit", "-q", "-m", "t2"]);
    // Bad in the index only: the commit is refused.
    repo.git_ok(&["add", "notes.toml"]);
    repo.home.write("notes.toml", "a = 1\n");
    finding(&repo, &["git", "check", "--staged"], 1, "notes.toml");
    repo.git_ok(&["rm", "-q", "-f", "--cached", "notes.toml"]);
    repo.ok(&["git", "check", "--staged"]);
}

#[test]
fn check_handles_odd_file_names_and_skips_pipes_and_links() {
    let repo = Repo::new();
    let name = "a b\u{202e}ü'\"\n.toml";
    repo.home.write(name, "a = \"secret:hunter2\"\n");
    repo.home.write("binary.toml", [0xff, 0xfe, 0, 1]);
    repo.home.write("broken.toml", "a = = \n");
    repo.home.write("source.rs", "let example = \"secret:hunter2\";\n");
    repo.home.write("x\u{1b}[31m.sealed.toml", repo.text());
    std::os::unix::fs::symlink("nowhere", repo.home.at("dangling.toml")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", repo.home.at("endless.toml")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", repo.home.at("endless.sealed.toml")).unwrap();
    std::os::unix::fs::symlink(FILE, repo.home.at("link.sealed.toml")).unwrap();
    repo.git_ok(&["add", "-A"]);
    for args in [&["git", "check"][..], &["git", "check", "--staged"]] {
        let ran = repo.run(args);
        assert_eq!(ran.code, 1, "{}", ran.err);
        assert!(
            ran.err.lines().filter(|line| line.contains("in the clear")).count() == 1,
            "{}",
            ran.err
        );
        assert!(!ran.err.contains(['\u{202e}', '\u{1b}']), "{}", ran.err);
        assert!(!ran.err.contains("endless") && !ran.err.contains("link"), "{}", ran.err);
    }
}

#[test]
fn check_takes_a_file_name_that_looks_like_a_pathspec_literally() {
    for name in
        ["2:leak.toml", ":leak.toml", "*.toml", "HEAD:leak.toml", "-leak.toml", "leak[1].toml"]
    {
        let repo = Repo::new();
        repo.home.write(name, "a = \"secret:hunter2\"\n");
        repo.git_ok(&["add", "-A"]);
        for args in [&["git", "check"][..], &["git", "check", "--staged"]] {
            finding(&repo, args, 1, name);
        }
    }
}

#[test]
fn the_first_commit_of_a_repository_is_checked_too() {
    let home = Home::with_vault("a = \"secret:x\"\n");
    let repo = Repo { home };
    repo.git_ok(&["init", "-q", "-b", "main"]);
    repo.home.write(".git/info/exclude", "/.config/\n/.local/\n");
    repo.ok(&["git", "setup"]);
    repo.git_ok(&["add", "-A"]);
    repo.git_ok(&["commit", "-q", "-m", "first"]);
    let repo = Repo { home: Home::with_vault("a = \"secret:x\"\n") };
    repo.git_ok(&["init", "-q", "-b", "main"]);
    repo.home.write(".git/info/exclude", "/.config/\n/.local/\n");
    repo.ok(&["git", "setup"]);
    repo.home.write("leak.toml", "a = \"secret:hunter2\"\n");
    repo.git_ok(&["add", "-A"]);
    assert_ne!(repo.git(&["commit", "-q", "-m", "first"]).code, 0);
}

/// Found by review: a link in place of the folder led to an old copy.
#[test]
fn check_finds_a_link_or_a_submodule_that_replaced_the_folder_of_a_sealed_file() {
    for (name, below) in
        [("deploy/app.sealed.toml", "deploy"), ("a/b/config.toml", "a"), ("a/b/config.toml", "a/b")]
    {
        let repo = Repo::new();
        std::fs::create_dir_all(repo.home.at(name).parent().unwrap()).unwrap();
        repo.git_ok(&["mv", FILE, name]);
        repo.commit("moved");
        repo.git_ok(&["rm", "-rq", below]);
        let _ = std::fs::remove_dir_all(repo.home.at(below));
        let parent = repo.home.at(below);
        std::fs::create_dir_all(parent.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink("elsewhere", &parent).unwrap();
        repo.git_ok(&["add", "-A"]);
        finding(&repo, &["git", "check", "--staged"], 1, "a link replaced a sealed file");
        let head = repo.git_ok(&["rev-parse", "HEAD"]);
        let submodule = format!("160000,{},{below}", head.trim());
        repo.git_ok(&["update-index", "--cacheinfo", &submodule]);
        finding(&repo, &["git", "check", "--staged"], 1, "a submodule replaced a sealed file");
    }
    // A link that replaced another file is no finding.
    let repo = Repo::new();
    std::fs::create_dir(repo.home.at("docs")).unwrap();
    repo.home.write("docs/Cargo.toml", "a = 1\n");
    repo.commit("docs");
    repo.git_ok(&["rm", "-rq", "docs"]);
    std::os::unix::fs::symlink("elsewhere", repo.home.at("docs")).unwrap();
    repo.git_ok(&["add", "-A"]);
    repo.ok(&["git", "check", "--staged"]);
}
