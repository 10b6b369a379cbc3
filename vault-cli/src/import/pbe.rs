//! Key derivation from a password as in Jasypt: PKCS#5 v1.5 as in the JDK, PBKDF2, and PKCS#12.

use crate::import::cipher::{aes_cbc, cbc};
use bootseal_core::Secret;
use hmac::Hmac;
use hmac::digest::{Digest, FixedOutputReset};
use icu_normalizer::ComposingNormalizerBorrowed;
use md5::Md5;
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

/// One of Java's password-based encryptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pbe {
    Md5Des,
    Md5TripleDes,
    /// PKCS#12 with SHA-1, and triple DES with a key of this many bytes.
    Sha1TripleDes(usize),
    /// OpenSSL's derivation from one round of MD5, and AES with a key of this many bytes.
    OpenSsl(usize),
    /// PBKDF2 with this HMAC, and AES with a key of this many bytes; the IV comes first.
    Pbkdf2(Hash, usize),
    /// BouncyCastle's PKCS#12 with SHA-1 or SHA-256, and AES with a key of this many bytes.
    Pkcs12(Hash, usize),
}

/// Whether Jasypt puts a random IV between salt and ciphertext, which PBE with a derived IV ignores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IvGenerator {
    None,
    Random,
}

impl IvGenerator {
    /// Finds a generator by the name of its class, with or without its package.
    pub(super) fn by_name(name: &str) -> Option<IvGenerator> {
        match name.rsplit('.').next()?.to_ascii_lowercase().as_str() {
            "noivgenerator" => Some(IvGenerator::None),
            "randomivgenerator" => Some(IvGenerator::Random),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            IvGenerator::None => "NoIvGenerator",
            IvGenerator::Random => "RandomIvGenerator",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Pbe {
    /// Finds a scheme by its name in `jasypt.encryptor.algorithm`, ignoring case.
    pub(super) fn by_name(name: &str) -> Option<Pbe> {
        let name = name.to_ascii_uppercase();
        let rest = name.strip_prefix("PBEWITH")?;
        let bytes = |bits: &str| match bits {
            "128" => Some(16),
            "192" => Some(24),
            "256" => Some(32),
            _ => None,
        };
        match rest {
            "MD5ANDDES" => return Some(Pbe::Md5Des),
            "MD5ANDTRIPLEDES" => return Some(Pbe::Md5TripleDes),
            "SHA1ANDDESEDE" | "SHAAND3-KEYTRIPLEDES-CBC" | "SHA1AND3-KEYTRIPLEDES-CBC" => {
                return Some(Pbe::Sha1TripleDes(24));
            }
            "SHAAND2-KEYTRIPLEDES-CBC" | "SHA1AND2-KEYTRIPLEDES-CBC" => {
                return Some(Pbe::Sha1TripleDes(16));
            }
            _ => {}
        }
        if let Some((hash, bits)) =
            rest.strip_prefix("HMAC").and_then(|rest| rest.split_once("ANDAES_"))
        {
            let hash = match hash {
                "SHA1" => Hash::Sha1,
                "SHA224" => Hash::Sha224,
                "SHA256" => Hash::Sha256,
                "SHA384" => Hash::Sha384,
                "SHA512" => Hash::Sha512,
                _ => return None,
            };
            return bytes(bits).filter(|bytes| *bytes != 24).map(|bytes| Pbe::Pbkdf2(hash, bytes));
        }
        if let Some(bits) =
            rest.strip_prefix("MD5AND").and_then(|rest| rest.strip_suffix("BITAES-CBC-OPENSSL"))
        {
            return bytes(bits).map(Pbe::OpenSsl);
        }
        let (hash, bits) = rest.strip_suffix("BITAES-CBC-BC")?.split_once("AND")?;
        let hash = match hash {
            "SHA" | "SHA1" | "SHA-1" => Hash::Sha1,
            "SHA256" | "SHA-256" => Hash::Sha256,
            _ => return None,
        };
        bytes(bits).map(|bytes| Pbe::Pkcs12(hash, bytes))
    }

    /// The IV generators that are possible: PBKDF2 derives no IV, so it cannot do without one.
    pub(super) fn iv_generators(self) -> &'static [IvGenerator] {
        match self {
            Pbe::Pbkdf2(..) => &[IvGenerator::Random],
            _ => &[IvGenerator::None, IvGenerator::Random],
        }
    }

    /// Opens `salt ‖ iv ‖ ciphertext`; `None` if the padding shows that the password is wrong.
    pub(super) fn open(
        self,
        password: &Password,
        iterations: u32,
        generator: IvGenerator,
        blob: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let block = if self.is_des() { 8 } else { 16 };
        let (salt, rest) = blob.split_at_checked(block)?;
        let skipped = match generator {
            IvGenerator::Random if !matches!(self, Pbe::Pbkdf2(..)) => block,
            _ => 0,
        };
        let rest = rest.get(skipped..)?;
        match self {
            Pbe::Md5Des => {
                let mut key = md5_repeated(&[password.ascii()?, salt], iterations);
                let (key, iv) = key.split_at_mut(8);
                cbc::<cbc::Decryptor<des::Des>>(key, iv, rest)
            }
            Pbe::Md5TripleDes => {
                let (one, other) = salt.split_at(4);
                let password = password.ascii()?;
                let half = |half: &[u8]| {
                    let mut key = Zeroizing::new(half.to_vec());
                    for _ in 0..iterations {
                        key = md5_repeated(&[&key, password], 1);
                    }
                    key
                };
                let both = Zeroizing::new([&half(one)[..], &half(other)[..]].concat());
                cbc::<cbc::Decryptor<des::TdesEde3>>(&both[..24], &both[24..], rest)
            }
            Pbe::Sha1TripleDes(length) => {
                let mut key = password.pkcs12::<Sha1>(1, length, salt, iterations);
                // Of two keys, the first is also the third.
                let third = Zeroizing::new(key[..24 - length].to_vec());
                key.extend_from_slice(&third);
                cbc::<cbc::Decryptor<des::TdesEde3>>(
                    &key,
                    &password.pkcs12::<Sha1>(2, 8, salt, iterations),
                    rest,
                )
            }
            Pbe::OpenSsl(length) => {
                let password = password.ascii()?;
                let mut derived = Zeroizing::new(Vec::with_capacity(64));
                let mut last = Zeroizing::new(Vec::new());
                while derived.len() < length + 16 {
                    last = md5_repeated(&[&last, password, salt], 1);
                    derived.extend_from_slice(&last);
                }
                aes_cbc(&derived[..length], &derived[length..length + 16], rest)
            }
            Pbe::Pbkdf2(hash, length) => {
                let (iv, text) = rest.split_at_checked(16)?;
                let mut key = Zeroizing::new(vec![0; length]);
                hash.pbkdf2(password.ascii()?, salt, iterations, &mut key)?;
                aes_cbc(&key, iv, text)
            }
            Pbe::Pkcs12(hash, length) => {
                let derive = |id, length| match hash {
                    Hash::Sha1 => password.pkcs12::<Sha1>(id, length, salt, iterations),
                    _ => password.pkcs12::<Sha256>(id, length, salt, iterations),
                };
                aes_cbc(&derive(1, length), &derive(2, 16), rest)
            }
        }
    }

    fn is_des(self) -> bool {
        matches!(self, Pbe::Md5Des | Pbe::Md5TripleDes | Pbe::Sha1TripleDes(_))
    }

    pub(super) fn weakness(self) -> &'static str {
        match self {
            Pbe::Md5Des => "single DES, and a key from 1000 rounds of MD5; no MAC",
            Pbe::Md5TripleDes => "triple DES, and a key from 1000 rounds of MD5; no MAC",
            Pbe::OpenSsl(_) => "one round of MD5 makes guessing the password cheap; no MAC",
            Pbe::Sha1TripleDes(_) => "triple DES, and a key from 1000 rounds of SHA-1; no MAC",
            Pbe::Pbkdf2(..) | Pbe::Pkcs12(..) => {
                "1000 rounds make guessing the password cheap; no MAC"
            }
        }
    }
}

impl Hash {
    /// Derives a key by PBKDF2 with the HMAC of this hash; `None` for an invalid password.
    pub(super) fn pbkdf2(
        self,
        password: &[u8],
        salt: &[u8],
        iterations: u32,
        key: &mut [u8],
    ) -> Option<()> {
        match self {
            Hash::Sha1 => pbkdf2::pbkdf2::<Hmac<Sha1>>(password, salt, iterations, key),
            Hash::Sha224 => pbkdf2::pbkdf2::<Hmac<Sha224>>(password, salt, iterations, key),
            Hash::Sha256 => pbkdf2::pbkdf2::<Hmac<Sha256>>(password, salt, iterations, key),
            Hash::Sha384 => pbkdf2::pbkdf2::<Hmac<Sha384>>(password, salt, iterations, key),
            Hash::Sha512 => pbkdf2::pbkdf2::<Hmac<Sha512>>(password, salt, iterations, key),
        }
        .ok()
    }
}

/// A password in NFC, as Jasypt uses it.
pub(super) struct Password(Zeroizing<String>);

impl Password {
    pub(super) fn of(secret: &Secret) -> Option<Password> {
        let normal = |text: &str| {
            let mut normal = Zeroizing::new(String::with_capacity(3 * text.len()));
            let _ = ComposingNormalizerBorrowed::new_nfc().normalize_to(text, &mut *normal);
            Password(normal)
        };
        secret.expose(|bytes| {
            std::str::from_utf8(crate::import::key_source::without_newline(bytes)).ok().map(normal)
        })
    }

