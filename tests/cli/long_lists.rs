//! A file with very many properties floods no terminal: a few names are shown, and the rest counted.

use crate::support::repo::Repo;
use crate::support::team::{FILE, team};
use crate::support::{Home, Ran, at_a_terminal};
use serde_json::Value;

const MANY: usize = 300;

fn many() -> String {
    (0..MANY).map(|at| format!("name{at} = \"secret:value{at}\"\nplain{at} = {at}\n")).collect()
}

#[test]
fn seal_shows_some_names_of_a_long_list_and_json_has_all() {
    let home = Home::new();
    home.write("in.toml", many());
    let shown = home.ok(&["seal", "in.toml", "-o", "one.sealed.toml"]);
    assert_eq!(shown.lines().count(), 2, "{shown}");
    for line in shown.lines() {
        assert!(line.len() < 600 && line.ends_with("… and 280 more: bootseal list"), "{line}");
    }
    let all = home.ok(&["seal", "in.toml", "-o", "two.sealed.toml", "--json"]);
    let all: Value = serde_json::from_str(&all).unwrap();
    assert_eq!(all["sealed"].as_array().map(Vec::len), Some(MANY));
    assert_eq!(all["readable"].as_array().map(Vec::len), Some(MANY));
}

#[test]
fn a_removal_and_doctor_count_the_values_that_a_person_knows() {
    let home = team();
    home.write("more.toml", many());
    home.ok(&["seal", "more.toml", "-f", FILE]);
    let shown = home.ok(&["access", "remove", "bob", "--yes"]);
    assert_eq!(shown.lines().count(), 21, "{shown}");
    assert!(shown.trim_end().ends_with("more: bootseal list"), "{shown}");
    let found = home.run(&["doctor", "-f", FILE, "--json"]);
    let found: Value = serde_json::from_str(&found.out).unwrap();
    let findings = found["findings"].as_array().unwrap();
    let known: Vec<&Value> =
        findings.iter().filter(|one| one["finding"] == "known-to-removed").collect();
    let [one] = &known[..] else { panic!("{known:?}") };
    let what = one["what"].as_str().unwrap();
    assert!(what.contains("values that bob, who was removed, knows"), "{what}");
    assert!(what.contains("more") && what.len() < 600, "{what}");
}

const NAMES: usize = 300;

/// The lines of a text that begin like this.
fn lines<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(start)).collect()
}

/// A file with many sealed and readable values and logins, as an old and a new version.
fn changed() -> Home {
    let home = Home::new();
    let version = |value: &str, host: &str| -> String {
        let values = (0..NAMES).map(|at| {
            format!(
                "s{at} = \"secret:{value}{at}\"\nr{at} = \"{value}{at}\"\nm{at} = \"{value}\"\n"
            )
        });
        let logins = (0..30).map(|at| {
            format!("[login{at}]\npassword = \"secret:{value}\"\n[login{at}.login]\nurl = \"https://{host}/{at}\"\njson = {{ p = \"${{password}}\" }}\ntoken = {{ json = \"/t\" }}\n")
        });
        values.chain(logins).collect()
    };
    for (file, value, host) in [("old", "v", "a.example"), ("new", "w", "b.example")] {
        home.write("in.toml", version(value, host));
        home.ok(&["seal", "in.toml", "-o", &format!("{file}.sealed.toml")]);
    }
    home
}

#[test]
fn diff_shows_some_changes_of_each_kind_and_all_that_decide_where_a_secret_goes() {
    let home = changed();
    let files = ["old.sealed.toml", "new.sealed.toml"];
    let diff = |more: &[&str]| home.ok(&[&["diff"], &files[..], more].concat());
    let short = diff(&[]);
    assert!(short.contains("… and 310 more sealed values: bootseal diff --all\n"), "{short}");
    assert!(short.contains("… and 580 more readable values: bootseal diff --all\n"), "{short}");
    assert_eq!(lines(&short, "! login").len(), 30, "{short}");
    assert_eq!(lines(&short, "r").len() + lines(&short, "m").len(), 20, "{short}");
    assert!(short.contains("930 other changes"), "{short}");
    let all = diff(&["--all"]);
    assert_eq!(lines(&all, "r").len() + lines(&all, "m").len(), 600);
    assert!(!all.contains("more sealed values"), "{all}");
    let json: Value = serde_json::from_str(&diff(&["--json"])).unwrap();
    assert_eq!(json["properties"].as_array().unwrap().len(), 960);
    let revealed = diff(&["--reveal"]);
    assert!(lines(&revealed, "+ ").len() == 20, "{revealed}");
    assert!(revealed.ends_with("… and 310 more values: bootseal diff --reveal --all\n"));
    assert_eq!(lines(&diff(&["--reveal", "--all"]), "+ ").len(), 330);
    home.ok(&["init", "-f", "empty.sealed.toml"]);
    let names = ["diff", "--names", "old.sealed.toml", "empty.sealed.toml"];
    let ran = home.run(&names);
    assert_eq!((ran.code, ran.out.lines().count()), (1, 21), "{}", ran.out);
    assert!(ran.out.ends_with("… and 1,000 more: bootseal diff --names --all\n"), "{}", ran.out);
    assert_eq!(home.run(&[&names[..], &["--all"]].concat()).out.lines().count(), 1020);
}

