//! Checks of a command's result (exit code, JSON document, error), and the vault that these tests
//! start with.

use crate::support::{Home, Ran, root};
use serde_json::Value;
use std::path::Path;

/// The exit code of each error kind, repeated here on purpose: a change of one must be noticed.
pub(crate) fn code_of(kind: &str) -> i32 {
    match kind {
        "io" | "malformed" | "not-found" | "exists" | "unsafe-file" | "conflict" => 1,
        "usage" | "no-terminal" => 2,
        "forged" | "wrong-vault" | "old-generation" | "moved-value" => 3,
        "no-identity" => 4,
        "login-refused" => 5,
        "login-down" | "login-tls" | "login-protocol" => 6,
        other => panic!("{other}"),
    }
}

/// The document of a successful `--json` run.
pub(crate) fn document(home: &Home, args: &[&str]) -> Value {
    let text = home.ok(&[args, &["--json"]].concat());
    assert_eq!(text.lines().count(), 1, "one document: {text}");
    serde_json::from_str(&text).unwrap()
}

/// Checks the fields and types of the error object at the end of stderr, and returns it.
pub(crate) fn error_in(ran: &Ran) -> Value {
    let last = ran.err.lines().last().unwrap_or_default();
    let document: Value =
        serde_json::from_str(last).unwrap_or_else(|_| panic!("no JSON at the end of {}", ran.err));
    let error = &document["error"];
    assert_eq!(keys(&document), ["error"]);
    assert_eq!(keys(error), ["file", "help", "kind", "message", "property"]);
    assert!(error["kind"].is_string() && error["message"].is_string(), "{error}");
    assert!(
        ["file", "help", "property"]
            .iter()
            .all(|key| error[*key].is_string() || error[*key].is_null()),
        "{error}"
    );
    error.clone()
}

pub(crate) fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Runs a command that must fail with `kind`, as text and as JSON; returns the text.
pub(crate) fn fails(home: &Home, args: &[&str], kind: &str) -> String {
    fails_with(home, args, b"", kind)
}

pub(crate) fn fails_with(home: &Home, args: &[&str], stdin: &[u8], kind: &str) -> String {
    let script = home.run_with(&[args, &["--json"]].concat(), stdin);
    assert_eq!(error_in(&script)["kind"], kind, "{args:?}: {}", script.err);
    let person = home.run_with(args, stdin);
    for ran in [&script, &person] {
        assert_eq!(ran.code, code_of(kind), "{args:?}: {}", ran.err);
        assert_eq!(ran.out, "", "{args:?}: nothing on stdout");
        assert!(!ran.err.contains("panicked"), "{args:?}: {}", ran.err);
    }
    person.err
}

/// The lines of the file in order, without the values of these keys.
pub(crate) fn without<'a>(text: &'a str, keys: &[&str]) -> Vec<&'a str> {
    text.lines()
        .filter(|line| !keys.iter().any(|key| line.starts_with(&format!("{key} = "))))
        .collect()
}

pub(crate) fn block<'a>(text: &'a str, key: &str) -> &'a str {
    let rest = &text[text.find(&format!("\n{key} = \"\"\"")).unwrap()..];
    &rest[..rest.find("-----END AGE ENCRYPTED FILE-----\n\"\"\"").unwrap()]
}

#[cfg(unix)]
pub(crate) fn mode(path: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions()) & 0o777
}

#[cfg(unix)]
pub(crate) fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

/// Puts a vector and its key files into a home, and returns the pin that its row in `vectors.json`
/// has.
pub(crate) fn vector(home: &Home, file: &str) -> String {
    let folder = root().join("tests/vectors");
    std::fs::copy(folder.join(file), home.at("vector.sealed.toml")).unwrap();
    for key in ["alice.key", "payments-app.key", "stranger.key"] {
        std::fs::copy(folder.join(key), home.at(key)).unwrap();
        #[cfg(unix)]
        chmod(&home.at(key), 0o600);
    }
    let row = rows().into_iter().find(|row| row["file"] == file && row["pin"].is_string()).unwrap();
    row["pin"].as_str().unwrap().to_owned()
}

pub(crate) fn rows() -> Vec<Value> {
    serde_json::from_str(
        &std::fs::read_to_string(root().join("tests/vectors/vectors.json")).unwrap(),
    )
    .unwrap()
}

pub(crate) const ACME: &str =
    "# Acme\ntitle = \"shop\"\n\n[acme]\nuser = \"bob\"\npassword = \"secret:hunter2\"\n";
