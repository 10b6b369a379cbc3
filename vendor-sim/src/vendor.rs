//! The embedded vendor of a test: HTTPS on loopback, which misbehaves on request.
//!
//! | request | response |
//! |---|---|
//! | `POST /login` | 200 `{"access_token", "token_type", "expires_in"}`; 401 for a wrong password, 400 for a missing or malformed one |
//! | `POST /login-header` | the same, but `{}` and the token in the header `X-Subject-Token` |
//! | `GET /orders` | 200 `{"orders": […]}`, for a valid token |
//! | `POST /orders` | 201 `{"received": bytes}`, for a valid token |
//! | `POST /revoke` | 204, for a valid token; no token issued so far is valid after it |
//! | `GET /redirect` | 307 to the URL of [`Vendor::redirect_calls_to`]; needs no token |
//!
//! A login is JSON or a form with `username` and `password`, or HTTP Basic. A token is a JWT
//! (HS256, under a random key per vendor), sent as `Authorization: Bearer` or `X-Auth-Token`. A
//! body over 1 MiB gets 413, any other request 404.
//!
//! The vendor shares the process with the test, so everything that a client sends passes through
//! this heap in the clear. The vendor keeps none of it unless [`Vendor::keep_tokens`] asks for it,
//! but a test that scans memory should run its vendor in another process.
//!
//! ```
//! use bootseal_vendor_sim::Vendor;
//! use std::io::{Read, Write};
//!
//! let vendor = Vendor::start_plain()?;
//! let address = url::Url::parse(&vendor.url("/login"))?.socket_addrs(|| None)?;
//! let mut stream = std::net::TcpStream::connect(&address[..])?;
//! let form = "username=quickstart&password=open+sesame";
//! write!(stream, "POST /login HTTP/1.1\r\nHost: vendor\r\nConnection: close\r\nContent-Length: {}\r\n", form.len())?;
//! write!(stream, "Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}")?;
//! let mut response = String::new();
//! stream.read_to_string(&mut response)?;
//! assert!(response.starts_with("HTTP/1.1 200 OK") && response.contains("access_token"));
//! assert_eq!(vendor.logins(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::certificate::certified;
use crate::server::Server;
use crate::state::{Seen, State};
use hmac::Mac;
use http::StatusCode;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsAcceptor;

/// A vendor that listens on loopback until it is dropped.
///
/// At first its only user is `quickstart` with the password `open sesame`; [`Vendor::with_user`]
/// adds others.
///
/// ```
/// # use bootseal_vendor_sim::Vendor;
/// let vendor = Vendor::start()?;
/// vendor.down(true); // the application under test should now report that it waits
/// assert_eq!(vendor.logins(), 0);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Vendor {
    state: Arc<State>,
    server: Server,
    ca_pem: String,
}

impl Vendor {
    /// Starts a vendor that speaks TLS, under a certificate for `127.0.0.1`, `::1` and `localhost`
    /// generated for it alone.
    ///
    /// The process's default TLS provider is neither used nor set.
    ///
    /// # Errors
    /// When no port, thread or random bytes are available, or no certificate can be made.
    pub fn start() -> io::Result<Vendor> {
        let (tls, ca_pem) = certified().map_err(io::Error::other)?;
        Vendor::start_with(Some(tls), ca_pem)
    }

    /// Starts a vendor that speaks plain HTTP, for tests that logins over plain HTTP are refused,
    /// and for tests without TLS.
    ///
    /// # Errors
    /// When no port, thread or random bytes are available.
    pub fn start_plain() -> io::Result<Vendor> {
        Vendor::start_with(None, String::new())
    }

    fn start_with(tls: Option<TlsAcceptor>, ca_pem: String) -> io::Result<Vendor> {
        let (server, state) = Server::start((Ipv4Addr::LOCALHOST, 0).into(), tls, State::new)?;
        let vendor = Vendor { state, server, ca_pem };
        Ok(vendor.with_user("quickstart", "open sesame"))
    }

