//! `diff` shows what changed between two revisions.

use super::*;

#[test]
fn diff_compares_revisions_and_files() {
    let repo = Repo::new();
    assert_eq!(repo.ok(&["diff"]), "");
    let old = repo.text();
    repo.ok(&["set", "acme.timeout", "--plain", "30s"]);
    let expected = "acme.timeout: changed, \"10s\" → \"30s\"\n";
    repo.home.write("old.sealed.toml", &old);
    for args in [
        &["diff"][..],
        &["diff", "HEAD"],
        &["diff", "main", FILE],
        &["diff", "HEAD:app.sealed.toml", FILE],
        &["diff", FILE],
        &["diff", "old.sealed.toml", FILE],
    ] {
        assert_eq!(
            repo.run(&[args, &["-f", FILE]].concat()[..args.len() + 2]).out,
            expected,
            "{args:?}"
        );
    }
    let document = repo.json(&["diff", "HEAD", FILE]);
    assert_eq!(
        (document["old"].as_str(), document["new"].as_str()),
        (Some("HEAD:app.sealed.toml"), Some(FILE))
    );
    assert_eq!(document["properties"][0]["name"], "acme.timeout");
    for (args, words) in [
        (&["diff", "nonsense", FILE][..], "no revision"),
        (&["diff", "HEAD:nothing.sealed.toml", FILE], "has no"),
    ] {
        assert!(repo.fails(args, 1).contains(words));
    }
}

#[test]
fn diff_names_has_the_exit_codes_of_diff() {
    let repo = Repo::new();
    assert_eq!(repo.fails(&["diff", "--names", "HEAD", FILE], 0), "");
    repo.set("acme.password", "another value is no other name");
    assert_eq!(repo.fails(&["diff", "--names", "HEAD", FILE], 0), "");
    repo.ok(&["rename", "acme.token", "acme.api"]);
    let said = repo.fails(&["diff", "--names", "HEAD", FILE], 1);
    assert_eq!(
        said,
        "only in HEAD:app.sealed.toml: acme.token\nonly in app.sealed.toml: acme.api\n"
    );
    let ran = repo.run(&["diff", "--names", "HEAD", FILE, "--json"]);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (ran.code, &document["only_old"], &document["only_new"]),
        (1, &json!(["acme.token"]), &json!(["acme.api"]))
    );
    repo.fails(&["diff", "--names", "nonsense", FILE], 2);
    repo.fails(&["diff", "--names", "HEAD", "missing.sealed.toml"], 2);
}

#[test]
fn diff_reveals_values_only_with_a_key_and_on_request() {
    let repo = Repo::new();
    repo.set("acme.password", "second-password");
    let plain = repo.ok(&["diff", "HEAD"]);
    assert!(
        plain.starts_with("acme.password: sealed value changed; set 2020-09-13T12:26:40Z → 20")
            && !plain.contains("second-password"),
        "{plain}"
    );
    let shown = repo.ok(&["diff", "HEAD", "--reveal"]);
    assert!(
        shown.contains("- acme.password = first-password\n+ acme.password = second-password\n"),
        "{shown}"
    );
    assert!(!shown.contains("first-token"), "what did not change is not shown: {shown}");
    let document = repo.json(&["diff", "HEAD", "--reveal"]);
    assert_eq!(document["properties"][0]["revealed_after"], "second-password");
    assert!(repo.json(&["diff", "HEAD"])["properties"][0].get("revealed_after").is_none());
    std::fs::create_dir(repo.home.at("eve")).unwrap();
    let blind = repo.run_as("eve", &["diff", "HEAD"], b"");
    assert_eq!(
        (blind.code, blind.out.as_str()),
        (0, "acme.password: sealed value changed\n"),
        "{}",
        blind.err
    );
    let refused = repo.run_as("eve", &["diff", "HEAD", "--reveal"], b"");
    assert_eq!((refused.code, refused.out.as_str()), (4, ""), "{}", refused.err);
}

