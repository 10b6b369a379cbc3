//! The HTTP client for calls with the token: it adds and renews the token, replays a rejected call
//! once, and sends the token only to the profile's hosts.

use crate::call::authenticated::{self, Sender};
use crate::call::connections::Connections;
use crate::call::outgoing::Call;
use crate::call::redirect::stays_on_redirects;
use crate::error::{Error, Result};
use crate::token::source::TokenSource;
use crate::token::token::Token;
use reqwest::{Request, Response};
use std::sync::Arc;

/// An HTTP client whose calls carry the token. Its verbs, requests and responses are reqwest's.
///
/// ```
/// async fn orders(vault: &bootseal::Secrets) -> Result<bool, bootseal::Error> {
///     let client = vault.token_source("acme")?.client();
///     let response = client.get("https://api.acme.example/v1/orders").send().await?;
///     Ok(response.status().is_success())
/// }
/// ```
///
/// - The token is sent only to the profile's hosts, by https; by http only if the login uses it too.
///   Any other call is an error; it is not sent without the token.
/// - A redirect within one origin is followed with the token. A redirect to another origin is
///   returned as it is.
/// - A response that rejects the token (`rejected_status`) causes one login for all callers, and
///   one replay if the body can be sent again. The second response is returned, whatever its
///   status.
/// - The token never enters the HTTP library: requests carry a placeholder, which the connection's
///   writer replaces with the token. For the copies that a client of your own leaves in memory, see
///   [`TokenSource::wrap`].
#[derive(Clone)]
pub struct Client {
    pub(crate) source: TokenSource,
    pub(crate) backend: Backend,
}

#[derive(Clone)]
pub(crate) enum Backend {
    /// Our own client, which writes the token below the HTTP library.
    Wire(Arc<Connections>),
    /// The application's client; `own_redirects` is true if it was built with our redirect policy.
    Wrapped { http: reqwest::Client, own_redirects: bool },
}

impl TokenSource {
    /// A client for calls with this token. Create one and clone it: the clones share its
    /// connections.
    ///
    /// If TLS cannot be set up, for example because the profile's `ca` is not a certificate, every
    /// call returns an error of kind [`Kind::LoginTls`](crate::Kind::LoginTls).
    pub fn client(&self) -> Client {
        self.client_builder().build()
    }

    /// A client for calls with this token that sends them through `http`, with its pool, proxy,
    /// timeouts and TLS.
    ///
    /// The buffers of `http` then contain the token in ordinary memory until that memory is reused,
    /// and a core dump contains the token too. With [`TokenSource::client`], the token exists only
    /// on its guarded page. On a redirect to another host, reqwest removes only `Authorization` and
    /// `Cookie`; see [`Client::with_redirect_policy`].
    pub fn wrap(&self, http: reqwest::Client) -> Client {
        Client { source: self.clone(), backend: Backend::Wrapped { http, own_redirects: false } }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({:?})", self.source)
    }
}

impl Client {
    pub(crate) fn with_connections(source: TokenSource, connections: Connections) -> Client {
        Client { source, backend: Backend::Wire(Arc::new(connections)) }
    }

    /// Confirms that the client passed to [`TokenSource::wrap`] was built with
    /// [`TokenSource::redirect_policy`]. If the profile's header is one that reqwest does not
    /// remove on redirects, every call without this confirmation fails with
    /// [`Kind::Usage`](crate::Kind::Usage). See the example of [`TokenSource::redirect_policy`].
    #[must_use]
    pub fn with_redirect_policy(mut self) -> Client {
        if let Backend::Wrapped { own_redirects, .. } = &mut self.backend {
            *own_redirects = true;
        }
        self
    }

    /// Sends a request that was built elsewhere.
    ///
    /// # Errors
    /// As [`RequestBuilder::send`](crate::RequestBuilder::send).
    ///
    /// ```
    /// async fn head(client: &bootseal::Client) -> bootseal::Result<reqwest::StatusCode> {
    ///     let mut request = client.get("https://api.acme.example/v1/orders").build()?;
    ///     *request.method_mut() = reqwest::Method::HEAD;
    ///     Ok(client.execute(request).await?.status())
    /// }
    /// ```
    pub async fn execute(&self, request: Request) -> Result<Response> {
        self.send(Call::of(request)).await
    }

    pub(crate) async fn send(&self, call: Call) -> Result<Response> {
        match &self.backend {
            Backend::Wire(connections) => {
                let mut client = connections.get(&self.source)?;
                authenticated::call(&self.source, &mut client, call).await
            }
            Backend::Wrapped { http, own_redirects } => {
                stays_on_redirects(&self.source, *own_redirects)?;
                authenticated::call(&self.source, &mut http.clone(), call).await
            }
        }
    }
}

impl Sender for reqwest::Client {
    type Request = Call;
    type Response = Response;
    type Error = Error;

    async fn send(
        &mut self,
        mut call: Call,
        _again: Option<&Call>,
        token: &Token,
    ) -> Result<Response> {
        authenticated::put_on(token, call.request.headers_mut())?;
        Ok(self.execute(call.into_request()).await?)
    }
}
