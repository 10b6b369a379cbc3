//! `bootseal list`: lists the names, whether they are sealed or readable, when each value was set,
//! and the readable values on request.

use crate::cli::List;
use crate::context::Context;
use crate::trust::each_file::{self, Answer, Document};
use crate::trust::locate::{self, OpenedFile};
use crate::trust::vouch::{or_read_anyway, warn_if_doubtful};
use crate::ui::failure::{Exit, Result};
use crate::ui::output::{timestamp, to_json, write_json};
use crate::ui::review_row::{LONGEST_PART, cut};
use crate::value_writer::{readable_text, write_parts};
use bootseal_core::{BasicString, PropertyPath, Shown, ValuePart, VerifiedFile, some_names};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;
use std::io::Write;

pub(crate) fn run(options: &List, context: &mut Context<'_>) -> Result<(), Exit> {
    let prefix = options.prefix.as_deref().map(str::parse::<PropertyPath>).transpose()?;
    let found = locate::find_all(context)?.into_iter();
    let found = found.map(|(path, found)| {
        let found = found.map_err(|failure| or_read_anyway(failure, &path));
        (path, found)
    });
    let found: Vec<_> = found.collect();
    let several = found.len() > 1;
    each_file::each(found, context, |mut found, context| {
        warn_if_doubtful(&found.file, &found.memory, &found.path, context);
        found.keys.unlock_unasked(&found.file, context)?;
        let heading = several.then(|| format!("{}:", Shown::path(&found.path)));
        let values = match context.ui.style.json {
            _ if !options.values => Values::Hidden,
            true => Values::Json,
            false => Values::Text,
        };
        let list = Rows { values, ..Rows::of(found, prefix.as_ref())? };
        if context.ui.style.json {
            return Ok(Answer { document: list, text: String::new() });
        }
        // Each row is printed at once, because a file can have very many.
        let widths = names(&list.file, list.prefix).map(|(path, _)| path.to_string());
        let width = widths.map(|name| name.chars().count()).max().unwrap_or_default();
        let mut last = heading.unwrap_or_default();
        for row in list.rows() {
            if !last.is_empty() {
                context.ui.line(&last)?;
            }
            last = line(&row, width, &list.file);
        }
        Ok(Answer { document: list, text: last })
    })
}

/// The properties that are listed.
struct Rows<'a> {
    /// The name of the file, if there are several.
    name: Option<String>,
    prefix: Option<&'a PropertyPath>,
    file: VerifiedFile,
    /// Whether there is an identity for the file, and the date of each sealed value.
    opened: bool,
    dates: Vec<u64>,
    values: Values,
}

/// How readable values are listed.
#[derive(Clone, Copy)]
enum Values {
    Hidden,
    Json,
    /// As TOML, of which a very long text keeps both ends.
    Text,
}

/// The fields are in the order in which `--json` prints them.
#[derive(serde::Serialize)]
struct Row {
    /// The removed members who know the value; `None` without an identity.
    known_to: Option<Vec<String>>,
    name: String,
    sealed: bool,
    set_at: Option<String>,
    /// With --values only.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<RowValue>,
}

#[derive(serde::Serialize)]
#[serde(untagged)]
enum RowValue {
    /// The value is sealed.
    Sealed,
    Json(Box<RawValue>),
    Text(String),
}

impl Document for Rows<'_> {
    fn with_file(self, file: String) -> Self {
        Rows { name: Some(file), ..self }
    }
}

/// Each row is printed when it is made, because a file can have very many.
impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(name) = &self.name {
            map.serialize_entry("file", name)?;
        }
        map.serialize_entry("properties", &Properties(self))?;
        map.end()
    }
}

struct Properties<'a>(&'a Rows<'a>);

impl Serialize for Properties<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.rows())
    }
}

