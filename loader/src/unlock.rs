//! Which key opens the file, and which vault must it be? Sources in their order; what was tried is kept for the error.

use crate::env::{self, Env};
use crate::error::{Error, Result};
use bootseal_core::{Identity, IdentityFile, Kind, Pin};
use std::path::{Path, PathBuf};

/// A place where a key may lie.
pub(crate) struct Candidate {
    /// How messages call it.
    pub(crate) name: String,
    pub(crate) file: IdentityFile,
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

/// Keys given in code, or named by `BOOTSEAL_IDENTITY`, end the search; the well-known places are passed over until one opens.
pub(crate) fn candidates(
    given: &[Identity],
    given_file: Option<&Path>,
    env: &Env,
    tried: &mut Tried,
) -> Result<Vec<Candidate>> {
    if !given.is_empty() {
        let file = IdentityFile { identities: given.to_vec(), pins: Vec::new() };
        return Ok(vec![Candidate { name: "identities given in code".into(), file }]);
    }
    if let Some(path) = given_file {
        return Ok(vec![Candidate { name: path.display().to_string(), file: IdentityFile::read(path)? }]);
    }
    if let Some(path) = env.get(env::IDENTITY) {
        // Named, so it is this one or none: another key that happens to lie around would hide the mistake.
        let path = PathBuf::from(path);
        return Ok(vec![Candidate {
            name: format!("{}={}", env::IDENTITY, path.display()),
            file: IdentityFile::read(&path)?,
        }]);
    }
    tried.note(env::IDENTITY, "unset");
    let mut places: Vec<(String, PathBuf)> = Vec::new();
    match env.get(env::CREDENTIALS) {
        Some(folder) => {
            places.push((format!("${}/bootseal.key", env::CREDENTIALS), PathBuf::from(folder).join("bootseal.key")))
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
        match IdentityFile::read(&path) {
            Ok(file) => found.push(Candidate { name, file }),
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
