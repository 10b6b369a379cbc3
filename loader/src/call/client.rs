//! How is a call made with a token? Put on, renewed, replayed once; only to the profile's hosts.

use crate::call::authenticated::{self, Outgoing, Sender};
use crate::call::builder::Connections;
use crate::error::{Error, Result};
use crate::token::source::TokenSource;
use crate::token::token::Token;
use bootseal_core::Kind;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method};
use reqwest::{Request, Response};
use serde::Serialize;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// As reqwest's own default.
const MAX_REDIRECTS: usize = 10;

/// An HTTP client whose calls carry the token. Its verbs, requests and answers are reqwest's.
///
/// ```no_run
/// # async fn run() -> Result<(), bootseal::Error> {
/// let vault = bootseal::load("app.sealed.toml")?;
/// let client = vault.token_source("acme")?.client();
/// let answer = client.get("https://api.acme.example/v1/orders").send().await?;
/// assert!(answer.status().is_success());
/// # Ok(()) }
/// ```
///
/// - The token goes to the profile's hosts only, over TLS; a call elsewhere is an error, not a call without it.
/// - A redirect within one origin is followed with the token; one to another origin is returned as it is.
/// - An answer that rejects the token (`rejected_status`) makes one login for all, and one replay where the body can be sent
///   again; the second answer is the caller's.
/// - The token never enters the HTTP library: requests carry a placeholder, and what writes to TLS puts the token in its place. What a
///   client of your own leaves in memory instead: [`TokenSource::wrap`].
#[derive(Clone)]
pub struct Client {
    pub(crate) source: TokenSource,
    pub(crate) below: Backend,
}

#[derive(Clone)]
pub(crate) enum Backend {
    SecretClient(Arc<Connections>),
    Given { http: reqwest::Client, own_redirects: bool },
}

impl TokenSource {
    /// A client for calls with this token. Make one and clone it: it holds the connections.
    ///
    /// Where TLS cannot be set up, as when the profile's `ca` is no certificate, each call says so: [`Kind::LoginTls`](crate::Kind::LoginTls).
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let client = acme.client();
    /// let answer = client.get(vendor.url("/orders")).send().await?;
    /// assert_eq!(answer.status(), 200);
    /// # Ok::<(), bootseal::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn client(&self) -> Client {
        self.client_builder().build()
    }

    /// A client for calls with this token that sends them through `http`, as it is: its pool, proxy, timeouts and TLS.
    ///
    /// That client's buffers then hold the token in ordinary memory, as each call is written and until their place is used again; a core
    /// dump shows it. With [`TokenSource::client`] it is nowhere but on its guarded page. What a redirect carries to another host is
    /// reqwest's affair: it takes `Authorization` and `Cookie` away, and no other header; see [`Client::with_redirect_policy`].
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// # let _ = rustls::crypto::ring::default_provider().install_default();
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let client = acme.wrap(reqwest::Client::new());
    /// assert_eq!(client.get(vendor.url("/orders")).send().await?.status(), 200);
    /// # Ok::<(), bootseal::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wrap(&self, http: reqwest::Client) -> Client {
        Client { source: self.clone(), below: Backend::Given { http, own_redirects: false } }
    }

    /// Redirects within one origin are followed; one to another origin, or one that the profile calls a rejection, is returned as it is:
    /// for a `reqwest::Client` of your own that carries the token.
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// let builder = reqwest::Client::builder().redirect(acme.redirect_policy());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn redirect_policy(&self) -> reqwest::redirect::Policy {
        let source = self.clone();
        reqwest::redirect::Policy::custom(move |attempt| {
            let here = attempt.previous().last().map(|url| url.origin());
            let rejects = source.account().profile.rejected_status.contains(&attempt.status().as_u16());
            if rejects || here.as_ref() != Some(&attempt.url().origin()) {
                attempt.stop()
            } else if attempt.previous().len() > MAX_REDIRECTS {
                attempt.error("too many redirects")
            } else {
                attempt.follow()
            }
        })
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({:?})", self.source)
    }
}

