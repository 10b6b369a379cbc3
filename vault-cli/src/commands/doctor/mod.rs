//! `bootseal doctor`: finds common mistakes in the files, their keys and the machine, each with the
//! command that fixes it.

mod finding;
mod machine;

use crate::commands::doctor::finding::Finding;
use crate::commands::doctor::machine::Machine;
use crate::commands::list::{former, has_access};
use crate::context::Context;
use crate::trust::each_file::worse;
use crate::trust::keyring::{self, Keys};
use crate::trust::locate::{self, OpenedFile};
use crate::trust::memory::Memory;
use crate::trust::pins;
use crate::ui::failure::{Exit, Failure, Result};
use crate::ui::output::timestamp;
use bootseal_core::{
    CanRead, Cost, Gateway, IdentityFile, Kind, MOST_NAMES, Profile, PropertyPath, Role, Shown,
    Trust, Vault, VerifiedFile, and_more, shell_path, shell_word, some_names,
};
use serde_json::json;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

/// The exit code if anything was found.
const FOUND: u8 = 1;
/// The age from which a value is reported as old, in seconds.
const OLD_AFTER: u64 = 365 * 24 * 60 * 60;

pub(crate) fn run(context: &mut Context<'_>) -> Result<(), Exit> {
    let (mut findings, mut failures) = (Vec::new(), Vec::new());
    let (keys, key_files) = keys(&mut findings, context)?;
    // The machine is checked even without a vault.
    let files = match locate::sealed_files(context) {
        Err(failure) if failure.kind() == Kind::NotFound && context.options.file.is_empty() => {
            context
                .ui
                .note("there is no sealed file here: only this machine and its keys are checked");
            Vec::new()
        }
        files => files?,
    };
    let pins = pins::at_hand(&keys, context)?;
    for path in &files {
        let looked = match locate::find_at(path, keys.clone(), pins.clone(), context) {
            Ok(found) => file(found, &key_files, &mut findings, context),
            Err(failure) => Err(failure),
        };
        failures.extend(looked.err().map(|failure| (path, failure)));
    }
    findings.extend(Machine::read().findings());
    // A folder is checked for each of the files in it, but reported once.
    let mut reported = HashSet::new();
    findings.retain(|finding| reported.insert(finding.clone()));
    bootseal_memory::harden();

    let worst = failures.iter().fold(0, |worst, (_, failure)| worse(worst, failure.exit_code()));
    if context.ui.style.json {
        let failed = failures.iter().map(
            |(path, failure)| json!({ "file": path.to_string_lossy(), "error": failure.json() }),
        );
        context.ui.document(&json!({
            "files": files.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>(),
            "findings": findings.iter().map(Finding::document).collect::<Vec<_>>(),
            "errors": failed.collect::<Vec<_>>(),
        }))?;
    } else {
        print(&findings, context)?;
        for (_, failure) in &failures {
            context.ui.failure(failure);
        }
        if findings.is_empty() && failures.is_empty() {
            context.ui.note("nothing found");
        }
    }
    match (worst, findings.is_empty()) {
        (0, true) => Ok(()),
        (0, false) => Err(Exit::Reported(FOUND)),
        (worst, _) => Err(Exit::Reported(worst)),
    }
}

/// Prints the findings; of more than [`MOST_NAMES`] of one kind, the rest is counted.
fn print(findings: &[Finding], context: &mut Context<'_>) -> Result<()> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for finding in findings {
        let count = counts.entry(finding.code).or_default();
        *count += 1;
        if *count <= MOST_NAMES {
            context.ui.line(finding.text())?;
        }
    }
    for (code, count) in counts {
        if let Some(more) = and_more(count.saturating_sub(MOST_NAMES)) {
            context.ui.line(format_args!("{more} of the kind {code}: bootseal doctor --json"))?;
        }
    }
    Ok(())
}

/// Reads the available identities. An unusable key file is a finding, and the other checks
/// continue.
fn keys(findings: &mut Vec<Finding>, context: &mut Context<'_>) -> Result<(Keys, Vec<PathBuf>)> {
    let variable = context.var("BOOTSEAL_IDENTITY").map(PathBuf::from);
    let named = if context.options.identity.is_empty() {
        Vec::from_iter(variable)
    } else {
        context.options.identity.clone()
    };
    let own =
        keyring::own_identity_file(context).ok().filter(|path| named.is_empty() && path.exists());
    let looked_at = !named.is_empty() || own.is_some();
    let mut useful = Vec::new();
    for path in named.iter().cloned().chain(own).filter(|path| path != Path::new("-")) {
        findings.extend(open_to_others(path.parent().unwrap_or(Path::new("."))));
        match IdentityFile::read(&path) {
            Ok(_) => useful.push(path),
            Err(error) => findings.push(key_file(&path, &error)),
        }
    }
    let stdin = named.iter().filter(|path| *path == Path::new("-")).cloned();
    let usable: Vec<PathBuf> = useful.iter().cloned().chain(stdin).collect();
    if looked_at && usable.is_empty() && context.passphrase_fd.is_none() {
        return Ok((Keys::default(), useful));
    }
    // If no identity is named, the user's SSH keys are used too.
    let identity = if named.is_empty() { Vec::new() } else { usable };
    let keys = Keys::find_in(identity, context)?;
    Ok((keys, useful))
}

