//! How does a service of another HTTP library carry the token? A `tower::Layer` over requests of the crate `http`.

use crate::call::authenticated::{self, Outgoing, Sender};
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

/// Puts the token on each request of the service below, and sends a request once more whose token was rejected.
///
/// It belongs innermost: retries, tracing and redirects stand outside, so that each request is looked at where it goes. The body of an
/// answer is looked into only for a profile with `rejected_when`. What the service below keeps of a request, memory keeps.
///
/// ```
/// # let vendor = bootseal::testing::Vendor::start_plain()?;
/// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
/// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
/// # let acme = vault.token_source("acme")?;
/// use tower_layer::Layer;
/// # #[derive(Clone)] struct Hyper;
/// # impl tower_service::Service<http::Request<String>> for Hyper {
/// #     type Response = http::Response<String>; type Error = std::convert::Infallible;
/// #     type Future = std::future::Ready<Result<Self::Response, Self::Error>>;
/// #     fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> { std::task::Poll::Ready(Ok(())) }
/// #     fn call(&mut self, _: http::Request<String>) -> Self::Future { std::future::ready(Ok(http::Response::new(String::new()))) }
/// # }
/// let service = acme.layer().layer(Hyper); // a service of http::Request<B>, where B is Clone
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct TokenLayer {
    source: TokenSource,
}

/// What [`TokenLayer`] makes of a service.
///
/// Its error is a boxed one: [`Error`] where there is no token or where it may not go, else the inner service's own.
/// See the example of [`TokenLayer`].
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
        // The one that is ready is the one that is called; its copy stays here.
        let copy = self.inner.clone();
        let mut below = Backend(std::mem::replace(&mut self.inner, copy), PhantomData);
        let source = self.source.clone();
        Box::pin(async move { authenticated::call(&source, &mut below, request).await })
    }
}

/// The service below, and the body that it takes.
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

    async fn send(&mut self, mut request: Request<B>, token: &Token) -> Result<Self::Response, Boxed> {
        authenticated::put_on(token, request.headers_mut())?;
        std::future::poll_fn(|cx| self.0.poll_ready(cx)).await.map_err(Into::into)?;
        let response = self.0.call(request).await.map_err(Into::into)?;
        Ok(response.map(|body| ResponseBody::new(Box::pin(body))))
    }
}

impl<B: Clone> Outgoing for Request<B> {
    fn address(&self) -> Result<Cow<'_, Url>, Error> {
        Url::parse(&self.uri().to_string()).map(Cow::Owned).map_err(|_| {
            Error::new(
                Kind::Usage,
                "the request's URI has no scheme and host, so it cannot be told where the token would go",
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
