//! Forwarding for proxies: a request is sent unchanged except for the token. Redirects are not
//! followed, no other header is added, and the response's body is streamed.

use crate::call::authenticated::{self, DeferredVerdict, Incoming, Sender};
use crate::call::client::{Backend, Client};
use crate::call::outgoing::Outgoing;
use crate::call::redirect::RedirectingClient;
use crate::call::response_body::ResponseBody;
use crate::error::{Error, Result};
use crate::token::token::Token;
use bootseal_core::{Kind, When};
use bootseal_wire::{Again, ArrivingBody, PacedBody, UploadPace};
use bytes::Bytes;
use http::header::TRANSFER_ENCODING;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt, Full};
use std::borrow::Cow;
use std::sync::Arc;
use url::Url;

/// The body of a call that is forwarded.
///
/// ```
/// let order = bootseal::Payload::Whole("a lamp".into());
/// let nothing = bootseal::Payload::default();
/// let film = bootseal::Payload::Streamed(reqwest::Body::from("or a stream"));
/// ```
#[derive(Debug)]
pub enum Payload {
    /// A body in memory, which can be sent again after a rejected token.
    Whole(Bytes),
    /// A body in memory, followed by trailers.
    Trailed(Bytes, HeaderMap),
    /// A stream, which can be sent only once.
    Streamed(reqwest::Body),
}

impl Default for Payload {
    fn default() -> Payload {
        Payload::Whole(Bytes::new())
    }
}

impl Client {
    /// Sends a request on behalf of another client, for proxies. Unlike [`Client::execute`], it
    /// returns redirects, trailers and upgrades to the caller, and leaves `Accept` and `User-Agent`
    /// as they are in the request.
    ///
    /// If the token is rejected, a body in memory is sent again. If the body is a stream, the first
    /// response is returned, and the token is replaced in the background. The second part of the
    /// result is the token with which the response was obtained.
    ///
    /// # Errors
    /// As [`RequestBuilder::send`](crate::RequestBuilder::send). [`Kind::Usage`] if this client was
    /// made by [`TokenSource::wrap`](crate::TokenSource::wrap).
    ///
    /// ```
    /// async fn orders(client: &bootseal::Client) -> Result<http::StatusCode, Box<dyn std::error::Error>> {
    ///     let request = http::Request::get("https://api.acme.example/orders").body(bootseal::Payload::default())?;
    ///     let (response, _token) = client.forward(request).await?;
    ///     Ok(response.status())
    /// }
    /// ```
    pub fn forward(
        &self,
        request: Request<Payload>,
    ) -> impl Future<Output = Result<(Response<ResponseBody<ArrivingBody>>, Token)>> + Send {
        // Boxed once here, so that it is not copied into each nested future.
        let request = Box::new(request);
        self.forward_boxed(request)
    }

    async fn forward_boxed(
        &self,
        request: Box<Request<Payload>>,
    ) -> Result<(Response<ResponseBody<ArrivingBody>>, Token)> {
        let Backend::Wire(connections) = &self.backend else {
            return Err(Error::new(
                Kind::Usage,
                "forward() requires a client of source.client(); this one wraps the application's client",
            ));
        };
        let Some(origin) = connections.origin(request.uri()) else {
            return Err(Error::new(
                Kind::Usage,
                "the request's URI has no scheme and host, so its destination cannot be checked",
            ));
        };
        let call = Forwarded { request, origin };
        let returned = authenticated::call(
            &self.source,
            &mut ForwardSender(connections.get(&self.source)?),
            call,
        )
        .await?;
        Ok((returned.response, returned.token))
    }
}

struct ForwardSender(Arc<RedirectingClient>);

struct Forwarded {
    request: Box<Request<Payload>>,
    origin: Arc<Url>,
}

/// A response, and the token with which it was obtained.
struct Returned {
    response: Response<ResponseBody<ArrivingBody>>,
    token: Token,
}

impl Incoming for Returned {
    fn status(&self) -> StatusCode {
        self.response.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    async fn matches(self, when: &When, verdict: DeferredVerdict) -> (Returned, Option<bool>) {
        let (response, matches) = self.response.matches(when, verdict).await;
        (Returned { response, token: self.token }, matches)
    }

    async fn discard(self) {
        self.response.discard().await;
    }
}

impl Sender for ForwardSender {
    type Request = Forwarded;
    type Response = Returned;
    type Error = Error;

    async fn send(
        &mut self,
        call: Forwarded,
        again: Option<&Forwarded>,
        token: &Token,
    ) -> Result<Self::Response> {
        let (mut request, pace) = call.into_request();
        let once_more = again.map(|again| || again.copy().map(|again| again.into_request().0));
        let once_more = once_more.as_ref().map(|once_more| once_more as &Again<'_>);
        let (wire, headers) = (&self.0.wire, &token.0.headers);
        let response = wire.send_in_time(&mut request, once_more, headers, pace.as_deref()).await?;
        Ok(Returned { response: response.map(ResponseBody::new), token: token.clone() })
    }
}

impl Forwarded {
    /// The request with its body, and the pace if the body is a stream.
    fn into_request(self) -> (Request<reqwest::Body>, Option<Arc<UploadPace>>) {
        let (mut parts, body) = self.request.into_parts();
        let (body, pace) = match body {
            Payload::Whole(bytes) => (reqwest::Body::from(bytes), None),
            Payload::Trailed(bytes, trailers) => {
                let body = Full::new(bytes).with_trailers(async { Some(Ok(trailers)) });
                (reqwest::Body::wrap(body), None)
            }
            Payload::Streamed(body) => {
                // hyper assumes that these methods have no body unless a header says so.
                if [Method::GET, Method::HEAD].contains(&parts.method)
                    && body.size_hint().exact().is_none()
                {
                    parts.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
                }
                let (body, pace) = PacedBody::of(body);
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
