//! Startup: finds the file and this host's record of the file, and opens the file with the first
//! key that fits.

use crate::error::{Error, Result};
use crate::load::env;
use crate::load::key_sources::{Candidate, Tried, candidates, pins};
use crate::load::loader::Loader;
use crate::load::secrets::Secrets;
use crate::load::snapshot::Snapshot;
use bootseal_core::{
    CanRead, Kind, KnownFile, KnownVaults, Pin, SealedFile, SignedFile, Trust, Vault, VaultId,
    VerifiedFile,
};
use bootseal_memory::Report;
use std::path::{Path, PathBuf};

/// The file in the state folder that stores known vaults.
const STATE_FILE: &str = "known_vaults";

/// Opens the sealed file at `path`, or the file that `BOOTSEAL_FILE` names.
///
/// # Errors
/// As [`Loader::load`].
///
/// ```no_run
/// let vault = bootseal::load("app.sealed.toml")?;
/// let password = vault.secret("db.password")?;
/// # Ok::<(), bootseal::Error>(())
/// ```
pub fn load(path: impl Into<PathBuf>) -> Result<Secrets> {
    Loader::new(path).load()
}

/// A trusted and opened file, and the source of each part.
pub(crate) struct Opened {
    pub(crate) place: Place,
    pub(crate) key_source: String,
    pub(crate) pin_source: String,
    /// The highest generation that this host has seen, or 0.
    pub(crate) seen: u64,
    /// The pinned or remembered id, if the vault has a different id now.
    old_id: Option<VaultId>,
    pub(crate) report: Report,
    pub(crate) vault: Vault<CanRead>,
}

/// The location of the file, and of this host's record of the file.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    pub(crate) path_source: &'static str,
    known_as: KnownFile,
    /// The state folder, and the source of its path.
    pub(crate) state: Option<(PathBuf, &'static str)>,
}

/// The data for remembering and logging an opened file.
pub(crate) struct Opening {
    remember: Option<(PathBuf, KnownFile)>,
    old_id: Option<VaultId>,
    report: Report,
}

/// The outcome of trying one key.
enum Verdict {
    /// The key's own pins are for another vault.
    Foreign(bootseal_core::Error),
    /// The key does not open the file.
    NotListed,
    /// The key opens the file but has no pin, while the pin of another key refused the file.
    NoPin,
    Opens(Box<Opened>),
}

impl Loader {
    /// Verifies and opens the file. Decrypts every value once, onto its own guarded page, and then
    /// wipes the data key.
    ///
    /// # Errors
    /// - For the file: [`Kind::NotFound`], [`Kind::Io`], [`Kind::Malformed`].
    /// - When the file is not authentic, or its vault is neither pinned nor remembered:
    ///   [`Kind::Forged`], [`Kind::WrongVault`], [`Kind::OldGeneration`], [`Kind::MovedValue`].
    /// - For the keys: [`Kind::NoIdentity`], [`Kind::UnsafeFile`], [`Kind::WrongPassphrase`];
    ///   [`Kind::Usage`] for an invalid pin.
    /// - [`Kind::Io`] if memory cannot be guarded; [`Kind::Malformed`] for a login profile that
    ///   cannot work.
    ///
    /// ```no_run
    /// let vault = bootseal::Loader::new("app.sealed.toml").load()?; // as bootseal::load does
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn load(self) -> Result<Secrets> {
        let opened = self.snapshot();
        // Ciphers and copies leave remnants of secrets in registers and on the stack.
        bootseal_memory::scrub_registers();
        bootseal_memory::scrub_stack();
        let (opened, opening) = opened?;
        self.accept(&opened, &opening)?;
        Ok(Secrets::new(opened, Some(self)))
    }

    /// Opens the file as it is now, without remembering or logging it.
    pub(crate) fn snapshot(&self) -> Result<(Snapshot, Opening)> {
        let Opened { place, old_id, report, vault, .. } = self.open()?;
        let remember = place.state.map(|(folder, _)| (folder.join(STATE_FILE), place.known_as));
        Ok((Snapshot::new(vault, &self.only_profiles)?, Opening { remember, old_id, report }))
    }

