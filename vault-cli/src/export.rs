//! Writers of values in the clear, one function for each format; a parser of the format reads back
//! the same values.

use crate::trust::variable;
use crate::ui::failure::{Failure, Result};
use crate::ui::output::to_json;
use bootseal_core::{BasicString, Error, Kind, PropertyPath, is_hidden};
use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use toml::Value;
use zeroize::Zeroizing;

/// A property and its value.
pub(crate) type Clear = (PropertyPath, Value);

type Text = Zeroizing<String>;

const HELP: &str = "Exclude it by naming others with --only, or rename it: bootseal rename";

/// Writes `[table]` and `key = value` lines.
pub(crate) fn toml(values: &[Clear]) -> Result<Text> {
    let mut tables: Vec<(&[String], Text)> = vec![(&[], Text::default())];
    let mut at: HashMap<&[String], usize> = [(&[][..], 0)].into();
    for (path, value) in values {
        let Some((key, table)) = path.segments().split_last() else { continue };
        let index = *at.entry(table).or_insert(tables.len());
        if index == tables.len() {
            tables.push((table, Text::default()));
        }
        let value = Text::new(match value {
            Value::String(text) => BasicString(text).to_string(),
            other => other.to_string(),
        });
        let _ = writeln!(tables[index].1, "{} = {}", PropertyPath::new(vec![key.clone()])?, *value);
    }
    let mut text = Text::default();
    for (table, lines) in tables.iter().filter(|(_, lines)| !lines.is_empty()) {
        if !table.is_empty() {
            let gap = if text.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{gap}[{}]", PropertyPath::new(table.to_vec())?);
        }
        text.push_str(lines);
    }
    Ok(text)
}

/// Writes ASCII in the format of `java.util.Properties.store`.
pub(crate) fn properties(values: &[Clear]) -> Result<Text> {
    let name = |path: &PropertyPath| Ok(path.segments().join("."));
    let mut text = Text::default();
    for (path, name, value) in flat(values, name)? {
        if name.is_empty() {
            return Err(Error::new(Kind::Conflict, "has an empty name in this format")
                .at(path)
                .into());
        }
        escape_java(&name, true, &mut text);
        text.push('=');
        escape_java(&value, false, &mut text);
        text.push('\n');
    }
    Ok(text)
}

fn escape_java(text: &str, key: bool, to: &mut Text) {
    for (index, next) in text.chars().enumerate() {
        match next {
            ' ' if key || index == 0 => to.push_str("\\ "),
            '\t' => to.push_str("\\t"),
            '\n' => to.push_str("\\n"),
            '\r' => to.push_str("\\r"),
            '\u{c}' => to.push_str("\\f"),
            '=' | ':' | '#' | '!' | '\\' => to.extend(['\\', next]),
            ' '..='~' => to.push(next),
            _ => next
                .encode_utf16(&mut [0; 2])
                .iter()
                .for_each(|unit| to.push_str(&format!("\\u{unit:04X}"))),
        }
    }
}

/// Writes `NAME='…'`, or `NAME="…"` if the value contains a single quote, a backslash or a
/// carriage return.
pub(crate) fn env(values: &[Clear]) -> Result<Text> {
    let mut text = Text::default();
    for (path, name, value) in flat(values, variable_name)? {
        refuse_nul(path, &value)?;
        let _ = match value.contains(['\'', '\\', '\r']) {
            false => writeln!(text, "{name}='{}'", *value),
            true => {
                let escaped = value
                    .replace('\\', "\\\\")
                    .replace('"', "\\\"")
                    .replace('\n', "\\n")
                    .replace('\r', "\\r");
                let escaped = Text::new(escaped);
                writeln!(text, "{name}=\"{}\"", *escaped)
            }
        };
    }
    Ok(text)
}

/// Writes `export NAME='…'` for `eval`: a shell takes everything between single quotes literally.
pub(crate) fn sh(values: &[Clear]) -> Result<Text> {
    let mut text = Text::default();
    for (path, name, value) in flat(values, variable_name)? {
        refuse_nul(path, &value)?;
        let quoted = Text::new(value.replace('\'', "'\\''"));
        let _ = writeln!(text, "export {name}='{}'", *quoted);
    }
    Ok(text)
}

