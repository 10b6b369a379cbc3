//! What does a review see, and what does it stop? `verify --since`, `git check` and its hook, `diff`, `git textconv`, `verify --as-loader`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test

mod support;

use serde_json::{Value, json};
use support::repo::{FILE, Repo};
use support::{Home, Ran, at_a_terminal};

fn error(ran: &Ran) -> Value {
    let document: Value =
        serde_json::from_str(ran.err.lines().last().unwrap_or_default()).unwrap_or_else(|_| panic!("{}", ran.err));
    document["error"].clone()
}

/// Ends with 3 and this kind, for people and for scripts.
fn not_authentic(repo: &Repo, args: &[&str], kind: &str, words: &str) {
    let said = repo.fails(args, 3);
    assert!(said.contains(words), "{words}: {said}");
    let ran = repo.run(&[args, &["--json"]].concat());
    assert_eq!((ran.code, error(&ran)["kind"].as_str()), (3, Some(kind)), "{}{}", ran.out, ran.err);
}

// verify --since

#[test]
fn since_says_what_did_not_change_and_what_did() {
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
    assert!(said.find("! acme.login.url") < said.find("acme.password"), "where a secret goes comes first");
}

#[test]
fn since_in_json() {
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
    assert_eq!((&changes["access"], &changes["rotated"], &changes["vault"]), (&json!([]), &json!(false), &Value::Null));
    assert_eq!(document["generation"], 4);
    assert_eq!(document["signed"], true);
}

#[test]
fn since_needs_no_key_and_no_memory() {
    let repo = Repo::new();
    repo.set("acme.password", "new");
    std::fs::create_dir(repo.home.at("eve")).unwrap();
    let said = repo.ok_as("eve", &["verify", "--since", "HEAD", "--pin", &repo.pin()], b"");
    assert!(said.contains("acme.password: sealed value changed"), "{said}");
    let ran = repo.run_as("eve", &["verify", "--since", "HEAD"], b"");
    assert!(ran.code == 0 && ran.err.contains("nothing says which vault"), "{}", ran.err);
    assert!(!repo.home.at("eve/.local").exists());
}

#[test]
fn since_takes_all_files_of_the_repository_or_a_glob_and_says_new_and_gone_ones() {
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
    assert!(ran.err.contains("deploy/old.sealed.toml is gone"), "{}", ran.err);
    for words in ["unchanged since HEAD", "new since HEAD", "a: added, \"1\"", FILE, "deploy/dev.sealed.toml"] {
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
        [("deploy/dev.sealed.toml", false), ("deploy/new.sealed.toml", true), ("deploy/prod.sealed.toml", false)]
    );
    // One bad file among good ones: all are looked at, and the end is 3.
    repo.write(&Home::with_vault("a = \"secret:x\"\n").read(FILE));
    std::fs::remove_dir_all(repo.home.at(".local")).unwrap();
    let ran = repo.run(&["verify", "--since", "HEAD"]);
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert!(ran.err.contains("another vault lies here") && ran.out.contains("deploy/prod"), "{}{}", ran.out, ran.err);
    let from_below: Ran = repo
        .command("alice", &["verify", "--since", "HEAD", "prod.sealed.toml"])
        .current_dir(repo.home.at("deploy"))
        .output()
        .unwrap()
        .into();
    assert!(from_below.code == 0 && from_below.out.contains("a: added"), "{}{}", from_below.out, from_below.err);
}

#[test]
fn since_a_revision_that_is_none_is_said() {
    let repo = Repo::new();
    assert!(repo.fails(&["verify", "--since", "nonsense"], 1).contains("no revision"));
    assert!(repo.fails(&["verify", "--since", "--all"], 2).contains("error"));
}

#[test]
fn since_refuses_a_foreign_vault_at_the_path_with_and_without_memory() {
    let repo = Repo::new();
    repo.write(&Home::with_vault("[acme]\npassword = \"secret:x\"\n").read(FILE));
    not_authentic(&repo, &["verify", "--since", "HEAD"], "wrong-vault", "another vault lies here");
    std::fs::remove_dir_all(repo.home.at(".local")).unwrap();
    not_authentic(&repo, &["verify", "--since", "HEAD"], "wrong-vault", "another vault lies here");
}

