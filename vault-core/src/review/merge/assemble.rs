//! Assembles the text of a merge from the wanted properties of both sides, and reads it back.

use crate::error::{Error, Kind, Result};
use crate::review::changes::Values;
use crate::review::merge::Taken;
use crate::review::merge::side::Side;
use crate::text::document::{Document, Property};
use crate::text::path::PropertyPath;
use crate::text::toml_value::quoted;
use crate::vault::value;
use crate::vault::{CanWrite, Vault};
use std::collections::HashSet;

impl Vault<CanWrite> {
    /// The document of `start` with exactly the `wanted` properties in it.
    pub(super) fn assemble(
        &self,
        start: &Side,
        wanted: &[(PropertyPath, Taken)],
        ours: (&Side, &Values<'_>),
        theirs: (&Side, &Values<'_>),
    ) -> Result<Document> {
        let mut document = start.document.clone();
        let kept: HashSet<&PropertyPath> = wanted.iter().map(|(path, _)| path).collect();
        let gone: Vec<PropertyPath> =
            document.names().map(|(path, _)| path).filter(|path| !kept.contains(path)).collect();
        document = document.without_all(&gone.iter().collect::<Vec<_>>())?;
        let (mut changed, mut added) = (Vec::new(), Vec::new());
        for (path, side) in wanted {
            let (source, values) = if *side == Taken::Ours { ours } else { theirs };
            let conflict = |what: &str| self.placed(Error::new(Kind::Conflict, what).at(path));
            let text = match (source.document.get(path), values.get(path)) {
                (Some(Property::Sealed(text)), Some(opened)) => {
                    // A value that opens under our keys keeps its text.
                    match value::open(&self.key, &self.file.vault_id(), path, &text) {
                        Ok(_) => quoted(&text),
                        Err(_) => quoted(&self.seal_as_it_was(path, opened)?),
                    }
                }
                (Some(Property::Sealed(_)), None) => {
                    return Err(conflict(
                        "your keys do not open this value on its side of the merge",
                    ));
                }
                _ if document.has_same(path, &source.document) => continue,
                _ if document.has_blocks(path) || source.document.has_blocks(path) => {
                    return Err(conflict(
                        "one side changed an array of tables, which is in more than one place of the text",
                    )
                    .with_help("Take one side as a whole (git checkout --ours FILE, or --theirs), change the blocks there, then: bootseal sign"));
                }
                _ => source.document.raw_value(path).unwrap_or_default().to_owned(),
            };
            match document.raw_value(path) {
                None => added.push((path, text)),
                Some(raw) if raw == text => {}
                Some(_) => {
                    changed.extend(document.replaceable(path)?.map(|span| (span, text)));
                }
            }
        }
        document = Document::parse(document.with_values(changed))?;
        let added: Vec<(&PropertyPath, &str)> =
            added.iter().map(|(path, text)| (*path, text.as_str())).collect();
        let merged = document.with_new(&added)?;
        self.check_result(&merged, wanted, ours, theirs)?;
        Ok(merged)
    }

    /// Checks that the document contains exactly the wanted properties, each with the value of its
    /// side.
    fn check_result(
        &self,
        read: &Document,
        wanted: &[(PropertyPath, Taken)],
        ours: (&Side, &Values<'_>),
        theirs: (&Side, &Values<'_>),
    ) -> Result<()> {
        let holds = |(path, side): &(PropertyPath, Taken)| {
            let (source, values) = if *side == Taken::Ours { ours } else { theirs };
            match (read.get(path), values.get(path)) {
                (Some(Property::Sealed(text)), Some(opened)) => {
                    value::open(&self.key, &self.file.vault_id(), path, &text)
                        .is_ok_and(|read| read.same_as(opened) && read.set_at == opened.set_at)
                }
                (_, None) => read.has_same(path, &source.document),
                _ => false,
            }
        };
        match read.counts().0 == wanted.len() && wanted.iter().all(holds) {
            true => Ok(()),
            false => Err(self
                .placed(Error::new(Kind::Conflict, "the tables of both sides cannot be combined"))),
        }
    }
}
