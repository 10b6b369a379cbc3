//! The programs of this test run as child processes that take one command a line.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// A limit that no step exceeds on a slow machine; a step that does hangs.
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    name: String,
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Process {
        let name = format!("{command:?}");
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = started.unwrap_or_else(|error| panic!("{name}: {error}"));
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Process { input: child.stdin.take(), child, lines, name }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn line(&self) -> String {
        self.lines
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|error| panic!("{} answered nothing: {error}", self.name))
    }

    pub(crate) fn ask(&mut self, line: &str) -> String {
        writeln!(self.input.as_mut().unwrap(), "{line}")
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        self.line()
    }

    pub(crate) fn number(&mut self, line: &str) -> u64 {
        self.ask(line).parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.input = None;
        // A call in flight would wait for an hour.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An example of this package, without our variables, or run by a Python script.
pub(crate) fn example(name: &str, under: Option<&str>) -> Command {
    let program = examples().join(name);
    assert!(
        program.exists(),
        "{} is not built: cargo build -p bootseal --all-features --examples",
        program.display()
    );
    let mut command = match under {
        None => Command::new(program),
        Some(script) => {
            let mut python = Command::new("python3");
            python.arg(beside(script)).arg(program);
            python
        }
    };
    if under.is_none() {
        command.env_clear();
    }
    command
}

/// Cargo builds the examples with the tests: the test is `…/deps/memory-0123`, beside `…/examples`.
fn examples() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().with_file_name("examples")
}

/// A file of `tests/memory`.
pub(crate) fn beside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/memory").join(name)
}
