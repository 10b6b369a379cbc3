//! Decides what a string that begins with `sealed:` or `secret:` is, and refuses it in a place
//! where it is not allowed.

use crate::error::Error;
use crate::text::parse::builder::Builder;
use crate::text::parse::index::{EntryKind, Rules};
use crate::text::parse::tree::HIDDEN;
use crate::text::path::PropertyPath;
use crate::text::sealed_text::{SEALED_PREFIX, SECRET_PREFIX, check_shape};
use toml_parser::ErrorSink;

impl Builder<'_> {
    /// The property that contains the current value.
    pub(super) fn outer_property(&self) -> Option<PropertyPath> {
        let hidden = |node: &u32| self.index.tree.is(*node, HIDDEN);
        let node = match hidden(&self.section) {
            true => self.index.tree.up(self.section).find(|node| !hidden(node))?,
            false => self.index.entries.last()?.node,
        };
        PropertyPath::new(self.index.tree.path(self.text, node)).ok()
    }

    pub(super) fn refuse(
        &mut self,
        what: &str,
        start: usize,
        path: Option<PropertyPath>,
        sink: &mut dyn ErrorSink,
    ) {
        let error = Error::malformed(what).with_help(
            "To seal a value: bootseal set NAME. To write `secret:…` into the text of a sealed file: bootseal edit",
        );
        let error = match path {
            Some(path) => error.at(&path),
            None => error,
        };
        self.stop(error.at_offset(self.text, start), sink);
    }

    /// The kind of a string that is a property.
    pub(super) fn string_kind(
        &mut self,
        node: u32,
        text: &str,
        start: usize,
        sink: &mut dyn ErrorSink,
    ) -> EntryKind {
        let path =
            |builder: &Self| PropertyPath::new(builder.index.tree.path(builder.text, node)).ok();
        match self.rules {
            Rules::Sealed if text.starts_with(SEALED_PREFIX) => {
                if let Err(error) = check_shape(text) {
                    let error = match path(self) {
                        Some(path) => error.at(&path),
                        None => error,
                    };
                    self.stop(error.at_offset(self.text, start), sink);
                }
                EntryKind::Sealed
            }
            Rules::Sealed if text.starts_with(SECRET_PREFIX) => {
                let path = path(self);
                let what = "a readable string may not begin with `secret:`: it looks like a value to be sealed";
                self.refuse(what, start, path, sink);
                EntryKind::Readable
            }
            Rules::Plain if text.starts_with(SEALED_PREFIX) => {
                let path = path(self);
                self.refuse("begins with `sealed:`: is it sealed already?", start, path, sink);
                EntryKind::Readable
            }
            Rules::Plain if text.starts_with(SECRET_PREFIX) => EntryKind::Marked,
            _ => EntryKind::Readable,
        }
    }

    /// Refuses the prefixes of sealed values inside arrays.
    pub(super) fn check_inner_string(
        &mut self,
        text: &str,
        start: usize,
        sink: &mut dyn ErrorSink,
    ) {
        let what = match self.rules {
            Rules::Own | Rules::Value => return,
            Rules::Plain if text.starts_with(SEALED_PREFIX) || text.starts_with(SECRET_PREFIX) => {
                "`secret:` or `sealed:` in an array: an array is one property, sealed as a whole (--only) or readable"
            }
            Rules::Sealed if text.starts_with(SEALED_PREFIX) => {
                "`sealed:` in an array or in a table inside an array: only a string directly in a table can be sealed"
            }
            Rules::Sealed if text.starts_with(SECRET_PREFIX) => {
                "`secret:` in an array or in a table inside an array: only a string directly in a table can be sealed"
            }
            _ => return,
        };
        let path = self.outer_property();
        self.refuse(what, start, path, sink);
    }
}
