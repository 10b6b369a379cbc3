//! Passwords, tokens and keys never appear where they should not: everything printed and logged, at
//! every level, is searched.

#![allow(clippy::unwrap_used)] // a test

#[path = "../support/mod.rs"]
mod support;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use bootseal::testing::{Clock, vault};
use bootseal_vendor_sim::Vendor;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use support::Home;

const PASSWORD: &str = "can4ry/pässwörd \"of ten\" bytes+more";
const USER: &str = "can4ry-user@acme";

/// The secret in plain and encoded forms: base64 at each alignment, percent-encoded, as a form, as
/// JSON, in hex.
fn disguises(secret: &str) -> Vec<String> {
    let percent = |keep: &[u8]| {
        let bytes = secret.bytes();
        bytes
            .map(|byte| {
                if byte.is_ascii_alphanumeric() || keep.contains(&byte) {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            })
            .collect::<String>()
    };
    let mut all = vec![
        secret.to_owned(),
        percent(b"-._~"),
        percent(b"-._*").replace("%20", "+"),
        serde_json::to_string(secret).unwrap().trim_matches('"').to_owned(),
        secret.bytes().map(|byte| format!("{byte:02x}")).collect(),
        format!("{:?}", secret.as_bytes()).trim_matches(['[', ']']).to_owned(),
    ];
    for shift in 0..3 {
        let shifted = [vec![b'x'; shift], secret.as_bytes().to_vec()].concat();
        for engine in [BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD] {
            let text = engine.encode(&shifted);
            // The first and last base64 groups also contain bits of the neighbouring bytes.
            all.push(text[4..text.len() - 4].to_owned());
        }
    }
    all
}

fn assert_absent(said: &str, secret: &str, where_: &str) {
    for disguise in disguises(secret) {
        assert!(!said.contains(&disguise), "{where_}: shows a secret as `{disguise}`:\n{said}");
    }
}

#[test]
fn the_search_finds_a_planted_secret() {
    let planted = [
        PASSWORD.to_owned(),
        BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}")),
        format!(
            "password={}",
            PASSWORD
                .replace('%', "%25")
                .replace('/', "%2F")
                .replace('ä', "%C3%A4")
                .replace('ö', "%C3%B6")
                .replace('"', "%22")
                .replace('+', "%2B")
                .replace(' ', "+")
        ),
    ];
    for said in planted {
        assert!(disguises(PASSWORD).iter().any(|disguise| said.contains(disguise)), "{said}");
    }
}

#[test]
fn no_verb_shows_a_value_that_was_not_requested_by_name() {
    let home = Home::new();
    let quoted = PASSWORD.replace('"', "\\\"");
    home.write(
        "app.toml",
        format!("[acme]\nusername = \"{USER}\"\npassword = \"{quoted}\"\ntimeout = 10\n"),
    );
    home.write(
        "broken.toml",
        format!("password = \"{quoted}\"\npassword2 = \"{quoted}\" {quoted}\n"),
    );
    home.write("broken.properties", format!("a = {PASSWORD}\nb = {PASSWORD}\\u12\n"));
    home.write("conflict.properties", format!("a = {PASSWORD}\na.b = {PASSWORD}\n"));
    home.write("comment.toml", format!("# was {PASSWORD}\npassword = \"{quoted}\"\n"));
    home.write("key-with-password", format!("{PASSWORD}\n"));
    std::fs::set_permissions(
        home.at("key-with-password"),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    let stranger = Home::with_vault("x = \"1\"\n");
    let runs: &[&[&str]] = &[
        &["keygen"],
        &["keygen", "-o", "app.key"],
        &["seal", "app.toml", "-v"],
        &["seal", "app.toml"],
        &["seal", "broken.toml"],
        &["seal", "broken.properties"],
        &["seal", "conflict.properties"],
        &["seal", "comment.toml"],
        &["seal", "comment.toml", "--keep-comments", "-o", "x.sealed.toml"],
        &["set", "acme.password", PASSWORD],
        &["list", "-v"],
        &["list", "--json"],
        &["verify", "-v"],
        &["verify", "--json"],
        &["get", "acme.passwort"],
        &["get", "acme.password", "-i", "key-with-password"],
        &["get", "acme.password", "-i", "app.key"],
        &["access", "list", "--json"],
        &["access", "add", "app", "--new-key", "app2.key", "--yes", "-v"],
        &["set", "acme.password.x", "--generate"],
        &["set", "acme.password", "--plain", "readable"],
        &["login", "acme"],
        &["verify", "--pin", &stranger.vault_id()],
    ];
    for args in runs {
        let ran = home
            .command(args)
            .env("RUST_LOG", "trace")
            .env("RUST_BACKTRACE", "1")
            .output()
            .unwrap();
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&ran.stdout),
            String::from_utf8_lossy(&ran.stderr)
        );
        assert_absent(&said, PASSWORD, &args.join(" "));
        if *args != ["list", "-v"] {
            assert_absent(&said, USER, &args.join(" "));
        }
        let key = said
            .split("AGE-SECRET-KEY-1")
            .skip(1)
            .any(|after| after.starts_with(|next: char| next.is_ascii_alphanumeric()));
        assert!(!key, "{said}");
    }
    let ran = home.run_with(&["set", "acme.password", "-v"], format!("{PASSWORD}\n").as_bytes());
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_absent(&format!("{}{}", ran.out, ran.err), PASSWORD, "set");
    assert_absent(&home.read("app.sealed.toml"), PASSWORD, "the file");
    assert_absent(&home.read(".local/state/bootseal/known_vaults"), PASSWORD, "the memory");
    // A value requested by name is printed, so the runs above did read the vault.
    assert_eq!(home.ok(&["get", "acme.password"]), PASSWORD);
}

