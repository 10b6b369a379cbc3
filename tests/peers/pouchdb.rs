//! pouchdb-server, in a process of its own: a session cookie that each response renews works by
//! configuration alone.

use crate::vendor;
use crate::vendor::Process;

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
    vendor::opens_calls_until_revoked(&mut process, &source, "/orders");
}

#[test]
fn a_session_goes_on_for_longer_than_its_first_cookie_lives() {
    let mut process = pouchdb(&["--life", "4"]);
    let profile = format!("{PROFILE}expiry = {{ fixed = \"4s\" }}\n");
    let source = process.source(&profile, &[]);
    vendor::slides(&mut process, &source, "/orders", 4);
}

#[test]
fn a_wrong_password_makes_one_login() {
    let mut process = pouchdb(&[]);
    let source =
        process.source_of(PROFILE, &[("acme.username", USER[0]), ("acme.password", "wrong")]);
    vendor::is_refused_once(&mut process, &source, 401);
}

#[test]
fn a_user_who_was_switched_off_is_rejected_once_and_refused_once() {
    let mut process = pouchdb(&[]);
    let source = process.source(PROFILE, &[]);
    vendor::is_switched_off_and_on(&mut process, &source, "/orders");
}
