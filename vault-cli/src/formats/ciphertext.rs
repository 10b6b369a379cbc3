//! The ciphertext of other tools, which must not be mistaken for a value.

use crate::ui::failure::Failure;
use bootseal_core::{Kind, Shown, shell_word};
use std::path::Path;

/// A tool whose ciphertext a text contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ciphertext {
    pub(crate) tool: &'static str,
    /// The argument of `bootseal import --from` that opens it.
    pub(crate) from: Option<&'static str>,
    /// Its form in the tool's files.
    pub(crate) form: &'static str,
}

impl Ciphertext {
    /// The name for messages: `ciphertext of Jasypt (ENC(…))`.
    pub(crate) fn shown(&self) -> String {
        format!("ciphertext of {} ({})", self.tool, self.form)
    }

    /// The way to the values of a file with this ciphertext.
    pub(crate) fn help(&self, path: &Path) -> String {
        let file = path.to_str().filter(|name| *name != "-").map_or("FILE".into(), shell_word);
        match self.from {
            Some(from) => format!("bootseal import --from {from} {file}"),
            None => format!("Decrypt {file} with {} first", self.tool),
        }
    }

    /// The error for a file that this tool has written.
    pub(super) fn refused(&self, path: &Path) -> Failure {
        let text = format!("{} contains {}, not values", Shown::path(path), self.shown());
        Failure::new(Kind::Conflict, text).with_help(self.help(path)).in_file(path)
    }

    /// Whether a text consists of this ciphertext as a whole, so that it is in no format.
    pub(super) fn is_whole_file(&self, text: &str) -> bool {
        let first = self.form.trim_end_matches('…');
        [ANSIBLE, AGE, PGP].contains(self) && text.trim_start().starts_with(first)
    }
}

const SOPS: Ciphertext =
    Ciphertext { tool: "sops", from: Some("sops"), form: "ENC[AES256_GCM,…]" };
const ANSIBLE: Ciphertext =
    Ciphertext { tool: "ansible-vault", from: Some("ansible-vault"), form: "$ANSIBLE_VAULT;…" };
const JASYPT: Ciphertext = Ciphertext { tool: "Jasypt", from: Some("jasypt"), form: "ENC(…)" };
const SPRING: Ciphertext =
    Ciphertext { tool: "Spring Cloud Config", from: Some("spring"), form: "{cipher}…" };
const DOTENVX: Ciphertext =
    Ciphertext { tool: "dotenvx", from: Some("dotenvx"), form: "encrypted:…" };
const EYAML: Ciphertext = Ciphertext { tool: "hiera-eyaml", from: None, form: "ENC[PKCS7,…]" };
const TRANSIT: Ciphertext =
    Ciphertext { tool: "HashiCorp Vault's transit engine", from: None, form: "vault:v1:…" };
const AGE: Ciphertext =
    Ciphertext { tool: "age", from: None, form: "-----BEGIN AGE ENCRYPTED FILE-----" };
const PGP: Ciphertext = Ciphertext { tool: "PGP", from: None, form: "-----BEGIN PGP MESSAGE-----" };

/// The fewest digits of base64 or hexadecimal that are taken for ciphertext. The shortest, a salt
/// and one block of DES in base64, has more.
const FEWEST: usize = 16;
/// The base64 of an ephemeral key, a nonce and a tag, with which each value of dotenvx begins.
const FEWEST_OF_DOTENVX: usize = 128;

/// Finds the ciphertext of another tool anywhere in a text.
pub(crate) fn ciphertext_in(text: &str) -> Option<Ciphertext> {
    let has = |mark: &str| text.contains(mark);
    if has("ENC[AES256_GCM,data:") {
        return Some(SOPS);
    }
    if follows(text, "$ANSIBLE_VAULT;", |rest| rest.starts_with(|next: char| next.is_ascii_digit()))
    {
        return Some(ANSIBLE);
    }
    if follows(text, "ENC(", |rest| {
        rest.split_once(')').is_some_and(|(inner, _)| is_encoded(inner.trim()))
    }) {
        return Some(JASYPT);
    }
    if text.starts_with("{cipher}") && text.len() > "{cipher}".len()
        || follows(text, "{cipher}", |rest| leading(without_selectors(rest)) >= FEWEST)
    {
        return Some(SPRING);
    }
    if follows(text, "encrypted:", |rest| leading(rest) >= FEWEST_OF_DOTENVX) {
        return Some(DOTENVX);
    }
    if has("ENC[PKCS7,") || has("ENC[GPG,") {
        return Some(EYAML);
    }
    if follows(text, "vault:v", |rest| {
        let digits = rest.trim_start_matches(|next: char| next.is_ascii_digit());
        digits.len() < rest.len()
            && digits.strip_prefix(':').is_some_and(|rest| leading(rest) >= FEWEST)
    }) {
        return Some(TRANSIT);
    }
    [AGE, PGP].into_iter().find(|armor| has(armor.form))
}

