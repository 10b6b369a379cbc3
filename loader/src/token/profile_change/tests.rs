//! Tests of changes of the file, against a scripted vendor.

#![allow(clippy::unwrap_used)]
use super::*;
use crate::login::clock::Clock as _;
use crate::login::transport::{LoginRequest, LoginResponse, Transport, TransportError};
use crate::testing::Clock;
use crate::token::token::Token;
use std::pin::Pin;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// Answers each login with the token `t1`, `t2`, … and a refresh token, and records the requests;
/// it can be paused.
#[derive(Clone, Default)]
struct Vendor(Arc<(Mutex<Seen>, Condvar)>, Clock);

#[derive(Default)]
struct Seen {
    sent: Vec<String>,
    logins: u32,
    held: bool,
    refuse: bool,
}

impl Vendor {
    /// Waits for `count` requests. Meanwhile it advances the clock, because a token of which a
    /// handle still exists is logged out only after a minute.
    fn wait_for(&self, count: usize) -> Vec<String> {
        let mut seen = self.0.0.lock().unwrap();
        while seen.sent.len() < count {
            seen = self.0.1.wait_timeout(seen, Duration::from_millis(20)).unwrap().0;
            self.1.advance(Duration::from_secs(1));
        }
        seen.sent.clone()
    }

    fn change(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }
}