#[test]
fn diff_counts_values_that_are_sealed_now_and_shows_each_that_became_readable() {
    let home = Home::new();
    let readable: String = (0..50).map(|at| format!("k{at} = \"v{at}\"\n")).collect();
    home.write("in.toml", &readable);
    home.ok(&["seal", "in.toml", "--all", "-o", "sealed.sealed.toml"]);
    home.ok(&["seal", "in.toml", "--plain", "*", "-o", "plain.sealed.toml"]);
    let sealed = home.ok(&["diff", "plain.sealed.toml", "sealed.sealed.toml"]);
    assert_eq!(sealed.matches(": sealed, ").count(), 20, "{sealed}");
    let rest = "… and 30 more values that are sealed now: bootseal diff --all\n";
    assert!(sealed.contains(rest), "{sealed}");
    let opened = home.ok(&["diff", "sealed.sealed.toml", "plain.sealed.toml"]);
    assert_eq!(opened.matches(": made readable, ").count(), 50, "{opened}");
}

#[test]
fn an_edit_and_a_comparison_with_a_revision_count_what_they_leave_out() {
    let repo = Repo::new();
    let more: String = (0..50).map(|at| format!("n{at} = {at}\n")).collect();
    repo.home.write(
        "editor",
        format!("#!/bin/sh\n{{ printf '%s' '{more}'; cat \"$1\"; }} > t\ncat t > \"$1\"\nrm t\n"),
    );
    let path = repo.home.at("editor");
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut edit = repo.home.command(&["edit"]);
    let ran: Ran =
        edit.env("EDITOR", "./editor").env("PATH", "/usr/bin:/bin").output().unwrap().into();
    assert!(ran.code == 0 && ran.err.contains("… and 30 more readable values"), "{ran:?}");
    let since = repo.ok(&["verify", "--since", "HEAD", FILE]);
    assert!(since.contains("… and 30 more readable values: bootseal diff --all"), "{since}");
    let markdown = repo.ok(&["verify", "--since", "HEAD", "--format", "markdown", FILE]);
    assert!(markdown.contains("- … and 30 more readable values"), "{markdown}");
}

#[test]
fn git_check_prints_the_worst_findings_and_counts_the_others() {
    let repo = Repo::new();
    for at in 0..30 {
        repo.home.write(&format!("a{at}.txt"), "x first-password x\n");
    }
    let sealed = repo.home.read(FILE);
    repo.home.write("z.sealed.toml", sealed.replace("title = \"shop\"", "title = \"shoq\""));
    repo.git_ok(&["add", "-A"]);
    let ran = repo.run(&["git", "check", "--staged"]);
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert!(ran.err.lines().next().unwrap().contains("z.sealed.toml"), "{}", ran.err);
    assert!(
        ran.err.ends_with("… and 11 more findings: bootseal git check --json\n"),
        "{}",
        ran.err
    );
    assert_eq!(ran.err.matches(".txt: contains").count(), 19, "{}", ran.err);
    let json = repo.run(&["git", "check", "--staged", "--json"]);
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["findings"].as_array().unwrap().len(), 31);
}

#[test]
fn doctor_verify_and_the_verbs_that_change_count_broken_profiles() {
    let broken: String = (0..50)
        .map(|at| format!("[p{at}]\nx = \"secret:x\"\n[p{at}.login]\nurl = \"https://a.example/\"\nmetohd = \"POST\"\n"))
        .collect();
    let home = Home::with_vault(&broken);
    for args in [&["verify"][..], &["verify", "--json"]] {
        let ran = home.run(args);
        let count = ran.err.matches("metohd").count();
        let is_json = args.len() > 1;
        assert_eq!(count >= 50, is_json, "{args:?} {count}: {}", ran.err);
        assert_eq!(
            ran.err.contains("… and 30 more warnings of this kind"),
            !is_json,
            "{}",
            ran.err
        );
    }
    let found = home.run(&["doctor", "-f", FILE]);
    let counted = "… and 30 more of the kind profile: bootseal doctor --json\n";
    assert!(found.out.contains(counted), "{}", found.out);
    let ran = home.run(&["login", "nothing"]);
    assert!(ran.err.contains("… and 30 more"), "{}", ran.err);
}

