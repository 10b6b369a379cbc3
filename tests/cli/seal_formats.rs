//! `seal` takes the values of `.env`, `.json` and `.yaml` files literally: none is shown, expanded
//! or run.

use crate::support::{Home, Ran};
use serde_json::{Value, json};

fn silent(ran: &Ran) {
    for said in [&ran.out, &ran.err] {
        assert!(!said.contains("canary") && !said.contains("panicked"), "{ran:?}");
    }
}

/// Seals `text` as the file `name`; returns the home and the result.
fn sealed(name: &str, text: &str, more: &[&str]) -> (Home, Ran) {
    let home = Home::new();
    home.write(name, text);
    let ran = home.run(&[&["seal", name][..], more].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    silent(&ran);
    (home, ran)
}

fn values(home: &Home, wanted: &[(&str, Value)]) {
    let list: Value = serde_json::from_str(&home.ok(&["list", "--json"])).unwrap();
    assert_eq!(list["properties"].as_array().unwrap().len(), wanted.len(), "{list}");
    for (name, value) in wanted {
        let got: Value = serde_json::from_str(&home.ok(&["get", name, "--json"])).unwrap();
        assert_eq!(&got["value"], value, "{name}");
    }
    home.ok(&["verify"]);
}

#[test]
fn values_of_an_env_file_are_taken_literally() {
    let text = "# canary-comment\nexport USER=bob\nPASSWORD='canary $(touch ran) #1'\nEXPANDED=${USER}-$(touch ran)-`touch ran`\n\
                KEY=\"-----BEGIN\ncanary\n-----END\"\nA.B=1\nEMPTY=\nUSER=alice # the new one\nCUT=can ary#not #comment\n";
    let (home, ran) = sealed(".env", text, &[]);
    assert!(ran.out.starts_with("sealed in env.sealed.toml: USER, PASSWORD"), "{}", ran.out);
    values(
        &home,
        &[
            ("USER", json!("alice")),
            ("PASSWORD", json!("canary $(touch ran) #1")),
            ("EXPANDED", json!("${USER}-$(touch ran)-`touch ran`")),
            ("KEY", json!("-----BEGIN\ncanary\n-----END")),
            ("\"A.B\"", json!("1")),
            ("EMPTY", json!("")),
            ("CUT", json!("can ary#not")),
        ],
    );
    assert!(!home.at("ran").exists());
    for words in [
        "USER appears again in line 10; the last one counts",
        "EXPANDED: the value contains `${` or `$(`, which is taken literally; nothing is expanded",
        "PASSWORD: the value contains",
        "USER (line 10), CUT (line 11): the text after ` #` was taken as a comment",
        "left out 3 comments of the input",
        ".env still contains the values in the clear",
    ] {
        assert!(ran.err.contains(words), "{words}: {}", ran.err);
    }
}

#[test]
fn the_input_name_decides_the_format_and_the_new_file_name() {
    for (name, text, new) in [
        (".env", "A=1", "env.sealed.toml"),
        (".env.prod", "A=1", "env.prod.sealed.toml"),
        ("prod.env", "A=1", "prod.sealed.toml"),
        ("a.json", "{\"A\": 1}", "a.sealed.toml"),
        ("a.yaml", "A: 1", "a.sealed.toml"),
        ("a.yml", "A: 1", "a.sealed.toml"),
        ("a.b.yml", "\u{feff}A: 1", "a.b.sealed.toml"),
    ] {
        let (home, _) = sealed(name, text, &[]);
        assert!(home.at(new).exists(), "{name}");
        assert_eq!(home.ok(&["get", "A"]), "1");
    }
    let home = Home::new();
    for (format, text) in [("env", "A=1"), ("json", "{\"A\": \"1\"}"), ("yaml", "A: '1'")] {
        home.ok_with(
            &["seal", "-", "--format", format, "-o", &format!("{format}.sealed.toml")],
            text.as_bytes(),
        );
        assert_eq!(home.ok(&["get", "A", "-f", &format!("{format}.sealed.toml")]), "1");
    }
}

const JSON: &str = r#"{
  "title": "shop",
  "acme": { "user.name": "bob", "password": "canary\u00e4\n\"x\"", "port": 8443, "rate": 0.5, "on": true, "none": {} },
  "list": ["canary", 1, { "k e": [true, {}], "b": -1.0 }, []],
  "": "empty name"
}"#;

const YAML: &str = r#"# canary-comment
title: shop
acme:
  "user.name": bob
  password: "canary\u00e4\n\"x\""
  port: 8443
  rate: 0.5
  on: true
  none: {}
list: [canary, 1, {k e: [true, {}], b: -1.0}, []]
"": empty name
"#;

