//! The text of a proposal: a flat TOML document, written and read on guarded pages, so that its
//! value never touches the heap.

use crate::error::{Error, Kind, Result};
use crate::proposal::Proposal;
use crate::text::path::{BasicString, decode_key};
use crate::vault::value::{ValueKind, check_payload};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bootseal_memory::{Secret, SecretBuf};
use std::fmt::Write;
use toml_parser::decoder::{Encoding, ScalarKind, StringBuilder};
use toml_parser::parser::{EventReceiver, parse_document};
use toml_parser::{ErrorSink, ParseError, Source, Span};

/// The maximum size of the text: one chunk of an age file, which age authenticates as a whole
/// before any part of it is read.
pub(crate) const MAX_TEXT: usize = 64 * 1024;
const MAX_NOTE: usize = 1024;

const KINDS: [(&str, ValueKind); 3] =
    [("text", ValueKind::Text), ("bytes", ValueKind::Bytes), ("toml", ValueKind::Toml)];

/// The text of `proposal`.
pub(crate) fn write(proposal: &Proposal) -> Result<SecretBuf> {
    let too_long = |what: &str| Error::new(Kind::Conflict, what).at(&proposal.path);
    if proposal.note.len() > MAX_NOTE {
        return Err(too_long("the note is longer than 1 KiB"));
    }
    if proposal.value.len() > MAX_TEXT {
        return Err(too_long("the value is too long: a proposal has at most 64 KiB"));
    }
    proposal
        .value
        .expose(|value| check_payload(proposal.kind, value))
        .map_err(|error| error.at(&proposal.path))?;
    let at = i64::try_from(proposal.proposed_at)
        .ok()
        .and_then(|at| jiff::Timestamp::from_second(at).ok());
    let at =
        at.ok_or_else(|| Error::new(Kind::Io, "the system clock does not show a valid date"))?;
    let kind =
        KINDS.iter().find(|(_, kind)| *kind == proposal.kind).map_or("text", |(name, _)| name);

    let mut page = Page::with_capacity(MAX_TEXT)?;
    let written = (|| -> std::fmt::Result {
        writeln!(page, "vault = \"{}\"", proposal.vault)?;
        writeln!(page, "path = {}", BasicString(&proposal.path.to_string()))?;
        writeln!(page, "kind = \"{kind}\"")?;
        writeln!(page, "proposed_at = {at}")?;
        if !proposal.note.is_empty() {
            writeln!(page, "note = {}", BasicString(&proposal.note))?;
        }
        page.write_str("value = ")?;
        match proposal.kind {
            ValueKind::Bytes => {
                let mut encoded = SecretBuf::zeroed(proposal.value.len().div_ceil(3) * 4)
                    .map_err(|_| std::fmt::Error)?;
                let length = proposal.value.expose(|value| {
                    encoded
                        .expose_mut(|encoded| BASE64_URL_SAFE_NO_PAD.encode_slice(value, encoded))
                });
                encoded.truncate(length.map_err(|_| std::fmt::Error)?);
                encoded.expose(|text| page.quoted(text))?;
            }
            _ => proposal.value.expose(|value| page.quoted(value))?,
        }
        page.write_str("\n")
    })();
    written.map_err(|_| Error::new(Kind::Io, "no guarded memory for the proposal"))?;
    match page.0.len() > MAX_TEXT {
        true => Err(too_long("the value is too long: a proposal has at most 64 KiB")),
        false => Ok(page.0),
    }
}

/// Reads the output of [`write`]. Errors reveal nothing about the text.
pub(crate) fn read(text: &[u8]) -> Result<Proposal> {
    let text =
        std::str::from_utf8(text).map_err(|_| Error::malformed("the proposal is not UTF-8"))?;
    let mut fields = Fields::of(text)?;
    let vault = fields.text("vault")?.parse().map_err(|_| wrong("vault", "is not a vault's id"))?;
    let path =
        fields.text("path")?.parse().map_err(|_| wrong("path", "is not a property's path"))?;
    let name = fields.text("kind")?;
    let kind = KINDS.into_iter().find(|(known, _)| *known == name);
    let kind =
        kind.map(|(_, kind)| kind).ok_or_else(|| wrong("kind", "must be text, bytes or toml"))?;
    let proposed_at = fields.time("proposed_at")?;
    let note = if fields.has("note") { fields.text("note")? } else { String::new() };
    if note.len() > MAX_NOTE {
        return Err(wrong("note", "is longer than 1 KiB"));
    }
    let mut value = fields.decoded("value")?;
    fields.finish()?;
    if kind == ValueKind::Bytes {
        let mut bytes = SecretBuf::zeroed(value.len() / 4 * 3 + 3)?;
        let length = value.expose(|text| {
            bytes.expose_mut(|bytes| BASE64_URL_SAFE_NO_PAD.decode_slice(text, bytes))
        });
        bytes.truncate(length.map_err(|_| wrong("value", "is not base64url"))?);
        value = bytes;
    }
    value
        .expose(|value| check_payload(kind, value))
        .map_err(|error| wrong("value", error.what()))?;
    let value: Secret = value.freeze();
    Ok(Proposal { vault, path, kind, value, proposed_at, note })
}

