//! How does an application shape the connections of its client? What would let the token go astray is not offered.

use crate::client::Client;
use crate::error::{Error, Result};
use crate::steps::Account;
use crate::token_source::TokenSource;
use crate::transport::{HTTP_1, HTTP_2, Way, client_builder};
use bootseal_core::Kind;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

type Shape = Arc<dyn Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync>;

/// A [`Client`] that is being put together. Redirects, cookies and default headers are the profile's affair and cannot be set.
///
/// ```
/// # let vendor = bootseal::testing::Vendor::start_plain()?;
/// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
/// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
/// # let acme = vault.token_source("acme")?;
/// use std::time::Duration;
/// let client = acme.client_builder().user_agent("orders/1.4").timeout(Duration::from_secs(30)).build();
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// assert_eq!(client.get(vendor.url("/orders")).send().await?.status(), 200);
/// # Ok::<(), bootseal::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a builder does nothing until it builds"]
pub struct ClientBuilder {
    source: TokenSource,
    options: Options,
}

#[derive(Clone, Default)]
pub(crate) struct Options {
    shapes: Vec<Shape>,
    http1_only: bool,
    roots: Option<String>,
}

impl TokenSource {
    /// A client whose connections are to be shaped: pool, timeouts, proxy, roots.
    ///
    /// ```
    /// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
    /// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)?;
    /// let client = vault.token_source("acme")?.client_builder().http1_only().build();
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn client_builder(&self) -> ClientBuilder {
        ClientBuilder { source: self.clone(), options: Options::default() }
    }
}

impl ClientBuilder {
    fn shape(
        mut self,
        shape: impl Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync + 'static,
    ) -> Self {
        self.options.shapes.push(Arc::new(shape));
        self
    }

    /// The proxy of all calls, in place of the profile's; made with `reqwest::Proxy`, where its own credentials go too. The login goes
    /// by the profile's.
    ///
    /// ```
    /// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
    /// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2"), ("proxy.password", "x")], login)?;
    /// let password = vault.secret("proxy.password")?;
    /// let proxy = reqwest::Proxy::all("http://proxy.acme.example:3128")?;
    /// let proxy = password.expose_str(|password| proxy.basic_auth("app", password))?;
    /// let client = vault.token_source("acme")?.client_builder().proxy(proxy).build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn proxy(self, proxy: reqwest::Proxy) -> Self {
        // `no_proxy` forgets the profile's.
        self.shape(move |builder| builder.no_proxy().proxy(proxy.clone()))
    }

    /// The certificates, in PEM, of which one must have signed the vendor's, in place of the profile's `ca` or the system's. What is no
    /// PEM is told at each call: [`Kind::LoginTls`].
    ///
    /// ```
    /// let vendor = bootseal::testing::Vendor::start()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\nca = '''{}'''\n", vendor.url("/login"), vendor.ca_pem());
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// let client = acme.client_builder().roots(vendor.ca_pem()).build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn roots(mut self, pem: impl Into<String>) -> Self {
        self.options.roots = Some(pem.into());
        self
    }

    /// Connects for `host` to this address, whatever its name service says. Its certificate must be the host's all the same.
    ///
    /// ```
    /// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
    /// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)?;
    /// let address = "192.0.2.7:443".parse()?;
    /// let client = vault.token_source("acme")?.client_builder().resolve("api.acme.example", address).build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resolve(self, host: impl Into<String>, address: SocketAddr) -> Self {
        let host = host.into();
        self.shape(move |builder| builder.resolve(&host, address))
    }

    /// How many connections to a host may lie idle, and for how long.
    ///
    /// ```
    /// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
    /// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)?;
    /// use std::time::Duration;
    /// let client = vault.token_source("acme")?.client_builder().pool(8, Duration::from_secs(30)).build();
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn pool(self, idle_per_host: usize, idle_for: Duration) -> Self {
        self.shape(move |builder| builder.pool_max_idle_per_host(idle_per_host).pool_idle_timeout(idle_for))
    }

    /// Never speaks HTTP/2.
    ///
    /// ```
    /// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
    /// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)?;
    /// let client = vault.token_source("acme")?.client_builder().http1_only().build();
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn http1_only(mut self) -> Self {
        self.options.http1_only = true;
        self
    }

    /// How long each sending may take, to the last byte of its answer. Without it: as long as it takes.
    ///
    /// ```
    /// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
    /// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)?;
    /// use std::time::Duration;
    /// let client = vault.token_source("acme")?.client_builder().timeout(Duration::from_secs(30)).build();
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn timeout(self, timeout: Duration) -> Self {
        self.shape(move |builder| builder.timeout(timeout))
    }

    /// How long connecting may take.
    ///
    /// ```
    /// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
    /// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)?;
    /// use std::time::Duration;
    /// let client = vault.token_source("acme")?.client_builder().connect_timeout(Duration::from_secs(3)).build();
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        self.shape(move |builder| builder.connect_timeout(timeout))
    }

    /// The header `User-Agent` of the calls. What is no header is told at each call.
    ///
    /// ```
    /// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
    /// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)?;
    /// let client = vault.token_source("acme")?.client_builder().user_agent("orders/1.4").build();
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn user_agent(self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.shape(move |builder| builder.user_agent(name.as_str()))
    }

    /// The client. What cannot be set up is told at each call, as [`TokenSource::client`] does.
    ///
    /// ```
    /// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
    /// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)?;
    /// let client = vault.token_source("acme")?.client_builder().build();
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn build(self) -> Client {
        Client::new(self.source, self.options)
    }
}

impl std::fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClientBuilder({:?})", self.source)
    }
}

/// The connections of a client, made anew where a reload changed the way to the vendor.
pub(crate) struct Connections {
    options: Options,
    made: Mutex<(Arc<Account>, Result<reqwest::Client>)>,
}

impl Connections {
    pub(crate) fn new(source: &TokenSource, options: Options) -> Connections {
        let account = source.account();
        let http = options.make(source, &account);
        Connections { options, made: Mutex::new((account, http)) }
    }

    pub(crate) fn http(&self, source: &TokenSource) -> Result<reqwest::Client> {
        let account = source.account();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&made.0, &account) {
            if !Way::of(&made.0).is(&Way::of(&account)) {
                made.1 = self.options.make(source, &account);
            }
            made.0 = account;
        }
        made.1.clone()
    }
}

impl Options {
    fn make(&self, source: &TokenSource, account: &Account) -> Result<reqwest::Client> {
        let tls = |error: String| Error::new(Kind::LoginTls, format!("client of `{}`: {error}", account.profile.table));
        let protocols: &[&[u8]] = if self.http1_only { &[HTTP_1] } else { &[HTTP_2, HTTP_1] };
        let mut builder =
            client_builder(&Way::of(account).with_roots(self.roots.as_deref()), protocols).map_err(tls)?;
        if self.http1_only {
            builder = builder.http1_only();
        }
        builder = self.shapes.iter().fold(builder, |builder, shape| shape(builder));
        builder.redirect(source.redirect_policy()).build().map_err(|error| tls(crate::error::chain(&error)))
    }
}
