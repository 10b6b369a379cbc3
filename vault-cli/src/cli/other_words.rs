//! The words of other tools for verbs, and the command that each of them is here.

/// Each word with our command. The first word is the verb above it, or empty.
const WORDS: &[(&str, &[&str], &str)] = &[
    ("", &["help"], "bootseal --help, or bootseal VERB --help"),
    ("", &["version"], "bootseal --version"),
    (
        "",
        &["rm", "remove", "delete", "del"],
        "bootseal unset PATH; a member: bootseal access remove NAME",
    ),
    (
        "",
        &["encrypt", "enc", "protect"],
        "bootseal seal FILE for a whole file, bootseal set PATH for one value",
    ),
    (
        "",
        &["decrypt", "dec", "unseal", "reveal"],
        "bootseal get PATH for one value, bootseal export for all, bootseal edit to change them",
    ),
    (
        "",
        &["show", "view", "cat", "print", "read", "copy"],
        "bootseal get PATH for one value, bootseal list for the names, bootseal edit for the whole file",
    ),
    (
        "",
        &["add", "put", "insert", "create", "write", "store", "update"],
        "bootseal set PATH; a member: bootseal access add NAME RECIPIENT; a vault: bootseal init",
    ),
    ("", &["ls", "names", "keys", "find", "search"], "bootseal list"),
    ("", &["mv", "move"], "bootseal rename OLD NEW"),
    ("", &["run", "exec-env", "env"], "bootseal exec -- PROGRAM"),
    (
        "",
        &["check", "lint", "validate", "test", "audit", "status"],
        "bootseal verify for the file, bootseal doctor for this machine, bootseal git check for the repository",
    ),
    (
        "",
        &["generate", "gen", "random"],
        "bootseal set PATH --generate for a value, bootseal keygen for a key",
    ),
    ("", &["key", "keypair", "genkey"], "bootseal keygen"),
    (
        "",
        &["updatekeys", "rekey", "rotatekeys", "reencrypt"],
        "bootseal rotate for new keys, bootseal access add or remove for other members",
    ),
    (
        "",
        &["share", "grant", "invite", "authorize", "adduser", "add-recipient"],
        "bootseal access add NAME RECIPIENT",
    ),
    ("", &["revoke", "kick", "deauthorize", "rmuser"], "bootseal access remove NAME"),
    ("", &["request", "whoami"], "bootseal access request"),
    ("", &["users", "members", "recipients", "team", "who"], "bootseal access list"),
    (
        "",
        &["merge"],
        "bootseal resolve FILE after a conflict; bootseal git setup for automatic merges",
    ),
    ("", &["commit", "save"], "bootseal sign after a manual edit, then git commit"),
    ("", &["setup", "install"], "bootseal init for a vault, bootseal git setup for git"),
    ("", &["generate-completion", "completion"], "bootseal completions SHELL"),
    (
        "",
        &["gateway", "serve", "proxy"],
        "bootseal-gateway -f FILE; bootseal route writes its routes",
    ),
    ("access", &["rm", "delete", "del", "revoke"], "bootseal access remove NAME"),
    ("access", &["ls", "show", "who"], "bootseal access list"),
    ("access", &["grant", "invite", "new"], "bootseal access add NAME RECIPIENT"),
    ("access", &["mv", "move"], "bootseal access rename OLD NEW"),
    ("access", &["help"], "bootseal access --help"),
    ("vaults", &["rm", "remove", "delete"], "bootseal vaults forget ID"),
    ("vaults", &["ls", "list", "show"], "bootseal vaults"),
    ("git", &["install", "init"], "bootseal git setup"),
];

/// Our command for a word of another tool, below the verb `parent`. The word is returned too, from
/// the list: what the user typed may be a secret, and is not shown.
pub(crate) fn ours(parent: &str, typed: &str) -> Option<(&'static str, &'static str)> {
    WORDS.iter().filter(|(below, _, _)| *below == parent).find_map(|(_, words, ours)| {
        let word = words.iter().find(|word| word.eq_ignore_ascii_case(typed))?;
        Some((*word, *ours))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory;
    use std::collections::HashSet;

    #[test]
    fn no_word_is_a_verb_of_ours_and_each_leads_to_one_that_exists() {
        let root = Cli::command();
        let mut seen = HashSet::new();
        for (parent, words, ours) in WORDS {
            let at = match *parent {
                "" => Some(&root),
                parent => root.find_subcommand(parent),
            };
            let at = at.unwrap_or_else(|| panic!("{parent}"));
            for word in *words {
                assert!(at.find_subcommand(word).is_none(), "{parent} {word} is a verb");
                assert!(seen.insert((*parent, *word)), "{parent} {word} twice");
            }
            for command in ours.split("bootseal ").skip(1) {
                let words: Vec<&str> = command.split([' ', ';', ',']).collect();
                let verb = root.find_subcommand(words[0]);
                assert!(
                    verb.is_some() || ["--help", "VERB", "--version"].contains(&words[0]),
                    "{ours}"
                );
            }
        }
    }
}
