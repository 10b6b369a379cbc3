//! The token for services of other HTTP libraries: a `tower::Layer` over requests of the crate
//! `http`.

use crate::call::authenticated::{self, Sender};
use crate::call::outgoing::Outgoing;
use crate::call::response_body::ResponseBody;
use crate::error::Error;
use crate::token::source::TokenSource;
use crate::token::token::Token;
use bootseal_core::Kind;
use http::{Method, Request, Response};
use http_body::Body;
use std::borrow::Cow;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;
use url::Url;

/// Adds the token to each request for the service below, and sends a request again if its token was
/// rejected.
///
/// This layer belongs innermost: put retries, tracing and redirects outside this layer, so that the
/// destination of each request is checked. It reads the body of a response only for a profile with
/// `rejected_when`. If the service below keeps a copy of a request, that copy contains the token in
/// ordinary memory.
///
/// ```
/// use tower_layer::Layer;
///
/// /// `http_service` is a service of `http::Request<B>`, where `B` is `Clone`.
/// fn with_token<S>(acme: &bootseal::TokenSource, http_service: S) -> bootseal::TokenService<S> {
///     acme.layer().layer(http_service)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct TokenLayer {
    source: TokenSource,
}

/// The service that [`TokenLayer`] wraps around another.
///
/// Its error is boxed. It is an [`Error`] if there is no token, or if the token must not be sent to
/// that host; otherwise, it is the inner service's error.
#[derive(Clone, Debug)]
pub struct TokenService<S> {
    inner: S,
    source: TokenSource,
}

impl TokenSource {
    /// A `tower::Layer` with this token. See the example of [`TokenLayer`].
    pub fn layer(&self) -> TokenLayer {
        TokenLayer { source: self.clone() }
    }
}

impl<S> Layer<S> for TokenLayer {
    type Service = TokenService<S>;

    fn layer(&self, inner: S) -> TokenService<S> {
        TokenService { inner, source: self.source.clone() }
    }
}

type Boxed = Box<dyn std::error::Error + Send + Sync>;

impl<S, B, A> Service<Request<B>> for TokenService<S>
where
    S: Service<Request<B>, Response = Response<A>> + Clone + Send + 'static,
    S::Error: Into<Boxed>,
    S::Future: Send,
    B: Clone + Send + 'static,
    A: Body<Data: Send, Error: Send> + Send + 'static,
{
    type Response = Response<ResponseBody<Pin<Box<A>>>>;
    type Error = Boxed;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Boxed>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Boxed>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // `poll_ready` was called on `self.inner`, so this instance must be called. A clone takes
        // its place.
        let copy = self.inner.clone();
        let mut below = Backend(std::mem::replace(&mut self.inner, copy), PhantomData);
        let source = self.source.clone();
        Box::pin(async move { authenticated::call(&source, &mut below, request).await })
    }
}

/// The service below, and the type of body that it takes.
struct Backend<S, B>(S, PhantomData<fn(B)>);

impl<S, B, A> Sender for Backend<S, B>
where
    S: Service<Request<B>, Response = Response<A>> + Send,
    S::Error: Into<Boxed>,
    S::Future: Send,
    B: Clone + Send,
    A: Body<Data: Send, Error: Send> + Send,
{
    type Request = Request<B>;
    type Response = Response<ResponseBody<Pin<Box<A>>>>;
    type Error = Boxed;

    // The future of an `async fn` would contain `_again`, so that `B` would have to be `Sync`.
    #[allow(clippy::manual_async_fn)]
    fn send(
        &mut self,
        mut request: Request<B>,
        _again: Option<&Request<B>>,
        token: &Token,
    ) -> impl Future<Output = Result<Self::Response, Boxed>> + Send {
        async move {
            authenticated::put_on(token, request.headers_mut())?;
            std::future::poll_fn(|cx| self.0.poll_ready(cx)).await.map_err(Into::into)?;
            let response = self.0.call(request).await.map_err(Into::into)?;
            Ok(response.map(|body| ResponseBody::new(Box::pin(body))))
        }
    }
}

impl<B: Clone> Outgoing for Request<B> {
    fn address(&self) -> Result<Cow<'_, Url>, Error> {
        Url::parse(&self.uri().to_string()).map(Cow::Owned).map_err(|_| {
            Error::new(
                Kind::Usage,
                "the request's URI has no scheme and host, so its destination cannot be checked",
            )
        })
    }

    fn method(&self) -> &Method {
        self.method()
    }

    fn copy(&self) -> Option<Request<B>> {
        Some(self.clone())
    }
}
