//! Writers of values in the clear, one function for each format; a parser of the format reads back
//! the same values.

mod yaml;

use crate::cli::ExportFormat;
use crate::export::yaml::{yaml_key, yaml_text, yaml_value};
use crate::trust::value_name::{ValueName, readable_in};
use crate::trust::variable;
use crate::ui::failure::{Failure, Result};
use crate::ui::output::{to_json, unless_closed};
use crate::value_writer::write_parts;
use bootseal_core::{
    BasicString, CanRead, ElementPath, Error, Kind, OpenedValue, PropertyPath, ValueKind, Vault,
    value_parts,
};
use std::collections::HashMap;
use std::io::{self, Write};
use toml::Value;

const HELP: &str = "Exclude it by naming others with --only, or rename it: bootseal rename";

/// The properties to write. Each value is opened when it is written, so that they are never all in
/// memory.
pub(crate) struct Values {
    vault: Vault<CanRead>,
    paths: Vec<PropertyPath>,
    /// The paths that stand for an element of an array.
    elements: HashMap<PropertyPath, ElementPath>,
}

/// How a format writes values.
struct Style {
    text: fn(&str, &mut dyn Write) -> io::Result<()>,
    /// Writes anything but a text or an array.
    value: fn(&Value, &mut dyn Write) -> io::Result<()>,
    /// The text between the elements of an array.
    separator: &'static str,
}

impl Values {
    /// Opens every value once, so that no error comes after a part of the output. Bytes are left
    /// out, because a text format cannot represent them, and are reported to `left_out`. Each of
    /// the `elements` of arrays is written after the properties, under the name beside it.
    pub(crate) fn of(
        vault: Vault<CanRead>,
        mut paths: Vec<PropertyPath>,
        elements: Vec<(PropertyPath, ElementPath)>,
        mut left_out: impl FnMut(&PropertyPath),
    ) -> Result<Values> {
        paths.extend(elements.iter().map(|(path, _)| path.clone()));
        let mut values =
            Values { vault, paths: Vec::new(), elements: elements.into_iter().collect() };
        let mut problem = None;
        paths.retain(|path| {
            let has_text = match values.is_readable(path) {
                true => Ok(true),
                false => values.content(path).and_then(|opened| has_text(path, &opened)),
            };
            if let Ok(false) = has_text {
                left_out(path);
            }
            has_text.unwrap_or_else(|error| {
                problem.get_or_insert(error);
                false
            })
        });
        values.paths = paths;
        problem.map_or(Ok(values), |error| Err(error.into()))
    }

    /// Whether it is a property, and readable.
    fn is_readable(&self, path: &PropertyPath) -> bool {
        !self.elements.contains_key(path) && self.vault.file().is_sealed(path) == Some(false)
    }

    fn content(&self, path: &PropertyPath) -> Result<OpenedValue, Error> {
        let name = match self.elements.get(path) {
            Some(element) => ValueName::Element(element.clone()),
            None => ValueName::Property(path.clone()),
        };
        match readable_in(&name, self.vault.file())? {
            Some(value) => Ok(value),
            None => name.of(self.vault.open(name.property())?),
        }
    }

    fn write(&self, path: &PropertyPath, style: &Style, out: &mut dyn Write) -> io::Result<()> {
        let file = self.vault.file();
        if self.is_readable(path) && !file.is_text(path) {
            return write_parts(out, style.separator, style.value, |each| file.parts(path, each));
        }
        let value = self.content(path).map_err(io::Error::other)?;
        let written = value.secret.expose_str(|text| match value.kind {
            ValueKind::Text => (style.text)(text, out),
            _ => write_parts(out, style.separator, style.value, |each| {
                value_parts(text, each);
            }),
        });
        written.map_err(io::Error::other)?
    }

