//! Adoption of an edited clear text: changed values are sealed again, and all others keep their
//! sealed text.

use crate::error::{Error, Kind, Result};
use crate::keys::random::random;
use crate::review::changes::{Changes, by_name};
use crate::review::clear_text::{BYTES_PREFIX, ClearText, shown};
use crate::text::document::{Document, Property};
use crate::text::edit::with_values;
use crate::text::host::refuse_unclear_hosts;
use crate::text::path::PropertyPath;
use crate::text::plain::PlainProperty;
use crate::text::sealed_text::SECRET_PREFIX;
use crate::text::toml_value::quoted;
use crate::vault::value::{OpenedValue, ValueKind};
use crate::vault::{CanWrite, Vault};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bootseal_memory::Secret;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use zeroize::Zeroizing;

/// The minimum length of a value that is searched for elsewhere; shorter values also occur by
/// chance.
const TELLING: usize = 6;

/// The result of an edit.
#[derive(Debug)]
#[non_exhaustive]
pub struct Edited {
    /// The changes, by name; never a sealed value.
    pub changes: Changes,
    /// Properties that were sealed and are readable now.
    pub made_readable: Vec<PropertyPath>,
}

impl Vault<CanWrite> {
    /// Replaces the user's part with `edit`, including its comments and order. A value that did not
    /// change keeps its sealed text, and a new or changed value is sealed. A value that moved to
    /// another name keeps its date. `now` is in seconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if a comment contains a sealed value in the clear, or if a new host in a
    /// settings table is not written in ASCII; [`Kind::Malformed`] if a sealed value that was not
    /// text is no longer valid for its kind.
    ///
    /// ```
    /// # let mut vault = bootseal_fixtures::vault("user = \"bob\"\n");
    /// use bootseal_core::ClearText;
    /// let edit = ClearText::parse("user = \"bob\"\npassword = \"secret:hunter2\" # new\n".into())?;
    /// let edited = vault.take_edit(&edit, 1_700_000_000)?;
    /// assert_eq!(edited.changes.properties().next().unwrap().what(), "added");
    /// assert!(vault.open(&"password".parse()?)?.secret.expose(|bytes| bytes == b"hunter2"));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn take_edit(&mut self, edit: &ClearText, now: u64) -> Result<Edited> {
        let before = self.open_all()?;
        let (values, known) = (by_name(&before), Known::of(&before)?);
        let (mut sealed, mut fresh, mut made_readable) = (Vec::new(), Vec::new(), Vec::new());
        for property in edit.properties() {
            let (path, old) = (&property.path, values.get(&property.path).copied());
            let toml::Value::String(text) = &property.value else {
                if old.is_some() && !property.marked {
                    made_readable.push(path.clone());
                }
                continue;
            };
            if !property.marked {
                // A sealed value may also have become readable under another name.
                let was_sealed =
                    old.is_some() || text.len() >= TELLING && known.find(text).is_some();
                if was_sealed
                    && self.file.document.get(path)
                        != Some(Property::Readable(property.value.clone()))
                {
                    made_readable.push(path.clone());
                }
                continue;
            }
            let value = match old {
                Some(opened) if *shown(opened) == *text => {
                    self.file.document.raw_value(path).unwrap_or_default().to_owned()
                }
                _ => {
                    fresh.push(property);
                    quoted(&self.seal_edited(
                        property,
                        text,
                        old.or(known.find(text)),
                        known.find(text),
                        now,
                    )?)
                }
            };
            sealed.push((property.span.clone(), value));
        }
        self.check_comments(edit, &before, &fresh)?;
        let document =
            Document::parse(with_last_newline(with_values(edit.document.text(), sealed)))?;
        refuse_unclear_hosts(&self.file.document, &document)?;
        let old = std::mem::replace(&mut self.file.document, document);
        let after = self.open_all()?;
        let changes = Changes::opened(&old, &values, &self.file.document, &by_name(&after));
        Ok(Edited { changes, made_readable })
    }

    /// `like` is the earlier value of the property and determines the kind; `same` is an earlier
    /// property with the same value.
    fn seal_edited(
        &self,
        property: &PlainProperty,
        text: &str,
        like: Option<&OpenedValue>,
        same: Option<&OpenedValue>,
        now: u64,
    ) -> Result<String> {
        if let Some(same) = same {
            return self.seal_as_it_was(&property.path, same);
        }
        let fail = |what: &str| Error::malformed(what).at(&property.path);
        let (kind, value) = match like.map(|like| like.kind) {
            Some(ValueKind::Toml) => (ValueKind::Toml, Secret::copy_of(text.as_bytes())?),
            Some(ValueKind::Bytes) if text.starts_with(BYTES_PREFIX) => {
                let decoded =
                    BASE64_STANDARD.decode(&text[BYTES_PREFIX.len()..]).map(Zeroizing::new);
                let decoded =
                    decoded.map_err(|_| fail("the text after `base64:` is not base64"))?;
                (ValueKind::Bytes, Secret::copy_of(&decoded)?)
            }
            _ => (ValueKind::Text, Secret::copy_of(text.as_bytes())?),
        };
        self.seal(&property.path, kind, &value, now).map_err(|error| match kind {
            ValueKind::Toml => fail("was sealed as a TOML value that is not text (a number, true, an array), but the new text is not such a value")
                .with_help("To make it a string, use another name, or remove the value first: bootseal unset"),
            _ => error,
        })
    }

    /// Refuses a sealed value in a comment, which would be committed to git in the clear. This is
    /// an easy mistake: a user comments out a line with a value.
    fn check_comments(
        &self,
        edit: &ClearText,
        before: &[(PropertyPath, OpenedValue)],
        fresh: &[&PlainProperty],
    ) -> Result<()> {
        let old = self.file.document.comments();
        let old: std::collections::HashSet<&str> = old.iter().map(AsRef::as_ref).collect();
        let refuse = |line: usize, path: &PropertyPath| {
            let what = format!(
                "the comment contains the value of {path} in the clear, which anyone with the file could read"
            );
            Error::new(Kind::Conflict, what)
                .at_line(line, 1)
                .with_help("Remove it from the comment.")
        };
        for (line, comment) in edit.document.comments() {
            // Existing comments were checked when they were added.
            if !old.contains(comment.trim())
                && let Some((path, _)) =
                    before.iter().find(|(_, opened)| holds(comment, &shown(opened)))
            {
                return Err(refuse(line, path));
            }
            for property in fresh {
                if let toml::Value::String(text) = &property.value
                    && holds(comment, text)
                {
                    return Err(refuse(line, &property.path));
                }
            }
        }
        Ok(())
    }
}

