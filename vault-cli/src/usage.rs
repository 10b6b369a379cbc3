//! Mistakes on the command line: says what is wrong, without a word that may be a secret, and how
//! the command is used.

use crate::cli::{Cli, GlobalOptions, other_words, reference};
use crate::commands::exec;
use crate::context::{Context, World};
use crate::ui::failure::Failure;
use crate::ui::output::unless_closed;
use bootseal_core::{Kind, near_names};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory};
use std::ffi::OsString;

const UNEXPECTED: &str = "unexpected argument (it is not shown, because it may be a secret; never put a secret on a command line)";

/// Prints the help that was asked for, or what is wrong with the command line. Returns the exit
/// code.
pub(crate) fn report(args: &[OsString], error: &clap::Error, world: &mut World<'_>) -> u8 {
    if !error.use_stderr() {
        let text = error.to_string();
        let long = args.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--help");
        let short = error.kind() == ErrorKind::DisplayHelp && !long;
        let text = if short { reference::short(&text) } else { text };
        let options = GlobalOptions::default();
        let ui = &mut Context::new(&options, world).ui;
        let printed = ui.text(&text).and_then(|()| unless_closed(ui.stdout.flush()));
        return printed.map_or_else(
            |failure| {
                ui.failure(&failure);
                failure.exit_code()
            },
            |()| 0,
        );
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = write!(world.stderr, "{error}");
        return exit_code(args);
    }
    let known = choices(error)
        .or_else(|| near_verb(args, error))
        .or_else(|| wrong_value(error))
        .or_else(|| no_recipient(error))
        .or_else(|| no_program(args))
        .or_else(|| missing(error));
    let text = match known {
        Some(known) => known,
        None if names_only_options(error) => of_clap(error),
        None => UNEXPECTED.to_owned(),
    };
    refuse(args, &text, &error.to_string(), world)
}

/// Reports an argument that is not shown.
pub(crate) fn unexpected(args: &[OsString], world: &mut World<'_>) -> u8 {
    refuse(args, UNEXPECTED, "", world)
}

/// Detects `-hunter2`, which clap would take as `-h`, and succeed.
pub(crate) fn is_glued_to_help(arg: &OsString) -> bool {
    arg.to_str().is_some_and(|text| text.starts_with("-h") && text.len() > 2)
}

/// Prints what is wrong; `whole` is the text of clap, which may have a line on the usage.
fn refuse(args: &[OsString], what: &str, whole: &str, world: &mut World<'_>) -> u8 {
    let is_json = args.iter().any(|arg| arg == "--json");
    let help = match is_json {
        true => "bootseal --help".to_owned(),
        false => {
            let usage = whole.lines().find(|line| line.starts_with("Usage: "));
            let usage = usage.filter(|_| what != UNEXPECTED);
            let usage = usage.map_or(String::new(), |usage| format!("{usage}\n  "));
            format!("{usage}Help: {} --help", command(args).1)
        }
    };
    let options = GlobalOptions { json: is_json, ..GlobalOptions::default() };
    Context::new(&options, world).ui.failure(&Failure::new(Kind::Usage, what).with_help(help));
    exit_code(args)
}

/// The exit code of `exec` itself must not look like one of the program that it runs, such as 2.
fn exit_code(args: &[OsString]) -> u8 {
    let wraps = args.iter().skip(1).take_while(|arg| *arg != "--").any(|arg| arg == "exec");
    if wraps { exec::OWN_FAILURE } else { Kind::Usage.exit_code() }
}

/// The command that the typed verbs lead to, and its name: `bootseal access add`.
fn command(args: &[OsString]) -> (Command, String) {
    let (mut command, mut name) = (Cli::command(), "bootseal".to_owned());
    for arg in args.iter().skip(1).take_while(|arg| *arg != "--") {
        if let Some(verb) = command.find_subcommand(arg).filter(|verb| !verb.is_hide_set()) {
            name = format!("{name} {}", verb.get_name());
            command = verb.clone();
        }
    }
    (command, name)
}

