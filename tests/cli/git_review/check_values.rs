//! `git check` finds the very value that is sealed, its name in any settings format, and private
//! keys of every kind.

use super::*;

/// The findings of `git check --staged` after these files are added, one text for each.
fn said(repo: &Repo, files: &[(&str, &str)]) -> String {
    for (name, text) in files {
        let path = repo.home.at(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    repo.git_ok(&["add", "-A"]);
    let ran = repo.run(&["git", "check", "--staged"]);
    let tree = repo.run(&["git", "check"]);
    assert_eq!((ran.code, &ran.err), (tree.code, &tree.err), "the index and the tree");
    assert!(!ran.err.contains("first-password"), "{}", ran.err);
    repo.git_ok(&["reset", "-q"]);
    for (name, _) in files {
        std::fs::remove_file(repo.home.at(name)).unwrap();
    }
    ran.err
}

#[test]
fn check_finds_the_value_that_is_sealed_in_any_file() {
    let repo = Repo::new();
    // `acme.password` is `first-password`.
    for (name, text, words) in [
        ("README.md", "x\ny `first-password`\n", "in line 2"),
        ("src/main.rs", "const P: &str = \"first-password\";\n", "in line 1"),
        ("k8s.yaml", "data: {x: Zmlyc3QtcGFzc3dvcmQ=}\n", "acme.password in base64"),
        ("no-ending", "\0\u{1}first-password\0", "in line 1"),
    ] {
        let said = said(&repo, &[(name, text)]);
        assert!(
            said.starts_with(&format!("bootseal: {name}: contains the value of acme.password")),
            "{said}"
        );
        assert!(said.contains(words) && said.contains("sealed in app.sealed.toml"), "{said}");
        // The advice fits: the file is not the problem, the value in it is.
        assert!(
            said.contains("bootseal set acme.password") && !said.contains("gitignore"),
            "{said}"
        );
    }
    let late = format!("{}\nfirst-password\n", "x".repeat(3 << 20));
    assert!(said(&repo, &[("big.log", &late)]).contains("the value of acme.password"));
    assert_eq!(said(&repo, &[("a.md", "first-passwor\n"), ("b.md", "password\n")]), "");
}

#[test]
fn check_finds_a_value_that_a_format_writes_with_escapes() {
    let repo = Repo::new();
    repo.set("acme.note", "two \"lines\"\nüber alles");
    repo.commit("note");
    for (name, text) in [
        ("x.json", "{\"x\": \"two \\\"lines\\\"\\nüber alles\"}"),
        ("x.yaml", "x: |-\n  two \"lines\"\n  über alles\n"),
        ("x.properties", "x = two \"lines\"\\n\\u00fcber alles\n"),
        ("x.txt", "https://x/?q=two+%22lines%22%0A%C3%BCber+alles"),
    ] {
        let said = said(&repo, &[(name, text)]);
        assert!(said.contains("contains the value of acme.note"), "{name}: {said}");
    }
}

#[test]
fn check_needs_no_key_and_never_asks_for_one() {
    let repo = Repo::new();
    std::fs::rename(repo.identity(), repo.home.at("elsewhere")).unwrap();
    repo.home.write("README.md", "first-password\n");
    repo.git_ok(&["add", "README.md"]);
    repo.ok(&["git", "check", "--staged"]);
    std::fs::rename(repo.home.at("elsewhere"), repo.identity()).unwrap();
    assert_eq!(repo.run(&["git", "check", "--staged"]).code, 1);
}

#[test]
fn check_finds_the_name_of_a_sealed_secret_in_any_settings_format() {
    let repo = Repo::new();
    for (name, text, found) in [
        ("conf/other.yaml", "acme: {password: hunter2}\n", "acme.password"),
        ("conf/other.json", "{\"acme\": {\"password\": \"hunter2\"}}", "acme.password"),
        ("other.properties", "acme.password=hunter2\n", "acme.password"),
        ("other.toml", "acme.password = 'hunter2'\n", "acme.password"),
        (".env.local", "ACME_PASSWORD=hunter2\n", "ACME_PASSWORD"),
        (
            "compose.yaml",
            "services: {web: {environment: {ACME_PASSWORD: hunter2}}}\n",
            "services.web.environment.ACME_PASSWORD",
        ),
        (
            "compose.yml",
            "services: {web: {environment: [A=b, ACME_PASSWORD=hunter2]}}\n",
            "ACME_PASSWORD",
        ),
    ] {
        let said = said(&repo, &[(name, text)]);
        let words = format!("bootseal: {name}: contains {found} in the clear, which is sealed ");
        assert!(said.starts_with(&words) && said.contains("in app.sealed.toml"), "{name}: {said}");
        assert!(
            !said.contains("hunter2") && said.contains("Remove the value from this file"),
            "{said}"
        );
    }
    for (name, text) in [
        ("other.yaml", "acme: {password: '${ACME_PASSWORD}'}\n"),
        ("other.yaml", "acme: {password: ''}\nother: {password: x}\n"),
        (".env.example", "ACME_PASSWORD=<yours>\n"),
        (".env.sample", "ACME_PASSWORD=changeme\n"),
        (".env.refs", "ACME_PASSWORD=bootseal:acme.password\n"),
        ("compose.yaml", "services: {web: {environment: [ACME_PASSWORD]}}\n"),
        ("notes.md", "acme.password = hunter2\n"),
        ("package.json", "{\"name\": \"shop\", \"version\": \"1.0.0\"}"),
    ] {
        assert_eq!(said(&repo, &[(name, text)]), "", "{name}");
    }
}

#[test]
fn check_finds_private_keys_of_every_kind_in_any_file() {
    let repo = Repo::new();
    let dashes = "-----";
    let body = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g";
    let late = format!("{}\n{dashes}BEGIN PRIVATE KEY{dashes}\n{body}\n", "x".repeat(2 << 20));
    let ssh = repo.home.at("key");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&ssh)
        .status();
    let ssh = match made.is_ok_and(|status| status.success()) {
        true => repo.home.read("key"),
        false => format!("{dashes}BEGIN OPENSSH PRIVATE KEY{dashes}\n{body}\n"),
    };
    let _ = std::fs::remove_file(repo.home.at("key"));
    let _ = std::fs::remove_file(repo.home.at("key.pub"));
    for (name, text, kind) in [
        ("id", ssh.as_str(), "an SSH private key"),
        ("late.bin", &late, "a private key (PKCS#8)"),
        (
            "service.json",
            &format!("{{\"private_key\": \"{dashes}BEGIN PRIVATE KEY{dashes}\\n{body}\\n\"}}"),
            "a private key (PKCS#8)",
        ),
        ("plugin.txt", "AGE-PLUGIN-YUBIKEY-1QJK2QQQZPQQQ\n", "an identity of an age plugin"),
    ] {
        let said = said(&repo, &[(name, text)]);
        assert!(
            said.starts_with(&format!("bootseal: {name}: contains {kind} in the clear")),
            "{said}"
        );
        assert!(said.contains("replace the key") && said.contains("git rm --cached"), "{said}");
    }
    // Also in the readable part of a sealed file.
    repo.change(|vault| {
        let key = format!("{dashes}BEGIN PRIVATE KEY{dashes}\n{body}\n{dashes}END");
        vault.set_readable(&"tls.key".parse().unwrap(), &key.into()).unwrap();
    });
    repo.git_ok(&["add", "-A"]);
    let said = repo.fails(&["git", "check", "--staged"], 1);
    assert!(said.contains("app.sealed.toml: contains a private key (PKCS#8)"), "{said}");
}

#[test]
fn check_keeps_the_rules_of_a_file() {
    let repo = Repo::new();
    repo.change(|vault| {
        let names = toml::Value::Array(vec!["*password*".into(), "*.secret".into()]);
        vault.set_readable(&"seal.names".parse().unwrap(), &names).unwrap();
    });
    repo.commit("rules");
    for (name, text, found) in [
        ("app.yaml", "x: {secret: hunter2}\n", "x.secret"),
        ("near.json", "{\"users\": [{\"password\": \"hunter2\"}]}", "users[0].password"),
    ] {
        let said = said(&repo, &[(name, text)]);
        assert!(
            said.starts_with(&format!(
                "bootseal: {name}: contains {found} in the clear, which matches `*"
            )),
            "{said}"
        );
        assert!(said.contains(&format!("bootseal seal {name} -f app.sealed.toml")), "{said}");
    }
    assert_eq!(said(&repo, &[("far/near.yaml", "x: {secret: hunter2}\n")]), "");
    assert_eq!(said(&repo, &[("app.yaml", "x: {secret: '${X_SECRET}'}\n")]), "");
    // A value that became readable in the signed file is a warning.
    repo.change(|vault| {
        vault.set_readable(&"x.old_password".parse().unwrap(), &"pw".into()).unwrap();
    });
    repo.commit("plain");
    let ran = repo.run(&["git", "check"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.err.contains("values that are readable already") && ran.err.contains("x.old_password"),
        "{}",
        ran.err
    );
}

#[test]
fn a_value_that_a_writer_allowed_can_be_committed() {
    let repo = Repo::new();
    repo.ok(&["set", "seal.names", "--plain", "[\"*.token\", \"*.pw\"]", "--type", "toml"]);
    repo.commit("rules");
    let commits = |names: &[&str], others: &str| {
        let ran = repo.git(&["commit", "-q", "-a", "-m", "next"]);
        let new = format!("because a writer allowed it (--allow-plain): {}.", names.join(", "));
        assert!(ran.code == 0 && ran.err.contains(&new), "{new}: {}{}", ran.out, ran.err);
        let lines: Vec<&str> = ran.err.lines().filter(|line| line.contains("already")).collect();
        assert_eq!(lines.len(), usize::from(!others.is_empty()), "{}", ran.err);
        assert!(lines.iter().all(|line| line.ends_with(others)), "{}", ran.err);
    };
    repo.ok(&["set", "b.token", "--plain", "VALUE123", "--allow-plain"]);
    commits(&["b.token"], "");
    repo.home.write("more.toml", "[c]\npw = 'VALUE456'\n[d]\npw = 'VALUE789'\n");
    repo.ok(&["seal", "more.toml", "-f", FILE, "--plain", "*", "--allow-plain", "--yes"]);
    std::fs::remove_file(repo.home.at("more.toml")).unwrap();
    commits(&["c.pw", "d.pw"], ": b.token");
    repo.edit("[c]\n", "[c]\ntoken = \"VALUE012\"\n");
    // The signature is what says that a writer allowed it.
    let ran = repo.git(&["commit", "-q", "-a", "-m", "next"]);
    assert!(ran.code == 1 && ran.err.contains("bootseal sign"), "{}{}", ran.out, ran.err);
    repo.ok(&["sign", "--yes", "--allow-plain"]);
    commits(&["c.token"], ": b.token, c.pw, d.pw");
    repo.ok(&["git", "check"]);
}

#[test]
fn every_finding_begins_with_its_file() {
    let repo = Repo::new();
    repo.edit("# Acme payments", "# Acme payments: first-password");
    repo.ok(&["sign", "--yes"]);
    // The name of this file occurs in the message by chance.
    repo.home.write("acme", "first-password\n");
    // A message with the path of the file begins with it.
    repo.home.write("old.sealed.toml", repo.git_ok(&["show", &format!("HEAD:{FILE}")]));
    repo.git_ok(&["add", "-A"]);
    for args in [&["git", "check"][..], &["git", "check", "--staged"]] {
        let said = repo.fails(args, 1);
        let lines = said.lines().filter(|line| line.starts_with("bootseal: "));
        let mut lines: Vec<&str> = lines.collect();
        lines.sort_unstable();
        let value = "contains the value of acme.password in the clear, which is sealed in ";
        assert_eq!(lines.len(), 3, "{said}");
        assert!(lines[0].starts_with(&format!("bootseal: acme: {value}")), "{said}");
        let both = format!("bootseal: {FILE} and old.sealed.toml belong to one vault");
        assert!(lines[1].starts_with(&both), "{said}");
        assert!(lines[2].starts_with(&format!("bootseal: {FILE}: {value}")), "{said}");
        assert!(lines[2].ends_with(", in line 1"), "{said}");
    }
}

#[test]
fn a_thousand_files_beside_a_hundred_values_are_checked_by_one_process() {
    let repo = Repo::new();
    repo.change(|vault| {
        for at in 0..100 {
            let value = bootseal_core::Secret::copy_of(format!("value-number-{at:03}").as_bytes());
            let path = format!("many.password{at}").parse().unwrap();
            vault
                .set(&path, bootseal_core::ValueKind::Text, &value.unwrap(), 1_700_000_000)
                .unwrap();
        }
    });
    repo.commit("values");
    let line = "some ordinary text of a file, with a password in it, value-number-\n";
    for at in 0..1000 {
        let leak = if at == 777 { "value-number-042\n" } else { "" };
        repo.home.write(
            &format!("f{at}.yaml"),
            format!("text: |\n  {}{leak}", line.repeat(150)).replace('\n', "\n  "),
        );
    }
    repo.git_ok(&["add", "-A"]);
    let ran = repo.run(&["git", "check", "--staged"]);
    assert!(ran.code == 1 && ran.err.lines().count() == 2, "{}", ran.err);
    assert!(
        ran.err.starts_with("bootseal: f777.yaml: contains the value of many.password42"),
        "{}",
        ran.err
    );
}