#[test]
fn diff_after_new_keys_shows_only_changed_values() {
    let repo = Repo::new();
    repo.ok(&["rotate"]);
    repo.set("acme.token", "t2");
    let said = repo.ok(&["diff", "HEAD"]);
    assert!(
        said.contains("keys: a new data key") && said.contains("acme.token: sealed value changed"),
        "{said}"
    );
    assert!(!said.contains("acme.password"), "{said}");
    std::fs::create_dir(repo.home.at("eve")).unwrap();
    let blind = repo.ok_as("eve", &["diff", "HEAD"], b"");
    assert!(blind.contains("keys: a new data key") && !blind.contains("acme.password"), "{blind}");
}

#[test]
fn diff_escapes_control_and_bidi_characters() {
    let repo = Repo::new();
    repo.ok(&["set", "acme.user", "--plain", NASTY]);
    repo.edit("# who logs in", "# \u{202e}nigol ohw\u{200b}");
    repo.ok(&["sign", "--yes"]);
    std::fs::create_dir(repo.home.at("eve")).unwrap();
    let verbs = [
        repo.ok(&["diff", "HEAD"]),
        repo.ok(&["verify", "--since", "HEAD"]),
        repo.ok(&["git", "textconv", FILE]),
        repo.git_ok(&["diff", "HEAD"]),
        repo.ok(&["diff", "HEAD", "--json"]),
    ];
    for said in verbs {
        for hidden in ['\u{1b}', '\u{202e}', '\u{200b}'] {
            assert!(!said.contains(hidden), "{said:?}");
        }
        assert!(said.contains("nigol"), "{said}");
    }
}

#[test]
fn diff_shows_a_broken_file_with_a_warning() {
    let repo = Repo::new();
    repo.edit("\"10s\"", "\"20s\"");
    let ran = repo.run(&["diff", "HEAD"]);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (0, "acme.timeout: changed, \"10s\" → \"20s\"\n"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("does not verify"), "{}", ran.err);
}

#[test]
fn a_diff_at_a_terminal_reveals_no_value() {
    let repo = Repo::new();
    repo.set("acme.password", "second-password");
    let Some((code, seen, _)) = at_a_terminal(&repo.home, &["diff", "HEAD"], &[]) else { return };
    assert!(code == 0 && !seen.contains("second-password"), "{seen}");
}

/// Found by review: a branch contained a file named like a revision, which was then compared or
/// signed against instead of the revision.
#[test]
fn a_file_named_like_a_revision_is_not_taken_for_it() {
    let repo = Repo::new();
    let old = repo.text();
    repo.ok(&["set", "acme.user", "--plain", "eve"]);
    repo.ok(&["access", "remove", "app", "--yes"]);
    repo.commit("app is gone");
    for name in ["HEAD", "main"] {
        repo.home.write(name, &old);
    }
    repo.edit("\"10s\"", "\"20s\"");
    // The default is HEAD, the commit.
    let shown = repo.ok(&["diff"]);
    assert!(shown.contains("acme.timeout: changed") && !shown.contains("acme.user"), "{shown}");
    for args in [&["diff", "main", FILE][..], &["sign", "--yes", "--against", "main"]] {
        let ran = repo.run(args);
        assert_eq!(ran.code, 2, "{}", ran.err);
        assert!(ran.err.contains("both a file and a revision"), "{}", ran.err);
        assert!(ran.err.contains(&format!("./main. For the revision: main:{FILE}")), "{}", ran.err);
    }
    assert!(repo.ok(&["diff", "./main", FILE]).contains("acme.user"));
    repo.ok(&["sign", "--yes", "--against", &format!("main:{FILE}")]);
    assert_eq!(repo.file().access().len(), 1);
}

