//! `route` writes a route of the gateway, after all rules of the gateway are checked.

use crate::answers::{document, fails};
use crate::support::Home;

const PROFILE: &str = "[acme]\nusername = \"secret:svc\"\npassword = \"secret:hunter2\"\n\n[acme.login]\nurl = \"https://api.acme.example/login\"\nbasic = true\ntoken = { json = \"/token\" }\n";

const ROUTE: [&str; 6] =
    ["route", "acme", "--listen", "127.0.0.1:9301", "--upstream", "https://api.acme.example/v1"];

#[test]
fn a_route_is_written_beside_its_login() {
    let home = Home::with_vault(PROFILE);
    let ran = home.run(&ROUTE);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    let words = "app.sealed.toml: [acme.route] forwards calls from 127.0.0.1:9301 to https://api.acme.example/v1";
    assert!(ran.err.contains(words), "{}", ran.err);
    assert!(ran.err.contains("bootseal-gateway --check -f app.sealed.toml"), "{}", ran.err);
    let route =
        "[acme.route]\nlisten = \"127.0.0.1:9301\"\nupstream = \"https://api.acme.example/v1\"\n";
    assert!(home.read("app.sealed.toml").contains(route));
    home.ok(&["verify"]);
}

#[test]
fn a_route_with_a_caller_key_generates_it_once() {
    let home = Home::with_vault(PROFILE);
    let args = [&ROUTE[..], &["--prefix", "/acme", "--bearer"]].concat();
    let done = document(&home, &args);
    assert_eq!(
        done,
        serde_json::json!({ "route": "acme", "listen": "127.0.0.1:9301", "prefix": "/acme", "upstream": "https://api.acme.example/v1", "sealed": ["caller_key"] })
    );
    let key = home.ok(&["get", "acme.caller_key"]);
    assert_eq!(key.len(), 32);
    assert!(home.read("app.sealed.toml").contains("callers = { bearer = \"${caller_key}\" }\n"));
    // An existing route is replaced as a whole, and an existing key is kept.
    assert!(fails(&home, &ROUTE, "exists").contains("--force"));
    home.ok(&[&ROUTE[..], &["--bearer", "--force"]].concat());
    assert_eq!(home.ok(&["get", "acme.caller_key"]), key);
    assert!(!home.read("app.sealed.toml").contains("prefix"));
    home.ok(&[&ROUTE[..], &["--force"]].concat());
    let text = home.read("app.sealed.toml");
    assert!(!text.contains("callers") && text.matches("[acme.route]").count() == 1, "{text}");
}

#[test]
fn a_route_that_the_gateway_would_refuse_is_not_written() {
    let home = Home::with_vault(PROFILE);
    home.ok(&["set", "other.login.url", "--plain", "https://other.example/login"]);
    let before = home.read("app.sealed.toml");
    let to = "https://api.acme.example";
    for (args, kind, words) in [
        (["acme", "--listen", "9301", "--upstream", to], "malformed", "listen"),
        (["acme", "--listen", "0.0.0.0:9301", "--upstream", to], "malformed", "needs `callers`"),
        (
            ["acme", "--listen", "127.0.0.1:1", "--upstream", "https://evil.example"],
            "malformed",
            "upstream",
        ),
        (
            ["acme", "--listen", "127.0.0.1:1", "--upstream", "http://api.acme.example"],
            "malformed",
            "upstream",
        ),
        (
            ["none", "--listen", "127.0.0.1:1", "--upstream", to],
            "not-found",
            "bootseal profile none",
        ),
        (["a b", "--listen", "127.0.0.1:1", "--upstream", to], "usage", "TOML dotted key"),
    ] {
        let args = [&["route"], &args[..]].concat();
        let text = fails(&home, &args, kind);
        assert!(text.contains(words), "{args:?}: {text}");
        assert_eq!(home.read("app.sealed.toml"), before, "{args:?}");
    }
    home.ok(&["set", "acme.caller_key", "--plain", "readable"]);
    let text = fails(&home, &[&ROUTE[..], &["--bearer"]].concat(), "conflict");
    assert!(text.contains("must be sealed"), "{text}");
}
