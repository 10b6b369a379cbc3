//! Tests of the framing machine: literal requests, and arbitrary cuts and wrong bytes by proptest.

#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;
use proptest::prelude::*;

fn refusal(stream: &str) -> Option<Violation> {
    Framing::new(Limits::default()).feed(stream.as_bytes()).err().map(|(_, why)| why)
}

#[test]
fn valid_requests_pass() {
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X-A: b\r\n".repeat(98));
    for stream in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhost:a\r\n\r\n",
        "GET http://a/b?c HTTP/1.1\r\nHost: a\r\nX: \t b\u{e4}\t\r\nX:\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\na\r\n\0bGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\na\r\n\0b\r\n00a\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0",
        &long,
    ] {
        assert_eq!(refusal(stream), None, "{stream}");
    }
}

#[test]
fn each_form_of_smuggling_in_a_head_is_refused() {
    let get = |headers: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
    for (stream, why) in [
        (get("Content-Length: 5\r\nContent-Length: 5\r\n"), "more than one Content-Length"),
        (get("Content-Length: 5\r\ncontent-length: 6\r\n"), "more than one Content-Length"),
        (get("Content-Length: 5, 5\r\n"), "invalid Content-Length"),
        (get("Content-Length: +5\r\n"), "invalid Content-Length"),
        (get("Content-Length: -1\r\n"), "invalid Content-Length"),
        (get("Content-Length: 0x5\r\n"), "invalid Content-Length"),
        (get("Content-Length:\r\n"), "invalid Content-Length"),
        (get("Content-Length: 5 5\r\n"), "invalid Content-Length"),
        (get("Content-Length: 00000000000000000005\r\n"), "invalid Content-Length"),
        (
            get("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
            "Content-Length beside Transfer-Encoding",
        ),
        (
            get("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
            "Content-Length beside Transfer-Encoding",
        ),
        (
            get("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
            "more than one Transfer-Encoding",
        ),
        (get("Transfer-Encoding: chunked, chunked\r\n"), "transfer encoding other than chunked"),
        (get("Transfer-Encoding: gzip, chunked\r\n"), "transfer encoding other than chunked"),
        (get("Transfer-Encoding: identity\r\n"), "transfer encoding other than chunked"),
        (get("Transfer-Encoding: xchunked\r\n"), "transfer encoding other than chunked"),
        (get("Transfer-Encoding: \x0bchunked\r\n"), "control character in a header"),
        (get("Transfer-Encoding : chunked\r\n"), "invalid header name"),
        (get("Transfer-Encoding\t: chunked\r\n"), "invalid header name"),
        (get(" Transfer-Encoding: chunked\r\n"), "invalid header name"),
        (get("X: a\r\n b\r\n"), "header without a colon"),
        (get("X: a\r\n\tContent-Length: 5\r\n"), "invalid header name"),
        (get(": a\r\n"), "invalid header name"),
        (get("X\r\n"), "header without a colon"),
        (get("X: a\nContent-Length: 5\r\n"), "line feed without a carriage return"),
        (get("X: a\rContent-Length: 5\r\n"), "carriage return inside a line"),
        (get("X: a\r\r\n"), "carriage return inside a line"),
        (get("\r\r\n"), "carriage return inside a line"),
        (get("X: a\0\r\n"), "control character in a header"),
        (get("X: a\x7f\r\n"), "control character in a header"),
        (get("Host: b\r\n"), "more than one Host header"),
        (get(&"X: y\r\n".repeat(100)), "too many headers"),
        (get(&format!("X: {}\r\n", "y".repeat(32 * 1024))), "line or head too long"),
        (format!("GET /{} HTTP/1.1\r\n", "y".repeat(16 * 1024)), "line or head too long"),
        ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".into(), "invalid request line"),
        ("GET / HTTP/1.1\nHost: a\r\n\r\n".into(), "line feed without a carriage return"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n".into(), "line feed without a carriage return"),
        ("GET / HTTP/1.1\r\n\r\n".into(), "no Host header"),
        ("GET  / HTTP/1.1\r\n\r\n".into(), "invalid request line"),
        ("GET / HTTP/1.1 \r\n\r\n".into(), "invalid request line"),
        ("GET\t/ HTTP/1.1\r\n\r\n".into(), "invalid request line"),
        ("GET /\x01 HTTP/1.1\r\n\r\n".into(), "invalid request target"),
        ("GET /\u{e4} HTTP/1.1\r\n\r\n".into(), "invalid request target"),
        ("G(T / HTTP/1.1\r\n\r\n".into(), "invalid method"),
        ("GET /\r\n\r\n".into(), "invalid request line"),
        ("GET / HTTP/0.9\r\n\r\n".into(), "unsupported HTTP version"),
        ("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".into(), "unsupported HTTP version"),
        (
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
            "chunked body in HTTP/1.0",
        ),
    ] {
        assert_eq!(refusal(&stream), Some(why), "{stream:?}");
    }
}

#[test]
fn each_form_of_smuggling_in_chunks_is_refused() {
    let chunks = |chunks: &str| {
        format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")
    };
    for (stream, why) in [
        (chunks("A\r\r0123456789\r\n"), "carriage return inside a line"),
        (chunks("0\r\nX: a\rb\r\n"), "carriage return inside a line"),
        (chunks("0x5\r\n"), "invalid chunk size"),
        (chunks("+5\r\n"), "invalid chunk size"),
        (chunks(" 5\r\n"), "invalid chunk size"),
        (chunks("5 \r\n"), "invalid chunk size"),
        (chunks("5;a\r\n"), "invalid chunk size"),
        (chunks("\r\n"), "invalid chunk size"),
        (chunks("5_0\r\n"), "invalid chunk size"),
        (chunks("000000005\r\n"), "line or head too long"),
        (chunks("5;aaaaaaaaaaaaaaa"), "line or head too long"),
        (chunks("5\nhello"), "line feed without a carriage return"),
        (chunks("5\r\nhello!\r\n"), "chunk data longer than its size"),
        (chunks("5\r\nhello\n0\r\n"), "chunk data longer than its size"),
        (chunks("5\r\nhello\r0\r\n"), "chunk data longer than its size"),
        (chunks("0\r\nContent-Length: 5\r\n"), "forbidden trailer field"),
        (chunks("0\r\nX: a\nY: b\r\n"), "line feed without a carriage return"),
        (chunks(&format!("0\r\n{}", "X: y\r\n".repeat(101))), "too many headers"),
    ] {
        assert_eq!(refusal(&stream), Some(why), "{stream:?}");
    }
}

const GOOD: [&str; 6] = [
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n\r\n\r\nGET",
    "POST /y HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\n",
    "PUT /z HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "P / HTTP/1.1\r\nHost: a\r\n\r\n",
];

/// Counts the requests of a whole stream with a slow reference reader that follows RFC 9112; an
/// error if some part is not a valid, complete request.
fn requests(stream: &[u8]) -> Result<usize, ()> {
    let mut rest = stream;
    let mut count = 0;
    while !rest.is_empty() {
        let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Err(());
        };
        let head = std::str::from_utf8(&rest[..end + 2]).map_err(drop)?;
        rest = after_body(head, &rest[end + 4..])?;
        count += 1;
    }
    Ok(count)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && is_token(name.as_bytes())
}

fn is_plain(line: &str) -> bool {
    !line.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f)
}

/// Reads a head, and returns the bytes after the body that it declares.
fn after_body<'a>(head: &str, rest: &'a [u8]) -> Result<&'a [u8], ()> {
    let lines: Vec<&str> = head.split_terminator("\r\n").collect();
    if !lines.iter().all(|line| is_plain(line)) || head.replace("\r\n", "").contains(['\r', '\n']) {
        return Err(());
    }
    let [method, target, version] = lines[0].split(' ').collect::<Vec<_>>()[..] else {
        return Err(());
    };
    if !is_name(method)
        || target.is_empty()
        || !["HTTP/1.1", "HTTP/1.0"].contains(&version)
        || lines[0].contains('\t')
        || !target.is_ascii()
    {
        return Err(());
    }
    let mut fields = Vec::new();
    for line in &lines[1..] {
        let (name, value) = line.split_once(':').ok_or(())?;
        if !is_name(name) {
            return Err(());
        }
        fields.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t'])));
    }
    let all = |wanted: &str| {
        fields
            .iter()
            .filter(|(name, _)| name == wanted)
            .map(|(_, value)| *value)
            .collect::<Vec<_>>()
    };
    let (lengths, codings, hosts) = (all("content-length"), all("transfer-encoding"), all("host"));
    if hosts.len() > 1
        || hosts.is_empty() && version == "HTTP/1.1"
        || !lengths.is_empty() && !codings.is_empty()
    {
        return Err(());
    }
    match (&lengths[..], &codings[..]) {
        ([], []) => Ok(rest),
        ([length], []) => {
            if length.is_empty() || !length.bytes().all(|digit| digit.is_ascii_digit()) {
                return Err(());
            }
            let length: usize = length.parse().map_err(drop)?;
            rest.get(length..).ok_or(())
        }
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") && version == "HTTP/1.1" => {
            after_chunks(rest)
        }
        _ => Err(()),
    }
}