    /// Adds a user, or changes the password of one. Only a keyed hash of the password is kept.
    pub fn with_user(self, name: &str, password: &str) -> Vendor {
        let tag = self.state.password_mac(password).finalize().into_bytes().to_vec();
        self.state.book().users.insert(name.to_owned(), tag);
        self
    }

    /// The URL of a path, with or without its leading `/`.
    pub fn url(&self, path: &str) -> String {
        format!("{}/{}", self.server.origin(), path.strip_prefix('/').unwrap_or(path))
    }

    /// The CA certificate to trust, in PEM; empty for a vendor that speaks plain HTTP.
    ///
    /// Its private key was dropped at the start, so nothing else can be signed with it.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Sets the lifetime of the tokens that are issued from now on; 15 minutes if never called.
    ///
    /// A JWT counts whole seconds, so its `exp` is rounded up; `expires_in` never promises more
    /// than that.
    pub fn lifetime(&self, lifetime: Duration) {
        self.state.book().lifetime = lifetime;
    }

    /// Responds with 401 to every token issued so far; the next login gets a valid one.
    pub fn revoke_all(&self) {
        let mut book = self.state.book();
        book.revoked = book.issued;
    }

    /// Responds with 401 to logins, as if every password had changed; tokens stay valid.
    pub fn refuse(&self, yes: bool) {
        self.state.book().refuse = yes;
    }

    /// Responds with 503 to everything, without `Retry-After`.
    pub fn down(&self, yes: bool) {
        self.state.book().down = yes;
    }

    /// Delays every response. A request is counted when it arrives, and judged after the delay.
    pub fn slow(&self, delay: Duration) {
        self.state.book().slow = delay;
    }

    /// Responds to calls with this status, even if their token is valid; `None` ends it.
    ///
    /// A number that is not a final status (below 200 or above 999) becomes 500.
    pub fn reject_calls_with(&self, status: Option<u16>) {
        // 101 would end HTTP on the connection.
        let last =
            |code| StatusCode::from_u16(code).ok().filter(|status| !status.is_informational());
        self.state.book().reject =
            status.map(|code| last(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    }

    /// Responds to `GET /redirect` with 307 and this `Location`; with `None`, as at the start, with
    /// 404.
    ///
    /// A text that is not valid in a header becomes 500.
    pub fn redirect_calls_to(&self, location: Option<String>) {
        self.state.book().redirect = location;
    }

    /// Keeps the tokens that are issued from now on, in the clear, for [`Vendor::tokens`].
    pub fn keep_tokens(&self) {
        self.state.book().tokens.get_or_insert_default();
    }

    /// The tokens issued since [`Vendor::keep_tokens`], for a test that looks for them in places
    /// where they must not be.
    pub fn tokens(&self) -> Vec<String> {
        self.state.book().tokens.clone().unwrap_or_default()
    }

    /// The number of logins that arrived, whatever the response.
    pub fn logins(&self) -> u64 {
        self.state.book().logins
    }

    /// The number of logins that got 401: those that count towards a lock of the account.
    pub fn refused_logins(&self) -> u64 {
        self.state.book().refused_logins
    }

    /// The number of calls that arrived, at any path of the table above except the logins.
    pub fn calls(&self) -> u64 {
        self.state.book().calls
    }

    /// The number of calls that were rejected, for their token or on request of the test.
    pub fn rejected_calls(&self) -> u64 {
        self.state.book().rejected_calls
    }

    /// The requests in the order of their arrival: the first 10,000, logins and unknown paths
    /// included.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.book().seen.clone()
    }
}

impl std::fmt::Debug for Vendor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vendor({})", self.server.origin())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::server::BODY_LIMIT;
    use reqwest::{Client, RequestBuilder};
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    use serde_json::{Value, json};

    const RIGHT: [(&str, &str); 2] = [("username", "quickstart"), ("password", "open sesame")];

