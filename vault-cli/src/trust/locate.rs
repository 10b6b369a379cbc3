//! Which file, and which vault must it be? The choices that stand before every verb.

use crate::cli::Everywhere;
use crate::context::World;
use crate::trust::keyring::Keys;
use crate::ui::failure::{Failure, Result};
use crate::ui::output::Style;
use bootseal_core::{Kind, KnownFile, KnownVaults, Pin, SealedFile, Shown, Trust, VaultId, VerifiedFile};
use std::path::{Path, PathBuf};

/// What this machine remembers, and as what it knows the path. Without a home there is no memory; a pin, or a question, takes its place.
/// Loaded before the file is read: else what another process writes in between would look like an older file.
pub(crate) struct Memory(Option<(KnownVaults, KnownFile)>);

impl Memory {
    pub(crate) fn recognise(&self, file: &mut VerifiedFile) -> Result<(), bootseal_core::Error> {
        self.0.as_ref().map_or(Ok(()), |(known, place)| known.recognise(file, place))
    }

    /// What was seen stands against taking a secret in where the file is from before a removal.
    pub(crate) fn refuse_older(&self, file: &VerifiedFile) -> Result<(), bootseal_core::Error> {
        self.0.as_ref().map_or(Ok(()), |(known, place)| known.refuse_older_epoch(file, place))
    }

    pub(crate) fn vault_id(&self) -> Option<VaultId> {
        self.0.as_ref().and_then(|(known, place)| known.vault_of(place))
    }

    /// The highest generation that was seen of this vault; of one that was handed over, whoever has its key can go on counting.
    pub(crate) fn generation(&self, vault: &VaultId) -> u64 {
        let known = self.0.as_ref().filter(|(known, place)| known.vault_of(place) == Some(*vault));
        known.map_or(0, |(known, place)| known.generation_of(place))
    }

    pub(crate) fn epoch(&self, vault: &VaultId) -> u64 {
        self.0.as_ref().map_or(0, |(known, place)| known.epoch_of(place, vault))
    }
}

/// A file that was found and verified, and what is at hand to open it.
pub(crate) struct OpenedFile {
    pub(crate) path: PathBuf,
    pub(crate) keys: Keys,
    pub(crate) pins: Vec<Pin>,
    pub(crate) memory: Memory,
    pub(crate) file: VerifiedFile,
}

