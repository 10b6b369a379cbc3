//! Pin lines of a key file, changed where they are: no second copy of the key is ever written, and
//! a key file whose change is interrupted can still be read.

use crate::access::identity_file::IdentityFile;
use crate::access::key_file::{MAX_FILE, check_mode, page_from, text_of};
use crate::access::locked;
use crate::disk::folder::InPlace;
use crate::disk::lock::FileLock;
use crate::disk::source::UTF8_MARK;
use crate::error::{Error, Kind, Result};
use crate::keys::pin::Pin;
use bootseal_memory::SecretBuf;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

/// If the process is killed during a write, the write is cut only between two pages of the file.
const PAGE: usize = 4096;

impl Pin {
    /// Writes `pins` as comment lines into a key file. They replace earlier pins, and everything
    /// else stays the same.
    ///
    /// The file is changed where it is, under its lock: a line is overwritten, or added at the end.
    /// If the change is interrupted, the file contains its keys, and the earlier pins or the new
    /// ones.
    ///
    /// # Errors
    /// [`Kind::NotFound`] and [`Kind::Io`] if the file cannot be read or written,
    /// [`Kind::UnsafeFile`] if others can read or write it, [`Kind::Malformed`] if it is not an
    /// identity file, or cannot contain comments, such as an SSH key.
    ///
    /// ```
    /// # let ((_folder, path), [file, _]) = (bootseal_fixtures::key_file(), bootseal_fixtures::two_vaults());
    /// use bootseal_core::{IdentityFile, Pin};
    /// Pin::write_into(&path, &[file.vault_id().into()])?;
    /// assert_eq!(IdentityFile::read(&path)?.pins, [Pin::from(file.vault_id())]);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn write_into(path: &Path, pins: &[Pin]) -> Result<()> {
        let lock = FileLock::acquire(path)?;
        write_locked(&lock, path, pins).map_err(|error| error.in_file(path))
    }
}

fn write_locked(lock: &FileLock, path: &Path, pins: &[Pin]) -> Result<()> {
    let mut open = lock.open_in_place().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::new(Kind::NotFound, "no such file"),
        _ => Error::new(Kind::Io, format!("cannot be written: {error}")),
    })?;
    check_mode(&open.file, path)?;
    if !open.file.metadata().is_ok_and(|meta| meta.is_file()) {
        return Err(Error::new(Kind::Io, "is not a regular file"));
    }
    let page = page_from(&mut open.file)?;
    let writes = page.expose(|bytes| match bytes.starts_with(UTF8_MARK) {
        // The positions of the writes count every byte.
        true => Err(Error::malformed("begins with a byte order mark").with_help(
            "Save it as UTF-8 without a byte order mark, so that a pin can be written into it.",
        )),
        false => text_of(bytes).and_then(|text| plan(text, pins)),
    })?;
    let length = page.len();
    // The new text is parsed before anything is written, because a pin must never damage a key
    // file.
    let mut result = SecretBuf::with_capacity(page.len() + 128)?;
    page.expose(|bytes| result.push(bytes))?;
    for write in &writes {
        write.apply(&mut result)?;
    }
    if result.len() > MAX_FILE {
        return Err(Error::malformed("would be longer than 64 KiB with the pin"));
    }
    result.expose(|mut bytes| IdentityFile::from_reader(&mut bytes)).map(drop)?;
    carry_out(&mut open, &writes, length)
        .map_err(|error| Error::new(Kind::Io, format!("cannot be written: {error}")))
}

/// Makes the writes one after the other. If one fails, nothing stays of a line that was added.
fn carry_out(open: &mut InPlace, writes: &[InPlaceWrite], length: usize) -> std::io::Result<()> {
    for write in writes {
        let done = open
            .file
            .seek(SeekFrom::Start(write.at as u64))
            .and_then(|_| open.file.write_all(&write.bytes))
            .and_then(|()| open.file.sync_all());
        if done.is_err() && write.at >= length {
            let _ = open.file.set_len(length as u64);
        }
        done?;
    }
    Ok(())
}

/// Bytes that are written at an offset: over a comment, or at the end. They are never part of a
/// key.
#[derive(Debug, PartialEq, Eq)]
struct InPlaceWrite {
    at: usize,
    bytes: Vec<u8>,
}

