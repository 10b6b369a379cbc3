//! Support for an application's own tests: a vault from literals, and a manual clock. The crate
//! `bootseal-vendor-sim` contains a vendor that listens on loopback.
//!
//! ```
//! let vendor = bootseal_vendor_sim::Vendor::start()?;
//! let vault = bootseal::testing::vault([
//!     ("acme.username", "quickstart"),
//!     ("acme.password", "open sesame"),
//! ], &format!("[acme.login]\nurl = \"{}\"\njson = {{ username = \"${{username}}\", password = \"${{password}}\" }}\nca = '''{}'''\n",
//!     vendor.url("/login"), vendor.ca_pem()))?;
//! let token = vault.token_source("acme")?.token_blocking()?;
//! assert_eq!(vendor.logins(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod clock;

pub use clock::Clock;

use crate::error::Result;
use crate::load::secrets::Secrets;
use crate::load::snapshot::Snapshot;
use bootseal_core::{Access, Identity, Pin, Role, SealedFile, Secret, ValueKind, Vault};

/// An opened vault with these sealed values and the readable TOML `readable`. Nothing is written to
/// a disk, but the vault goes through the same steps as a real file: it is sealed, signed, verified
/// and opened.
///
/// # Errors
/// The errors of sealing and opening, for example for a profile that cannot work.
///
/// ```
/// let vault = bootseal::testing::vault([("db.password", "hunter2")], "")?;
/// assert!(vault.secret("db.password")?.expose(|bytes| bytes == b"hunter2"));
/// # Ok::<(), bootseal::Error>(())
/// ```
pub fn vault<'a>(
    values: impl IntoIterator<Item = (&'a str, &'a str)>,
    readable: &str,
) -> Result<Secrets> {
    let identity = Identity::generate()?;
    let mut vault =
        Vault::create(vec![Access::new("test", Role::Writer, identity.recipient())?], readable)?;
    for (path, value) in values {
        vault.set(&path.parse()?, ValueKind::Text, &Secret::copy_of(value.as_bytes())?, 0)?;
    }
    let pin = Pin::from(vault.file().vault_id());
    let opened =
        SealedFile::parse(vault.sign()?.into_bytes())?.verify(&[pin])?.open(&[identity])?;
    Ok(Secrets::new(Snapshot::new(opened, &[])?, None))
}
