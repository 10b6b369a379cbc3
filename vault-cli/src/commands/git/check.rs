//! `bootseal git check`: nothing in clear and nothing that does not verify goes into a commit.

use crate::cli::GitCheck;
use crate::commands::verify::since::Since;
use crate::context::Context;
use crate::formats::parse_named;
use crate::git::repository::Repository;
use crate::ui::failure::{Exit, Failure, Result};
use bootseal_core::{Kind, PlainDocument, Property, PropertyPath, SealedFile, Shown, VaultId, VerifiedFile};
use serde_json::json;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;
use std::path::{Path, PathBuf};

/// What is read of a file that is not sealed, to see whether it holds a secret.
const LOOKED_AT: usize = 1 << 20;
/// A sealed file that is larger is none.
const LARGEST: u64 = 16 << 20;

pub(crate) fn run(options: &GitCheck, context: &mut Context<'_>) -> Result<(), Exit> {
    let near = context.options.file.first().cloned().unwrap_or_else(|| PathBuf::from("."));
    let repository = Repository::of(&near)?;
    let names = names(&repository, options.staged)?;
    let since = Since::of("HEAD", repository.top()).ok();
    let mut findings: Vec<(String, Failure)> = Vec::new();
    let mut vaults: BTreeMap<VaultId, Vec<String>> = BTreeMap::new();
    let mut sealed: HashMap<String, HashSet<PropertyPath>> = HashMap::new();
    for (name, what) in odd(&repository, since.as_ref())? {
        findings.push((name, Failure::new(Kind::Conflict, what)));
    }
    // Two files of one vault may lie in the tree although only one of them is committed now.
    for name in all_sealed(&repository)? {
        let Some(bytes) = content(&repository, &name, options.staged)? else { continue };
        let committed = names.contains(&name);
        match SealedFile::parse(bytes).and_then(|file| file.verify(&[])) {
            Ok(file) => {
                vaults.entry(file.vault_id()).or_default().push(name.clone());
                let secret = file.properties().filter(|(_, property)| matches!(property, Property::Sealed(_)));
                sealed.insert(name.to_lowercase(), secret.map(|(path, _)| path.clone()).collect());
                if committed && let Some(since) = &since {
                    findings
                        .extend(older(since, &repository, &name, file).err().map(|failure| (name.clone(), failure)));
                }
            }
            Err(error) if committed => findings.push((name, error.into())),
            Err(_) => {}
        }
    }
    for (vault, files) in vaults.into_iter().filter(|(_, files)| files.len() > 1) {
        let what = format!(
            "{} are of one vault, {vault}: a copy is not a new vault, and who may open one may open the other",
            files.iter().map(|file| Shown(file).to_string()).collect::<Vec<_>>().join(" and ")
        );
        let help = "Make a vault of its own: bootseal init --like FILE -f NEW";
        findings.push((files[0].clone(), Failure::new(Kind::Conflict, what).with_help(help)));
    }
    for name in names.iter().filter(|name| !is_sealed(name)) {
        let Some(bytes) = content(&repository, name, options.staged)? else { continue };
        if let Some(what) = in_clear(name, &bytes[..bytes.len().min(LOOKED_AT)], &sealed) {
            let help = "Take it out of the commit (git rm --cached), and put it into .gitignore. What was pushed once is to be changed at the vendor.";
            findings.push((name.clone(), Failure::new(Kind::Conflict, what).with_help(help)));
        }
    }
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

/// The regular files that are looked at: what a commit would change, or all that git has.
fn names(repository: &Repository, staged: bool) -> Result<Vec<String>> {
    let args: &[&str] = match staged {
        true => &["diff", "--cached", "--name-only", "-z", "--diff-filter=d", "--no-renames"],
        false => &["ls-files", "-z"],
    };
    let regular: HashSet<String> = regular(repository)?.into_iter().collect();
    Ok(split(&repository.ask(args)?).into_iter().filter(|name| regular.contains(name)).collect())
}

/// Some file systems do not tell case apart.
fn is_sealed(name: &str) -> bool {
    name.to_lowercase().ends_with(".sealed.toml")
}

/// What cannot be looked at, and so must not pass in silence: names that are no text, and links where a sealed file was.
fn odd(repository: &Repository, since: Option<&Since>) -> Result<Vec<(String, &'static str)>> {
    let mut odd = Vec::new();
    for entry in repository.ask(&["ls-files", "--stage", "-z"])?.split(|byte| *byte == 0) {
        let shown = String::from_utf8_lossy(entry);
        let Some((mode, name)) = shown.split_once('\t') else { continue };
        if std::str::from_utf8(entry).is_err() {
            odd.push((name.to_owned(), "the name is not UTF-8, so what it holds is not looked at; rename it"));
        } else if mode.starts_with("120") && is_sealed(name) && since.is_some_and(|since| since.had(name)) {
            odd.push((name.to_owned(), "a link lies where a sealed file was; bring the file back: git checkout"));
        }
    }
    Ok(odd)
}

fn all_sealed(repository: &Repository) -> Result<Vec<String>> {
    Ok(regular(repository)?.into_iter().filter(|name| is_sealed(name)).collect())
}

/// All that git has but links and repositories within: a link to a sealed file is no second vault, and one may lead anywhere.
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

/// What would be committed, or what lies there.
fn content(repository: &Repository, name: &str, staged: bool) -> Result<Option<Vec<u8>>> {
    match staged {
        // By its stage: of `2:name` without one git would look for stage 2.
        true => repository.blob(":0", name),
        false => {
            let path = repository.top().join(name);
            if !std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_file()) {
                return Ok(None);
            }
            let mut bytes = Vec::new();
            let read = std::fs::File::open(&path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
            Ok(read.ok().map(|_| bytes))
        }
    }
}

/// Git brings in an old signed file without calling any driver: here it is held against HEAD.
fn older(since: &Since, repository: &Repository, name: &str, file: VerifiedFile) -> Result<()> {
    since.check_named(name, &repository.top().join(name), &file).map(drop)
}

/// Why a file that is not sealed must not be committed.
fn in_clear(name: &str, bytes: &[u8], sealed: &HashMap<String, HashSet<PropertyPath>>) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    // Put together here, so that this very file does not trip over itself.
    let private = ["AGE-SECRET-KEY-", "1"].concat();
    if text.lines().any(|line| line.trim_start().starts_with(&private)) {
        return Some("holds an age identity in clear".into());
    }
    let path = Path::new(name);
    if path.extension().is_some_and(|extension| extension == "toml") {
        let marked = PlainDocument::parse(text.clone().into_owned());
        if marked.is_err() && text.contains("\"secret:") {
            return Some("holds \"secret:…\" in clear, and is no TOML that could be sealed".into());
        }
        let marked = marked.as_ref().map_or(&[][..], PlainDocument::properties);
        if let Some(property) = marked.iter().find(|property| property.marked) {
            return Some(format!(
                "{} stands there in clear, as \"secret:…\"; seal it: bootseal seal {}",
                property.path,
                Shown(name)
            ));
        }
    }
    // What a sealed file was made from: settings beside it are none of our business, unless they hold what is sealed there.
    let beside = crate::commands::seal::beside(path).ok()?;
    let secret = sealed.get(&beside.to_str()?.to_lowercase())?;
    let beside = Shown(&beside.to_string_lossy()).to_string();
    match parse_named(&text, path)? {
        Ok(input) => {
            let property = input.properties.iter().find(|property| secret.contains(&property.path))?;
            Some(format!("holds {}, which is sealed in {beside}, in clear", property.path))
        }
        Err(_) => Some(format!("may be what {beside} was sealed from, in clear; it cannot be read")),
    }
}
