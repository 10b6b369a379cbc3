//! Key sources and pin sources in order of precedence, and the list of tried sources for the error
//! if no key opens the file.

use crate::error::{Error, Result};
use crate::load::env::{self, Env};
use crate::load::loader::Loader;
#[cfg(feature = "plugin")]
use bootseal_core::Plugins;
use bootseal_core::{Identity, IdentityFile, Kind, Pin, Secret, VerifiedFile, read_passphrase};
use std::path::{Path, PathBuf};

/// A key that may open the file.
pub(crate) struct Candidate {
    /// Its source, for messages.
    pub(crate) name: String,
    pub(crate) file: IdentityFile,
    /// A passphrase instead of identities, which are derived from the passphrase after the file has
    /// been verified.
    passphrase: Option<Secret>,
    /// Whether the passphrase was given in code. If it is wrong, that is an error, and no other key
    /// is tried.
    insisted: bool,
}

impl Candidate {
    fn of(name: impl Into<String>, file: IdentityFile) -> Candidate {
        Candidate { name: name.into(), file, passphrase: None, insisted: false }
    }

    fn of_passphrase(name: impl Into<String>, passphrase: Secret, insisted: bool) -> Candidate {
        Candidate {
            name: name.into(),
            file: IdentityFile::default(),
            passphrase: Some(passphrase),
            insisted,
        }
    }

    /// The identities to open with. `None` for a wrong passphrase, which is noted in `tried`.
    ///
    /// # Errors
    /// [`Kind::WrongPassphrase`] if a passphrase given in code is wrong.
    pub(crate) fn identities(
        &self,
        file: &VerifiedFile,
        tried: &mut Tried,
    ) -> Result<Option<Vec<Identity>>> {
        let Some(passphrase) = &self.passphrase else {
            return Ok(Some(self.file.identities.clone()));
        };
        match file.identity_by_any_passphrase(passphrase) {
            Ok(identity) => Ok(Some(vec![identity])),
            Err(error) if self.insisted => Err(error.into()),
            Err(error) => {
                let help = error
                    .help()
                    .filter(|_| error.kind() == Kind::Io)
                    .map(|help| format!("; {help}"));
                tried
                    .note(&self.name, format_args!("{}{}", error.what(), help.unwrap_or_default()));
                Ok(None)
            }
        }
    }
}

/// The sources that did not open the file, each with the reason:
/// "$CREDENTIALS_DIRECTORY/bootseal.key (absent)".
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
    /// The public keys of its identities.
    pub(crate) fn shown(&self) -> String {
        let ready = self.file.identities.iter().map(Identity::to_string);
        let ready = ready.chain(self.file.locked.iter().map(|key| {
            format!(
                "{}, which is protected by a passphrase and cannot be used here",
                key.recipient()
            )
        }));
        ready.collect::<Vec<_>>().join(", ")
    }

    /// Sets the plugin programs of its identities: the paths from code or from `BOOTSEAL_PLUGIN`,
    /// never from PATH.
    #[cfg(feature = "plugin")]
    fn with_plugins(mut self, given: &[PathBuf], env: &Env) -> Result<Candidate> {
        // Identities given in code may already have their plugins.
        if given.is_empty() && env.get(env::PLUGIN).is_none() {
            return Ok(self);
        }
        let named = if given.is_empty() { env.get(env::PLUGIN).map(PathBuf::from) } else { None };
        let plugins = given
            .iter()
            .chain(&named)
            .try_fold(Plugins::default(), |plugins, path| plugins.program(path))?;
        self.file.identities = std::mem::take(&mut self.file.identities)
            .into_iter()
            .map(|identity| identity.with_plugins(&plugins))
            .collect();
        Ok(self)
    }
}

/// The keys to try, in order: those from code, else the one from `BOOTSEAL_IDENTITY`, else those at
/// every well-known path.
///
/// # Errors
/// Fails if a named key cannot be read, or if a key file is malformed. A typo in its pin must not
/// cause a fallback to a key without a pin.
pub(crate) fn candidates(loader: &Loader, tried: &mut Tried) -> Result<Vec<Candidate>> {
    let found = match named(loader)? {
        Some(named) => named,
        None => well_known(&loader.env, tried)?,
    };
    #[cfg(feature = "plugin")]
    let found = found
        .into_iter()
        .map(|candidate| candidate.with_plugins(&loader.plugins, &loader.env))
        .collect::<Result<_>>()?;
    Ok(found)
}

