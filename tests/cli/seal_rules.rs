//! The rules of a file, `[seal] names`: every verb that could leave a matching value readable.

use crate::answers::{document, fails};
use crate::support::Home;
use crate::support::repo::Repo;
use serde_json::json;

const RULES: &str = "[seal]\nnames = [\"*password*\", \"*.secret\"]\n";

/// A home whose vault has these rules, and whose readable values are `text`.
fn home(text: &str) -> Home {
    let home = Home::new();
    home.ok(&["keygen"]);
    home.write("app.toml", format!("{text}\n{RULES}"));
    home.ok(&["seal", "app.toml", "--only", "sealed_one"]);
    home
}

/// Runs `bootseal edit` with an editor that replaces the text by `text`.
fn edit(home: &Home, text: &str, more: &[&str]) -> (i32, String) {
    home.write("typed", text);
    let script = "#!/bin/sh\ncp typed \"$1\"\n";
    home.write("editor", script);
    std::process::Command::new("chmod").args(["+x"]).arg(home.at("editor")).status().unwrap();
    let run = || {
        let mut command = home.command(&[&["edit"], more].concat());
        command.env("EDITOR", home.at("editor")).output().unwrap()
    };
    let output = run();
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn rules_seal_what_they_match_in_a_new_file_and_stay_readable() {
    let input = format!(
        "port = 1\n[db]\npassword = \"pa\"\nuser = \"u\"\n[x]\nsecret = 1\nlist = [{{ password = \"pb\" }}]\n{RULES}"
    );
    for (more, sealed) in [
        (
            &["--only", "port"][..],
            "port, db.password, x.secret, x.list (matched x.list[0].password)",
        ),
        (&["--suggested"], "db.password, x.secret, x.list (matched x.list[0].password)"),
    ] {
        let home = Home::new();
        home.ok(&["keygen"]);
        home.write("app.toml", &input);
        let out = home.ok(&[&["seal", "app.toml"], more].concat());
        assert_eq!(out.lines().next(), Some(&*format!("sealed in app.sealed.toml: {sealed}")));
        let file = home.read("app.sealed.toml");
        assert!(file.contains(RULES) && !file.contains("pa\"") && !file.contains("pb\""), "{file}");
    }
    let home = Home::new();
    home.ok(&["keygen"]);
    home.write("app.toml", &input);
    let said = fails(&home, &["seal", "app.toml", "--plain", "db.*"], "conflict");
    assert!(said.contains("db.password is named by --plain, and matches `*password*`"), "{said}");
    assert!(said.contains("--allow-plain"), "{said}");
    home.ok(&["seal", "app.toml", "--plain", "db.*", "--allow-plain"]);
    assert!(home.read("app.sealed.toml").contains("password = \"pa\""));
    // Marks choose the rest, and everything is sealed without any.
    home.write("b.toml", format!("a = \"secret:x\"\nb = 1\ndb_password = \"pa\"\n{RULES}"));
    let out = home.ok(&["seal", "b.toml"]);
    assert_eq!(out, "sealed in b.sealed.toml: a, db_password\nreadable: b, seal.names\n");
    home.write("c.yaml", "b: 1\nseal: {names: ['*x*']}\n");
    let out = home.ok(&["seal", "c.yaml"]);
    assert_eq!(out, "sealed in c.sealed.toml: b\nreadable: seal.names\n");
}

#[test]
fn rules_are_kept_by_seal_f_and_set_and_rename() {
    let home = home("port = 1\nsealed_one = 's'\nhint = 'readable'\n");
    home.write("more.toml", "[db]\npassword = \"pa\"\nurl = \"x\"\n");
    let out = home.ok(&["seal", "more.toml", "-f", "app.sealed.toml", "--only", "db.url"]);
    assert_eq!(out, "sealed in app.sealed.toml: db.password, db.url\nreadable: nothing\n");
    home.write("list.yaml", "users: [{name: a, password: pa}]\n");
    let out = home.ok(&["seal", "list.yaml", "-f", "app.sealed.toml", "--suggested"]);
    assert!(out.contains("users (matched users[0].password)"), "{out}");
    home.write("again.toml", "old_password = \"x\"\n");
    let args = ["seal", "again.toml", "-f", "app.sealed.toml", "--plain", "*"];
    assert!(fails(&home, &args, "conflict").contains("--allow-plain"));

    let before = home.read("app.sealed.toml");
    for args in [
        &["set", "x.secret", "--plain", "v"][..],
        &["set", "db.password", "--plain", "v", "--force"],
        &["rename", "hint", "password_hint"],
    ] {
        let said = fails(&home, args, "conflict");
        assert!(
            said.contains("a rule in seal.names, and would be readable")
                && said.contains("bootseal set ")
                && said.contains("--allow-plain"),
            "{said}"
        );
        assert_eq!(home.read("app.sealed.toml"), before);
    }
    home.ok(&["set", "x.secret", "--plain", "v", "--allow-plain"]);
    fails(&home, &["set", "x.secret", "--plain", "w"], "conflict");
    home.ok_with(&["set", "new.password"], b"pa");
    home.ok(&["set", "other", "--plain", "v"]);
    home.ok(&["rename", "sealed_one", "one_password"]);
}

#[test]
fn a_profile_may_refer_to_a_secret_and_not_contain_one() {
    let login = "[acme]\npassword = 'p'\n[acme.login]\nurl = 'https://a.example/token'\njson.password = '${password}'\n";
    let home = home(&format!("sealed_one = 's'\n{login}"));
    home.ok(&["verify"]);
    let said = fails(&home, &["set", "acme.login.json.password", "--plain", "pw"], "conflict");
    assert!(said.contains("use it as ${name}"), "{said}");
    home.write(
        "b.toml",
        format!("[b.login]\nurl = 'https://b.example'\nform.password = 'pw'\n{RULES}"),
    );
    let said = fails(&home, &["seal", "b.toml"], "conflict");
    assert!(said.contains("b.login.form.password, which cannot be sealed"), "{said}");
}

#[test]
fn rules_are_kept_by_edit() {
    let home = home("port = 1\nsealed_one = 's'\nusers = [{ name = 'a' }]\n");
    let text = |more: &str| {
        format!("port = 1\nsealed_one = \"secret:s\"\nusers = [{{ name = 'a' }}]\n{more}\n{RULES}")
    };
    for (more, words) in [
        ("db_password = 'x'", "db_password: matches `*password*`, a rule in seal.names"),
        ("x.secret = 1", "x.secret: matches `*.secret`"),
        ("logins = [{ password = 'x' }]", "contains logins[0].password, which matches"),
    ] {
        let (code, said) = edit(&home, &text(more), &[]);
        assert!(code != 0 && said.contains(words), "{more}: {said}");
        assert!(!home.read("app.sealed.toml").contains(more));
        std::fs::remove_dir_all(home.at(".local/state/bootseal/drafts")).unwrap();
    }
    let (code, said) = edit(&home, &text("db_password = 'secret:x'"), &[]);
    assert_eq!(code, 0, "{said}");
    let (code, said) =
        edit(&home, &text("db_password = 'secret:x'\nx.secret = 1"), &["--allow-plain"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(home.ok(&["get", "x.secret"]), "1");
    // New rules, and a value that is readable already.
    let new = text("db_password = 'secret:x'\nx.secret = 1").replace("\"*.secret\"", "\"p?rt\"");
    let (code, said) = edit(&home, &new, &[]);
    assert!(
        code == 0 && said.contains("values that are readable already") && said.contains(": port\n"),
        "{said}"
    );
    // Another key would make the table the application's.
    let other = new.replace("names = [", "colour = 'grey'\nnames = [");
    let (code, said) = edit(&home, &other, &[]);
    assert!(code != 0 && said.contains("has rules only while its one key is `names`"), "{said}");
}

#[test]
fn sign_keeps_rules_and_shows_them_first() {
    let repo = Repo::new();
    repo.edit("[acme]\n", &format!("{RULES}\n[acme]\n"));
    let said = repo.run(&["sign"]).err;
    assert!(said.contains("! seal.names: added, [\"*password*\", \"*.secret\"]"), "{said}");
    repo.ok(&["sign", "--yes"]);
    repo.commit("rules");

    repo.edit("timeout = \"10s\"", "timeout = \"10s\"\nold_password = \"pw\"");
    for args in [&["sign"][..], &["sign", "--yes"]] {
        let said = repo.fails(args, 1);
        assert!(
            said.contains("acme.old_password")
                && said.contains("`*password*`, a rule in seal.names")
                && said.contains("remove the value from it first"),
            "{said}"
        );
    }
    let said = repo.ok(&["sign", "--yes", "--allow-plain"]);
    assert_eq!(said, "");
    repo.commit("plain");

    // Without the rules, or with another key beside them, everything is allowed: that is shown first.
    repo.edit("\"*.secret\"]", "\"*.secret\"]\nother = 1");
    let said = repo.run(&["sign"]).err;
    assert!(said.contains("! seal.other: added, 1; with another key than `names`"), "{said}");
    repo.edit(&format!("{}other = 1\n", RULES), "");
    repo.edit("timeout = \"10s\"", "timeout = \"11s\"");
    let rows = repo.run(&["sign"]).err;
    let at = |words: &str| rows.find(words).unwrap_or_else(|| panic!("{words}: {rows}"));
    assert!(at("! seal.names: removed") < at("acme.timeout"), "{rows}");
}

#[test]
fn rules_are_not_settings_of_the_application() {
    let rules = home("port = 1\nsealed_one = 's'\n");
    assert!(!rules.ok(&["export"]).contains("names"));
    assert!(!rules.ok(&["exec", "--", "env"]).contains("SEAL_"));
    assert_eq!(rules.ok(&["get", "seal.names[0]"]), "*password*");
    for path in ["seal.names", "seal.other"] {
        let said = fails(&rules, &["propose", path, "--to", "app.sealed.toml"], "conflict");
        assert!(said.contains("the rules for what is sealed"), "{said}");
        let said = fails(&rules, &["set", path, "--plain", "x"], "conflict");
        assert!(said.contains("bootseal unset seal.names"), "{said}");
    }
    let said = fails(&rules, &["rename", "port", "seal.port"], "conflict");
    assert!(said.contains("has rules only while"), "{said}");
    fails(&rules, &["set", "old_password", "--plain", "x"], "conflict");
    rules.write("fewer.toml", "[seal]\nnames = ['*password*']\n");
    let ran = rules.run(&["seal", "fewer.toml", "-f", "app.sealed.toml"]);
    assert!(
        ran.code == 0 && ran.err.contains("so such values may be readable: `*.secret`\n"),
        "{}",
        ran.err
    );
    rules.ok(&["unset", "seal.names"]);
    rules.ok(&["set", "old_password", "--plain", "x"]);

    // Any other table of that name is the application's.
    let app = Home::new();
    app.write("app.toml", "[seal]\nnames = ['*password*']\ncolour = 'grey'\n");
    let told = document(&app, &["seal", "app.toml"]);
    assert_eq!(told["sealed"], json!(["seal.names", "seal.colour"]));
    assert!(app.ok(&["export"]).contains("grey"));
    app.ok(&["set", "old_password", "--plain", "x"]);
    app.ok_with(&["propose", "seal.colour", "--to", "app.sealed.toml"], b"x");
    let bare = Home::with_vault("port = 1\n");
    fails(&bare, &["propose", "seal.names", "--to", "app.sealed.toml"], "conflict");
}

#[test]
fn rules_match_names_in_upper_and_lower_case() {
    let home = home("port = 1\nsealed_one = 's'\n");
    for name in ["DB_PASSWORD", "db.Password", "App.SECRET"] {
        let said = fails(&home, &["set", name, "--plain", "x"], "conflict");
        assert!(said.contains("a rule in seal.names"), "{name}: {said}");
    }
    let home = Home::new();
    home.write("app.env", "DB_PASSWORD=pa\nPORT=1\n");
    home.write("rules.toml", RULES);
    home.ok(&["seal", "rules.toml"]);
    let out = home.ok(&["seal", "app.env", "-f", "rules.sealed.toml", "--only", "PORT"]);
    assert!(out.contains("DB_PASSWORD"), "{out}");
    assert!(!home.read("rules.sealed.toml").contains("pa\""));
    // The patterns of --only are exact.
    let home = Home::new();
    home.write("app.toml", "DB_PASSWORD = 'a'\ndb_password = 'b'\n");
    let out = home.ok(&["seal", "app.toml", "--only", "*password*"]);
    assert_eq!(out, "sealed in app.sealed.toml: db_password\nreadable: DB_PASSWORD\n");
}

const MAKE: &str = "bootseal set seal.names --plain '[\"*password*\"]' --type toml";

#[test]
fn what_looks_like_a_rule_and_would_be_none_is_refused() {
    let home = Home::with_vault("one = 'secret:s'\nlist = ['*password*']\n");
    let before = home.read("app.sealed.toml");
    for args in [
        &["set", "seal.names", "--plain", "*password*"][..],
        &["set", "seal.names", "--plain", "[\"*password*\"]"],
        &["set", "seal.names", "--plain", "[1]", "--type", "toml"],
        &["set", "seal.names", "--generate"],
        &["set", "seal.name", "--plain", "*password*"],
        &["set", "seal.Names", "--plain", "[\"a\"]", "--type", "toml"],
        &["rename", "list", "seal.patterns"],
    ] {
        let said = fails(&home, args, "conflict");
        assert!(said.contains("looks like a rule") && said.contains(MAKE), "{args:?}: {said}");
        assert_eq!(home.read("app.sealed.toml"), before, "{args:?}");
    }
    for text in [
        "[seal]\nnames = '*password*'\n",
        "[seal]\nname = ['*password*']\n",
        "[seal]\nname = ['a']\nnames = ['*password*']\n",
    ] {
        home.write("in.toml", text);
        for more in [&["-o", "new.sealed.toml"][..], &["-f", "app.sealed.toml"]] {
            let said =
                fails(&home, &[&["seal", "in.toml", "--suggested"], more].concat(), "conflict");
            assert!(said.contains("looks like a rule"), "{text}: {said}");
        }
        assert!(!home.at("new.sealed.toml").exists());
        let (code, said) = edit(&home, text, &[]);
        assert!(code != 0 && said.contains("looks like a rule"), "{said}");
        std::fs::remove_dir_all(home.at(".local/state/bootseal/drafts")).unwrap();
    }
    // Beside other keys, the table is the application's, and new rules would not work there.
    home.ok(&["set", "seal.colour", "--plain", "grey"]);
    home.ok(&["set", "seal.name", "--plain", "harp"]);
    let make = ["set", "seal.names", "--plain", "[\"*password*\"]", "--type", "toml"];
    assert!(fails(&home, &make, "conflict").contains("looks like a rule"));
    home.ok(&["unset", "seal.colour"]);
    home.ok(&["unset", "seal.name"]);
    home.ok(&make);
    fails(&home, &["set", "db_password", "--plain", "x"], "conflict");
}

#[test]
fn set_replaces_the_rules_and_shows_them() {
    let home = home("port = 1\nsealed_one = 's'\n");
    for more in [&[][..], &["--type", "toml"]] {
        let text = format!("[\"*token*\", \"*{}*\"]", more.len());
        let ran = home.run(&[&["set", "seal.names", "--plain", &text], more].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        let now = format!("the rules in seal.names are now: `*token*`, `*{}*`\n", more.len());
        assert!(ran.err.contains(&now), "{}", ran.err);
        assert!(ran.err.contains("such values may be readable: `"), "{}", ran.err);
    }
    fails(&home, &["set", "my_token", "--plain", "x"], "conflict");
    for args in [&["set", "seal.names", "--generate"][..], &["set", "seal.names", "--plain", "x"]] {
        assert!(fails(&home, args, "conflict").contains(MAKE), "{args:?}");
    }
    let ended = home.run(&["rename", "seal.names", "old.names"]);
    assert!(ended.code == 0 && ended.err.contains("may be readable: `*token*`"), "{}", ended.err);
    let again = home.run(&["rename", "old.names", "seal.names"]);
    assert!(again.err.contains("rules in seal.names are now: `*token*`"), "{}", again.err);
    let ended = home.run(&["unset", "seal.names"]);
    assert!(ended.code == 0 && ended.err.contains("may be readable: `*token*`"), "{}", ended.err);
}

#[test]
fn a_rule_that_is_not_a_pattern_is_an_error_that_names_the_rules() {
    let home = Home::new();
    home.ok(&["keygen"]);
    home.write("app.toml", "port = 1\n[seal]\nnames = ['a[']\n");
    let said = fails(&home, &["seal", "app.toml"], "conflict");
    assert!(said.contains("seal.names: `a[` is not a pattern"), "{said}");
}

const SUGGESTED: &str = "port: 8080\nurl: https://api.example/v1\ndb:\n  password: pa\n  pool: 5\n  dsn_timeout: 3\nhook: postgres://app:pw12@db/shop\nref_password: ${DB_PASSWORD}\nusers: [{name: a, password: pb}]\nhosts: [a, b]\ntls_password_required: true\n";
const SECRETS: &str = "db.password, hook, users (matched users[0].password)";
const OTHERS: &str =
    "port, url, db.pool, db.dsn_timeout, ref_password, hosts, tls_password_required";

#[test]
fn a_script_seals_all_or_what_looks_like_a_secret() {
    let toml = "hook = \"https://x?sig=abc\"\n[db]\npassword = \"pa\"\nport = 1\nusers = [\n  { token = \"t\" }, # one\n]\n";
    for (name, text, args, sealed, readable) in [
        ("in.yaml", SUGGESTED, &["--suggested"][..], SECRETS, OTHERS),
        (
            "in.yaml",
            SUGGESTED,
            &["--suggested", "--plain", "hook"],
            "db.password, users (matched users[0].password)",
            "port, url, db.pool, db.dsn_timeout, hook, ref_password, hosts, tls_password_required",
        ),
        (
            "in.toml",
            toml,
            &["--suggested"],
            "hook, db.password, db.users (matched db.users[0].token)",
            "db.port",
        ),
        (
            "in.toml",
            "a = \"secret:x\"\nb = 1\nmy_password = \"p\"\n",
            &["--suggested"],
            "a, my_password",
            "b",
        ),
        ("in.toml", "a = \"secret:x\"\nb = 1\n", &["--all"], "a, b", "nothing"),
        ("in.toml", "a = 1\nb = 2\n", &["--all"], "a, b", "nothing"),
        ("in.toml", "a = 1\nb = 2\n", &["--suggested"], "nothing", "a, b"),
    ] {
        let home = Home::new();
        home.write(name, text);
        let out = home.ok(&[&["seal", name], args].concat());
        assert_eq!(out, format!("sealed in in.sealed.toml: {sealed}\nreadable: {readable}\n"));
    }
    let home = Home::new();
    home.write("in.toml", "a = 1\n");
    fails(&home, &["seal", "in.toml", "--all", "--suggested"], "usage");
    fails(&home, &["seal", "in.toml", "--only", "a", "--suggested"], "usage");
}

#[test]
fn seal_asks_at_a_terminal() {
    let sealed = |answer: &str, args: &[&str]| {
        let home = Home::new();
        home.ok(&["keygen"]);
        home.write("in.yaml", SUGGESTED);
        home.write("editor", "#!/bin/sh\nsed -i 's/^plain url/seal url/; /^seal  hook/d; s/^seal  db/plain db/' \"$1\"\n");
        std::process::Command::new("chmod").arg("+x").arg(home.at("editor")).status().unwrap();
        let editor = home.at("editor").display().to_string();
        let ran = home.typed(
            &[&["seal", "in.yaml"], args].concat(),
            &[("EDITOR", &editor)],
            &if answer.is_empty() { vec![] } else { vec![("[all/suggested/edit] ", answer)] },
        );
        let file = std::fs::read_to_string(home.at("in.sealed.toml"));
        (ran, file.map_or(String::new(), |text| text.replace("\r\n", "\n")))
    };
    let (ran, _) = sealed("suggested\n", &[]);
    assert_eq!(ran.code, 0, "{}", ran.out);
    for row in [
        "3 values look like secrets",
        "\n  db.password\r\n  hook\r\n  users (because of users[0].password)\r\n",
        "Seal all 10, the 3 suggested, or edit the choice? [all/suggested/edit] ",
        &format!("sealed in in.sealed.toml: {SECRETS}"),
    ] {
        let row = row.strip_prefix('\n').unwrap_or(row);
        assert!(ran.out.contains(row), "{row}: {}", ran.out);
    }
    let (ran, file) = sealed("all\n", &[]);
    assert!(ran.code == 0 && ran.out.contains("readable: nothing"), "{}", ran.out);
    assert!(!file.contains("8080"), "{file}");
    let (ran, _) = sealed("edit\n", &[]);
    let row = "sealed in in.sealed.toml: url, hook, users (matched users[0].password)";
    assert!(ran.out.contains(row), "{}", ran.out);
    let (ran, file) = sealed("what\n", &[]);
    assert!(
        ran.code == 2 && file.is_empty() && ran.out.contains("nothing was sealed"),
        "{}",
        ran.out
    );
    // A user who has decided is not asked.
    for args in
        [&["--all"][..], &["--suggested"], &["--only", "url"], &["--plain", "url"], &["--yes"]]
    {
        let (ran, file) = sealed("", args);
        assert!(ran.code == 0 && !file.is_empty() && !ran.out.contains("[all/"), "{}", ran.out);
    }
}

#[test]
fn import_into_a_file_with_rules_seals_what_they_match() {
    let home = Home::new();
    home.ok(&["keygen"]);
    home.write("app.toml", "port = 1\n[seal]\nnames = [\"*user*\"]\n");
    home.ok(&["seal", "app.toml"]);
    for name in ["sops.yaml", "alice.key"] {
        let bytes = std::fs::read(crate::support::root().join("tests/cmd/files").join(name));
        home.write(name, bytes.unwrap());
    }
    std::process::Command::new("chmod").arg("600").arg(home.at("alice.key")).status().unwrap();
    let args = ["--from", "sops", "sops.yaml", "-f", "app.sealed.toml", "--key-file", "alice.key"];
    let told = document(&home, &[&["import"], &args[..]].concat());
    assert_eq!(told["sealed"], json!(["db.user_unencrypted", "db.password"]), "{told}");
    assert_eq!(told["readable"], json!([]));
}

#[test]
fn sign_refuses_what_only_looks_like_a_rule() {
    let kept = "[seal]\nnames = [\"*password*\"]\n";
    for (before, after, words) in [
        ("", "[seal]\nnames = \"*password*\"\n", "seal.names: looks like a rule"),
        ("", "[seal]\nname = [\"*password*\"]\n", "seal.name: looks like a rule"),
        ("", "[seal]\nnames = [\"*a*\"]\npatterns = [\"*b*\"]\n", "looks like a rule"),
        (kept, "[seal]\nnames = \"*password*\"\n", "seal.names: looks like a rule"),
    ] {
        let home = Home::with_vault(&format!("a = 1\n{before}[x]\ny = \"secret:s\"\n"));
        home.write("old.toml", home.read("app.sealed.toml"));
        let file = home.read("app.sealed.toml");
        let edited = match before.is_empty() {
            true => file.replacen("a = 1\n", &format!("a = 1\n{after}"), 1),
            false => file.replacen(before, after, 1),
        };
        assert_ne!(file, edited);
        home.write("app.sealed.toml", &edited);
        let ran = home.run(&["sign", "--against", "old.toml", "--yes"]);
        assert_eq!(ran.code, 1, "{after}: {}", ran.err);
        assert!(ran.err.contains(words), "{after}: {}", ran.err);
        assert!(ran.err.contains("correct the table [seal] in it"), "{}", ran.err);
        assert_eq!(home.read("app.sealed.toml"), edited, "nothing is written");
    }
    // The table of an application stays its own.
    let home = Home::with_vault("a = 1\n[x]\ny = \"secret:s\"\n");
    home.write("old.toml", home.read("app.sealed.toml"));
    let file = home.read("app.sealed.toml");
    let own = "a = 1\n[seal]\ncolour = \"red\"\nname = \"left\"\n";
    home.write("app.sealed.toml", file.replacen("a = 1\n", own, 1));
    home.ok(&["sign", "--against", "old.toml", "--yes"]);
}

#[test]
fn credentials_in_headers_and_command_lines_are_suggested() {
    let home = Home::new();
    home.ok(&["keygen"]);
    let hash = ["$2b$12$", "R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"].concat();
    let secrets = [
        ("auth", "Basic dXNlcjpwYXNzd29yZDEyMw=="),
        ("authorization", "Bearer abc.def.ghi-0123456789"),
        ("header", "Authorization: Basic dXNlcjpwYXNzd29yZDEyMw=="),
        ("options", "-Djavax.net.ssl.trustStorePassword=changeit"),
        ("command", "mysql -uroot -psecret1"),
        ("user", hash.as_str()),
        ("cred", "x"),
        ("psw", "x"),
        ("kennwort", "x"),
        ("mot_de_passe", "x"),
    ];
    let readable = "title: Basic settings\nscheme: Bearer\nflags: -Xmx1g -Dport=80\n";
    let text: String = secrets.iter().map(|(name, value)| format!("{name}: '{value}'\n")).collect();
    home.write("in.yaml", format!("{text}{readable}"));
    let names: Vec<&str> = secrets.iter().map(|(name, _)| *name).collect();
    let out = home.ok(&["seal", "in.yaml", "--suggested"]);
    let wanted = format!("{}\nreadable: title, scheme, flags\n", names.join(", "));
    assert!(out.ends_with(&format!(": {wanted}")), "{out}");
    // Without that option, a warning names them.
    let ran = home.run(&["seal", "in.yaml", "-o", "b.sealed.toml", "--only", "title"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let warning = format!("like a secret by name or by shape: {}. To seal", names.join(", "));
    assert!(ran.err.contains(&warning), "{}", ran.err);
}