fn refuse_nul(path: &PropertyPath, value: &str) -> Result<()> {
    match value.contains('\0') {
        true => Err(Error::new(Kind::Conflict, "contains a NUL, which a variable cannot contain")
            .at(path)
            .into()),
        false => Ok(()),
    }
}

/// Returns the same variable name as in `exec`, if a shell accepts it.
fn variable_name(path: &PropertyPath) -> Result<String> {
    let name = variable::of(path, HELP)?;
    match name.chars().next() {
        Some(first) if !first.is_ascii_digit() => Ok(name),
        _ => {
            let what = "would become a variable name that does not begin with a letter";
            Err(Error::new(Kind::Conflict, what).at(path).with_help(HELP).into())
        }
    }
}

/// Flattens the names to one level, and the values to text as `get` prints it. Two equal names are
/// an error.
fn flat(
    values: &[Clear],
    name: impl Fn(&PropertyPath) -> Result<String>,
) -> Result<Vec<(&PropertyPath, String, Text)>> {
    let mut seen: HashMap<String, &PropertyPath> = HashMap::new();
    let mut rows = Vec::with_capacity(values.len());
    for (path, value) in values {
        let name = name(path)?;
        if let Some(other) = seen.insert(name.clone(), path) {
            let what = format!("{other} and {path} would both become {name}");
            let help = "Select one of them with --only, or rename one: bootseal rename";
            return Err(Failure::new(Kind::Conflict, what).with_help(help));
        }
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        rows.push((path, name, Text::new(text)));
    }
    Ok(rows)
}

/// Writes nested objects; a value without a JSON equivalent becomes text.
pub(crate) fn json(values: &[Clear]) -> Result<Text> {
    let mut text = Text::default();
    json_table(&Tree::of(values), 0, &mut text)?;
    text.push('\n');
    Ok(text)
}

fn json_table(tree: &Tree<'_>, depth: usize, text: &mut Text) -> Result<()> {
    text.push('{');
    for (index, (key, node)) in tree.0.iter().enumerate() {
        let gap = if index > 0 { "," } else { "" };
        let _ = write!(text, "{gap}\n{:1$}{2}: ", "", 2 * depth + 2, serde_json::Value::from(*key));
        match node {
            Node::Table(inner) => json_table(inner, depth + 1, text)?,
            Node::Value(value) => text.push_str(&Text::new(to_json(value).to_string())),
        }
    }
    if !tree.0.is_empty() {
        let _ = write!(text, "\n{:1$}", "", 2 * depth);
    }
    text.push('}');
    Ok(())
}

/// Writes indented mappings, with all text in double quotes, so that every version of YAML reads it
/// as text.
pub(crate) fn yaml(values: &[Clear]) -> Result<Text> {
    let mut text = Text::default();
    match values.is_empty() {
        true => text.push_str("{}\n"),
        false => yaml_table(&Tree::of(values), 0, &mut text),
    }
    Ok(text)
}

fn yaml_table(tree: &Tree<'_>, depth: usize, text: &mut Text) {
    for (key, node) in &tree.0 {
        let _ = write!(text, "{:1$}", "", 2 * depth);
        yaml_key(key, text);
        match node {
            Node::Table(inner) => {
                text.push_str(":\n");
                yaml_table(inner, depth + 1, text);
            }
            Node::Value(value) => {
                text.push_str(": ");
                yaml_value(value, text);
                text.push('\n');
            }
        }
    }
}

fn yaml_key(key: &str, text: &mut Text) {
    // Words that some YAML versions read as a boolean or null if they are not quoted.
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let plain = key.starts_with(|first: char| first.is_ascii_alphabetic())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        && !WORDS.iter().any(|word| key.eq_ignore_ascii_case(word));
    if plain {
        text.push_str(key);
        return;
    }
    // YAML requires the indicator `?` before a key this long.
    if key.len() > 256 {
        text.push_str("? ");
    }
    yaml_text(key, text);
    if key.len() > 256 {
        text.push('\n');
    }
}

