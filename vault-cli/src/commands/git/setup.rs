//! `bootseal git setup`: sets up git to diff and merge sealed files, and to check commits.

use crate::context::Context;
use crate::git::repository::Repository;
use crate::ui::failure::{Exit, Failure, Result};
use bootseal_core::{Error, FileLock, Kind, PrivateFile, Shown};
use serde_json::json;
use std::path::{Path, PathBuf};

const ATTRIBUTES: &str = "*.sealed.toml text eol=lf diff=bootseal merge=bootseal";
/// A merge without a conflict calls only the second hook, and could add an old signed file without
/// calling the merge driver.
const HOOKS: [&str; 2] = ["pre-commit", "pre-merge-commit"];
const HOOK_MARK: &str = "# bootseal: the check at commit";
const EDITOR_SETTINGS: &str =
    "trim_trailing_whitespace = unset\ninsert_final_newline = unset\nindent_style = unset\n";
/// The maximum size in bytes of a file that a line is added to.
const LARGEST: usize = 16 << 20;

pub(crate) fn run(context: &mut Context<'_>) -> Result<(), Exit> {
    let near = context.options.file.first().cloned().unwrap_or_else(|| PathBuf::from("."));
    let repository = Repository::of(&near)?;
    let program = program()?;
    refuse_links(&repository)?;
    let mut did = Vec::new();
    for (key, value) in [
        ("diff.bootseal.textconv", format!("{program} git textconv")),
        ("diff.bootseal.cachetextconv", "false".into()),
        ("merge.bootseal.name", "sealed files, by property".into()),
        ("merge.bootseal.driver", format!("{program} git merge --marker-size %L -- %O %A %B %P")),
    ] {
        repository.ask(&["config", "--local", key, &value])?;
    }
    did.push("diff and merge drivers in this clone's settings".to_owned());
    if add_line(&repository.top().join(".gitattributes"), ATTRIBUTES, "")? {
        did.push(".gitattributes: commit it, so that every clone has it".into());
    }
    did.extend(formatters(repository.top())?);
    for name in HOOKS {
        match hook(&repository, name, &program)? {
            Hook::Made(path) => did.push(format!("the check at commit, {}", Shown::path(&path))),
            Hook::There => {}
            Hook::Another(path) => context.ui.warn(format_args!(
                "{} is an existing hook, and was not changed; add this line to it: {program} git check --staged",
                Shown::path(&path)
            )),
        }
    }
    for line in &did {
        context.ui.note(format_args!("set up: {line}"));
    }
    context.ui.note("run this once in each clone. A merge on a web page uses no driver: there, use bootseal resolve FILE, and in CI bootseal verify --since BRANCH");
    if context.ui.style.json {
        context
            .ui
            .document(&json!({ "repository": repository.top().to_string_lossy(), "did": did }))?;
    }
    Ok(())
}

/// Returns the command with which git calls this program: its name if PATH finds it, else its path,
/// quoted for the shell that git starts.
fn program() -> Result<String> {
    let own = std::env::current_exe().and_then(|own| own.canonicalize());
    let own = own.map_err(|error| {
        Failure::new(Kind::Io, format!("this program's own path is not known: {error}"))
    })?;
    let found = std::env::var_os("PATH").and_then(|path| {
        let mut folders = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
        folders.find_map(|folder| folder.join("bootseal").canonicalize().ok())
    });
    if found.as_ref() == Some(&own) {
        return Ok("bootseal".into());
    }
    // Always quoted: git adds arguments to some of these settings, and passes all to a shell.
    Ok(format!("'{}'", own.to_string_lossy().replace('\'', "'\\''")))
}

/// Refuses to write through symbolic links, before anything is written: a branch can contain a
/// link, which would lead the write to a file of its author's choice.
fn refuse_links(repository: &Repository) -> Result<()> {
    let mut paths = vec![own_file(repository, "config")?];
    paths.extend(
        [".gitattributes", ".prettierignore", ".editorconfig"]
            .map(|name| repository.top().join(name)),
    );
    for name in HOOKS {
        paths.push(own_file(repository, &format!("hooks/{name}"))?);
    }
    for path in &paths {
        // Above the working tree, links are the user's own.
        let below = |path: &&Path| *path != repository.top();
        let inside = path.starts_with(repository.top());
        let parts = path.ancestors().take_while(below).take(if inside { usize::MAX } else { 1 });
        if let Some(link) = parts.into_iter().find(|part| part.is_symlink()) {
            let text = "is a symbolic link, and is not written through; nothing was set up";
            return Err(Error::new(Kind::Conflict, text)
                .with_help("Replace the link by a file or folder, then run the command again.")
                .in_file(link)
                .into());
        }
    }
    Ok(())
}

/// The path of a file in git's own folder, or of a hook where the settings place it.
fn own_file(repository: &Repository, name: &str) -> Result<PathBuf> {
    let answer = repository.ask(&["rev-parse", "--git-path", name])?;
    Ok(repository.top().join(String::from_utf8_lossy(&answer).trim_end_matches('\n')))
}

/// Adds `line`, and `below` after it, to a file, which is created if necessary; returns `false` if
/// the line exists already.
fn add_line(path: &Path, line: &str, below: &str) -> Result<bool> {
    let lock = FileLock::acquire_unlinked(path)?;
    let text = lock.read_text(LARGEST)?.unwrap_or_default();
    if text.lines().any(|other| other.trim() == line) {
        return Ok(false);
    }
    let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    lock.put(&format!("{text}{gap}{line}\n{below}"))?;
    Ok(true)
}

/// Excludes sealed files in the settings of formatters, which would break a signature by rewriting
/// the file.
fn formatters(top: &Path) -> Result<Vec<String>> {
    let mut did = Vec::new();
    if top.join(".prettierignore").exists()
        && add_line(&top.join(".prettierignore"), "*.sealed.toml", "")?
    {
        did.push(".prettierignore excludes sealed files".into());
    }
    if top.join(".editorconfig").exists() {
        // The settings belong below this header, even if another section has the same lines.
        if add_line(&top.join(".editorconfig"), "[*.sealed.toml]", EDITOR_SETTINGS)? {
            did.push(".editorconfig excludes sealed files".into());
        }
    }
    for name in [".taplo.toml", "taplo.toml"] {
        let text = PrivateFile::read(&top.join(name), LARGEST).ok().flatten().unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        if !text.is_empty() && !text.contains("sealed.toml") {
            did.push(format!("{name}: add this yourself: exclude = [\"**/*.sealed.toml\"]"));
        }
    }
    Ok(did)
}

enum Hook {
    Made(PathBuf),
    There,
    Another(PathBuf),
}

fn hook(repository: &Repository, name: &str, program: &str) -> Result<Hook> {
    let path = own_file(repository, &format!("hooks/{name}"))?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| {
            Error::new(Kind::Io, format!("cannot be made: {error}")).in_file(folder)
        })?;
    }
    let lock = FileLock::acquire_unlinked(&path)?;
    match lock.read_text(LARGEST) {
        Ok(Some(text)) if text.contains("git check --staged") => return Ok(Hook::There),
        Ok(None) => {}
        // A hook can be any program.
        Ok(Some(_)) => return Ok(Hook::Another(path)),
        Err(error) if error.kind() == Kind::Malformed => return Ok(Hook::Another(path)),
        Err(error) => return Err(error.into()),
    }
    lock.create_program(&format!("#!/bin/sh\n{HOOK_MARK}\nexec {program} git check --staged\n"))?;
    Ok(Hook::Made(path))
}
