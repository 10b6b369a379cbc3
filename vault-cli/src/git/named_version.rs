//! A version that the user names: a file, `REV:FILE`, or only `REV`, for a file that is named
//! elsewhere.

use crate::git::repository::Repository;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{HandEdit, Kind, Shown, Typed, shell_word};
use std::path::{Path, PathBuf};

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Named {
    File,
    Revision,
}

/// Decides whether `named` is a file, or a revision (with or without `:FILE`) in the repository of
/// `path` or of the current folder.
///
/// # Errors
/// [`Kind::NotFound`] for a file named like `REV:FILE`, if there is no such revision;
/// [`Kind::Usage`] if there are both: a branch can contain a file named `main`, or a file
/// `main:app.sealed.toml` in a folder `origin`, and anyone can push a tag with the name of a file.
pub(crate) fn named_version(named: &str, path: &Path) -> Result<Named> {
    // A folder is not a version.
    if !Path::new(named).metadata().is_ok_and(|found| !found.is_dir()) {
        return Ok(Named::Revision);
    }
    if ["./", "../", "/"].iter().any(|start| named.starts_with(start)) {
        return Ok(Named::File);
    }
    let (revision, file) = match named.split_once(':') {
        Some((revision, file)) => (revision, file.to_owned()),
        None => (named, path.to_string_lossy().into_owned()),
    };
    let mut asked: Option<Repository> = None;
    for near in [Path::new("."), path] {
        // Where there is no repository, there is no revision.
        let Ok(repository) = Repository::of(near) else { continue };
        if asked.as_ref().is_some_and(|asked| asked.top() == repository.top()) {
            continue;
        }
        match repository.commit(revision) {
            // A clone may lack the revision, so a name that looks like one never means the file.
            Err(failure)
                if failure.kind() == Kind::NotFound
                    && (named.contains(':') || repository.is_of_remote(named)?) =>
            {
                let file = shell_word(format!("./{named}"));
                return Err(failure.with_help(format!("For the file of this name: {file}")));
            }
            Err(failure) if failure.kind() == Kind::NotFound => {}
            Err(failure) if failure.kind() == Kind::Usage => {
                return Err(both(named, (revision, &file), None, &repository));
            }
            Err(failure) => return Err(failure),
            Ok(commit) => return Err(both(named, (revision, &file), Some(commit), &repository)),
        }
        asked = Some(repository);
    }
    Ok(Named::File)
}

/// The error of a name that is both a file and a revision. Its help has an unambiguous name for
/// each of them.
fn both(
    named: &str,
    (revision, file): (&str, &str),
    commit: Option<String>,
    repository: &Repository,
) -> Failure {
    let file = if file == "." { "FILE" } else { file };
    let names = [Some(revision.to_owned()), repository.full_name(revision), commit];
    let names = names.into_iter().flatten().map(|name| format!("{name}:{file}"));
    let free = names.into_iter().find(|name| name != named && !Path::new(name).exists());
    let help = match free {
        Some(free) => format!("For the revision: {}", shell_word(&free)),
        None => "For the revision: save it outside the repository with git show".to_owned(),
    };
    let text = format!("{} is the name of both a file and a revision", Typed(named));
    let file = shell_word(format!("./{named}"));
    Failure::new(Kind::Usage, text).with_help(format!("For the file: {file}. {help}"))
}

/// Reads a version that is named as `REV:FILE`, as a file, or as a revision of the file at `path`.
///
/// # Errors
/// [`Kind::Usage`] as for [`named_version`], and the errors of reading.
pub(crate) fn bytes_of(named: &str, path: &Path) -> Result<(String, Vec<u8>)> {
    match named_version(named, path)? {
        Named::File => bytes_of_file(Path::new(named)),
        Named::Revision => bytes_at(named, path),
    }
}

/// Reads a file. Also returns the name to show for it.
pub(crate) fn bytes_of_file(path: &Path) -> Result<(String, Vec<u8>)> {
    Ok((Shown::path(path).to_string(), HandEdit::read(path)?.text().into_bytes()))
}

/// Reads the version `REV:FILE`, or that of the file at `path` in the revision `REV`. Also returns
/// the name to show for it.
///
/// # Errors
/// [`Kind::NotFound`] if there is no such version, and the errors of git.
pub(crate) fn bytes_at(named: &str, path: &Path) -> Result<(String, Vec<u8>)> {
    let (revision, path) = match named.split_once(':') {
        Some((revision, file)) => (revision, PathBuf::from(file)),
        None => (named, path.to_path_buf()),
    };
    let repository = Repository::of(&path).map_err(|failure| match failure.kind() {
        Kind::NotFound => {
            let text = format!(
                "{} is not a file, and cannot be a revision, because there is no git repository",
                Typed(named)
            );
            Failure::new(Kind::NotFound, text)
        }
        _ => failure,
    })?;
    let commit = repository.commit(revision)?;
    // A link may have replaced a folder of the file.
    let written = repository.name_as_written(&path);
    let name = match written {
        Some(written) if repository.entry(&commit, &written)?.is_some() => written,
        _ => repository.name_of(&path)?,
    };
    match repository.blob(&commit, &name)? {
        Some(bytes) => Ok((format!("{}:{}", Shown(revision), Shown(&name)), bytes)),
        None => Err(Failure::new(
            Kind::NotFound,
            format!("{} has no {}", Typed(revision), Shown(&name)),
        )),
    }
}