#[test]
fn since_finds_an_old_signed_file_that_git_brought_in_without_a_driver() {
    let repo = Repo::new();
    let old = repo.git_ok(&["rev-parse", "HEAD"]);
    repo.set("acme.password", "changed after the leak");
    repo.commit("changed");
    repo.git_ok(&["checkout", old.trim(), "--", FILE]);
    not_authentic(
        &repo,
        &["verify", "--since", "HEAD"],
        "old-generation",
        "an older or a different file was brought in",
    );
    repo.git_ok(&["checkout", "HEAD", "--", FILE]);
    // A branch that only puts the old file back: git takes it in a merge as the one side that changed, and asks no driver.
    repo.branch("evil", |repo| drop(repo.git_ok(&["checkout", old.trim(), "--", FILE])));
    repo.home.write("other.txt", "x");
    repo.commit("main goes on");
    let merge = repo.git(&["merge", "--no-edit", "--no-verify", "evil"]);
    assert_eq!(merge.code, 0, "{}{}", merge.out, merge.err);
    assert_eq!(repo.file().generation(), 3);
    not_authentic(&repo, &["verify", "--since", "HEAD^1"], "old-generation", "generation 3, at HEAD^1 it was 4");
}

#[test]
fn the_hook_stops_a_merge_that_brings_an_old_signed_file_in() {
    // format.md: "Git also takes an old signed file without calling any driver: `verify --since` in CI and in the hook."
    let repo = Repo::new();
    let old = repo.git_ok(&["rev-parse", "HEAD"]);
    repo.set("acme.password", "changed after the leak");
    repo.commit("changed");
    repo.branch("evil", |repo| drop(repo.git_ok(&["checkout", old.trim(), "--", FILE])));
    repo.home.write("other.txt", "x");
    repo.commit("main goes on");
    let merge = repo.git(&["merge", "--no-edit", "evil"]);
    assert_ne!(merge.code, 0, "{}{}", merge.out, merge.err);
    assert!(merge.err.contains("an older or a different file was brought in"), "{}", merge.err);
}

#[test]
fn since_refuses_another_text_of_the_same_generation() {
    let repo = Repo::new();
    repo.branch("other", |repo| repo.set("acme.token", "theirs"));
    repo.set("acme.password", "ours");
    repo.commit("ours");
    repo.git_ok(&["checkout", "other", "--", FILE]);
    not_authentic(&repo, &["verify", "--since", "HEAD"], "old-generation", "generation 4, at HEAD it was 4");
}

#[test]
fn since_takes_a_handover_and_refuses_a_former_id() {
    let repo = Repo::new();
    repo.invite("bob", &["--writer"]);
    repo.commit("bob");
    let (before, old_pin) = (repo.text(), repo.pin());
    repo.ok(&["access", "remove", "bob", "--yes"]);
    let said = repo.ok(&["verify", "--since", "HEAD"]);
    assert!(said.contains(&format!("vault: {old_pin} is {} from here on", repo.pin())), "{said}");
    assert!(said.contains("access: bob is removed"), "{said}");
    repo.commit("bob is gone");
    // He still has the old key, and is resumed counting.
    repo.write(&before);
    for _ in 0..4 {
        repo.ok_as("bob", &["set", "acme.password", "-", "--pin", &old_pin], b"bob's");
    }
    std::fs::remove_dir_all(repo.home.at(".local")).unwrap();
    assert!(repo.file().generation() > 6);
    not_authentic(&repo, &["verify", "--since", "HEAD"], "wrong-vault", "a former writer may have made it");
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
    not_authentic(&repo, &["verify", "--since", "HEAD"], "old-generation", "from before new keys");
}

#[test]
fn since_a_broken_version_the_last_good_one_counts() {
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
    not_authentic(&repo, &["verify", "--since", broken.trim()], "wrong-vault", "another vault");
}

#[test]
fn since_a_folder_that_became_a_link_leads_to_no_other_vault() {
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
        "another vault lies here",
    );
    let ran = repo.run(&["verify", "--since", "HEAD~1"]);
    assert!(ran.code == 3 && ran.err.contains("another vault lies here"), "{}{}", ran.out, ran.err);
    // The file itself, too.
    repo.git_ok(&["mv", FILE, "moved.sealed.toml"]);
    std::os::unix::fs::symlink("evil/prod.sealed.toml", repo.home.at(FILE)).unwrap();
    not_authentic(&repo, &["verify", "--since", "HEAD", FILE], "wrong-vault", "another vault lies here");
}

