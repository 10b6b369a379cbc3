//! Character encodings of inputs: UTF-8, and those that other programs write or expect.

use crate::cli::{Encoding, Format};
use bootseal_core::{Error, Kind, other_encoding};
use zeroize::Zeroizing;

/// The characters of the bytes 0x80 to 0x9F in windows-1252; five are not assigned.
const WINDOWS_1252: [Option<char>; 32] = [
    Some('\u{20ac}'),
    None,
    Some('\u{201a}'),
    Some('\u{192}'),
    Some('\u{201e}'),
    Some('\u{2026}'),
    Some('\u{2020}'),
    Some('\u{2021}'),
    Some('\u{2c6}'),
    Some('\u{2030}'),
    Some('\u{160}'),
    Some('\u{2039}'),
    Some('\u{152}'),
    None,
    Some('\u{17d}'),
    None,
    None,
    Some('\u{2018}'),
    Some('\u{2019}'),
    Some('\u{201c}'),
    Some('\u{201d}'),
    Some('\u{2022}'),
    Some('\u{2013}'),
    Some('\u{2014}'),
    Some('\u{2dc}'),
    Some('\u{2122}'),
    Some('\u{161}'),
    Some('\u{203a}'),
    Some('\u{153}'),
    None,
    Some('\u{17e}'),
    Some('\u{178}'),
];

/// Decodes a text, and returns the encoding if it is not the usual one. Without a given encoding,
/// this is UTF-8, or UTF-16 with a byte order mark; a `.properties` file that is not UTF-8 is
/// ISO 8859-1, as Java reads it.
pub(crate) fn decoded(
    bytes: Zeroizing<Vec<u8>>,
    given: Option<Encoding>,
    format: Option<Format>,
) -> Result<(Zeroizing<String>, Option<Encoding>), Error> {
    let encoding = match given {
        Some(encoding) => encoding,
        None => match other_encoding(&bytes) {
            Some("UTF-16") => Encoding::Utf16,
            Some(other) => return Err(by_name(other)),
            None if format == Some(Format::Properties) && std::str::from_utf8(&bytes).is_err() => {
                Encoding::Latin1
            }
            None => return utf8(bytes).map(|text| (text, None)),
        },
    };
    let text = match encoding {
        Encoding::Utf8 => utf8(bytes),
        Encoding::Latin1 => Ok(single_bytes(&bytes, |byte| Some(char::from(byte))).0),
        Encoding::Windows1252 => match single_bytes(&bytes, windows_1252) {
            (text, None) => Ok(text),
            (_, Some(at)) => Err(not_in(&bytes, at, "windows-1252")),
        },
        Encoding::Utf16 => match bytes.get(..2) {
            Some([0xFF, 0xFE]) => utf16(&bytes[2..], u16::from_le_bytes),
            Some([0xFE, 0xFF]) => utf16(&bytes[2..], u16::from_be_bytes),
            _ => Err(Error::new(Kind::Malformed, "has no byte order mark of UTF-16")
                .with_help("Name the order of the bytes: --encoding utf-16le, or utf-16be")),
        },
        Encoding::Utf16Le => utf16(without(&bytes, [0xFF, 0xFE]), u16::from_le_bytes),
        Encoding::Utf16Be => utf16(without(&bytes, [0xFE, 0xFF]), u16::from_be_bytes),
    };
    text.map(|text| (text, Some(encoding)))
}

fn by_name(other: &str) -> Error {
    let help = match other {
        "UTF-32" => "Convert it, for example: iconv -f UTF-32 -t UTF-8",
        _ => "Name it: --encoding utf-16le, or utf-16be",
    };
    Error::new(Kind::Malformed, format!("is in {other}")).with_help(help)
}

