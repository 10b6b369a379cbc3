//! `export` writes each format so that a real parser of it reads the same values, and writes to a
//! terminal or a disk only on request.

use crate::other_tools::{fed, hard_values, java, python};
use crate::support::Home;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::process::Command;

/// A vault with difficult values of every type, sealed and readable, and with tables that are not
/// the application's.
fn vault() -> Home {
    let home = Home::new();
    let mut sealed: Map<String, Value> =
        hard_values().into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    let readable: Map<String, Value> = hard_values()
        .into_iter()
        .filter(|(name, _)| *name != "long")
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect();
    sealed.insert("k e.y \u{e4} #=:".into(), json!("odd name"));
    sealed.insert("yes".into(), json!("a word"));
    let all = json!({
        "shop": sealed, "open": readable,
        "types": {"port": 8443, "negative": -1, "rate": 1.5, "tiny": 1e-7, "whole": 3.0, "on": true, "off": false,
            "list": ["x", 1, true, {"k e": [2.5, "y\n"]}], "nothing": []},
        "acme": {"user": "bob", "login": {"url": "https://acme.example/login", "json": {"u": "${user}"}}},
    });
    home.write("app.json", all.to_string());
    home.ok(&["seal", "app.json", "--plain", "open.*", "--plain", "types.rate"]);
    home.write("more.toml", "types.huge = 1e300\n");
    home.ok(&["seal", "more.toml", "-f", "app.sealed.toml"]);
    home.ok_with(&["set", "bytes", "-", "-f", "app.sealed.toml"], &[0xFF, 0xFE]);
    home
}

fn wanted() -> Value {
    let hard: Map<String, Value> =
        hard_values().into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    let mut sealed = hard.clone();
    let mut open = hard;
    open.remove("long");
    sealed.insert("k e.y \u{e4} #=:".into(), json!("odd name"));
    sealed.insert("yes".into(), json!("a word"));
    json!({
        "shop": sealed, "open": open,
        "types": {"port": 8443, "negative": -1, "rate": 1.5, "huge": 1e300, "tiny": 1e-7, "whole": 3.0, "on": true, "off": false,
            "list": ["x", 1, true, {"k e": [2.5, "y\n"]}], "nothing": []},
        "acme": {"user": "bob"},
    })
}

fn exported(home: &Home, format: &str, more: &[&str]) -> String {
    let ran = home.run(&[&["export", "--format", format], more].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    if more.is_empty() {
        assert!(
            ran.err.contains(
                "bytes contains bytes, which a text format cannot represent, and is left out"
            ),
            "{}",
            ran.err
        );
    }
    ran.out
}

#[test]
fn nested_formats_are_read_by_pythons_parsers() {
    let home = vault();
    for (format, reader) in [
        ("json", "json.load(sys.stdin)"),
        ("yaml", "yaml.safe_load(sys.stdin.buffer.read())"),
        ("toml", "tomllib.loads(sys.stdin.buffer.read().decode())"),
    ] {
        let program = format!("import sys, json, yaml, tomllib; json.dump({reader}, sys.stdout)");
        let text = exported(&home, format, &[]);
        let read = fed(python(&home, "python").args(["-c", &program]), text.as_bytes());
        assert_eq!(serde_json::from_str::<Value>(&read).unwrap(), wanted(), "{format}");
    }
    assert!(!home.at("ran").exists());
}

/// The property names and texts of flat formats.
fn flat(name: impl Fn(&[&str]) -> String) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (table, values) in wanted().as_object().unwrap() {
        for (key, value) in values.as_object().unwrap() {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Array(array) if array.is_empty() => "[]".into(),
                Value::Array(_) => "[\"x\", 1, true, { \"k e\" = [2.5, \"y\\n\"] }]".into(),
                other if key == "huge" || key == "tiny" => format!("{:?}", other.as_f64().unwrap()),
                other => other.to_string(),
            };
            found.insert(name(&[table, key]), text);
        }
    }
    found
}

