//! The vectors: this implementation agrees, byte for byte, with one written only from the
//! specification.
//!
//! The vectors come from the Python in `tests/vectors`, which was written without this code.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bootseal_core::{
    IdentityFile, Kind, OpenedValue, Pin, Property, SealedFile, Secret, ValueKind,
};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors")
}

/// Every property of a file as (sealed, kind, value, set_at).
type Values = Vec<(String, bool, &'static str, Option<String>, Option<u64>)>;

fn read(row: &Value) -> Result<(u64, u64, String, Values), (Kind, String)> {
    let fail = |error: bootseal_core::Error| (error.kind(), error.to_string());
    let pins: Vec<Pin> = row["pin"].as_str().map(|pin| pin.parse().unwrap()).into_iter().collect();
    let path = folder().join(row["file"].as_str().unwrap());
    let file = SealedFile::read(&path).and_then(|file| file.verify(&pins)).map_err(fail)?;
    let facts = (file.generation(), file.epoch(), file.vault_id().to_string());
    let identities = match (row["identity"].as_str(), row["passphrase"].as_str()) {
        (Some(identity), _) => {
            IdentityFile::from_reader(&mut std::fs::File::open(folder().join(identity)).unwrap())
                .unwrap()
                .identities
        }
        (None, Some(passphrase)) => {
            let passphrase = Secret::copy_of(passphrase.as_bytes()).unwrap();
            vec![file.identity_by_any_passphrase(&passphrase).map_err(fail)?]
        }
        (None, None) => return Ok((facts.0, facts.1, facts.2, Vec::new())),
    };
    // A writer opens the writers' block and checks both blocks, as `verify` does.
    if file.role_of(&identities) == Some(bootseal_core::Role::Writer) {
        let again = SealedFile::read(&path).and_then(|file| file.verify(&pins)).map_err(fail)?;
        again
            .open_for_writing(&identities)
            .and_then(|vault| vault.check_key_blocks(&identities))
            .map_err(fail)?;
    }
    let vault = file.open(&identities).map_err(fail)?;
    let mut values = Values::new();
    for (path, property) in vault.file().properties() {
        values.push(match property {
            Property::Readable(toml::Value::String(text)) => {
                (path.to_string(), false, "text", Some(text), None)
            }
            Property::Readable(_) => (path.to_string(), false, "toml", None, None),
            Property::Sealed(_) => {
                let OpenedValue { kind, set_at, secret } = vault.open(&path).map_err(fail)?;
                let text = secret.expose(|bytes| match kind {
                    ValueKind::Bytes => BASE64_URL_SAFE_NO_PAD.encode(bytes),
                    _ => String::from_utf8(bytes.to_vec()).unwrap(),
                });
                let kind = match kind {
                    ValueKind::Text => "text",
                    ValueKind::Bytes => "bytes",
                    _ => "toml",
                };
                (path.to_string(), true, kind, Some(text), Some(set_at))
            }
        });
    }
    Ok((facts.0, facts.1, facts.2, values))
}

#[test]
fn every_vector_gives_its_expected_result() {
    let rows: Vec<Value> =
        serde_json::from_str(&std::fs::read_to_string(folder().join("vectors.json")).unwrap())
            .unwrap();
    assert!(rows.len() > 200);
    let mut wrong = Vec::new();
    for row in &rows {
        let name = format!("{} ({})", row["file"].as_str().unwrap(), row["why"].as_str().unwrap());
        let expected = row["expect"].as_str().unwrap();
        match read(row) {
            Ok((generation, epoch, vault, values)) if expected == "ok" => {
                assert_eq!(Some(generation), row["generation"].as_u64(), "{name}");
                assert_eq!(Some(epoch), row["epoch"].as_u64(), "{name}");
                assert_eq!(Some(vault.as_str()), row["vault"].as_str(), "{name}");
                if row["identity"].is_null() && row["passphrase"].is_null() {
                    continue;
                }
                let wanted = row["values"].as_object().unwrap();
                let names: BTreeSet<&str> = values.iter().map(|value| value.0.as_str()).collect();
                assert_eq!(names, wanted.keys().map(String::as_str).collect(), "{name}");
                for (path, sealed, kind, value, set_at) in &values {
                    let want = &wanted[path];
                    assert_eq!(Some(*sealed), want["sealed"].as_bool(), "{name}: {path}");
                    assert_eq!(Some(*kind), want["kind"].as_str(), "{name}: {path}");
                    assert_eq!(*set_at, want["set_at"].as_u64(), "{name}: {path}");
                    if value.is_some() && !want["value"].is_null() {
                        assert_eq!(value.as_deref(), want["value"].as_str(), "{name}: {path}");
                    }
                }
            }
            Ok(_) => wrong.push(format!("{name}: accepted, not {expected}")),
            Err((kind, _)) if kind.as_str() == expected => {}
            Err((kind, text)) => wrong.push(format!("{name}: {kind}, not {expected}: {text}")),
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

#[test]
fn a_file_over_16_mib_is_refused() {
    let error = SealedFile::parse(vec![b'#'; (16 << 20) + 1]).unwrap_err();
    assert_eq!(error.kind(), Kind::Malformed);
    assert!(error.to_string().contains("16 MiB"), "{error}");
}