/// Whether a comment contains this value or a line of it, literally or as TOML writes it.
fn holds(comment: &str, value: &str) -> bool {
    value.lines().map(str::trim).any(|line| match line.len() {
        0 => false,
        1..TELLING => {
            comment.contains(SECRET_PREFIX)
                && comment.contains(&[SECRET_PREFIX, line, "\""].concat())
        }
        _ => {
            let written = Zeroizing::new(quoted(line));
            comment.contains(line) || comment.contains(written.trim_matches('"'))
        }
    })
}

/// The sealed values, indexed by content.
struct Known<'a> {
    /// A fresh salt for each run, so that digests reveal nothing.
    salt: [u8; 32],
    values: HashMap<[u8; 32], &'a OpenedValue>,
}

impl<'a> Known<'a> {
    fn of(values: &'a [(PropertyPath, OpenedValue)]) -> Result<Known<'a>> {
        let mut salt = [0; 32];
        random(&mut salt)?;
        let mut known = Known { salt, values: HashMap::with_capacity(values.len()) };
        for (_, opened) in values {
            // Of two equal values, the older value is kept.
            let digest = known.digest(&shown(opened));
            let older =
                known.values.get(&digest).is_some_and(|other| other.set_at <= opened.set_at);
            if !older {
                known.values.insert(digest, opened);
            }
        }
        Ok(known)
    }

    fn digest(&self, text: &str) -> [u8; 32] {
        Sha256::new().chain_update(self.salt).chain_update(text).finalize().into()
    }

    fn find(&self, text: &str) -> Option<&'a OpenedValue> {
        self.values.get(&self.digest(text)).copied()
    }
}