/// Suggests verbs for an unknown word. The word itself is not shown: it could be a password.
fn near_verb(args: &[OsString], error: &clap::Error) -> Option<String> {
    let ContextValue::String(typed) = error.get(ContextKind::InvalidSubcommand)? else {
        return None;
    };
    let before = args.iter().position(|arg| arg == typed.as_str()).unwrap_or(args.len());
    let (verbs, parent) = command(&args[..before]);
    let parent = parent.strip_prefix("bootseal ").unwrap_or_default();
    if let Some((word, ours)) = other_words::ours(parent, typed) {
        return Some(format!(
            "there is no such command. What other tools call '{word}' is here: {ours}"
        ));
    }
    let verbs = verbs.get_subcommands().filter(|verb| !verb.is_hide_set());
    let verbs: Vec<&str> = verbs.map(Command::get_name).collect();
    let near: Vec<String> =
        near_names(typed, &verbs).iter().map(|verb| format!("'{verb}'")).collect();
    Some(match near.is_empty() {
        true => "there is no such command".to_owned(),
        false => format!("there is no such command. Did you mean {}?", near.join(" or ")),
    })
}

/// Lists the values that an option accepts, if it was given another one.
fn choices(error: &clap::Error) -> Option<String> {
    let (Some(ContextValue::String(option)), Some(ContextValue::Strings(choices))) =
        (error.get(ContextKind::InvalidArg), error.get(ContextKind::ValidValue))
    else {
        return None;
    };
    (!choices.is_empty()).then(|| format!("{option} takes one of: {}", choices.join(", ")))
}

/// Names the option or argument that was given an invalid value.
fn wrong_value(error: &clap::Error) -> Option<String> {
    let (ErrorKind::ValueValidation, Some(ContextValue::String(option))) =
        (error.kind(), error.get(ContextKind::InvalidArg))
    else {
        return None;
    };
    let takes = match option.rsplit_once('<').map(|(option, name)| (option.trim(), name)) {
        Some((_, "TIME>")) => "a time with a unit, such as 500ms, 30s or 5m",
        Some((_, "PORT>")) => "a number from 0 to 65535",
        Some(("--take", _)) => "ours or theirs, or NAME=ours, NAME=theirs",
        Some(("--iterations", _)) => "a number from 1 to 10000000",
        _ => "a whole number",
    };
    Some(format!("{option} takes {takes} (the given value is not shown: it may be a secret)"))
}

/// Explains the error of `access add` with only a name.
fn no_recipient(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::Strings(missing)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let what = "the RECIPIENT is missing: give the age1… line that `bootseal keygen` printed for them, an SSH public key, --new-key FILE or --passphrase";
    (missing.as_slice() == ["<RECIPIENT>"]).then(|| what.to_owned())
}

/// Explains how `exec` is given a program.
fn no_program(args: &[OsString]) -> Option<String> {
    let is_exec = args.get(1).is_some_and(|verb| verb == "exec");
    (is_exec && !args.iter().any(|arg| arg == "--"))
        .then(|| "put the program to run after --: bootseal exec -- PROGRAM ARGUMENTS".to_owned())
}

/// Names the arguments that are missing.
fn missing(error: &clap::Error) -> Option<String> {
    match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::MissingRequiredArgument, Some(ContextValue::Strings(missing))) => {
            Some(format!("missing: {}", missing.join(" ")))
        }
        _ => None,
    }
}

/// The first sentence of clap, and the option that it suggests.
fn of_clap(error: &clap::Error) -> String {
    let text = error.to_string();
    let first = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
    let first = first.split_whitespace().collect::<Vec<_>>().join(" ");
    match error.get(ContextKind::SuggestedArg) {
        Some(ContextValue::String(option)) => format!("{first}. Did you mean '{option}'?"),
        _ => first,
    }
}

/// Whether the error shows nothing from the command line except names of options and verbs.
fn names_only_options(error: &clap::Error) -> bool {
    // All options of a conflict error are defined in this crate.
    let conflict = error.kind() == ErrorKind::ArgumentConflict;
    // An option's description, such as `--file <FILE>`, comes from this crate; a word after dashes
    // is shown only if it resembles an option.
    let ours = |text: &str| {
        conflict
            || text.is_empty()
            || text.ends_with(['>', ']'])
            || error.get(ContextKind::SuggestedArg).is_some()
    };
    error.context().all(|(kind, value)| match (kind, value) {
        (ContextKind::InvalidArg | ContextKind::InvalidValue, ContextValue::String(text)) => {
            ours(text)
        }
        (ContextKind::TrailingArg, _) => false,
        _ => true,
    })
}