fn wrong(key: &str, what: &str) -> Error {
    Error::malformed(format!("the proposal's `{key}` {what}"))
}

/// A guarded page that can be printed to.
struct Page(SecretBuf);

impl Page {
    fn with_capacity(capacity: usize) -> Result<Page> {
        Ok(Page(SecretBuf::with_capacity(capacity)?))
    }

    fn quoted(&mut self, text: &[u8]) -> std::fmt::Result {
        let text = std::str::from_utf8(text).map_err(|_| std::fmt::Error)?;
        write!(self, "{}", BasicString(text))
    }
}

impl Write for Page {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        // Escapes can make a string six times as long, so writing stops at the limit.
        if self.0.len() > MAX_TEXT {
            return Ok(());
        }
        self.0.push(text.as_bytes()).map_err(|_| std::fmt::Error)
    }
}

impl<'s> StringBuilder<'s> for Page {
    fn clear(&mut self) {
        self.0.truncate(0);
    }
    fn push_str(&mut self, append: &'s str) -> bool {
        self.0.push(append.as_bytes()).is_ok()
    }
    fn push_char(&mut self, append: char) -> bool {
        self.0.push(append.encode_utf8(&mut [0; 4]).as_bytes()).is_ok()
    }
}

/// The `key = scalar` lines, with the span of each scalar, which is not decoded, because `toml`
/// would decode the value onto the heap.
struct Fields<'a> {
    source: Source<'a>,
    key: Option<String>,
    found: Vec<(String, Span, Option<Encoding>)>,
    /// Whether the text contains anything but flat, unique keys, such as a table, an array, a
    /// dotted key or a repeated key.
    not_flat: bool,
}

