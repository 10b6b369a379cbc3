//! Sealed files in a repository: `git setup`, the merge driver, and rebase, cherry-pick, stash,
//! revert and line ends. Real git, the real binary.

use crate::support::repo::{FILE, Repo, read};
use crate::support::{Home, Ran};

// git setup

fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

#[test]
fn setup_writes_settings_attributes_and_hook_and_is_idempotent() {
    let repo = Repo::without_setup();
    let said = repo.run(&["git", "setup"]);
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{}", said.err);
    let config = |key: &str| repo.git_ok(&["config", "--local", key]);
    let program = format!(
        "'{}'",
        std::path::Path::new(env!("CARGO_BIN_EXE_bootseal")).canonicalize().unwrap().display()
    );
    assert_eq!(config("diff.bootseal.textconv").trim(), format!("{program} git textconv"));
    assert_eq!(config("diff.bootseal.cachetextconv").trim(), "false");
    assert_eq!(
        config("merge.bootseal.driver").trim(),
        format!("{program} git merge --marker-size %L -- %O %A %B %P")
    );
    assert_eq!(
        repo.home.read(".gitattributes"),
        "*.sealed.toml text eol=lf diff=bootseal merge=bootseal\n"
    );
    let hook = repo.home.read(".git/hooks/pre-commit");
    assert!(hook.starts_with("#!/bin/sh\n") && count(&hook, "git check --staged") == 1, "{hook}");
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(
            &repo.home.at(".git/hooks/pre-commit").metadata().unwrap().permissions()
        ) & 0o111,
        0o111
    );
    assert_eq!(repo.git_ok(&["check-attr", "merge", "diff", "eol", FILE]).lines().count(), 3);
    let before = (repo.home.read(".git/config"), hook);
    repo.ok(&["git", "setup"]);
    assert_eq!((repo.home.read(".git/config"), repo.home.read(".git/hooks/pre-commit")), before);
    assert_eq!(count(&repo.home.read(".gitattributes"), "merge=bootseal"), 1);
    let document = repo.json(&["git", "setup"]);
    assert!(document["repository"].is_string() && document["did"].is_array(), "{document}");
}

#[test]
fn setup_keeps_gitattributes_that_lack_a_final_newline() {
    let repo = Repo::without_setup();
    repo.home.write(".gitattributes", "*.png binary");
    repo.ok(&["git", "setup"]);
    assert!(repo.home.read(".gitattributes").starts_with("*.png binary\n*.sealed.toml "));
}

#[test]
fn setup_keeps_an_existing_hook_and_prints_the_line_to_add() {
    let repo = Repo::without_setup();
    let theirs = "#!/bin/sh\nexec ./lint\n";
    repo.home.write(".git/hooks/pre-commit", theirs);
    let said = repo.run(&["git", "setup"]);
    assert_eq!(repo.home.read(".git/hooks/pre-commit"), theirs);
    assert!(
        said.code == 0
            && said.err.contains("is an existing hook")
            && said.err.contains("git check --staged"),
        "{}",
        said.err
    );
}

#[test]
fn setup_from_a_subfolder_sets_up_the_whole_repository() {
    let repo = Repo::without_setup();
    std::fs::create_dir_all(repo.home.at("deploy/prod")).unwrap();
    let run: Ran = repo
        .command("alice", &["git", "setup"])
        .current_dir(repo.home.at("deploy/prod"))
        .output()
        .unwrap()
        .into();
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(
        repo.home.at(".gitattributes").exists() && repo.home.at(".git/hooks/pre-commit").exists()
    );
    assert!(!repo.home.at("deploy/prod/.gitattributes").exists());
}

#[test]
fn setup_follows_core_hooks_path() {
    let repo = Repo::without_setup();
    repo.git_ok(&["config", "core.hooksPath", "tools/hooks"]);
    repo.ok(&["git", "setup"]);
    assert!(repo.home.read("tools/hooks/pre-commit").contains("git check --staged"));
    assert!(!repo.home.at(".git/hooks/pre-commit").exists());
    repo.home.write("leak.toml", "a = \"secret:x\"\n");
    repo.git_ok(&["add", "leak.toml"]);
    assert_ne!(repo.git(&["commit", "-m", "leak"]).code, 0, "git calls it there");
}

