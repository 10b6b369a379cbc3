//! Runs one command line: parses it, calls the verb, and turns the outcome into an exit code.

use crate::cli::other_words;
use crate::cli::reference;
use crate::cli::{Access, Cli, Git, GlobalOptions, VaultsChange, Verb};
use crate::commands::{
    accept, access, clear_clipboard, completions, diff, doctor, edit, exec, export, get, git,
    import, init, keygen, list, login, man, profile, propose, rename, resolve, rotate, route, seal,
    set, sign, sweep, unset, vaults, vendor, verify,
};
use crate::context::{Context, World};
use crate::ui::failure::{Exit, Failure};
use bootseal_core::Kind;
use clap::{CommandFactory, Parser};
use std::ffi::OsString;

/// Runs one command line, the program's name first, and returns the exit code: 0, the
/// [`bootseal_core::Kind::exit_code`] of the error, or a code of the verb's own, such as that of
/// the program that `exec` runs.
///
/// ```
/// use bootseal_cli::{World, run};
///
/// let (mut input, mut out, mut err) = (std::io::empty(), Vec::new(), Vec::new());
/// let code = run(["bootseal", "no-such-verb"], &mut World::new(&mut input, &mut out, &mut err));
/// assert_eq!((code, out.is_empty()), (2, true)); // a usage error, explained in `err`
/// ```
pub fn run<A: Into<OsString>>(args: impl IntoIterator<Item = A>, world: &mut World<'_>) -> u8 {
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    if let Some(code) = crate::completion::answer(&args, world) {
        return code;
    }
    if args.iter().skip(1).take_while(|arg| *arg != "--").any(glued_to_help) {
        return refuse(&args, UNEXPECTED, world);
    }
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => return usage(&args, &error, world),
    };
    let context = &mut Context::new(&cli.global, world);
    let done = match &cli.verb {
        Verb::Keygen(options) => keygen::run(options, context),
        Verb::Init(options) => init::run(options, context),
        Verb::Seal(options) => seal::run(options, context),
        Verb::Set(options) => set::run(options, context),
        Verb::Unset(options) => unset::run(options, context),
        Verb::Rename(options) => rename::run(options, context),
        Verb::Propose(options) => propose::run(options, context),
        Verb::Accept(options) => accept::run(options, context),
        Verb::Get(options) => get::run(options, context),
        Verb::List(options) => list::run(options, context),
        Verb::Edit(options) => edit::run(options, context),
        Verb::Verify(options) => verify::run(options, context),
        Verb::Access(Access::List) => access::list::run(context),
        Verb::Access(Access::Add(options)) => access::add::run(options, context),
        Verb::Access(Access::Remove(options)) => access::remove::run(options, context),
        Verb::Access(Access::Rename(options)) => access::rename::run(options, context),
        Verb::Access(Access::Request(options)) => access::request::run(options, context),
        Verb::Access(Access::Pin(options)) => access::pin::run(options, context),
        Verb::Vaults(options) => match &options.change {
            None => vaults::list::run(context),
            Some(VaultsChange::Add) => vaults::add::run(context),
            Some(VaultsChange::Forget(options)) => vaults::forget::run(options, context),
        },
        Verb::Rotate(options) => rotate::run(options, context),
        Verb::Diff(options) => diff::run(options, context),
        Verb::Sign(options) => sign::run(options, context),
        Verb::Resolve(options) => resolve::run(options, context),
        Verb::Git(Git::Setup) => git::setup::run(context),
        Verb::Git(Git::Check(options)) => git::check::run(options, context),
        Verb::Git(Git::Textconv(options)) => git::textconv::run(options, context),
        Verb::Git(Git::Merge(options)) => git::merge::run(options, context),
        Verb::Profile(options) => profile::run(options, context),
        Verb::Route(options) => route::run(options, context),
        Verb::Login(options) => login::run(options, context),
        Verb::Export(options) => export::run(options, context),
        Verb::Import(options) => import::run(options, context),
        Verb::Vendor(options) => vendor::run(options, context),
        Verb::Doctor(_) => doctor::run(context),
        Verb::Completions(options) => completions::run(options, context),
        Verb::Man(options) => man::run(options, context),
        Verb::ClearClipboard(options) => clear_clipboard::run(options, context),
        Verb::Exec(options) => exec::run(options, context),
        Verb::Sweep => sweep::run(),
    };
    let flushed = context.ui.stdout.flush();
    match done {
        Ok(()) => match flushed {
            // A broken pipe is not an error: the reader of the output may close it early.
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                context.ui.failure(&error.into());
                Kind::Io.exit_code()
            }
            _ => 0,
        },
        Err(Exit::Reported(code)) => code,
        Err(Exit::Failed(failure)) => {
            context.ui.failure(&failure);
            failure.exit_code()
        }
    }
}

/// Whether a command line runs the verb `doctor`, which reads the limits of the process before
/// they are changed. The word alone does not count: it can be the name of a file.
///
/// ```
/// use bootseal_cli::is_doctor;
/// assert!(is_doctor(["bootseal", "-q", "doctor"]));
/// assert!(!is_doctor(["bootseal", "edit", "-f", "doctor"]));
/// ```
pub fn is_doctor<A: Into<OsString> + Clone>(args: impl IntoIterator<Item = A>) -> bool {
    Cli::try_parse_from(args).is_ok_and(|cli| matches!(cli.verb, Verb::Doctor(_)))
}

