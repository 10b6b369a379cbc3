//! Shared helpers of the tests: a folder as a complete home, and the real binary run in it.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // each test uses a part of it

pub mod ports;
pub mod repo;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

pub mod team;

/// The repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// A separate home with the identity, known vaults and files of one test.
pub struct Home {
    folder: TempDir,
}

/// Runs a command with this stdin.
pub fn fed(mut command: Command, stdin: &[u8]) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A verb that does not read stdin may have ended before the write.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    child.wait_with_output().unwrap().into()
}

impl Home {
    pub fn new() -> Home {
        Home { folder: tempfile::tempdir().unwrap() }
    }

    /// A home with a vault in `app.sealed.toml`, made by `seal` from this TOML.
    pub fn with_vault(toml: &str) -> Home {
        let home = Home::new();
        home.write("app.toml", toml);
        home.ok(&["seal", "app.toml", "--keep-comments"]);
        std::fs::remove_file(home.at("app.toml")).unwrap();
        home
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.at(name), text).unwrap();
    }

    /// Removes the known vaults, as on a new machine.
    pub fn forget_vaults(&self) {
        std::fs::remove_dir_all(self.at(".local")).unwrap();
    }

    /// Every file, in all folders, with its content.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        fn below(folder: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
            for entry in folder.read_dir().unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => below(&path, found),
                    false => found.push((path.clone(), std::fs::read(&path).unwrap())),
                }
            }
        }
        let mut found = Vec::new();
        below(self.path(), &mut found);
        found.sort();
        found
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.at(name)).unwrap()
    }

    /// The binary, in this home, without a terminal.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bootseal"));
        command
            .args(args)
            .current_dir(self.path())
            .env_clear()
            .env("HOME", self.path())
            .env("USER", "alice")
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        self.command(args).output().unwrap().into()
    }

    pub fn run_with(&self, args: &[&str], stdin: &[u8]) -> Ran {
        fed(self.command(args), stdin)
    }

    /// Runs a command that must succeed, and returns its stdout.
    pub fn ok(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "bootseal {}: {}", args.join(" "), ran.err);
        ran.out
    }

    pub fn ok_with(&self, args: &[&str], stdin: &[u8]) -> String {
        let ran = self.run_with(args, stdin);
        assert_eq!(ran.code, 0, "bootseal {}: {}", args.join(" "), ran.err);
        ran.out
    }

    /// Runs the binary on its own terminal, with these variables, and types `answers`: see
    /// [`person`].
    pub fn typed(
        &self,
        args: &[&str],
        variables: &[(&str, &str)],
        answers: &[(&str, &str)],
    ) -> Ran {
        let command = [&[env!("CARGO_BIN_EXE_bootseal")], args].concat();
        let (code, out, _) = person(self, &command, variables, answers).unwrap();
        Ran { code, out, err: String::new() }
    }

    /// The id of `app.sealed.toml`.
    pub fn vault_id(&self) -> String {
        let text = self.read("app.sealed.toml");
        let line = text.lines().rev().nth(1).unwrap();
        line.strip_prefix("vault = \"").unwrap().trim_end_matches('"').to_owned()
    }
}

/// Every verb that `--help` shows; a subcommand is `["access", "add"]`.
pub fn verbs(home: &Home) -> Vec<Vec<String>> {
    fn below(home: &Home, verb: &[String], found: &mut Vec<Vec<String>>) {
        let args: Vec<&str> = verb.iter().map(String::as_str).chain(["--help"]).collect();
        let help = home.ok(&args);
        let Some((_, list)) = help.split_once("\nCommands:\n") else { return };
        let names = list.lines().take_while(|line| !line.is_empty());
        // Continuation lines are indented further.
        for name in names
            .filter(|line| !line.starts_with("   "))
            .filter_map(|line| line.split_whitespace().next())
        {
            let verb: Vec<String> = verb.iter().cloned().chain([name.to_owned()]).collect();
            found.push(verb.clone());
            below(home, &verb, found);
        }
    }
    let mut found = Vec::new();
    below(home, &[], &mut found);
    found
}