#[test]
fn setup_in_a_worktree_applies_to_all_worktrees() {
    let repo = Repo::without_setup();
    repo.git_ok(&["worktree", "add", "-q", "out/tree"]);
    let tree = repo.home.at("out/tree");
    let run: Ran =
        repo.command("alice", &["git", "setup"]).current_dir(&tree).output().unwrap().into();
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(tree.join(".gitattributes").exists() && !repo.home.at(".gitattributes").exists());
    assert!(repo.home.read(".git/hooks/pre-commit").contains("git check --staged"));
    std::fs::write(tree.join("leak.toml"), "a = \"secret:x\"\n").unwrap();
    let git = |args: &[&str]| -> Ran {
        repo.git_command("alice", args).current_dir(&tree).output().unwrap().into()
    };
    assert_eq!(git(&["add", "-A"]).code, 0);
    let refused = git(&["commit", "-m", "leak"]);
    assert!(refused.code != 0 && refused.err.contains("leak.toml"), "{}", refused.err);
    assert_eq!(git(&["rm", "-q", "-f", "leak.toml"]).code, 0);
    let taken = git(&["commit", "-m", "attributes"]);
    assert_eq!(taken.code, 0, "{}", taken.err);
}

#[test]
fn a_clone_needs_its_own_setup() {
    let repo = Repo::new();
    repo.git_ok(&["clone", "-q", ".", "out/clone"]);
    let clone = repo.home.at("out/clone");
    let git = |args: &[&str]| -> Ran {
        repo.git_command("alice", args).current_dir(&clone).output().unwrap().into()
    };
    // Before the setup git uses its built-in drivers.
    assert_eq!(git(&["config", "--local", "merge.bootseal.driver"]).code, 1);
    let run: Ran =
        repo.command("alice", &["git", "setup"]).current_dir(&clone).output().unwrap().into();
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(git(&["config", "--local", "merge.bootseal.driver"]).code, 0);
    assert_eq!(git(&["status", "--porcelain"]).out, "", "the attributes were there");
}

#[test]
fn setup_outside_a_repository_is_an_error() {
    let home = Home::new();
    let said = home.run(&["git", "setup"]);
    assert!(said.code == 1 && said.err.contains("not in a git repository"), "{}", said.err);
}

#[test]
fn setup_configures_only_formatters_that_are_in_use() {
    let repo = Repo::without_setup();
    repo.ok(&["git", "setup"]);
    assert!(!repo.home.at(".editorconfig").exists() && !repo.home.at(".prettierignore").exists());
    repo.home.write(".editorconfig", "root = true\n[*]\ntrim_trailing_whitespace = true");
    repo.home.write(".prettierignore", "dist");
    repo.home.write("taplo.toml", "include = [\"**/*.toml\"]\n");
    let said = repo.run(&["git", "setup"]);
    assert!(said.err.contains("taplo.toml: add this yourself"), "{}", said.err);
    let (editor, prettier) = (repo.home.read(".editorconfig"), repo.home.read(".prettierignore"));
    assert!(editor.starts_with("root = true\n[*]\ntrim_trailing_whitespace = true\n"), "{editor}");
    let section = editor.split("[*.sealed.toml]\n").nth(1).unwrap();
    assert!(
        section.contains("trim_trailing_whitespace = unset")
            && section.contains("insert_final_newline = unset"),
        "{editor}"
    );
    assert_eq!(prettier, "dist\n*.sealed.toml\n");
    repo.ok(&["git", "setup"]);
    assert_eq!(
        (repo.home.read(".editorconfig"), repo.home.read(".prettierignore")),
        (editor, prettier)
    );
}

// The merge driver

/// As alice, merges a branch with the changes of `theirs` into main with the changes of `ours`.
fn merged(repo: &Repo, ours: impl FnOnce(&Repo), theirs: impl FnOnce(&Repo)) -> Ran {
    repo.branch("other", theirs);
    ours(repo);
    repo.commit("ours");
    repo.git(&["merge", "--no-edit", "other"])
}

/// The same, and checks that there is no conflict and that the file is valid, with a generation
/// above both.
fn merges(repo: &Repo, ours: impl FnOnce(&Repo), theirs: impl FnOnce(&Repo)) {
    let ran = merged(repo, ours, theirs);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let side = |name: &str| read(&repo.git_ok(&["show", &format!("{name}:{FILE}")])).generation();
    let generation = repo.file().generation();
    assert!(generation > side("HEAD^1") && generation > side("HEAD^2"), "{generation}");
    assert!(ran.err.contains(&format!("signed as generation {generation}")), "{}", ran.err);
    assert_eq!(repo.git_ok(&["status", "--porcelain"]), "");
    repo.ok(&["verify"]);
}

