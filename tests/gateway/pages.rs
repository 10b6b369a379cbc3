//! The manual page and the completions of the gateway: `man`, `mandoc` and the shells accept them.

use crate::support::program;
use std::process::{Command, Output, Stdio};

fn ran(args: &[&str]) -> Output {
    Command::new(program()).args(args).env_clear().stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_manual_page_has_every_section_and_no_error() {
    let page = ran(&["man"]);
    assert!(page.status.success());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bootseal-gateway.1");
    std::fs::write(&file, &page.stdout).unwrap();
    let lint = Command::new("mandoc").args(["-T", "lint", "-W", "error"]).arg(&file).output();
    let lint = lint.unwrap();
    assert!(lint.status.success(), "{}", text(&lint.stdout));
    let mut man = Command::new("man");
    man.args(["--warnings", "-l"]).arg(&file).env("MANWIDTH", "200").env("LC_ALL", "C.UTF-8");
    let shown = man.env("PAGER", "cat").output().unwrap();
    assert_eq!(text(&shown.stderr), "");
    let shown = text(&shown.stdout);
    for words in [
        "NAME\n",
        "SYNOPSIS\n",
        "OPTIONS\n",
        "COMMANDS\n",
        "EXAMPLES\n",
        "EXIT STATUS\n",
        "ENVIRONMENT\n",
        "FILES\n",
        "SEE ALSO\n",
        "--check",
        "healthy",
        "BOOTSEAL_PIN",
        "bootseal(1)",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
}

#[test]
fn the_completion_scripts_are_valid_and_complete_options_and_verbs() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = ran(&["completions", shell]);
        assert!(script.status.success(), "{shell}");
        let script = text(&script.stdout);
        assert!(script.contains("bootseal-gateway") && script.contains("check"), "{shell}");
        std::fs::write(folder.path().join(shell), &script).unwrap();
        if shell != "powershell" {
            let parsed = Command::new(shell).arg("-n").arg(folder.path().join(shell)).output();
            assert!(parsed.unwrap().status.success(), "{shell}");
        }
    }
    let line = "source ./bash; COMP_WORDS=(bootseal-gateway --ch); COMP_CWORD=1; $(complete -p bootseal-gateway | sed 's/.*-F \\([^ ]*\\).*/\\1/') bootseal-gateway --ch bootseal-gateway; echo ${COMPREPLY[@]}";
    let bash = Command::new("bash").args(["-c", line]).current_dir(folder.path()).output().unwrap();
    assert_eq!(text(&bash.stdout), "--check\n", "{}", text(&bash.stderr));
    let line = "source ./fish; complete -C 'bootseal-gateway he'";
    let mut fish = Command::new("fish");
    fish.args(["--no-config", "-c", line]).current_dir(folder.path());
    let fish = text(&fish.output().unwrap().stdout);
    assert!(fish.starts_with("healthy\t") || fish.contains("\nhealthy\t"), "{fish}");
    assert_eq!(ran(&["completions", "tcsh"]).status.code(), Some(2));
}

#[test]
fn the_short_help_has_the_options_and_the_long_one_the_exit_codes() {
    for verb in [&[][..], &["healthy"]] {
        let long = text(&ran(&[verb, &["--help"]].concat()).stdout);
        let short = text(&ran(&[verb, &["-h"]].concat()).stdout);
        assert!(short.lines().count() < long.lines().count(), "{short}");
        assert!(short.contains("--file") && short.contains("--help\n"), "{short}");
        assert!(long.contains("xit code") && !short.contains("Examples:"), "{long}");
    }
}

/// A full disk is an error with exit code 1, and a reader that has gone is none; neither is a panic.
#[cfg(target_os = "linux")]
#[test]
fn what_is_printed_to_a_full_disk_or_a_closed_pipe_ends_without_a_panic() {
    for args in [
        &["man"][..],
        &["completions", "bash"],
        &["completions", "zsh"],
        &["completions", "fish"],
        &["completions", "powershell"],
        &["--help"],
        &["-h"],
        &["--version"],
        &["healthy", "--help"],
    ] {
        let mut command = Command::new(program());
        command.args(args).env_clear().stdin(Stdio::null());
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ran = command.stdout(full).output().unwrap();
        let said = text(&ran.stderr);
        assert_eq!(ran.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains("stdout: ") && !said.contains("panic"), "{args:?}: {said}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ran = command.stdout(writer).output().unwrap();
        assert_eq!((ran.status.code(), text(&ran.stderr).as_str()), (Some(0), ""), "{args:?}");
    }
}
