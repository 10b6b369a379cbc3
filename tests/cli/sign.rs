//! `sign` accepts exactly the hand edit and shows all of it; a branch from someone without a key
//! gains nothing.

use crate::support::repo::{FILE, GIVEN, Repo, read};
use crate::support::{Home, Ran, at_a_terminal};

/// The output of `sign` without a terminal and without `--yes`: it shows every change, exits with 2
/// and writes nothing.
fn shown(repo: &Repo) -> String {
    let before = repo.text();
    let ran = repo.run(&["sign"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
    assert!(ran.err.contains("--yes"), "{}", ran.err);
    assert_eq!(repo.text(), before, "nothing was written");
    ran.err
}

#[test]
fn a_hand_edit_is_shown_and_signed() {
    let repo = Repo::new();
    repo.edit("\"10s\"", "\"20s\"");
    repo.fails(&["verify"], 3);
    let said = shown(&repo);
    assert!(
        said.contains("against generation 3\nacme.timeout: changed, \"10s\" → \"20s\"\n"),
        "{said}"
    );
    let ran = repo.run(&["sign", "--yes"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    assert!(
        ran.err.contains("acme.timeout: changed") && ran.err.contains("signed as generation 4"),
        "{}",
        ran.err
    );
    repo.ok(&["verify", "--since", "HEAD"]);
    assert_eq!(repo.get("acme.password"), "first-password");
}

#[test]
fn sign_reports_an_unchanged_file_and_writes_nothing() {
    let repo = Repo::new();
    let before = repo.text();
    for args in [&["sign"][..], &["sign", "--yes"]] {
        let ran = repo.run(args);
        assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
        assert!(ran.err.contains("signed already"), "{}", ran.err);
    }
    assert_eq!(repo.json(&["sign"])["generation"], 3);
    repo.set("acme.password", "not committed yet, and signed");
    assert!(repo.run(&["sign", "--yes"]).err.contains("signed already"));
    assert_ne!(repo.text(), before);
}

#[test]
fn whitespace_changes_of_a_formatter_are_signed_without_a_value_change() {
    let repo = Repo::new();
    repo.edit("timeout = \"10s\"", "timeout   =   \"10s\"");
    assert!(shown(&repo).contains("nothing but the generation changes"));
    repo.ok(&["sign", "--yes"]);
    assert_eq!(repo.file().generation(), 4);
}

#[test]
fn sign_reports_its_changes_in_json() {
    let repo = Repo::new();
    repo.edit("api.acme.example", "other.example");
    let document = repo.json(&["sign", "--yes"]);
    assert_eq!(
        (document["file"].as_str(), &document["signed"], &document["generation"]),
        (Some(FILE), &true.into(), &4.into())
    );
    let row = &document["changes"]["properties"][0];
    assert_eq!(
        (row["name"].as_str(), &row["says_where"], row["change"].as_str()),
        (Some("acme.login.url"), &true.into(), Some("changed"))
    );
    repo.edit("other.example", "third.example");
    let ran = repo.run(&["sign", "--json"]);
    let error: serde_json::Value = serde_json::from_str(ran.err.lines().last().unwrap()).unwrap();
    assert_eq!((ran.code, error["error"]["kind"].as_str()), (2, Some("no-terminal")));
}

// A branch from someone without a key

/// Eve's branch: everything that can be changed in a file without a key, committed without the
/// hook.
fn keyless(repo: &Repo) -> String {
    let eve = repo.ok_as("eve", &["keygen", "-o", "eve/eve.key"], b"");
    let eve = eve.trim().to_owned();
    repo.edit(
        "access = [\n",
        &format!("access = [\n  {{ name = \"eve\", role = \"writer\", recipient = \"{eve}\" }},\n"),
    );
    repo.edit("generation = ", "generation = 900 # ");
    // A key block that Eve can open, from a vault of her own.
    let hers = Home::with_vault("a = \"secret:x\"\n").read(FILE);
    let block = |text: &str| {
        let from = text.find("read_key = ").unwrap();
        text[from..from + text[from..].find("-----END").unwrap()].to_owned()
    };
    repo.edit(&block(&repo.text()), &block(&hers));
    repo.edit("https://api.acme.example/login", "https://eve.example/login");
    repo.edit("# who logs in", "# log in at eve.example when this fails");
    eve
}

/// A vault whose password was changed after it leaked, with the sealed text of the leaked value on
/// Eve's branch `eve`.
fn with_keyless_branch() -> (Repo, String) {
    let repo = Repo::new();
    std::fs::create_dir(repo.home.at("eve")).unwrap();
    let leaked = Repo::sealed(&repo.text(), "acme.password");
    repo.give("acme.password", "changed after the leak", GIVEN + 1000);
    repo.commit("after the leak");
    let now = Repo::sealed(&repo.text(), "acme.password");
    let mut eve = String::new();
    repo.branch("eve", |repo| {
        eve = keyless(repo);
        repo.edit(&now, &leaked);
    });
    (repo, eve)
}

fn gained_nothing(repo: &Repo, eve: &str) {
    let file = repo.file();
    assert_eq!(
        file.access().iter().map(|access| access.name.as_str()).collect::<Vec<_>>(),
        ["alice", "app"]
    );
    assert!(file.generation() < 100, "{}", file.generation());
    assert!(!repo.text().contains(eve));
    let ran = repo.run(&["get", "acme.token", "-i", "eve/eve.key"]);
    assert_eq!(ran.code, 4, "{}{}", ran.out, ran.err);
    assert_eq!(repo.ok(&["get", "acme.token", "-i", "app.key"]), "first-token");
    repo.ok(&["verify"]);
}

#[test]
fn a_keyless_branch_is_shown_in_full_and_gains_no_access_when_signed() {
    let (repo, eve) = with_keyless_branch();
    let before = repo.text();
    repo.git_ok(&["checkout", "-q", "eve"]);
    let edited = repo.text();
    // Without --older there is no prompt at all.
    let ran = repo.run(&["sign", "--yes"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(
        ran.err.contains(
            "acme.password (set 2020-09-13T12:26:40Z, replaces a value set 2020-09-13T12:43:20Z)"
        ),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("--older"), "{}", ran.err);
    assert_eq!(repo.text(), edited);
    let ran = repo.run(&["sign", "--older"]);
    assert_eq!(ran.code, 2, "{}", ran.err);
    let said = ran.err;
    let words = [
        "whose access list and keys are kept; changes to [bootseal] in this file are ignored",
        "! acme.login.url: changed, \"https://api.acme.example/login\" → \"https://eve.example/login\"",
        "acme.password: sealed value changed; set 2020-09-13T12:43:20Z → 2020-09-13T12:26:40Z: OLDER than the value that it replaces",
        "comment gone: # who logs in",
        "comment new: # log in at eve.example when this fails",
    ];
    for word in words {
        assert!(said.contains(word), "{word}: {said}");
    }
    let mut lines = said.lines().skip_while(|line| !line.starts_with("! acme.login.url"));
    let below = lines.nth(1).unwrap();
    assert!(below.contains("needs a confirmation"), "a changed login URL comes last: {said}");
    assert!(!said.contains("access: eve") && !said.contains("900"), "{said}");
    assert_eq!(repo.text(), edited, "nothing was written");
    repo.ok(&["sign", "--older", "--yes"]);
    gained_nothing(&repo, &eve);
    assert_eq!(repo.file().generation(), read(&before).generation() + 1);
    // Both key blocks are byte for byte those of the basis.
    let blocks = |text: &str| {
        text[text.find("read_key = ").unwrap()..text.find("vault = \"").unwrap()].to_owned()
    };
    assert_eq!(blocks(&repo.text()), blocks(&before));
}

#[test]
fn at_a_terminal_a_no_changes_nothing_and_a_yes_signs_what_was_shown() {
    let repo = Repo::new();
    std::fs::create_dir(repo.home.at("eve")).unwrap();
    let eve = keyless(&repo);
    let edited = repo.text();
    let Some((code, seen, _)) = at_a_terminal(&repo.home, &["sign"], &[("[y/N] ", "n\n")]) else {
        return;
    };
    assert_eq!((code, repo.text() == edited), (2, true), "{seen}");
    assert!(
        seen.contains("! acme.login.url: changed")
            && seen.contains("comment new: # log in at eve.example"),
        "{seen}"
    );
    assert!(seen.contains("Sign this? [y/N]"), "{seen}");
    let (code, seen, _) = at_a_terminal(&repo.home, &["sign"], &[("[y/N] ", "\n")]).unwrap();
    assert_eq!((code, repo.text() == edited), (2, true), "an empty answer is no: {seen}");
    let (code, seen, _) = at_a_terminal(&repo.home, &["sign"], &[("[y/N] ", "y\n")]).unwrap();
    assert_eq!(code, 0, "{seen}");
    gained_nothing(&repo, &eve);
}

#[test]
fn a_keyless_branch_is_a_conflict_for_the_merge_driver() {
    let (repo, eve) = with_keyless_branch();
    repo.set("acme.more", "ours");
    repo.commit("ours");
    let ran = repo.git(&["merge", "--no-edit", "eve"]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("their side") && ran.err.contains("is not valid"), "{}", ran.err);
    // The result of `resolve` with their side taken.
    let said = repo.fails(&["resolve", FILE, "--yes"], 1);
    assert!(said.contains("--older"), "{said}");
    repo.ok(&["resolve", FILE, "--older", "--yes"]);
    gained_nothing(&repo, &eve);
    assert_eq!(repo.get("acme.more"), "ours");
}

#[test]
fn a_keyless_branch_that_git_merges_without_a_driver_does_not_verify() {
    // If only their side changed, git calls no driver: the hook, `verify` and every loader refuse
    // the file.
    let (repo, _) = with_keyless_branch();
    let ran = repo.git(&["merge", "--no-ff", "--no-edit", "eve"]);
    assert_ne!(ran.code, 0, "the hook: {}{}", ran.out, ran.err);
    let error = repo.loader().load().unwrap_err();
    assert_eq!(error.kind(), bootseal::Kind::Forged, "{error}");
}

#[test]
fn a_property_after_the_bootseal_table_is_refused_with_its_line() {
    let repo = Repo::new();
    let text = repo.text();
    repo.write(&format!("{text}\n[later]\nurl = \"https://eve.example\"\n"));
    let said = repo.fails(&["sign", "--yes"], 1);
    assert!(
        said.contains("[bootseal]") && said.contains("last table") && said.contains("line"),
        "{said}"
    );
    // As a key inside [bootseal] it is ignored.
    repo.write(
        &text
            .replace("format = 1\n", "format = 1\nurl = \"https://eve.example\"\n")
            .replace("\"10s\"", "\"20s\""),
    );
    repo.ok(&["sign", "--yes"]);
    assert!(!repo.text().contains("eve.example"));
}

#[test]
fn sign_refuses_conflict_markers_and_names_resolve() {
    let repo = Repo::new();
    repo.edit("[acme]\n", "<<<<<<< HEAD\n[acme]\n=======\n>>>>>>> other\n");
    let before = repo.text();
    let said = repo.fails(&["sign", "--yes"], 1);
    assert!(said.contains("git conflict markers") && said.contains("bootseal resolve"), "{said}");
    assert_eq!(repo.text(), before);
}

#[test]
fn a_second_or_missing_bootseal_table_does_not_change_the_basis() {
    let repo = Repo::new();
    let text = repo.text();
    let at = text.find("[bootseal]").unwrap();
    repo.write(&text[..at].replace("\"10s\"", "\"20s\""));
    repo.ok(&["sign", "--yes"]);
    assert_eq!((repo.get("acme.timeout"), repo.file().access().len()), ("20s".into(), 2));
    repo.write(&format!("{}[bootseal]\nformat = 9\n\n{}", &text[..at], &text[at..]));
    assert_eq!(repo.run(&["sign", "--yes"]).code, 1);
    repo.write(&format!("bootseal.x = 1\n{}", &text[..at]));
    assert_eq!(repo.run(&["sign", "--yes"]).code, 1, "{}", repo.text());
}

#[test]
fn escape_sequences_in_an_edit_cannot_repaint_the_prompt() {
    let repo = Repo::new();
    repo.edit("user = \"bob\"", "user = \"bob\\u001b[2J\\u202e\"");
    repo.edit("# who logs in", "# fine\u{202e}\u{200b}");
    let said = shown(&repo);
    assert!(!said.contains(['\u{1b}', '\u{202e}', '\u{200b}']), "{said:?}");
    assert!(said.contains("\\u001B[2J\\u202E"), "{said}");
}

#[test]
fn sign_shows_values_that_become_readable_or_sealed() {
    let repo = Repo::new();
    let token = Repo::sealed(&repo.text(), "acme.token");
    repo.edit(&token, "in the clear");
    let said = shown(&repo);
    assert!(said.contains("acme.token: made readable, sealed → \"in the clear\""), "{said}");
    repo.edit("\"in the clear\"", "\"secret:in the clear\"");
    assert_eq!(
        repo.run(&["sign", "--yes"]).code,
        1,
        "a readable string may not begin with secret:"
    );
    repo.edit("\"secret:in the clear\"", "\"sealed:AAAA\"");
    assert_eq!(repo.run(&["sign", "--yes"]).code, 1, "cut");
}

// Sealed values

#[test]
fn a_sealed_value_that_cannot_be_opened_is_named() {
    let repo = Repo::new();
    let text = repo.text();
    let (password, token) =
        (Repo::sealed(&text, "acme.password"), Repo::sealed(&text, "acme.token"));
    let foreign = Home::with_vault("[acme]\npassword = \"secret:x\"\n").read(FILE);
    let edits = [
        // A sealed text under another name, one of another vault, and a property renamed in an
        // editor.
        text.replace(&password, &token),
        text.replace(&password, &Repo::sealed(&foreign, "acme.password")),
        text.replace("password = \"sealed:", "passphrase = \"sealed:"),
    ];
    for edit in edits {
        repo.write(&edit);
        let ran = repo.run(&["sign", "--yes", "--json"]);
        let error: serde_json::Value =
            serde_json::from_str(ran.err.lines().last().unwrap()).unwrap();
        assert_eq!(
            (ran.code, error["error"]["kind"].as_str()),
            (3, Some("moved-value")),
            "{error}"
        );
        let name = error["error"]["property"].as_str().unwrap();
        assert!(name == "acme.password" || name == "acme.passphrase", "{error}");
        assert!(error["error"]["help"].as_str().unwrap().contains("bootseal set"), "{error}");
        assert_eq!(repo.text(), edit);
    }
}

#[test]
fn after_new_keys_an_old_text_is_restored_from_history_with_its_dates() {
    let repo = Repo::new();
    let old = repo.text();
    repo.ok(&["rotate"]);
    repo.ok(&["set", "acme.timeout", "--plain", "99s"]);
    repo.commit("new keys");
    // The user's part of the old text, copied over the file.
    repo.write(&old);
    let said = repo.run(&["sign", "--yes"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("this content was signed as generation 3"), "{}", said.err);
    assert_eq!(
        (repo.get("acme.password"), repo.get("acme.timeout")),
        ("first-password".into(), "10s".into())
    );
    assert_eq!((repo.file().epoch(), repo.file().generation()), (2, 6));
    assert_ne!(
        Repo::sealed(&repo.text(), "acme.password"),
        Repo::sealed(&old, "acme.password"),
        "sealed again"
    );
    let list = repo.json(&["list"]);
    let row = list["properties"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["name"] == "acme.password")
        .unwrap();
    assert_eq!(row["set_at"], "2020-09-13T12:26:40Z");
}

#[test]
fn an_old_text_from_before_a_handover_is_restored_under_the_new_id() {
    let repo = Repo::new();
    repo.invite("bob", &["--writer"]);
    repo.commit("bob");
    let (old, before) = (repo.text(), repo.pin());
    repo.ok(&["access", "remove", "bob", "--yes"]);
    repo.ok(&["set", "acme.timeout", "--plain", "99s"]);
    repo.commit("bob is gone");
    let pin = repo.pin();
    repo.write(&old);
    repo.ok(&["sign", "--yes"]);
    assert_eq!(repo.pin(), pin);
    assert_ne!(pin, before);
    assert!(repo.file().access().iter().all(|access| access.name != "bob"));
    assert_eq!(repo.get("acme.timeout"), "10s");
    assert_eq!(repo.run_as("bob", &["get", "acme.password", "--pin", &pin], b"").code, 4);
}

#[test]
fn a_basis_from_before_new_keys_is_refused() {
    let repo = Repo::new();
    // The new keys are not committed: the newest version in git is older, and this machine has seen
    // them.
    repo.ok(&["access", "remove", "app", "--yes"]);
    repo.edit("\"10s\"", "\"20s\"");
    let before = repo.text();
    let ran = repo.run(&["sign", "--yes"]);
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert!(ran.err.contains("epoch 2 was seen here"), "{}", ran.err);
    assert_eq!(repo.text(), before);
}

// The basis

#[test]
fn against_takes_a_file_as_the_basis_which_must_verify() {
    let repo = Repo::new();
    repo.ok(&["access", "add", "web1", "--new-key", "web1.key", "--yes"]);
    std::fs::create_dir_all(repo.home.at("out")).unwrap();
    repo.home.write("out/backup.sealed.toml", repo.text());
    repo.edit("\"10s\"", "\"20s\"");
    repo.ok(&["sign", "--against", "out/backup.sealed.toml", "--yes"]);
    assert_eq!(repo.file().access().len(), 3, "web1 is in the backup and not in git");
    assert_eq!(repo.file().generation(), 5);
    // A file that does not verify, a foreign vault, and no sealed file at all.
    repo.edit("\"20s\"", "\"30s\"");
    let edited = repo.text();
    repo.home.write(
        "out/broken.sealed.toml",
        repo.home.read("out/backup.sealed.toml").replace("\"10s\"", "\"1s\""),
    );
    repo.home.write("out/foreign.sealed.toml", Home::with_vault("a = \"secret:x\"\n").read(FILE));
    for (name, kind, code) in
        [("broken", "forged", 3), ("foreign", "wrong-vault", 3), ("missing", "not-found", 1)]
    {
        let ran =
            repo.run(&["sign", "--against", &format!("out/{name}.sealed.toml"), "--yes", "--json"]);
        let error: serde_json::Value =
            serde_json::from_str(ran.err.lines().last().unwrap()).unwrap();
        assert_eq!((ran.code, error["error"]["kind"].as_str()), (code, Some(kind)), "{error}");
        assert_eq!(repo.text(), edited);
    }
    // The same at a terminal: a named basis is not replaced by another.
    let args = ["sign", "--against", "out/broken.sealed.toml"];
    let Some((code, seen, _)) = at_a_terminal(&repo.home, &args, &[]) else { return };
    assert!(code == 3 && !seen.contains("[y/N]"), "{seen}");
}

#[test]
fn without_a_basis_sign_asks_about_everything_and_yes_is_not_enough() {
    let home = Home::with_vault("[acme]\npassword = \"secret:hunter2\"\ntimeout = \"10s\"\n");
    let text = home.read(FILE).replace("\"10s\"", "\"20s\"");
    home.write(FILE, &text);
    home.forget_vaults();
    for args in [&["sign"][..], &["sign", "--yes"]] {
        let ran = home.run(args);
        assert_eq!(ran.code, 2, "{}", ran.err);
        assert!(
            ran.err.contains("no version of it that verifies")
                && ran.err.contains("--against FILE"),
            "{}",
            ran.err
        );
        assert_eq!(home.read(FILE), text);
    }
    let Some((code, seen, _)) = at_a_terminal(&home, &["sign", "--yes"], &[("[y/N] ", "n\n")])
    else {
        return;
    };
    assert_eq!((code, home.read(FILE) == text), (2, true), "{seen}");
    for words in ["acme.password: sealed", "acme.timeout: \"20s\"", "alice", "writer", "vault1"] {
        assert!(seen.contains(words), "{words}: {seen}");
    }
    let (code, seen, _) = at_a_terminal(&home, &["sign"], &[("[y/N] ", "y\n")]).unwrap();
    assert_eq!(code, 0, "{seen}");
    assert_eq!(home.ok(&["get", "acme.timeout"]), "20s");
    home.ok(&["verify"]);
}

#[test]
fn without_a_basis_a_planted_key_block_opens_nothing_afterwards() {
    let home = Home::with_vault("[acme]\npassword = \"secret:hunter2\"\n");
    let eve = Home::with_vault("a = \"secret:x\"\n").read(FILE);
    let block = |text: &str| {
        let from = text.find("read_key = ").unwrap();
        text[from..from + text[from..].find("-----END").unwrap()].to_owned()
    };
    let text = home.read(FILE);
    home.write(FILE, text.replace(&block(&text), &block(&eve)));
    home.forget_vaults();
    let Some((code, seen, _)) = at_a_terminal(&home, &["sign"], &[("[y/N] ", "y\n")]) else {
        return;
    };
    assert_eq!(code, 0, "{seen}");
    assert_ne!(block(&home.read(FILE)), block(&eve));
    home.ok(&["verify"]);
    assert_eq!(home.ok(&["get", "acme.password"]), "hunter2");
}

#[test]
fn without_a_basis_another_vault_than_the_known_or_pinned_one_is_refused() {
    let home = Home::with_vault("[acme]\npassword = \"secret:hunter2\"\n");
    let other = Home::with_vault("[acme]\npassword = \"secret:x\"\n");
    // Eve's vault, with alice as a writer, and then broken.
    let alice =
        home.ok(&["keygen", "-y", home.at(".config/bootseal/identity.txt").to_str().unwrap()]);
    other.ok(&["access", "add", "her", alice.trim(), "--writer", "--yes"]);
    home.write(FILE, other.read(FILE).replace("[acme]", "[acme] # edited"));
    let ran = home.run(&["sign", "--yes"]);
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert!(ran.err.contains("--against VERSION"), "{}", ran.err);
}

/// Found by review: junk on a branch hid the good version, and one "y" let its author in.
#[test]
fn without_a_basis_a_pinned_or_known_vault_is_refused_without_a_question() {
    let home = Home::with_vault("[acme]\npassword = \"secret:hunter2\"\n");
    let text = home.read(FILE).replace("[acme]", "[acme] # edited");
    home.write(FILE, &text);
    let pin = read(&home.read(FILE).replace(" # edited", "")).vault_id().to_string();
    let refused = |args: &[&str]| {
        let ran = home.run(args);
        assert_eq!(ran.code, 3, "{}", ran.err);
        assert!(ran.err.contains("bootseal sign --against VERSION"), "{}", ran.err);
        // At a terminal no question is asked either.
        if let Some((code, seen, _)) = at_a_terminal(&home, args, &[]) {
            assert_eq!(code, 3, "{seen}");
        }
        assert_eq!(home.read(FILE), text);
    };
    refused(&["sign"]);
    // The id is known at another path.
    home.write("copy.sealed.toml", &text);
    assert_eq!(home.run(&["sign", "copy.sealed.toml", "--yes"]).code, 3);
    std::fs::remove_file(home.at("copy.sealed.toml")).unwrap();
    home.forget_vaults();
    refused(&["sign", "--pin", &pin]);
}

#[test]
fn a_foreign_vault_in_gits_history_is_no_basis() {
    let repo = Repo::new();
    let good = repo.text();
    repo.write(&Home::with_vault("[acme]\npassword = \"secret:x\"\n").read(FILE));
    repo.commit("replaced");
    repo.write(&good.replace("\"10s\"", "\"20s\""));
    let pin = read(&good).vault_id().to_string();
    repo.ok(&["sign", "--yes"]);
    assert_eq!(repo.pin(), pin);
    // The same with a pin and nothing remembered.
    repo.write(&good.replace("\"10s\"", "\"30s\""));
    std::fs::remove_dir_all(repo.home.at(".local")).unwrap();
    repo.ok(&["sign", "--yes", "--pin", &pin]);
    assert_eq!(repo.pin(), pin);
}

#[test]
fn an_unknown_vault_is_not_signed_without_a_pin() {
    let repo = Repo::new();
    repo.edit("\"10s\"", "\"20s\"");
    std::fs::remove_dir_all(repo.home.at(".local")).unwrap();
    let ran = repo.run(&["sign", "--yes"]);
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert!(
        ran.err.contains("neither pinned nor known") && ran.err.contains("--pin"),
        "{}",
        ran.err
    );
}

#[test]
fn a_reader_and_a_stranger_cannot_sign() {
    let repo = Repo::new();
    std::fs::create_dir(repo.home.at("eve")).unwrap();
    repo.edit("\"10s\"", "\"20s\"");
    let before = repo.text();
    let pin = read(&repo.git_ok(&["show", &format!("HEAD:{FILE}")])).vault_id().to_string();
    let reader = repo.run(&["sign", "--yes", "-i", "app.key"]);
    let stranger = repo.run_as("eve", &["sign", "--yes", "--pin", &pin], b"");
    for ran in [reader, stranger] {
        assert_eq!(ran.code, 4, "{}", ran.err);
        assert_eq!(repo.text(), before);
    }
}

#[test]
fn sign_warns_that_an_uncommitted_access_change_is_lost() {
    // `[bootseal]` comes from the basis, the version in git: the signed file in the working tree
    // was overwritten by the edit.
    let repo = Repo::new();
    repo.ok(&["access", "add", "web1", "--new-key", "web1.key", "--yes"]);
    repo.edit("\"10s\"", "\"20s\"");
    let said = shown(&repo);
    assert!(
        said.contains("against generation 3")
            && said.contains("generation 4 was signed on this machine, but is not in git"),
        "{said}"
    );
    repo.ok(&["sign", "--yes"]);
    assert_eq!((repo.file().access().len(), repo.file().generation()), (2, 5));
    // After a commit there is no warning.
    repo.commit("signed");
    repo.edit("\"20s\"", "\"30s\"");
    assert!(!shown(&repo).contains("is not in git"));
}

#[test]
fn conflict_markers_inside_a_readable_value_are_no_conflict() {
    let home = Home::new();
    home.write("app.toml", "note = \"\"\"\n<<<<<<< HEAD\nx\n\"\"\"\npassword = \"secret:x\"\n");
    home.ok(&["seal", "app.toml"]);
    home.ok(&["verify"]);
    assert!(home.run(&["sign"]).err.contains("signed already"));
    assert!(home.ok(&["git", "textconv", FILE]).contains("<<<<<<< HEAD"));
}

// Generations

#[test]
fn the_generation_is_above_every_one_in_git_on_any_branch() {
    let repo = Repo::new();
    repo.branch("far", |repo| {
        for value in ["1", "2", "3", "4"] {
            repo.set("acme.token", value);
        }
    });
    std::fs::remove_dir_all(repo.home.at(".local")).unwrap();
    let pin = repo.pin();
    repo.edit("\"10s\"", "\"20s\"");
    std::fs::create_dir_all(repo.home.at("out")).unwrap();
    repo.home.write("out/edited", repo.text());
    repo.ok(&["sign", "--yes", "--pin", &pin]);
    assert_eq!(repo.file().generation(), 8, "7 is on the other branch");
    // A named basis does not change that.
    repo.home.write("out/basis.sealed.toml", repo.git_ok(&["show", &format!("HEAD:{FILE}")]));
    repo.write(&repo.home.read("out/edited"));
    std::fs::remove_dir_all(repo.home.at(".local")).unwrap();
    repo.ok(&["sign", "--yes", "--pin", &pin, "--against", "out/basis.sealed.toml"]);
    assert_eq!(
        repo.file().generation(),
        8,
        "cli.md: above every generation in git's history of it"
    );
}

#[test]
fn the_generation_is_above_the_remembered_one_and_the_option_above() {
    let repo = Repo::new();
    let old = repo.text();
    for value in ["1", "2"] {
        repo.set("acme.token", value);
    }
    // Generation 5 was never committed; only this machine remembers it.
    repo.write(&old.replace("\"10s\"", "\"20s\""));
    repo.ok(&["sign", "--yes"]);
    assert_eq!(repo.file().generation(), 6);
    repo.edit("\"20s\"", "\"30s\"");
    repo.ok(&["sign", "--yes", "--above", "41"]);
    assert_eq!(repo.file().generation(), 42);
    repo.ok(&["sign", "--yes", "--above", "99"]);
    assert_eq!(repo.file().generation(), 100, "for a host that has seen a higher generation");
    assert_ne!(repo.run(&["sign", "--yes", "--above", "9007199254740992"]).code, 0);
    assert_eq!(repo.file().generation(), 100);
}

#[test]
fn another_file_of_the_same_generation_gets_a_new_generation() {
    // `git checkout BRANCH -- FILE`: signed, with the same generation as ours. Hosts that saw ours
    // refuse it, and `verify --since` names `bootseal sign`.
    let repo = Repo::new();
    repo.branch("other", |repo| drop(repo.ok(&["set", "acme.timeout", "--plain", "30s"])));
    repo.set("acme.more", "ours");
    repo.commit("ours");
    repo.loader().load().unwrap();
    repo.git_ok(&["checkout", "other", "--", FILE]);
    assert!(repo.fails(&["verify", "--since", "HEAD"], 3).contains("bootseal sign"));
    let said = repo.run(&["sign", "--yes"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("acme.more: removed, sealed"), "against HEAD's: {}", said.err);
    assert_eq!((repo.file().generation(), repo.get("acme.timeout")), (5, "30s".into()));
    repo.ok(&["verify", "--since", "HEAD"]);
    repo.loader().load().unwrap();
}

#[test]
fn a_higher_generation_from_before_new_keys_is_no_basis() {
    let repo = Repo::new();
    repo.branch("other", |repo| {
        for value in ["1", "2", "3"] {
            repo.set("acme.token", value);
        }
        repo.ok(&["set", "acme.timeout", "--plain", "30s"]);
    });
    repo.ok(&["access", "remove", "app", "--yes"]);
    repo.commit("app is removed");
    let pin = repo.pin();
    repo.git_ok(&["checkout", "other", "--", FILE]);
    for forget in [false, true] {
        if forget {
            // Another machine, which knows of the removal only from git.
            std::fs::remove_dir_all(repo.home.at(".local")).unwrap();
            repo.git_ok(&["checkout", "other", "--", FILE]);
        }
        let said = repo.run(&["sign", "--yes", "--pin", &pin]);
        assert_eq!(said.code, 0, "{}", said.err);
        let file = repo.file();
        assert_eq!((file.epoch(), file.generation() > 7), (2, true), "{}", said.err);
        assert!(file.access().iter().all(|access| access.name != "app"), "{}", said.err);
        assert_eq!((repo.get("acme.timeout"), repo.get("acme.token")), ("30s".into(), "3".into()));
        repo.ok(&["verify", "--since", "HEAD", "--pin", &pin]);
    }
}

#[test]
fn a_former_writers_huge_generation_does_not_exhaust_the_numbers() {
    let repo = Repo::new();
    repo.invite("bob", &["--writer"]);
    repo.commit("bob");
    let old_pin = repo.pin();
    let before = repo.text();
    repo.ok(&["access", "remove", "bob", "--yes"]);
    repo.commit("bob is gone");
    let pin = repo.pin();
    repo.branch("bobs", |repo| {
        repo.write(&before.replace("\"10s\"", "\"11s\""));
        std::fs::create_dir_all(repo.home.at("out")).unwrap();
        repo.home.write("out/bobs.sealed.toml", &before);
        let args =
            ["sign", "--against", "out/bobs.sealed.toml", "--above", "9007199254740990", "--yes"];
        repo.ok_as("bob", &[&args[..], &["--pin", &old_pin]].concat(), b"");
    });
    for (pinned, from, to) in
        [(&[][..], "\"10s\"", "\"20s\""), (&["--pin", &pin], "\"20s\"", "\"30s\"")]
    {
        if !pinned.is_empty() {
            std::fs::remove_dir_all(repo.home.at(".local")).unwrap();
        }
        repo.edit(from, to);
        let said = repo.run(&[&["sign", "--yes"][..], pinned].concat());
        assert_eq!(said.code, 0, "{}", said.err);
        assert!(repo.file().generation() < 100, "{}", repo.file().generation());
    }
}

#[test]
fn a_rolled_back_deployment_is_signed_as_a_new_generation() {
    let repo = Repo::new();
    let old = repo.text();
    repo.give("acme.password", "bad", GIVEN + 5000);
    repo.commit("bad");
    repo.loader().load().unwrap();
    repo.write(&old);
    assert_eq!(repo.loader().load().unwrap_err().kind(), bootseal::Kind::OldGeneration);
    assert!(repo.fails(&["sign", "--yes"], 1).contains("--older"));
    let ran = repo.run(&["sign", "--older", "--yes"]);
    assert!(
        ran.code == 0 && ran.err.contains("this content was signed as generation 3"),
        "{}",
        ran.err
    );
    repo.loader().load().unwrap();
    assert_eq!(repo.get("acme.password"), "first-password");
}

#[test]
fn sign_works_from_a_subfolder_on_a_file_in_another() {
    let repo = Repo::new();
    std::fs::create_dir_all(repo.home.at("deploy/x")).unwrap();
    repo.edit("\"10s\"", "\"20s\"");
    let ran: Ran = repo
        .command("alice", &["sign", "--yes", "-f", "../../app.sealed.toml"])
        .current_dir(repo.home.at("deploy/x"))
        .output()
        .unwrap()
        .into();
    assert!(ran.code == 0 && ran.err.contains("acme.timeout: changed"), "{}", ran.err);
}

#[test]
fn a_file_name_with_glob_characters_is_taken_literally() {
    let repo = Repo::new();
    for name in ["app[12].sealed.toml", "app1.sealed.toml", ":x.sealed.toml"] {
        repo.ok(&["init", "-f", name]);
        repo.ok(&["set", "timeout", "--plain", "10s", "-f", name]);
    }
    repo.commit("more");
    for name in ["app[12].sealed.toml", ":x.sealed.toml"] {
        let text = repo.home.read(name);
        repo.home.write(name, text.replace("\"10s\"", "\"20s\""));
        let ran = repo.run(&["sign", "--yes", "-f", name]);
        assert!(
            ran.code == 0 && ran.err.contains("against generation 2\ntimeout: changed"),
            "{}",
            ran.err
        );
        assert!(repo.ok(&["diff", "HEAD", "-f", name]).contains("timeout: changed"));
        repo.ok(&["verify", "--since", "HEAD", name]);
    }
}

#[test]
fn a_file_that_is_not_regular_is_refused_without_blocking() {
    let repo = Repo::new();
    let made = std::process::Command::new("mkfifo").arg(repo.home.at("pipe.sealed.toml")).status();
    if !made.is_ok_and(|status| status.success()) {
        return;
    }
    for args in [
        &["sign", "--yes", "-f", "pipe.sealed.toml"][..],
        &["sign", "--yes", "-f", FILE, "--against", "pipe.sealed.toml"],
        &["diff", "HEAD", "pipe.sealed.toml"],
        &["resolve", "pipe.sealed.toml", "--ours", "HEAD", "--theirs", "HEAD", "--yes"],
    ] {
        let mut child = repo
            .command("alice", args)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if std::time::Instant::now() > end {
                child.kill().unwrap();
                panic!("{args:?} blocks on a pipe");
            }
            std::thread::yield_now();
        };
        assert_eq!(status.code(), Some(1), "{args:?}");
    }
}

/// Found by review: a former writer hands the old id over to a vault of their own, and has the file
/// merged and then reverted.
#[test]
fn two_handovers_from_the_known_id_are_an_error_that_names_both() {
    let repo = Repo::new();
    repo.invite("bob", &["--writer"]);
    repo.commit("bob");
    let (before, old_pin) = (repo.text(), repo.pin());
    let memory = repo.home.read(".local/state/bootseal/known_vaults");
    repo.ok(&["access", "remove", "bob", "--yes"]);
    repo.commit("bob is gone");
    let (ours, pin) = (repo.text(), repo.pin());
    repo.write(&before);
    repo.ok_as("bob", &["rotate", "--signing-key", "--pin", &old_pin], b"");
    let forged = repo.pin();
    repo.commit("bob's");
    repo.write(&ours);
    repo.commit("back again");
    // On a second machine of alice, which last saw the vault before bob was removed.
    repo.home.write(".local/state/bootseal/known_vaults", memory);
    repo.edit("\"10s\"", "\"20s\"");
    let said = repo.fails(&["sign", "--yes"], 3);
    assert!(said.contains(&pin) && said.contains(&forged) && said.contains("--pin"), "{said}");
    repo.ok(&["sign", "--yes", "--pin", &pin]);
    assert_eq!(repo.pin(), pin);
}

#[test]
fn the_staged_file_counts_as_a_version_and_a_basis_can_be_a_revision() {
    let repo = Repo::new();
    repo.ok(&["rotate", "--signing-key"]);
    repo.git_ok(&["add", FILE]);
    repo.edit("\"10s\"", "\"20s\"");
    repo.ok(&["sign", FILE, "--yes"]);
    repo.commit("signed");
    repo.edit("\"20s\"", "\"30s\"");
    repo.ok(&["sign", "--against", &format!("HEAD:{FILE}"), "--yes"]);
    assert!(repo.text().contains("\"30s\""));
}

#[test]
fn a_handover_is_not_remembered_when_nothing_was_signed() {
    let repo = Repo::new();
    let store = || repo.home.read(".local/state/bootseal/known_vaults");
    // That the handover was read is recorded apart from the known vaults.
    let memory = || store().split("\n[[seen]]").next().unwrap().to_owned();
    let before = memory();
    repo.ok(&["rotate", "--signing-key"]);
    repo.home.write(".local/state/bootseal/known_vaults", &before);
    repo.fails(&["access", "remove", "app"], 2);
    repo.fails(&["unset", "nothing"], 1);
    assert_eq!(memory(), before);
    repo.set("acme.token", "new");
    assert_ne!(memory(), before);
}
