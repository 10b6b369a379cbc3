//! The pages match the program: docs/cli.md is its help, and every command in docs/operations.md
//! runs.
//!
//! In operations.md each section is one script with its own folder and home; `<!-- before … -->` is
//! its setup.

use crate::support::{Home, Ran, root, verbs};
use crate::vendor::{Process, get};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bootseal::Loader;
use serde_json::Value;
use std::collections::HashMap;
use std::process::Command;

#[test]
fn cli_md_is_the_help_of_the_program() {
    let home = Home::new();
    let help = |verb: &[String]| {
        home.ok(&verb.iter().map(String::as_str).chain(["--help"]).collect::<Vec<_>>())
    };
    let mut page = String::from(
        "# The command line\n\nThis page is generated: it contains the output of `--help` for each command. [json-schema.json](json-schema.json)\ndescribes the documents of `--json`; [operations.md](operations.md) has the commands for common tasks.\n",
    );
    let global = "\nGlobal options:\n";
    page.push_str(&format!("\n```text\n{}```\n", help(&[])));
    for verb in verbs(&home) {
        let text = help(&verb);
        let (before, after) = text.split_once(global).unwrap();
        // Left out, because it is stated once above. The examples follow.
        let examples = after.split_once("\n\n").map_or("", |(_, examples)| examples);
        page.push_str(&format!(
            "\n## bootseal {}\n\n```text\n{before}\n{examples}```\n",
            verb.join(" ")
        ));
    }
    let path = root().join("docs/cli.md");
    if std::env::var_os("BOOTSEAL_WRITE_PAGES").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap() == page,
        "docs/cli.md is old: BOOTSEAL_WRITE_PAGES=1 cargo test -p bootseal-cli --test docs_are_true"
    );
}

/// Each section's title and script.
fn sections(page: &str) -> Vec<(String, String)> {
    let mut sections = Vec::new();
    for section in page.split("\n## ").skip(1) {
        let (title, text) = section.split_once('\n').unwrap();
        let (mut script, mut inside) = (String::new(), false);
        for line in text.lines() {
            match line {
                "```sh" | "<!-- before" => inside = true,
                "```" | "-->" => inside = false,
                _ if inside => script.push_str(&format!("{line}\n")),
                _ => {}
            }
        }
        sections.push((title.to_owned(), script));
    }
    sections
}

/// The parts of a machine that systemd's credentials need: its folders and a software TPM.
const MACHINE: &str = r#"
if [ -z "${OWN_MACHINE:-}" ]; then OWN_MACHINE=1 exec unshare --user --map-root-user --mount bash -euo pipefail -c "$BASH_EXECUTION_STRING"; fi
cp -a /etc etc 2> /dev/null || true # what others may not read is not needed
mkdir -p etc/credstore.encrypted state tpm
[ -s etc/machine-id ] || echo 0123456789abcdef0123456789abcdef > etc/machine-id
mount --bind "$PWD/etc" /etc
mount --bind "$PWD/state" /var/lib/systemd
for try in 1 2 3 4 5 6 7 8 9; do
  port=$((20000 + RANDOM % 12000))
  swtpm socket --tpm2 --tpmstate dir="$PWD/tpm" --server type=tcp,port=$port --ctrl type=tcp,port=$((port + 1)) \
    --flags not-need-init,startup-clear --daemon --pid file="$PWD/swtpm.pid" && break
done
trap 'kill "$(cat swtpm.pid)"' EXIT
export SYSTEMD_TPM2_DEVICE=swtpm:host=127.0.0.1,port=$port
"#;

/// kubectl creates the objects without contacting a cluster.
const NO_CLUSTER: &str =
    "kubectl() { command kubectl \"$@\" --dry-run=client -o json >> \"$HOME/objects.json\"; }\n";