impl Client {
    pub(crate) fn guarded(source: TokenSource, connections: Connections) -> Client {
        Client { source, below: Backend::SecretClient(Arc::new(connections)) }
    }

    /// Says that a client that was given to [`TokenSource::wrap`] was built with [`TokenSource::redirect_policy`]. Where the profile's
    /// header is none that reqwest takes away on its own, calls are an error until then: [`Kind::Usage`].
    ///
    /// ```
    /// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\ninject = { header = \"X-Token\", value = \"${token}\" }\n";
    /// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)?;
    /// # let acme = vault.token_source("acme")?;
    /// # let _ = rustls::crypto::ring::default_provider().install_default();
    /// let http = reqwest::Client::builder().redirect(acme.redirect_policy()).build()?;
    /// let client = acme.wrap(http).with_redirect_policy();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_redirect_policy(mut self) -> Client {
        if let Backend::Given { own_redirects, .. } = &mut self.below {
            *own_redirects = true;
        }
        self
    }

    /// A GET of `url`. A text that is no URL is told when the call is sent.
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// # let client = acme.client();
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let answer = client.get(vendor.url("/orders")).send().await?;
    /// assert_eq!(answer.status(), 200);
    /// # Ok::<(), bootseal::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// A POST to `url`. A text that is no URL is told when the call is sent.
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// # let client = acme.client();
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let answer = client.post(vendor.url("/orders")).body("a lamp").send().await?;
    /// assert_eq!(answer.status(), 201);
    /// # Ok::<(), bootseal::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn post(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::POST, url)
    }

    /// A PUT to `url`. A text that is no URL is told when the call is sent.
    ///
    /// ```
    /// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
    /// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)?;
    /// # let client = vault.token_source("acme")?.client();
    /// let request = client.put("https://api.acme.example/v1/orders/7").build()?;
    /// assert_eq!(request.method(), "PUT");
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn put(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::PUT, url)
    }

    /// A PATCH of `url`. A text that is no URL is told when the call is sent.
    ///
    /// ```
    /// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
    /// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)?;
    /// # let client = vault.token_source("acme")?.client();
    /// let request = client.patch("https://api.acme.example/v1/orders/7").build()?;
    /// assert_eq!(request.method(), "PATCH");
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn patch(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::PATCH, url)
    }

    /// A DELETE of `url`. A text that is no URL is told when the call is sent.
    ///
    /// ```
    /// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
    /// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)?;
    /// # let client = vault.token_source("acme")?.client();
    /// let request = client.delete("https://api.acme.example/v1/orders/7").build()?;
    /// assert_eq!(request.method(), "DELETE");
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn delete(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::DELETE, url)
    }

    /// A HEAD of `url`. A text that is no URL is told when the call is sent.
    ///
    /// ```
    /// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
    /// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)?;
    /// # let client = vault.token_source("acme")?.client();
    /// let request = client.head("https://api.acme.example/v1/orders/7").build()?;
    /// assert_eq!(request.method(), "HEAD");
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn head(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::HEAD, url)
    }

    /// A call of any method. A text that is no URL is told when the call is sent.
    ///
    /// ```
    /// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
    /// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)?;
    /// # let client = vault.token_source("acme")?.client();
    /// let request = client.request(http::Method::OPTIONS, "https://api.acme.example/v1/orders").build()?;
    /// assert_eq!(request.method(), http::Method::OPTIONS);
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn request(&self, method: Method, url: impl AsRef<str>) -> RequestBuilder {
        let request = Url::parse(url.as_ref()).map(|url| Request::new(method, url));
        // Not the text itself: a query may hold what no log should.
        let request =
            request.map_err(|error| Error::new(Kind::Usage, format!("the call's URL cannot be used: {error}")));
        RequestBuilder { client: self.clone(), call: request.map(|request| Call { request, make_body: None }) }
    }

    /// Sends a request that was made elsewhere.
    ///
    /// # Errors
    /// As [`RequestBuilder::send`].
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// # let client = acme.client();
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let mut request = client.get(vendor.url("/orders")).build()?;
    /// request.headers_mut().insert("accept", http::HeaderValue::from_static("application/json"));
    /// let answer = client.execute(request).await?;
    /// assert_eq!(answer.status(), 200);
    /// # Ok::<(), bootseal::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn execute(&self, request: Request) -> Result<Response> {
        self.send(Call { request, make_body: None }).await
    }

    async fn send(&self, call: Call) -> Result<Response> {
        match &self.below {
            Backend::SecretClient(connections) => {
                let mut guarded = connections.get(&self.source)?;
                authenticated::call(&self.source, &mut guarded, call).await
            }
            Backend::Given { http, own_redirects } => {
                authenticated::stays_on_redirects(&self.source, *own_redirects)?;
                authenticated::call(&self.source, &mut http.clone(), call).await
            }
        }
    }
}