/// Found by review: a branch contained a file whose whole name was `origin/main:app.sealed.toml`,
/// which was read instead of that revision.
#[test]
fn a_file_named_like_a_file_of_a_revision_is_not_taken_for_it() {
    let repo = Repo::new();
    repo.git_ok(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
    repo.ok(&["set", "acme.user", "--plain", "eve"]);
    std::fs::create_dir(repo.home.at("origin")).unwrap();
    for revision in ["origin/main", "HEAD", "HEAD~1", "origin/gone"] {
        repo.home.write(&format!("{revision}:{FILE}"), repo.text());
    }
    repo.commit("eve's");
    repo.edit("\"10s\"", "\"20s\"");
    let before = repo.text();
    for (revision, code, words) in [
        ("origin/main", 2, "For the revision: refs/remotes/origin/main:app.sealed.toml"),
        ("HEAD", 2, "both a file and a revision"),
        ("HEAD~1", 2, "both a file and a revision"),
        // The clone may lack the revision, and the file must not take its place.
        ("origin/gone", 1, "git has no revision"),
    ] {
        let named = format!("{revision}:{FILE}");
        for args in [
            &["diff", &named, FILE][..],
            &["diff", &named],
            &["diff", FILE, &named],
            &["sign", FILE, "--yes", "--against", &named],
        ] {
            let said = repo.fails(args, code);
            assert!(said.contains(words), "{args:?}: {said}");
            assert!(said.contains(&format!("./{named}")), "{args:?}: {said}");
        }
    }
    assert_eq!(repo.text(), before);
    let full = format!("refs/remotes/origin/main:{FILE}");
    assert!(repo.ok(&["diff", &full, FILE]).contains("acme.user"));
    let file = format!("./origin/main:{FILE}");
    assert!(!repo.ok(&["diff", &file, FILE]).contains("acme.user"));
}

#[test]
fn a_single_argument_that_is_a_file_and_a_branch_hides_no_change() {
    let repo = Repo::new();
    repo.ok(&["set", "acme.user", "--plain", "eve"]);
    repo.home.write("main", repo.text());
    let said = repo.fails(&["diff", "main"], 2);
    assert!(said.contains("both a file and a revision") && said.contains("./main"), "{said}");
    assert!(repo.ok(&["diff", "refs/heads/main"]).contains("acme.user"));
    // The newer version is a file, and must not be meant as a revision either.
    repo.fails(&["diff", FILE, "main"], 2);
    // A folder is no version.
    std::fs::remove_file(repo.home.at("main")).unwrap();
    std::fs::create_dir(repo.home.at("main")).unwrap();
    assert!(repo.ok(&["diff", "main"]).contains("acme.user"));
}

#[test]
fn diff_reads_the_old_version_of_a_folder_that_became_a_link() {
    let repo = Repo::new();
    for (folder, url) in [("prod", "https://good.example"), ("test", "https://evil.example")] {
        std::fs::create_dir(repo.home.at(folder)).unwrap();
        let file = format!("{folder}/app.sealed.toml");
        repo.ok(&["init", "-f", &file]);
        repo.ok(&["set", "acme.url", "--plain", url, "-f", &file]);
    }
    repo.commit("two");
    std::fs::remove_dir_all(repo.home.at("prod")).unwrap();
    std::os::unix::fs::symlink("test", repo.home.at("prod")).unwrap();
    for args in [
        &["diff", "HEAD", "prod/app.sealed.toml"][..],
        &["diff", "HEAD:prod/app.sealed.toml", "prod/app.sealed.toml"],
    ] {
        let shown = repo.ok(args);
        assert!(shown.contains("\"https://good.example\" → \"https://evil.example\""), "{shown}");
    }
}

#[test]
fn a_file_named_like_a_remote_branch_that_the_clone_lacks_is_not_read() {
    let repo = Repo::new();
    let old = repo.text();
    repo.ok(&["set", "acme.user", "--plain", "eve"]);
    std::fs::create_dir(repo.home.at("origin")).unwrap();
    repo.home.write("origin/main", &old);
    // Without a remote of this name, it is only a file.
    assert!(repo.ok(&["diff", "origin/main", FILE]).contains("acme.user"));
    repo.git_ok(&["remote", "add", "origin", "https://git.example/shop"]);
    repo.edit("\"10s\"", "\"20s\"");
    for args in [&["diff", "origin/main", FILE][..], &["sign", "--yes", "--against", "origin/main"]]
    {
        let said = repo.fails(args, 1);
        assert!(said.contains("no revision") && said.contains("./origin/main"), "{said}");
    }
    assert!(repo.ok(&["diff", "./origin/main", FILE]).contains("acme.user"));
}
