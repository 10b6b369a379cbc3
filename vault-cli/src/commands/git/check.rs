//! `bootseal git check`: finds secrets in the clear and vaults that do not verify, before they are
//! committed.

use crate::cli::GitCheck;
use crate::commands::verify::since::Since;
use crate::context::Context;
use crate::formats::parse_named;
use crate::git::objects::{Entry, is_sealed, staged};
use crate::git::repository::Repository;
use crate::ui::failure::{Exit, Failure, Result};
use bootseal_core::{
    Kind, PlainDocument, PropertyPath, SealedFile, Shown, VaultId, VerifiedFile, open_source,
    shell_path,
};
use serde_json::json;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The number of bytes of an unsealed file that are searched for a secret.
const LOOKED_AT: usize = 1 << 20;
/// The maximum size of a sealed file in bytes.
const LARGEST: u64 = 16 << 20;
/// How the last line of a sealed file begins.
const SIGNATURE: &[u8] = b"\nsignature = \"";
/// The number of bytes at the end of a file that contain its last line, if it is a sealed file.
const LAST_LINE: usize = 128;

pub(crate) fn run(options: &GitCheck, context: &mut Context<'_>) -> Result<(), Exit> {
    let near = context.options.file.first().cloned().unwrap_or_else(|| PathBuf::from("."));
    let repository = Repository::of(&near)?;
    let names = names(&repository, options.staged)?;
    let in_index = index(&repository)?;
    let index = options.staged.then_some(&in_index);
    let since = Since::head(&repository)?;
    let mut findings: Vec<(String, Failure)> = Vec::new();
    let mut vaults: BTreeMap<VaultId, Vec<String>> = BTreeMap::new();
    let mut sealed: HashMap<String, HashSet<PropertyPath>> = HashMap::new();
    for (name, what) in odd(&repository, since.as_ref())? {
        findings.push((name, Failure::new(Kind::Conflict, what)));
    }
    // All sealed files are read: a file in the commit may belong to the same vault as any other
    // file.
    for name in all_sealed(&repository)? {
        let committed = names.contains(&name);
        let bytes = match content(&repository, index, &name) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => continue,
            Err(failure) if committed => return Err(failure.into()),
            // A partial clone may lack files that the commit does not change.
            Err(failure) => {
                context.ui.warn(format_args!("not compared with the others: {}", failure.text()));
                continue;
            }
        };
        match SealedFile::parse(bytes).and_then(|file| file.verify(&[])) {
            Ok(file) => {
                vaults.entry(file.vault_id()).or_default().push(name.clone());
                let secret = file.names().filter(|(_, sealed)| *sealed);
                sealed.insert(name.to_lowercase(), secret.map(|(path, _)| path).collect());
                if committed && let Some(since) = &since {
                    findings.extend(
                        older(since, &repository, &name, file)
                            .err()
                            .map(|failure| (name.clone(), failure)),
                    );
                }
            }
            Err(error) if committed => findings.push((name, error.into())),
            Err(_) => {}
        }
    }
    for (vault, files) in vaults.into_iter().filter(|(_, files)| files.len() > 1) {
        let what = format!(
            "{} belong to one vault, {vault}: a copy is not a new vault, and anyone who can open one can open the other",
            files.iter().map(|file| Shown(file).to_string()).collect::<Vec<_>>().join(" and ")
        );
        let help = "Create a separate vault: bootseal init --like FILE -f NEW";
        findings.push((files[0].clone(), Failure::new(Kind::Conflict, what).with_help(help)));
    }
    for name in names.iter().filter(|name| !is_sealed(name)) {
        let Some(bytes) = content(&repository, index, name)? else { continue };
        if let Some(what) = in_clear(name, &bytes[..bytes.len().min(LOOKED_AT)], &sealed) {
            let help = "Remove it from the commit (git rm --cached), and add it to .gitignore. If it was ever pushed, change the secret at the vendor.";
            findings.push((name.clone(), Failure::new(Kind::Conflict, what).with_help(help)));
        }
        if let Some(since) = &since {
            let entry = in_index.get(name);
            let failure = unlike_head(since, &repository, name, entry, bytes).err();
            findings.extend(failure.map(|failure| (name.clone(), failure)));
        }
    }
    report(findings, context)
}

/// Prints the findings. The worst one determines the exit code.
fn report(findings: Vec<(String, Failure)>, context: &mut Context<'_>) -> Result<(), Exit> {
    let mut worst = 0;
    for (name, failure) in &findings {
        worst = worst.max(failure.kind().exit_code());
        if !context.ui.style.json {
            let name = Shown(name).to_string();
            let text = if failure.text().contains(&name) {
                failure.text().to_owned()
            } else {
                format!("{name}: {}", failure.text())
            };
            context.ui.failure(&Failure::new(failure.kind(), text));
        }
    }
    if context.ui.style.json {
        let rows = findings.into_iter().map(|(name, failure)| {
            let error = failure.in_file(Path::new(&name)).json();
            json!({ "file": name, "error": error })
        });
        context.ui.document(&json!({ "findings": rows.collect::<Vec<_>>() }))?;
    }
    if worst == 0 { Ok(()) } else { Err(Exit::Reported(worst)) }
}

/// The regular files to check: those that a commit would change, or all files in git.
fn names(repository: &Repository, staged: bool) -> Result<Vec<String>> {
    let args: &[&str] = match staged {
        true => &["diff", "--cached", "--name-only", "-z", "--diff-filter=d", "--no-renames"],
        false => &["ls-files", "-z"],
    };
    let regular: HashSet<String> = regular(repository)?.into_iter().collect();
    Ok(split(&repository.ask(args)?).into_iter().filter(|name| regular.contains(name)).collect())
}

