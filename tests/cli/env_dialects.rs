//! `.env` files that programs read differently: `--dialect` reads as python-dotenv, Node's dotenv or
//! dotenvx themselves do, and without it each value that they read differently is reported.

use crate::import::exported;
use crate::other_tools::{dotenvx, fed, python_reads};
use crate::support::{Home, root};
use serde_json::Value;
use std::process::Command;

/// Values that at least two programs read differently, or that are easily read wrongly.
const VALUES: &[&str] = &[
    "b",
    "'C:\\\\new\\\\'",
    "`a'b\"c # d`",
    "`abc`",
    "pass#word",
    "pass #word",
    " # none",
    "#none",
    "'x' # c",
    "\"x\" # c",
    "\"a\\tb\"",
    "\"a\\nb\\rc\"",
    "\"a\\\\nb\"",
    "\"a\\\"b\"",
    "'a\nb'",
    "\"a\nb\"",
    "a b c  ",
    "\"a \\q b\"",
    "'a \\q b'",
    "",
    "\"\"",
    "''",
    "``",
    "a\\nb",
    "\"x'y\"",
    "'x\"y'",
    "x'y",
    "\u{fc}",
    "\" s \"",
    "  s  ",
    "a=b",
    "a:b",
    "'a\\\\'",
    "\"a\\\\\"",
    "\"a#b\"",
    "x# y",
    "x\t# y",
    "\"\\a\\b\\f\\v\"",
    "\"\\0101\\x41\\u0041\"",
    "'it\\'s'",
    "`a\\`b`",
    "\"a\\$b\"",
    "'a\\$b'",
    "a\\$b",
];

fn file() -> String {
    VALUES.iter().enumerate().map(|(at, value)| format!("K{at}={value}\n# next\n")).collect()
}

fn read_by_node(home: &Home, text: &str) -> Value {
    let mut node = Command::new("node");
    node.arg(root().join("tests/support/other_tools/read_env.cjs"));
    node.arg(root().join("target/dotenv/node_modules/dotenv")).current_dir(home.path());
    serde_json::from_str(&fed(&mut node, text.as_bytes())).unwrap()
}

fn sealed(home: &Home, dialect: &str) -> Value {
    let out = format!("{dialect}.sealed.toml");
    home.ok(&["seal", ".env", "--dialect", dialect, "-o", &out]);
    exported(home, &out)
}

#[test]
fn each_dialect_reads_what_its_program_reads() {
    let home = Home::new();
    home.write(".env", file());
    let by_python = python_reads(&home, "read_env.py", &[], file().as_bytes());
    let by_node = read_by_node(&home, &file());
    for (dialect, wanted) in [("python-dotenv", by_python), ("node", by_node)] {
        let got = sealed(&home, dialect);
        for (at, value) in VALUES.iter().enumerate() {
            let name = format!("K{at}");
            assert_eq!(got[&name], wanted[&name], "{dialect}: {value:?}");
        }
    }
    let got = sealed(&home, "dotenvx");
    let by_dotenvx: Value = serde_json::from_str(&dotenvx(&home, &["get", "-f", ".env"])).unwrap();
    for (at, value) in VALUES.iter().enumerate() {
        let name = format!("K{at}");
        assert_eq!(got[&name], by_dotenvx[&name], "dotenvx: {value:?}");
    }
}

#[test]
fn a_value_that_another_program_reads_differently_is_reported_by_name() {
    let home = Home::new();
    home.write(".env", file());
    let ran = home.run(&["seal", ".env"]);
    // Without a dialect, an escaped quote in '…' is an error with the way on.
    assert!(ran.code == 1 && ran.err.contains("line ") && ran.err.contains("--dialect"), "{ran:?}");
    let values: Vec<&str> = VALUES
        .iter()
        .filter(|value| !value.contains("\\'") && !value.contains('`'))
        .copied()
        .collect();
    let text: String =
        values.iter().enumerate().map(|(at, value)| format!("K{at}={value}\n")).collect();
    home.write(".env", &text);
    let ran = home.run(&["seal", ".env"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let ours = exported(&home, "env.sealed.toml");
    let by_python = python_reads(&home, "read_env.py", &[], text.as_bytes());
    let by_node = read_by_node(&home, &text);
    for (at, value) in values.iter().enumerate() {
        let name = format!("K{at}");
        for (program, reading) in [("python-dotenv", &by_python), ("dotenv for Node", &by_node)] {
            let reported = ran.err.lines().any(|line| {
                line.contains(&format!("{name} (line "))
                    && line.contains(program)
                    && line.contains("would read another value")
            });
            assert_eq!(reported, ours[&name] != reading[&name], "{program}: {value:?}: {ran:?}");
        }
    }
    // `exec` gives the program our reading, and warns of the same.
    home.write(".env", "PW=`abc`\nWIN='C:\\\\new\\\\'\nFINE=x\n");
    let exec = ["exec", "-f", "env.sealed.toml", "--env-file", ".env"];
    let print = ["--", "printenv", "WIN"];
    let ran = home.run(&[&exec[..], &print].concat());
    assert_eq!(ran.out, "C:\\\\new\\\\\n");
    assert!(
        ran.err.contains("PW (line 1): ")
            && ran.err.contains("WIN (line 2): ")
            && !ran.err.contains("FINE"),
        "{ran:?}"
    );
    let ran = home.run(&[&exec[..], &["--dialect", "python-dotenv"], &print].concat());
    assert!(ran.out == "C:\\new\\\n" && !ran.err.contains("line"), "{ran:?}");
}

#[test]
fn a_line_that_a_program_skips_is_an_error_and_not_lost() {
    let home = Home::new();
    for (text, dialects) in [
        ("A=1\nnothing\nB=2\n", &["node", "dotenvx", "compose"][..]),
        ("A=1\n'x'y=2\n", &["node", "compose"]),
        ("A='x'y\n", &["python-dotenv"]),
        ("A='x\n", &["python-dotenv", "compose"]),
    ] {
        home.write(".env", text);
        for dialect in dialects {
            let ran = home.run(&["seal", ".env", "--dialect", dialect]);
            assert!(ran.code == 1 && ran.err.contains("line "), "{dialect}: {text:?}: {ran:?}");
        }
    }
    assert!(!home.at("env.sealed.toml").exists());
}
