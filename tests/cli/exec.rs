//! `exec` passes values to a program in its environment or in memory; signals, terminal and exit
//! code are the program's own.

use crate::support::{Home, Ran, root};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const VAULT: &str = "[acme]\nuser = \"bob\"\npassword = \"secret:hunter2\"\nport = 443\n\n[acme.login]\nurl = \"https://api.acme.example/login\"\n\
                     json = { u = \"${user}\", p = \"${password}\" }\ntoken = { json = \"/token\" }\n\n[db]\npassword = \"secret:s3\\nof two lines \"\n\n[fleet]\nown_login_when_store_down = true\n";

const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

fn exec(home: &Home, args: &[&str]) -> Command {
    let mut command = home.command(&[&["exec"], args].concat());
    command.env("PATH", PATH);
    command
}

fn ran(home: &Home, args: &[&str]) -> Ran {
    exec(home, args).output().unwrap().into()
}

fn ok(home: &Home, args: &[&str]) -> String {
    let ran = ran(home, args);
    assert_eq!(ran.code, 0, "{args:?}: {}", ran.err);
    ran.out
}

/// Waits until `done` is true, for at most a minute.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !done() {
        assert!(std::time::Instant::now() < end, "{what}: not within a minute");
        std::thread::yield_now();
    }
}

/// Starts a program that prints a line when it is ready, and returns that line.
fn started(mut command: Command) -> (Child, BufReader<std::process::ChildStdout>, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let line = next(&mut out);
    (child, out, line)
}