/// The result of a run.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs the binary on its own terminal, with only the variables HOME and USER, and types `answers`:
/// see [`person`].
pub fn at_a_terminal(
    home: &Home,
    args: &[&str],
    answers: &[(&str, &str)],
) -> Option<(i32, String, String)> {
    let folder = format!("HOME={}", home.path().display());
    let command =
        [&["env", "-i", &folder, "USER=alice", env!("CARGO_BIN_EXE_bootseal")], args].concat();
    let (code, seen, echo) = person(home, &command, &[], answers)?;
    Some((code, without_progress(&seen).replace("\r\n", "\n"), echo))
}

/// The output of a terminal without the progress line, which appears only on a slow machine and
/// erases itself.
fn without_progress(seen: &str) -> String {
    let progress = |part: &&str| {
        part.starts_with("bootseal: ") && part.contains(" … ") && part.ends_with(" s")
    };
    seen.split("\r\x1b[K").filter(|part| !progress(part)).collect()
}

#[test]
fn progress_lines_are_removed_from_terminal_output() {
    let seen = "Passphrase: \r\n\r\x1b[Kbootseal: making a key … 0 s\r\x1b[Kbootseal: making a key … 1 s\r\x1b[Khunter2\r\n";
    assert_eq!(without_progress(seen), "Passphrase: \r\nhunter2\r\n");
}

/// Runs `command` on its own terminal, and types each answer once its prompt has appeared; a prompt
/// that must not echo begins with `*`. Returns the exit code, the terminal's output, and the final
/// echo mode, `echo` or `mute`. Python's `pty` does the typing: `None` without Python.
fn person(
    home: &Home,
    command: &[&str],
    variables: &[(&str, &str)],
    answers: &[(&str, &str)],
) -> Option<(i32, String, String)> {
    const DRIVER: &str = r#"
import os, pty, signal, sys, termios, time
signal.alarm(120) # what is never asked, or does not end, ends the test
count = int(sys.argv[1])
answers, command = sys.argv[2:2 + 2 * count], sys.argv[2 + 2 * count:]
child, terminal = pty.fork()
if child == 0:
    signal.signal(signal.SIGINT, signal.SIG_DFL) # a shell's background job is born deaf to Ctrl-C
    os.execvp(command[0], command)
seen = b""
def more():
    global seen
    try: part = os.read(terminal, 65536)
    except OSError: part = b""
    seen += part
    return part
at = 0
for words, answer in zip(answers[::2], answers[1::2]):
    mute, words = words.startswith("*"), words.lstrip("*").encode()
    while words not in seen[at:] and more(): pass
    at = len(seen)
    while mute and termios.tcgetattr(terminal)[3] & termios.ECHO: time.sleep(0.001)
    os.write(terminal, answer.encode())
while more(): pass
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(code, "echo" if termios.tcgetattr(terminal)[3] & termios.ECHO else "mute", flush=True)
sys.stdout.buffer.write(seen)
"#;
    let mut driver = Command::new("python3");
    driver.args(["-c", DRIVER, &answers.len().to_string()]);
    driver
        .args(answers.iter().flat_map(|(words, answer)| [words, answer]))
        .args(command)
        .current_dir(home.path());
    driver.env("HOME", home.path()).env("USER", "alice").envs(variables.iter().copied());
    let run = driver.output().ok()?;
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    let (end, seen) =
        text.split_once('\n').unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&run.stderr)));
    let (code, echo) = end.split_once(' ').unwrap();
    Some((code.parse().unwrap(), seen.to_owned(), echo.to_owned()))
}

/// Whether this strace line writes memory that strace could not read: secret pages are hidden even
/// from a debugger.
pub fn unseen(call: &str) -> bool {
    ["write", "send"]
        .iter()
        .any(|name| call.split(['(', '<']).next().is_some_and(|start| start.contains(name)))
        && (call.contains(", 0x") || call.contains("iov_base=0x"))
}
