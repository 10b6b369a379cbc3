//! Link rewriting: links and cookies of a response that name the upstream name the route instead,
//! so that a client that follows them comes back through the gateway.
//!
//! The vendor chooses these headers, so the work is linear in their length, and the response grows
//! by at most [`MAX_GROWTH`].

use crate::rules::headers::has_any;
use crate::rules::target::Target;
use http::header::{CONTENT_LOCATION, LINK, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use url::Url;

/// The number of bytes by which the `Link` headers of one response may grow. Links beyond that stay
/// as they are; a page with a hundred links needs less.
const MAX_GROWTH: usize = 16 * 1024;

/// Whether a response has links or cookies at all.
pub(crate) fn has_links(headers: &HeaderMap) -> bool {
    has_any(headers, &[LOCATION, CONTENT_LOCATION, LINK, SET_COOKIE])
}

/// Makes the links of a response lead to `origin`, the gateway as the caller addressed it, such as
/// `http://127.0.0.1:9301`. `requested` is the URL of the call, the base of relative links.
pub(crate) fn rewrite(target: &Target, origin: &str, requested: &Uri, headers: &mut HeaderMap) {
    for name in [LOCATION, CONTENT_LOCATION] {
        if let Some(value) = headers.get(&name).and_then(|value| value.to_str().ok())
            && let Ok(base) = Url::parse(&requested.to_string())
            && let Some(link) = through_route(target, origin, &base, value)
        {
            insert(headers, name, &link);
        }
    }
    let mut growth = MAX_GROWTH;
    rewrite_each(headers, LINK, |value| Some(link_header(target, origin, &mut growth, value)));
    rewrite_each(headers, SET_COOKIE, |value| Some(cookie(target, value)));
}

fn insert(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

fn rewrite_each(
    headers: &mut HeaderMap,
    name: HeaderName,
    mut change: impl FnMut(&str) -> Option<String>,
) {
    if !headers.contains_key(&name) {
        return;
    }
    let changed: Vec<HeaderValue> = headers
        .get_all(&name)
        .iter()
        .map(|value| {
            let text = value.to_str().ok().and_then(&mut change);
            text.and_then(|text| HeaderValue::from_str(&text).ok()).unwrap_or_else(|| value.clone())
        })
        .collect();
    headers.remove(&name);
    for value in changed {
        headers.append(name.clone(), value);
    }
}

/// Returns a link as it leads through the route; `None` if it leads to another origin, or to a path
/// that the route does not reach. A relative link is relative to `base`.
fn through_route(target: &Target, origin: &str, base: &Url, link: &str) -> Option<String> {
    let to = base.join(link).ok()?;
    if to.origin() != target.url().origin() {
        return None;
    }
    let rest = to
        .path()
        .strip_prefix(target.base())
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))?;
    let after = &to[url::Position::AfterPath..];
    let path = format!("{}{rest}", target.prefix());
    let path = if path.is_empty() { "/" } else { &path };
    // A link without a host stays without one, unless its path begins with `//`, which a client
    // would read as a host.
    let names_host = link.contains("://") || [link, path].iter().any(|text| text.starts_with("//"));
    Some(if names_host { format!("{origin}{path}{after}") } else { format!("{path}{after}") })
}

/// Rewrites the targets of a `Link` header (RFC 8288), by which clients follow the pages of a list.
/// Only a target with a host or an absolute path can lead past the route; a relative one is correct
/// at the gateway as it is. `growth` is the number of bytes by which the response may still grow.
fn link_header(target: &Target, origin: &str, growth: &mut usize, value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('<') {
        let Some((link, after)) = after.split_once('>') else { break };
        text.push_str(before);
        text.push('<');
        let names_origin = link.starts_with('/') || has_scheme(link);
        let changed = Some(link)
            .filter(|_| names_origin && *growth > 0)
            .and_then(|link| through_route(target, origin, target.url(), link))
            .filter(|changed| changed.len().saturating_sub(link.len()) <= *growth);
        if let Some(changed) = &changed {
            *growth -= changed.len().saturating_sub(link.len());
        }
        text.push_str(changed.as_deref().unwrap_or(link));
        text.push('>');
        rest = after;
    }
    text.push_str(rest);
    text
}

/// Whether a link begins with a scheme and a host.
fn has_scheme(link: &str) -> bool {
    let scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    link.split_once("://").is_some_and(|(name, _)| name.bytes().all(scheme))
}