impl Transport for Vendor {
    fn send(
        &self,
        it: LoginRequest,
    ) -> Pin<Box<dyn Future<Output = Result<LoginResponse, TransportError>> + Send>> {
        let body = it.body.map(|body| body.expose_str(str::to_owned).unwrap()).unwrap_or_default();
        let mut seen = self.0.0.lock().unwrap();
        seen.sent.push(format!("{} {body}", it.url));
        self.0.1.notify_all();
        seen = self.0.1.wait_while(seen, |seen| seen.held).unwrap();
        seen.logins += 1;
        let (status, number) = (if seen.refuse { 401 } else { 200 }, seen.logins);
        let body = format!(r#"{{"access_token":"t{number}","expires_in":600,"r":"r{number}"}}"#);
        let body = bootseal_core::Secret::copy_of(body.as_bytes()).unwrap();
        Box::pin(async move { Ok(LoginResponse { status, headers: http::HeaderMap::new(), body }) })
    }
}

const VALUES: [(&str, &str); 4] = [
    ("acme.username", "bob"),
    ("acme.password", "one"),
    ("acme.email", "bob@acme.example"),
    ("acme.otp", "GEZDGNBV"),
];
const LOGIN: &str = "url = \"https://a.example/login\"\njson = { user = \"${username}\", password = \"${password}\", email = \"${email}\" }\ncapture = [ { json = \"/r\", as = \"r\" } ]\n";
const MORE: &str = "[acme.login.refresh]\nurl = \"https://a.example/refresh\"\njson = { r = \"${r}\" }\n[acme.login.logout]\nurl = \"https://a.example/logout\"\njson = { t = \"${token}\", user = \"${username}\" }\n";

fn account(login: &str, values: &[(&'static str, &str)]) -> (Profile, Values) {
    let changed = |name: &str| values.iter().find(|(other, _)| *other == name);
    let all = VALUES.map(|(name, value)| *changed(name).unwrap_or(&(name, value)));
    let vault = crate::testing::vault(all, &format!("[acme.login]\n{login}")).unwrap();
    vault.now().account(&"acme".parse().unwrap()).unwrap().unwrap()
}

fn acme() -> (TokenSource, Vendor, Clock) {
    let (profile, values) = account(&[LOGIN, MORE].concat(), &[]);
    let vendor = Vendor::default();
    let clock = vendor.1.clone();
    (
        TokenSource::new(profile, values, Arc::new(clock.clone()), Arc::new(vendor.clone()), None),
        vendor,
        clock,
    )
}

fn apply(source: &TokenSource, (profile, values): (Profile, Values)) {
    if let Some(act) = source.follow(profile, values, None) {
        act();
    }
}

fn text(token: &Token) -> String {
    token.expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

#[test]
fn a_token_stays_only_for_the_same_user_login_and_calls() {
    let whole = [LOGIN, MORE].concat();
    let changed = |from: &str, to: &str| account(&whole.replace(from, to), &[]);
    let with = |line: &str| account(&[LOGIN, line, MORE].concat(), &[]);
    for (what, account, stays) in [
        ("nothing", account(&whole, &[]), true),
        ("the password", account(&whole, &[("acme.password", "two")]), true),
        ("the user", account(&whole, &[("acme.username", "eve")]), false),
        (
            "a value that may be the user",
            account(&whole, &[("acme.email", "eve@acme.example")]),
            false,
        ),
        ("the login's address", changed("a.example", "b.example"), false),
        (
            "the body of the login",
            changed("user = \"${username}\"", "user = \"eve\", u = \"${username}\""),
            false,
        ),
        ("the timeout of the login", with("login_timeout = \"5s\"\n"), true),
        ("the proxy", with("proxy = \"http://127.0.0.1:1\"\n"), true),
        ("the allowed hosts", with("hosts = [\"a.example\", \"b.example\"]\n"), false),
        (
            "the header of calls",
            with("inject = { header = \"X-Key\", value = \"${token}\" }\n"),
            false,
        ),
        ("the rejecting statuses", with("rejected_status = [403]\n"), false),
    ] {
        let (source, vendor, _) = acme();
        source.token_blocking().unwrap();
        apply(&source, account);
        assert_eq!(text(&source.token_blocking().unwrap()) == "t1", stays, "{what}");
        if !stays {
            // The token is logged out with its old account, and its refresh token is not sent.
            let sent = vendor.wait_for(3);
            assert!(
                sent.iter()
                    .any(|sent| sent == r#"https://a.example/logout {"t":"t1","user":"bob"}"#),
                "{sent:?}"
            );
            assert!(sent.iter().all(|sent| !sent.contains("r1")), "{what} {sent:?}");
        }
    }
}

#[test]
fn a_new_password_ends_the_backoff_and_an_unchanged_file_does_not() {
    let (source, vendor, _) = acme();
    vendor.change(|seen| seen.refuse = true);
    for _ in 0..3 {
        source.token_blocking().unwrap_err();
        apply(&source, account(&[LOGIN, MORE].concat(), &[]));
    }
    assert_eq!(vendor.wait_for(1).len(), 1);
    vendor.change(|seen| seen.refuse = false);
    apply(&source, account(&[LOGIN, MORE].concat(), &[("acme.password", "two")]));
    assert_eq!(text(&source.token_blocking().unwrap()), "t2");
}

#[test]
fn a_token_is_logged_out_with_the_account_that_obtained_it() {
    // The token stays, because only the logout changed. It is logged out by the profile that
    // obtained it.
    let (source, vendor, _) = acme();
    source.token_blocking().unwrap();
    apply(
        &source,
        account(&[LOGIN, MORE].concat().replace("a.example/logout", "a.example/end"), &[]),
    );
    source.log_out_blocking().unwrap();
    assert_eq!(vendor.wait_for(2)[1], r#"https://a.example/logout {"t":"t1","user":"bob"}"#);
}

#[test]
fn a_removed_profile_ends_its_token_and_a_restored_one_logs_in() {
    let (source, vendor, _) = acme();
    source.token_blocking().unwrap();
    source.retire().unwrap()();
    assert_eq!(source.token_blocking().unwrap_err().kind(), bootseal_core::Kind::NotFound);
    assert!(vendor.wait_for(2)[1].starts_with("https://a.example/logout"));
    apply(&source, account(&[LOGIN, MORE].concat(), &[]));
    source.token_blocking().unwrap();
    assert!(vendor.wait_for(3)[2].starts_with("https://a.example/login"));
}

#[test]
fn a_login_during_a_file_change_is_repeated_and_its_first_token_is_logged_out() {
    for gone in [false, true] {
        let (source, vendor, _) = acme();
        vendor.change(|seen| seen.held = true);
        let ours = source.clone();
        let waiting = std::thread::spawn(move || ours.token_blocking());
        vendor.wait_for(1);
        if gone {
            assert!(source.retire().is_none(), "there is no token yet");
        } else {
            apply(&source, account(&[LOGIN, MORE].concat(), &[("acme.username", "eve")]));
        }
        vendor.change(|seen| seen.held = false);
        let result = waiting.join().unwrap();
        let sent = vendor.wait_for(if gone { 2 } else { 3 });
        assert_eq!(sent[1], r#"https://a.example/logout {"t":"t1","user":"bob"}"#);
        assert_eq!(result.is_ok(), !gone);
        assert!(gone || sent[2].contains("eve"));
    }
}

#[test]
fn a_logout_during_a_login_also_ends_the_new_token() {
    let (source, vendor, _) = acme();
    vendor.change(|seen| seen.held = true);
    let ours = source.clone();
    let waiting = std::thread::spawn(move || ours.token_blocking());
    vendor.wait_for(1);
    let ours = source.clone();
    let out = std::thread::spawn(move || ours.log_out_blocking());
    vendor.change(|seen| seen.held = false);
    waiting.join().unwrap().unwrap();
    out.join().unwrap().unwrap();
    assert!(vendor.wait_for(2)[1].starts_with("https://a.example/logout"));
}

#[test]
fn a_late_response_to_a_rejected_token_does_not_restore_its_session() {
    let (source, vendor, clock) = acme();
    let token = source.token_blocking().unwrap();
    let sent = crate::login::clock::Moment::now(&clock);
    source.reject(&token);
    let lifetime = crate::login::expiry::Lifetime {
        lifetime: Duration::from_secs(600),
        from: crate::ExpiryFrom::Json,
        born_expired: false,
    };
    let late = || bootseal_core::Secret::copy_of(b"late").unwrap();
    source.renewed(&token, late(), lifetime, sent);
    assert_ne!(text(&source.token_blocking().unwrap()), "late");
    assert_eq!(vendor.wait_for(2).len(), 2);
    // The age of a renewed token counts from when the call was sent, not from its response.
    let token = source.token_blocking().unwrap();
    let sent = crate::login::clock::Moment::now(&clock);
    clock.advance(Duration::from_secs(300));
    source.renewed(&token, late(), lifetime, sent);
    assert_eq!(text(&source.token_blocking().unwrap()), "late");
    clock.advance(Duration::from_secs(300));
    assert_ne!(
        text(&source.token_blocking().unwrap()),
        "late",
        "600 s after it was sent, {:?}",
        clock.monotonic()
    );
}

/// Counts the requests instead of sending them.
struct Backend(Arc<Mutex<u32>>);

impl crate::call::authenticated::Sender for Backend {
    type Request = reqwest::Request;
    type Response = reqwest::Response;
    type Error = crate::Error;

    async fn send(
        &mut self,
        _: reqwest::Request,
        _: Option<&reqwest::Request>,
        _: &Token,
    ) -> Result<reqwest::Response, crate::Error> {
        *self.0.lock().unwrap() += 1;
        Ok(http::Response::new(reqwest::Body::default()).into())
    }
}

#[test]
fn a_call_that_waits_during_a_file_change_is_sent_only_to_the_hosts_of_its_token() {
    let at = |hosts: &str| account(&[LOGIN, hosts, MORE].concat(), &[]);
    for (after, sent) in
        [("hosts = [\"a.example\", \"old.example\"]\n", 1), ("hosts = [\"a.example\"]\n", 0)]
    {
        let (source, vendor, _) = acme();
        apply(&source, at("hosts = [\"a.example\", \"old.example\", \"older.example\"]\n"));
        vendor.change(|seen| seen.held = true);
        let (ours, below) = (source.clone(), Arc::new(Mutex::new(0)));
        let mut sender = Backend(below.clone());
        let waiting = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let request =
                reqwest::Request::new(http::Method::GET, "https://old.example/".parse().unwrap());
            runtime
                .block_on(crate::call::authenticated::call(&ours, &mut sender, request))
                .map(drop)
        });
        vendor.wait_for(1);
        apply(&source, at(after));
        vendor.change(|seen| seen.held = false);
        assert_eq!(waiting.join().unwrap().is_ok(), sent == 1, "{after}");
        assert_eq!(*below.lock().unwrap(), sent, "{after}");
    }
}
