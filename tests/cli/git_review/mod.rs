//! Review in a repository: `verify --since`, `git check` and its hook, `diff`, `git textconv` and
//! `verify --as-loader`.

mod as_loader;
mod changed;
mod check;
mod check_values;
mod check_working_tree;
mod clones;
mod diff;
mod renames;
mod revisions;
mod settings;
mod since;
mod textconv;

use crate::support::repo::{FILE, Repo};
use crate::support::{Home, Ran, at_a_terminal};
use serde_json::{Value, json};

const NASTY: &str = "`` ` ``` | \\| @mention <img src=x onerror=alert(1)> [a](https://evil.example) \u{1b}[31m \u{202e}drawkcab";

fn error(ran: &Ran) -> Value {
    let document: Value = serde_json::from_str(ran.err.lines().last().unwrap_or_default())
        .unwrap_or_else(|_| panic!("{}", ran.err));
    document["error"].clone()
}

/// Expects exit code 3 and this error kind, as text and as JSON.
fn not_authentic(repo: &Repo, args: &[&str], kind: &str, words: &str) {
    let said = repo.fails(args, 3);
    assert!(said.contains(words), "{words}: {said}");
    let ran = repo.run(&[args, &["--json"]].concat());
    assert_eq!((ran.code, error(&ran)["kind"].as_str()), (3, Some(kind)), "{}{}", ran.out, ran.err);
}
