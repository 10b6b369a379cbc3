//! The commands of docs/first-ten-minutes.md work as printed.

use crate::running::{Running, log_with, log_with_times};
use crate::support::ports::free_port;
use crate::support::{Home, at_a_terminal, root};

/// A command of the page and the output below it.
struct Step {
    command: Vec<String>,
    shown: Vec<String>,
}

fn steps() -> Vec<Step> {
    let page = std::fs::read_to_string(root().join("docs/first-ten-minutes.md")).unwrap();
    // Port 8600 may be taken, for example by another run of this test.
    let page = page.replace("8600", &free_port().to_string());
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        match (line.strip_prefix("$ bootseal "), inside) {
            _ if line.starts_with("```") => inside = line == "```console",
            (Some(command), true) => steps.push(Step {
                command: command.split_whitespace().map(str::to_owned).collect(),
                shown: Vec::new(),
            }),
            (None, true) => steps.last_mut().unwrap().shown.push(line.to_owned()),
            _ => {}
        }
    }
    steps
}

#[test]
fn every_command_of_the_page_prints_what_the_page_shows() {
    let home = Home::new();
    let steps = steps();
    assert!((4..8).contains(&steps.len()), "under 8 commands");
    let mut vendor = None;
    for Step { command, shown } in &steps {
        let args: Vec<&str> = command.iter().map(String::as_str).collect();
        if args[0] == "vendor" {
            let running = Running::start(&home, &args[1..]);
            assert_eq!(shown, &[running.origin.as_str()]);
            vendor = Some(running);
            continue;
        }
        // A line that ends in a colon is a prompt.
        let asks: Vec<(&str, &str)> = shown
            .iter()
            .filter(|line| line.ends_with(':'))
            .map(|line| (line.as_str(), "anything\n"))
            .collect();
        let (code, seen, _) = at_a_terminal(&home, &args, &asks).unwrap();
        assert_eq!(code, 0, "{args:?}\n{seen}");
        for line in shown {
            assert!(seen.contains(line.as_str()), "{args:?}: {line}\n{seen}");
        }
    }
    let log = log_with(&home, "GET /orders 200 call");
    assert!(log.contains("GET /orders 200 call"), "{log}");
    let login = "POST /api/token/ 200 login";
    assert_eq!(log_with_times(&home, login, 2).matches(login).count(), 2, "{log}");
    assert_eq!(vendor.unwrap().interrupt().0, Some(0));
}

#[test]
fn every_command_of_the_page_is_named_by_the_help_of_the_one_before() {
    let home = Home::new();
    let help = home.ok(&["--help"]);
    for verb in ["init", "profile", "vendor", "login", "list"] {
        assert!(help.lines().any(|line| line.trim_start().starts_with(verb)), "{verb}\n{help}");
    }
    let help = home.ok(&["profile", "--help"]);
    for words in [
        "--preset simplejwt",
        "--url",
        "bootseal profile --list",
        "bootseal vendor NAME",
        "bootseal login NAME",
    ] {
        assert!(help.contains(words), "{words}\n{help}");
    }
}
