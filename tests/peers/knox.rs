//! django-rest-knox in its own process: tokens with sliding expiry and a limited number work by
//! configuration alone.

use crate::vendor;
use crate::vendor::{Process, get, twenty_refused};
use bootseal::{ExpiryFrom, Kind};

const USER: [&str; 2] = ["zoë", "p/ä \"s"];
const PROFILE: &str = r#"
url = "URL/api/auth/login/"
basic = true
token = { json = "/token" }
expiry = { json = "/expiry", unit = "iso8601", idle = true }
inject = { header = "Authorization", value = "Token ${token}" }
"#;
const LOGOUT: &str = "[acme.login.logout]\nurl = \"URL/api/auth/logout/\"\n";

fn knox(options: &[&str]) -> Process {
    Process::python("rest_knox.py", USER, options)
}

#[test]
fn a_token_with_its_own_scheme_works_until_it_is_revoked() {
    let mut process = knox(&[]);
    let source = process.source(PROFILE, &[]);
    vendor::opens_calls_until_revoked(&mut process, &source, "/api/whoami/");
    let token = source.token_blocking().unwrap();
    assert!((298..=300).contains(&token.lifetime().as_secs()), "{:?}", token.lifetime());
    assert_eq!(token.expiry_from(), ExpiryFrom::Json);
}

#[test]
fn a_used_token_is_extended_and_an_unused_one_expires() {
    let mut process = knox(&["--life", "5"]);
    let source = process.source(PROFILE, &[]);
    vendor::slides(&mut process, &source, "/api/whoami/", 5);
}

#[test]
fn with_a_limit_of_one_token_the_old_one_is_logged_out_or_the_login_is_refused() {
    let mut process = knox(&["--limit", "1"]);
    let url = process.url("/api/whoami/");
    let source = process.source(&format!("{PROFILE}{LOGOUT}"), &[]);
    assert_eq!(get(&source.client(), &url).unwrap(), 200);
    let another = process.source(PROFILE, &[]);
    for error in twenty_refused(&another) {
        assert_eq!((error.kind(), error.status()), (Kind::LoginRefused, Some(403)), "{error}");
    }
    assert_eq!(process.counts(), [1, 1, 1, 0]);
    source.log_out_blocking().unwrap();
    assert_eq!(process.counted(["logouts", "refused_logouts"]), [1, 0]);
    another.reset_backoff();
    assert_eq!(get(&another.client(), &url).unwrap(), 200);
    assert_eq!(process.counts(), [2, 1, 2, 0]);
}

#[test]
fn a_wrong_password_causes_one_login() {
    let mut process = knox(&[]);
    let source =
        process.source_of(PROFILE, &[("acme.username", USER[0]), ("acme.password", "wrong")]);
    vendor::is_refused_once(&mut process, &source, 401);
}

#[test]
fn a_disabled_user_causes_one_rejection_and_one_refused_login() {
    let mut process = knox(&[]);
    let source = process.source(PROFILE, &[]);
    vendor::is_switched_off_and_on(&mut process, &source, "/api/whoami/");
}
