//! The tower layer, the middleware and blocking calls behave like the client, against the simulated
//! vendor.

use bootseal::{Kind, TokenSource};
use bootseal_vendor_sim::Vendor;
use http::{Request, Response};
use http_body_util::BodyExt;
use std::future::Ready;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

fn acme(vendor: &Vendor, more: &str) -> TokenSource {
    let readable =
        format!("[acme.login]\nurl = \"{}\"\nbasic = true\n{more}", vendor.url("/login"));
    let values = [("acme.username", "quickstart"), ("acme.password", "open sesame")];
    bootseal::testing::vault(values, &readable).unwrap().token_source("acme").unwrap()
}

/// Responds with 401 to every token except the newest one.
#[derive(Clone)]
struct Below {
    seen: Arc<Mutex<Vec<String>>>,
    rejects: usize,
    /// Reports the rejection in a 200.
    in_the_body: bool,
}

impl Service<Request<String>> for Below {
    type Response = Response<String>;
    type Error = std::io::Error;
    type Future = Ready<Result<Response<String>, std::io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<String>) -> Self::Future {
        let mut seen = self.seen.lock().unwrap();
        assert!(request.headers()["authorization"].is_sensitive());
        seen.push(format!(
            "{} {:?} {}",
            request.method(),
            request.headers()["authorization"].to_str().unwrap(),
            request.body()
        ));
        let rejected = seen.len() <= self.rejects;
        let (status, body) = match self.in_the_body {
            true if rejected => (200, r#"{"error":{"code":"SESSION_EXPIRED"}}"#),
            true => (200, r#"{"orders":[]}"#),
            false => (if rejected { 401 } else { 200 }, ""),
        };
        std::future::ready(Ok(Response::builder().status(status).body(body.to_owned()).unwrap()))
    }
}

#[tokio::test]
async fn the_tower_layer_adds_the_token_and_replays_once() {
    for (rejects, status, sent) in [(0, 200, 1), (1, 200, 2), (9, 401, 2)] {
        let vendor = Vendor::start_plain().unwrap();
        let source = acme(&vendor, "");
        let below = Below { seen: Arc::default(), rejects, in_the_body: false };
        let mut service = source.layer().layer(below.clone());
        let request = Request::post(vendor.url("/orders"))
            .header("authorization", "Bearer mine")
            .body("lamp".to_owned());
        let answer = service.call(request.unwrap()).await.unwrap();
        let seen = below.seen.lock().unwrap().clone();
        assert_eq!((answer.status().as_u16(), seen.len()), (status, sent));
        assert!(seen.iter().all(|call| call.starts_with("POST")
            && call.ends_with("lamp")
            && !call.contains("mine")));
        assert!(sent == 1 || seen[0] != seen[1], "the replay has a new token");
        assert_eq!(vendor.logins(), sent as u64);
    }
}

#[tokio::test]
async fn the_tower_layer_detects_an_expired_token_in_a_body_and_passes_the_body_on() {
    let when = "rejected_when = { json = \"/error/code\", equals = \"SESSION_EXPIRED\" }\n";
    for (rejects, sent, body) in
        [(0, 1, r#"{"orders":[]}"#), (1, 2, r#"{"orders":[]}"#), (9, 2, "SESSION_EXPIRED")]
    {
        let vendor = Vendor::start_plain().unwrap();
        let source = acme(&vendor, when);
        let below = Below { seen: Arc::default(), rejects, in_the_body: true };
        let mut service = source.layer().layer(below.clone());
        let request = Request::get(vendor.url("/orders")).body(String::new()).unwrap();
        let whole =
            service.call(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&whole).contains(body), "{whole:?}");
        assert_eq!((below.seen.lock().unwrap().len(), vendor.logins()), (sent, sent as u64));
    }
}

#[tokio::test]
async fn the_tower_layer_sends_nothing_to_another_origin() {
    let vendor = Vendor::start_plain().unwrap();
    let below = Below { seen: Arc::default(), rejects: 0, in_the_body: false };
    for uri in ["https://evil.example/", "/relative"] {
        let mut service = acme(&vendor, "").layer().layer(below.clone());
        let error = service.call(Request::get(uri).body(String::new()).unwrap()).await.unwrap_err();
        assert_eq!(error.downcast_ref::<bootseal::Error>().unwrap().kind(), Kind::Usage, "{uri}");
    }
    assert!(below.seen.lock().unwrap().is_empty());
}

fn reqwest_client(source: &TokenSource) -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().redirect(source.redirect_policy()).build().unwrap()
}

#[tokio::test]
async fn the_middleware_renews_a_revoked_token_and_replays_the_call() {
    let vendor = Vendor::start_plain().unwrap();
    let source = acme(&vendor, "");
    let client = reqwest_middleware::ClientBuilder::new(reqwest_client(&source))
        .with(source.middleware())
        .build();
    assert_eq!(client.get(vendor.url("/orders")).send().await.unwrap().status(), 200);
    vendor.revoke_all();
    assert_eq!(client.post(vendor.url("/orders")).body("lamp").send().await.unwrap().status(), 201);
    let counts = source.counts();
    assert_eq!((vendor.logins(), counts.rejections, counts.replays), (2, 1, 1));
    let error = client.get("https://evil.example/").send().await.unwrap_err();
    assert!(format!("{error:?}").contains("must not be sent to"), "{error:?}");
}

#[tokio::test]
async fn the_middleware_refuses_a_token_header_that_a_redirect_could_leak() {
    let vendor = Vendor::start_plain().unwrap();
    let source = acme(&vendor, "inject = { header = \"X-Token\", value = \"${token}\" }\n");
    let client = reqwest_middleware::ClientBuilder::new(reqwest_client(&source))
        .with(source.middleware())
        .build();
    let error = client.get(vendor.url("/orders")).send().await.unwrap_err();
    assert!(format!("{error:?}").contains("redirect_policy"), "{error:?}");
    assert_eq!(vendor.logins(), 0);
    let told = source.middleware().with_redirect_policy();
    let client = reqwest_middleware::ClientBuilder::new(reqwest_client(&source)).with(told).build();
    client.get(vendor.url("/orders")).send().await.unwrap();
    assert!(vendor.logins() > 0);
}

#[test]
fn blocking_calls_need_no_runtime_and_are_an_error_inside_one() {
    let vendor = Vendor::start_plain().unwrap();
    let client = acme(&vendor, "").client();
    let whole = client.get(vendor.url("/orders")).send_blocking().unwrap().bytes().unwrap();
    vendor.revoke_all();
    let mut read = Vec::new();
    let mut answer = client.get(vendor.url("/orders")).send_blocking().unwrap();
    assert_eq!(answer.status(), 200);
    answer.read_to_end(&mut read).unwrap();
    assert!(!read.is_empty() && read.len() == whole.len());
    assert_eq!(vendor.logins(), 2);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let error =
        runtime.block_on(async { client.get(vendor.url("/orders")).send_blocking() }).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
}
