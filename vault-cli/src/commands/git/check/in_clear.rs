//! The search of one file for what must not be in it in the clear: private keys, sealed values and
//! the names of sealed secrets.

use crate::commands::git::check::clear_names::SealedNames;
use crate::commands::git::check::files::Files;
use crate::commands::git::check::private_keys;
use crate::commands::git::check::values::{Found, Owner, Values};
use crate::context::Context;
use crate::formats::parse_named;
use crate::git::objects::is_sealed;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, Shown, shell_path, shell_word, some_names};
use std::borrow::Cow;
use std::path::Path;

/// The number of bytes of a plain settings file that are parsed.
const PARSED: usize = 1 << 20;

/// The reason why a file must not be committed.
pub(super) fn in_clear(
    name: &str,
    bytes: &[u8],
    known: &SealedNames,
    values: &Values,
) -> Option<Failure> {
    let path = Path::new(name);
    if let Some((what, line)) = private_keys::find(bytes) {
        return Some(private_key(path, &what, line));
    }
    if let Some(found) = value_in(name, bytes, values, |_| true) {
        return Some(found);
    }
    (!is_sealed(name)).then(|| known.find(name, &beginning(bytes))).flatten()
}

/// A value that is in the clear in a file, if it `counts`.
fn value_in(
    name: &str,
    bytes: &[u8],
    values: &Values,
    counts: impl Fn(&Owner) -> bool,
) -> Option<Failure> {
    // The readable values and comments of a sealed file may contain a sealed value that does not
    // look like a secret.
    let is_sealed = is_sealed(name);
    let counts = |owner: &Owner| counts(owner) && (!is_sealed || owner.is_secret);
    let mut found = values.find(bytes, counts);
    if found.is_none() && values.any_escaped && !is_sealed {
        found = decoded(Path::new(name), &beginning(bytes), values, counts);
    }
    found.as_ref().map(value)
}

/// The part of a plain settings file that is parsed.
fn beginning(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(&bytes[..bytes.len().min(PARSED)])
}

/// A value that a settings file writes with escapes, or on several lines.
fn decoded<'a>(
    path: &Path,
    text: &str,
    values: &'a Values,
    counts: impl Fn(&Owner) -> bool,
) -> Option<Found<'a>> {
    let input = parse_named(text, path)?.ok()?;
    let mut found = None;
    for property in input.properties(|_| true) {
        let property = property.ok()?;
        found = found.or_else(|| property.value.expose(|bytes| values.find(bytes, &counts)));
    }
    found.map(|found| Found { line: 0, ..found })
}

fn private_key(path: &Path, what: &str, line: usize) -> Failure {
    let text = format!("contains {what} in the clear, in line {line}");
    Failure::new(Kind::Conflict, text).with_help(format!(
        "Remove it from the commit: git rm --cached {}, and add it to .gitignore. If it was ever pushed, replace the key wherever it is used; a member's key with bootseal access add NAME RECIPIENT --replace",
        shell_path(path)
    ))
}

fn value(found: &Found<'_>) -> Failure {
    let place = if found.line > 0 { format!(", in line {}", found.line) } else { String::new() };
    let owner = found.owner;
    let text = format!(
        "contains the value of {}{} in the clear, which is sealed in {}{place}",
        owner.property,
        found.how,
        Shown(&owner.file)
    );
    let property = shell_word(&owner.property);
    Failure::new(Kind::Conflict, text).with_help(format!(
        "Remove the value. If it was ever pushed, change it at the vendor, and then here: bootseal set {property}. If it is no secret, it need not be sealed: bootseal set {property} --plain VALUE --force"
    ))
}

/// Searches the other files of the index for the values that the commit adds: a value may have been
/// committed in the clear before it was sealed.
pub(super) fn in_unchanged(
    files: &mut Files<'_>,
    changed: &[String],
    values: &Values,
    context: &mut Context<'_>,
) -> Result<Vec<(String, Failure)>> {
    let (mut findings, mut left_out) = (Vec::new(), Vec::new());
    for name in files.unchanged(changed) {
        match files.unchanged_content(&name)? {
            Some(bytes) => {
                let found = value_in(&name, &bytes, values, |owner| owner.is_new);
                findings.extend(found.map(|what| (name, what)));
            }
            None => left_out.push(Shown(&name).to_string()),
        }
    }
    if !left_out.is_empty() {
        context.ui.warn(format_args!(
            "not searched for the values that are new, because this clone lacks them or because there is too much to read: {}; to search the whole working tree: bootseal git check",
            some_names(left_out)
        ));
    }
    Ok(findings)
}
