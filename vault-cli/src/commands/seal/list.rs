//! The choice of what to seal as a list of names in the user's editor.

use crate::commands::exec::memory_folder::MemoryFolder;
use crate::commands::seal::wanted::Suggested;
use crate::context::Context;
use crate::ui::editor::{Closed, Editor, Watch};
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, PropertyPath, Shown};
use std::collections::{HashMap, HashSet};
use std::path::Path;

const SEAL: &str = "seal ";
const PLAIN: &str = "plain";

/// Opens the list in the editor, and returns the names that it says are sealed.
///
/// # Errors
/// [`Kind::Usage`] if a line is not understood; [`Kind::Io`] if the editor fails.
pub(super) fn edited(
    path: &Path,
    names: &[PropertyPath],
    suggested: &Suggested,
    context: &mut Context<'_>,
) -> Result<Suggested> {
    let editor = Editor::find(|name| context.var(name))?;
    let folder = MemoryFolder::create(context)?;
    let text = list(path, names, suggested);
    let file = folder.write(Path::new("seal.txt"), |out| Ok(out.write_all(text.as_bytes())?))?;
    match Watch::new()?.run(&editor, &file, folder.path())? {
        Closed::Well => {}
        Closed::Signal(_) => {
            return Err(Failure::new(Kind::Io, "the editor was interrupted; nothing was sealed"));
        }
        Closed::Badly(how) => {
            let text = format!("the editor ended with {how}; nothing was sealed");
            return Err(Failure::new(Kind::Io, text));
        }
    }
    let text = std::fs::read_to_string(&file).map_err(|error| {
        Failure::new(Kind::Io, format!("the edited list cannot be read: {error}"))
    })?;
    let inside = |name: PropertyPath| {
        let inside = suggested.get(&name).cloned().flatten();
        (name, inside)
    };
    Ok(chosen(&text, names)?.into_iter().map(inside).collect())
}

fn list(path: &Path, names: &[PropertyPath], suggested: &Suggested) -> String {
    let mut text = format!(
        "# {}: `seal` seals a value, and `plain` leaves it readable for everyone who has the file.\n# A value whose line is removed is sealed.\n",
        Shown::path(path)
    );
    for name in names {
        let word = if suggested.contains_key(name) { SEAL } else { PLAIN };
        text.push_str(&format!("{word} {name}\n"));
    }
    text
}

fn chosen(text: &str, names: &[PropertyPath]) -> Result<HashSet<PropertyPath>> {
    let known: HashMap<String, &PropertyPath> =
        names.iter().map(|name| (name.to_string(), name)).collect();
    let mut sealed: HashSet<PropertyPath> = names.iter().cloned().collect();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |what: &str| {
            let text = format!("line {} of the list: {what}; nothing was sealed", at + 1);
            Failure::new(Kind::Usage, text)
        };
        let (word, name) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let name = known.get(name.trim()).ok_or_else(|| wrong("no property of the input"))?;
        match word {
            "seal" => {}
            PLAIN => drop(sealed.remove(*name)),
            _ => return Err(wrong("it begins with neither `seal` nor `plain`")),
        }
    }
    Ok(sealed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_line_is_sealed_and_a_line_that_is_not_understood_is_refused() {
        let names: Vec<PropertyPath> =
            ["a", "\"b c\"", "d"].map(|name| name.parse().unwrap()).into();
        let shown = list(Path::new("in.env"), &names, &[(names[0].clone(), None)].into());
        assert!(shown.ends_with("sealed.\nseal  a\nplain \"b c\"\nplain d\n"), "{shown}");
        let sealed = |text: &str| {
            let mut names: Vec<String> =
                chosen(text, &names).unwrap().iter().map(ToString::to_string).collect();
            names.sort();
            names.join(" ")
        };
        assert_eq!(sealed(&shown), "a");
        assert_eq!(sealed("plain a\n  seal\t\"b c\"  \n\n"), "\"b c\" d");
        for text in ["a", "seal x", "keep a", "plain"] {
            assert_eq!(chosen(text, &names).unwrap_err().kind(), Kind::Usage, "{text}");
        }
    }
}
