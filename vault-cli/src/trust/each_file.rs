//! Runs a command for each of several files; each file has its own result, and the worst one
//! determines the exit code.

use crate::context::Context;
use crate::ui::failure::{Exit, Failure, Result};
use bootseal_core::Shown;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The result of a command for one file: as JSON for scripts, and as text for people, which is
/// empty if the command prints nothing on success.
pub(crate) struct Answer {
    pub(crate) document: Value,
    pub(crate) text: String,
}

/// Runs `verb` for each of `files`. With one file, its result is the whole output; with several, a
/// failure does not stop the others.
pub(crate) fn each<T>(
    files: Vec<(PathBuf, Result<T>)>,
    context: &mut Context<'_>,
    verb: impl FnMut(T, &mut Context<'_>) -> Result<Answer>,
) -> Result<(), Exit> {
    run(files, context, verb, true)
}

/// Does the same as [`each`] for a command that changes nothing, and prints one answer for all
/// files.
pub(crate) fn gather<T>(
    files: Vec<(PathBuf, Result<T>)>,
    context: &mut Context<'_>,
    verb: impl FnMut(T, &mut Context<'_>) -> Result<Answer>,
) -> Result<(), Exit> {
    run(files, context, verb, false)
}

fn run<T>(
    files: Vec<(PathBuf, Result<T>)>,
    context: &mut Context<'_>,
    mut verb: impl FnMut(T, &mut Context<'_>) -> Result<Answer>,
    changes: bool,
) -> Result<(), Exit> {
    let several = files.len() > 1;
    let (mut documents, mut worst, mut quiet) = (Vec::new(), 0, Vec::new());
    for (path, found) in files {
        match found.and_then(|found| verb(found, context)).map_err(|failure| failure.in_file(&path))
        {
            Err(failure) if !several => return Err(failure.into()),
            Err(failure) => {
                worst = worse(worst, failure.exit_code());
                match context.ui.style.json {
                    true => documents
                        .push(json!({ "file": path.to_string_lossy(), "error": failure.json() })),
                    false => context.ui.failure(&in_file(failure, &path)),
                }
            }
            Ok(answer) if context.ui.style.json => {
                documents.push(match (several, answer.document) {
                    (true, Value::Object(mut fields)) => {
                        fields.insert("file".into(), json!(path.to_string_lossy()));
                        Value::Object(fields)
                    }
                    (_, document) => document,
                })
            }
            Ok(answer) if answer.text.is_empty() => quiet.push(Shown::path(&path).to_string()),
            Ok(answer) => context.ui.line(answer.text)?,
        }
    }
    // With several files, the changed ones are listed, because others may have failed.
    if changes && several && !quiet.is_empty() {
        context.ui.note(format_args!("changed: {}", quiet.join(", ")));
    }
    if context.ui.style.json {
        match (several, documents.pop()) {
            (false, Some(document)) => context.ui.document(&document)?,
            (_, last) => {
                documents.extend(last);
                context.ui.document(&json!({ "files": documents }))?;
            }
        }
    }
    if worst == 0 { Ok(()) } else { Err(Exit::Reported(worst)) }
}

/// Prepends the file's name to an error of one of several files, unless the error already contains
/// it.
fn in_file(failure: Failure, path: &Path) -> Failure {
    let name = Shown::path(path).to_string();
    if failure.text().contains(&name) { failure } else { failure.within(&name) }
}

/// The worse of two exit codes; 3, not authentic, is the worst.
pub(crate) fn worse(one: u8, other: u8) -> u8 {
    if one == 3 || other == 3 { 3 } else { one.max(other) }
}
