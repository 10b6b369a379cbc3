//! Generations and epochs are counted for each vault id, so that no writer can use them up.

use crate::support::repo::{FILE, Repo};
use bootseal_core::{IdentityFile, MAX_REAL};

/// Found by review: a writer who signed the highest numbers could not be removed.
#[test]
fn a_writer_who_signs_the_highest_numbers_can_be_removed() {
    let repo = Repo::new();
    repo.invite("bob", &["--writer"]);
    repo.commit("bob");
    drop(repo.loader().load().unwrap());
    // Bob leaves no room for further numbers. This machine and a host see it.
    let identities = IdentityFile::read(&repo.identity()).unwrap().identities;
    let mut vault = repo.file().open_for_writing(&identities).unwrap();
    vault.rotate_above(MAX_REAL).unwrap();
    let (text, _) = vault.sign_above(2 * MAX_REAL - 1).unwrap();
    repo.write(&text);
    repo.commit("the highest numbers");
    drop(repo.loader().load().unwrap());
    for args in [&["set", "acme.user", "--plain", "x"][..], &["access", "remove", "bob", "--yes"]] {
        let ran = repo.run(args);
        assert_eq!(ran.code, 1, "{}", ran.err);
        assert!(ran.err.contains("bootseal sign --against VERSION"), "{}", ran.err);
    }
    let ran = repo.run(&["sign", "--against", &format!("HEAD~1:{FILE}"), "--yes"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    for words in
        ["generation 9007199254740992, which no honest file reaches", "gets new keys", "bob"]
    {
        assert!(ran.err.contains(words), "{words}: {}", ran.err);
    }
    repo.ok(&["access", "remove", "bob", "--yes"]);
    let file = repo.file();
    assert!(file.generation() < 10 && file.epoch() == 1, "{file:?}");
    repo.ok(&["set", "acme.user", "--plain", "x"]);
    repo.ok(&["verify", "--since", "HEAD"]);
    assert_eq!(repo.loader().load().unwrap().text("acme.user").unwrap(), "x");
    // The next removal continues from there.
    repo.ok(&["access", "remove", "app", "--yes"]);
    assert_eq!(repo.file().epoch(), 2);
}

#[test]
fn against_an_older_epoch_makes_new_keys_for_the_list_that_is_shown() {
    let repo = Repo::new();
    repo.ok(&["access", "remove", "app", "--yes"]);
    let newest = repo.file();
    repo.commit("app is gone");
    let ran = repo.run(&["sign", "--against", &format!("HEAD~1:{FILE}"), "--yes"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("members removed since then are in its list again"), "{}", ran.err);
    let file = repo.file();
    assert_eq!((file.vault_id(), file.epoch()), (newest.vault_id(), 3));
    assert!(file.generation() > newest.generation());
    assert!(file.access().iter().any(|access| access.name == "app"));
    // The file can be written to: `app` is a member again, and is removed again.
    repo.set("acme.password", "new");
    repo.ok(&["access", "remove", "app", "--yes"]);
}

/// The generation of a merge continues from the present id only, because a former writer can sign
/// any number on an old branch.
#[test]
fn a_former_writers_branch_does_not_use_up_the_numbers_of_a_merge() {
    for both_changed in [false, true] {
        let repo = Repo::new();
        repo.invite("bob", &["--writer"]);
        repo.invite("carol", &["--writer"]);
        repo.commit("bob and carol");
        // Carol removes bob. This machine does not know it yet.
        repo.branch("removal", |repo| {
            let pin = repo.pin();
            if both_changed {
                let set = ["set", "acme.user", "--plain", "theirs", "--force", "--pin", &pin];
                repo.ok_as("carol", &set, b"");
            }
            repo.ok_as("carol", &["access", "remove", "bob", "--yes", "--pin", &pin], b"");
        });
        // Bob signs the highest number on the main branch, under the old id.
        let identities = IdentityFile::read(&repo.identity()).unwrap().identities;
        let mut vault = repo.file().open_for_writing(&identities).unwrap();
        vault.set_readable(&"acme.user".parse().unwrap(), &"ours".into()).unwrap();
        repo.write(&vault.sign_above(2 * MAX_REAL - 1).unwrap().0);
        repo.commit("the highest number");
        let ran = repo.git(&["merge", "--no-edit", "removal"]);
        assert_eq!(ran.code == 0, !both_changed, "{}{}", ran.out, ran.err);
        if both_changed {
            repo.ok(&["resolve", FILE, "--take", "theirs", "--yes"]);
        }
        let file = repo.file();
        assert!(file.generation() < 100, "{}", file.generation());
        assert!(!file.access().iter().any(|access| access.name == "bob"));
        repo.ok(&["set", "acme.user", "--plain", "x"]);
        repo.ok(&["verify"]);
    }
}
