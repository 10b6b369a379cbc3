//! How is an answer looked into? What its body says of the token is read, and handed on as if it had not been.

use crate::error::Result;
use crate::exchange::{Incoming, Outgoing};
use crate::login::holds;
use bootseal_core::When;
use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use http_body::{Body, Frame, SizeHint};
use reqwest::{Request, Response, ResponseBuilderExt};
use std::borrow::Cow;
use std::fmt;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use url::Url;

/// A longer body says nothing of the token: it is an answer.
const MOST: usize = 64 * 1024;
/// More of an answer that nobody reads is not read to keep its connection: the connection is closed instead.
const DRAIN: usize = 64 * 1024;

/// The body of an answer that may have been looked into: the same bytes, trailers and error as those of `B`.
///
/// It is what answers of the tower layer, `TokenService`, have as a body.
#[cfg_attr(not(feature = "tower"), allow(unreachable_pub, reason = "the tower layer gives it out"))]
pub struct AnswerBody<B: Body> {
    read: Bytes,
    after: After<B>,
}

enum After<B: Body> {
    Rest(Pin<Box<B>>),
    Trailers(HeaderMap),
    Error(B::Error),
    End,
}

impl<B: Body> AnswerBody<B> {
    pub(crate) fn new(body: B) -> AnswerBody<B> {
        AnswerBody { read: Bytes::new(), after: After::Rest(Box::pin(body)) }
    }

    /// Whether `when` holds for the body. Only what begins as JSON and ends within 64 KiB is looked at, so that a stream goes on as one.
    async fn says(&mut self, when: &When) -> bool {
        let After::Rest(rest) = &mut self.after else { return false };
        let mut read = BytesMut::new();
        let after = loop {
            let after = match std::future::poll_fn(|cx| rest.as_mut().poll_frame(cx)).await {
                None => After::End,
                Some(Err(error)) => After::Error(error),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        read.extend_from_slice(&to_bytes(data));
                        let begins = read.trim_ascii_start().first();
                        if read.len() > MOST || begins.is_some_and(|byte| !b"{[\"".contains(byte)) {
                            break None;
                        }
                        continue;
                    }
                    Err(frame) => frame.into_trailers().map_or(After::End, After::Trailers),
                },
            };
            break Some(after);
        };
        self.read = read.freeze();
        let Some(after) = after else { return false };
        let whole = !matches!(after, After::Error(_));
        self.after = after;
        whole && holds(when, &self.read)
    }
}

fn to_bytes(mut data: impl Buf) -> Bytes {
    data.copy_to_bytes(data.remaining())
}

impl<B: Body> fmt::Debug for AnswerBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnswerBody(…)")
    }
}

impl<B: Body> Unpin for AnswerBody<B> {}

impl<B: Body> Body for AnswerBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if !self.read.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.read)))));
        }
        if let After::Rest(rest) = &mut self.after {
            return rest.as_mut().poll_frame(cx).map(|frame| frame.map(|frame| Ok(frame?.map_data(to_bytes))));
        }
        Poll::Ready(match std::mem::replace(&mut self.after, After::End) {
            After::Trailers(trailers) => Some(Ok(Frame::trailers(trailers))),
            After::Error(error) => Some(Err(error)),
            _ => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty()
            && match &self.after {
                After::Rest(rest) => rest.is_end_stream(),
                After::End => true,
                _ => false,
            }
    }

    fn size_hint(&self) -> SizeHint {
        let read = self.read.len() as u64;
        let After::Rest(rest) = &self.after else { return SizeHint::with_exact(read) };
        let rest = rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(read));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(read));
        }
        hint
    }
}

impl<B: Body<Data: Send, Error: Send> + Send> Incoming for http::Response<AnswerBody<B>> {
    fn status(&self) -> StatusCode {
        self.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    async fn says(mut self, when: &When) -> (Self, bool) {
        if !may_say_something(self.body().size_hint().exact(), self.headers()) {
            return (self, false);
        }
        let says = self.body_mut().says(when).await;
        (self, says)
    }

    async fn leave(self) {
        drain(self.into_body()).await;
    }
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

impl Incoming for Response {
    fn status(&self) -> StatusCode {
        self.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    async fn says(self, when: &When) -> (Response, bool) {
        if !may_say_something(self.content_length(), self.headers()) {
            return (self, false);
        }
        let url = self.url().clone();
        let (parts, body) = http::Response::<reqwest::Body>::from(self).into_parts();
        let mut body = AnswerBody::new(body);
        let says = body.says(when).await;
        let mut again = http::Response::builder().url(url).body(()).unwrap_or_default().into_parts().0;
        again.status = parts.status;
        again.version = parts.version;
        again.headers = parts.headers;
        again.extensions.extend(parts.extensions);
        (Response::from(http::Response::from_parts(again, reqwest::Body::wrap(body))), says)
    }

    async fn leave(self) {
        drain(reqwest::Body::from(self)).await;
    }
}

/// Reads what has arrived of an answer, so that its connection can be used again; for more nobody waits, and it is closed.
async fn drain(body: impl Body) {
    let mut body = pin!(body);
    let mut left = DRAIN;
    loop {
        let frame = std::future::poll_fn(|cx| Poll::Ready(body.as_mut().poll_frame(cx))).await;
        let Poll::Ready(Some(Ok(frame))) = frame else { return };
        let length = frame.data_ref().map_or(0, Buf::remaining);
        match left.checked_sub(length) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// Not where it is empty or long, nor where its end may be far away, whatever its length so far.
fn may_say_something(length: Option<u64>, headers: &HeaderMap) -> bool {
    if length.is_some_and(|length| length == 0 || length > MOST as u64) {
        return false;
    }
    let kind = headers.get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    ![
        "text/event-stream",
        "application/x-ndjson",
        "application/jsonl",
        "application/octet-stream",
        "image/",
        "video/",
        "audio/",
    ]
    .iter()
    .any(|stream| kind.starts_with(stream))
}