impl Sender for reqwest::Client {
    type Request = Call;
    type Response = Response;
    type Error = Error;

    async fn send(&mut self, mut call: Call, token: &Token) -> Result<Response> {
        authenticated::put_on(token, call.request.headers_mut())?;
        Ok(self.execute(call.made()).await?)
    }
}

/// A call that is being put together, as with reqwest's builder.
///
/// What is not offered here is done on a [`reqwest::Request`], which [`RequestBuilder::build`] gives and [`Client::execute`] takes.
///
/// ```
/// # let vendor = bootseal::testing::Vendor::start_plain()?;
/// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
/// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
/// # let acme = vault.token_source("acme")?;
/// # let client = acme.client();
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let call = client.post(vendor.url("/orders")).header("accept", "application/json").json(&["lamp"]);
/// let answer = call.send().await?;
/// assert_eq!(answer.status(), 201);
/// # Ok::<(), bootseal::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a call does nothing until it is sent"]
pub struct RequestBuilder {
    client: Client,
    call: Result<Call>,
}

/// A request, and what makes its body for each sending, where that is a stream.
pub(crate) struct Call {
    pub(crate) request: Request,
    pub(crate) make_body: Option<MakeBody>,
}

type MakeBody = Arc<dyn Fn() -> reqwest::Body + Send + Sync>;

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.request.fmt(f)
    }
}

impl Outgoing for Call {
    fn address(&self) -> Result<Cow<'_, Url>> {
        Ok(Cow::Borrowed(self.request.url()))
    }

    fn method(&self) -> &Method {
        self.request.method()
    }

    fn copy(&self) -> Option<Call> {
        let request = if self.make_body.is_some() { self.without_body() } else { self.request.try_clone()? };
        Some(Call { request, make_body: self.make_body.clone() })
    }
}

impl Call {
    fn set_body(&mut self, body: impl Into<reqwest::Body>) {
        *self.request.body_mut() = Some(body.into());
        self.make_body = None;
    }

    /// The request as it is sent.
    pub(crate) fn made(mut self) -> Request {
        if let Some(make) = &self.make_body {
            *self.request.body_mut() = Some(make());
        }
        self.request
    }

    pub(crate) fn without_body(&self) -> Request {
        let mut bare = Request::new(self.request.method().clone(), self.request.url().clone());
        *bare.headers_mut() = self.request.headers().clone();
        *bare.version_mut() = self.request.version();
        *bare.timeout_mut() = self.request.timeout().copied();
        bare
    }
}

impl RequestBuilder {
    /// Adds a header. The one that carries the token is always replaced. What is no header is told when the call is sent.
    ///
    /// ```
    /// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
    /// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)?;
    /// # let client = vault.token_source("acme")?.client();
    /// let request = client.get("https://api.acme.example/v1/orders").header("accept", "application/json").build()?;
    /// assert_eq!(request.headers()["accept"], "application/json");
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn header<K, V>(self, name: K, value: V) -> RequestBuilder
    where
        HeaderName: TryFrom<K>,
        <HeaderName as TryFrom<K>>::Error: Into<http::Error>,
        HeaderValue: TryFrom<V>,
        <HeaderValue as TryFrom<V>>::Error: Into<http::Error>,
    {
        self.map(|call| {
            let (name, value) = (HeaderName::try_from(name).map_err(Into::into), HeaderValue::try_from(value));
            let (name, value) = (name.map_err(no_header)?, value.map_err(Into::into).map_err(no_header)?);
            call.request.headers_mut().append(name, value);
            Ok(())
        })
    }

