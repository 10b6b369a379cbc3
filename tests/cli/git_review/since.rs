//! `verify --since` compares a file with a revision: what changed, and whether it is newer.

use super::*;

#[test]
fn since_reports_unchanged_and_changed_files() {
    let repo = Repo::new();
    let said = repo.ok(&["verify", "--since", "HEAD"]);
    assert!(said.contains("unchanged since HEAD"), "{said}");
    repo.set("acme.password", "new");
    repo.ok(&["set", "acme.login.url", "--plain", "https://other.example/login"]);
    repo.ok(&["unset", "acme.token"]);
    repo.edit("# who logs in", "# whoever");
    repo.ok(&["sign", "--yes"]);
    repo.ok(&["access", "add", "web1", "--new-key", "web1.key", "--yes"]);
    let said = repo.ok(&["verify", "--since", "HEAD"]);
    let words = [
        "generation 3 → 8 since HEAD",
        "access: web1 gets access (reader, age1",
        "! acme.login.url: changed, \"https://api.acme.example/login\" → \"https://other.example/login\"",
        "acme.password: sealed value changed",
        "acme.token: removed, sealed",
        "comment gone: # who logs in",
        "comment new: # whoever",
    ];
    for word in words {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(
        said.find("! acme.login.url") < said.find("acme.password"),
        "a change of the login URL comes first"
    );
}

#[test]
fn since_reports_the_changes_in_json() {
    let repo = Repo::new();
    repo.ok(&["set", "acme.timeout", "--plain", "30s"]);
    let document = repo.json(&["verify", "--since", "HEAD"]);
    assert_eq!(document["since"]["generation_before"], 3);
    assert_eq!(document["since"]["new"], false);
    let changes = &document["since"]["changes"];
    let row = json!({
        "name": "acme.timeout", "change": "changed", "before": "10s", "after": "30s", "sealed_before": false, "sealed_after": false,
        "set_at_before": null, "set_at_after": null, "older": false, "says_where": false,
    });
    assert_eq!(changes["properties"], json!([row]));
    assert_eq!(
        (&changes["access"], &changes["rotated"], &changes["vault"]),
        (&json!([]), &json!(false), &Value::Null)
    );
    assert_eq!(document["generation"], 4);
    assert_eq!(document["signed"], true);
}

#[test]
fn since_needs_no_key_and_no_known_vaults() {
    let repo = Repo::new();
    repo.set("acme.password", "new");
    std::fs::create_dir(repo.home.at("eve")).unwrap();
    let said = repo.ok_as("eve", &["verify", "--since", "HEAD", "--pin", &repo.pin()], b"");
    assert!(said.contains("acme.password: sealed value changed"), "{said}");
    let ran = repo.run_as("eve", &["verify", "--since", "HEAD"], b"");
    assert!(ran.code == 0 && ran.err.contains("this vault is not pinned"), "{}", ran.err);
    assert!(!repo.home.at("eve/.local").exists());
}

#[test]
fn since_covers_all_files_or_a_glob_and_reports_new_and_deleted_ones() {
    let repo = Repo::new();
    std::fs::create_dir(repo.home.at("deploy")).unwrap();
    for name in ["dev", "prod", "old"] {
        repo.ok(&["init", "-f", &format!("deploy/{name}.sealed.toml")]);
    }
    repo.commit("three");
    repo.ok(&["set", "a", "--plain", "1", "-f", "deploy/prod.sealed.toml"]);
    repo.ok(&["init", "-f", "deploy/new.sealed.toml"]);
    repo.git_ok(&["add", "deploy/new.sealed.toml"]);
    repo.git_ok(&["rm", "-q", "deploy/old.sealed.toml"]);
    let ran = repo.run(&["verify", "--since", "HEAD"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("deploy/old.sealed.toml no longer exists"), "{}", ran.err);
    for words in [
        "unchanged since HEAD",
        "new since HEAD",
        "a: added, \"1\"",
        FILE,
        "deploy/dev.sealed.toml",
    ] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    let some = repo.ok(&["verify", "--since", "HEAD", "deploy/*.sealed.toml"]);
    assert!(some.contains("deploy/prod") && !some.contains(FILE), "{some}");
    let document = repo.json(&["verify", "--since", "HEAD", "deploy/*.sealed.toml"]);
    let new: Vec<(&str, bool)> = document["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| (file["file"].as_str().unwrap(), file["since"]["new"].as_bool().unwrap()))
        .collect();
    assert_eq!(
        new,
        [
            ("deploy/dev.sealed.toml", false),
            ("deploy/new.sealed.toml", true),
            ("deploy/prod.sealed.toml", false)
        ]
    );
    // One bad file among good ones: all are checked, and the exit code is 3.
    repo.write(&Home::with_vault("a = \"secret:x\"\n").read(FILE));
    std::fs::remove_dir_all(repo.home.at(".local")).unwrap();
    let ran = repo.run(&["verify", "--since", "HEAD"]);
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert!(
        ran.err.contains("this is a different vault") && ran.out.contains("deploy/prod"),
        "{}{}",
        ran.out,
        ran.err
    );
    let from_below: Ran = repo
        .command("alice", &["verify", "--since", "HEAD", "prod.sealed.toml"])
        .current_dir(repo.home.at("deploy"))
        .output()
        .unwrap()
        .into();
    assert!(
        from_below.code == 0 && from_below.out.contains("a: added"),
        "{}{}",
        from_below.out,
        from_below.err
    );
}

#[test]
fn since_an_invalid_revision_is_an_error() {
    let repo = Repo::new();
    assert!(repo.fails(&["verify", "--since", "nonsense"], 1).contains("no revision"));
    assert!(repo.fails(&["verify", "--since", "--all"], 2).starts_with("bootseal: "));
}

#[test]
fn since_refuses_a_foreign_vault_whether_or_not_the_vault_is_known() {
    let repo = Repo::new();
    repo.write(&Home::with_vault("[acme]\npassword = \"secret:x\"\n").read(FILE));
    not_authentic(
        &repo,
        &["verify", "--since", "HEAD"],
        "wrong-vault",
        "this is a different vault",
    );
    std::fs::remove_dir_all(repo.home.at(".local")).unwrap();
    not_authentic(
        &repo,
        &["verify", "--since", "HEAD"],
        "wrong-vault",
        "this is a different vault",
    );
}

#[test]
fn since_finds_an_old_signed_file_that_git_merged_without_a_driver() {
    let repo = Repo::new();
    let old = repo.git_ok(&["rev-parse", "HEAD"]);
    repo.set("acme.password", "changed after the leak");
    repo.commit("changed");
    repo.git_ok(&["checkout", old.trim(), "--", FILE]);
    not_authentic(
        &repo,
        &["verify", "--since", "HEAD"],
        "old-generation",
        "an older or a different file was added",
    );
    repo.git_ok(&["checkout", "HEAD", "--", FILE]);
    // A branch that only restores the old file: in a merge it is the only side that changed, so git
    // takes it without calling a driver.
    repo.branch("evil", |repo| drop(repo.git_ok(&["checkout", old.trim(), "--", FILE])));
    repo.home.write("other.txt", "x");
    repo.commit("main goes on");
    let merge = repo.git(&["merge", "--no-edit", "--no-verify", "evil"]);
    assert_eq!(merge.code, 0, "{}{}", merge.out, merge.err);
    assert_eq!(repo.file().generation(), 3);
    not_authentic(
        &repo,
        &["verify", "--since", "HEAD^1"],
        "old-generation",
        "generation 3, but at HEAD^1 it was 4",
    );
}

#[test]
fn the_hook_stops_a_merge_that_restores_an_old_signed_file() {
    // Only their side changed the file, so git takes it without calling the merge driver.
    let repo = Repo::new();
    let old = repo.git_ok(&["rev-parse", "HEAD"]);
    repo.set("acme.password", "changed after the leak");
    repo.commit("changed");
    repo.branch("evil", |repo| drop(repo.git_ok(&["checkout", old.trim(), "--", FILE])));
    repo.home.write("other.txt", "x");
    repo.commit("main goes on");
    let merge = repo.git(&["merge", "--no-edit", "evil"]);
    assert_ne!(merge.code, 0, "{}{}", merge.out, merge.err);
    assert!(merge.err.contains("an older or a different file was added"), "{}", merge.err);
}

#[test]
fn since_refuses_another_text_of_the_same_generation() {
    let repo = Repo::new();
    repo.branch("other", |repo| repo.set("acme.token", "theirs"));
    repo.set("acme.password", "ours");
    repo.commit("ours");
    repo.git_ok(&["checkout", "other", "--", FILE]);
    not_authentic(
        &repo,
        &["verify", "--since", "HEAD"],
        "old-generation",
        "generation 4, but at HEAD it was 4",
    );
}

#[test]
fn since_accepts_a_handover_and_refuses_a_former_id() {
    let repo = Repo::new();
    repo.invite("bob", &["--writer"]);
    repo.commit("bob");
    let (before, old_pin) = (repo.text(), repo.pin());
    repo.ok(&["access", "remove", "bob", "--yes"]);
    let said = repo.ok(&["verify", "--since", "HEAD"]);
    assert!(said.contains(&format!("vault: {old_pin} is replaced by {}", repo.pin())), "{said}");
    assert!(said.contains("access: bob is removed"), "{said}");
    repo.commit("bob is gone");
    // Bob still has the old key and signs higher generations.
    repo.write(&before);
    for _ in 0..4 {
        repo.ok_as("bob", &["set", "acme.password", "-", "--pin", &old_pin], b"bob's");
    }
    std::fs::remove_dir_all(repo.home.at(".local")).unwrap();
    assert!(repo.file().generation() > 6);
    not_authentic(&repo, &["verify", "--since", "HEAD"], "wrong-vault", "a former writer may have");
}

#[test]
fn since_refuses_a_higher_generation_from_before_new_keys() {
    let repo = Repo::new();
    repo.branch("other", |repo| {
        for value in ["1", "2", "3"] {
            repo.set("acme.token", value);
        }
    });
    repo.ok(&["access", "remove", "app", "--yes"]);
    repo.commit("app is removed");
    repo.git_ok(&["checkout", "other", "--", FILE]);
    assert!(repo.file().generation() > 4);
    not_authentic(
        &repo,
        &["verify", "--since", "HEAD"],
        "old-generation",
        "a version with older keys",
    );
}

#[test]
fn since_a_broken_version_compares_with_the_last_valid_one() {
    let repo = Repo::new();
    let good = repo.text();
    repo.edit("\"10s\"", "\"20s\"");
    repo.commit("broken");
    let broken = repo.git_ok(&["rev-parse", "HEAD"]);
    repo.write(&good);
    repo.ok(&["verify", "--since", broken.trim()]);
    repo.set("acme.token", "t2");
    repo.ok(&["verify", "--since", broken.trim()]);
    repo.write(&Home::with_vault("a = \"secret:x\"\n").read(FILE));
    not_authentic(&repo, &["verify", "--since", broken.trim()], "wrong-vault", "a different vault");
}

#[test]
fn since_refuses_another_vault_behind_a_folder_that_became_a_link() {
    let repo = Repo::new();
    for folder in ["deploy", "evil"] {
        std::fs::create_dir(repo.home.at(folder)).unwrap();
    }
    repo.ok(&["init", "-f", "deploy/prod.sealed.toml"]);
    repo.commit("prod");
    repo.git_ok(&["rm", "-q", "-r", "deploy"]);
    repo.home.write("evil/prod.sealed.toml", Home::with_vault("a = \"secret:x\"\n").read(FILE));
    std::os::unix::fs::symlink("evil", repo.home.at("deploy")).unwrap();
    repo.commit("links");
    std::fs::remove_dir_all(repo.home.at(".local")).unwrap();
    not_authentic(
        &repo,
        &["verify", "--since", "HEAD~1", "deploy/prod.sealed.toml"],
        "wrong-vault",
        "this is a different vault",
    );
    let ran = repo.run(&["verify", "--since", "HEAD~1"]);
    assert!(
        ran.code == 3 && ran.err.contains("this is a different vault"),
        "{}{}",
        ran.out,
        ran.err
    );
    // The same for the file itself.
    repo.git_ok(&["mv", FILE, "moved.sealed.toml"]);
    std::os::unix::fs::symlink("evil/prod.sealed.toml", repo.home.at(FILE)).unwrap();
    not_authentic(
        &repo,
        &["verify", "--since", "HEAD", FILE],
        "wrong-vault",
        "this is a different vault",
    );
}

/// Found by review: a foreign vault in between must not become the version that a broken one is
/// compared with.
#[test]
fn since_a_broken_version_compares_only_with_the_vault_it_names() {
    let repo = Repo::new();
    let good = repo.text();
    repo.edit("\"10s\"", "\"20s\"");
    repo.commit("broken by hand");
    let broken = repo.text();
    let eve = Home::with_vault("[acme]\npassword = \"secret:x\"\n");
    repo.write(&eve.read(FILE));
    repo.commit("eve's");
    repo.write(&broken);
    repo.commit("as it was");
    eve.ok_with(&["set", "acme.more"], b"x");
    repo.write(&eve.read(FILE));
    let ran = repo.command("eve", &["verify", "--since", "HEAD"]).output().unwrap();
    assert_eq!(ran.status.code(), Some(3), "{}", String::from_utf8_lossy(&ran.stderr));
    repo.write(&good);
    repo.set("acme.token", "next");
    repo.ok(&["verify", "--since", "HEAD"]);
}

#[test]
fn since_a_renamed_file_must_still_be_newer() {
    let repo = Repo::new();
    let old = repo.text();
    repo.set("acme.password", "changed after the leak");
    repo.commit("changed");
    repo.git_ok(&["mv", FILE, "prod.sealed.toml"]);
    repo.home.write("prod.sealed.toml", &old);
    repo.git_ok(&["add", "-A"]);
    let pin = ["--pin", repo.json(&["verify", "prod.sealed.toml"])["vault"].as_str().unwrap()]
        .map(str::to_owned);
    let args = ["verify", "--since", "HEAD", "prod.sealed.toml", &pin[0], &pin[1]];
    not_authentic(&repo, &args, "old-generation", "an older or a different file was added");
    let check = repo.fails(&["git", "check", "--staged"], 3);
    assert!(check.contains("prod.sealed.toml"), "{check}");
    repo.git_ok(&["show", &format!("HEAD:{FILE}")]);
    repo.home.write("prod.sealed.toml", repo.git_ok(&["show", &format!("HEAD:{FILE}")]));
    repo.git_ok(&["add", "-A"]);
    repo.ok(&["verify", "--since", "HEAD", "prod.sealed.toml", &pin[0], &pin[1]]);
}

#[test]
fn since_as_markdown_resists_injection() {
    let repo = Repo::new();
    repo.ok(&["set", "acme.user", "--plain", NASTY]);
    repo.ok(&["set", "acme.\"`@all` | <b>: x\"", "--plain", "v"]);
    repo.edit("# who logs in", "# `` \\| </td><img src=x> @team \\");
    repo.ok(&["sign", "--yes"]);
    let text = repo.ok(&["verify", "--since", "HEAD", "--format", "markdown"]);
    assert!(
        text.starts_with(&format!("### ` {FILE} `\n\ngeneration 3 → 6 since HEAD\n")),
        "{text}"
    );
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
    // All text outside code spans is written by bootseal.
    let mut outside = String::new();
    for line in text.lines() {
        outside.push_str(&outside_of_code(line));
        outside.push('\n');
    }
    for word in ["<", ">", "@", "[", "evil", "onerror", "drawkcab", "team"] {
        assert!(!outside.contains(word), "{word}: {outside}\n{text}");
    }
    // The output has no tables: renderers disagree whether `\\|` ends a cell.
    assert!(!text.lines().any(|line| line.starts_with('|')), "{text}");
    assert!(text.contains("onerror") && text.contains("@team"), "but the text is shown: {text}");
}

/// A line without its code spans, by CommonMark's rule: a run of backticks is closed by the next
/// run of the same length.
fn outside_of_code(line: &str) -> String {
    let mut rest = line;
    let mut outside = String::new();
    while let Some(at) = rest.find('`') {
        outside.push_str(&rest[..at]);
        let length = rest[at..].chars().take_while(|next| *next == '`').count();
        let mut after = &rest[at + length..];
        let mut closed = None;
        while let Some(next) = after.find('`') {
            let run = after[next..].chars().take_while(|next| *next == '`').count();
            after = &after[next + run..];
            if run == length {
                closed = Some(after);
                break;
            }
        }
        rest = closed.unwrap_or_else(|| panic!("a code span that nothing ends: {line}"));
    }
    outside + rest
}

#[test]
fn since_as_markdown_marks_a_changed_login_url() {
    let repo = Repo::new();
    repo.ok(&["set", "acme.login.url", "--plain", "https://other.example/login"]);
    let text = repo.ok(&["verify", "--since", "HEAD", "--format", "markdown"]);
    assert!(text.contains("⚠ ` acme.login.url `"), "{text}");
    assert!(repo.fails(&["verify", "--format", "markdown"], 2).contains("--since"));
}

/// Found by review: git prefers a tag to a branch, and `git fetch` brings the tags that others push.
#[test]
fn a_tag_named_like_a_branch_is_not_taken_for_it() {
    let repo = Repo::new();
    let old = repo.text();
    repo.git_ok(&["tag", "origin/main"]);
    repo.set("acme.password", "new");
    repo.commit("new");
    repo.git_ok(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
    repo.write(&old);
    for revision in ["origin/main", "origin/main~0", "origin/main^{commit}"] {
        let ran = repo.run(&["verify", "--since", revision]);
        assert_eq!(ran.code, 2, "{}", ran.err);
        assert!(ran.err.contains("several meanings in git: refs/tags/origin/main"), "{}", ran.err);
        assert!(ran.err.contains("for example refs/remotes/origin/main"), "{}", ran.err);
    }
    let ran = repo.run(&["verify", "--since", "refs/remotes/origin/main"]);
    assert_eq!(ran.code, 3, "{}", ran.err);
    // A tag with the name of an abbreviated commit.
    let id = repo.git_ok(&["rev-parse", "--short=8", "HEAD~1"]);
    repo.ok(&["verify", "--since", id.trim()]);
    repo.git_ok(&["tag", id.trim(), "HEAD"]);
    assert_eq!(repo.run(&["verify", "--since", id.trim()]).code, 2);
}

/// Found by review: a replacement reference answers for a commit.
#[test]
fn a_replaced_commit_is_read_as_it_was_committed() {
    let repo = Repo::new();
    let old = repo.text();
    repo.set("acme.password", "new");
    repo.commit("new");
    repo.git_ok(&["replace", "HEAD", "HEAD~1"]);
    repo.write(&old);
    let ran = repo.run(&["verify", "--since", "HEAD"]);
    assert_eq!(ran.code, 3, "{}", ran.err);
}

#[test]
fn since_finds_an_old_copy_under_any_name() {
    for name in ["conf", "deploy/app.sealed", "README.md"] {
        let repo = Repo::new();
        let old = repo.text();
        repo.set("acme.password", "new");
        repo.commit("new");
        repo.git_ok(&["rm", "-q", FILE]);
        std::fs::create_dir_all(repo.home.at("deploy")).unwrap();
        repo.home.write(name, &old);
        repo.git_ok(&["add", name]);
        let said = repo.fails(&["verify", "--since", "HEAD"], 3);
        assert!(said.contains(name) && said.contains("an older or a different file"), "{said}");
        // A copy of the present file is only a new name for it.
        repo.home.write(name, repo.git_ok(&["show", &format!("HEAD:{FILE}")]));
        repo.git_ok(&["add", name]);
        repo.ok(&["verify", "--since", "HEAD"]);
    }
}