/// Everything that any code logs, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The log of this process, at every level; the tests share it, because a process has only one.
fn log() -> &'static Log {
    static LOG: std::sync::OnceLock<Log> = std::sync::OnceLock::new();
    LOG.get_or_init(|| {
        let log = Log::default();
        let writer = log.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .init();
        log
    })
}

#[tokio::test]
async fn no_secret_is_logged_or_shown_by_debug_at_any_level() {
    let log = log();
    let vendor = Vendor::start().unwrap().with_user(USER, PASSWORD);
    let readable = format!(
        "[acme.login]\nurl = \"{}\"\njson = {{ username = \"${{username}}\", password = \"${{password}}\" }}\nca = '''{}'''\n\
         [basic.login]\nurl = \"{0}\"\nbasic = true\nca = '''{1}'''\n\
         [wrong.login]\nurl = \"{0}\"\nform = {{ username = \"${{username}}\", password = \"${{password}}\" }}\nca = '''{1}'''\n",
        vendor.url("/login"),
        vendor.ca_pem()
    );
    let wrong = format!("{PASSWORD}!");
    let vault = vault(
        [
            ("acme.username", USER),
            ("acme.password", PASSWORD),
            ("basic.username", USER),
            ("basic.password", PASSWORD),
            ("wrong.username", USER),
            ("wrong.password", &wrong),
        ],
        &readable,
    )
    .unwrap();
    let mut shown = format!("{vault:?} {:?}", vault.secret("acme.password").unwrap());
    let mut tokens = Vec::new();
    for name in ["acme", "basic"] {
        let source = vault.token_source(name).unwrap();
        let client = source.client();
        for revoke in [false, true] {
            if revoke {
                vendor.revoke_all();
            }
            let request = client.post(vendor.url("/orders")).json(&["an order"]);
            shown.push_str(&format!("{request:?} {client:?} {source:?}"));
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 201);
            shown.push_str(&format!("{answer:?}"));
            let token = source.token().await.unwrap();
            shown.push_str(&format!("{token:?}"));
            tokens.push(token.expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap()));
        }
        shown.push_str(&format!(
            "{:?} {0}",
            client.get("https://elsewhere.example/?q=1").send().await.unwrap_err()
        ));
    }
    let error = vault.token_source("wrong").unwrap().token().await.unwrap_err();
    shown.push_str(&format!("{error:?} {error} {:?}", error.help()));
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("refreshed: ") && logged.contains("TRACE"), "the log is on: {logged}");
    for (where_, said) in [("log", &logged), ("Debug", &shown)] {
        assert_absent(said, PASSWORD, where_);
        assert_absent(said, USER, where_);
        for token in &tokens {
            assert_absent(said, token, where_);
            // Most of it is the signature.
            assert_absent(said, token.rsplit('.').next().unwrap(), where_);
        }
    }
}

/// Serves http on loopback; `answer` gives the head lines and the body for a path.
fn vendor_of(
    answer: impl Fn(&str) -> (String, String) + Send + 'static,
) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let (port, heard) =
        (listener.local_addr().unwrap().port(), Arc::<Mutex<Vec<String>>>::default());
    let told = heard.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                request.push(byte[0]);
            }
            let text = String::from_utf8(request).unwrap();
            let length = text.lines().find_map(|line| {
                line.to_lowercase().strip_prefix("content-length: ")?.parse().ok()
            });
            let mut body = vec![0; length.unwrap_or(0)];
            stream.read_exact(&mut body).unwrap();
            let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
            told.lock().unwrap().push(format!("{text}{}", String::from_utf8(body).unwrap()));
            let (head, body) = answer(&path);
            let _ = write!(
                stream,
                "HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
    (port, heard)
}

