//! The secrets that are searched for: a password, and a sealed file that contains it, made as for
//! an application.

use super::vendor_process::Vendor;
use bootseal_core::{Access, FileLock, Identity, Pin, Role, Secret, ValueKind, Vault};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The values to search for, by name.
pub(crate) type Needles = BTreeMap<&'static str, Vec<Vec<u8>>>;

pub(crate) const USER: &str = "acme-user";

/// The format of `age-keygen`. The prefix is not secret, but its sixteen bytes would count as a
/// fragment.
const IDENTITY: &str = "AGE-SECRET-KEY-1";

/// A password of 38 bytes, some of which are escaped in JSON, forms and URLs.
pub(crate) fn password() -> String {
    let noise = Identity::generate().unwrap().recipient().unwrap().to_string();
    let password = format!("Pw-{}\"{}%/{}&ü", &noise[8..18], &noise[18..28], &noise[28..37]);
    assert_eq!(password.len(), 38);
    password
}

/// The plaintext settings of the usual application.
pub(crate) fn settings(folder: &Path, vendor: &mut Vendor, password: &str) -> PathBuf {
    let [login, orders, ca] = ["login", "orders", "ca"].map(|name| vendor.text(name));
    let path = folder.join("app.toml");
    let text = format!(
        "username = '{USER}'\npassword = '{password}'\nlogin = '{login}'\norders = '{orders}'\nca = '''{ca}'''\n"
    );
    std::fs::write(&path, text).unwrap();
    path
}

/// A sealed file, the key that opens it, and the secrets in both.
pub(crate) struct Sealed {
    pub(crate) file: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) needles: Needles,
}

impl Sealed {
    /// `more` is readable TOML after the profile.
    pub(crate) fn make(folder: &Path, vendor: &mut Vendor, password: &str, more: &str) -> Sealed {
        let [login, ca] = ["login", "ca"].map(|name| vendor.text(name));
        let profile = format!(
            "[acme.login]\nurl = '{login}'\njson = {{ username = '${{username}}', password = '${{password}}' }}\nca = '''{ca}'''\n\
             login_timeout = '1h' # it is scanned while it waits\n{more}"
        );
        let (writer, app) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        let access = [("alice", Role::Writer, &writer), ("app", Role::Reader, &app)]
            .map(|(name, role, identity)| Access::new(name, role, identity.recipient()).unwrap());
        let mut vault = Vault::create(access.to_vec(), &profile).unwrap();
        for (path, value) in [("acme.username", USER), ("acme.password", password)] {
            let value = Secret::copy_of(value.as_bytes()).unwrap();
            vault.set(&path.parse().unwrap(), ValueKind::Text, &value, 0).unwrap();
        }
        let pin = Pin::from(vault.file().vault_id());
        let (file, key) = (folder.join("app.sealed.toml"), folder.join("app.key"));
        FileLock::acquire(&file).unwrap().create(&vault.sign().unwrap()).unwrap();
        let text = app.to_file_text(&[pin]).unwrap().expose(<[u8]>::to_vec);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&key)
            .unwrap()
            .write_all(&text)
            .unwrap();
        let needles = [("identity", identity(&text)), ("data key", vec![data_key(&file, &key)])];
        Sealed { file, key, needles: needles.into() }
    }
}

/// The identity as text and as bytes.
fn identity(text: &[u8]) -> Vec<Vec<u8>> {
    let text = std::str::from_utf8(text).unwrap();
    let line = text.lines().find(|line| line.starts_with(IDENTITY)).unwrap();
    let (_, bytes) = bech32::decode(line).unwrap();
    vec![line.as_bytes()[IDENTITY.len()..].to_vec(), bytes]
}

/// Opened by age itself, so that the result does not depend on our code.
fn data_key(file: &Path, key: &Path) -> Vec<u8> {
    let file: toml::Table = toml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let block = file["bootseal"]["read_key"].as_str().unwrap();
    let mut age = Command::new("age");
    let age = age
        .arg("--decrypt")
        .arg("--identity")
        .arg(key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut age =
        age.unwrap_or_else(|error| panic!("age: {error}; run `scripts/test`, which installs it"));
    age.stdin.take().unwrap().write_all(block.as_bytes()).unwrap();
    let opened = age.wait_with_output().unwrap();
    assert!(
        opened.status.success() && opened.stdout.len() == 32,
        "age could not open the key block"
    );
    opened.stdout
}
