//! `resolve` makes a valid file from git's parents when the file contains conflict markers, and
//! never reads the marked text.

use crate::support::repo::{FILE, GIVEN, Repo, read};
use crate::support::{Home, Ran, at_a_terminal};

/// A web merge: a merge commit made without our driver, with conflict markers in the file.
fn web_merge(repo: &Repo) {
    let mut args = vec!["-c", "merge.bootseal.driver=false", "-c", "core.attributesFile=/dev/null"];
    args.extend(["merge", "--no-edit", "other"]);
    let ran = repo.git(&args);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    // A failing driver leaves our version; the markers are then added as a web front end does.
    let side = |stage: &str| repo.git_ok(&["show", &format!(":{stage}:{FILE}")]);
    for (name, stage) in [("base", "1"), ("ours", "2"), ("theirs", "3")] {
        std::fs::create_dir_all(repo.home.at("out")).unwrap();
        repo.home.write(&format!("out/{name}"), side(stage));
    }
    repo.git(&[
        "merge-file",
        "-L",
        "main",
        "-L",
        "base",
        "-L",
        "other",
        "out/ours",
        "out/base",
        "out/theirs",
    ]);
    repo.write(&repo.home.read("out/ours"));
    assert!(repo.text().contains("<<<<<<< main"));
    repo.commit("Merge branch 'other'");
    assert_eq!(repo.git_ok(&["rev-list", "--parents", "-1", "HEAD"]).split_whitespace().count(), 3);
}

fn two_sides(ours: impl FnOnce(&Repo), theirs: impl FnOnce(&Repo)) -> Repo {
    let repo = Repo::new();
    repo.branch("other", theirs);
    ours(&repo);
    repo.commit("ours");
    repo
}

fn different_values() -> Repo {
    two_sides(
        |repo| repo.set("acme.password", "ours-password"),
        |repo| repo.set("acme.token", "theirs-token"),
    )
}

fn both_are_there(repo: &Repo) {
    assert_eq!(
        (repo.get("acme.password"), repo.get("acme.token")),
        ("ours-password".into(), "theirs-token".into())
    );
    let highest = ["main", "other"].map(|name| repo.git(&["show", &format!("{name}:{FILE}")]).out);
    for text in highest.iter().filter(|text| !text.contains("<<<<<<<")) {
        assert!(repo.file().generation() > read(text).generation());
    }
}

#[test]
fn verify_reports_a_web_merge_and_resolve_fixes_it() {
    let repo = different_values();
    web_merge(&repo);
    let said = repo.fails(&["verify"], 1);
    assert!(said.contains("bootseal resolve"), "{said}");
    for verb in [&["sign", "--yes"][..], &["get", "acme.password"], &["diff"]] {
        assert!(repo.fails(verb, 1).contains("bootseal resolve"), "{verb:?}");
    }
    let done = repo.run(&["resolve", FILE, "--yes"]);
    assert_eq!((done.code, done.out.as_str()), (0, ""), "{}", done.err);
    assert!(
        done.err.contains("acme.password: from ours")
            && done.err.contains("acme.token: from theirs"),
        "{}",
        done.err
    );
    both_are_there(&repo);
    repo.git_ok(&["add", FILE]);
    repo.git_ok(&["commit", "-q", "-m", "resolved"]);
    for parent in ["HEAD~1^1", "HEAD~1^2"] {
        repo.ok(&["verify", "--since", parent]);
    }
    repo.loader().load().unwrap();
}

