//! Tab completion in the real bash, zsh and fish: verbs, options, files with spaces in their names,
//! and names from the sealed file. `man` and `mandoc` find no fault in the manual pages.

use crate::support;
use crate::support::{Home, Ran};
use std::path::Path;
use std::process::Command;

/// A vault with a space in its file name, and names with shell metacharacters.
fn home() -> Home {
    let home = Home::new();
    home.write(
        "my app.toml",
        "[acme]\npassword = \"secret:hunter2\"\n\"user.name\" = \"secret:svc-user\"\nurl = \"https://acme.example/login\"\n\n\
         [acme.login]\nurl = \"${url}\"\nform = { p = \"${password}\" }\ntoken = { json = \"/token\" }\n\n[grün]\n"
            .replace("[grün]", "[\"grün\"]\n\"$weg\" = \"secret:x\"")
            .replace("url = \"${url}\"", "url = \"https://acme.example/login\""),
    );
    home.ok(&["seal", "my app.toml"]);
    std::fs::remove_file(home.at("my app.toml")).unwrap();
    home.ok(&[
        "access",
        "add",
        "web1@corp",
        "--new-key",
        "web1.key",
        "--yes",
        "-f",
        "my app.sealed.toml",
    ]);
    for shell in ["bash", "zsh", "fish", "powershell"] {
        home.write(shell, home.ok(&["completions", shell]));
    }
    home
}

/// A PATH that starts with the `bootseal` under test.
fn path() -> String {
    format!(
        "{}:/usr/bin:/bin",
        Path::new(env!("CARGO_BIN_EXE_bootseal")).parent().unwrap().display()
    )
}

/// Types into a shell on its own terminal, each part once the given words have appeared. Returns
/// the terminal's output.
fn typed(home: &Home, shell: &[&str], parts: &[(&str, &str)]) -> String {
    const DRIVER: &str = r#"
import json, os, pty, select, sys, time
home, path, parts, command = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4:]
child, terminal = pty.fork()
if child == 0:
    os.chdir(home)
    os.execvpe(command[0], command, {"HOME": home, "PATH": path, "TERM": "dumb", "LC_ALL": "C.UTF-8", "COLUMNS": "200", "PS1": "READY>", "ZDOTDIR": home})
seen, at, end = b"", 0, time.time() + 180
for words, text in parts:
    while words.encode() not in seen[at:]:
        if time.time() > end or not select.select([terminal], [], [], 60)[0]:
            sys.exit(f"waited in vain for {words!r}: {seen!r}")
        try: more = os.read(terminal, 65536)
        except OSError: sys.exit(f"ended before {words!r}: {seen!r}")
        seen += more
    at = seen.index(words.encode(), at) + len(words.encode())
    os.write(terminal, text.encode())
os.close(terminal)
sys.stdout.buffer.write(seen)
"#;
    let mut command = Command::new("python3");
    command
        .args(["-c", DRIVER])
        .arg(home.path())
        .arg(path())
        .arg(serde_json::json!(parts).to_string())
        .args(shell);
    let ran: Ran = command.output().unwrap().into();
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.out
}

/// Each completed command is run, so a name with a wrong quoting would not be found.
const LINES: &[(&str, &str)] = &[
    ("READY>", "bootseal ge\t"),
    ("bootseal get", "-f my\t"),
    ("app.sealed.toml", "acme.pas\t"),
    ("acme.password", "; echo TO\"LD\"\n"),
    ("hunter2", ""),
    ("TOLD", ""),
];

#[test]
fn bash_completes() {
    let home = home();
    let mut lines = vec![("READY>", "source ./bash\n")];
    lines.extend_from_slice(LINES);
    lines.extend_from_slice(&[
        ("READY>", "bootseal get acme.\\\"us\t"),
        ("user.name\\\"", "\n"),
        ("svc-user", ""),
        ("READY>", "bootseal access remove we\t"),
        // Ctrl-U deletes the line.
        ("web1\\@corp", "\x15bootseal login ac\t"),
        ("acme", "\x15bootseal list --js\t"),
        ("--json", "-f my\t"),
        ("my\\ app.sealed.toml", "\x15"),
    ]);
    typed(&home, &["bash", "--norc", "--noprofile", "-i"], &lines);
}

