//! Does a session in a cookie that each answer renews work by configuration only? pouchdb-server, in a process of its own.

#![allow(clippy::unwrap_used, clippy::panic)] // a test

#[path = "support/mod.rs"]
mod support;
#[path = "support/vendor.rs"]
mod vendor;

use bootseal::Kind;
use std::time::Duration;
use vendor::{Process, get, twenty, twenty_refused};

const USER: [&str; 2] = ["zoë", "p/ä \"s"];
const PROFILE: &str = r#"
url = "URL/_session"
json = { name = "${username}", password = "${password}" }
token = { cookie = "AuthSession" }
renew_from_answers = true
"#;

fn pouchdb(options: &[&str]) -> Process {
    Process::pouchdb(USER, options)
}

#[test]
fn a_session_opens_calls_until_it_is_revoked() {
    let mut process = pouchdb(&[]);
    let source = process.source(PROFILE, &[]);
    let (client, url) = (source.client(), process.url("/orders"));
    assert_eq!(twenty(&client, &url), [200; 20]);
    assert_eq!(process.counts(), [1, 0, 20, 0]);
    process.order("revoke-all");
    assert_eq!(twenty(&client, &url), [200; 20]);
    let [logins, refused, calls, rejected] = process.counts();
    assert_eq!((logins, refused, calls), (2, 0, 40));
    assert!((1..=20).contains(&rejected));
}

#[test]
fn a_session_goes_on_for_longer_than_its_first_cookie_lives() {
    let mut process = pouchdb(&["--life", "4"]);
    let profile = format!("{PROFILE}expiry = {{ fixed = \"4s\" }}\n");
    let (client, url) = (process.source(&profile, &[]).client(), process.url("/orders"));
    for _ in 0..8 {
        assert_eq!(get(&client, &url).unwrap(), 200);
        std::thread::sleep(Duration::from_secs(1));
    }
    assert_eq!(process.counts(), [1, 0, 8, 0], "each answer brought the next cookie");
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(get(&client, &url).unwrap(), 200);
    assert_eq!(process.counts(), [2, 0, 9, 0], "the vendor never saw the dead one");
}

#[test]
fn a_wrong_password_makes_one_login() {
    let mut process = pouchdb(&[]);
    let source = process.source_of(PROFILE, &[("acme.username", USER[0]), ("acme.password", "wrong")]);
    for _ in 0..2 {
        for error in twenty_refused(&source) {
            assert_eq!((error.kind(), error.status()), (Kind::LoginRefused, Some(401)), "{error}");
        }
    }
    assert_eq!(process.counts(), [0, 1, 0, 0]);
}

#[test]
fn a_user_who_was_switched_off_is_rejected_once_and_refused_once() {
    let mut process = pouchdb(&[]);
    let source = process.source(PROFILE, &[]);
    let (client, url) = (source.client(), process.url("/orders"));
    assert_eq!(get(&client, &url).unwrap(), 200);
    process.order("deactivate");
    for _ in 0..5 {
        assert_eq!(get(&client, &url).unwrap_err().kind(), Kind::LoginRefused);
    }
    assert_eq!(process.counts(), [1, 1, 1, 1]);
    process.order("activate");
    source.retry_now();
    assert_eq!(get(&client, &url).unwrap(), 200);
    assert_eq!(process.counts()[..2], [2, 1]);
}
