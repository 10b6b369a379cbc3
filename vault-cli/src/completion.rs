//! Shell completion: verbs, options and files, and names from the sealed file that the command line
//! refers to.
//!
//! The scripts of `bootseal completions` call the program with [`VARIABLE`] set to the name of the
//! shell, and with the unfinished command line after `--`. Errors are not printed: they would
//! disturb the line that is being typed.

use crate::cli::{Cli, GlobalOptions, Shell};
use crate::context::{Context, World};
use crate::trust::locate::{expand, sealed_file};
use bootseal_core::{Profile, SealedFile, VerifiedFile};
use clap::{Arg, Command, CommandFactory, ValueEnum};
use clap_complete::engine::{
    ArgValueCandidates, ArgValueCompleter, CompletionCandidate, PathCompleter, complete,
};
use clap_complete::env::{Bash, EnvCompleter, Fish, Powershell, Zsh};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Set by a completion script only.
const VARIABLE: &str = "BOOTSEAL_COMPLETE";

/// Returns the completion script for a shell.
pub(crate) fn script(shell: Shell) -> std::io::Result<String> {
    let mut script = Vec::new();
    completer(shell).write_registration(
        VARIABLE,
        "bootseal",
        "bootseal",
        "bootseal",
        &mut script,
    )?;
    Ok(String::from_utf8_lossy(&script).trim().to_owned())
}

/// Answers a shell's completion request; returns `None` if this run is not such a request.
pub(crate) fn answer(args: &[OsString], world: &mut World<'_>) -> Option<u8> {
    let options = GlobalOptions::default();
    let context = Context::new(&options, world);
    let (Some(shell), [_, separator, line @ ..]) = (context.var(VARIABLE), args) else {
        return None;
    };
    let shell = shell.to_str().and_then(|name| Shell::from_str(name, false).ok())?;
    if separator != "--" {
        return None;
    }
    let here = std::env::current_dir().ok();
    let line = as_meant(shell, line);
    let mut command = with_names(&Names::of(&line, &context));
    let candidates = match shell {
        Shell::Bash => bash(&mut command, line, here.as_deref(), &context),
        Shell::Powershell => powershell(&mut command, line, here.as_deref()),
        other => {
            let mut text = Vec::new();
            completer(other)
                .write_complete(&mut command, line, here.as_deref(), &mut text)
                .map(|()| text)
        }
    };
    let written = candidates.and_then(|text| {
        context.ui.stdout.write_all(&text).and_then(|()| context.ui.stdout.flush())
    });
    Some(u8::from(written.is_err()))
}

fn completer(shell: Shell) -> &'static dyn EnvCompleter {
    match shell {
        Shell::Bash => &Bash,
        Shell::Fish => &Fish,
        Shell::Powershell => &Powershell,
        Shell::Zsh => &Zsh,
    }
}

/// Removes the backslashes of quoting. Bash and zsh pass them in every word, fish only in the last
/// word, and PowerShell in none.
fn as_meant(shell: Shell, line: &[OsString]) -> Vec<OsString> {
    let first = match shell {
        Shell::Bash | Shell::Zsh => 0,
        Shell::Fish => line.len().saturating_sub(1),
        Shell::Powershell => line.len(),
    };
    let (meant, typed) = line.split_at(first);
    meant.iter().cloned().chain(typed.iter().map(unquoted)).collect()
}

/// Completes for bash, which inserts candidates unquoted: `acme."user.name"` would lose its quotes,
/// and a name with a space would become two words. The other shells quote candidates themselves.
fn bash(
    command: &mut Command,
    line: Vec<OsString>,
    here: Option<&Path>,
    context: &Context<'_>,
) -> std::io::Result<Vec<u8>> {
    let at = context
        .var("_CLAP_COMPLETE_INDEX")
        .and_then(|index| index.to_str()?.parse().ok())
        .unwrap_or_default();
    let candidates = complete(command, line, at, here)?;
    let quoted: Vec<String> = candidates
        .iter()
        .map(|candidate| quoted(&candidate.get_value().to_string_lossy()))
        .collect();
    Ok(quoted.join("\u{b}").into_bytes())
}

