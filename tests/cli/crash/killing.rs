//! Runs a verb and kills it at random moments of its usual duration.

use crate::crash::left::State;
use crate::support::team::FILE;
use crate::support::{Home, Ran};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// One verb that writes a file.
pub(crate) struct Verb {
    pub(crate) args: &'static [&'static str],
    pub(crate) stdin: &'static str,
    /// What is typed at the prompt of a terminal, which the verb then runs on.
    pub(crate) typed: Option<&'static str>,
    /// The file that stdout is redirected to.
    pub(crate) out: Option<&'static str>,
    pub(crate) editor: &'static str,
    /// The exit code of a complete run.
    pub(crate) code: i32,
    /// Makes the command's input, once; the result is the old state.
    pub(crate) prepare: fn(&Home),
    pub(crate) again: Again,
}

/// Whether a verb can be repeated after it was killed.
#[derive(PartialEq)]
pub(crate) enum Again {
    /// If it has changed nothing yet.
    IfUnchanged,
    /// In any case: it does the rest.
    Always,
    /// If the files that it has created are removed.
    Anew,
}

pub(crate) const VERB: Verb = Verb {
    args: &[],
    stdin: "",
    typed: None,
    out: None,
    editor: "sed -i s/marker-7/marker-edited/",
    code: 0,
    prepare: |_| {},
    again: Again::IfUnchanged,
};

/// The command that must work after every kill.
const SET: Verb = Verb { args: &["set", "next", "--plain", "command"], ..VERB };
const SIGKILL: i32 = 9;

/// How often each verb is killed: a few times in every run of the tests, and 200 times with
/// `just kills`.
pub(crate) fn kills() -> u32 {
    let named = std::env::var("BOOTSEAL_TEST_KILLS").ok();
    named.map_or(4, |number| number.parse().expect("BOOTSEAL_TEST_KILLS is a number"))
}

/// A random number from 0 to 1.
fn random() -> f64 {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).unwrap();
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

/// A moment of a run of this length. The first kill comes at once; of the others, every second one
/// falls into the last part, where files are written.
fn moment(kill: u32, length: Duration) -> Duration {
    match kill {
        0 => Duration::ZERO,
        _ if kill.is_multiple_of(2) => length.mul_f64(random()),
        _ => length.mul_f64(0.7 + 0.3 * random()),
    }
}

/// The program in this home, with an editor and with git's own settings only.
pub(crate) fn command(home: &Home, verb: &Verb) -> Command {
    let id = if verb.args.contains(&"ID") { home.vault_id() } else { String::new() };
    let args: Vec<&str> =
        verb.args.iter().map(|arg| if *arg == "ID" { id.as_str() } else { *arg }).collect();
    let mut command = home.command(&args);
    for (name, value) in [
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("EDITOR", verb.editor),
        ("BOOTSEAL_FILE", FILE),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
    ] {
        command.env(name, value);
    }
    command
}

/// How a run ended, and after how long.
pub(crate) struct End {
    pub(crate) killed: bool,
    code: Option<i32>,
    pub(crate) after: Duration,
}

fn run(home: &Home, verb: &Verb, kill_after: Option<Duration>) -> End {
    if let Some(typed) = verb.typed {
        return run_at_a_terminal(home, verb, typed, kill_after);
    }
    let out = verb.out.map(|name| std::fs::File::create(home.at(name)).unwrap().into());
    let began = Instant::now();
    let mut child = command(home, verb)
        .stdin(Stdio::piped())
        .stdout(out.unwrap_or_else(Stdio::null))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // A verb that does not read stdin may have ended before the write.
    let _ = child.stdin.take().unwrap().write_all(verb.stdin.as_bytes());
    if let Some(moment) = kill_after {
        // The sleep chooses the moment of the kill; it waits for nothing.
        std::thread::sleep(moment.saturating_sub(began.elapsed()));
        child.kill().unwrap();
    }
    let status = child.wait().unwrap();
    End { killed: status.signal() == Some(SIGKILL), code: status.code(), after: began.elapsed() }
}

/// Types the answer at each prompt that does not echo, and kills the program at the given moment.
const AT_A_TERMINAL: &str = r#"
import os, pty, select, signal, sys, termios, time
after, answer, command = sys.argv[1], sys.argv[2].encode(), sys.argv[3:]
child, terminal = pty.fork()
if child == 0:
    os.execvp(command[0], command)