fn conflicts(repo: &Repo, ran: &Ran, words: &str) {
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(
        ran.out.contains(&format!("CONFLICT (content): Merge conflict in {FILE}")),
        "{}",
        ran.out
    );
    assert!(
        ran.err.contains(words) && ran.err.contains("bootseal resolve"),
        "{words}: {}",
        ran.err
    );
    let text = repo.text();
    for marker in ["<<<<<<< ", "=======\n", ">>>>>>> "] {
        assert!(text.contains(marker), "{text}");
    }
    assert!(repo.fails(&["verify"], 1).contains("resolve"));
}

#[test]
fn values_on_adjacent_lines_merge() {
    let repo = Repo::new();
    merges(
        &repo,
        |repo| repo.set("acme.password", "ours-password"),
        |repo| repo.set("acme.token", "theirs-token"),
    );
    assert_eq!(
        (repo.get("acme.password"), repo.get("acme.token")),
        ("ours-password".into(), "theirs-token".into())
    );
}

#[test]
fn readable_values_and_comments_merge() {
    let repo = Repo::new();
    let ours = |repo: &Repo| drop(repo.ok(&["set", "acme.timeout", "--plain", "30s"]));
    let theirs = |repo: &Repo| {
        repo.edit("# who logs in", "# the account of the shop");
        repo.ok(&["sign", "--yes"]);
    };
    merges(&repo, ours, theirs);
    assert!(
        repo.text().contains("# the account of the shop\n")
            && repo.text().contains("timeout = \"30s\"")
    );
}

#[test]
fn an_addition_and_a_removal_merge() {
    let repo = Repo::new();
    merges(
        &repo,
        |repo| repo.set("acme.pin", "1234"),
        |repo| drop(repo.ok(&["unset", "acme.token"])),
    );
    assert_eq!(repo.get("acme.pin"), "1234");
    assert_eq!(repo.run(&["get", "acme.token"]).code, 1);
    let repo = Repo::new();
    merges(
        &repo,
        |repo| drop(repo.ok(&["unset", "acme.token"])),
        |repo| repo.set("acme.pin", "1234"),
    );
    assert_eq!(repo.get("acme.pin"), "1234");
    assert_eq!(repo.run(&["get", "acme.token"]).code, 1);
}

#[test]
fn additions_side_by_side_merge() {
    let repo = Repo::new();
    merges(&repo, |repo| repo.set("acme.one", "1"), |repo| repo.set("acme.two", "2"));
    assert_eq!((repo.get("acme.one"), repo.get("acme.two")), ("1".into(), "2".into()));
}

#[test]
fn a_rename_on_one_side_merges() {
    for swap in [false, true] {
        let repo = Repo::new();
        let rename = |repo: &Repo| drop(repo.ok(&["rename", "acme.token", "acme.api_token"]));
        let set = |repo: &Repo| repo.set("acme.password", "new");
        match swap {
            false => merges(&repo, rename, set),
            true => merges(&repo, set, rename),
        }
        assert_eq!(
            (repo.get("acme.api_token"), repo.get("acme.password")),
            ("first-token".into(), "new".into())
        );
        assert_eq!(repo.run(&["get", "acme.token"]).code, 1);
    }
}

#[test]
fn a_recipient_added_on_one_side_can_open_values_sealed_on_the_other() {
    for swap in [false, true] {
        let repo = Repo::new();
        let add = |repo: &Repo| {
            drop(repo.ok(&["access", "add", "web1", "--new-key", "web1.key", "--yes"]))
        };
        let set = |repo: &Repo| repo.set("acme.password", "new");
        match swap {
            false => merges(&repo, add, set),
            true => merges(&repo, set, add),
        }
        assert_eq!(repo.ok(&["get", "acme.password", "-i", "web1.key"]), "new");
    }
}

