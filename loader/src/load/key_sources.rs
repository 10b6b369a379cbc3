//! Which key opens the file, and which vault must it be? Sources in their order; what was tried is kept for the error.

use crate::error::{Error, Result};
use crate::load::env::{self, Env};
#[cfg(feature = "plugin")]
use bootseal_core::Plugins;
use bootseal_core::{Identity, IdentityFile, Kind, Pin, Secret, VerifiedFile, read_passphrase};
use std::path::{Path, PathBuf};

/// In systemd's folder for credentials: what a passphrase is read from.
const PASSPHRASE: &str = "bootseal.passphrase";

/// A place where a key may lie.
pub(crate) struct Candidate {
    /// How messages call it.
    pub(crate) name: String,
    pub(crate) file: IdentityFile,
    /// In place of identities: they follow from it once the file is verified.
    pub(crate) passphrase: Option<Secret>,
    /// Named in code, so it is this one or none.
    insisted: bool,
}

impl Candidate {
    fn of(name: impl Into<String>, file: IdentityFile) -> Candidate {
        Candidate { name: name.into(), file, passphrase: None, insisted: false }
    }

    fn of_passphrase(name: impl Into<String>, passphrase: Secret, insisted: bool) -> Candidate {
        Candidate { name: name.into(), file: IdentityFile::default(), passphrase: Some(passphrase), insisted }
    }

    /// What it opens with. A passphrase that is not the one is noted, and passed over unless code insisted on it: `None`.
    pub(crate) fn identities(&self, file: &VerifiedFile, tried: &mut Tried) -> Result<Option<Vec<Identity>>> {
        let Some(passphrase) = &self.passphrase else { return Ok(Some(self.file.identities.clone())) };
        match file.identity_by_any_passphrase(passphrase) {
            Ok(identity) => Ok(Some(vec![identity])),
            Err(error) if self.insisted => Err(error.into()),
            Err(error) => {
                let help = error.help().filter(|_| error.kind() == Kind::Io).map(|help| format!("; {help}"));
                tried.note(&self.name, format_args!("{}{}", error.what(), help.unwrap_or_default()));
                Ok(None)
            }
        }
    }
}

/// What was looked at, for the error: "$CREDENTIALS_DIRECTORY/bootseal.key (absent)".
#[derive(Default)]
pub(crate) struct Tried(Vec<String>);

impl Tried {
    pub(crate) fn note(&mut self, name: &str, what: impl std::fmt::Display) {
        self.0.push(format!("{name} ({what})"));
    }

    pub(crate) fn text(&self) -> String {
        self.0.join(", ")
    }
}

impl Candidate {
    /// The public sides of what it holds.
    pub(crate) fn shown(&self) -> String {
        let ready = self.file.identities.iter().map(Identity::to_string);
        let ready = ready.chain(
            self.file
                .locked
                .iter()
                .map(|key| format!("{}, which a passphrase locks that nobody is asked for here", key.recipient())),
        );
        ready.collect::<Vec<_>>().join(", ")
    }

    /// Tells its identities where plugins may be found: at the paths that code gave, or `BOOTSEAL_PLUGIN`. Never on PATH.
    #[cfg(feature = "plugin")]
    pub(crate) fn with_plugins(mut self, given: &[PathBuf], env: &Env) -> Result<Candidate> {
        // Identities given in code may know their plugins already.
        if given.is_empty() && env.get(env::PLUGIN).is_none() {
            return Ok(self);
        }
        let named = if given.is_empty() { env.get(env::PLUGIN).map(PathBuf::from) } else { None };
        let plugins = given.iter().chain(&named).try_fold(Plugins::default(), |plugins, path| plugins.program(path))?;
        self.file.identities = std::mem::take(&mut self.file.identities)
            .into_iter()
            .map(|identity| identity.with_plugins(&plugins))
            .collect();
        Ok(self)
    }
}