began = time.monotonic()
end = began + (float(after) if after else 120)
seen = b""
while True:
    mute = not termios.tcgetattr(terminal)[3] & termios.ECHO
    if b": " in seen and mute:
        os.write(terminal, answer)
        seen = b""
    waiting = b": " in seen
    left = max(0, end - time.monotonic())
    if not select.select([terminal], [], [], min(left, 0.001) if waiting else left)[0]:
        if time.monotonic() >= end:
            os.kill(child, signal.SIGKILL)
            break
        continue
    try: part = os.read(terminal, 65536)
    except OSError: part = b""
    if not part: break
    seen += part
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(code, time.monotonic() - began)
"#;

fn run_at_a_terminal(home: &Home, verb: &Verb, typed: &str, kill_after: Option<Duration>) -> End {
    let after = kill_after.map_or(String::new(), |moment| moment.as_secs_f64().to_string());
    let program = command(home, verb);
    let ran = Command::new("python3")
        .args(["-c", AT_A_TERMINAL, &after, typed])
        .arg(program.get_program())
        .args(program.get_args())
        .current_dir(home.path())
        .env_clear()
        .envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .output()
        .unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr).into_owned());
    let (code, after) = out.trim().split_once(' ').unwrap_or_else(|| panic!("{err}"));
    let code: i32 = code.parse().unwrap();
    let after = Duration::from_secs_f64(after.parse().unwrap());
    End { killed: code == -SIGKILL, code: Some(code), after }
}

/// Runs a verb of this length and kills it, or runs it to its end if the length is not known yet.
pub(crate) fn run_killed(home: &Home, verb: &Verb, kill: u32, length: Option<Duration>) -> End {
    run(home, verb, length.map(|length| moment(kill - 1, length)))
}

/// Runs the verb to its end; it must succeed.
fn complete(home: &Home, verb: &Verb) -> Duration {
    // Git's own processes outlive a killed command for a moment, and lock git's settings.
    let locked = |home: &Home| home.at(".git/config.lock").exists();
    for _ in 0..1000 {
        let end = run(home, verb, None);
        if end.code == Some(verb.code) {
            return end.after;
        }
        if verb.args[0] != "git" || !locked(home) {
            break;
        }
    }
    let ran: Ran = command(home, verb).output().unwrap().into();
    panic!("{:?}: {}", verb.args, ran.err);
}

/// Kills the verb [`kills`] times. After each kill, every file must be the old or the new one, the
/// verb and another command must work, and these must leave no temporary file.
pub(crate) fn kill_often(home: &Home, verb: &Verb) {
    let pin = home.vault_id();
    (verb.prepare)(home);
    let first = State::of(home);
    let mut length = Duration::ZERO;
    for _ in 0..2 {
        first.restore(home);
        length = length.max(complete(home, verb));
    }
    let new = State::of(home);
    assert!(new != first, "{:?} wrote nothing", verb.args);
    let (mut killed, mut changed, mut leftovers) = (0, 0, 0);
    for kill in 0..kills() {
        first.restore(home);
        let old = State::of(home);
        let end = run(home, verb, Some(moment(kill, length)));
        let left = State::of(home);
        left.judge(&old, &new, verb);
        killed += u32::from(end.killed);
        leftovers += left.temporary().count();
        let unchanged = left.without_temporary() == old;
        changed += u32::from(end.killed && !unchanged);
        // Load on this machine changes the duration, so the estimate follows it.
        length = length.mul_f64(if end.killed { 1.03 } else { 0.9 });
        // No stale lock or file blocks the next commands.
        if verb.again == Again::Anew {
            old.restore_beside_temporary(home);
        }
        if unchanged || verb.again != Again::IfUnchanged {
            complete(home, verb);
        }
        let mut next = command(home, &SET);
        if home.at("alice.key").exists() {
            next.env("BOOTSEAL_IDENTITY", "alice.key");
        }
        let ran: Ran = next.env("BOOTSEAL_PIN", &pin).output().unwrap().into();
        assert_eq!(ran.code, 0, "set after {:?}: {}", verb.args, ran.err);
        let temporary: Vec<_> = State::of(home).temporary().collect();
        assert_eq!(temporary, Vec::<PathBuf>::new(), "after {:?}", verb.args);
    }
    println!(
        "{killed} of {} runs of {:?} were killed before they had ended, {changed} of them after a change; {leftovers} temporary files were left",
        kills(),
        verb.args.join(" ")
    );
    assert!(killed > 0, "{:?}", verb.args);
}