    /// The properties whose values are lists.
    pub(crate) fn lists(&self) -> Result<Vec<&PropertyPath>, Error> {
        let mut lists = Vec::new();
        for path in &self.paths {
            let is_list = match self.is_readable(path) {
                true => self.vault.file().is_array(path),
                false => {
                    let value = self.content(path)?;
                    let starts = value.secret.expose(|bytes| bytes.starts_with(b"["));
                    value.kind == ValueKind::Toml && starts
                }
            };
            lists.extend(is_list.then_some(path));
        }
        Ok(lists)
    }

    /// Calls `each` with a value as text, as `get` prints it.
    fn with_text<R>(&self, path: &PropertyPath, each: impl FnOnce(&str) -> R) -> Result<R, Error> {
        let value = self.content(path)?;
        value
            .secret
            .expose_str(each)
            .map_err(|_| Error::new(Kind::Malformed, "is not text").at(path))
    }
}

/// Whether an opened value is text, and not bytes.
fn has_text(path: &PropertyPath, opened: &OpenedValue) -> Result<bool, Error> {
    let is_value = opened.secret.expose_str(|text| match opened.kind {
        ValueKind::Toml => value_parts(text, &mut |_| {}),
        _ => true,
    });
    match (opened.kind, is_value) {
        (ValueKind::Text | ValueKind::Toml, Ok(true)) => Ok(true),
        (ValueKind::Text | ValueKind::Toml, Ok(false)) => {
            Err(Error::new(Kind::Malformed, "is not TOML").at(path))
        }
        (ValueKind::Text | ValueKind::Toml, Err(_)) => {
            Err(Error::new(Kind::Malformed, "is not text").at(path))
        }
        _ => Ok(false),
    }
}

/// Writes all values. All errors but those of `out` are found before anything is written.
pub(crate) fn write(format: ExportFormat, values: &Values, out: &mut dyn Write) -> Result<()> {
    let mut out = io::BufWriter::new(out);
    let written = match format {
        ExportFormat::Toml => toml(values, &mut out),
        ExportFormat::Json => json(values, &mut out),
        ExportFormat::Yaml => yaml(values, &mut out),
        ExportFormat::Properties => properties(values, &flat(values, property_name)?, &mut out),
        ExportFormat::Env | ExportFormat::Sh => {
            let names = flat(values, variable_name)?;
            refuse_nul(values)?;
            match format {
                ExportFormat::Env => env(values, &names, &mut out),
                _ => sh(values, &names, &mut out),
            }
        }
    };
    unless_closed(written.and_then(|()| out.flush()))
}

/// Writes `[table]` and `key = value` lines.
fn toml(values: &Values, out: &mut dyn Write) -> io::Result<()> {
    const STYLE: Style = Style {
        text: |text, out| write!(out, "{}", BasicString(text)),
        value: |value, out| write!(out, "{value}"),
        separator: ", ",
    };
    // The lines of each table are written at its first property; those of the root come first.
    let mut tables: HashMap<&[String], usize> = [(&[][..], 0)].into();
    let mut order: Vec<(usize, usize)> = Vec::with_capacity(values.paths.len());
    for (at, path) in values.paths.iter().enumerate() {
        let next = tables.len();
        let table = path.segments().split_last().map_or(&[][..], |(_, table)| table);
        order.push((*tables.entry(table).or_insert(next), at));
    }
    drop(tables);
    order.sort_unstable();
    let dotted =
        |segments: &[String]| PropertyPath::new(segments.to_vec()).map_err(io::Error::other);
    let mut gap = "";
    for lines in order.chunk_by(|one, other| one.0 == other.0) {
        for (line, (number, at)) in lines.iter().enumerate() {
            let path = &values.paths[*at];
            let Some((key, table)) = path.segments().split_last() else { continue };
            if line == 0 && *number > 0 {
                writeln!(out, "{gap}[{}]", dotted(table)?)?;
            }
            gap = "\n";
            write!(out, "{} = ", dotted(std::slice::from_ref(key))?)?;
            values.write(path, &STYLE, out)?;
            writeln!(out)?;
        }
    }
    Ok(())
}

