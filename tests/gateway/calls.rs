//! Calls through the gateway, with the real binary, real sockets and a vendor that rejects calls,
//! is down or is slow.

use crate::support::{
    Answer, Client, Gateway, Sealed, TOKEN, Upstream, Usual, VALUES, ca, call, free_port, get,
    length_of, post, reply,
};
use bootseal_vendor_sim::Vendor;
use std::io::{Read, Write};
use std::time::Duration;

/// An upstream that responds to each call with the head of the request.
fn echo() -> Upstream {
    Upstream::start(|head, stream| {
        let mut body = vec![0; length_of(head)];
        stream.read_exact(&mut body)?;
        reply(stream, "200 OK", head)?;
        Ok(true)
    })
}

fn problem(answer: &Answer) -> serde_json::Value {
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
    serde_json::from_slice(&answer.body).unwrap()
}

#[test]
fn a_call_is_sent_with_the_token_and_the_response_hides_it() {
    let upstream = echo();
    let usual = Usual::new(&upstream.origin(), "", "");
    let _gateway = usual.start();
    let answer = call(usual.port, &get("/v1/orders?x=1"));
    assert_eq!(answer.status, 200);
    let [head] = &upstream.heads()[..] else { panic!() };
    assert!(head.starts_with("GET /v1/orders?x=1 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("authorization: Bearer {TOKEN}0\r\n")), "{head}");
    assert!(head.contains(&format!("host: 127.0.0.1:{}\r\n", upstream.port)), "{head}");
    // A token that the upstream echoes is replaced by asterisks.
    assert!(
        answer.text().contains(&format!("Bearer {}", "*".repeat(TOKEN.len() + 1))),
        "{}",
        answer.text()
    );
    assert!(!answer.text().contains(TOKEN));
}

#[test]
fn a_revoked_token_is_replaced_and_the_call_is_replayed() {
    let vendor = Vendor::start().unwrap();
    let usual = Usual::new(
        vendor.url("").trim_end_matches('/'),
        &ca(vendor.ca_pem()),
        "replay_body_limit = \"1KiB\"",
    );
    let _gateway = usual.start();
    let mut client = Client::connect(usual.port);
    assert_eq!(client.call(&get("/orders")).status, 200);
    vendor.revoke_all();
    assert_eq!(client.call(&post("/orders", "a lamp")).status, 201);
    assert_eq!((vendor.logins(), vendor.rejected_calls()), (2, 1));
    vendor.revoke_all();
    // A body too large to keep: the caller gets the rejection, and the next call has the new token.
    assert_eq!(client.call(&post("/orders", &"x".repeat(1025))).status, 401);
    assert_eq!(client.call(&get("/orders")).status, 200);
    assert_eq!((vendor.logins(), vendor.rejected_calls()), (3, 2));
}

#[test]
fn the_caller_cannot_set_the_token_or_hop_by_hop_headers() {
    let upstream = echo();
    let usual = Usual::new(&upstream.origin(), "", "");
    let _gateway = usual.start();
    let mut client = Client::connect(usual.port);
    for (header, gone) in [
        ("Authorization: Bearer mine", "mine"),
        ("AUTHORIZATION: Bearer mine", "mine"),
        ("Authorization : Bearer mine", "mine"),
        ("Connection: authorization", "connection"),
        ("Connection: X-Once\r\nX-Once: mine", "mine"),
        ("Proxy-Authorization: Basic mine", "mine"),
        ("X-Bootseal-Error: mine", "mine"),
        ("Expect: 100-continue", "expect"),
        ("Keep-Alive: timeout=5", "keep-alive"),
        ("TE: gzip", "te: gzip"),
    ] {
        let answer =
            client.call(&format!("GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\n{header}\r\n\r\n"));
        if answer.status == 400 {
            client = Client::connect(usual.port);
            continue;
        }
        let head = upstream.heads().pop().unwrap();
        assert!(!head.contains(gone), "{header}: {head}");
        assert_eq!(head.matches(TOKEN).count(), 1, "{header}: {head}");
    }
}

#[test]
fn refused_methods_hosts_origins_and_paths_do_not_reach_the_upstream() {
    let upstream = echo();
    let usual = Usual::new(&upstream.origin(), "", "");
    let _gateway = usual.start();
    for (request, status, name) in [
        ("TRACE / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 405, "method-refused"),
        ("trace / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 405, "method-refused"),
        ("TRACK / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 405, "method-refused"),
        ("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n", 405, "method-refused"),
        ("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421, "host-refused"),
        ("GET http://evil.example/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 421, "host-refused"),
        (
            "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil.example\r\n\r\n",
            403,
            "origin-refused",
        ),
        (
            "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nSec-Fetch-Site: cross-site\r\nContent-Length: 0\r\n\r\n",
            403,
            "origin-refused",
        ),
        ("GET /a/../b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400, "target-refused"),
        ("GET /a/%2e%2e/b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400, "target-refused"),
        ("OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400, "target-refused"),
    ] {
        let answer = call(usual.port, request);
        assert_eq!(
            (answer.status, answer.header("x-bootseal-error")),
            (status, Some(name)),
            "{request}"
        );
        assert!(problem(&answer)["title"].is_string());
    }
    assert_eq!(upstream.heads(), [""; 0]);
}

#[test]
fn a_caller_without_a_key_gets_an_error_that_is_never_401() {
    let upstream = echo();
    for (callers, right, wrong) in [
        ("{ bearer = \"${caller_key}\" }", "Bearer k3y of the caller", "Bearer other"),
        (
            "{ basic = { user = \"shop\", password = \"${caller_key}\" } }",
            "Basic c2hvcDprM3kgb2YgdGhlIGNhbGxlcg==",
            "Basic c2hvcDpvdGhlcg==",
        ),
    ] {
        let usual = Usual::new(&upstream.origin(), "", &format!("callers = {callers}"));
        let _gateway = usual.start();
        let before = upstream.heads().len();
        let with = |value: &str| {
            call(
                usual.port,
                &format!("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {value}\r\n\r\n"),
            )
        };
        assert_eq!(with(right).status, 200);
        let refused = with(wrong);
        assert_eq!(
            (refused.status, refused.header("x-bootseal-error")),
            (403, Some("caller-refused"))
        );
        assert_eq!(call(usual.port, &get("/")).status, 403);
        let heads = upstream.heads();
        assert_eq!(heads.len(), before + 1);
        assert!(
            !heads[before].contains("k3y"),
            "the caller's key is not forwarded: {}",
            heads[before]
        );
    }
}

#[test]
fn a_unix_socket_authenticates_callers_by_their_user() {
    use std::os::unix::net::UnixStream;
    let upstream = echo();
    let me = rustix::process::geteuid().as_raw();
    for (uid, status) in [(me, "200"), (me + 1, "403")] {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("acme.sock");
        let readable = format!(
            "[acme.login]\nurl = \"{0}/login\"\nbasic = true\n[acme.route]\nlisten = \"unix:{1}\"\nupstream = \"{0}\"\ncallers = {{ uid = [{uid}] }}\n",
            upstream.origin(),
            socket.display()
        );
        let sealed = Sealed::new(&VALUES, &readable);
        let mut gateway = Gateway::start(&sealed);
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream
            .write_all(b"GET /x HTTP/1.1\r\nHost: anything\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        gateway.signal("TERM");
        assert_eq!(gateway.ended(), Some(0));
        assert!(!socket.exists(), "the socket file is removed");
        // A socket file left by a killed process is replaced.
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        let again = Gateway::start(&sealed);
        assert!(UnixStream::connect(&socket).is_ok());
        drop(again);
    }
}

#[test]
fn two_routes_share_an_address_by_their_prefixes() {
    let (one, other) = (echo(), echo());
    let port = free_port();
    let route = |name: &str, upstream: &Upstream, path: &str| {
        format!(
            "[{name}.login]\nurl = \"{0}/login\"\nbasic = true\n[{name}.route]\nlisten = \"127.0.0.1:{port}\"\nprefix = \"/{name}\"\nupstream = \"{0}{path}\"\n",
            upstream.origin()
        )
    };
    let values =
        [("a.username", "x"), ("a.password", "y"), ("b.username", "x"), ("b.password", "y")];
    let sealed =
        Sealed::new(&values, &format!("{}{}", route("a", &one, "/base"), route("b", &other, "")));
    let _gateway = Gateway::start(&sealed);
    assert_eq!(call(port, &get("/a/orders?q")).status, 200);
    assert_eq!(call(port, &get("/b")).status, 200);
    let lost = call(port, &get("/c"));
    assert_eq!((lost.status, lost.header("x-bootseal-error")), (404, Some("no-route")));
    assert!(problem(&lost)["help"].as_str().unwrap().contains("/a, /b"));
    assert!(one.heads()[0].starts_with("GET /base/orders?q "));
    assert!(other.heads()[0].starts_with("GET / "));
}

#[test]
fn links_in_a_response_lead_back_to_the_gateway() {
    let upstream = Upstream::start(|head, stream| {
        let host = head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned();
        write!(
            stream.get_mut(),
            "HTTP/1.1 302 Found\r\nLocation: http://{host}/base/orders/8\r\nContent-Location: /base/x\r\nLink: <http://{host}/base/orders?page=2>; rel=\"next\"\r\nSet-Cookie: id=1; Domain=127.0.0.1; Path=/base; Secure\r\nX-Bootseal-Error: login-down\r\nContent-Length: 0\r\n\r\n"
        )?;
        Ok(true)
    });
    let usual = Usual::new(&upstream.origin(), "", "");
    let port = usual.port;
    let text = format!("upstream = \"{}\"", upstream.origin());
    let sealed = usual.sealed.changed(|vault| {
        vault
            .set_readable(
                &"acme.route.upstream".parse().unwrap(),
                &format!("{}/base", upstream.origin()).into(),
            )
            .unwrap();
    });
    assert!(!sealed.contains(&text));
    usual.sealed.replace(&sealed);
    let _gateway = usual.start();
    let answer = call(port, &format!("GET /orders HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"));
    assert_eq!(answer.status, 302);
    assert_eq!(answer.header("location"), Some(&*format!("http://localhost:{port}/orders/8")));
    assert_eq!(answer.header("content-location"), Some("/x"));
    assert_eq!(
        answer.header("link"),
        Some(&*format!("<http://localhost:{port}/orders?page=2>; rel=\"next\""))
    );
    assert_eq!(answer.header("set-cookie"), Some("id=1; Path=/"));
    assert_eq!(answer.header("x-bootseal-error"), None, "only the gateway sets this header");
}

#[test]
fn a_wrong_password_is_sent_once_and_every_caller_gets_the_error() {
    let vendor = Vendor::start_plain().unwrap();
    vendor.refuse(true);
    let usual = Usual::new(vendor.url("").trim_end_matches('/'), "refused_status = [401]", "");
    let _gateway = usual.start();
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let port = usual.port;
            std::thread::spawn(move || {
                let mut client = Client::connect(port);
                for _ in 0..25 {
                    let answer = client.call(&get("/orders"));
                    assert_eq!(
                        (answer.status, answer.header("x-bootseal-error")),
                        (503, Some("login-refused"))
                    );
                    assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() > 60);
                    let said = problem(&answer);
                    assert_eq!(said["route"], "acme");
                    assert!(
                        said["help"].as_str().unwrap().contains("bootseal login acme"),
                        "{said}"
                    );
                    assert!(!answer.text().contains("open sesame"));
                }
            })
        })
        .collect();
    callers.into_iter().for_each(|caller| caller.join().unwrap());
    assert_eq!((vendor.logins(), vendor.refused_logins(), vendor.calls()), (1, 1, 0));
}

#[test]
fn a_vendor_outage_is_a_503_and_a_token_is_used_until_it_expires() {
    let vendor = Vendor::start_plain().unwrap();
    let usual = Usual::new(vendor.url("").trim_end_matches('/'), "", "");
    vendor.down(true);
    {
        let _gateway = usual.start();
        let answer = call(usual.port, &get("/orders"));
        assert_eq!((answer.status, answer.header("x-bootseal-error")), (503, Some("login-down")));
        assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    }
    vendor.down(false);
    let gateway = usual.start();
    assert_eq!(call(usual.port, &get("/orders")).status, 200);
    vendor.down(true);
    // The token is still valid: the caller gets the vendor's own response.
    let answer = call(usual.port, &get("/orders"));
    assert_eq!((answer.status, answer.header("x-bootseal-error")), (503, None));
    assert!(!gateway.log().lines().iter().any(|line| line.contains(" panicked")));
}

#[test]
fn unreachable_slow_and_broken_upstreams_get_distinct_errors() {
    let upstream = Upstream::start(|head, stream| {
        if head.starts_with("GET /slow ") {
            std::thread::park_timeout(Duration::from_secs(30));
        }
        if head.starts_with("GET /broken ") {
            write!(stream.get_mut(), "SPDY/9 200 OK\r\n\r\n")?;
        }
        Ok(false)
    });
    let usual = Usual::new(&upstream.origin(), "", "answer_timeout = \"3s\"");
    let (dead, listens) = (free_port(), free_port());
    let sealed = usual.sealed.changed(|vault| {
        vault.set_readable(&"acme.login.hosts".parse().unwrap(), &toml::Value::Array(vec![format!("127.0.0.1:{}", upstream.port).into(), format!("127.0.0.1:{dead}").into()])).unwrap();
        vault.append(&format!("[dead]\nusername = \"x\"\npassword = \"y\"\n[dead.login]\nlike = \"acme\"\n[dead.route]\nlisten = \"127.0.0.1:{}\"\nupstream = \"http://127.0.0.1:{dead}\"\n", listens)).unwrap();
    });
    usual.sealed.replace(&sealed);
    let _gateway = usual.start();
    let says =
        |answer: Answer| (answer.status, answer.header("x-bootseal-error").unwrap().to_owned());
    assert_eq!(says(call(usual.port, &get("/slow"))), (504, "upstream-timeout".into()));
    assert_eq!(says(call(usual.port, &get("/broken"))), (502, "upstream-broken".into()));
    assert_eq!(says(call(usual.port, &get("/gone"))), (502, "upstream-broken".into()));
    assert_eq!(says(call(listens, &get("/"))), (502, "upstream-unreachable".into()));
}
