//! Answers and tokens whose size the vendor chooses: the gateway's work and memory stay bounded.

use crate::support::{self, Client, Upstream, Usual, call, get, reply};
use std::io::{Read, Write};
use std::net::TcpListener;

const MIB: usize = 1 << 20;

fn peak(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim_matches([' ', '\t', 'k', 'B']).parse::<usize>().unwrap() * 1024
}

#[test]
fn headers_with_thousands_of_links_take_little_memory() {
    let upstream = Upstream::start(|head, stream| {
        let (name, entry) = match head.split(' ').nth(1).unwrap() {
            path if path.contains("/empty/") => ("Link", "<>,"),
            path if path.contains("/path/") => ("Link", "</>,"),
            path if path.contains("/host/") => ("Link", "<//127.0.0.1/>,"),
            path if path.contains("/query/") => ("Link", "<?>,"),
            _ => ("Set-Cookie", "a=1;Path=/;"),
        };
        let value = entry.repeat(200 * 1024 / entry.len());
        reply(stream, &format!("200 OK\r\n{name}: {value}"), "ok")?;
        Ok(true)
    });
    let prefix = format!("/{}", "p".repeat(64));
    let usual = Usual::new(&upstream.origin(), "", &format!("prefix = \"{prefix}\""));
    let gateway = usual.start();
    let before = peak(gateway.pid());
    for kind in ["empty", "path", "host", "query", "cookie"] {
        let path = format!("{prefix}/{kind}/{}", "x".repeat(15 * 1024));
        let answer = call(usual.port, &get(&path));
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"), "{kind}");
        assert!(answer.head.len() < 240 * 1024, "{kind}: {}", answer.head.len());
    }
    let more = peak(gateway.pid()).saturating_sub(before);
    assert!(more < 8 * MIB, "{} KiB more than before", more / 1024);
}

#[test]
fn a_token_beyond_the_limit_is_refused_with_an_error_that_names_the_limit() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 64 * 1024]);
            let body = format!("{{\"access_token\":\"{}\"}}", "t".repeat(MIB - 100));
            let length = body.len();
            let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
        }
    });
    let usual = Usual::new(&origin, "", "");
    let _gateway = usual.start();
    let answer = call(usual.port, &get("/x"));
    assert_eq!((answer.status, answer.header("x-bootseal-error")), (503, Some("login-protocol")));
    assert!(answer.text().contains("longer than 64 KiB, the limit"), "{}", answer.text());
}

#[test]
fn a_body_in_chunks_of_one_byte_is_redacted() {
    let upstream = Upstream::start(|_, stream| {
        let mut body = Vec::new();
        for byte in format!("echo {}0!", support::TOKEN).repeat(2000).bytes() {
            write!(body, "1\r\n{}\r\n", byte as char)?;
        }
        body.extend_from_slice(b"0\r\n\r\n");
        write!(stream.get_mut(), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        stream.get_mut().write_all(&body)?;
        Ok(true)
    });
    let usual = Usual::new(&upstream.origin(), "", "");
    let _gateway = usual.start();
    let answer = Client::connect(usual.port).call(&get("/echo"));
    // The first half of a token may pass before it is recognised, unless it is 16 bytes long.
    let text = answer.text();
    assert!(!text.contains(&support::TOKEN[..16]), "{}", &text[..200]);
    assert_eq!(text.len(), format!("echo {}0!", support::TOKEN).len() * 2000);
}
