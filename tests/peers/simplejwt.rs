//! Django REST framework with simplejwt in its own process, as a third-party vendor.

use crate::support::Home;
use crate::vendor::{Process, python, run};
use bootseal::{ExpiryFrom, Kind, TokenSource};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

const USER: &str = "zoë";
/// Characters that JSON, forms and TOML escape differently.
const PASSWORD: &str = "Straße/7 \"ü\" & 50%+1 \\ 'x'";

fn simplejwt(lifetime: &str) -> Process {
    Process::python("simplejwt.py", [USER, PASSWORD], &["--life", lifetime])
}

fn profile(process: &Process, lines: &str) -> String {
    let (url, ca) = (process.url("/api/token/"), process.ca_line());
    format!("[acme.login]\nurl = \"{url}\"\n{lines}\ntoken = {{ json = \"/access\" }}\n{ca}")
}

fn source_at(process: &Process, lines: &str) -> TokenSource {
    source(&profile(process, lines))
}

fn source(profile: &str) -> TokenSource {
    let values = [("acme.username", USER), ("acme.password", PASSWORD)];
    bootseal::testing::vault(values, profile).unwrap().token_source("acme").unwrap()
}

/// The vendor that the tests share in turns; its state is reset each time, except for the counts.
struct Vendor {
    process: Arc<Mutex<Process>>,
}

impl Vendor {
    fn shared() -> Vendor {
        // Starting takes a second, so the vendor is kept while any test waits for it. Then it is
        // dropped, because nothing else would end it.
        static SHARED: Mutex<Weak<Mutex<Process>>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let process = shared.upgrade().unwrap_or_else(|| {
            let process = Arc::new(Mutex::new(simplejwt("300")));
            *shared = Arc::downgrade(&process);
            process
        });
        Vendor { process }
    }

    fn turn(&self) -> Turn<'_> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.tell(&json!({ "do": "activate" }));
        let before = process.counts();
        Turn { process, before }
    }
}

struct Turn<'a> {
    process: MutexGuard<'a, Process>,
    before: [u64; 4],
}

impl Turn<'_> {
    /// Logins, refused logins, calls and rejected calls since the turn began.
    fn counts(&mut self) -> [u64; 4] {
        let now = self.process.counts();
        std::array::from_fn(|index| now[index] - self.before[index])
    }

    fn tell(&mut self, what: &str) {
        self.process.tell(&json!({ "do": what }));
    }
}

const JSON: &str = "json = { username = \"${username}\", password = \"${password}\" }";
const FORM: &str = "form = { username = \"${username}\", password = \"${password}\" }";

#[test]
fn a_json_or_form_login_gets_a_working_token() {
    let vendor = Vendor::shared();
    let mut turn = vendor.turn();
    for (index, lines) in (1..).zip([JSON, FORM]) {
        let source = source_at(&turn.process, lines);
        let client = source.client();
        run(async {
            let answer = client.get(turn.process.url("/api/whoami/")).send().await.unwrap();
            assert_eq!(
                (answer.status().as_u16(), answer.json::<Value>().await.unwrap()),
                (200, json!({ "user": USER })),
                "{lines}"
            );
            let answer = client
                .post(turn.process.url("/api/echo/"))
                .json(&json!({ "item": "lämp" }))
                .send()
                .await
                .unwrap();
            assert_eq!(
                answer.json::<Value>().await.unwrap(),
                json!({ "length": "{\"item\":\"lämp\"}".len() }),
                "{lines}"
            );
            let token = source.token().await.unwrap();
            assert_eq!((token.expiry_from(), token.status()), (ExpiryFrom::Jwt, 200));
            assert!((290..=300).contains(&token.lifetime().as_secs()), "{:?}", token.lifetime());
        });
        assert_eq!(turn.counts(), [index, 0, 2 * index, 0]);
    }
}

#[test]
fn an_expired_token_is_replaced_before_it_is_sent() {
    let mut process = simplejwt("6"); // on a loaded machine a login may take a third
    let source = source_at(&process, JSON);
    let client = source.client();
    let url = process.url("/api/whoami/");
    run(async {
        assert_eq!(client.get(&url).send().await.unwrap().status().as_u16(), 200);
        tokio::time::sleep(source.token().await.unwrap().lifetime()).await;
        assert_eq!(client.get(&url).send().await.unwrap().status().as_u16(), 200);
    });
    assert_eq!(process.counts(), [2, 0, 2, 0]);
}

