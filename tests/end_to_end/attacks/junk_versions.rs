//! Junk versions of the file in git: anyone who can push a branch can add them, and they neither
//! hide the good version nor stop a command.

use super::FILE;
use crate::support::repo::Repo;
use std::io::Write;
use std::process::Stdio;

/// Commits these versions of the file on the branch `pr`, which starts at `main`.
fn branch_of(repo: &Repo, versions: impl Iterator<Item = Vec<u8>>) {
    let mut git = repo.git_command("alice", &["fast-import", "--quiet", "--force"]);
    let mut child = git.stdin(Stdio::piped()).spawn().unwrap();
    let mut to = std::io::BufWriter::new(child.stdin.take().unwrap());
    for (at, version) in versions.enumerate() {
        let from = if at == 0 { "from refs/heads/main^0\n" } else { "" };
        write!(
            to,
            "commit refs/heads/pr\ncommitter a <a@b> {} +0000\ndata 1\nx\n{from}M 100644 inline {FILE}\ndata {}\n",
            1_800_000_000 + at,
            version.len()
        )
        .unwrap();
        to.write_all(&version).unwrap();
        to.write_all(b"\n").unwrap();
    }
    drop(to);
    assert!(child.wait().unwrap().success());
}

#[test]
fn thousands_of_junk_versions_do_not_hide_the_good_one() {
    let repo = Repo::new();
    let good = repo.text();
    branch_of(&repo, (0..2_500).map(|at| format!("#{at:04}\n").into_bytes()));
    repo.git_ok(&["reset", "-q", "--hard", "pr"]);
    // The author of the branch writes themselves into the list.
    std::fs::create_dir_all(repo.home.at("eve")).unwrap();
    let eve = repo.ok_as("eve", &["keygen"], b"");
    let planted = good.replace(
        "access = [\n",
        &format!(
            "access = [\n  {{ name = \"eve\", role = \"reader\", recipient = \"{}\" }},\n",
            eve.trim()
        ),
    );
    assert_ne!(planted, good);
    repo.write(&planted.replace("\"10s\"", "\"20s\""));
    let ran = repo.run(&["sign", "--yes"]);
    assert!(ran.code == 0 && ran.err.contains("against generation"), "{}", ran.err);
    assert!(repo.file().access().iter().all(|access| access.name != "eve"));
    assert_eq!(repo.get("acme.timeout"), "20s");
}

#[test]
fn large_junk_versions_on_another_branch_stop_nothing() {
    let repo = Repo::new();
    // Together they are more than the pipes and more than 256 MiB.
    let large =
        |at: usize| [format!("# {at}\n").into_bytes(), vec![b'#'; (16 << 20) - 100]].concat();
    branch_of(&repo, (0..17).map(large));
    repo.edit("\"10s\"", "\"20s\"");
    repo.ok(&["sign", "--yes"]);
    assert_eq!(repo.get("acme.timeout"), "20s");
}

#[test]
fn more_versions_than_are_checked_need_a_named_basis() {
    let repo = Repo::new();
    repo.git_ok(&["tag", "good"]);
    branch_of(&repo, (0..20_001).map(|at| format!("#{at:05}\n").into_bytes()));
    repo.git_ok(&["reset", "-q", "--hard", "pr"]);
    let good = repo.git_ok(&["show", &format!("good:{FILE}")]);
    repo.write(&good.replace("\"10s\"", "\"20s\""));
    let said = repo.fails(&["sign", "--yes"], 3);
    assert!(said.contains("too many versions") && said.contains("--against"), "{said}");
    repo.ok(&["sign", "--against", "good", "--yes"]);
    assert_eq!(repo.get("acme.timeout"), "20s");
}