/// Writes ASCII in the format of `java.util.Properties.store`.
fn properties(values: &Values, names: &[String], out: &mut dyn Write) -> io::Result<()> {
    each_text(values, names, out, |name, value, out| {
        escape_java(name, true, out)?;
        out.write_all(b"=")?;
        escape_java(value, false, out)?;
        out.write_all(b"\n")
    })
}

fn property_name(path: &PropertyPath) -> Result<String> {
    let name = path.segments().join(".");
    match name.is_empty() {
        true => Err(Error::new(Kind::Conflict, "has an empty name in this format").at(path).into()),
        false => Ok(name),
    }
}

fn escape_java(text: &str, key: bool, out: &mut dyn Write) -> io::Result<()> {
    for (index, next) in text.chars().enumerate() {
        match next {
            ' ' if key || index == 0 => out.write_all(b"\\ ")?,
            '\t' => out.write_all(b"\\t")?,
            '\n' => out.write_all(b"\\n")?,
            '\r' => out.write_all(b"\\r")?,
            '\u{c}' => out.write_all(b"\\f")?,
            '=' | ':' | '#' | '!' | '\\' => write!(out, "\\{next}")?,
            ' '..='~' => write!(out, "{next}")?,
            _ => {
                for unit in next.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04X}")?;
                }
            }
        }
    }
    Ok(())
}

/// Writes `NAME='…'`, or `NAME="…"` if the value contains a single quote, a backslash or a
/// carriage return.
fn env(values: &Values, names: &[String], out: &mut dyn Write) -> io::Result<()> {
    each_text(values, names, out, |name, value, out| {
        if !value.contains(['\'', '\\', '\r']) {
            return writeln!(out, "{name}='{value}'");
        }
        write!(out, "{name}=\"")?;
        for next in value.chars() {
            match next {
                '\\' | '"' => write!(out, "\\{next}")?,
                '\n' => out.write_all(b"\\n")?,
                '\r' => out.write_all(b"\\r")?,
                _ => write!(out, "{next}")?,
            }
        }
        out.write_all(b"\"\n")
    })
}

/// Writes `export NAME='…'` for `eval`: a shell takes everything between single quotes literally.
fn sh(values: &Values, names: &[String], out: &mut dyn Write) -> io::Result<()> {
    each_text(values, names, out, |name, value, out| {
        write!(out, "export {name}='")?;
        for (index, part) in value.split('\'').enumerate() {
            out.write_all(if index > 0 { b"'\\''" } else { b"" })?;
            out.write_all(part.as_bytes())?;
        }
        out.write_all(b"'\n")
    })
}

