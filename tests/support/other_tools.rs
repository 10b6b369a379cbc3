//! The real tools whose files are imported, as `scripts/test` installs them, and difficult values.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic)] // each test uses a part of it

use crate::support::{Home, root};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Texts that some format or tool mishandles; one of them is 1 MiB long.
pub fn hard_values() -> Vec<(&'static str, String)> {
    vec![
        (
            "unicode",
            "gr\u{fc}n \u{1f511} \u{65e5}\u{672c} \u{202e}x\u{200b}\u{feff}\u{85}\u{2028}".into(),
        ),
        ("lines", "one\ntwo\n\n  three\n".into()),
        ("tabs", "\ta\tb".into()),
        ("quotes", "\"d\" 's' `b` \\ \\n \\\" \\' end\\".into()),
        ("empty", String::new()),
        ("command", "$(touch ran) ${HOME} $HOME `touch ran` {{ x }} %s !x".into()),
        ("marks", "#a #b ; c = d : e, [f] {g} & *h | > ! % @ ~ - ?".into()),
        ("blanks", "  lead and trail  ".into()),
        ("words", "no".into()),
        ("digits", "0123".into()),
        ("long", "canary-\u{e4}".repeat((1 << 20) / 9)),
    ]
}

/// A Python tool in this home, with only HOME and PATH in its environment.
pub fn python(home: &Home, tool: &str) -> Command {
    clean(Command::new(root().join("target/python/bin").join(tool)), home)
}

pub fn dotenvx(home: &Home, args: &[&str]) -> String {
    let mut command =
        clean(Command::new(root().join("target/dotenvx/node_modules/.bin/dotenvx")), home);
    said(command.args(args))
}

fn clean(mut command: Command, home: &Home) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    command
        .current_dir(home.path())
        .env_clear()
        .env("HOME", home.path())
        .env("PATH", path)
        .env("LC_ALL", "C.UTF-8");
    command
}

/// The output of a command that must succeed.
pub fn said(command: &mut Command) -> String {
    fed(command, b"")
}

/// The same with this stdin.
pub fn fed(command: &mut Command, input: &[u8]) -> String {
    let spawned =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child =
        spawned.unwrap_or_else(|error| panic!("{command:?}: {error}; scripts/test installs it"));
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What a Python program in `other_tools` prints, as JSON.
pub fn python_reads(home: &Home, program: &str, args: &[&str], input: &[u8]) -> serde_json::Value {
    let mut command = python(home, "python");
    let text = fed(command.arg(program_file(program)).args(args), input);
    serde_json::from_str(&text).unwrap()
}

/// A small Java program, compiled and run.
pub fn java(program: &str, args: &[&str], input: &[u8]) -> String {
    let mut command = Command::new("java");
    command.args(["-Xshare:auto", "-cp", "/usr/share/java/jasypt.jar:/usr/share/java/bcprov.jar"]);
    command.arg(program_file(program)).args(args);
    fed(&mut command, input)
}

fn program_file(program: &str) -> PathBuf {
    root().join("tests/support/other_tools").join(program)
}

/// The values encrypted by Jasypt or Spring, in order.
pub fn java_sealed(args: &[&str], password: &str, values: &[&str]) -> Vec<String> {
    let lines = [&[password], values].concat();
    let lines: String = lines.iter().map(|line| BASE64_STANDARD.encode(line) + "\n").collect();
    java("Seal.java", args, lines.as_bytes()).lines().map(str::to_owned).collect()
}
