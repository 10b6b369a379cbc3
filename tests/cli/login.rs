//! `login` logs in as a profile says and reports the vendor's response without the token.

use crate::answers::{code_of, document, error_in, fails, keys};
use crate::support::Home;
use serde_json::{Value, json};
use std::io::{BufRead, Write};

/// A home with a profile `acme` at `vendor` and these further keys.
fn with_login(
    vendor: &bootseal_vendor_sim::Vendor,
    path: &str,
    password: &str,
    more: &str,
) -> Home {
    let home = Home::new();
    let ca = if vendor.ca_pem().is_empty() {
        String::new()
    } else {
        format!("ca = '''\n{}'''\n", vendor.ca_pem())
    };
    home.write(
        "app.toml",
        format!(
            "[acme]\nusername = \"quickstart\"\npassword = \"secret:{password}\"\n[acme.login]\nurl = \"{}\"\njson.username = \"${{username}}\"\njson.password = \"${{password}}\"\n{ca}{more}",
            vendor.url(path)
        ),
    );
    home.ok(&["seal", "app.toml"]);
    home
}

#[test]
fn login_describes_the_response_and_shows_the_token_only_on_request() {
    let vendor = bootseal_vendor_sim::Vendor::start().unwrap();
    let home = with_login(&vendor, "/login", "open sesame", "");
    let login = document(&home, &["login", "acme"]);
    assert_eq!(
        keys(&login),
        [
            "call",
            "claims",
            "class",
            "expiry_from",
            "inject",
            "life_seconds",
            "profile",
            "retry_after_seconds",
            "status"
        ]
    );
    assert!(login["life_seconds"].as_u64().is_some() && login["claims"].is_object(), "{login}");
    for (key, value) in [
        ("profile", json!("acme")),
        ("class", json!("ok")),
        ("status", json!(200)),
        ("expiry_from", json!("jwt")),
        ("inject", json!({ "header": "Authorization" })),
        ("retry_after_seconds", json!(null)),
        ("call", json!(null)),
    ] {
        assert_eq!(login[key], value, "{key}");
    }
    let shown = document(&home, &["login", "acme", "--reveal", "--call", &vendor.url("/orders")]);
    assert_eq!(shown["call"], json!({ "status": 200 }));
    let other = bootseal_vendor_sim::Vendor::start().unwrap();
    let logins = vendor.logins();
    let ran = home.run(&["login", "acme", "--call", &other.url("/orders")]);
    assert_eq!(vendor.logins(), logins, "it makes no login");
    assert!(
        ran.code != 0 && other.seen().is_empty(),
        "the token goes to no other host: {}",
        ran.err
    );
    let token = shown["token"].as_str().unwrap();
    assert_eq!(token.matches('.').count(), 2, "a JWT");
    let ran = home.run(&["login", "acme"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(
        ran.out.starts_with("acme: logged in, status 200\n  the token's lifetime is "),
        "{}",
        ran.out
    );
    assert!(!ran.out.contains("eyJ") && !ran.out.contains("sesame"), "{}", ran.out);
    assert_eq!(vendor.logins(), 3, "one for each run");
}

#[test]
fn login_reports_the_vendors_retry_after() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/login", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = std::io::BufReader::new(stream.unwrap());
            let mut line = String::new();
            while stream.read_line(&mut line).unwrap() > 2 {
                line.clear();
            }
            let answer = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 90\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    });
    let home = Home::new();
    home.write(
        "app.toml",
        format!(
            "[acme]\nusername = \"bob\"\npassword = \"secret:hunter2\"\n[acme.login]\nurl = \"{url}\"\nbasic = true\n"
        ),
    );
    home.ok(&["seal", "app.toml"]);
    let ran = home.run(&["login", "acme", "--json"]);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(document["class"], "throttled");
    // A little later than requested, so that not all clients come back at once.
    let seconds = document["retry_after_seconds"].as_u64().unwrap();
    assert!((90..=99).contains(&seconds), "{document}");
    let ran = home.run(&["login", "acme"]);
    assert!(ran.err.contains("try again in 9"), "{}", ran.err);
}

#[test]
fn login_reports_the_class_of_a_failure() {
    let vendor = bootseal_vendor_sim::Vendor::start().unwrap();
    let check = |home: &Home, class: &str| {
        let ran = home.run(&["login", "acme", "--json"]);
        let kind = format!("login-{class}");
        assert_eq!(error_in(&ran)["kind"], kind, "{}", ran.err);
        assert_eq!(error_in(&ran)["file"], "app.sealed.toml", "{}", ran.err);
        let document: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!((&document["class"], ran.code), (&json!(class), code_of(&kind)), "{document}");
        for text in [&ran.out, &ran.err] {
            assert!(!text.contains("sesame") && !text.contains("panicked"), "{text}");
        }
        let ran = home.run(&["login", "acme"]);
        assert_eq!((ran.code, ran.out.as_str()), (code_of(&kind), ""), "{}", ran.err);
        ran.err
    };
    let text = check(&with_login(&vendor, "/login", "not sesame ", ""), "refused");
    assert!(
        text.contains("acme.password was set 20") && text.contains("ends with a blank"),
        "{text}"
    );
    let text = check(
        &with_login(&vendor, "/login", "open sesame", "token.json = \"/nope\"\n"),
        "protocol",
    );
    assert!(
        text.contains("; there is `/access_token`") && text.contains("bootseal edit"),
        "{text}"
    );
    assert!(!text.contains("bootseal login"), "it was just run: {text}");
    let home = with_login(&vendor, "/login", "open sesame", "");
    vendor.down(true);
    let text = check(&home, "down");
    assert!(
        !text.contains("next attempt") && text.contains("Check that the vendor is up"),
        "{text}"
    );
    vendor.down(false);
    let other = bootseal_vendor_sim::Vendor::start().unwrap();
    let home = with_login(&vendor, "/login", "open sesame", "");
    home.write("app.toml", home.read("app.toml").replace(vendor.ca_pem(), other.ca_pem()));
    std::fs::remove_file(home.at("app.sealed.toml")).unwrap();
    home.ok(&["seal", "app.toml"]);
    check(&home, "tls");
    drop(other);
}

#[test]
fn login_needs_a_working_profile_an_identity_and_a_trusted_vault() {
    let vendor = bootseal_vendor_sim::Vendor::start().unwrap();
    let home = with_login(&vendor, "/login", "open sesame", "");
    fails(&home, &["login", "acne"], "not-found");
    fails(&home, &["login"], "usage");
    let stranger = Home::new();
    std::fs::copy(home.at("app.sealed.toml"), stranger.at("app.sealed.toml")).unwrap();
    assert!(fails(&stranger, &["login", "acme"], "wrong-vault").contains("--pin vault1"));
    fails(&stranger, &["login", "acme", "--pin", &home.vault_id()], "no-identity");
    assert_eq!(vendor.logins() + vendor.refused_logins(), 0, "nothing was sent");
    let broken = with_login(&vendor, "/login", "open sesame", "unknown_key = 1\n");
    fails(&broken, &["login", "acme"], "malformed");
}

#[test]
fn login_is_not_stopped_by_another_broken_profile() {
    let vendor = bootseal_vendor_sim::Vendor::start().unwrap();
    let home = with_login(&vendor, "/login", "open sesame", "");
    home.ok(&["set", "later.login.url", "--plain", "https://later.example/login"]);
    fails(&home, &["login", "acne"], "not-found");
    home.ok(&["login", "acme"]);
}
