//! The file that a verb is about: `-f`, `BOOTSEAL_FILE`, or the one `*.sealed.toml` in this folder; and its verification.

use crate::context::Context;
use crate::trust::keyring::Keys;
use crate::trust::memory::Memory;
use crate::trust::pins;
use crate::trust::vouch::verified;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, Pin, SealedFile, Shown, VerifiedFile};
use std::path::{Path, PathBuf};

/// A file that was found and verified, and what is at hand to open it.
pub(crate) struct OpenedFile {
    pub(crate) path: PathBuf,
    pub(crate) keys: Keys,
    pub(crate) pins: Vec<Pin>,
    pub(crate) memory: Memory,
    pub(crate) file: VerifiedFile,
}

/// The file that a verb is about, verified. Nothing vouches for it yet but a pin or this machine's memory.
pub(crate) fn find(context: &mut Context<'_>) -> Result<OpenedFile> {
    let path = sealed_file(context)?;
    let keys = Keys::find(context)?;
    let pins = pins::at_hand(&keys, context)?;
    find_at(&path, keys, pins, context)
}

/// The same for every file that `-f` names, each with its own outcome.
pub(crate) fn find_all(context: &mut Context<'_>) -> Result<Vec<(PathBuf, Result<OpenedFile>)>> {
    let paths = sealed_files(context)?;
    find_each(paths, context)
}

/// The same for these paths.
pub(crate) fn find_each(paths: Vec<PathBuf>, context: &mut Context<'_>) -> Result<Vec<(PathBuf, Result<OpenedFile>)>> {
    let keys = Keys::find(context)?;
    let pins = pins::at_hand(&keys, context)?;
    let each = paths.into_iter().map(|path| {
        let found = find_at(&path, keys.clone(), pins.clone(), context);
        (path, found)
    });
    Ok(each.collect())
}

/// The same for a path, with what is at hand.
pub(crate) fn find_at(path: &Path, keys: Keys, pins: Vec<Pin>, context: &mut Context<'_>) -> Result<OpenedFile> {
    let memory = Memory::of(path, context)?;
    let file = verified(SealedFile::read(path)?, path, &memory, &pins, context)?.with_plugins(&keys.plugins);
    Ok(OpenedFile { path: path.to_path_buf(), keys, pins, memory, file })
}

/// What `-f` names, patterns expanded, else [`sealed_file`].
pub(crate) fn sealed_files(context: &Context<'_>) -> Result<Vec<PathBuf>> {
    if context.options.file.is_empty() {
        return Ok(vec![sealed_file(context)?]);
    }
    expand(&context.options.file)
}

/// The file that `-f` names, where a verb is about one.
pub(crate) fn named_file(context: &Context<'_>) -> Result<Option<PathBuf>> {
    match context.options.file.as_slice() {
        [] => Ok(context.var("BOOTSEAL_FILE").map(PathBuf::from)),
        [path] => Ok(Some(path.clone())),
        _ => Err(Failure::new(Kind::Usage, "this verb takes one file, and -f names several")),
    }
}

/// `-f`, `BOOTSEAL_FILE`, or the one `*.sealed.toml` in this folder.
pub(crate) fn sealed_file(context: &Context<'_>) -> Result<PathBuf> {
    if let Some(path) = named_file(context)? {
        return Ok(path);
    }
    let mut found: Vec<PathBuf> = glob::glob("*.sealed.toml").into_iter().flatten().flatten().collect();
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(Failure::new(Kind::NotFound, "no file was named, and there is no *.sealed.toml in this folder")
            .with_help("Name it with -f FILE or BOOTSEAL_FILE, or make one: bootseal init")),
        _ => {
            let names: Vec<String> = found.iter().map(|path| Shown(&path.to_string_lossy()).to_string()).collect();
            Err(Failure::new(Kind::Usage, format!("several files are here: {}", names.join(", ")))
                .with_help("Name one with -f FILE"))
        }
    }
}

/// Paths with patterns in them as the files that they match, each once, sorted; a name that exists is no pattern.
pub(crate) fn expand(named: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for path in named {
        let text = path.to_string_lossy();
        if path.exists() || !text.contains(['*', '?', '[']) {
            files.push(path.clone());
            continue;
        }
        let shown = Shown(&text).to_string();
        let matches = glob::glob(&text)
            .map_err(|error| Failure::new(Kind::Usage, format!("`{shown}` is not a pattern: {error}")))?;
        let mut found: Vec<PathBuf> = matches.flatten().collect();
        if found.is_empty() {
            return Err(Failure::new(Kind::NotFound, format!("`{shown}` matches no file")));
        }
        found.sort();
        files.extend(found);
    }
    let mut seen = std::collections::HashSet::new();
    files.retain(|path| seen.insert(path.clone()));
    Ok(files)
}
