//! Passphrases as identities: Argon2id derives the key of an age identity from a passphrase.

use crate::access::identity::Identity;
use crate::access::key_file::check_mode;
use crate::disk::source::{UTF8_MARK, open_source, other_encoding};
use crate::error::{Error, Kind, Result};
use crate::keys::random::random;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bootseal_memory::{Arena, Room, Secret, SecretBuf};
use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};
use std::fmt;
use std::path::Path;

const PASSES: u32 = 3;
const LANES: u32 = 4;
const SALT_BYTES: usize = 16;
/// The length limit. Nobody types a longer passphrase, so a longer text is something else.
const MAX_PASSPHRASE: usize = 4096;

/// The cost of one passphrase guess. The format fixes both levels, so no file can demand a higher
/// cost.
///
/// ```
/// use bootseal_core::Cost;
/// assert!(Cost::Small < Cost::Full); // 64 MiB and 0.1 s, against 256 MiB and 0.5 s
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cost {
    /// `argon2id-1s`: 64 MiB, three passes and four lanes, for services with little memory.
    Small,
    /// `argon2id-1`: 256 MiB, three passes and four lanes, for people.
    Full,
}

impl Cost {
    /// The memory that a derivation uses, in MiB.
    pub(crate) fn mebibytes(self) -> u32 {
        match self {
            Cost::Small => 64,
            Cost::Full => 256,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Cost::Small => "argon2id-1s",
            Cost::Full => "argon2id-1",
        }
    }
}

/// The parameters that derive an identity from a passphrase: the cost and the salt. They are
/// written as `argon2id-1:SALT`.
///
/// ```
/// use bootseal_core::{Access, Cost, Role, Secret};
/// let passphrase = Secret::copy_of(b"correct horse battery staple")?;
/// let glass = Access::by_passphrase("break-glass", Role::Writer, Cost::Small, &passphrase)?;
/// let derivation = glass.passphrase.unwrap();
/// assert_eq!(derivation.cost(), Cost::Small);
/// assert!(derivation.to_string().starts_with("argon2id-1s:"));
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derivation {
    cost: Cost,
    salt: [u8; SALT_BYTES],
}

impl Derivation {
    /// Creates a derivation with a fresh salt.
    pub(crate) fn fresh(cost: Cost) -> Result<Derivation> {
        let mut salt = [0; SALT_BYTES];
        random(&mut salt)?;
        Ok(Derivation { cost, salt })
    }

    pub(crate) fn parse(text: &str) -> Option<Derivation> {
        let (profile, salt) = text.split_once(':')?;
        let cost = [Cost::Small, Cost::Full].into_iter().find(|cost| cost.as_str() == profile)?;
        let salt = BASE64_URL_SAFE_NO_PAD.decode(salt).ok()?.try_into().ok()?;
        Some(Derivation { cost, salt })
    }

    /// The cost of a guess.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    pub(crate) fn identity(&self, passphrase: &Text) -> Result<Identity> {
        let identity = self.key(passphrase, bootseal_memory::room()).map(Identity::from_key);
        clear_stack();
        identity
    }

    /// Derives the 32 bytes of the X25519 secret key directly onto a guarded page.
    #[inline(never)]
    fn key(&self, passphrase: &Text, room: Option<Room>) -> Result<Secret> {
        let mebibytes = self.cost.mebibytes();
        if let Some(room) = room.filter(|room| room.free < u64::from(mebibytes) << 20) {
            let (free, limit) = (room.free >> 20, room.limit >> 20);
            return Err(self.no_room(&format!("this container has {free} of {limit} MiB left")));
        }
        let failed = |error: argon2::Error| {
            Error::new(Kind::Io, format!("no key can be derived from the passphrase: {error}"))
        };
        let params = Params::new(mebibytes * 1024, PASSES, LANES, Some(32)).map_err(failed)?;
        let mut blocks = Arena::filled(params.block_count(), Block::new())
            .map_err(|error| self.no_room(&format!("the system cannot allocate it: {error}")))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut key = SecretBuf::zeroed(32)?;
        let derive = |bytes: &[u8]| {
            key.expose_mut(|key| {
                argon2.hash_password_into_with_memory(bytes, &self.salt, key, blocks.as_mut())
            })
        };
        passphrase.0.expose(derive).map_err(failed)?;
        Ok(key.freeze())
    }

    fn no_room(&self, why: &str) -> Error {
        let what = format!(
            "deriving a key with {} needs {} MiB of memory; {why}",
            self.cost.as_str(),
            self.cost.mebibytes()
        );
        let smaller = match self.cost {
            Cost::Full => {
                ", or a passphrase that needs only 64 MiB: bootseal access add NAME --passphrase --small"
            }
            Cost::Small => "",
        };
        Error::new(Kind::Io, what).with_help(format!(
            "Give the service a key: bootseal access add NAME --new-key FILE{smaller}"
        ))
    }
}