#[test]
fn messages_that_name_files_or_properties_are_short() {
    let home = Home::new();
    for at in 0..50 {
        home.write("in.toml", "a = 1\n");
        home.ok(&["seal", "in.toml", "-o", &format!("f{at}.sealed.toml"), "-q"]);
    }
    let ran = home.run(&["list"]);
    assert!(ran.err.contains("has several sealed files") && ran.err.contains("… and 30 more"));
    let ran = home.run(&["unset", "a", "-f", "*.sealed.toml"]);
    assert!(ran.code == 0 && ran.err.contains("… and 30 more"), "{}", ran.err);
    let ran = home.run(&["access", "list", "-f", "*.sealed.toml"]);
    assert!(ran.out.contains("… and 30 more"), "{}", ran.out);
    // At a terminal, the known vaults are counted; a pipe gets all.
    assert_eq!(home.ok(&["vaults"]).matches("sealed.toml").count(), 50);
    if let Some((_, seen, _)) = at_a_terminal(&home, &["vaults"], &[]) {
        assert_eq!(seen.matches("sealed.toml").count(), 20, "{seen}");
        assert!(seen.ends_with("… and 30 more vaults: bootseal vaults | less\n"), "{seen}");
    }
    let bytes = Home::with_vault("a = 1\n");
    bytes.write("raw", b"\xff\x00");
    for at in 0..25 {
        bytes.ok(&["set", &format!("b{at}"), "--from-file", "raw"]);
    }
    let ran = bytes.run(&["export"]);
    assert_eq!(ran.err.matches("contains bytes").count(), 20, "{}", ran.err);
    assert!(ran.err.contains("… and 5 more warnings of this kind"), "{}", ran.err);
    let ran = bytes.run(&["exec", "--", "true"]);
    assert_eq!(ran.err.matches("NUL byte").count(), 20, "{}", ran.err);
    assert!(ran.err.contains("… and 5 more warnings of this kind"), "{}", ran.err);
}

#[test]
fn seal_counts_placeholders_and_replaced_values() {
    let home = Home::with_vault("a = 1\n");
    let text: String = (0..50).map(|at| format!("k{at}=${{X}}\n")).collect();
    home.write("in.properties", text);
    let ran = home.run(&["seal", "in.properties", "-f", FILE]);
    assert_eq!(ran.err.matches("taken literally").count(), 20, "{}", ran.err);
    assert!(ran.err.contains("… and 30 more warnings of this kind"), "{}", ran.err);
    let ran = home.run(&["seal", "in.properties", "-f", FILE]);
    let replaced = ran.err.lines().find(|line| line.contains("replaced: ")).unwrap();
    assert!(replaced.ends_with("… and 30 more"), "{replaced}");
    let json = home.run(&["seal", "in.properties", "-f", FILE, "--json"]);
    assert_eq!(json.err.matches("taken literally").count(), 50, "{}", json.err);
}

#[test]
fn seal_names_what_looks_like_a_secret_and_stays_readable() {
    let home = Home::new();
    let rest: String = (0..30).map(|at| format!("k{at}_token: t{at}\n")).collect();
    home.write(
        "in.yaml",
        format!("db_password: hunter2\nusers: [{{ name: a, password: pa }}]\nport: 1\n{rest}"),
    );
    let warned = |args: &[&str]| -> Option<String> {
        let ran = home.run(&[&["seal", "in.yaml", "-o", "x.sealed.toml"], args].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        std::fs::remove_file(home.at("x.sealed.toml")).unwrap();
        let mut lines = ran.err.lines();
        lines.find(|line| line.contains("like a secret by name or by shape")).map(str::to_owned)
    };
    let line = warned(&["--only", "db_password"]).unwrap();
    assert!(line.contains("users (because of users[0].password), k0_token"), "{line}");
    assert!(line.contains("… and 11 more") && !line.contains("port"), "{line}");
    assert!(!line.contains("hunter2") && !line.contains("pa,"), "{line}");
    // Nothing is said of what is named, or if everything is sealed that looks so.
    assert_eq!(warned(&["--only", "db_password", "--plain", "*token", "--plain", "users"]), None);
    assert_eq!(warned(&["--suggested"]), None);
    assert_eq!(warned(&["--all"]), None);
    assert_eq!(warned(&[]), None);
    // In a file with marks too.
    home.write("in.toml", "a = \"secret:x\"\npassword = \"hunter2\"\n");
    let ran = home.run(&["seal", "in.toml"]);
    assert!(ran.err.contains("shape: password. To seal"), "{}", ran.err);
}
