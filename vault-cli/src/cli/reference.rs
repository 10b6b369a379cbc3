//! The exit codes, environment variables and files of the program, for `--help` and manual pages.

/// A term and its explanation.
pub(crate) type Entry = (&'static str, &'static str);

/// The exit codes of every verb except `exec`.
pub(crate) const EXIT_CODES: &[Entry] = &[
    ("0", "success"),
    ("1", "any other error, or a finding of doctor, git check or diff --names"),
    ("2", "a mistake on the command line, or a question without a terminal to ask at"),
    ("3", "the file is not authentic: forged, another vault, or older than a version seen before"),
    ("4", "no key or passphrase opens the file"),
    ("5", "the vendor refused the login"),
    ("6", "the vendor is down or asks to wait, or its certificate or response is wrong"),
    ("130", "Ctrl-C at a prompt"),
];

/// The exit codes of `exec`.
pub(crate) const EXEC_EXIT_CODES: &[Entry] = &[
    ("125", "bootseal failed, and the program was not started"),
    ("126", "the program is not executable"),
    ("127", "the program was not found"),
    ("130", "Ctrl-C at a prompt, before the program was started"),
    ("other", "the exit code of the program"),
];

/// The environment variables that the program reads.
pub(crate) const ENVIRONMENT: &[Entry] = &[
    ("BOOTSEAL_FILE", "the sealed file, unless -f or an argument names one"),
    ("BOOTSEAL_IDENTITY", "a file with an identity, instead of your own; -i overrides it"),
    (
        "BOOTSEAL_PIN",
        "the vault ids, separated by blanks, of which the file must have one; --pin overrides it",
    ),
    ("VISUAL, EDITOR", "the editor of bootseal edit; vi if neither is set"),
    ("USER, LOGNAME", "your name in the access list of a new vault, and in access request"),
    ("NO_COLOR, TERM", "no colours if NO_COLOR is set, or if TERM is dumb"),
    (
        "XDG_CONFIG_HOME, XDG_STATE_HOME, XDG_RUNTIME_DIR",
        "the folders of your identity, of the known vaults, and of files in memory",
    ),
    ("BOOTSEAL_FILES", "set by exec --files for the program: the folder of its files"),
];

/// The files that the program reads and writes, besides those on the command line.
pub(crate) const FILES: &[Entry] = &[
    (
        "*.sealed.toml",
        "the sealed file: the only one in the current folder, else in the nearest folder above that has one, up to the root of the git repository",
    ),
    (
        "~/.config/bootseal/identity.txt",
        "your identity, which bootseal init and bootseal keygen create",
    ),
    ("~/.ssh/id_ed25519, ~/.ssh/id_rsa", "SSH keys that open a file if no identity is named"),
    (
        "~/.local/state/bootseal/known_vaults",
        "the vaults that this machine knows, with their generations",
    ),
    ("~/.local/state/bootseal/drafts", "encrypted texts of unfinished edits"),
];

/// The text after the options of `bootseal --help`.
pub(crate) fn main_help() -> String {
    let begin = "To begin: bootseal init, bootseal set acme.password, bootseal access add web1 --new-key web1.key\nTo log in to a vendor: bootseal profile --help\nTo try this without credentials: bootseal vendor --help";
    let codes: String =
        EXIT_CODES.iter().map(|(code, what)| format!("\n  {code:<3}  {what}")).collect();
    format!("{begin}\n\nExit codes (exec has its own):{codes}")
}

/// The text of `-h`: that of `--help` without the global options and everything below them.
pub(crate) fn short(help: &str) -> String {
    let kept = help.split_once("\nGlobal options:\n").map_or(help, |(kept, _)| kept);
    let usage = help.lines().find_map(|line| line.strip_prefix("Usage: ")).unwrap_or("bootseal");
    let words = usage.split_whitespace().take_while(|word| !word.starts_with(['[', '<', '-']));
    let command = words.collect::<Vec<_>>().join(" ");
    format!("{kept}\nGlobal options, examples and more: {command} --help\n")
}