impl<'a> Fields<'a> {
    fn of(text: &'a str) -> Result<Fields<'a>> {
        let source = Source::new(text);
        let mut fields = Fields { source, key: None, found: Vec::new(), not_flat: false };
        let mut errors: Option<ParseError> = None;
        parse_document(&source.lex().into_vec(), &mut fields, &mut errors);
        match errors {
            Some(_) => Err(Error::malformed("the proposal is not TOML")),
            None if fields.not_flat => {
                Err(Error::malformed("the proposal contains more than plain, unique keys"))
            }
            None => Ok(fields),
        }
    }

    fn has(&self, key: &str) -> bool {
        self.found.iter().any(|(found, ..)| found == key)
    }

    fn take(&mut self, key: &str) -> Result<(Span, Option<Encoding>)> {
        let at = self
            .found
            .iter()
            .position(|(found, ..)| found == key)
            .ok_or_else(|| wrong(key, "is missing"))?;
        let (_, span, encoding) = self.found.swap_remove(at);
        Ok((span, encoding))
    }

    /// A string, decoded onto a guarded page.
    fn decoded(&mut self, key: &str) -> Result<SecretBuf> {
        let (span, encoding) = self.take(key)?;
        let not_text = || wrong(key, "is not a string");
        if encoding.is_none() {
            return Err(not_text());
        }
        let mut page = Page::with_capacity(span.len())?;
        let mut errors: Option<ParseError> = None;
        let raw = &self.source.input()[span.start()..span.end()];
        let _: ScalarKind = toml_parser::Raw::new_unchecked(raw, encoding, span)
            .decode_scalar(&mut page, &mut errors);
        if errors.is_some() { Err(not_text()) } else { Ok(page.0) }
    }

    fn text(&mut self, key: &str) -> Result<String> {
        let page = self.decoded(key)?;
        page.expose(|bytes| String::from_utf8(bytes.to_vec()))
            .map_err(|_| wrong(key, "is not text"))
    }

    /// A date and time with an offset, in seconds since 1970-01-01 UTC.
    fn time(&mut self, key: &str) -> Result<u64> {
        let (span, encoding) = self.take(key)?;
        let raw = &self.source.input()[span.start()..span.end()];
        let written = raw.parse::<toml::value::Datetime>().ok().filter(|_| encoding.is_none());
        let time = written.and_then(|time| time.to_string().parse::<jiff::Timestamp>().ok());
        let seconds = time.and_then(|time| u64::try_from(time.as_second()).ok());
        seconds.ok_or_else(|| wrong(key, "is not a date and time with an offset"))
    }

    fn finish(self) -> Result<()> {
        match self.found.is_empty() {
            true => Ok(()),
            false => {
                Err(Error::malformed("the proposal has a key that this version does not know"))
            }
        }
    }
}

impl EventReceiver for Fields<'_> {
    fn std_table_open(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.not_flat = true;
    }
    fn array_table_open(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.not_flat = true;
    }
    fn simple_key(&mut self, span: Span, encoding: Option<Encoding>, error: &mut dyn ErrorSink) {
        let key = decode_key(self.source, span, encoding, error);
        self.not_flat |= self.has(&key) || self.key.replace(key).is_some();
    }
    fn scalar(&mut self, span: Span, encoding: Option<Encoding>, _: &mut dyn ErrorSink) {
        match self.key.take() {
            Some(key) => self.found.push((key, span, encoding)),
            None => self.not_flat = true,
        }
    }
    fn array_open(&mut self, _: Span, _: &mut dyn ErrorSink) -> bool {
        self.not_flat = true;
        false
    }
    fn inline_table_open(&mut self, _: Span, _: &mut dyn ErrorSink) -> bool {
        self.not_flat = true;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn proposal(kind: ValueKind, value: &[u8], note: &str) -> Proposal {
        let vault = crate::keys::signing::id_of(&crate::keys::signing::SigningSeed(
            Secret::copy_of(&[1; 32]).unwrap(),
        ));
        let value = Secret::copy_of(value).unwrap();
        let path = "acme.\"user.name\"".parse().unwrap();
        Proposal { vault, path, kind, value, proposed_at: 1_700_000_000, note: note.into() }
    }

    fn same(proposal: &Proposal) -> bool {
        let read = write(proposal).unwrap().expose(read).unwrap();
        let value = read.value.same_as(&proposal.value);
        value
            && (read.vault, &read.path, read.kind, read.proposed_at, &read.note)
                == (
                    proposal.vault,
                    &proposal.path,
                    proposal.kind,
                    proposal.proposed_at,
                    &proposal.note,
                )
    }

    proptest! {
        #[test]
        fn a_written_proposal_is_read_back(bytes in prop::collection::vec(any::<u8>(), 0..500), text in any::<String>(), note in ".{0,100}") {
            prop_assert!(same(&proposal(ValueKind::Bytes, &bytes, &note)));
            prop_assert!(same(&proposal(ValueKind::Text, text.as_bytes(), &note)));
        }

        #[test]
        fn no_text_causes_a_panic_or_appears_in_an_error(text in "((vault|path|kind|value|note|proposed_at)( = |\\.)?(\"canary\"|\\[|\\{|1|''')?\n?){0,9}") {
            if let Err(error) = read(text.as_bytes()) {
                prop_assert!(!error.to_string().contains("canary"));
            }
        }
    }

    #[test]
    fn an_invalid_proposal_is_refused() {
        let good = write(&proposal(ValueKind::Text, b"canary", "n"))
            .unwrap()
            .expose(|text| String::from_utf8(text.to_vec()))
            .unwrap();
        assert!(read(good.as_bytes()).is_ok() && good.contains("\"canary\""), "{good}");
        for (from, to) in [
            ("\"text\"", "\"none\""),
            ("\"text\"", "\"toml\""),
            ("\"text\"", "1"),
            ("value = ", "value.x = "),
            ("value = \"canary\"", "value = [\"canary\"]"),
            ("value = \"canary\"", "value = { x = \"canary\" }"),
            ("value = ", "[value]\nx = "),
            ("value = \"canary\"", ""),
            ("value = \"canary\"", "value = \"can\\qary\""),
            ("value = \"canary\"", "value = \"canary\"\nvalue = \"canary\""),
            ("value = \"canary\"", "value = \"canary\"\nmore = \"canary\""),
            ("value = \"canary\"", "value = canary"),
            ("2023-11-14T22:13:20Z", "2023-11-14T22:13:20"),
            ("2023-11-14T22:13:20Z", "\"2023-11-14T22:13:20Z\""),
            ("2023-11-14T22:13:20Z", "1960-11-14T22:13:20Z"),
            ("note = \"n\"", &format!("note = \"{}\"", "n".repeat(1025))),
            ("vault1", "vault2"),
        ] {
            let bad = good.replace(from, to);
            assert_ne!(bad, good, "{from}");
            let error = read(bad.as_bytes()).err().unwrap_or_else(|| panic!("{from} {to}"));
            assert_eq!(error.kind(), Kind::Malformed);
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }

    #[test]
    fn oversized_proposals_are_refused() {
        for (kind, length) in [
            (ValueKind::Text, MAX_TEXT + 1),
            (ValueKind::Text, MAX_TEXT),
            (ValueKind::Bytes, MAX_TEXT / 4 * 3),
        ] {
            let error = write(&proposal(kind, &vec![b'x'; length], "")).err().unwrap();
            assert_eq!(error.kind(), Kind::Conflict);
        }
        assert!(write(&proposal(ValueKind::Text, &vec![b'\x01'; 60_000], "")).is_err());
        assert!(write(&proposal(ValueKind::Text, &vec![b'x'; 60_000], "")).is_ok());
    }
}
