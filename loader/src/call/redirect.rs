//! Redirects: a call follows them only within its origin, so that the token is not sent to any
//! other origin.

use crate::call::authenticated::Sender;
use crate::call::outgoing::{Call, Outgoing};
use crate::error::{Error, Result};
use crate::token::source::TokenSource;
use crate::token::token::Token;
use bootseal_core::Kind;
use bootseal_wire::{Again, ArrivingBody, SecretClient};
use bytes::Bytes;
use http::header::{
    ACCEPT, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, TRANSFER_ENCODING, USER_AGENT,
};
use http::{HeaderValue, Method, StatusCode};
use http_body::{Body, Frame, SizeHint};
use reqwest::{Request, Response, ResponseBuilderExt};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};
use url::Url;

/// reqwest's default.
const MAX_REDIRECTS: usize = 10;

/// The client below our own `Client`: it follows redirects and sets the default headers.
pub(crate) struct RedirectingClient {
    pub(crate) wire: SecretClient,
    /// The time limit for a call, to the last byte of its response.
    pub(crate) timeout: Option<Duration>,
    pub(crate) user_agent: Option<HeaderValue>,
}

impl Sender for Arc<RedirectingClient> {
    type Request = Call;
    type Response = Response;
    type Error = Error;

    async fn send(&mut self, call: Call, again: Option<&Call>, token: &Token) -> Result<Response> {
        self.follow(call, again.is_some(), token).await
    }
}

impl RedirectingClient {
    /// `resend` is whether the call may be sent again.
    async fn follow(&self, mut call: Call, resend: bool, token: &Token) -> Result<Response> {
        let limit = call.request.timeout().copied().or(self.timeout);
        let until = limit.map(|limit| Instant::now() + limit);
        for _ in 0..=MAX_REDIRECTS {
            // A body that can be sent only once does not stop a redirect that drops the body.
            let (again, whole) = match call.copy() {
                Some(again) => (again, true),
                None => (Call::of(call.without_body()), false),
            };
            let url = call.request.url().clone();
            let mut request = self.with_usual_headers(call.into_request())?;
            let once_more = || self.with_usual_headers(again.copy()?.into_request()).ok();
            let once_more = (resend && whole).then_some(&once_more as &Again<'_>);
            let headers = &token.0.headers;
            let sent = self.wire.send_in_time(&mut request, once_more, headers, None);
            let response = match until {
                Some(until) => tokio::time::timeout_at(until, sent)
                    .await
                    .map_err(|_| bootseal_wire::Error::Timeout(limit.unwrap_or_default()))?,
                None => sent.await,
            }?;
            // Some vendors redirect a call without a session to their login page.
            let rejected =
                token.0.account.profile.rejected_status.contains(&response.status().as_u16());
            match redirected(again, whole, &response).filter(|_| !rejected) {
                None => return Ok(to_reqwest(response, url, until)),
                Some(next) => call = next,
            }
        }
        Err(Error::new(Kind::Io, format!("more than {MAX_REDIRECTS} redirects in a row")))
    }

    fn with_usual_headers(&self, request: Request) -> Result<http::Request<reqwest::Body>> {
        let mut request: http::Request<reqwest::Body> = request.try_into()?;
        let headers = request.headers_mut();
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        if let Some(name) = &self.user_agent {
            headers.entry(USER_AGENT).or_insert_with(|| name.clone());
        }
        Ok(request)
    }
}

/// Returns the next request if the response redirects to a URL of the same origin (RFC 9110 §15.4).
/// `whole` is true if `again` contains the body.
fn redirected(
    mut again: Call,
    whole: bool,
    response: &http::Response<ArrivingBody>,
) -> Option<Call> {
    let request = &mut again.request;
    let status = response.status();
    let keeps =
        matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) && whole;
    let changes =
        matches!(status, StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER);
    let to_get = changes
        && (*request.method() == Method::POST
            || status == StatusCode::SEE_OTHER && *request.method() != Method::HEAD);
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

fn to_reqwest(
    response: http::Response<ArrivingBody>,
    url: Url,
    until: Option<Instant>,
) -> Response {
    let (parts, body) = response.into_parts();
    let body = match until {
        Some(until) => reqwest::Body::wrap(TimedBody {
            body,
            until: Box::pin(tokio::time::sleep_until(until)),
        }),
        None => reqwest::Body::wrap(body),
    };
    with_url(parts, url, body)
}

/// A reqwest response with the URL that it came from.
pub(crate) fn with_url(parts: http::response::Parts, url: Url, body: reqwest::Body) -> Response {
    let mut again = http::Response::builder().url(url).body(()).unwrap_or_default().into_parts().0;
    again.status = parts.status;
    again.version = parts.version;
    again.headers = parts.headers;
    again.extensions.extend(parts.extensions);
    Response::from(http::Response::from_parts(again, body))
}

/// A response body with a deadline.
struct TimedBody {
    body: ArrivingBody,
    until: Pin<Box<Sleep>>,
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = bootseal_wire::Boxed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(self.until.as_mut().poll(cx));
        let late = io::Error::new(
            io::ErrorKind::TimedOut,
            "the response did not end within its time limit",
        );
        Poll::Ready(Some(Err(late.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl TokenSource {
    /// A redirect policy for your own `reqwest::Client`, if that client sends the token. Redirects
    /// within one origin are followed. A redirect to another origin is returned unchanged, and so
    /// is a redirect whose status the profile lists as a rejection.
    ///
    /// ```
    /// fn own_client(acme: &bootseal::TokenSource) -> Result<bootseal::Client, reqwest::Error> {
    ///     let http = reqwest::Client::builder().redirect(acme.redirect_policy()).build()?;
    ///     Ok(acme.wrap(http).with_redirect_policy())
    /// }
    /// ```
    pub fn redirect_policy(&self) -> reqwest::redirect::Policy {
        let source = self.clone();
        reqwest::redirect::Policy::custom(move |attempt| {
            let here = attempt.previous().last().map(|url| url.origin());
            let rejects =
                source.account().profile.rejected_status.contains(&attempt.status().as_u16());
            if rejects || here.as_ref() != Some(&attempt.url().origin()) {
                attempt.stop()
            } else if attempt.previous().len() > MAX_REDIRECTS {
                attempt.error("too many redirects")
            } else {
                attempt.follow()
            }
        })
    }
}

/// Refuses the application's `reqwest::Client` if a redirect could send the token to another host.
/// On such a redirect, reqwest removes only `Authorization` and `Cookie`. `ours` is true if the
/// client was built with our redirect policy.
///
/// # Errors
/// [`Kind::Usage`] if the profile's header is one that reqwest keeps.
pub(crate) fn stays_on_redirects(source: &TokenSource, ours: bool) -> Result<()> {
    let account = source.account();
    let removed = |(name, _): &(String, _)| {
        ["authorization", "cookie"].contains(&name.to_ascii_lowercase().as_str())
    };
    if ours || account.profile.inject.iter().all(removed) {
        return Ok(());
    }
    let table = &account.profile.table;
    let text = format!(
        "a redirect could take the token of `{table}` to another host, because reqwest keeps its header"
    );
    Err(Error::new(Kind::Usage, text).with_help(
        "Build the reqwest::Client with .redirect(source.redirect_policy()), and confirm it with .with_redirect_policy()",
    ))
}
