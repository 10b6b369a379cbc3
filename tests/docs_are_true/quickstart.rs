//! The README's first command does what the README says.

use std::path::Path;
use std::process::Command;

#[test]
fn the_quickstart_lives_through_an_expiry_and_a_revocation() {
    // Cargo builds the examples with the tests, beside the binary.
    let example =
        Path::new(env!("CARGO_BIN_EXE_bootseal")).with_file_name("examples").join("quickstart");
    let output = Command::new(example).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for word in ["vendor", "seal", "access add", "load", "call", "expiry", "revocation"] {
        assert!(said.contains(word), "{said}");
    }
    assert!(said.contains("calls answered: 300 of 300   logins: 3   replays: 1"), "{said}");
    assert!(!said.contains("open sesame"));
}