    /// Adds headers, in place of those of the same names.
    ///
    /// ```
    /// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
    /// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)?;
    /// # let client = vault.token_source("acme")?.client();
    /// let mut headers = http::HeaderMap::new();
    /// headers.insert("accept", http::HeaderValue::from_static("application/json"));
    /// let request = client.get("https://api.acme.example/v1/orders").headers(headers).build()?;
    /// assert!(request.headers().contains_key("accept"));
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn headers(self, headers: HeaderMap) -> RequestBuilder {
        self.map(|call| {
            let mut last = None;
            for (name, value) in headers {
                // Of several with one name only the first comes with it.
                match (name, &last) {
                    (Some(name), _) => {
                        call.request.headers_mut().insert(&name, value);
                        last = Some(name);
                    }
                    (None, Some(name)) => {
                        call.request.headers_mut().append(name, value);
                    }
                    (None, None) => {}
                }
            }
            Ok(())
        })
    }

    /// Appends to the URL's query. What cannot be a query is told when the call is sent.
    ///
    /// ```
    /// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
    /// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)?;
    /// # let client = vault.token_source("acme")?.client();
    /// let request = client.get("https://api.acme.example/v1/orders").query(&[("page", 2)]).build()?;
    /// assert_eq!(request.url().query(), Some("page=2"));
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn query<T: Serialize + ?Sized>(self, query: &T) -> RequestBuilder {
        self.map(|call| {
            let query = serde_urlencoded::to_string(query).map_err(|error| cannot_be("a query", &error))?;
            if !query.is_empty() {
                let before = call.request.url().query().filter(|before| !before.is_empty());
                let whole = before.map_or(query.clone(), |before| format!("{before}&{query}"));
                call.request.url_mut().set_query(Some(&whole));
            }
            Ok(())
        })
    }

    /// Sends `json` as the body, `application/json`. What cannot be JSON is told when the call is sent.
    ///
    /// ```
    /// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
    /// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)?;
    /// # let client = vault.token_source("acme")?.client();
    /// let request = client.post("https://api.acme.example/v1/orders").json(&["lamp", "oil"]).build()?;
    /// assert_eq!(request.headers()["content-type"], "application/json");
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn json<T: Serialize + ?Sized>(self, json: &T) -> RequestBuilder {
        self.map(|call| {
            let json = serde_json::to_vec(json).map_err(|error| cannot_be("JSON", &error))?;
            call.request.headers_mut().entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
            call.set_body(json);
            Ok(())
        })
    }

    /// Sends `form` as the body, `application/x-www-form-urlencoded`. What cannot be a form is told when the call is sent.
    ///
    /// ```
    /// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
    /// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)?;
    /// # let client = vault.token_source("acme")?.client();
    /// let request = client.post("https://api.acme.example/v1/orders").form(&[("item", "a lamp")]).build()?;
    /// assert_eq!(request.body().and_then(|body| body.as_bytes()), Some(&b"item=a+lamp"[..]));
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn form<T: Serialize + ?Sized>(self, form: &T) -> RequestBuilder {
        self.map(|call| {
            let form = serde_urlencoded::to_string(form).map_err(|error| cannot_be("a form", &error))?;
            let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
            call.request.headers_mut().entry(CONTENT_TYPE).or_insert(kind);
            call.set_body(form);
            Ok(())
        })
    }

