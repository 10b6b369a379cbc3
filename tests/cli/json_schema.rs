//! Every document of `--json`, and every error, is valid under docs/json-schema.json, as Python's
//! `jsonschema` checks it.

use crate::other_tools;
use crate::running::{Running, log_with};
use crate::support::repo::Repo;
use crate::support::{Home, Ran, root, team, verbs};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

/// Documents, each with the name of its definition in `$defs`.
#[derive(Default)]
struct Documents(Vec<(String, Value)>);

impl Documents {
    fn take(&mut self, name: &str, text: &str) {
        let parsed =
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}: {text:?}"));
        self.0.push((name.to_owned(), parsed));
    }

    /// Takes the output of `bootseal NAME … --json`, whatever its exit code.
    fn of(&mut self, home: &Home, name: &str, args: &[&str]) {
        let ran = home.run(&[args, &["--json"]].concat());
        assert!(!ran.out.is_empty(), "{args:?}: {ran:?}");
        self.take(name, &ran.out);
    }

    fn error(&mut self, ran: &Ran) {
        self.take("error", ran.err.lines().last().unwrap());
    }
}

fn schema() -> Value {
    serde_json::from_str(&std::fs::read_to_string(root().join("docs/json-schema.json")).unwrap())
        .unwrap()
}

/// The validation errors, a line for each invalid document.
fn validation_errors(schema: &Value, documents: &[(String, Value)]) -> String {
    const CHECK: &str = r##"
import json, sys
from jsonschema import Draft202012Validator
schema, documents = json.load(sys.stdin)
Draft202012Validator.check_schema(schema)
for name, document in documents:
    if name not in schema["$defs"]:
        print(f"{name}: there is no such definition")
        continue
    for error in Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": schema["$defs"]}).iter_errors(document):
        print(f"{name}: {error.json_path}: {error.message}")
"##;
    let python = std::env::var_os("BOOTSEAL_TEST_PYTHON")
        .map_or(root().join("target/python/bin/python"), Into::into);
    let started = Command::new(&python)
        .args(["-c", CHECK])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut child =
        started.unwrap_or_else(|error| panic!("{}: {error}; run `scripts/test`", python.display()));
    child
        .stdin
        .take()
        .unwrap()
        .write_all(json!([schema, documents]).to_string().as_bytes())
        .unwrap();
    let ran: Ran = child.wait_with_output().unwrap().into();
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.out
}

const VAULT: &str = "[acme]\nuser = \"svc\"\npassword = \"secret:hunter2\"\nlist = [\"a\", 1]\n\n[acme.login]\nurl = \"URL\"\n\
                     allow_http = true\nform = { p = \"${password}\" }\ntoken = { json = \"/t\" }\n";

