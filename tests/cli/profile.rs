//! `profile` writes working login profiles from presets, another vault and curl commands, and no
//! secret leaves the file.

use crate::running::{Running, log_with, log_with_times};
use crate::support::ports::free_port;
use crate::support::{Home, Ran, at_a_terminal, unseen};
use crate::vendor_process::Process;
use serde_json::Value;

const USER: [&str; 2] = ["zoë", "p/ä \"s"];
const SECRET: &str = "cl1ent:s%c+ret";

fn empty() -> Home {
    let home = Home::new();
    home.ok(&["init"]);
    home
}

fn set(home: &Home, file: &str, path: &str, value: &str) {
    home.ok_with(&["set", path, "-", "-f", file], value.as_bytes());
}

fn document(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran:?}"))
}

/// The readable lines of the file, up to the header.
fn readable(home: &Home) -> String {
    let text = home.read("app.sealed.toml");
    text.split("[bootseal]")
        .next()
        .unwrap()
        .lines()
        .filter(|line| !line.contains("sealed:"))
        .collect::<Vec<_>>()
        .join("\n")
}

// ---- Presets

#[test]
fn each_preset_logs_in_at_its_own_simulated_vendor() {
    let home = empty();
    let presets: Value = serde_json::from_str(&home.ok(&["profile", "--list", "--json"])).unwrap();
    let presets = presets["presets"].as_array().unwrap();
    assert!(presets.len() >= 10);
    home.ok(&["init", "-f", "dev.sealed.toml"]);
    for file in ["app.sealed.toml", "dev.sealed.toml"] {
        for preset in presets {
            let name = preset["name"].as_str().unwrap();
            for value in preset["sealed"].as_array().unwrap() {
                // HTTP Basic does not allow a colon in the user name.
                let text = if value == "username" { "zoë" } else { SECRET };
                set(&home, file, &format!("{name}.{}", value.as_str().unwrap()), text);
            }
        }
    }
    home.ok(&["set", "keystone.project", "--plain", "demo", "-f", "app.sealed.toml"]);
    let expected = [
        ("simplejwt", "/api/token/", "jwt", "Authorization"),
        ("knox", "/api/auth/login/", "json", "Authorization"),
        ("keycloak", "/realms/main/protocol/openid-connect/token", "json", "Authorization"),
        ("oauth2-password", "/o/token/", "json", "Authorization"),
        ("oauth2-client-credentials", "/o/token/", "json", "Authorization"),
        ("airflow", "/auth/token", "jwt", "Authorization"),
        ("superset", "/api/v1/security/login", "jwt", "Authorization"),
        ("directus", "/auth/login", "json", "Authorization"),
        ("keystone", "/v3/auth/tokens", "json", "X-Auth-Token"),
        ("strapi", "/api/auth/local", "jwt", "Authorization"),
        ("couchdb", "/_session", "default", "Cookie"),
        ("cookie-session", "/o/token/", "cookie", "Cookie"),
        ("webmethods", "/invoke/pub.apigateway.oauth2/getAccessToken", "json", "Authorization"),
    ];
    assert_eq!(expected.len(), presets.len(), "a preset without a test");
    for (name, path, from, header) in expected {
        let url = match path {
            "/o/token/" => "https://api.acme.example/o/token/",
            _ if name == "keycloak" => "https://api.acme.example/realms/main",
            _ => "https://api.acme.example",
        };
        let ran = home.run(&[
            "profile",
            name,
            "--preset",
            name,
            "--url",
            url,
            "--json",
            "-f",
            "app.sealed.toml",
        ]);
        assert_eq!(
            (ran.code, &document(&ran)["url"]),
            (0, &format!("https://api.acme.example{path}").into()),
            "{}",
            ran.err
        );
        let port = free_port().to_string();
        let vendor = Running::start(&home, &[name, "-f", "app.sealed.toml", "--port", &port]);
        let from_theirs = [
            "profile",
            name,
            "--from",
            "app.sealed.toml",
            "--url",
            &vendor.origin,
            "-f",
            "dev.sealed.toml",
        ];
        home.ok(&from_theirs);
        let call = format!("{}/v1/orders", vendor.origin);
        let ran = home.run(&["login", name, "--call", &call, "--json", "-f", "dev.sealed.toml"]);
        let (answer, log) = (document(&ran), home.read("vendor.log"));
        assert_eq!(
            (
                ran.code,
                &answer["class"],
                &answer["expiry_from"],
                &answer["inject"]["header"],
                answer["call"]["status"].as_u64()
            ),
            (0, &"ok".into(), &from.into(), &header.into(), Some(200)),
            "{name} {}{log}",
            ran.err
        );
        drop(vendor);
        let vendor =
            Running::start(&home, &[name, "-f", "app.sealed.toml", "--refuse", "--port", &port]);
        let ran = home.run(&["login", name, "--json", "-f", "dev.sealed.toml"]);
        assert_eq!(
            (ran.code, &document(&ran)["class"]),
            (5, &"refused".into()),
            "{name} {}",
            ran.err
        );
        drop(vendor);
    }
    home.ok(&["verify", "--as-loader", "-f", "app.sealed.toml", "--pin", &home.vault_id()]);
}

