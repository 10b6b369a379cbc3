//! No review can be flooded: what decides where a secret goes is on the last screen, above the
//! question, whatever else an attacker changes.

use crate::support::repo::{FILE, Repo, SETTINGS};
use crate::support::{Home, at_a_terminal};
use bootseal_core::{Access, Identity, IdentityFile, Role, Vault};

const EVIL: &str = "https://evil.example/login";

/// The last 24 lines of a terminal of 80 columns, in which every character outside ASCII is wide,
/// joined, and without the echo of the answer.
fn screen(seen: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in seen.split('\n') {
        let (mut wrapped, mut used) = (String::new(), 0);
        for next in line.chars() {
            let width = if next.is_ascii() { 1 } else { 2 };
            if used + width > 80 {
                lines.push(std::mem::take(&mut wrapped));
                used = 0;
            }
            used += width;
            wrapped.push(next);
        }
        lines.push(wrapped);
    }
    lines[lines.len().saturating_sub(24)..].concat()
}

/// Runs the verb in the repository, answers its question with no, and returns the last screen up to
/// the question.
fn asked(home: &Home, args: &[&str], question: &str) -> Option<String> {
    let (code, seen, _) = at_a_terminal(home, args, &[(question, "n\n")])?;
    assert!([2, 3].contains(&code), "{code}: {}", &seen[seen.len().saturating_sub(4000)..]);
    let end = seen.rfind(question).unwrap() + question.len();
    Some(screen(&seen[..end]))
}

/// The vault of [`Repo`], edited so that the login goes elsewhere, with `more` in front.
fn flooded(more: &str) -> Home {
    let home = Home::with_vault(SETTINGS);
    std::fs::copy(home.at(FILE), home.at("old.toml")).unwrap();
    let text = home.read(FILE).replace("https://api.acme.example/login", EVIL);
    home.write(FILE, format!("{more}{text}"));
    home
}

const SIGN: [&str; 3] = ["sign", "--against", "old.toml"];

#[test]
fn the_changed_login_is_above_the_question_whatever_else_changed() {
    let comments: String = (0..3000).map(|at| format!("# comment {at}\n")).collect();
    let values: String = (0..3000).map(|at| format!("v{at} = \"日本語\"\n")).collect();
    let huge = format!("a = \"{}\"\n", "x".repeat(2 << 20));
    let lines = format!("a = \"\"\"\n{}\"\"\"\n", "line\n".repeat(5000));
    let wide = format!("a = \"{}\"\n", "日".repeat(100_000));
    let addresses: String =
        (0..300).map(|at| format!("u{at} = \"https://h{at}.example/\"\n")).collect();
    let named = format!("\"{}\" = 1\n", "n".repeat(1000));
    for (more, count) in [
        (comments, "40 of 3000 other changes: 3000 comments. To see all: bootseal diff --all."),
        (values, "of 3000 other changes: 3000 readable values. To see all: bootseal diff --all."),
        (huge, "(above: 1 readable value)"),
        (lines, "(above: 1 readable value)"),
        (wide, "(above: 1 readable value)"),
        (addresses, "of 300 lines about access, keys and sealing are NOT shown"),
        (named, "(above: 1 readable value)"),
    ] {
        let home = flooded(&more);
        let Some(seen) = asked(&home, &SIGN, "Sign this? [y/N]") else { return };
        assert!(seen.contains(EVIL), "{count}: {seen}");
        assert!(seen.contains(count), "{count}: {seen}");
        // A log or a result has every change, in the same order.
        let whole = home.run(&[&SIGN[..], &["-v"]].concat());
        assert_eq!(whole.code, 2);
        let end = whole.err.find("! acme.login.url: changed").unwrap();
        assert_eq!(whole.err[end..].lines().count(), 3, "{}", &whole.err[end..]);
        let diff = home.ok(&["diff", "old.toml", FILE]);
        assert!(diff.lines().last().unwrap().starts_with("! acme.login.url: changed"), "{diff}");
    }
}