#[test]
fn zsh_completes() {
    let home = home();
    home.write(".zshrc", "PS1='READY>'\nautoload -Uz compinit && compinit -u\nsource ./zsh\n");
    let mut lines = LINES.to_vec();
    lines.extend_from_slice(&[
        ("READY>", "bootseal get acme.\\\"us\t"),
        ("user.name\\\"", "\n"),
        ("svc-user", ""),
        ("READY>", "bootseal access remove we\t"),
        ("web1@corp", "\x15"),
    ]);
    typed(&home, &["zsh", "-i"], &lines);
}

#[test]
fn fish_completes() {
    let home = home();
    let complete = |line: &str| {
        let mut fish = Command::new("fish");
        fish.args(["--no-config", "-c", &format!("source ./fish; complete -C {line:?}")])
            .current_dir(home.path());
        fish.env_clear().env("HOME", home.path()).env("PATH", path()).env("LC_ALL", "C.UTF-8");
        let ran: Ran = fish.output().unwrap().into();
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{line}");
        ran.out
    };
    assert_eq!(complete("bootseal get acme.pas"), "acme.password\tsealed\n");
    assert_eq!(complete("bootseal get acme.url"), "acme.url\treadable\n");
    assert!(
        complete("bootseal list ac").starts_with("acme\ttable\n"),
        "{}",
        complete("bootseal list ac")
    );
    assert_eq!(complete("bootseal access remove we"), "web1@corp\tin access\n");
    assert_eq!(
        complete("bootseal login "),
        "acme\tprofile\n".to_owned() + &options_of(&complete("bootseal login "))
    );
    assert_eq!(complete("bootseal verify my"), "my app.sealed.toml\n");
    assert_eq!(complete("bootseal verify my\\ a"), "my app.sealed.toml\n");
    assert!(
        complete("bootseal acces").starts_with("access\tShow and change who has access"),
        "{}",
        complete("bootseal acces")
    );
    assert!(
        complete("bootseal list --js").starts_with("--json\t"),
        "{}",
        complete("bootseal list --js")
    );
    assert_eq!(complete("bootseal completions z"), "zsh\n");
    // A vault other than the one in this folder.
    let other = Home::with_vault("[other]\ntoken = \"secret:x\"\n");
    let named = other.at("app.sealed.toml");
    let named = named.to_str().unwrap();
    for line in [
        format!("bootseal -f {named} get o"),
        format!("bootseal get --file={named} o"),
        format!("bootseal propose --to {named} o"),
    ] {
        assert_eq!(complete(&line), "other.token\tsealed\n", "{line}");
    }
}

/// The lines about options, which follow the names.
fn options_of(answer: &str) -> String {
    answer.lines().filter(|line| line.starts_with('-')).map(|line| format!("{line}\n")).collect()
}

#[test]
fn completion_prints_nothing_if_nothing_matches() {
    let home = home();
    home.write("my app.sealed.toml", home.read("my app.sealed.toml").replace("acme", "evil"));
    let ask = |line: &[&str]| {
        let mut command = home.command(&[&["--", "bootseal"], line].concat());
        let ran: Ran = command.env("BOOTSEAL_COMPLETE", "fish").output().unwrap().into();
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        ran.out
    };
    // The signature is invalid, so its names are not offered.
    assert_eq!(ask(&["get", "evil"]), "");
    assert_eq!(ask(&["get", "-f", "no such file", "acme"]), "");
    assert_eq!(ask(&["no-such-verb", "x"]), "");
}