/// Logs in with a preset at a third-party server, and makes a call with the token.
fn at_a_real_vendor(
    process: &Process,
    preset: &str,
    path: &str,
    values: &[(&str, &str)],
    call: &str,
) -> Value {
    let home = empty();
    for (name, value) in values {
        set(&home, "app.sealed.toml", &format!("acme.{name}"), value);
    }
    let url = process.url(path);
    let mut args = vec!["profile", "acme", "--preset", preset, "--url", &url];
    if !process.ca.is_empty() {
        home.write("ca.pem", &process.ca);
        args.extend(["--ca", "ca.pem"]);
    }
    home.ok(&args);
    let ran = home.run(&["login", "acme", "--json", "--call", &process.url(call)]);
    let answer = document(&ran);
    assert_eq!(
        (ran.code, answer["call"]["status"].as_u64()),
        (0, Some(200)),
        "{}{answer}",
        ran.err
    );
    answer
}

#[test]
fn presets_log_in_at_real_vendors() {
    let user = [("username", USER[0]), ("password", USER[1])];
    let jwt = Process::python("simplejwt.py", USER, &[]);
    assert_eq!(
        at_a_real_vendor(&jwt, "simplejwt", "", &user, "/api/whoami/")["expiry_from"],
        "jwt"
    );
    drop(jwt);
    let knox = Process::python("rest_knox.py", USER, &[]);
    assert_eq!(at_a_real_vendor(&knox, "knox", "", &user, "/api/whoami/")["expiry_from"], "json");
    drop(knox);
    let oauth = Process::python("oauth_toolkit.py", USER, &[]);
    let machine = [("client_id", "machine"), ("client_secret", SECRET)];
    let people = [user[0], user[1], ("client_id", "people"), ("client_secret", SECRET)];
    let presets = [
        ("oauth2-password", people.as_slice()),
        ("keycloak", &people),
        ("oauth2-client-credentials", &machine),
    ];
    for (preset, values) in presets {
        let answer = at_a_real_vendor(&oauth, preset, "/o/token/", values, "/api/whoami/");
        assert_eq!(
            (&answer["expiry_from"], answer["life_seconds"].as_u64()),
            (&"json".into(), Some(300))
        );
    }
    drop(oauth);
    let couch = Process::pouchdb(USER, &[]);
    assert_eq!(
        at_a_real_vendor(&couch, "couchdb", "", &user, "/orders")["inject"]["header"],
        "Cookie"
    );
}

#[test]
fn an_existing_profile_is_replaced_only_with_force() {
    let home = empty();
    set(&home, "app.sealed.toml", "acme.username", "zoë");
    set(&home, "app.sealed.toml", "acme.password", "x");
    let profile = |more: &[&str]| {
        home.run(&[&["profile", "acme", "--url", "https://a.example", "--preset"], more].concat())
    };
    assert_eq!(profile(&["airflow"]).code, 0);
    let before = home.read("app.sealed.toml");
    let ran = profile(&["strapi"]);
    assert!(
        ran.code == 1
            && ran.err.contains("there is already such a profile")
            && ran.err.contains("--force"),
        "{}",
        ran.err
    );
    assert_eq!(home.read("app.sealed.toml"), before);
    assert_eq!(profile(&["strapi", "--force"]).code, 0);
    let text = readable(&home);
    assert!(
        text.contains("/api/auth/local")
            && text.contains("identifier")
            && !text.contains("/auth/token"),
        "{text}"
    );
    home.ok(&["verify"]);
    assert_eq!(home.ok(&["get", "acme.password"]), "x");
    // No key of the old table stays, in whatever way it was written; the table keeps its place.
    home.ok(&["set", "acme.login.form.p", "--plain", "${password}"]);
    home.ok(&["set", "acme.login.headers.X", "--plain", "y"]);
    home.ok(&["set", "zoo.ape", "--plain", "1"]);
    assert_eq!(profile(&["airflow", "--force"]).code, 0);
    let text = readable(&home);
    let table = text.split("[acme.login]").nth(1).unwrap().split("[zoo]").next().unwrap();
    for gone in ["form", "headers", "identifier", "/api/auth/local"] {
        assert!(!table.contains(gone), "{gone}: {text}");
    }
    assert!(text.ends_with("[zoo]\nape = \"1\"\n\n") || text.ends_with("ape = \"1\"\n"), "{text}");
    assert_eq!(text.matches("[acme.login]").count(), 1, "{text}");
}

