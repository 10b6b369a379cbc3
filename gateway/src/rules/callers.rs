//! Authentication of callers: by the route's key, or by user id; web pages of other sites are
//! refused.

use crate::rules::problem::Problem;
use bootseal::{Kind, Result, Secret, Secrets};
use bootseal_core::{Callers, Route, shell_word};
use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use std::net::IpAddr;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The authentication that a route requires of its callers.
#[derive(Clone, Debug)]
pub(crate) enum CallerCheck {
    /// Nothing: any caller that reaches the address may use it.
    Open,
    Bearer(Secret),
    Basic {
        user: String,
        password: Secret,
    },
    Uid(Vec<u32>),
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Peer {
    Tcp(IpAddr),
    /// The user id at the other end, if the system reports it.
    Unix(Option<u32>),
}

impl CallerCheck {
    pub(crate) fn of(vault: &Secrets, route: &Route) -> Result<CallerCheck> {
        let secret = |name: &str| -> Result<Secret> {
            let path = route.table.child(name)?.to_string();
            let key = vault.secret(&path)?;
            if key.is_empty() {
                let error = bootseal_core::Error::new(
                    Kind::Malformed,
                    format!("`{path}` is empty, so every caller would be accepted"),
                );
                return Err(error
                    .with_help(format!(
                        "Generate a key for the callers: bootseal set {} --generate",
                        shell_word(&path)
                    ))
                    .into());
            }
            Ok(key)
        };
        Ok(match &route.callers {
            None => CallerCheck::Open,
            Some(Callers::Bearer(name)) => CallerCheck::Bearer(secret(name)?),
            Some(Callers::Basic { user, password }) => {
                CallerCheck::Basic { user: user.clone(), password: secret(password)? }
            }
            Some(Callers::Uid(uids)) => CallerCheck::Uid(uids.clone()),
        })
    }

    pub(crate) fn same_as(&self, other: &CallerCheck) -> bool {
        match (self, other) {
            (CallerCheck::Open, CallerCheck::Open) => true,
            (CallerCheck::Bearer(one), CallerCheck::Bearer(other)) => one.same_as(other),
            (
                CallerCheck::Basic { user, password },
                CallerCheck::Basic { user: other, password: others },
            ) => user == other && password.same_as(others),
            (CallerCheck::Uid(one), CallerCheck::Uid(other)) => one == other,
            _ => false,
        }
    }

    /// Whether callers present a key, which a web page of another site does not know.
    pub(crate) fn asks_for_key(&self) -> bool {
        matches!(self, CallerCheck::Bearer(_) | CallerCheck::Basic { .. })
    }

    /// Checks one call.
    ///
    /// # Errors
    /// 403, never 401, which an application would take for the vendor's response.
    pub(crate) fn authorize(&self, peer: Peer, headers: &HeaderMap) -> Result<(), Problem> {
        let mut given = headers.get_all(AUTHORIZATION).iter();
        // With two headers it is unclear which one applies.
        let given = given.next().filter(|_| given.next().is_none()).map(HeaderValue::as_bytes);
        let (authorized, required) = match self {
            CallerCheck::Open => (true, ""),
            CallerCheck::Bearer(key) => (
                credentials(given, b"bearer").is_some_and(|given| key.matches(given)),
                "The route requires the header Authorization: Bearer with its key.",
            ),
            CallerCheck::Basic { user, password } => {
                let pair = credentials(given, b"basic").and_then(|text| {
                    use base64::prelude::*;
                    BASE64_STANDARD.decode(text).ok()
                });
                let authorized = pair.is_some_and(|pair| {
                    let colon = pair.iter().position(|byte| *byte == b':').unwrap_or(pair.len());
                    let (name, rest) = pair.split_at(colon);
                    // Compared before the name, so that a wrong name takes as long as a right one.
                    let password_matches = password.matches(rest.get(1..).unwrap_or_default());
                    name == user.as_bytes() && password_matches
                });
                (
                    authorized,
                    "The route requires the header Authorization: Basic with its user and password.",
                )
            }
            CallerCheck::Uid(uids) => (
                matches!(peer, Peer::Unix(Some(uid)) if uids.contains(&uid)),
                "The route requires a caller that runs as one of its user ids.",
            ),
        };
        if authorized { Ok(()) } else { Err(Problem::caller(required)) }
    }
}

/// Returns the credentials after an authorization scheme.
fn credentials<'a>(given: Option<&'a [u8]>, scheme: &[u8]) -> Option<&'a [u8]> {
    let (name, rest) = given?.split_at_checked(scheme.len())?;
    (name.eq_ignore_ascii_case(scheme) && rest.first() == Some(&b' ')).then(|| rest.trim_ascii())
}