impl<'a> Rows<'a> {
    fn of(found: OpenedFile, prefix: Option<&'a PropertyPath>) -> Result<Rows<'a>> {
        let OpenedFile { keys, file, .. } = found;
        if let Some(prefix) = prefix
            && !file.names().any(|(path, _)| path.starts_with(prefix.segments()))
        {
            return Err(file.not_found(prefix).into());
        }
        // The dates are encrypted with the values, so that reading them needs an identity.
        if file.role_of(&keys.identities).is_none() {
            return Ok(Rows {
                name: None,
                prefix,
                file,
                opened: false,
                dates: Vec::new(),
                values: Values::Hidden,
            });
        }
        let vault = file.open(&keys.identities)?;
        let sealed = names(vault.file(), prefix).filter(|(_, sealed)| *sealed);
        let dates = sealed.map(|(path, _)| vault.open(&path).map(|opened| opened.set_at));
        let dates = dates.collect::<std::result::Result<_, _>>()?;
        Ok(Rows {
            name: None,
            prefix,
            file: vault.into_file(),
            opened: true,
            dates,
            values: Values::Hidden,
        })
    }

    fn rows(&self) -> impl Iterator<Item = Row> {
        let mut dates = self.dates.iter().copied();
        names(&self.file, self.prefix).map(move |(path, sealed)| {
            let set_at = if sealed { dates.next() } else { None };
            let known_to = self.opened.then(|| {
                let names = set_at.map(|at| self.file.known_to(at)).unwrap_or_default();
                names.into_iter().map(str::to_owned).collect()
            });
            let value = self.value(&path, sealed);
            Row { known_to, name: path.to_string(), sealed, set_at: set_at.map(timestamp), value }
        })
    }
}

impl Rows<'_> {
    /// The readable value. An array is read one element at a time.
    fn value(&self, path: &PropertyPath, sealed: bool) -> Option<RowValue> {
        match self.values {
            Values::Hidden => None,
            _ if sealed => Some(RowValue::Sealed),
            Values::Json => {
                let text = json_text(|each| self.file.parts(path, each));
                RawValue::from_string(text).ok().map(RowValue::Json)
            }
            Values::Text => {
                let text = readable_text(&self.file, path);
                let text = String::from_utf8_lossy(&text);
                let text = match self.file.is_text(path) {
                    true => BasicString(&text).to_string(),
                    false => Shown(&text).to_string(),
                };
                Some(RowValue::Text(cut(&text, LONGEST_PART)))
            }
        }
    }
}

/// The JSON of a value, from its parts.
fn json_text(parts: impl FnOnce(&mut dyn FnMut(ValuePart))) -> String {
    let mut text = Vec::new();
    let json = |value: &toml::Value, out: &mut dyn Write| {
        write_json(out, &to_json(value)).map_err(Into::into)
    };
    let _ = write_parts(&mut text, ",", json, parts);
    String::from_utf8_lossy(&text).into_owned()
}

fn names(
    file: &VerifiedFile,
    prefix: Option<&PropertyPath>,
) -> impl Iterator<Item = (PropertyPath, bool)> {
    file.names()
        .filter(move |(path, _)| prefix.is_none_or(|prefix| path.starts_with(prefix.segments())))
}

/// The removed members who know a value. A name that has access now is of someone who was added
/// again or has a new key: the former key may be in other hands.
pub(crate) fn former(names: &[impl AsRef<str>], file: &VerifiedFile) -> String {
    some_names(names.iter().map(|name| match has_access(name.as_ref(), file) {
        true => format!("{} (former access)", name.as_ref()),
        false => name.as_ref().to_owned(),
    }))
}

/// Whether a member has this name now.
pub(crate) fn has_access(name: &str, file: &VerifiedFile) -> bool {
    file.access().iter().any(|access| access.name == name)
}

fn line(row: &Row, width: usize, file: &VerifiedFile) -> String {
    let kind = if row.sealed { "sealed" } else { "readable" };
    let known = row.known_to.as_ref().filter(|names| !names.is_empty());
    let known = known.map_or(String::new(), |names| format!("  known to {}", former(names, file)));
    let date = row.set_at.as_deref().unwrap_or_default();
    let value = match &row.value {
        Some(RowValue::Text(text)) => text,
        _ => "",
    };
    format!("{:width$}  {kind:8}  {date}{known}{value}", row.name).trim_end().to_owned()
}
