//! Locks that another process holds: a command waits for 10 seconds, and then names the process.

use crate::answers::error_in;
use crate::support::{Home, Ran};
use std::fs::File;
use std::process::{Child, Stdio};

const FILE: &str = "app.sealed.toml";

/// Locks a folder, as anyone who can read it can.
fn lock(home: &Home, folder: &str) -> File {
    let open = File::open(home.at(folder)).unwrap();
    rustix::fs::flock(&open, rustix::fs::FlockOperation::LockShared).unwrap();
    open
}

fn start(home: &Home, args: &[&str]) -> Child {
    let mut command = home.command(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_lock_that_is_held_on_ends_a_write_with_an_error_that_names_its_holder() {
    let home = Home::with_vault("[acme]\npassword = \"secret:one\"\n");
    home.ok(&["access", "add", "web", "--new-key", "web.key", "--yes"]);
    home.write("more.toml", "b = \"secret:2\"\n");
    let (file, key) = (home.read(FILE), home.read("web.key"));
    let held = lock(&home, ".");
    let commands: &[&[&str]] = &[
        &["set", "acme.user", "--plain", "bob", "--json"],
        &["rotate", "--json"],
        &["access", "pin", "web.key", "--json"],
        &["seal", "more.toml", "--json"],
        &["init", "-f", "new.sealed.toml", "--json"],
    ];
    // All at once, because each waits for 10 seconds.
    let children: Vec<Child> = commands.iter().map(|args| start(&home, args)).collect();
    let comm = std::fs::read_to_string("/proc/self/comm").unwrap();
    let holder = format!("locked by {} ({})", std::process::id(), comm.trim());
    for (args, child) in commands.iter().zip(children) {
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!(ran.code, 1, "{args:?}: {}", ran.err);
        let error = error_in(&ran);
        assert_eq!(error["kind"], "io", "{args:?}: {error}");
        assert_eq!(error["message"], holder.as_str(), "{args:?}");
    }
    assert_eq!((home.read(FILE), home.read("web.key")), (file, key));
    drop(held);
    home.ok(&["set", "acme.user", "--plain", "bob"]);
}

#[test]
fn locked_known_vaults_do_not_stop_a_command_whose_vault_is_known() {
    let home = Home::with_vault("[acme]\npassword = \"secret:one\"\n");
    let held = lock(&home, ".local/state/bootseal");
    let ran = home.run(&["set", "acme.user", "--plain", "bob"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("warning") && ran.err.contains("locked by"), "{}", ran.err);
    drop(held);
    assert_eq!(home.ok(&["get", "acme.user"]), "bob");
}
