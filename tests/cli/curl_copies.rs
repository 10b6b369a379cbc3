//! `profile --from-curl` with commands as people copy them: the profile sends exactly what curl
//! sends, and a command that was damaged is refused with the character named.

use crate::support::Home;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};

/// A vendor that accepts one `user:password` by HTTP Basic, and records what it got.
struct Vendor {
    port: u16,
    seen: Arc<Mutex<Vec<(String, String)>>>,
}

fn vendor(accepts: &str) -> Vendor {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let wanted = format!("Basic {}", BASE64_STANDARD.encode(accepts));
    let record = seen.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut authorization, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) < 3 {
                    break;
                }
                let Some((name, value)) = line.split_once(':') else { continue };
                match name.to_ascii_lowercase().as_str() {
                    "authorization" => authorization = value.trim().to_owned(),
                    "content-length" => length = value.trim().parse().unwrap(),
                    _ => {}
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            record.lock().unwrap().push((authorization.clone(), String::from_utf8(body).unwrap()));
            let (status, body) = match authorization == wanted {
                true => ("200 OK", r#"{"access_token":"tok-made-up-1234","expires_in":600}"#),
                false => ("401 Unauthorized", r#"{"error":"invalid_client"}"#),
            };
            let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\n");
            let length = body.len();
            let _ =
                write!(stream, "{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        }
    });
    Vendor { port, seen }
}

#[test]
fn a_profile_sends_the_user_of_a_grant_as_curl_sends_it() {
    for (secret, grant) in [
        ("plainsecret1", "-d grant_type=client_credentials"),
        ("s3+c/r$t%=", "-d grant_type=client_credentials"),
        ("s3%2Bc%2Fr", "-d grant_type=client_credentials"),
        ("with a blank", "-d grant_type=client_credentials -d scope=all"),
        ("gr\u{fc}n", "-d grant_type=client_credentials"),
        (
            "s3+c/r$t%=",
            "-d grant_type=password -d username=bob --data-urlencode 'password=z4+made/up'",
        ),
    ] {
        let vendor = vendor(&format!("app:{secret}"));
        let line = format!("curl http://127.0.0.1:{}/login -u 'app:{secret}' {grant}", vendor.port);
        let curl = Command::new("bash").args(["-c", &format!("{line} -sf")]).output().unwrap();
        assert!(curl.status.success(), "{line}: {curl:?}");
        let home = Home::with_vault("x = \"y\"\n");
        let profile = ["profile", "acme", "--from-curl", "-", "--yes"];
        let ran = home.run_with(&profile, format!("{line}\n\n").as_bytes());
        assert!(ran.code == 0 && !ran.err.contains(secret), "{line}: {ran:?}");
        let ran = home.run(&["login", "acme", "--json"]);
        assert_eq!(ran.code, 0, "{line}: {ran:?}");
        let seen = vendor.seen.lock().unwrap();
        let sorted = |body: &str| {
            let mut fields: Vec<&str> = body.split('&').collect();
            fields.sort_unstable();
            fields.join("&")
        };
        let (by_curl, others) = seen.split_first().unwrap();
        assert!(others.len() >= 2, "{seen:?}");
        for sent in others {
            assert_eq!((&sent.0, sorted(&sent.1)), (&by_curl.0, sorted(&by_curl.1)), "{line}");
        }
    }
}

#[test]
fn a_damaged_command_is_refused_with_the_character_named() {
    let home = Home::with_vault("x = \"y\"\n");
    let before = home.read("app.sealed.toml");
    let url = "https://a.example/login";
    for (line, words) in [
        (format!("curl {url} \\ \n -d 'user=bob&password=s3cr3t'"), "a blank behind a backslash"),
        (format!("curl {url} -d 'user=bob&password=s3cr3t' \\ \n"), "a blank behind a backslash"),
        (format!("curl {url} `\n -d 'user=bob&password=s3cr3t'"), "PowerShell"),
        (format!("curl {url} ^\r\n -d \"user=bob&password=s3cr3t\""), "cmd.exe"),
        (format!("curl {url} –d 'user=bob&password=s3cr3t'"), "a typographic dash (–, U+2013)"),
        (format!("curl {url} —data 'password=s3cr3t'"), "a typographic dash (—, U+2014)"),
        (format!("curl {url} -d ‘user=bob&password=s3cr3t’"), "a typographic quote (‘, U+2018)"),
        (
            format!("curl {url} --json '{{“user”:“bob”,“password”:“s3cr3t”}}'"),
            "a typographic quote (“, U+201C)",
        ),
        (
            format!("curl {url} -d 'user=bob&password=s3cr3t\u{200b}'"),
            "a zero-width space (U+200B) in line 1",
        ),
        (format!("curl\u{a0}{url} -u bob:s3cr3t"), "a no-break space (U+00A0)"),
        (format!("curl {url} -d \"user=bob&password=s3cr3t$more\""), "a shell would expand"),
        (format!("curl {url} -d $'user=bob&password=s3cr3t\\303'"), "are not text in UTF-8"),
    ] {
        let profile = ["profile", "acme", "--from-curl", "-", "--no-login"];
        let ran = home.run_with(&profile, line.as_bytes());
        assert!(ran.code == 2 && ran.err.contains(words), "{line}: {ran:?}");
        assert!(!ran.err.contains("s3cr3t"), "{ran:?}");
    }
    assert_eq!(home.read("app.sealed.toml"), before);
}

#[test]
fn a_placeholder_is_reported_and_not_sealed() {
    for placeholder in ["\"$PASS\"", "$pass", "'$PASS'", "\"x\"", "'<password>'", "''"] {
        let home = Home::with_vault("x = \"y\"\n");
        let line =
            format!("curl https://a.example/login -d user=bob --data-raw password={placeholder}");
        let profile = ["profile", "acme", "--from-curl", "-", "--no-login"];
        let ran = home.run_with(&profile, line.as_bytes());
        let words = "a placeholder or nothing instead of the value: acme.password";
        assert!(
            ran.code != 0
                && ran.err.contains(words)
                && ran.err.contains("bootseal set acme.password"),
            "{placeholder}: {ran:?}"
        );
        // With the value in the file, the profile is made.
        home.ok_with(&["set", "acme.password"], b"s3cr3t-value");
        let ran = home.run_with(&profile, line.as_bytes());
        assert!(ran.code == 0 && ran.err.contains(words), "{placeholder}: {ran:?}");
        assert_eq!(home.ok(&["get", "acme.password"]), "s3cr3t-value");
    }
}

#[test]
fn bytes_in_ansi_quotes_are_the_text_that_a_shell_makes_of_them() {
    let home = Home::with_vault("x = \"y\"\n");
    let word = r"$'M\303\274ller\xc3\xbc\U0001f511 \x41\101'";
    let line = format!("curl https://a.example/login -d user=bob --data-urlencode password={word}");
    let profile = ["profile", "acme", "--from-curl", "-", "--no-login"];
    home.ok_with(&profile, line.as_bytes());
    let mut shell = Command::new("bash");
    let shell = shell.env("LC_ALL", "C.UTF-8").args(["-c", &format!("printf %s {word}")]);
    let wanted = String::from_utf8(shell.output().unwrap().stdout).unwrap();
    assert_eq!(home.ok(&["get", "acme.password"]), wanted);
}
