//! `-h` is short, `--help` is complete, and manual pages have the sections that people look for.

use crate::support::{Home, verbs};

#[test]
fn the_short_help_has_the_options_and_the_long_one_everything() {
    let home = Home::new();
    for verb in [vec![], vec!["access".to_owned()]].into_iter().chain(verbs(&home)) {
        let words: Vec<&str> = verb.iter().map(String::as_str).collect();
        let long = home.ok(&[&words[..], &["--help"]].concat());
        let short = home.ok(&[&words[..], &["-h"]].concat());
        let (head, _) = long.split_once("\nGlobal options:\n").unwrap();
        let command = [&["bootseal"], &words[..]].concat().join(" ");
        assert_eq!(short, format!("{head}\nGlobal options, examples and more: {command} --help\n"));
        assert!(short.lines().count() < long.lines().count());
    }
    // Both together, and the letter inside a word, are as before.
    assert_eq!(home.ok(&["set", "-h", "--help"]), home.ok(&["set", "--help"]));
    assert_eq!(home.run(&["set", "-hunter2"]).code, 2);
    assert!(home.ok(&["-q", "set", "-h"]).contains("Usage: bootseal set"));
}

#[test]
fn the_help_and_each_page_list_the_exit_codes_as_they_are() {
    let home = Home::new();
    let help = home.ok(&["--help"]);
    for code in [0, 1, 2, 3, 4, 5, 6, 130] {
        assert!(
            help.lines().any(|line| line.starts_with(&format!("  {code:<3}  "))),
            "{code}: {help}"
        );
    }
    home.ok(&["man", "--out", "pages"]);
    for entry in std::fs::read_dir(home.at("pages")).unwrap() {
        let path = entry.unwrap().path();
        let page = std::fs::read_to_string(&path).unwrap();
        for section in ["\"EXIT STATUS\"", "\"ENVIRONMENT\"", "\"FILES\"", "\"SEE ALSO\""] {
            assert!(page.contains(&format!(".SH {section}\n")), "{path:?}: {section}");
        }
        let own = path.file_stem().unwrap().to_str().unwrap() == "bootseal-exec";
        assert_eq!(page.contains("\\fB125\\fR"), own, "{path:?}");
        // Each page that another one names exists.
        for line in page.lines().filter_map(|line| line.strip_prefix(".BR bootseal")) {
            let name = format!("bootseal{}", line.split(' ').next().unwrap().replace('\\', ""));
            let there = home.at(&format!("pages/{name}.1")).exists();
            assert!(there || name == "bootseal-gateway", "{path:?}: {name}");
        }
    }
    let page = home.ok(&["man"]);
    for name in ["BOOTSEAL_FILE", "BOOTSEAL_IDENTITY", "BOOTSEAL_PIN", "EDITOR", "known_vaults"] {
        assert!(page.contains(name), "{name}");
    }
    assert!(page.contains(".BR bootseal\\-gateway (1)") && page.contains(".BR bootseal\\-set (1)"));
}
