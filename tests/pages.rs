//! Do the pages say what the program does? docs/cli.md is the program's own help; every command in docs/operations.md runs.
//!
//! In operations.md each section is one script, in a folder and a home of its own: `<!-- before … -->` is what was there already, and a block
//! after `<!-- not run: why -->` is not run.

#![allow(clippy::unwrap_used, clippy::panic)] // a test

mod support;

use std::process::Command;
use support::{Home, Ran, root, verbs};

#[test]
fn the_page_of_the_command_line_is_the_help_of_the_program() {
    let home = Home::new();
    let help = |verb: &[String]| home.ok(&verb.iter().map(String::as_str).chain(["--help"]).collect::<Vec<_>>());
    let mut page = String::from(
        "# The command line\n\nMade from the definitions of the program, as `--help` prints them. The documents of `--json` are described in\n[json-schema.json](json-schema.json); how it is lived with, day by day, in [operations.md](operations.md).\n",
    );
    let everywhere = "\nEverywhere:\n";
    page.push_str(&format!("\n```text\n{}```\n", help(&[])));
    for verb in verbs(&home) {
        let text = help(&verb);
        let (before, after) = text.split_once(everywhere).unwrap();
        // Said once, above. What follows it are the examples.
        let examples = after.split_once("\n\n").map_or("", |(_, examples)| examples);
        page.push_str(&format!("\n## bootseal {}\n\n```text\n{before}\n{examples}```\n", verb.join(" ")));
    }
    let path = root().join("docs/cli.md");
    if std::env::var_os("BOOTSEAL_WRITE_PAGES").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap() == page,
        "docs/cli.md is old: BOOTSEAL_WRITE_PAGES=1 cargo test --test pages"
    );
}

/// A section's script, and why what is left out is.
fn sections(page: &str) -> Vec<(String, String, Vec<String>)> {
    let mut sections = Vec::new();
    for section in page.split("\n## ").skip(1) {
        let (title, text) = section.split_once('\n').unwrap();
        let (mut script, mut left_out, mut skip) = (String::new(), Vec::new(), false);
        let (mut in_block, mut in_before) = (false, false);
        for line in text.lines() {
            match line {
                "```" if in_block => (in_block, skip) = (false, false),
                "```sh" => in_block = true,
                "<!-- before" => in_before = true,
                "-->" if in_before => in_before = false,
                _ if in_block && skip => {}
                _ if in_block || in_before => script.push_str(&format!("{line}\n")),
                _ => {
                    if let Some(why) = line.strip_prefix("<!-- not run: ") {
                        skip = true;
                        left_out.push(why.trim_end_matches(" -->").to_owned());
                    }
                }
            }
        }
        sections.push((title.to_owned(), script, left_out));
    }
    sections
}

#[test]
fn every_command_of_operations_runs() {
    let page = std::fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let sections = sections(&page);
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_bootseal")).parent().unwrap().display().to_string();
    let mut left_out = Vec::new();
    for (title, script, why) in sections {
        left_out.extend(why.into_iter().map(|why| format!("{title}: {why}")));
        if script.is_empty() {
            continue;
        }
        let home = Home::new();
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", &script]).current_dir(home.path()).env_clear();
        bash.env("HOME", home.path()).env("USER", "alice").env("PATH", format!("{bin}:/usr/bin:/bin"));
        for (name, value) in [
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_AUTHOR_NAME", "alice"),
            ("GIT_AUTHOR_EMAIL", "a@example.org"),
            ("GIT_COMMITTER_NAME", "alice"),
            ("GIT_COMMITTER_EMAIL", "a@example.org"),
        ] {
            bash.env(name, value);
        }
        let ran: Ran = bash.stdin(std::process::Stdio::null()).output().unwrap().into();
        assert_eq!(ran.code, 0, "{title}:\n{script}\n--- out\n{}\n--- err\n{}", ran.out, ran.err);
    }
    assert_eq!(
        left_out,
        [
            "A service does not come up at 3 am: it waits for the vendor's own page to be mended",
            "systemd credentials and the TPM: takes systemd, and a TPM for the second line",
            "Kubernetes with GitOps: takes a cluster",
        ]
    );
}
