//! Does every verb answer as tests/cmd shows it: command, input, stdout, stderr and exit code side by side in a file, when it goes well and
//! when it fails? `TRYCMD=overwrite` writes them anew.

#![allow(clippy::unwrap_used)] // a test

mod support;

use std::os::unix::fs::PermissionsExt;
use support::root;

#[test]
fn every_verb_answers_as_written() {
    // What each case begins with. Git keeps no modes, and a key that others can read is refused.
    let base = root().join("target/cmd");
    std::fs::create_dir_all(&base).unwrap();
    for file in std::fs::read_dir(root().join("tests/cmd/files")).unwrap() {
        let file = file.unwrap();
        let copy = base.join(file.file_name());
        std::fs::copy(file.path(), &copy).unwrap();
        std::fs::set_permissions(copy, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let cases = trycmd::TestCases::new();
    cases.register_bin("bootseal", std::path::Path::new(env!("CARGO_BIN_EXE_bootseal")));
    // Each case's own folder is its home: what one has made known must not be known to another.
    cases.env("HOME", ".").case(root().join("tests/cmd/*.toml"));
    cases.run();
}
