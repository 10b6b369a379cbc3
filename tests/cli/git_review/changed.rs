//! `verify --since` and `git check` find the sealed files that a branch changed, whatever it named
//! them and whichever filters it set.

use super::*;

/// The vault is `name` at HEAD and at the tag `good`, and was changed there; also returns its old
/// text and its pin.
fn base(name: &str) -> (Repo, String, String) {
    let repo = Repo::new();
    repo.git_ok(&["mv", FILE, name]);
    repo.home.write("keep.bak", "");
    repo.commit("renamed");
    let old = repo.home.read(name);
    let pin = crate::support::repo::read(&old).vault_id().to_string();
    repo.ok_as("alice", &["set", "acme.timeout", "--plain", "99s", "-f", name, "--pin", &pin], b"");
    repo.home.write("keep.bak", &old);
    repo.commit("changed");
    repo.git_ok(&["tag", "good"]);
    (repo, old, pin)
}

/// Commits the branch, and expects `verify --since` to fail with these words.
fn refused(repo: &Repo, pin: &str, words: &[&str]) {
    repo.commit("branch");
    let said = repo.fails(&["verify", "--since", "good", "--pin", pin], 3);
    for word in words {
        assert!(said.contains(word), "{word}: {said}");
    }
}

const OLD: &str = "an older or a different file was added";

#[test]
fn since_compares_a_copy_with_an_unchanged_file_of_any_name() {
    for copy in ["other.enc", "prod2.sealed.toml", "a b.TXT"] {
        let (repo, old, pin) = base("prod.enc");
        repo.home.write(copy, &old);
        // The hook compares with HEAD.
        repo.git_ok(&["add", "-A"]);
        let check = repo.fails(&["git", "check", "--staged"], 3);
        assert!(check.contains(OLD) && check.contains(copy), "{check}");
        refused(&repo, &pin, &[copy, OLD]);
    }
}

#[test]
fn since_reports_an_edited_file_of_any_name_as_forged() {
    let (repo, _, pin) = base("prod.enc");
    repo.home.write("prod.enc", repo.home.read("prod.enc").replace("99s", "1s"));
    repo.git_ok(&["add", "-A"]);
    assert!(repo.fails(&["git", "check", "--staged"], 3).contains("prod.enc"));
    refused(&repo, &pin, &["prod.enc", "the signature of"]);
    // Renamed and edited.
    let (repo, _, pin) = base("prod.sealed.toml");
    repo.git_ok(&["mv", "prod.sealed.toml", "conf"]);
    repo.home.write("conf", repo.home.read("conf").replace("99s", "1s"));
    repo.git_ok(&["add", "-A"]);
    assert!(repo.fails(&["git", "check", "--staged"], 3).contains("conf"));
    refused(&repo, &pin, &["conf", "the signature of"]);
    // No longer a sealed file.
    let (repo, _, pin) = base("prod.enc");
    repo.home.write("prod.enc", repo.home.read("prod.enc") + "a = 1\n");
    repo.commit("branch");
    let said = repo.fails(&["verify", "--since", "good", "--pin", &pin], 1);
    assert!(said.contains("prod.enc: not a sealed file"), "{said}");
}

#[test]
fn a_text_that_only_mentions_the_table_is_no_finding() {
    let (repo, old, pin) = base("prod.sealed.toml");
    repo.home.write("guide.md", format!("# The file\n\n```toml\n{old}```\n"));
    repo.home.write("notes.txt", "[bootseal]\nvault = \"…\"\nsignature = \"…\"\n");
    repo.git_ok(&["add", "-A"]);
    repo.ok(&["git", "check", "--staged"]);
    repo.commit("branch");
    let said = repo.ok(&["verify", "--since", "good", "--pin", &pin]);
    assert!(!said.contains("guide.md") && !said.contains("notes.txt"), "{said}");
}

#[test]
fn since_reads_what_a_filter_writes_into_the_working_tree() {
    // The index has other bytes than the working tree.
    let (repo, old, pin) = base("prod.sealed.toml");
    repo.git_ok(&["rm", "-q", "prod.sealed.toml"]);
    repo.git_ok(&["config", "filter.rot.clean", "tr a-z b-za"]);
    repo.git_ok(&["config", "filter.rot.smudge", "tr b-za a-z"]);
    repo.home.write(".gitattributes", "conf filter=rot\n");
    repo.home.write("conf", &old);
    refused(&repo, &pin, &["conf", OLD]);
    let staged = repo.git_ok(&["cat-file", "blob", "HEAD:conf"]);
    assert!(!staged.contains("signature"), "{staged}");
    // An encoding is built into git.
    let (repo, old, pin) = base("prod.sealed.toml");
    repo.git_ok(&["rm", "-q", "prod.sealed.toml"]);
    repo.home.write(".gitattributes", "conf working-tree-encoding=CP037\n");
    repo.home.write("conf", &old);
    refused(&repo, &pin, &["conf", OLD]);
}