#[test]
fn the_powershell_script_gets_the_same_completions() {
    let home = home();
    let script = home.read("powershell");
    assert!(
        script.contains("Register-ArgumentCompleter -Native -CommandName bootseal"),
        "{script}"
    );
    assert!(
        script.contains("$env:BOOTSEAL_COMPLETE = \"powershell\"")
            && script.contains("& bootseal -- $args"),
        "{script}"
    );
    let mut command = home.command(&["--", "bootseal", "get", "acme.pas"]);
    let ran: Ran = command.env("BOOTSEAL_COMPLETE", "powershell").output().unwrap().into();
    assert_eq!(ran.out, "acme.password\tsealed\n");
}

/// A vault with a name that a shell would run if it were inserted unquoted.
fn with_a_command_as_name() -> Home {
    let home = home();
    home.write("e.toml", "[e]\n\"$(touch ran);touch ran;'`x`&|*END\" = \"secret:caught\"\n");
    home.ok(&["seal", "e.toml"]);
    home
}

#[test]
fn a_name_with_special_characters_is_inserted_quoted_and_runs_nothing() {
    let home = with_a_command_as_name();
    home.write(".zshrc", "PS1='READY>'\nautoload -Uz compinit && compinit -u\nsource ./zsh\n");
    let line = [("READY>", "bootseal get -f e.sealed.toml e.\t"), ("END", "\n"), ("caught", "")];
    let sourced = [&[("READY>", "source ./bash\n")][..], &line].concat();
    typed(&home, &["bash", "--norc", "--noprofile", "-i"], &sourced);
    typed(&home, &["zsh", "-i"], &line);
    let prompt = "source ./fish; function fish_prompt; echo 'READY>'; end";
    typed(&home, &["fish", "--no-config", "-i", "-C", prompt], &line);
    let mut command = home.command(&["--", "bootseal", "get", "-f", "e.sealed.toml", "e."]);
    let ran: Ran = command.env("BOOTSEAL_COMPLETE", "powershell").output().unwrap().into();
    let name = "e.\"$(touch ran);touch ran;''`x`&|*END\"";
    assert_eq!(ran.out, format!("'{name}'\tsealed\n"));
    assert!(!home.at("ran").exists());
}

#[test]
fn every_verb_has_a_manual_page_that_man_shows_and_mandoc_accepts() {
    let home = Home::new();
    home.ok(&["man", "--out", "pages"]);
    let mut pages: Vec<_> =
        std::fs::read_dir(home.at("pages")).unwrap().map(|page| page.unwrap().path()).collect();
    pages.sort();
    let names: Vec<String> =
        pages.iter().map(|page| page.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    let verbs = support::verbs(&home);
    let wanted = verbs.iter().map(|verb| format!("bootseal-{}", verb.join("-")));
    let mut wanted: Vec<String> = wanted.chain(["bootseal".to_owned()]).collect();
    wanted.sort();
    let mut sorted = names.clone();
    sorted.sort();
    assert_eq!(sorted, wanted);
    for page in &pages {
        let lint: Ran = Command::new("mandoc")
            .args(["-T", "lint", "-W", "error"])
            .arg(page)
            .output()
            .unwrap()
            .into();
        assert_eq!((lint.code, lint.out.as_str()), (0, ""), "{}", lint.err);
        let mut man = Command::new("man");
        man.args(["--warnings", "-l"])
            .arg(page)
            .env("MANWIDTH", "200")
            .env("LC_ALL", "C.UTF-8")
            .env("PAGER", "cat");
        let shown: Ran = man.output().unwrap().into();
        assert_eq!((shown.code, shown.err.as_str()), (0, ""), "{}", page.display());
        assert!(
            shown.out.contains("DESCRIPTION") && shown.out.contains("bootseal"),
            "{}",
            shown.out
        );
    }
    let set = Command::new("man")
        .arg("-l")
        .arg(home.at("pages/bootseal-set.1"))
        .env("MANWIDTH", "200")
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    let set = String::from_utf8(set.stdout).unwrap();
    // The examples are one per line, as in --help.
    assert!(set.contains("\n         pass show acme | bootseal set acme.password\n"), "{set}");
    // The main page goes to stdout.
    assert_eq!(home.ok(&["man"]).trim(), home.read("pages/bootseal.1").trim());
}
