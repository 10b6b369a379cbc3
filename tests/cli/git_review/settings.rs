//! Git's settings for `git log` hide no version of a file.

use super::*;

#[test]
fn no_git_setting_hides_a_version_from_sign() {
    for setting in [["log.showRoot", "false"], ["log.diffMerges", "off"], ["log.follow", "true"]] {
        // The first version is in the first commit, and the newest one only in a merge.
        let repo = Repo::without_setup();
        let text = repo.text();
        repo.git_ok(&["config", setting[0], setting[1]]);
        let pin = repo.pin();
        let signed = |words: &str| {
            repo.write(&text.replace("\"10s\"", "\"20s\""));
            // The staged text is not the signed one.
            repo.git_ok(&["add", FILE]);
            repo.home.forget_vaults();
            let ran = repo.run(&["sign", "--yes", "--older", "--pin", &pin]);
            assert_eq!(ran.code, 0, "{setting:?}: {}", ran.err);
            assert!(ran.err.contains(words), "{setting:?}: {}", ran.err);
        };
        signed("against generation 3");
        repo.git_ok(&["reset", "-q", "--hard"]);
        repo.branch("other", |repo| repo.home.write("other.txt", "x"));
        repo.git_ok(&["merge", "-q", "--no-ff", "--no-commit", "other"]);
        repo.home.forget_vaults();
        repo.ok_as("alice", &["set", "acme.token", "-", "--pin", &pin], b"new");
        repo.commit("merge");
        signed("against generation 4");
    }
}