fn typed(home: &Home, title: &str, script: &str) {
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_bootseal"))
        .parent()
        .unwrap()
        .display()
        .to_string();
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", script]).current_dir(home.path()).env_clear();
    bash.env("HOME", home.path()).env("USER", "alice");
    bash.env("PATH", format!("{bin}:{}", std::env::var("PATH").unwrap()));
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
fn every_command_of_operations_md_runs() {
    let page = std::fs::read_to_string(root().join("docs/operations.md")).unwrap();
    for (title, script) in sections(&page).into_iter().filter(|(_, script)| !script.is_empty()) {
        let around = match title.as_str() {
            "systemd credentials and the TPM" => MACHINE,
            "Kubernetes with GitOps" => NO_CLUSTER,
            _ => "",
        };
        let home = Home::new();
        typed(&home, &title, &format!("{around}{script}"));
        if around == NO_CLUSTER {
            let objects = home.read("objects.json");
            let objects: Vec<Value> = serde_json::Deserializer::from_str(&objects)
                .into_iter()
                .collect::<Result<_, _>>()
                .unwrap();
            let [secret, map] = objects.as_slice() else { panic!("{objects:?}") };
            let key = secret["data"]["bootseal.key"].as_str().unwrap();
            let key = String::from_utf8(BASE64_STANDARD.decode(key).unwrap()).unwrap();
            assert!(
                key.contains("# vault: vault1") && key.contains("\nAGE-SECRET-KEY-1"),
                "no key of this vault"
            );
            assert!(
                map["data"]["app.sealed.toml"].as_str().unwrap().contains("vault = \"vault1"),
                "{map}"
            );
        }
    }
}

/// Runs the commands of the page beside a running service; the vendor's password changes between
/// them.
#[test]
fn a_password_rotated_on_friday_evening_costs_one_refused_login_and_no_call() {
    let mut acme = Process::python("simplejwt.py", ["svc", "old"], &[]);
    let page = std::fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let (friday, rest) =
        page.split_once("Then somebody changes the password at the vendor.").unwrap();
    let monday = rest.split("\n## ").next().unwrap();
    let friday = friday.replace("https://acme.example", &acme.url(""));
    let (_, script) = sections(&friday).pop().unwrap();
    let (before, script) = script.split_once("rm app.toml\n").unwrap();
    let before = before.replacen("[acme.login]\n", &format!("[acme.login]\n{}", acme.ca_line()), 1);
    let (_, after) = sections(&format!("\n## Monday\n{monday}")).pop().unwrap();

    let home = Home::new();
    typed(&home, "before", &before);
    let key = home.at(".config/bootseal/identity.txt");
    let start = || {
        let loader = Loader::exactly(home.at("app.sealed.toml"))
            .identity_file(&key)
            .environment(HashMap::new());
        loader.pin(&home.vault_id()).unwrap().load().unwrap()
    };
    let login = || home.run(&["login", "acme", "--json"]).code;
    let service = start();
    let (client, url) = (service.token_source("acme").unwrap().client(), acme.url("/api/whoami/"));
    assert_eq!(get(&client, &url).unwrap(), 200);

    typed(&home, "Friday", script);
    service.reload().unwrap();
    assert_eq!(
        (get(&client, &url).unwrap(), login()),
        (200, 0),
        "nothing has changed at the vendor yet"
    );
    assert_eq!(acme.counted(["refused"]), [0]);

    let new = home.ok(&["get", "acme.password_next"]);
    acme.tell(&serde_json::json!({ "do": "password", "password": new }));
    acme.order("revoke-all");
    for _ in 0..3 {
        assert_eq!(get(&client, &url).unwrap(), 200);
    }
    assert_eq!(acme.counted(["refused"]), [1], "the old password was refused once");
    let started_now = start().token_source("acme").unwrap().client();
    assert_eq!(
        get(&started_now, &url).unwrap(),
        200,
        "a service that starts now uses the new password too"
    );
    assert_eq!(login(), 0, "and so does `bootseal login`");

    typed(&home, "Monday", &after);
    let refused = acme.counted(["refused"]);
    service.reload().unwrap();
    acme.order("revoke-all");
    assert_eq!((get(&client, &url).unwrap(), login()), (200, 0));
    assert_eq!(acme.counted(["refused"]), refused, "the old password is never tried again");
}