    /// Returns the password if it is printable ASCII; Java's own providers accept nothing else.
    fn ascii(&self) -> Option<&[u8]> {
        self.0.bytes().all(|byte| (0x20..0x7F).contains(&byte)).then_some(self.0.as_bytes())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Derives a key (`id` 1) or an IV (`id` 2) by RFC 7292, appendix B.2, for hashes with blocks
    /// of 64 bytes.
    fn pkcs12<D: Digest + FixedOutputReset>(
        &self,
        id: u8,
        length: usize,
        salt: &[u8],
        iterations: u32,
    ) -> Zeroizing<Vec<u8>> {
        const BLOCK: usize = 64;
        let mut wide = Zeroizing::new(Vec::with_capacity(2 * self.0.len() + 2));
        self.0.encode_utf16().chain([0]).for_each(|unit| wide.extend(unit.to_be_bytes()));
        let filled = |from: &[u8]| -> Zeroizing<Vec<u8>> {
            let whole = from.len().div_ceil(BLOCK) * BLOCK;
            Zeroizing::new(from.iter().copied().cycle().take(whole).collect())
        };
        let mut input = Zeroizing::new([&filled(salt)[..], &filled(&wide)[..]].concat());
        let mut derived = Zeroizing::new(Vec::with_capacity(length + BLOCK));
        let mut digest = D::new();
        while derived.len() < length {
            Digest::update(&mut digest, [id; BLOCK]);
            Digest::update(&mut digest, &*input);
            let mut hash = digest.finalize_reset();
            for _ in 1..iterations {
                Digest::update(&mut digest, &hash);
                hash = digest.finalize_reset();
            }
            derived.extend_from_slice(&hash);
            // Each block of the input plus the hash, repeated, plus one, as big-endian numbers.
            for block in input.chunks_mut(BLOCK) {
                let mut carry = 1;
                for (index, byte) in block.iter_mut().enumerate().rev() {
                    let sum = u16::from(*byte) + u16::from(hash[index % hash.len()]) + carry;
                    *byte = sum.to_be_bytes()[1];
                    carry = sum >> 8;
                }
            }
        }
        derived.truncate(length);
        derived
    }
}

/// Hashes the parts with MD5, and then each result again, `rounds` times in all.
fn md5_repeated(parts: &[&[u8]], rounds: u32) -> Zeroizing<Vec<u8>> {
    let mut digest = Md5::new();
    parts.iter().for_each(|part| digest.update(part));
    let mut hash = digest.finalize();
    for _ in 1..rounds {
        hash = Md5::digest(hash);
    }
    Zeroizing::new(hash.to_vec())
}
