//! A caller that sends the whole of a large body before it reads still gets a response that the
//! gateway gave early.

use crate::support::{Client, Upstream, Usual, get, reply};

const MIB: usize = 1 << 20;

/// Sends a large body, and only then reads; returns the status and the error of the response, and
/// whether the connection serves another call.
fn send_first(port: u16, path: &str, headers: &str) -> (u16, Option<String>, bool) {
    let mut client = Client::connect(port);
    let length = 10 * MIB;
    client.send(format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}Content-Length: {length}\r\n\r\n"
    ));
    for _ in 0..length / MIB {
        client.send(vec![b'x'; MIB]);
    }
    let answer = client.answer().unwrap();
    let error = answer.header("x-bootseal-error").map(str::to_owned);
    client.send(get("/"));
    (answer.status, error, client.answer().is_ok())
}

#[test]
fn refusals_reach_a_caller_that_sends_before_it_reads() {
    let upstream = Upstream::start(|_, stream| {
        reply(stream, "200 OK", "ok")?;
        Ok(true)
    });
    let usual = Usual::new(
        &upstream.origin(),
        "",
        "prefix = \"/acme\"\ncallers = { bearer = \"${caller_key}\" }",
    );
    let _gateway = usual.start();
    let key = "Authorization: Bearer k3y of the caller\r\n";
    for (path, headers, status, error) in [
        ("/acme/x", "", 403, "caller-refused"),
        ("/elsewhere", key, 404, "no-route"),
        ("/acme/../b", key, 400, "target-refused"),
    ] {
        let expected = (status, Some(error.to_owned()), true);
        assert_eq!(send_first(usual.port, path, headers), expected);
    }
    let down = Usual::new("http://127.0.0.1:9", "", "");
    let _gateway = down.start();
    let expected = (503, Some("login-down".to_owned()), true);
    assert_eq!(send_first(down.port, "/x", ""), expected);
}