/// Turns a cookie of the upstream into one of the route: without the upstream's domain, with a path
/// below the prefix, and without `Secure`, because the route is plain HTTP (RFC 6265 §5.2). Cookies
/// that no browser accepts without `Secure`, or with another path, keep them (RFC 6265bis §4.1.3,
/// §5.7). Of several paths, only the last is kept: it is the one that counts (RFC 6265 §5.3).
fn cookie(target: &Target, value: &str) -> String {
    let host = target.url().host_str().unwrap_or_default();
    let mut parts = value.split(';');
    let mut text = parts.next().unwrap_or_default().to_owned();
    let starts_with = |prefix: &str| {
        text.trim_start().get(..prefix.len()).is_some_and(|name| name.eq_ignore_ascii_case(prefix))
    };
    let to_any_site = value.split(';').any(|part| {
        let (name, rest) = part.split_once('=').unwrap_or((part, ""));
        name.trim().eq_ignore_ascii_case("samesite") && rest.trim().eq_ignore_ascii_case("none")
    });
    let host_only = starts_with("__Host-");
    let secure = host_only || starts_with("__Secure-") || to_any_site;
    let mut paths = value.split(';').skip(1).filter(|part| is_path(part)).count();
    for part in parts {
        if is_path(part) {
            paths -= 1;
            if paths > 0 {
                continue;
            }
        }
        let (name, rest) = part.split_once('=').unwrap_or((part, ""));
        let (name, rest) = (name.trim(), rest.trim());
        if name.eq_ignore_ascii_case("secure") && !secure {
            continue;
        }
        if name.eq_ignore_ascii_case("domain") {
            let domain = rest.trim_start_matches('.');
            let ours = host.eq_ignore_ascii_case(domain)
                || host
                    .to_ascii_lowercase()
                    .ends_with(&format!(".{}", domain.to_ascii_lowercase()));
            if ours {
                continue;
            }
        }
        if name.eq_ignore_ascii_case("path")
            && !host_only
            && let Some(path) = cookie_path(target, rest)
        {
            text.push_str(&format!("; Path={}", if path.is_empty() { "/" } else { &path }));
            continue;
        }
        text.push(';');
        text.push_str(part);
    }
    text
}

/// Whether this attribute of a cookie is its path.
fn is_path(part: &str) -> bool {
    part.split('=').next().is_some_and(|name| name.trim().eq_ignore_ascii_case("path"))
}

