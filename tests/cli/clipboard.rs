//! `get --clip` passes a value to the clipboard through a pipe, and clears the clipboard later if
//! the value is still there.

use crate::support::{Home, Ran};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

const SECRET: &str = "hunter2-canary";

/// A home with a vault and a clipboard program `name`. The program stores its text in `held`,
/// appends each text as a line to `log`, and writes its arguments and environment to `calls`.
fn home(name: &str, reader: &str) -> Home {
    let home = Home::with_vault(&format!("[acme]\npassword = \"secret:{SECRET}\"\n"));
    std::fs::create_dir(home.at("bin")).unwrap();
    let folder = home.path().display();
    let script = format!(
        "#!/bin/sh\necho \"$0 $*\" >> {folder}/calls; env >> {folder}/calls; cat /proc/$PPID/cmdline >> {folder}/calls\n\
         case \"$*\" in\n*-out*) cat {folder}/held;;\n*) cat > {folder}/held; echo \"<$(cat {folder}/held)>\" >> {folder}/log;;\nesac\n"
    );
    let programs = [
        (name, script),
        (reader, format!("#!/bin/sh\ncat {folder}/held; echo read >> {folder}/log\n")),
    ];
    for (program, script) in programs.into_iter().filter(|(program, _)| !program.is_empty()) {
        let path = format!("bin/{program}");
        home.write(&path, script);
        std::fs::set_permissions(home.at(&path), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    home
}

fn clip(home: &Home, variables: &[(&str, &str)], args: &[&str]) -> Ran {
    let mut command = home.command(&[&["get", "acme.password", "--clip"], args].concat());
    command
        .env("PATH", format!("{}:/usr/bin:/bin", home.at("bin").display()))
        .envs(variables.iter().copied());
    command.output().unwrap().into()
}

/// Waits until `log` has this text; the processes that write it run in the background.
fn logged(home: &Home, wanted: &str) {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let log = std::fs::read_to_string(home.at("log")).unwrap_or_default();
        if log == wanted {
            return;
        }
        assert!(Instant::now() < end && wanted.starts_with(&log), "{log:?}, not {wanted:?}");
        std::thread::yield_now();
    }
}

/// The process that will clear this clipboard, found by our HOME in its environment.
fn clearing_process(home: &Home) -> Option<std::fs::DirEntry> {
    let ours = format!("HOME={}", home.path().display());
    std::fs::read_dir("/proc").unwrap().flatten().find(|process| {
        let is = |name: &str, word: &str| {
            std::fs::read(process.path().join(name))
                .is_ok_and(|text| String::from_utf8_lossy(&text).contains(word))
        };
        is("cmdline", "clear-clipboard") && is("environ", &ours)
    })
}

#[test]
fn clip_copies_and_clears_a_value_without_showing_it() {
    let home = home("xclip", "");
    let ran = clip(&home, &[("DISPLAY", ":7")], &["--clear-after", "0"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    assert_eq!(ran.err, "bootseal: acme.password is in the clipboard for 0 s\n");
    logged(&home, &format!("<{SECRET}>\n<>\n"));
    let calls = home.read("calls");
    assert!(
        calls.contains("xclip -selection clipboard -in\n")
            && calls.contains("xclip -selection clipboard -out\n")
    );
    assert!(calls.contains("clear-clipboard") && !calls.contains(SECRET), "{calls}");
}

#[test]
fn a_clipboard_that_changed_since_is_not_cleared() {
    let home = home("wl-copy", "wl-paste");
    // The clipboard program replaces the text as soon as it is stored.
    let script = home.read("bin/wl-copy");
    home.write("bin/wl-copy", format!("{script}printf other > {}\n", home.at("held").display()));
    let ran = clip(
        &home,
        &[("WAYLAND_DISPLAY", "wayland-0"), ("DISPLAY", ":7")],
        &["--clear-after", "0"],
    );
    assert_eq!(ran.code, 0, "{}", ran.err);
    logged(&home, &format!("<{SECRET}>\nread\n"));
    let end = Instant::now() + Duration::from_secs(60);
    while clearing_process(&home).is_some() {
        assert!(Instant::now() < end);
        std::thread::yield_now();
    }
    assert_eq!(home.read("log"), format!("<{SECRET}>\nread\n"), "nothing was cleared");
}

#[test]
fn the_clearing_process_outlives_the_program_and_the_terminal() {
    let home = home("pbcopy", "pbpaste");
    let ran = clip(&home, &[], &["--json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.out, "{\"cleared_after_seconds\":30,\"name\":\"acme.password\"}\n");
    // On Linux the parent may continue before the command line of its child can be read.
    let end = Instant::now() + Duration::from_secs(60);
    let waiting = loop {
        if let Some(process) = clearing_process(&home) {
            break process;
        }
        assert!(Instant::now() < end, "no clearing process");
        std::thread::yield_now();
    };
    let cmdline = std::fs::read(waiting.path().join("cmdline")).unwrap();
    assert!(!String::from_utf8_lossy(&cmdline).contains(SECRET));
    // It has its own session, so a signal from a closing terminal does not reach it.
    let pid: u32 = waiting.file_name().to_str().unwrap().parse().unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    let session = || {
        let stat = std::fs::read_to_string(waiting.path().join("stat")).unwrap();
        stat.rsplit(") ").next().unwrap().split(' ').nth(3).unwrap().parse::<u32>().unwrap()
    };
    while session() != pid {
        assert!(Instant::now() < end, "still in our session");
    }
    let killed = std::process::Command::new("kill").arg(pid.to_string()).status().unwrap();
    assert!(killed.success());
}

#[test]
fn without_a_clipboard_the_error_lists_the_programs_tried() {
    let home = home("xclip", "");
    // Neither xclip without a display nor a program in a relative PATH folder counts.
    for (path, variables) in
        [("bin", vec![("DISPLAY", ":7")]), ("/nonexistent", vec![("DISPLAY", ":7")])]
    {
        let mut command = home.command(&["get", "acme.password", "--clip"]);
        let ran: Ran = command.env("PATH", path).envs(variables).output().unwrap().into();
        assert!(
            ran.code == 1
                && ran.err.contains("no clipboard was found")
                && ran.err.contains("--out FILE"),
            "{ran:?}"
        );
    }
    let ran = clip(&home, &[], &[]);
    assert!(ran.code == 1 && ran.err.contains("xclip (with DISPLAY)"), "{ran:?}");
    assert!(!home.at("log").exists());
    // A failing program is reported without the value.
    home.write("bin/xclip", "#!/bin/sh\nexit 3\n");
    let ran = clip(&home, &[("DISPLAY", ":7")], &[]);
    assert!(
        ran.code == 1
            && ran.err.contains("the clipboard was not filled")
            && !ran.err.contains(SECRET),
        "{ran:?}"
    );
}
