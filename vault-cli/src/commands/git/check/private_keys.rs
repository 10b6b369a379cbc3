//! Private keys in any text: age identities, identities of plugins, PEM, OpenSSH, PuTTY and DER.

/// The minimum number of characters of a key after its beginning: documentation that only names the
/// beginning is no finding.
const SHORTEST: usize = 32;

/// The kind of private key that a file contains, and its line.
pub(super) fn find(bytes: &[u8]) -> Option<(String, usize)> {
    if is_der(bytes) {
        return Some(("a private key (DER)".into(), 1));
    }
    let text = String::from_utf8_lossy(bytes);
    let found = age_identity(&text).or_else(|| pem(&text)).or_else(|| putty(&text));
    found.map(|(what, at)| (what, text[..at].matches('\n').count() + 1))
}

fn age_identity(text: &str) -> Option<(String, usize)> {
    let is_data = |next: char| next.is_ascii_alphanumeric();
    let length = |rest: &str| rest.find(|next| !is_data(next)).unwrap_or(rest.len());
    // Concatenated, so that this source file does not trigger the check itself.
    let secret = ["AGE-SECRET-", "KEY-"].concat();
    let identity = text.match_indices(&secret).find(|(at, start)| {
        let rest = &text[at + start.len()..];
        let rest = rest.strip_prefix("PQ-").unwrap_or(rest);
        // At the start of a line, a key that was cut is a finding too.
        let blanks = |next: char| next != '\n' && next.is_whitespace();
        let before = text[..*at].trim_end_matches(blanks);
        rest.starts_with('1')
            && (before.is_empty() || before.ends_with('\n') || length(rest) >= SHORTEST)
    });
    if let Some((at, _)) = identity {
        return Some(("an age identity".into(), at));
    }
    let plugin = ["AGE-", "PLUGIN-"].concat();
    let mut from = 0;
    while let Some(found) = text[from..].find(&plugin) {
        let (at, rest) = (from + found, &text[from + found + plugin.len()..]);
        let name = rest.find(|next: char| !(is_data(next) || "-._+".contains(next)));
        let word = &rest[..name.unwrap_or(rest.len())];
        // The data after the last 1 has a checksum of six characters.
        if word.rsplit_once("-1").is_some_and(|(name, data)| !name.is_empty() && data.len() >= 6) {
            return Some(("an identity of an age plugin".into(), at));
        }
        // Another beginning inside the same word has the same data.
        from = at + plugin.len() + word.len();
    }
    None
}

/// `-----BEGIN … PRIVATE KEY-----` with a key below it, also if its line ends are written as `\n`.
fn pem(text: &str) -> Option<(String, usize)> {
    let begin = ["-----", "BEGIN "].concat();
    for (at, start) in text.match_indices(&begin) {
        let rest = &text[at + start.len()..];
        let Some((label, body)) = rest.split_once("-----") else { continue };
        let is_key = ["PRIVATE KEY", "PRIVATE KEY BLOCK"].iter().any(|end| label.ends_with(end));
        if label.len() > 40 || label.contains('\n') || !is_key || !has_key(body) {
            continue;
        }
        let what = match label {
            "OPENSSH PRIVATE KEY" => "an SSH private key".to_owned(),
            "PRIVATE KEY" | "ENCRYPTED PRIVATE KEY" => "a private key (PKCS#8)".to_owned(),
            label if label.starts_with("PGP") => "a PGP private key".to_owned(),
            label => format!("a private key (PEM, {label})"),
        };
        return Some((what, at));
    }
    None
}

/// Whether base64 follows, below headers such as `Proc-Type`, and between escapes, quotes and
/// indentation.
fn has_key(body: &str) -> bool {
    let body = body.split("-----").next().unwrap_or_default();
    let body = body.replace("\\r", "\n").replace("\\n", "\n");
    let longest = body
        .split(|next: char| !(next.is_ascii_alphanumeric() || "+/=".contains(next)))
        .map(str::len)
        .max();
    longest.unwrap_or_default() >= SHORTEST
}

fn putty(text: &str) -> Option<(String, usize)> {
    let start = ["PuTTY-User-", "Key-File-"].concat();
    let at = text.find(&start).filter(|at| text[*at..].contains("\nPrivate-Lines:"))?;
    Some(("an SSH private key (PuTTY)".into(), at))
}

/// Whether the file is one DER value that begins as PKCS#8, PKCS#1 or SEC 1 do: a version, and then
/// an algorithm, a modulus or a key.
fn is_der(bytes: &[u8]) -> bool {
    let Some((0x30, length, content)) = element(bytes) else { return false };
    let Some((0x02, 1, version)) = element(content) else { return false };
    let Some((&version, rest)) = version.split_first() else { return false };
    let Some((tag, inner, value)) = element(rest) else { return false };
    let whole = content.len() == length && inner <= value.len();
    let starts_with_oid = value.first() == Some(&0x06);
    whole
        && match tag {
            0x30 => version <= 1 && starts_with_oid && content.contains(&0x04),
            0x02 => version == 0 && inner >= 64,
            0x04 => version == 1 && inner >= 20,
            _ => false,
        }
}

