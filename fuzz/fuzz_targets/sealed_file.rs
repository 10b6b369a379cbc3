//! A text that a writer was tricked into signing: reading it always ends in a value or in an error.
//!
//! The fuzzer writes the user's part and a real vault signs it, so that the code behind the
//! signature check runs.
#![no_main]

use bootseal_core::{Access, Identity, Profile, Role, SealedFile, Secret, ValueKind, Vault};
use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;

fuzz_target!(|bytes: &[u8]| {
    let _ = SealedFile::parse(bytes.to_vec());
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    static ME: OnceLock<Identity> = OnceLock::new();
    let me = ME.get_or_init(|| Identity::generate().expect("an identity"));
    let access = vec![Access::new("me", Role::Writer, me.recipient()).expect("a name")];
    let Ok(mut vault) = Vault::create(access, text) else { return };
    let before: Vec<_> = vault.file().properties().collect();
    let path = "fuzz.value".parse().expect("a path");
    let value = Secret::copy_of(b"x").expect("memory");
    if vault.set(&path, ValueKind::Text, &value, 1).is_err() {
        return;
    }
    let Ok(signed) = vault.sign() else { return };
    let file = SealedFile::parse(signed.into_bytes()).and_then(|file| file.verify(&[])).expect("what we signed verifies");
    for (other, property) in before.iter().filter(|(other, _)| *other != path) {
        assert_eq!(file.property(other).as_ref(), Some(property), "another property changed");
    }
    for table in file.profiles() {
        let _ = Profile::read(&file, &table);
    }
    let opened = file.open(std::slice::from_ref(me)).and_then(|vault| vault.open(&path)).expect("what we sealed opens");
    assert!(opened.secret.expose(|bytes| bytes == b"x"));
});
