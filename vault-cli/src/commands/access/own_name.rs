//! The name of the user in an access list: the login name, else git's `user.name`, else the name of
//! this machine.

use crate::context::Context;
use crate::git::command::git;
use crate::ui::failure::{Failure, Result};
use bootseal_core::Kind;
use icu_normalizer::DecomposingNormalizerBorrowed;
use std::path::Path;

/// The maximum length of a name in an access list.
const LONGEST: usize = 64;

/// The user's name, as an access list can contain it.
///
/// # Errors
/// [`Kind::Usage`] if none of the places has a name.
pub(crate) fn own_name(context: &mut Context<'_>) -> Result<String> {
    let logins = ["USER", "LOGNAME", "USERNAME"]
        .into_iter()
        .filter_map(|name| context.var(name)?.into_string().ok());
    if let Some(login) = logins.into_iter().find(|name| *name == reduced(name)) {
        return Ok(login);
    }
    let (place, name) = match git_name().map(|name| reduced(&name)) {
        Some(name) if !name.is_empty() => ("git's user.name", name),
        _ => ("the name of this machine", reduced(&host_name(context))),
    };
    if name.is_empty() {
        let text = "no name for you was found: USER is not set, and neither git's user.name nor the name of this machine can be used";
        return Err(Failure::new(Kind::Usage, text)
            .with_help("Set it for this command: USER=NAME bootseal …"));
    }
    context.ui.note(format_args!(
        "USER contains no usable name, so {place} is used: {name}. To change it in a file: bootseal access rename {name} NEW"
    ));
    Ok(name)
}

/// Git's `user.name`, if git is installed and has one.
fn git_name() -> Option<String> {
    let output = git(Path::new(".")).ok()?.args(["config", "--get", "user.name"]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(unix)]
fn host_name(_: &Context<'_>) -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(not(unix))]
fn host_name(context: &Context<'_>) -> String {
    let name = context.var("COMPUTERNAME");
    name.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// The letters and digits of a name without their accents, with `-` for everything that a name in
/// an access list cannot contain; empty if nothing is left.
fn reduced(name: &str) -> String {
    let accent = |next: &char| ('\u{300}'..='\u{36f}').contains(next);
    let letters = DecomposingNormalizerBorrowed::new_nfkd().normalize(name);
    let mut text = String::new();
    for next in letters.chars().filter(|next| !accent(next)) {
        let plain = next.is_ascii_alphanumeric() || "._@-".contains(next);
        match plain {
            true => text.push(next),
            false if text.ends_with('-') => {}
            false => text.push('-'),
        }
    }
    let text = text.trim_start_matches(|first: char| !first.is_ascii_alphanumeric());
    text[..text.len().min(LONGEST)].trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_reduced_to_what_an_access_list_can_contain() {
        for (name, expected) in [
            ("alice", "alice"),
            ("Ada Lovelace", "Ada-Lovelace"),
            ("  Jürgen  Groß (dev) ", "Jurgen-Gro-dev"),
            ("CORP\\alice", "CORP-alice"),
            ("alice@corp.example", "alice@corp.example"),
            ("--yes", "yes"),
            ("李明", ""),
            ("", ""),
            ("...", ""),
            ("\u{1b}[2Jroot", "2Jroot"),
        ] {
            assert_eq!(reduced(name), expected, "{name:?}");
        }
        assert_eq!(reduced(&"é".repeat(100)), "e".repeat(64));
    }
}