/// The tag and the length of a DER element, and the bytes from its content on.
fn element(bytes: &[u8]) -> Option<(u8, usize, &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if first < 0x80 {
        return Some((tag, first.into(), rest));
    }
    let count = usize::from(first & 0x7f);
    let digits = rest.get(..count).filter(|_| (1..=4).contains(&count))?;
    let length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
    Some((tag, length, &rest[count..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text in which `@` stands for the five dashes, so that this file is no finding.
    fn what(text: &str) -> Option<String> {
        find(text.replace('@', "-----").replace('~', "").as_bytes()).map(|(what, _)| what)
    }

    const BODY: &str = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g";

    /// If the work grew with the square of the length, this test would take hours.
    #[test]
    fn a_beginning_that_is_repeated_for_megabytes_is_searched_once() {
        for part in ["AGE-~PLUGIN-", "AGE-~SECRET-~KEY-", "PuTTY-User-~Key-~File-2\n", "@BEGIN "] {
            assert_eq!(what(&part.repeat((8 << 20) / part.len())), None, "{part}");
        }
    }

    #[test]
    fn private_keys_of_every_kind_are_found() {
        let age = "1".to_owned() + &"Q".repeat(58);
        for (text, kind) in [
            (format!("x: AGE-~SECRET-~KEY-{age}"), "an age identity"),
            (format!("AGE-~SECRET-~KEY-PQ-{age}"), "an age identity"),
            ("  AGE-~SECRET-~KEY-1QQQ\n".into(), "an age identity"),
            ("i: AGE-~PLUGIN-YUBIKEY-1QJK2QQQZPQQQ".into(), "an identity of an age plugin"),
            (format!("@BEGIN OPENSSH PRIVATE KEY@\n{BODY}\n@END"), "an SSH private key"),
            (format!("@BEGIN PRIVATE KEY@\n{BODY}\n@END"), "a private key (PKCS#8)"),
            (format!("@BEGIN ENCRYPTED PRIVATE KEY@\r\n{BODY}\r\n"), "a private key (PKCS#8)"),
            (format!("@BEGIN RSA PRIVATE KEY@\n{BODY}"), "a private key (PEM, RSA PRIVATE KEY)"),
            (
                format!("@BEGIN EC PRIVATE KEY@\nProc-Type: 4,ENCRYPTED\n\n{BODY}"),
                "a private key (PEM, EC PRIVATE KEY)",
            ),
            (format!("k: \"@BEGIN PRIVATE KEY@\\n{BODY}\\n@END\""), "a private key (PKCS#8)"),
            (format!("k: |\n    @BEGIN PRIVATE KEY@\n    {BODY}\n"), "a private key (PKCS#8)"),
            (format!("@BEGIN PGP PRIVATE KEY BLOCK@\n\n{BODY}"), "a PGP private key"),
            (
                "PuTTY-~User-~Key-~File-3: ssh-ed25519\r\nEncryption: none\r\nPrivate-Lines: 1\r\nAA".into(),
                "an SSH private key (PuTTY)",
            ),
        ] {
            assert_eq!(what(&text).as_deref(), Some(kind), "{text}");
        }
    }

    #[test]
    fn text_about_private_keys_is_no_finding() {
        for text in [
            "a file with AGE-~SECRET-~KEY-1… in it",
            "`AGE-~SECRET-~KEY-1`",
            "AGE-~PLUGIN-NAME-1",
            "the line @BEGIN PRIVATE KEY@ begins it",
            "@BEGIN PUBLIC KEY@\nMCowBQYDK2VwAyEA0000000000000000000000000000000000000000000=\n",
            "@BEGIN CERTIFICATE@\nMCowBQYDK2VwAyEA0000000000000000000000000000000000000000000=\n",
            "PuTTY-~User-~Key-~File-2: ssh-rsa",
            "",
        ] {
            assert_eq!(what(text), None, "{text}");
        }
    }

    #[test]
    fn keys_in_der_are_found() {
        use base64::Engine;
        let pkcs8 = base64::prelude::BASE64_STANDARD.decode(BODY).unwrap();
        assert!(is_der(&pkcs8));
        let rsa = [&[0x30, 0x81, 0x86, 2, 1, 0, 2, 0x81, 0x80][..], &[7; 128]].concat();
        assert!(is_der(&rsa));
        let ec = [&[0x30, 0x25, 2, 1, 1, 4, 0x20][..], &[7; 32]].concat();
        assert!(is_der(&ec));
        // A public key, a certificate, a cut key, other bytes.
        let public =
            [&[0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0][..], &[7; 32]].concat();
        for bytes in [&public[..], &pkcs8[..40], b"\x30\x82", b"0", b"\x7fELF\x02\x01\x01", b""] {
            assert!(!is_der(bytes), "{bytes:?}");
        }
    }
}
