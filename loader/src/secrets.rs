//! What does the application hold after the start? Its secrets by name, and a token source for each login profile.

use crate::error::{Error, Result};
use bootseal_core::{Kind, OpenedValue, Profile, Property, PropertyPath, Secret, VaultId, VerifiedFile};
use std::collections::HashMap;
use std::sync::Arc;

/// An opened vault: every value in guarded memory, to be asked for by name. A cheap handle.
///
/// ```
/// let vault = bootseal::testing::vault([("db.password", "hunter2")], "[db]\nuser = \"app\"\n")?;
/// let password = vault.secret("db.password")?;
/// assert_eq!((vault.text("db.user")?, password.len()), ("app", 7));
/// # Ok::<(), bootseal::Error>(())
/// ```
#[derive(Clone)]
pub struct Secrets(Arc<Inner>);

struct Inner {
    file: VerifiedFile,
    values: HashMap<PropertyPath, Secret>,
    profiles: HashMap<PropertyPath, Profile>,
    #[cfg(feature = "client")]
    sources: std::sync::Mutex<HashMap<PropertyPath, crate::token_source::TokenSource>>,
}

impl Secrets {
    /// Of the profiles those in `only`, or all where it is empty.
    pub(crate) fn new(
        file: VerifiedFile,
        values: Vec<(PropertyPath, OpenedValue)>,
        only: &[PropertyPath],
    ) -> Result<Secrets> {
        // Checked now and not at the first call: a profile that cannot work is told at start.
        let profiles: bootseal_core::Result<HashMap<_, _>> = file
            .profiles()
            .into_iter()
            .filter(|table| only.is_empty() || only.contains(table))
            .map(|table| Ok((table.clone(), Profile::read(&file, &table)?)))
            .collect();
        Ok(Secrets(Arc::new(Inner {
            values: values.into_iter().map(|(path, value)| (path, value.secret)).collect(),
            profiles: profiles?,
            file,
            #[cfg(feature = "client")]
            sources: std::sync::Mutex::default(),
        })))
    }

    /// The sealed value at `path`, a TOML dotted key.
    ///
    /// # Errors
    /// [`Kind::NotFound`], with near names; [`Kind::Conflict`] where the property is readable: what everybody can read is not
    /// handed out as a secret. [`Kind::Usage`] where `path` is no dotted key.
    ///
    /// ```no_run
    /// # let vault = bootseal::load("app.sealed.toml")?;
    /// let password = vault.secret("db.password")?;
    /// let url = password.expose_str(|text| format!("postgres://app:{text}@db/app"));
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn secret(&self, path: &str) -> Result<Secret> {
        let path: PropertyPath = path.parse()?;
        if let Some(secret) = self.0.values.get(&path) {
            return Ok(secret.clone());
        }
        let error = match self.0.file.property(&path) {
            Some(_) => bootseal_core::Error::new(
                Kind::Conflict,
                "this property is readable, not sealed; a secret was asked for",
            )
            .at(&path)
            .with_help(format!("Seal it: bootseal set {path}; or read it with text(\"{path}\")")),
            None => self.0.file.not_found(&path),
        };
        Err(self.placed(error))
    }

    /// The readable text at `path`, a TOML dotted key.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Conflict`] where the property is sealed, or no text; [`Kind::Usage`] where `path` is no dotted key.
    ///
    /// ```
    /// # use bootseal::Kind;
    /// let vault = bootseal::testing::vault([("db.password", "hunter2")], "[db]\nuser = \"app\"\n")?;
    /// assert_eq!(vault.text("db.user")?, "app");
    /// assert_eq!(vault.text("db.password").unwrap_err().kind(), Kind::Conflict);
    /// assert_eq!(vault.text("db.usr").unwrap_err().kind(), Kind::NotFound);
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn text(&self, path: &str) -> Result<&str> {
        let path: PropertyPath = path.parse()?;
        let error = match self.0.file.property(&path) {
            Some(Property::Readable(toml::Value::String(text))) => return Ok(text),
            Some(Property::Sealed(_)) => {
                bootseal_core::Error::new(Kind::Conflict, "this property is sealed; readable text was asked for")
                    .at(&path)
                    .with_help(format!("Read it with secret(\"{path}\")"))
            }
            Some(Property::Readable(other)) => bootseal_core::Error::new(
                Kind::Conflict,
                format!("this property is of type {}; text was asked for", other.type_str()),
            )
            .at(&path),
            None => self.0.file.not_found(&path),
        };
        Err(self.placed(error))
    }