fn usage(args: &[OsString], error: &clap::Error, world: &mut World<'_>) -> u8 {
    if !error.use_stderr() {
        let text = error.to_string();
        let long = args.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--help");
        let short = error.kind() == clap::error::ErrorKind::DisplayHelp && !long;
        let text = if short { reference::short(&text) } else { text };
        let _ = write!(world.stdout, "{text}");
        return 0;
    }
    let known = choices(error)
        .or_else(|| near_verb(args, error))
        .or_else(|| wrong_value(error))
        .or_else(|| no_recipient(error));
    let text = match (known, names_only_options(error)) {
        (Some(known), _) => known,
        _ if args.get(1).is_some_and(|verb| verb == "exec")
            && !args.iter().any(|arg| arg == "--") =>
        {
            NO_PROGRAM.to_owned()
        }
        (None, true) => error.to_string(),
        (None, false) => UNEXPECTED.to_owned(),
    };
    refuse(args, &text, world)
}

const UNEXPECTED: &str = "error: unexpected argument (it is not shown, because it may be a secret; never put a secret on a \
                          command line)\n\nFor more information, try '--help'.\n";

const NO_PROGRAM: &str = "error: put the program to run after --: bootseal exec -- PROGRAM ARGUMENTS\n\nFor more information, try '--help'.\n";

fn refuse(args: &[OsString], text: &str, world: &mut World<'_>) -> u8 {
    if args.iter().any(|arg| arg == "--json") {
        let first = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
        let message = first.split_whitespace().collect::<Vec<_>>().join(" ");
        let failure = Failure::new(Kind::Usage, message).with_help("bootseal --help");
        let options = GlobalOptions { json: true, ..GlobalOptions::default() };
        Context::new(&options, world).ui.failure(&failure);
    } else {
        let _ = write!(world.stderr, "{text}");
    }
    // The exit code of `exec` itself must not look like one of the program that it runs, such as 2.
    if wraps(args) { exec::OWN_FAILURE } else { Kind::Usage.exit_code() }
}

fn wraps(args: &[OsString]) -> bool {
    args.iter().skip(1).take_while(|arg| *arg != "--").any(|arg| arg == "exec")
}

/// Detects `-hunter2`, which clap would take as `-h`, and succeed.
fn glued_to_help(arg: &OsString) -> bool {
    arg.to_str().is_some_and(|text| text.starts_with("-h") && text.len() > 2)
}

/// Suggests verbs for an unknown word. The word itself is not shown: it could be a password.
fn near_verb(args: &[OsString], error: &clap::Error) -> Option<String> {
    use clap::error::{ContextKind, ContextValue};
    let ContextValue::String(typed) = error.get(ContextKind::InvalidSubcommand)? else {
        return None;
    };
    let parent = ["access", "vaults", "git"].into_iter().find(|verb| {
        let before = args.iter().skip(1).take_while(|arg| *arg != typed.as_str());
        before.into_iter().any(|arg| arg == verb)
    });
    let parent = parent.unwrap_or_default();
    if let Some((word, ours)) = other_words::ours(parent, typed) {
        return Some(format!(
            "error: there is no such command. What other tools call '{word}' is here: {ours}\n\nFor more information, try '--help'.\n"
        ));
    }
    let near: Vec<String> = match error.get(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::Strings(near)) => near.clone(),
        // Clap does not recognise two swapped letters in a short word.
        _ => {
            let verbs = Cli::command();
            let verbs = verbs.get_subcommands().filter(|verb| !verb.is_hide_set());
            let verbs: Vec<&str> = verbs.map(clap::Command::get_name).collect();
            bootseal_core::near_names(typed, &verbs).into_iter().map(str::to_owned).collect()
        }
    };
    let near: Vec<String> = near.iter().map(|verb| format!("'{verb}'")).collect();
    let meant = if near.is_empty() {
        String::new()
    } else {
        format!(" Did you mean {}?", near.join(" or "))
    };
    Some(format!(
        "error: there is no such command.{meant}\n\nFor more information, try '--help'.\n"
    ))
}

/// Lists the values that an option accepts, if it was given another one.
fn choices(error: &clap::Error) -> Option<String> {
    use clap::error::{ContextKind, ContextValue};
    let (Some(ContextValue::String(option)), Some(ContextValue::Strings(choices))) =
        (error.get(ContextKind::InvalidArg), error.get(ContextKind::ValidValue))
    else {
        return None;
    };
    if choices.is_empty() {
        return None;
    }
    Some(format!(
        "error: {option} takes one of: {}\n\nFor more information, try '--help'.\n",
        choices.join(", ")
    ))
}

/// Names the option or argument that was given an invalid value.
fn wrong_value(error: &clap::Error) -> Option<String> {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
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
    let not = "the given value is not shown: it may be a secret";
    Some(format!("error: {option} takes {takes} ({not})\n\nFor more information, try '--help'.\n"))
}

/// Explains the error of `access add` with only a name.
fn no_recipient(error: &clap::Error) -> Option<String> {
    use clap::error::{ContextKind, ContextValue};
    let Some(ContextValue::Strings(missing)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    if missing.as_slice() != ["<RECIPIENT>"] {
        return None;
    }
    let what = "the RECIPIENT is missing: give the age1… line that `bootseal keygen` printed for them, an SSH public key, --new-key FILE or --passphrase";
    Some(format!("error: {what}\n\nFor more information, try '--help'.\n"))
}

/// Whether the error shows nothing from the command line except names of options and verbs.
fn names_only_options(error: &clap::Error) -> bool {
    use clap::error::{ContextKind, ContextValue};
    // All options of a conflict error are defined in this crate.
    let conflict = error.kind() == clap::error::ErrorKind::ArgumentConflict;
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
