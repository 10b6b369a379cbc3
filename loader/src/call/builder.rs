//! How does an application shape the connections of its client? What would let the token go astray is not offered.

use crate::call::authenticated;
use crate::call::client::Client;
use crate::error::{Error, Result};
use crate::login::account::Account;
use crate::login::http_transport::Endpoint;
use crate::token::source::TokenSource;
use crate::wire::client::{Options, SecretClient};
use bootseal_core::{Kind, Secret};
use http::uri::{self, Uri};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use url::Url;

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
    /// The HTTP proxy of all calls, in place of the profile's: `http://host:port`. All go through a tunnel (CONNECT), so that it sees no
    /// token. The login goes by the profile's. What is no such address, or holds credentials, is told at each call.
    ///
    /// ```
    /// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
    /// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)?;
    /// let client = vault.token_source("acme")?.client_builder().proxy("http://proxy.acme.example:3128").build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.options.proxy = Some(url.into());
        self
    }

    /// Who one is at the proxy, the profile's too (HTTP Basic).
    ///
    /// ```
    /// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
    /// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2"), ("proxy.password", "x")], login)?;
    /// let builder = vault.token_source("acme")?.client_builder().proxy("http://proxy.acme.example:3128");
    /// let client = builder.proxy_login("app", &vault.secret("proxy.password")?).build();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn proxy_login(mut self, user: impl Into<String>, password: &Secret) -> Self {
        self.options.reach.proxy_login = Some((user.into(), password.clone()));
        self
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
    pub fn resolve(mut self, host: impl Into<String>, address: SocketAddr) -> Self {
        self.options.reach.resolve.insert(host.into().to_ascii_lowercase(), address);
        self
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
    pub fn pool(mut self, idle_per_host: usize, idle_for: Duration) -> Self {
        (self.options.idle_per_host, self.options.idle_for) = (idle_per_host, idle_for);
        self
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
        self.options.reach.http1_only = true;
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
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// A limit for each sending, to the head of its answer; its body may take longer. Without it there is none.
    ///
    /// ```
    /// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
    /// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)?;
    /// # let acme = vault.token_source("acme")?;
    /// use std::time::Duration;
    /// let client = acme.client_builder().answer_timeout(Duration::from_secs(60)).build();
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn answer_timeout(mut self, timeout: Duration) -> Self {
        self.options.answer_timeout = Some(timeout);
        self
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
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.options.reach.connect_timeout = Some(timeout);
        self
    }

    /// The header `User-Agent` of the calls. What is no header is told at each call.
    ///
    /// ```
    /// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
    /// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)?;
    /// let client = vault.token_source("acme")?.client_builder().user_agent("orders/1.4").build();
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.options.user_agent = Some(name.into());
        self
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
        let connections = Connections::new(&self.source, self.options);
        Client::guarded(self.source, connections)
    }
}

impl std::fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClientBuilder({:?})", self.source)
    }
}

/// The connections of a client, made anew where a reload changed the way to the vendor, or the hosts.
pub(crate) struct Connections {
    options: Options,
    made: Mutex<(Arc<Account>, Result<Arc<SecretClient>>)>,
    /// The origin of the first call that was sent on: a proxy's calls all go there.
    first: OnceLock<(Uri, Arc<Url>)>,
}

impl Connections {
    fn new(source: &TokenSource, options: Options) -> Connections {
        let account = source.account();
        let guarded = make(&options, &account);
        Connections { options, made: Mutex::new((account, guarded)), first: OnceLock::new() }
    }

    pub(crate) fn get(&self, source: &TokenSource) -> Result<Arc<SecretClient>> {
        let account = source.account();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&made.0, &account) {
            let same_hosts = made.0.profile.hosts_display() == account.profile.hosts_display();
            if !same_hosts || !Endpoint::of(&made.0).is(&Endpoint::of(&account)) {
                made.1 = make(&self.options, &account);
            }
            made.0 = account;
        }
        made.1.clone()
    }

    /// Scheme, host and port of `uri` as a URL, which takes its time and is therefore done once for calls that all go to one place. `None`
    /// where it has none.
    pub(crate) fn origin(&self, uri: &Uri) -> Option<Arc<Url>> {
        if let Some((known, url)) = self.first.get()
            && (known.scheme(), known.authority()) == (uri.scheme(), uri.authority())
        {
            return Some(url.clone());
        }
        let mut parts = uri::Parts::default();
        parts.scheme = Some(uri.scheme()?.clone());
        parts.authority = Some(uri.authority()?.clone());
        parts.path_and_query = Some(uri::PathAndQuery::from_static("/"));
        let origin = Uri::from_parts(parts).ok()?;
        let url = Arc::new(Url::parse(&origin.to_string()).ok()?);
        let _ = self.first.set((origin, url.clone()));
        Some(url)
    }
}

fn make(options: &Options, account: &Arc<Account>) -> Result<Arc<SecretClient>> {
    let proxy = options.proxy.as_deref().map(|proxy| {
        let url = Url::parse(proxy).ok().filter(|url| url.scheme() == "http" && url.has_host());
        let url = url.filter(|url| url.username().is_empty() && url.password().is_none());
        url.ok_or_else(|| {
            Error::new(Kind::Usage, "the proxy must be as \"http://proxy.example:3128\"")
                .with_help("Who one is there: ClientBuilder::proxy_login")
        })
    });
    let way = Endpoint::of(account).with_roots(options.roots.as_deref()).with_proxy(proxy.transpose()?);
    let owner = account.clone();
    SecretClient::new(&way, options, move |url| authenticated::allow(&owner.profile, url)).map(Arc::new)
}
