//! `edit` opens the whole file in an editor. No typed text is lost, and no plaintext is left
//! behind.

use crate::support::{Home, Ran, unseen};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const VAULT: &str = "# Acme payments\n[acme]\nurl  =  'https://acme.example'   # theirs\nuser = \"secret:bob-of-acme\"\npassword = \"secret:hunter2\"\n\n\
                     [acme.login]\nurl = \"https://acme.example/login\"\njson = { u = \"${user}\", p = \"${password}\" }\ntoken = { json = \"/token\" }\n\n\
                     [tls]\nkey = \"secret:-----BEGIN KEY-----\\nline-of-the-key\\n-----END KEY-----\\n\"\n";

const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A scripted editor. Its nth call runs the nth of these shell lines, with the file as `$1`; the
/// text it was shown is kept in `seen.1`, `seen.2`, …
fn editor(home: &Home, openings: &[&str]) {
    let mut script =
        "#!/bin/bash\ncd \"$HOME\"; n=1; while [ -e seen.$n ]; do n=$((n+1)); done; cp \"$1\" seen.$n\ncase $n in\n"
            .to_owned();
    for (index, opening) in openings.iter().enumerate() {
        script.push_str(&format!("{}) {opening};;\n", index + 1));
    }
    script.push_str("*) touch too-often;;\nesac\n");
    home.write("the editor", script);
    std::fs::set_permissions(home.at("the editor"), PermissionsExt::from_mode(0o700)).unwrap();
    for entry in std::fs::read_dir(home.path()).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("seen.") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
}

fn command(home: &Home, args: &[&str]) -> Command {
    let mut command = home.command(&[&["edit"], args].concat());
    command
        .env("PATH", PATH)
        .env("EDITOR", "'./the editor'")
        .env("BOOTSEAL", env!("CARGO_BIN_EXE_bootseal"));
    // Its own folder, so that concurrent tests do not see each other's files.
    command.env("XDG_RUNTIME_DIR", runtime(home));
    command
}

