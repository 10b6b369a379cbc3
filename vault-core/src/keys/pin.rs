//! Which vault is it meant to be? An id that someone insists on, perhaps with the least generation.

use crate::access::identity::IdentityFile;
use crate::disk::lock::FileLock;
use crate::error::{Error, Kind, Result};
use crate::keys::signing::VaultId;
use bootseal_memory::SecretBuf;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// A pin: `vault1…`, or `vault1…@41` for that vault at generation 41 or later. Any other text does not parse: [`Kind::Usage`].
///
/// ```
/// let pin = "vault1broken".parse::<bootseal_core::Pin>();
/// assert!(pin.is_err()); // a typo never opens the door
/// ```
///
/// ```
/// # use bootseal_core::*;
/// # let alice = Identity::generate()?;
/// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
/// # let mut vault = Vault::create(access, "timeout = \"10s\"\n")?;
/// let id = vault.file().vault_id();
/// let pin: Pin = format!("{id}@41").parse()?;
/// assert_eq!((pin.vault, pin.floor), (id, 41));
/// assert_eq!(Pin::from(id).floor, 0);
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The vault that is insisted on.
    pub vault: VaultId,
    /// The least generation that is accepted; 0 without a floor.
    pub floor: u64,
}

impl Pin {
    /// Writes `pins` as comment lines into a key file; those that stood there go, everything else stays as it is.
    ///
    /// # Errors
    /// [`Kind::NotFound`] and [`Kind::Io`] where it cannot be read or written, [`Kind::UnsafeFile`] where others can,
    /// [`Kind::Malformed`] where it is no identity file, or one that has no place for comments, as an SSH key.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("app.key");
    /// let key = Identity::generate()?.to_file_text(&[])?;
    /// # key.expose(|bytes| std::fs::write(&path, bytes)).unwrap();
    /// # #[cfg(unix)] std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    /// # let list = vec![Access::new("me", Role::Writer, Identity::generate()?.recipient())?];
    /// # let vault = Vault::create(list, "")?.file().vault_id();
    /// Pin::write_into(&path, &[vault.into()])?;
    /// assert_eq!(IdentityFile::read(&path)?.pins, [Pin::from(vault)]);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn write_into(path: &Path, pins: &[Pin]) -> Result<()> {
        let page = crate::access::identity::read_page(path).map_err(|error| error.in_file(path))?;
        let mut text = SecretBuf::with_capacity(page.len() + 128)?;
        for pin in pins {
            text.push(format!("# vault: {pin}\n").as_bytes())?;
        }
        let kept = page.expose(|bytes| {
            let lines = std::str::from_utf8(bytes).map_err(|_| Error::malformed("not UTF-8: this is no identity file"))?.lines();
            for line in lines {
                if line.starts_with("-----BEGIN") && line.trim_end() != crate::access::locked::BEGIN {
                    return Err(Error::malformed("has no place for comments").with_help(
                        "Pin what is opened with it by BOOTSEAL_PIN, or by bootseal.pin among the service's credentials.",
                    ));
                }
                if !is_pin_line(line) {
                    text.push(line.as_bytes())?;
                    text.push(b"\n")?;
                }
            }
            Ok(())
        });
        // What it will be is read before it is written: a key file must not be lost by way of its comments.
        kept.and_then(|()| text.expose(|mut bytes| IdentityFile::from_reader(&mut bytes)).map(drop))
            .map_err(|error| error.in_file(path))?;
        let lock = FileLock::acquire(path)?;
        match text.freeze().expose_str(|text| lock.write(text)) {
            Ok(written) => written,
            Err(_) => Err(Error::malformed("not UTF-8: this is no identity file").in_file(path)),
        }
    }
}

/// Whether a line of a key file is a comment whose first word is meant to be `vault:`.
fn is_pin_line(line: &str) -> bool {
    let first = line.trim().strip_prefix('#').and_then(|comment| comment.split_whitespace().next());
    first.is_some_and(|word| word.to_ascii_lowercase().starts_with("vault:"))
}

impl From<VaultId> for Pin {
    fn from(vault: VaultId) -> Pin {
        Pin { vault, floor: 0 }
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.floor {
            0 => write!(f, "{}", self.vault),
            floor => write!(f, "{}@{floor}", self.vault),
        }
    }
}

impl FromStr for Pin {
    type Err = Error;

    fn from_str(text: &str) -> Result<Pin> {
        let (id, floor) = text.split_once('@').map_or((text, None), |(id, floor)| (id, Some(floor)));
        let bad = || {
            Error::new(Kind::Usage, format!("{} is not a pin", crate::error::Typed(text)))
                .with_help("A pin is vault1…, or vault1…@GENERATION. `bootseal verify` prints the id of a file.")
        };
        let floor = match floor {
            None => 0,
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => digits.parse().map_err(|_| bad())?,
            Some(_) => return Err(bad()),
        };
        Ok(Pin { vault: id.parse().map_err(|_| bad())?, floor })
    }
}

/// Whether `vault` is one of those that `pins` insist on. No pin at all insists on nothing.
pub(crate) fn check_vault(pins: &[Pin], vault: &VaultId) -> Result<()> {
    if pins.is_empty() || pins.iter().any(|pin| pin.vault == *vault) {
        return Ok(());
    }
    let wanted: Vec<String> = pins.iter().map(|pin| pin.vault.to_string()).collect();
    Err(Error::new(Kind::WrongVault, format!("this is the vault {vault}, not the pinned {}", wanted.join(" or ")))
        .with_help(
            "Put the right file in place. Only if the vault was made anew on purpose, renew the pin on each host.",
        ))
}

/// Whether `generation` is not below the highest floor that the pins set for `vault`.
pub(crate) fn check_floor(pins: &[Pin], vault: &VaultId, generation: u64) -> Result<()> {
    match pins.iter().filter(|pin| pin.vault == *vault).map(|pin| pin.floor).max() {
        Some(floor) if generation < floor => Err(Error::new(
            Kind::OldGeneration,
            format!("this is generation {generation} of the file; the pin asks for {floor} or later"),
        )
        .with_help("An older copy lies in the file's place. Deploy the newest one.")),
        _ => Ok(()),
    }
}
