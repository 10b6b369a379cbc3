//! The expiry of a token: its lifetime, and the time at which the next token is fetched.
//!
//! The functions are pure: the response and the time are arguments.

use crate::login::parse::jwt::Claims;
use bootseal_core::{Expiry, Profile, Unit};
use std::time::Duration;

/// How long a token is used if it had already expired when it arrived. If it were not used at all,
/// every call would log in.
const BORN_EXPIRED: Duration = Duration::from_secs(5);
/// A difference of up to this many seconds between the vendor's clock and ours may be only the
/// network's delay.
const CLOCK_TOLERANCE: f64 = 5.0;

/// The source of a token's lifetime.
///
/// ```
/// # let (_vendor, acme) = bootseal_fixtures::account();
/// let token = acme.token_blocking()?;
/// assert_eq!(token.expiry_from(), bootseal::ExpiryFrom::Jwt);
/// # Ok::<(), bootseal::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExpiryFrom {
    /// The JWT's `exp`.
    Jwt,
    /// A field of the response's JSON.
    Json,
    /// A header of the response.
    Header,
    /// The cookie's own Max-Age or Expires.
    Cookie,
    /// The fixed lifetime that the profile states.
    Fixed,
    /// The profile's `default_life`, because no other source states a lifetime.
    Default,
    /// No source, as the profile says (`expiry = "on-reject"`): the token is used until the vendor
    /// rejects it, or until shortly before it is as old as `max_age`.
    OnReject,
}

impl ExpiryFrom {
    /// The word that `bootseal login` prints.
    pub fn as_str(self) -> &'static str {
        match self {
            ExpiryFrom::Jwt => "jwt",
            ExpiryFrom::Json => "json",
            ExpiryFrom::Header => "header",
            ExpiryFrom::Cookie => "cookie",
            ExpiryFrom::Fixed => "fixed",
            ExpiryFrom::Default => "default",
            ExpiryFrom::OnReject => "on-reject",
        }
    }
}

/// What a token's lifetime is computed from: parts of the login's response, and the time at which
/// the response arrived.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    pub(crate) jwt: Option<Claims>,
    /// The profile's expiry field, if the response contains it.
    pub(crate) field: Option<FieldValue>,
    /// The response's `expires_in`, for profiles without `expiry`.
    pub(crate) expires_in: Option<f64>,
    /// The response's `Date`, in seconds since 1970.
    pub(crate) server_date: Option<f64>,
    /// Our wall clock when the response arrived.
    pub(crate) unix_time: f64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldValue {
    pub(crate) from: ExpiryFrom,
    pub(crate) unit: Unit,
    pub(crate) number: f64,
}

impl FieldValue {
    /// The seconds from `now` until expiry; `now` is in seconds since 1970.
    pub(crate) fn seconds_from(&self, now: f64) -> f64 {
        match self.unit {
            Unit::Seconds => self.number,
            Unit::Milliseconds => self.number / 1e3,
            Unit::Minutes => self.number * 60.0,
            Unit::Epoch | Unit::Iso8601 => self.number - now,
            Unit::EpochMilliseconds => self.number / 1e3 - now,
        }
    }
}

/// The lifetime of a token, counted from when its login was sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Lifetime {
    pub(crate) lifetime: Duration,
    pub(crate) from: ExpiryFrom,
    /// Whether the token had already expired on arrival, according to the response and the clocks.
    pub(crate) born_expired: bool,
}

