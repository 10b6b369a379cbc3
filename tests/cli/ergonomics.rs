//! Ergonomics: terminals, pipes that close, odd names, and users without a key.

use crate::support;
use crate::support::{Home, Ran, at_a_terminal, team};
use serde_json::Value;
use std::io::Read;
use std::process::Stdio;

#[test]
fn names_list_verify_and_diff_work_without_a_key() {
    let home = team::team();
    let old = home.read(team::FILE);
    home.ok_with(&["set", "acme.password"], b"hunter3");
    home.ok(&["set", "acme.url", "--plain", "https://acme.example/v2"]);
    let other = team::elsewhere(&home, &[], &home.read(team::FILE));
    other.write("old.sealed.toml", old);
    let listed = other.run(&["list", "-f", team::FILE]);
    assert_eq!(listed.code, 0, "{}", listed.err);
    assert_eq!(
        listed.out,
        "acme.url       readable\nacme.user      sealed\nacme.password  sealed\ndb.password    sealed\n"
    );
    let verified = other.run(&["verify", "-f", team::FILE]);
    assert_eq!(verified.code, 0, "{}", verified.err);
    assert!(
        verified.out.contains("values not opened: no available identity is in access"),
        "{}",
        verified.out
    );
    let diff = other.run(&["diff", "old.sealed.toml", team::FILE]);
    assert_eq!(diff.code, 0, "{}", diff.err);
    assert!(
        diff.out.contains("acme.password: sealed value changed")
            && diff.out.contains("acme.url: changed"),
        "{}",
        diff.out
    );
    assert!(!diff.out.contains("hunter"), "{}", diff.out);
}

#[test]
fn a_closed_pipe_is_not_a_failure() {
    let properties: String = (0..3000)
        .map(|number| format!("p{number} = \"a readable value of some length\"\n"))
        .collect();
    let home = Home::with_vault(&format!("{properties}last = \"secret:hunter2\"\n"));
    for args in [
        &["list"][..],
        &["list", "--json"],
        &["man"],
        &["get", "p1"],
        &["--help"],
        &["doctor"],
        &["verify"],
    ] {
        let mut child =
            home.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // The other end is closed before the first write or during a write.
        drop(child.stdout.take());
        let ended = child.wait().unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        let wanted = if args == ["doctor"] { 1 } else { 0 };
        assert_eq!(
            (ended.code(), said.contains("panic"), said.contains("Broken")),
            (Some(wanted), false, false),
            "{args:?}: {said}"
        );
    }
}

#[test]
fn ctrl_c_at_a_prompt_restores_the_terminal_and_changes_no_file() {
    let home = Home::with_vault("[acme]\npassword = \"secret:hunter2\"\n");
    let before = home.read("app.sealed.toml");
    for answers in [
        &[("acme.password: ", "hunt\x03")][..],
        &[("acme.password: ", "hunter3\n"), ("again: ", "hun\x03")],
    ] {
        let (code, seen, echo) = at_a_terminal(&home, &["set", "acme.password"], answers).unwrap();
        assert_eq!((code, echo.as_str()), (130, "echo"), "{seen}");
        assert!(
            seen.contains("interrupted; nothing was changed") && !seen.contains("hunt"),
            "{seen}"
        );
        assert_eq!(home.read("app.sealed.toml"), before);
    }
    // At a yes/no question the terminal is unchanged, and the signal ends the program.
    let (code, _, echo) = at_a_terminal(
        &home,
        &["access", "add", "bob", "--new-key", "bob.key"],
        &[("[y/N]", "\x03")],
    )
    .unwrap();
    assert_eq!((code, echo.as_str()), (-2, "echo"));
    assert_eq!(home.read("app.sealed.toml"), before);
}

#[test]
fn a_prompt_without_a_terminal_exits_with_2_and_names_the_option() {
    let home = team::team();
    for (args, option) in [
        (&["access", "add", "carol", "--new-key", "carol.key"][..], "--yes"),
        (&["access", "remove", "bob"], "--yes"),
    ] {
        let ran = home.run(args);
        assert!(ran.code == 2 && ran.err.contains(option), "{args:?}: {ran:?}");
        let ran = home.run(&[args, &["--json"]].concat());
        let error: Value = serde_json::from_str(ran.err.lines().last().unwrap()).unwrap();
        assert_eq!(error["error"]["kind"], "no-terminal");
    }
}

