//! A plugin for the tests, written with the plugin crate of age's authors: a P-256 and an X25519
//! key in software, derived from one secret.
//!
//! Run without arguments it prints a new key: its recipient, its recipient as `age1tag1…`, and its
//! identity. `TESTKEY_MARK` names a file to which each run as a plugin appends its state machine, its
//! folder and the names of its environment variables. If `TESTKEY_PIN` is set, to `name:PIN`, the
//! plugin asks for a confirmation, the name and the PIN before it returns a file key.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use age::{Identity as _, Recipient as _};
use age_core::format::{FileKey, Stanza};
use age_core::primitives::{bech32_encode, hpke_open};
use age_core::secrecy::ExposeSecret;
use age_plugin::identity::{self, IdentityPluginV1};
use age_plugin::recipient::{self, RecipientPluginV1};
use age_plugin::{Callbacks, PluginHandler, run_state_machine};
use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use bech32::Hrp;
use hpke::{Deserializable, Kem, Serializable};
use std::collections::{HashMap, HashSet};
use std::io::Write;

type P256 = hpke::kem::DhP256HkdfSha256;

fn main() -> std::io::Result<()> {
    if let Some(machine) =
        std::env::args().find_map(|arg| Some(arg.strip_prefix("--age-plugin=")?.to_owned()))
    {
        mark(&machine);
        return run_state_machine(&machine, Handler);
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).unwrap();
    let public = bech32_encode(
        Hrp::parse("age1testkey").unwrap(),
        x25519(&secret).to_public().to_string().as_bytes(),
    );
    let identity =
        bech32_encode(Hrp::parse("AGE-PLUGIN-TESTKEY-").unwrap(), &secret).to_uppercase();
    let point = P256::sk_to_pk(&p256(&secret)).to_bytes();
    let compressed = [&[2 + (point[64] & 1)], &point[1..33]].concat();
    println!(
        "{public}\n{}\n{identity}",
        bech32_encode(Hrp::parse("age1tag").unwrap(), &compressed)
    );
    Ok(())
}

fn mark(machine: &str) {
    if let Some(path) = std::env::var_os("TESTKEY_MARK") {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "{machine} in {}", std::env::current_dir().unwrap().display()).unwrap();
        for (name, _) in std::env::vars_os() {
            writeln!(file, "  {}", name.to_string_lossy()).unwrap();
        }
    }
}

fn x25519(secret: &[u8]) -> age::x25519::Identity {
    bech32_encode(Hrp::parse("age-secret-key-").unwrap(), secret).to_uppercase().parse().unwrap()
}

fn p256(secret: &[u8]) -> <P256 as Kem>::PrivateKey {
    <P256 as Kem>::PrivateKey::from_bytes(secret).unwrap()
}

struct Handler;

impl PluginHandler for Handler {
    type RecipientV1 = Wrapper;
    type IdentityV1 = Opener;

    fn recipient_v1(self) -> std::io::Result<Wrapper> {
        Ok(Wrapper(Vec::new()))
    }

    fn identity_v1(self) -> std::io::Result<Opener> {
        Ok(Opener(Vec::new()))
    }
}

struct Wrapper(Vec<age::x25519::Recipient>);

impl RecipientPluginV1 for Wrapper {
    fn add_recipient(
        &mut self,
        index: usize,
        _: &str,
        bytes: &[u8],
    ) -> Result<(), recipient::Error> {
        let text = String::from_utf8_lossy(bytes);
        let parsed = text
            .parse()
            .map_err(|_| recipient::Error::Recipient { index, message: "none of mine".into() })?;
        self.0.push(parsed);
        Ok(())
    }

    fn add_identity(&mut self, index: usize, _: &str, _: &[u8]) -> Result<(), recipient::Error> {
        Err(recipient::Error::Identity {
            index,
            message: "this plugin does not wrap to identities".into(),
        })
    }

    fn labels(&mut self) -> HashSet<String> {
        HashSet::new()
    }

    fn wrap_file_keys(
        &mut self,
        keys: Vec<FileKey>,
        _: impl Callbacks<recipient::Error>,
    ) -> std::io::Result<Result<Vec<Vec<Stanza>>, Vec<recipient::Error>>> {
        let wrap = |key: &FileKey| {
            let stanzas = self.0.iter().flat_map(|to| to.wrap_file_key(key).unwrap().0);
            stanzas.map(|stanza| Stanza { tag: "testkey".into(), ..stanza }).collect()
        };
        Ok(Ok(keys.iter().map(wrap).collect()))
    }
}

struct Opener(Vec<Vec<u8>>);

impl Opener {
    fn open(&self, stanza: &Stanza) -> Option<FileKey> {
        self.0.iter().find_map(|secret| match (stanza.tag.as_str(), stanza.args.as_slice()) {
            ("testkey", _) => {
                let plain = Stanza {
                    tag: "X25519".into(),
                    args: stanza.args.clone(),
                    body: stanza.body.clone(),
                };
                x25519(secret).unwrap_stanza(&plain)?.ok()
            }
            ("p256tag", [_, share]) => {
                let share = BASE64_STANDARD_NO_PAD.decode(share).ok()?;
                let share = <P256 as Kem>::EncappedKey::from_bytes(&share).ok()?;
                let key = hpke_open::<P256>(
                    &share,
                    &p256(secret),
                    b"age-encryption.org/p256tag",
                    &stanza.body,
                )
                .ok()?;
                Some(FileKey::init_with_mut(|to| to.copy_from_slice(&key)))
            }
            _ => None,
        })
    }
}

impl IdentityPluginV1 for Opener {
    fn add_identity(&mut self, _: usize, _: &str, bytes: &[u8]) -> Result<(), identity::Error> {
        self.0.push(bytes.to_vec());
        Ok(())
    }

    fn unwrap_file_keys(
        &mut self,
        files: Vec<Vec<Stanza>>,
        mut callbacks: impl Callbacks<identity::Error>,
    ) -> std::io::Result<HashMap<usize, Result<FileKey, Vec<identity::Error>>>> {
        let refused =
            |message: &str| vec![identity::Error::Identity { index: 0, message: message.into() }];
        let mut found = HashMap::new();
        for (index, stanzas) in files.iter().enumerate() {
            let Some(key) = stanzas.iter().find_map(|stanza| self.open(stanza)) else { continue };
            if let Ok(pin) = std::env::var("TESTKEY_PIN") {
                let _ = callbacks.message("hello \u{1b}[2Jthere")?;
                if callbacks.confirm("Is the key plugged in?", "yes, it is", Some("no"))?.ok()
                    != Some(true)
                {
                    found.insert(index, Err(refused("not plugged in")));
                    continue;
                }
                let who = callbacks.request_public("Who")?.unwrap_or_default();
                let typed = callbacks.request_secret("PIN")?;
                if typed.map_or(true, |typed| format!("{who}:{}", typed.expose_secret()) != pin) {
                    found.insert(index, Err(refused("wrong PIN")));
                    continue;
                }
            }
            found.insert(index, Ok(key));
        }
        Ok(found)
    }
}