#[test]
fn since_reads_unchanged_files_again_if_their_attributes_changed() {
    let (repo, old, pin) = base("prod.sealed.toml");
    let rotated: String = old.chars().map(rotate).collect();
    repo.home.write("data", &rotated);
    repo.commit("data");
    repo.git_ok(&["tag", "-f", "good"]);
    repo.git_ok(&["rm", "-q", "prod.sealed.toml"]);
    repo.git_ok(&["config", "filter.rot.clean", "tr a-z b-za"]);
    repo.git_ok(&["config", "filter.rot.smudge", "tr b-za a-z"]);
    repo.home.write(".gitattributes", "data filter=rot\n");
    repo.git_ok(&["add", ".gitattributes"]);
    std::fs::remove_file(repo.home.at("data")).unwrap();
    repo.git_ok(&["checkout", "--", "data"]);
    assert_eq!(repo.home.read("data"), old);
    repo.git_ok(&["commit", "-q", "--no-verify", "-m", "branch"]);
    // At the revision, the file is another text, so nothing vouches for what it has become.
    let ran = repo.run(&["verify", "--since", "good", "--pin", &pin]);
    assert!(ran.code != 0 && ran.err.contains("data"), "{}{}", ran.out, ran.err);
}

fn rotate(letter: char) -> char {
    match letter {
        'a'..='y' => char::from(letter as u8 + 1),
        'z' => 'a',
        other => other,
    }
}

#[test]
fn since_follows_new_links_and_names_those_that_it_does_not_examine() {
    // A link to an old copy that the revision has too.
    for fate in ["gone", "kept"] {
        let (repo, _, pin) = base("prod.sealed.toml");
        if fate == "gone" {
            repo.git_ok(&["rm", "-q", "prod.sealed.toml"]);
        }
        std::os::unix::fs::symlink("keep.bak", repo.home.at("conf")).unwrap();
        refused(&repo, &pin, &["conf", OLD]);
    }
    // A link out of the repository, a link to a folder, and a submodule.
    let (repo, old, pin) = base("prod.sealed.toml");
    std::fs::create_dir_all(repo.home.at("out")).unwrap();
    repo.home.write("out/app.sealed.toml", &old);
    std::os::unix::fs::symlink("/etc/hostname", repo.home.at("outside")).unwrap();
    std::os::unix::fs::symlink("out", repo.home.at("folder")).unwrap();
    let commit = repo.git_ok(&["rev-parse", "HEAD"]);
    let link = format!("160000,{},module", commit.trim());
    repo.git_ok(&["add", "-A"]);
    repo.git_ok(&["update-index", "--add", "--cacheinfo", &link]);
    let args = ["verify", "--since", "good", "--pin", &pin];
    let ran = repo.run(&args);
    assert!(ran.code == 0 && !ran.err.contains("not examined"), "{}", ran.err);
    // If no sealed file is gone, they are no reason for a warning.
    repo.git_ok(&["rm", "-q", "prod.sealed.toml"]);
    let ran = repo.run(&args);
    assert_eq!(ran.code, 0, "{}", ran.err);
    for name in ["outside", "folder", "module"] {
        let words = format!("{name} is a new link or submodule, and was not examined");
        assert!(ran.err.contains(&words), "{name}: {}", ran.err);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn since_refuses_a_sealed_file_whose_name_is_not_utf_8() {
    use std::os::unix::ffi::OsStrExt;
    let (repo, old, pin) = base("prod.sealed.toml");
    let name = std::ffi::OsStr::from_bytes(b"conf\xff");
    std::fs::write(repo.home.path().join(name), &old).unwrap();
    repo.commit("branch");
    let ran = repo.run(&["verify", "--since", "good", "--pin", &pin]);
    assert!(ran.code != 0 && ran.err.contains("is not UTF-8"), "{}{}", ran.out, ran.err);
}