#[test]
fn an_error_about_missing_input_names_the_next_step() {
    let home = empty();
    for (args, code, words) in [
        (["profile", "acme"].as_slice(), 2, "--preset KIND (bootseal profile --list"),
        (&["profile", "acme", "--preset", "jwt"], 2, "The presets are: simplejwt, knox"),
        (&["profile", "acme", "--preset", "airflow"], 2, "Name it: --url URL"),
        (
            &["profile", "acme", "--preset", "airflow", "--url", "https://a.example"],
            2,
            "bootseal set acme.username; bootseal set acme.password",
        ),
        (&["profile", "acme", "--preset", "airflow", "--url", "a.example"], 2, "is not a URL"),
        // These errors come before the prompts for user and password.
        (
            &["profile", "acme", "--preset", "airflow", "--url", "http://a.example"],
            2,
            "--url is not https",
        ),
        (
            &["profile", "acme", "--preset", "airflow", "--url", "https://u:hunter2@a.example"],
            2,
            "contains credentials",
        ),
        (
            &["profile", "acme", "--preset", "keycloak", "--url", "https://a.example"],
            2,
            "https://a.example/realms/*/protocol",
        ),
        (
            &["profile", "acme", "--preset", "keystone", "--url", "https://a.example"],
            2,
            "bootseal set acme.project --plain NAME",
        ),
        (&["profile", "acme", "--from", "other.sealed.toml"], 1, "other.sealed.toml"),
        (
            &["profile", "acme", "--from-curl", "curl -u u:hunter2 https://a.example"],
            2,
            "must never be an argument",
        ),
    ] {
        let ran = home.run(args);
        assert_eq!(ran.code, code, "{args:?} {}", ran.err);
        assert!(ran.err.contains(words) && !ran.err.contains("hunter2"), "{args:?} {}", ran.err);
    }
    assert!(!home.read("app.sealed.toml").contains("a.example"));
}

#[test]
fn the_user_name_is_typed_with_echo_and_the_password_twice_without() {
    let home = empty();
    let answers = [
        ("What is the vendor's address", "http://127.0.0.1:9\n"),
        ("acme.username: ", "zoë\n"),
        ("acme.password: ", "hunter2\n"),
        ("acme.password, again: ", "hunter3\n"),
        // After a mismatch, only this prompt is repeated.
        ("differ; type them again\r\nacme.password: ", "hunter2\n"),
        ("acme.password, again: ", "hunter2\n"),
    ];
    let Some((code, seen, echo)) =
        at_a_terminal(&home, &["profile", "acme", "--preset", "simplejwt"], &answers)
    else {
        panic!("no Python")
    };
    assert_eq!((code, echo.as_str()), (0, "echo"), "{seen}");
    assert!(seen.contains("acme.username: zoë\n") && !seen.contains("hunter"), "{seen}");
    assert_eq!(seen.matches("acme.username").count(), 1, "{seen}");
    assert!(
        seen.contains("[acme.login] logs in to http://127.0.0.1:9/api/token/")
            && seen.contains("bootseal login acme"),
        "{seen}"
    );
    assert_eq!(
        (home.ok(&["get", "acme.username"]), home.ok(&["get", "acme.password"])),
        ("zoë".into(), "hunter2".into())
    );
    // The prompt for a setting that is not secret echoes it and shows its default.
    let answers = [
        ("The cookie's name [session]: ", "sid\n"),
        ("x.username: ", "a\n"),
        ("x.password: ", "b\n"),
        ("again: ", "b\n"),
    ];
    let args = ["profile", "x", "--preset", "cookie-session", "--url", "https://a.example/login"];
    let (code, seen, _) = at_a_terminal(&home, &args, &answers).unwrap();
    assert_eq!(code, 0, "{seen}");
    assert!(
        readable(&home).contains("token = { cookie = \"sid\" }\nexpiry = { cookie = \"sid\" }"),
        "{}",
        readable(&home)
    );
}