fn next(out: &mut impl BufRead) -> String {
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

fn kill(signal: &str, pid: u32) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

#[test]
fn properties_become_variables_and_reserved_tables_are_left_out() {
    let home = Home::with_vault(VAULT);
    let out = ok(&home, &["--", "env", "-0"]);
    let mut variables: Vec<&str> = out.split_terminator('\0').collect();
    variables.sort_unstable();
    let home_is = format!("HOME={}", home.path().display());
    let expected = [
        "ACME_PASSWORD=hunter2",
        "ACME_PORT=443",
        "ACME_USER=bob",
        "DB_PASSWORD=s3\nof two lines ",
        &home_is,
        &format!("PATH={PATH}"),
        "USER=alice",
    ];
    assert_eq!(variables, expected);
    assert_eq!(
        ok(&home, &["--only", "db", "--", "sh", "-c", "echo \"$DB_PASSWORD|$ACME_USER\""]),
        "s3\nof two lines |\n"
    );
    let named = ok(
        &home,
        &["--env", "PGPASSWORD=db.password", "--", "sh", "-c", "echo \"$PGPASSWORD|$DB_PASSWORD\""],
    );
    assert_eq!(named, "s3\nof two lines |\n");
    // A login table can be requested by name.
    assert_eq!(
        ok(&home, &["--env", "URL=acme.login.url", "--", "sh", "-c", "echo $URL"]),
        "https://api.acme.example/login\n"
    );
}

#[test]
fn references_in_an_env_file_become_values_without_expansion() {
    let home = Home::with_vault(VAULT);
    home.write("app.env", "DB_PASSWORD=bootseal:acme.password\nPLAIN=\"$(id) ${HOME}\"\n");
    let out = ok(
        &home,
        &["--env-file", "app.env", "--", "sh", "-c", "echo \"$DB_PASSWORD|$PLAIN|$ACME_USER\""],
    );
    assert_eq!(out, "hunter2|$(id) ${HOME}|\n");
    for (text, words) in [
        ("A=bootseal:acme.pasword\n", "Did you mean acme.password"),
        ("A=bootseal:a b\n", "A: the text after `bootseal:`"),
    ] {
        home.write("app.env", text);
        let ran = ran(&home, &["--env-file", "app.env", "--", "true"]);
        assert!(ran.code == 125 && ran.err.contains(words), "{}", ran.err);
    }
}

#[test]
fn colliding_and_dangerous_variable_names_are_errors() {
    let home = Home::with_vault("a.b-c = 1\na.b_c = \"secret:hunter2\"\n");
    let error = ran(&home, &["--", "true"]);
    assert_eq!(error.code, 125);
    assert!(
        error.err.contains("a.b-c and a.b_c would both become the variable A_B_C"),
        "{}",
        error.err
    );
    let error = ran(&home, &["--files", "--flat", "--", "true"]);
    assert!(
        error.code == 125 && error.err.contains("would both become the file a_b_c"),
        "{}",
        error.err
    );
    for (name, variable) in
        [("path", "PATH"), ("ld.preload", "LD_PRELOAD"), ("bootseal_identity", "BOOTSEAL_IDENTITY")]
    {
        let home = Home::with_vault(&format!("{name} = \"secret:/tmp\"\n"));
        let error = ran(&home, &["--", "true"]);
        assert!(
            error.code == 125
                && error.err.contains(&format!("would become the variable {variable}")),
            "{}",
            error.err
        );
        ok(&home, &["--env", &format!("X={name}"), "--", "true"]);
    }
    let home = Home::with_vault("x = \"secret:y\"\n");
    home.ok_with(&["set", "nul", "-"], b"a\0b");
    let error = ran(&home, &["--env", "NUL=nul", "--", "true"]);
    assert!(
        error.code == 125 && error.err.contains("NUL byte") && !error.err.contains("a\\0b"),
        "{}",
        error.err
    );
}

#[test]
fn a_value_that_cannot_be_a_variable_is_left_out_with_a_warning() {
    let home = Home::with_vault("x = \"secret:y\"\n");
    home.ok_with(&["set", "keystore", "-"], b"a\0b");
    let left = ran(&home, &["--", "sh", "-c", "echo $X ${KEYSTORE-none}"]);
    assert_eq!((left.code, left.out.as_str()), (0, "y none\n"), "{}", left.err);
    let warning = "warning: the variable KEYSTORE is left out: its value contains a NUL byte";
    assert!(left.err.contains(warning) && left.err.contains("--files"), "{}", left.err);
    // A file can contain it, and a value that the user names is an error.
    let file = ran(&home, &["--files", "--", "sh", "-c", "wc -c < $BOOTSEAL_FILES/keystore"]);
    assert_eq!((file.code, file.out.trim(), file.err.as_str()), (0, "3", ""));
    assert_eq!(ran(&home, &["--env", "K=keystore", "--", "true"]).code, 125);
    let only = ran(&home, &["--only", "keystore", "--", "true"]);
    assert!(only.code == 0 && only.err.contains(warning), "{}", only.err);
}

#[test]
fn exit_codes_are_those_of_the_program_or_of_env() {
    let home = Home::with_vault(VAULT);
    for code in [0, 1, 7, 125, 255] {
        assert_eq!(ran(&home, &["--", "sh", "-c", &format!("exit {code}")]).code, code);
    }
    home.write("no-program", "text");
    for (args, code, kind) in [
        (["--", "no-such-program"].as_slice(), 127, "not-found"),
        (&["--", "./no-program"], 126, "io"),
        (&["--only", "nothing", "--", "true"], 125, "not-found"),
        (&["-f", "absent.sealed.toml", "--", "true"], 125, "not-found"),
        (&["--on-change", "signal", "--", "true"], 125, "usage"),
        (&["--env", "hunter2", "--", "true"], 125, "usage"),
        (&["--no-such-option", "--", "true"], 125, "usage"),
        (&[], 125, "usage"),
    ] {
        let ran = ran(&home, &[&["--json"], args].concat());
        assert_eq!(ran.code, code, "{args:?}: {}", ran.err);
        let error: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
        assert_eq!(error["error"]["kind"], kind, "{args:?}");
        assert!(!ran.err.contains("hunter2"), "{}", ran.err);
    }
    // Ended by a signal: bootseal ends by the same signal and not with an exit code.
    let status = exec(&home, &["--", "sh", "-c", "kill -USR1 $$"]).status().unwrap();
    assert_eq!(status.signal(), Some(10));
    // An untrusted vault does not start a program.
    let error: Ran = exec(&home, &["--", "true"])
        .env("XDG_STATE_HOME", home.at("elsewhere"))
        .output()
        .unwrap()
        .into();
    assert!(
        error.code == 125 && error.err.contains("this vault is not trusted yet"),
        "{}",
        error.err
    );
}

#[test]
fn key_sources_do_not_reach_the_program() {
    let home = Home::with_vault(VAULT);
    home.ok(&["access", "add", "web1", "--new-key", "web1.key", "--yes"]);
    let mut command = exec(&home, &["--only", "acme", "--", "sh", "-c", "env; cat"]);
    command.envs([
        ("BOOTSEAL_IDENTITY", "web1.key"),
        ("BOOTSEAL_PLUGIN", "/x/age-plugin-x"),
        ("BOOTSEAL_PASSPHRASE", "x"),
        ("BOOTSEAL_FILES", "/x"),
    ]);
    command.env("BOOTSEAL_FILE", "app.sealed.toml").env("BOOTSEAL_PIN", home.vault_id());
    let out: Ran = command.output().unwrap().into();
    assert_eq!(out.code, 0, "{}", out.err);
    let mut ours: Vec<&str> = out.out.lines().filter(|line| line.starts_with("BOOTSEAL")).collect();
    ours.sort_unstable();
    assert_eq!(
        ours,
        ["BOOTSEAL_FILE=app.sealed.toml", &format!("BOOTSEAL_PIN={}", home.vault_id())]
    );
    // If a key or passphrase comes from stdin, the program finds stdin empty, even if it is a file.
    let mut command = exec(&home, &["-i", "-", "--", "cat"]);
    let out: Ran =
        command.stdin(std::fs::File::open(home.at("web1.key")).unwrap()).output().unwrap().into();
    assert_eq!((out.code, out.out.as_str()), (0, ""), "{}", out.err);
    // The same under the other names of stdin.
    for name in ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"] {
        let mut command = exec(&home, &["-i", name, "--", "cat"]);
        let out: Ran = command
            .stdin(std::fs::File::open(home.at("web1.key")).unwrap())
            .output()
            .unwrap()
            .into();
        assert_eq!((out.code, out.out.as_str()), (0, ""), "{name}: {}", out.err);
    }
}

