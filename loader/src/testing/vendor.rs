//! Whom does a test log in to? A vendor inside the test: HTTPS on loopback, which can be told to misbehave.
//!
//! | request | answer |
//! |---|---|
//! | `POST /login` | 200 `{"access_token", "token_type", "expires_in"}`; 401 for a wrong password, 400 where none can be read |
//! | `POST /login-header` | the same, but `{}` and the token in the header `X-Subject-Token` |
//! | `GET /orders` | 200 `{"orders": […]}`, for a good token |
//! | `POST /orders` | 201 `{"received": bytes}`, for a good token |
//! | `POST /revoke` | 204, for a good token; no token issued so far is good after it |
//! | `GET /redirect` | 307 to where [`Vendor::redirect_calls_to`] says; asks for no token |
//!
//! A login is JSON or a form with `username` and `password`, or HTTP Basic. A token is a JWT (HS256, under a random key
//! per vendor), sent as `Authorization: Bearer` or `X-Auth-Token`. Bodies over 1 MiB are answered 413, the rest 404.
//!
//! It shares the process with the test: what a client sends passes through this heap in clear. It keeps none of it unless
//! [`Vendor::keep_tokens`] says so, but a test that scans memory should have its vendor in another process.
//!
//! ```
//! use bootseal::testing::Vendor;
//! use std::io::{Read, Write};
//!
//! let vendor = Vendor::start_plain()?;
//! let address = url::Url::parse(&vendor.url("/login"))?.socket_addrs(|| None)?;
//! let mut stream = std::net::TcpStream::connect(&address[..])?;
//! let form = "username=quickstart&password=open+sesame";
//! write!(stream, "POST /login HTTP/1.1\r\nHost: vendor\r\nConnection: close\r\nContent-Length: {}\r\n", form.len())?;
//! write!(stream, "Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}")?;
//! let mut answer = String::new();
//! stream.read_to_string(&mut answer)?;
//! assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("access_token"));
//! assert_eq!(vendor.logins(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::login::http_transport::{HTTP_1, HTTP_2};
use crate::testing::responses::State;
use crate::testing::server::Server;
use hmac::Mac;
use http::StatusCode;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsAcceptor;

/// A vendor that answers on loopback until it is dropped.
///
/// Its one user is `quickstart` with the password `open sesame`, until [`Vendor::with_user`] adds others.
///
/// ```
/// # use bootseal::testing::Vendor;
/// let vendor = Vendor::start()?;
/// vendor.down(true); // and the application under test should now report that it waits
/// assert_eq!(vendor.logins(), 0);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Vendor {
    state: Arc<State>,
    server: Server,
    ca_pem: String,
}

/// One request that arrived, without anything in it that could be a secret.
///
/// ```
/// # use bootseal::testing::{Seen, Vendor};
/// # let vendor = Vendor::start_plain()?;
/// let had_token = |seen: &Seen| seen.headers.iter().any(|name| name == "authorization");
/// assert!(!vendor.seen().iter().any(had_token));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seen {
    /// The method, such as `POST`.
    pub method: String,
    /// The path without its query.
    pub path: String,
    /// The names of the headers in lower case, sorted, each once. Their values are not kept, but for the next two.
    pub headers: Vec<String>,
    /// The value of `Content-Type`.
    pub content_type: Option<String>,
    /// The value of `User-Agent`.
    pub user_agent: Option<String>,
    /// The bytes of the body, counted and not kept.
    pub body_len: usize,
}

