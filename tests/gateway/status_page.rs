//! The status page as a browser shows it: a headless Chromium, spoken to in its DevTools protocol
//! through a pipe.

use crate::support::{Gateway, Usual, VALUES, call, get, post};
use bootseal_vendor_sim::Vendor;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A page in a browser of its own, as small as a telephone.
struct Page {
    browser: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    _profile: tempfile::TempDir,
    session: Value,
    sent: u64,
    /// What the browser told of its own accord.
    events: Vec<Value>,
}

impl Page {
    fn open(url: &str, script: bool) -> Page {
        let profile = tempfile::tempdir().unwrap();
        // The browser takes commands on 3 and answers on 4.
        let start = "exec chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
            --disable-background-networking --disable-component-update --user-data-dir=\"$0\" --remote-debugging-pipe 3<&0 4>&1 </dev/null >/dev/null 2>&1";
        let mut browser = Command::new("sh")
            .args(["-c", start])
            .arg(profile.path())
            .env("HOME", profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (commands, answers) =
            (browser.stdin.take().unwrap(), BufReader::new(browser.stdout.take().unwrap()));
        let mut page = Page {
            browser,
            commands,
            answers,
            _profile: profile,
            session: Value::Null,
            sent: 0,
            events: Vec::new(),
        };
        let target =
            page.does("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        page.session =
            page.does("Target.attachToTarget", json!({ "targetId": target, "flatten": true }))["sessionId"].clone();
        for domain in ["Page", "Runtime", "Network", "Log"] {
            page.does(&format!("{domain}.enable"), json!({}));
        }
        let phone = json!({ "width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": true });
        page.does("Emulation.setDeviceMetricsOverride", phone);
        page.does("Emulation.setScriptExecutionDisabled", json!({ "value": !script }));
        page.does("Page.navigate", json!({ "url": url }));
        while !page.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            page.next();
        }
        page
    }

    fn next(&mut self) -> Value {
        let mut message = Vec::new();
        self.answers.read_until(0, &mut message).unwrap();
        assert_eq!(
            message.pop(),
            Some(0),
            "chromium ended; scripts/test installs what the tests need"
        );
        let message: Value = serde_json::from_slice(&message).unwrap();
        if message.get("id").is_none() {
            self.events.push(message.clone());
        }
        message
    }

    fn does(&mut self, method: &str, parameters: Value) -> Value {
        self.sent += 1;
        let mut command = json!({ "id": self.sent, "method": method, "params": parameters });
        if self.session.is_string() {
            command["sessionId"] = self.session.clone();
        }
        self.commands.write_all(format!("{command}\0").as_bytes()).unwrap();
        loop {
            let message = self.next();
            if message["id"] == self.sent {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].clone();
            }
        }
    }

