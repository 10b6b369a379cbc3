//! Opens a vault by passphrase: finds the entry of the access list that a passphrase belongs to,
//! and derives its identity.

use crate::access::identity::Identity;
use crate::access::passphrase::{Derivation, Text};
use crate::error::{Error, Kind, Result};
use crate::file::header::Access;
use crate::file::verified::VerifiedFile;
use crate::shown::some_names;
use bootseal_memory::Secret;

/// The maximum number of entries that are tried with one passphrase. Each try takes up to half a
/// second, and an unpinned file may be crafted to waste time.
const MAX_TRIED: usize = 16;

/// A passphrase is used only with a verified file, whose salt and cost a writer chose.
impl VerifiedFile {
    /// Derives the identity of the access entry `name` from its passphrase, with the time and
    /// memory of its [`Cost`](crate::Cost).
    ///
    /// # Errors
    /// [`Kind::WrongPassphrase`] if the passphrase is wrong; [`Kind::NotFound`] if the access list
    /// has no such entry with a passphrase; [`Kind::Usage`] if the passphrase is not UTF-8;
    /// [`Kind::Io`] if there is not enough memory for the entry's [`Cost`](crate::Cost).
    ///
    /// ```
    /// # let (passphrase, file) = bootseal_fixtures::break_glass();
    /// use bootseal_core::{Kind, Role, Secret};
    /// let identity = file.identity_by_passphrase("break-glass", &passphrase)?;
    /// assert_eq!(file.role_of(&[identity]), Some(Role::Writer));
    ///
    /// let error = file.identity_by_passphrase("break-glass", &Secret::copy_of(b"a guess")?).unwrap_err();
    /// assert_eq!(error.kind(), Kind::WrongPassphrase);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn identity_by_passphrase(&self, name: &str, passphrase: &Secret) -> Result<Identity> {
        let entries: Vec<&Access> =
            self.by_passphrase().into_iter().filter(|access| access.name == name).collect();
        self.first_that_fits(&entries, passphrase)
    }

    /// Like [`VerifiedFile::identity_by_passphrase`], but without a name. Tries each entry with a
    /// passphrase, beginning with entries that need 64 MiB.
    ///
    /// # Errors
    /// As [`VerifiedFile::identity_by_passphrase`]; [`Kind::Usage`] if more than 16 entries would
    /// have to be tried.
    pub fn identity_by_any_passphrase(&self, passphrase: &Secret) -> Result<Identity> {
        let entries = self.by_passphrase();
        if entries.len() > MAX_TRIED {
            let what = format!(
                "{} entries have a passphrase; at most {MAX_TRIED} are tried",
                entries.len()
            );
            return Err(Error::new(Kind::Usage, what).with_help(
                "At a terminal, bootseal asks for the passphrase of one entry by name.",
            ));
        }
        self.first_that_fits(&entries, passphrase)
    }

    fn by_passphrase(&self) -> Vec<&Access> {
        let mut entries: Vec<&Access> =
            self.access().iter().filter(|access| access.passphrase.is_some()).collect();
        entries.sort_by_key(|access| access.passphrase.as_ref().map(Derivation::cost));
        entries
    }

    fn first_that_fits(&self, entries: &[&Access], passphrase: &Secret) -> Result<Identity> {
        let found = || -> Result<Identity> {
            let text = Text::of(passphrase)?;
            if text.0.is_empty() {
                return Err(Error::new(Kind::WrongPassphrase, "the passphrase is empty"));
            }
            for access in entries {
                let Some(how) = &access.passphrase else { continue };
                let identity = how.identity(&text)?;
                if identity.recipient().as_ref() == Some(&access.recipient) {
                    return Ok(identity);
                }
            }
            let names: Vec<&str> = entries.iter().map(|access| access.name.as_str()).collect();
            if names.is_empty() {
                let what =
                    "a passphrase was given, but no entry in access, or none of this name, has one";
                return Err(Error::new(Kind::NotFound, what)
                    .with_help(format!("It can be opened by: {}.", self.who())));
            }
            Err(Error::new(
                Kind::WrongPassphrase,
                format!("wrong passphrase for {}", some_names(names)),
            ))
        };
        found().map_err(|error| error.in_file_if(self.path()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::passphrase::Cost;
    use crate::file::header::Role;

    #[test]
    fn the_number_of_entries_tried_with_a_passphrase_is_limited() {
        let entries = (0..17).map(|index| {
            let access = Access::new(
                &format!("a{index}"),
                Role::Writer,
                Identity::generate().unwrap().recipient(),
            );
            Access { passphrase: Some(Derivation::fresh(Cost::Full).unwrap()), ..access.unwrap() }
        });
        let text = crate::Vault::create(entries.collect(), "").unwrap().sign().unwrap();
        let file = crate::SealedFile::parse(text.into_bytes()).unwrap().verify(&[]).unwrap();
        let passphrase = Secret::copy_of(b"a").unwrap();
        assert_eq!(file.identity_by_any_passphrase(&passphrase).unwrap_err().kind(), Kind::Usage);
        assert_eq!(
            file.identity_by_passphrase("b", &passphrase).unwrap_err().kind(),
            Kind::NotFound
        );
        assert_eq!(
            file.identity_by_passphrase("a1", &passphrase).unwrap_err().kind(),
            Kind::WrongPassphrase
        );
    }

    #[test]
    fn a_passphrase_that_cannot_be_typed_makes_no_entry() {
        for (passphrase, words) in
            [("", "empty"), ("\n", "empty"), ("a\nb", "cannot be typed"), ("a\0", "cannot be")]
        {
            let passphrase = Secret::copy_of(passphrase.as_bytes()).unwrap();
            let error =
                Access::by_passphrase("a", Role::Writer, Cost::Small, &passphrase).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage);
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
