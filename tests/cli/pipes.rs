//! Pipes as input: a slow writer is waited for, and a pipe that nobody opens is an error that names
//! it.

use crate::support::Home;
use std::path::Path;
use std::process::{Child, Stdio};

pub(crate) fn make(path: &Path) {
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();
}

fn ended(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_pipe_that_nobody_opens_ends_every_command_with_an_error_that_names_it() {
    let home = Home::with_vault("[acme]\nusername = \"secret:bob\"\npassword = \"secret:one\"\n");
    make(&home.at("pipe"));
    home.write("vault.yml", format!("$ANSIBLE_VAULT;1.1;AES256\n{}\n", "61".repeat(40)));
    let commands: &[&[&str]] = &[
        &["set", "acme.password", "--from-file", "pipe"],
        &["seal", "pipe", "--format", "toml", "-o", "new.sealed.toml"],
        &["get", "acme.password", "-i", "pipe"],
        &["keygen", "-y", "pipe"],
        &["accept", "pipe"],
        &["import", "pipe", "--from", "sops"],
        &["import", "vault.yml", "--from", "ansible-vault", "--key-file", "pipe"],
        &["exec", "--env-file", "pipe", "--", "true"],
        &["git", "textconv", "pipe"],
        &["profile", "acme", "--preset", "simplejwt", "--url", "https://a.example", "--ca", "pipe"],
    ];
    // All at once, because each waits.
    let children: Vec<Child> = commands
        .iter()
        .map(|args| {
            home.command(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for (args, child) in commands.iter().zip(children) {
        let (code, error) = ended(child);
        let expected = if args[0] == "exec" { 125 } else { 1 };
        assert_eq!(code, Some(expected), "{args:?}: {error}");
        assert!(
            error.contains("pipe: ") && error.contains("no process has opened for writing"),
            "{args:?}: {error}"
        );
    }
    assert_eq!(home.ok(&["get", "acme.password"]), "one");
}

/// Runs a line in bash, with `bootseal` as `$B`.
fn bash(home: &Home, line: &str) -> (Option<i32>, String, String) {
    let bootseal = home.command(&[]);
    let output = std::process::Command::new("bash")
        .args(["-c", line])
        .current_dir(home.path())
        .env("HOME", home.path())
        .env("B", bootseal.get_program())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_pipe_with_a_writer_is_read_however_late_it_writes() {
    let home = Home::with_vault("[acme]\npassword = \"secret:one\"\n");
    let key = ".config/bootseal/identity.txt";
    make(&home.at("pipe"));
    for line in [
        // The identity from a process that ends at once, or that starts to write later.
        format!("$B get acme.password -i <(cat {key})"),
        format!("$B get acme.password -i <(read -t 0.2 < <(:); cat {key})"),
        // A named pipe that is opened before or after.
        format!("cat {key} > pipe & $B get acme.password -i pipe"),
        format!("$B get acme.password -i pipe & read -t 0.2 < <(:); cat {key} > pipe; wait $!"),
        format!("$B get acme.password -i /dev/fd/5 5< <(cat {key})"),
    ] {
        let (code, out, error) = bash(&home, &line);
        assert_eq!((code, out.as_str()), (Some(0), "one"), "{line}: {error}");
    }
    let (code, _, error) = bash(&home, "$B set acme.password --from-file <(printf two)");
    assert_eq!(code, Some(0), "{error}");
    assert_eq!(home.ok(&["get", "acme.password"]), "two");
}