/// Keys given in code, or named by `BOOTSEAL_IDENTITY`, end the search; the well-known places are passed over until one opens.
pub(crate) fn candidates(
    given: &[Identity],
    given_passphrase: Option<&Secret>,
    given_file: Option<&Path>,
    env: &Env,
    tried: &mut Tried,
) -> Result<Vec<Candidate>> {
    let mut in_code = Vec::new();
    if !given.is_empty() {
        let mut file = IdentityFile::default();
        file.identities = given.to_vec();
        in_code.push(Candidate::of("identities given in code", file));
    }
    if let Some(passphrase) = given_passphrase {
        in_code.push(Candidate::of_passphrase("the passphrase given in code", passphrase.clone(), true));
    }
    if !in_code.is_empty() {
        return Ok(in_code);
    }
    if let Some(path) = given_file {
        return Ok(vec![Candidate::of(path.display().to_string(), IdentityFile::read(path)?)]);
    }
    if let Some(path) = env.get(env::IDENTITY) {
        // Named, so it is this one or none: another key that happens to lie around would hide the mistake.
        let path = PathBuf::from(path);
        let name = format!("{}={}", env::IDENTITY, path.display());
        return Ok(vec![Candidate::of(name, IdentityFile::read(&path)?)]);
    }
    tried.note(env::IDENTITY, "unset");
    let mut places: Vec<(String, PathBuf)> = Vec::new();
    match env.get(env::CREDENTIALS) {
        Some(folder) => {
            for file in ["bootseal.key", PASSPHRASE] {
                places.push((format!("${}/{file}", env::CREDENTIALS), PathBuf::from(&folder).join(file)));
            }
        }
        None => tried.note(&format!("${}", env::CREDENTIALS), "unset"),
    }
    for place in ["/run/secrets/bootseal.key", "/run/secrets/bootseal/bootseal.key"] {
        places.push((place.into(), place.into()));
    }
    if let Some(folder) = env.config_folder() {
        let path = folder.join("identity.txt");
        places.push((path.display().to_string(), path));
    }
    let mut found = Vec::new();
    for (name, path) in places {
        let read = match path.ends_with(PASSPHRASE) {
            true => read_passphrase(&path).map(|passphrase| Candidate::of_passphrase(&name, passphrase, false)),
            false => IdentityFile::read(&path).map(|file| Candidate::of(&name, file)),
        };
        match read {
            Ok(candidate) => found.push(candidate),
            // A typo in a key file's pin must not open the door to a key that has none.
            Err(error) if error.kind() == Kind::Malformed => return Err(error.into()),
            Err(error) => tried.note(&name, why_not(&path, &error)),
        }
    }
    Ok(found)
}

fn why_not(path: &Path, error: &bootseal_core::Error) -> String {
    match std::fs::symlink_metadata(path) {
        Err(meta) if meta.kind() == std::io::ErrorKind::NotFound => "absent".into(),
        _ if std::fs::File::open(path).is_err() => not_readable(),
        _ => error.what().to_owned(),
    }
}

#[cfg(unix)]
fn not_readable() -> String {
    format!("not readable by uid {}", rustix::process::geteuid().as_raw())
}

#[cfg(not(unix))]
fn not_readable() -> String {
    "not readable by this user".into()
}

/// Pins that stand above those of an identity file: in code, `BOOTSEAL_PIN`, `$CREDENTIALS_DIRECTORY/bootseal.pin`. The first source that has any decides.
pub(crate) fn pins(given: &[Pin], env: &Env) -> Result<(Vec<Pin>, String)> {
    if !given.is_empty() {
        return Ok((given.to_vec(), "given in code".into()));
    }
    if let Some(text) = env.get(env::PIN) {
        return Ok((parse(&text.to_string_lossy(), env::PIN)?, env::PIN.into()));
    }
    if let Some(folder) = env.get(env::CREDENTIALS) {
        let path = PathBuf::from(folder).join("bootseal.pin");
        let name = path.display().to_string();
        match std::fs::read_to_string(&path) {
            Ok(text) => return Ok((parse(&text, &name)?, name)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::new(Kind::Io, format!("{name}: cannot be read: {error}"))),
        }
    }
    Ok((Vec::new(), String::new()))
}

fn parse(text: &str, source: &str) -> Result<Vec<Pin>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let pins: std::result::Result<Vec<Pin>, _> = lines.flat_map(str::split_whitespace).map(str::parse).collect();
    match pins {
        Ok(pins) if !pins.is_empty() => Ok(pins),
        Ok(_) => Err(Error::new(Kind::Usage, format!("{source} is set, and holds no pin"))),
        Err(error) => {
            Err(Error::new(Kind::Usage, format!("{source}: {}", error.what()))
                .with_help(error.help().unwrap_or_default()))
        }
    }
}