#[test]
fn json_and_yaml_become_tables_and_an_array_is_sealed_whole() {
    for (name, text) in [("app.json", JSON), ("app.yaml", YAML)] {
        let (home, ran) = sealed(name, text, &["--plain", "title", "--plain", "acme.port"]);
        values(
            &home,
            &[
                ("title", json!("shop")),
                ("acme.\"user.name\"", json!("bob")),
                ("acme.password", json!("canaryä\n\"x\"")),
                ("acme.port", json!(8443)),
                ("acme.rate", json!(0.5)),
                ("acme.on", json!(true)),
                ("list", json!(["canary", 1, { "k e": [true, {}], "b": -1.0 }, []])),
                ("\"\"", json!("empty name")),
            ],
        );
        assert!(ran.err.contains("acme.none is an empty table and was left out"), "{}", ran.err);
        let text = home.read("app.sealed.toml");
        assert!(
            text.contains("title = \"shop\"\n")
                && text.contains("port = 8443\n")
                && !text.contains("canary"),
            "{text}"
        );
        let headers: Vec<&str> = text.lines().filter(|line| line.starts_with('[')).collect();
        assert_eq!(headers, ["[acme]", "[bootseal]"]);
    }
}

#[test]
fn readable_values_keep_their_value() {
    let (home, _) = sealed("app.json", JSON, &["--plain", "*"]);
    let shown = home.ok(&["get", "list"]);
    assert_eq!(shown.parse::<toml::Value>().unwrap().as_array().unwrap().len(), 4, "{shown}");
    // The same when values are added to an existing file.
    let home = Home::with_vault("x = \"1\"\n");
    home.write("app.yaml", YAML);
    silent(&home.run(&[
        "seal",
        "app.yaml",
        "-f",
        "app.sealed.toml",
        "--plain",
        "list",
        "--plain",
        "*.rate",
    ]));
    assert!(home.read("app.sealed.toml").contains("rate = 0.5\n"));
    assert_eq!(home.ok(&["get", "acme.password"]), "canaryä\n\"x\"");
    home.ok(&["verify"]);
}

#[test]
fn a_login_profile_stays_readable_in_every_format() {
    let json = r#"{"acme": {"user": "canary", "login": {"url": "https://api.acme.example/v1", "json": {"u": "${user}"}, "ok_status": [200, 201]}}}"#;
    let yaml = "acme:\n  user: canary\n  login:\n    url: https://api.acme.example/v1\n    json: {u: '${user}'}\n    ok_status: [200, 201]\n";
    for (name, text) in [("app.json", json), ("app.yaml", yaml)] {
        let (home, ran) = sealed(name, text, &[]);
        assert_eq!(
            ran.out,
            "sealed in app.sealed.toml: acme.user\nreadable: acme.login.url, acme.login.json.u, acme.login.ok_status\n"
        );
        assert!(!ran.err.contains("nothing is expanded"), "{}", ran.err);
        assert!(home.read("app.sealed.toml").contains("ok_status = [200, 201]\n"));
    }
}

#[test]
fn values_that_older_yaml_reads_differently_become_text_with_a_warning() {
    let (home, ran) = sealed(
        "app.yaml",
        "country: no\npin: 0123\nsure: 'no'\nflag: false\nspring: ${canary}\n",
        &[],
    );
    let wanted = [
        ("country", json!("no")),
        ("pin", json!("0123")),
        ("sure", json!("no")),
        ("flag", json!(false)),
        ("spring", json!("${canary}")),
    ];
    values(&home, &wanted);
    for words in [
        "country: the value in line 1 is taken as text, as in YAML 1.2; older YAML reads it as true or false",
        "pin: the value in line 2 is taken as text, as in YAML 1.2; older YAML reads it as a number",
        "spring: the value contains `${` or `$(`",
    ] {
        assert!(ran.err.contains(words), "{words}: {}", ran.err);
    }
    assert!(!ran.err.contains("sure") && !ran.err.contains("flag"), "{}", ran.err);
}

