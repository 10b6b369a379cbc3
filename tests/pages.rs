//! Do the pages say what the program does? docs/cli.md is the program's own help; every command in docs/operations.md runs.
//!
//! In operations.md each section is one script, in a folder and a home of its own: `<!-- before … -->` is what was there already, and a block
//! after `<!-- not run: why -->` is not run.

#![allow(clippy::unwrap_used, clippy::panic)] // a test

mod support;
#[path = "support/vendor.rs"]
mod vendor;

use bootseal::Loader;
use std::collections::HashMap;
use std::process::Command;
use support::{Home, Ran, root, verbs};
use vendor::{Process, get};

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

fn typed(home: &Home, title: &str, script: &str) {
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_bootseal")).parent().unwrap().display().to_string();
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", script]).current_dir(home.path()).env_clear();
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

#[test]
fn every_command_of_operations_runs() {
    let page = std::fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let sections = sections(&page);
    let mut left_out = Vec::new();
    for (title, script, why) in sections {
        left_out.extend(why.into_iter().map(|why| format!("{title}: {why}")));
        if script.is_empty() {
            continue;
        }
        typed(&Home::new(), &title, &script);
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

/// The page's own commands, while a service runs against a vendor that takes the new password between them.
#[test]
fn a_password_rotated_on_friday_evening_costs_one_refused_login_and_no_call() {
    let mut acme = Process::python("simplejwt.py", ["svc", "old"], &[]);
    let page = std::fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let (friday, rest) = page.split_once("Now it is changed at the vendor.").unwrap();
    let monday = rest.split("\n## ").next().unwrap();
    let friday = friday.replace("https://acme.example", &acme.url(""));
    let (_, script, _) = sections(&friday).pop().unwrap();
    let (before, script) = script.split_once("rm app.toml\n").unwrap();
    let before = before.replacen("[acme.login]\n", &format!("[acme.login]\n{}", acme.ca_line()), 1);
    let (_, after, _) = sections(&format!("\n## Monday\n{monday}")).pop().unwrap();

    let home = Home::new();
    typed(&home, "before", &before);
    let key = home.at(".config/bootseal/identity.txt");
    let start = || {
        let loader = Loader::exactly(home.at("app.sealed.toml")).identity_file(&key).environment(HashMap::new());
        loader.pin(&home.vault()).unwrap().load().unwrap()
    };
    let login = || home.run(&["login", "acme", "--json"]).code;
    let service = start();
    let (client, url) = (service.token_source("acme").unwrap().client(), acme.url("/api/whoami/"));
    assert_eq!(get(&client, &url).unwrap(), 200);

    typed(&home, "Friday", script);
    service.reload().unwrap();
    assert_eq!((get(&client, &url).unwrap(), login()), (200, 0), "nothing has changed at the vendor yet");
    assert_eq!(acme.counted(["refused"]), [0]);

    let new = home.ok(&["get", "acme.password_next"]);
    acme.tell(&serde_json::json!({ "do": "password", "password": new }));
    acme.order("revoke-all");
    for _ in 0..3 {
        assert_eq!(get(&client, &url).unwrap(), 200);
    }
    assert_eq!(acme.counted(["refused"]), [1], "refused once with the old one");
    let started_now = start().token_source("acme").unwrap().client();
    assert_eq!(get(&started_now, &url).unwrap(), 200, "one that starts now goes over as well");
    assert_eq!(login(), 0, "and so does whoever looks");

    typed(&home, "Monday", &after);
    let refused = acme.counted(["refused"]);
    service.reload().unwrap();
    acme.order("revoke-all");
    assert_eq!((get(&client, &url).unwrap(), login()), (200, 0));
    assert_eq!(acme.counted(["refused"]), refused, "the old one is never tried again");
}
