//! Headers of age files with odd stanzas: accepted and refused as by age.

use crate::support::{Home, root};
use bootseal_core::{IdentityFile, Kind, open_age_file};
use std::process::Command;

#[test]
fn malformed_stanzas_are_refused_and_unknown_ones_ignored_as_by_age() {
    let home = Home::new();
    let python = std::env::var_os("BOOTSEAL_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let made =
        Command::new(python).arg(root().join("tests/peers/age_headers.py")).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    home.ok(&["keygen", "-o", "key"]);
    home.write("key", made["identity"].as_str().unwrap()); // keygen made it private
    let identities = IdentityFile::read(&home.at("key")).unwrap().identities;
    let (mut wrong, mut accepted) = (Vec::new(), 0);
    for (name, file) in made["files"].as_object().unwrap() {
        let file = file.as_str().unwrap();
        home.write("file", file);
        let age = Command::new("age")
            .args(["-d", "-i", "key", "file"])
            .current_dir(home.path())
            .output()
            .unwrap();
        let ours = open_age_file(file, 100, &identities);
        let opened = matches!(&ours, Ok(Some(content)) if content.len() == 7);
        accepted += usize::from(opened);
        // age's specification refuses a passphrase stanza among others; the age of Debian does not.
        let mixed = name.starts_with("scrypt");
        assert!(!(mixed && opened), "{name}");
        if !mixed && opened != age.status.success() {
            wrong.push(format!("{name}: {ours:?}, age: {}", String::from_utf8_lossy(&age.stderr)));
        }
        if let Err(error) = ours {
            assert_eq!(error.kind(), Kind::Malformed, "{name}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!((10..40).contains(&accepted), "{accepted}");
}
