//! How is an answer looked into? What its body says of the token is read, and handed on as if it had not been.

use crate::call::authenticated::{DeferredVerdict, Incoming, Outgoing};
use crate::error::Result;
use crate::login::extract::matches;
use bootseal_core::When;
use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use http_body::{Body, Frame, SizeHint};
use reqwest::{Request, Response, ResponseBuilderExt};
use std::borrow::Cow;
use std::fmt;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use url::Url;

/// A longer body says nothing of the token: it is an answer.
const MOST: usize = 64 * 1024;
/// More of an answer that nobody reads is not read to keep its connection: the connection is closed instead.
const DRAIN: usize = 64 * 1024;

/// The body of an answer that may have been looked into: the same bytes, trailers and error as those of `B`.
///
/// It is what answers of [`Client::forward`](crate::Client::forward) and of the tower layer, `TokenService`, have as a body.
pub struct ResponseBody<B: Body + Unpin> {
    read: Bytes,
    after: After<B>,
    /// Looks on while it is read, where what it says was not known when it was handed on.
    look: Option<Box<(JsonProbe, DeferredVerdict)>>,
}

enum After<B: Body> {
    Rest(B),
    Trailers(HeaderMap),
    Error(B::Error),
    End,
}

impl<B: Body + Unpin> ResponseBody<B> {
    pub(crate) fn new(body: B) -> ResponseBody<B> {
        ResponseBody { read: Bytes::new(), after: After::Rest(body), look: None }
    }

    /// Whether `when` holds for the first JSON value of the body. A body that has a length is waited for; of another one, which may be a
    /// stream, only what is there already is looked at now, so that it goes on as one.
    async fn says(&mut self, when: &When, late: DeferredVerdict) -> Option<bool> {
        let After::Rest(rest) = &mut self.after else { return Some(false) };
        let waits = rest.size_hint().exact().is_some();
        let mut look = JsonProbe::new(when);
        let mut says = None;
        while says.is_none() {
            let frame = std::future::poll_fn(|cx| match Pin::new(&mut *rest).poll_frame(cx) {
                Poll::Pending if !waits => Poll::Ready(None),
                polled => polled.map(Some),
            });
            let Some(frame) = frame.await else { break };
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => says = look.more(&to_bytes(data)),
                end => {
                    self.after = match end {
                        Some(Ok(Err(frame))) => frame.into_trailers().map_or(After::End, After::Trailers),
                        Some(Err(error)) => After::Error(error),
                        _ => After::End,
                    };
                    says = Some(false);
                    break;
                }
            }
        }
        self.read = look.read.split().freeze();
        if says.is_none() {
            look.read.extend_from_slice(&self.read);
            self.look = Some(Box::new((look, late)));
        }
        says
    }

    /// Looks on.
    fn passes(&mut self, data: &[u8]) {
        let Some((mut look, late)) = self.look.take().map(|look| *look) else { return };
        match look.more(data) {
            None => self.look = Some(Box::new((look, late))),
            Some(true) => late.rejected(),
            Some(false) => late.accepted(),
        }
    }
}

/// The first JSON value of a body, as it comes in.
struct JsonProbe {
    when: When,
    read: BytesMut,
    /// How much of it was looked at.
    at: usize,
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl JsonProbe {
    fn new(when: &When) -> JsonProbe {
        JsonProbe { when: when.clone(), read: BytesMut::new(), at: 0, depth: 0, in_text: false, escaped: false }
    }

    /// Whether the condition holds, once that is known: at the end of the value, or where there is none, or none that ends within 64 KiB.
    fn more(&mut self, data: &[u8]) -> Option<bool> {
        self.read.extend_from_slice(data);
        while let Some(byte) = self.read.get(self.at) {
            self.at += 1;
            if self.at > MOST {
                return Some(false);
            }
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_text => self.escaped = true,
                b'"' => self.in_text = !self.in_text,
                _ if self.in_text => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth > 0 => self.depth -= 1,
                b' ' | b'\t' | b'\r' | b'\n' if self.depth == 0 => continue,
                _ if self.depth == 0 => return Some(false),
                _ => {}
            }
            if self.depth == 0 && !self.in_text {
                return Some(matches(&self.when, &self.read[..self.at]));
            }
        }
        None
    }
}

fn to_bytes(mut data: impl Buf) -> Bytes {
    data.copy_to_bytes(data.remaining())
}

impl<B: Body + Unpin> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnswerBody(…)")
    }
}

impl<B: Body + Unpin> Unpin for ResponseBody<B> {}

impl<B: Body + Unpin> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if !self.read.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.read)))));
        }
        if let After::Rest(rest) = &mut self.after {
            let frame = ready!(Pin::new(&mut *rest).poll_frame(cx)).map(|frame| Ok(frame?.map_data(to_bytes)));
            if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
                self.passes(data);
            }
            return Poll::Ready(frame);
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

impl<B: Body<Data: Send, Error: Send> + Unpin + Send> Incoming for http::Response<ResponseBody<B>> {
    fn status(&self) -> StatusCode {
        self.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    async fn says(mut self, when: &When, late: DeferredVerdict) -> (Self, Option<bool>) {
        if !may_say_something(self.body().size_hint().exact(), self.headers()) {
            return (self, Some(false));
        }
        let says = self.body_mut().says(when, late).await;
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

    async fn says(self, when: &When, late: DeferredVerdict) -> (Response, Option<bool>) {
        if !may_say_something(self.content_length(), self.headers()) {
            return (self, Some(false));
        }
        let url = self.url().clone();
        let (parts, body) = http::Response::<reqwest::Body>::from(self).into_parts();
        let mut body = ResponseBody::new(body);
        let says = body.says(when, late).await;
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