impl InPlaceWrite {
    fn apply(&self, text: &mut SecretBuf) -> Result<()> {
        let over = text.len().saturating_sub(self.at).min(self.bytes.len());
        text.expose_mut(|text| text[self.at..self.at + over].copy_from_slice(&self.bytes[..over]));
        Ok(text.push(&self.bytes[over..])?)
    }
}

/// A comment line that can be overwritten, without its line break.
struct Line {
    at: usize,
    length: usize,
    /// Whether it is meant as a pin, and not an empty comment.
    is_pin: bool,
}

impl Line {
    /// Whether a kill cannot cut a write of this line.
    fn is_on_one_page(&self) -> bool {
        self.at / PAGE == (self.at + self.length).saturating_sub(1) / PAGE
    }

    /// Overwrites the line with a comment of the same length.
    fn write(&self, comment: &str) -> InPlaceWrite {
        let bytes = format!("{comment:<0$}", self.length).into_bytes();
        InPlaceWrite { at: self.at, bytes }
    }
}

/// Plans the writes that leave only `pins` in the text of a key file. After each of them, the text
/// is valid if it was before, and it has a pin if it had one: new pins are written before earlier
/// ones are erased.
fn plan(text: &str, pins: &[Pin]) -> Result<Vec<InPlaceWrite>> {
    let mut wanted: Vec<String> = pins.iter().map(|pin| format!("# vault: {pin}")).collect();
    let mut lines = comments(text)?;
    lines.retain(|line| {
        let content = text[line.at..line.at + line.length].trim_end();
        let kept = wanted.iter().position(|pin| pin == content);
        kept.map(|at| wanted.swap_remove(at)).is_none()
    });
    let mut writes = Vec::new();
    let mut added = Vec::new();
    for pin in wanted {
        let fits = |line: &Line| line.length >= pin.len() && line.is_on_one_page();
        let place = lines
            .iter()
            .position(|line| line.is_pin && fits(line))
            .or_else(|| lines.iter().position(fits));
        match place {
            Some(at) => writes.push(lines.remove(at).write(&pin)),
            None => added.push(pin),
        }
    }
    writes.extend(at_the_end(text, &added));
    writes.extend(lines.iter().filter(|line| line.is_pin).map(|line| line.write("#")));
    Ok(writes)
}

/// Finds the comment lines that are meant as pins, and those without content.
fn comments(text: &str) -> Result<Vec<Line>> {
    let (mut lines, mut at, mut armored) = (Vec::new(), 0, false);
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let content = line.trim_end_matches(['\r', '\n']);
        if content.starts_with("-----BEGIN") && content.trim_end() != locked::BEGIN {
            return Err(Error::malformed("cannot contain comments").with_help(
                "Set the pin in BOOTSEAL_PIN, or in bootseal.pin among the service's credentials.",
            ));
        }
        armored |= content.trim() == locked::BEGIN;
        let is_pin = is_pin_line(content);
        if !armored && (is_pin || content.trim() == "#") {
            lines.push(Line { at: start, length: content.len(), is_pin });
        }
        armored &= content.trim() != locked::END;
    }
    Ok(lines)
}

/// Adds lines at the end: first an empty comment, every part of which is a valid end of the file,
/// and then the pin over it. The pin is within one page of the file, so a kill cannot cut it.
fn at_the_end(text: &str, pins: &[String]) -> Vec<InPlaceWrite> {
    let mut writes = Vec::new();
    let mut end = text.len();
    let mut gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" }.to_owned();
    for pin in pins {
        let at = end + gap.len();
        let left = PAGE - at % PAGE;
        if left < pin.len() {
            gap.push_str(&format!("{:<1$}\n", if left > 1 { "#" } else { "" }, left - 1));
        }
        let line = Line { at: end + gap.len(), length: pin.len(), is_pin: true };
        let empty = format!("{gap}{}\n", format_args!("{:<1$}", "#", pin.len()));
        writes.push(InPlaceWrite { at: end, bytes: empty.into_bytes() });
        writes.push(line.write(pin));
        end = line.at + line.length + 1;
        gap.clear();
    }
    writes
}

