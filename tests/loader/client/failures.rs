//! Failures of the connection below a call or a login: timeouts, outages, certificates.

use super::*;

#[tokio::test]
async fn a_call_that_times_out_is_an_error_and_is_not_replayed() {
    let raw = Raw::vendor(|_| Reply { bytes: Vec::new(), held: true });
    let source = raw.source("");
    source.ready().await.unwrap();
    let call = source.client().get(raw.url("/slow?key=hidden")).timeout(Duration::from_secs(1));
    let error = soon("the timeout", call.send()).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!(
        !error.to_string().contains("hidden") && !error.to_string().contains("token-1"),
        "{error}"
    );
    assert_eq!((raw.calls().len(), raw.logins()), (1, 1));
}

#[tokio::test]
async fn a_login_that_times_out_is_sent_once_and_every_waiter_gets_the_error() {
    let raw = Raw::start(|_| Reply { bytes: Vec::new(), held: true });
    let client = raw.source("login_timeout = \"1s\"").client();
    let calls: Vec<_> = (0..20).map(|_| tokio::spawn(client.get(raw.url("/")).send())).collect();
    for call in calls {
        let error = soon("the login", call).await.unwrap().unwrap_err();
        assert_eq!((error.kind(), error.status()), (Kind::LoginDown, None), "{error}");
        assert!(error.to_string().contains("1s"), "{error}");
    }
    assert_eq!((raw.logins(), raw.calls().len()), (1, 0));
}

#[tokio::test]
async fn a_vendor_error_is_returned_to_the_caller_without_a_login() {
    for status in [400, 403, 404, 409, 429, 500, 502, 503] {
        let raw = Raw::vendor(move |_| reply(status, &[], "sorry"));
        let answer = raw.source("").client().post(raw.url("/")).body("x").send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.text().await.unwrap().as_str()),
            (status, "sorry")
        );
        assert_eq!((raw.calls().len(), raw.logins()), (1, 1), "{status}");
    }
}

/// HTTP, with a count of finished logins.
struct Counted(Arc<AtomicUsize>);

impl Transport for Counted {
    fn send(&self, request: LoginRequest) -> Sending {
        let (done, sending) = (self.0.clone(), HttpTransport.send(request));
        Box::pin(async move {
            let answer = sending.await;
            done.fetch_add(1, Ordering::SeqCst);
            answer
        })
    }
}

type Sending = Pin<Box<dyn Future<Output = Result<LoginResponse, TransportError>> + Send>>;

#[tokio::test]
async fn a_vendor_outage_is_an_error_and_calls_continue_with_a_valid_token() {
    let acme_down = acme("");
    acme_down.vendor.down(true);
    let error = acme_down.get("/orders").await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (Kind::LoginDown, Some(503)), "{error}");

    let login = Vendor::start_plain().unwrap();
    let api = Raw::start(|_| reply(200, &[], ""));
    let vault =
        vault(&login.url("/login"), "", &format!("{JSON}hosts = [\"127.0.0.1:{}\"]\n", api.port));
    let (clock, done) = (Clock::new(), Arc::default());
    let source = vault
        .token_source_with("acme", Arc::new(clock.clone()), Arc::new(Counted(Arc::clone(&done))))
        .unwrap();
    let client = source.client();
    let call =
        || async { Ok::<_, Error>(client.get(api.url("/")).send().await?.status().as_u16()) };
    assert_eq!(call().await.unwrap(), 200);
    login.down(true);
    clock.advance(Duration::from_secs(800)); // of 900: a login starts in the background
    for _ in 0..10 {
        assert_eq!(call().await.unwrap(), 200);
    }
    until("the login behind the call", || done.load(Ordering::SeqCst) == 2).await;
    clock.advance(Duration::from_secs(100)); // expired
    let error = call().await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (Kind::LoginDown, Some(503)), "{error}");
    assert_eq!(api.calls().len(), 11);
    login.down(false);
    clock.advance(Duration::from_secs(60));
    assert_eq!(call().await.unwrap(), 200);
}

#[tokio::test]
async fn a_refused_connection_is_reported_by_login_and_call() {
    let port = crate::ports::free_port();
    let gone = format!("http://127.0.0.1:{port}/login");
    let error = vault(&gone, "", JSON).token_source("acme").unwrap().token().await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (Kind::LoginDown, None), "{error}");
    assert!(error.help().is_some());
    let raw = Raw::vendor(|_| reply(200, &[], ""));
    let client = raw.source(&format!("hosts = [\"127.0.0.1:{port}\"]")).client();
    let error =
        client.get(format!("http://127.0.0.1:{port}/?key=hidden")).send().await.unwrap_err();
    assert!(error.is_connect() && !error.to_string().contains("hidden"), "{error}");
    assert_eq!(raw.logins(), 1);
}

#[tokio::test]
async fn an_untrusted_certificate_ends_the_login_without_a_retry() {
    let (vendor, other) = (Vendor::start().unwrap(), Vendor::start().unwrap());
    // Counts connections and forwards their bytes.
    let relay = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = relay.local_addr().unwrap().port();
    let target = vendor.url("").trim_start_matches("https://").trim_end_matches('/').to_owned();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    std::thread::spawn(move || {
        for near in relay.incoming() {
            count.fetch_add(1, Ordering::SeqCst);
            let (near, far) = (near.unwrap(), TcpStream::connect(&target).unwrap());
            for (mut from, mut to) in
                [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)]
            {
                std::thread::spawn(move || {
                    let _ = io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
            }
        }
    });
    let url = format!("https://127.0.0.1:{port}/login");
    for (index, ca) in [other.ca_pem(), ""].into_iter().enumerate() {
        let source = vault(&url, ca, JSON).token_source("acme").unwrap();
        for _ in 0..5 {
            let error = source.token().await.unwrap_err();
            assert_eq!((error.kind(), error.status()), (Kind::LoginTls, None), "{error}");
            assert!(error.to_string().contains(&format!("https://127.0.0.1:{port}")), "{error}");
        }
        let error = source.token().await.unwrap_err();
        assert!(error.retry_after().is_some_and(|wait| wait > Duration::from_secs(20)), "{error}");
        assert_eq!((connections.load(Ordering::SeqCst), source.counts().logins), (index + 1, 1));
    }
    assert_eq!(vendor.seen(), []);
    // With the right certificate the same path works, so the certificate was the cause.
    vault(&url, vendor.ca_pem(), JSON).token_source("acme").unwrap().token().await.unwrap();
    assert_eq!(vendor.logins(), 1);
}

#[tokio::test]
async fn a_server_without_tls_gets_no_password() {
    let raw = Raw::start(|_| reply(200, &[], ""));
    let source = vault(&raw.url("/login").replacen("http", "https", 1), "", JSON)
        .token_source("acme")
        .unwrap();
    let error = soon("the handshake", source.token()).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::LoginTls | Kind::LoginDown), "{error}");
    assert!(raw.heard.lock().unwrap().iter().all(|heard| heard.body.is_empty()));
}