impl Lifetime {
    pub(crate) fn of(profile: &Profile, evidence: &Evidence) -> Lifetime {
        // If the two clocks differ, the vendor's counts. By its own clock, a host that is an hour
        // ahead would log in for each call, and one that is an hour behind would send expired tokens.
        let server_now = evidence
            .server_date
            .filter(|date| (date - evidence.unix_time).abs() > CLOCK_TOLERANCE)
            .unwrap_or(evidence.unix_time);
        let jwt = evidence.jwt.map(|claims| {
            let left = claims.exp - server_now;
            (claims.iat.map_or(left, |iat| left.min(claims.exp - iat)), ExpiryFrom::Jwt)
        });
        let found = match &profile.expiry {
            Some(Expiry::OnReject) => {
                return Lifetime {
                    lifetime: profile.max_age,
                    from: ExpiryFrom::OnReject,
                    born_expired: false,
                };
            }
            Some(Expiry::Fixed(lifetime)) => Some((lifetime.as_secs_f64(), ExpiryFrom::Fixed)),
            Some(Expiry::Jwt) => jwt,
            Some(Expiry::Field(_)) => {
                evidence.field.map(|field| (field.seconds_from(server_now), field.from))
            }
            _ => jwt.or(evidence.expires_in.map(|seconds| (seconds, ExpiryFrom::Json))),
        };
        let (seconds, from) = found
            .filter(|(seconds, _)| !seconds.is_nan())
            .unwrap_or((profile.default_life.as_secs_f64(), ExpiryFrom::Default));
        if seconds <= 0.0 {
            return Lifetime { lifetime: BORN_EXPIRED, from, born_expired: true };
        }
        // The lifetime is at most `max_age`, whatever the response claims, and at least a
        // millisecond, so that it can be a divisor.
        let lifetime = Duration::from_secs_f64(seconds.clamp(0.001, profile.max_age.as_secs_f64()));
        Lifetime { lifetime, from, born_expired: false }
    }
}

/// Two ages of a token, counted from when its login was sent: at `refresh_at`, the next token is
/// fetched in the background; at `hard_at`, this one is no longer used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadlines {
    pub(crate) refresh_at: Duration,
    pub(crate) hard_at: Duration,
}

impl Deadlines {
    /// Postpones the deadlines of a token that arrived at `age`, if necessary: it is used for at
    /// least a second after that, and for `BORN_EXPIRED` if it had already expired. Otherwise, every
    /// call would log in. If the vendor no longer accepts the token, its rejection causes the next
    /// login.
    pub(crate) fn kept(self, lifetime: &Lifetime, age: Duration) -> Deadlines {
        let least = age + if lifetime.born_expired { BORN_EXPIRED } else { Duration::from_secs(1) };
        Deadlines { refresh_at: self.refresh_at.max(least), hard_at: self.hard_at.max(least) }
    }