/// Compares the values; a TOML value may be written in several ways.
fn same(got: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) {
    assert_eq!(got.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    let parsed = |text: &str| toml::from_str::<toml::Table>(&format!("v = {text}")).ok();
    for (name, value) in wanted {
        let exact = got[name] == *value;
        assert!(
            exact
                || name.to_lowercase().starts_with("types") && parsed(&got[name]) == parsed(value),
            "{name}: {:.80} {value:.80}",
            got[name]
        );
    }
}

#[test]
fn properties_are_read_by_java() {
    let home = vault();
    let text = exported(&home, "properties", &[]);
    assert!(text.is_ascii());
    let read = java("ReadProperties.java", &[], text.as_bytes());
    let decode = |text: &str| String::from_utf8(BASE64_STANDARD.decode(text).unwrap()).unwrap();
    let pairs = read.lines().map(|line| line.split_once(' ').unwrap());
    same(
        &pairs.map(|(name, value)| (decode(name), decode(value))).collect(),
        &flat(|path| path.join(".")),
    );
}

fn variable(path: &[&str]) -> String {
    path.join("_")
        .chars()
        .map(|next| if next.is_ascii_alphanumeric() { next.to_ascii_uppercase() } else { '_' })
        .collect()
}

#[test]
fn shell_output_is_quoted_for_each_shell() {
    let home = vault();
    home.write("exported", exported(&home, "sh", &[]));
    for shell in ["sh", "bash"] {
        // 1 MiB is too long for the environment of a new program, so a shell builtin prints it.
        let names: Vec<String> = flat(variable).into_keys().collect();
        let prints: String =
            names.iter().map(|name| format!("printf '%s\\0' \"${name}\"\n")).collect();
        let script = format!("eval \"$(cat exported)\"\n{prints}");
        let read = fed(
            Command::new(shell)
                .current_dir(home.path())
                .env("LC_ALL", "C.UTF-8")
                .args(["-c", &script]),
            b"",
        );
        let values = read.trim_end_matches('\0').split('\0').map(str::to_owned);
        same(&names.iter().cloned().zip(values).collect(), &flat(variable));
    }
    assert!(!home.at("ran").exists());
    // The documented usage.
    let line = format!(
        "eval \"$('{}' export --format sh --only acme)\" && printf %s \"$ACME_USER\"",
        env!("CARGO_BIN_EXE_bootseal")
    );
    let mut shell = Command::new("sh");
    assert_eq!(
        fed(
            shell
                .args(["-c", &line])
                .current_dir(home.path())
                .env_clear()
                .env("HOME", home.path())
                .env("PATH", "/usr/bin:/bin"),
            b""
        ),
        "bob"
    );
}

#[test]
fn an_env_file_is_read_by_python_dotenv_and_by_seal() {
    let home = vault();
    let text = exported(&home, "env", &[]);
    let program = "import sys, json, io, dotenv; json.dump(dotenv.dotenv_values(stream=io.StringIO(sys.stdin.buffer.read().decode(), newline=''), interpolate=False), sys.stdout)";
    let read = fed(python(&home, "python").args(["-c", program]), text.as_bytes());
    same(&serde_json::from_str(&read).unwrap(), &flat(variable));
    home.write("again.env", &text);
    home.ok(&["seal", "again.env"]);
    let again = home.ok(&["export", "--format", "json", "-f", "again.sealed.toml"]);
    same(&serde_json::from_str(&again).unwrap(), &flat(variable));
}

#[test]
fn toml_can_be_sealed_again() {
    let home = vault();
    home.write("again.toml", exported(&home, "toml", &[]));
    home.ok(&["seal", "again.toml"]);
    let again: Value =
        serde_json::from_str(&home.ok(&["export", "--format", "json", "-f", "again.sealed.toml"]))
            .unwrap();
    assert_eq!(again, wanted());
}

#[test]
fn the_json_option_and_the_json_format_are_the_same() {
    let home = Home::with_vault("[acme]\npassword = \"secret:hunter2\"\n");
    let as_json: Value = serde_json::from_str(&home.ok(&["export", "--json"])).unwrap();
    assert_eq!(as_json, json!({"acme": {"password": "hunter2"}}));
    assert_eq!(home.ok(&["export", "--json"]), home.ok(&["export", "--format", "json"]));
    let ran = home.run(&["export", "--json", "--format", "env"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
}

#[test]
fn export_writes_only_to_a_pipe_unless_forced() {
    let home = Home::with_vault("pw = \"can4ry\"\n");
    let to_file = |name: &str, more: &[&str]| {
        let mut command = home.command(&[&["export"], more].concat());
        command.stdout(std::fs::File::create(home.at(name)).unwrap()).output().unwrap()
    };
    let output = to_file("out", &[]);
    assert_eq!((output.status.code(), home.read("out").as_str()), (Some(2), ""));
    assert!(
        String::from_utf8_lossy(&output.stderr)
            .contains("every value would go to a file, in the clear; nothing was printed")
    );
    assert!(to_file("out", &["--force"]).status.success());
    assert_eq!(home.read("out"), "pw = \"can4ry\"\n");
    let ran = home.typed(&["export"], &[], &[]);
    assert!(
        ran.code == 2
            && ran.out.contains("every value would go to a terminal")
            && !ran.out.contains("can4ry"),
        "{ran:?}"
    );
    let ran = home.typed(&["export", "--force"], &[], &[]);
    assert!(ran.code == 0 && ran.out.contains("can4ry"), "{ran:?}");
    assert_eq!(home.ok(&["export"]), "pw = \"can4ry\"\n");
}

#[test]
fn colliding_and_dangerous_names_are_refused_and_only_selects() {
    let home =
        Home::with_vault("path = \"/x\"\n[a]\nb-c = \"1\"\nb_c = \"2\"\n[z]\n1 = \"n\\u0000\"\n");
    for (format, more, words) in [
        ("sh", &["--only", "a"][..], "a.b-c and a.b_c would both become A_B_C"),
        (
            "env",
            &["--only", "path"],
            "would become the variable PATH, which decides what programs run or whom they trust",
        ),
        ("sh", &["--only", "z"], "z.1: contains a NUL"),
        ("json", &["--only", "q"], "q"),
    ] {
        let ran = home.run(&[&["export", "--format", format], more].concat());
        assert!(
            ran.code == 1 && ran.err.contains(words) && ran.out.is_empty(),
            "{format}: {ran:?}"
        );
    }
    assert_eq!(home.ok(&["export", "--format", "properties", "--only", "a"]), "a.b-c=1\na.b_c=2\n");
    assert_eq!(home.ok(&["export", "--format", "yaml", "--only", "path"]), "path: \"/x\"\n");
    let empty = Home::new();
    empty.ok(&["init"]);
    for (format, text) in [
        ("toml", ""),
        ("sh", ""),
        ("env", ""),
        ("properties", ""),
        ("json", "{}\n"),
        ("yaml", "{}\n"),
    ] {
        assert_eq!(empty.ok(&["export", "--format", format]), text, "{format}");
    }
}

#[test]
fn variables_that_are_programs_are_refused_and_those_of_shells_are_left_out() {
    for path in [
        "node.options",
        "java.tool-options",
        "pythonstartup",
        "git.ssh.command",
        "https.proxy",
        "ssl.cert_file",
        "gnumakeflags",
        "tar.options",
        "dbus.session.bus.address",
        "rustc.workspace-wrapper",
        "git.trace",
        "gunicorn.cmd_args",
    ] {
        let home = Home::with_vault(&format!("{path} = \"secret:x\"\nacme.user = \"bob\"\n"));
        for args in [
            &["export", "--format", "sh"][..],
            &["export", "--format", "env"],
            &["exec", "--", "true"],
        ] {
            let ran = home.run(args);
            assert!(
                ran.code != 0 && ran.err.contains("decides what programs run"),
                "{path}: {ran:?}"
            );
        }
        home.ok(&["export", "--format", "sh", "--only", "acme"]);
        home.ok(&["exec", "--only", "acme", "--", "true"]);
        let variable = path.to_uppercase().replace(['.', '-'], "_");
        let named = format!("{variable}={path}");
        let shown = format!("test \"${variable}\" = x");
        home.ok(&["exec", "--env", &named, "--", "sh", "-c", &shown]);
    }
    let credentials = "git.token = \"secret:t\"\ncargo.registry.token = \"secret:t\"\npip.password = \"secret:t\"\ndb.options = \"a=b\"\n";
    let home = Home::with_vault(credentials);
    let out = home.ok(&["export", "--format", "sh"]);
    for name in
        ["GIT_TOKEN='t'", "CARGO_REGISTRY_TOKEN='t'", "PIP_PASSWORD='t'", "DB_OPTIONS='a=b'"]
    {
        assert!(out.contains(name), "{name}: {out}");
    }
    let home = Home::with_vault(
        "env = \"secret:prod\"\nps4 = \"$(touch ran)\"\nprompt.command = \"touch ran\"\nacme.user = \"bob\"\n",
    );
    let ran = home.run(&["export", "--format", "sh"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "export ACME_USER='bob'\n"), "{}", ran.err);
    for name in ["ENV", "PS4", "PROMPT_COMMAND"] {
        assert!(ran.err.contains(&format!("the variable {name}")), "{}", ran.err);
    }
    let ran = home.run(&["exec", "--", "sh", "-c", "echo \"$ACME_USER.$ENV.$PROMPT_COMMAND\""]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "bob..\n"), "{}", ran.err);
    assert_eq!(ran.err.matches("is left out").count(), 3, "{}", ran.err);
    let out = home.ok(&["exec", "--env", "ENV=env", "--", "sh", "-c", "echo \"$ENV\""]);
    assert_eq!(out, "prod\n");
}

#[test]
fn large_integers_are_exported_to_json_as_they_are_written() {
    let home = Home::with_vault(
        "a = 9223372036854775807\nb = -9223372036854775808\nc = [9007199254740993]\n[t]\nd = { e = 9007199254740993 }\n",
    );
    let json = home.ok(&["export", "--format", "json"]);
    for number in ["\"a\": 9223372036854775807", "-9223372036854775808", "[9007199254740993]"] {
        assert!(json.contains(number), "{number}: {json}");
    }
    assert_eq!(json.matches("9007199254740993").count(), 2, "{json}");
}

#[test]
fn flat_formats_name_the_lists_that_they_write_as_toml() {
    let home = Home::with_vault(
        "name = \"[\"\n[a]\nhosts = [\"x\", \"y\"]\nsecret = \"secret:s\"\n[[b.c]]\nd = 1\n",
    );
    home.ok_with(&["set", "a.sealed", "--type", "toml"], b"[1, 2]");
    for format in ["env", "sh", "properties"] {
        let ran = home.run(&["export", "--format", format]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(
            ran.err.contains("a.hosts, a.sealed, b.c: a list is written as TOML"),
            "{}",
            ran.err
        );
        assert!(
            ran.err.contains("--format json") && ran.err.contains("--only 'a.hosts[0]'"),
            "{}",
            ran.err
        );
        let ran =
            home.run(&["export", "--format", format, "--only", "a.hosts[1]", "--only", "name"]);
        assert!(ran.code == 0 && ran.err.is_empty() && ran.out.contains('y'), "{ran:?}");
    }
    for format in ["json", "yaml", "toml"] {
        assert_eq!(home.run(&["export", "--format", format]).err, "", "{format}");
    }
}
