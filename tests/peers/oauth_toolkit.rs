//! django-oauth-toolkit in its own process: OAuth 2 works by configuration alone.

use crate::vendor;
use crate::vendor::{Process, get, run};
use bootseal::testing::Clock;
use bootseal::{ExpiryFrom, Kind};
use std::time::Duration;

/// The default token lifetime of serving.py.
const LIFE: Duration = Duration::from_secs(300);
const USER: [&str; 2] = ["zoë", "p/ä \"s"];
const CLIENT: [(&str, &str); 2] =
    [("acme.client_id", "people"), ("acme.client_secret", "cl1ent:s%c+ret")];
const PASSWORD: &str = r#"
url = "URL/o/token/"
basic = "oauth"
form = { grant_type = "password", username = "${username}", password = "${password}" }
"#;
/// The same with a refresh token.
const REFRESHING: &str = r#"
url = "URL/o/token/"
basic = "oauth"
form = { grant_type = "password", username = "${username}", password = "${password}" }
capture = [{ json = "/refresh_token", as = "refresh_token" }]
[acme.login.refresh]
url = "URL/o/token/"
basic = "oauth"
form = { grant_type = "refresh_token", refresh_token = "${refresh_token}" }
"#;

fn oauth_toolkit() -> Process {
    Process::python("oauth_toolkit.py", USER, &[])
}

/// Every token expires, at the vendor and here.
fn expire_all(process: &mut Process, clock: &Clock) {
    process.order("expire");
    clock.advance(LIFE);
}

#[test]
fn a_password_grant_with_a_basic_client_works_until_the_token_is_revoked() {
    let mut process = oauth_toolkit();
    let source = process.source(PASSWORD, &CLIENT);
    vendor::opens_calls_until_revoked(&mut process, &source, "/api/whoami/");
    let token = source.token_blocking().unwrap();
    assert_eq!((token.lifetime(), token.expiry_from()), (LIFE, ExpiryFrom::Json));
}

#[test]
fn a_client_credentials_grant_needs_no_user() {
    let mut process = oauth_toolkit();
    let profile = "url = \"URL/o/token/\"\nbasic = \"oauth\"\nform = { grant_type = \"client_credentials\" }\n";
    let values = [("acme.client_id", "machine"), ("acme.client_secret", "cl1ent:s%c+ret")];
    let client = process.source_of(profile, &values).client();
    let url = process.url("/api/whoami/");
    assert_eq!((get(&client, &url).unwrap(), get(&client, &url).unwrap()), (200, 200));
    assert_eq!(process.counts(), [1, 0, 2, 0]);
    // With the client's credentials in the body.
    let in_body = "url = \"URL/o/token/\"\nform = { grant_type = \"client_credentials\", client_id = \"${client_id}\", client_secret = \"${client_secret}\" }\n";
    assert_eq!(get(&process.source_of(in_body, &values).client(), &url).unwrap(), 200);
    // Plain Basic differs from OAuth's encoding of this secret.
    let plain = profile.replace("\"oauth\"", "true");
    let values = [("acme.username", "machine"), ("acme.password", "cl1ent:s%c+ret")];
    let error = get(&process.source_of(&plain, &values).client(), &url).unwrap_err();
    assert_eq!((error.kind(), error.status()), (Kind::LoginRefused, Some(401)));
    assert_eq!(process.counts(), [2, 1, 3, 0]);
}

#[test]
fn an_expired_token_is_replaced_with_its_refresh_token() {
    let (mut process, clock) = (oauth_toolkit(), Clock::new());
    let source = process.source_by(&clock, REFRESHING, &CLIENT);
    let (client, url) = (source.client(), process.url("/api/whoami/"));
    for _ in 0..3 {
        assert_eq!(get(&client, &url).unwrap(), 200);
        expire_all(&mut process, &clock);
    }
    let counted = process.counted(["logins", "refreshes", "refused_refreshes", "rejected"]);
    assert_eq!(counted, [1, 2, 0, 0], "the vendor never saw an expired token");
    let counts = source.counts();
    assert_eq!((counts.logins, counts.refreshes), (1, 2));
}

#[test]
fn without_a_refresh_token_an_expired_token_is_replaced_by_a_login() {
    let (mut process, clock) = (oauth_toolkit(), Clock::new());
    let source = process.source_by(&clock, PASSWORD, &CLIENT);
    let (client, url) = (source.client(), process.url("/api/whoami/"));
    assert_eq!(get(&client, &url).unwrap(), 200);
    expire_all(&mut process, &clock);
    assert_eq!(get(&client, &url).unwrap(), 200);
    assert_eq!(process.counts(), [2, 0, 2, 0]);
}

#[test]
fn log_out_revokes_the_token() {
    let mut process = oauth_toolkit();
    let logout = "[acme.login.logout]\nurl = \"URL/o/revoke_token/\"\nbasic = \"oauth\"\nform = { token = \"${token}\" }\n";
    let source = process.source(&format!("{PASSWORD}{logout}"), &CLIENT);
    let token = source.token_blocking().unwrap();
    let bearer = token.expose(|token| format!("Bearer {}", String::from_utf8_lossy(token)));
    let _ = rustls::crypto::ring::default_provider().install_default(); // for reqwest without our client
    let roots = reqwest::Certificate::from_pem(process.ca.as_bytes()).unwrap();
    let url = process.url("/api/whoami/");
    // Not through our client, which would renew it.
    let bare_call = || {
        let bare =
            reqwest::Client::builder().tls_certs_only([roots.clone()]).no_proxy().build().unwrap();
        run(async {
            bare.get(&url).header("authorization", &bearer).send().await.unwrap().status().as_u16()
        })
    };
    assert_eq!(bare_call(), 200);
    source.log_out_blocking().unwrap();
    assert_eq!(process.counted(["logins", "logouts", "refused_logouts"]), [1, 1, 0]);
    assert_eq!(bare_call(), 401, "the vendor no longer accepts it");
}

#[test]
fn a_wrong_password_and_a_wrong_client_cause_one_login_each() {
    let mut process = oauth_toolkit();
    for (values, status) in [
        ([USER[0], "wrong", "people", "cl1ent:s%c+ret"], 400),
        ([USER[0], USER[1], "people", "wrong"], 401),
    ] {
        let names = ["acme.username", "acme.password", "acme.client_id", "acme.client_secret"];
        let values: Vec<_> = names.into_iter().zip(values).collect();
        let source = process.source_of(PASSWORD, &values);
        vendor::is_refused_once(&mut process, &source, status);
    }
}

#[test]
fn a_disabled_user_is_refused_once_and_again_after_each_revocation() {
    let mut process = oauth_toolkit();
    let source = process.source(REFRESHING, &CLIENT);
    let (client, url) = (source.client(), process.url("/api/whoami/"));
    assert_eq!(get(&client, &url).unwrap(), 200);
    process.order("deactivate");
    process.order("revoke-all");
    for _ in 0..5 {
        assert_eq!(get(&client, &url).unwrap_err().kind(), Kind::LoginRefused);
    }
    assert_eq!(
        process.counted(["logins", "refused", "refused_refreshes"]),
        [1, 1, 1],
        "neither a password nor a client"
    );
    process.order("activate");
    source.reset_backoff();
    assert_eq!(get(&client, &url).unwrap(), 200);
    assert_eq!(process.counts()[..2], [2, 1]);
}
