//! A new file is compared with the files that it may be an old copy of, whatever their names are.

use super::*;

/// The vault is `name` at HEAD; returns its old text too.
fn vault_named(name: &str) -> (Repo, String) {
    let repo = Repo::new();
    if let Some((folder, _)) = name.split_once('/') {
        std::fs::create_dir(repo.home.at(folder)).unwrap();
    }
    repo.git_ok(&["mv", FILE, name]);
    repo.commit("renamed");
    let old = repo.home.read(name);
    let pin = crate::support::repo::read(&old).vault_id().to_string();
    repo.ok_as("alice", &["set", "acme.password", "-", "-f", name, "--pin", &pin], b"new");
    repo.commit("changed");
    (repo, old)
}

#[test]
fn since_recognises_an_old_copy_of_a_file_of_any_name() {
    for (name, fate) in [
        ("config/vault.toml", "gone"),
        ("config/vault.toml", "kept"),
        ("app.SEALED.toml", "gone"),
        ("app.sealed.TOML", "kept"),
        ("secrets.conf", "gone"),
        ("secrets.conf", "overwritten"),
    ] {
        let (repo, old) = vault_named(name);
        let pin = crate::support::repo::read(&old).vault_id().to_string();
        match fate {
            "gone" => drop(repo.git_ok(&["rm", "-q", name])),
            "overwritten" => repo.home.write(name, "nothing\n"),
            _ => {}
        }
        std::fs::create_dir_all(repo.home.at("config")).unwrap();
        let new = "config/new.sealed.toml";
        repo.home.write(new, &old);
        repo.git_ok(&["add", "-A"]);
        let args = ["verify", "--since", "HEAD", new, "--pin", &pin];
        not_authentic(&repo, &args, "old-generation", "an older or a different file was added");
        let check = repo.fails(&["git", "check", "--staged"], 3);
        assert!(check.contains(new), "{name}: {check}");
        // The newest version under a new name is no finding.
        repo.home.write(new, repo.git_ok(&["show", &format!("HEAD:{name}")]));
        repo.git_ok(&["add", "-A"]);
        repo.ok(&args);
    }
}

#[test]
fn since_lists_sealed_files_in_any_case() {
    let repo = Repo::new();
    repo.git_ok(&["mv", FILE, "app.SEALED.toml"]);
    assert!(repo.ok(&["verify", "--since", "HEAD"]).contains("app.SEALED.toml: good"));
}

/// Found by review: each new file was compared with each file of the base by git processes of its
/// own. Git's own trace counts them.
#[test]
fn many_new_files_need_no_git_process_for_each_pair() {
    let repo = Repo::new();
    for at in 0..6 {
        repo.home.write(&format!("base{at}.sealed.toml"), foreign(at));
    }
    repo.commit("base");
    let processes = |new: usize| {
        for at in 0..new {
            repo.home.write(&format!("new{at}.sealed.toml"), repo.text());
        }
        repo.git_ok(&["add", "-A"]);
        let trace = repo.home.at("out-trace");
        let _ = std::fs::remove_file(&trace);
        let mut command = repo.command("alice", &["verify", "--since", "HEAD"]);
        command.env("GIT_TRACE", &trace).output().unwrap();
        std::fs::read_to_string(&trace).unwrap().matches("built-in: git").count()
    };
    let (few, many) = (processes(1), processes(9));
    assert!(few > 0 && many - few <= 8, "{few} processes for 1 new file, {many} for 9");
}

fn foreign(at: usize) -> String {
    Home::with_vault(&format!("a = \"secret:{at}\"\n")).read(FILE)
}
