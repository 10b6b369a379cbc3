//! Time-based one-time codes: TOTP (RFC 6238) over HOTP (RFC 4226).

use crate::error::Error;
use bootseal_core::{Kind, Secret, Totp, TotpHash};
use bootseal_memory::SecretBuf;
use hmac::{Hmac, KeyInit, Mac};
use std::time::Duration;

/// The number of the period that contains `unix_time`. At most one code is sent per period.
pub(crate) fn step(totp: &Totp, unix_time: Duration) -> u64 {
    unix_time.as_secs() / totp.period.as_secs().max(1)
}

/// The time until the period `step` begins.
pub(crate) fn until(totp: &Totp, step: u64, unix_time: Duration) -> Duration {
    Duration::from_secs(step.saturating_mul(totp.period.as_secs())).saturating_sub(unix_time)
}

/// The code for the period `step`, from a seed in base32 (RFC 4648 §6).
pub(crate) fn code(totp: &Totp, seed: &Secret, step: u64) -> Result<Secret, Error> {
    let key = seed.expose(decode)?;
    let number = key.expose(|key| match totp.hash {
        TotpHash::Sha1 => truncated::<Hmac<sha1::Sha1>>(key, step),
        TotpHash::Sha256 => truncated::<Hmac<sha2::Sha256>>(key, step),
        TotpHash::Sha512 => truncated::<Hmac<sha2::Sha512>>(key, step),
    });
    let number = number.ok_or_else(|| {
        Error::new(Kind::Malformed, "the seed of the one-time code cannot be used")
    })?;
    let mut code = SecretBuf::zeroed(totp.digits as usize)?;
    code.expose_mut(|code| {
        let mut rest = number;
        for digit in code.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    });
    Ok(code.freeze())
}

fn truncated<M: Mac + KeyInit>(key: &[u8], step: u64) -> Option<u32> {
    let mut mac = <M as KeyInit>::new_from_slice(key).ok()?;
    mac.update(&step.to_be_bytes());
    let mac = mac.finalize().into_bytes();
    let at = usize::from(mac.last()? & 0xF);
    let four: [u8; 4] = mac.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_be_bytes(four) & 0x7FFF_FFFF)
}

/// Decodes base32. Lower case, blanks, hyphens and padding are accepted.
fn decode(text: &[u8]) -> Result<SecretBuf, Error> {
    let wrong = || {
        Error::new(Kind::Malformed, "the seed of the one-time code is not base32").with_help(
            "The seed consists of letters and the digits 2 to 7; the vendor shows it beside its QR code (secret=… in the code).",
        )
    };
    let mut key = SecretBuf::with_capacity(text.len() * 5 / 8 + 1)?;
    let (mut bits, mut held) = (0u32, 0u32);
    for byte in text.iter().filter(|byte| !matches!(byte, b' ' | b'-' | b'=')) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a',
            b'2'..=b'7' => byte - b'2' + 26,
            _ => return Err(wrong()),
        };
        bits = (bits << 5 | u32::from(value)) & 0xFFF;
        held += 5;
        if held >= 8 {
            held -= 8;
            key.push(&[(bits >> held) as u8])?;
        }
    }
    if key.is_empty() { Err(wrong()) } else { Ok(key) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_match_the_vectors_of_rfc_6238() {
        // base32 of "12345678901234567890" and its continuations, Appendix B.
        for (hash, seed, codes) in [
            (
                TotpHash::Sha1,
                "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
                ["94287082", "07081804", "65353130"],
            ),
            (
                TotpHash::Sha256,
                "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZA====",
                ["46119246", "68084774", "77737706"],
            ),
            (
                TotpHash::Sha512,
                "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNA=",
                ["90693936", "25091201", "47863826"],
            ),
        ] {
            let totp =
                Totp { seed: "seed".into(), digits: 8, period: Duration::from_secs(30), hash };
            let seed = Secret::copy_of(seed.as_bytes()).unwrap();
            for (unix_time, expected) in [59, 1_111_111_109, 20_000_000_000].into_iter().zip(codes)
            {
                let step = step(&totp, Duration::from_secs(unix_time));
                let made = code(&totp, &seed, step).unwrap();
                assert_eq!(
                    made.expose_str(str::to_owned).unwrap(),
                    expected,
                    "{hash:?} {unix_time}"
                );
            }
        }
    }

    #[test]
    fn a_seed_may_have_blanks_hyphens_and_lower_case_but_must_be_base32() {
        let totp = Totp {
            seed: "seed".into(),
            digits: 6,
            period: Duration::from_secs(30),
            hash: TotpHash::Sha1,
        };
        let code_of = |seed: &str| code(&totp, &Secret::copy_of(seed.as_bytes()).unwrap(), 1);
        let text = |code: Result<Secret, Error>| code.unwrap().expose_str(str::to_owned).unwrap();
        assert_eq!(text(code_of("gezd gnbv-gy3t")), text(code_of("GEZDGNBVGY3T")));
        for bad in ["", "====", "GEZ1", "GEZ!"] {
            let error = code_of(bad).unwrap_err();
            assert!(
                error.to_string().contains("base32")
                    && (bad.len() < 4 || !error.to_string().contains(bad))
            );
        }
        assert_eq!(until(&totp, 2, Duration::from_secs(59)), Duration::from_secs(1));
    }
}