#[test]
fn a_reader_removed_on_one_side_can_open_nothing_afterwards() {
    let repo = Repo::new();
    let ours = |repo: &Repo| repo.set("acme.password", "new");
    let theirs = |repo: &Repo| {
        drop(repo.ok_as("bob", &["access", "remove", "app", "--yes", "--pin", &repo.pin()], b""))
    };
    repo.invite("bob", &["--writer"]);
    repo.commit("bob");
    merges(&repo, ours, theirs);
    assert_eq!(repo.file().epoch(), 2);
    assert_eq!(repo.run(&["get", "acme.password", "-i", "app.key"]).code, 4);
    assert_eq!(repo.get("acme.password"), "new");
    // Values that the other side sealed for the old list count as known to the removed reader.
    let list = repo.json(&["list"]);
    let row = list["properties"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["name"] == "acme.password")
        .unwrap();
    assert_eq!(
        row["known_to"],
        serde_json::json!(["app"]),
        "sealed for app on the other side: {list}"
    );
}

#[test]
fn a_reader_removed_on_our_side_can_open_nothing_afterwards() {
    let repo = Repo::new();
    repo.invite("bob", &["--writer"]);
    repo.commit("bob");
    let ours = |repo: &Repo| drop(repo.ok(&["access", "remove", "app", "--yes"]));
    let theirs = |repo: &Repo| {
        drop(repo.ok_as("bob", &["set", "acme.token", "-", "--pin", &repo.pin()], b"new"))
    };
    merges(&repo, ours, theirs);
    assert_eq!((repo.file().epoch(), repo.get("acme.token")), (2, "new".into()));
    assert_eq!(repo.run(&["get", "acme.token", "-i", "app.key"]).code, 4);
}

#[test]
fn a_writer_removed_on_their_side_merges_through_the_handover() {
    let repo = Repo::new();
    repo.invite("bob", &["--writer"]);
    repo.invite("carol", &["--writer"]);
    repo.commit("bob and carol");
    let before = repo.pin();
    let theirs = |repo: &Repo| {
        drop(repo.ok_as("carol", &["access", "remove", "bob", "--yes", "--pin", &repo.pin()], b""))
    };
    merges(&repo, |repo| repo.set("acme.password", "new"), theirs);
    assert_ne!(repo.pin(), before);
    assert!(repo.file().former_ids().iter().any(|id| id.to_string() == before));
    assert_eq!(repo.get("acme.password"), "new");
    assert_eq!(repo.run_as("bob", &["get", "acme.password", "--pin", &repo.pin()], b"").code, 4);
}

#[test]
fn their_side_under_the_former_vault_id_is_a_conflict() {
    // format.md: the common version and their side must have the id of our side, or one that it was
    // handed over to. Both have its former id, so this is a conflict for `resolve`.
    let repo = Repo::new();
    repo.invite("bob", &["--writer"]);
    repo.commit("bob");
    repo.branch("other", |repo| repo.set("acme.token", "new"));
    repo.ok(&["access", "remove", "bob", "--yes"]);
    repo.commit("ours");
    let ran = repo.git(&["merge", "--no-edit", "other"]);
    conflicts(&repo, &ran, "the common version");
    repo.ok(&["resolve", FILE, "--yes"]);
    assert_eq!(repo.get("acme.token"), "new");
    assert_eq!(repo.run_as("bob", &["get", "acme.token", "--pin", &repo.pin()], b"").code, 4);
}

#[test]
fn new_keys_on_one_side_merge() {
    for rotate_ours in [true, false] {
        let repo = Repo::new();
        repo.invite("bob", &["--writer"]);
        repo.commit("bob");
        let pin = repo.pin();
        let rotate = |repo: &Repo| drop(repo.ok(&["rotate"]));
        let theirs_rotate = |repo: &Repo| drop(repo.ok_as("bob", &["rotate", "--pin", &pin], b""));
        let set = |repo: &Repo| repo.set("acme.token", "new");
        let theirs_set = |repo: &Repo| {
            drop(repo.ok_as("bob", &["set", "acme.token", "-", "--pin", &pin], b"new"))
        };
        match rotate_ours {
            true => merges(&repo, rotate, theirs_set),
            false => merges(&repo, set, theirs_rotate),
        }
        assert_eq!((repo.get("acme.token"), repo.file().epoch()), ("new".into(), 2));
        assert_eq!(repo.ok(&["get", "acme.password", "-i", "app.key"]), "first-password");
    }
}