#[tokio::test]
async fn values_of_a_login_response_are_neither_logged_nor_shown_by_debug() {
    let log = log();
    const SEED: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    let secrets = [
        "crumb",
        "cookie",
        "token-1",
        "token-2",
        "refresh-1",
        "refresh-2",
        "session",
        "slide",
        "body",
        "said",
    ]
    .map(|name| format!("can4ry-{name}-0f3a9c"));
    let [crumb, cookie, first, second, refresh, refreshed, session, slide, body, said] =
        secrets.clone();
    let (port, heard) = vendor_of(move |path| match path {
        "/csrf" => (
            format!("200 Yes\r\nX-Csrf: {crumb}\r\nSet-Cookie: c={cookie}; HttpOnly"),
            String::new(),
        ),
        "/login" => (
            format!("200 Yes\r\nSet-Cookie: s={first}"),
            format!(r#"{{"refresh":"{refresh}","id":"{session}","note":"{said}"}}"#),
        ),
        "/refresh" => (
            format!("200 Yes\r\nSet-Cookie: s={second}"),
            format!(r#"{{"refresh":"{refreshed}"}}"#),
        ),
        "/wrong" => {
            (format!("401 No\r\nSet-Cookie: s={slide}"), format!(r#"{{"error":"{body}"}}"#))
        }
        "/odd" => (format!("200 Yes\r\nX-Odd: {slide}"), format!(r#"{{"error":"{body}"}}"#)),
        "/slide" => (format!("200 Yes\r\nSet-Cookie: s={slide}; Max-Age=60"), body.clone()),
        _ => ("500 No".into(), body.clone()),
    });
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let readable = format!(
        "[acme.login]\nurl = \"{}\"\nform = {{ u = \"${{username}}\", p = \"${{password}}\", otp = \"${{totp}}\" }}\nheaders = {{ X-Csrf = \"${{csrf}}\" }}\n\
         token = {{ cookie = \"s\" }}\nexpiry = {{ fixed = \"10m\" }}\nrenew_from_answers = true\ntotp = {{ seed = \"otp_seed\" }}\n\
         capture = [{{ json = \"/refresh\", as = \"refresh\" }}, {{ json = \"/id\", as = \"id\" }}]\n\
         [acme.login.before]\nurl = \"{}\"\ncapture = [{{ header = \"X-Csrf\", as = \"csrf\" }}]\n\
         [acme.login.refresh]\nurl = \"{}\"\njson = {{ r = \"${{refresh}}\" }}\n\
         [acme.login.logout]\nmethod = \"DELETE\"\nurl = \"{}\"\n\
         [wrong.login]\nurl = \"{}\"\nbasic = true\n[odd.login]\nurl = \"{}\"\nbasic = true\n",
        url("/login"),
        url("/csrf"),
        url("/refresh"),
        url("/sessions/${id}"),
        url("/wrong"),
        url("/odd")
    );
    let values = ["acme", "wrong", "odd"].map(|table| {
        [
            (format!("{table}.username"), USER),
            (format!("{table}.password"), PASSWORD),
            (format!("{table}.otp_seed"), SEED),
        ]
    });
    let vault =
        vault(values.iter().flatten().map(|(name, value)| (name.as_str(), *value)), &readable)
            .unwrap();
    let clock = Clock::new();
    let source = vault
        .token_source_with("acme", Arc::new(clock.clone()), Arc::new(bootseal::HttpTransport))
        .unwrap();
    let client = source.client();
    let mut shown = String::new();
    for _ in 0..2 {
        let token = source.token().await.unwrap();
        for path in ["/slide", "/none"] {
            client.get(url(path)).send().await.unwrap();
        }
        shown.push_str(&format!("{token:?} {source:?} {client:?}"));
        clock.advance(std::time::Duration::from_secs(600));
    }
    source.token().await.unwrap();
    let error = source.log_out().await.unwrap_err();
    shown.push_str(&format!("{error} {error:?}"));
    for table in ["wrong", "odd"] {
        let error = vault.token_source(table).unwrap().token().await.unwrap_err();
        shown.push_str(&format!("{error} {error:?} {:?}", error.help()));
    }
    let heard = heard.lock().unwrap().join("\n");
    for path in [
        "/csrf",
        "/login",
        "/refresh",
        "/slide",
        "DELETE /sessions/can4ry-session-0f3a9c",
        "/wrong",
        "/odd",
    ] {
        assert!(heard.contains(path), "{path} was requested: {heard}");
    }
    let code = heard.split("otp=").nth(1).unwrap()[..6].to_owned();
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("TRACE"), "the log is on");
    for (where_, said) in [("log", &logged), ("Debug", &shown)] {
        for secret in secrets.iter().map(String::as_str).chain([PASSWORD, USER, SEED]) {
            assert_absent(said, secret, where_);
        }
        let shows = |code: &str| {
            said.match_indices(code).any(|(at, _)| said[..at].ends_with(['=', '"', ' ', '%']))
        };
        assert!(!shows(&code), "{where_} shows the one-time code {code}");
    }
}
