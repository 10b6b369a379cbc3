//! Finds and verifies the sealed file of a command: `-f`, `BOOTSEAL_FILE`, or the only
//! `*.sealed.toml` in this folder, else in the nearest folder above it in the git repository.

use crate::context::Context;
use crate::git::repository::{Repository, nearest};
use crate::trust::keyring::Keys;
use crate::trust::memory::{Memory, record_reading};
use crate::trust::pins;
use crate::trust::vouch::verified;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, Pin, SealedFile, Shown, Trust, VerifiedFile, some_names};
use std::path::{Path, PathBuf};

/// A file that was found and verified, with the keys and pins for it.
pub(crate) struct OpenedFile {
    pub(crate) path: PathBuf,
    pub(crate) keys: Keys,
    pub(crate) pins: Vec<Pin>,
    pub(crate) memory: Memory,
    pub(crate) file: VerifiedFile,
}

/// Finds and verifies the file of a command. Pins and known vaults are checked, but the user is not
/// asked about an unknown vault.
pub(crate) fn find(context: &mut Context<'_>) -> Result<OpenedFile> {
    let path = sealed_file(context)?;
    let keys = Keys::find(context)?;
    let pins = pins::at_hand(&keys, context)?;
    find_at(&path, keys, pins, context)
}

/// Does the same as [`find`] for every file that `-f` names, each with its own result.
pub(crate) fn find_all(context: &mut Context<'_>) -> Result<Vec<(PathBuf, Result<OpenedFile>)>> {
    let paths = sealed_files(context)?;
    find_each(paths, context)
}

/// Does the same as [`find`] for these paths.
pub(crate) fn find_each(
    paths: Vec<PathBuf>,
    context: &mut Context<'_>,
) -> Result<Vec<(PathBuf, Result<OpenedFile>)>> {
    let keys = Keys::find(context)?;
    let pins = pins::at_hand(&keys, context)?;
    let each = paths.into_iter().map(|path| {
        let found = find_at(&path, keys.clone(), pins.clone(), context);
        (path, found)
    });
    Ok(each.collect())
}

/// Does the same as [`find`] for one path, with the given keys and pins.
pub(crate) fn find_at(
    path: &Path,
    keys: Keys,
    pins: Vec<Pin>,
    context: &mut Context<'_>,
) -> Result<OpenedFile> {
    let mut memory = Memory::of(path, context)?;
    let file = verified(SealedFile::read(path)?, path, &memory, &pins, context)?
        .with_plugins(&keys.plugins);
    // A pin on the command line may name a doubtful file, to read it nevertheless.
    if file.trust() != Trust::Unverified && context.options.pin.is_empty() {
        memory = record_reading(&file, path, memory, context)?;
    }
    Ok(OpenedFile { path: path.to_path_buf(), keys, pins, memory, file })
}

/// The files that `-f` names, with patterns expanded, else [`sealed_file`].
pub(crate) fn sealed_files(context: &Context<'_>) -> Result<Vec<PathBuf>> {
    if context.options.file.is_empty() {
        return Ok(vec![sealed_file(context)?]);
    }
    expand(&context.options.file)
}

/// The file that `-f` or `BOOTSEAL_FILE` names, for a command that takes one file.
pub(crate) fn named_file(context: &Context<'_>) -> Result<Option<PathBuf>> {
    match context.options.file.as_slice() {
        [] => Ok(context.var("BOOTSEAL_FILE").map(PathBuf::from)),
        [path] => Ok(Some(path.clone())),
        _ => Err(Failure::new(Kind::Usage, "this command takes one file, but -f names several")),
    }
}

/// Returns the path from `-f` or `BOOTSEAL_FILE`, or the only `*.sealed.toml` in the nearest
/// searched folder that has one: see [`folders`].
pub(crate) fn sealed_file(context: &Context<'_>) -> Result<PathBuf> {
    if let Some(path) = named_file(context)? {
        // Only the variable's name shows where the wrong path is.
        if context.options.file.is_empty()
            && !path.exists()
            && let Err(error) = SealedFile::read(&path)
        {
            return Err(Failure::from(error).within("BOOTSEAL_FILE"));
        }
        return Ok(path);
    }
    let (mut folders, mut top) = (vec![PathBuf::new()], None);
    let mut at = 0;
    while let Some(folder) = folders.get(at) {
        let mut found = sealed_in(folder);
        match found.len() {
            0 => {}
            1 => return Ok(found.remove(0)),
            _ => return Err(several(folder, &found)),
        }
        if at == 0 {
            // Git is started only if this folder has no file.
            top = above(&mut folders);
        }
        at += 1;
    }
    let place = match &top {
        Some(Ok(top)) => {
            format!("in this folder or above it in the git repository {}", Shown::path(top))
        }
        _ => "in this folder".to_owned(),
    };
    let failure = Failure::new(
        Kind::NotFound,
        format!("no file was named, and there is no *.sealed.toml {place}"),
    )
    .with_help("Name it with -f FILE or BOOTSEAL_FILE, or create one: bootseal init");
    Err(match top {
        Some(Err(why)) => {
            failure.and_help(&format!("The folders above were not searched: {}", why.text()))
        }
        _ => failure,
    })
}

/// Adds the folders above this one, up to the root of the git repository that it belongs to, and
/// returns this root. Git decides what belongs to a repository, and refuses one of another user: a
/// stranger's `.git` and sealed file in a folder above, such as `/tmp`, must not be used.
fn above(folders: &mut Vec<PathBuf>) -> Option<Result<PathBuf>> {
    let here = std::env::current_dir().ok()?;
    nearest(&here)?;
    let top = match Repository::of(Path::new(".")) {
        Ok(repository) => repository.top().to_path_buf(),
        Err(failure) => return Some(Err(failure)),
    };
    let depth =
        here.canonicalize().ok()?.strip_prefix(top.canonicalize().ok()?).ok()?.components().count();
    let mut folder = PathBuf::new();
    for _ in 0..depth {
        folder.push("..");
        folders.push(folder.clone());
    }
    Some(Ok(top))
}

fn sealed_in(folder: &Path) -> Vec<PathBuf> {
    let pattern = folder.join("*.sealed.toml");
    glob::glob(&pattern.to_string_lossy()).into_iter().flatten().flatten().collect()
}

fn several(folder: &Path, found: &[PathBuf]) -> Failure {
    let names: Vec<String> = found.iter().map(|path| Shown::path(path).to_string()).collect();
    let folder = match folder.as_os_str().is_empty() {
        true => "this folder".to_owned(),
        false => format!("the folder {}", Shown::path(folder)),
    };
    Failure::new(Kind::Usage, format!("{folder} has several sealed files: {}", some_names(names)))
        .with_help("Name one with -f FILE")
}

/// Expands patterns in paths to the files that they match, each once and sorted; an existing name
/// is not a pattern.
pub(crate) fn expand(named: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for path in named {
        let text = path.to_string_lossy();
        if path.exists() || !text.contains(['*', '?', '[']) {
            files.push(path.clone());
            continue;
        }
        let shown = Shown(&text).to_string();
        let matches = glob::glob(&text).map_err(|error| {
            Failure::new(Kind::Usage, format!("`{shown}` is not a pattern: {error}"))
        })?;
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
