//! Runs one command line: parses it, calls the verb, and turns the outcome into an exit code.

use crate::cli::{Access, Cli, Git, VaultsChange, Verb, help_verb};
use crate::commands::{
    accept, access, clear_clipboard, completions, diff, doctor, edit, exec, export, get, git,
    import, init, keygen, list, login, man, profile, propose, rename, resolve, rotate, route, seal,
    set, sign, sweep, unset, vaults, vendor, verify,
};
use crate::context::{Context, World};
use crate::ui::failure::Exit;
use crate::usage;
use bootseal_core::Kind;
use clap::Parser;
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
    let args = help_verb::as_option(args);
    if args.iter().skip(1).take_while(|arg| *arg != "--").any(usage::is_glued_to_help) {
        return usage::unexpected(&args, world);
    }
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => return usage::report(&args, &error, world),
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