#[test]
fn text_planted_between_conflict_markers_has_no_effect() {
    let repo = different_values();
    web_merge(&repo);
    repo.edit("title = \"shop\"", "title = \"shop\"\nplanted = \"by eve\"");
    repo.edit("api.acme.example", "eve.example");
    repo.edit(
        "access = [\n",
        "access = [\n  { name = \"eve\", role = \"reader\", recipient = \"age1eve\" },\n",
    );
    repo.commit("eve was here");
    // HEAD is no longer a merge: the sides are named, or the edit is amended into the merge.
    assert!(repo.fails(&["resolve", FILE, "--yes"], 1).contains("--ours REV --theirs REV"));
    repo.git_ok(&["reset", "-q", "--soft", "HEAD~1"]);
    repo.git_ok(&["commit", "-q", "--no-verify", "--amend", "--no-edit"]);
    repo.ok(&["resolve", FILE, "--yes"]);
    both_are_there(&repo);
    let text = repo.text();
    // Not "eve" alone: these letters can occur by chance in ciphertext.
    for planted in ["planted", "by eve", "eve.example", "\"eve\"", "age1eve"] {
        assert!(!text.contains(planted), "{planted} in {text}");
    }
}

#[test]
fn during_a_merge_the_sides_come_from_the_index() {
    let repo =
        two_sides(|repo| repo.set("acme.password", "one"), |repo| repo.set("acme.password", "two"));
    assert_eq!(repo.git(&["merge", "--no-edit", "other"]).code, 1);
    repo.edit("title = \"shop\"", "title = \"planted\"");
    let said = repo.fails(&["resolve", FILE, "--yes"], 2);
    assert!(
        said.contains("both sides changed 1 property") && said.contains("--take ours"),
        "{said}"
    );
    assert!(repo.text().contains("<<<<<<<"), "nothing was changed");
    repo.ok(&["resolve", FILE, "--take", "theirs", "--yes"]);
    assert_eq!(repo.get("acme.password"), "two");
    assert!(!repo.text().contains("planted"));
    repo.git_ok(&["add", FILE]);
    repo.git_ok(&["commit", "-q", "--no-edit"]);
    repo.ok(&["verify", "--since", "HEAD^2"]);
}

#[test]
fn a_conflicted_file_that_was_added_is_still_resolved() {
    for branch in [None, Some("MERGE_HEAD")] {
        let repo = different_values();
        assert_eq!(
            repo.git(&["-c", "merge.bootseal.driver=false", "merge", "--no-edit", "other"]).code,
            1
        );
        repo.git_ok(&["add", FILE]);
        if let Some(branch) = branch {
            repo.git_ok(&["branch", branch, "main"]);
        }
        repo.ok(&["resolve", FILE, "--yes"]);
        both_are_there(&repo);
        repo.git_ok(&["add", FILE]);
        repo.git_ok(&["commit", "-q", "--no-edit"]);
        for parent in ["HEAD^1", "HEAD^2"] {
            repo.ok(&["verify", "--since", parent]);
        }
    }
    // A branch with the name of git's file is no merge.
    let repo = different_values();
    repo.git_ok(&["branch", "MERGE_HEAD", "other"]);
    assert!(repo.fails(&["resolve", FILE, "--yes"], 1).contains("no merge is in progress"));
}

#[test]
fn a_merge_in_progress_goes_before_the_last_merge_commit() {
    let repo = different_values();
    repo.branch("third", |repo| repo.set("acme.extra", "third-extra"));
    web_merge(&repo);
    repo.ok(&["resolve", FILE, "--yes"]);
    repo.git_ok(&["commit", "-q", "-a", "--amend", "--no-edit"]);
    let driver = "merge.bootseal.driver=false";
    assert_eq!(repo.git(&["-c", driver, "merge", "--no-edit", "third"]).code, 1);
    repo.git_ok(&["add", FILE]);
    repo.ok(&["resolve", FILE, "--yes"]);
    both_are_there(&repo);
    assert_eq!(repo.get("acme.extra"), "third-extra");
}

#[test]
fn take_decides_only_properties_that_both_sides_changed() {
    for (take, password) in [("ours", "one"), ("theirs", "two")] {
        let theirs = |repo: &Repo| {
            repo.set("acme.password", "two");
            repo.set("acme.token", "only-theirs");
        };
        let ours = |repo: &Repo| {
            repo.set("acme.password", "one");
            repo.set("acme.extra", "only-ours");
        };
        let repo = two_sides(ours, theirs);
        web_merge(&repo);
        repo.ok(&["resolve", FILE, "--take", take, "--yes"]);
        let got = ["acme.password", "acme.token", "acme.extra"].map(|name| repo.get(name));
        assert_eq!(got, [password, "only-theirs", "only-ours"]);
    }
}