    fn client(ca_pem: &str) -> Client {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::ring::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
        let client = Client::builder().tls_backend_preconfigured(tls).no_proxy();
        client.redirect(reqwest::redirect::Policy::none()).user_agent("tests").build().unwrap()
    }

    async fn log_in(client: &Client, vendor: &Vendor) -> String {
        let response = client.post(vendor.url("/login")).form(&RIGHT).send().await.unwrap();
        response.json::<Value>().await.unwrap()["access_token"].as_str().unwrap().to_owned()
    }

    async fn status(request: RequestBuilder) -> u16 {
        request.send().await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn every_login_method_gives_access_to_the_orders() {
        let vendor = Vendor::start().unwrap().with_user("acme", "päss:word");
        let client = client(vendor.ca_pem());
        vendor.lifetime(Duration::from_secs(60));
        let login = || client.post(vendor.url("/login"));
        let json = json!({ "username": "acme", "password": "päss:word" });
        for request in [
            login().json(&json),
            login().form(&RIGHT),
            login().basic_auth("acme", Some("päss:word")),
        ] {
            let response = request.send().await.unwrap();
            assert!(response.headers().contains_key("date"));
            let body: Value = response.json().await.unwrap();
            assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(60)));
            let orders = client
                .get(vendor.url("/orders"))
                .bearer_auth(body["access_token"].as_str().unwrap());
            let orders: Value = orders.send().await.unwrap().json().await.unwrap();
            assert_eq!(orders["orders"][0]["id"], 1);
        }
        let response = client.post(vendor.url("/login-header")).json(&json).send().await.unwrap();
        let token = response.headers()["x-subject-token"].clone();
        assert_eq!(response.text().await.unwrap(), "{}");
        let order = client.post(vendor.url("/orders")).header("X-Auth-Token", token).body("a lamp");
        let response = order.send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.text().await.unwrap()),
            (201, r#"{"received":6}"#.to_owned())
        );
        assert_eq!(
            (vendor.logins(), vendor.refused_logins(), vendor.calls(), vendor.rejected_calls()),
            (4, 0, 4, 0)
        );
    }

    #[tokio::test]
    async fn only_a_client_that_trusts_this_vendors_ca_connects() {
        let (vendor, other) = (Vendor::start().unwrap(), Vendor::start().unwrap());
        let stranger = client(other.ca_pem()).get(vendor.url("/orders")).send().await.unwrap_err();
        assert!(stranger.is_connect(), "{stranger:?}");
        assert!(vendor.seen().is_empty());
        let port = url::Url::parse(&vendor.url("")).unwrap().port().unwrap();
        let by_name = client(vendor.ca_pem()).get(format!("https://localhost:{port}/orders"));
        assert_eq!(status(by_name).await, 401);
    }

    #[tokio::test]
    async fn a_revoked_foreign_or_changed_token_gets_401() {
        let (vendor, other) = (Vendor::start().unwrap(), Vendor::start_plain().unwrap());
        let client = client(vendor.ca_pem());
        let orders = |token: &str| status(client.get(vendor.url("/orders")).bearer_auth(token));
        let first = log_in(&client, &vendor).await;
        assert_eq!(orders(&first).await, 200);
        vendor.revoke_all();
        assert_eq!(orders(&first).await, 401);
        let second = log_in(&client, &vendor).await;
        assert_eq!(orders(&second).await, 200);
        assert_eq!(orders(&log_in(&client, &other).await).await, 401);
        let (signed, tag) = second.rsplit_once('.').unwrap();
        let (header, payload) = signed.split_once('.').unwrap();
        for forged in
            [format!("{header}.{payload}."), format!("{header}.{header}.{tag}"), String::new()]
        {
            assert_eq!(orders(&forged).await, 401);
        }
        assert_eq!(status(client.post(vendor.url("/revoke")).bearer_auth(&second)).await, 204);
        let response = client.get(vendor.url("/orders")).bearer_auth(&second).send().await.unwrap();
        assert_eq!(response.headers()["www-authenticate"], "Bearer error=\"invalid_token\"");
        assert_eq!((vendor.calls(), vendor.rejected_calls()), (9, 6));
    }

    #[tokio::test]
    async fn the_vendor_misbehaves_on_request() {
        let vendor = Vendor::start().unwrap();
        let client = client(vendor.ca_pem());
        let token = log_in(&client, &vendor).await;
        let login = || client.post(vendor.url("/login"));
        let orders = || client.get(vendor.url("/orders")).bearer_auth(&token);
        assert_eq!(
            status(login().form(&[("username", "quickstart"), ("password", "close sesame")])).await,
            401
        );
        vendor.refuse(true);
        assert_eq!((status(login().form(&RIGHT)).await, status(orders()).await), (401, 200));
        vendor.refuse(false);
        for broken in [
            login(),
            login().body("{"),
            login().json(&json!({ "username": 1 })),
            login().form(&RIGHT[..1]),
        ] {
            assert_eq!(status(broken).await, 400);
        }
        assert_eq!(status(login().body(vec![b' '; 3 * BODY_LIMIT])).await, 413);
        vendor.reject_calls_with(Some(429));
        assert_eq!((status(orders()).await, status(login().form(&RIGHT)).await), (429, 200));
        for impossible in [7, 101, 1000] {
            vendor.reject_calls_with(Some(impossible));
            assert_eq!(status(orders()).await, 500);
        }
        vendor.reject_calls_with(None);
        vendor.down(true);
        let response = orders().send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.headers().get("retry-after")),
            (503, None)
        );
        assert_eq!(status(login().form(&RIGHT)).await, 503);
        vendor.down(false);
        let redirect = || client.get(vendor.url("/redirect"));
        assert_eq!(status(redirect()).await, 404);
        vendor.redirect_calls_to(Some("https://elsewhere.example/".to_owned()));
        let response = redirect().send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["location"]),
            (307, &"https://elsewhere.example/".parse().unwrap())
        );
        assert_eq!(status(client.get(vendor.url("/login"))).await, 404);
        assert_eq!((vendor.logins(), vendor.refused_logins()), (10, 2));
    }

    #[tokio::test]
    async fn recorded_requests_contain_no_secret() {
        let vendor = Vendor::start_plain().unwrap();
        let login = client("")
            .post(vendor.url("/login?as=canary"))
            .header("X-Api-Key", "canary")
            .bearer_auth("canary");
        assert_eq!(
            status(login.json(&json!({ "username": "canary", "password": "canary" }))).await,
            401
        );
        let seen = vendor.seen();
        assert!(!format!("{seen:?}{vendor:?}").contains("canary"));
        assert_eq!(
            seen[0].headers,
            [
                "accept",
                "authorization",
                "content-length",
                "content-type",
                "host",
                "user-agent",
                "x-api-key"
            ]
        );
        let (kind, agent) = (seen[0].content_type.as_deref(), seen[0].user_agent.as_deref());
        assert_eq!((kind, agent), (Some("application/json"), Some("tests")));
        assert_eq!(
            (seen[0].method.as_str(), seen[0].path.as_str(), seen[0].body_len),
            ("POST", "/login", 41)
        );
    }

    #[tokio::test]
    async fn dropping_the_vendor_closes_the_port_without_waiting_for_delayed_responses() {
        let vendor = Vendor::start().unwrap();
        vendor.slow(Duration::from_secs(3600));
        let client = client(vendor.ca_pem());
        let orders = client.get(vendor.url("/orders"));
        let waiting = tokio::spawn(orders.try_clone().unwrap().send());
        while vendor.calls() == 0 {
            tokio::task::yield_now().await;
        }
        drop(vendor);
        assert!(waiting.await.unwrap().is_err());
        assert!(orders.send().await.unwrap_err().is_connect());
    }
}