fn named(loader: &Loader) -> Result<Option<Vec<Candidate>>> {
    let (given, given_passphrase, env) = (&loader.identities, &loader.passphrase, &loader.env);
    let mut in_code = Vec::new();
    if !given.is_empty() {
        let mut file = IdentityFile::default();
        file.identities = given.clone();
        in_code.push(Candidate::of("identities given in code", file));
    }
    if let Some(passphrase) = given_passphrase {
        in_code.push(Candidate::of_passphrase(
            "the passphrase given in code",
            passphrase.clone(),
            true,
        ));
    }
    if !in_code.is_empty() {
        return Ok(Some(in_code));
    }
    if let Some(path) = &loader.identity_file {
        return Ok(Some(vec![Candidate::of(
            path.display().to_string(),
            IdentityFile::read(path)?,
        )]));
    }
    if let Some(path) = env.get(env::IDENTITY) {
        // No other key is tried, because a fallback would hide a mistake in this variable.
        let path = PathBuf::from(path);
        let name = format!("{}={}", env::IDENTITY, path.display());
        return Ok(Some(vec![Candidate::of(name, IdentityFile::read(&path)?)]));
    }
    Ok(None)
}

fn well_known(env: &Env, tried: &mut Tried) -> Result<Vec<Candidate>> {
    tried.note(env::IDENTITY, "unset");
    let mut places: Vec<(String, PathBuf)> = Vec::new();
    match env.get(env::CREDENTIALS) {
        Some(folder) => {
            for file in [env::CREDENTIAL_KEY, env::CREDENTIAL_PASSPHRASE] {
                places.push((
                    format!("${}/{file}", env::CREDENTIALS),
                    PathBuf::from(&folder).join(file),
                ));
            }
        }
        None => tried.note(&format!("${}", env::CREDENTIALS), "unset"),
    }
    for place in env::KEY_FILES {
        places.push((place.into(), place.into()));
    }
    if let Some(folder) = env.config_folder() {
        let path = folder.join(env::USER_KEY_FILE);
        places.push((path.display().to_string(), path));
    }
    let mut found = Vec::new();
    for (name, path) in places {
        let read = match path.ends_with(env::CREDENTIAL_PASSPHRASE) {
            true => read_passphrase(&path)
                .map(|passphrase| Candidate::of_passphrase(&name, passphrase, false)),
            false => IdentityFile::read(&path).map(|file| Candidate::of(&name, file)),
        };
        match read {
            Ok(candidate) => found.push(candidate),
            Err(error) if error.kind() == Kind::Malformed => return Err(error.into()),
            Err(error) => tried.note(&name, why_not(&path, &error)),
        }
    }
    Ok(found)
}

fn why_not(path: &Path, error: &bootseal_core::Error) -> String {
    match std::fs::symlink_metadata(path) {
        Err(meta) if meta.kind() == std::io::ErrorKind::NotFound => "absent".into(),
        _ if path.is_file() && std::fs::File::open(path).is_err() => not_readable(),
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

/// Pins that take precedence over those of an identity file, and their source: code,
/// `BOOTSEAL_PIN`, `$CREDENTIALS_DIRECTORY/bootseal.pin`. Only the first source that has pins is
/// used.
pub(crate) fn pins(given: &[Pin], env: &Env) -> Result<(Vec<Pin>, String)> {
    if !given.is_empty() {
        return Ok((given.to_vec(), "given in code".into()));
    }
    if let Some(text) = env.get(env::PIN) {
        return Ok((parse(&text.to_string_lossy(), env::PIN)?, env::PIN.into()));
    }
    if let Some(folder) = env.get(env::CREDENTIALS) {
        let path = PathBuf::from(folder).join(env::CREDENTIAL_PIN);
        let name = path.display().to_string();
        match bootseal_core::open_source(&path).and_then(|mut file| {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut file, &mut bytes).map(|_| bytes)
        }) {
            Ok(bytes) => {
                if let Some(encoding) = bootseal_core::other_encoding(&bytes) {
                    let what = format!("{name}: is in {encoding}");
                    return Err(Error::new(Kind::Usage, what).with_help("Save it as UTF-8."));
                }
                let text = String::from_utf8_lossy(&bytes);
                return Ok((parse(&text, &name)?, name));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(Error::new(Kind::Io, format!("{name}: cannot be read: {error}")));
            }
        }
    }
    Ok((Vec::new(), String::new()))
}

fn parse(text: &str, source: &str) -> Result<Vec<Pin>> {
    let text = text.trim_start_matches('\u{feff}');
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let pins: std::result::Result<Vec<Pin>, _> =
        lines.flat_map(str::split_whitespace).map(str::parse).collect();
    match pins {
        Ok(pins) if !pins.is_empty() => Ok(pins),
        Ok(_) => Err(Error::new(Kind::Usage, format!("{source} is set but contains no pin"))),
        Err(error) => Err(Error::new(Kind::Usage, format!("{source}: {}", error.what()))
            .with_help(error.help().unwrap_or_default())),
    }
}