fn yaml_value(value: &Value, text: &mut Text) {
    let _ = match value {
        Value::String(inner) => {
            yaml_text(inner, text);
            Ok(())
        }
        Value::Integer(integer) => write!(text, "{integer}"),
        Value::Boolean(boolean) => write!(text, "{boolean}"),
        Value::Float(float) if float.is_nan() => write!(text, ".nan"),
        Value::Float(float) if float.is_infinite() => {
            write!(text, "{}.inf", if *float < 0.0 { "-" } else { "" })
        }
        Value::Float(float) => {
            // YAML 1.1 requires a point, and a sign in the exponent.
            let written = format!("{float:?}");
            match written.split_once('e') {
                Some((mantissa, exponent)) => {
                    let point = if mantissa.contains('.') { "" } else { ".0" };
                    let sign = if exponent.starts_with('-') { "" } else { "+" };
                    write!(text, "{mantissa}{point}e{sign}{exponent}")
                }
                None => write!(text, "{written}"),
            }
        }
        Value::Datetime(time) => {
            yaml_text(&time.to_string(), text);
            Ok(())
        }
        Value::Array(elements) => {
            text.push('[');
            for (index, element) in elements.iter().enumerate() {
                text.push_str(if index > 0 { ", " } else { "" });
                yaml_value(element, text);
            }
            text.push(']');
            Ok(())
        }
        Value::Table(table) => {
            text.push('{');
            for (index, (key, value)) in table.iter().enumerate() {
                text.push_str(if index > 0 { ", " } else { "" });
                yaml_text(key, text);
                text.push_str(": ");
                yaml_value(value, text);
            }
            text.push('}');
            Ok(())
        }
    };
}

fn yaml_text(inner: &str, text: &mut Text) {
    text.push('"');
    for next in inner.chars() {
        let _ = match next {
            '"' | '\\' => write!(text, "\\{next}"),
            '\n' => write!(text, "\\n"),
            '\t' => write!(text, "\\t"),
            '\r' => write!(text, "\\r"),
            // Also characters that YAML does not allow unescaped: U+FEFF, U+FFFE, U+FFFF, U+0085,
            // U+2028.
            other
                if is_hidden(other)
                    || matches!(
                        other,
                        '\u{7f}'..='\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}'
                    ) =>
            {
                match u32::from(other) {
                    code @ 0..=0xFFFF => write!(text, "\\u{code:04X}"),
                    code => write!(text, "\\U{code:08X}"),
                }
            }
            other => write!(text, "{other}"),
        };
    }
    text.push('"');
}

/// The properties as nested tables, in their order.
struct Tree<'a>(Vec<(&'a str, Node<'a>)>);

enum Node<'a> {
    Value(&'a Value),
    Table(Tree<'a>),
}

impl<'a> Tree<'a> {
    fn of(values: &'a [Clear]) -> Tree<'a> {
        let all: Vec<(&[String], &Value)> =
            values.iter().map(|(path, value)| (path.segments(), value)).collect();
        Tree::below(&all)
    }

    fn below(values: &[(&'a [String], &'a Value)]) -> Tree<'a> {
        let mut groups: HashMap<&str, Vec<(&'a [String], &'a Value)>> = HashMap::new();
        let (mut order, mut seen) = (Vec::new(), HashSet::new());
        for (path, value) in values {
            let Some((first, rest)) = path.split_first() else { continue };
            if seen.insert(first.as_str()) {
                order.push(first.as_str());
            }
            groups.entry(first).or_default().push((rest, value));
        }
        let node = |key: &'a str| {
            let group = groups.get(key).map(Vec::as_slice).unwrap_or_default();
            match group {
                [([], value)] => (key, Node::Value(value)),
                inner => (key, Node::Table(Tree::below(inner))),
            }
        };
        Tree(order.into_iter().map(node).collect())
    }
}
