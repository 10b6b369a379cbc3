//! The keys of a login profile, in one table from which every other list of these keys is derived.

use crate::profile::Profile;
use crate::text::nearest::nearest;

/// One key of `[NAME.login]`.
#[derive(Debug)]
#[non_exhaustive]
pub struct KeySpec {
    /// The key.
    pub name: &'static str,
    /// Whether a table with this key must be a profile, even if its `url` is misspelt.
    pub marks_profile: bool,
    /// Whether a change of this key needs a new session, because the key decides which token is
    /// used or what calls do with it. The other keys decide only how a token is obtained, so the
    /// current token stays valid.
    pub session_identity: bool,
    /// The position of the key in a generated table, in the order of a login. A key with `None`
    /// comes after all other keys.
    pub order: Option<usize>,
}

const fn key(name: &'static str) -> KeySpec {
    KeySpec { name, marks_profile: false, session_identity: true, order: None }
}

impl KeySpec {
    const fn only_in_profiles(self) -> KeySpec {
        KeySpec { marks_profile: true, ..self }
    }

    const fn keeps_session(self) -> KeySpec {
        KeySpec { session_identity: false, ..self }
    }

    const fn written_at(self, order: usize) -> KeySpec {
        KeySpec { order: Some(order), ..self }
    }
}

/// Every key that this version knows.
///
/// ```
/// use bootseal_core::PROFILE_KEYS;
/// let max_age = PROFILE_KEYS.iter().find(|key| key.name == "max_age");
/// assert!(max_age.is_some_and(|key| !key.session_identity)); // a change keeps the token
/// ```
pub const PROFILE_KEYS: &[KeySpec] = &[
    key("url").written_at(0),
    key("method").written_at(1),
    key("json").written_at(3),
    key("form").written_at(4),
    key("basic").written_at(2),
    key("headers").written_at(5),
    key("token").written_at(6),
    key("expiry").keeps_session().written_at(8),
    key("max_age").keeps_session(),
    key("default_life").only_in_profiles().keeps_session(),
    key("skew").keeps_session(),
    key("inject").only_in_profiles().written_at(9),
    key("hosts").written_at(10),
    key("ok_status").only_in_profiles().keeps_session().written_at(11),
    key("refused_status").only_in_profiles().keeps_session(),
    key("rejected_status").only_in_profiles(),
    key("refresh_ahead").only_in_profiles().keeps_session(),
    key("replay"),
    key("login_timeout").only_in_profiles().keeps_session(),
    key("ca").keeps_session(),
    key("allow_http"),
    key("like"),
    key("before").keeps_session(),
    key("refresh").keeps_session(),
    key("logout").keeps_session(),
    key("capture").only_in_profiles().written_at(7),
    key("refused_when").only_in_profiles().keeps_session(),
    key("retry_after").keeps_session(),
    key("rejected_when").only_in_profiles(),
    key("renew_from_answers").only_in_profiles(),
    key("client_cert"),
    key("client_key"),
    key("proxy").keeps_session(),
    key("share").keeps_session(),
    key("http2").keeps_session(),
    key("next").keeps_session(),
    key("totp").keeps_session(),
];

const NAMES: [&str; PROFILE_KEYS.len()] = {
    let mut names = [""; PROFILE_KEYS.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = PROFILE_KEYS[at].name;
        at += 1;
    }
    names
};

impl Profile {
    /// The names of [`PROFILE_KEYS`].
    pub const KEYS: &[&str] = &NAMES;

    /// The key of a login table that `name` may be a misspelling of.
    ///
    /// ```
    /// assert_eq!(bootseal_core::Profile::near_key("ulr"), Some("url"));
    /// assert_eq!(bootseal_core::Profile::near_key("colour"), None);
    /// ```
    pub fn near_key(name: &str) -> Option<&'static str> {
        nearest(name, Profile::KEYS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::tests::read;
    use std::collections::BTreeSet;

    /// The help for an unknown key lists exactly the keys that the reader asks for.
    #[test]
    fn the_list_has_exactly_the_keys_that_are_read() {
        let error = read("basic = true\nzzzzzzzzzz = 1").unwrap_err();
        let help = error.help().unwrap().to_owned();
        let list = help.strip_prefix("The keys here are: ").unwrap().strip_suffix('.').unwrap();
        let mut asked: BTreeSet<&str> = list.split(", ").collect();
        asked.insert("like"); // taken out before the others are read
        assert_eq!(asked, Profile::KEYS.iter().copied().collect());
    }

    #[test]
    fn keys_and_positions_are_unique() {
        let names: BTreeSet<&str> = Profile::KEYS.iter().copied().collect();
        assert_eq!(names.len(), PROFILE_KEYS.len());
        let places: BTreeSet<usize> = PROFILE_KEYS.iter().filter_map(|key| key.order).collect();
        assert_eq!(places.len(), PROFILE_KEYS.iter().filter(|key| key.order.is_some()).count());
        assert!(places.iter().copied().eq(0..places.len()));
    }
}
