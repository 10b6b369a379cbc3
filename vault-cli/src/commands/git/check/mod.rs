//! `bootseal git check`: finds secrets in the clear and vaults that do not verify, before they are
//! committed.

mod clear_names;
mod files;
mod in_clear;
mod private_keys;
mod values;

use crate::cli::GitCheck;
use crate::commands::git::check::clear_names::SealedNames;
use crate::commands::git::check::files::Files;
use crate::commands::git::check::in_clear::{in_clear, in_unchanged};
use crate::commands::git::check::values::{Change, Values};
use crate::commands::verify::since::Since;
use crate::context::Context;
use crate::git::objects::{Entry, is_sealed};
use crate::git::repository::Repository;
use crate::trust::rules::Rules;
use crate::ui::failure::{Exit, Failure, Result};
use bootseal_core::{
    Kind, MOST_NAMES, SealedFile, Shown, VaultId, VerifiedFile, and_more, some_names,
};
use serde_json::json;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

/// How the last line of a sealed file begins.
const SIGNATURE: &[u8] = b"\nsignature = \"";
/// The number of bytes at the end of a file that contain its last line, if it is a sealed file.
const LAST_LINE: usize = 128;

type Findings = Vec<(String, Failure)>;

pub(crate) fn run(options: &GitCheck, context: &mut Context<'_>) -> Result<(), Exit> {
    let near = context.options.file.first().cloned().unwrap_or_else(|| PathBuf::from("."));
    let repository = Repository::of(&near)?;
    let mut files = Files::of(&repository, options.staged)?;
    let names = files.names()?;
    let since = Since::head(&repository)?;
    let mut findings = Findings::new();
    for (name, what) in files.odd(since.as_ref())? {
        findings.push((name, Failure::new(Kind::Conflict, what)));
    }
    let committed: HashSet<&str> = names.iter().map(String::as_str).collect();
    let checked = Checked { repository: &repository, since: since.as_ref(), committed };
    let mut values = Values::of_keys(context);
    let mut known = checked.sealed_files(&mut files, &mut values, &mut findings, context)?;
    sealed_here(&files, &mut known, &mut values)?;
    for name in &names {
        let Some(bytes) = files.content(name)? else { continue };
        findings.extend(in_clear(name, &bytes, &known, &values).map(|what| (name.clone(), what)));
        if !is_sealed(name) {
            let failure = checked.unlike_head(name, files.entry(name), bytes).err();
            findings.extend(failure.map(|failure| (name.clone(), failure)));
        }
    }
    if values.any_new {
        findings.extend(in_unchanged(&mut files, &names, &values, context)?);
    }
    report(&repository, findings, context)
}

/// Adds the sealed files of the working tree: a value that is sealed there, and not committed yet, is
/// as secret as one that is.
fn sealed_here(files: &Files<'_>, known: &mut SealedNames, values: &mut Values) -> Result<()> {
    for name in files.sealed_here()? {
        let Some(bytes) = files.content_here(&name)? else { continue };
        if let Ok(file) = SealedFile::parse(bytes).and_then(|file| file.verify(&[]))
            && !known.has(&name, &file)
        {
            known.add_names(&name, &file);
            values.add_file(&name, file, Change::None);
        }
    }
    Ok(())
}

/// What is checked, and compared with what.
struct Checked<'a> {
    repository: &'a Repository,
    since: Option<&'a Since>,
    /// The files that would be committed.
    committed: HashSet<&'a str>,
}