/// Reads chunks and trailers, and returns the bytes after them.
fn after_chunks(mut rest: &[u8]) -> Result<&[u8], ()> {
    loop {
        let (size, after) = split_line(rest)?;
        if size.is_empty() || !size.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(());
        }
        let size = usize::from_str_radix(size, 16).map_err(drop)?;
        rest = after;
        if size == 0 {
            break;
        }
        let data = rest.get(..size + 2).ok_or(())?;
        if &data[size..] != b"\r\n" {
            return Err(());
        }
        rest = &rest[size + 2..];
    }
    loop {
        let (line, after) = split_line(rest)?;
        rest = after;
        if line.is_empty() {
            return Ok(rest);
        }
        let (name, value) = line.split_once(':').ok_or(())?;
        if !is_name(name) || !is_plain(line) || value.contains(['\r', '\n']) {
            return Err(());
        }
    }
}

fn split_line(rest: &[u8]) -> Result<(&str, &[u8]), ()> {
    let end = rest.windows(2).position(|two| two == b"\r\n").ok_or(())?;
    Ok((std::str::from_utf8(&rest[..end]).map_err(drop)?, &rest[end + 2..]))
}

fn cut<'a>(stream: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    cuts.sort_unstable();
    cuts.push(stream.len());
    let mut from = 0;
    cuts.into_iter().map(|cut| &stream[std::mem::replace(&mut from, cut)..cut]).collect()
}