#[test]
fn a_parse_error_names_the_place_and_never_the_text() {
    let home = Home::new();
    home.ok(&["keygen"]);
    let bomb: String = (0..30).fold("a0: &a0 [canary]\n".into(), |text, n| {
        format!("{text}a{}: &a{0} [*a{n}, *a{n}]\n", n + 1)
    });
    let nested = format!("{{\"a\": {}1{}}}", "[".repeat(70), "]".repeat(70));
    for (format, text, place, words) in [
        ("env", "A=1\ncanary\n", "line 2, column 7", "`=`"),
        ("env", "A=\"canary", "line 1, column 3", "an unterminated quote"),
        ("json", "{\"a\": {\"b\":\n null}, \"c\": \"canary\"}", "line 2, column 5", "a.b: is null"),
        ("json", "{\"a\": 1,\n\"a\": \"canary\"}", "line 2, column 3", "a: appears twice"),
        ("json", "{\"a\": \"canary", "line 1, column 13", "not JSON"),
        ("json", "{\"a\": 99999999999999999999}", "line 1, column 26", "a: is a number that"),
        ("json", "[\"canary\"]", "line 1", "not a JSON object"),
        ("json", &nested, "", "a: nests more than 64"),
        ("yaml", "a:\n  b: ~\nc: canary\n", "line 2, column 6", "a.b: is null"),
        ("yaml", "a: 1\na: canary\n", "line 2, column 1", "a: appears twice"),
        ("yaml", "a: \"canary", "line 1", "not YAML"),
        ("yaml", "a: `canary`", "line 1, column 4", "not YAML"),
        ("yaml", &bomb, "line 2, column", "a1: is an alias"),
        ("yaml", "a: !!python/object/apply:os.system ['touch canary']", "line 1", "a: has a tag"),
        ("yaml", "- canary", "line 1", "not a YAML mapping"),
    ] {
        let name = format!("in.{format}");
        home.write(&name, text);
        let ran = home.run(&["seal", &name, "-o", "o.sealed.toml"]);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{text}");
        assert!(ran.err.contains(place) && ran.err.contains(words), "{text}: {}", ran.err);
        assert!(ran.err.contains(&name), "{}", ran.err);
        silent(&ran);
        let ran = home.run(&["seal", &name, "-o", "o.sealed.toml", "--json"]);
        assert_eq!(
            serde_json::from_str::<Value>(&ran.err).unwrap()["error"]["kind"],
            "malformed",
            "{}",
            ran.err
        );
        silent(&ran);
        assert!(!home.at("o.sealed.toml").exists() && !home.at("canary").exists());
    }
}

#[test]
fn an_input_over_16_mib_is_refused_in_every_format() {
    let home = Home::new();
    home.ok(&["keygen"]);
    let long = "x".repeat(16 << 20);
    for (format, text) in [
        ("toml", format!("a = \"{long}\"\n")),
        ("properties", format!("a = {long}\n")),
        ("env", format!("A={long}\n")),
        ("json", format!("{{\"a\": \"{long}\"}}")),
        ("yaml", format!("a: {long}\n")),
    ] {
        let name = format!("in.{format}");
        home.write(&name, &text);
        let file = home.run(&["seal", &name, "-o", "o.sealed.toml"]);
        let pipe = home
            .run_with(&["seal", "-", "--format", format, "-o", "o.sealed.toml"], text.as_bytes());
        for ran in [file, pipe] {
            assert!(ran.code == 1 && ran.err.contains("16 MiB"), "{format}: {}", ran.err);
        }
    }
    let ran = home.run(&["seal", "/dev/zero", "--format", "json", "-o", "o.sealed.toml"]);
    assert!(ran.code == 1 && ran.err.contains("16 MiB"), "{}", ran.err);
}

#[test]
fn ten_thousand_names_are_sealed_within_a_minute() {
    let env: String = (0..10_000).map(|n| format!("NAME_{n}=\"value {n}\"\n")).collect();
    let json: String = (0..10_000).map(|n| format!("\"t{n}\": {{\"a\": {n}}},")).collect();
    let start = std::time::Instant::now();
    let (home, _) = sealed("big.env", &env, &["-q"]);
    assert_eq!(home.ok(&["get", "NAME_9999"]), "value 9999");
    let (home, _) = sealed("big.json", &format!("{{{json}\"z\": 1}}"), &["-q", "--plain", "t*"]);
    assert_eq!(home.ok(&["get", "t9999.a"]), "9999");
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}

/// Every comment is searched for every value, in one pass.
#[test]
fn ten_thousand_values_with_comments_are_sealed_in_place() {
    let lines = |value: &dyn Fn(usize) -> String| -> String {
        (0..10_000)
            .map(|n| format!("# of the vendor number {n}\nname_{n} = \"{}\"\n", value(n)))
            .collect()
    };
    let text = lines(&|n| format!("canary of the vendor {n}"));
    let (home, _) = sealed("big.toml", &text, &["-q", "--keep-comments"]);
    let written = home.read("big.sealed.toml");
    let emptied: String =
        written.split("\n[bootseal]").next().unwrap().lines().fold(String::new(), |text, line| {
            let line = line
                .split_once("\"sealed:")
                .map_or(line.to_owned(), |(name, _)| format!("{name}\"\""));
            text + &line + "\n"
        });
    assert_eq!(emptied, lines(&|_| String::new()));
    assert_eq!(home.ok(&["get", "name_9999"]), "canary of the vendor 9999");
    // A comment that contains a value is found among them and named with its line.
    let home = Home::new();
    home.write("big.toml", format!("{text}# was: canary of the vendor 77, I think\n"));
    let ran = home.run(&["seal", "big.toml", "--keep-comments"]);
    silent(&ran);
    assert!(
        ran.code == 1 && ran.err.contains("the comment in line 20001 contains the value of name_7"),
        "{}",
        ran.err
    );
    assert!(!home.at("big.sealed.toml").exists());
}