/// Returns the path at the gateway for a cookie with this `path` at the upstream; `None` if the
/// route does not reach it.
fn cookie_path(target: &Target, path: &str) -> Option<String> {
    let is_within = |inner: &str, outer: &str| {
        inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || outer.ends_with('/'))
    };
    let base = if target.base().is_empty() { "/" } else { target.base() };
    if is_within(base, path) {
        return Some(target.prefix().to_owned());
    }
    is_within(path, base).then(|| {
        format!("{}{}", target.prefix(), path.strip_prefix(target.base()).unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn rewritten(name: HeaderName, value: &str, upstream: &str, prefix: &str) -> String {
        let target = Target::of(&upstream.parse().unwrap(), prefix).unwrap();
        let requested: Uri =
            format!("{}/orders/7?q=1", upstream.trim_end_matches('/')).parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(name.clone(), value.parse().unwrap());
        rewrite(&target, "http://127.0.0.1:9301", &requested, &mut headers);
        headers.get(name).unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn links_to_the_upstream_are_rewritten_to_the_route() {
        for (prefix, link, expected) in [
            ("", "https://a.example/base/orders/8?x#y", "http://127.0.0.1:9301/orders/8?x#y"),
            ("/acme", "https://a.example/base/orders/8", "http://127.0.0.1:9301/acme/orders/8"),
            ("/acme", "https://A.example:443/base", "http://127.0.0.1:9301/acme"),
            ("/acme", "//a.example/base/x", "http://127.0.0.1:9301/acme/x"),
            ("/acme", "/base/x", "/acme/x"),
            ("", "8", "/orders/8"),
            ("", "?page=2", "/orders/7?page=2"),
            ("", "/base", "/"),
            ("", "/base?x", "/?x"),
            // Must not become a host: `/base//evil.example` is only a path.
            ("", "/base//evil.example", "http://127.0.0.1:9301//evil.example"),
            ("", "/base/\\evil.example", "http://127.0.0.1:9301//evil.example"),
            ("/acme", "/base//evil.example", "/acme//evil.example"),
            // Another origin, or not reached by the route: unchanged.
            ("", "https://a.example/other", "https://a.example/other"),
            ("", "https://a.example/baseX", "https://a.example/baseX"),
            ("", "/other", "/other"),
            ("", "https://b.example/base/x", "https://b.example/base/x"),
            ("", "http://a.example/base/x", "http://a.example/base/x"),
            ("", "https://a.example:8443/base/x", "https://a.example:8443/base/x"),
        ] {
            assert_eq!(
                rewritten(LOCATION, link, "https://a.example/base", prefix),
                expected,
                "{link}"
            );
            assert_eq!(
                rewritten(CONTENT_LOCATION, link, "https://a.example/base", prefix),
                expected
            );
        }
    }

    #[test]
    fn pages_of_a_list_are_followed_through_the_route() {
        let value = "<https://a.example/base/orders?page=2>; rel=\"next\", <https://b.example/>; rel=\"other\", </base/orders?page=9>; rel=last";
        let expected = "<http://127.0.0.1:9301/acme/orders?page=2>; rel=\"next\", <https://b.example/>; rel=\"other\", </acme/orders?page=9>; rel=last";
        assert_eq!(rewritten(LINK, value, "https://a.example/base", "/acme"), expected);
        assert_eq!(
            rewritten(LINK, "<https://a.example/base", "https://a.example/base", ""),
            "<https://a.example/base"
        );
        // Relative targets are correct at the gateway as they are.
        let relative = "<?page=2>; rel=next, <8>, <>, <#top>, <base/x>, <9?u=https://a.example/>";
        assert_eq!(rewritten(LINK, relative, "https://a.example/base", "/acme"), relative);
    }

    #[test]
    fn a_response_grows_by_no_more_than_the_limit() {
        let prefix = format!("/{}", "p".repeat(200));
        for link in ["<>,", "</>,", "<https://a.example/>,", "<?>,", "<//a.example/x>,", "<"] {
            let value = link.repeat(200_000 / link.len());
            let target = Target::of(&"https://a.example".parse().unwrap(), &prefix).unwrap();
            let requested = format!("https://a.example/{}", "x".repeat(16_000)).parse().unwrap();
            let mut headers = HeaderMap::new();
            headers.append(LINK, value.parse().unwrap());
            headers.append(LINK, value.parse().unwrap());
            rewrite(&target, "http://127.0.0.1:9301", &requested, &mut headers);
            let after: usize = headers.get_all(LINK).iter().map(HeaderValue::len).sum();
            assert!(after <= 2 * value.len() + MAX_GROWTH, "{link}: {after}");
            let cookie = format!("id=1{}", "; Path=/".repeat(20_000));
            let cookie = rewritten(SET_COOKIE, &cookie, "https://a.example", &prefix);
            assert_eq!(cookie, format!("id=1; Path={prefix}"));
        }
    }

    #[test]
    fn cookies_of_the_upstream_are_rewritten_to_the_route() {
        for (prefix, value, expected) in [
            (
                "",
                "id=1; Domain=a.example; Path=/base/x; Secure; HttpOnly",
                "id=1; Path=/x; HttpOnly",
            ),
            ("/acme", "id=1; domain=.example; path=/base", "id=1; Path=/acme"),
            ("", "id=1; Path=/base", "id=1; Path=/"),
            ("", "id=1; Path=/; SameSite=Lax", "id=1; Path=/; SameSite=Lax"),
            ("/acme", "id=1; Path=/; SameSite=Lax", "id=1; Path=/acme; SameSite=Lax"),
            ("/acme", "id=1; Path=/base10", "id=1; Path=/base10"),
            ("/acme", "id=1; Path=/ba", "id=1; Path=/ba"),
            ("/acme", "id=1; SameSite=None; Secure", "id=1; SameSite=None; Secure"),
            ("/acme", "__Host-id=1; Path=/; Secure", "__Host-id=1; Path=/; Secure"),
            ("/acme", "__Secure-id=1; Path=/base/x; Secure", "__Secure-id=1; Path=/acme/x; Secure"),
            ("", "id=1; Domain=b.example", "id=1; Domain=b.example"),
            ("", "id=a=b", "id=a=b"),
            ("/acme", "id=1; Path=/x; path = /base/y; Secure", "id=1; Path=/acme/y"),
            ("/acme", "id=1; Path=/base; Path=/other", "id=1; Path=/other"),
        ] {
            assert_eq!(
                rewritten(SET_COOKIE, value, "https://a.example/base", prefix),
                expected,
                "{value}"
            );
        }
    }
}