/// Decodes UTF-8 in place, so that no copy is made.
fn utf8(mut bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<String>, Error> {
    let good = match std::str::from_utf8(&bytes) {
        Ok(_) => None,
        Err(error) => Some(error.valid_up_to()),
    };
    if let Some(at) = good {
        return Err(not_in(&bytes, at, "UTF-8").with_help(
            "Name its encoding, for example: --encoding iso-8859-1, windows-1252 or utf-16le. Others can be converted with iconv.",
        ));
    }
    let text = String::from_utf8(std::mem::take(&mut *bytes)).unwrap_or_default();
    Ok(Zeroizing::new(text))
}

fn not_in(bytes: &[u8], at: usize, encoding: &str) -> Error {
    let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
    Error::new(Kind::Malformed, format!("line {line} is not {encoding}"))
}

/// Decodes one character for each byte; the position of the first byte without a character.
fn single_bytes(
    bytes: &[u8],
    character: impl Fn(u8) -> Option<char>,
) -> (Zeroizing<String>, Option<usize>) {
    // No character takes more than three bytes, and growth would leave copies in memory.
    let length = bytes.iter().map(|byte| character(*byte).map_or(0, char::len_utf8)).sum();
    let mut text = Zeroizing::new(String::with_capacity(length));
    for (at, byte) in bytes.iter().enumerate() {
        match character(*byte) {
            Some(next) => text.push(next),
            None => return (text, Some(at)),
        }
    }
    (text, None)
}

fn windows_1252(byte: u8) -> Option<char> {
    match byte {
        0x80..=0x9F => WINDOWS_1252[usize::from(byte - 0x80)],
        other => Some(char::from(other)),
    }
}

fn without(bytes: &[u8], mark: [u8; 2]) -> &[u8] {
    bytes.strip_prefix(&mark).unwrap_or(bytes)
}

fn utf16(bytes: &[u8], unit: impl Fn([u8; 2]) -> u16) -> Result<Zeroizing<String>, Error> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units = || char::decode_utf16(pairs.iter().map(|pair| unit(*pair)));
    let broken = || Error::new(Kind::Malformed, "is not complete UTF-16");
    let length = units().map(|next| next.map_or(0, char::len_utf8)).sum();
    let mut text = Zeroizing::new(String::with_capacity(length));
    for next in units() {
        text.push(next.map_err(|_| broken())?);
    }
    if rest.is_empty() { Ok(text) } else { Err(broken()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8], given: Option<Encoding>) -> Result<String, String> {
        decoded(Zeroizing::new(bytes.to_vec()), given, None)
            .map(|(text, _)| text.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn windows_1252_has_its_own_characters() {
        let read = |byte| read(&[byte], Some(Encoding::Windows1252));
        assert_eq!(read(0x80).unwrap(), "\u{20ac}");
        assert_eq!(read(0x96).unwrap(), "\u{2013}");
        assert_eq!(read(0x9f).unwrap(), "\u{178}");
        assert_eq!(read(0xfc).unwrap(), "\u{fc}");
        assert!(read(0x81).unwrap_err().contains("line 1 is not windows-1252"));
    }

    #[test]
    fn an_encoding_that_is_certain_is_read_or_named() {
        assert_eq!(read(b"\xff\xfea\0\xfc\0", None).unwrap(), "a\u{fc}");
        assert_eq!(read(b"\xfe\xff\0a\0\xfc", None).unwrap(), "a\u{fc}");
        assert!(read(b"a\0b\0", None).unwrap_err().contains("UTF-16 without a byte order mark"));
        assert!(read(b"\xff\xfe\0\0", None).unwrap_err().contains("UTF-32"));
        assert!(read(b"\xff\xfea", None).unwrap_err().contains("not complete UTF-16"));
        assert!(read(b"\xff\xfe\x00\xd8", None).unwrap_err().contains("not complete UTF-16"));
        assert!(read(b"a\n\xfc", None).unwrap_err().contains("line 2 is not UTF-8"));
        assert_eq!(read("\u{fc}".as_bytes(), None).unwrap(), "\u{fc}");
    }

    proptest! {
        #[test]
        fn utf_16_round_trips(text in any::<String>()) {
            let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            prop_assert_eq!(read(&bytes, Some(Encoding::Utf16Le)).unwrap(), text.strip_prefix('\u{feff}').unwrap_or(&text));
            let bytes: Vec<u8> = std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
            prop_assert_eq!(read(&bytes, Some(Encoding::Utf16)).unwrap(), text);
        }
    }
}
