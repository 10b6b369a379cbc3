//! The connections of a client, rebuilt when a reload changes the endpoint or the hosts.

use crate::call::authenticated;
use crate::call::redirect::RedirectingClient;
use crate::error::{Error, Result};
use crate::login::account::Account;
use crate::login::request::basic_of;
use crate::token::source::TokenSource;
use bootseal_core::{Kind, Secret};
use bootseal_memory::SecretBuf;
use bootseal_wire::{Endpoint, Options, SecretClient};
use http::HeaderValue;
use http::uri::{self, Uri};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use url::Url;

/// The options of a client builder, which take precedence over the profile.
#[derive(Clone, Default)]
pub(crate) struct ClientOptions {
    pub(crate) wire: Options,
    /// CA certificates in PEM, which replace the profile's certificates.
    pub(crate) roots: Option<String>,
    /// The HTTP proxy, which replaces the profile's proxy.
    pub(crate) proxy: Option<String>,
    pub(crate) proxy_login: Option<(String, Secret)>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) user_agent: Option<String>,
}

pub(crate) struct Connections {
    options: ClientOptions,
    made: Mutex<(Arc<Account>, Result<Arc<RedirectingClient>>)>,
    /// The origin of the first forwarded call. It is cached, because all forwarded calls of a proxy
    /// usually have the same origin.
    first: OnceLock<(Uri, Arc<Url>)>,
}

impl Connections {
    pub(crate) fn new(source: &TokenSource, options: ClientOptions) -> Connections {
        let account = source.account();
        let made = make(&options, &account);
        Connections { options, made: Mutex::new((account, made)), first: OnceLock::new() }
    }

    /// The client for the current account.
    ///
    /// # Errors
    /// [`Kind::LoginTls`] if TLS or the proxy cannot be set up; [`Kind::Usage`] if an option is
    /// invalid. Every call returns the error because the builder cannot fail.
    pub(crate) fn get(&self, source: &TokenSource) -> Result<Arc<RedirectingClient>> {
        let account = source.account();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&made.0, &account) {
            let same_hosts = made.0.profile.destinations() == account.profile.destinations();
            let same_protocols = made.0.profile.http2 == account.profile.http2;
            let same_endpoint = endpoint_of(&made.0).same_as(&endpoint_of(&account));
            if !(same_hosts && same_protocols && same_endpoint) {
                made.1 = make(&self.options, &account);
            }
            made.0 = account;
        }
        made.1.clone()
    }

    /// Returns scheme, host and port of `uri` as a URL, or `None` if one of them is missing. The
    /// first URL is cached, because parsing a URL is slow.
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

fn make(options: &ClientOptions, account: &Arc<Account>) -> Result<Arc<RedirectingClient>> {
    let mut endpoint = endpoint_of(account);
    if let Some(proxy) = &options.proxy {
        endpoint.proxy = Some(proxy_url(proxy)?);
    }
    endpoint.ca = options.roots.clone().or(endpoint.ca);
    let mut wire = options.wire.clone();
    wire.connect.proxy_authorization =
        options.proxy_login.as_ref().map(proxy_authorization).transpose()?;
    wire.connect.http1_only |= !account.profile.http2;
    let user_agent = options.user_agent.as_deref().map(HeaderValue::from_str).transpose();
    let user_agent = user_agent
        .map_err(|_| Error::new(Kind::Usage, "the user agent is not valid in a header"))?;
    let owner = account.clone();
    let allowed = move |url: &Url| authenticated::allow(&owner.profile, url).map_err(Into::into);
    let wire = SecretClient::new(&endpoint, &wire, allowed)?;
    Ok(Arc::new(RedirectingClient { wire, timeout: options.timeout, user_agent }))
}

/// The profile's CA, client certificate and proxy.
fn endpoint_of(account: &Account) -> Endpoint {
    let profile = &account.profile;
    let named = |name: &str| account.values.get(name).cloned();
    let client_cert =
        profile.client_cert.as_ref().and_then(|names| named(&names.cert).zip(named(&names.key)));
    Endpoint { ca: profile.ca.clone(), client_cert, proxy: profile.proxy.clone() }
}

fn proxy_url(text: &str) -> Result<Url> {
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "http" && url.has_host());
    let url = url.filter(|url| url.username().is_empty() && url.password().is_none());
    url.ok_or_else(|| {
        Error::new(
            Kind::Usage,
            "the proxy must be of the form \"http://proxy.example:3128\", without credentials",
        )
        .with_help("Set proxy credentials with ClientBuilder::proxy_login.")
    })
}

fn proxy_authorization((user, password): &(String, Secret)) -> Result<Secret> {
    let mut pair = SecretBuf::with_capacity(user.len() + 1 + password.len())?;
    pair.push(user.as_bytes())?;
    pair.push(b":")?;
    password.expose(|password| pair.push(password))?;
    basic_of(&pair)
}
