//! Cookies that a response sets (RFC 6265).
//!
//! A login needs only the name, the value and the lifetime.

use crate::login::parse::date::{date, http_date};
use bootseal_core::Secret;
use bootseal_memory::MemoryError;
use http::HeaderMap;
use http::header::SET_COOKIE;

/// A cookie that a response sets.
#[derive(Debug)]
pub(crate) struct Cookie {
    pub(crate) name: String,
    pub(crate) value: Secret,
    pub(crate) max_age: Option<f64>,
    /// Seconds since 1970.
    pub(crate) expires: Option<f64>,
}

impl Cookie {
    /// Whether the vendor deletes the cookie: it has no value, a Max-Age of zero or less, or an
    /// Expires that has passed.
    fn is_deleted(&self, now: f64) -> bool {
        let expired = match (self.max_age, self.expires) {
            // Max-Age has precedence (RFC 6265 §5.3).
            (Some(seconds), _) => seconds <= 0.0,
            (None, Some(at)) => at <= now,
            (None, None) => false,
        };
        expired || self.value.is_empty()
    }
}

/// The cookies that remain set after `headers`. If several lines set a cookie of the same name, the
/// last line is used. Lines that are not cookies are skipped. `unix_time` is our own time in
/// seconds since 1970, which is used if the response has no `Date`.
pub(crate) fn set_by(headers: &HeaderMap, unix_time: f64) -> Result<Vec<Cookie>, MemoryError> {
    let now = date(headers).unwrap_or(unix_time);
    let mut cookies: Vec<Cookie> = Vec::new();
    for line in headers.get_all(SET_COOKIE) {
        let Some(cookie) = read(line.as_bytes())? else { continue };
        cookies.retain(|other| other.name != cookie.name);
        if !cookie.is_deleted(now) {
            cookies.push(cookie);
        }
    }
    Ok(cookies)
}

/// The cookie of this name that remains set after `headers`.
pub(crate) fn named(
    headers: &HeaderMap,
    name: &str,
    unix_time: f64,
) -> Result<Option<Cookie>, MemoryError> {
    Ok(set_by(headers, unix_time)?.into_iter().find(|cookie| cookie.name == name))
}

fn read(line: &[u8]) -> Result<Option<Cookie>, MemoryError> {
    let mut pieces = line.split(|byte| *byte == b';');
    let pair = pieces.next().unwrap_or_default();
    let Some(at) = pair.iter().position(|byte| *byte == b'=') else { return Ok(None) };
    let (name, value) = (pair[..at].trim_ascii(), pair[at + 1..].trim_ascii());
    // A cookie's name has the same characters as a header's name (RFC 6265 §4.1.1).
    let is_name = |name: &&str| http::HeaderName::from_bytes(name.as_bytes()).is_ok();
    let Some(name) = std::str::from_utf8(name).ok().filter(is_name) else { return Ok(None) };
    let mut cookie = Cookie {
        name: name.to_owned(),
        value: Secret::copy_of(value)?,
        max_age: None,
        expires: None,
    };
    for piece in pieces {
        let Ok(piece) = std::str::from_utf8(piece) else { continue };
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        let (name, value) = (name.trim(), value.trim());
        if name.eq_ignore_ascii_case("max-age") {
            cookie.max_age = value.parse::<i64>().ok().map(|seconds| seconds as f64);
        } else if name.eq_ignore_ascii_case("expires") {
            // Netscape's form, with hyphens in the date, is still in use.
            cookie.expires = http_date(value).or_else(|| http_date(&value.replace('-', " ")));
        }
    }
    Ok(Some(cookie))
}

/// Whether a cookie can carry `value` unchanged (RFC 6265 §4.1.1).
pub(crate) fn can_carry(value: &[u8]) -> bool {
    let value =
        value.strip_prefix(b"\"").and_then(|inner| inner.strip_suffix(b"\"")).unwrap_or(value);
    value
        .iter()
        .all(|byte| matches!(byte, 0x21 | 0x23..=0x2B | 0x2D..=0x3A | 0x3C..=0x5B | 0x5D..=0x7E))
}