impl World<'_> {
    /// The file that a verb is about, verified. Nothing vouches for it yet but a pin or this machine's memory.
    pub(crate) fn find(&mut self, everywhere: &Everywhere, style: Style) -> Result<OpenedFile> {
        let path = self.sealed_file(everywhere)?;
        let keys = self.keys(everywhere)?;
        let pins = self.pins(everywhere, &keys)?;
        self.find_at(&path, keys, pins, style)
    }

    /// The same for every file that `-f` names, each with its own outcome.
    pub(crate) fn find_all(
        &mut self,
        everywhere: &Everywhere,
        style: Style,
    ) -> Result<Vec<(PathBuf, Result<OpenedFile>)>> {
        let paths = self.sealed_files(everywhere)?;
        self.find_each(paths, everywhere, style)
    }

    /// The same for these paths.
    pub(crate) fn find_each(
        &mut self,
        paths: Vec<PathBuf>,
        everywhere: &Everywhere,
        style: Style,
    ) -> Result<Vec<(PathBuf, Result<OpenedFile>)>> {
        let keys = self.keys(everywhere)?;
        let pins = self.pins(everywhere, &keys)?;
        let each = paths.into_iter().map(|path| {
            let found = self.find_at(&path, keys.clone(), pins.clone(), style);
            (path, found)
        });
        Ok(each.collect())
    }

    /// The same for a path, with what is at hand.
    pub(crate) fn find_at(&mut self, path: &Path, keys: Keys, pins: Vec<Pin>, style: Style) -> Result<OpenedFile> {
        let memory = self.memory(path)?;
        let file = self.verified(SealedFile::read(path)?, path, &memory, &pins, style)?.with_plugins(&keys.plugins);
        Ok(OpenedFile { path: path.to_path_buf(), keys, pins, memory, file })
    }

    /// What `-f` names, patterns expanded, else [`World::sealed_file`].
    pub(crate) fn sealed_files(&self, everywhere: &Everywhere) -> Result<Vec<PathBuf>> {
        if everywhere.file.is_empty() {
            return Ok(vec![self.sealed_file(everywhere)?]);
        }
        expand(&everywhere.file)
    }

    /// The file that `-f` names, where a verb is about one.
    pub(crate) fn named_file(&self, everywhere: &Everywhere) -> Result<Option<PathBuf>> {
        match everywhere.file.as_slice() {
            [] => Ok(self.var("BOOTSEAL_FILE").map(PathBuf::from)),
            [path] => Ok(Some(path.clone())),
            _ => Err(Failure::new(Kind::Usage, "this verb takes one file, and -f names several")),
        }
    }

    /// `-f`, `BOOTSEAL_FILE`, or the one `*.sealed.toml` in this folder.
    pub(crate) fn sealed_file(&self, everywhere: &Everywhere) -> Result<PathBuf> {
        if let Some(path) = self.named_file(everywhere)? {
            return Ok(path);
        }
        let mut found: Vec<PathBuf> = glob::glob("*.sealed.toml").into_iter().flatten().flatten().collect();
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => Err(Failure::new(Kind::NotFound, "no file was named, and there is no *.sealed.toml in this folder")
                .with_help("Name it with -f FILE or BOOTSEAL_FILE, or make one: bootseal init")),
            _ => {
                let names: Vec<String> = found.iter().map(|path| Shown(&path.to_string_lossy()).to_string()).collect();
                Err(Failure::new(Kind::Usage, format!("several files are here: {}", names.join(", ")))
                    .with_help("Name one with -f FILE"))
            }
        }
    }

    /// What this machine remembers of the file at `path`.
    pub(crate) fn memory(&self, path: &Path) -> Result<Memory> {
        match self.known_vaults() {
            Ok(store) => Ok(Memory(Some((KnownVaults::load(&store)?, KnownFile::of_path(path)?)))),
            Err(_) => Ok(Memory(None)),
        }
    }

    /// Where this machine remembers which vault each file is.
    pub(crate) fn known_vaults(&self) -> Result<PathBuf> {
        let folder = self.user_folder("LOCALAPPDATA", "XDG_STATE_HOME", ".local/state");
        folder.map(|folder| folder.join("bootseal").join("known_vaults")).ok_or_else(|| {
            Failure::new(Kind::Usage, "neither HOME nor XDG_STATE_HOME says where known vaults are remembered")
                .with_help("Set HOME, or XDG_STATE_HOME to a folder of yours.")
        })
    }

    /// A folder of the user's: named by a variable, or below the home. A relative one in an XDG variable is to be ignored.
    pub(crate) fn user_folder(&self, windows: &str, xdg: &str, below_home: &str) -> Option<PathBuf> {
        if cfg!(windows) {
            return self.var(windows).map(PathBuf::from);
        }
        let named = self.var(xdg).map(PathBuf::from).filter(|folder| folder.is_absolute());
        named.or_else(|| self.var("HOME").map(|home| PathBuf::from(home).join(below_home)))
    }

    /// `--pin`, else `BOOTSEAL_PIN`, else the lines of the identity files: the first source that has any decides.
    pub(crate) fn pins(&self, everywhere: &Everywhere, keys: &Keys) -> Result<Vec<Pin>> {
        let parse = |text: &str| text.parse::<Pin>().map_err(Failure::from);
        if !everywhere.pin.is_empty() {
            return everywhere.pin.iter().map(|text| parse(text)).collect();
        }
        if let Some(text) = self.var("BOOTSEAL_PIN") {
            let text = text.to_str().ok_or_else(|| Failure::new(Kind::Usage, "BOOTSEAL_PIN is not text"))?;
            let pins = text.split_whitespace().map(parse).collect::<Result<Vec<_>>>();
            let pins = pins.map_err(|failure| failure.within("BOOTSEAL_PIN"))?;
            // Set and empty must not open the door that the key file's pin keeps shut.
            return match pins.is_empty() {
                true => Err(Failure::new(Kind::Usage, "BOOTSEAL_PIN is set, and holds no pin")),
                false => Ok(pins),
            };
        }
        Ok(keys.pins.clone())
    }

    /// Verifies under the pins, or else against what this machine remembers for the path.
    pub(crate) fn verified(
        &mut self,
        file: SealedFile,
        path: &Path,
        memory: &Memory,
        pins: &[Pin],
        style: Style,
    ) -> Result<VerifiedFile> {
        let mut file = file.verify(pins)?;
        memory.recognise(&mut file)?;
        if let Some(old) = file.handed_over_from() {
            self.warn(
                style,
                format_args!("the pin {old} is old: this vault goes on as {}; renew the pin", file.vault_id()),
            );
        }
        self.detail(
            style,
            format_args!(
                "{}: {}, generation {}, {}",
                Shown(&path.to_string_lossy()),
                file.vault_id(),
                file.generation(),
                trusted(&file)
            ),
        );
        Ok(file)
    }

    /// Makes sure that someone vouches for the file before it is given a secret: a pin, this machine's memory, or a person.
    /// Otherwise anyone could put a vault of theirs in its place, and have the real password sealed for them.
    pub(crate) fn vouch(&mut self, file: &mut VerifiedFile, memory: &Memory, path: &Path, style: Style) -> Result<()> {
        memory.refuse_older(file)?;
        if file.trust() != Trust::Unverified {
            // A handover is remembered when something was written on its ground, and not when it is only looked at.
            if memory.vault_id().is_none_or(|known| known == file.vault_id() || !file.former_ids().contains(&known)) {
                self.remember(path, file, style);
            }
            return Ok(());
        }
        let unknown = format!(
            "{}: nothing vouches for this vault: {} is neither pinned nor known on this machine",
            Shown(&path.to_string_lossy()),
            file.vault_id()
        );
        if !self.can_ask() {
            return Err(Failure::new(Kind::WrongVault, unknown)
                .with_help(format!("If it is the right one, say so: --pin {}", file.vault_id())));
        }
        let who = crate::commands::access::list::table(file.access());
        let question = format!("{unknown}.\nIts values can be read by:\n{who}\nIs it the right vault?");
        if !self.ask(&question)? {
            return Err(Failure::new(Kind::WrongVault, "not the right vault; nothing was changed"));
        }
        file.trusted_by(Trust::FirstUse);
        self.remember(path, file, style);
        Ok(())
    }

    /// Says so where the file, which is locked, is older than what was seen here.
    pub(crate) fn note_older(&mut self, file: &VerifiedFile, path: &Path, style: Style) -> Result<()> {
        let memory = self.memory(path)?;
        let seen = memory.generation(&file.vault_id());
        // No error: branches are older than one another all the time.
        if memory.vault_id() == Some(file.vault_id()) && file.generation() < seen {
            let shown = Shown(&path.to_string_lossy()).to_string();
            self.note(
                style,
                format_args!("{shown} is generation {}; generation {seen} was seen here", file.generation()),
            );
        }
        Ok(())
    }

    /// Keeps what is now known of the file: a pin, or a yes, makes it known; a handover moves the memory on.
    pub(crate) fn remember(&mut self, path: &Path, file: &VerifiedFile, style: Style) {
        let done =
            self.known_vaults().and_then(|store| Ok(KnownVaults::remember(&store, &KnownFile::of_path(path)?, file)?));
        let shown = Shown(&path.to_string_lossy()).to_string();
        match done {
            Ok(Some(before)) => {
                self.note(style, format_args!("{shown} was known as {before}; from now on it is {}", file.vault_id()))
            }
            Ok(None) => {}
            // Someone vouches for it now, as on a build server with a pin; next time someone must again.
            Err(failure) => self.warn(style, format_args!("{shown} is not remembered: {}", failure.text())),
        }
    }

    /// No pin may be set where a new vault is made: it insists on one that is there.
    pub(crate) fn refuse_pin(&self, everywhere: &Everywhere) -> Result<()> {
        let source = match (everywhere.pin.is_empty(), self.var("BOOTSEAL_PIN")) {
            (false, _) => "--pin",
            (true, Some(_)) => "BOOTSEAL_PIN",
            (true, None) => return Ok(()),
        };
        Err(Failure::new(
            Kind::Usage,
            format!("{source} insists on a vault that is there, and this would make a new one; nothing was changed"),
        ))
    }
}

/// Paths with patterns in them as the files that they match, each once, sorted; a name that exists is no pattern.
pub(crate) fn expand(named: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for path in named {
        let text = path.to_string_lossy();
        if path.exists() || !text.contains(['*', '?', '[']) {
            files.push(path.clone());
            continue;
        }
        let shown = Shown(&text).to_string();
        let matches = glob::glob(&text)
            .map_err(|error| Failure::new(Kind::Usage, format!("`{shown}` is not a pattern: {error}")))?;
        let mut found: Vec<PathBuf> = matches.flatten().collect();
        if found.is_empty() {
            return Err(Failure::new(Kind::NotFound, format!("`{shown}` matches no file")));
        }
        found.sort();
        files.extend(found);
    }
    let mut seen = std::collections::HashSet::new();
    files.retain(|path| seen.insert(path.clone()));
    Ok(files)
}

/// Who says that it is the right one?
pub(crate) fn trusted(file: &VerifiedFile) -> &'static str {
    match file.trust() {
        Trust::Pinned => "pinned",
        Trust::Unverified => "not pinned",
        _ => "remembered",
    }
}
