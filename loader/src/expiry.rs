//! How long does a token live, and when is the next one fetched? Pure rules: what the answer says and what time it is go in.

use crate::jwt::Claims;
use bootseal_core::{Expiry, Profile, Unit};
use std::time::Duration;

/// A token that came with no life left is kept so long, while nobody logs in anew.
const BORN_EXPIRED: Duration = Duration::from_secs(5);
/// A difference between the vendor's clock and ours up to this is the network's.
const CLOCK_TOLERANCE: f64 = 5.0;

/// What told how long a token lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExpiryFrom {
    /// The JWT's `exp`.
    Jwt,
    /// A field of the answer's JSON.
    Json,
    /// A header of the answer.
    Header,
    /// The profile: always the same.
    Fixed,
    /// Nothing did, so the profile's `default_life`.
    Default,
    /// Nothing needs to: it lives until a call is rejected.
    OnReject,
}

impl ExpiryFrom {
    /// The word that `bootseal login` prints.
    pub fn as_str(self) -> &'static str {
        match self {
            ExpiryFrom::Jwt => "jwt",
            ExpiryFrom::Json => "json",
            ExpiryFrom::Header => "header",
            ExpiryFrom::Fixed => "fixed",
            ExpiryFrom::Default => "default",
            ExpiryFrom::OnReject => "on-reject",
        }
    }
}

/// What an answer says that matters for a token's life.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    pub(crate) jwt: Option<Claims>,
    /// The profile's expiry field, where it is there.
    pub(crate) field: Option<FieldValue>,
    /// `expires_in` of the answer, for profiles that do not say.
    pub(crate) expires_in: Option<f64>,
    /// The answer's `Date`, seconds since 1970.
    pub(crate) server_date: Option<f64>,
    /// Our wall clock when the answer came.
    pub(crate) wall: f64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldValue {
    pub(crate) from: ExpiryFrom,
    pub(crate) unit: Unit,
    pub(crate) number: f64,
}

/// How long a token lives, counted from the moment at which its login was sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Life {
    pub(crate) life: Duration,
    pub(crate) from: ExpiryFrom,
    /// The vendor, or a clock, says that it had run out before it came.
    pub(crate) born_expired: bool,
}

impl Life {
    pub(crate) fn of(profile: &Profile, evidence: &Evidence) -> Life {
        // A host whose clock is wrong by an hour must neither log in at each call nor send dead tokens.
        let server_now =
            evidence.server_date.filter(|date| (date - evidence.wall).abs() > CLOCK_TOLERANCE).unwrap_or(evidence.wall);
        let jwt = evidence.jwt.map(|claims| {
            let left = claims.exp - server_now;
            (claims.iat.map_or(left, |iat| left.min(claims.exp - iat)), ExpiryFrom::Jwt)
        });
        let found = match &profile.expiry {
            Some(Expiry::OnReject) => {
                return Life { life: profile.max_age, from: ExpiryFrom::OnReject, born_expired: false };
            }
            Some(Expiry::Fixed(life)) => Some((life.as_secs_f64(), ExpiryFrom::Fixed)),
            Some(Expiry::Jwt) => jwt,
            Some(Expiry::Field(_)) => evidence.field.map(|field| {
                let seconds = match field.unit {
                    Unit::Seconds => field.number,
                    Unit::Milliseconds => field.number / 1e3,
                    Unit::Minutes => field.number * 60.0,
                    Unit::Epoch | Unit::Iso8601 => field.number - server_now,
                    Unit::EpochMilliseconds => field.number / 1e3 - server_now,
                };
                (seconds, field.from)
            }),
            _ => jwt.or(evidence.expires_in.map(|seconds| (seconds, ExpiryFrom::Json))),
        };
        let (seconds, from) = found
            .filter(|(seconds, _)| !seconds.is_nan())
            .unwrap_or((profile.default_life.as_secs_f64(), ExpiryFrom::Default));
        if seconds <= 0.0 {
            return Life { life: BORN_EXPIRED, from, born_expired: true };
        }
        // Never longer than `max_age`, whatever the answer claims; and never so short that nothing could be divided.
        let life = Duration::from_secs_f64(seconds.clamp(0.001, profile.max_age.as_secs_f64()));
        Life { life, from, born_expired: false }
    }
}

/// When, counted from the sending of its login, a token is refreshed behind a call, and when it is used no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadlines {
    pub(crate) refresh_at: Duration,
    pub(crate) hard_at: Duration,
}

impl Deadlines {
    /// `draw`, from 0 to 1, spreads the refreshes of many processes.
    pub(crate) fn of(profile: &Profile, life: &Life, draw: f64) -> Deadlines {
        if life.born_expired {
            return Deadlines { refresh_at: life.life, hard_at: life.life };
        }
        let total = life.life;
        let skew = profile.skew.min(total / 10).max(Duration::from_secs(1)).min(total / 2);
        let hard_at = total - skew;
        let ahead = profile.refresh_ahead && life.from != ExpiryFrom::OnReject && total >= Duration::from_secs(20);
        let refresh_at = if ahead { total.mul_f64(0.75 + 0.10 * draw.clamp(0.0, 1.0)).min(hard_at) } else { hard_at };
        Deadlines { refresh_at, hard_at }
    }
}

/// Seconds since 1970 of an HTTP date (RFC 9110 §5.6.7, the form that is sent today).
pub(crate) fn http_date(text: &str) -> Option<f64> {
    let parser = jiff::fmt::rfc2822::DateTimeParser::new();
    parser.parse_timestamp(text).ok().map(|time| time.as_second() as f64)
}

/// Seconds since 1970 of an RFC 3339 date and time, with its fraction.
pub(crate) fn iso8601(text: &str) -> Option<f64> {
    text.trim().parse::<jiff::Timestamp>().ok().map(|time| time.as_microsecond() as f64 / 1e6)
}
