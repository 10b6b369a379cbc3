//! Redirects are followed within the origin; others are returned to the caller.

use super::*;

#[tokio::test]
async fn a_redirect_within_the_origin_is_followed_with_the_token() {
    let acme = acme("");
    for location in ["/orders".to_owned(), acme.vendor.url("/orders"), "orders#here".into()] {
        acme.vendor.redirect_calls_to(Some(location));
        let answer = acme.client.get(acme.vendor.url("/redirect")).send().await.unwrap();
        assert_eq!((answer.status(), answer.url().path()), (StatusCode::OK, "/orders"));
    }
    // A rejection after a redirect counts: the call is replayed from its first URL.
    acme.vendor.revoke_all();
    assert_eq!(acme.get("/redirect").await.unwrap(), 200);
    assert_eq!(
        (acme.vendor.logins(), acme.asked("GET", "/redirect"), acme.asked("GET", "/orders")),
        (2, 5, 5)
    );
    acme.vendor.redirect_calls_to(Some("/redirect".into()));
    let error = acme.get("/redirect").await.unwrap_err();
    assert!(error.to_string().contains("more than 10 redirects"), "{error}");
}

#[tokio::test]
async fn a_redirect_listed_in_rejected_status_is_a_rejection() {
    let raw = Raw::vendor(|heard| match heard.token() {
        "token-1" => reply(302, &["Location: /welcome"], ""),
        _ => reply(200, &[], ""),
    });
    let source = raw.source("rejected_status = [302]\n");
    let answer = source.client().get(raw.url("/orders")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), raw.logins()), (200, 2));
    assert!(
        raw.calls().iter().all(|call| call.path() == "/orders"),
        "the login page was not requested"
    );
}

#[tokio::test]
async fn a_redirect_to_another_origin_is_returned_and_not_followed() {
    let secure = Vendor::start().unwrap();
    for inject in ["", "inject = { header = \"X-Auth-Token\", value = \"${token}\" }"] {
        for status in [301, 302, 303, 307, 308] {
            let there = Raw::start(|_| reply(200, &[], ""));
            let target: Arc<Mutex<String>> = Arc::default();
            let location = target.clone();
            let here = Raw::vendor(move |heard| match heard.path() {
                "/near" => reply(307, &["Location: /far"], ""),
                _ => reply(status, &[&format!("Location: {}", location.lock().unwrap())], "moved"),
            });
            // Even if the profile allows that host: the responding server must not choose where the
            // token goes.
            let hosts =
                format!("hosts = [\"127.0.0.1:{}\", \"127.0.0.1:{}\"]\n", here.port, there.port);
            let client = here.source(&format!("{hosts}{inject}")).client();
            for to in [
                there.url("/orders"),
                there.url("/orders").replacen("http:", "", 1),
                here.url("/orders").replacen("127.0.0.1", "localhost", 1),
                here.url("/orders").replacen("http", "https", 1),
                secure.url("/orders"),
            ] {
                target.lock().unwrap().clone_from(&to);
                for path in ["/far", "/near"] {
                    let before = here.calls().len();
                    let answer =
                        client.post(here.url(path)).body("the order").send().await.unwrap();
                    assert_eq!(answer.status().as_u16(), status, "{to}");
                    assert_eq!(answer.headers()[LOCATION].to_str().unwrap(), to);
                    assert_eq!(answer.text().await.unwrap(), "moved");
                    assert_eq!(here.calls().len() - before, if path == "/far" { 1 } else { 2 });
                }
            }
            assert_eq!(there.connections.load(Ordering::SeqCst), 0, "{status} {inject}");
        }
    }
    assert_eq!(secure.seen(), []);
}

#[tokio::test]
async fn a_redirect_to_http_or_to_another_vendor_is_returned_and_not_followed() {
    let (clear, other) = (Raw::start(|_| reply(200, &[], "")), Vendor::start().unwrap());
    for inject in ["", "inject = { header = \"X-Auth-Token\", value = \"${token}\" }"] {
        let acme = acme(inject);
        let same = acme.vendor.url("/orders");
        for to in [
            clear.url("/orders"),
            other.url("/orders"),
            same.replacen("https", "http", 1),
            same.replacen("127.0.0.1", "localhost", 1),
        ] {
            acme.vendor.redirect_calls_to(Some(to.clone()));
            let answer = acme.client.get(acme.vendor.url("/redirect")).send().await.unwrap();
            assert_eq!(
                (answer.status().as_u16(), answer.headers()[LOCATION].to_str().unwrap()),
                (307, to.as_str())
            );
        }
        assert_eq!(acme.asked("GET", "/orders"), 0);
    }
    assert_eq!((clear.connections.load(Ordering::SeqCst), other.seen().len()), (0, 0));
}

#[tokio::test]
async fn a_redirected_login_is_an_error_that_names_only_the_origin() {
    let there = Raw::start(|_| token_reply("stolen"));
    for status in [301, 302, 303, 307, 308] {
        for lines in [JSON, "form = { u = \"${username}\", p = \"${password}\" }", "basic = true"] {
            let to = there.url("/steal?ticket=hidden");
            let vendor = Raw::start(move |_| reply(status, &[&format!("Location: {to}")], ""));
            let source = vault(&vendor.url("/login"), "", lines).token_source("acme").unwrap();
            let error = source.token().await.unwrap_err();
            assert_eq!((error.kind(), error.status()), (Kind::LoginProtocol, Some(status)));
            let text = error.to_string();
            assert!(text.contains(&format!("127.0.0.1:{}", there.port)), "{text}");
            assert!(
                !text.contains("steal") && !text.contains("hidden") && !text.contains(PASSWORD),
                "{text}"
            );
            assert_eq!(vendor.heard.lock().unwrap().len(), 1);
            let again = source.client().get(vendor.url("/orders")).send().await.unwrap_err();
            assert_eq!(again.kind(), Kind::LoginProtocol);
            assert!(again.retry_after().is_some_and(|wait| wait > Duration::from_secs(30)));
            assert_eq!(vendor.heard.lock().unwrap().len(), 1, "the login was sent again");
        }
    }
    // Redirects within the origin are not followed either.
    let vendor = Raw::start(|_| reply(307, &["Location: /login"], ""));
    assert_eq!(vendor.source("").token().await.unwrap_err().kind(), Kind::LoginProtocol);
    assert_eq!((vendor.logins(), there.connections.load(Ordering::SeqCst)), (1, 0));
}