    /// Sends `body`. Bytes and text can be replayed, a stream cannot: its first answer is then the caller's; see
    /// [`RequestBuilder::body_from`].
    ///
    /// ```
    /// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
    /// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)?;
    /// # let client = vault.token_source("acme")?.client();
    /// let request = client.put("https://api.acme.example/v1/orders").body("a lamp").build()?;
    /// assert!(request.try_clone().is_some()); // it can be replayed
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn body(self, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.map(|call| {
            call.set_body(body);
            Ok(())
        })
    }

    /// Sends what `make` returns, a stream as a rule. It is asked for each sending: once more for a replay, and for a redirect that keeps the
    /// body.
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let client = vault.token_source("acme")?.client();
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let answer = client.post(vendor.url("/orders")).body_from(|| "or a file, opened".into()).send().await?;
    /// assert_eq!(answer.status(), 201);
    /// # Ok::<(), bootseal::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn body_from(mut self, make: impl Fn() -> reqwest::Body + Send + Sync + 'static) -> RequestBuilder {
        if let Ok(call) = &mut self.call {
            call.make_body = Some(Arc::new(make));
        }
        self
    }

    /// A limit for each sending, to the end of the answer's body. Without it there is none.
    ///
    /// ```
    /// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
    /// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)?;
    /// # let client = vault.token_source("acme")?.client();
    /// use std::time::Duration;
    /// let request = client.get("https://api.acme.example/v1/orders").timeout(Duration::from_secs(5)).build()?;
    /// assert_eq!(request.timeout(), Some(&Duration::from_secs(5)));
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn timeout(self, timeout: Duration) -> RequestBuilder {
        self.map(|call| {
            *call.request.timeout_mut() = Some(timeout);
            Ok(())
        })
    }

    /// The HTTP version to speak.
    ///
    /// ```
    /// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
    /// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)?;
    /// # let client = vault.token_source("acme")?.client();
    /// let request = client.get("https://api.acme.example/v1/orders").version(http::Version::HTTP_11).build()?;
    /// assert_eq!(request.version(), http::Version::HTTP_11);
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn version(self, version: http::Version) -> RequestBuilder {
        self.map(|call| {
            *call.request.version_mut() = version;
            Ok(())
        })
    }

    fn map(mut self, change: impl FnOnce(&mut Call) -> Result<()>) -> RequestBuilder {
        if let Ok(call) = &mut self.call
            && let Err(error) = change(call)
        {
            self.call = Err(error);
        }
        self
    }

    /// The request as it stands, without the token.
    ///
    /// # Errors
    /// [`Kind::Usage`] for what is no URL, header, query or body.
    ///
    /// ```
    /// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
    /// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)?;
    /// # let client = vault.token_source("acme")?.client();
    /// let request = client.get("https://api.acme.example/v1/orders").build()?;
    /// assert!(!request.headers().contains_key("authorization"));
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn build(self) -> Result<Request> {
        self.call.map(Call::made)
    }

    /// Sends the call.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::Kind::Usage) where the URL is not one of the profile's hosts over TLS; what [`TokenSource::token`] says where there is
    /// no token; [`Kind::Io`](crate::Kind::Io) where the call itself came to nothing, see [`Error::is_connect`](crate::Error::is_connect) and
    /// [`Error::is_timeout`](crate::Error::is_timeout). An answer of any status is no error.
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// # let client = acme.client();
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let orders = client.get(vendor.url("/orders")).send().await?;
    /// assert_eq!(orders.status(), 200);
    /// let elsewhere = client.get("https://evil.example/").send().await.unwrap_err();
    /// assert_eq!(elsewhere.kind(), bootseal::Kind::Usage); // nothing was sent
    /// # Ok::<(), bootseal::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn send(self) -> Result<Response> {
        self.client.send(self.call?).await
    }
}

fn no_header(error: http::Error) -> Error {
    Error::new(Kind::Usage, format!("what was given as a header is none: {error}"))
}

fn cannot_be(what: &str, error: &dyn std::fmt::Display) -> Error {
    Error::new(Kind::Usage, format!("what was given cannot be {what}: {error}"))
}
