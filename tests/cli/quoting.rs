//! Commands in hints: a shell that runs them finds the same names, whatever characters are in them.

use crate::support::repo::Repo;
use crate::support::{Home, Ran};
use std::path::Path;
use std::process::Command;

/// A folder, file, table and value that a shell would take apart, or run.
const NAME: &str = "$(touch ran) it's; `x` \"q\"";

/// The words of a command in a text, as a shell reads them: from `start` to the end of the line.
fn words(text: &str, start: &str) -> Vec<String> {
    let at = text.find(start).unwrap_or_else(|| panic!("no {start:?} in {text}"));
    let line = text[at..].lines().next().unwrap();
    shlex::split(line).unwrap_or_else(|| panic!("a quote is not closed: {line}"))
}

fn property() -> String {
    format!("acme.\"{}\"", NAME.replace('"', "\\\""))
}

fn vault() -> (Home, String) {
    let home = Home::new();
    let file = format!("{NAME}.sealed.toml");
    home.write(
        "in.toml",
        format!("[acme]\nuser = \"secret:bob\"\n{} = \"plain\"\n", &property()[5..]),
    );
    home.ok(&["seal", "in.toml", "-o", &file]);
    std::fs::remove_file(home.at("in.toml")).unwrap();
    (home, file)
}

#[test]
fn hints_quote_properties_and_files() {
    let (home, file) = vault();
    let property = property();
    let ran = home.run(&["set", &property, "hunter2"]);
    assert_eq!(words(&ran.err, "bootseal set ")[2].trim_end_matches("),"), property);
    let ran = home.run(&["doctor", "-f", &file]);
    let named = words(&ran.out, "bootseal ");
    assert!(named.contains(&file), "{named:?}: {}", ran.out);
}

#[test]
fn the_mode_of_a_key_file_is_fixed_by_the_command_in_the_hint() {
    let (home, file) = vault();
    let key = format!("{NAME}.key");
    home.ok(&["keygen", "-o", &key]);
    std::fs::set_permissions(home.at(&key), std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .unwrap();
    let ran = home.run(&["list", "-f", &file, "-i", &key]);
    assert_eq!(words(&ran.err, "chmod "), ["chmod", "600", &key]);
    let line = ran.err.lines().find(|line| line.trim_start().starts_with("chmod")).unwrap();
    run_in_a_shell(home.path(), line);
    assert_eq!(home.ok(&["keygen", "-y", &key]).lines().count(), 1);
    assert!(!home.at("ran").exists());
}

fn run_in_a_shell(folder: &Path, line: &str) {
    let ran: Ran =
        Command::new("sh").args(["-c", line]).current_dir(folder).output().unwrap().into();
    assert_eq!(ran.code, 0, "{line}: {}", ran.err);
}

#[test]
fn a_file_whose_name_begins_with_a_dash_is_no_option_in_a_hint() {
    let home = Home::new();
    home.ok(&["keygen", "-o", "./-f.key"]);
    std::fs::set_permissions(
        home.at("-f.key"),
        std::os::unix::fs::PermissionsExt::from_mode(0o644),
    )
    .unwrap();
    let ran = home.run(&["keygen", "-y", "./-f.key"]);
    assert_eq!(words(&ran.err, "chmod "), ["chmod", "600", "./-f.key"]);
}

#[test]
fn hints_of_the_git_verbs_quote_files() {
    let repo = Repo::without_setup();
    let name = format!("{NAME}.toml");
    repo.home.write(&name, "a = \"secret:1\"\n");
    repo.git_ok(&["add", "-A"]);
    let ran = repo.run(&["git", "check"]);
    let text = [ran.out, ran.err].concat();
    assert_eq!(words(&text, "bootseal seal "), ["bootseal", "seal", &name]);
    // The command for another repository.
    let inner = repo.home.at(NAME);
    std::fs::create_dir(&inner).unwrap();
    repo.git_ok(&["init", "-q", inner.to_str().unwrap()]);
    std::fs::copy(repo.home.at("app.sealed.toml"), inner.join("b.sealed.toml")).unwrap();
    let ran =
        repo.run(&["verify", "--since", "HEAD", inner.join("b.sealed.toml").to_str().unwrap()]);
    let to = words(&ran.err, "cd ");
    assert!(to.len() == 2 && to[1].ends_with(NAME), "{to:?}: {}", ran.err);
}