/// Each of these was once refused at different bytes, depending on the cut.
#[test]
fn a_wrong_byte_is_refused_at_the_same_place_however_the_stream_is_cut() {
    let chunks = |chunks: &str| {
        format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")
    };
    let long = "y".repeat(40 * 1024);
    for stream in [
        chunks("3\r\nabc\r\nA\r\r0123456789\r\n0\r\nX: y\r\n\r\n"),
        chunks("5;aaaaaaaaaaaaaaaaaaaaaaaa"),
        chunks("000000005\r\nhello"),
        format!("GET /{long} HTTP/1.1\r\n"),
        format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"),
        chunks(&format!("0\r\nX: {long}\r\n\r\n")),
        "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n".into(),
        "GET /\r HTTP/1.1\r\n\r\n".into(),
        "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".into(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\rX".into(),
        "PRI * HTTP/2.0\rX".into(),
        "PRI * HTTP/2.1\r\n\r\n".into(),
    ] {
        let stream = stream.as_bytes();
        let whole = fuzzed(&[stream]);
        assert!(whole.1);
        for at in (1..stream.len()).step_by(1 + stream.len() / 200) {
            assert!(fuzzed(&[&stream[..at], &stream[at..]]) == whole, "cut at {at}");
        }
        assert!(fuzzed(&stream.chunks(1).collect::<Vec<_>>()) == whole, "in single bytes");
    }
}

/// Chunk-size lines and trailers have their own limits, even after a head of the greatest length.
#[test]
fn chunks_after_the_longest_head_pass() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nX: ";
    let pad = "y".repeat(Limits::default().head - head.len() - 4);
    assert_eq!(refusal(&format!("{head}{pad}\r\n\r\n5\r\nhello\r\n0\r\n\r\n")), None);
    assert_eq!(refusal(&format!("{head}{pad}y\r\n\r\n")), Some("line or head too long"));
}

proptest! {
    #[test]
    fn good_requests_pass_however_they_are_cut(which in prop::collection::vec(0..GOOD.len(), 1..5), cuts in prop::collection::vec(any::<usize>(), 0..12)) {
        let stream = which.iter().map(|at| GOOD[*at]).collect::<String>();
        prop_assert_eq!(fuzzed(&cut(stream.as_bytes(), &cuts)), (stream.clone().into_bytes(), false));
        prop_assert_eq!(requests(stream.as_bytes()), Ok(which.len()));
    }

    /// A stream that the reference reader does not accept as complete requests does not pass as
    /// such.
    #[test]
    fn one_wrong_byte_makes_no_other_request(
        which in prop::collection::vec(0..GOOD.len(), 1..4), at in any::<usize>(), byte in prop::sample::select(&b"\r\n\0 \t:;,05aX+-Ghc\x7f\x0b"[..]), cuts in prop::collection::vec(any::<usize>(), 0..6), insert in any::<bool>()
    ) {
        let mut stream = which.iter().map(|at| GOOD[*at]).collect::<String>().into_bytes();
        let at = at % stream.len();
        if insert { stream.insert(at, byte) } else { stream[at] = byte }
        let (passed, refused) = fuzzed(&cut(&stream, &cuts));
        let whole = fuzzed(&[&stream]);
        prop_assert_eq!((&passed, refused), (&whole.0, whole.1), "however it is cut");
        if !refused && requests(&stream).is_err() {
            // Nothing was refused, so the last request must still be incomplete.
            let mut framing = Framing::new(Limits::default());
            framing.feed(&stream).unwrap();
            let ended = matches!(framing.state, State::Line { trailers: false }) && framing.head.bytes == 0;
            prop_assert!(!ended, "all of it passed as whole requests");
        }
    }
}
