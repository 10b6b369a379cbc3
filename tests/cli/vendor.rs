//! `bootseal vendor` behaves as the vendor that a profile describes, for every profile.

use crate::running::{Running, log_with, log_with_times};
use crate::support::Home;
use crate::support::ports::free_port;
use serde_json::Value;

const VALUES: &str = "[acme]\nusername = \"zoë\"\npassword = \"secret:p/ä \\\"s&+%\"\nclient_id = \"me\"\nclient_secret = \"secret:cl1ent:s%c+ret\"\n\
                      otp_seed = \"secret:GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\"\napi_key = \"secret:k\"\n[acme.login]\n";
/// The secrets that are never printed.
const SECRETS: [&str; 4] = ["p/ä", "s%c+ret", "GEZDG", "s&+%"];

/// A vault whose profile names a vendor that does not exist.
fn theirs(login: &str) -> Home {
    Home::with_vault(&format!("{VALUES}{}", login.replace("URL", "https://api.acme.example")))
}

/// The same vault with the running vendor.
fn ours(login: &str, vendor: &Running) -> Home {
    Home::with_vault(&format!(
        "{VALUES}{}",
        login.replace("https://api.acme.example", &vendor.origin).replace("URL", &vendor.origin)
    ))
}

fn login(home: &Home, vendor: &Running) -> Value {
    let ran =
        home.run(&["login", "acme", "--json", "--call", &format!("{}/v1/orders", vendor.origin)]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.err, ran.out);
    serde_json::from_str(&ran.out).unwrap()
}

const JSON: &str = "url = \"URL/v1/login\"\njson = { user = \"${username}\", password = \"${password}\", tenant = \"eu\", n = 1 }\n";

#[test]
fn profiles_with_every_key_log_in_at_their_own_vendor() {
    let form = "url = \"URL/o/token\"\nform = { grant_type = \"password\", user = \"${username}\", password = \"${password}\" }\n";
    let basic = "url = \"URL/token\"\nbasic = true\n";
    let refresh = "capture = [{ json = \"/data/refresh\", as = \"refresh_token\" }, { json = \"/data/id\", as = \"id\" }]\n\
                   [acme.login.refresh]\nurl = \"URL/v1/login\"\njson = { refresh_token = \"${refresh_token}\" }\n\
                   [acme.login.logout]\nmethod = \"DELETE\"\nurl = \"URL/v1/session/${id}?all=no\"\nheaders = { Authorization = \"Bearer ${token}\" }\n";
    let before = "url = \"URL/login\"\nform = { user = \"${username}\", password = \"${password}\", csrf = \"${csrf}\" }\n\
                  headers = { X-CSRF = \"${csrf}\", X-Client = \"bootseal\" }\ntoken = { cookie = \"sid\" }\n\
                  inject = [{ header = \"Cookie\", value = \"sid=${token}; seen=${csrf}\" }, { header = \"X-Api-Key\", value = \"${api_key}\" }]\n\
                  [acme.login.before]\nurl = \"URL/csrf?fresh=1\"\nheaders = { X-CSRF-Token = \"Fetch\" }\ncapture = [{ header = \"X-CSRF-Token\", as = \"csrf\" }]\n";
    for (profile, more, from, lifetime) in [
        (JSON, "", "jwt", 900),
        (JSON, "expiry = { jwt = true }", "jwt", 900),
        (
            form,
            "token = { json = \"/data/a~1b/token\" }\nexpiry = { json = \"/data/exp\" }",
            "json",
            900,
        ),
        (
            form,
            "expiry = { json = \"/exp\", unit = \"ms\" }\ninject = { header = \"X-Token\", value = \"${token}\" }",
            "json",
            900,
        ),
        (form, "expiry = { json = \"/exp\", unit = \"min\" }\nok_status = [201]", "json", 900),
        (basic, "expiry = { json = \"/exp\", unit = \"epoch\" }", "json", 900),
        (
            basic,
            "expiry = { json = \"/exp\", unit = \"epoch-ms\" }\ntoken = { header = \"X-Subject-Token\" }",
            "json",
            900,
        ),
        (
            basic,
            "expiry = { json = \"/exp\", unit = \"iso8601\" }\ntoken = { header = \"X-Subject-Token\" }",
            "json",
            900,
        ),
        (basic, "expiry = { header = \"X-Life\" }\ntoken = { body = \"text\" }", "header", 900),
        (
            basic,
            "expiry = { header = \"X-Until\", unit = \"iso8601\" }\ntoken = { body = \"json-string\" }",
            "header",
            900,
        ),
        (
            basic,
            "expiry = { cookie = \"session\" }\ntoken = { cookie = \"session\" }",
            "cookie",
            900,
        ),
        (
            basic,
            "expiry = { cookie = \"other\" }\ntoken = { cookie = \"session\" }\nrenew_from_answers = true",
            "cookie",
            900,
        ),
        (basic, "expiry = { fixed = \"90s\" }\nmethod = \"GET\"", "fixed", 90),
        (basic, "expiry = \"on-reject\"", "on-reject", 86_400),
        (
            basic,
            "expiry = { fixed = \"90s\", idle = true }\nrefused_when = { json = \"/error\" }\nrejected_when = { json = \"/code\", equals = 7 }",
            "fixed",
            90,
        ),
        (
            "url = \"URL/o/token\"\nbasic = \"oauth\"\nform = { grant_type = \"client_credentials\" }\n",
            "",
            "jwt",
            900,
        ),
        (
            "url = \"URL/a\"\njson = { a = [\"${username}\", { b = \"x-${password}-y\" }], code = \"${totp}\" }\n",
            "totp = { seed = \"otp_seed\" }",
            "jwt",
            900,
        ),
        (JSON, refresh, "jwt", 900),
        (before, "", "default", 300),
    ] {
        let profile = format!("{profile}{more}\n");
        let home = theirs(&profile);
        let vendor = Running::start(&home, &["acme"]);
        let answer = login(&ours(&profile, &vendor), &vendor);
        let last = if profile.contains("logout") {
            " logout: token #1 ended\n"
        } else {
            "200 call: token #1\n"
        };
        let log = log_with(&home, last);
        let seconds = answer["life_seconds"].as_u64().unwrap();
        assert_eq!(
            (&answer["expiry_from"], answer["call"]["status"].as_u64()),
            (&from.into(), Some(200)),
            "{profile}{answer}{log}"
        );
        assert!((lifetime - 2..=lifetime).contains(&seconds), "{profile}{answer}");
        assert!(log.contains("200 call: token #1\n"), "{log}");
        assert!(!SECRETS.iter().any(|secret| log.contains(secret)), "{log}");
        if profile.contains("logout") {
            assert!(log.contains("DELETE /v1/session/${id} 204 logout: token #1 ended\n"), "{log}");
        }
    }
}

