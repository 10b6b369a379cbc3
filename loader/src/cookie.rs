//! Which cookies does an answer set, and for how long? RFC 6265, of which a login needs name, value and life.

use crate::expiry::http_date;
use bootseal_core::Secret;
use bootseal_memory::MemoryError;
use http::HeaderMap;
use http::header::SET_COOKIE;

/// A cookie as it was set.
#[derive(Debug)]
pub(crate) struct Cookie {
    pub(crate) name: String,
    pub(crate) value: Secret,
    pub(crate) max_age: Option<f64>,
    /// Seconds since 1970.
    pub(crate) expires: Option<f64>,
}

impl Cookie {
    /// Max-Age of zero or less, or no value: the cookie is taken back.
    pub(crate) fn is_taken_back(&self) -> bool {
        self.value.is_empty() || self.max_age.is_some_and(|seconds| seconds <= 0.0)
    }

    /// What it holds now; nothing where it is taken back.
    pub(crate) fn into_value(self) -> Option<Secret> {
        (!self.is_taken_back()).then_some(self.value)
    }
}

/// Those that `headers` set, in their order. What is no cookie is passed over.
pub(crate) fn set_by(headers: &HeaderMap) -> Result<Vec<Cookie>, MemoryError> {
    headers.get_all(SET_COOKIE).iter().filter_map(|line| read(line.as_bytes()).transpose()).collect()
}

/// The last one of this name that `headers` set.
pub(crate) fn named(headers: &HeaderMap, name: &str) -> Result<Option<Cookie>, MemoryError> {
    Ok(set_by(headers)?.into_iter().rfind(|cookie| cookie.name == name))
}

fn read(line: &[u8]) -> Result<Option<Cookie>, MemoryError> {
    let mut pieces = line.split(|byte| *byte == b';');
    let pair = pieces.next().unwrap_or_default();
    let Some(at) = pair.iter().position(|byte| *byte == b'=') else { return Ok(None) };
    let (name, value) = (pair[..at].trim_ascii(), pair[at + 1..].trim_ascii());
    let Some(name) = std::str::from_utf8(name).ok().filter(|name| !name.is_empty()) else { return Ok(None) };
    let mut cookie = Cookie { name: name.to_owned(), value: Secret::copy_of(value)?, max_age: None, expires: None };
    for piece in pieces {
        let Ok(piece) = std::str::from_utf8(piece) else { continue };
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        let (name, value) = (name.trim(), value.trim());
        if name.eq_ignore_ascii_case("max-age") {
            cookie.max_age = value.parse::<i64>().ok().map(|seconds| seconds as f64);
        } else if name.eq_ignore_ascii_case("expires") {
            // Netscape's form, with hyphens in the date, is still about.
            cookie.expires = http_date(value).or_else(|| http_date(&value.replace('-', " ")));
        }
    }
    Ok(Some(cookie))
}

/// Whether `value` can be sent back as it is (RFC 6265 §4.1.1).
pub(crate) fn can_carry(value: &[u8]) -> bool {
    let value = value.strip_prefix(b"\"").and_then(|inner| inner.strip_suffix(b"\"")).unwrap_or(value);
    value.iter().all(|byte| matches!(byte, 0x21 | 0x23..=0x2B | 0x2D..=0x3A | 0x3C..=0x5B | 0x5D..=0x7E))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn answer(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (SET_COOKIE, HeaderValue::from_str(line).unwrap())).collect()
    }

    #[test]
    fn name_value_and_life_are_read() {
        for (line, value, max_age, expires) in [
            ("s=abc", "abc", None, None),
            ("s=a=b==; Path=/; HttpOnly", "a=b==", None, None),
            (" s = x ;max-age=60", "x", Some(60.0), None),
            ("s=x; Max-Age=-1", "x", Some(-1.0), None),
            ("s=x; Max-Age=soon", "x", None, None),
            ("s=x; Expires=Thu, 01 Jan 2026 00:00:00 GMT", "x", None, Some(1_767_225_600.0)),
            ("s=x; expires=Thu, 01-Jan-2026 00:00:00 GMT; max-age=5", "x", Some(5.0), Some(1_767_225_600.0)),
        ] {
            let cookie = named(&answer(&[line]), "s").unwrap().unwrap();
            assert_eq!(cookie.value.expose_str(str::to_owned).unwrap(), value, "{line}");
            assert_eq!((cookie.max_age, cookie.expires), (max_age, expires), "{line}");
        }
        assert!(named(&answer(&["s", "=x", "other=x"]), "s").unwrap().is_none());
        let last = named(&answer(&["s=1", "s=2"]), "s").unwrap().unwrap();
        assert!(last.value.expose(|value| value == b"2") && !last.is_taken_back());
        for line in ["s=", "s=x; Max-Age=0", "s=x; Max-Age=-5"] {
            assert!(named(&answer(&[line]), "s").unwrap().unwrap().is_taken_back(), "{line}");
        }
    }

    #[test]
    fn only_what_a_cookie_can_hold_goes_into_one() {
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
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = read(&bytes);
        }
    }
}
