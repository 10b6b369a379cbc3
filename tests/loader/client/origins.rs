//! Origins that never receive the token.

use super::*;

#[tokio::test]
async fn a_call_to_another_origin_is_an_error_before_anything_is_sent() {
    let elsewhere = Raw::start(|_| reply(200, &[], ""));
    let acme = acme("");
    let own = acme.vendor.url("").rsplit_once(':').unwrap().1.trim_end_matches('/').to_owned();
    for url in [
        elsewhere.url("/orders?key=hidden"), // another port, without TLS
        format!("https://127.0.0.1:{}/?key=hidden", elsewhere.port), // another port
        format!("https://localhost:{own}/orders?key=hidden"), // another name of the same host
        format!("http://localhost:{own}/orders?key=hidden"),
        format!("https://127.0.0.2:{own}/orders?key=hidden"),
        format!("https://127.0.0.1@localhost:{own}/orders?key=hidden"),
        "https://127.0.0.1/orders?key=hidden".into(), // the default port is 443
        "https://127.0.0.1.acme.example/orders?key=hidden".into(),
    ] {
        let error = acme.client.get(&url).send().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Usage, "{url}: {error}");
        assert!(
            error.to_string().contains("must not be sent to http")
                && !error.to_string().contains("hidden"),
            "{error}"
        );
        assert!(error.help().unwrap().contains(&format!("127.0.0.1:{own}")), "{error}");
    }
    let malformed = acme.client.get("not a URL").send().await.unwrap_err();
    assert_eq!(malformed.kind(), Kind::Usage, "{malformed}");
    assert_eq!(
        (elsewhere.connections.load(Ordering::SeqCst), acme.vendor.seen().len()),
        (0, 0),
        "nor is a login made"
    );
}

#[tokio::test]
async fn a_host_of_the_profile_is_not_called_without_tls() {
    let clear = Raw::start(|_| reply(200, &[], ""));
    for (host, url) in [
        (format!("localhost:{}", clear.port), format!("http://localhost:{}/", clear.port)),
        // `hosts` means https, even for a loopback address at which the login URL may be http.
        (format!("127.0.0.1:{}", clear.port), format!("http://127.0.0.1:{}/", clear.port)),
    ] {
        let acme = acme(&format!("hosts = [\"{host}\"]"));
        let sent = acme.client.get(&url).send().await;
        assert_eq!(clear.calls().len(), 0, "the token went to {url}");
        assert_eq!(sent.unwrap_err().kind(), Kind::Usage, "{url}");
    }
}

#[tokio::test]
async fn the_origin_of_an_https_login_is_not_called_without_tls() {
    let acme = acme("");
    let url = acme.vendor.url("/orders").replacen("https", "http", 1);
    let error = acme.client.get(url).send().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Usage, "{error}");
}

#[tokio::test]
async fn a_host_that_the_profile_adds_gets_the_token() {
    let api = Raw::start(|_| reply(200, &[], ""));
    let login = Raw::vendor(|_| reply(200, &[], ""));
    let client = login.source(&format!("hosts = [\"127.0.0.1:{}\"]", api.port)).client();
    client.get(api.url("/orders")).send().await.unwrap();
    assert_eq!(api.calls()[0].token(), "token-1");
    assert_eq!(
        client.get(login.url("/orders")).send().await.unwrap_err().kind(),
        Kind::Usage,
        "`hosts` replaces the default"
    );
}
