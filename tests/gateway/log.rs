//! The log: one record in one line, as text or as JSON, and few lines about many refusals.

use crate::support::{Client, Gateway, Usual, call, get};
use std::io::Read;

/// Starts the gateway at a login that is down, and makes it log errors of several lines and many
/// refusals.
fn noisy(usual: &Usual, args: &[&str], ready: &str) -> Gateway {
    let mut command = usual.sealed.command();
    command.args(args);
    let gateway = Gateway::run_until(command, ready);
    for _ in 0..50 {
        let mut client = Client::connect(usual.port);
        client.send("GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n");
        let _ = client.0.read_to_end(&mut Vec::new());
        assert_eq!(call(usual.port, &get("/x")).status, 503);
    }
    // The error says on a second line what to do.
    usual.sealed.replace("not a sealed file\n");
    gateway.signal("HUP");
    gateway.log().wait("the file was not accepted");
    gateway
}

#[test]
fn a_record_is_one_line_and_refusals_are_counted() {
    let usual = Usual::new("http://127.0.0.1:9", "", "");
    let gateway = noisy(&usual, &[], " ready ");
    let lines = gateway.log().lines();
    for line in &lines {
        let year = line.get(..4).and_then(|year| year.parse::<u16>().ok());
        assert!(year.is_some_and(|year| year > 2025), "not a record: {line:?}");
    }
    assert!(lines.iter().any(|line| line.contains("\\n  ")), "{lines:?}");
    let count = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    // A line at once, and one for each 10 s, however long this takes.
    assert!((1..=3).contains(&count("broke the rules of HTTP/1.1")), "{lines:?}");
    assert!((1..=3).contains(&count("error=\"login-down\"")), "{lines:?}");
    // The rest is reported after the interval, though no further one comes.
    gateway.log().wait("further connections or calls were refused");
    gateway.log().wait("further calls failed");
}

#[test]
fn with_log_format_json_each_line_is_an_object() {
    let usual = Usual::new("http://127.0.0.1:9", "", "");
    let gateway = noisy(&usual, &["--log-format", "json"], "\"ready\"");
    let lines = gateway.log().lines();
    assert!(lines.len() > 5, "{lines:?}");
    for line in &lines {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        for name in ["timestamp", "level", "message", "target"] {
            assert!(record[name].is_string(), "{name} in {record}");
        }
    }
    let refused = lines.iter().find(|line| line.contains("the file was not accepted")).unwrap();
    let record: serde_json::Value = serde_json::from_str(refused).unwrap();
    assert!(record["error"].as_str().unwrap().contains("\n  "), "{record}");
    assert_eq!(record["level"], "WARN");
}

#[test]
fn an_unknown_log_format_is_refused() {
    let usual = Usual::new("http://127.0.0.1:9", "", "");
    let mut command = usual.sealed.command();
    let output = command.args(["--log-format", "xml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("[possible values: text, json]"));
}