/// Both sides changed three properties.
fn three_conflicts() -> Repo {
    let side = |name: &'static str| {
        move |repo: &Repo| {
            repo.set("acme.password", name);
            repo.set("acme.token", name);
            repo.edit("\"10s\"", &format!("\"{name}\""));
            repo.ok(&["sign", "--yes"]);
        }
    };
    let repo = two_sides(side("one"), side("two"));
    web_merge(&repo);
    repo
}

#[test]
fn all_conflicts_are_listed_at_once_with_who_made_each_side() {
    let repo = three_conflicts();
    let said = repo.fails(&["resolve", FILE, "--yes"], 2);
    for part in [
        "both sides changed 3 properties",
        "acme.password",
        "acme.token",
        "acme.timeout",
        "ours:   sealed, set 20",
        "ours:   \"one\"",
        "theirs: \"two\"",
        "our side was last changed by alice, 20",
        "their side was last changed by alice, 20",
        "--take ours",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // During a merge, the sides come from the index.
    repo.git_ok(&["reset", "-q", "--hard", "HEAD^1"]);
    assert_eq!(repo.git(&["merge", "--no-edit", "other"]).code, 1);
    let said = repo.fails(&["resolve", FILE, "--yes"], 2);
    assert!(said.matches("last changed by alice").count() == 2, "{said}");
    // Git's merge driver names all of them too.
    repo.git_ok(&["merge", "--abort"]);
    let said = repo.git(&["merge", "--no-edit", "other"]).err;
    assert!(said.contains("acme.password, acme.token, acme.timeout"), "{said}");
}

#[test]
fn take_decides_one_property_or_all_others() {
    let repo = three_conflicts();
    let (token, rest) = (["--take", "acme.token=theirs"], ["--take", "ours"]);
    // The conflicts that nothing decides are still asked for.
    let said = repo.fails(&[&["resolve", FILE, "--yes"][..], &token].concat(), 2);
    assert!(said.contains("2 properties") && !said.contains("acme.token"), "{said}");
    for (take, words) in [
        ("acme.tokken=ours", "acme.token"),
        ("acme.user=ours", "not a property that both sides changed"),
        ("acme.token=ours", "twice"),
        ("mine", "ours or theirs"),
        ("acme.token=mine", "ours or theirs"),
    ] {
        let args = [&["resolve", FILE, "--yes", "--take", take][..], &token].concat();
        let said = repo.fails(&args, 2);
        assert!(said.contains(words), "{take}: {said}");
    }
    repo.ok(&[&["resolve", FILE, "--yes"][..], &token, &rest].concat());
    let got = ["acme.password", "acme.token", "acme.timeout"].map(|name| repo.get(name));
    assert_eq!(got, ["one", "two", "one"]);
}

/// A merge in progress, in which each side has given the member `app` a name of its own.
fn two_names(ours: &str, theirs: &str) -> Repo {
    let rename = |to: &str| {
        let args = ["access", "rename", "app", to].map(str::to_owned);
        move |repo: &Repo| drop(repo.ok(&args.each_ref().map(String::as_str)))
    };
    let repo = two_sides(rename(ours), rename(theirs));
    let merge = repo.git(&["merge", "--no-edit", "other"]);
    assert_eq!(merge.code, 1);
    let said = format!("our side renamed app to {ours}, and their side to {theirs}");
    assert!(merge.err.contains(&said), "{}", merge.err);
    repo
}

#[test]
fn take_decides_between_two_names_of_a_member() {
    for (take, name) in
        [("ours", "web-1"), ("theirs", "web-2"), ("app=ours", "web-1"), ("app=theirs", "web-2")]
    {
        let repo = two_names("web-1", "web-2");
        let said = repo.fails(&["resolve", FILE, "--yes"], 2);
        for part in ["the member app to web-1, and their side to web-2", "--take app=ours"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        let said = repo.fails(&["resolve", FILE, "--yes", "--take", "ap=ours"], 2);
        assert!(said.contains("Did you mean app?"), "{said}");
        let twice = ["resolve", FILE, "--yes", "--take", "app=ours", "--take", "app=theirs"];
        assert!(repo.fails(&twice, 2).contains("twice"));
        repo.ok(&["resolve", FILE, "--yes", "--take", take]);
        let file = repo.file();
        let names: Vec<&str> = file.access().iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!((names.len(), names[1]), (2, name), "{take}");
        repo.commit("merged");
        // The member still has access, under the name that was taken.
        assert_eq!(repo.ok(&["get", "acme.token", "-i", "app.key"]).trim_end(), "first-token");
    }
}

#[test]
fn at_a_terminal_resolve_asks_for_the_name_of_a_member() {
    let repo = two_names("web-1", "web-2");
    let answers = [("the name of app: take ours or theirs? [o/t] ", "t\n"), ("[y/N] ", "y\n")];
    let Some((code, seen, _)) = at_a_terminal(&repo.home, &["resolve", FILE], &answers) else {
        return;
    };
    assert_eq!(code, 0, "{seen}");
    assert_eq!(repo.file().access()[1].name, "web-2");
}

#[test]
fn a_name_that_the_other_side_gave_to_a_new_member_is_a_conflict_with_a_way_out() {
    let repo = two_sides(
        |repo| drop(repo.ok(&["access", "rename", "app", "web-1"])),
        |repo| {
            repo.ok(&["access", "rename", "app", "web-2"]);
            repo.ok(&["access", "add", "web-1", "--new-key", "new.key", "--yes"]);
        },
    );
    assert_eq!(repo.git(&["merge", "--no-edit", "other"]).code, 1);
    let before = repo.text();
    let said = repo.fails(&["resolve", FILE, "--yes", "--take", "ours"], 1);
    assert!(said.contains("bootseal access rename web-1 NAME"), "{said}");
    assert_eq!(repo.text(), before);
    // Their name is free, and the way out that the error names works too.
    repo.ok(&["resolve", FILE, "--yes", "--take", "theirs"]);
    repo.git_ok(&["merge", "--abort"]);
    repo.ok(&["access", "rename", "web-1", "shop"]);
    repo.commit("shop");
    assert_eq!(repo.git(&["merge", "--no-edit", "other"]).code, 1);
    repo.ok(&["resolve", FILE, "--yes", "--take", "ours"]);
    let file = repo.file();
    let mut names: Vec<&str> = file.access().iter().map(|entry| entry.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!((names.len(), names[1], names[2]), (3, "shop", "web-1"));
}

#[test]
fn without_a_terminal_resolve_shows_the_changes_and_writes_nothing() {
    let repo = different_values();
    web_merge(&repo);
    let before = repo.text();
    let ran = repo.run(&["resolve", FILE]);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(
        ran.err.contains("acme.token: from theirs") && ran.err.contains("--yes"),
        "{}",
        ran.err
    );
    assert_eq!(repo.text(), before);
}

#[test]
fn at_a_terminal_resolve_asks_for_the_side_and_before_it_signs() {
    let repo =
        two_sides(|repo| repo.set("acme.password", "one"), |repo| repo.set("acme.password", "two"));
    web_merge(&repo);
    let before = repo.text();
    let Some((code, seen, _)) =
        at_a_terminal(&repo.home, &["resolve", FILE], &[("[o/t] ", "t\n"), ("[y/N] ", "n\n")])
    else {
        return;
    };
    assert_eq!((code, repo.text() == before), (2, true), "{seen}");
    assert!(
        seen.contains("both sides changed 1 property") && seen.contains("sealed, set"),
        "{seen}"
    );
    let answers = [("[o/t] ", "what?\n"), ("[o/t] ", "theirs\n"), ("[y/N] ", "y\n")];
    let (code, seen, _) = at_a_terminal(&repo.home, &["resolve", FILE], &answers).unwrap();
    assert_eq!(code, 0, "{seen}");
    assert_eq!(repo.get("acme.password"), "two");
}

#[test]
fn the_sides_can_be_given_as_revisions() {
    let repo = different_values();
    web_merge(&repo);
    repo.home.write("unrelated.txt", "x");
    repo.commit("HEAD is no merge");
    assert!(repo.fails(&["resolve", FILE, "--yes"], 1).contains("HEAD is not a merge"));
    repo.fails(&["resolve", FILE, "--ours", "HEAD~1^1", "--yes"], 2);
    repo.fails(&["resolve", FILE, "--ours", "HEAD~1^1", "--theirs", "nonsense", "--yes"], 1);
    repo.ok(&["resolve", FILE, "--ours", "HEAD~1^1", "--theirs", "HEAD~1^2", "--yes"]);
    both_are_there(&repo);
}

#[test]
fn a_side_that_does_not_verify_is_shown_as_a_hand_edit() {
    let theirs = |repo: &Repo| {
        repo.edit(
            "url = \"https://api.acme.example/login\"",
            "url = \"https://eve.example/login\"",
        );
        repo.edit("generation = ", "generation = 90");
        repo.edit(
            "access = [\n",
            "access = [\n  { name = \"eve\", role = \"reader\", recipient = \"age1eve\" },\n",
        );
    };
    let repo = two_sides(|repo| repo.set("acme.password", "ours-password"), theirs);
    web_merge(&repo);
    let ran = repo.run(&["resolve", FILE]);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("their side is treated as a hand edit"), "{}", ran.err);
    assert!(
        ran.err
            .contains("! acme.login.url: changed, \"https://api.acme.example/login\" → \"https://eve.example/login\""),
        "{}",
        ran.err
    );
    repo.ok(&["resolve", FILE, "--yes"]);
    let file = repo.file();
    assert!(
        file.access().iter().all(|access| access.name != "eve") && file.generation() < 90,
        "{}",
        file.text()
    );
    assert_eq!(repo.get("acme.password"), "ours-password");
}

#[test]
fn our_side_may_be_the_hand_edit() {
    let repo = two_sides(
        |repo| repo.edit("\"10s\"", "\"77s\""),
        |repo| repo.set("acme.token", "theirs-token"),
    );
    web_merge(&repo);
    let ran = repo.run(&["resolve", FILE, "--yes"]);
    assert!(ran.code == 0 && ran.err.contains("our side is treated as a hand edit"), "{}", ran.err);
    assert_eq!(
        (repo.get("acme.timeout"), repo.get("acme.token")),
        ("77s".into(), "theirs-token".into())
    );
}

#[test]
fn an_old_sealed_text_pasted_into_a_side_needs_the_option_older() {
    let repo = Repo::new();
    let leaked = Repo::sealed(&repo.text(), "acme.password");
    repo.give("acme.password", "changed after the leak", GIVEN + 1000);
    repo.commit("after the leak");
    let now = Repo::sealed(&repo.text(), "acme.password");
    repo.branch("other", |repo| repo.edit(&now, &leaked));
    repo.set("acme.token", "t2");
    repo.commit("ours");
    web_merge(&repo);
    let said = repo.fails(&["resolve", FILE, "--yes"], 1);
    assert!(
        said.contains(
            "acme.password (set 2020-09-13T12:26:40Z, replaces a value set 2020-09-13T12:43:20Z)"
        ),
        "{said}"
    );
    assert!(said.contains("--older"), "{said}");
    repo.ok(&["resolve", FILE, "--older", "--yes"]);
    assert_eq!(repo.get("acme.password"), "first-password");
}

#[test]
fn an_older_signed_file_as_their_side_restores_no_old_value_silently() {
    // Anyone can commit a validly signed file from last year: as "theirs" it is older than the
    // merge base.
    let repo = Repo::new();
    let old = repo.text();
    repo.give("acme.password", "changed after the leak", GIVEN + 1000);
    repo.commit("after the leak");
    repo.branch("other", |repo| repo.write(&old));
    repo.set("acme.token", "t2");
    repo.commit("ours");
    web_merge(&repo);
    let said = repo.fails(&["resolve", FILE, "--yes"], 1);
    assert!(
        said.contains("their side is treated as a hand edit") && said.contains("--older"),
        "{said}"
    );
    repo.ok(&["resolve", FILE, "--older", "--yes"]);
    assert_eq!(
        (repo.get("acme.password"), repo.get("acme.token")),
        ("first-password".into(), "t2".into())
    );
}

#[test]
fn an_older_signed_file_as_our_side_restores_no_old_value_silently() {
    let repo = Repo::new();
    let old = repo.text();
    repo.give("acme.password", "changed after the leak", GIVEN + 1000);
    repo.commit("after the leak");
    repo.branch("other", |repo| repo.set("acme.token", "t2"));
    repo.write(&old);
    repo.commit("ours");
    web_merge(&repo);
    let said = repo.fails(&["resolve", FILE, "--yes"], 1);
    assert!(
        said.contains("our side is treated as a hand edit") && said.contains("--older"),
        "{said}"
    );
}

#[test]
fn an_older_signed_file_as_a_side_does_not_readmit_a_removed_reader() {
    let repo = Repo::new();
    let old = repo.text();
    repo.ok(&["access", "remove", "app", "--yes"]);
    repo.commit("app is removed");
    repo.branch("other", |repo| repo.write(&old));
    repo.set("acme.token", "t2");
    repo.commit("ours");
    web_merge(&repo);
    // The machine that resolves has not seen the removal.
    std::fs::remove_dir_all(repo.home.at(".local")).unwrap();
    let pin = repo.file_pin();
    repo.ok(&["resolve", FILE, "--older", "--yes", "--pin", &pin]);
    assert!(repo.file().access().iter().all(|access| access.name != "app"), "{}", repo.text());
    assert_eq!(repo.run(&["get", "acme.token", "-i", "app.key", "--pin", &pin]).code, 4);
}

#[test]
fn an_older_signed_file_without_a_merge_base_readmits_nobody() {
    let repo = Repo::new();
    let old = repo.text();
    repo.ok(&["access", "remove", "app", "--yes"]);
    repo.commit("app is removed");
    repo.git_ok(&["checkout", "-q", "--orphan", "other"]);
    repo.write(&old);
    repo.commit("no history");
    repo.git_ok(&["checkout", "-q", "main"]);
    std::fs::remove_dir_all(repo.home.at(".local")).unwrap();
    let pin = repo.pin();
    let sides = [
        "resolve", FILE, "--ours", "main", "--theirs", "other", "--take", "ours", "--older",
        "--yes",
    ];
    let ran = repo.run(&[&sides[..], &["--pin", &pin]].concat());
    assert!(
        ran.code == 0 && ran.err.contains("their side is treated as a hand edit"),
        "{}",
        ran.err
    );
    assert!(repo.file().access().iter().all(|access| access.name != "app"), "{}", repo.text());
}

#[test]
fn resolve_is_refused_if_neither_side_verifies() {
    let repo =
        two_sides(|repo| repo.edit("\"10s\"", "\"1s\""), |repo| repo.edit("\"10s\"", "\"2s\""));
    web_merge(&repo);
    let before = repo.text();
    let said = repo.fails(&["resolve", FILE, "--yes"], 3);
    assert!(said.contains("neither side verifies"), "{said}");
    assert_eq!(repo.text(), before);
}

#[test]
fn a_foreign_vault_as_a_side_is_refused() {
    let eve = Home::with_vault("[acme]\npassword = \"secret:x\"\n").read(FILE);
    let repo = two_sides(|repo| repo.set("acme.token", "ours"), |repo| repo.write(&eve));
    web_merge(&repo);
    let ran = repo.run(&["resolve", FILE, "--take", "theirs", "--yes"]);
    assert_eq!(ran.code, 3, "their sealed value opens nowhere: {}", ran.err);
    assert!(ran.err.contains("this is a different vault"), "{}", ran.err);
}

#[test]
fn resolve_without_a_writers_key_is_refused() {
    let repo = different_values();
    web_merge(&repo);
    let before = repo.text();
    let ran = repo.run(&["resolve", FILE, "-i", "app.key", "--yes"]);
    assert_eq!(ran.code, 4, "{}", ran.err);
    assert_eq!(repo.text(), before);
}

#[test]
fn an_unknown_vault_is_not_trusted_without_a_pin() {
    let repo = different_values();
    web_merge(&repo);
    std::fs::remove_dir_all(repo.home.at(".local")).unwrap();
    let said = repo.fails(&["resolve", FILE, "--yes"], 3);
    assert!(said.contains("neither pinned nor known"), "{said}");
    let pin = repo.file_pin();
    repo.ok(&["resolve", FILE, "--yes", "--pin", &pin]);
    both_are_there(&repo);
}

#[test]
fn resolve_reports_its_changes_in_json() {
    let repo = different_values();
    web_merge(&repo);
    let document = repo.json(&["resolve", FILE, "--yes"]);
    assert_eq!(
        (document["file"].as_str(), document["signed"].as_bool()),
        (Some(FILE), Some(true)),
        "{document}"
    );
    assert_eq!(document["generation"], repo.file().generation());
    assert_eq!(document["vault"], repo.pin());
    let took = document["took"].as_array().unwrap();
    assert!(
        took.contains(&serde_json::json!({ "name": "acme.token", "from": "theirs" })),
        "{document}"
    );
    assert!(
        took.contains(&serde_json::json!({ "name": "acme.password", "from": "ours" })),
        "{document}"
    );
    assert!(document["changes"]["properties"].is_array(), "{document}");
    let repo =
        two_sides(|repo| repo.edit("\"10s\"", "\"1s\""), |repo| repo.edit("\"10s\"", "\"2s\""));
    web_merge(&repo);
    let ran: Ran = repo.run(&["resolve", FILE, "--yes", "--json"]);
    let error: serde_json::Value = serde_json::from_str(ran.err.lines().last().unwrap()).unwrap();
    assert_eq!((ran.code, error["error"]["kind"].as_str()), (3, Some("wrong-vault")), "{error}");
}

#[test]
fn resolve_leaves_a_valid_file_unchanged() {
    // No merge is in progress and HEAD is not a merge: there is nothing to resolve.
    let repo = Repo::new();
    let before = repo.text();
    assert!(repo.fails(&["resolve", FILE, "--yes"], 1).contains("bootseal sign"));
    assert_eq!(repo.text(), before);
}

#[test]
fn a_stopped_rebase_is_resolved_from_the_index_and_continues() {
    let repo = two_sides(
        |repo| repo.set("acme.password", "of main"),
        |repo| repo.set("acme.password", "of the topic"),
    );
    repo.git_ok(&["checkout", "-q", "other"]);
    let ran = repo.git(&["rebase", "main"]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    // In a rebase, git calls the branch that is rebased onto "ours".
    repo.ok(&["resolve", FILE, "--take", "theirs", "--yes"]);
    repo.git_ok(&["add", FILE]);
    repo.git_ok(&["rebase", "--continue"]);
    assert_eq!(repo.get("acme.password"), "of the topic");
    repo.ok(&["verify", "--since", "main"]);
}

#[test]
fn a_side_without_the_file_is_an_error() {
    let repo = two_sides(
        |repo| repo.set("acme.token", "ours"),
        |repo| drop(repo.git_ok(&["rm", "-q", FILE])),
    );
    let ran = repo.git(&["merge", "--no-edit", "other"]);
    assert!(
        ran.code == 1 && ran.out.contains("CONFLICT (modify/delete)"),
        "{}{}",
        ran.out,
        ran.err
    );
    let before = repo.text();
    let said = repo.fails(&["resolve", FILE, "--yes"], 1);
    assert!(said.contains("their side has no app.sealed.toml"), "{said}");
    assert_eq!(repo.text(), before);
}