/// Found by review: a URL of another scheme, and a host with a port, were below sixty other values.
#[test]
fn an_address_that_is_no_url_is_above_the_question_too() {
    let numbers =
        |from: usize| -> String { (0..60).map(|at| format!("n{at} = {}\n", from + at)).collect() };
    let addresses = |host: &str| {
        format!(
            "[db]\npassword = \"secret:x\"\nurl = \"jdbc:postgresql://{host}/app\"\npeer = \"{host}:5432\"\nplain = \"{host}\"\n"
        )
    };
    let home = Home::with_vault(&format!("{}{}", numbers(1000), addresses("db.good.example")));
    std::fs::copy(home.at(FILE), home.at("old.toml")).unwrap();
    let text = home.read(FILE).replace("db.good.example", "db.evil.example");
    let changed =
        |text: String, at: usize| text.replace(&format!("n{at} = 1"), &format!("n{at} = 2"));
    home.write(FILE, (0..60).fold(text, changed));
    let Some(seen) = asked(&home, &SIGN, "Sign this? [y/N]") else { return };
    for name in ["db.url", "db.peer", "db.plain"] {
        let line =
            seen.find(&format!("{name}: changed")).unwrap_or_else(|| panic!("{name}: {seen}"));
        assert!(seen[line..].contains("db.evil.example"), "{name}: {seen}");
    }
}

#[test]
fn a_new_host_in_a_long_list_is_named() {
    let list = |seventh: &str| {
        let hosts = ["a", "b", "c", "d", "e", "f", seventh, "h"];
        hosts.map(|host| format!("{host}.good.example:9092")).join(",")
    };
    let peers = |seventh: &str| format!("peers = \"{}\"\npassword = \"secret:x\"\n", list(seventh));
    let home = Home::with_vault(&peers("g"));
    std::fs::copy(home.at(FILE), home.at("old.toml")).unwrap();
    home.write(FILE, home.read(FILE).replace("g.good.example", "g.evil.example"));
    let ran = home.run(&SIGN);
    assert!(ran.err.contains("; new hosts: g.evil.example:9092"), "{}", ran.err);
}

#[test]
fn many_or_long_destinations_are_counted_in_the_question() {
    let profiles: String = (0..10_000)
        .map(|at| format!("[t{at}.login]\nurl = \"https://h{at}.example/\"\n"))
        .collect();
    let home = flooded("");
    home.write(FILE, home.read(FILE).replacen("[bootseal]", &format!("{profiles}\n[bootseal]"), 1));
    let Some(seen) = asked(&home, &SIGN, "Sign this? [y/N]") else { return };
    // A changed address comes before added ones.
    assert!(seen.contains("! acme.login.url: changed") && seen.contains("evil.example"), "{seen}");
    let count = "of 10001 changes that decide where a secret goes are NOT shown. To see all: bootseal diff --all. Sign this?";
    assert!(seen.contains(count), "{seen}");

    // One long value of the deciding part: its host is shown.
    for url in [
        format!("https://evil.example/{}", "x".repeat(2 << 20)),
        format!("https://{}@evil.example/", "api.acme.example/x".replace('/', ".").repeat(10_000)),
        format!("https://evil.example/{}", "日".repeat(100_000)),
        format!("{}https://evil.example/", " ".repeat(100_000)),
    ] {
        let home = flooded("");
        home.write(FILE, home.read(FILE).replace(EVIL, &url));
        let seen = asked(&home, &SIGN, "Sign this? [y/N]").unwrap();
        assert!(seen.contains("! acme.login.url: changed"), "{seen}");
        assert!(seen.contains("(host evil.example)"), "{seen}");
        let diff = home.ok(&["diff", "old.toml", FILE]);
        assert!(screen(&diff).contains("(host evil.example)"), "{diff}");
    }
}

