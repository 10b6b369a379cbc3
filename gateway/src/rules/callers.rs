//! Who may use a route? Who holds its key, or is the right user of this machine; and no page of a browser that was led here.

use crate::rules::problem::Problem;
use bootseal::{Kind, Result, Secret, Secrets};
use bootseal_core::{Callers, Route};
use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use std::net::IpAddr;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What a route asks of its callers.
#[derive(Clone, Debug)]
pub(crate) enum Check {
    /// Whoever reaches the address.
    Nobody,
    Bearer(Secret),
    Basic {
        user: String,
        password: Secret,
    },
    Uid(Vec<u32>),
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Peer {
    Tcp,
    /// The user at the other end, where the system says so.
    Unix(Option<u32>),
}

impl Check {
    pub(crate) fn of(vault: &Secrets, route: &Route) -> Result<Check> {
        let secret = |name: &str| -> Result<Secret> {
            let path = route.table.child(name)?.to_string();
            let key = vault.secret(&path)?;
            if key.is_empty() {
                let error = bootseal_core::Error::new(
                    Kind::Malformed,
                    format!("`{path}` is empty, and would let everybody in"),
                );
                return Err(error
                    .with_help(format!("Give callers a key to show: bootseal set {path} --generate"))
                    .into());
            }
            Ok(key)
        };
        Ok(match &route.callers {
            None => Check::Nobody,
            Some(Callers::Bearer(name)) => Check::Bearer(secret(name)?),
            Some(Callers::Basic { user, password }) => Check::Basic { user: user.clone(), password: secret(password)? },
            Some(Callers::Uid(uids)) => Check::Uid(uids.clone()),
        })
    }

    pub(crate) fn same_as(&self, other: &Check) -> bool {
        match (self, other) {
            (Check::Nobody, Check::Nobody) => true,
            (Check::Bearer(one), Check::Bearer(other)) => one.same_as(other),
            (Check::Basic { user, password }, Check::Basic { user: other, password: others }) => {
                user == other && password.same_as(others)
            }
            (Check::Uid(one), Check::Uid(other)) => one == other,
            _ => false,
        }
    }

    /// Whether callers show a key, which a page of a browser does not know.
    pub(crate) fn asks_for_key(&self) -> bool {
        matches!(self, Check::Bearer(_) | Check::Basic { .. })
    }

    /// # Errors
    /// 403, never 401: that would be the vendor's word.
    pub(crate) fn lets(&self, peer: Peer, headers: &HeaderMap) -> Result<(), Problem> {
        let mut given = headers.get_all(AUTHORIZATION).iter();
        // Of two one cannot tell which is meant.
        let given = given.next().filter(|_| given.next().is_none()).map(HeaderValue::as_bytes);
        let (lets, wants) = match self {
            Check::Nobody => (true, ""),
            Check::Bearer(key) => (
                after(given, b"bearer").is_some_and(|given| key.matches(given)),
                "It wants the header Authorization: Bearer, with the route's key.",
            ),
            Check::Basic { user, password } => {
                let pair = after(given, b"basic").and_then(|text| {
                    use base64::prelude::*;
                    BASE64_STANDARD.decode(text).ok()
                });
                let lets = pair.is_some_and(|pair| {
                    let at = pair.iter().position(|byte| *byte == b':').unwrap_or(pair.len());
                    let (name, rest) = pair.split_at(at);
                    let right = password.matches(rest.get(1..).unwrap_or_default());
                    name == user.as_bytes() && right
                });
                (lets, "It wants the header Authorization: Basic, with the route's user and password.")
            }
            Check::Uid(uids) => (
                matches!(peer, Peer::Unix(Some(uid)) if uids.contains(&uid)),
                "It wants a process of another user, by its number.",
            ),
        };
        if lets { Ok(()) } else { Err(Problem::caller(wants)) }
    }
}

/// What follows the scheme.
fn after<'a>(given: Option<&'a [u8]>, scheme: &[u8]) -> Option<&'a [u8]> {
    let (name, rest) = given?.split_at_checked(scheme.len())?;
    (name.eq_ignore_ascii_case(scheme) && rest.first() == Some(&b' ')).then(|| rest.trim_ascii())
}

