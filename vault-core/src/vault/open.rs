//! Opens a verified file with an identity, which is the step from names to values.

use crate::access::identity::Identity;
#[cfg(feature = "plugin")]
use crate::access::plugin::find::Plugins;
use crate::access::wrap::{open_data_key, open_writer_keys};
use crate::error::{Error, Kind, Result};
use crate::file::header::{Access, Role};
use crate::file::verified::VerifiedFile;
use crate::keys::signing::id_of;
use crate::shown::some_names;
use crate::vault::{CanRead, CanWrite, Vault};

impl VerifiedFile {
    /// The highest role that one of these identities has in the access list; `None` if the list
    /// contains none of them.
    ///
    /// ```
    /// # let (alice, file) = bootseal_fixtures::file("");
    /// use bootseal_core::{Identity, Role};
    /// assert_eq!(file.role_of(&[alice]), Some(Role::Writer));
    /// assert_eq!(file.role_of(&[Identity::generate()?]), None);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn role_of(&self, identities: &[Identity]) -> Option<Role> {
        let may = |access: &&Access| {
            identities.iter().any(|identity| identity.may_open(&access.recipient))
        };
        let roles = self.header.access.iter().filter(may).map(|access| access.role);
        roles.fold(None, |best, role| if best == Some(Role::Writer) { best } else { Some(role) })
    }

    /// Opens the data key, so that values can be opened.
    ///
    /// # Errors
    /// [`Kind::NoIdentity`] if none of `identities` opens it, with the names of the members who
    /// can; [`Kind::Malformed`] if a key block is broken.
    pub fn open(self, identities: &[Identity]) -> Result<Vault<CanRead>> {
        match open_data_key(&self.header.read_key, &self.wanted(identities)) {
            Ok(Some(key)) => Vault::for_reader(self, key),
            Ok(None) => Err(self.none_of(identities)),
            Err(error) => Err(self.placed(error)),
        }
    }

    /// Opens the signing seed and the data key, so that values can also be sealed, and the file
    /// signed.
    ///
    /// # Errors
    /// The errors of [`VerifiedFile::open`]; [`Kind::NoIdentity`] also for a reader;
    /// [`Kind::Malformed`] if the seed does not belong to the vault's id, or if the two key blocks
    /// contain different data keys, so that readers would see other values.
    pub fn open_for_writing(self, identities: &[Identity]) -> Result<Vault<CanWrite>> {
        let wanted = self.wanted(identities);
        match open_writer_keys(&self.header.write_key, &self.header.read_key, &wanted) {
            Ok(Some((seed, key))) if id_of(&seed) == self.header.vault => {
                let vault = Vault::for_writer(self, seed, key)?;
                vault.check_key_blocks(&wanted)?;
                Ok(vault)
            }
            Ok(Some(_)) => Err(self.placed(Error::malformed(
                "`write_key` does not contain the signing seed of this vault",
            ))),
            Ok(None) if self.role_of(identities) == Some(Role::Reader) => {
                let error = Error::new(Kind::NoIdentity, "this identity can read, but not write")
                    .with_help(format!("Writers: {}.", self.header.writers()));
                Err(self.placed(error))
            }
            Ok(None) => Err(self.none_of(identities)),
            Err(error) => Err(self.placed(error)),
        }
    }

    /// Leaves out the identities of plugins that have no recipient in the access list, so that
    /// their program is not run.
    fn wanted(&self, identities: &[Identity]) -> Vec<Identity> {
        let wanted = |identity: &&Identity| {
            !identity.is_plugin() || self.role_of(std::slice::from_ref(*identity)).is_some()
        };
        identities.iter().filter(wanted).cloned().collect()
    }

    /// Sets where to find the plugins of the recipients in the access list.
    #[cfg(feature = "plugin")]
    #[must_use]
    pub fn with_plugins(mut self, plugins: &Plugins) -> VerifiedFile {
        for access in &mut self.header.access {
            access.recipient = access.recipient.clone().with_plugins(plugins);
        }
        self
    }

    fn placed(&self, error: Error) -> Error {
        error.in_file_if(self.path())
    }

    fn none_of(&self, identities: &[Identity]) -> Error {
        let tried: Vec<String> = identities.iter().map(Identity::to_string).collect();
        self.no_identity(&if tried.is_empty() { "nothing".into() } else { some_names(tried) })
    }

    /// The error of [`VerifiedFile::open`] if no identity opens the file, for a caller that knows
    /// where it looked for one: `tried` names these places.
    ///
    /// ```
    /// # let (_, file) = bootseal_fixtures::file("");
    /// let error = file.no_identity("APP_KEY (unset)");
    /// assert_eq!(error.kind(), bootseal_core::Kind::NoIdentity);
    /// assert!(error.what().ends_with("Tried: APP_KEY (unset)"));
    /// ```
    pub fn no_identity(&self, tried: &str) -> Error {
        let what = format!(
            "no key opens this file ({}, generation {}). Tried: {tried}",
            self.header.vault, self.header.generation
        );
        let passphrases = self.passphrase_help();
        self.placed(Error::new(Kind::NoIdentity, what).with_help(format!(
            "It can be opened by: {}.{passphrases} To ask a writer for access: bootseal access request",
            self.header.who()
        )))
    }

    /// The members with a passphrase, for messages: " By passphrase: break-glass
    /// (--passphrase-fd)."; empty if there are none.
    fn passphrase_help(&self) -> String {
        let names = self
            .access()
            .iter()
            .filter(|access| access.passphrase.is_some())
            .map(|access| access.name.as_str());
        let names: Vec<&str> = names.collect();
        if names.is_empty() {
            String::new()
        } else {
            format!(" By passphrase: {} (--passphrase-fd).", some_names(names))
        }
    }
}