#[test]
fn new_keys_on_both_sides_merge() {
    let repo = Repo::new();
    repo.invite("bob", &["--writer"]);
    repo.commit("bob");
    let theirs = |repo: &Repo| drop(repo.ok_as("bob", &["rotate", "--pin", &repo.pin()], b""));
    merges(&repo, |repo| drop(repo.ok(&["rotate"])), theirs);
    assert_eq!((repo.file().epoch(), repo.get("acme.password")), (3, "first-password".into()));
}

#[test]
fn a_property_changed_on_both_sides_is_a_plain_conflict() {
    let repo = Repo::new();
    let ran = merged(
        &repo,
        |repo| repo.set("acme.password", "one"),
        |repo| repo.set("acme.password", "two"),
    );
    conflicts(&repo, &ran, "acme.password");
    let seen = [&ran.out, &ran.err, &repo.text()].map(|text| text.contains("first-password"));
    assert_eq!(seen, [false; 3]);
}

#[test]
fn the_same_value_on_both_sides_is_no_conflict() {
    let repo = Repo::new();
    merges(
        &repo,
        |repo| repo.set("acme.password", "same"),
        |repo| repo.set("acme.password", "same"),
    );
    assert_eq!(repo.get("acme.password"), "same");
}

#[test]
fn comments_changed_on_both_sides_are_a_conflict_and_not_lost() {
    let repo = Repo::new();
    let comment = |words: &'static str| {
        move |repo: &Repo| {
            repo.edit("# who logs in", words);
            repo.ok(&["sign", "--yes"]);
        }
    };
    let ran = merged(&repo, comment("# one"), comment("# two"));
    conflicts(&repo, &ran, "comments");
}

#[test]
fn without_a_writers_key_a_merge_is_a_plain_conflict() {
    for role in ["stranger", "reader"] {
        let repo = Repo::new();
        if role == "reader" {
            repo.invite("bob", &[]);
            repo.commit("bob");
        } else {
            std::fs::create_dir(repo.home.at("bob")).unwrap();
        }
        repo.branch("other", |repo| repo.set("acme.token", "theirs"));
        repo.set("acme.password", "ours");
        repo.commit("ours");
        let run: Ran = repo
            .git_command("bob", &["merge", "--no-edit", "other"])
            .env("BOOTSEAL_PIN", repo.pin())
            .output()
            .unwrap()
            .into();
        conflicts(&repo, &run, "left as a conflict");
    }
}

#[test]
fn an_unknown_vault_is_a_plain_conflict_without_a_prompt() {
    let repo = Repo::new();
    repo.branch("other", |repo| repo.set("acme.token", "theirs"));
    repo.set("acme.password", "ours");
    repo.commit("ours");
    std::fs::remove_dir_all(repo.home.at(".local")).unwrap();
    let ran = repo.git(&["merge", "--no-edit", "other"]);
    conflicts(&repo, &ran, "neither pinned nor known");
    assert!(!ran.err.contains("[y/N]"), "{}", ran.err);
    assert!(
        !repo.home.at(".local/state/bootseal/known_vaults").exists(),
        "the vault was not remembered"
    );
}

#[test]
fn a_new_worktree_is_unknown_and_a_pin_helps() {
    // A vault is known by the path of its file, and a new worktree has another path.
    let repo = Repo::new();
    repo.branch("other", |repo| repo.set("acme.token", "theirs"));
    repo.branch("topic", |repo| repo.set("acme.password", "ours"));
    repo.git_ok(&["worktree", "add", "-q", "out/tree", "topic"]);
    let merge = |pin: &str| -> Ran {
        let mut command = repo.git_command("alice", &["merge", "--no-edit", "other"]);
        if !pin.is_empty() {
            command.env("BOOTSEAL_PIN", pin);
        }
        command.current_dir(repo.home.at("out/tree")).output().unwrap().into()
    };
    let ran = merge("");
    assert!(
        ran.code == 1 && ran.err.contains("neither pinned nor known"),
        "{}{}",
        ran.out,
        ran.err
    );
    let abort = repo
        .git_command("alice", &["merge", "--abort"])
        .current_dir(repo.home.at("out/tree"))
        .status()
        .unwrap();
    assert!(abort.success());
    let ran = merge(&repo.pin());
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let file = format!("out/tree/{FILE}");
    assert_eq!(repo.ok(&["get", "acme.token", "-f", &file]), "theirs");
    assert_eq!(repo.ok(&["get", "acme.password", "-f", &file]), "ours");
}

