//! How is a request sent so that no HTTP library holds a secret? hyper's client sees placeholders only; the writer below it has the rest.

use crate::call::authenticated::{Outgoing, Sender};
use crate::call::client::Call;
use crate::error::{Error, Result, chain};
use crate::login::http_transport::{Endpoint, HTTP_1, HTTP_2};
use crate::token::token::Token;
use crate::wire::connect::{ConnectOptions, Connector};
use crate::wire::placeholder::{Placeholders, StandIn};
use crate::wire::pool::{Failed, Pool};
use crate::wire::upload_pace::Pace;
use bootseal_core::{Kind, Secret};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, TRANSFER_ENCODING, USER_AGENT};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use reqwest::{Request, Response, ResponseBuilderExt};
use smallvec::SmallVec;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};
use url::Url;

/// As reqwest's own default.
const MAX_REDIRECTS: usize = 10;
const IDLE_FOR: Duration = Duration::from_secs(90);

/// How calls are made, beside what the profile says.
#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) reach: ConnectOptions,
    pub(crate) roots: Option<String>,
    pub(crate) idle_per_host: usize,
    pub(crate) idle_for: Duration,
    pub(crate) timeout: Option<Duration>,
    /// To the head of an answer.
    pub(crate) answer_timeout: Option<Duration>,
    pub(crate) user_agent: Option<String>,
    pub(crate) proxy: Option<String>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            reach: ConnectOptions::default(),
            roots: None,
            idle_per_host: usize::MAX,
            idle_for: IDLE_FOR,
            timeout: None,
            answer_timeout: None,
            user_agent: None,
            proxy: None,
        }
    }
}

/// Connections on which secrets are put in their places as they are written.
pub(crate) struct SecretClient {
    pool: Pool,
    placeholders: Arc<Placeholders>,
    timeout: Option<Duration>,
    answer_timeout: Option<Duration>,
    user_agent: Option<HeaderValue>,
}

impl SecretClient {
    /// `allowed` says where connections may go.
    ///
    /// # Errors
    /// [`Kind::LoginTls`] where TLS or the proxy cannot be set up; [`Kind::Usage`] for a user agent that is no header.
    pub(crate) fn new(
        way: &Endpoint,
        options: &Options,
        allowed: impl Fn(&Url) -> Result<()> + Send + Sync + 'static,
    ) -> Result<SecretClient> {
        let placeholders = Arc::new(Placeholders::new()?);
        let protocols: &[&[u8]] = if options.reach.http1_only { &[HTTP_1] } else { &[HTTP_2, HTTP_1] };
        let connector = Connector::new(way, &options.reach, protocols, placeholders.clone(), Arc::new(allowed))?;
        let user_agent = options.user_agent.as_deref().map(HeaderValue::from_str).transpose();
        Ok(SecretClient {
            pool: Pool::new(connector, options.idle_per_host, options.idle_for),
            placeholders,
            timeout: options.timeout,
            answer_timeout: options.answer_timeout,
            user_agent: user_agent.map_err(|_| Error::new(Kind::Usage, "the user agent is no header"))?,
        })
    }

    /// Sends a request once, and takes it out of `request`, with `headers` on it whose values nobody sees.
    pub(crate) async fn once(
        &self,
        request: &mut http::Request<reqwest::Body>,
        headers: &[(HeaderName, Secret)],
    ) -> Result<http::Response<Incoming>, Failed> {
        let mut stand_ins: SmallVec<[StandIn; 2]> = SmallVec::new();
        for (name, secret) in headers {
            let stand_in = self.placeholders.stand_in(secret);
            request.headers_mut().insert(name.clone(), stand_in.header().map_err(Failed::Ours)?);
            stand_ins.push(stand_in);
        }
        let response = self.pool.send(request).await;
        drop(stand_ins);
        response
    }

    /// Sends a request once; its answer's head comes in time, or is an error. `pace`: of a body that comes from somebody else, whose time does
    /// not count.
    pub(crate) async fn to_head(
        &self,
        request: &mut http::Request<reqwest::Body>,
        headers: &[(HeaderName, Secret)],
        pace: Option<&Pace>,
    ) -> Result<http::Response<Incoming>> {
        let response = match (self.answer_timeout, pace) {
            (None, _) => self.once(request, headers).await,
            (Some(limit), None) => {
                tokio::time::timeout(limit, self.once(request, headers)).await.map_err(|_| late(limit))?
            }
            (Some(limit), Some(pace)) => {
                let sent = Box::pin(self.once(request, headers));
                pace.within(limit, sent).await.ok_or_else(|| late(limit))?
            }
        };
        response.map_err(Failed::of_call)
    }

