//! How does a client of `reqwest-middleware` carry the token? As the innermost of its layers.

use crate::call::authenticated::{self, Sender};
use crate::error::Error;
use crate::token::source::TokenSource;
use crate::token::token::Token;
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next};

/// Puts the token on each request, and sends a request once more whose token was rejected. Add it last: it belongs innermost.
///
/// The redirects of a `reqwest::Client` are followed below it. Of those to another host reqwest takes `Authorization` and `Cookie` away,
/// and no other header; so where the profile's header is another one, calls are an error until the client was built with
/// [`TokenSource::redirect_policy`] and [`TokenMiddleware::with_redirect_policy`] says so. What that client keeps of a request, memory
/// keeps: [`TokenSource::client`] is the better one wherever it will do.
///
/// ```
/// # let vendor = bootseal::testing::Vendor::start_plain()?;
/// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
/// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
/// # let acme = vault.token_source("acme")?;
/// # let ring = rustls::crypto::ring::default_provider().install_default();
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let inner = reqwest::Client::builder().redirect(acme.redirect_policy()).build()?;
/// let client = reqwest_middleware::ClientBuilder::new(inner).with(acme.middleware().with_redirect_policy()).build();
/// assert_eq!(client.get(vendor.url("/orders")).send().await?.status(), 200);
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct TokenMiddleware {
    source: TokenSource,
    own_redirects: bool,
}

impl TokenSource {
    /// A layer for `reqwest-middleware`. See the example of [`TokenMiddleware`].
    pub fn middleware(&self) -> TokenMiddleware {
        TokenMiddleware { source: self.clone(), own_redirects: false }
    }
}

impl TokenMiddleware {
    /// Says that the client below was built with [`TokenSource::redirect_policy`]. See the example of [`TokenMiddleware`].
    #[must_use]
    pub fn with_redirect_policy(mut self) -> TokenMiddleware {
        self.own_redirects = true;
        self
    }

    async fn send(&self, request: Request, extensions: &mut Extensions, next: Next<'_>) -> Result<Response, Failed> {
        let source = &self.source;
        authenticated::stays_on_redirects(source, self.own_redirects)?;
        authenticated::call(source, &mut Backend { next, extensions }, request).await
    }
}

struct Backend<'a> {
    next: Next<'a>,
    extensions: &'a mut Extensions,
}

impl Sender for Backend<'_> {
    type Request = Request;
    type Response = Response;
    type Error = Failed;

    async fn send(&mut self, mut request: Request, token: &Token) -> Result<Response, Failed> {
        authenticated::put_on(token, request.headers_mut())?;
        Ok(self.next.clone().run(request, self.extensions).await?)
    }
}

/// Ours, or what came from below, as it is.
enum Failed {
    Ours(Error),
    Backend(reqwest_middleware::Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        Failed::Ours(error)
    }
}

impl From<reqwest_middleware::Error> for Failed {
    fn from(error: reqwest_middleware::Error) -> Failed {
        Failed::Backend(error)
    }
}

#[async_trait::async_trait]
impl Middleware for TokenMiddleware {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        self.send(request, extensions, next).await.map_err(|failed| match failed {
            Failed::Ours(error) => reqwest_middleware::Error::middleware(error),
            Failed::Backend(error) => error,
        })
    }
}