#[test]
fn a_file_in_a_subfolder_with_spaces_in_its_name_merges() {
    let repo = Repo::new();
    std::fs::create_dir(repo.home.at("deploy here")).unwrap();
    let name = "deploy here/it's $(prod).sealed.toml";
    repo.ok(&["init", "-f", name]);
    repo.commit("init");
    let set = |property: &'static str| {
        move |repo: &Repo| drop(repo.ok_as("alice", &["set", property, "-", "-f", name], b"x"))
    };
    let ran = merged(&repo, set("one"), set("two"));
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(repo.ok(&["get", "one", "-f", name]) + &repo.ok(&["get", "two", "-f", name]), "xx");
}

#[test]
fn a_foreign_vault_on_their_side_is_a_plain_conflict() {
    let repo = Repo::new();
    let eve = Home::with_vault("[acme]\npassword = \"secret:x\"\n");
    let ran =
        merged(&repo, |repo| repo.set("acme.token", "ours"), |repo| repo.write(&eve.read(FILE)));
    conflicts(&repo, &ran, "their side");
}

#[test]
fn a_side_older_than_the_merge_base_is_a_plain_conflict() {
    let repo = Repo::new();
    let old = repo.text();
    repo.set("acme.password", "leaked and changed");
    repo.commit("newer");
    let ran = merged(&repo, |repo| repo.set("acme.token", "ours"), |repo| repo.write(&old));
    conflicts(&repo, &ran, "older than the common version");
}

/// Every signed version is in git. A version from the time when web1 had access, put on a branch of
/// an earlier commit, would give web1 access again.
#[test]
fn a_version_that_ours_supersedes_is_a_conflict() {
    let repo = Repo::new();
    let before = repo.git_ok(&["rev-parse", "HEAD"]).trim().to_owned();
    repo.ok(&["access", "add", "web1", "--new-key", "web1.key", "--yes"]);
    repo.commit("web1 is let in");
    let with = repo.text();
    repo.ok(&["access", "remove", "web1", "--yes"]);
    repo.commit("web1 is removed");
    repo.set("acme.password", "brand new");
    repo.commit("the password is new");
    repo.git_ok(&["checkout", "-q", "-b", "feature", &before]);
    repo.write(&with);
    repo.commit("a feature");
    repo.git_ok(&["checkout", "-q", "main"]);
    let ran = repo.git(&["merge", "feature"]);
    conflicts(&repo, &ran, "identical to an earlier version");
    // `resolve` gives nobody access either.
    repo.ok(&["resolve", FILE, "--take", "ours", "--yes"]);
    assert!(!repo.ok(&["access", "list"]).contains("web1"));
    assert_eq!(repo.run(&["get", "acme.password", "-i", "web1.key"]).code, 4);
}

#[test]
fn a_file_added_on_both_sides_is_a_plain_conflict() {
    let repo = Repo::new();
    let text = repo.text();
    repo.git_ok(&["rm", "-q", FILE]);
    repo.git_ok(&["commit", "-q", "--no-verify", "-m", "gone"]);
    let add = |name: &'static str| {
        let text = text.clone();
        move |repo: &Repo| {
            repo.write(&text);
            repo.set(name, "new");
        }
    };
    repo.branch("other", add("acme.token"));
    add("acme.password")(&repo);
    repo.commit("ours");
    let ran = repo.git(&["merge", "--no-edit", "other"]);
    assert!(ran.code == 1 && ran.out.contains("CONFLICT"), "{}{}", ran.out, ran.err);
    repo.ok(&["resolve", FILE, "--take", "theirs", "--older", "--yes"]);
    assert_eq!(repo.get("acme.token"), "new");
}

// Other git commands, with and without the driver

fn refused(repo: &Repo, words: &str) {
    let error = repo.loader().load().unwrap_err();
    assert_eq!(error.kind(), bootseal::Kind::OldGeneration, "{error}");
    assert!(error.to_string().contains(words), "{error}");
    assert!(error.help().unwrap().contains("bootseal sign"), "{error:?}");
}