/// Completes for PowerShell, which inserts candidates unquoted too: it would run a name such as
/// `$(…)`.
fn powershell(
    command: &mut Command,
    line: Vec<OsString>,
    here: Option<&Path>,
) -> std::io::Result<Vec<u8>> {
    let at = line.len().saturating_sub(1);
    let mut text = String::new();
    for candidate in complete(command, line, at, here)? {
        let value = candidate.get_value().to_string_lossy();
        // The script splits the answer into lines, and a line at a tab.
        if value.contains(char::is_control) {
            continue;
        }
        text.push_str(&in_single_quotes(&value));
        if let Some(help) = candidate.get_help() {
            text.push('\t');
            text.push_str(help.to_string().lines().next().unwrap_or_default());
        }
        text.push('\n');
    }
    Ok(text.into_bytes())
}

/// Returns a word of PowerShell: unchanged if none of its characters is special, else in single
/// quotes. PowerShell takes typographic quotes for quotes.
fn in_single_quotes(text: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "_./\\-=+:".contains(letter);
    if text.chars().all(plain) {
        return text.to_owned();
    }
    let quote = |letter: &char| "'\u{2018}\u{2019}\u{201a}\u{201b}".contains(*letter);
    let doubled = text.chars().flat_map(|letter| [Some(letter), Some(letter).filter(quote)]);
    format!("'{}'", doubled.flatten().collect::<String>())
}

fn unquoted(word: &OsString) -> OsString {
    let Some(text) = word.to_str() else { return word.clone() };
    let (mut plain, mut letters) = (String::new(), text.chars());
    while let Some(letter) = letters.next() {
        plain.extend(if letter == '\\' { letters.next() } else { Some(letter) });
    }
    plain.into()
}

fn quoted(text: &str) -> String {
    let plain = |letter: char| {
        !letter.is_ascii() || letter.is_ascii_alphanumeric() || "_./-=,+%".contains(letter)
    };
    text.chars()
        .flat_map(|letter| (!plain(letter)).then_some('\\').into_iter().chain([letter]))
        .collect()
}

/// The names in the files that the command line refers to. The signatures of the files are
/// verified, but pins are not checked, because only names are read.
#[derive(Default)]
struct Names {
    /// Each name with "sealed" or "readable".
    properties: Vec<(String, &'static str)>,
    tables: BTreeSet<String>,
    access: BTreeSet<String>,
    profiles: BTreeSet<String>,
}

impl Names {
    fn of(line: &[OsString], context: &Context<'_>) -> Names {
        let mut names = Names::default();
        let files = match named_files(line, context) {
            named if !named.is_empty() => expand(&named),
            _ => sealed_file(context).map(|file| vec![file]),
        };
        for path in files.unwrap_or_default() {
            if let Ok(file) = SealedFile::read(&path).and_then(|file| file.verify(&[])) {
                names.take(&file);
            }
        }
        names
    }

