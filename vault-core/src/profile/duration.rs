//! Durations in the form that a profile uses: `500ms`, `10s`, `24h`.

use crate::error::Result;
use crate::text::table_reader::Fields;
use std::time::Duration;

/// The error for a text that is not a duration.
pub(super) const NO_DURATION: &str = "must be a duration with a unit, such as \"500ms\", \"10s\", \"15m\", \"24h\" or \"7d\", more than zero and at most a year";

pub(crate) fn duration(fields: &mut Fields, key: &'static str, default: &str) -> Result<Duration> {
    let text = fields.string(key)?;
    parse_duration(text.as_deref().unwrap_or(default)).ok_or_else(|| fields.error(key, NO_DURATION))
}

pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|character: char| !character.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let milliseconds = number.checked_mul(unit)?;
    (1..=366 * 86_400_000).contains(&milliseconds).then(|| Duration::from_millis(milliseconds))
}