impl Checked<'_> {
    /// Checks the sealed files. All of them are read: a file in the commit may belong to the same
    /// vault as any other file.
    fn sealed_files(
        &self,
        files: &mut Files<'_>,
        values: &mut Values,
        findings: &mut Findings,
        context: &mut Context<'_>,
    ) -> Result<SealedNames> {
        let mut known = SealedNames::default();
        let mut vaults: BTreeMap<VaultId, Vec<String>> = BTreeMap::new();
        let mut absent = Vec::new();
        for name in files.all_sealed() {
            let is_committed = self.committed.contains(name.as_str());
            let bytes = match files.content(&name) {
                Ok(Some(bytes)) => bytes,
                Ok(None) => continue,
                Err(failure) if is_committed => return Err(failure),
                // A partial clone may lack files that the commit does not change.
                Err(failure) => {
                    absent.push(format!("not compared with the others: {}", failure.text()));
                    continue;
                }
            };
            match SealedFile::parse(bytes).and_then(|file| file.verify(&[])) {
                Ok(file) => {
                    vaults.entry(file.vault_id()).or_default().push(name.clone());
                    let checked = known.add(&name, &file);
                    if is_committed {
                        let checked = checked
                            .and_then(|()| self.older(&name, &file))
                            .and_then(|()| self.keeps_rules(&name, &file, context));
                        findings.extend(checked.err().map(|failure| (name.clone(), failure)));
                    }
                    let change = match is_committed && files.is_staged() {
                        true => Change::Since(Box::new(self.before(&name, &file, files)?)),
                        false => Change::None,
                    };
                    values.add_file(&name, file, change);
                }
                Err(error) if is_committed => findings.push((name, error.into())),
                Err(_) => {}
            }
        }
        context.ui.warn_each(absent);
        for (vault, files) in vaults.into_iter().filter(|(_, files)| files.len() > 1) {
            let what = format!(
                "{} belong to one vault, {vault}: a copy is not a new vault, and anyone who can open one can open the other",
                match &files[..] {
                    [one, other] => format!("{} and {}", Shown(one), Shown(other)),
                    files => some_names(files.iter().map(|file| Shown(file))),
                }
            );
            let help = "Create a separate vault: bootseal init --like FILE -f NEW";
            findings.push((files[0].clone(), Failure::new(Kind::Conflict, what).with_help(help)));
        }
        Ok(known)
    }

    /// The version of the file in HEAD, under whatever name; `None` if there is none that verifies.
    fn before(
        &self,
        name: &str,
        file: &VerifiedFile,
        files: &Files<'_>,
    ) -> Result<Option<VerifiedFile>> {
        let Some(since) = self.since else { return Ok(None) };
        match since.before(name)? {
            Some(before) => Ok(Some(before)),
            None => since.before_rename(file, |name| files.entry(name).is_some()),
        }
    }

    /// Compares the file with HEAD, because git can restore an old signed file without calling a
    /// driver.
    fn older(&self, name: &str, file: &VerifiedFile) -> Result<()> {
        let path = self.repository.top().join(name);
        self.since.map_or(Ok(()), |since| since.check_named(name, &path, file).map(drop))
    }

    /// Checks a file that has the form of a sealed file, and that HEAD lacks or has with other
    /// content. The file's name does not matter, because whoever pushes a branch chooses the names.
    fn unlike_head(&self, name: &str, entry: Option<&Entry>, bytes: Vec<u8>) -> Result<()> {
        let Some(since) = self.since else { return Ok(()) };
        let tail = &bytes[bytes.len().saturating_sub(LAST_LINE)..];
        let has_signature = tail.windows(SIGNATURE.len()).any(|window| window == SIGNATURE);
        if !has_signature || since.is_same(name, entry, &bytes)? {
            return Ok(());
        }
        match SealedFile::parse(bytes) {
            Ok(file) => self.older(name, &file.verify(&[])?),
            // Any text may contain such a line.
            Err(_) => Ok(()),
        }
    }

    /// Warns of values that are readable although the file's own rules say to seal them. They are no
    /// findings: the file is signed, and only a writer who allows such a value can sign it.
    fn keeps_rules(
        &self,
        name: &str,
        file: &VerifiedFile,
        context: &mut Context<'_>,
    ) -> Result<()> {
        let rules = Rules::of_file(file)?;
        if rules.is_empty() {
            return Ok(());
        }
        let before = self.since.map(|since| since.before(name)).transpose()?.flatten();
        for remark in rules.remarks_since(file, before.as_ref()) {
            context.ui.warn(format_args!("{}: {remark}", Shown(name)));
        }
        Ok(())
    }
}

/// Prints the findings, the worst first; of more than [`MOST_NAMES`], the rest is counted.
fn report(
    repository: &Repository,
    mut findings: Findings,
    context: &mut Context<'_>,
) -> Result<(), Exit> {
    let worst = findings.iter().map(|(_, failure)| failure.kind().exit_code()).max();
    let worst = worst.unwrap_or_default();
    findings.sort_by_key(|(_, failure)| Reverse(failure.kind().exit_code()));
    for (name, failure) in findings.iter().take(MOST_NAMES) {
        if !context.ui.style.json {
            let path = repository.top().join(name);
            let names = [Shown(name).to_string(), Shown::path(&path).to_string()];
            let text = match names.iter().any(|name| failure.begins_with_file(name)) {
                true => failure.text().to_owned(),
                false => format!("{}: {}", names[0], failure.text()),
            };
            context.ui.failure(&Failure::new(failure.kind(), text));
        }
    }
    let more = and_more(findings.len().saturating_sub(MOST_NAMES));
    if let Some(more) = more.filter(|_| !context.ui.style.json) {
        let text = format!("{more} findings: bootseal git check --json");
        context.ui.failure(&Failure::new(Kind::Conflict, text));
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