/// Runs every verb that prints a document, as an operator would.
fn documents() -> Documents {
    let mut documents = Documents::default();
    let home = Home::new();
    documents.of(&home, "keygen", &["keygen", "-o", "bob.key"]);
    documents.of(&home, "keygen", &["keygen", "-y", "bob.key"]);
    documents.of(&home, "init", &["init", "-f", "empty.sealed.toml"]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    home.write("app.toml", VAULT.replace("URL", &origin));
    documents.of(&home, "seal", &["seal", "app.toml"]);
    std::fs::remove_file(home.at("app.toml")).unwrap();
    let one = ["-f", "app.sealed.toml"];
    let with = |args: &[&'static str]| [args, &one].concat();

    documents.of(&home, "set", &with(&["set", "acme.token", "--generate"]));
    documents.of(&home, "rename", &with(&["rename", "acme.token", "acme.spare"]));
    documents.of(&home, "unset", &with(&["unset", "acme.spare"]));
    home.ok(&with(&["set", "acme.one", "--plain", "1"]));
    home.ok(&with(&["set", "acme.two", "--plain", "2"]));
    documents.of(&home, "unset", &with(&["unset", "acme.one", "acme.two"]));
    for path in ["acme.password", "acme.user", "acme.list"] {
        documents.of(&home, "get", &[&["get", path][..], &one].concat());
    }
    home.write("raw", b"\xff\x00");
    home.ok(&with(&["set", "acme.raw", "--from-file", "raw"]));
    documents.of(&home, "get", &with(&["get", "acme.raw"]));
    documents.of(&home, "get-several", &with(&["get", "acme.raw", "acme.user", "acme.list"]));
    std::fs::create_dir(home.at("bin")).unwrap();
    home.write("bin/pbcopy", "#!/bin/sh\ncat > /dev/null\n");
    std::fs::set_permissions(
        home.at("bin/pbcopy"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let mut clip =
        home.command(&with(&["get", "acme.password", "--clip", "--clear-after", "0", "--json"]));
    let clip: Ran = clip
        .env("PATH", format!("{}:/usr/bin:/bin", home.at("bin").display()))
        .output()
        .unwrap()
        .into();
    documents.take("get-clip", &clip.out);
    documents.of(&home, "get-out", &with(&["get", "acme.raw", "--out", "raw.copy"]));
    let proposal = home.ok_with(
        &["propose", "acme.fresh", "--to", "app.sealed.toml", "--note", "new"],
        b"hunter3",
    );
    home.write("acme.proposal", proposal);
    let proposed = home
        .run_with(&["propose", "acme.other", "--to", "app.sealed.toml", "-o", "p", "--json"], b"x");
    documents.take("propose", &proposed.out);
    documents.of(&home, "accept", &with(&["accept", "acme.proposal", "--new", "--yes"]));
    documents.of(
        &home,
        "access-add",
        &with(&["access", "add", "bob", "--new-key", "bob2.key", "--writer", "--yes"]),
    );
    documents.of(&home, "access-list", &with(&["access", "list"]));
    documents.of(&home, "access-rename", &with(&["access", "rename", "bob", "bob2"]));
    documents.of(&home, "access-rename", &with(&["access", "rename", "bob2", "bob"]));
    documents.of(&home, "access-request", &["access", "request"]);
    documents.of(&home, "access-pin", &with(&["access", "pin", "bob.key"]));
    documents.of(&home, "vaults", &["vaults"]);
    documents.of(&home, "vaults-add", &with(&["vaults", "add"]));
    let other = Home::with_vault("a = 1\n");
    documents.of(&other, "vaults-forget", &["vaults", "forget", &other.vault_id(), "--yes"]);
    documents.of(&home, "list", &with(&["list"]));
    documents.of(&home, "list", &with(&["list", "--values"]));
    documents.of(&home, "access-remove", &with(&["access", "remove", "bob", "--yes"]));
    documents.of(&home, "list", &with(&["list"]));
    documents.of(&home, "verify", &with(&["verify"]));
    documents.of(&home, "verify", &["verify", "app.sealed.toml", "empty.sealed.toml"]);
    documents.of(&home, "doctor", &["doctor", "-f", "*.sealed.toml"]);
    documents.of(&home, "rotate", &with(&["rotate"]));
    documents.of(
        &home,
        "verify-as-loader",
        &["verify", "--as-loader", "app.sealed.toml", "--pin", &home.vault_id()],
    );
    documents.of(&home, "completions", &["completions", "bash"]);
    documents.of(&home, "man", &["man"]);
    documents.of(&home, "man", &["man", "--out", "pages"]);
    let old = home.read("app.sealed.toml");
    home.write("old.sealed.toml", old);
    home.ok(&with(&["set", "acme.user", "--plain", "other"]));
    documents.of(&home, "diff", &["diff", "old.sealed.toml", "app.sealed.toml"]);
    documents.of(&home, "diff-names", &["diff", "--names", "old.sealed.toml", "empty.sealed.toml"]);

    // One accepted and one refused login.
    let vendor = std::thread::spawn(move || {
        for (answer, stream) in ["200 OK", "401 Unauthorized"].into_iter().zip(listener.incoming())
        {
            use std::io::Read;
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).unwrap() > 0);
            let head = format!(
                "HTTP/1.1 {answer}\r\nContent-Type: application/json\r\nContent-Length: 11\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(b"{\"t\":\"abc\"}").unwrap();
        }
    });
    documents.of(&home, "login", &with(&["login", "acme", "--reveal"]));
    documents.of(&home, "login", &with(&["login", "acme"]));
    vendor.join().unwrap();

    // Errors of every kind.
    home.write(
        "forged.sealed.toml",
        home.read("app.sealed.toml").replace("allow_http", "allow_HTTP"),
    );
    for args in [
        &["get", "acme.nothing", "-f", "app.sealed.toml"][..],
        &["list", "-f", "missing.sealed.toml"],
        &["verify", "forged.sealed.toml"],
        &["get", "acme.password", "-f", "app.sealed.toml", "-i", "bob2.key"],
        &["init", "-f", "app.sealed.toml"],
        &["access", "remove", "alice", "-f", "app.sealed.toml"],
        &["lst"],
        &["set"],
    ] {
        let ran = home.run(&[args, &["--json"]].concat());
        assert_ne!(ran.code, 0, "{args:?}");
        documents.error(&ran);
    }
    documents.of(&home, "verify", &["verify", "app.sealed.toml", "forged.sealed.toml"]);
    in_git(&mut documents);
    in_a_merge(&mut documents);
    with_an_editor(&mut documents);
    of_a_profile(&mut documents);
    of_another_tool(&mut documents);
    documents
}

/// A conflict in which their side is taken.
fn in_a_merge(documents: &mut Documents) {
    let repo = Repo::new();
    repo.git_ok(&["checkout", "-qb", "theirs"]);
    repo.ok(&["set", "acme.timeout", "--plain", "20s"]);
    repo.commit("theirs");
    repo.git_ok(&["checkout", "-q", "main"]);
    repo.ok(&["set", "acme.timeout", "--plain", "30s"]);
    repo.commit("ours");
    assert_ne!(repo.git(&["merge", "theirs"]).code, 0, "no driver: a conflict");
    documents
        .take("resolve", &repo.ok(&["resolve", team::FILE, "--take", "theirs", "--yes", "--json"]));
}

fn with_an_editor(documents: &mut Documents) {
    let home = Home::with_vault("[acme]\npassword = \"secret:hunter2\"\n");
    home.write(
        "editor",
        "#!/bin/sh\nsed -i.old \"s/hunter$1/hunter3/\" \"$2\"; rm -f \"$2.old\"\n",
    );
    std::fs::set_permissions(
        home.at("editor"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    for editor in ["./editor 2", "true"] {
        let mut command = home.command(&["edit", "--json"]);
        let ran: Ran =
            command.env("EDITOR", editor).env("PATH", "/usr/bin:/bin").output().unwrap().into();
        assert_eq!(ran.code, 0, "{editor}: {ran:?}");
        documents.take("edit", &ran.out);
    }
}

fn of_a_profile(documents: &mut Documents) {
    let home = Home::with_vault("[acme]\nusername = \"svc\"\npassword = \"secret:hunter2\"\n");
    documents.of(&home, "profile-list", &["profile", "--list"]);
    documents.of(
        &home,
        "profile",
        &["profile", "acme", "--preset", "simplejwt", "--url", "http://127.0.0.1:9"],
    );
    documents.of(
        &home,
        "route",
        &["route", "acme", "--listen", "127.0.0.1:9301", "--upstream", "http://127.0.0.1:9/v1"],
    );
    let vendor = Running::start(&home, &["acme", "--port", "0", "--json"]);
    let told: Value = serde_json::from_str(&vendor.origin).unwrap();
    documents.take("vendor", &vendor.origin);
    let other = Home::with_vault("[acme]\nusername = \"svc\"\npassword = \"secret:hunter2\"\n");
    other.ok(&["profile", "acme", "--preset", "simplejwt", "--url", told["url"].as_str().unwrap()]);
    other.ok(&["login", "acme"]);
    let log = log_with(&home, "POST");
    drop(vendor);
    documents.take(
        "vendor-request",
        log.lines().find(|line| line.contains("POST")).unwrap_or_else(|| panic!("{log}")),
    );
}

/// A Jasypt file with its old weak default, and a value that is not text.
fn of_another_tool(documents: &mut Documents) {
    let home = Home::new();
    let sealed = other_tools::java_sealed(&["PBEWithMD5AndDES"], "a password", &["hunter2"]);
    home.write("app.properties", format!("user=svc\npassword={}\n", sealed[0]));
    home.write("password", "a password");
    let args = [
        "import",
        "--from",
        "jasypt",
        "app.properties",
        "-o",
        "app.sealed.toml",
        "--key-file",
        "password",
    ];
    documents.of(&home, "import", &args);
    let (_, imported) = documents.0.last().unwrap();
    assert!(imported["weak"].as_array().is_some_and(|weak| !weak.is_empty()), "{imported}");
}

/// Verbs without a document: their output is another program's or in its own format.
const WITHOUT: [&str; 2] = ["export", "exec"];

#[test]
fn every_verb_has_a_definition() {
    let schema = schema();
    let all = verbs(&Home::new());
    let leaves = all.iter().filter(|verb| {
        !all.iter().any(|other| other.len() > verb.len() && other.starts_with(verb))
    });
    let names: Vec<String> = leaves
        .filter(|verb| verb.iter().all(|word| word != "help"))
        .map(|verb| verb.join("-"))
        .collect();
    assert!(names.len() > 30, "{names:?}");
    let missing: Vec<_> =
        names.iter().filter(|name| schema["$defs"][name.as_str()].is_null()).collect();
    assert_eq!(missing, WITHOUT);
}

fn in_git(documents: &mut Documents) {
    let repo = Repo::new();
    let take = |documents: &mut Documents, name: &str, args: &[&str]| {
        let ran = repo.run(&[args, &["--json"]].concat());
        assert!(!ran.out.is_empty(), "{args:?}: {ran:?}");
        documents.take(name, &ran.out);
    };
    take(documents, "git-setup", &["git", "setup"]);
    take(documents, "git-check", &["git", "check"]);
    let sealed = repo.home.read(team::FILE);
    let edited = sealed.replacen("[acme]", "[acme]\nadded = \"1\"", 1);
    repo.home.write(team::FILE, edited);
    take(documents, "sign", &["sign", "--yes"]);
    take(documents, "verify", &["verify", "--since", "HEAD"]);
}

#[test]
fn every_document_is_valid_under_the_schema() {
    let (schema, documents) = (schema(), documents());
    let wrong = validation_errors(&schema, &documents.0);
    assert_eq!(wrong, "");
    // Each definition was used, and each can fail: an empty document satisfies none.
    let met: BTreeSet<&str> = documents.0.iter().map(|(name, _)| name.as_str()).collect();
    let defined = schema["$defs"].as_object().unwrap().keys().map(String::as_str);
    let defined: BTreeSet<&str> = defined.filter(|name| !name.starts_with('_')).collect();
    let unmet: Vec<_> = defined.difference(&met).collect();
    assert!(unmet.is_empty(), "{unmet:?}");
    let empty: Vec<(String, Value)> =
        defined.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
    let wrong = validation_errors(&schema, &empty);
    assert!(defined.iter().all(|name| wrong.contains(&format!("{name}: "))), "{wrong}");
}