/// Whether a line of a key file is a comment whose first word is meant to be `vault:`.
fn is_pin_line(line: &str) -> bool {
    let first = line.trim().strip_prefix('#').and_then(|comment| comment.split_whitespace().next());
    first.is_some_and(|word| word.to_ascii_lowercase().starts_with("vault:"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)] // tests
    use super::*;
    use crate::access::identity::Identity;
    use crate::keys::vault_id::VaultId;

    fn id() -> VaultId {
        let me = Identity::generate().unwrap().recipient();
        let access = crate::file::header::Access::new("me", crate::file::header::Role::Writer, me);
        crate::vault::Vault::create(vec![access.unwrap()], "").unwrap().file().vault_id()
    }

    fn key() -> String {
        let text = Identity::generate().unwrap().to_file_text(&[]).unwrap();
        text.expose_str(str::to_owned).unwrap()
    }

    fn parse(text: &[u8]) -> Result<IdentityFile> {
        IdentityFile::from_reader(&mut &*text)
    }

    /// The text after each write and, for writes that a page boundary cuts, after each part.
    fn states(text: &str, pins: &[Pin]) -> Vec<Vec<u8>> {
        let mut now = text.as_bytes().to_vec();
        let mut states = vec![now.clone()];
        for write in plan(text, pins).unwrap() {
            let end = write.at + write.bytes.len();
            let cuts = (write.at + 1..end).filter(|at| at % PAGE == 0 || write.at >= text.len());
            let cuts: Vec<usize> = if write.bytes.starts_with(b"# vault:") {
                assert_eq!(write.at / PAGE, (end - 1) / PAGE, "a pin on two pages");
                vec![end]
            } else {
                cuts.chain([end]).collect()
            };
            let before = now.clone();
            for cut in cuts {
                now.clone_from(&before);
                let part = &write.bytes[..cut - write.at];
                now.resize(now.len().max(cut), b'?');
                now[write.at..cut].copy_from_slice(part);
                states.push(now.clone());
            }
        }
        states
    }

    #[test]
    fn a_change_of_pins_that_is_cut_anywhere_leaves_a_key_file_with_a_pin() {
        let (old, other, new, key) = (Pin::from(id()), Pin::from(id()), Pin::from(id()), key());
        let floor: Pin = format!("{new}@41").parse().unwrap();
        let mut files = vec![
            (format!("# vault: {old}\n{key}"), true),
            (format!("{key}# vault: {old}\r\n# vault: {other}\r\n"), true),
            (format!("#  vault: {old}\n{key}"), true),
            (key.trim_end().to_owned(), false),
            (format!("# {}\n{key}", " ".repeat(100)), false),
        ];
        for length in [100, 80, 74, 73, 72, 40, 2, 1, 0].map(|left| PAGE - left) {
            let filler = format!("# {}\n", "x".repeat(length - key.len() - 3));
            files.push((format!("{key}{filler}"), false));
        }
        for (text, pinned) in files {
            for pins in [&[new][..], &[floor], &[new, other]] {
                let states = states(&text, pins);
                for (number, state) in states.iter().enumerate() {
                    let file = parse(state).unwrap_or_else(|error| {
                        panic!("{error}: {}", String::from_utf8_lossy(state))
                    });
                    assert_eq!(file.identities.len(), 1);
                    assert!(!pinned || !file.pins.is_empty(), "state {number} has no pin");
                }
                let last = parse(states.last().unwrap()).unwrap();
                assert!(last.pins.len() == pins.len());
                assert!(pins.iter().all(|pin| last.pins.contains(pin)));
                // A second run changes nothing.
                let text = String::from_utf8(states.last().unwrap().clone()).unwrap();
                assert_eq!(plan(&text, pins).unwrap(), []);
            }
        }
    }

    #[test]
    fn no_write_touches_anything_but_comments() {
        let (old, new, key) = (id(), Pin::from(id()), key());
        let text = format!("# about\n# vault: {old}\n#VAULT: x\n\n{key}# end");
        let states = states(&text, &[new]);
        let last = String::from_utf8(states.last().unwrap().clone()).unwrap();
        assert_eq!(last, format!("# about\n# vault: {new}\n#        \n\n{key}# end"));
    }

    #[test]
    fn the_space_of_an_erased_pin_is_used_again() {
        let (one, two, key) = (Pin::from(id()), Pin::from(id()), key());
        let mut text = format!("{key}# vault: {one}\n# vault: {two}\n");
        let length = text.len();
        for pins in [&[one][..], &[two, one], &[two], &[one, two]] {
            text = String::from_utf8(states(&text, pins).pop().unwrap()).unwrap();
            assert_eq!(text.len(), length);
        }
    }
}
