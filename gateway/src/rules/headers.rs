//! Header rules: removes hop-by-hop headers (RFC 9110 §7.6.1), the caller's own header in the
//! token's place, and any header that could be mistaken for the gateway's.

use crate::rules::problem::ERROR;
use bootseal::Profile;
use bootseal_core::ResponsePlace;
use http::header::{
    ALT_SVC, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, SET_COOKIE, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// The headers that a route removes in addition to those that every proxy removes.
#[derive(Clone, Debug)]
pub(crate) struct HeaderRules {
    /// The headers that carry the token, in lower case, with `-` for `_`.
    inject: Vec<HeaderName>,
    /// Whether `Authorization` carries the caller's key.
    callers_key: bool,
    /// The response header that carries a newer token.
    token_header: Option<HeaderName>,
    /// The response cookie that carries a newer token.
    token_cookie: Option<String>,
}

impl HeaderRules {
    pub(crate) fn of(profile: &Profile, callers_key: bool) -> HeaderRules {
        let names = profile
            .inject
            .iter()
            .filter_map(|(name, _)| name.to_ascii_lowercase().replace('_', "-").parse().ok());
        HeaderRules {
            inject: names.collect(),
            callers_key,
            token_header: match &profile.token {
                ResponsePlace::Header(name) => name.parse().ok(),
                _ => None,
            },
            token_cookie: match &profile.token {
                ResponsePlace::Cookie(name) => Some(name.clone()),
                _ => None,
            },
        }
    }

    /// Removes every header that must not reach the upstream. `upgrade` is set if the call asks for
    /// an upgrade that is passed on.
    pub(crate) fn to_upstream(&self, headers: &mut HeaderMap, upgrade: bool) {
        let protocol = if upgrade { headers.get(UPGRADE).cloned() } else { None };
        let trailers =
            headers.get_all(TE).iter().any(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"));
        hop_by_hop(headers);
        remove_all(headers, &[HOST, EXPECT, TE, ERROR]);
        self.remove_token_headers(headers);
        if self.callers_key {
            headers.remove(AUTHORIZATION);
        }
        if trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
        if let Some(protocol) = protocol {
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(UPGRADE, protocol);
        }
    }

    /// As [`HeaderRules::to_upstream`], for the trailers of a body.
    pub(crate) fn trailers_to_upstream(&self, trailers: &mut HeaderMap) {
        hop_by_hop(trailers);
        remove_all(trailers, &[HOST, CONTENT_LENGTH, AUTHORIZATION]);
        self.remove_token_headers(trailers);
    }

    /// Removes the headers in the token's place, also spelled with `_` for `-`: an upstream that
    /// treats both alike must not find the caller's value beside the token.
    fn remove_token_headers(&self, headers: &mut HeaderMap) {
        for name in &self.inject {
            headers.remove(name);
        }
        let twin = |name: &HeaderName| {
            let name = name.as_str();
            name.contains('_')
                && self.inject.iter().any(|inject| name.replace('_', "-") == inject.as_str())
        };
        let twins: Vec<HeaderName> = headers.keys().filter(|name| twin(name)).cloned().collect();
        for name in twins {
            headers.remove(name);
        }
    }

    /// Removes every header that must not reach the caller. `upgraded` is set if the upstream has
    /// agreed to an upgrade.
    pub(crate) fn to_caller(&self, headers: &mut HeaderMap, upgraded: bool) {
        let protocol = if upgraded { headers.get(UPGRADE).cloned() } else { None };
        hop_by_hop(headers);
        // Only the gateway may send ERROR; ALT_SVC would lead the caller past the gateway.
        remove_all(headers, &[ERROR, ALT_SVC]);
        if let Some(name) = &self.token_header {
            headers.remove(name);
        }
        if let Some(cookie) = &self.token_cookie {
            let is_token = |value: &HeaderValue| {
                let name = value.as_bytes().split(|byte| *byte == b'=').next().unwrap_or_default();
                name.trim_ascii() == cookie.as_bytes()
            };
            if headers.get_all(SET_COOKIE).iter().any(is_token) {
                let others: Vec<HeaderValue> = headers
                    .get_all(SET_COOKIE)
                    .iter()
                    .filter(|value| !is_token(value))
                    .cloned()
                    .collect();
                headers.remove(SET_COOKIE);
                for other in others {
                    headers.append(SET_COOKIE, other);
                }
            }
        }
        if let Some(protocol) = protocol {
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(UPGRADE, protocol);
        }
    }
}

/// Whether one of `names` is present. A head has few headers, and hardly ever one of these: walking
/// through them once is cheaper than hashing each name.
pub(crate) fn has_any(headers: &HeaderMap, names: &[HeaderName]) -> bool {
    headers.keys().any(|name| names.contains(name))
}

fn remove_all(headers: &mut HeaderMap, names: &[HeaderName]) {
    if has_any(headers, names) {
        for name in names {
            headers.remove(name);
        }
    }
}

/// Removes the hop-by-hop headers, and those that `Connection` names.
fn hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
            // Otherwise a caller could have these removed after they were checked.
            .filter(|name| ![HOST, CONTENT_LENGTH, AUTHORIZATION].contains(name))
            .collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    let rest = [
        KEEP_ALIVE,
        PROXY_CONNECTION,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    remove_all(headers, &rest);
}

/// Whether the requested or accepted upgrade is a WebSocket. No other upgrade is passed on: h2c or
/// TLS would hide further calls in a connection that has the token.
pub(crate) fn is_websocket(headers: &HeaderMap) -> bool {
    let mut named = headers.get_all(UPGRADE).iter();
    let websocket =
        named.next().is_some_and(|name| name.as_bytes().eq_ignore_ascii_case(b"websocket"));
    websocket && named.next().is_none()
}

/// Whether a call asks for an upgrade that is passed on.
pub(crate) fn asks_for_upgrade(headers: &HeaderMap) -> bool {
    let says = |value: &HeaderValue| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|name| name.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
    };
    is_websocket(headers) && headers.get_all(CONNECTION).iter().any(says)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn headers() -> HeaderRules {
        HeaderRules {
            inject: vec!["x-token".parse().unwrap()],
            callers_key: true,
            token_header: Some("x-new-token".parse().unwrap()),
            token_cookie: Some("session".into()),
        }
    }

    #[test]
    fn the_callers_own_headers_in_the_tokens_place_are_removed() {
        let mut given = map(&[
            ("x-token", "mine"),
            ("x_token", "mine"),
            ("X-Token", "again"),
            ("authorization", "Bearer k3y"),
            ("x-other", "stays"),
            ("expect", "100-continue"),
            ("host", "evil.example"),
            ("x-bootseal-error", "login-down"),
        ]);
        headers().to_upstream(&mut given, false);
        assert_eq!(given, map(&[("x-other", "stays")]));
        let mut trailers = map(&[
            ("x-token", "mine"),
            ("x_token", "mine"),
            ("authorization", "a"),
            ("grpc-status", "0"),
        ]);
        headers().trailers_to_upstream(&mut trailers);
        assert_eq!(trailers, map(&[("grpc-status", "0")]));
    }

    #[test]
    fn hop_by_hop_headers_are_removed() {
        let mut given = map(&[
            ("connection", "close, X-Once, content-length"),
            ("x-once", "1"),
            ("content-length", "5"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("proxy-authorization", "Basic eA=="),
        ]);
        headers().to_upstream(&mut given, false);
        assert_eq!(given, map(&[("content-length", "5"), ("te", "trailers")]));
    }

    #[test]
    fn only_websocket_upgrades_are_passed_on() {
        let mut given = map(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]);
        assert!(asks_for_upgrade(&given));
        assert!(!asks_for_upgrade(&map(&[("upgrade", "websocket")])));
        for other in ["h2c", "TLS/1.0", "websocket, h2c", "connect-ip"] {
            assert!(
                !asks_for_upgrade(&map(&[("connection", "upgrade"), ("upgrade", other)])),
                "{other}"
            );
        }
        headers().to_upstream(&mut given, true);
        assert_eq!(given, map(&[("connection", "upgrade"), ("upgrade", "websocket")]));
    }

    #[test]
    fn a_newer_token_is_not_returned() {
        let mut given = map(&[
            ("set-cookie", "a=1; Path=/"),
            ("set-cookie", "session=t0k3n; HttpOnly"),
            ("set-cookie", "b=2"),
            ("x-new-token", "t0k3n"),
            ("x-bootseal-error", "login-down"),
            ("alt-svc", "h3=\":443\""),
        ]);
        headers().to_caller(&mut given, false);
        assert_eq!(given, map(&[("set-cookie", "a=1; Path=/"), ("set-cookie", "b=2")]));
    }
}