#[test]
fn a_setting_without_a_default_is_asked_for_until_it_is_given() {
    let home = empty();
    let before = home.read("app.sealed.toml");
    let args = ["profile", "acme", "--preset", "keystone"];
    for answers in [
        &[("What is the vendor's address (https://…)? ", "\n")][..],
        &[
            ("What is the vendor's address (https://…)? ", "https://a.example\n"),
            ("The project's name: ", "\n"),
        ],
        &[("What is the vendor's address (https://…)? ", "\x03")],
    ] {
        let ran = home.typed(&args, &[], answers);
        assert!(ran.code != 0 && home.read("app.sealed.toml") == before, "{answers:?}: {ran:?}");
    }
    let answers = [
        ("What is the vendor's address (https://…)? ", "https://a.example\n"),
        ("The project's name: ", "billing\n"),
        ("The project's domain [Default]: ", "\n"),
        ("The user's domain [Default]: ", "people\n"),
        ("acme.username: ", "zoë\n"),
        ("*acme.password: ", "hunter2\n"),
        ("*acme.password, again: ", "hunter2\n"),
    ];
    let ran = home.typed(&args, &[], &answers);
    assert!(ran.code == 0 && !ran.out.contains("hunter2"), "{ran:?}");
    for (path, value) in
        [("project", "billing"), ("project_domain", "Default"), ("user_domain", "people")]
    {
        assert_eq!(home.ok(&["get", &format!("acme.{path}")]), value);
    }
}

// ---- Another vault

