//! Outgoing requests of an HTTP library: their destination, and a copy for a replay.

use crate::error::Result;
use http::Method;
use reqwest::Request;
use std::borrow::Cow;
use std::sync::Arc;
use url::Url;

/// A request of an HTTP library.
pub(crate) trait Outgoing: Sized {
    /// # Errors
    /// Fails if the request has no complete URL.
    fn address(&self) -> Result<Cow<'_, Url>>;
    fn method(&self) -> &Method;
    /// A copy of the request, or `None` if its body can be sent only once.
    fn copy(&self) -> Option<Self>;
}

impl Outgoing for Request {
    fn address(&self) -> Result<Cow<'_, Url>> {
        Ok(Cow::Borrowed(self.url()))
    }

    fn method(&self) -> &Method {
        self.method()
    }

    fn copy(&self) -> Option<Request> {
        self.try_clone()
    }
}

/// A request of our own client. `make_body` creates a streamed body for each attempt.
pub(crate) struct Call {
    pub(crate) request: Request,
    pub(crate) make_body: Option<MakeBody>,
}

pub(crate) type MakeBody = Arc<dyn Fn() -> reqwest::Body + Send + Sync>;

impl Call {
    pub(crate) fn of(request: Request) -> Call {
        Call { request, make_body: None }
    }

    pub(crate) fn set_body(&mut self, body: impl Into<reqwest::Body>) {
        *self.request.body_mut() = Some(body.into());
        self.make_body = None;
    }

    /// The request with its body.
    pub(crate) fn into_request(mut self) -> Request {
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

impl Outgoing for Call {
    fn address(&self) -> Result<Cow<'_, Url>> {
        Ok(Cow::Borrowed(self.request.url()))
    }

    fn method(&self) -> &Method {
        self.request.method()
    }

    fn copy(&self) -> Option<Call> {
        let request = if self.make_body.is_some() {
            self.without_body()
        } else {
            self.request.try_clone()?
        };
        Some(Call { request, make_body: self.make_body.clone() })
    }
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.request.fmt(f)
    }
}