/// Refuses calls that a foreign web page causes a browser on this machine to send. With DNS
/// rebinding, the owner of a name points it to loopback, so `Host` contains that name. A cross-site
/// request is recognised by `Origin` or `Sec-Fetch-Site`; with a key it is allowed, because the
/// page must know the key.
///
/// # Errors
/// 421 if the call names another host than this machine; 403 if a page of another site sent it.
pub(crate) fn refuse_foreign_page(
    uri: &Uri,
    headers: &HeaderMap,
    with_key: bool,
) -> Result<(), Problem> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().map(HeaderValue::as_bytes);
    if hosts.next().is_some() {
        return Err(Problem::misdirected());
    }
    let authority = uri.authority().map(|authority| authority.as_str().as_bytes());
    if ![host, authority].into_iter().flatten().all(is_this_machine) {
        return Err(Problem::misdirected());
    }
    if with_key {
        return Ok(());
    }
    let own = |origin: &HeaderValue| {
        let origin = origin.as_bytes().strip_prefix(b"http://");
        origin.is_some_and(|origin| {
            host.or(authority).is_some_and(|host| host.eq_ignore_ascii_case(origin))
        })
    };
    let same_site = |site: &HeaderValue| [&b"same-origin"[..], b"none"].contains(&site.as_bytes());
    if headers.get_all(ORIGIN).iter().all(own)
        && headers.get_all(SEC_FETCH_SITE).iter().all(same_site)
    {
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
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn peer() -> Peer {
        Peer::Tcp([127, 0, 0, 1].into())
    }

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn secret(text: &str) -> Secret {
        Secret::copy_of(text.as_bytes()).unwrap()
    }

    #[test]
    fn only_the_right_key_is_accepted() {
        let bearer = CallerCheck::Bearer(secret("k3y"));
        let basic = CallerCheck::Basic { user: "shop".into(), password: secret("p:w") };
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
            assert_eq!(
                check.authorize(peer(), &map(&[("authorization", value)])).is_ok(),
                lets,
                "{value}"
            );
        }
        let twice = map(&[("authorization", "Bearer k3y"), ("authorization", "Bearer other")]);
        assert_eq!(bearer.authorize(peer(), &twice).unwrap_err().status, 403);
        assert!(bearer.authorize(peer(), &HeaderMap::new()).is_err());
    }

    #[test]
    fn a_uid_is_checked_at_a_unix_socket() {
        let check = CallerCheck::Uid(vec![0, 1001]);
        for (peer, lets) in [
            (Peer::Unix(Some(1001)), true),
            (Peer::Unix(Some(1)), false),
            (Peer::Unix(None), false),
            (peer(), false),
        ] {
            assert_eq!(check.authorize(peer, &HeaderMap::new()).is_ok(), lets, "{peer:?}");
        }
    }

    #[test]
    fn pages_of_other_sites_and_other_hosts_are_refused() {
        let call = |headers: &[(&str, &str)], key| {
            refuse_foreign_page(&"/x".parse().unwrap(), &map(headers), key)
                .map_err(|problem| problem.status.as_u16())
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
            call(
                &[host, ("origin", "http://127.0.0.1:9301"), ("sec-fetch-site", "same-origin")],
                false
            ),
            Ok(())
        );
        assert_eq!(
            call(&[host, ("origin", "https://shop.example")], true),
            Ok(()),
            "it presents a key"
        );
        let absolute =
            refuse_foreign_page(&"http://evil.example/x".parse().unwrap(), &map(&[host]), false);
        assert_eq!(absolute.unwrap_err().status, 421);
    }
}
