//! Runs a command for each of several files; each file has its own result, and the worst one
//! determines the exit code.

use crate::context::Context;
use crate::ui::failure::{Exit, Failure, Result};
use bootseal_core::{Shown, some_names};
use serde::Serialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The result of a command for one file: as JSON for scripts, and as text for people, which is
/// empty if the command prints nothing on success.
pub(crate) struct Answer<Json = Value> {
    pub(crate) document: Json,
    pub(crate) text: String,
}

/// A document that states its file if a command has several.
pub(crate) trait Document: Serialize {
    /// Adds the field `file`.
    fn with_file(self, file: String) -> Self;
}

impl Document for Value {
    fn with_file(mut self, file: String) -> Value {
        if let Value::Object(fields) = &mut self {
            fields.insert("file".into(), json!(file));
        }
        self
    }
}

/// Runs `verb` for each of `files`. With one file, its result is the whole output; with several, a
/// failure does not stop the others.
pub(crate) fn each<T, Json: Document>(
    files: Vec<(PathBuf, Result<T>)>,
    context: &mut Context<'_>,
    verb: impl FnMut(T, &mut Context<'_>) -> Result<Answer<Json>>,
) -> Result<(), Exit> {
    run(files, context, verb, true)
}

/// Does the same as [`each`] for a command that changes nothing, and prints one answer for all
/// files.
pub(crate) fn gather<T, Json: Document>(
    files: Vec<(PathBuf, Result<T>)>,
    context: &mut Context<'_>,
    verb: impl FnMut(T, &mut Context<'_>) -> Result<Answer<Json>>,
) -> Result<(), Exit> {
    run(files, context, verb, false)
}

fn run<T, Json: Document>(
    files: Vec<(PathBuf, Result<T>)>,
    context: &mut Context<'_>,
    mut verb: impl FnMut(T, &mut Context<'_>) -> Result<Answer<Json>>,
    changes: bool,
) -> Result<(), Exit> {
    let several = files.len() > 1;
    let (mut printed, mut worst, mut quiet) = (0, 0, Vec::new());
    for (path, found) in files {
        let name = path.to_string_lossy().into_owned();
        match found.and_then(|found| verb(found, context)).map_err(|failure| failure.in_file(&path))
        {
            Err(failure) if !several => return Err(failure.into()),
            Err(failure) => {
                worst = worse(worst, failure.exit_code());
                match context.ui.style.json {
                    true => {
                        let document = json!({ "file": name, "error": failure.json() });
                        in_list(&document, &mut printed, context)?;
                    }
                    false => context.ui.failure(&in_file(failure, &path)),
                }
            }
            Ok(answer) if context.ui.style.json && several => {
                in_list(&answer.document.with_file(name), &mut printed, context)?;
            }
            Ok(answer) if context.ui.style.json => context.ui.document(&answer.document)?,
            Ok(answer) if answer.text.is_empty() => quiet.push(Shown::path(&path).to_string()),
            Ok(answer) => context.ui.line(answer.text)?,
        }
    }
    // With several files, the changed ones are listed, because others may have failed.
    if changes && several && !quiet.is_empty() {
        context.ui.note(format_args!("changed: {}", some_names(quiet)));
    }
    match (context.ui.style.json, printed) {
        (false, _) => {}
        (true, 0) if !several => {}
        (true, 0) => context.ui.document(&json!({ "files": [] }))?,
        (true, _) => context.ui.line("]}")?,
    }
    if worst == 0 { Ok(()) } else { Err(Exit::Reported(worst)) }
}

/// Prints one document of the list of all files.
fn in_list(
    document: &impl Serialize,
    printed: &mut usize,
    context: &mut Context<'_>,
) -> Result<()> {
    context.ui.text(if *printed == 0 { "{\"files\":[" } else { "," })?;
    *printed += 1;
    context.ui.json(document)
}

/// Prepends the file's name to an error of one of several files, unless the error already begins
/// with it.
fn in_file(failure: Failure, path: &Path) -> Failure {
    let name = Shown::path(path).to_string();
    if failure.begins_with_file(&name) { failure } else { failure.within(&name) }
}

/// The worse of two exit codes; 3, not authentic, is the worst.
pub(crate) fn worse(one: u8, other: u8) -> u8 {
    if one == 3 || other == 3 { 3 } else { one.max(other) }
}