#[test]
fn a_disabled_user_causes_one_refused_login_for_all_callers() {
    let vendor = Vendor::shared();
    let mut turn = vendor.turn();
    let source = source_at(&turn.process, JSON);
    turn.tell("deactivate");
    run(async {
        for _ in 0..2 {
            let callers: Vec<_> = (0..20)
                .map(|_| {
                    let source = source.clone();
                    tokio::spawn(async move { source.token().await })
                })
                .collect();
            for caller in callers {
                let error = caller.await.unwrap().unwrap_err();
                assert_eq!(
                    (error.kind(), error.status()),
                    (Kind::LoginRefused, Some(401)),
                    "{error}"
                );
                assert!(!error.to_string().contains("Straße"));
            }
        }
        let error = source.client().get(turn.process.url("/api/whoami/")).send().await.unwrap_err();
        assert!(
            error.retry_after().is_some_and(|wait| wait > Duration::from_secs(14 * 60)),
            "{error}"
        );
    });
    assert_eq!(turn.counts(), [0, 1, 0, 0]);
    turn.tell("activate");
    source.reset_backoff();
    let url = turn.process.url("/api/whoami/");
    let answer = run(async { source.client().get(url).send().await.unwrap() });
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(turn.counts(), [1, 1, 1, 0]);
}

#[test]
fn a_user_disabled_during_use_causes_one_rejection_and_one_refused_login() {
    let vendor = Vendor::shared();
    let mut turn = vendor.turn();
    let client = source_at(&turn.process, JSON).client();
    let url = turn.process.url("/api/whoami/");
    run(async {
        assert_eq!(client.get(&url).send().await.unwrap().status().as_u16(), 200);
        turn.tell("deactivate");
        for _ in 0..20 {
            assert_eq!(client.get(&url).send().await.unwrap_err().kind(), Kind::LoginRefused);
        }
    });
    assert_eq!(turn.counts(), [1, 1, 1, 1]);
}

#[test]
fn invalidated_tokens_are_replaced_by_one_login_and_every_call_succeeds() {
    let vendor = Vendor::shared();
    for concurrent in [1, 20] {
        let mut turn = vendor.turn();
        let client = source_at(&turn.process, JSON).client();
        run(async {
            let first = client.get(turn.process.url("/api/whoami/")).send().await.unwrap();
            assert_eq!(first.status().as_u16(), 200);
            turn.tell("revoke-all");
            let calls: Vec<_> = (0..concurrent)
                .map(|_| {
                    tokio::spawn(
                        client
                            .post(turn.process.url("/api/echo/"))
                            .body(vec![b'x'; 5000])
                            .header("content-type", "application/json")
                            .send(),
                    )
                })
                .collect();
            for call in calls {
                let answer = call.await.unwrap().unwrap();
                assert_eq!(
                    (
                        answer.status().as_u16(),
                        answer.json::<Value>().await.unwrap()["length"].clone()
                    ),
                    (200, json!(5000))
                );
            }
        });
        let [logins, refused, calls, rejected] = turn.counts();
        assert_eq!((logins, refused, calls), (2, 0, 1 + concurrent), "{concurrent} at once");
        assert!((1..=concurrent).contains(&rejected));
    }
}

#[test]
fn a_password_changed_at_the_vendor_causes_one_refused_login() {
    let mut process = simplejwt("300"); // not shared, because its password stays changed
    let client = source_at(&process, FORM).client();
    let url = process.url("/api/whoami/");
    run(async {
        assert_eq!(client.get(&url).send().await.unwrap().status().as_u16(), 200);
        process.tell(&json!({ "do": "password", "password": "another one" }));
        for _ in 0..3 {
            assert_eq!(client.get(&url).send().await.unwrap_err().kind(), Kind::LoginRefused);
        }
    });
    assert_eq!(process.counts(), [1, 1, 1, 1]);
}

/// A home with a sealed file whose `acme` logs in at this vendor.
fn home(process: &Process) -> Home {
    let toml = |text: &str| format!("'''{text}'''");
    Home::with_vault(&format!(
        "[acme]\nusername = {}\npassword = {}\n{}",
        toml(USER),
        toml(PASSWORD),
        profile(process, JSON)
    ))
}

