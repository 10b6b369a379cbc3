//! The token for clients of `reqwest-middleware`, as the innermost of their layers.

use crate::call::authenticated::{self, Sender};
use crate::call::redirect::stays_on_redirects;
use crate::error::Error;
use crate::token::source::TokenSource;
use crate::token::token::Token;
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next};

/// Adds the token to each request, and sends a request again if its token was rejected. Add this
/// middleware last, so that it is innermost.
///
/// The `reqwest::Client` below it follows redirects. On a redirect to another host, reqwest removes
/// only `Authorization` and `Cookie`. If the profile uses another header, every call therefore
/// fails until the client is built with [`TokenSource::redirect_policy`] and
/// [`TokenMiddleware::with_redirect_policy`] confirms this. The buffers of that client contain the
/// token in ordinary memory, so prefer [`TokenSource::client`] where possible.
///
/// ```
/// fn own_client(acme: &bootseal::TokenSource) -> Result<reqwest_middleware::ClientWithMiddleware, reqwest::Error> {
///     let inner = reqwest::Client::builder().redirect(acme.redirect_policy()).build()?;
///     Ok(reqwest_middleware::ClientBuilder::new(inner).with(acme.middleware().with_redirect_policy()).build())
/// }
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
    /// Confirms that the client below was built with [`TokenSource::redirect_policy`]. See the
    /// example of [`TokenMiddleware`].
    #[must_use]
    pub fn with_redirect_policy(mut self) -> TokenMiddleware {
        self.own_redirects = true;
        self
    }

    async fn send(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response, Failed> {
        let source = &self.source;
        stays_on_redirects(source, self.own_redirects)?;
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

    async fn send(
        &mut self,
        mut request: Request,
        _again: Option<&Request>,
        token: &Token,
    ) -> Result<Response, Failed> {
        authenticated::put_on(token, request.headers_mut())?;
        Ok(self.next.clone().run(request, self.extensions).await?)
    }
}

/// Returns our own error, or the unchanged error of the client below.
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
