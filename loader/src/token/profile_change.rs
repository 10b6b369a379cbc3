//! A profile change: the effect of a changed file on an account's token.
//!
//! A change ends the backoff. The token stays only if it still belongs to the same user, the same
//! login and the same calls.

#[cfg(test)]
mod tests;

use crate::login::account::{Account, CredentialSlot, Values};
use crate::token::login_history::LoginHistory;
use crate::token::metrics;
use crate::token::source::TokenSource;
use bootseal_core::{PROFILE_KEYS, Profile};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Work to be done after the locks are released.
pub(crate) type Afterwards = Box<dyn FnOnce() + Send>;

impl TokenSource {
    /// Takes over the profile and values of a newer file. If they changed, the backoff ends.
    pub(crate) fn follow(
        &self,
        profile: Profile,
        values: Values,
        history: Option<LoginHistory>,
    ) -> Option<Afterwards> {
        let core = self.0.clone();
        let mut locked = self.0.lock();
        locked.history = history;
        let old = core.account.load_full();
        let changed = changed(&old.values, &values);
        let same_profile = old.profile.canonical() == profile.canonical();
        if same_profile && changed.is_empty() && !locked.state.is_profile_removed() {
            return None;
        }
        let same_session = is_same_session(&old.profile, &profile, &changed);
        let ended = if same_session { None } else { core.withdraw(&locked) };
        let table = profile.table.clone();
        core.account.store(Arc::new(Account::new(profile, values, CredentialSlot::default())));
        locked.state.profile_changed(same_session);
        drop(locked);
        Some(Box::new(move || {
            metrics::backoff(&table, 0);
            if let Some(ended) = ended {
                core.end_behind(ended);
            }
        }))
    }

    /// Ends the token of a profile that the file no longer has.
    pub(crate) fn retire(&self) -> Option<Afterwards> {
        let core = self.0.clone();
        let mut locked = self.0.lock();
        let ended = core.withdraw(&locked);
        locked.state.profile_removed();
        drop(locked);
        let ended = ended?;
        Some(Box::new(move || core.end_behind(ended)))
    }
}

/// The names of the values that differ between the two.
fn changed<'a>(old: &'a Values, new: &'a Values) -> BTreeSet<&'a str> {
    let same = |name: &String| match (old.get(name), new.get(name)) {
        (Some(old), Some(new)) => old.same_as(new),
        _ => false,
    };
    old.keys().chain(new.keys()).filter(|name| !same(name)).map(String::as_str).collect()
}

/// Whether a token of the old profile may stay under the new one: only secrets of the login, and
/// the way they are sent, may have changed.
fn is_same_session(old: &Profile, new: &Profile, changed: &BTreeSet<&str>) -> bool {
    let what = |profile: &Profile| {
        let mut keys: serde_json::Map<_, _> =
            serde_json::from_str(profile.canonical()).unwrap_or_default();
        let how = PROFILE_KEYS.iter().filter(|key| !key.session_identity);
        how.for_each(|key| drop(keys.remove(key.name)));
        keys
    };
    let carried: BTreeSet<&str> =
        new.inject.iter().flat_map(|(_, template)| template.names()).collect();
    let mut secrets = BTreeSet::from(["password", "client_secret"]);
    for profile in [old, new] {
        secrets.extend(profile.totp.iter().map(|totp| totp.seed.as_str()));
        secrets.extend(
            profile.client_cert.iter().flat_map(|names| [names.cert.as_str(), names.key.as_str()]),
        );
        let spares = profile
            .next
            .iter()
            .filter(|(name, _)| ["password", "client_secret"].contains(&name.as_str()));
        secrets.extend(spares.map(|(_, spare)| spare.as_str()));
    }
    what(old) == what(new)
        && changed.iter().all(|name| secrets.contains(name) && !carried.contains(name))
}