fn with_last_newline(mut text: String) -> String {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::identity::Identity;
    use crate::file::header::{Access, Role};
    use crate::file::sealed::SealedFile;
    use proptest::prelude::*;

    fn vault(text: &str, values: &[(&str, ValueKind, &[u8])]) -> Vault<CanWrite> {
        let alice = Identity::generate().unwrap();
        let access = vec![Access::new("alice", Role::Writer, alice.recipient()).unwrap()];
        let mut vault = Vault::create(access, text).unwrap();
        for (name, kind, value) in values {
            vault
                .set(&name.parse().unwrap(), *kind, &Secret::copy_of(value).unwrap(), 100)
                .unwrap();
        }
        let text = vault.sign().unwrap();
        SealedFile::parse(text.into_bytes())
            .unwrap()
            .verify(&[])
            .unwrap()
            .open_for_writing(&[alice])
            .unwrap()
    }

    fn clear(vault: &Vault<CanWrite>) -> String {
        let mut text = Vec::new();
        vault.write_clear(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    fn take(vault: &mut Vault<CanWrite>, text: &str) -> Result<Edited> {
        vault.take_edit(&ClearText::parse(text.into())?, 200)
    }

    fn value(vault: &Vault<CanWrite>, name: &str) -> (ValueKind, u64, Vec<u8>) {
        let opened = vault.open(&name.parse().unwrap()).unwrap();
        (opened.kind, opened.set_at, opened.secret.expose(<[u8]>::to_vec))
    }

    #[test]
    fn unchanged_values_keep_every_byte() {
        let pem = b"-----BEGIN KEY-----\nAb\"c\\\n-----END KEY-----\n".as_slice();
        let mut vault = vault(
            "# top\nurl   =  'u' # at Acme\n\n[t]\ni = { x = 1 } # inline\n",
            &[
                ("a", ValueKind::Text, b"hunter2"),
                ("t.i.pem", ValueKind::Text, pem),
                ("n", ValueKind::Toml, b"[1, 2]"),
                ("b", ValueKind::Bytes, b"\xff\0"),
                ("q", ValueKind::Text, "\"\u{202e}\t'''\r\n\"\"\" é".as_bytes()),
            ],
        );
        let (before, text) = (vault.file.text(), clear(&vault));
        assert!(
            text.contains("\nn = \"secret:[1, 2]\"\n")
                && text.contains("b = \"secret:base64:/wA=\""),
            "{text}"
        );
        let edited = take(&mut vault, &text).unwrap();
        assert!(edited.changes.is_empty() && edited.made_readable.is_empty());
        assert_eq!(vault.file.text(), before);
        // Only the edited values change.
        let text = text
            .replace("hunter2", "hunter3")
            .replace("[1, 2]", "[1, 2, 3]")
            .replace("/wA=", "/wD/");
        let edited = take(&mut vault, &text).unwrap();
        assert_eq!(edited.changes.properties().count(), 3);
        assert_eq!(value(&vault, "a"), (ValueKind::Text, 200, b"hunter3".to_vec()));
        assert_eq!(value(&vault, "n"), (ValueKind::Toml, 200, b"[1, 2, 3]".to_vec()));
        assert_eq!(value(&vault, "b"), (ValueKind::Bytes, 200, b"\xff\0\xff".to_vec()));
        assert_eq!(value(&vault, "t.i.pem"), (ValueKind::Text, 100, pem.to_vec()));
        let other = |text: &str| {
            text.lines()
                .filter(|line| !line.starts_with(['a', 'n', 'b']))
                .collect::<Vec<_>>()
                .join("\n")
        };
        assert_eq!(other(&vault.file.text()), other(&before));
    }

    #[test]
    fn a_renamed_value_keeps_its_date_and_kind() {
        let mut vault =
            vault("", &[("a", ValueKind::Text, b"hunter2"), ("n", ValueKind::Toml, b"443")]);
        take(
            &mut vault,
            "[acme]\nb = \"secret:hunter2\"\nport = \"secret:443\"\nnew = \"secret:x\"\n",
        )
        .unwrap();
        assert_eq!(value(&vault, "acme.b"), (ValueKind::Text, 100, b"hunter2".to_vec()));
        assert_eq!(value(&vault, "acme.port"), (ValueKind::Toml, 100, b"443".to_vec()));
        assert_eq!(value(&vault, "acme.new"), (ValueKind::Text, 200, b"x".to_vec()));
    }

    #[test]
    fn values_that_become_readable_are_reported() {
        let mut vault = vault(
            "r = 1\n",
            &[
                ("a", ValueKind::Text, b"hunter2"),
                ("b", ValueKind::Text, b"x"),
                ("c", ValueKind::Text, b"y"),
            ],
        );
        let edited = take(&mut vault, "r = 2\nz = \"hunter2\"\nb = \"other\"\nc = 5\n").unwrap();
        assert_eq!(
            edited.made_readable.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["z", "b", "c"]
        );
        assert!(
            take(&mut vault, "r = 2\nz = \"hunter2\"\nb = \"other\"\nc = 6\n")
                .unwrap()
                .made_readable
                .is_empty()
        );
    }

    #[test]
    fn mistakes_are_refused_and_change_nothing() {
        let mut vault = vault(
            "# see the wiki\n",
            &[
                ("a", ValueKind::Text, b"hunt\"er2"),
                ("n", ValueKind::Toml, b"443"),
                ("pin", ValueKind::Text, b"1234"),
            ],
        );
        let before = vault.file.text();
        for (text, line, what) in [
            ("a = \"secret:x\"\nb = \n", Some(2), "not TOML"),
            ("a = \"secret:x\"\nb = 1\nb = 2\n", Some(3), "not TOML"),
            ("[bootseal]\nepoch = 3\n", None, "[bootseal] cannot be edited"),
            ("bootseal.epoch = 3\n", None, "[bootseal] cannot be edited"),
            ("\na = { b = 1, }\n", Some(2), "TOML 1.1"),
            ("a = [\"secret:x\"]\n", Some(1), "in an array"),
            ("a = \"sealed:x\"\n", Some(1), "sealed:"),
            ("n = \"secret:4 4\"\n", None, "not text (a number"),
            ("\n# a = \"secret:hunt\\\"er2\"\n", Some(2), "the comment contains the value of a"),
            ("# was hunt\"er2\n", Some(1), "the comment contains the value of a"),
            ("# pin = \"secret:1234\"\n", Some(1), "the comment contains the value of pin"),
            (
                "# see the wiki\nw = \"secret:see the wiki\"\n",
                Some(1),
                "the comment contains the value of w",
            ),
        ] {
            let error = take(&mut vault, text).err().unwrap_or_else(|| panic!("{text}"));
            assert!(error.what().contains(what), "{text}: {error}");
            assert_eq!(error.line().map(|(line, _)| line), line, "{text}: {error}");
            assert!(!error.to_string().contains("hunt"), "{error}");
            assert_eq!(vault.file.text(), before);
        }
        assert!(take(&mut vault, "# 1234 reasons\npin = \"secret:1234\"\n").is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_value_survives_an_edit_without_changes(value in any::<String>(), lines in "[a\n\"'\\\\]{0,12}") {
            let values = [("a", ValueKind::Text, value.as_bytes()), ("t.b", ValueKind::Text, lines.as_bytes())];
            let mut vault = vault("t = { x = 1 }\n", &values);
            let before = vault.file.text();
            let text = clear(&vault);
            prop_assert!(take(&mut vault, &text).unwrap().changes.is_empty());
            prop_assert_eq!(vault.file.text(), before);
        }
    }
}