/// A page of a browser can be led to an address of this machine by a name that its owner points here: then `Host` has that name.
///
/// # Errors
/// 421 where the call names another host than this machine; 403 where a page of another site sent it.
pub(crate) fn not_led_here(uri: &Uri, headers: &HeaderMap, with_key: bool) -> Result<(), Problem> {
    let mut hosts = headers.get_all(HOST).iter();
    let named = hosts.next().map(HeaderValue::as_bytes);
    if hosts.next().is_some() {
        return Err(Problem::misdirected());
    }
    let authority = uri.authority().map(|authority| authority.as_str().as_bytes());
    if ![named, authority].into_iter().flatten().all(is_this_machine) {
        return Err(Problem::misdirected());
    }
    if with_key {
        return Ok(());
    }
    let own = |origin: &HeaderValue| {
        let host = origin.as_bytes().strip_prefix(b"http://");
        host.is_some_and(|host| named.or(authority).is_some_and(|named| named.eq_ignore_ascii_case(host)))
    };
    let from_here = |site: &HeaderValue| [&b"same-origin"[..], b"none"].contains(&site.as_bytes());
    if headers.get_all(ORIGIN).iter().all(own) && headers.get_all(SEC_FETCH_SITE).iter().all(from_here) {
        Ok(())
    } else {
        Err(Problem::browser())
    }
}

fn is_this_machine(authority: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(authority) else { return false };
    let Ok(authority) = text.parse::<http::uri::Authority>() else { return false };
    if text.contains('@') {
        return false;
    }
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
    }

    fn secret(text: &str) -> Secret {
        Secret::copy_of(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_key_lets_in_who_holds_it() {
        let bearer = Check::Bearer(secret("k3y"));
        let basic = Check::Basic { user: "shop".into(), password: secret("p:w") };
        for (check, value, lets) in [
            (&bearer, "Bearer k3y", true),
            (&bearer, "bearer  k3y ", true),
            (&bearer, "Bearer k3yy", false),
            (&bearer, "Bearer k3", false),
            (&bearer, "Bearer", false),
            (&bearer, "Bearerk3y", false),
            (&bearer, "Basic k3y", false),
            (&basic, "Basic c2hvcDpwOnc=", true),
            (&basic, "Basic c2hvcDpwOng=", false),
            (&basic, "Basic c2hvcA==", false),
            (&basic, "Basic ***", false),
        ] {
            assert_eq!(check.lets(Peer::Tcp, &map(&[("authorization", value)])).is_ok(), lets, "{value}");
        }
        let twice = map(&[("authorization", "Bearer k3y"), ("authorization", "Bearer other")]);
        assert_eq!(bearer.lets(Peer::Tcp, &twice).unwrap_err().status, 403);
        assert!(bearer.lets(Peer::Tcp, &HeaderMap::new()).is_err());
    }

    #[test]
    fn a_user_of_this_machine_is_known_at_a_unix_socket() {
        let check = Check::Uid(vec![0, 1001]);
        for (peer, lets) in [
            (Peer::Unix(Some(1001)), true),
            (Peer::Unix(Some(1)), false),
            (Peer::Unix(None), false),
            (Peer::Tcp, false),
        ] {
            assert_eq!(check.lets(peer, &HeaderMap::new()).is_ok(), lets, "{peer:?}");
        }
    }

    #[test]
    fn a_page_that_was_led_here_is_refused() {
        let call = |headers: &[(&str, &str)], key| {
            not_led_here(&"/x".parse().unwrap(), &map(headers), key).map_err(|problem| problem.status.as_u16())
        };
        for (host, expected) in [
            ("127.0.0.1:9301", Ok(())),
            ("localhost:9301", Ok(())),
            ("LOCALHOST", Ok(())),
            ("[::1]:9301", Ok(())),
            ("127.8.9.1", Ok(())),
            ("evil.example:9301", Err(421)),
            ("127.0.0.1.evil.example", Err(421)),
            ("localhost.evil.example", Err(421)),
            ("10.0.0.1:9301", Err(421)),
            ("x@127.0.0.1", Err(421)),
            ("", Err(421)),
        ] {
            assert_eq!(call(&[("host", host)], false), expected, "{host}");
            assert_eq!(call(&[("host", host)], true), expected, "{host}");
        }
        let host = ("host", "127.0.0.1:9301");
        assert_eq!(call(&[host, ("host", "evil.example")], false), Err(421));
        assert_eq!(call(&[host, ("origin", "https://evil.example")], false), Err(403));
        assert_eq!(call(&[host, ("origin", "null")], false), Err(403));
        assert_eq!(call(&[host, ("sec-fetch-site", "cross-site")], false), Err(403));
        assert_eq!(call(&[host, ("sec-fetch-site", "same-site")], false), Err(403));
        assert_eq!(
            call(&[host, ("origin", "http://127.0.0.1:9301"), ("sec-fetch-site", "same-origin")], false),
            Ok(())
        );
        assert_eq!(call(&[host, ("origin", "https://shop.example")], true), Ok(()), "it shows a key");
        let absolute = not_led_here(&"http://evil.example/x".parse().unwrap(), &map(&[host]), false);
        assert_eq!(absolute.unwrap_err().status, 421);
    }
}