/// Whether an occurrence of `mark` is followed by what `is` accepts.
fn follows(text: &str, mark: &str, is: impl Fn(&str) -> bool) -> bool {
    text.match_indices(mark).any(|(at, _)| is(&text[at + mark.len()..]))
}

/// Whether a text is base64 or hexadecimal, possibly on several lines, and long enough.
fn is_encoded(text: &str) -> bool {
    text.len() >= FEWEST && text.bytes().all(|byte| is_digit(byte) || byte.is_ascii_whitespace())
}

/// The number of digits of base64 with which a text begins.
fn leading(text: &str) -> usize {
    text.bytes().take_while(|byte| is_digit(*byte)).count()
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)
}

/// Removes `{key:alias}` and `{secret:name}`, which select one of Spring's keys.
pub(crate) fn without_selectors(mut text: &str) -> &str {
    while let Some((_, rest)) = text.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ciphertext_is_found_as_a_whole_value_and_as_a_part_of_one() {
        let long = "B".repeat(132);
        for (text, tool) in [
            ("ENC[AES256_GCM,data:1w==,iv:x,tag:y,type:str]", "sops"),
            ("$ANSIBLE_VAULT;1.1;AES256\n3362", "ansible-vault"),
            ("see $ANSIBLE_VAULT;1.2;AES256;dev", "ansible-vault"),
            ("ENC(0jeU2xcCMEGqBDWiUUk2/Q==)", "Jasypt"),
            ("ENC( 0jeU2xcCMEG\n qBDWiUUk2/Q== )", "Jasypt"),
            ("jdbc:x?password=ENC(0jeU2xcCMEGqBDWiUUk2/Q==)&ssl=on", "Jasypt"),
            ("ENC(see) ENC(0jeU2xcCMEGqBDWiUUk2/Q==)", "Jasypt"),
            ("{cipher}f2", "Spring Cloud Config"),
            ("x={cipher}{key:a}{secret:b}f2468ff634eccc46", "Spring Cloud Config"),
            (&format!("encrypted:{long}"), "dotenvx"),
            ("ENC[PKCS7,MIIB]", "hiera-eyaml"),
            ("vault:v12:8SDd3WHDOjf7mq69CyCqYjBX", "HashiCorp Vault's transit engine"),
            ("-----BEGIN AGE ENCRYPTED FILE-----\nYWdl", "age"),
            ("-----BEGIN PGP MESSAGE-----\n\nhQ", "PGP"),
        ] {
            assert_eq!(ciphertext_in(text).map(|found| found.tool), Some(tool), "{text}");
        }
    }

    #[test]
    fn texts_that_only_resemble_ciphertext_are_values() {
        for text in [
            "",
            "ENC(…)",
            "ENC(password)",
            "ENC(",
            "ENC(a long remark, not ciphertext)",
            "{cipher}",
            "use {cipher}here",
            "encrypted:true",
            "encrypted:0jeU2xcCMEGqBDWiUUk2/Q==",
            "vault:v1",
            "vault:version:1",
            "$ANSIBLE_VAULT;",
            "$ANSIBLE_VAULT_PASSWORD_FILE",
            "-----BEGIN CERTIFICATE-----",
        ] {
            assert_eq!(ciphertext_in(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(ENC\\(|ENC\\[|\\{cipher\\}|\\{|\\}|encrypted:|vault:v|[)a1=\u{e4}]|\\$ANSIBLE_VAULT;){0,30}") {
            let _ = ciphertext_in(&text);
        }
    }
}
