//! An unsigned text: accepting it as a hand edit, and every edit of the result, causes no panic and
//! changes nothing else.
#![no_main]

use bootseal_core::{Access, HandEdit, Identity, Property, Role, SealedFile, Vault, VerifiedFile, CanWrite};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static ALICE: LazyLock<Identity> = LazyLock::new(|| Identity::generate().expect("random numbers and guarded memory"));
static BASIS: LazyLock<String> = LazyLock::new(|| {
    let access = vec![Access::new("alice", Role::Writer, ALICE.recipient()).expect("a name")];
    Vault::create(access, "kept = 1\n").and_then(Vault::sign).expect("an empty vault")
});

fn basis() -> Vault<CanWrite> {
    let file = SealedFile::parse(BASIS.clone().into_bytes()).and_then(|file| file.verify(&[])).expect("our own");
    file.open_for_writing(std::slice::from_ref(&ALICE)).expect("our own")
}

fn readable(file: &VerifiedFile) -> Vec<(String, Property)> {
    file.properties().map(|(path, property)| (path.to_string(), property)).collect()
}

fuzz_target!(|bytes: Vec<u8>| {
    let Ok(edit) = HandEdit::parse(bytes) else { return };
    let mut vault = basis();
    let (id, access) = (vault.file().vault_id(), vault.file().access().to_vec());
    if vault.adopt(&edit, &[]).is_err() {
        return;
    }
    assert_eq!((vault.file().vault_id(), vault.file().access()), (id, access.as_slice()));
    let paths: Vec<_> = vault.file().names().map(|(path, _)| path).collect();
    for path in paths.iter().take(4) {
        let mut vault = basis();
        vault.adopt(&edit, &[]).expect("it was taken a moment ago");
        let before = readable(vault.file());
        if vault.unset(path).is_ok() {
            let gone = path.to_string();
            let after = readable(vault.file());
            assert!(before.iter().filter(|(name, _)| *name != gone).eq(after.iter()));
        }
    }
    if let Ok(text) = vault.sign() {
        SealedFile::parse(text.into_bytes()).and_then(|file| file.verify(&[id.into()])).expect("what was signed verifies");
    }
});