fn key_file(path: &Path, error: &bootseal_core::Error) -> Finding {
    let name = shell_path(path);
    let fix = match error.kind() {
        Kind::UnsafeFile => format!("chmod 600 {name}"),
        Kind::NotFound => {
            format!(
                "bootseal keygen -o {name}   (then, on a writer's machine: bootseal access add NAME RECIPIENT)"
            )
        }
        _ => format!(
            "bootseal keygen --force -o {name}   (then, on a writer's machine: bootseal access add NAME RECIPIENT --replace)"
        ),
    };
    let mut finding = Finding::of_file("key-file", path, error.what(), fix);
    if error.kind() == Kind::UnsafeFile {
        finding.code = "file-mode";
    }
    finding
}

/// Checks one file with the available keys.
fn file(
    found: OpenedFile,
    key_files: &[PathBuf],
    findings: &mut Vec<Finding>,
    context: &mut Context<'_>,
) -> Result<()> {
    let OpenedFile { path, mut keys, memory, file, .. } = found;
    findings.extend(doubtful(&path, &file, &memory));
    findings.extend(open_to_others(&path));
    findings.extend(open_to_others(path.parent().unwrap_or(Path::new("."))));
    findings.extend(pins(&path, &file, key_files, !context.options.identity.is_empty()));
    findings.extend(access(&path, &file));
    let broken = profiles(&path, &file);
    if broken.is_empty() {
        findings.extend(routes(&path, &file));
    }
    findings.extend(broken);
    keys.unlock_unasked(&file, context)?;
    if file.role_of(&keys.identities).is_some() {
        findings.extend(values(&path, &file.open(&keys.identities)?, context.now())?);
        return Ok(());
    }
    for name in file.known_to(0) {
        findings.push(Finding::of_file(
            "known-to-removed",
            &path,
            match has_access(name, &file) {
                true => {
                    format!("a former key of {name} opens values that have not been changed since")
                }
                false => {
                    format!("{name} was removed, and knows values that have not been changed since")
                }
            },
            format!("bootseal list -f {}   (with an identity, it lists them)", shell_path(&path)),
        ));
    }
    if keys.named {
        let recipients = keys.identities.iter().filter_map(bootseal_core::Identity::recipient);
        let recipient = recipients.map(shell_word).next().unwrap_or("RECIPIENT".into());
        findings.push(Finding::of_file(
            "not-in-access",
            &path,
            format!("none of the named identities opens it; it can be opened by: {}", file.who()),
            format!(
                "bootseal access add NAME {recipient} -f {}   (on a writer's machine)",
                shell_path(&path)
            ),
        ));
    } else {
        context.ui.note(format_args!(
            "{}: no available identity opens it, so its values were not checked",
            Shown::path(&path)
        ));
    }
    Ok(())
}

/// Reports a file that a former writer may have signed.
fn doubtful(path: &Path, file: &VerifiedFile, memory: &Memory) -> Option<Finding> {
    let doubt = memory.refuse_handed_over(file).err()?;
    let fix = match doubt.kind() {
        Kind::OldGeneration => "git pull   (or merge the branch that has the newer version)",
        _ => doubt.help().unwrap_or_default(),
    };
    Some(Finding::of_file("doubtful-handover", path, doubt.what(), fix))
}

/// Reports a path that every user may write to: anyone could remove or replace the file.
#[cfg(unix)]
fn open_to_others(path: &Path) -> Option<Finding> {
    use std::os::unix::fs::PermissionsExt;
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let found = std::fs::metadata(path).ok()?;
    let mode = found.permissions().mode();
    // With the sticky bit, as on /tmp, nobody can replace other users' files.
    if mode & 0o002 == 0 || (found.is_dir() && mode & 0o1000 != 0) {
        return None;
    }
    let fix = format!("chmod o-w {}", shell_path(path));
    let what = if found.is_dir() {
        "is a folder that everyone on this machine may write to"
    } else {
        "may be written by everyone on this machine"
    };
    Some(Finding::of_file("file-mode", path, what, fix))
}

#[cfg(not(unix))]
fn open_to_others(_: &Path) -> Option<Finding> {
    None
}

/// `named` is true if the key was named with `-i`. The user's own key also opens other vaults, so
/// it is not pinned to this vault.
fn pins(path: &Path, file: &VerifiedFile, key_files: &[PathBuf], named: bool) -> Option<Finding> {
    let name = shell_path(path);
    let key = key_files.first().map_or("KEYFILE".into(), |key| shell_path(key));
    if let Some(old) = file.handed_over_from() {
        let what = format!(
            "the pin {old} is outdated: the vault is now {}, and a former writer could still sign for the old one",
            file.vault_id()
        );
        return Some(Finding::of_file(
            "old-pin",
            path,
            what,
            format!("bootseal access pin {key} -f {name}"),
        ));
    }
    (file.trust() == Trust::Unverified).then(|| {
        let what = format!(
            "this vault is not trusted yet: {} is neither pinned nor known on this machine; bootseal access pin KEYFILE writes the pin into a key file",
            file.vault_id()
        );
        let fix = match named {
            true => format!("bootseal access pin {key} -f {name} --pin {}", file.vault_id()),
            false => format!("export BOOTSEAL_PIN={}", file.vault_id()),
        };
        let fix = format!("{fix}   (if a colleague sees the same id)");
        Finding::of_file("no-pin", path, what, fix)
    })
}