#[test]
fn a_descriptor_that_a_key_was_read_from_is_not_inherited() {
    let home = Home::with_vault(VAULT);
    home.ok(&["access", "add", "web1", "--new-key", "web1.key", "--yes"]);
    home.write("glass", "four-words-are-better\n");
    let add =
        ["access", "add", "glass", "--passphrase", "--small", "--passphrase-fd", "0", "--yes"];
    home.ok_with(&add, b"four-words-are-better");
    let bash = |line: &str| -> Ran {
        let mut shell = Command::new("bash");
        shell.args(["-c", line]).current_dir(home.path()).env_clear();
        shell
            .env("HOME", home.path())
            .env("PATH", PATH)
            .env("BOOTSEAL", env!("CARGO_BIN_EXE_bootseal"));
        shell.output().unwrap().into()
    };
    // Descriptor 8 belongs to the program and stays open.
    let child = "-- sh -c 'cd /proc/self/fd && echo [3-9] && cat <&8 && cat <&7'";
    for ((source, opened), how) in [
        ("--passphrase-fd 7", "7< glass"),
        ("--passphrase-fd 7", "7< <(cat glass)"),
        ("-i /dev/fd/7", "7< web1.key"),
        ("-i /proc/self/fd/7", "7< web1.key"),
        // A key that is not needed because another one opens the file.
        ("-i web1.key --passphrase-fd 7", "7< glass"),
    ]
    .iter()
    .flat_map(|(source, opened)| ["", "--on-change restart"].map(|how| ((source, opened), how)))
    {
        let line = format!(
            "\"$BOOTSEAL\" exec {how} {source} --only acme.password {child} {opened} 8<<< mine"
        );
        let out = bash(&line);
        let listed = out.out.lines().next().unwrap_or_default();
        assert!(
            !listed.split(' ').any(|number| number == "7") && listed.contains('8'),
            "{line}: {out:?}"
        );
        assert!(out.out.ends_with("mine\n") && out.code != 0 && out.code < 125, "{line}: {out:?}");
    }
    let out = bash("BOOTSEAL_IDENTITY=/dev/fd/7 \"$BOOTSEAL\" exec -- cat /dev/fd/7 7< web1.key");
    assert!(out.code == 1 && out.out.is_empty() && out.err.contains("No such file"), "{out:?}");
    // A key cannot come from descriptor 1, which the program needs for its output.
    let out = bash("\"$BOOTSEAL\" exec -i /dev/fd/1 -- true 1<> web1.key");
    assert!(out.code == 125 && out.err.contains("descriptor 1"), "{out:?}");
}