    fn take(&mut self, file: &VerifiedFile) {
        for (path, sealed) in file.names() {
            let kind = if sealed { "sealed" } else { "readable" };
            self.properties.push((path.to_string(), kind));
            for depth in 1..path.segments().len() {
                let table = bootseal_core::PropertyPath::new(path.segments()[..depth].to_vec());
                self.tables.extend(table.map(|table| table.to_string()));
            }
        }
        self.access.extend(file.access().iter().map(|access| access.name.clone()));
        let profiles = file.profiles();
        self.profiles.extend(
            profiles
                .iter()
                .filter(|table| Profile::read(file, table).is_ok())
                .map(ToString::to_string),
        );
    }
}

/// The files that `-f` and `--to` name on an unfinished line.
fn named_files(line: &[OsString], context: &Context<'_>) -> Vec<PathBuf> {
    let (mut named, mut words) = (Vec::new(), line.iter().filter_map(|word| word.to_str()));
    while let Some(word) = words.next() {
        let value = match word {
            "-f" | "--file" | "--to" => words.next(),
            _ => ["--file=", "--to=", "-f"].iter().find_map(|option| word.strip_prefix(option)),
        };
        let Some(value) = value.filter(|value| !value.is_empty()) else { continue };
        // Some shells have not expanded `~` at this point.
        let home = value
            .strip_prefix("~/")
            .and_then(|rest| Some(PathBuf::from(context.var("HOME")?).join(rest)));
        named.push(home.unwrap_or_else(|| value.into()));
    }
    named
}

/// The command line with these names as candidates for its arguments.
fn with_names(names: &Names) -> Command {
    fn fill(command: Command, names: &Names) -> Command {
        let verb = command.get_name().to_owned();
        let command = command.mut_args(|arg| fill_arg(&verb, arg, names));
        command.mut_subcommands(|verb| fill(verb, names))
    }
    fill(Cli::command(), names)
}

fn fill_arg(verb: &str, arg: Arg, names: &Names) -> Arg {
    let one_of = |words: Vec<(String, &'static str)>| {
        let candidate = |(word, kind): &(String, &'static str)| {
            CompletionCandidate::new(word).help(Some((*kind).into()))
        };
        ArgValueCandidates::new(move || words.iter().map(candidate).collect())
    };
    let all = |words: &BTreeSet<String>, kind| {
        words.iter().map(|word| (word.clone(), kind)).collect::<Vec<_>>()
    };
    match (verb, arg.get_id().as_str()) {
        ("set" | "propose", "path") | ("get", "paths") | ("rename", "old" | "new") => {
            arg.add(one_of(names.properties.clone()))
        }
        ("unset", "paths") | ("list", "prefix") | ("exec" | "export", "only" | "prefix") => {
            arg.add(one_of([all(&names.tables, "table"), names.properties.clone()].concat()))
        }
        ("add", "name") | ("remove", "names") | ("rename", "member") => {
            arg.add(one_of(all(&names.access, "in access")))
        }
        ("login" | "vendor", "profile" | "name") | ("profile" | "route", "name") => {
            arg.add(one_of(all(&names.profiles, "profile")))
        }
        (_, "file")
        | ("verify", "files")
        | ("sign", "edited")
        | ("propose", "to")
        | ("init", "like") => {
            arg.add(ArgValueCompleter::new(PathCompleter::any().filter(is_sealed)))
        }
        (_, "identity") => arg.add(ArgValueCompleter::new(PathCompleter::any().stdio())),
        _ => arg,
    }
}

fn is_sealed(path: &Path) -> bool {
    path.is_dir()
        || path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".sealed.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_for_bash_is_reversible() {
        for name in [
            "acme.password",
            "acme.\"user.name\"",
            "my file.sealed.toml",
            "a$b`c\\d;e",
            "grün",
            "alice@corp",
        ] {
            assert_eq!(unquoted(&quoted(name).into()), OsString::from(name));
        }
        assert_eq!(quoted("acme.\"user.name\""), "acme.\\\"user.name\\\"");
    }

    #[test]
    fn names_are_quoted_for_powershell() {
        for (name, expected) in [
            ("acme.password", "acme.password"),
            (r"C:\a\b.sealed.toml", r"C:\a\b.sealed.toml"),
            ("grün", "grün"),
            ("\"a b\"", "'\"a b\"'"),
            ("\"$(x)\"", "'\"$(x)\"'"),
            ("\"it's\"", "'\"it''s\"'"),
            ("\"\u{2019}; x\"", "'\"\u{2019}\u{2019}; x\"'"),
            ("a;b", "'a;b'"),
            ("a`b", "'a`b'"),
            ("@a", "'@a'"),
        ] {
            assert_eq!(in_single_quotes(name), expected);
        }
    }
}
