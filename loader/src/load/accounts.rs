//! Token sources of an opened vault: one for each login profile, updated when a newer file is
//! loaded.

use crate::error::{Error, Result};
use crate::load::secrets::{Secrets, lock};
use crate::load::snapshot::Snapshot;
use crate::login::clock::{Clock, SystemClock};
use crate::login::http_transport::HttpTransport;
use crate::login::transport::Transport;
use crate::token::login_history::LoginHistory;
use crate::token::source::TokenSource;
use bootseal_core::{Kind, Profile, Property, PropertyPath, Secret, Trust};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

/// A profile, the values that it uses, and its login history in the state folder.
type Account = (Profile, BTreeMap<String, Secret>, Option<LoginHistory>);

/// The accounts of a newer file, prepared before that file is accepted.
pub(crate) struct Prepared(HashMap<PropertyPath, Account>);

impl Secrets {
    /// The token source of the profile `[profile.login]`. Every call with the same name returns the
    /// same source.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if there is no such profile; [`Kind::WrongVault`] if the vault is neither
    /// pinned nor remembered, because then anyone could have written its passwords and addresses.
    ///
    /// ```
    /// fn both_are_one(vault: &bootseal::Secrets) -> bootseal::Result<()> {
    ///     let token = vault.token_source("acme")?.token_blocking()?;
    ///     assert_eq!(vault.token_source("acme")?.counts().logins, 1); // the same source, which has logged in
    ///     Ok(())
    /// }
    /// ```
    pub fn token_source(&self, profile: &str) -> Result<TokenSource> {
        self.token_source_with(profile, Arc::new(SystemClock), Arc::new(HttpTransport))
    }

    /// Like [`token_source`](Secrets::token_source), with another clock and transport. The first
    /// call for a profile determines both.
    ///
    /// # Errors
    /// As [`Secrets::token_source`].
    ///
    /// ```
    /// use bootseal::{HttpTransport, testing::Clock};
    /// use std::sync::Arc;
    ///
    /// fn logs_in_again(vault: &bootseal::Secrets) -> bootseal::Result<()> {
    ///     let clock = Clock::new();
    ///     let acme = vault.token_source_with("acme", Arc::new(clock.clone()), Arc::new(HttpTransport))?;
    ///     let token = acme.token_blocking()?;
    ///     clock.advance(2 * token.lifetime()); // it has expired
    ///     acme.token_blocking()?;
    ///     assert_eq!(acme.counts().logins, 2);
    ///     Ok(())
    /// }
    /// ```
    pub fn token_source_with(
        &self,
        profile: &str,
        clock: Arc<dyn Clock>,
        transport: Arc<dyn Transport>,
    ) -> Result<TokenSource> {
        let table: PropertyPath = profile.parse()?;
        loop {
            let now = self.now();
            let Some((profile, values, history)) = self.account(&now, &table)? else {
                // This error lists the existing profiles.
                let missing = Profile::read(&now.file, &table).err();
                return Err(missing.unwrap_or_else(|| now.file.not_found(&table)).into());
            };
            if now.file.trust() == Trust::Unverified {
                let text = format!("no login with `{table}`: the vault is not pinned");
                return Err(Error::new(Kind::WrongVault, text).with_help(format!(
                    "Pin it: bootseal access pin KEYFILE --pin {}, or set BOOTSEAL_PIN={0}",
                    now.file.vault_id()
                )));
            }
            if let Some(source) = lock(&self.0.sources.0).get(&table) {
                return Ok(source.clone());
            }
            let source =
                TokenSource::new(profile, values, clock.clone(), transport.clone(), history);
            let mut sources = lock(&self.0.sources.0);
            // If the file was reloaded in the meantime, this new source is outdated, so try again.
            if Arc::ptr_eq(&now, &self.now()) {
                return Ok(sources.entry(table).or_insert(source).clone());
            }
        }
    }

    /// The account of the profile `table`, or `None` if there is no such profile.
    fn account(&self, file: &Snapshot, table: &PropertyPath) -> Result<Option<Account>> {
        let Some((mut profile, values)) = file.account(table)? else { return Ok(None) };
        let loader = self.0.loader.as_ref();
        profile.proxy = profile.proxy.take().or(loader.and_then(|loader| loader.proxy.clone()));
        let folder = loader.and_then(|loader| loader.state_folder());
        let history = match folder {
            Some((folder, _)) => Some(file.login_history(&folder, &profile, &values)?),
            None => None,
        };
        Ok(Some((profile, values, history)))
    }

    /// # Errors
    /// Fails if a value that a profile names is missing in the newer file.
    pub(crate) fn prepare(&self, newer: &Snapshot) -> Result<Prepared> {
        let one = |table: &PropertyPath| {
            Ok(self.account(newer, table)?.map(|account| (table.clone(), account)))
        };
        newer
            .profiles
            .keys()
            .filter_map(|table| one(table).transpose())
            .collect::<Result<_>>()
            .map(Prepared)
    }

    /// Installs `newer` and updates each token source.
    pub(crate) fn install(&self, newer: Snapshot, Prepared(mut accounts): Prepared) {
        // The lock is held across both steps, so that a source created in the meantime either uses
        // the newer file or is updated here.
        let sources = lock(&self.0.sources.0);
        *lock(&self.0.now) = Arc::new(newer);
        let followed = sources.iter().filter_map(|(table, source)| match accounts.remove(table) {
            Some((profile, values, history)) => source.follow(profile, values, history),
            None => source.retire(),
        });
        let afterwards: Vec<_> = followed.collect();
        drop(sources);
        afterwards.into_iter().for_each(|act| act());
    }
}

impl Snapshot {
    /// The profile of `table`, and the values that it uses.
    pub(crate) fn account(
        &self,
        table: &PropertyPath,
    ) -> Result<Option<(Profile, BTreeMap<String, Secret>)>> {
        let Some(profile) = self.profiles.get(table) else { return Ok(None) };
        let is_there =
            |name: &&str| table.child(name).is_ok_and(|path| self.file.is_sealed(&path).is_some());
        let names = profile.value_names().into_iter().chain(profile.spare_names().filter(is_there));
        let values =
            names.map(|name| Ok((name.to_owned(), self.login_value(&table.child(name)?)?)));
        Ok(Some((profile.clone(), values.collect::<Result<_>>()?)))
    }

    /// A value that a login names. It is usually sealed, but a user name may be readable.
    fn login_value(&self, path: &PropertyPath) -> Result<Secret> {
        match (self.values.get(path), self.file.property(path)) {
            (Some(value), _) => Ok(value.secret.clone()),
            (None, Some(Property::Readable(toml::Value::String(text)))) => {
                Ok(Secret::of_public(text.as_bytes())?)
            }
            (None, Some(Property::Readable(other))) => {
                Ok(Secret::of_public(other.to_string().as_bytes())?)
            }
            (None, _) => Err(self.placed(self.file.not_found(path))),
        }
    }

    /// The login history of this profile with these credentials, in the state folder.
    fn login_history(
        &self,
        folder: &Path,
        profile: &Profile,
        values: &BTreeMap<String, Secret>,
    ) -> Result<LoginHistory> {
        let named = values.iter().map(|(name, value)| (name.as_str(), value));
        let credentials = self.credentials.digest(profile.canonical(), named)?;
        Ok(LoginHistory::new(folder, self.file.vault_id(), &profile.table.to_string(), credentials))
    }
}
