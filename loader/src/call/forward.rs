//! How does a proxy send what it was given? As it is, with the token on it: no redirect is followed, no header of our own put on, and the
//! answer's body comes as it comes.

use crate::call::authenticated::{self, DeferredVerdict, Incoming, Outgoing, Sender};
use crate::call::client::{Backend, Client};
use crate::call::response_body::ResponseBody;
use crate::error::{Error, Result};
use crate::token::token::Token;
use crate::wire::client::SecretClient;
use crate::wire::upload_pace::{Pace, Paced};
use bootseal_core::{Kind, When};
use bytes::Bytes;
use http::header::TRANSFER_ENCODING;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming as Arriving;
use std::borrow::Cow;
use std::sync::Arc;
use url::Url;

/// The body of a call that is sent on.
///
/// ```
/// let order = bootseal::Payload::Whole("a lamp".into());
/// let nothing = bootseal::Payload::default();
/// let film = bootseal::Payload::Streamed(reqwest::Body::from("or a stream"));
/// ```
#[derive(Debug)]
pub enum Payload {
    /// In memory, to be sent once more after a rejected token.
    Whole(Bytes),
    /// The same, with trailers behind it.
    Trailed(Bytes, HeaderMap),
    /// As it comes in, once.
    Streamed(reqwest::Body),
}

impl Default for Payload {
    fn default() -> Payload {
        Payload::Whole(Bytes::new())
    }
}

impl Client {
    /// Sends what somebody else asked for: for proxies. As [`Client::execute`], but an answer that points elsewhere is the caller's, and so are
    /// its trailers and its upgrade; `Accept` and `User-Agent` are what the request says.
    ///
    /// A whole body is sent once more after a rejected token; of one that streams the first answer is returned, the token already replaced.
    /// With the answer comes the token that it was given for.
    ///
    /// # Errors
    /// As [`RequestBuilder::send`](crate::RequestBuilder::send). [`Kind::Usage`] where this client is one of [`TokenSource::wrap`](crate::TokenSource::wrap).
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let client = vault.token_source("acme")?.client();
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let request = http::Request::get(vendor.url("/orders")).body(bootseal::Payload::default())?;
    /// let (answer, token) = client.forward(request).await?;
    /// assert_eq!(answer.status(), 200);
    /// assert!(format!("{token:?}").starts_with("Token(#1, "));
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn forward(
        &self,
        request: Request<Payload>,
    ) -> impl Future<Output = Result<(Response<ResponseBody<Arriving>>, Token)>> + Send {
        // Once, in place of with each future that it goes through.
        let request = Box::new(request);
        self.forward_boxed(request)
    }

    async fn forward_boxed(&self, request: Box<Request<Payload>>) -> Result<(Response<ResponseBody<Arriving>>, Token)> {
        let Backend::SecretClient(connections) = &self.below else {
            return Err(Error::new(
                Kind::Usage,
                "a client of your own sends its own requests; forward() is of source.client()",
            ));
        };
        let Some(origin) = connections.origin(request.uri()) else {
            return Err(Error::new(
                Kind::Usage,
                "the request's URI has no scheme and host, so it cannot be told where the token would go",
            ));
        };
        let call = Forwarded { request, origin };
        let returned =
            authenticated::call(&self.source, &mut ForwardSender(connections.get(&self.source)?), call).await?;
        Ok((returned.response, returned.token))
    }
}

struct ForwardSender(Arc<SecretClient>);

struct Forwarded {
    request: Box<Request<Payload>>,
    origin: Arc<Url>,
}

/// An answer, with what it was given for.
struct Returned {
    response: Response<ResponseBody<Arriving>>,
    token: Token,
}

impl Incoming for Returned {
    fn status(&self) -> StatusCode {
        self.response.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    async fn says(self, when: &When, late: DeferredVerdict) -> (Returned, Option<bool>) {
        let (response, says) = self.response.says(when, late).await;
        (Returned { response, token: self.token }, says)
    }

    async fn leave(self) {
        self.response.leave().await;
    }
}

impl Sender for ForwardSender {
    type Request = Forwarded;
    type Response = Returned;
    type Error = Error;

    async fn send(&mut self, call: Forwarded, token: &Token) -> Result<Self::Response> {
        let (mut request, pace) = call.made();
        let response = self.0.to_head(&mut request, &token.0.headers, pace.as_deref()).await?;
        Ok(Returned { response: response.map(ResponseBody::new), token: token.clone() })
    }
}

impl Forwarded {
    /// The request as it is sent, and of a body that streams how it comes in.
    fn made(self) -> (Request<reqwest::Body>, Option<Arc<Pace>>) {
        let (mut parts, body) = self.request.into_parts();
        let (body, pace) = match body {
            Payload::Whole(bytes) => (reqwest::Body::from(bytes), None),
            Payload::Trailed(bytes, trailers) => {
                let body = Full::new(bytes).with_trailers(async { Some(Ok(trailers)) });
                (reqwest::Body::wrap(body), None)
            }
            Payload::Streamed(body) => {
                // hyper takes it that these have none, unless it is said.
                if [Method::GET, Method::HEAD].contains(&parts.method) && body.size_hint().exact().is_none() {
                    parts.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
                }
                let (body, pace) = Paced::of(body);
                (reqwest::Body::wrap(body), Some(pace))
            }
        };
        (Request::from_parts(parts, body), pace)
    }
}

impl Outgoing for Forwarded {
    fn address(&self) -> Result<Cow<'_, Url>> {
        Ok(Cow::Borrowed(&self.origin))
    }

    fn method(&self) -> &Method {
        self.request.method()
    }

    fn copy(&self) -> Option<Forwarded> {
        let mut again = Request::new(match self.request.body() {
            Payload::Whole(bytes) => Payload::Whole(bytes.clone()),
            Payload::Trailed(bytes, trailers) => Payload::Trailed(bytes.clone(), trailers.clone()),
            Payload::Streamed(_) => return None,
        });
        *again.method_mut() = self.request.method().clone();
        *again.uri_mut() = self.request.uri().clone();
        *again.headers_mut() = self.request.headers().clone();
        Some(Forwarded { request: Box::new(again), origin: self.origin.clone() })
    }
}