impl Vendor {
    /// Starts a vendor that speaks TLS, under a certificate for `127.0.0.1`, `::1` and `localhost` made for it alone.
    ///
    /// The process's default TLS provider is neither asked for nor set.
    ///
    /// # Errors
    /// Where no port, thread, randomness or certificate can be had.
    ///
    /// ```
    /// let vendor = bootseal::testing::Vendor::start()?;
    /// assert!(vendor.url("/login").starts_with("https://127.0.0.1:"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn start() -> io::Result<Vendor> {
        let (tls, ca_pem) = certified().map_err(io::Error::other)?;
        Vendor::start_with(Some(tls), ca_pem)
    }

    /// Starts a vendor that speaks HTTP in clear, to see who refuses to log in over it.
    ///
    /// # Errors
    /// Where no port, thread or randomness can be had.
    ///
    /// ```
    /// let vendor = bootseal::testing::Vendor::start_plain()?;
    /// assert!(vendor.url("/login").starts_with("http://127.0.0.1:"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn start_plain() -> io::Result<Vendor> {
        Vendor::start_with(None, String::new())
    }

    fn start_with(tls: Option<TlsAcceptor>, ca_pem: String) -> io::Result<Vendor> {
        let (server, state) = Server::start((Ipv4Addr::LOCALHOST, 0).into(), tls, State::new)?;
        let vendor = Vendor { state, server, ca_pem };
        Ok(vendor.with_user("quickstart", "open sesame"))
    }

    /// Adds a user, or gives one another password. Only a keyed hash of the password is kept.
    ///
    /// ```
    /// let vendor = bootseal::testing::Vendor::start_plain()?.with_user("acme", "correct horse");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn with_user(self, name: &str, password: &str) -> Vendor {
        let tag = self.state.password_mac(password).finalize().into_bytes().to_vec();
        self.state.book().users.insert(name.to_owned(), tag);
        self
    }

    /// The address of a path, with or without its leading `/`.
    ///
    /// ```
    /// let vendor = bootseal::testing::Vendor::start_plain()?;
    /// assert_eq!(vendor.url("orders"), vendor.url("/orders"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn url(&self, path: &str) -> String {
        format!("{}/{}", self.server.origin(), path.strip_prefix('/').unwrap_or(path))
    }

    /// The certificate to trust, in PEM; empty where the vendor speaks HTTP in clear.
    ///
    /// Its private key is gone since the start: nothing else can be signed with it.
    ///
    /// ```
    /// let vendor = bootseal::testing::Vendor::start()?;
    /// assert!(vendor.ca_pem().starts_with("-----BEGIN CERTIFICATE-----"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Sets how long the tokens issued from now on are good; 15 minutes if never called.
    ///
    /// A JWT counts whole seconds, so that its `exp` is rounded up; `expires_in` never promises more than that.
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// vendor.lifetime(std::time::Duration::from_secs(2));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn lifetime(&self, lifetime: Duration) {
        self.state.book().lifetime = lifetime;
    }

    /// Answers 401 to every token issued so far; the next login gets a good one.
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// vendor.revoke_all();
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn revoke_all(&self) {
        let mut book = self.state.book();
        book.revoked = book.issued;
    }

    /// Answers 401 to logins, as if every password had changed; tokens stay good.
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// vendor.refuse(true);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn refuse(&self, yes: bool) {
        self.state.book().refuse = yes;
    }

    /// Answers 503 to everything, without `Retry-After`.
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// vendor.down(true);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn down(&self, yes: bool) {
        self.state.book().down = yes;
    }

    /// Lets every answer wait. A request is counted when it arrives, and judged when it is answered.
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// vendor.slow(std::time::Duration::from_millis(300));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn slow(&self, delay: Duration) {
        self.state.book().slow = delay;
    }

    /// Answers calls with this status, also those with a good token; `None` ends it.
    ///
    /// A number that ends no exchange (below 200 or above 999) is answered as 500.
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// vendor.reject_calls_with(Some(429));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn reject_calls_with(&self, status: Option<u16>) {
        // 101, taken at its word, would end HTTP on the connection.
        let last = |code| StatusCode::from_u16(code).ok().filter(|status| !status.is_informational());
        self.state.book().reject = status.map(|code| last(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    }

    /// Answers `GET /redirect` with 307 and this `Location`; `None`, as at the start, with 404.
    ///
    /// A text that cannot stand in a header is answered as 500.
    ///
    /// ```
    /// # use bootseal::testing::Vendor;
    /// let (vendor, other) = (Vendor::start()?, Vendor::start()?);
    /// vendor.redirect_calls_to(Some(other.url("/orders"))); // does the token follow to another origin?
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn redirect_calls_to(&self, location: Option<String>) {
        self.state.book().redirect = location;
    }

    /// Keeps the tokens that are issued from now on, in clear, for [`Vendor::tokens`].
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// vendor.keep_tokens();
    /// assert!(vendor.tokens().is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn keep_tokens(&self) {
        self.state.book().tokens.get_or_insert_default();
    }

    /// The tokens issued since [`Vendor::keep_tokens`], for a test that looks for them where they must not be.
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// assert!(vendor.tokens().is_empty()); // unless it was told to, it keeps none
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn tokens(&self) -> Vec<String> {
        self.state.book().tokens.clone().unwrap_or_default()
    }

    /// The logins that arrived, whatever they were answered.
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// assert_eq!(vendor.logins(), 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn logins(&self) -> u64 {
        self.state.book().logins
    }

    /// The logins that were answered 401: those that bring an account nearer to its lock.
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// assert_eq!(vendor.refused_logins(), 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn refused_logins(&self) -> u64 {
        self.state.book().refused_logins
    }

    /// The calls that arrived, to any address of the table above but the logins.
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// assert_eq!(vendor.calls(), 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn calls(&self) -> u64 {
        self.state.book().calls
    }

    /// The calls that were not let through, for their token or because the vendor was told so.
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// assert_eq!(vendor.rejected_calls(), 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn rejected_calls(&self) -> u64 {
        self.state.book().rejected_calls
    }

    /// The requests in the order of their arrival; the first 10,000, logins and unknown addresses among them.
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// assert!(vendor.seen().is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn seen(&self) -> Vec<Seen> {
        self.state.book().seen.clone()
    }
}

