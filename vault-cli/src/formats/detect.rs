//! The format of a file, by its name and by its content.

use crate::cli::Format;
use std::path::Path;

/// Endings that tools add to a name behind the ending of its format.
const ADDED: [&str; 9] =
    ["enc", "sops", "vault", "encrypted", "dist", "example", "sample", "local", "bak"];

/// The number of lines by which a format is recognised.
const LINES: usize = 100;

/// The format that a name indicates: `.env.production`, `app.yaml`, `secrets.yaml.enc`.
pub(crate) fn by_name(path: &Path) -> Option<Format> {
    let name = path.file_name()?.to_str()?;
    if name == ".env" || name.starts_with(".env.") {
        return Some(Format::Env);
    }
    let (stem, ending) = name.rsplit_once('.')?;
    match ending {
        "toml" => Some(Format::Toml),
        "properties" => Some(Format::Properties),
        "env" => Some(Format::Env),
        "json" => Some(Format::Json),
        "yaml" | "yml" => Some(Format::Yaml),
        added if ADDED.contains(&added) => by_name(Path::new(stem)),
        _ => None,
    }
}

/// The only format that the content can have, judging by its first lines; `None` if it is not
/// clear.
pub(crate) fn by_content(text: &str) -> Option<Format> {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with('{') {
        return Some(Format::Json);
    }
    // Only lines that are not indented: others may belong to the value above.
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with([' ', '\t', '#', '!', ';', '}', ']']))
        .filter(|line| !line.trim().is_empty() && *line != "---")
        .take(LINES)
        .collect();
    let all = |is: fn(&str) -> bool| !lines.is_empty() && lines.iter().all(|line| is(line));
    if all(is_yaml) {
        return Some(Format::Yaml);
    }
    if all(is_variable) {
        return Some(Format::Env);
    }
    if all(is_toml) {
        return Some(Format::Toml);
    }
    // `a: b` without any `=` would be YAML.
    all(is_property).then_some(Format::Properties)
}

/// `name: value`, `name:` or `- element`
fn is_yaml(line: &str) -> bool {
    if line == "-" || line.starts_with("- ") {
        return true;
    }
    let name = line.split_once(": ").map(|(name, _)| name).or(line.trim_end().strip_suffix(':'));
    name.is_some_and(|name| !name.is_empty() && !name.contains('='))
}

/// `NAME=value`, possibly after `export`
fn is_variable(line: &str) -> bool {
    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
    let Some((name, _)) = line.split_once('=') else { return false };
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|next| next.is_ascii_alphanumeric() || next == '_')
}

/// `[table]` or `name = value`, with a value that TOML allows
fn is_toml(line: &str) -> bool {
    if line.starts_with('[') {
        return !line.starts_with("[\"")
            && line.split('#').next().unwrap_or_default().trim_end().ends_with(']');
    }
    let Some((name, value)) = line.split_once('=') else { return false };
    let value = value.trim_start();
    let known = value.starts_with(['"', '\'', '[', '{', '+', '-'])
        || value.starts_with(|first: char| first.is_ascii_digit())
        || ["true", "false", "inf", "nan"].iter().any(|word| value.starts_with(word));
    known && !name.trim().is_empty() && !name.contains(':')
}

/// `name.of.key=value`
fn is_property(line: &str) -> bool {
    let Some((name, _)) = line.split_once(['=', ':']) else { return false };
    let name = name.trim_end();
    !name.is_empty() && !name.contains(['[', '"', '\'', ' '])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_with_added_endings_have_the_format_of_the_ending_before() {
        for (name, format) in [
            (".env", Some(Format::Env)),
            (".env.production", Some(Format::Env)),
            ("prod.env.local", Some(Format::Env)),
            ("secrets.yaml.enc", Some(Format::Yaml)),
            ("a/secrets.sops.json", Some(Format::Json)),
            ("app.properties.dist.bak", Some(Format::Properties)),
            ("settings.conf", None),
            ("id_rsa.vault", None),
            ("yaml", None),
        ] {
            assert_eq!(by_name(Path::new(name)), format, "{name}");
        }
    }

    #[test]
    fn the_content_has_one_format_or_is_not_clear() {
        for (text, format) in [
            ("{\"a\": 1}", Some(Format::Json)),
            ("\u{feff}\n {\n", Some(Format::Json)),
            ("a: 1\nb:\n  c=d: 2\n- x\n", Some(Format::Yaml)),
            ("# c\n---\na: b=c\n", Some(Format::Yaml)),
            ("A=1\nexport B='x y'\n", Some(Format::Env)),
            ("db_password=x\n", Some(Format::Env)),
            ("a = \"x\"\n[t]\nb = 1\n", Some(Format::Toml)),
            ("a = [\n  1\n]\n", Some(Format::Toml)),
            ("db.url=jdbc:x\ndb.pw = y\n! c\n", Some(Format::Properties)),
            ("db.url: x=y\ndb.pw=z\n", Some(Format::Properties)),
            ("[section]\nname = unquoted\n", None),
            ("[\"an array of JSON\"]\n", None),
            ("one line of text\n", None),
            ("", None),
        ] {
            assert_eq!(by_content(text), format, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([a-c =:\\[\\]{}\"'#\n\u{e4}-]|export ){0,40}") {
            let _ = by_content(&text);
        }
    }
}