impl fmt::Display for Derivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.cost.as_str(), BASE64_URL_SAFE_NO_PAD.encode(self.salt))
    }
}

/// Reads a passphrase from a file onto a guarded page; a final newline, LF or CR LF, and a byte
/// order mark are not part of it.
///
/// # Errors
/// The errors of [`IdentityFile::read`](crate::IdentityFile::read); [`Kind::Usage`] if the file is
/// larger than 4 KiB, or in UTF-16.
pub fn read_passphrase(path: &Path) -> Result<Secret> {
    let read = || {
        let mut file = open_source(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::new(Kind::NotFound, "no such file"),
            _ => Error::new(Kind::Io, format!("cannot be read: {error}")),
        })?;
        check_mode(&file, path)?;
        read_passphrase_from(&mut file)
    };
    read().map_err(|error: Error| error.in_file(path))
}

/// Removes the line end CR LF and a byte order mark, which editors on Windows add. A passphrase
/// never contains CR: it is refused in [`Access::by_passphrase`](crate::Access::by_passphrase), as
/// every control character is.
fn as_saved_by_an_editor(page: SecretBuf) -> Result<Secret> {
    let (encoding, marked, ends) = page.expose(|bytes| {
        let ends = bytes.ends_with(b"\r\n");
        (other_encoding(bytes), bytes.starts_with(UTF8_MARK), ends)
    });
    if let Some(encoding) = encoding {
        return Err(Error::new(Kind::Usage, format!("the passphrase is in {encoding}"))
            .with_help("Save it as UTF-8."));
    }
    if !marked && !ends {
        return Ok(page.freeze());
    }
    page.expose(|bytes| {
        let bytes = bytes.strip_prefix(UTF8_MARK).unwrap_or(bytes);
        Ok(Secret::copy_of(bytes.strip_suffix(b"\r\n").unwrap_or(bytes))?)
    })
}

/// Like [`read_passphrase`], but reads a pipe or a descriptor to its end.
///
/// # Errors
/// The errors of [`read_passphrase`], except those about file modes.
pub fn read_passphrase_from(source: &mut impl std::io::Read) -> Result<Secret> {
    let mut page = SecretBuf::with_capacity(256)?;
    match page.read_to_end(source, MAX_PASSPHRASE) {
        Ok(true) => as_saved_by_an_editor(page),
        Ok(false) => Err(Error::new(Kind::Usage, "longer than 4 KiB: this is not a passphrase")),
        Err(error) => Err(Error::new(Kind::Io, format!("the passphrase cannot be read: {error}"))),
    }
}

/// A normalised passphrase: UTF-8 in NFC, so that both encodings of `ü` are equal, without its
/// final newline.
pub(crate) struct Text(pub(crate) Secret);

impl Text {
    pub(crate) fn of(passphrase: &Secret) -> Result<Text> {
        let mut page = Page { bytes: SecretBuf::with_capacity(passphrase.len())?, failed: None };
        let normalised = passphrase.expose_str(|text| {
            let text = text.strip_suffix('\n').unwrap_or(text);
            ComposingNormalizerBorrowed::new_nfc().normalize_to(text, &mut page)
        });
        match (normalised, page.failed) {
            (_, Some(error)) => Err(error.into()),
            (Ok(Ok(())), None) => Ok(Text(page.bytes.freeze())),
            _ => Err(Error::new(Kind::Usage, "the passphrase is not UTF-8")),
        }
    }
}

