//! How is a change shown to someone who is to accept it? Names, readable values, dates, people; everything unseen escaped.

use crate::output::{timestamp, to_json};
use bootseal_core::{Access, BasicString, Change, Changes, Property, Shown};
use serde_json::{Value, json};

/// As lines of text: what says where a secret goes first.
pub(crate) fn text(changes: &Changes) -> String {
    let mut lines: Vec<String> = Vec::new();
    if let Some((old, new)) = changes.vault {
        lines.push(format!("vault: {old} is {new} from here on"));
    }
    if changes.rotated {
        lines.push("keys: a new data key; every value is sealed anew".into());
    }
    for access in &changes.access {
        lines.push(format!("access: {} {}", access.name, access_text(access.before.as_ref(), access.after.as_ref())));
    }
    for change in &changes.properties {
        let mark = if change.path.says_where() { "! " } else { "" };
        lines.push(format!("{mark}{}: {}", change.path, change_text(change)));
    }
    let (gone, came) = &changes.comments;
    lines.extend(gone.iter().map(|comment| format!("comment gone: {}", Shown(comment))));
    lines.extend(came.iter().map(|comment| format!("comment new: {}", Shown(comment))));
    lines.extend(changes.moved.iter().map(|(comment, from, to)| {
        format!("comment moved: {}, from {} to {}", Shown(comment), Shown(from), Shown(to))
    }));
    let (gone, came) = &changes.empty_tables;
    lines.extend(gone.iter().map(|table| format!("empty table gone: {}", Shown(table))));
    lines.extend(came.iter().map(|table| format!("empty table new: {}", Shown(table))));
    lines.join("\n")
}

fn access_text(before: Option<&Access>, after: Option<&Access>) -> String {
    let entry = |access: &Access| format!("{}, {}", access.role, access.recipient);
    match (before, after) {
        (None, Some(new)) => format!("is let in ({})", entry(new)),
        (Some(old), None) => format!("is removed (was {})", entry(old)),
        (Some(old), Some(new)) => format!("was {}, is {}", entry(old), entry(new)),
        (None, None) => String::new(),
    }
}

fn change_text(change: &Change) -> String {
    let value = |property: &Property| match property {
        Property::Readable(value) => readable(value),
        Property::Sealed(_) => "sealed".into(),
    };
    let text = match (&change.before, &change.after) {
        (Some(Property::Sealed(_)), Some(Property::Sealed(_))) => "sealed value changed".into(),
        (Some(before), Some(after)) => format!("{}, {} → {}", change.what(), value(before), value(after)),
        (None, Some(only)) | (Some(only), None) => format!("{}, {}", change.what(), value(only)),
        (None, None) => String::new(),
    };
    match change.set_at {
        (Some(before), Some(after)) => {
            let older = if change.is_older() { ": OLDER than what it replaces" } else { "" };
            format!("{text}; given {} → {}{older}", timestamp(before), timestamp(after))
        }
        (None, Some(at)) => format!("{text}; given {}", timestamp(at)),
        _ => text,
    }
}

/// A readable value on one line.
pub(crate) fn readable(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => BasicString(text).to_string(),
        other => Shown(&other.to_string()).to_string(),
    }
}

pub(crate) fn document(changes: &Changes) -> Value {
    let property = |property: &Option<Property>| match property {
        Some(Property::Readable(value)) => to_json(value),
        _ => Value::Null,
    };
    let sealed = |property: &Option<Property>| matches!(property, Some(Property::Sealed(_)));
    let properties = changes.properties.iter().map(|change| {
        json!({
            "name": change.path.to_string(), "change": change.what(),
            "before": property(&change.before), "after": property(&change.after),
            "sealed_before": sealed(&change.before), "sealed_after": sealed(&change.after),
            "set_at_before": change.set_at.0.map(timestamp), "set_at_after": change.set_at.1.map(timestamp),
            "older": change.is_older(), "says_where": change.path.says_where(),
        })
    });
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
    json!({
        "properties": properties.collect::<Vec<_>>(), "access": access.collect::<Vec<_>>(),
        "comments": {
            "removed": gone, "added": came,
            "moved": changes.moved.iter().map(|(comment, from, to)| json!({ "comment": comment, "from": from, "to": to })).collect::<Vec<_>>(),
        },
        "empty_tables": { "removed": changes.empty_tables.0, "added": changes.empty_tables.1 }, "rotated": changes.rotated,
        "vault": changes.vault.map(|(old, new)| json!({ "before": old.to_string(), "after": new.to_string() })),
    })
}

/// As Markdown for a pull request. Everything from the file stands in code spans: it cannot make links, images or mentions.
pub(crate) fn markdown(file: &str, headline: &str, changes: &Changes) -> String {
    let mut text = format!("### {}\n\n{headline}\n", code(file));
    if changes.is_empty() {
        return text;
    }
    text.push_str("\n| | what |\n|---|---|\n");
    for line in self::text(changes).lines() {
        let (name, what) = line.split_once(": ").unwrap_or(("", line));
        let name = name.strip_prefix("! ").map_or_else(|| code(name), |name| format!("⚠ {}", code(name)));
        text.push_str(&format!("| {name} | {} |\n", code(what)));
    }
    text
}

/// A code span that `text` cannot end, inside a table.
fn code(text: &str) -> String {
    let longest = text.split(|next| next != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    format!("{fence} {} {fence}", text.replace('|', "\\|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_a_file_leaves_its_code_span() {
        assert_eq!(code("a"), "` a `");
        assert_eq!(code("a`b``c"), "``` a`b``c ```");
        assert_eq!(code("a | b"), "` a \\| b `");
    }
}
