//! `seal` reads a settings file, and lists the values that it sealed and those that it left
//! readable.

use crate::answers::{ACME, document, fails, fails_with};
use crate::support::Home;
use serde_json::{Value, json};

#[test]
fn seal_seals_marked_values_and_prints_two_lists_and_a_warning() {
    let home = Home::new();
    home.ok(&["keygen"]);
    home.write("app.toml", ACME);
    let ran = home.run(&["seal", "app.toml", "--keep-comments"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.out, "sealed in app.sealed.toml: acme.password\nreadable: title, acme.user\n");
    assert_eq!(
        ran.err.lines().last().unwrap(),
        "bootseal: warning: app.toml still contains the values in the clear; --shred removes the file"
    );
    let text = home.read("app.sealed.toml");
    assert!(
        text.starts_with(
            "# Acme\ntitle = \"shop\"\n\n[acme]\nuser = \"bob\"\npassword = \"sealed:"
        ),
        "{text}"
    );
    assert!(!text.contains("hunter2"));
    assert_eq!(home.ok(&["get", "acme.password"]), "hunter2");
    assert!(!home.read("app.sealed.toml").contains("secret:"));
}

#[test]
fn seal_in_json_has_the_same_two_lists() {
    let home = Home::new();
    home.write("app.toml", ACME);
    let document = document(&home, &["seal", "app.toml"]);
    assert_eq!(
        document,
        json!({ "file": "app.sealed.toml", "sealed": ["acme.password"], "readable": ["title", "acme.user"] })
    );
}

#[test]
fn seal_without_marks_seals_everything_or_what_the_patterns_match() {
    let toml = "a = \"1\"\n[acme]\nuser = \"bob\"\npassword = \"hunter2\"\nurl = \"https://x\"\n";
    for (patterns, sealed, readable) in [
        (&[][..], "a, acme.user, acme.password, acme.url", "nothing"),
        (&["--only", "acme.*"], "acme.user, acme.password, acme.url", "a"),
        (&["--only", "a", "--only", "*.password"], "a, acme.password", "acme.user, acme.url"),
        (&["--plain", "*.url", "--plain", "*.user"], "a, acme.password", "acme.user, acme.url"),
        (&["--only", "acme.*", "--plain", "*.url"], "acme.user, acme.password", "a, acme.url"),
        (&["--plain", "*"], "nothing", "a, acme.user, acme.password, acme.url"),
    ] {
        let home = Home::new();
        home.write("app.toml", toml);
        let out = home.ok(&[&["seal", "app.toml"], patterns].concat());
        assert_eq!(
            out,
            format!("sealed in app.sealed.toml: {sealed}\nreadable: {readable}\n"),
            "{patterns:?}"
        );
        assert_eq!(home.ok(&["get", "acme.password"]), "hunter2");
    }
}

#[test]
fn seal_keeps_the_kind_of_every_value_and_seals_an_array_whole() {
    let home = Home::with_vault(
        "port = 8443\nrate = 1.5\non = true\nwhen = 2026-11-23T18:00:00Z\nlist = [\"a\", \"b\"]\nt = { x = \"1\", y = 2 }\ntext = \"\"\"\ntwo\nlines\"\"\"\nempty = \"\"\n",
    );
    for (name, plain, value) in [
        ("port", "8443", json!(8443)),
        ("rate", "1.5", json!(1.5)),
        ("on", "true", json!(true)),
        ("when", "2026-11-23T18:00:00Z", json!("2026-11-23T18:00:00Z")),
        ("list", "[\"a\", \"b\"]", json!(["a", "b"])),
        ("t.x", "1", json!("1")),
        ("t.y", "2", json!(2)),
        ("text", "two\nlines", json!("two\nlines")),
        ("empty", "", json!("")),
    ] {
        assert_eq!(home.ok(&["get", name]), plain, "{name}");
        assert_eq!(document(&home, &["get", name]), json!({ "name": name, "value": value }));
    }
    let all = document(&home, &["list"]);
    assert!(all["properties"].as_array().unwrap().iter().all(|row| row["sealed"] == true), "{all}");
}

/// `seal` and the loader agree on which tables are profiles, even if `url` is misspelt.
#[test]
fn seal_recognises_a_profile_by_the_rule_of_the_loader() {
    let toml = "[acme]\nusername = \"bob\"\npassword = \"hunter2\"\n[acme.login]\nulr = \"https://acme.example\"\njson.login = \"${username}\"\njson.p = \"${password}\"\n\
                [basic]\nusername = \"bob\"\npassword = \"hunter2\"\n[basic.login]\nURL = \"https://basic.example\"\nbasic = true\n\
                [sent]\np = \"hunter2\"\n[sent.login]\nurl = \"https://sent.example\"\nform.p = \"${p}\"\njson.login.url = \"none\"\n\
                [ui.login]\nbasic = true\nform = [\"user\"]\nurl.text = \"Home\"\n";
    let json = r#"{"acme": {"username": "bob", "password": "hunter2", "login": {"ulr": "https://acme.example", "json": {"login": "${username}", "p": "${password}"}}},
                "basic": {"username": "bob", "password": "hunter2", "login": {"URL": "https://basic.example", "basic": true}},
                "sent": {"p": "hunter2", "login": {"url": "https://sent.example", "form": {"p": "${p}"}, "json": {"login": {"url": "none"}}}},
                "ui": {"login": {"basic": true, "form": ["user"], "url": {"text": "Home"}}}}"#;
    for (name, text) in [("app.toml", toml), ("app.json", json)] {
        let home = Home::new();
        home.write(name, text);
        let ran = home.run(&["seal", name, "--json"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let lists: Value = serde_json::from_str(&ran.out).unwrap();
        let readable = [
            "acme.login.json.login",
            "acme.login.json.p",
            "basic.login.basic",
            "sent.login.url",
            "sent.login.form.p",
            "sent.login.json.login.url",
        ];
        assert_eq!(lists["readable"], json!(readable), "{name}");
        for path in ["acme.login.ulr", "basic.login.URL"] {
            let said = format!("{path} is sealed, and is not a key of a login profile");
            let line = ran.err.lines().find(|line| line.contains(&said));
            assert!(
                line.is_some_and(|line| line.contains("Did you mean `url`?")),
                "{name}: {}",
                ran.err
            );
        }
        assert!(!ran.err.contains("ui.login") && !ran.err.contains("${"), "{}", ran.err);
        // The loader finds the same three, reports the fault of each, and ignores the fourth.
        let said = home.run(&["verify"]);
        let told = |table: &str| {
            said.err.lines().filter(|line| line.contains(&format!("{table}.login"))).count()
        };
        assert_eq!(["acme", "basic", "sent", "ui"].map(told), [1, 1, 1, 0], "{name}: {}", said.err);
        // The commands that leave profiles out agree too.
        let exported = home.ok(&["export"]);
        assert!(
            !exported.contains("acme.example") && exported.contains("[ui.login]"),
            "{exported}"
        );
    }
}

#[test]
fn seal_leaves_profile_keys_readable_and_seals_other_keys() {
    let home = Home::new();
    home.write(
        "app.toml",
        "[acme]\nusername = \"bob\"\npassword = \"hunter2\"\n[acme.login]\nurl = \"https://acme.example/login\"\njson.u = \"${username}\"\njson.p = \"${password}\"\nlogin_timeout = \"5s\"\nsesame = \"x\"\n\
         [user.login]\nname = \"no profile\"\nmethod = \"POST\"\n\
         [pay.route]\nupstream = \"https://pay.example\"\ncallers = [\"shop\"]\nkey = \"k\"\n\
         [gateway]\nadmin = \"127.0.0.1:1\"\ndrain = \"5s\"\npass = \"p\"\n[fleet]\nstore = \"s\"\npass = \"p\"\n[login]\nurl = \"https://top.example\"\n[x.gateway]\nadmin = \"a\"\n",
    );
    let lists = document(&home, &["seal", "app.toml"]);
    assert_eq!(
        lists["readable"],
        json!([
            "acme.login.url",
            "acme.login.json.u",
            "acme.login.json.p",
            "acme.login.login_timeout",
            "pay.route.upstream",
            "pay.route.callers",
            "gateway.admin",
            "gateway.drain",
            "fleet.store"
        ])
    );
    assert_eq!(
        lists["sealed"],
        json!([
            "acme.username",
            "acme.password",
            "acme.login.sesame",
            "user.login.name",
            "user.login.method",
            "pay.route.key",
            "gateway.pass",
            "fleet.pass",
            "login.url",
            "x.gateway.admin"
        ])
    );
    home.write("bad.toml", "[a.login]\nurl = \"https://a.example\"\njson.p = \"secret:hunter2\"\n");
    let text = fails(&home, &["seal", "bad.toml"], "conflict");
    assert!(text.contains("a.login.json.p") && !text.contains("hunter2"), "{text}");
    assert!(!home.at("bad.sealed.toml").exists());
}

#[test]
fn seal_reads_properties_by_the_rules_of_java() {
    let home = Home::new();
    home.write(
        "app.properties",
        "# comment\n! another\nacme.user = bob\nacme.password: correct horse \\\n    battery\nacme.deep.er=1\n\
         uml\\u00e4ut = \\u00e4\\tb\nspace\\ key = v\nacme.eq=a=b:c\nempty\nacme.user = alice\npath = C:\\\\x\nex = ${acme.user}$(id)\r\n",
    );
    let ran = home.run(&["seal", "app.properties"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    for (name, value) in [
        ("acme.user", "alice"),
        ("acme.password", "correct horse battery"),
        ("acme.deep.er", "1"),
        ("\"umläut\"", "ä\tb"),
        ("\"space key\"", "v"),
        ("acme.eq", "a=b:c"),
        ("empty", ""),
        ("path", "C:\\x"),
        ("ex", "${acme.user}$(id)"),
    ] {
        assert_eq!(home.ok(&["get", name]), value, "{name}");
    }
    let text = home.read("app.sealed.toml");
    let headers: Vec<&str> = text.lines().filter(|line| line.starts_with('[')).collect();
    assert_eq!(headers, ["[acme]", "[acme.deep]", "[bootseal]"]);
    for words in [
        "warning: acme.user appears again in line 11; the last one counts, as in Java",
        "warning: ex: the value contains `${` or `$(`, which is taken literally; nothing is expanded",
        "left out 2 comments of the input, which may contain old values; --keep-comments keeps them",
    ] {
        assert!(ran.err.contains(words), "{words} in {}", ran.err);
    }
    assert!(!ran.err.contains("battery") && !ran.out.contains("battery"));
}

#[test]
fn seal_names_the_place_of_an_input_error_and_never_its_text() {
    let home = Home::new();
    home.ok(&["keygen"]);
    home.write("app.ini", "[s]\na = hunter2\n");
    home.write("nest.toml", format!("a = {}1{}\n", "[".repeat(5000), "]".repeat(5000)));
    home.write("deep.toml", format!("a{} = 1\n", ".a".repeat(5000)));
    home.write("large.toml", format!("a = \"{}\"\n", "x".repeat(20 << 20)));
    let ran = home.run(&["seal", "large.toml"]);
    assert!(ran.code == 1 && ran.err.contains("16 MiB"), "{}", ran.err);
    home.write("latin1.yaml", b"a: \xe4 hunter2\n");
    for (args, stdin, kind, word) in [
        (&["seal", "."][..], "", "io", "directory"),
        (&["seal", "app.ini"], "", "usage", "--format"),
        (&["seal", "nest.toml"], "", "malformed", "nest.toml, line 1, column"),
        (&["seal", "deep.toml"], "", "malformed", "16 segments"),
        (&["seal", "latin1.yaml"], "", "malformed", "UTF-8"),
        (&["seal", "-"], "one line", "usage", "--format"),
        (&["seal", "-", "--format", "toml"], "a=1", "usage", "-o FILE"),
        (
            &["seal", "-", "--format", "toml", "-o", "o"],
            "a = \"hunter2",
            "malformed",
            "line 1, column",
        ),
        (
            &["seal", "-", "--format", "toml", "-o", "o"],
            "a=1\na=2",
            "malformed",
            "line 2, column 1",
        ),
        (
            &["seal", "-", "--format", "toml", "-o", "o"],
            "a=[\"secret:x\"]",
            "malformed",
            "an array is one property",
        ),
        (
            &["seal", "-", "--format", "toml", "-o", "o"],
            "[bootseal]",
            "malformed",
            "sealed already",
        ),
        (
            &["seal", "-", "--format", "toml", "-o", "o"],
            "a=\"sealed:x\"",
            "malformed",
            "sealed already",
        ),
        (
            &["seal", "-", "--format", "toml", "-o", "o", "--only", "b"],
            "a=1",
            "not-found",
            "`b` matches no property",
        ),
        (
            &["seal", "-", "--format", "toml", "-o", "o", "--plain", "["],
            "a=1",
            "usage",
            "not a pattern",
        ),
        (
            &["seal", "-", "--format", "properties", "-o", "o"],
            "a=hunter2\na.b=1",
            "conflict",
            "a.…",
        ),
        (
            &["seal", "-", "--format", "properties", "-o", "o"],
            "\na=hunter2\\u12",
            "malformed",
            "line 2",
        ),
        (
            &["seal", "-", "--format", "properties", "-o", "o"],
            "bootseal.a=1",
            "malformed",
            "`bootseal`",
        ),
        (&["seal", "-", "--format", "toml", "-o", "o", "-f", "p"], "a=1", "usage", "--output"),
    ] {
        let text = fails_with(&home, args, stdin.as_bytes(), kind);
        assert!(text.contains(word) && !text.contains("hunter2"), "{args:?}: {text}");
    }
    assert!(!home.at("o").exists());
}

#[test]
fn seal_refuses_a_comment_that_contains_a_sealed_value() {
    let home = Home::new();
    home.ok(&["keygen"]);
    for toml in [
        "# was hunter2\np = \"hunter2\"\n",
        "p = \"secret:hunter2\" # hunter2, for now\n",
        // Two values with a common beginning, a value at the very end, and a value after a partial
        // match.
        "# hunter1 hunterhunter2\nm = \"hunter22\"\np = \"hunter2\"\n",
    ] {
        home.write("app.toml", toml);
        let text = fails(&home, &["seal", "app.toml", "--keep-comments"], "conflict");
        assert!(
            text.contains("comment in line 1 contains the value of p") && !text.contains("hunter2"),
            "{text}"
        );
        assert!(!home.at("app.sealed.toml").exists());
    }
    home.write("app.toml", "# was hunter2\np = \"hunter2\"\nq = \"x\" # x\n");
    home.ok(&["seal", "app.toml", "--keep-comments", "--plain", "p"]);
}

#[test]
fn seal_from_stdin_needs_a_format_and_a_name_and_prints_no_warning() {
    let home = Home::new();
    home.ok(&["keygen"]);
    let ran = home.run_with(
        &["-q", "seal", "-", "--format", "properties", "-o", "app.sealed.toml"],
        b"a.b=1\n",
    );
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(ran.out, "sealed in app.sealed.toml: a.b\nreadable: nothing\n");
    // `-f` can also name a new file.
    home.ok_with(&["seal", "-", "--format", "toml", "-f", "new.sealed.toml"], b"a = 1\n");
    assert_eq!(home.ok(&["get", "a", "-f", "new.sealed.toml"]), "1");
}

#[test]
fn seal_never_replaces_a_file_and_option_f_adds_to_one() {
    let home = Home::with_vault(ACME);
    let before = home.read("app.sealed.toml");
    home.write(
        "app.toml",
        "[acme]\nkey = \"secret:k\"\nurl = \"https://x\"\n[other]\npassword = \"secret:p\"\n",
    );
    let text = fails(&home, &["seal", "app.toml"], "exists");
    assert!(text.contains("bootseal seal INPUT -f FILE"), "{text}");
    assert_eq!(home.read("app.sealed.toml"), before);

    let out = home.ok(&["seal", "app.toml", "-f", "app.sealed.toml"]);
    assert_eq!(out, "sealed in app.sealed.toml: acme.key, other.password\nreadable: acme.url\n");
    let after = home.read("app.sealed.toml");
    for line in before
        .lines()
        .filter(|line| !line.starts_with("generation") && !line.starts_with("signature"))
    {
        assert!(after.contains(line), "{line}");
    }
    let verified = document(&home, &["verify"]);
    assert_eq!((&verified["generation"], &verified["sealed"]), (&json!(2), &json!(3)));
    assert_eq!(home.ok(&["get", "acme.key"]), "k");

    home.write("again.toml", "[acme]\nkey = \"secret:k2\"\nnew = \"secret:n\"\n");
    let ran = home.run(&["seal", "again.toml", "-f", "app.sealed.toml"]);
    assert!(ran.code == 0 && ran.err.contains("bootseal: replaced: acme.key\n"), "{}", ran.err);
    let after = home.read("app.sealed.toml");

    // An input never makes a sealed value readable, and a failure changes nothing.
    for (toml, kind) in [("password = 1", "conflict"), ("user.x = \"1\"", "conflict")] {
        home.write("more.toml", format!("first = \"1\"\n[acme]\n{toml}\n"));
        fails(&home, &["seal", "more.toml", "-f", "app.sealed.toml", "--plain", "*"], kind);
        assert_eq!(home.read("app.sealed.toml"), after);
    }
}

#[test]
fn seal_shreds_the_input_only_after_everything_is_sealed() {
    let home = Home::new();
    home.ok(&["keygen"]);
    home.write("app.toml", "# hunter2\np = \"secret:hunter2\"\n");
    fails(&home, &["seal", "app.toml", "--shred", "--keep-comments"], "conflict");
    assert!(home.at("app.toml").exists());
    home.write("app.toml", ACME);
    std::fs::hard_link(home.at("app.toml"), home.at("twin")).unwrap();
    let ran = home.run(&["seal", "app.toml", "--shred", "--yes"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(!home.at("app.toml").exists());
    assert!(home.read("twin").bytes().all(|byte| byte == 0), "overwritten, not only unlinked");
    assert!(
        ran.err.contains("app.toml was overwritten and removed")
            && !ran.err.contains("in the clear"),
        "{}",
        ran.err
    );
}

#[test]
fn seal_warns_of_a_credential_inside_a_profile() {
    let home = Home::new();
    home.write(
        "app.properties",
        "acme.login.url=https://acme.example/login\nacme.login.form.password=hunter2\nacme.login.headers.X-Api-Key=hunter3\n",
    );
    let ran = home.run(&["seal", "app.properties"]);
    assert!(
        ran.err.contains("acme.login.form.password")
            && ran.err.contains("acme.login.headers.X-Api-Key"),
        "{}{}",
        ran.out,
        ran.err
    );
}

#[test]
fn only_and_plain_are_obeyed_or_refused_beside_marks() {
    for (option, name) in [("--only", "key"), ("--plain", "password")] {
        let home = Home::new();
        home.write("app.toml", "password = \"secret:hunter2\"\nkey = \"hunter3\"\n");
        let ran = home.run(&["seal", "app.toml", option, name]);
        let refused = ran.code == 2;
        let done = ran.code == 0
            && (option == "--plain") == ran.out.lines().last().unwrap().contains(name);
        assert!(refused || done, "{option} {name}: {}{}", ran.out, ran.err);
    }
}

#[test]
fn seal_does_not_read_a_byte_order_mark_as_part_of_a_name() {
    let home = Home::new();
    home.write("app.properties", "\u{feff}password=hunter2\n");
    let ran = home.run(&["seal", "app.properties"]);
    assert!(
        ran.code == 1 || ran.out.starts_with("sealed in app.sealed.toml: password\n"),
        "{}",
        ran.out
    );
}

#[test]
fn seal_into_a_file_warns_that_comments_were_left_out() {
    let home = Home::with_vault(ACME);
    home.write("more.toml", "# rotated yearly\np = \"secret:x\" # by ops\n");
    for (more, words) in [
        (&[][..], "left out 2 comments of the input, which may contain old values"),
        (&["--keep-comments"], "an existing file keeps only its own comments"),
    ] {
        let args = [&["seal", "more.toml", "-f", "app.sealed.toml"], more].concat();
        let ran = home.run(&args);
        assert!(ran.code == 0 && ran.err.contains(words), "{}", ran.err);
        assert!(!home.read("app.sealed.toml").contains("by ops"));
    }
}

#[test]
fn set_can_replace_every_value_that_seal_sealed() {
    let home = Home::new();
    home.write("app.properties", "app.login.token=hunter2\n");
    assert!(
        home.ok(&["seal", "app.properties"])
            .starts_with("sealed in app.sealed.toml: app.login.token\n")
    );
    home.ok_with(&["set", "app.login.token"], b"new");
}