#[test]
fn the_vendor_misbehaves_as_its_options_say() {
    let home = theirs(JSON);
    for (options, code, class, says) in [
        (
            ["acme", "--refuse"].as_slice(),
            5,
            "refused",
            "POST /v1/login 401 login: refused, as requested",
        ),
        (&["acme", "--down"], 6, "down", "POST /v1/login 503 down"),
        (&["acme", "--slow=1m"], 6, "down", ""),
    ] {
        let vendor = Running::start(&home, options);
        let ran = ours(&format!("{JSON}login_timeout = \"3s\"\n"), &vendor)
            .run(&["login", "acme", "--json"]);
        let answer: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!((ran.code, &answer["class"]), (code, &class.into()), "{options:?} {answer}");
        let log = log_with(&home, says);
        assert!(log.contains(says), "{log}");
    }
    // Each token is revoked before it can be used: one login, one rejected call, another login.
    let vendor = Running::start(&home, &["acme", "--revoke-every", "1ns", "--life", "7s"]);
    let answer = login(&ours(JSON, &vendor), &vendor);
    assert_eq!(answer["call"]["status"], 401);
    assert!((6..=7).contains(&answer["life_seconds"].as_u64().unwrap()), "{answer}");
    let rejected = "GET /v1/orders 401 call: rejected, token #";
    let log = log_with_times(&home, rejected, 2);
    assert_eq!(log.matches(rejected).count(), 2, "{log}");
    assert!(log.contains("token #2 was revoked"), "{log}");
}

#[test]
fn a_request_that_differs_from_the_profile_is_reported_without_a_secret() {
    let home = theirs(JSON);
    let vendor = Running::start(&home, &["acme"]);
    for (json, says) in [
        (
            "json = { user = \"${username}\", password = \"${password}\", tenant = \"us\", n = 1 }",
            "its JSON value at `/tenant` differs from the profile",
        ),
        (
            "json = { user = \"${username}\", password = \"${password}\", tenant = \"eu\" }",
            "its JSON has nothing at `/n`",
        ),
        ("form = { user = \"${username}\", password = \"${password}\" }", "its body is not JSON"),
    ] {
        let ran =
            ours(&format!("url = \"URL/v1/login\"\n{json}\n"), &vendor).run(&["login", "acme"]);
        assert_eq!(ran.code, 5, "{}", ran.err);
        let line = format!("POST /v1/login 400 does not match the profile: {says}\n");
        let log = log_with(&home, &line);
        assert!(log.contains(&line), "{log}");
        assert!(!SECRETS.iter().any(|secret| log.contains(secret)), "{log}");
    }
    let ran = ours("url = \"URL/elsewhere\"\nbasic = true\n", &vendor).run(&["login", "acme"]);
    assert_eq!(ran.code, 5, "{}", ran.err);
    let line =
        "POST /elsewhere 401 call: rejected, its header `Authorization` differs from the profile";
    let log = log_with(&home, line);
    assert!(log.contains(line), "{log}");
}

