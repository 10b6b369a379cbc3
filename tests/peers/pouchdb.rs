//! pouchdb-server in its own process: a session cookie that each response renews works by
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
fn a_session_works_until_it_is_revoked() {
    let mut process = pouchdb(&[]);
    let source = process.source(PROFILE, &[]);
    vendor::opens_calls_until_revoked(&mut process, &source, "/orders");
}

#[test]
fn a_session_outlives_its_first_cookie() {
    let mut process = pouchdb(&["--life", "4"]);
    let profile = format!("{PROFILE}expiry = {{ fixed = \"4s\" }}\n");
    let source = process.source(&profile, &[]);
    vendor::slides(&mut process, &source, "/orders", 4);
}

#[test]
fn a_wrong_password_causes_one_login() {
    let mut process = pouchdb(&[]);
    let source =
        process.source_of(PROFILE, &[("acme.username", USER[0]), ("acme.password", "wrong")]);
    vendor::is_refused_once(&mut process, &source, 401);
}

#[test]
fn a_disabled_user_causes_one_rejection_and_one_refused_login() {
    let mut process = pouchdb(&[]);
    let source = process.source(PROFILE, &[]);
    vendor::is_switched_off_and_on(&mut process, &source, "/orders");
}