    /// The deadlines for a profile and a lifetime. `jitter`, from 0 to 1, spreads the refreshes of
    /// many processes.
    pub(crate) fn of(profile: &Profile, lifetime: &Lifetime, jitter: f64) -> Deadlines {
        if lifetime.born_expired {
            return Deadlines { refresh_at: lifetime.lifetime, hard_at: lifetime.lifetime };
        }
        let total = lifetime.lifetime;
        let skew = profile.skew.min(total / 10).max(Duration::from_secs(1)).min(total / 2);
        let hard_at = total - skew;
        let ahead = profile.refresh_ahead
            && lifetime.from != ExpiryFrom::OnReject
            && total >= Duration::from_secs(20);
        let refresh_at = if ahead {
            total.mul_f64(0.75 + 0.10 * jitter.clamp(0.0, 1.0)).min(hard_at)
        } else {
            hard_at
        };
        Deadlines { refresh_at, hard_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-01-01T00:00:00Z.
    const NOW: f64 = 1_767_225_600.0;
    const HOUR: f64 = 3600.0;
    const DAY: f64 = 86_400.0;

    fn profile(expiry: &str) -> Profile {
        let readable = format!(
            "[acme.login]\nurl = \"https://api.acme.example\"\nform = {{ key = \"${{key}}\" }}\n{expiry}\n"
        );
        let vault = crate::testing::vault([("acme.key", "x")], &readable).unwrap();
        vault.token_source("acme").unwrap().profile().clone()
    }

    fn jwt(exp: f64, iat: Option<f64>) -> Evidence {
        Evidence { jwt: Some(Claims { exp, iat }), unix_time: NOW, ..Evidence::default() }
    }

    fn field(unit: Unit, number: f64) -> Evidence {
        Evidence {
            field: Some(FieldValue { from: ExpiryFrom::Json, unit, number }),
            unix_time: NOW,
            ..Evidence::default()
        }
    }

    /// The lifetime according to the response, in seconds; `None` if the token had expired on
    /// arrival.
    fn seconds(profile: &Profile, evidence: &Evidence) -> Option<f64> {
        let lifetime = Lifetime::of(profile, evidence);
        assert!(!lifetime.born_expired || lifetime.lifetime == BORN_EXPIRED);
        (!lifetime.born_expired).then_some(lifetime.lifetime.as_secs_f64())
    }

    #[test]
    fn the_lifetime_of_a_jwt_ends_at_its_exp_and_is_at_most_max_age() {
        let profile = profile("");
        for (exp, expected) in [
            (NOW + 600.0, Some(600.0)),
            (NOW + 100.5, Some(100.5)),
            (NOW, None),
            (NOW - 1.0, None),
            (0.0, None),
            (-1.0, None),
            (f64::MIN, None),
            (NOW + 2.0 * DAY, Some(DAY)),
            (253_402_300_799.0, Some(DAY)), // year 9999
            (NOW * 1000.0, Some(DAY)),      // milliseconds by mistake
            (f64::MAX, Some(DAY)),
        ] {
            assert_eq!(seconds(&profile, &jwt(exp, None)), expected, "{exp}");
        }
        assert_eq!(Lifetime::of(&profile, &jwt(NOW + 600.0, None)).from, ExpiryFrom::Jwt);
    }

    #[test]
    fn the_lifetime_of_a_jwt_is_at_most_the_time_from_its_iat_to_its_exp() {
        let profile = profile("");
        for (exp, iat, expected) in [
            (NOW + 3600.0, NOW, Some(HOUR)),
            (NOW + 7200.0, NOW + 3600.0, Some(HOUR)),
            (NOW + 1800.0, NOW - 1800.0, Some(1800.0)), // issued a while ago, returned again
            (NOW + 600.0, NOW + 600.0, None),
            (NOW + 600.0, NOW + 601.0, None),
        ] {
            assert_eq!(seconds(&profile, &jwt(exp, Some(iat))), expected, "{exp} {iat}");
        }
    }

    #[test]
    fn the_date_header_replaces_our_clock_if_they_differ_by_more_than_5_s() {
        let profile = profile("");
        for (exp, date, expected) in [
            (NOW + 7200.0, NOW + 3600.0, Some(HOUR)),
            (NOW, NOW - 3600.0, Some(HOUR)),
            (NOW + 600.0, NOW + 3600.0, None),
            (NOW + 600.0, NOW + 5.0, Some(600.0)), // within the network's delay
            (NOW + 600.0, NOW - 5.0, Some(600.0)),
            (NOW + 600.0, NOW + 6.0, Some(594.0)),
            (NOW + 600.0, NOW - 6.0, Some(606.0)),
        ] {
            assert_eq!(
                seconds(&profile, &Evidence { server_date: Some(date), ..jwt(exp, None) }),
                expected,
                "{exp} {date}"
            );
            let epoch = self::profile("expiry = { json = \"/exp\", unit = \"epoch\" }");
            assert_eq!(
                seconds(&epoch, &Evidence { server_date: Some(date), ..field(Unit::Epoch, exp) }),
                expected
            );
        }
        // A lifetime in seconds does not depend on the clocks.
        let evidence = Evidence {
            server_date: Some(NOW + HOUR),
            expires_in: Some(600.0),
            unix_time: NOW,
            ..Evidence::default()
        };
        assert_eq!(seconds(&profile, &evidence), Some(600.0));
    }

    #[test]
    fn a_field_is_read_in_its_unit() {
        for (word, unit, number, expected) in [
            ("s", Unit::Seconds, 600.0, Some(600.0)),
            ("s", Unit::Seconds, 0.5, Some(0.5)),
            ("s", Unit::Seconds, 0.0, None),
            ("s", Unit::Seconds, -600.0, None),
            ("s", Unit::Seconds, f64::INFINITY, Some(DAY)),
            ("s", Unit::Seconds, f64::NEG_INFINITY, None),
            ("s", Unit::Seconds, f64::NAN, Some(300.0)), // no number at all: `default_life`
            ("s", Unit::Seconds, 1e-300, Some(0.001)),
            ("ms", Unit::Milliseconds, 600_000.0, Some(600.0)),
            ("min", Unit::Minutes, 10.0, Some(600.0)),
            ("epoch", Unit::Epoch, NOW + 600.0, Some(600.0)),
            ("epoch", Unit::Epoch, 600.0, None),
            ("epoch-ms", Unit::EpochMilliseconds, (NOW + 600.0) * 1e3, Some(600.0)),
            ("iso8601", Unit::Iso8601, NOW + 600.0, Some(600.0)),
        ] {
            let profile = profile(&format!("expiry = {{ json = \"/exp\", unit = \"{word}\" }}"));
            assert_eq!(seconds(&profile, &field(unit, number)), expected, "{number} {word}");
        }
    }

    #[test]
    fn only_the_source_that_the_profile_names_counts() {
        let evidence = |jwt_seconds, field_seconds, expires_in| Evidence {
            expires_in,
            jwt: Option::map(jwt_seconds, |seconds: f64| Claims { exp: NOW + seconds, iat: None }),
            ..Option::map_or(
                field_seconds,
                Evidence { unix_time: NOW, ..Evidence::default() },
                |seconds| field(Unit::Seconds, seconds),
            )
        };
        let (all, none) =
            (evidence(Some(100.0), Some(200.0), Some(400.0)), evidence(None, None, None));
        for (expiry, with_all, with_none) in [
            ("", (100.0, ExpiryFrom::Jwt), (300.0, ExpiryFrom::Default)),
            ("default_life = \"2m\"", (100.0, ExpiryFrom::Jwt), (120.0, ExpiryFrom::Default)),
            ("expiry = { idle = true }", (100.0, ExpiryFrom::Jwt), (300.0, ExpiryFrom::Default)),
            ("expiry = { jwt = true }", (100.0, ExpiryFrom::Jwt), (300.0, ExpiryFrom::Default)),
            ("expiry = { json = \"/x\" }", (200.0, ExpiryFrom::Json), (300.0, ExpiryFrom::Default)),
            (
                "expiry = { fixed = \"15m\" }",
                (900.0, ExpiryFrom::Fixed),
                (900.0, ExpiryFrom::Fixed),
            ),
            ("expiry = \"on-reject\"", (DAY, ExpiryFrom::OnReject), (DAY, ExpiryFrom::OnReject)),
            // Never longer than `max_age`, whatever the source.
            ("max_age = \"1m\"", (60.0, ExpiryFrom::Jwt), (60.0, ExpiryFrom::Default)),
            (
                "max_age = \"1m\"\nexpiry = { fixed = \"15m\" }",
                (60.0, ExpiryFrom::Fixed),
                (60.0, ExpiryFrom::Fixed),
            ),
            (
                "max_age = \"1m\"\nexpiry = \"on-reject\"",
                (60.0, ExpiryFrom::OnReject),
                (60.0, ExpiryFrom::OnReject),
            ),
        ] {
            let profile = profile(expiry);
            for (evidence, (seconds, from)) in [(&all, with_all), (&none, with_none)] {
                let expected = Lifetime {
                    lifetime: Duration::from_secs_f64(seconds),
                    from,
                    born_expired: false,
                };
                assert_eq!(Lifetime::of(&profile, evidence), expected, "{expiry}");
            }
        }
        let only_expires_in = evidence(None, None, Some(400.0));
        assert_eq!(Lifetime::of(&profile(""), &only_expires_in).from, ExpiryFrom::Json);
        assert_eq!(
            Lifetime::of(&profile("expiry = { jwt = true }"), &only_expires_in).from,
            ExpiryFrom::Default
        );
    }

    fn deadlines(profile: &Profile, seconds: f64, jitter: f64) -> (f64, f64) {
        let lifetime = Lifetime {
            lifetime: Duration::from_secs_f64(seconds),
            from: ExpiryFrom::Fixed,
            born_expired: false,
        };
        let deadlines = Deadlines::of(profile, &lifetime, jitter);
        (deadlines.refresh_at.as_secs_f64(), deadlines.hard_at.as_secs_f64())
    }

    #[test]
    fn the_jitter_places_the_refresh_between_75_and_85_percent_of_the_lifetime() {
        let profile = profile("");
        for (jitter, refresh_at) in
            [(0.0, 2700.0), (0.5, 2880.0), (1.0, 3060.0), (7.0, 3060.0), (-7.0, 2700.0)]
        {
            assert_eq!(deadlines(&profile, HOUR, jitter), (refresh_at, 3540.0), "{jitter}");
        }
    }

    #[test]
    fn the_skew_is_at_most_a_tenth_of_the_lifetime_but_at_least_1_s_or_half_of_it() {
        let usual = profile("");
        for (lifetime, refresh_at, hard_at) in [
            (DAY, 0.8 * DAY, DAY - 60.0),
            (100.0, 80.0, 90.0),
            (20.0, 16.0, 18.0),
            // A token with a lifetime under 20 s is not refreshed early.
            (19.99, 17.991, 17.991),
            (5.0, 4.0, 4.0),
            (2.0, 1.0, 1.0),
            (1.5, 0.75, 0.75),
            (1.0, 0.5, 0.5),
            (0.001, 0.0005, 0.0005),
        ] {
            assert_eq!(deadlines(&usual, lifetime, 0.5), (refresh_at, hard_at), "{lifetime}");
        }
        assert_eq!(deadlines(&profile("skew = \"5s\""), HOUR, 0.5), (2880.0, 3595.0));
        assert_eq!(deadlines(&profile("skew = \"1ms\""), HOUR, 0.5), (2880.0, 3599.0));
        assert_eq!(deadlines(&profile("skew = \"1d\""), HOUR, 0.5), (2880.0, 3240.0));
        assert_eq!(deadlines(&profile("skew = \"1d\""), HOUR, 1.0), (3060.0, 3240.0));
    }

    #[test]
    fn without_an_early_refresh_the_next_token_is_fetched_at_the_hard_deadline() {
        assert_eq!(deadlines(&profile("refresh_ahead = false"), HOUR, 0.5), (3540.0, 3540.0));
        let on_reject = profile("expiry = \"on-reject\"");
        let lifetime = Lifetime::of(&on_reject, &Evidence::default());
        let end = Duration::from_secs(86_400 - 60);
        assert_eq!(
            Deadlines::of(&on_reject, &lifetime, 0.5),
            Deadlines { refresh_at: end, hard_at: end }
        );
        let dead = Lifetime::of(&profile(""), &jwt(NOW - 1.0, None));
        assert_eq!(
            Deadlines::of(&profile(""), &dead, 0.5),
            Deadlines { refresh_at: BORN_EXPIRED, hard_at: BORN_EXPIRED }
        );
    }

    proptest! {
        #[test]
        fn no_number_causes_a_panic_and_every_lifetime_stays_within_its_bounds(
            exp in any::<f64>(), iat in any::<Option<f64>>(), date in any::<Option<f64>>(), expires_in in any::<Option<f64>>(), is_jwt in any::<bool>(), jitter in any::<f64>(),
        ) {
            thread_local!(static PROFILE: Profile = profile(""));
            let jwt = is_jwt.then_some(Claims { exp, iat });
            let evidence = Evidence { jwt, expires_in, server_date: date, unix_time: NOW, field: None };
            PROFILE.with(|profile| {
                let lifetime = Lifetime::of(profile, &evidence);
                prop_assert!(lifetime.lifetime <= profile.max_age);
                let Deadlines { refresh_at, hard_at } = Deadlines::of(profile, &lifetime, jitter);
                prop_assert!(Duration::ZERO < refresh_at && refresh_at <= hard_at && hard_at <= lifetime.lifetime);
                Ok(())
            })?;
        }
    }
}
