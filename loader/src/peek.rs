//! Does the body of an answer say that the token is no longer good? It is looked into, and handed on as if it had not been.

use crate::error::Result;
use crate::login::holds;
use crate::token_source::TokenSource;
use bootseal_core::When;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use reqwest::{Response, ResponseBuilderExt};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A longer body says nothing of the token: it is an answer.
const MOST: usize = 64 * 1024;

/// The answer, and whether it rejects the token.
pub(crate) async fn look(source: &TokenSource, answer: Response) -> Result<(Response, bool)> {
    if source.is_rejection(answer.status(), answer.headers()) {
        return Ok((answer, true));
    }
    match &source.account().profile.rejected_when {
        Some(when) => Ok(says(answer, when).await?),
        None => Ok((answer, false)),
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
