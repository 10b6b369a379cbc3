//! Does a password, a token or a key ever show where it should not? Everything printed and logged, at every level, is searched.

#![allow(clippy::unwrap_used)] // a test

mod support;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use bootseal::testing::{Vendor, vault};
use std::io::Write;
use std::sync::{Arc, Mutex};
use support::Home;

const PASSWORD: &str = "can4ry/pässwörd \"of ten\" bytes+more";
const USER: &str = "can4ry-user@acme";

/// The secret as it is and as it might be written: base64 at each alignment, percent-encoded, as a form, as JSON, in hex.
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
            // The first and last group also carry the neighbours' bits.
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
fn the_search_itself_finds_what_is_planted() {
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
fn no_verb_shows_a_value_that_was_not_asked_for_by_name() {
    let home = Home::new();
    let quoted = PASSWORD.replace('"', "\\\"");
    home.write("app.toml", format!("[acme]\nusername = \"{USER}\"\npassword = \"{quoted}\"\ntimeout = 10\n"));
    home.write("broken.toml", format!("password = \"{quoted}\"\npassword2 = \"{quoted}\" {quoted}\n"));
    home.write("broken.properties", format!("a = {PASSWORD}\nb = {PASSWORD}\\u12\n"));
    home.write("conflict.properties", format!("a = {PASSWORD}\na.b = {PASSWORD}\n"));
    home.write("comment.toml", format!("# was {PASSWORD}\npassword = \"{quoted}\"\n"));
    home.write("key-with-password", format!("{PASSWORD}\n"));
    std::fs::set_permissions(home.at("key-with-password"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
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
        &["verify", "--pin", &stranger.vault()],
    ];
    for args in runs {
        let ran = home.command(args).env("RUST_LOG", "trace").env("RUST_BACKTRACE", "1").output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
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
    // What was asked for by name is there, so the runs above were no runs of nothing.
    assert_eq!(home.ok(&["get", "acme.password"]), PASSWORD);
}

/// Everything that is logged, by anyone, at every level.
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

#[tokio::test]
async fn nothing_is_logged_or_shown_by_debug_at_any_level() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).init();
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
        shown.push_str(&format!("{:?} {0}", client.get("https://elsewhere.example/?q=1").send().await.unwrap_err()));
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
            // The signature alone would already be most of it.
            assert_absent(said, token.rsplit('.').next().unwrap(), where_);
        }
    }
}
