//! `bootseal git setup`: sets up git to diff and merge sealed files, and to check commits.

use crate::context::Context;
use crate::git::repository::Repository;
use crate::ui::failure::{Exit, Failure, Result};
use bootseal_core::{Error, Kind, Shown};
use serde_json::json;
use std::path::{Path, PathBuf};

const ATTRIBUTES: &str = "*.sealed.toml text eol=lf diff=bootseal merge=bootseal";
/// A merge without a conflict calls only the second hook, and could add an old signed file without
/// calling the merge driver.
const HOOKS: [&str; 2] = ["pre-commit", "pre-merge-commit"];
const HOOK_MARK: &str = "# bootseal: the check at commit";

pub(crate) fn run(context: &mut Context<'_>) -> Result<(), Exit> {
    let near = context.options.file.first().cloned().unwrap_or_else(|| PathBuf::from("."));
    let repository = Repository::of(&near)?;
    let program = program()?;
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
    if add_line(&repository.top().join(".gitattributes"), ATTRIBUTES)? {
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
    Ok(format!("'{}'", own.to_string_lossy().replace('\'', "'\\''")))
}

/// Adds a line to a file, which is created if necessary; returns `false` if the line exists
/// already.
fn add_line(path: &Path, line: &str) -> Result<bool> {
    let failed = |error: std::io::Error| {
        Failure::from(Error::new(Kind::Io, format!("cannot be written: {error}")).in_file(path))
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(error)),
    };
    if text.lines().any(|other| other.trim() == line) {
        return Ok(false);
    }
    let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    std::fs::write(path, format!("{text}{gap}{line}\n")).map_err(failed)?;
    Ok(true)
}

/// Excludes sealed files in the settings of formatters, which would break a signature by rewriting
/// the file.
fn formatters(top: &Path) -> Result<Vec<String>> {
    let mut did = Vec::new();
    if top.join(".prettierignore").exists()
        && add_line(&top.join(".prettierignore"), "*.sealed.toml")?
    {
        did.push(".prettierignore excludes sealed files".into());
    }
    if top.join(".editorconfig").exists() {
        let path = top.join(".editorconfig");
        if add_line(&path, "[*.sealed.toml]")? {
            for line in [
                "trim_trailing_whitespace = unset",
                "insert_final_newline = unset",
                "indent_style = unset",
            ] {
                // The line belongs below this header, even if another section contains the same
                // line.
                append(&path, line)?;
            }
            did.push(".editorconfig excludes sealed files".into());
        }
    }
    for name in [".taplo.toml", "taplo.toml"] {
        let text = std::fs::read_to_string(top.join(name)).unwrap_or_default();
        if !text.is_empty() && !text.contains("sealed.toml") {
            did.push(format!("{name}: add this yourself: exclude = [\"**/*.sealed.toml\"]"));
        }
    }
    Ok(did)
}

fn append(path: &Path, line: &str) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new().append(true).open(path)?;
        std::io::Write::write_all(&mut file, format!("{line}\n").as_bytes())
    };
    write().map_err(|error| {
        Error::new(Kind::Io, format!("cannot be written: {error}")).in_file(path).into()
    })
}

enum Hook {
    Made(PathBuf),
    There,
    Another(PathBuf),
}

fn hook(repository: &Repository, name: &str, program: &str) -> Result<Hook> {
    let answer = repository.ask(&["rev-parse", "--git-path", &format!("hooks/{name}")])?;
    let path = repository.top().join(String::from_utf8_lossy(&answer).trim_end_matches('\n'));
    let failed = |error: std::io::Error| {
        Failure::from(Error::new(Kind::Io, format!("cannot be written: {error}")).in_file(&path))
    };
    match std::fs::read_to_string(&path) {
        Ok(text) if text.contains("git check --staged") => return Ok(Hook::There),
        Ok(_) => return Ok(Hook::Another(path)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(&path, format!("#!/bin/sh\n{HOOK_MARK}\nexec {program} git check --staged\n"))
        .map_err(failed)?;
    #[cfg(unix)]
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .map_err(failed)?;
    Ok(Hook::Made(path))
}