/// Finds entries that cannot be checked and must not pass silently: names that are not UTF-8, and
/// links and submodules that replaced a sealed file, or a folder that contains one.
fn odd(repository: &Repository, since: Option<&Since>) -> Result<Vec<(String, &'static str)>> {
    let mut odd = Vec::new();
    for entry in repository.ask(&["ls-files", "--stage", "-z"])?.split(|byte| *byte == 0) {
        let shown = String::from_utf8_lossy(entry);
        let Some((mode, name)) = shown.split_once('\t') else { continue };
        if std::str::from_utf8(entry).is_err() {
            odd.push((
                name.to_owned(),
                "the name is not UTF-8, so the file was not checked; rename it",
            ));
            continue;
        }
        let what = match mode.get(..3).unwrap_or_default() {
            "120" => "a link replaced a sealed file; restore the file: git checkout",
            "160" => "a submodule replaced a sealed file; restore the file: git checkout",
            _ => continue,
        };
        if let Some(since) = since
            && since.had_sealed(name)?
        {
            odd.push((name.to_owned(), what));
        }
    }
    Ok(odd)
}

fn all_sealed(repository: &Repository) -> Result<Vec<String>> {
    Ok(regular(repository)?.into_iter().filter(|name| is_sealed(name)).collect())
}

/// All regular files in git, without links and submodules: a link to a sealed file is not a second
/// vault, and may point anywhere.
fn regular(repository: &Repository) -> Result<Vec<String>> {
    // "100644 ID STAGE\tNAME"
    let entries = split(&repository.ask(&["ls-files", "--stage", "-z"])?);
    let mut names: Vec<String> = entries
        .iter()
        .filter(|entry| entry.starts_with("100"))
        .filter_map(|entry| Some(entry.split_once('\t')?.1.to_owned()))
        .collect();
    names.dedup();
    Ok(names)
}

fn split(list: &[u8]) -> Vec<String> {
    let names = list.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names.map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

/// The files that would be committed, by their names.
fn index(repository: &Repository) -> Result<HashMap<String, Entry>> {
    let list = repository.ask(&["ls-files", "--stage", "-z"])?;
    let files = staged(&list).into_iter().filter(|(_, stage, _)| stage == "0");
    Ok(files.map(|(name, _, entry)| (name, entry)).collect())
}

/// Returns the content that would be committed or, without an index, the content in the working
/// tree.
fn content(
    repository: &Repository,
    index: Option<&HashMap<String, Entry>>,
    name: &str,
) -> Result<Option<Vec<u8>>> {
    if let Some(index) = index {
        return index.get(name).map(|entry| repository.content(entry, name)).transpose();
    }
    let path = repository.top().join(name);
    if !std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_file()) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let read = open_source(&path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
    Ok(read.ok().map(|_| bytes))
}

/// Compares the file with HEAD, because git can restore an old signed file without calling a
/// driver.
fn older(since: &Since, repository: &Repository, name: &str, file: VerifiedFile) -> Result<()> {
    since.check_named(name, &repository.top().join(name), &file).map(drop)
}

/// Checks a file of any name that has the form of a sealed file, and that HEAD lacks or has with
/// other content: a branch decides the names.
fn unlike_head(
    since: &Since,
    repository: &Repository,
    name: &str,
    entry: Option<&Entry>,
    bytes: Vec<u8>,
) -> Result<()> {
    let tail = &bytes[bytes.len().saturating_sub(LAST_LINE)..];
    let has_signature = tail.windows(SIGNATURE.len()).any(|window| window == SIGNATURE);
    if !has_signature || since.is_same(name, entry, &bytes)? {
        return Ok(());
    }
    match SealedFile::parse(bytes) {
        Ok(file) => older(since, repository, name, file.verify(&[])?),
        // Any text may contain such a line.
        Err(_) => Ok(()),
    }
}

/// The reason why an unsealed file must not be committed.
fn in_clear(
    name: &str,
    bytes: &[u8],
    sealed: &HashMap<String, HashSet<PropertyPath>>,
) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    // Concatenated, so that this source file does not trigger the check itself.
    let private = ["AGE-SECRET-KEY-", "1"].concat();
    if text.lines().any(|line| line.trim_start().starts_with(&private)) {
        return Some("contains an age identity in the clear".into());
    }
    let path = Path::new(name);
    if path.extension().is_some_and(|extension| extension == "toml") {
        let marked = PlainDocument::parse(text.clone().into_owned());
        if marked.is_err() && text.contains("\"secret:") {
            return Some(
                "contains \"secret:…\" in the clear, and is not TOML that can be sealed".into(),
            );
        }
        let mut names = marked.iter().flat_map(PlainDocument::names);
        if let Some((property, _)) = names.find(|(_, marked)| *marked) {
            return Some(format!(
                "{property} is in the clear, as \"secret:…\"; seal it: bootseal seal {}",
                shell_path(path)
            ));
        }
    }
    // A settings file beside a sealed file is allowed, unless it contains a property that is sealed
    // there.
    let beside = crate::commands::seal::beside(path).ok()?;
    let secret = sealed.get(&beside.to_str()?.to_lowercase())?;
    let beside = Shown::path(&beside).to_string();
    match parse_named(&text, path)? {
        Ok(input) => {
            let (property, _) = input.names().find(|(path, _)| secret.contains(&**path))?;
            Some(format!("contains {property} in the clear, which is sealed in {beside}"))
        }
        Err(_) => Some(format!("may be the unsealed original of {beside}; it cannot be parsed")),
    }
}
