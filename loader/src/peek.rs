//! How is an answer of reqwest looked into? What its body says of the token is read, and handed on as if it had not been.

use crate::error::Result;
use crate::exchange::{Incoming, Outgoing};
use crate::login::holds;
use bootseal_core::When;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use http_body::{Body, Frame, SizeHint};
use reqwest::{Request, Response, ResponseBuilderExt};
use std::borrow::Cow;
use std::pin::Pin;
use std::task::{Context, Poll};
use url::Url;

/// A longer body says nothing of the token: it is an answer.
const MOST: usize = 64 * 1024;
/// More of an answer that nobody reads is not read to keep its connection: the connection is closed instead.
const DRAIN: usize = 64 * 1024;

impl Outgoing for Request {
    fn address(&self) -> Result<Cow<'_, Url>> {
        Ok(Cow::Borrowed(self.url()))
    }

    fn method(&self) -> &Method {
        self.method()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
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

    async fn says(self, when: &When) -> Result<(Response, bool)> {
        Ok(says(self, when).await?)
    }

    async fn leave(self) {
        drain(self).await;
    }
}

/// The answer as it was, and whether `when` holds for its body.
///
/// Only what begins as JSON and ends within 64 KiB is looked at, so that a stream goes on as one.
async fn says(mut answer: Response, when: &When) -> Result<(Response, bool), reqwest::Error> {
    if answer.content_length().is_some_and(|length| length == 0 || length > MOST as u64) || is_a_stream(&answer) {
        return Ok((answer, false));
    }
    let mut read = BytesMut::new();
    let whole = loop {
        let Some(chunk) = answer.chunk().await? else { break true };
        read.extend_from_slice(&chunk);
        let begins = read.trim_ascii_start().first();
        if read.len() > MOST || begins.is_some_and(|byte| !b"{[\"".contains(byte)) {
            break false;
        }
    };
    let says = whole && holds(when, &read);
    let url = answer.url().clone();
    let (parts, rest) = http::Response::<reqwest::Body>::from(answer).into_parts();
    let mut again = http::Response::builder().url(url).body(()).unwrap_or_default().into_parts().0;
    again.status = parts.status;
    again.version = parts.version;
    again.headers = parts.headers;
    again.extensions.extend(parts.extensions);
    let body = reqwest::Body::wrap(Again { read: Some(read.freeze()), rest });
    Ok((Response::from(http::Response::from_parts(again, body)), says))
}

/// Reads what has arrived of an answer, so that its connection can be used again; for more nobody waits, and it is closed.
async fn drain(mut answer: Response) {
    let mut left = DRAIN;
    loop {
        let chunk = {
            let mut next = std::pin::pin!(answer.chunk());
            std::future::poll_fn(|cx| std::task::Poll::Ready(next.as_mut().poll(cx))).await
        };
        let std::task::Poll::Ready(Ok(Some(chunk))) = chunk else { return };
        match left.checked_sub(chunk.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// Whether its end may be far away, whatever its length so far.
fn is_a_stream(answer: &Response) -> bool {
    let kind = answer.headers().get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    [
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

/// What was read, then what was not.
struct Again {
    read: Option<Bytes>,
    rest: reqwest::Body,
}

impl Body for Again {
    type Data = Bytes;
    type Error = reqwest::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, reqwest::Error>>> {
        if let Some(read) = self.read.take().filter(|read| !read.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(read))));
        }
        Pin::new(&mut self.rest).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.read.as_ref().is_none_or(Bytes::is_empty) && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let read = self.read.as_ref().map_or(0, Bytes::len) as u64;
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(read));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(read));
        }
        hint
    }
}
