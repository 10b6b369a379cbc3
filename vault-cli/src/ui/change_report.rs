//! The report of a change, for the user who decides whether to accept it: names, readable values,
//! dates and members, with invisible characters escaped.

use crate::ui::output::{timestamp, to_json};
use bootseal_core::{Access, BasicString, Change, Changes, Property, Shown};
use serde_json::{Value, json};

/// Reports changes as lines of text. A change of a setting that determines where a secret is sent
/// is marked with `!`.
pub(crate) fn text(changes: &Changes) -> String {
    let line =
        |row: Row| format!("{}{}: {}", if row.says_where { "! " } else { "" }, row.name, row.what);
    rows(changes).into_iter().map(line).collect::<Vec<_>>().join("\n")
}

struct Row {
    says_where: bool,
    name: String,
    what: String,
}

fn rows(changes: &Changes) -> Vec<Row> {
    let row = |name: &str, what: String| Row { says_where: false, name: name.to_owned(), what };
    let mut rows: Vec<Row> = Vec::new();
    if let Some((old, new)) = changes.vault {
        rows.push(row("vault", format!("{old} is replaced by {new}")));
    }
    if changes.rotated {
        rows.push(row(
            "keys",
            "a new data key; every value was re-encrypted, and without a key it is unknown which of them changed"
                .into(),
        ));
    }
    for access in &changes.access {
        let what = access_text(access.before.as_ref(), access.after.as_ref());
        rows.push(row("access", format!("{} {what}", access.name)));
    }
    rows.extend(changes.properties.iter().map(|change| Row {
        says_where: change.path.settings_table().is_some(),
        name: change.path.to_string(),
        what: change_text(change),
    }));
    let (gone, came) = &changes.comments;
    rows.extend(gone.iter().map(|comment| row("comment gone", Shown(comment).to_string())));
    rows.extend(came.iter().map(|comment| row("comment new", Shown(comment).to_string())));
    rows.extend(changes.moved.iter().map(|(comment, from, to)| {
        row("comment moved", format!("{}, from {} to {}", Shown(comment), Shown(from), Shown(to)))
    }));
    let (gone, came) = &changes.empty_tables;
    rows.extend(gone.iter().map(|table| row("empty table gone", Shown(table).to_string())));
    rows.extend(came.iter().map(|table| row("empty table new", Shown(table).to_string())));
    rows
}

fn access_text(before: Option<&Access>, after: Option<&Access>) -> String {
    let entry = |access: &Access| format!("{}, {}", access.role, access.recipient);
    match (before, after) {
        (None, Some(new)) => format!("gets access ({})", entry(new)),
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
        (Some(before), Some(after)) => {
            format!("{}, {} → {}", change.what(), value(before), value(after))
        }
        (None, Some(only)) | (Some(only), None) => format!("{}, {}", change.what(), value(only)),
        (None, None) => String::new(),
    };
    match change.set_at {
        (Some(before), Some(after)) => {
            let older =
                if change.is_older() { ": OLDER than the value that it replaces" } else { "" };
            format!("{text}; set {} → {}{older}", timestamp(before), timestamp(after))
        }
        (None, Some(at)) => format!("{text}; set {}", timestamp(at)),
        _ => text,
    }
}

/// Formats a readable value on one line.
pub(crate) fn readable(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => BasicString(text).to_string(),
        other => Shown(&other.to_string()).to_string(),
    }
}

/// Reports changes as the document of `--json`.
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
            "older": change.is_older(), "says_where": change.path.settings_table().is_some(),
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

/// Reports changes as Markdown for a pull request. Everything from the file is in code spans, so it
/// cannot make links, images or mentions. It is a list and not a table: parsers disagree on whether
/// `|` after two backslashes ends a cell, and a cell's end would end the code span.
pub(crate) fn markdown(file: &str, headline: &str, changes: &Changes) -> String {
    let mut text = format!("### {}\n\n{headline}\n", code(&Shown(file).to_string()));
    if !changes.is_empty() {
        text.push('\n');
    }
    for row in rows(changes) {
        let mark = if row.says_where { "⚠ " } else { "" };
        text.push_str(&format!("- {mark}{}: {}\n", code(&row.name), code(&row.what)));
    }
    text
}

/// Wraps `text`, which has no line ends, in a code span that it cannot close.
fn code(text: &str) -> String {
    let longest = text.split(|next| next != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    format!("{fence} {text} {fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_file_cannot_close_its_code_span() {
        assert_eq!(code("a"), "` a `");
        assert_eq!(code("a`b``c"), "``` a`b``c ```");
    }
}
