//! The changes as the document of `--json`, made while it is printed.

use crate::ui::output::{timestamp, to_json};
use bootseal_core::{Access, Change, Changes, Property};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

/// Reports changes as the document of `--json`, or as a part of it.
pub(crate) fn document(changes: &Changes) -> Document<'_> {
    Document { changes, versions: None, revealed: None }
}

/// The changes as JSON. It is made while it is printed, because there can be very many. The fields
/// are in alphabetical order.
pub(crate) struct Document<'a> {
    pub(crate) changes: &'a Changes,
    /// The names of the old and the new version.
    pub(crate) versions: Option<(&'a str, &'a str)>,
    /// Opens the sealed values of a change.
    pub(crate) revealed: Option<&'a dyn Fn(&Change) -> Revealed>,
}

/// The old and the new value in the clear.
pub(crate) type Revealed = (Option<String>, Option<String>);

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let changes = self.changes;
        let entry = |access: &Option<Access>| {
            access
                .as_ref()
                .map(|access| json!({ "role": access.role.to_string(), "recipient": access.recipient.to_string() }))
        };
        let access = changes
            .access
            .iter()
            .map(|change| json!({ "name": change.name, "before": entry(&change.before), "after": entry(&change.after) }));
        let (gone, came) = &changes.comments;
        let moved = changes
            .moved
            .iter()
            .map(|(comment, from, to)| json!({ "comment": comment, "from": from, "to": to }));
        let tables = &changes.empty_tables;
        let vault = changes.vault;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("access", &access.collect::<Vec<_>>())?;
        let comments = Comments { added: came, moved: moved.collect(), removed: gone };
        map.serialize_entry("comments", &comments)?;
        map.serialize_entry("empty_tables", &Tables { added: &tables.1, removed: &tables.0 })?;
        if let Some((old, new)) = self.versions {
            map.serialize_entry("new", new)?;
            map.serialize_entry("old", old)?;
        }
        map.serialize_entry("properties", &Properties(self))?;
        map.serialize_entry("rotated", &changes.rotated)?;
        let vault =
            vault.map(|(old, new)| json!({ "before": old.to_string(), "after": new.to_string() }));
        map.serialize_entry("vault", &vault)?;
        map.end()
    }
}

#[derive(serde::Serialize)]
struct Comments<'a> {
    added: &'a [String],
    moved: Vec<Value>,
    removed: &'a [String],
}

#[derive(serde::Serialize)]
struct Tables<'a> {
    added: &'a [String],
    removed: &'a [String],
}

struct Properties<'a>(&'a Document<'a>);

impl Serialize for Properties<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Document { changes, revealed, .. } = self.0;
        let value = |property: &Option<Property>| match property {
            Some(Property::Readable(value)) => to_json(value),
            _ => Value::Null,
        };
        let sealed = |property: &Option<Property>| matches!(property, Some(Property::Sealed(_)));
        serializer.collect_seq(changes.properties().map(|change| {
            let mut document = json!({
                "name": change.path.to_string(), "change": change.what(),
                "before": value(&change.before), "after": value(&change.after),
                "sealed_before": sealed(&change.before), "sealed_after": sealed(&change.after),
                "set_at_before": change.set_at.0.map(timestamp), "set_at_after": change.set_at.1.map(timestamp),
                "older": change.is_older(), "says_where": change.path.settings_table().is_some(),
            });
            if let Some(revealed) = revealed.filter(|_| touches_sealed(&change)) {
                let (before, after) = revealed(&change);
                document["revealed_before"] = json!(before);
                document["revealed_after"] = json!(after);
            }
            document
        }))
    }
}

/// Whether the old or the new value is sealed.
pub(crate) fn touches_sealed(change: &Change) -> bool {
    let sealed = |property: &Option<Property>| matches!(property, Some(Property::Sealed(_)));
    sealed(&change.before) || sealed(&change.after)
}