impl std::fmt::Debug for Vendor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vendor({})", self.server.origin())
    }
}

/// A CA, a certificate signed by it, and the CA again as PEM.
fn certified() -> Result<(TlsAcceptor, String), Box<dyn std::error::Error + Send + Sync>> {
    use rcgen::{BasicConstraints, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};
    let dated = |names: &[&str], title: &str| {
        let mut params =
            rcgen::CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
        params.distinguished_name.push(DnType::CommonName, title);
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2050, 1, 1);
        Ok::<_, rcgen::Error>(params)
    };
    let mut ca = dated(&[], "Bootseal test vendor CA")?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca_key = rcgen::KeyPair::generate()?;
    let ca_pem = ca.self_signed(&ca_key)?.pem();

    let mut leaf = dated(&["127.0.0.1", "::1", "localhost"], "Bootseal test vendor")?;
    leaf.is_ca = IsCa::ExplicitNoCa;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true; // OpenSSL's strict mode, Python's default, asks for it
    let leaf_key = rcgen::KeyPair::generate()?;
    let leaf = leaf.signed_by(&leaf_key, &rcgen::Issuer::new(ca, ca_key))?;

    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(leaf_key.serialize_der());
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key.into())?;
    config.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_1.to_vec()];
    Ok((TlsAcceptor::from(Arc::new(config)), ca_pem))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::server::BODY_LIMIT;
    use super::*;
    use reqwest::{Client, RequestBuilder};
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    use serde_json::{Value, json};

    const RIGHT: [(&str, &str); 2] = [("username", "quickstart"), ("password", "open sesame")];

    fn client(ca_pem: &str) -> Client {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
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
    async fn every_way_to_log_in_opens_the_orders() {
        let vendor = Vendor::start().unwrap().with_user("acme", "päss:word");
        let client = client(vendor.ca_pem());
        vendor.lifetime(Duration::from_secs(60));
        let login = || client.post(vendor.url("/login"));
        let json = json!({ "username": "acme", "password": "päss:word" });
        for request in [login().json(&json), login().form(&RIGHT), login().basic_auth("acme", Some("päss:word"))] {
            let response = request.send().await.unwrap();
            assert!(response.headers().contains_key("date"));
            let body: Value = response.json().await.unwrap();
            assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(60)));
            let orders = client.get(vendor.url("/orders")).bearer_auth(body["access_token"].as_str().unwrap());
            let orders: Value = orders.send().await.unwrap().json().await.unwrap();
            assert_eq!(orders["orders"][0]["id"], 1);
        }
        let response = client.post(vendor.url("/login-header")).json(&json).send().await.unwrap();
        let token = response.headers()["x-subject-token"].clone();
        assert_eq!(response.text().await.unwrap(), "{}");
        let order = client.post(vendor.url("/orders")).header("X-Auth-Token", token).body("a lamp");
        let response = order.send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.text().await.unwrap()), (201, r#"{"received":6}"#.to_owned()));
        assert_eq!((vendor.logins(), vendor.refused_logins(), vendor.calls(), vendor.rejected_calls()), (4, 0, 4, 0));
    }

    #[tokio::test]
    async fn only_who_trusts_this_vendors_ca_gets_through() {
        let (vendor, other) = (Vendor::start().unwrap(), Vendor::start().unwrap());
        let stranger = client(other.ca_pem()).get(vendor.url("/orders")).send().await.unwrap_err();
        assert!(stranger.is_connect(), "{stranger:?}");
        assert!(vendor.seen().is_empty());
        let port = url::Url::parse(&vendor.url("")).unwrap().port().unwrap();
        let by_name = client(vendor.ca_pem()).get(format!("https://localhost:{port}/orders"));
        assert_eq!(status(by_name).await, 401);
    }

    #[tokio::test]
    async fn a_token_that_is_revoked_foreign_or_changed_is_answered_401() {
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
        for forged in [format!("{header}.{payload}."), format!("{header}.{header}.{tag}"), String::new()] {
            assert_eq!(orders(&forged).await, 401);
        }
        assert_eq!(status(client.post(vendor.url("/revoke")).bearer_auth(&second)).await, 204);
        let response = client.get(vendor.url("/orders")).bearer_auth(&second).send().await.unwrap();
        assert_eq!(response.headers()["www-authenticate"], "Bearer error=\"invalid_token\"");
        assert_eq!((vendor.calls(), vendor.rejected_calls()), (9, 6));
    }

    #[tokio::test]
    async fn it_misbehaves_as_it_is_told() {
        let vendor = Vendor::start().unwrap();
        let client = client(vendor.ca_pem());
        let token = log_in(&client, &vendor).await;
        let login = || client.post(vendor.url("/login"));
        let orders = || client.get(vendor.url("/orders")).bearer_auth(&token);
        assert_eq!(status(login().form(&[("username", "quickstart"), ("password", "close sesame")])).await, 401);
        vendor.refuse(true);
        assert_eq!((status(login().form(&RIGHT)).await, status(orders()).await), (401, 200));
        vendor.refuse(false);
        for broken in [login(), login().body("{"), login().json(&json!({ "username": 1 })), login().form(&RIGHT[..1])] {
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
        assert_eq!((response.status().as_u16(), response.headers().get("retry-after")), (503, None));
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
    async fn what_was_seen_holds_no_secret() {
        let vendor = Vendor::start_plain().unwrap();
        let login = client("").post(vendor.url("/login?as=canary")).header("X-Api-Key", "canary").bearer_auth("canary");
        assert_eq!(status(login.json(&json!({ "username": "canary", "password": "canary" }))).await, 401);
        let seen = vendor.seen();
        assert!(!format!("{seen:?}{vendor:?}").contains("canary"));
        assert_eq!(
            seen[0].headers,
            ["accept", "authorization", "content-length", "content-type", "host", "user-agent", "x-api-key"]
        );
        let (kind, agent) = (seen[0].content_type.as_deref(), seen[0].user_agent.as_deref());
        assert_eq!((kind, agent), (Some("application/json"), Some("tests")));
        assert_eq!((seen[0].method.as_str(), seen[0].path.as_str(), seen[0].body_len), ("POST", "/login", 41));
    }

    #[tokio::test]
    async fn dropping_it_closes_the_port_and_waits_for_no_slow_answer() {
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
