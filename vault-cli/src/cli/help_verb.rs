//! The verb `help` of many programs: `bootseal help access add` is `bootseal access add --help`.

use std::ffi::OsString;

/// The verbs that have verbs below them.
const GROUPS: [&str; 3] = ["access", "vaults", "git"];

/// The command line with the option `--help` instead of the verb `help`. Any other command line is
/// returned unchanged.
pub(crate) fn as_option(args: Vec<OsString>) -> Vec<OsString> {
    let is_help = |at: usize| args.get(at).is_some_and(|arg| arg == "help");
    let is_group = args.get(1).is_some_and(|verb| GROUPS.iter().any(|group| verb == group));
    let at = match is_group {
        _ if is_help(1) => 1,
        true if is_help(2) => 2,
        _ => return args,
    };
    // `help help` is about the program itself.
    let words = args.into_iter().enumerate().filter(|(place, arg)| *place < at || arg != "help");
    words.map(|(_, arg)| arg).chain(["--help".into()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verb_help_becomes_the_option() {
        let converted = |line: &str| {
            let args = as_option(line.split(' ').map(OsString::from).collect());
            args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        for (line, expected) in [
            ("bootseal help", "bootseal --help"),
            ("bootseal help help", "bootseal --help"),
            ("bootseal help set", "bootseal set --help"),
            ("bootseal help access add", "bootseal access add --help"),
            ("bootseal access help", "bootseal access --help"),
            ("bootseal access help add", "bootseal access add --help"),
            ("bootseal git help check", "bootseal git check --help"),
            ("bootseal get help", "bootseal get help"),
            ("bootseal set access help", "bootseal set access help"),
            ("bootseal exec -- help", "bootseal exec -- help"),
        ] {
            assert_eq!(converted(line), expected);
        }
    }
}