#[test]
fn rebase_signs_every_commit_again() {
    let repo = Repo::new();
    repo.git_ok(&["checkout", "-q", "-b", "topic"]);
    repo.set("acme.token", "t2");
    repo.commit("t2");
    repo.ok(&["set", "acme.timeout", "--plain", "30s"]);
    repo.commit("30s");
    repo.git_ok(&["checkout", "-q", "main"]);
    repo.set("acme.password", "p2");
    repo.commit("p2");
    repo.loader().load().unwrap();
    repo.git_ok(&["checkout", "-q", "topic"]);
    let ran = repo.git(&["rebase", "main"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let versions = ["main", "HEAD~1", "HEAD"]
        .map(|name| read(&repo.git_ok(&["show", &format!("{name}:{FILE}")])).generation());
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
    let got = ["acme.password", "acme.token", "acme.timeout"].map(|name| repo.get(name));
    assert_eq!(got, ["p2", "t2", "30s"]);
    repo.loader().load().unwrap();
    repo.ok(&["verify", "--since", "main"]);
}

#[test]
fn cherry_pick_merges_one_value_onto_a_branch_that_changed_another() {
    let repo = Repo::new();
    repo.branch("topic", |repo| {
        repo.set("acme.user2", "not wanted");
        repo.commit("first");
        repo.set("acme.token", "t2");
    });
    repo.set("acme.password", "p2");
    repo.commit("p2");
    repo.loader().load().unwrap();
    let ran = repo.git(&["cherry-pick", "topic"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!((repo.get("acme.password"), repo.get("acme.token")), ("p2".into(), "t2".into()));
    assert_eq!(repo.run(&["get", "acme.user2"]).code, 1, "only what that commit changed");
    repo.loader().load().unwrap();
}

#[test]
fn stash_pop_merges() {
    let repo = Repo::new();
    repo.set("acme.token", "t2");
    repo.git_ok(&["stash", "-q"]);
    assert_eq!(repo.get("acme.token"), "first-token");
    repo.set("acme.password", "p2");
    repo.commit("p2");
    let ran = repo.git(&["stash", "pop"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!((repo.get("acme.password"), repo.get("acme.token")), ("p2".into(), "t2".into()));
    repo.ok(&["verify"]);
}

#[test]
fn a_revert_is_refused_by_loaders_until_a_writer_signs_it() {
    let repo = Repo::new();
    repo.give("acme.password", "bad-password", 1_700_000_000);
    repo.commit("a new password");
    let newer = repo.loader().load().unwrap().generation();
    repo.git_ok(&["revert", "--no-edit", "HEAD"]);
    assert!(repo.file().generation() < newer);
    refused(
        &repo,
        &format!(
            "this is generation {} of the file, and generation {newer} was seen here",
            newer - 1
        ),
    );
    assert!(repo.fails(&["verify", "--since", "HEAD~1"], 3).contains("bootseal sign"));
    // It restores an older value, which needs an explicit option.
    let said = repo.fails(&["sign", "--yes"], 1);
    assert!(
        said.contains(
            "acme.password (set 2020-09-13T12:26:40Z, replaces a value set 2023-11-14T22:13:20Z)"
        ) && said.contains("--older"),
        "{said}"
    );
    repo.ok(&["sign", "--older", "--yes"]);
    assert!(repo.file().generation() > newer);
    assert_eq!(repo.get("acme.password"), "first-password");
    repo.loader().load().unwrap();
    repo.commit("signed");
    repo.ok(&["verify", "--since", "HEAD~2"]);
}

#[test]
fn a_revert_of_an_older_commit_is_a_conflict_that_resolve_settles() {
    let repo = Repo::new();
    repo.ok(&["set", "acme.timeout", "--plain", "99s"]);
    repo.commit("99s");
    repo.set("acme.token", "t2");
    repo.commit("t2");
    let ran = repo.git(&["revert", "--no-edit", "HEAD~1"]);
    // "Their" side is older than the merge base; the driver treats that as an older file.
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    repo.ok(&["resolve", FILE, "--yes"]);
    assert_eq!((repo.get("acme.timeout"), repo.get("acme.token")), ("10s".into(), "t2".into()));
}

#[test]
fn an_older_file_restored_outside_git_is_refused_until_it_is_signed() {
    let repo = Repo::new();
    let old = repo.text();
    repo.ok(&["set", "acme.timeout", "--plain", "99s"]);
    repo.commit("99s");
    repo.loader().load().unwrap();
    repo.write(&old);
    refused(&repo, "was seen here");
    repo.ok(&["sign", "--yes"]);
    assert_eq!(repo.get("acme.timeout"), "10s");
    repo.loader().load().unwrap();
}

// Line ends

#[test]
fn a_crlf_checkout_changes_no_value_and_the_next_write_restores_lf() {
    let repo = Repo::without_setup();
    repo.git_ok(&["config", "core.autocrlf", "true"]);
    std::fs::remove_file(repo.home.at(FILE)).unwrap();
    repo.git_ok(&["checkout", "-q", "--", FILE]);
    assert!(repo.text().contains("\r\n"));
    repo.ok(&["verify"]);
    assert_eq!(repo.get("acme.password"), "first-password");
    assert_eq!(repo.ok(&["diff"]), "");
    assert_eq!(repo.git_ok(&["diff", "--stat"]), "");
    repo.ok(&["verify", "--since", "HEAD"]);
    let said = repo.run(&["sign", "--yes"]);
    assert!(said.code == 0 && said.err.contains("signed already"), "{}", said.err);
    repo.loader().load().unwrap();
    repo.set("acme.password", "new");
    assert!(!repo.text().contains('\r'));
    // The attributes of `git setup` keep it that way.
    repo.ok(&["git", "setup"]);
    repo.commit("setup");
    std::fs::remove_file(repo.home.at(FILE)).unwrap();
    repo.git_ok(&["checkout", "-q", "--", FILE]);
    assert!(!repo.text().contains('\r'));
}

/// A removal that was undone by `git checkout` can be committed, with the hook, in the ways that the
/// messages name.
#[test]
fn an_undone_removal_is_committed_without_leaving_the_hook_out() {
    // A reader: the version from before the removal is signed again, with new keys.
    let repo = Repo::new();
    let id = repo.home.vault_id();
    repo.ok(&["access", "remove", "app", "--yes"]);
    repo.commit("removed");
    repo.git_ok(&["checkout", "-q", "HEAD~1", "--", FILE]);
    assert_ne!(repo.git(&["commit", "-m", "undone"]).code, 0);
    repo.ok(&["vaults", "forget", &id, "--yes"]);
    repo.ok(&["vaults", "add", "--pin", &id]);
    let signed = repo.run(&["sign", "--against", "HEAD~1", "--yes"]);
    assert_eq!(signed.code, 0, "{}", signed.err);
    assert!(signed.err.contains("The file gets new keys"), "{}", signed.err);
    repo.git_ok(&["add", FILE]);
    let committed = repo.git(&["commit", "-qm", "undone"]);
    assert_eq!(committed.code, 0, "{}", committed.err);
    assert_eq!(repo.ok(&["get", "acme.password", "-i", "app.key"]), "first-password");
    repo.home.write("value", "second-password");
    repo.ok(&["set", "acme.password", "--from-file", "value"]);
    assert_eq!(repo.ok(&["get", "acme.password", "-i", "app.key"]), "second-password");

    // A writer: the vault has another id, so the member gets access again in the newest file.
    repo.ok(&["access", "add", "bob", "--new-key", "bob.key", "--writer", "--yes"]);
    repo.commit("bob");
    let list = repo.ok(&["access", "list"]);
    let bob = list.lines().find(|line| line.starts_with("bob ")).unwrap();
    let bob = bob.split_whitespace().last().unwrap().to_owned();
    repo.ok(&["access", "remove", "bob", "--yes"]);
    repo.commit("removed");
    repo.git_ok(&["checkout", "-q", "HEAD~1", "--", FILE]);
    let refused = repo.git(&["commit", "-m", "undone"]);
    assert_ne!(refused.code, 0);
    let way = "Restore the file: git checkout HEAD -- FILE. To undo a removal, give the member access again";
    assert!(refused.err.contains(way), "{}", refused.err);
    repo.git_ok(&["checkout", "-q", "HEAD", "--", FILE]);
    repo.ok(&["access", "add", "bob", &bob, "--writer", "--yes"]);
    repo.git_ok(&["add", FILE]);
    let committed = repo.git(&["commit", "-qm", "undone"]);
    assert_eq!(committed.code, 0, "{}", committed.err);
    assert_eq!(repo.ok(&["get", "acme.password", "-i", "bob.key"]), "second-password");
}