#[test]
fn a_profile_is_copied_from_another_vault_without_its_secrets() {
    let home = Home::with_vault(
        "[acme]\ntenant = \"eu\"\npassword = \"secret:theirs\"\n[acme.login]\nurl = \"https://api.acme.example/login\"\n\
         json = { t = \"${tenant}\", p = \"${password}\", n = [1, 2.5, true] }\nhosts = [\"api2.acme.example\"]\nmax_age = \"2h\"\n\
         [acme.login.logout]\nurl = \"https://api2.acme.example/out\"\n[more.login]\nlike = \"acme\"\nmax_age = \"1h\"\n[more]\ntenant = \"us\"\npassword = \"secret:more\"\n",
    );
    home.ok(&["init", "-f", "dev.sealed.toml"]);
    set(&home, "dev.sealed.toml", "more.password", "own");
    home.ok(&["profile", "more", "--from", "app.sealed.toml", "-f", "dev.sealed.toml"]);
    let text = home.read("dev.sealed.toml");
    for line in [
        "tenant = \"us\"",
        "hosts = [\"api2.acme.example\"]",
        "max_age = \"1h\"",
        "n = [1, 2.5, true]",
        "[more.login.logout]",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert_eq!(home.ok(&["get", "more.password", "-f", "dev.sealed.toml"]), "own");
    let ran = home.run(&["profile", "acme", "--from", "app.sealed.toml", "-f", "dev.sealed.toml"]);
    assert!(ran.code == 2 && ran.err.contains("bootseal set acme.password"), "{}", ran.err);
    // A file from someone else is untrusted: it would decide where a password is sent.
    let stranger = Home::with_vault(
        "[acme]\npassword = \"secret:x\"\n[acme.login]\nurl = \"https://evil.example\"\njson = { p = \"${password}\" }\n",
    );
    home.write("theirs.sealed.toml", stranger.read("app.sealed.toml"));
    let ran = home.run(&["profile", "x", "--from", "theirs.sealed.toml", "-f", "dev.sealed.toml"]);
    assert_eq!(ran.code, 3, "{}", ran.err);
}

// ---- Curl lines

/// The secrets in the lines below; the last one is "hun ter2" in base64. All are too long to occur
/// by chance in ciphertext.
const HIDDEN: [&str; 6] = ["hun ter2", "hun+ter2", "hun%20ter2", "zoe@", "s3cr3t", "aHVuIHRlcjI"];

fn from_curl(home: &Home, line: &str, more: &[&str]) -> Ran {
    let ran =
        home.run_with(&[&["profile", "acme", "--from-curl", "-"], more].concat(), line.as_bytes());
    for hidden in HIDDEN {
        assert!(!ran.out.contains(hidden) && !ran.err.contains(hidden), "{hidden}: {ran:?}");
    }
    ran
}

#[test]
fn curl_lines_of_every_shape_become_profiles() {
    let json = "json = { password = \"${password}\", user = \"${username}\" }";
    let form = "form = { username = \"${username}\", password = \"${password}\" }";
    let url = "url = \"https://a.example/login\"\n";
    for (line, expected, sealed) in [
        (
            r#"curl -X POST https://a.example/login -H "Content-Type: application/json" -d '{"user":"zoe@","password":"hun ter2"}'"#,
            json,
            ["username", "password"].as_slice(),
        ),
        (
            r#"curl --json '{"user":"zoe@","password":"hun ter2"}' https://a.example/login"#,
            json,
            &["username", "password"],
        ),
        (
            "curl https://a.example/login -d username=zoe@ -d 'password=hun+ter2'",
            form,
            &["username", "password"],
        ),
        (
            "curl -sSLX POST --url=https://a.example/login --data 'username=zoe@&password=hun%20ter2' | jq .",
            form,
            &["username", "password"],
        ),
        (
            "curl https://a.example/login --data-urlencode username=zoe@ --data-urlencode 'password=hun ter2'",
            form,
            &["username", "password"],
        ),
        (
            "curl -u 'zoe@:hun ter2' https://a.example/login",
            "method = \"GET\"\nbasic = true",
            &["username", "password"],
        ),
        (
            "curl -u'zoe@:hun ter2' -XPOST https://a.example/login",
            "basic = true",
            &["username", "password"],
        ),
        (
            "curl -X POST 'https://zoe%40:hun%20ter2@a.example/login'",
            "basic = true",
            &["username", "password"],
        ),
        (
            "curl -X POST -H 'Authorization: Basic em9lQDpodW4gdGVyMg==' https://a.example/login",
            "basic = true",
            &["username", "password"],
        ),
        (
            "curl -u me:s3cr3t https://a.example/login -d grant_type=password -d username=zoe@ -d 'password=hun ter2'",
            "basic = \"oauth\"\nform = { grant_type = \"password\", username = \"${username}\", password = \"${password}\" }",
            &["client_id", "client_secret", "username", "password"],
        ),
        (
            "curl https://a.example/login -d grant_type=client_credentials -d client_id=me -d client_secret=s3cr3t",
            "form = { grant_type = \"client_credentials\", client_id = \"${client_id}\", client_secret = \"${client_secret}\" }",
            &["client_id", "client_secret"],
        ),
        (
            "curl https://a.example/login -H 'X-Api-Key: s3cr3t' -H 'X-Tenant: eu' -H 'Accept: application/vnd.acme+json' -A me --json '{\"email\":\"zoe@\",\"pwd\":\"hun ter2\",\"remember\":true,\"apiKey\":\"s3cr3t\"}'",
            "json = { apiKey = \"${apikey}\", email = \"${username}\", pwd = \"${password}\", remember = true }\nheaders = { X-Api-Key = \"${x_api_key}\", X-Tenant = \"eu\", Accept = \"application/vnd.acme+json\" }",
            &["username", "password", "apikey", "x_api_key"],
        ),
        // A line as browsers copy it for a POSIX shell.
        (
            "curl 'https://a.example/login' \\\n  -H 'accept: */*' \\\n  -H 'accept-language: en' \\\n  -H 'content-type: application/json' \\\n  -b 'sid=s3cr3t' \\\n  -H 'sec-fetch-mode: cors' \\\n  --data-raw $'{\"user\":\"zoe@\",\"password\":\"hun ter2\\'\\u0021\"}' \\\n  --compressed",
            json,
            &["username", "password"],
        ),
        (
            "curl.exe \"https://a.example/login\" -H \"Content-Type: application/json\" -d \"{\\\"user\\\":\\\"zoe@\\\",\\\"password\\\":\\\"hun ter2\\\"}\"",
            json,
            &["username", "password"],
        ),
    ] {
        let home = empty();
        let ran = from_curl(&home, line, &["--no-login", "--json"]);
        assert_eq!(ran.code, 0, "{line}\n{}", ran.err);
        assert!(ran.err.contains("shell's history"), "{}", ran.err);
        let text = home.read("app.sealed.toml");
        assert!(text.contains(&format!("{url}{expected}\n")), "{line}\n{}", readable(&home));
        assert!(!HIDDEN.iter().any(|hidden| text.contains(hidden)), "{line}");
        let mut listed: Vec<String> = document(&ran)["sealed"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap().to_owned())
            .collect();
        listed.sort();
        let mut sealed: Vec<&str> = sealed.to_vec();
        sealed.sort_unstable();
        assert_eq!(listed, sealed, "{line}");
        if sealed.contains(&"password") {
            assert!(home.ok(&["get", "acme.password"]).starts_with("hun ter2"), "{line}");
            assert_eq!(home.ok(&["get", "acme.username"]), "zoe@");
        }
        home.ok(&["verify"]);
    }
}

#[test]
fn curl_lines_that_a_profile_cannot_express_are_refused_with_the_reason() {
    let home = empty();
    let before = home.read("app.sealed.toml");
    let url = "https://a.example/login";
    for (line, words) in [
        (format!("curl {url} -F user=zoe@ -F 'password=hun ter2'"), "multipart/form-data"),
        (format!("curl -G {url} -d 'password=s3cr3t'"), "puts its data into the address"),
        (
            format!("curl ^\"{url}^\" ^\r\n  --data-raw ^\"password=s3cr3t^\""),
            "is quoted for cmd.exe",
        ),
        ("curl 'https://a.example/login?user=x&password=s3cr3t'".into(), "a secret in its address"),
        (format!("curl {url} -d @body.json"), "files are not read"),
        (format!("curl {url} -d \"$(cat s3cr3t)\""), "bootseal runs nothing"),
        (format!("curl {url} -d `id`"), "bootseal runs nothing"),
        (
            format!("curl {url} --json '{{\"user\":\"zoe@\",\"password\":\"hun ter2\"'"),
            "is not JSON (error at column",
        ),
        (
            format!("curl {url} --json '{{\"user\":null,\"password\":\"hun ter2\"}}'"),
            "null at `user`",
        ),
        (format!("curl {url} --json '{{\"user\":\"zoe@\",\"pin\":123}}'"), "a number at `pin`"),
        (format!("curl {url} -d 'a=1&a=2'"), "`a` twice"),
        (format!("curl {url}"), "has no credentials"),
        (format!("wget {url}"), "does not begin with `curl`"),
        (format!("curl {url} s3cr3t"), "two addresses"),
        (format!("curl {url} --s3cr3t"), "an unknown option"),
        (format!("curl {url} -d 'password=s3cr3t"), "within quotes"),
        (format!("curl --oauth2-bearer s3cr3t {url}"), "so it is a call and not a login"),
        (String::new(), "is empty"),
    ] {
        let ran = from_curl(&home, &line, &["--yes"]);
        assert!(ran.code == 2 && ran.err.contains(words), "{line}\n{}", ran.err);
    }
    assert_eq!(home.read("app.sealed.toml"), before);
    // Ambiguous fields are asked for; without a terminal the options name them.
    let line = "curl https://a.example/login -d who=zoe@ -d 'what=hun ter2'";
    let ran = from_curl(&home, line, &["--no-login"]);
    assert!(
        ran.code == 2 && ran.err.contains("Name it: --password-field who | what"),
        "{}",
        ran.err
    );
    let ran = from_curl(
        &home,
        line,
        &["--no-login", "--username-field", "who", "--password-field", "what"],
    );
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(readable(&home).contains("form = { who = \"${username}\", what = \"${password}\" }"));
    assert_eq!(home.ok(&["get", "acme.password"]), "hun ter2");
    // A login is made only after a confirmation.
    let ran =
        from_curl(&home, line, &["--force", "--username-field", "who", "--password-field", "what"]);
    assert!(ran.code == 2 && ran.err.contains("--no-login"), "{}", ran.err);
}

#[test]
fn a_curl_line_is_tried_at_real_vendors_and_its_token_is_found() {
    let jwt = Process::python("simplejwt.py", USER, &[]);
    let oauth = Process::python("oauth_toolkit.py", USER, &[]);
    let knox = Process::python("rest_knox.py", USER, &[]);
    let couch = Process::pouchdb(USER, &[]);
    let [user, password] = USER;
    let body = serde_json::json!({ "username": user, "password": password });
    let session = serde_json::json!({ "name": user, "password": password });
    for (process, line, call, found, more) in [
        (
            &jwt,
            format!("curl {} --json '{body}'", jwt.url("/api/token/")),
            "/api/whoami/",
            "token = { json = \"/access\" }\nexpiry = { jwt = true }",
            "",
        ),
        (
            &oauth,
            format!(
                "curl {} -d grant_type=password -d client_id=people -d client_secret={} --data-urlencode 'username={user}' --data-urlencode 'password={password}'",
                oauth.url("/o/token/"),
                "cl1ent:s%25c%2Bret"
            ),
            "/api/whoami/",
            "token = { json = \"/access_token\" }\nexpiry = { json = \"/expires_in\" }",
            "",
        ),
        (
            &knox,
            format!("curl -u '{user}:{password}' -X POST {}", knox.url("/api/auth/login/")),
            "/api/whoami/",
            "token = { json = \"/token\" }\nexpiry = { json = \"/expiry\", unit = \"iso8601\" }",
            "Token ${token}",
        ),
        (
            &couch,
            format!(
                "curl {} -H 'Content-Type: application/json' -d '{session}'",
                couch.url("/_session")
            ),
            "/orders",
            "token = { cookie = \"AuthSession\" }",
            "",
        ),
    ] {
        let home = empty();
        let mut args = vec!["--yes"];
        if !process.ca.is_empty() {
            home.write("ca.pem", &process.ca);
            args.extend(["--ca", "ca.pem"]);
        }
        let ran = from_curl(&home, &line, &args);
        assert_eq!(ran.code, 0, "{line}\n{}", ran.err);
        assert!(readable(&home).contains(found), "{}", readable(&home));
        assert!(!ran.err.contains(password) && !ran.err.contains(user), "{}", ran.err);
        if !more.is_empty() {
            home.ok(&["set", "acme.login.inject.header", "--plain", "Authorization"]);
            home.ok(&["set", "acme.login.inject.value", "--plain", more]);
        }
        let ran = home.run(&["login", "acme", "--json", "--call", &process.url(call)]);
        assert_eq!(
            (ran.code, document(&ran)["call"]["status"].as_u64()),
            (0, Some(200)),
            "{}",
            ran.err
        );
    }
    // A refused login: exit code 5, and nothing is written.
    let mut jwt = jwt;
    let home = empty();
    home.write("ca.pem", &jwt.ca);
    let line = format!("curl {} -d username=zoe@ -d 'password=hun ter2'", jwt.url("/api/token/"));
    let before = jwt.counts();
    let ran = from_curl(&home, &line, &["--yes", "--ca", "ca.pem"]);
    assert!(ran.code == 5 && ran.err.contains("Nothing was written"), "{}", ran.err);
    assert_eq!(jwt.counts()[1], before[1] + 1, "one login");
    assert!(!home.read("app.sealed.toml").contains("[acme"));
}

/// A vendor that imitates Directus, and the home that it runs in.
fn directus(args: &[&str]) -> (Home, Running) {
    let home = empty();
    set(&home, "app.sealed.toml", "acme.username", "x");
    set(&home, "app.sealed.toml", "acme.password", "x");
    home.ok(&["profile", "acme", "--preset", "directus", "--url", "https://a.example"]);
    let vendor = Running::start(&home, &[&["acme"], args].concat());
    (home, vendor)
}

/// Under strace, the secrets go to the vendor and nowhere else.
#[cfg(target_os = "linux")]
#[test]
fn secrets_of_a_curl_line_reach_no_disk_argument_or_environment() {
    let (_first, vendor) = directus(&[]);
    let home = empty();
    let line = format!(
        "curl {}/auth/login --json '{{\"email\":\"zoe@\",\"password\":\"hun ter2\"}}'\n",
        vendor.origin
    );
    let mut strace = std::process::Command::new("strace");
    strace.args(["-f", "-v", "-yy", "-s", "100000", "-o", "trace", "-e"]);
    strace.arg("trace=write,writev,pwrite64,pwritev,sendto,sendmsg,sendmmsg,open,openat,creat,execve,rename,renameat,renameat2,mkdir,mkdirat,link,linkat,symlink,symlinkat");
    strace.arg(env!("CARGO_BIN_EXE_bootseal")).args([
        "profile",
        "acme",
        "--from-curl",
        "-",
        "--yes",
    ]);
    strace.current_dir(home.path()).env_clear().env("HOME", home.path()).env("USER", "alice");
    let mut child = strace
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), line.as_bytes()).unwrap();
    let ran: Ran = child.wait_with_output().unwrap().into();
    assert!(ran.code == 0 && ran.err.contains("(from: json)"), "{}", ran.err);
    let trace = String::from_utf8_lossy(&std::fs::read(home.at("trace")).unwrap()).into_owned();
    assert!(
        trace.contains("execve(") && trace.contains("app.sealed.toml") && trace.contains("sealed:"),
        "no trace"
    );
    let telling = trace
        .lines()
        .filter(|call| HIDDEN.iter().any(|hidden| call.contains(hidden)) || unseen(call));
    let (sent, elsewhere): (Vec<&str>, Vec<&str>) =
        telling.partition(|call| call.contains("<TCP:[127.0.0.1:"));
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
    assert_eq!(sent.len(), 1, "one login: {sent:?}");
}