/// Returns to a fuzzer the names and values of the cookies that remain set, and whether each value
/// can be sent back.
#[cfg(fuzzing)]
pub fn fuzzed(headers: &HeaderMap, unix_time: f64) -> Vec<(String, Secret, bool)> {
    let cookies = set_by(headers, unix_time).unwrap_or_default();
    cookies
        .into_iter()
        .map(|cookie| (cookie.name, cookie.value.clone(), cookie.value.expose(can_carry)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn response(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (SET_COOKIE, HeaderValue::from_str(line).unwrap())).collect()
    }

    #[test]
    fn the_name_the_value_and_the_lifetime_are_read() {
        for (line, value, max_age, expires) in [
            ("s=abc", "abc", None, None),
            ("s=a=b==; Path=/; HttpOnly", "a=b==", None, None),
            (" s = x ;max-age=60", "x", Some(60.0), None),
            ("s=x; Max-Age=-1", "x", Some(-1.0), None),
            ("s=x; Max-Age=soon", "x", None, None),
            ("s=x; Expires=Thu, 01 Jan 2026 00:00:00 GMT", "x", None, Some(1_767_225_600.0)),
            (
                "s=x; expires=Thu, 01-Jan-2026 00:00:00 GMT; max-age=5",
                "x",
                Some(5.0),
                Some(1_767_225_600.0),
            ),
        ] {
            let cookie = read(line.as_bytes()).unwrap().unwrap();
            assert_eq!(cookie.value.expose_str(str::to_owned).unwrap(), value, "{line}");
            assert_eq!((cookie.max_age, cookie.expires), (max_age, expires), "{line}");
        }
        assert!(named(&response(&["s", "=x", "other=x", "s s=x"]), "s", 0.0).unwrap().is_none());
    }

    #[test]
    fn the_last_line_of_a_name_counts_and_expired_cookies_are_deleted() {
        let now = 1_767_225_600.0; // 2026-01-01T00:00:00Z
        for (lines, value) in [
            (&["s=1", "s=2"][..], Some("2")),
            (&["s=1", "s="], None),
            (&["s=; Max-Age=0", "s=1"], Some("1")),
            (&["s=x; Max-Age=0"], None),
            (&["s=x; Max-Age=-5"], None),
            (&["s=deleted; Expires=Thu, 01-Jan-1970 00:00:01 GMT"], None),
            (&["s=deleted; Expires=Wed, 31 Dec 2025 23:59:59 GMT; Path=/"], None),
            (&["s=x; Expires=Thu, 01 Jan 2026 00:00:01 GMT"], Some("x")),
            (&["s=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60"], Some("x")),
            (&["s=x; Expires=never"], Some("x")),
        ] {
            let found = named(&response(lines), "s", now).unwrap();
            assert_eq!(
                found.map(|found| found.value.expose_str(str::to_owned).unwrap()).as_deref(),
                value,
                "{lines:?}"
            );
        }
        // If the response has a date, the vendor's clock decides what has expired.
        let mut headers = response(&["s=x; Expires=Wed, 31 Dec 2025 23:30:00 GMT"]);
        headers.insert("date", HeaderValue::from_static("Wed, 31 Dec 2025 23:00:00 GMT"));
        assert!(named(&headers, "s", now).unwrap().is_some());
        assert_eq!(set_by(&response(&["a=1", "b=1", "a=2"]), now).unwrap().len(), 2);
    }

    #[test]
    fn only_valid_cookie_values_can_be_carried() {
        for (value, can) in [
            ("abc", true),
            ("\"abc\"", true),
            ("a=b", true),
            ("a b", false),
            ("a;b", false),
            ("a,b", false),
            ("a\\b", false),
            ("ä", false),
            ("a\"b", false),
            ("", true),
        ] {
            assert_eq!(can_carry(value.as_bytes()), can, "{value}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_cause_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = read(&bytes);
        }
    }
}
