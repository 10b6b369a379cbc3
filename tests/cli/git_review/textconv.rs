//! `git textconv` gives git a text without ciphertext to compare.

use super::*;

#[test]
fn git_diff_shows_names_and_recipients_and_no_ciphertext() {
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
                let longest = (0..sealed.len() - 12).any(|at| {
                    text.contains(&sealed[at..at + 12].replacen("sealed:", "", 1)) && at > 7
                });
                assert!(!longest, "{text}");
            }
        }
        assert!(!text.contains("BEGIN AGE") && !text.contains("signature = "), "{text}");
    }
    assert!(
        shown.contains("-password = \"sealed:…") && shown.contains("+password = \"sealed:…"),
        "{shown}"
    );
    assert!(shown.contains("web1") && shown.contains(", generation 5, epoch 1"), "{shown}");
    assert!(!shown.contains("-token") && !shown.contains("+token"), "{shown}");
    // None of this asks for a key.
    std::fs::create_dir(repo.home.at("eve")).unwrap();
    assert_eq!(repo.git_as("eve", &["diff", "HEAD"]).out, shown);
}

#[test]
fn textconv_marks_an_unverified_file_and_still_hides_sealed_values() {
    let repo = Repo::new();
    let sealed = Repo::sealed(&repo.text(), "acme.password");
    // A hand edit may use a literal TOML string.
    repo.edit(&format!("\"{sealed}\""), &format!("'{sealed}'"));
    let text = repo.ok(&["git", "textconv", FILE]);
    assert!(text.starts_with("# NOT VERIFIED: "), "{text}");
    assert!(!text.contains(&sealed), "{text}");
    repo.write("<<<<<<< HEAD\nnot = = toml\n");
    assert!(repo.ok(&["git", "textconv", FILE]).contains("not = = toml"));
    repo.write("");
    assert!(repo.ok(&["git", "textconv", FILE]).contains("NOT VERIFIED"));
}

#[test]
fn textconv_reads_no_more_of_a_file_than_a_sealed_file_can_have() {
    let repo = Repo::new();
    repo.write(&format!("first = 1\n#{}\nlast = 1\n", "x".repeat(17 << 20)));
    let text = repo.ok(&["git", "textconv", FILE]);
    assert!(text.contains("\nfirst = 1\n") && !text.contains("last = 1"), "{}", &text[..200]);
    assert!(text.ends_with("because the file is larger than 16 MiB.\n"));
}
