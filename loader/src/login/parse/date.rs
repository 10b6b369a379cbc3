//! Dates in responses: HTTP dates (RFC 9110) and RFC 3339.

use std::time::UNIX_EPOCH;

/// Returns an HTTP date (RFC 9110 §5.6.7), in any of its three forms, as seconds since 1970.
pub(crate) fn http_date(text: &str) -> Option<f64> {
    let read =
        httpdate::parse_http_date(text).ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    read.map(|since| since.as_secs() as f64).or_else(|| mail_date(text))
}

/// Returns a date in the format of e-mail (RFC 5322): some vendors send an offset instead of `GMT`,
/// or a date before 1970 to expire a cookie.
fn mail_date(text: &str) -> Option<f64> {
    let parser = jiff::fmt::rfc2822::DateTimeParser::new();
    parser.parse_timestamp(text).ok().map(|time| time.as_second() as f64)
}

/// The sender's time according to the `Date` header, in seconds since 1970.
pub(crate) fn date(headers: &http::HeaderMap) -> Option<f64> {
    headers.get(http::header::DATE)?.to_str().ok().and_then(http_date)
}

/// Returns an RFC 3339 date and time, including its fraction, as seconds since 1970.
pub(crate) fn iso8601(text: &str) -> Option<f64> {
    let text = text.trim();
    if text.starts_with("9999-12-31T") {
        return Some(253_402_300_799.0); // "never", as .NET writes it; beyond jiff's last day
    }
    text.parse::<jiff::Timestamp>().ok().map(|time| time.as_microsecond() as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-01-01T00:00:00Z.
    const NOW: f64 = 1_767_225_600.0;

    #[test]
    fn the_three_forms_of_an_http_date_are_read() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",  // IMF-fixdate
            "Sunday, 06-Nov-94 08:49:37 GMT", // RFC 850, obsolete
            "Sun Nov  6 08:49:37 1994",       // asctime, obsolete
        ] {
            assert_eq!(http_date(text), Some(784_111_777.0), "{text}");
        }
        assert_eq!(http_date("Thu, 01 Jan 2026 00:00:00 GMT"), Some(NOW));
    }

    #[test]
    fn a_mail_date_is_read_and_any_other_text_is_not_a_date() {
        assert_eq!(http_date("Thu, 1 Jan 2026 02:00:00 +0200"), Some(NOW));
        assert_eq!(http_date("Wed, 31 Dec 1969 23:59:59 GMT"), Some(-1.0));
        for none in [
            "",
            "soon",
            "1767225600",
            "2026-01-01T00:00:00Z",
            "Thu, 32 Jan 2026 00:00:00 GMT",
            "Fri, 01 Jan 2026 00:00:00 GMT",
        ] {
            assert_eq!(http_date(none), None, "{none}");
        }
    }

    #[test]
    fn iso_dates_are_read_with_any_offset_and_fraction() {
        for (text, expected) in [
            ("2026-01-01T00:00:00Z", NOW),
            ("2026-01-01T00:00:00z", NOW),
            (" 2026-01-01T00:00:00Z\n", NOW),
            ("2026-01-01 00:00:00Z", NOW),
            ("2026-01-01T02:00:00+02:00", NOW),
            ("2026-01-01T02:00:00+0200", NOW),
            ("2025-12-31T18:30:00-05:30", NOW),
            ("2026-01-01T00:00:00.25Z", NOW + 0.25),
            ("2026-01-01T00:00:00,25Z", NOW + 0.25),
            ("2026-01-01T00:00:00.250000000Z", NOW + 0.25),
            ("2026-01-01T01:00:00.2500000+01:00", NOW + 0.25), // as .NET writes it
            ("1969-12-31T23:59:59Z", -1.0),
        ] {
            assert_eq!(iso8601(text), Some(expected), "{text}");
        }
        // Without an offset, the time zone is unknown.
        for none in [
            "",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-13-01T00:00:00Z",
            "tomorrow",
            "1767225600",
        ] {
            assert_eq!(iso8601(none), None, "{none}");
        }
    }

    #[test]
    fn the_latest_possible_date_is_read_as_a_time_in_the_far_future() {
        // .NET's DateTime.MaxValue, which means "never".
        for text in
            ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59+00:00"]
        {
            assert!(iso8601(text).is_some_and(|seconds| seconds > NOW), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_causes_a_panic(text in any::<String>()) {
            let _ = (http_date(&text), iso8601(&text));
        }
    }
}