#[test]
fn the_login_command_describes_the_response() {
    let vendor = Vendor::shared();
    let mut turn = vendor.turn();
    let home = home(&turn.process);
    let url = turn.process.url("/api/whoami/");
    let ran = home.run(&["login", "acme", "--json", "--call", &url]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let said: Value = serde_json::from_str(&ran.out).unwrap();
    for (name, expected) in [
        ("profile", json!("acme")),
        ("class", json!("ok")),
        ("status", json!(200)),
        ("expiry_from", json!("jwt")),
        ("inject", json!({ "header": "Authorization" })),
        ("call", json!({ "status": 200 })),
        ("token", Value::Null),
    ] {
        assert_eq!(said[name], expected, "{name}");
    }
    assert!((290..=300).contains(&said["life_seconds"].as_u64().unwrap()));
    let claims = &said["claims"];
    assert_eq!(
        (&claims["token_type"], claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap()),
        (&json!("access"), 300)
    );
    let secret =
        |text: &str| text.contains("eyJ") || text.contains("Straße") || text.contains("stra");
    assert!(!secret(&ran.out) && !secret(&ran.err), "{}{}", ran.out, ran.err);
    assert_eq!(turn.counts(), [1, 0, 1, 0]);

    let token = home.ok(&["login", "acme", "--json", "--reveal"]);
    let token: Value = serde_json::from_str(&token).unwrap();
    assert_eq!(token["token"].as_str().unwrap().split('.').count(), 3);
    let text = home.ok(&["login", "acme", "--call", &url]);
    assert!(
        text.contains("acme: logged in, status 200")
            && text.contains("jwt")
            && text.contains("the response to the call has status 200"),
        "{text}"
    );
    assert!(!secret(&text), "{text}");
    assert_eq!(turn.counts(), [3, 0, 2, 0]);
    // A call to a host outside `hosts` is refused.
    let ran =
        home.run(&["login", "acme", "--json", "--call", &url.replace("127.0.0.1", "localhost")]);
    assert_eq!((ran.code, turn.counts()[2]), (2, 2), "{}", ran.err);
}

#[test]
fn the_login_command_reports_a_refused_login() {
    let vendor = Vendor::shared();
    let mut turn = vendor.turn();
    let home = home(&turn.process);
    home.ok_with(&["set", "acme.password"], b"wrong \n");
    let url = turn.process.url("/api/whoami/");
    let ran = home.run(&["login", "acme", "--json", "--call", &url]);
    assert_eq!(ran.code, 5, "{}", ran.err);
    let said: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&said["class"], &said["status"], &said["profile"]),
        (&json!("refused"), &json!(401), &json!("acme"))
    );
    for name in ["claims", "call", "life_seconds", "expiry_from", "token"] {
        assert_eq!(said[name], Value::Null, "{name}");
    }
    let ran = home.run(&["login", "acme"]);
    assert_eq!((ran.code, ran.out.as_str()), (5, ""));
    assert!(
        ran.err.contains("401")
            && ran.err.contains("it ends with a blank")
            && !ran.err.contains("wrong \n"),
        "{}",
        ran.err
    );
    assert_eq!(turn.counts(), [0, 2, 0, 0]);
}

/// Prints its port, then the negotiated protocol, then the first HEADERS frame in hexadecimal;
/// sends no response.
const HTTP2_SERVER: &str = r"
import socket, ssl, sys
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(sys.argv[1])
tls.set_alpn_protocols(['h2', 'http/1.1'])
listener = socket.create_server(('127.0.0.1', 0))
print(listener.getsockname()[1], flush=True)
stream = tls.wrap_socket(listener.accept()[0], server_side=True)
agreed = stream.selected_alpn_protocol()
print(agreed, flush=True)
if agreed == 'h2':
    stream.sendall(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))  # SETTINGS
    file = stream.makefile('rb')
    file.read(24)  # the preface
    kind = None
    while kind != 1:
        head = file.read(9)
        body, kind = file.read(int.from_bytes(head[:3], 'big')), head[3]
    print(body.hex(), flush=True)
";

/// A process that is killed when it is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts an HTTP/2 server with the vendor's certificate: the process, its port, and its further
/// output.
fn http2_server(vendor: &Process) -> (Killed, String, impl Iterator<Item = String>) {
    let mut command = Command::new(python());
    command.args(["-c", HTTP2_SERVER]).arg(vendor.folder.path().join("leaf.pem"));
    let mut server = Killed(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut said = BufReader::new(server.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let port = said.next().unwrap();
    (server, port, said)
}

#[test]
fn a_login_does_not_negotiate_http_2() {
    let vendor = Vendor::shared();
    let turn = vendor.turn();
    let (_server, port, mut said) = http2_server(&turn.process);
    let profile = profile(&turn.process, JSON)
        .replace(&turn.process.url("/"), &format!("https://127.0.0.1:{port}/"));
    let source = source(&profile);
    assert_eq!(
        source.token_blocking().unwrap_err().kind(),
        Kind::LoginDown,
        "the server sends no response"
    );
    assert_ne!(said.next().unwrap(), "h2", "a login is HTTP/1.1");
}

/// In HTTP/2 the mark is visible: the header is never indexed by the header compression (RFC 7541
/// §7.1.3).
#[test]
fn calls_use_http_2_and_mark_the_token_as_never_indexed() {
    let vendor = Vendor::shared();
    let turn = vendor.turn();
    for (more, name) in [
        // "Never indexed"; the name is entry 23 or 32 of the static table.
        ("", [0x1f, 23 - 15]),
        ("inject = { header = \"Cookie\", value = \"session=${token}\" }", [0x1f, 32 - 15]),
    ] {
        let (_server, port, mut said) = http2_server(&turn.process);
        let own = turn.process.port;
        let lines = format!("{JSON}\nhosts = [\"127.0.0.1:{own}\", \"127.0.0.1:{port}\"]\n{more}");
        let client = source_at(&turn.process, &lines).client();
        let sent = run(client.get(format!("https://127.0.0.1:{port}/")).send());
        assert!(sent.is_err(), "the server sends no response");
        assert_eq!(
            said.next().unwrap(),
            "h2",
            "the server offers h2, and the client does not request it (ALPN)"
        );
        let headers = said.next().unwrap();
        let bytes: Vec<u8> = (0..headers.len() / 2)
            .map(|at| u8::from_str_radix(&headers[2 * at..][..2], 16).unwrap())
            .collect();
        assert!(bytes.windows(2).any(|pair| pair == name), "{more}");
    }
}
