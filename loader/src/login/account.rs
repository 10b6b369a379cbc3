//! Account: a login profile with its values.
//!
//! If the profile has a second password, the account records which one the next login tries first.

use crate::sync::Mutex;
use bootseal_core::{Profile, Secret};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::PoisonError;

/// The values of the profile's table that its login uses.
pub(crate) type Values = BTreeMap<String, Secret>;

/// A profile, and the values of its table that it uses. A reload replaces the account.
pub(crate) struct Account {
    pub(crate) profile: Profile,
    /// The values, including the spare values (`next`) that are set.
    pub(crate) values: Values,
    slot: Mutex<CredentialSlot>,
}

/// The password that the next login tries first, if `next` names a second one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CredentialSlot {
    /// Whether the next login begins with the password of `next`, because that password was
    /// accepted last time or the other password was refused.
    pub(crate) next_first: bool,
    /// Whether the other password was refused since the last token. If so, it is not sent again
    /// until this password has been tried.
    pub(crate) other_refused: bool,
}

impl Account {
    pub(crate) fn new(profile: Profile, values: Values, slot: CredentialSlot) -> Account {
        Account { profile, values, slot: Mutex::new(slot) }
    }

    pub(crate) fn slot(&self) -> CredentialSlot {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_slot(&self, slot: CredentialSlot) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = slot;
    }

    /// The values, of which those with a spare value in `next` are replaced; `None` if no spare
    /// value is set.
    pub(crate) fn spare_values(&self) -> Option<Values> {
        let mut values = self.values.clone();
        let mut any = false;
        for (name, spare) in &self.profile.next {
            if let Some(spare) = self.values.get(spare) {
                values.insert(name.clone(), spare.clone());
                any = true;
            }
        }
        any.then_some(values)
    }
}