fn refuse_nul(values: &Values) -> Result<()> {
    for path in &values.paths {
        if values.with_text(path, |text| text.contains('\0'))? {
            let what = "contains a NUL, which a variable cannot contain";
            return Err(Error::new(Kind::Conflict, what).at(path).into());
        }
    }
    Ok(())
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

/// The names on one level. Two equal names are an error.
fn flat(values: &Values, name: fn(&PropertyPath) -> Result<String>) -> Result<Vec<String>> {
    let names: Vec<String> = values.paths.iter().map(name).collect::<Result<_>>()?;
    let mut seen: HashMap<&str, &PropertyPath> = HashMap::new();
    for (path, name) in values.paths.iter().zip(&names) {
        if let Some(other) = seen.insert(name, path) {
            let what = format!("{other} and {path} would both become {name}");
            let help = "Select one of them with --only, or rename one: bootseal rename";
            return Err(Failure::new(Kind::Conflict, what).with_help(help));
        }
    }
    Ok(names)
}

/// Writes each value with `write`, under its name on one level.
fn each_text(
    values: &Values,
    names: &[String],
    out: &mut dyn Write,
    write: impl Fn(&str, &str, &mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    for (path, name) in values.paths.iter().zip(names) {
        values.with_text(path, |text| write(name, text, out)).map_err(io::Error::other)??;
    }
    Ok(())
}

/// Writes nested objects; a value without a JSON equivalent becomes text.
fn json(values: &Values, out: &mut dyn Write) -> io::Result<()> {
    const STYLE: Style = Style {
        text: |text, out| Ok(serde_json::to_writer(out, text)?),
        value: |value, out| Ok(serde_json::to_writer(out, &to_json(value))?),
        separator: ",",
    };
    out.write_all(b"{")?;
    let mut is_empty = true;
    nested(&values.paths, &mut |step, depth| {
        if !matches!(step, Step::Close) {
            let gap = if is_empty { "" } else { "," };
            write!(out, "{gap}\n{:1$}", "", 2 * depth + 2)?;
        }
        is_empty = matches!(step, Step::Table(_));
        match step {
            Step::Table(key) => {
                serde_json::to_writer(&mut *out, key)?;
                out.write_all(b": {")
            }
            Step::Value(key, path) => {
                serde_json::to_writer(&mut *out, key)?;
                out.write_all(b": ")?;
                values.write(path, &STYLE, out)
            }
            Step::Close => write!(out, "\n{:1$}}}", "", 2 * depth + 2),
        }
    })?;
    out.write_all(if values.paths.is_empty() { b"}\n" } else { b"\n}\n" })
}

/// Writes indented mappings, with all text in double quotes, so that every version of YAML reads it
/// as text.
fn yaml(values: &Values, out: &mut dyn Write) -> io::Result<()> {
    const STYLE: Style = Style { text: yaml_text, value: yaml_value, separator: ", " };
    if values.paths.is_empty() {
        return out.write_all(b"{}\n");
    }
    nested(&values.paths, &mut |step, depth| match step {
        Step::Table(key) => {
            write!(out, "{:1$}", "", 2 * depth)?;
            yaml_key(key, out)?;
            out.write_all(b":\n")
        }
        Step::Value(key, path) => {
            write!(out, "{:1$}", "", 2 * depth)?;
            yaml_key(key, out)?;
            out.write_all(b": ")?;
            values.write(path, &STYLE, out)?;
            out.write_all(b"\n")
        }
        Step::Close => Ok(()),
    })
}

/// A step through the properties as nested tables.
enum Step<'a> {
    Table(&'a str),
    Value(&'a str, &'a PropertyPath),
    Close,
}

/// Calls `step` for the properties as nested tables, each at its first property, and with the
/// number of tables around it.
fn nested<'a>(
    paths: &'a [PropertyPath],
    step: &mut dyn FnMut(Step<'a>, usize) -> io::Result<()>,
) -> io::Result<()> {
    nested_below(paths, (0..paths.len()).collect(), 0, step)
}

/// Does the same for some of the paths, which have the first `depth` segments in common.
fn nested_below<'a>(
    paths: &'a [PropertyPath],
    among: Vec<usize>,
    depth: usize,
    step: &mut dyn FnMut(Step<'a>, usize) -> io::Result<()>,
) -> io::Result<()> {
    let key = |at: usize| paths[at].segments().get(depth).map_or("", String::as_str);
    let mut groups: HashMap<&str, usize> = HashMap::new();
    let mut order: Vec<(usize, usize)> = Vec::with_capacity(among.len());
    for at in among {
        let next = groups.len();
        order.push((*groups.entry(key(at)).or_insert(next), at));
    }
    drop(groups);
    order.sort_unstable();
    for group in order.chunk_by(|one, other| one.0 == other.0) {
        let at = group[0].1;
        if paths[at].segments().len() == depth + 1 {
            step(Step::Value(key(at), &paths[at]), depth)?;
            continue;
        }
        step(Step::Table(key(at)), depth)?;
        nested_below(paths, group.iter().map(|(_, at)| *at).collect(), depth + 1, step)?;
        step(Step::Close, depth)?;
    }
    Ok(())
}
