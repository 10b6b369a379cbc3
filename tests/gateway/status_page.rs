//! The status page in a headless Chromium, which is controlled by its DevTools protocol through a
//! pipe.

use crate::support::{Gateway, Usual, VALUES, call, get, post};
use bootseal_vendor_sim::Vendor;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A page in its own browser, with the screen size of a phone.
struct Page {
    browser: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    _profile: tempfile::TempDir,
    session: Value,
    sent: u64,
    /// Events that the browser sent.
    events: Vec<Value>,
}

impl Page {
    fn open(url: &str, script: bool) -> Page {
        let profile = tempfile::tempdir().unwrap();
        // The browser reads commands from descriptor 3 and writes responses to 4.
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
            page.command("Target.createTarget", json!({ "url": "about:blank" }))["targetId"]
                .clone();
        page.session =
            page.command("Target.attachToTarget", json!({ "targetId": target, "flatten": true }))["sessionId"].clone();
        for domain in ["Page", "Runtime", "Network", "Log"] {
            page.command(&format!("{domain}.enable"), json!({}));
        }
        let phone = json!({ "width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": true });
        page.command("Emulation.setDeviceMetricsOverride", phone);
        page.command("Emulation.setScriptExecutionDisabled", json!({ "value": !script }));
        page.command("Page.navigate", json!({ "url": url }));
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

    fn command(&mut self, method: &str, parameters: Value) -> Value {
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

    fn evaluate(&mut self, expression: &str) -> Value {
        let answer = self.command(
            "Runtime.evaluate",
            json!({ "expression": expression, "returnByValue": true }),
        );
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// The visible text of the page.
    fn text(&mut self) -> String {
        self.evaluate("document.body.innerText").as_str().unwrap().to_owned()
    }

    fn wait_for_text(&mut self, said: &str) -> String {
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

    /// Checks that there is no console message, no request to another host and no sideways
    /// scrolling, in the light and the dark scheme.
    fn check_page(&mut self, admin: u16) {
        for scheme in ["light", "dark"] {
            let features =
                json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
            self.command("Emulation.setEmulatedMedia", features);
            let width = self.evaluate("document.documentElement.scrollWidth").as_u64().unwrap();
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

    /// Writes a screenshot if BOOTSEAL_SCREENSHOTS names a folder.
    fn save_screenshot(&mut self, name: &str) {
        if let Some(folder) = std::env::var_os("BOOTSEAL_SCREENSHOTS") {
            let png = self.command("Page.captureScreenshot", json!({}))["data"]
                .as_str()
                .unwrap()
                .to_owned();
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
    /// Three calls and two logins: the first token was revoked.
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

/// Checks that the page shows every fact.
fn check_all_facts(text: &str, shop: &Shop) {
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
fn the_page_is_complete_without_javascript() {
    let shop = Shop::open();
    let mut page = Page::open(&shop.page(), false);
    let text = page.text();
    check_all_facts(&text, &shop);
    assert!(text.contains("As of the time this page was loaded."), "{text}");
    // The bar and the icon are visible and not only described.
    let part = "document.querySelector('.life .left').getBoundingClientRect().width / document.querySelector('.life').getBoundingClientRect().width";
    let part = page.evaluate(part).as_f64().unwrap();
    assert!(part > 0.9 && part <= 1.0, "{part}");
    assert!(
        page.evaluate("document.querySelector('.hour .calls').getBoundingClientRect().height")
            .as_f64()
            .unwrap()
            > 20.0
    );
    page.check_page(shop.usual.admin);
    page.save_screenshot("plain");
}

#[test]
fn the_page_updates_itself_with_javascript() {
    let mut shop = Shop::open();
    let mut page = Page::open(&shop.page(), true);
    check_all_facts(&page.text(), &shop);

    shop.vendor.revoke_all();
    shop.orders();
    let text = page.wait_for_text("3 logins, 0 refreshes, 2 tokens rejected");
    assert!(
        text.contains("4 calls, 0 errors") && text.contains("Refreshed every two seconds."),
        "{text}"
    );
    page.save_screenshot("good");

    // The token is revoked and the password has changed.
    shop.vendor.revoke_all();
    shop.vendor.refuse(true);
    assert_eq!(call(shop.usual.port, &get("/orders")).status, 503);
    let text = page.wait_for_text("5 calls, 1 error");
    assert!(text.contains("Token\nnone") && text.contains("Next login"), "{text}");
    assert_eq!(page.evaluate("document.title"), "1 down: bootseal-gateway");
    assert_eq!(
        page.evaluate("getComputedStyle(document.querySelector('article.bad')).borderLeftColor"),
        "rgb(192, 57, 43)"
    );
    page.check_page(shop.usual.admin);
    page.save_screenshot("refused");

    shop.gateway.signal("TERM");
    assert_eq!(shop.gateway.ended(), Some(0));
    let text = page.wait_for_text("No response from the gateway since ");
    assert!(text.contains("5 calls, 1 error"), "the last known numbers stay: {text}");
}