const NASTY: &str =
    "`` ` ``` | \\| @mention <img src=x onerror=alert(1)> [a](https://evil.example) \u{1b}[31m \u{202e}drawkcab";

/// Found by review: a vault of anyone's in between must not be what a broken version is followed up by.
#[test]
fn since_a_broken_version_is_followed_up_by_the_vault_that_it_names() {
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
fn since_a_renamed_file_is_still_to_be_newer() {
    let repo = Repo::new();
    let old = repo.text();
    repo.set("acme.password", "changed after the leak");
    repo.commit("changed");
    repo.git_ok(&["mv", FILE, "prod.sealed.toml"]);
    repo.home.write("prod.sealed.toml", &old);
    repo.git_ok(&["add", "-A"]);
    let pin = ["--pin", repo.json(&["verify", "prod.sealed.toml"])["vault"].as_str().unwrap()].map(str::to_owned);
    let args = ["verify", "--since", "HEAD", "prod.sealed.toml", &pin[0], &pin[1]];
    not_authentic(&repo, &args, "old-generation", "an older or a different file was brought in");
    let check = repo.fails(&["git", "check", "--staged"], 3);
    assert!(check.contains("prod.sealed.toml"), "{check}");
    repo.git_ok(&["show", &format!("HEAD:{FILE}")]);
    repo.home.write("prod.sealed.toml", repo.git_ok(&["show", &format!("HEAD:{FILE}")]));
    repo.git_ok(&["add", "-A"]);
    repo.ok(&["verify", "--since", "HEAD", "prod.sealed.toml", &pin[0], &pin[1]]);
}

#[cfg(target_os = "linux")]
#[test]
fn check_does_not_pass_over_what_it_cannot_look_at() {
    use std::os::unix::ffi::OsStrExt;
    let repo = Repo::new();
    std::fs::write(repo.home.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9.txt")), "x").unwrap();
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
    finding(&repo, &["git", "check", "--staged"], 1, "acme.password, which is sealed in");
    finding(&repo, &["git", "check", "--staged"], 1, "not TOML that could be sealed");
}

#[test]
fn since_as_markdown_cannot_be_broken_out_of() {
    let repo = Repo::new();
    repo.ok(&["set", "acme.user", "--plain", NASTY]);
    repo.ok(&["set", "acme.\"`@all` | <b>: x\"", "--plain", "v"]);
    repo.edit("# who logs in", "# `` \\| </td><img src=x> @team \\");
    repo.ok(&["sign", "--yes"]);
    let text = repo.ok(&["verify", "--since", "HEAD", "--format", "markdown"]);
    assert!(text.starts_with(&format!("### ` {FILE} `\n\ngeneration 3 → 6 since HEAD\n")), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
    // Whatever is outside of code spans is ours.
    let mut outside = String::new();
    for line in text.lines() {
        outside.push_str(&outside_of_code(line));
        outside.push('\n');
    }
    for word in ["<", ">", "@", "[", "evil", "onerror", "drawkcab", "team"] {
        assert!(!outside.contains(word), "{word}: {outside}\n{text}");
    }
    // In a table, whether `\|` ends a cell where another backslash stands before it is answered in two ways by two renderers.
    assert!(!text.lines().any(|line| line.starts_with('|')), "{text}");
    assert!(text.contains("onerror") && text.contains("@team"), "it is shown, though: {text}");
}

/// A line without its code spans, by CommonMark's rule: a run of backticks is closed by the next run of the same length.
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
fn since_as_markdown_marks_what_says_where() {
    let repo = Repo::new();
    repo.ok(&["set", "acme.login.url", "--plain", "https://other.example/login"]);
    let text = repo.ok(&["verify", "--since", "HEAD", "--format", "markdown"]);
    assert!(text.contains("⚠ ` acme.login.url `"), "{text}");
    assert!(repo.fails(&["verify", "--format", "markdown"], 2).contains("--since"));
}

// git check

fn finding(repo: &Repo, args: &[&str], code: i32, words: &str) {
    let ran = repo.run(args);
    assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{args:?}: {}", ran.err);
    assert!(ran.err.contains(words), "{words}: {}", ran.err);
    let json = repo.run(&[args, &["--json"]].concat());
    let document: Value = serde_json::from_str(&json.out).unwrap();
    let findings = document["findings"].as_array().unwrap();
    assert!(json.code == code && !findings.is_empty(), "{document}");
    assert!(findings.iter().all(|row| row["file"].is_string() && row["error"]["kind"].is_string()), "{document}");
    for said in [&ran.err, &json.out, &json.err] {
        for secret in ["hunter2", "first-password", "AGE-SECRET-KEY-1"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
}

#[test]
fn check_finds_nothing_where_nothing_is() {
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
fn check_finds_plain_secrets_of_every_kind() {
    let plain = [
        ("deploy.toml", "[a]\npassword = \"secret:hunter2\"\n", "a.password is in clear"),
        ("alice.txt", "# created\n  AGE-SECRET-KEY-1QQQHUNTER\n", "an age identity in clear"),
        ("app.properties", "acme.password=hunter2\n", "acme.password, which is sealed in app.sealed.toml"),
        ("app.yaml", "acme:\n  password: hunter2\n", "acme.password, which is sealed in app.sealed.toml"),
        ("app.json", "{\"acme\": {\"password\": \"hunter2\"}}\n", "acme.password, which is sealed in app.sealed.toml"),
        ("app.toml", "acme.password = \"hunter2\"\n", "acme.password, which is sealed in app.sealed.toml"),
        ("app.yml", "acme: [\n", "may be what app.sealed.toml was sealed from"),
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
fn check_finds_what_seal_was_given_wherever_it_lies() {
    // `.env` is sealed into `env.sealed.toml`, in a folder of its own.
    let repo = Repo::new();
    std::fs::create_dir(repo.home.at("deploy")).unwrap();
    repo.home.write("deploy/.env", "PASSWORD=hunter2\n");
    let sealed: Ran =
        repo.command("alice", &["seal", ".env"]).current_dir(repo.home.at("deploy")).output().unwrap().into();
    assert_eq!(sealed.code, 0, "{}", sealed.err);
    repo.git_ok(&["add", "-A"]);
    finding(&repo, &["git", "check", "--staged"], 1, "deploy/.env");
    // Of another folder it is none.
    repo.git_ok(&["rm", "-q", "-f", "deploy/.env"]);
    repo.home.write(".env", "COLOUR=blue\n");
    repo.git_ok(&["add", "-A"]);
    repo.ok(&["git", "check", "--staged"]);
}

#[test]
fn check_leaves_ordinary_settings_beside_a_vault_alone() {
    let repo = Repo::new();
    repo.home.write("app.toml", "[acme]\ncolour = \"blue\"\n");
    repo.git_ok(&["add", "-A"]);
    repo.ok(&["git", "check", "--staged"]);
    repo.home.write("app.toml", "[acme]\ncolour = \"blue\"\npassword = \"hunter2\"\n");
    repo.git_ok(&["add", "-A"]);
    let ran = repo.run(&["git", "check", "--staged"]);
    assert!(ran.code == 1 && ran.err.contains("acme.password, which is sealed in app.sealed.toml"), "{}", ran.err);
    assert!(!ran.err.contains("hunter2"));
}

#[test]
fn check_finds_a_vault_that_does_not_verify_and_one_with_markers() {
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
fn check_takes_a_rename_for_one_file() {
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
    finding(&repo, &["git", "check", "--staged"], 3, "an older or a different file was brought in");
    assert_ne!(repo.git(&["commit", "-m", "older"]).code, 0);
}

#[test]
fn staged_looks_at_the_index_and_not_at_the_working_tree() {
    let repo = Repo::new();
    // Bad in the working tree only: the commit may go on.
    repo.set("acme.token", "t2");
    repo.git_ok(&["add", "-A"]);
    repo.edit("\"10s\"", "\"20s\"");
    repo.home.write("notes.toml", "a = \"secret:hunter2\"\n");
    repo.ok(&["git", "check", "--staged"]);
    assert_eq!(repo.run(&["git", "check"]).code, 3);
    repo.git_ok(&["commit", "-q", "-m", "t2"]);
    // Bad in the index only.
    repo.git_ok(&["add", "notes.toml"]);
    repo.home.write("notes.toml", "a = 1\n");
    finding(&repo, &["git", "check", "--staged"], 1, "notes.toml");
    repo.git_ok(&["rm", "-q", "-f", "--cached", "notes.toml"]);
    repo.ok(&["git", "check", "--staged"]);
}

#[test]
fn check_looks_at_odd_names_and_leaves_what_is_not_its_own() {
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
        assert!(ran.err.lines().filter(|line| line.contains("in clear")).count() == 1, "{}", ran.err);
        assert!(!ran.err.contains(['\u{202e}', '\u{1b}']), "{}", ran.err);
        assert!(!ran.err.contains("endless") && !ran.err.contains("link"), "{}", ran.err);
    }
}

#[test]
fn check_takes_a_name_that_git_could_read_in_another_way_as_the_name() {
    for name in ["2:leak.toml", ":leak.toml", "*.toml", "HEAD:leak.toml", "-leak.toml", "leak[1].toml"] {
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

// diff

#[test]
fn diff_takes_revisions_files_and_both() {
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
        assert_eq!(repo.run(&[args, &["-f", FILE]].concat()[..args.len() + 2]).out, expected, "{args:?}");
    }
    let document = repo.json(&["diff", "HEAD", FILE]);
    assert_eq!((document["old"].as_str(), document["new"].as_str()), (Some("HEAD:app.sealed.toml"), Some(FILE)));
    assert_eq!(document["properties"][0]["name"], "acme.timeout");
    for (args, words) in
        [(&["diff", "nonsense", FILE][..], "no revision"), (&["diff", "HEAD:nothing.sealed.toml", FILE], "has no")]
    {
        assert!(repo.fails(args, 1).contains(words));
    }
}

#[test]
fn diff_names_ends_as_diff_does() {
    let repo = Repo::new();
    assert_eq!(repo.fails(&["diff", "--names", "HEAD", FILE], 0), "");
    repo.set("acme.password", "another value is no other name");
    assert_eq!(repo.fails(&["diff", "--names", "HEAD", FILE], 0), "");
    repo.ok(&["rename", "acme.token", "acme.api"]);
    let said = repo.fails(&["diff", "--names", "HEAD", FILE], 1);
    assert_eq!(said, "only in HEAD:app.sealed.toml: acme.token\nonly in app.sealed.toml: acme.api\n");
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
fn diff_reveals_only_with_a_key_and_only_when_told() {
    let repo = Repo::new();
    repo.set("acme.password", "second-password");
    let plain = repo.ok(&["diff", "HEAD"]);
    assert!(
        plain.starts_with("acme.password: sealed value changed; set 2020-09-13T12:26:40Z → 20")
            && !plain.contains("second-password"),
        "{plain}"
    );
    let shown = repo.ok(&["diff", "HEAD", "--reveal"]);
    assert!(shown.contains("- acme.password = first-password\n+ acme.password = second-password\n"), "{shown}");
    assert!(!shown.contains("first-token"), "what did not change is not shown: {shown}");
    let document = repo.json(&["diff", "HEAD", "--reveal"]);
    assert_eq!(document["properties"][0]["revealed_after"], "second-password");
    assert!(repo.json(&["diff", "HEAD"])["properties"][0].get("revealed_after").is_none());
    std::fs::create_dir(repo.home.at("eve")).unwrap();
    let blind = repo.run_as("eve", &["diff", "HEAD"], b"");
    assert_eq!((blind.code, blind.out.as_str()), (0, "acme.password: sealed value changed\n"), "{}", blind.err);
    let refused = repo.run_as("eve", &["diff", "HEAD", "--reveal"], b"");
    assert_eq!((refused.code, refused.out.as_str()), (4, ""), "{}", refused.err);
}

#[test]
fn diff_after_new_keys_shows_only_what_really_changed() {
    let repo = Repo::new();
    repo.ok(&["rotate"]);
    repo.set("acme.token", "t2");
    let said = repo.ok(&["diff", "HEAD"]);
    assert!(said.contains("keys: a new data key") && said.contains("acme.token: sealed value changed"), "{said}");
    assert!(!said.contains("acme.password"), "{said}");
    std::fs::create_dir(repo.home.at("eve")).unwrap();
    let blind = repo.ok_as("eve", &["diff", "HEAD"], b"");
    assert!(blind.contains("keys: a new data key") && !blind.contains("acme.password"), "{blind}");
}

#[test]
fn diff_shows_escapes_and_directions_harmless() {
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
fn diff_shows_a_broken_file_as_it_is_and_says_so() {
    let repo = Repo::new();
    repo.edit("\"10s\"", "\"20s\"");
    let ran = repo.run(&["diff", "HEAD"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "acme.timeout: changed, \"10s\" → \"20s\"\n"), "{}", ran.err);
    assert!(ran.err.contains("does not verify"), "{}", ran.err);
}

// git textconv

#[test]
fn git_diff_shows_names_and_people_and_no_ciphertext() {
    let repo = Repo::new();
    let before = repo.text();
    repo.set("acme.password", "new");
    repo.ok(&["access", "add", "web1", "--new-key", "web1.key", "--yes"]);
    let shown = repo.git_ok(&["diff", "HEAD"]);
    let whole = repo.ok(&["git", "textconv", FILE]);
    for text in [&shown, &whole] {
        for version in [&before, &repo.text()] {
            for name in ["acme.password", "acme.token"] {
                let sealed = Repo::sealed(version, name);
                let longest = (0..sealed.len() - 12)
                    .any(|at| text.contains(&sealed[at..at + 12].replacen("sealed:", "", 1)) && at > 7);
                assert!(!longest, "{text}");
            }
        }
        assert!(!text.contains("BEGIN AGE") && !text.contains("signature = "), "{text}");
    }
    assert!(shown.contains("-password = \"sealed:…") && shown.contains("+password = \"sealed:…"), "{shown}");
    assert!(shown.contains("web1") && shown.contains(", generation 5, epoch 1"), "{shown}");
    assert!(!shown.contains("-token") && !shown.contains("+token"), "{shown}");
    // Nothing of it asks for a key.
    std::fs::create_dir(repo.home.at("eve")).unwrap();
    assert_eq!(repo.git_as("eve", &["diff", "HEAD"]).out, shown);
}

#[test]
fn textconv_says_what_does_not_verify_and_still_hides_the_sealed_text() {
    let repo = Repo::new();
    let sealed = Repo::sealed(&repo.text(), "acme.password");
    // As a hand edit may write it: a literal string is TOML as well.
    repo.edit(&format!("\"{sealed}\""), &format!("'{sealed}'"));
    let text = repo.ok(&["git", "textconv", FILE]);
    assert!(text.starts_with("# NOT VERIFIED: "), "{text}");
    assert!(!text.contains(&sealed), "{text}");
    repo.write("<<<<<<< HEAD\nnot = = toml\n");
    assert!(repo.ok(&["git", "textconv", FILE]).contains("not = = toml"));
    repo.write("");
    assert!(repo.ok(&["git", "textconv", FILE]).contains("NOT VERIFIED"));
}

// verify --as-loader

/// The loader's surroundings: a unit with its key, and a folder for what it saw.
fn as_loader(repo: &Repo, variables: &[(&str, &str)], args: &[&str]) -> Ran {
    let mut command = repo.command("eve", &[&["verify", "--as-loader"][..], args].concat());
    for (name, value) in variables {
        command.env(name, value);
    }
    command.output().unwrap().into()
}

#[test]
fn as_loader_prints_what_came_from_where_and_writes_nothing() {
    let repo = Repo::new();
    let (key, state) = (repo.home.at("app.key"), repo.home.at("state"));
    let variables = [("BOOTSEAL_IDENTITY", key.to_str().unwrap()), ("BOOTSEAL_STATE", state.to_str().unwrap())];
    let ran = as_loader(&repo, &variables, &[FILE]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.starts_with(&format!("{FILE}: {}, generation 3, 2 values open\n", repo.pin())), "{}", ran.out);
    for words in [
        "file",
        "key",
        "pin",
        "state",
        "BOOTSEAL_IDENTITY",
        "BOOTSEAL_STATE",
        "nothing seen yet",
        "profile acme: can work",
    ] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    assert!(!state.exists(), "it only looks");
    assert!(!repo.home.at("eve/.local").exists());
    repo.loader().load().unwrap();
    let seen = |name: &str| -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<_> = std::fs::read_dir(repo.home.at(name))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
            .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
            .collect();
        files.sort();
        files
    };
    let before = seen("state");
    repo.set("acme.password", "new");
    let ran = as_loader(&repo, &variables, &[FILE]);
    assert!(ran.code == 0 && ran.out.contains("generation 3 was seen"), "{}{}", ran.out, ran.err);
    assert_eq!(seen("state"), before);
    let ran = as_loader(&repo, &variables, &[FILE, "--json"]);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&document["generation"], &document["sealed"], &document["signed"]),
        (&json!(4), &json!(2), &json!(true))
    );
    assert_eq!(document["profiles"], json!([{ "name": "acme", "error": null }]));
    assert!(["file", "key", "pin", "state"].iter().all(|name| document["sources"][name].is_string()), "{document}");
}

#[test]
fn as_loader_ends_as_the_loader_does() {
    let repo = Repo::new();
    let (key, state) = (repo.home.at("app.key"), repo.home.at("state"));
    let (key, state) = (key.to_str().unwrap(), state.to_str().unwrap());
    let foreign = Home::with_vault("a = \"secret:x\"\n").vault_id();
    let path = repo.home.at(FILE);
    let compare = |variables: &[(&str, &str)], code: i32| {
        let ran = as_loader(&repo, variables, &[path.to_str().unwrap()]);
        let map = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).into()))
            .chain([("HOME".to_owned(), repo.home.at("eve").into_os_string())])
            .collect();
        let loader = bootseal::Loader::new(&path).environment(map);
        let error = loader.load().map(drop);
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{}", ran.err);
        assert_eq!(error.unwrap_err().exit_code(), code as u8);
        ran.err
    };
    let said = compare(&[], 4);
    assert!(said.contains("no key opens") || said.contains("Tried:"), "{said}");
    let said = compare(&[("BOOTSEAL_IDENTITY", key), ("BOOTSEAL_PIN", &foreign)], 3);
    assert!(said.contains(&foreign), "{said}");
    let pin = format!("{}@99", repo.pin());
    compare(&[("BOOTSEAL_IDENTITY", key), ("BOOTSEAL_PIN", &pin)], 3);
    let old = repo.text();
    repo.set("acme.password", "new");
    repo.loader().load().unwrap();
    repo.write(&old);
    let said = compare(&[("BOOTSEAL_IDENTITY", key), ("BOOTSEAL_STATE", state)], 3);
    let error = repo.loader().load().unwrap_err();
    assert!(said.contains("this is generation 3 of the file, and generation 4 was seen here"), "{said}");
    assert!(error.to_string().contains("this is generation 3 of the file, and generation 4 was seen here"), "{error}");
    let ran = as_loader(&repo, &[("BOOTSEAL_IDENTITY", key), ("BOOTSEAL_STATE", state)], &[FILE, "--json"]);
    assert_eq!(self::error(&ran)["kind"], "old-generation");
}

#[test]
fn as_loader_ends_with_1_where_a_profile_cannot_work_and_names_all_of_them() {
    let repo = Repo::new();
    repo.ok(&["set", "acme.login.url", "--plain", "http://api.acme.example/login"]);
    repo.ok(&["set", "good.password", "--generate"]);
    repo.ok(&["set", "good.login.url", "--plain", "https://good.example/login"]);
    repo.ok(&["set", "good.login.json.p", "--plain", "${password}"]);
    let key = repo.home.at("app.key");
    let ran = as_loader(&repo, &[("BOOTSEAL_IDENTITY", key.to_str().unwrap())], &[FILE]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(
        ran.out.contains("profile acme: ")
            && ran.out.contains("is not https")
            && ran.out.contains("profile good: can work"),
        "{}",
        ran.out
    );
    let ran = as_loader(&repo, &[("BOOTSEAL_IDENTITY", key.to_str().unwrap())], &[FILE, "--json"]);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(ran.code, 1);
    assert!(document["profiles"][0]["error"].as_str().unwrap().contains("is not https"), "{document}");
}

#[test]
fn as_loader_takes_one_file_and_one_identity() {
    let repo = Repo::new();
    assert_eq!(as_loader(&repo, &[], &[FILE, FILE]).code, 2);
    assert_eq!(as_loader(&repo, &[], &[FILE, "-i", "app.key", "-i", "app.key"]).code, 2);
    let ran = as_loader(&repo, &[], &[FILE, "-i", "app.key"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("none: an older file would be taken"), "{}", ran.out);
}

#[test]
fn a_diff_at_a_terminal_reveals_nothing_either() {
    let repo = Repo::new();
    repo.set("acme.password", "second-password");
    let Some((code, seen, _)) = at_a_terminal(&repo.home, &["diff", "HEAD"], &[]) else { return };
    assert!(code == 0 && !seen.contains("second-password"), "{seen}");
}