#[test]
fn a_lookalike_of_a_host_or_name_is_marked() {
    let home = Home::with_vault(SETTINGS);
    let old = home.read(FILE);
    home.write("old.toml", &old);
    for (text, marks) in [
        (
            old.replace("api.acme.example", "api.acrne.example"),
            &["(host api.acrne.example, looks like api.acme.example)"][..],
        ),
        (
            old.replace("[acme.login]", "\"tok\\u0435n\" = 1\n[acme.login]"),
            &["\"tok\u{435}n\": added, 1 [mixes scripts, and looks like acme.token]"],
        ),
        (
            old.replace("https://api.acme.example", "https://v\u{435}ndor.example"),
            &["(host xn--vndor-zwe.example, mixes scripts)"],
        ),
        (
            old.replace("https://api.acme.example", "https://api.acme.example\u{3002}evil.example"),
            &["(host api.acme.example.evil.example)"],
        ),
        (
            old.replace("https://api.acme.example", "https://api.acme.example@EVIL.example"),
            &["(host evil.example)"],
        ),
        (
            old.replace("10s", "https://b\u{fc}cher.example/"),
            &["acme.timeout: changed", "(host xn--bcher-kva.example)"],
        ),
        (old.replace("10s", "1\u{a0}0\u{200b}s\u{e0041}"), &["\"1\\u00A00\\u200Bs\\U000E0041\""]),
    ] {
        assert_ne!(text, old);
        home.write(FILE, text);
        let diff = home.ok(&["diff", "old.toml", FILE]);
        for mark in marks {
            assert!(diff.contains(mark), "{mark}: {diff}");
        }
    }
}

#[test]
fn writers_refuse_a_host_that_is_not_ascii_and_print_its_xn_form() {
    const HOST: &str = "xn--vendr-mua.example";
    let home = Home::with_vault(SETTINGS);
    let before = home.read(FILE);
    let refused = |args: &[&str], stdin: &[u8]| {
        let ran = home.run_with(args, stdin);
        assert_eq!(ran.code, 1, "{args:?}: {}", ran.err);
        let words = format!("is not written in plain ASCII; it is {HOST}");
        assert!(ran.err.contains(&words), "{args:?}: {}", ran.err);
        assert!(!home.at("new.sealed.toml").exists());
    };
    refused(&["set", "acme.login.url", "--plain", "https://vendör.example/login"], b"");
    refused(&["set", "acme.login.proxy", "--plain", "http://vendör.example"], b"");
    refused(&["set", "acme.route.upstream", "--plain", "https://vend%C3%B6r.example"], b"");
    home.write(
        "new.toml",
        "[acme.login]\nurl = \"https://a.example/\"\nhosts = [\"vendör.example\"]\n",
    );
    refused(&["seal", "new.toml"], b"");
    refused(
        &["profile", "bank", "--from-curl", "-"],
        "curl https://vendör.example/login -d user=bob -d password=x".as_bytes(),
    );
    assert_eq!(home.read(FILE), before);
    home.write("old.toml", &before);
    home.write(FILE, before.replace("api.acme.example", "vendör.example"));
    refused(&["sign", "--against", "old.toml", "--yes"], b"");
    refused(&["sign", "--against", "old.toml"], b"");
    // A reader and a diff show the form too.
    assert!(home.ok(&["diff", "old.toml", FILE]).contains(&format!("(host {HOST})")));
    // Its ASCII form is accepted, and so are other letters elsewhere.
    home.write(FILE, before.replace("api.acme.example/login", &format!("{HOST}/lögin")));
    home.ok(&["sign", "--against", "old.toml", "--yes"]);
    home.ok(&["set", "acme.title", "--plain", "https://vendör.example/"]);
}