#[test]
fn a_pasted_curl_line_is_not_echoed_and_is_sent_only_after_a_yes() {
    let (first, vendor) = directus(&[]);
    let home = empty();
    let line = format!(
        "curl {}/auth/login \\\n -H 'Content-Type: application/json' \\\n -d '{{\"email\":\"zoe@\",\"password\":\"hun ter2\"}}'\n\n",
        vendor.origin
    );
    let no = [("Paste the curl command", line.as_str()), ("[y/N]", "n\n")];
    let (code, seen, echo) =
        at_a_terminal(&home, &["profile", "acme", "--from-curl", "-"], &no).unwrap();
    assert_eq!((code, echo.as_str()), (0, "echo"), "{seen}");
    assert!(!first.read("vendor.log").contains("POST"), "{}", first.read("vendor.log"));
    assert!(seen.contains("no login was made"), "{seen}");
    let yes = [
        ("Paste the curl command", line.as_str()),
        ("to see the response? [y/N]", "y\n"),
        ("Use these settings? [y/N]", "y\n"),
    ];
    let (code, seen, echo) =
        at_a_terminal(&home, &["profile", "acme", "--from-curl", "-", "--force"], &yes).unwrap();
    assert_eq!((code, echo.as_str()), (0, "echo"), "{seen}");
    assert!(!HIDDEN.iter().any(|hidden| seen.contains(hidden)), "{seen}");
    assert!(seen.contains("the token's lifetime is 900 s (from: json)"), "{seen}");
    let text = readable(&home);
    assert!(
        text.contains("token.json = \"/data/access_token\"")
            || text.contains("\"/data/access_token\""),
        "{text}"
    );
    assert_eq!(
        log_with(&first, "POST /auth/login 200").matches("POST").count(),
        1,
        "only the confirmed login was sent"
    );
    home.ok(&["login", "acme"]);
    // A placeholder in place of the password is asked for.
    let line = format!(
        "curl {}/auth/login --json '{{\"email\":\"zoe@\",\"password\":\"<your password>\"}}'\n\n",
        vendor.origin
    );
    let asked = [
        ("Paste", line.as_str()),
        ("x.password: ", "hun ter2\n"),
        ("again: ", "hun ter2\n"),
        ("[y/N]", "y\n"),
        ("Use these settings?", "y\n"),
    ];
    let (code, seen, _) =
        at_a_terminal(&home, &["profile", "x", "--from-curl", "-"], &asked).unwrap();
    assert_eq!(code, 0, "{seen}");
    assert_eq!(home.ok(&["get", "x.password"]), "hun ter2");
    home.ok(&["login", "x"]);
    // After an interrupt at the prompt the terminal is restored.
    let (code, _, echo) =
        at_a_terminal(&home, &["profile", "y", "--from-curl", "-"], &[("Paste", "\u{3}")]).unwrap();
    assert_eq!((code, echo.as_str()), (130, "echo"));
}

