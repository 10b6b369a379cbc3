//! How does a service of another HTTP library carry the token? A `tower::Layer` over requests of the crate `http`.

use crate::error::Error;
use crate::token_source::TokenSource;
use http::{Request, Response};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;
use url::Url;

/// Puts the token on each request of the service below, and sends a request once more whose token was rejected.
///
/// It belongs innermost: retries, tracing and redirects stand outside, so that each request is looked at where it goes. Status and
/// headers of an answer are looked at, its body is not, so a profile with `rejected_when` is for [`Client`](crate::Client). What the
/// service below keeps of a request, memory keeps.
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
    A: Send + 'static,
{
    type Response = Response<A>;
    type Error = Boxed;
    type Future = Pin<Box<dyn Future<Output = Result<Response<A>, Boxed>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Boxed>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The one that is ready is the one that is called; its copy stays here.
        let copy = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, copy);
        let source = self.source.clone();
        Box::pin(async move {
            let url = Url::parse(&request.uri().to_string()).map_err(|_| {
                Error::new(
                    bootseal_core::Kind::Usage,
                    "the request's URI has no scheme and host, so it cannot be told where the token would go",
                )
            })?;
            source.allow(&url)?;
            let again = source.may_replay(request.method()).then(|| copy_of(&request));
            let token = source.token().await?;
            source.put_on(&token, request.headers_mut())?;
            let answer = inner.call(request).await.map_err(Into::into)?;
            let rejected = source.is_rejection(answer.status(), answer.headers());
            if !source.first_answer(&token, rejected, answer.status(), answer.headers()) {
                return Ok(answer);
            }
            let Some(mut again) = again else { return Ok(answer) };
            let token = source.token().await?;
            drop(answer);
            source.count_replay();
            source.put_on(&token, again.headers_mut())?;
            std::future::poll_fn(|cx| inner.poll_ready(cx)).await.map_err(Into::into)?;
            let answer = inner.call(again).await.map_err(Into::into)?;
            let rejected = source.is_rejection(answer.status(), answer.headers());
            source.second_answer(&token, rejected, answer.status(), answer.headers());
            Ok(answer)
        })
    }
}

fn copy_of<B: Clone>(request: &Request<B>) -> Request<B> {
    let mut copy = Request::new(request.body().clone());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    copy
}
