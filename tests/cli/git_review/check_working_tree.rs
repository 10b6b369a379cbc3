//! The hook finds values that are sealed in the working tree, and values that a commit seals, in
//! files that it does not change.

use super::*;

/// Expects that the hook refuses the commit of what is staged, because of the value in a file.
fn leaks(repo: &Repo, file: &str, property: &str) {
    let ran = repo.git(&["commit", "-q", "-m", "leak"]);
    let words = format!("bootseal: {file}: contains the value of {property} in the clear");
    assert!(ran.code == 1 && ran.err.contains(&words), "{words}: {}{}", ran.out, ran.err);
    assert!(!ran.err.contains("SuperSecret"), "{}", ran.err);
}

fn commits(repo: &Repo, args: &[&str]) {
    repo.git_ok(&[&["commit", "-q", "-m", "next"], args].concat());
}

#[test]
fn a_value_is_found_before_its_vault_is_staged() {
    let repo = Repo::new();
    repo.set("acme.extra", "SuperSecretValue99");
    repo.home.write("notes.txt", "SuperSecretValue99\n");
    repo.git_ok(&["add", "notes.txt"]);
    leaks(&repo, "notes.txt", "acme.extra");
    // The name of a secret too.
    repo.set("db.password", "p");
    repo.home.write("notes.txt", "none\n");
    repo.home.write("other.yaml", "db: {password: hunter2}\n");
    repo.git_ok(&["add", "notes.txt", "other.yaml"]);
    let said = repo.fails(&["git", "check", "--staged"], 1);
    assert!(said.starts_with("bootseal: other.yaml: contains db.password in the clear"), "{said}");
    repo.git_ok(&["rm", "-q", "--cached", "other.yaml"]);
    // A vault that does not verify there is no concern of this commit.
    repo.home.write(FILE, repo.text().replace("generation", "generations"));
    commits(&repo, &[]);
}

#[test]
fn a_new_vault_and_an_ignored_one_count_before_git_has_them() {
    let repo = Repo::new();
    for (vault, ignored) in [("conf/new.sealed.toml", ""), ("local.sealed.toml", "/local.*\n")] {
        std::fs::create_dir_all(repo.home.at("conf")).unwrap();
        repo.ok(&["init", "--like", FILE, "-f", vault, "--yes"]);
        repo.ok_as("alice", &["set", "x.code", "-f", vault], b"SuperSecretValue77");
        repo.home.write(".gitignore", ignored);
        repo.home.write("notes.txt", "code: SuperSecretValue77\n");
        repo.git_ok(&["add", "notes.txt"]);
        leaks(&repo, "notes.txt", "x.code");
        let said = repo.fails(&["git", "check"], 1);
        assert!(said.contains("notes.txt: contains the value of x.code"), "{said}");
        repo.git_ok(&["rm", "-q", "-f", "notes.txt"]);
        std::fs::remove_file(repo.home.at(vault)).unwrap();
    }
}

#[test]
fn the_whole_index_is_searched_for_values_that_a_commit_adds() {
    let repo = Repo::new();
    repo.home.write("notes.txt", "x\nSuperSecretValue99\n");
    repo.home.write("conf.json", "{\"x\": \"Super\\u0053ecret \\\"Value\\\"\"}\n");
    repo.commit("before it is sealed");
    repo.set("acme.extra", "SuperSecretValue99");
    repo.set("acme.other", "SuperSecret \"Value\"");
    repo.git_ok(&["add", FILE]);
    leaks(&repo, "notes.txt", "acme.extra");
    leaks(&repo, "conf.json", "acme.other");
    // What the working tree has does not matter, only what git has.
    repo.home.write("notes.txt", "x\n");
    repo.home.write("conf.json", "{}\n");
    leaks(&repo, "notes.txt", "acme.extra");
    commits(&repo, &["-a"]);
}

#[test]
fn a_value_that_was_sealed_before_does_not_stop_an_unrelated_commit() {
    let repo = Repo::new();
    repo.home.write("notes.txt", "first-password\n");
    repo.commit("an old leak");
    repo.set("acme.extra", "another value");
    commits(&repo, &["-a"]);
    // New keys, and other names of the property and of the file.
    repo.ok(&["access", "remove", "app", "--yes"]);
    commits(&repo, &["-a"]);
    repo.ok(&["rename", "acme.password", "acme.old", "--yes"]);
    commits(&repo, &["-a"]);
    std::fs::create_dir(repo.home.at("conf")).unwrap();
    repo.git_ok(&["mv", FILE, "conf/main.sealed.toml"]);
    commits(&repo, &["-a"]);
    assert_eq!(repo.run(&["git", "check"]).code, 1);
}

#[test]
fn a_thousand_unchanged_files_are_searched_for_a_hundred_new_values() {
    let repo = Repo::new();
    let line = "some ordinary text of a file, with a password in it, value-number-\n";
    for at in 0..1000 {
        let leak = if at == 777 { "value-number-042\n" } else { "" };
        repo.home.write(&format!("f{at}.txt"), line.repeat(150) + leak);
    }
    repo.commit("files");
    repo.change(|vault| {
        for at in 0..100 {
            let value = bootseal_core::Secret::copy_of(format!("value-number-{at:03}").as_bytes());
            let path = format!("many.password{at}").parse().unwrap();
            let text = bootseal_core::ValueKind::Text;
            vault.set(&path, text, &value.unwrap(), 1_700_000_000).unwrap();
        }
    });
    repo.git_ok(&["add", "-A"]);
    let said = repo.fails(&["git", "check", "--staged"], 1);
    let words = "bootseal: f777.txt: contains the value of many.password42";
    assert!(said.starts_with(words) && said.lines().count() == 2, "{said}");
}
