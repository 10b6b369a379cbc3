//! The manual page and the completions of the gateway, from the same definitions as `--help`.

use crate::args::Cli;
use clap::CommandFactory;
use clap_complete::Shell;
use std::io::{self, Write};

const NAME: &str = "bootseal-gateway";

/// A term and its explanation.
type Entry = (&'static str, &'static str);

const EXIT_CODES: &[Entry] = &[
    ("0", "the gateway was stopped, or a check found no error; healthy: it is ready"),
    (
        "1",
        "an error, such as a file that cannot be served or an address in use; healthy: it is not ready",
    ),
    ("2", "a mistake on the command line"),
    ("3", "the file is not authentic: forged, another vault, or older than a version seen before"),
    ("4", "no key opens the file"),
    ("5", "--check --login: the vendor refused a login"),
    (
        "6",
        "--check --login: the vendor is down or asks to wait, or its certificate or response is wrong",
    ),
];

const ENVIRONMENT: &[Entry] = &[
    ("BOOTSEAL_FILE", "the sealed file, unless the command line names one"),
    ("BOOTSEAL_IDENTITY", "the file with the key, unless --identity names one"),
    ("BOOTSEAL_PIN", "the id of the vault that the file must contain, unless --pin names it"),
    (
        "BOOTSEAL_STATE, STATE_DIRECTORY",
        "the state folder, unless --state names one; systemd sets the second one",
    ),
    (
        "CREDENTIALS_DIRECTORY",
        "the folder of the credentials bootseal.key, bootseal.passphrase and bootseal.pin, which systemd sets",
    ),
    (
        "LISTEN_FDS, NOTIFY_SOCKET",
        "sockets that systemd hands over, and the socket for its notifications",
    ),
];

const FILES: &[Entry] = &[
    ("app.sealed.toml", "the sealed file in the current folder, if no other is named"),
    (
        "/run/secrets/bootseal.key, /run/secrets/bootseal/bootseal.key",
        "keys that container platforms mount",
    ),
    ("~/.config/bootseal/identity.txt", "the key of the user, if there is no other"),
];

/// The manual page, in roff.
///
/// # Errors
/// None is expected: the page is made in memory.
pub(crate) fn page() -> io::Result<Vec<u8>> {
    let out = &mut Vec::new();
    let mut command = Cli::command();
    command.build();
    let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let man = clap_mangen::Man::new(command.after_help(""));
    // No date, so that builds are reproducible.
    let version = env!("CARGO_PKG_VERSION");
    writeln!(out, ".TH BOOTSEAL-GATEWAY 1 \"\" \"{NAME} {version}\" Bootseal")?;
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    man.render_description_section(out)?;
    man.render_options_section(out)?;
    // A verb has no page of its own, so it is not written as a reference.
    writeln!(out, ".SH COMMANDS")?;
    for verb in Cli::command().get_subcommands() {
        let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
        entry(verb.get_name(), &about, out)?;
    }
    writeln!(out, ".SH EXAMPLES\n.nf")?;
    // The exit codes have their own section.
    let examples = examples.split("\nExit codes").next().unwrap_or_default();
    for line in examples.lines().filter(|line| !matches!(*line, "Examples:" | "")) {
        writeln!(out, "\\&{}", escaped(line))?;
    }
    writeln!(out, ".fi")?;
    for (title, entries) in
        [("EXIT STATUS", EXIT_CODES), ("ENVIRONMENT", ENVIRONMENT), ("FILES", FILES)]
    {
        writeln!(out, ".SH \"{title}\"")?;
        for (term, what) in entries {
            entry(term, what, out)?;
        }
    }
    writeln!(
        out,
        ".SH \"SEE ALSO\"\n.BR bootseal (1),\n.BR bootseal\\-route (1),\n.BR systemd.exec (5)"
    )?;
    Ok(std::mem::take(out))
}

fn entry(term: &str, what: &str, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, ".TP\n\\fB{}\\fR\n{}", escaped(term), escaped(what))
}

/// Escapes a line of text for roff.
fn escaped(line: &str) -> String {
    line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq")
}

/// The completion script for a shell. `generate` panics if its output cannot be written, so it
/// writes to memory.
pub(crate) fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), NAME, &mut script);
    script
}