#[test]
fn the_vendor_prints_its_address_and_ends_on_ctrl_c() {
    let home = theirs(JSON);
    let vendor = Running::start(&home, &["acme"]);
    assert!(vendor.origin.starts_with("http://127.0.0.1:"));
    let log = home.read("vendor.log");
    for words in [
        "listens at http://127.0.0.1:",
        "bootseal profile acme --from app.sealed.toml --url http://127.0.0.1:",
        "bootseal login acme -f dev.sealed.toml",
    ] {
        assert!(log.contains(words), "{log}");
    }
    assert_eq!(vendor.interrupt(), (Some(0), String::new()));
    assert!(home.read("vendor.log").ends_with("bootseal: the simulated vendor has stopped\n"));

    // With --json, a document at start and one for each request.
    let vendor = Running::start(&home, &["acme", "--json", "--port", &free_port().to_string()]);
    let document: Value = serde_json::from_str(&vendor.origin).unwrap();
    let origin = document["url"].as_str().unwrap().to_owned();
    let at = ours(&JSON.replace("URL", &origin), &vendor);
    at.ok(&["login", "acme"]);
    let line: Value = serde_json::from_str(log_with(&home, "\n").lines().next().unwrap()).unwrap();
    assert_eq!((&line["path"], &line["status"]), (&"/v1/login".into(), &200.into()));

    // A profile with a loopback address is served at that address; a port in use is an error.
    let mine = Home::with_vault(&format!("{VALUES}{}", JSON.replace("URL", &origin)));
    let ran = mine.run(&["vendor", "acme"]);
    assert!(
        ran.code == 1 && ran.err.contains("cannot listen at") && ran.err.contains("--port"),
        "{}",
        ran.err
    );
    drop(vendor);
    let again = Running::start(&mine, &["acme"]);
    assert_eq!(again.origin, origin);
    assert!(
        mine.read("vendor.log").contains(&format!("bootseal login acme --call {origin}/orders"))
    );
    mine.ok(&["login", "acme"]);
}

#[test]
fn the_vendor_needs_no_key_and_an_error_lists_the_profiles() {
    let home = theirs(JSON);
    std::fs::remove_file(home.at(".config/bootseal/identity.txt")).unwrap();
    let vendor = Running::start(&home, &["acme"]);
    drop(vendor);
    let ran = home.run(&["vendor", "bank"]);
    assert!(ran.code == 1 && ran.err.contains("The file has profiles for: acme"), "{}", ran.err);
    let ran = home.run(&["vendor", "acme", "--revoke-every", "soon"]);
    assert_eq!(ran.code, 2, "{}", ran.err);
}

#[test]
fn a_refused_login_names_possible_faults_of_the_values() {
    let home = theirs(JSON);
    let vendor = Running::start(&home, &["acme", "--refuse"]);
    let ours = ours(JSON, &vendor);
    ours.ok_with(&["set", "acme.username", "-"], " zo\u{200b}\u{eb}".as_bytes());
    ours.ok_with(&["set", "acme.password", "-"], "p\u{a0}w \n".as_bytes());
    let ran = ours.run(&["login", "acme", "--json"]);
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(ran.code, 5);
    for (index, name, remarks) in [
        (0, "acme.password", ["ends with a blank", "contains a no-break space"]),
        (1, "acme.username", ["begins with a blank", "contains an invisible character"]),
    ] {
        let value = &answer["values"][index];
        assert_eq!(
            (&value["name"], &value["remarks"]),
            (&name.into(), &remarks.as_slice().into()),
            "{answer}"
        );
        assert!(value["set_at"].as_str().unwrap().ends_with('Z'));
    }
    let ran = ours.run(&["login", "acme"]);
    for words in [
        "acme.password was set 20",
        ", just now; it ends with a blank; it contains a no-break space\n",
    ] {
        assert!(ran.err.contains(words), "{}", ran.err);
    }
    assert!(!ran.err.contains("zo") && !ran.err.contains("p\u{a0}w"), "{}", ran.err);
}