    /// Runs the application's check on the file, then remembers and logs the file. This is the last
    /// step, because remembering a file that cannot be opened would make the previous file too old.
    pub(crate) fn accept(&self, opened: &Snapshot, opening: &Opening) -> Result<()> {
        let file = &opened.file;
        self.validate(file)?;
        opening.remember(file)?;
        let path = file.path().unwrap_or(Path::new("")).display();
        if let Some(old) = opening.old_id {
            tracing::warn!(target: "bootseal", file = %path, %old, vault = %file.vault_id(), "the vault has a new id; renew the pin");
        }
        tracing::info!(target: "bootseal", file = %path, vault = %file.vault_id(), generation = file.generation(), memory = %opening.report, "opened");
        Ok(())
    }

    pub(crate) fn open(&self) -> Result<Opened> {
        let report = bootseal_memory::report()?;
        let place = self.locate();
        // Loaded before the file. Otherwise, if another process recorded a newer version in
        // between, the version that we read would look outdated.
        let known = match &place.state {
            Some((folder, _)) => Some(KnownVaults::load(&folder.join(STATE_FILE))?),
            None => None,
        };
        let sealed = SealedFile::read(&place.path)?;
        let mut tried = Tried::default();
        let (given, pin_source) = pins(&self.pins, &self.env)?;
        let candidates = candidates(self, &mut tried)?;
        let signed = sealed.verify_signature()?;
        let start = Start { loader: self, place, known, given, pin_source, signed, report };
        start.first_that_opens(candidates, tried)
    }

    fn locate(&self) -> Place {
        let (path, path_source) = self.file();
        let known_as = KnownFile::named(&path.file_name().unwrap_or_default().to_string_lossy());
        Place { path, path_source, known_as, state: self.state_folder() }
    }
}

/// The facts that every candidate key is checked against.
struct Start<'a> {
    loader: &'a Loader,
    place: Place,
    known: Option<KnownVaults>,
    /// Pins that override those of an identity file.
    given: Vec<Pin>,
    pin_source: String,
    signed: SignedFile,
    report: Report,
}

