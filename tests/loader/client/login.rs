//! The login that a call triggers, and the lifetime of its token.

use super::*;

#[tokio::test]
async fn every_kind_of_login_request_works_at_the_vendor() {
    for (path, lines) in [
        ("/login", JSON),
        ("/login", "form = { username = \"${username}\", password = \"${password}\" }"),
        ("/login", "basic = true"),
        ("/login-header", "basic = true\ntoken = { header = \"X-Subject-Token\" }"),
        (
            "/login-header",
            "token = { header = \"x-subject-token\" }\njson = { username = \"${username}\", password = \"${password}\" }",
        ),
        (
            "/login",
            "basic = true\ntoken = { json = \"/access_token\" }\nheaders = { X-Client = \"for ${username}\" }",
        ),
        ("/login", "basic = true\ninject = { header = \"X-Auth-Token\", value = \"${token}\" }"),
    ] {
        let vendor = Vendor::start().unwrap();
        let source = vault(&vendor.url(path), vendor.ca_pem(), lines).token_source("acme").unwrap();
        let answer = source.client().get(vendor.url("/orders")).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), vendor.logins()), (200, 1), "{lines}");
        assert_eq!(source.token().await.unwrap().expiry_from(), ExpiryFrom::Jwt, "{lines}");
    }
}

#[tokio::test]
async fn the_response_sets_the_lifetime_of_the_token_in_every_unit() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for (expiry, field, header, from) in [
        ("", json!(1800), "", ExpiryFrom::Json), // expires_in, without `expiry` in the profile
        ("expiry = { json = \"/ttl\" }", json!(1800), "", ExpiryFrom::Json),
        ("expiry = { json = \"/ttl\" }", json!("1800"), "", ExpiryFrom::Json),
        ("expiry = { json = \"/ttl\", unit = \"s\" }", json!(1800.0), "", ExpiryFrom::Json),
        ("expiry = { json = \"/ttl\", unit = \"ms\" }", json!(1_800_000), "", ExpiryFrom::Json),
        ("expiry = { json = \"/ttl\", unit = \"min\" }", json!(30), "", ExpiryFrom::Json),
        ("expiry = { json = \"/ttl\", unit = \"epoch\" }", json!(now + 1800), "", ExpiryFrom::Json),
        (
            "expiry = { json = \"/ttl\", unit = \"epoch-ms\" }",
            json!((now + 1800) * 1000),
            "",
            ExpiryFrom::Json,
        ),
        (
            "expiry = { json = \"/ttl\", unit = \"iso8601\" }",
            json!(iso(now + 1800, 0, "Z")),
            "",
            ExpiryFrom::Json,
        ),
        (
            "expiry = { json = \"/ttl\", unit = \"iso8601\" }",
            json!(iso(now + 1800, 3600, ".5+01:00")),
            "",
            ExpiryFrom::Json,
        ),
        ("expiry = { header = \"X-Ttl\" }", json!(null), "X-TTL: 1800", ExpiryFrom::Header),
        (
            "expiry = { header = \"x-ttl\", unit = \"min\" }",
            json!(null),
            "X-TTL: 30",
            ExpiryFrom::Header,
        ),
        ("expiry = { fixed = \"30m\" }", json!(7), "", ExpiryFrom::Fixed),
        ("expiry = { json = \"/ttl\" }\nmax_age = \"30m\"", json!(1e9), "", ExpiryFrom::Json),
        (
            "expiry = { json = \"/absent\" }\ndefault_life = \"30m\"",
            json!(7),
            "",
            ExpiryFrom::Default,
        ),
        (
            "expiry = { json = \"/ttl\" }\ndefault_life = \"30m\"",
            json!("soon"),
            "",
            ExpiryFrom::Default,
        ),
        ("expiry = { jwt = true }\ndefault_life = \"30m\"", json!(7), "", ExpiryFrom::Default),
        ("expiry = \"on-reject\"\nmax_age = \"30m\"", json!(7), "", ExpiryFrom::OnReject),
    ] {
        let name = if expiry.is_empty() { "expires_in" } else { "ttl" };
        let body = json!({ "access_token": "opaque", name: field }).to_string();
        let header = if header.is_empty() { "X-No: 1" } else { header };
        let raw = Raw::start(move |_| reply(200, &[header], &body));
        let token = raw.source(expiry).token().await.unwrap();
        let lifetime = token.lifetime().as_secs_f64();
        // Some time has passed since `now`, more on a loaded machine.
        assert!((1740.0..=1800.5).contains(&lifetime), "{expiry}: {lifetime}");
        assert_eq!(token.expiry_from(), from, "{expiry}");
    }
}

/// A Unix time as RFC 3339, `ahead` seconds east of Greenwich, with the suffix `end`.
fn iso(at: u64, ahead: u64, end: &str) -> String {
    let (days, seconds) = ((at + ahead) / 86_400, (at + ahead) % 86_400);
    // Howard Hinnant's civil_from_days, for dates after 1970.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let (day, month) =
        (day_of_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}{end}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[tokio::test]
async fn an_expired_token_is_never_sent() {
    let acme = acme("");
    acme.vendor.lifetime(Duration::from_secs(3)); // on a loaded machine a login may take a third
    assert_eq!(acme.get("/orders").await.unwrap(), 200);
    tokio::time::sleep(acme.source.token().await.unwrap().lifetime()).await;
    assert_eq!(acme.get("/orders").await.unwrap(), 200);
    assert_eq!(acme.vendor.logins(), 2);
    assert_eq!((acme.vendor.rejected_calls(), acme.source.counts().rejections), (0, 0));
}

#[test]
fn a_login_needs_no_runtime_of_the_caller() {
    let acme = acme("");
    let token = acme.source.token_blocking().unwrap();
    assert!(token.claims().unwrap().contains("quickstart"));
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(runtime().block_on(acme.get("/orders")).unwrap(), 200);
    acme.vendor.revoke_all();
    // The runtime of the first calls has ended, and its connections with it.
    assert_eq!(runtime().block_on(acme.get("/orders")).unwrap(), 200);
    assert_eq!(acme.vendor.logins(), 2);
}

#[tokio::test]
async fn a_token_that_is_invalid_in_a_header_is_an_error_that_hides_it() {
    for token in ["", "line\nbreak", "carriage\rreturn", "nul\0", "del\u{7f}"] {
        let raw = Raw::start(move |_| token_reply(token));
        let error = raw.source("").client().get(raw.url("/")).send().await.unwrap_err();
        assert_eq!(error.kind(), Kind::LoginProtocol, "{token:?}: {error}");
        assert!(token.is_empty() || !error.to_string().contains(token), "{error}");
        assert_eq!(raw.calls().len(), 0);
    }
    let raw = Raw::vendor(|_| reply(200, &[], ""));
    let client = raw.source("").client();
    client.get(raw.url("/")).header(AUTHORIZATION, "x").send().await.unwrap();
    assert_eq!(raw.calls()[0].all("authorization"), ["Bearer token-1"]);
}