#[test]
fn file_names_with_spaces_and_non_ascii_letters_work() {
    let home = Home::new();
    let folder = "Ein Ordner/日本 'x' $HOME";
    std::fs::create_dir_all(home.at(folder)).unwrap();
    let at = |name: &str| format!("{folder}/{name}");
    home.write(&at("größe 1.toml"), "[acme]\npassword = \"secret:grün\"\n");
    home.ok(&["seal", &at("größe 1.toml")]);
    let file = at("größe 1.sealed.toml");
    home.ok_with(&["set", "\"größe\".\"ein wert\"", "-f", &file], "日本".as_bytes());
    assert_eq!(home.ok(&["get", "\"größe\".\"ein wert\"", "-f", &file]), "日本");
    home.ok(&[
        "access",
        "add",
        "bob",
        "--new-key",
        &at("der schlüssel.key"),
        "--writer",
        "--yes",
        "-f",
        &file,
    ]);
    assert_eq!(
        home.ok(&["get", "acme.password", "-f", &file, "-i", &at("der schlüssel.key")]),
        "grün"
    );
    home.ok(&["get", "acme.password", "-f", &file, "--out", &at("aus gabe")]);
    assert_eq!(home.read(&at("aus gabe")), "grün");
    assert!(home.ok(&["verify", &file]).contains("größe 1.sealed.toml: good"));
    assert!(
        home.ok(&["list", "-f", &at("*.sealed.toml")]).contains("\"größe\".\"ein wert\"  sealed")
    );
    home.ok(&["man", "--out", &at("man seiten")]);
    assert!(home.at(&at("man seiten/bootseal.1")).exists());
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::ffi::OsStrExt;
        // A name that is not valid UTF-8.
        let odd = std::ffi::OsStr::from_bytes(b"od\xffd.sealed.toml");
        std::fs::copy(home.at(&file), home.path().join(odd)).unwrap();
        let ran: Ran = home.command(&["list"]).env("BOOTSEAL_FILE", odd).output().unwrap().into();
        assert!(ran.code == 0 && ran.out.contains("acme.password"), "{ran:?}");
    }
}

#[test]
fn colours_mark_errors_and_warnings_and_can_be_switched_off() {
    let home = Home::new();
    let wrong = ["list", "-f", "missing.sealed.toml"];
    let at_terminal =
        |args: &[&str], variables: &[(&str, &str)]| home.typed(args, variables, &[]).out;
    assert!(at_terminal(&wrong, &[]).contains("\x1b[31mbootseal\x1b[0m: "), "red: an error");
    for (args, variables) in [
        (&[&wrong[..], &["--color", "never"]].concat()[..], &[][..]),
        (&wrong, &[("NO_COLOR", "1")]),
    ] {
        let seen = at_terminal(args, variables);
        assert!(seen.contains("bootseal: ") && !seen.contains('\x1b'), "{seen:?}");
    }
    // Output into a pipe has no colour unless it is requested.
    assert!(!home.run(&wrong).err.contains('\x1b'));
    assert!(home.run(&[&wrong[..], &["--color", "always"]].concat()).err.contains("\x1b[31m"));
    let vault = Home::with_vault("a = \"secret:x\"\n");
    let other = team::elsewhere(&vault, &[], &vault.read(team::FILE));
    assert!(
        other.run(&["verify", "--color", "always"]).err.contains("\x1b[33mwarning\x1b[0m"),
        "yellow: a warning"
    );
}

