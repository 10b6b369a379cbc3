//! Names of revisions: a tag or a branch that anyone can push does not replace what was meant.

use super::*;

/// The file is the old one; HEAD has a newer one, and HEAD~1 has this one.
fn older_than_head() -> Repo {
    let repo = Repo::new();
    let old = repo.text();
    repo.set("acme.password", "new");
    repo.commit("new");
    repo.write(&old);
    repo
}

/// `verify --since` with `revision` is an error with these words, and with `full` finds the old
/// file.
#[track_caller]
fn ambiguous(repo: &Repo, revision: &str, words: &str, full: &str) {
    let said = repo.fails(&["verify", "--since", revision], 2);
    assert!(said.contains("several meanings in git") && said.contains(words), "{said}");
    repo.fails(&["verify", "--since", full], 3);
}

#[test]
fn a_tag_named_like_a_remote_is_not_taken_for_its_default_branch() {
    let repo = older_than_head();
    repo.git_ok(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
    let default = "refs/remotes/origin/HEAD";
    repo.git_ok(&["symbolic-ref", default, "refs/remotes/origin/main"]);
    repo.fails(&["verify", "--since", "origin"], 3);
    repo.git_ok(&["tag", "origin", "HEAD~1"]);
    ambiguous(&repo, "origin", "for example refs/remotes/origin/HEAD", default);
}

#[test]
fn a_branch_whose_name_ends_in_head_can_be_ambiguous_too() {
    let repo = older_than_head();
    repo.git_ok(&["branch", "RELEASE-HEAD"]);
    repo.fails(&["verify", "--since", "RELEASE-HEAD"], 3);
    repo.git_ok(&["tag", "RELEASE-HEAD", "HEAD~1"]);
    ambiguous(&repo, "RELEASE-HEAD", "refs/tags/RELEASE-HEAD", "refs/heads/RELEASE-HEAD");
}

#[test]
fn a_tag_does_not_answer_for_gits_own_names() {
    let repo = older_than_head();
    for name in ["FETCH_HEAD", "ORIG_HEAD", "MERGE_HEAD"] {
        repo.git_ok(&["update-ref", &format!("refs/tags/{name}"), "HEAD~1"]);
        // Whether git has its own commit of this name, or not.
        ambiguous(&repo, name, &format!("git's own {name}"), "HEAD");
        repo.home.write(&format!(".git/{name}"), repo.git_ok(&["rev-parse", "HEAD"]));
        ambiguous(&repo, name, &format!("git's own {name}"), "HEAD");
    }
    // HEAD is always git's own.
    repo.git_ok(&["update-ref", "refs/tags/HEAD", "HEAD~1"]);
    for name in ["HEAD", "@"] {
        repo.fails(&["verify", "--since", name], 3);
    }
    // Not before the first commit of a branch either.
    repo.git_ok(&["checkout", "-q", "--orphan", "empty"]);
    for name in ["HEAD", "@"] {
        let said = repo.fails(&["verify", "--since", name], 1);
        assert!(said.contains("no revision"), "{said}");
    }
}

#[test]
fn a_tag_named_like_the_full_name_of_a_branch_does_not_answer_for_it() {
    let repo = older_than_head();
    let main = "refs/remotes/origin/main";
    repo.git_ok(&["update-ref", &format!("refs/tags/{main}"), "HEAD~1"]);
    let said = repo.fails(&["verify", "--since", main], 1);
    assert!(said.contains("no revision"), "{said}");
    repo.git_ok(&["update-ref", main, "HEAD"]);
    repo.fails(&["verify", "--since", main], 3);
}

#[test]
fn a_tag_does_not_answer_for_a_remote_branch_that_the_clone_lacks() {
    let repo = older_than_head();
    for tag in ["origin", "upstream/main", "main-2", "v1.0"] {
        repo.git_ok(&["tag", tag, "HEAD~1"]);
        repo.ok(&["verify", "--since", tag]);
    }
    for remote in ["origin", "upstream"] {
        repo.git_ok(&["remote", "add", remote, "https://git.example/shop"]);
    }
    repo.git_ok(&["update-ref", "refs/remotes/origin/main-2", "HEAD"]);
    for (name, meant) in [
        ("origin", "refs/remotes/origin/HEAD"),
        ("upstream/main", "refs/remotes/upstream/main"),
        ("main-2", "refs/remotes/origin/main-2"),
    ] {
        let said = repo.fails(&["verify", "--since", name], 2);
        assert!(said.contains("several meanings") && said.contains(meant), "{said}");
    }
    repo.ok(&["verify", "--since", "v1.0"]);
    repo.ok(&["verify", "--since", "refs/tags/origin"]);
}

#[test]
fn a_tag_does_not_answer_for_an_id_in_its_name() {
    let repo = older_than_head();
    let head = repo.git_ok(&["rev-parse", "HEAD"]).trim().to_owned();
    repo.git_ok(&["tag", "v1", "HEAD~1"]);
    let described = repo.git_ok(&["describe", "--long", "--tags"]).trim().to_owned();
    for name in [&head[..4], &head[..12], &head[..39], &described] {
        repo.fails(&["verify", "--since", name], 3);
        repo.git_ok(&["tag", name, "HEAD~1"]);
        ambiguous(&repo, name, &format!("object {head}"), "HEAD");
    }
}

#[test]
fn a_tag_of_forty_digits_does_not_answer_for_a_commit_with_a_longer_id() {
    let repo = Repo::without_setup();
    std::fs::remove_dir_all(repo.home.at(".git")).unwrap();
    repo.git_ok(&["init", "-q", "-b", "main", "--object-format=sha256"]);
    repo.git_ok(&["add", FILE]);
    repo.git_ok(&["commit", "-q", "-m", "old"]);
    let old = repo.text();
    repo.set("acme.password", "new");
    repo.git_ok(&["commit", "-q", "-a", "-m", "new"]);
    repo.write(&old);
    let head = repo.git_ok(&["rev-parse", "HEAD"]).trim().to_owned();
    for digits in [40, 63] {
        repo.fails(&["verify", "--since", &head[..digits]], 3);
        repo.git_ok(&["tag", &head[..digits], "HEAD~1"]);
        ambiguous(&repo, &head[..digits], &format!("object {head}"), "HEAD");
    }
}

/// Found by review: a clone as CI makes it lacks the commit that the id names, and gets the tags.
#[test]
fn a_tag_does_not_answer_for_an_id_that_the_clone_may_lack() {
    let repo = older_than_head();
    let head = repo.git_ok(&["rev-parse", "HEAD"]).trim().to_owned();
    repo.git_ok(&["checkout", "-q", "-f", "-b", "pr", "HEAD~1"]);
    let pin = repo.pin();
    let names = [head[..9].to_owned(), format!("v1-1-g{}", &head[..9]), head[..9].to_uppercase()];
    for name in &names {
        repo.git_ok(&["update-ref", &format!("refs/tags/{name}"), "HEAD"]);
    }
    repo.git_ok(&["update-ref", "refs/tags/v2", "HEAD"]);
    std::fs::create_dir_all(repo.home.at("out")).unwrap();
    let from = format!("file://{}", repo.home.path().display());
    repo.git_ok(&["config", "uploadpack.allowFilter", "true"]);
    let clones: [&[&str]; 3] =
        [&["--depth=1"], &["--single-branch"], &["--filter=blob:none", "--single-branch"]];
    for (at, options) in clones.into_iter().enumerate() {
        let folder = repo.home.at(&format!("out/ci{at}"));
        let to = folder.to_str().unwrap();
        repo.git_ok(&[&["clone", "-q", "-b", "pr"], options, &[&from, to]].concat());
        let in_clone = |args: &[&str]| -> Ran {
            let mut command = repo.git_command("alice", args);
            command.env("GIT_NO_LAZY_FETCH", "1").current_dir(&folder).output().unwrap().into()
        };
        let tags = ["fetch", "-q", "origin", "refs/tags/*:refs/tags/*"];
        let tags = if at == 0 { [&tags[..], &["--depth=1"]].concat() } else { tags.to_vec() };
        assert_eq!(in_clone(&tags).code, 0);
        assert_ne!(in_clone(&["cat-file", "-e", &head]).code, 0, "the clone has main's commit");
        let since = |revision: &str| -> Ran {
            let args = ["verify", "--since", revision, "--pin", &pin];
            repo.command("alice", &args).current_dir(&folder).output().unwrap().into()
        };
        for name in &names {
            for revision in [name.clone(), format!("{name}^{{commit}}"), format!("{name}~0")] {
                let ran = since(&revision);
                assert_eq!(ran.code, 2, "{options:?} {revision}: {}{}", ran.out, ran.err);
                let words = format!("for example refs/tags/{name}");
                assert!(
                    ran.err.contains("several meanings") && ran.err.contains(&words),
                    "{}",
                    ran.err
                );
            }
        }
        // A name that looks like no id, and the full name of a tag, are what they say.
        for name in ["v2".to_owned(), format!("refs/tags/{}", names[0]), "tags/v2".to_owned()] {
            assert_eq!(since(&name).code, 0, "{options:?} {name}: {}", since(&name).err);
        }
    }
}

#[test]
fn a_tag_does_not_answer_for_a_name_below_refs() {
    let repo = older_than_head();
    repo.git_ok(&["tag", "v1", "HEAD"]);
    repo.git_ok(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
    for name in ["heads/main", "remotes/origin/main", "tags/v1"] {
        repo.fails(&["verify", "--since", name], 3);
        // Git prefers the reference, which is what the name means.
        repo.git_ok(&["update-ref", &format!("refs/tags/{name}"), "HEAD~1"]);
        repo.fails(&["verify", "--since", name], 3);
    }
    for name in ["heads/gone", "remotes/origin/gone", "tags/gone"] {
        for tag in [format!("refs/tags/{name}"), format!("refs/heads/{name}")] {
            repo.git_ok(&["update-ref", &tag, "HEAD~1"]);
            let said = repo.fails(&["verify", "--since", name], 1);
            assert!(said.contains("no revision"), "{said}");
        }
    }
}
