//! The README's first command does what the README says.
//!
//! Alone: `cargo test -p bootseal-examples`.

#![allow(clippy::unwrap_used)] // a test

use std::process::Command;

#[test]
fn the_quickstart_survives_an_expiry_and_a_revocation() {
    // Cargo builds the examples of a package with its tests, into a folder beside theirs.
    let test = std::env::current_exe().unwrap();
    let example = test.ancestors().nth(2).unwrap().join("examples").join("quickstart");
    let output = Command::new(example).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    for word in ["vendor", "seal", "access add", "load", "call", "expiry", "revocation"] {
        assert!(printed.contains(word), "{printed}");
    }
    assert!(printed.contains("calls answered: 300 of 300   logins: 3   replays: 1"), "{printed}");
    assert!(!printed.contains("open sesame"));
}