    /// Sends a call, and follows redirects within its origin.
    async fn call(&self, mut call: Call, token: &Token) -> Result<Response> {
        let limit = call.request.timeout().copied().or(self.timeout);
        let until = limit.map(|limit| Instant::now() + limit);
        for _ in 0..=MAX_REDIRECTS {
            // Of a body that can be sent only once the rest can still ask elsewhere.
            let (again, whole) = match call.copy() {
                Some(again) => (again, true),
                None => (Call { request: call.without_body(), make_body: None }, false),
            };
            let url = call.request.url().clone();
            let mut request = self.dress(call.made())?;
            let sent = self.to_head(&mut request, &token.0.headers, None);
            let response = match until {
                Some(until) => {
                    let limit = limit.unwrap_or_default();
                    tokio::time::timeout_at(until, sent).await.map_err(|_| late(limit))?
                }
                None => sent.await,
            };
            let response = response?;
            if token.0.account.profile.rejected_status.contains(&response.status().as_u16()) {
                // Some vendors send who has no session to their login page.
                return Ok(to_response(response, url, until));
            }
            match redirected(again, whole, &response) {
                None => return Ok(to_response(response, url, until)),
                Some(next) => call = next,
            }
        }
        Err(Error::new(Kind::Io, format!("more than {MAX_REDIRECTS} redirects, one after the other")))
    }

    /// With the headers that go without saying.
    fn dress(&self, request: Request) -> Result<http::Request<reqwest::Body>> {
        let mut request: http::Request<reqwest::Body> = request.try_into()?;
        let headers = request.headers_mut();
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        if let Some(name) = &self.user_agent {
            headers.entry(USER_AGENT).or_insert_with(|| name.clone());
        }
        Ok(request)
    }
}

impl Sender for Arc<SecretClient> {
    type Request = Call;
    type Response = Response;
    type Error = Error;

    async fn send(&mut self, call: Call, token: &Token) -> Result<Response> {
        self.call(call, token).await
    }
}

impl Failed {
    fn of_call(self) -> Error {
        match self {
            Failed::Ours(error) => error,
            Failed::Connect(error) => {
                // What the connector itself said.
                let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&*error);
                while let Some(at) = cause {
                    if let Some(ours) = at.downcast_ref::<Error>() {
                        return ours.clone();
                    }
                    cause = at.source();
                }
                Error::of_call(chain(&*error), true, timed_out(&*error))
            }
            Failed::Http(error) => Error::of_call(chain(&error), false, timed_out(&error)),
        }
    }
}

/// Whether the time ran out, and not something else.
pub(crate) fn timed_out(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(at) = cause {
        if at.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        cause = at.source();
    }
    false
}

fn late(limit: Duration) -> Error {
    Error::of_call(format!("no answer within {limit:?}"), false, true)
}

/// What is asked next, where the answer says so and names a place of the same origin (RFC 9110 §15.4).
fn redirected(mut again: Call, whole: bool, response: &http::Response<Incoming>) -> Option<Call> {
    let request = &mut again.request;
    let status = response.status();
    let keeps = matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) && whole;
    let changes = matches!(status, StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER);
    let to_get = changes
        && (*request.method() == Method::POST || status == StatusCode::SEE_OTHER && *request.method() != Method::HEAD);
    if !keeps && !(changes && (whole || to_get)) {
        return None;
    }
    let url = request.url();
    let location = std::str::from_utf8(response.headers().get(LOCATION)?.as_bytes()).ok()?;
    let mut to = url.join(location).ok()?;
    if to.origin() != url.origin() {
        return None;
    }
    if to.fragment().is_none() {
        to.set_fragment(url.fragment().map(str::to_owned).as_deref());
    }
    *request.url_mut() = to;
    if to_get {
        *request.method_mut() = Method::GET;
        *request.body_mut() = None;
        for name in [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, TRANSFER_ENCODING] {
            request.headers_mut().remove(name);
        }
        again.make_body = None;
    }
    Some(again)
}

fn to_response(response: http::Response<Incoming>, url: Url, until: Option<Instant>) -> Response {
    let (parts, body) = response.into_parts();
    let mut again = http::Response::builder().url(url).body(()).unwrap_or_default().into_parts().0;
    again.status = parts.status;
    again.version = parts.version;
    again.headers = parts.headers;
    again.extensions.extend(parts.extensions);
    let body = match until {
        Some(until) => reqwest::Body::wrap(Timed { body, until: Box::pin(tokio::time::sleep_until(until)) }),
        None => reqwest::Body::wrap(body),
    };
    Response::from(http::Response::from_parts(again, body))
}

/// A body that has to be there in time.
struct Timed {
    body: Incoming,
    until: Pin<Box<Sleep>>,
}

impl Body for Timed {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(self.until.as_mut().poll(cx));
        let late = io::Error::new(io::ErrorKind::TimedOut, "the answer did not end in time");
        Poll::Ready(Some(Err(late.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn no_connection_is_made_to_where_the_secret_may_not_go() {
        let allowed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = |listener: &std::net::TcpListener| format!("http://{}/", listener.local_addr().unwrap());
        let host = Url::parse(&url(&allowed)).unwrap().origin();
        let check = move |url: &Url| match url.origin() == host {
            true => Ok(()),
            false => Err(Error::new(Kind::Usage, "not there")),
        };
        let guarded = SecretClient::new(&Endpoint::default(), &Options::default(), check).unwrap();
        // As if all checks above had been passed by.
        let mut request = http::Request::new(reqwest::Body::default());
        *request.uri_mut() = url(&other).parse().unwrap();
        let secret = Secret::copy_of(b"token").unwrap();
        let failed = guarded.once(&mut request, &[(http::header::AUTHORIZATION, secret)]).await.unwrap_err();
        assert_eq!(failed.of_call().kind(), Kind::Usage);
        other.set_nonblocking(true).unwrap();
        assert!(other.accept().is_err(), "nobody came");
    }
}
