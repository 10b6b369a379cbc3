//! A file of 16 MiB, whoever signed it, takes at most 64 MiB of memory to read.

use crate::support::Home;
use bootseal_core::{Access, Identity, Role, Vault};
use std::process::Stdio;

/// What the process of `args` needed at most, in MiB, and its exit code.
fn peak(home: &Home, args: &[&str]) -> (u64, i32, String) {
    let mut command = home.command(args);
    let errors = home.at("stderr");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(std::fs::File::create(&errors).unwrap());
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    let code = loop {
        // The kernel keeps the highest value, so that a late look sees every earlier peak.
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        most = most.max(now.unwrap_or_default());
        if let Some(ended) = child.try_wait().unwrap() {
            break ended.code().unwrap();
        }
        std::thread::yield_now();
    };
    (most / 1024, code, std::fs::read_to_string(errors).unwrap())
}

/// A vault of somebody else, filled up to 16 MiB with a comment.
fn foreign(user: &str) -> String {
    let me = Identity::generate().unwrap();
    let access = Access::new("eve", Role::Writer, me.recipient()).unwrap();
    let fill = (16 << 20) - user.len() - 4096;
    let user = format!("{user}#{}\n", "x".repeat(fill));
    Vault::create(vec![access], &user).unwrap().sign().unwrap()
}

fn keys(count: usize) -> String {
    (0..count).map(|at| format!("k{at:x} = 1\n")).collect()
}

fn within(home: &Home, args: &[&str], code: i32, what: &str) {
    let (peak, ended, errors) = peak(home, args);
    assert_eq!(ended, code, "{args:?}: {errors}");
    assert!(errors.contains(what), "{args:?}: {errors}");
    assert!((1..=64).contains(&peak), "{args:?} needed {peak} MiB");
}

#[test]
fn a_file_with_as_much_as_is_allowed_takes_little_memory() {
    let home = Home::new();
    for user in [keys(131_072), format!("[[a]]\n{}", keys(1_000_000))] {
        home.write("x.sealed.toml", foreign(&user));
        within(&home, &["verify", "-f", "x.sealed.toml"], 0, "not pinned");
        within(&home, &["list", "-f", "x.sealed.toml"], 0, "not trusted yet");
    }
}

#[test]
fn a_known_vault_decides_before_a_large_file_is_parsed() {
    let home = Home::with_vault("a = 1\n");
    home.write("app.sealed.toml", foreign(&keys(131_072)));
    within(&home, &["verify"], 3, "different vault");
    within(&home, &["list"], 3, "different vault");
}

#[test]
fn an_input_with_more_than_is_allowed_takes_little_memory() {
    let home = Home::with_vault("a = 1\n");
    let whole = |text: &str| text.repeat((15 << 20) / text.len());
    for (text, what) in [
        (keys(1_000_000), "131072 properties"),
        (format!("a = [{}]\n", whole("1,")), "1048576 array elements"),
        (format!("a = [{}]\n", whole("{},")), "1048576 array elements"),
        (whole("[[a]]\n"), "1048576 array elements"),
        ((0..500_000).map(|at| format!("[a{at}]\n")).collect(), "131072 tables"),
        (format!("a = {}\n", whole("[")), "recursion"),
    ] {
        home.write("in.toml", text);
        within(&home, &["seal", "in.toml", "-f", "app.sealed.toml"], 1, what);
    }
}