#[test]
fn ambiguous_fields_are_asked_for() {
    let line = "curl https://a.example/enter --json '{\"who\":\"zoe@\",\"what\":\"hun ter2\",\"lang\":\"de\"}'\n\n";
    let args = ["profile", "acme", "--from-curl", "-", "--no-login"];
    let (user, password) = ("Which field is the user (", "Which field is the password (");
    let home = empty();
    let before = home.read("app.sealed.toml");
    let wrong = home.typed(&args, &[], &[("*Paste", line), (password, "nobody\n")]);
    assert!(wrong.code == 2 && wrong.out.contains("there is no such field"), "{wrong:?}");
    assert_eq!(home.read("app.sealed.toml"), before);
    let ran = home.typed(&args, &[], &[("*Paste", line), (password, "what\n"), (user, "who\n")]);
    assert!(ran.code == 0 && !HIDDEN.iter().any(|hidden| ran.out.contains(hidden)), "{ran:?}");
    assert_eq!(
        (home.ok(&["get", "acme.username"]), home.ok(&["get", "acme.password"])),
        ("zoe@".into(), "hun ter2".into())
    );
    assert!(readable(&home).contains("lang"), "{}", readable(&home));
}

#[test]
fn after_a_failed_login_profile_asks_before_it_writes() {
    let (first, vendor) = directus(&["--refuse"]);
    let line = format!(
        "curl {}/auth/login --json '{{\"email\":\"zoe@\",\"password\":\"hun ter2\"}}'\n\n",
        vendor.origin
    );
    let home = empty();
    let before = home.read("app.sealed.toml");
    let args = ["profile", "acme", "--from-curl", "-"];
    let answers = |all_the_same| {
        [
            ("*Paste", line.as_str()),
            ("to see the response? [y/N] ", "y\n"),
            ("Write the profile anyway? [y/N] ", all_the_same),
        ]
    };
    let ran = home.typed(&args, &[], &answers("n\n"));
    assert!(
        ran.code == 5 && ran.out.contains("the login failed: ") && ran.out.contains("--no-login"),
        "{ran:?}"
    );
    assert_eq!(home.read("app.sealed.toml"), before);
    let ran = home.typed(&args, &[], &answers("y\n"));
    assert!(ran.code == 0 && !HIDDEN.iter().any(|hidden| ran.out.contains(hidden)), "{ran:?}");
    assert_eq!(home.ok(&["get", "acme.password"]), "hun ter2");
    let refused = "POST /auth/login 401";
    assert_eq!(log_with_times(&first, refused, 2).matches(refused).count(), 2, "one login each");
}