    /// The token source of the profile `[profile.login]`. Every call with the same name gives the same one.
    ///
    /// # Errors
    /// [`Kind::NotFound`] where there is no such profile; [`Kind::WrongVault`] where nothing vouches for the file, for its passwords
    /// and addresses may be anyone's.
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// let acme = vault.token_source("acme")?;
    /// let token = acme.token_blocking()?;
    /// assert_eq!(vault.token_source("acme")?.counts().logins, 1); // the same source
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "client")]
    pub fn token_source(&self, profile: &str) -> Result<crate::token_source::TokenSource> {
        self.token_source_with(profile, Arc::new(crate::clock::SystemClock), Arc::new(crate::transport::HttpTransport))
    }

    /// The same with another clock and another way to the vendor; they count for the first who asks for this profile.
    ///
    /// # Errors
    /// As [`Secrets::token_source`].
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// use std::sync::Arc;
    /// let clock = bootseal::testing::Clock::new();
    /// let acme = vault.token_source_with("acme", Arc::new(clock.clone()), Arc::new(bootseal::HttpTransport))?;
    /// let token = acme.token_blocking()?;
    /// clock.advance(2 * token.life()); // it has run out
    /// acme.token_blocking()?;
    /// assert_eq!(vendor.logins(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "client")]
    pub fn token_source_with(
        &self,
        profile: &str,
        clock: Arc<dyn crate::clock::Clock>,
        transport: Arc<dyn crate::login::Transport>,
    ) -> Result<crate::token_source::TokenSource> {
        let table: PropertyPath = profile.parse()?;
        let Some(profile) = self.0.profiles.get(&table) else {
            // Says which profiles there are.
            let missing = Profile::read(&self.0.file, &table).err();
            return Err(missing.unwrap_or_else(|| self.0.file.not_found(&table)).into());
        };
        if self.0.file.trust() == bootseal_core::Trust::Nothing {
            return Err(Error::new(
                Kind::WrongVault,
                format!("no login with `{table}`: nothing says which vault this must be"),
            )
            .with_help(format!("Pin it: BOOTSEAL_PIN={}", self.0.file.vault())));
        }
        let mut sources = self.0.sources.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(source) = sources.get(&table) {
            return Ok(source.clone());
        }
        let values =
            profile.names().into_iter().map(|name| Ok((name.to_owned(), self.login_value(&table.child(name)?)?)));
        let values = values.collect::<Result<_>>()?;
        let source = crate::token_source::TokenSource::new(profile.clone(), values, clock, transport);
        sources.insert(table, source.clone());
        Ok(source)
    }

    /// A value that a login names: sealed as a rule, but a user's name may be readable.
    #[cfg(feature = "client")]
    fn login_value(&self, path: &PropertyPath) -> Result<Secret> {
        match (self.0.values.get(path), self.0.file.property(path)) {
            (Some(secret), _) => Ok(secret.clone()),
            (None, Some(Property::Readable(toml::Value::String(text)))) => Ok(Secret::copy_of(text.as_bytes())?),
            (None, Some(Property::Readable(other))) => Ok(Secret::copy_of(other.to_string().as_bytes())?),
            (None, _) => Err(self.placed(self.0.file.not_found(path))),
        }
    }

    /// The names of the login profiles, sorted: `acme` for `[acme.login]`.
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// assert_eq!(vault.profiles(), ["acme"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn profiles(&self) -> Vec<String> {
        let mut names: Vec<String> = self.0.profiles.keys().map(ToString::to_string).collect();
        names.sort();
        names
    }

    /// The vault's id.
    ///
    /// ```
    /// let vault = bootseal::testing::vault([], "")?;
    /// println!("pin it with BOOTSEAL_PIN={}", vault.vault());
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn vault(&self) -> VaultId {
        self.0.file.vault()
    }

    /// The generation of the file that was opened: it counts the writes, from 1.
    ///
    /// ```
    /// let vault = bootseal::testing::vault([], "")?;
    /// assert_eq!(vault.generation(), 1);
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn generation(&self) -> u64 {
        self.0.file.generation()
    }

    pub(crate) fn file(&self) -> &VerifiedFile {
        &self.0.file
    }

    fn placed(&self, error: bootseal_core::Error) -> Error {
        match self.0.file.path() {
            Some(path) => error.in_file(path).into(),
            None => error.into(),
        }
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({}, generation {}, {} values)", self.vault(), self.generation(), self.0.values.len())
    }
}