impl Start<'_> {
    fn first_that_opens(self, candidates: Vec<Candidate>, mut tried: Tried) -> Result<Opened> {
        let mut foreign = None;
        for candidate in candidates {
            match self.judge(&candidate, foreign.is_some(), &mut tried)? {
                Verdict::Opens(opened) => return Ok(*opened),
                Verdict::Foreign(error) => drop(foreign.get_or_insert(error)),
                Verdict::NotListed | Verdict::NoPin => {}
            }
        }
        match foreign {
            Some(error) => Err(error.into()),
            None => Err(self.no_key(&tried)?),
        }
    }

    /// `foreign` is true if the pin of another key has refused this file.
    fn judge(&self, candidate: &Candidate, foreign: bool, tried: &mut Tried) -> Result<Verdict> {
        // The pins of an identity file apply only to files opened with that identity.
        let own = if self.given.is_empty() { &candidate.file.pins } else { &self.given };
        // Without a pin, the known vault decides before the file is parsed.
        if let (true, Some(known)) = (own.is_empty(), &self.known)
            && let Err(error) = known.refuse_other_vault(&self.signed, &self.place.known_as)
        {
            return Ok(Verdict::Foreign(error));
        }
        let verified = match self.signed.clone().under(own) {
            Err(error) if self.given.is_empty() && error.kind() == Kind::WrongVault => {
                tried.note(&candidate.name, error.what());
                return Ok(Verdict::Foreign(error));
            }
            other => other?,
        };
        let Some(identities) = candidate.identities(&verified, tried)? else {
            return Ok(Verdict::NotListed);
        };
        if verified.role_of(&identities).is_none() {
            tried.note(&candidate.name, format_args!("{}: not in access", candidate.shown()));
            return Ok(Verdict::NotListed);
        }
        // A pin that refused this file cannot be overridden by a key without a pin.
        if own.is_empty() && foreign {
            tried.note(&candidate.name, "opens the file but has no pin");
            return Ok(Verdict::NoPin);
        }
        let (verified, old_id) = self.trust(verified, own, &candidate.name)?;
        let pin_source = self.pin_source(verified.trust(), own, candidate);
        let seen = self
            .known
            .as_ref()
            .map(|known| known.generation_of(&self.place.known_as))
            .unwrap_or_default();
        let vault = match verified.open(&identities) {
            // Only an attempt shows whether a plugin's identity opens the file.
            Err(error) if error.kind() == Kind::NoIdentity => {
                tried.note(&candidate.name, error.what());
                return Ok(Verdict::NotListed);
            }
            other => other?,
        };
        let (place, key_source) = (self.place.clone(), candidate.name.clone());
        let opened = Opened {
            place,
            key_source,
            pin_source,
            seen,
            old_id,
            report: self.report.clone(),
            vault,
        };
        Ok(Verdict::Opens(Box::new(opened)))
    }

    /// Accepts the file if its vault is pinned, remembered or trusted on first use, or if it need
    /// not be pinned. Also returns the earlier id of the vault, if it had one.
    fn trust(
        &self,
        mut file: VerifiedFile,
        pins: &[Pin],
        key: &str,
    ) -> Result<(VerifiedFile, Option<VaultId>)> {
        let place = &self.place;
        let mut old_id = file.handed_over_from();
        if let Some(known) = &self.known {
            known.recognise(&mut file, &place.known_as)?;
            known.refuse_older_generation(&file, &place.known_as)?;
            let remembered = known.vault_of(&place.known_as);
            old_id = old_id.or(remembered.filter(|id| *id != file.vault_id() && pins.is_empty()));
            // Nothing is remembered yet: this first start decides which vault is trusted from now
            // on.
            if file.trust() == Trust::Unverified {
                tracing::warn!(target: "bootseal", file = %place.path.display(), vault = %file.vault_id(), "first start without a pin: this vault is trusted from now on");
                file.trusted_by(Trust::FirstUse);
            }
        }
        if file.trust() == Trust::Unverified && !self.loader.allow_unpinned {
            return Err(unpinned(&file, key));
        }
        Ok((file, old_id))
    }

    fn pin_source(&self, trust: Trust, pins: &[Pin], candidate: &Candidate) -> String {
        match (trust, pins.is_empty()) {
            (_, false) if self.given.is_empty() => candidate.name.clone(),
            (_, false) => self.pin_source.clone(),
            (Trust::Remembered, _) => "none; the vault is the remembered one".into(),
            (Trust::FirstUse, _) => "none; the first start trusts and remembers the vault".into(),
            _ => "none: any vault would be accepted".into(),
        }
    }

    /// The error if no key opens the file. It names the vault, its generation and its members,
    /// which are unverified unless a pin was given.
    fn no_key(self, tried: &Tried) -> Result<Error> {
        if let (true, Some(known)) = (self.given.is_empty(), &self.known) {
            known.refuse_other_vault(&self.signed, &self.place.known_as)?;
        }
        let verified = self.signed.under(&self.given)?;
        let text = format!(
            "no key opens {} ({}, generation {}). Tried: {}.",
            self.place.path.display(),
            verified.vault_id(),
            verified.generation(),
            tried.text()
        );
        let help = format!(
            "It can be opened by: {}. To add a member, on a writer's machine: bootseal access add NAME RECIPIENT",
            verified.who()
        );
        Ok(Error::new(Kind::NoIdentity, text).with_help(help))
    }
}

impl Opening {
    /// Remembers the file in the state folder, if there is one.
    fn remember(&self, file: &VerifiedFile) -> Result<()> {
        let Some((known, known_as)) = &self.remember else { return Ok(()) };
        match KnownVaults::remember(known, known_as, file) {
            Ok(None) => {}
            Ok(Some(before)) if file.former_ids().contains(&before) => {}
            Ok(Some(before)) => {
                tracing::warn!(target: "bootseal", %before, "another vault was remembered under this file's name; give each application its own state directory")
            }
            // A first start that cannot be remembered is an error: otherwise, every start would be
            // a first start.
            Err(error) if file.trust() == Trust::FirstUse => return Err(error.into()),
            Err(error) => {
                tracing::warn!(target: "bootseal", %error, "the opened vault could not be remembered")
            }
        }
        Ok(())
    }
}

fn unpinned(file: &VerifiedFile, key: &str) -> Error {
    let path = file.path().map_or(String::new(), |path| format!("{}: ", path.display()));
    let text = format!(
        "{path}this vault is not pinned: no pin in code, {}, ${}/bootseal.pin or {key}",
        env::PIN,
        env::CREDENTIALS
    );
    Error::new(Kind::WrongVault, text).with_help(format!(
        "If it is the right file, pin it: bootseal access pin KEYFILE --pin {}, which adds the line `# vault: {0}`, or set {}={0}",
        file.vault_id(),
        env::PIN
    ))
}
