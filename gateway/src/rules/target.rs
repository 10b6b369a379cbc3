//! The URL of a call at the upstream. The upstream's own path replaces the route's prefix, and no
//! call gets outside that path.

use http::Uri;
use url::Url;

/// The upstream of a route, and its prefix at the gateway.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    scheme: http::uri::Scheme,
    authority: http::uri::Authority,
    /// The path of the upstream, without a slash at its end.
    base: String,
    prefix: String,
    url: Url,
}

impl Target {
    /// Returns `None` if the URL is not valid for HTTP. The file cannot contain such a URL: it was
    /// checked when it was read.
    pub(crate) fn of(upstream: &Url, prefix: &str) -> Option<Target> {
        let uri: Uri = upstream.as_str().parse().ok()?;
        Some(Target {
            scheme: uri.scheme()?.clone(),
            authority: uri.authority()?.clone(),
            base: upstream.path().trim_end_matches('/').to_owned(),
            prefix: prefix.to_owned(),
            url: upstream.clone(),
        })
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Whether a call to this path is for this route. The prefix matches whole segments only.
    pub(crate) fn matches(&self, path: &str) -> bool {
        path.strip_prefix(self.prefix.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Returns the URL of a call at the upstream.
    ///
    /// # Errors
    /// The reason why the call cannot be forwarded, for example because two servers could interpret
    /// its path differently.
    pub(crate) fn uri(&self, asked: &Uri) -> Result<Uri, &'static str> {
        let path = asked.path();
        if !path.starts_with('/') {
            return Err("The target is not a path.");
        }
        if has_dot_segment(path) {
            return Err("The path has a `.` or `..` segment, perhaps encoded.");
        }
        let rest = path.strip_prefix(self.prefix.as_str()).unwrap_or(path);
        let whole = match asked.query() {
            // The most frequent case needs no new text.
            _ if self.base.is_empty() && self.prefix.is_empty() => asked.path_and_query().cloned(),
            Some(query) => format!("{}{}?{query}", self.base, or_root(rest)).parse().ok(),
            None => format!("{}{}", self.base, or_root(rest)).parse().ok(),
        };
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = whole;
        Uri::from_parts(parts).map_err(|_| "The target cannot be forwarded.")
    }
}

fn or_root(rest: &str) -> &str {
    if rest.is_empty() { "/" } else { rest }
}

/// Whether any server could see a `.` or `..` segment in this path. The characters `.`, `/` and `\`
/// of such a segment may be literal or percent-encoded.
fn has_dot_segment(path: &str) -> bool {
    if !path.bytes().any(|byte| byte == b'.' || byte == b'%' || byte == b'\\') {
        return false;
    }
    let mut plain = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        let (byte, next) = match (first, after) {
            (b'%', [b'2', b'e' | b'E', next @ ..]) => (b'.', next),
            (b'%', [b'2', b'f' | b'F', next @ ..]) | (b'%', [b'5', b'c' | b'C', next @ ..]) => {
                (b'/', next)
            }
            (b'\\', next) => (b'/', next),
            (byte, next) => (*byte, next),
        };
        plain.push(byte);
        rest = next;
    }
    // Some servers treat the text after a `;` as a parameter of the segment.
    let name = |segment: &[u8]| {
        segment.split(|byte| *byte == b';').next().is_some_and(|name| name == b"." || name == b"..")
    };
    plain.split(|byte| *byte == b'/').any(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn target(upstream: &str, prefix: &str) -> Target {
        Target::of(&upstream.parse().unwrap(), prefix).unwrap()
    }

    fn goes(upstream: &str, prefix: &str, asked: &str) -> Result<String, &'static str> {
        target(upstream, prefix).uri(&asked.parse().unwrap()).map(|uri| uri.to_string())
    }

    #[test]
    fn a_path_is_appended_to_the_upstreams_own() {
        for (upstream, prefix, asked, expected) in [
            ("https://a.example", "", "/v1/orders?x=%2F&y", "https://a.example/v1/orders?x=%2F&y"),
            ("https://a.example/base", "", "/orders", "https://a.example/base/orders"),
            ("https://a.example/base/", "", "/orders", "https://a.example/base/orders"),
            (
                "https://a.example:8443/base",
                "/acme",
                "/acme/orders?q",
                "https://a.example:8443/base/orders?q",
            ),
            ("https://a.example/base", "/acme", "/acme", "https://a.example/base/"),
            ("https://a.example", "/acme", "/acme?q=1", "https://a.example/?q=1"),
            ("https://a.example", "", "http://evil.example/x", "https://a.example/x"),
            ("https://a.example", "", "/a//b", "https://a.example/a//b"),
            ("https://a.example", "", "/a/group%2Fproject", "https://a.example/a/group%2Fproject"),
            ("https://a.example", "", "/a/v1.2/..c/d..", "https://a.example/a/v1.2/..c/d.."),
        ] {
            assert_eq!(goes(upstream, prefix, asked).as_deref(), Ok(expected), "{asked}");
        }
    }

    #[test]
    fn dot_segments_are_refused() {
        for asked in [
            "/../x",
            "/a/..",
            "/a/./b",
            "/%2e%2e/x",
            "/a/.%2E/x",
            "/a%2f..%2fx",
            "/a%5c..%5cx",
            "/a/..;x=1/b",
            "/a/..%2f",
        ] {
            assert!(goes("https://a.example/base", "", asked).is_err(), "{asked}");
        }
        assert!(goes("https://a.example", "", "*").is_err());
    }

    #[test]
    fn a_prefix_matches_whole_segments_only() {
        let target = target("https://a.example", "/acme");
        assert!(target.matches("/acme") && target.matches("/acme/x"));
        assert!(!target.matches("/acmeX") && !target.matches("/") && !target.matches("/x/acme"));
    }

    proptest! {
        #[test]
        fn no_call_leaves_the_base_path(path in "/([a-z./%\\\\;:@25eEfFcC]{0,24})") {
            let Ok(asked) = path.parse::<Uri>() else { return Ok(()) };
            let Ok(uri) = target("https://a.example/base", "").uri(&asked) else { return Ok(()) };
            prop_assert_eq!(uri.authority().unwrap().as_str(), "a.example");
            // As a browser reads the URL: first literally, then decoded once.
            let mut text = uri.to_string();
            for _ in 0..2 {
                let read = Url::parse(&text).unwrap();
                prop_assert!(read.path().starts_with("/base/"), "{}", read);
                text = text.replace("%2f", "/").replace("%2F", "/").replace("%5c", "\\").replace("%5C", "\\").replace("%2e", ".").replace("%2E", ".");
            }
        }
    }
}