fn runtime(home: &Home) -> PathBuf {
    let name =
        home.path().file_name().unwrap().to_str().unwrap().trim_start_matches('.').to_owned();
    let folder = PathBuf::from(format!("/dev/shm/edit-test-{name}"));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn in_memory(home: &Home) -> Vec<PathBuf> {
    std::fs::read_dir(runtime(home)).unwrap().flatten().map(|entry| entry.path()).collect()
}

fn edit_with(home: &Home, openings: &[&str], args: &[&str]) -> Ran {
    editor(home, openings);
    let ran: Ran = match openings.len() {
        0 | 1 => command(home, args).output().unwrap().into(),
        // After a mistake, the user is asked whether to edit again.
        several => at_a_terminal(home, args, &vec![(AGAIN, "\n"); several - 1]),
    };
    assert!(
        !home.at("too-often").exists(),
        "the editor was opened more often than {}: {}",
        openings.len(),
        ran.err
    );
    assert!(!ran.err.contains("hunter") && !ran.out.contains("hunter"), "{ran:?}");
    assert_eq!(in_memory(home), Vec::<PathBuf>::new());
    let _ = std::fs::remove_dir(runtime(home));
    ran
}

const AGAIN: &str = "Edit the text again? [Y/n] ";

/// Runs `edit` on its own terminal, whose output is both `out` and `err`.
fn at_a_terminal(home: &Home, args: &[&str], answers: &[(&str, &str)]) -> Ran {
    let folder = runtime(home);
    let variables = [
        ("PATH", PATH),
        ("EDITOR", "'./the editor'"),
        ("BOOTSEAL", env!("CARGO_BIN_EXE_bootseal")),
        ("XDG_RUNTIME_DIR", folder.to_str().unwrap()),
    ];
    let ran = home.typed(&[&["edit"], args].concat(), &variables, answers);
    Ran { err: ran.out.clone(), ..ran }
}

fn edit(home: &Home, openings: &[&str]) -> Ran {
    edit_with(home, openings, &[])
}

fn ok(home: &Home, openings: &[&str]) -> Ran {
    let ran = edit(home, openings);
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran
}

/// The lines of the user's part of the file that differ.
fn differing(before: &str, after: &str) -> Vec<String> {
    let user = |text: &str| {
        text.split_once("[bootseal]").unwrap().0.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let (before, after) = (user(before), user(after));
    assert_eq!(before.len(), after.len());
    after.into_iter().zip(before).filter(|(one, other)| one != other).map(|(one, _)| one).collect()
}

fn drafts(home: &Home) -> Vec<PathBuf> {
    let folder = std::fs::read_dir(home.at(".local/state/bootseal/drafts"));
    folder.map(|folder| folder.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
}

#[test]
fn an_edit_changes_only_what_was_edited() {
    let home = Home::with_vault(VAULT);
    let before = home.read("app.sealed.toml");
    // Saved by a rename, as many editors do.
    let ran = ok(
        &home,
        &[
            "sed 's/hunter2/hunter3/' \"$1\" > \"$1.tmp\"; stat -f -c %T \"$1\" > where; stat -c '%a %n' \"$1\" \"$(dirname \"$1\")\" >> where; mv \"$1.tmp\" \"$1\"",
        ],
    );
    assert!(ran.err.contains("acme.password: sealed value changed"), "{}", ran.err);
    let after = home.read("app.sealed.toml");
    assert_eq!(differing(&before, &after).len(), 1);
    assert!(differing(&before, &after)[0].starts_with("password = \"sealed:"));
    assert_eq!(home.ok(&["get", "acme.password"]), "hunter3");
    let modes = home.read("where");
    assert!(
        modes.starts_with("tmpfs\n600 /dev/shm/")
            && modes.lines().nth(2).unwrap().starts_with("700 "),
        "{modes}"
    );
    let seen = home.read("seen.1");
    let text: String = seen.split_inclusive('\n').filter(|line| !line.starts_with("#:")).collect();
    assert!(
        text.contains("url  =  'https://acme.example'   # theirs\nuser = \"secret:bob-of-acme\"\n"),
        "{text}"
    );
    assert!(
        text.contains("secret:-----BEGIN KEY-----\nline-of-the-key\n")
            && !text.contains("[bootseal]"),
        "{text}"
    );
    // Comments, order, new and renamed properties are saved as edited.
    ok(
        &home,
        &[
            "sed -i 's/^# Acme payments/# Acme, payments/; s/^user = /login_name = /; s/.{user}/${login_name}/; s/^\\[tls\\]/[tls]\\nnew = \"secret:fresh-one\"/' \"$1\"",
        ],
    );
    assert_eq!(home.ok(&["get", "acme.login_name"]), "bob-of-acme");
    assert_eq!(home.ok(&["get", "tls.new"]), "fresh-one");
    let text = home.read("app.sealed.toml");
    assert!(
        text.starts_with("# Acme, payments\n[acme]\n")
            && text.contains("[tls]\nnew = \"sealed:")
            && !text.contains("fresh-one"),
        "{text}"
    );
    // An edit without a change is reported as such.
    let before = home.read("app.sealed.toml");
    for opening in ["true", "touch \"$1\"", "sed -i 1,2d \"$1\""] {
        let ran = ok(&home, &[opening]);
        assert!(
            ran.err.contains("nothing was changed") && home.read("app.sealed.toml") == before,
            "{}",
            ran.err
        );
    }
    for (opening, words) in
        [(": > \"$1\"", "the text is empty"), ("exit 3", "the editor ended with exit status: 3")]
    {
        let ran = edit(&home, &[opening]);
        assert!(
            ran.code != 0 && ran.err.contains(words) && home.read("app.sealed.toml") == before,
            "{}",
            ran.err
        );
    }
    assert_eq!(drafts(&home), Vec::<PathBuf>::new());
}

#[test]
fn a_mistake_reopens_the_editor_with_the_error_above_the_text() {
    let home = Home::with_vault(VAULT);
    for (mistake, words, mend, line) in [
        ("s/^\\[tls\\]/[tls]\\nport = /", "not TOML", "s/^port = $/port = 443/", Some("port = ")),
        (
            "s/^\\[tls\\]/[bootseal]\\nepoch = 7\\n\\n[tls]/",
            "[bootseal] cannot be edited",
            "/^.bootseal/,/^epoch/d",
            None,
        ),
        (
            "s/^\\[tls\\]/[tls]\\nx = { y = 1, }/",
            "TOML 1.1 allows it",
            "s/^x = .*/x.y = 1/",
            Some("x = {"),
        ),
        (
            "s/^url = \"https/url = \"secret:https/",
            "acme.login.url: is marked secret:, and belongs to a login profile",
            "s/secret:https/https/",
            None,
        ),
        (
            "s/^\\[tls\\]/[tls]\\nl = [\"secret:x1234567\"]/",
            "in an array",
            "s/^l = .*/l = 1/",
            Some("l = ["),
        ),
        (
            "s/^token = .*/token = 5/",
            "acme.login",
            "s/^token = 5/token = { json = \"\\/token\" }/",
            None,
        ),
        (
            "s/^password = /# password = \"secret:hunter2\"\\npassword = /",
            "the comment contains the value of acme.password",
            "/^# password/d",
            Some("# password"),
        ),
    ] {
        let other = format!("s/bob-of-acme/bob-{}/", words.len());
        let ran = edit(
            &home,
            &[
                &format!("sed -i '{mistake}' \"$1\""),
                &format!(
                    "sed -i '{mend}; {}' \"$1\"",
                    other.replace("bob-of-acme", "bob-[a-z0-9-]*")
                ),
            ],
        );
        assert_eq!(ran.code, 0, "{words}: {}\n{}", ran.err, home.read("seen.1"));
        let seen = home.read("seen.2");
        let top: Vec<&str> = seen.lines().take_while(|line| line.starts_with("#:")).collect();
        assert!(top[0].contains(words), "{words}: {seen}");
        if let Some(text) = line {
            let number = seen.lines().position(|line| line.starts_with(text)).unwrap() + 1;
            assert!(top[0].starts_with(&format!("#: line {number}, column ")), "{number}: {seen}");
        }
        assert!(!top.iter().any(|line| line.contains("hunter")), "{seen}");
        assert_eq!(home.ok(&["get", "acme.user"]), format!("bob-{}", words.len()));
    }
    // Closed without a change: the edit is abandoned and no text is lost.
    let before = home.read("app.sealed.toml");
    let ran = edit(&home, &["sed -i 's/hunter2/hunter3\"x/' \"$1\"", "true"]);
    assert!(
        ran.code == 1
            && ran.err.contains("app.sealed.toml: line 5, column 28 of the edited text: not TOML")
            && ran.err.contains("is kept, encrypted"),
        "{}",
        ran.err
    );
    assert_eq!(home.read("app.sealed.toml"), before);
    let [draft] = drafts(&home).try_into().unwrap();
    assert!(!std::fs::read_to_string(&draft).unwrap().contains("hunter"));
    assert_eq!(std::fs::metadata(&draft).unwrap().permissions().mode() & 0o777, 0o600);
    let ran = edit(&home, &[]);
    assert!(ran.code == 2 && ran.err.contains("add --yes"), "{}", ran.err);
    // Opened and closed again: the draft stays. Then the mistake is fixed.
    let ran = edit_with(&home, &["sed -i 's/hunter3\"x/hunter3/' \"$1\""], &["--yes"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(home.read("seen.1").contains("hunter3\"x"));
    assert_eq!((home.ok(&["get", "acme.password"]).as_str(), drafts(&home).len()), ("hunter3", 0));
}

#[test]
fn without_a_terminal_a_mistake_ends_the_edit_after_the_first_try() {
    for (mistake, words, code) in [
        ("echo \"x = $RANDOM =\" >> \"$1\"", "column ", 1),
        ("sed -i \"s/^token = .*/token = $RANDOM/\" \"$1\"", "acme.login", 1),
        ("sed -i 's/\"secret:bob-of-acme/\"bob-of-acme/' \"$1\"", "would become readable", 1),
        ("printf '\\377' >> \"$1\"", "not UTF-8", 1),
    ] {
        let home = Home::with_vault(VAULT);
        let before = home.read("app.sealed.toml");
        let ran = edit(&home, &[mistake]);
        assert_eq!(ran.code, code, "{mistake}: {}", ran.err);
        assert!(ran.err.contains(words), "{mistake}: {}", ran.err);
        assert!(ran.err.contains("your text is kept, encrypted"), "{}", ran.err);
        assert_eq!((home.read("app.sealed.toml"), drafts(&home).len()), (before, 1));
    }
    // The line of the mistake is the one in the text.
    let home = Home::with_vault(VAULT);
    let ran = edit(&home, &["sed -i 's/^\\[tls\\]/[tls]\\nport = /' \"$1\""]);
    let line = VAULT.lines().position(|line| line == "[tls]").unwrap() + 2;
    let wanted = format!("app.sealed.toml: line {line}, column ");
    assert!(ran.err.contains(&wanted), "{wanted}: {}", ran.err);
}

#[test]
fn at_a_terminal_a_no_ends_the_edit_and_keeps_the_text() {
    let home = Home::with_vault(VAULT);
    editor(&home, &["echo 'x = =' >> \"$1\"", "echo 'y = =' >> \"$1\""]);
    let ran = at_a_terminal(&home, &[], &[(AGAIN, "y\n"), (AGAIN, "n\n")]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("your text is kept, encrypted"), "{}", ran.err);
    assert!(home.read("seen.2").starts_with("#: line "), "{}", home.read("seen.2"));
    assert!(!home.at("too-often").exists() && drafts(&home).len() == 1);
    // The end of the input is no answer, and no yes.
    let home = Home::with_vault(VAULT);
    editor(&home, &["echo 'x = =' >> \"$1\""]);
    let ran = at_a_terminal(&home, &["--yes"], &[(AGAIN, "\u{4}")]);
    assert_eq!((ran.code, drafts(&home).len()), (2, 1), "{}", ran.err);
    assert!(!home.at("too-often").exists());
    let _ = std::fs::remove_dir(runtime(&home));
}

#[test]
fn at_a_terminal_ctrl_c_at_the_question_ends_with_130_and_keeps_the_text() {
    for (key, code) in [("\u{3}", 130), ("\u{1c}", 131)] {
        let home = Home::with_vault(VAULT);
        editor(&home, &["sed -i 's/hunter2/hunter3\"x/' \"$1\""]);
        let ran = at_a_terminal(&home, &[], &[(AGAIN, key)]);
        assert_eq!((ran.code, drafts(&home).len()), (code, 1), "{}", ran.err);
        assert!(ran.err.contains("your text is kept, encrypted"), "{}", ran.err);
        assert!(!ran.err.contains("hunter") && !home.at("too-often").exists(), "{}", ran.err);
        let _ = std::fs::remove_dir_all(runtime(&home));
        // The draft has what was typed; a mended text ends it.
        editor(&home, &["sed -i 's/hunter3\"x/hunter3/' \"$1\""]);
        let ran = at_a_terminal(&home, &["--yes"], &[]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert_eq!(
            (home.ok(&["get", "acme.password"]).as_str(), drafts(&home).len()),
            ("hunter3", 0)
        );
        let _ = std::fs::remove_dir_all(runtime(&home));
    }
}

#[test]
fn text_above_the_error_lines_is_kept_and_the_error_lines_are_dropped() {
    let home = Home::with_vault(VAULT);
    let ran = edit(&home, &["sed -i '1i region = \"eu\"' \"$1\""]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let text = home.read("app.sealed.toml");
    assert!(text.contains("region = \"eu\"\n") && !text.contains("#:"), "{text}");
}

#[test]
fn a_profile_that_was_already_broken_is_saved_with_a_warning() {
    let home = Home::with_vault(VAULT);
    home.ok(&["set", "acme.login.url", "--plain", "http://acme.example/login"]);
    let ran = ok(&home, &["sed -i 's/hunter2/hunter3/' \"$1\""]);
    assert!(ran.err.contains("warning: ") && ran.err.contains("is not https"), "{}", ran.err);
    assert_eq!(home.ok(&["get", "acme.password"]), "hunter3");
}

#[test]
fn at_a_terminal_edit_asks_whether_to_continue_a_draft() {
    let home = Home::with_vault(VAULT);
    let break_off = || {
        let ran = edit(&home, &["sed -i 's/hunter2/hunter3\"x/' \"$1\"", "true"]);
        assert!(ran.code == 1 && ran.err.contains("is kept, encrypted"), "{}", ran.err);
        runtime(&home)
    };
    let memory = break_off();
    let surroundings =
        [("EDITOR", "'./the editor'"), ("XDG_RUNTIME_DIR", memory.to_str().unwrap())];
    let question = "an unfinished edit was kept. Resume it? [y/N] ";
    let for_good = "Discard it, with everything that was typed? [y/N] ";
    // Interrupted again, at the question: the draft stays.
    editor(&home, &[]);
    let ran = home.typed(&["edit"], &surroundings, &[(question, "\x03")]);
    assert!(ran.code != 0 && drafts(&home).len() == 1 && !home.at("too-often").exists(), "{ran:?}");
    // Yes: the editor shows the typed text again.
    editor(&home, &["sed -i 's/hunter3\"x/hunter3/' \"$1\""]);
    let ran = home.typed(&["edit"], &surroundings, &[(question, "y\n")]);
    assert!(ran.code == 0 && !ran.out.contains("hunter"), "{ran:?}");
    assert_eq!((home.ok(&["get", "acme.password"]).as_str(), drafts(&home).len()), ("hunter3", 0));
    // No: after a confirmation the draft is deleted, and the editor shows the current file.
    home.ok_with(&["set", "acme.password", "-"], b"hunter2");
    break_off();
    editor(&home, &["true"]);
    let ran = home.typed(&["edit"], &surroundings, &[(question, "\n"), (for_good, "\n")]);
    assert!(
        ran.code == 2 && drafts(&home).len() == 1 && ran.out.contains("is still kept"),
        "{ran:?}"
    );
    let ran = home.typed(&["edit"], &surroundings, &[(question, "n\n"), (for_good, "y\n")]);
    assert!(ran.code == 0 && !ran.out.contains("hunter"), "{ran:?}");
    assert!(
        home.read("seen.1").contains("secret:hunter2") && !home.read("seen.1").contains("hunter3")
    );
    assert_eq!((home.ok(&["get", "acme.password"]).as_str(), drafts(&home).len()), ("hunter2", 0));
    std::fs::remove_dir(memory).unwrap();
}

#[test]
fn making_a_sealed_value_readable_needs_confirmation() {
    let home = Home::with_vault(VAULT);
    let unseal = "sed -i 's/\"secret:bob-of-acme/\"bob-of-acme/' \"$1\"";
    let ran = edit(&home, &[unseal, "sed -i 's/\"bob-of-acme/\"secret:bob-of-acme/' \"$1\""]);
    assert!(ran.code == 0 && ran.err.contains("nothing was changed"), "{}", ran.err);
    assert!(
        home.read("seen.2").contains(
            "#: sealed values would become readable for anyone who has the file: acme.user"
        )
    );
    let ran = edit(&home, &[unseal, "touch \"$1\""]);
    assert!(ran.code == 1 && !home.read("app.sealed.toml").contains("bob-of-acme"), "{}", ran.err);
    std::fs::remove_file(&drafts(&home)[0]).unwrap();
    ok(&home, &[unseal, "sed -i '/delete this line/d' \"$1\""]);
    assert!(home.read("app.sealed.toml").contains("user = \"bob-of-acme\"\n"));
}

#[test]
fn concurrent_changes_are_merged_and_a_conflict_keeps_both_versions() {
    let home = Home::with_vault(VAULT);
    let set = |name: &str, value: &str| {
        format!("printf {value} | \"$BOOTSEAL\" set {name} -i .config/bootseal/identity.txt")
    };
    ok(
        &home,
        &[&format!(
            "sed -i 's/hunter2/hunter3/; s/^# Acme payments/# Ours/' \"$1\"; {}",
            set("acme.user", "carol")
        )],
    );
    let got = |name: &str| home.ok(&["get", name]);
    assert_eq!((got("acme.password").as_str(), got("acme.user").as_str()), ("hunter3", "carol"));
    assert!(home.read("app.sealed.toml").starts_with("# Ours\n"));
    // The same after new keys were made in the meantime.
    ok(&home, &["sed -i 's/hunter3/hunter4/' \"$1\"; \"$BOOTSEAL\" rotate --signing-key --yes"]);
    assert_eq!((got("acme.password").as_str(), got("acme.user").as_str()), ("hunter4", "carol"));
    // Both changed one property: the user decides, and the other changes are kept.
    let clash = format!(
        "sed -i 's/hunter4/hunter-mine/' \"$1\"; {}; {}",
        set("acme.password", "hunter-theirs"),
        set("tls.more", "added")
    );
    ok(&home, &[&clash, "sed -i 's/hunter-mine/hunter-both/' \"$1\""]);
    let seen = home.read("seen.2");
    assert!(
        seen.starts_with("#: changed by you, and meanwhile by someone else: acme.password\n"),
        "{seen}"
    );
    assert!(
        seen.contains("\"secret:hunter-mine\"") && seen.contains("more = \"secret:added\""),
        "{seen}"
    );
    assert_eq!((got("acme.password").as_str(), got("tls.more").as_str()), ("hunter-both", "added"));
    // Closed without a decision: theirs stays in the file, and mine is kept as a draft.
    let clash = format!(
        "sed -i 's/hunter-both/hunter-mine/' \"$1\"; {}",
        set("acme.password", "hunter-theirs")
    );
    let ran = edit(&home, &[&clash, "true"]);
    assert!(ran.code == 1 && ran.err.contains("is kept, encrypted"), "{}", ran.err);
    assert_eq!(got("acme.password"), "hunter-theirs");
    let ran = edit_with(&home, &["true"], &["--yes"]);
    assert_eq!((ran.code, got("acme.password").as_str()), (0, "hunter-mine"), "{}", ran.err);
}

#[test]
fn a_killed_edit_leaves_no_plaintext_and_loses_no_text() {
    for (signal, code) in [("-TERM", 143), ("-HUP", 129), ("-KILL", -1)] {
        let home = Home::with_vault(VAULT);
        editor(
            &home,
            &[
                "sed -i 's/hunter2/hunter3/' \"$1\"; echo ready; exec tail -f /dev/null > /dev/null 2>&1",
            ],
        );
        let mut child =
            command(&home, &[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!((line.as_str(), in_memory(&home).len()), ("ready\n", 1));
        assert!(
            Command::new("kill")
                .args([signal, &child.id().to_string()])
                .status()
                .unwrap()
                .success()
        );
        let ended: Ran = child.wait_with_output().unwrap().into();
        assert_eq!(ended.code, code, "{signal}: {}", ended.err);
        let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !in_memory(&home).is_empty() {
            assert!(std::time::Instant::now() < end, "{signal}: the text is still there");
            std::thread::yield_now();
        }
        assert_eq!(home.ok(&["get", "acme.password"]), "hunter2");
        if signal == "-KILL" {
            // After SIGKILL nothing keeps a draft, and the editor still runs.
            end_editor(&home);
            continue;
        }
        assert!(!std::fs::read_to_string(&drafts(&home)[0]).unwrap().contains("hunter"));
        let ran = edit_with(&home, &["true"], &["--yes"]);
        assert_eq!(
            (ran.code, home.ok(&["get", "acme.password"]).as_str()),
            (0, "hunter3"),
            "{}",
            ran.err
        );
    }
}

/// Ends the `tail` process that has this home in its environment.
fn end_editor(home: &Home) {
    let marker = format!("HOME={}\0", home.path().display());
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
        if read("cmdline").starts_with(b"tail\0-f")
            && String::from_utf8_lossy(&read("environ")).contains(&marker)
        {
            let pid = entry.file_name().into_string().unwrap();
            assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
        }
    }
    let _ = std::fs::remove_dir(runtime(home));
}

#[test]
fn the_editor_is_found_by_an_absolute_path() {
    let home = Home::with_vault(VAULT);
    editor(&home, &["sed -i 's/hunter2/hunter3/' \"$1\"", "true", "true", "true"]);
    let run = |variables: &[(&str, &str)]| -> Ran {
        command(&home, &[]).envs(variables.iter().copied()).output().unwrap().into()
    };
    let full = home.at("the editor").display().to_string();
    let ran = run(&[("VISUAL", &full), ("EDITOR", "false")]); // a path with a space in it
    assert_eq!(ran.code, 0, "{}", ran.err);
    std::os::unix::fs::symlink(home.at("the editor"), home.at("code")).unwrap();
    for (variables, code, words) in [
        (
            [("EDITOR", "no-such-editor"), ("PATH", PATH)],
            1,
            "$EDITOR: no-such-editor was not found in an absolute folder of PATH",
        ),
        ([("EDITOR", "code"), ("PATH", ".:")], 1, "was not found in an absolute folder of PATH"),
        ([("EDITOR", "'x"), ("PATH", PATH)], 1, "has an unclosed quote"),
        ([("EDITOR", "./code --wait"), ("PATH", PATH)], 0, "workbench.localHistory.enabled"),
        ([("EDITOR", "./'the editor'"), ("PATH", PATH)], 0, "is an unknown editor"),
    ] {
        // This editor would take `--wait` as the file, so its last argument is checked.
        let script = home.read("the editor").replace("\"$1\"", "\"${@: -1}\"");
        home.write("the editor", script);
        let ran = run(&variables);
        assert!(ran.code == code && ran.err.contains(words), "{variables:?}: {}", ran.err);
    }
    let no_keys = "env | grep -c BOOTSEAL_IDENTITY > count; true";
    editor(&home, &[no_keys]);
    assert_eq!(run(&[("BOOTSEAL_IDENTITY", ".config/bootseal/identity.txt")]).code, 0);
    assert_eq!(home.read("count"), "0\n");
    let _ = std::fs::remove_dir(runtime(&home));
}

/// A home whose settings make every editor keep backup, swap and undo files.
fn messy() -> Home {
    let home = Home::with_vault(VAULT);
    let vim = "set nocompatible backup writebackup undofile swapfile backupdir=~ undodir=~ directory=~ viminfo='100,n~/.viminfo\n";
    home.write(".vimrc", vim);
    std::fs::create_dir_all(home.at(".config/nvim")).unwrap();
    home.write(
        ".config/nvim/init.vim",
        "set backup writebackup undofile swapfile backupdir=~ undodir=~ directory=~\n",
    );
    home.write(
        ".nanorc",
        "set backup\nset backupdir \"~\"\nset historylog\nset positionlog\nset locking\n",
    );
    home.write(
        ".emacs",
        "(setq backup-directory-alist '((\".\" . \"~/\")) make-backup-files t auto-save-default t) (savehist-mode 1)\n",
    );
    home
}

#[test]
fn real_editors_leave_no_plaintext_behind() {
    let vim =
        [("hunter2", "/hunter2\r"), ("hunter2", ":%s/hunter2/hunter3/\r"), ("hunter3", ":wq\r")];
    let emacs = [
        ("hunter2", "\u{1b}%hunter2\rhunter3\r"),
        ("with hunter3", "!"),
        ("Replaced", "\u{18}\u{13}"),
        ("Wrote", "\u{18}\u{3}"),
    ];
    let nano = [
        ("hunter2", "\u{1c}"),
        ("Search (to replace)", "hunter2\r"),
        ("Replace with", "hunter3\r"),
        ("this instance", "A"),
        ("Replaced 1", "\u{f}"),
        ("Write", "\r"),
        ("Wrote", "\u{18}"),
    ];
    for (name, keys) in [
        ("vi", vim.as_slice()),
        ("vim", &vim),
        ("nvim", &vim),
        ("emacs -nw", &emacs),
        ("nano", &nano),
    ] {
        let home = messy();
        let before = files(home.path());
        let variables = [
            ("EDITOR", name),
            ("TERM", "xterm"),
            ("XDG_RUNTIME_DIR", "/nonexistent"),
            ("LC_ALL", "C.UTF-8"),
        ];
        let ran = home.typed(&["edit"], &variables, keys);
        assert_eq!(ran.code, 0, "{name}: {}{}", ran.out, ran.err);
        assert_eq!(home.ok(&["get", "acme.password"]), "hunter3", "{name}");
        for file in files(home.path()) {
            let content = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
            assert!(
                !content.contains("hunter") && !content.contains("bob-of-acme"),
                "{name} left {}",
                file.display()
            );
            let known = before.contains(&file) || file.starts_with(home.at(".local/state"));
            assert!(
                known || content.is_empty() || !content.contains("acme"),
                "{name} left {}",
                file.display()
            );
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}

#[test]
fn editing_one_of_ten_thousand_properties_changes_one_line() {
    let lines = (0..10_000).map(|number| format!("p{number:05} = \"secret:value-{number}\"\n"));
    let home = Home::with_vault(&format!("[t]\n{}", lines.collect::<String>()));
    let before = home.read("app.sealed.toml");
    ok(&home, &["sed -i 's/\"secret:value-4711\"/\"secret:other\"/' \"$1\""]);
    let after = home.read("app.sealed.toml");
    let changed = differing(&before, &after);
    assert!(changed.len() == 1 && changed[0].starts_with("p04711 = \"sealed:"), "{changed:?}");
    let own = |text: &str| text.split_once("[bootseal]").unwrap().1.to_owned();
    let (one, other) = (own(&before), own(&after));
    let changed: Vec<&str> = other
        .lines()
        .zip(one.lines())
        .filter(|(one, other)| one != other)
        .map(|(line, _)| line)
        .collect();
    assert!(
        matches!(changed[..], [generation, signature] if generation.starts_with("generation") && signature.starts_with("signature"))
    );
}

/// Under strace, no secret reaches a disk, argv or an environment.
#[test]
fn strace_sees_no_secret_on_a_disk_in_argv_or_in_the_environment() {
    let home = Home::with_vault(VAULT);
    home.write("more.toml", "[more]\na = \"secret:hunter7\"\n");
    home.write("value", "hunter8");
    editor(
        &home,
        &[
            "sed 's/hunter2/hunter3/' \"$1\" > \"$1.tmp\"; mv \"$1.tmp\" \"$1\"",
            "sed -i 's/hunter3/hunter4\"/' \"$1\"; kill -TERM $PPID; sleep 0.2",
        ],
    );
    // The editor of this test stores the text that it was shown; those writes are not counted.
    let script = home.read("the editor").replace("cp \"$1\" seen.$n", ": > seen.$n");
    home.write("the editor", script);
    let own = env!("CARGO_BIN_EXE_bootseal");
    for (line, code, environment) in [
        ("\"$BOOTSEAL\" set acme.other < value", 0, 0),
        ("\"$BOOTSEAL\" seal more.toml -f app.sealed.toml", 0, 0),
        ("\"$BOOTSEAL\" rotate", 0, 0),
        ("\"$BOOTSEAL\" edit", 0, 0),
        ("\"$BOOTSEAL\" edit", 143, 0),
        ("\"$BOOTSEAL\" exec --files -- cat /dev/null", 0, 0),
        ("\"$BOOTSEAL\" exec --only acme -- env > /dev/null", 0, 1),
    ] {
        let mut strace = Command::new("strace");
        let calls = "trace=write,writev,pwrite64,pwritev,open,openat,creat,execve,rename,renameat,renameat2,mkdir,mkdirat,link,linkat,symlink,symlinkat,sendto,sendmsg";
        strace
            .args(["-f", "-v", "-y", "-s", "100000", "-o", "trace", "-e", calls, "sh", "-c", line]);
        strace
            .current_dir(home.path())
            .env_clear()
            .env("HOME", home.path())
            .env("USER", "alice")
            .env("PATH", PATH);
        strace.env("BOOTSEAL", own).env("EDITOR", "'./the editor'").stdin(Stdio::null());
        let ran: Ran = strace
            .output()
            .unwrap_or_else(|error| panic!("strace: {error}; scripts/test installs it"))
            .into();
        assert_eq!(ran.code, code, "{line}: {}", ran.err);
        let trace = String::from_utf8_lossy(&std::fs::read(home.at("trace")).unwrap()).into_owned();
        assert!(trace.contains("app.sealed.toml"), "{line}: nothing was traced");
        let mut programs = 0;
        for call in trace.lines().filter(|call| {
            unseen(call)
                || ["hunter", "bob-of-acme", "line-of-the-key"]
                    .iter()
                    .any(|secret| call.contains(secret))
        }) {
            let what = call.split_once(' ').unwrap().1.trim_start();
            // The editor of this test is a script and writes its own text.
            let by_script = what.starts_with("execve") && what.contains("sed");
            let to_memory = what.starts_with("write")
                && what.split_once('<').unwrap().1.starts_with("/dev/shm/");
            let to_program = what.starts_with("execve") && what.contains("ACME_PASSWORD=hunter");
            // The command's stdout is the file that the test chose.
            let by_program = environment == 1 && what.starts_with("write(1</dev/null>");
            programs += usize::from(to_program);
            assert!(by_script || to_memory || to_program || by_program, "{line}: {call}");
        }
        // A search of PATH tries a program once for each folder.
        assert_eq!(programs > 0, environment == 1, "{line}");
    }
    let left: Vec<_> = std::fs::read_dir("/dev/shm")
        .unwrap()
        .flatten()
        .filter(|entry| files_hold(&entry.path(), "hunter8"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

fn files_hold(path: &Path, secret: &str) -> bool {
    match path.is_dir() {
        true => std::fs::read_dir(path).is_ok_and(|mut inside| {
            inside.any(|entry| entry.is_ok_and(|entry| files_hold(&entry.path(), secret)))
        }),
        false => {
            std::fs::read(path).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(secret))
        }
    }
}

/// A script that looks for texts in the memory of a process, and prints how often each is found;
/// `closed` if the system does not let it look.
const SCAN: &str = r#"
import sys
process, texts = sys.argv[1], [text.encode() for text in sys.argv[2:]]
counts = [0] * len(texts)
try: memory = open(f"/proc/{process}/mem", "rb", 0)
except PermissionError: print("closed"); sys.exit()
for line in open(f"/proc/{process}/maps"):
    span, rights = line.split()[:2]
    if not rights.startswith("rw") or "/dev/" in line: continue
    start, end = (int(part, 16) for part in span.split("-"))
    try:
        memory.seek(start)
        bytes = memory.read(end - start)
    except OSError: continue # secret pages
    for at, text in enumerate(texts): counts[at] += bytes.count(text)
print(*counts)
"#;

#[test]
fn while_the_editor_is_open_no_value_is_in_memory_that_can_be_read() {
    if bootseal_memory::report().unwrap().level != bootseal_memory::Level::MemfdSecret {
        return; // root finds the locked pages
    }
    let home = Home::with_vault(VAULT);
    home.write("scan.py", SCAN);
    let scan = "python3 scan.py $PPID hunter2 bob-of-acme line-of-the-key new-value 'https://acme.example/login' > found.$n";
    // The first text, then the text after a mistake, which is kept until it is written.
    let change = format!("{scan}; sed -i 's/hunter2/new-value/; s/^url/url = = /' \"$1\"");
    let fix = format!("{scan}; sed -i 's/^url = =  /url/' \"$1\"");
    edit_with(&home, &[&change, &fix], &[]);
    assert_eq!(home.ok(&["get", "acme.password"]), "new-value");
    for opening in ["found.1", "found.2"] {
        let found = home.read(opening);
        if found.trim() == "closed" {
            continue;
        }
        let counts: Vec<u32> =
            found.split_whitespace().map(|count| count.parse().unwrap()).collect();
        assert_eq!(counts[..4], [0, 0, 0, 0], "{opening}: {found}");
        // What is readable in the file is found, so the search works.
        assert!(counts[4] > 0, "{opening}: {found}");
    }
}

#[test]
fn a_process_with_a_file_named_like_a_verb_has_no_core_file_either() {
    let home = Home::with_vault(VAULT);
    std::fs::rename(home.at("app.sealed.toml"), home.at("doctor")).unwrap();
    editor(&home, &["ulimit -c > limit; cat /proc/$PPID/limits > limits"]);
    let mut limited = Command::new("bash");
    let edit = command(&home, &["-f", "doctor", "--pin", &vault_of(&home.read("doctor"))]);
    limited.args(["-c", "ulimit -c unlimited; exec \"$@\"", "bash"]).arg(edit.get_program());
    limited.args(edit.get_args()).current_dir(home.path()).env_clear();
    for (name, value) in edit.get_envs().filter_map(|(name, value)| Some((name, value?))) {
        limited.env(name, value);
    }
    let ran: Ran = limited.stdin(Stdio::null()).output().unwrap().into();
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(home.read("limit").trim(), "0");
    let limits = home.read("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
}

fn vault_of(text: &str) -> String {
    let line = text.lines().rev().nth(1).unwrap();
    line.strip_prefix("vault = \"").unwrap().trim_end_matches('"').to_owned()
}

#[test]
fn swap_that_is_not_encrypted_causes_a_warning() {
    let home = Home::with_vault(VAULT);
    editor(&home, &["true", "true"]);
    let swaps = |text: &str| {
        home.write("swaps", format!("Filename Type Size Used Priority\n{text}"));
    };
    let run = |args: &[&str]| {
        // In a mount namespace of its own, the list of swap is another file.
        let mut inside = Command::new("unshare");
        inside.args(["-rm", "sh", "-c", "mount --bind \"$0\" /proc/swaps && exec \"$@\""]);
        let own = command(&home, &[]);
        inside.arg(home.at("swaps")).arg(own.get_program()).args(args);
        inside.current_dir(home.path()).env_clear();
        for (name, value) in own.get_envs().filter_map(|(name, value)| Some((name, value?))) {
            inside.env(name, value);
        }
        let ran: Ran = inside.stdin(Stdio::null()).output().unwrap().into();
        assert_eq!(ran.code, 0, "{args:?}: {}", ran.err);
        ran.err
    };
    let warning = "may be written to the swap on /dev/sdz9, which is not encrypted";
    swaps("/dev/sdz9 partition 1 0 -2\n/dev/zram7 partition 1 0 -3\n");
    for args in [&["edit"][..], &["exec", "--files", "--", "true"]] {
        let told = run(args);
        assert_eq!(told.matches("may be written to the swap").count(), 1, "{args:?}: {told}");
        assert!(told.contains(warning) && told.contains("sudo swapoff /dev/sdz9"), "{told}");
    }
    // Values in the environment are the program's own.
    assert!(!run(&["exec", "--", "true"]).contains("swap"));
    swaps("/dev/zram7 partition 1 0 -3\n");
    assert!(!run(&["edit"]).contains("may be written"));
    assert!(!run(&["exec", "--files", "--", "true"]).contains("swap"));
    let _ = std::fs::remove_dir_all(runtime(&home));
}

#[test]
fn a_text_for_which_no_memory_can_be_locked_is_edited_with_a_warning() {
    let home = Home::with_vault(&format!("{VAULT}# {}\n", "x".repeat(300_000)));
    editor(&home, &["sed -i s/hunter2/new-value/ \"$1\""]);
    let own = command(&home, &[]);
    // Root may lock any amount, unless it gives up this capability.
    let line = "ulimit -l 128; setpriv --bounding-set -ipc_lock true && exec setpriv --bounding-set -ipc_lock \"$@\"; exec \"$@\"";
    let mut limited = Command::new("bash");
    limited.args(["-c", line, "bash"]).arg(own.get_program()).arg("edit");
    limited.current_dir(home.path()).env_clear();
    for (name, value) in own.get_envs().filter_map(|(name, value)| Some((name, value?))) {
        limited.env(name, value);
    }
    let ran: Ran = limited.stdin(Stdio::null()).output().unwrap().into();
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("too little memory can be locked"), "{}", ran.err);
    assert_eq!(home.ok(&["get", "acme.password"]), "new-value");
    let _ = std::fs::remove_dir_all(runtime(&home));
}
