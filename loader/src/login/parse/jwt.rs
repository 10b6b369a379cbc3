//! The expiry of a JWT. `exp` and `iat` are used only to determine when to log in again.
//!
//! The signature is not checked: we are not the audience, and the vendor checks it at each call
//! (RFC 7519, RFC 7515).

use crate::login::parse::json::{Found, find};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bootseal_memory::SecretBuf;

/// The maximum length of a token that is parsed.
const MAX_JWT: usize = 16 * 1024;

/// The claims about a JWT's own lifetime, in seconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Claims {
    pub(crate) exp: f64,
    pub(crate) iat: Option<f64>,
}

/// The claims of `token`; `None` if it is not a JWT, is encrypted, or has no usable `exp`.
pub(crate) fn peek(token: &[u8]) -> Option<Claims> {
    let payload = payload(token)?;
    payload.expose(|payload| {
        let exp = number(payload, "/exp")?;
        let iat = number(payload, "/iat");
        Some(Claims { exp, iat })
    })
}

/// Returns a claim that is a finite number, and `None` for a string.
fn number(payload: &[u8], pointer: &str) -> Option<f64> {
    match find(payload, pointer) {
        Ok(Some(found @ Found::Number(_))) => found.number(),
        _ => None,
    }
}

/// The decoded payload of a signed JWT, on a guarded page, because the payload is a part of the
/// token.
pub(crate) fn payload(token: &[u8]) -> Option<SecretBuf> {
    if token.len() > MAX_JWT {
        return None;
    }
    // Bounded, so that parsing a long string of dots is cheap (CVE-2025-27144). A signed JWT has
    // three parts, and an encrypted JWT has five.
    let mut parts = token.splitn(4, |byte| *byte == b'.');
    let (_, payload, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else {
        return None;
    };
    let mut page = SecretBuf::zeroed(payload.len() / 4 * 3 + 3).ok()?;
    let decoded =
        page.expose_mut(|page| BASE64_URL_SAFE_NO_PAD.decode_slice(payload, page)).ok()?;
    page.truncate(decoded);
    // The JSON reader does not check the text that it skips for valid UTF-8.
    page.expose(|page| std::str::from_utf8(page).is_ok()).then_some(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn jwt(payload: &str) -> String {
        format!("eyJhbGciOiJub25lIn0.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn exp_and_iat_are_read() {
        let claims = |payload: &str| peek(jwt(payload).as_bytes());
        assert_eq!(
            claims(r#"{"exp":1700000000,"iat":1699999000,"sub":"x"}"#),
            Some(Claims { exp: 1.7e9, iat: Some(1.699_999e9) })
        );
        assert_eq!(
            claims(r#"{"exp":1700000000.5}"#),
            Some(Claims { exp: 1_700_000_000.5, iat: None })
        );
        assert_eq!(claims(r#"{"exp":-1}"#), Some(Claims { exp: -1.0, iat: None }));
        for none in [
            r#"{"exp":"1700000000"}"#,
            r#"{"exp":null}"#,
            "{}",
            "[]",
            "nonsense",
            r#"{"exp":1,"exp":2}"#,
            r#"{"exp":1e999}"#,
        ] {
            assert_eq!(claims(none), None, "{none}");
        }
    }

    #[test]
    fn a_text_that_is_not_a_jwt_is_refused_in_bounded_time() {
        let inner = jwt(r#"{"exp":1}"#);
        let long = format!("{inner}{}", "x".repeat(1 << 20));
        for none in ["", "opaque", "a.b", "a.b.c.d.e", &".".repeat(1000), &long, "a.!!!.c"] {
            assert_eq!(peek(none.as_bytes()), None);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_cause_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), payload in any::<String>()) {
            let _ = peek(&bytes);
            let _ = peek(jwt(&payload).as_bytes());
        }
    }
}