/// The number of characters that someone who guesses a passphrase has to find. They are counted in
/// the normalised form, from which the key is derived, without the final newline. Characters of
/// zero width, such as combining marks and zero-width spaces, do not count.
///
/// # Errors
/// [`Kind::Usage`] if the passphrase is not UTF-8; [`Kind::Io`] if there is not enough memory.
///
/// ```
/// use bootseal_core::{Secret, passphrase_length};
/// let length = |text: &str| passphrase_length(&Secret::copy_of(text.as_bytes())?);
/// assert_eq!(length("gru\u{308}n\n")?, 4);
/// assert_eq!(length("a\u{200b}b\u{301}\u{302}")?, 2);
/// # Ok::<(), bootseal_core::Error>(())
/// ```
pub fn passphrase_length(passphrase: &Secret) -> Result<usize> {
    let counted = |text: &str| text.chars().filter(|character| has_width(*character)).count();
    Text::of(passphrase)?
        .0
        .expose_str(counted)
        .map_err(|_| Error::new(Kind::Usage, "the passphrase is not UTF-8"))
}

/// Whether a character takes space of its own.
fn has_width(character: char) -> bool {
    use GeneralCategory::{Control, EnclosingMark, Format, NonspacingMark};
    let category = CodePointMapData::<GeneralCategory>::new().get(character);
    !matches!(category, Control | EnclosingMark | Format | NonspacingMark)
        && !CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
}

struct Page {
    bytes: SecretBuf,
    failed: Option<bootseal_memory::MemoryError>,
}

impl fmt::Write for Page {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes.push(text.as_bytes()).map_err(|error| {
            self.failed = Some(error);
            fmt::Error
        })
    }
}