#[test]
fn progress_is_shown_only_on_a_terminal() {
    let home = Home::with_vault("[acme]\npassword = \"secret:hunter2\"\n");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/login", listener.local_addr().unwrap());
    home.write(
        "slow.toml",
        format!("[acme]\npassword = \"secret:hunter2\"\n[acme.login]\nurl = \"{url}\"\nallow_http = true\nform = {{ p = \"${{password}}\" }}\ntoken = {{ json = \"/t\" }}\n"),
    );
    home.ok(&["seal", "slow.toml"]);
    let login = |more: &[&str]| {
        const DRIVER: &str =
            "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
        let mut command = std::process::Command::new("python3");
        command
            .args([
                "-c",
                DRIVER,
                env!("CARGO_BIN_EXE_bootseal"),
                "login",
                "acme",
                "-f",
                "slow.sealed.toml",
            ])
            .args(more);
        command.current_dir(home.path()).env("HOME", home.path()).env("USER", "alice");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap()
    };
    let asked = || {
        let (mut stream, _) = listener.accept().unwrap();
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
        stream
    };
    // The run with `-q` waits for its vendor first and longer. The other run gets its response only
    // after it has shown that it waits.
    let mut quiet = login(&["-q"]);
    let of_quiet = asked();
    let mut talking = login(&[]);
    let of_talking = asked();
    let mut seen = String::new();
    let mut out = talking.stdout.take().unwrap();
    while !seen.contains("bootseal: logging in … 0 s") {
        let mut buffer = [0; 4096];
        let read = out.read(&mut buffer).unwrap();
        assert!(read > 0, "ended without showing progress: {seen}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    for mut stream in [of_quiet, of_talking] {
        std::io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\nConnection: close\r\n\r\n{\"t\":\"abc\"}").unwrap();
    }
    out.read_to_string(&mut seen).unwrap();
    assert!(
        talking.wait().unwrap().success() && seen.contains("\r\x1b[K"),
        "the progress line is erased at the end: {seen:?}"
    );
    let mut seen = String::new();
    quiet.stdout.take().unwrap().read_to_string(&mut seen).unwrap();
    assert!(quiet.wait().unwrap().success() && !seen.contains("logging in"), "{seen:?}");
}

#[test]
fn a_similar_name_is_suggested_for_a_misspelt_one() {
    let home = Home::with_vault(
        "[acme]\npassword = \"secret:hunter2\"\n[acme.login]\nurl = \"https://acme.example/login\"\nform = { p = \"${password}\" }\ntoken = { json = \"/t\" }\nexpriy = { fixed = \"1h\" }\n",
    );
    for (args, meant) in [
        (&["lst"][..], "Did you mean 'list'?"),
        (&["gte", "acme.password"], "Did you mean 'get'?"),
        (&["verfy"], "Did you mean 'verify'?"),
        (&["access", "ad"], "Did you mean 'add'?"),
        (&["get", "acme.pasword"], "Did you mean acme.password?"),
        (&["unset", "acme.passwrd"], "Did you mean acme.password?"),
        (&["list", "--jsn"], "--json"),
        (&["login", "acme"], "Did you mean `expiry`?"),
    ] {
        let ran = home.run(args);
        assert!(ran.code != 0 && ran.err.contains(meant), "{args:?}: {ran:?}");
    }
    // A change that breaks a profile is reported immediately, not when a service starts.
    let changed = Home::with_vault(
        "[acme]\npassword = \"secret:hunter2\"\n[acme.login]\nurl = \"https://acme.example/login\"\nform = { p = \"${password}\" }\ntoken = { json = \"/t\" }\n",
    );
    let ran = changed.run(&["set", "acme.login.expriy.fixed", "--plain", "1h"]);
    assert!(ran.code == 0 && ran.err.contains("Did you mean `expiry`?"), "{ran:?}");
    let ran = changed.run(&["set", "acme.login.method", "--plain", "POST"]);
    assert!(
        ran.code == 0 && ran.err.is_empty(),
        "a profile that was already broken is not reported again: {ran:?}"
    );
    assert!(changed.run(&["unset", "acme.login.expriy.fixed"]).err.is_empty());
    let ran = changed.run(&["unset", "acme.password"]);
    assert!(ran.code == 0 && ran.err.contains("acme.password"), "{ran:?}");
    // An error about a wrong option value names the option and does not repeat the value.
    for (args, option) in [
        (&["verify", "--min-generation", "hunter2"][..], "--min-generation"),
        (&["get", "acme.password", "--clear-after", "hunter2"], "--clear-after"),
        (&["set", "acme.password", "--generate=hunter2"], "--generate"),
        (&["list", "--passphrase-fd", "hunter2"], "--passphrase-fd"),
        (&["vendor", "acme", "--revoke-every", "hunter2"], "--revoke-every"),
    ] {
        let ran = home.run(args);
        let named = ran.err.starts_with(&format!("bootseal: {option}"));
        assert!(ran.code == 2 && named && !ran.err.contains("hunter2"), "{args:?}: {ran:?}");
    }
    // A word without a similar name may be a misplaced secret, so it is not repeated.
    for args in [&["correct-horse"][..], &["access", "correct-horse"], &["--json", "correct-horse"]]
    {
        let ran = home.run(args);
        assert!(
            ran.code == 2
                && ran.err.contains("there is no such command")
                && !ran.err.contains("horse"),
            "{ran:?}"
        );
    }
}

#[test]
fn every_verb_has_a_help_with_examples() {
    let home = Home::new();
    for verb in support::verbs(&home) {
        let args: Vec<&str> = verb.iter().map(String::as_str).chain(["--help"]).collect();
        let help = home.ok(&args);
        let group = help.contains("\nCommands:\n");
        assert!(group || help.contains("Example"), "{}: {help}", verb.join(" "));
        let verb = verb.join(" ");
        assert!(
            group
                || help.contains(&format!("  bootseal {verb}"))
                || help.contains(&format!(" bootseal {verb}")),
            "{help}"
        );
    }
}

#[test]
fn ten_thousand_properties_are_listed_with_a_key_and_without() {
    let properties: String =
        (0..10_000).map(|number| format!("p{number} = \"secret:value-{number}\"\n")).collect();
    let home = Home::with_vault(&format!("[many]\n{properties}"));
    let other = team::elsewhere(&home, &[], &home.read(team::FILE));
    for home in [&home, &other] {
        assert_eq!(home.ok(&["list"]).lines().count(), 10_000);
    }
}

/// Under strace, the file is opened once and read once; without a key no other file is read.
#[cfg(target_os = "linux")]
#[test]
fn ten_thousand_properties_are_listed_by_one_read_of_the_file() {
    let properties: String =
        (0..10_000).map(|number| format!("p{number} = \"secret:value-{number}\"\n")).collect();
    let home = Home::with_vault(&format!("[many]\n{properties}"));
    let other = team::elsewhere(&home, &[], &home.read(team::FILE));
    for (home, key) in [(&home, true), (&other, false)] {
        let mut strace = std::process::Command::new("strace");
        strace.args(["-f", "-y", "-s", "0", "-o", "trace"]);
        strace.args(["-e", "trace=open,openat,read,pread64,readv,preadv,preadv2,mmap"]);
        strace.arg(env!("CARGO_BIN_EXE_bootseal")).arg("list");
        strace.current_dir(home.path()).env_clear().env("HOME", home.path()).env("USER", "alice");
        let ran: Ran = strace.output().unwrap().into();
        assert!(ran.code == 0 && ran.out.lines().count() == 10_000, "{}", ran.err);
        let trace = home.read("trace");
        let length = home.read(team::FILE).len();
        let of_file = |line: &&str| line.contains(team::FILE);
        let opened = trace.lines().filter(of_file).filter(|line| line.contains("open"));
        assert_eq!(opened.count(), 1);
        let mapped = trace.lines().filter(of_file).filter(|line| line.contains("mmap"));
        assert_eq!(mapped.count(), 0);
        let reads = trace.lines().filter(of_file).filter(|line| line.contains("read"));
        let read: usize =
            reads.map(|line| line.rsplit(" = ").next().unwrap().parse::<usize>().unwrap()).sum();
        assert_eq!(read, length, "the whole file is read once");
        let keys = trace
            .lines()
            .filter(|line| line.contains("identity.txt") && !line.contains("ENOENT"))
            .count();
        assert_eq!(
            keys > 0,
            key,
            "{}",
            if key { "the dates are sealed" } else { "no key is looked for" }
        );
    }
}

#[test]
fn an_error_names_the_values_that_are_allowed() {
    let home = Home::with_vault("[acme]\npassword = \"secret:hunter2\"\n");
    home.ok(&["get", "acme.password", "--out", "there"]);
    let ran = home.run(&["get", "acme.password", "--out", "there", "--json"]);
    let error: Value = serde_json::from_str(ran.err.lines().last().unwrap()).unwrap();
    assert_eq!((ran.code, &error["error"]["kind"]), (1, &"exists".into()), "{error}");
    assert!(
        error["error"]["help"].as_str().is_some_and(|help| help.contains("another")),
        "{error}"
    );
    for (args, takes) in [
        (
            &["vendor", "acme", "--revoke-every", "30"][..],
            "--revoke-every <TIME> takes a time with a unit",
        ),
        (&["vendor", "acme", "--port", "99999"], "--port <PORT> takes a number from 0 to 65535"),
        (&["verify", "--min-generation", "hunter2"], "takes a whole number"),
        (
            &["import", "--from", "jasypt", "x", "--iterations", "0"],
            "takes a number from 1 to 10000000",
        ),
        (&["exec", "true"], "bootseal exec -- PROGRAM"),
        (&["access", "add", "bob"], "--new-key FILE or --passphrase"),
        (&["access", "add", "bob", "--yes"], "--new-key FILE or --passphrase"),
    ] {
        let ran = home.run(args);
        assert!(ran.err.contains(takes) && !ran.err.contains("hunter2"), "{args:?}: {ran:?}");
    }
    // The error names the variable or option that a wrong name came from.
    for (name, value) in [("BOOTSEAL_PIN", "bogus"), ("BOOTSEAL_IDENTITY", "none.key")] {
        let ran: Ran =
            home.command(&["get", "acme.password"]).env(name, value).output().unwrap().into();
        assert!(ran.err.starts_with(&format!("bootseal: {name}: ")), "{}", ran.err);
    }
    // The JSON error names the file even if the text does not need to.
    for args in [&["verify", "--as-loader"][..], &["edit"]] {
        let ran = home.run(&[args, &["--json"]].concat());
        let error: Value = serde_json::from_str(ran.err.lines().last().unwrap()).unwrap();
        assert_eq!(error["error"]["file"], "app.sealed.toml", "{args:?}: {error}");
    }
    let ran = home.run_with(&["set", "bootseal.x"], b"hunter2");
    assert!(
        ran.code == 1
            && ran.err.contains("`bootseal access`")
            && !ran.err.contains("Edit the line"),
        "{ran:?}"
    );
}