#[test]
fn secret_files_are_private_in_memory_and_end_with_the_program() {
    let home = Home::with_vault(VAULT);
    let list = "cd \"$BOOTSEAL_FILES\" && stat -f -c %T . && stat -c '%a %n' . && find . -type f -printf '%m %p\\n' | sort && cat db/password && pwd >&2; env | grep -c hunter2 >&2";
    let mut command = exec(&home, &["--files", "--", "sh", "-c", &format!("umask 000; {list}")]);
    command.env("XDG_RUNTIME_DIR", home.path()); // on a disk, so not used
    let out: Ran = command.output().unwrap().into();
    assert_eq!(
        out.out,
        "tmpfs\n700 .\n600 ./acme/password\n600 ./acme/port\n600 ./acme/user\n600 ./db/password\ns3\nof two lines "
    );
    let (folder, in_environment) = out.err.split_once('\n').unwrap();
    assert!(folder.starts_with("/dev/shm/bootseal.") && in_environment == "0\n", "{}", out.err);
    until("the folder goes", || !Path::new(folder).exists());

    let named = format!("/dev/shm/test-{}", home.path().file_name().unwrap().to_str().unwrap());
    let option = format!("--files={named}");
    let out = ok(
        &home,
        &[
            &option,
            "--flat",
            "--only",
            "acme",
            "--env",
            "PW=db.password",
            "--",
            "sh",
            "-c",
            "ls $BOOTSEAL_FILES; echo \"$PW\"",
        ],
    );
    assert_eq!(out, "acme_password\nacme_port\nacme_user\ns3\nof two lines \n");
    until("the folder goes", || !Path::new(&named).exists());
    std::fs::create_dir(&named).unwrap();
    let error = ran(&home, &[&option, "--", "true"]);
    assert!(error.code == 125 && error.err.contains("only you can access"), "{}", error.err);
    std::fs::set_permissions(&named, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    std::fs::write(Path::new(&named).join("x"), "").unwrap();
    let error = ran(&home, &[&option, "--", "true"]);
    assert!(error.code == 125 && error.err.contains("not empty"), "{}", error.err);
    std::fs::remove_dir_all(&named).unwrap();
    let error = ran(&home, &[&format!("--files={}", home.at("on-a-disk").display()), "--", "true"]);
    assert!(
        error.code == 125
            && error.err.contains("never written to a disk")
            && !home.at("on-a-disk").exists(),
        "{}",
        error.err
    );
    // No folder is left for a program that cannot be run.
    let error = ran(&home, &[&option, "--", "no-such-program"]);
    assert!(error.code == 127 && !Path::new(&named).exists(), "{}", error.err);
    let odd = Home::with_vault("\"a/b\" = \"secret:x\"\n\"..\" = \"secret:y\"\n");
    let error = ran(&odd, &["--files", "--", "true"]);
    assert!(
        error.code == 125 && error.err.contains("a name that is not a valid file name"),
        "{}",
        error.err
    );
    assert_eq!(
        ok(
            &odd,
            &["--files", "--flat", "--only", "\"a/b\"", "--", "sh", "-c", "ls $BOOTSEAL_FILES"]
        ),
        "a_b\n"
    );
}

#[test]
fn signals_reach_the_program_and_a_kill_leaves_no_secret_files() {
    let home = Home::with_vault(VAULT);
    let program =
        "trap 'echo caught; exit 3' TERM; echo \"$BOOTSEAL_FILES\"; while :; do read x; done";
    for signal in ["-TERM", "-KILL"] {
        let mut command = exec(&home, &["--files", "--", "sh", "-c", program]);
        let (mut child, mut out, folder) = started({
            command.stdin(Stdio::piped());
            command
        });
        let stdin = child.stdin.take().unwrap();
        assert!(Path::new(&folder).join("acme/password").exists(), "{folder}");
        kill(signal, child.id());
        if signal == "-TERM" {
            drop(stdin); // a shell's trap runs when `read` returns
            assert_eq!(next(&mut out), "caught");
            assert_eq!(child.wait().unwrap().code(), Some(3));
        } else {
            assert_eq!(child.wait().unwrap().signal(), Some(9));
        }
        until("the folder goes", || !Path::new(&folder).exists());
    }
    // If the cleanup process was killed too, the next run removes the folder. The test uses its own
    // folder, because a run of another test would also remove it.
    let place = tempfile::tempdir_in("/dev/shm").unwrap();
    let exec_there = |args: &[&str]| {
        let mut command = exec(&home, args);
        command.env("XDG_RUNTIME_DIR", place.path());
        command
    };
    let run_there = || {
        let ran: Ran = exec_there(&["--files", "--", "true"]).output().unwrap().into();
        assert_eq!(ran.code, 0, "{}", ran.err);
    };
    let mut command = exec_there(&["--files", "--", "sh", "-c", program]);
    let (mut child, _out, folder) = started({
        command.stdin(Stdio::piped());
        command
    });
    assert!(Path::new(&folder).starts_with(place.path()), "{folder}");
    let sweeper = sweeper_of(&folder);
    kill("-KILL", sweeper);
    until("it is gone", || !Path::new(&format!("/proc/{sweeper}/fd/1")).exists());
    run_there();
    assert!(Path::new(&folder).exists(), "its program runs");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(Path::new(&folder).exists());
    run_there();
    assert!(!Path::new(&folder).exists());
}

/// The cleanup process that waits until the owner of the folder ends; its stdout is the folder.
fn sweeper_of(folder: &str) -> u32 {
    let is_it = |pid: &String| {
        let link = |fd: u8| std::fs::read_link(format!("/proc/{pid}/fd/{fd}")).unwrap_or_default();
        link(1) == Path::new(folder) && link(0).to_string_lossy().contains("pidfd")
    };
    let pids = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    pids.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .find(is_it)
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn a_changed_value_reaches_the_running_program() {
    let home = Home::with_vault(VAULT);
    // Restarted with the new value; a file that does not verify changes nothing.
    let (mut child, mut out, line) = started(exec(
        &home,
        &[
            "--on-change",
            "restart",
            "--only",
            "acme",
            "--",
            "sh",
            "-c",
            "echo $$ $ACME_PASSWORD; exec cat /dev/zero > /dev/null",
        ],
    ));
    assert!(line.ends_with(" hunter2"), "{line}");
    let good = home.read("app.sealed.toml");
    home.write("app.sealed.toml", good.replace("bob", "eve"));
    let mut err = BufReader::new(child.stderr.take().unwrap());
    assert!(next(&mut err).contains("has changed, but cannot be used"));
    home.write("app.sealed.toml", good);
    home.ok_with(&["set", "acme.password"], b"hunter3");
    let again = next(&mut out);
    assert!(again.ends_with(" hunter3") && again != line, "{again}");
    kill("-TERM", child.id());
    assert_eq!(child.wait().unwrap().code(), Some(128 + 15));

    // New files and a signal for the same process. An unchanged file causes no signal.
    let program = "trap 'cat $BOOTSEAL_FILES/acme/password; echo; ls $BOOTSEAL_FILES/acme' HUP; trap 'exit 5' USR1; echo $BOOTSEAL_FILES; while :; do read x < /dev/zero; done";
    let program = program.replace("read x < /dev/zero", "sleep 0.01");
    let (mut child, mut out, folder) = started(exec(
        &home,
        &["--on-change", "signal", "--files", "--only", "acme", "--", "sh", "-c", &program],
    ));
    home.ok_with(&["set", "db.password"], b"other");
    home.ok_with(&["set", "acme.password"], b"hunter4");
    assert_eq!(
        [next(&mut out), next(&mut out), next(&mut out), next(&mut out)],
        ["hunter4", "password", "port", "user"]
    );
    home.ok(&["unset", "acme.user"]);
    assert_eq!([next(&mut out), next(&mut out), next(&mut out)], ["hunter4", "password", "port"]);
    kill("-USR1", child.id());
    assert_eq!(child.wait().unwrap().code(), Some(5));
    until("the folder goes", || !Path::new(&folder).exists());
}

#[test]
fn the_program_gets_the_terminal_and_job_control() {
    let home = Home::with_vault(VAULT);
    // Ctrl-C, Ctrl-Z and `fg` of a shell with job control, as typed.
    const PERSON: &str = r#"
import os, pty, signal, sys
shell = ["bash", "--norc", "--noprofile", "--noediting", "-i"]
child, terminal = pty.fork()
if child == 0:
    signal.signal(signal.SIGINT, signal.SIG_DFL) # a shell's background job is born deaf to Ctrl-C
    os.execvpe(shell[0], shell, os.environ)
seen = b""
def too_long(*_): raise SystemExit(f"still waiting for {waits_for!r}, seen {seen!r}")
signal.signal(signal.SIGALRM, too_long); signal.alarm(120)
def wait_for(words):
    global seen, waits_for
    waits_for = words
    while words not in seen:
        part = os.read(terminal, 65536)
        if not part: raise SystemExit("ended: " + repr(seen))
        seen += part
    seen = seen.split(words, 1)[1]
os.write(terminal, b"stty -echo; PS1='g''o> '\n"); wait_for(b"go> ")
for options in ([], ["--on-change", "restart"]):
    exec_ = " ".join(["$BOOTSEAL", "exec", *options, "--"])
    os.write(terminal, (exec_ + " sh -c 'test -t 0 && echo is-$ACME_USER; exec cat'\n").encode()); wait_for(b"is-bob\r\n")
    os.write(terminal, b"one\n"); wait_for(b"one\r\n")
    os.write(terminal, b"\x1a"); wait_for(b"Stopped"); wait_for(b"go> ")
    os.write(terminal, b"fg\n"); wait_for(b"cat'")
    os.write(terminal, b"two\n"); wait_for(b"two\r\n")
    os.write(terminal, b"\x03"); wait_for(b"go> "); os.write(terminal, b"echo code-$?\n"); wait_for(b"code-130\r\ngo> ")
# The shell prompts when the program has stopped, not before: until then the program reads what is typed.
os.write(terminal, b"$BOOTSEAL exec --on-change restart -- python3 slow.py\n"); wait_for(b"up\r\n")
os.write(terminal, b"\x1a"); wait_for(b"stopping\r\n"); wait_for(b"Stopped"); wait_for(b"go> ")
os.write(terminal, b"fg\n"); wait_for(b"continues\r\n")
os.write(terminal, b"\x03"); wait_for(b"go> ")
os.write(terminal, b"exit\n")
os.waitpid(child, 0)
print("good")
"#;
    // `sigwait` on a blocked signal: a handler that runs just before `pause` would be waited for in
    // vain. Ctrl-C ends the program by default, for the same reason.
    home.write(
        "slow.py",
        "import os, signal, time\n\
         signal.signal(signal.SIGINT, signal.SIG_DFL)\n\
         signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTSTP])\nos.write(1, b'up\\n')\n\
         while True:\n    signal.sigwait([signal.SIGTSTP]); time.sleep(0.3); os.write(1, b'stopping\\n')\n    \
         os.kill(os.getpid(), signal.SIGSTOP); os.write(1, b'continues\\n')\n",
    );
    let mut person = Command::new("timeout");
    person.args(["180", "python3", "-c", PERSON]).current_dir(home.path()).env_clear();
    person.envs([
        ("HOME", home.path().to_str().unwrap()),
        ("PATH", PATH),
        ("BOOTSEAL", env!("CARGO_BIN_EXE_bootseal")),
    ]);
    let out: Ran = person.output().unwrap().into();
    assert_eq!((out.code, out.out.as_str()), (0, "good\n"), "{}", out.err);
}

fn python() -> PathBuf {
    std::env::var_os("BOOTSEAL_TEST_PYTHON")
        .map_or_else(|| root().join("target/python/bin/python"), PathBuf::from)
}

#[test]
fn recipe_pydantic_reads_a_folder_of_secrets() {
    let home = Home::with_vault(VAULT);
    home.write(
        "app.py",
        "import os\nfrom pydantic import SecretStr\nfrom pydantic_settings import BaseSettings, SettingsConfigDict\n\
         class Settings(BaseSettings):\n    model_config = SettingsConfigDict(env_prefix='acme_', secrets_dir=os.environ['BOOTSEAL_FILES'])\n\
         \x20   user: str\n    password: SecretStr\n    port: int\n\
         settings = Settings()\nprint(settings, settings.password.get_secret_value())\n",
    );
    let python = python();
    let out = ok(&home, &["--files", "--flat", "--", python.to_str().unwrap(), "app.py"]);
    assert_eq!(out, "user='bob' password=SecretStr('**********') port=443 hunter2\n");
}

#[test]
fn a_shell_can_eval_the_values() {
    // A value can be chosen by the name of its variable.
    let values = [
        ("QUOTES", "it's \"quoted\" 'twice' '' \\ \\' \\n end'"),
        (
            "COMMANDS",
            "$(touch ran) `touch ran` ${HOME} $HOME $$ $'x' ; touch ran & touch ran | cat > ran #no",
        ),
        ("LINES", "\none\n\n  two\r\nthree\n\n"),
        ("BLANKS", " \t lead * ? [a-z] ~ !! {a,b} trail \t "),
        ("UNICODE", "gr\u{fc}n \u{1f511} \u{65e5}\u{672c} \u{202e}x\u{200b}\u{feff}\u{85}\u{2028}"),
        ("DASH", "-n -e --"),
        ("EMPTY", ""),
    ];
    let home = Home::with_vault("x = \"secret:y\"\n");
    for (name, value) in values {
        let path = format!("shop.{}", name.to_lowercase());
        home.write("value", value);
        home.ok(&["set", &path, "--from-file", "value", "--empty"]);
    }
    std::fs::remove_file(home.at("value")).unwrap();
    let folder = Path::new(env!("CARGO_BIN_EXE_bootseal")).parent().unwrap().display().to_string();
    let shell = |shell: &[&str], script: &str| -> Ran {
        let mut command = Command::new(shell[0]);
        command
            .args(&shell[1..])
            .args(["-c", script])
            .current_dir(home.path())
            .env_clear()
            .stdin(Stdio::null());
        command
            .env("PATH", format!("{folder}:{PATH}"))
            .env("HOME", home.path())
            .env("LC_ALL", "C.UTF-8");
        command
            .output()
            .unwrap_or_else(|error| panic!("{shell:?}: {error}; scripts/test installs it"))
            .into()
    };
    // The variables are exported: a program that the shell starts prints them.
    let program = "import os, sys\nfor name in sys.argv[1:]: sys.stdout.buffer.write(os.environb[b'SHOP_' + name.encode()] + b'\\0')\n";
    home.write("print.py", program);
    let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
    let eval = "eval \"$(bootseal export --format sh)\"";
    let script = format!("set -eu\n{eval}\npython3 print.py {}", names.join(" "));
    let wanted: String = values.iter().map(|(_, value)| format!("{value}\0")).collect();
    for with in [&["sh"][..], &["bash"], &["bash", "-o", "posix"], &["zsh", "-f"]] {
        let ran = shell(with, &script);
        assert_eq!(
            (ran.code, ran.out.as_str(), ran.err.as_str()),
            (0, wanted.as_str(), ""),
            "{with:?}"
        );
        // If the vault does not open, no variable is set and the script ends.
        let without = shell(
            with,
            &format!("set -eu\nvalues=\"$({})\"\necho on", "bootseal export --format sh -i none"),
        );
        assert!(
            without.code == 1 && without.out.is_empty() && without.err.contains("none"),
            "{with:?}: {without:?}"
        );
    }
    assert!(!home.at("ran").exists(), "a value was run");
    // Output to a file is refused.
    let ran = shell(&["sh"], "bootseal export --format sh > values");
    assert!(
        ran.code == 2 && home.read("values").is_empty() && ran.err.contains("--force"),
        "{ran:?}"
    );
}

#[test]
fn recipe_ansible_looks_values_up() {
    let home = Home::with_vault(VAULT);
    home.write(
        "play.yml",
        "- hosts: localhost\n  connection: local\n  gather_facts: false\n  vars:\n    password: \"{{ lookup('pipe', 'bootseal get acme.password') }}\"\n\
         \x20 tasks:\n    - ansible.builtin.copy: { content: '{{ password }}', dest: '{{ playbook_dir }}/out', mode: '0600' }\n      no_log: true\n",
    );
    let folder = Path::new(env!("CARGO_BIN_EXE_bootseal")).parent().unwrap().display().to_string();
    let mut command = Command::new(python().with_file_name("ansible-playbook"));
    command
        .args(["-i", "localhost,", "play.yml"])
        .current_dir(home.path())
        .env_clear()
        .stdin(Stdio::null());
    command
        .env("PATH", format!("{folder}:{PATH}"))
        .env("HOME", home.path())
        .env("LC_ALL", "C.UTF-8");
    let out: Ran = command
        .output()
        .unwrap_or_else(|error| panic!("ansible-playbook: {error}; scripts/test makes it"))
        .into();
    assert_eq!((out.code, home.read("out").as_str()), (0, "hunter2"), "{}{}", out.out, out.err);
    assert!(!out.out.contains("hunter2"));
}

#[test]
fn recipe_spring_configtree_reads_folders_as_tables() {
    let home = Home::with_vault(VAULT);
    // Does what Spring's ConfigTreePropertySource does: each regular file is a property, its name
    // the path below the folder with dots, its value the whole text.
    let spring = "import os\nroot = os.environ['BOOTSEAL_FILES']\n\
                  for folder, _, names in os.walk(root):\n    for name in names:\n        path = os.path.join(folder, name)\n\
                  \x20       print(os.path.relpath(path, root).replace('/', '.'), repr(open(path).read()))\n";
    let mut out: Vec<String> =
        ok(&home, &["--files", "--", "python3", "-c", spring]).lines().map(str::to_owned).collect();
    out.sort();
    assert_eq!(
        out,
        [
            "acme.password 'hunter2'",
            "acme.port '443'",
            "acme.user 'bob'",
            "db.password 's3\\nof two lines '"
        ]
    );
}

#[test]
fn a_line_of_an_env_file_sets_no_variable_that_is_a_program() {
    let home = Home::with_vault("[db]\npassword = \"secret:x\"\n[node]\noptions = \"--version\"\n");
    let exec = |lines: &str, args: &[&str]| {
        home.write("app.env", format!("DB_PASSWORD=bootseal:db.password\n{lines}\n"));
        home.run(&[&["exec", "--env-file", "app.env"], args].concat())
    };
    for line in [
        "NODE_OPTIONS=--import=data:x",
        "NODE_OPTIONS=bootseal:node.options",
        "LD_PRELOAD=/x.so",
        "GIT_SSH_COMMAND=x",
        "http_proxy=http://x",
        "MAKEFILES=x.mk",
        "PAYMENTS_OPTS=-javaagent:x.jar",
        "OTEL_JAVAAGENT_EXTENSIONS=x.jar",
        "PASSWORD_STORE_KEY=x",
    ] {
        let ran = exec(line, &["--", "true"]);
        assert_eq!((ran.code, ran.out.as_str()), (125, ""), "{line}: {ran:?}");
        let name = line.split('=').next().unwrap();
        for part in ["app.env", name, "decides what programs run", "--env"] {
            assert!(ran.err.contains(part), "{line}, {part}: {ran:?}");
        }
    }
    let shown = ["sh", "-c", "echo \"$DB_PASSWORD.$NODE_OPTIONS.$PROMPT_COMMAND.$NODE_ENV\""];
    // What the user names is passed.
    let named = ["--env", "NODE_OPTIONS=node.options", "--"];
    let ran = exec("NODE_OPTIONS=bootseal:node.options", &[&named[..], &shown].concat());
    assert_eq!((ran.code, ran.out.as_str()), (0, "x.--version..\n"), "{ran:?}");
    // Shells run this one: it is left out, as a property of this name is.
    let ran = exec("PROMPT_COMMAND=id\nNODE_ENV=test", &[&["--"][..], &shown].concat());
    assert_eq!((ran.code, ran.out.as_str()), (0, "x...test\n"), "{ran:?}");
    assert!(ran.err.contains("PROMPT_COMMAND is left out"), "{ran:?}");
}