    fn asks(&mut self, expression: &str) -> Value {
        let answer = self
            .does("Runtime.evaluate", json!({ "expression": expression, "returnByValue": true }));
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// What someone reads on it.
    fn text(&mut self) -> String {
        self.asks("document.body.innerText").as_str().unwrap().to_owned()
    }

    fn waits_for(&mut self, said: &str) -> String {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let text = self.text();
            if text.contains(said) {
                return text;
            }
            assert!(Instant::now() < until, "{said} in\n{text}");
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// Nothing to complain of, nothing asked of anyone but the gateway, nothing to scroll sideways,
    /// in light and dark.
    fn is_fine(&mut self, admin: u16) {
        for scheme in ["light", "dark"] {
            let features =
                json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
            self.does("Emulation.setEmulatedMedia", features);
            let width = self.asks("document.documentElement.scrollWidth").as_u64().unwrap();
            assert!(width <= 390, "{width}");
        }
        let own = format!("http://127.0.0.1:{admin}/");
        let asked: Vec<&str> = self
            .events
            .iter()
            .filter(|event| event["method"] == "Network.requestWillBeSent")
            .map(|event| event["params"]["request"]["url"].as_str().unwrap())
            .collect();
        assert!(asked.len() > 1 && asked.iter().all(|url| url.starts_with(&own)), "{asked:?}");
        let told: Vec<&Value> = self
            .events
            .iter()
            .filter(|event| {
                let method = event["method"].as_str().unwrap();
                matches!(
                    method,
                    "Log.entryAdded" | "Runtime.exceptionThrown" | "Runtime.consoleAPICalled"
                )
            })
            .collect();
        assert!(told.is_empty(), "{told:?}");
    }

    /// For whoever wants to look at it: BOOTSEAL_SCREENSHOTS is a folder.
    fn is_seen(&mut self, name: &str) {
        if let Some(folder) = std::env::var_os("BOOTSEAL_SCREENSHOTS") {
            let png =
                self.does("Page.captureScreenshot", json!({}))["data"].as_str().unwrap().to_owned();
            std::fs::write(std::path::Path::new(&folder).join(format!("{name}.png.base64")), png)
                .unwrap();
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.browser.kill();
        let _ = self.browser.wait();
    }
}

struct Shop {
    vendor: Vendor,
    usual: Usual,
    gateway: Gateway,
}

impl Shop {
    /// Three calls, two logins: the first token was revoked.
    fn open() -> Shop {
        let vendor = Vendor::start_plain().unwrap();
        let usual = Usual::new(vendor.url("").trim_end_matches('/'), "", "");
        let gateway = usual.start();
        let shop = Shop { vendor, usual, gateway };
        shop.orders();
        shop.vendor.revoke_all();
        shop.orders();
        assert_eq!(call(shop.usual.port, &post("/orders", "a lamp")).status, 201);
        shop
    }

    fn orders(&self) {
        assert_eq!(call(self.usual.port, &get("/orders")).status, 200);
    }

    fn page(&self) -> String {
        format!("http://127.0.0.1:{}/", self.usual.admin)
    }
}

/// Each fact that the page is for.
fn says_all(text: &str, shop: &Shop) {
    for said in [
        "bootseal-gateway",
        "Loaded: generation 1. On disk: generation 1.",
        "vault1",
        "acme",
        &format!("127.0.0.1:{} → {}", shop.usual.port, shop.vendor.url("")),
        " left of ",
        "ago: token received (status 200)",
        "2 logins, 0 refreshes, 1 token rejected",
        "3 calls, 0 errors",
    ] {
        assert!(text.contains(said), "{said} in\n{text}");
    }
    for (_, secret) in &VALUES[1..] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn without_a_script_all_of_it_is_there() {
    let shop = Shop::open();
    let mut page = Page::open(&shop.page(), false);
    let text = page.text();
    says_all(&text, &shop);
    assert!(text.contains("As of the time this page was loaded."), "{text}");
    // Bar and picture are seen, not only said.
    let part = "document.querySelector('.life .left').getBoundingClientRect().width / document.querySelector('.life').getBoundingClientRect().width";
    let part = page.asks(part).as_f64().unwrap();
    assert!(part > 0.9 && part <= 1.0, "{part}");
    assert!(
        page.asks("document.querySelector('.hour .calls').getBoundingClientRect().height")
            .as_f64()
            .unwrap()
            > 20.0
    );
    page.is_fine(shop.usual.admin);
    page.is_seen("plain");
}

#[test]
fn with_a_script_it_says_what_has_become_of_it() {
    let mut shop = Shop::open();
    let mut page = Page::open(&shop.page(), true);
    says_all(&page.text(), &shop);

    shop.vendor.revoke_all();
    shop.orders();
    let text = page.waits_for("3 logins, 0 refreshes, 2 tokens rejected");
    assert!(
        text.contains("4 calls, 0 errors") && text.contains("Refreshed every two seconds."),
        "{text}"
    );
    page.is_seen("good");

    // The token is gone and the password changed.
    shop.vendor.revoke_all();
    shop.vendor.refuse(true);
    assert_eq!(call(shop.usual.port, &get("/orders")).status, 503);
    let text = page.waits_for("5 calls, 1 error");
    assert!(text.contains("Token\nnone") && text.contains("Next login"), "{text}");
    assert_eq!(page.asks("document.title"), "1 down: bootseal-gateway");
    assert_eq!(
        page.asks("getComputedStyle(document.querySelector('article.bad')).borderLeftColor"),
        "rgb(192, 57, 43)"
    );
    page.is_fine(shop.usual.admin);
    page.is_seen("refused");

    shop.gateway.signal("TERM");
    assert_eq!(shop.gateway.ended(), Some(0));
    let text = page.waits_for("No response from the gateway since ");
    assert!(text.contains("5 calls, 1 error"), "what was known stays: {text}");
}
