//! A dry run of startup: it opens the file as startup would, and reports the source of each part.

use crate::error::{Error, Result};
use crate::load::loader::Loader;
use bootseal_core::{Profile, VaultId};
use std::path::PathBuf;

/// The result of [`Loader::check`]: the file, keys and profiles that startup would use.
///
/// ```no_run
/// let check = bootseal::Loader::new("app.sealed.toml").check()?;
/// println!("{}, generation {}, {} values", check.vault, check.generation, check.values);
/// for (what, from) in check.sources {
///     println!("{what}: {from}"); // "pin: given in code", …
/// }
/// for (profile, error) in check.profiles {
///     println!("{profile}: {}", error.map_or("can work".into(), |error| error.to_string()));
/// }
/// # Ok::<(), bootseal::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Check {
    /// The file.
    pub path: PathBuf,
    /// The id of its vault.
    pub vault: VaultId,
    /// Its generation.
    pub generation: u64,
    /// The number of sealed values, each of which was opened.
    pub values: usize,
    /// The login profiles, each with the error that makes it unusable, if any.
    pub profiles: Vec<(String, Option<Error>)>,
    /// `file`, `key`, `pin`, `state` and `memory`, each with a description of its source.
    pub sources: Vec<(&'static str, String)>,
}

impl Loader {
    /// Does everything that [`Loader::load`] does, except that it writes no state and returns no
    /// secrets, and reports the source of each part. It makes no login. See the example of
    /// [`Check`].
    ///
    /// # Errors
    /// As [`Loader::load`], except for the errors of login profiles, which are part of the result.
    pub fn check(self) -> Result<Check> {
        let opened = self.open()?;
        let values = opened.vault.open_all()?.len();
        let file = opened.vault.file();
        let state = match &opened.place.state {
            None => "none: an older file would be accepted".into(),
            Some((folder, source)) => {
                let seen = match opened.seen {
                    0 => "nothing seen yet".into(),
                    seen => format!("generation {seen} was seen"),
                };
                format!("{} ({source}; {seen})", folder.display())
            }
        };
        let tables = file.profiles().into_iter();
        let profiles = tables
            .map(|table| (table.to_string(), Profile::read(file, &table).err().map(Error::from)));
        Ok(Check {
            path: opened.place.path.clone(),
            vault: file.vault_id(),
            generation: file.generation(),
            values,
            profiles: profiles.collect(),
            sources: vec![
                ("file", opened.place.path_source.to_owned()),
                ("key", opened.key_source.clone()),
                ("pin", opened.pin_source.clone()),
                ("state", state),
                ("memory", opened.report.to_string()),
            ],
        })
    }
}