fn access(path: &Path, file: &VerifiedFile) -> Vec<Finding> {
    let name = shell_path(path);
    let mut findings = Vec::new();
    let writers: Vec<_> =
        file.access().iter().filter(|access| access.role == Role::Writer).collect();
    if let [only] = writers.as_slice() {
        findings.push(Finding::of_file(
            "one-writer",
            path,
            format!(
                "{} is the only writer: if that key is lost, nobody can change the file",
                only.name
            ),
            format!("bootseal access add break-glass --passphrase --writer -f {name}"),
        ));
    }
    for writer in writers {
        if writer.passphrase.as_ref().is_some_and(|how| how.cost() == Cost::Small) {
            findings.push(Finding::of_file(
                "weak-passphrase",
                path,
                format!(
                    "the passphrase of {}, a writer, costs only 64 MiB of memory per guess; the default is 256 MiB",
                    writer.name
                ),
                format!("bootseal access add {} --passphrase --writer --replace -f {name}", writer.name),
            ));
        }
    }
    findings
}

fn profiles(path: &Path, file: &VerifiedFile) -> Vec<Finding> {
    let broken = file.profiles().into_iter().filter_map(|table| {
        let error = Profile::read(file, &table).err()?;
        Some(cannot_work("profile", &format!("the profile {table}"), path, &error))
    });
    broken.collect()
}

/// Checks the routes; it is called only if all profiles are valid.
fn routes(path: &Path, file: &VerifiedFile) -> Option<Finding> {
    let error = Gateway::read(file).err()?;
    Some(cannot_work("route", "the gateway", path, &error))
}

fn cannot_work(
    what: &'static str,
    name: &str,
    path: &Path,
    error: &bootseal_core::Error,
) -> Finding {
    // The error may already name the command.
    let command = error.help().and_then(|help| help.split_once("bootseal ")).map(|(_, rest)| rest);
    let command = command.map(|rest| rest.split([';', ',']).next().unwrap_or(rest));
    let fix = format!("bootseal {} -f {}", command.unwrap_or("edit"), shell_path(path));
    let help = error.help().map_or(String::new(), |help| format!(" ({help})"));
    let mut finding =
        Finding::of_file(what, path, format!("{name} is invalid: {}{help}", error.what()), fix);
    finding.property = error.property().map(str::to_owned);
    finding
}

fn values(path: &Path, vault: &Vault<CanRead>, now: u64) -> Result<Vec<Finding>, Failure> {
    let mut known: BTreeMap<String, Vec<(PropertyPath, String)>> = BTreeMap::new();
    let mut old = Vec::new();
    for (property, _) in vault.file().names().filter(|(_, sealed)| *sealed) {
        let set_at = vault.open(&property)?.set_at;
        let known_to = vault.file().known_to(set_at);
        if !known_to.is_empty() {
            let file = vault.file();
            let who = match known_to.iter().all(|name| has_access(name, file)) {
                true => former(&known_to, file),
                false => format!("{}, who was removed", former(&known_to, file)),
            };
            let when = match who.ends_with("removed") {
                true => "",
                false => ", if the former key may be in other hands",
            };
            let what = format!("is known to {who}: change it at the vendor, then here{when}");
            known.entry(who).or_default().push((property, what));
        } else if now.saturating_sub(set_at) > OLD_AFTER {
            let what = format!("was set {}, more than a year ago", timestamp(set_at));
            old.push((property, what));
        }
    }
    let mut findings = Vec::new();
    for (who, values) in known {
        let what = match who.strip_suffix(", who was removed") {
            Some(who) => format!("values that {who}, who was removed, knows"),
            None => format!("values that are known to {who}"),
        };
        findings.extend(of_values("known-to-removed", path, values, &what));
    }
    findings.extend(of_values("old-value", path, old, "values that were set more than a year ago"));
    Ok(findings)
}

/// A finding for each value or, if there are too many to read, one that counts them.
fn of_values(
    code: &'static str,
    path: &Path,
    values: Vec<(PropertyPath, String)>,
    which: &str,
) -> Vec<Finding> {
    if values.len() > MOST_NAMES {
        let names: Vec<String> = values.iter().map(|(name, _)| name.to_string()).collect();
        let what = format!("{} {which}: {}", values.len(), some_names(&names));
        let fix = format!("bootseal list -f {}   (lists all of them)", shell_path(path));
        return vec![Finding::of_file(code, path, what, fix)];
    }
    let each = values.into_iter();
    each.map(|(property, what)| Finding::of_property(code, path, &property, what)).collect()
}