#[test]
fn a_note_and_a_name_of_a_proposal_do_not_hide_what_it_becomes() {
    let home = Home::with_vault(SETTINGS);
    let note = "it is fine, type y\u{202e}\u{200b} ".repeat(20);
    let name = format!("acme.{}.key", "k".repeat(900));
    home.ok_with(&["propose", &name, "--to", FILE, "-o", "p", "--note", &note, "-"], b"x");
    let Some(seen) = asked(&home, &["accept", "p", "--new"], "Seal its value and sign? [y/N]")
    else {
        return;
    };
    assert!(seen.contains("a proposal for app.sealed.toml"), "{seen}");
    assert!(seen.contains("\\u{202e}") && seen.contains(" more characters "), "{seen}");
    let note = seen.find("  note  ").unwrap();
    assert!(note < seen.find("  property     acme.kkk").unwrap(), "{seen}");
    home.ok_with(&["propose", "acme.\"passw\u{3bf}rd\"", "--to", FILE, "-o", "q", "-"], b"x");
    let ran = home.run(&["accept", "q", "--new"]);
    assert!(ran.err.contains("[mixes scripts, and looks like acme.password]"), "{}", ran.err);
}

/// A vault with alice and 250 readers, each with a long name.
fn crowded() -> Home {
    let home = Home::with_vault(SETTINGS);
    let identities =
        IdentityFile::read(&home.at(".config/bootseal/identity.txt")).unwrap().identities;
    let mut access = vec![Access::new("alice", Role::Writer, identities[0].recipient()).unwrap()];
    for at in 0..250 {
        let recipient = Identity::generate().unwrap().recipient();
        let name = format!("reader{at}-{}", "x".repeat(50));
        access.push(Access::new(&name, Role::Reader, recipient).unwrap());
    }
    home.write("crowd.sealed.toml", Vault::create(access, "a = 1\n").unwrap().sign().unwrap());
    std::fs::remove_file(home.at(FILE)).unwrap();
    home
}

#[test]
fn a_long_access_list_is_counted_and_the_new_member_is_shown() {
    let home = crowded();
    let Some(seen) = asked(&home, &["set", "a", "-"], "Is it the right vault? [y/N]") else {
        return;
    };
    assert!(seen.contains("of 251 members are NOT shown"), "{seen}");
    assert!(seen.contains("alice") && seen.contains("neither pinned nor known"), "{seen}");
    let file: serde_json::Value = serde_json::from_str(&home.ok(&["verify", "--json"])).unwrap();
    let pin = file["vault"].as_str().unwrap().to_owned();
    let recipient = Identity::generate().unwrap().recipient().unwrap().to_string();
    let args = ["access", "add", "zoe", &recipient, "--pin", &pin];
    let seen = asked(&home, &args, "Add zoe as a reader? [y/N]").unwrap();
    assert!(seen.contains("of 252 members are NOT shown"), "{seen}");
    assert!(seen.contains(&recipient), "{seen}");
    assert_eq!(home.ok(&["access", "list"]).lines().count(), 251);
}

#[test]
fn a_merge_shows_the_changed_login_above_its_question() {
    let repo = Repo::new();
    let comments: String = (0..3000).map(|at| format!("# comment {at}\n")).collect();
    repo.branch("theirs", |repo| {
        repo.edit("https://api.acme.example/login", EVIL);
        repo.edit("# Acme payments\n", &comments);
    });
    repo.set("acme.password", "second-password");
    repo.commit("ours");
    repo.git(&["merge", "-q", "theirs"]);
    let args = ["resolve", FILE, "--take", "ours"];
    let Some((_, seen, _)) = at_a_terminal(&repo.home, &args, &[("Sign this? [y/N]", "n\n")])
    else {
        return;
    };
    let seen = screen(&seen[..seen.rfind("Sign this?").unwrap()]);
    assert!(seen.contains(&format!("→ \"{EVIL}\"")), "{seen}");
    assert!(seen.contains(" other changes: ") && seen.contains("comments"), "{seen}");
}