/// Overwrites the stack space that earlier calls used.
#[inline(never)]
fn clear_stack() {
    std::hint::black_box(&mut [0_u8; 64 * 1024]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn text(passphrase: &str) -> Text {
        Text::of(&Secret::copy_of(passphrase.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn known_answers_of_both_costs() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/primitives.json");
        let all: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let rows = all["passphrase"].as_array().unwrap();
        assert_eq!(rows.len(), 2);
        for row in rows {
            let how = Derivation::parse(row["entry"].as_str().unwrap()).unwrap();
            assert_eq!(Some(how.to_string().as_str()), row["entry"].as_str());
            let text = text(row["passphrase"].as_str().unwrap());
            assert!(
                text.0.expose(
                    |bytes| Some(bytes) == row["passphrase_nfc"].as_str().map(str::as_bytes)
                )
            );
            assert_eq!(
                Some(how.key(&text, None).unwrap().expose(hex).as_str()),
                row["secret"].as_str()
            );
            let identity = how.identity(&text).unwrap();
            assert_eq!(Some(identity.to_string().as_str()), row["recipient"].as_str());
        }
    }

    #[test]
    fn the_reference_implementation_agrees() {
        for (cost, kibibytes) in [(Cost::Small, "65536"), (Cost::Full, "262144")] {
            let how = Derivation { cost, salt: *b"sixteen bytes of" };
            let mut child = Command::new("argon2")
                .args([
                    "sixteen bytes of",
                    "-id",
                    "-v",
                    "13",
                    "-t",
                    "3",
                    "-p",
                    "4",
                    "-l",
                    "32",
                    "-r",
                    "-k",
                    kibibytes,
                ])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("argon2 runs; scripts/test installs what the tests need");
            child.stdin.take().unwrap().write_all("größer als 1".as_bytes()).unwrap();
            let output = child.wait_with_output().unwrap();
            let key = how.key(&text("gro\u{308}ßer als 1\n"), None).unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), key.expose(hex));
        }
    }

    /// The addresses in this process's memory at which `secret` is found, read through the kernel.
    #[cfg(target_os = "linux")]
    fn places(secret: &Secret) -> Vec<u64> {
        use std::os::unix::fs::FileExt;
        let memory = std::fs::File::open("/proc/self/mem").unwrap();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let spans = maps.lines().filter(|line| line.contains(" rw")).map(|line| {
            let (from, to) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
            (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap())
        });
        let mut found = Vec::new();
        // A larger span is the Argon2 memory of another test. The search reads small pieces,
        // because other tests allocate and free memory meanwhile.
        const PIECE: u64 = 1 << 20;
        for (from, to) in spans.filter(|(from, to)| to - from < 64 << 20) {
            for start in (from..to).step_by(PIECE as usize) {
                let end = to.min(start + PIECE + secret.len() as u64);
                let mut bytes = vec![0; (end - start) as usize];
                // Secret pages cannot be read this way.
                if memory.read_exact_at(&mut bytes, start).is_ok() {
                    secret.expose(|secret| {
                        let starts = bytes
                            .iter()
                            .enumerate()
                            .filter(|(_, byte)| **byte == secret[0])
                            .map(|(at, _)| at);
                        found.extend(
                            starts
                                .filter(|at| bytes[*at..].starts_with(secret))
                                .map(|at| start + at as u64),
                        );
                    });
                }
            }
        }
        found
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn no_passphrase_or_key_is_left_in_readable_memory() {
        if bootseal_memory::report().unwrap().level != bootseal_memory::Level::MemfdSecret {
            return; // locked pages show up in the search
        }
        let mut typed = SecretBuf::zeroed(40).unwrap();
        typed.expose_mut(random).unwrap();
        typed.expose_mut(|bytes| bytes.iter_mut().for_each(|byte| *byte = b'a' + *byte % 26));
        let typed = typed.freeze();
        let how = Derivation::fresh(Cost::Small).unwrap();
        let text = Text::of(&typed).unwrap();
        let identity = how.identity(&text).unwrap();
        let key = how.key(&text, None).unwrap();
        clear_stack();
        assert_eq!(Identity::from_key(key.clone()).recipient(), identity.recipient());
        clear_stack();
        assert!(places(&typed).is_empty() && places(&key).is_empty());
        // The search finds a planted copy.
        let planted = typed.expose(<[u8]>::to_vec);
        let found = || places(&typed).contains(&(planted.as_ptr() as u64));
        // Several attempts: other tests may free memory next to the copy while it is read.
        assert!((0..20).any(|_| found()));
    }

    #[test]
    fn only_one_final_newline_is_removed() {
        for (given, normalised) in [
            ("a", "a"),
            ("a\n", "a"),
            ("a\n\n", "a\n"),
            ("a\r\n", "a\r"),
            ("\na", "\na"),
            (" a ", " a "),
            ("\n", ""),
        ] {
            assert!(text(given).0.expose(|bytes| bytes == normalised.as_bytes()), "{given:?}");
        }
        let error = Text::of(&Secret::copy_of(b"gr\xfcn").unwrap()).err().unwrap();
        assert_eq!((error.kind(), error.to_string().contains("UTF-8")), (Kind::Usage, true));
    }

    #[test]
    fn too_little_container_memory_is_an_error_before_allocation() {
        let room = |mebibytes: u64| Some(Room { free: mebibytes << 20, limit: 200 << 20 });
        let full = Derivation::fresh(Cost::Full).unwrap();
        let error = full.key(&text("a"), room(128)).unwrap_err();
        assert_eq!(error.kind(), Kind::Io);
        let what = "deriving a key with argon2id-1 needs 256 MiB of memory; this container has 128 of 200 MiB left";
        assert_eq!(error.what(), what);
        assert!(
            error.help().unwrap().contains("--new-key")
                && error.help().unwrap().contains("--small")
        );
        let small = Derivation::fresh(Cost::Small).unwrap();
        assert!(!small.key(&text("a"), room(63)).unwrap_err().help().unwrap().contains("--small"));
        assert!(small.key(&text("a"), room(64)).is_ok());
    }

    #[test]
    fn salts_are_fresh_and_only_the_two_costs_parse() {
        let (one, other) =
            (Derivation::fresh(Cost::Full).unwrap(), Derivation::fresh(Cost::Full).unwrap());
        assert_ne!(one, other);
        assert_eq!(Derivation::parse(&one.to_string()), Some(one));
        for bad in [
            "argon2id-1",
            "argon2id-2:AAAAAAAAAAAAAAAAAAAAAA",
            "argon2id-1:AAAAAAAAAAAAAAAAAAAAAB",
            "argon2id-1:AAAA",
        ] {
            assert_eq!(Derivation::parse(bad), None, "{bad}");
        }
    }
}
