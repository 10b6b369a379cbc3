//! A response body of which a part may have been read to judge the token; the caller still receives
//! every byte.

use crate::call::authenticated::{DeferredVerdict, Incoming};
use crate::call::json_probe::{JsonProbe, LONGEST};
use crate::call::redirect::with_url;
use bootseal_core::When;
use bytes::{Buf, Bytes};
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};
use reqwest::Response;
use std::fmt;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

/// If more than this is left of a discarded response, its connection is closed instead of drained
/// for reuse.
const DRAIN: usize = 64 * 1024;

/// A response body that may have been inspected; it yields the bytes, trailers and error of `B`.
///
/// Responses of [`Client::forward`](crate::Client::forward) and of the tower layer, `TokenService`,
/// have this body.
pub struct ResponseBody<B: Body + Unpin> {
    read: Bytes,
    after: After<B>,
    /// Continues the scan while the caller reads, if there was no verdict when the response was
    /// returned.
    probe: Option<Box<(JsonProbe, DeferredVerdict)>>,
}

enum After<B: Body> {
    Rest(B),
    Trailers(HeaderMap),
    Error(B::Error),
    End,
}

impl<B: Body + Unpin> ResponseBody<B> {
    pub(crate) fn new(body: B) -> ResponseBody<B> {
        ResponseBody { read: Bytes::new(), after: After::Rest(body), probe: None }
    }

    /// Whether the first JSON value of the body meets `when`. A body of known length is read as far
    /// as needed. A body of unknown length may be a stream: only the part that has arrived is
    /// scanned now, and `verdict` receives the result later.
    async fn matches(&mut self, when: &When, verdict: DeferredVerdict) -> Option<bool> {
        let After::Rest(rest) = &mut self.after else { return Some(false) };
        let waits = rest.size_hint().exact().is_some();
        let mut probe = JsonProbe::new(when);
        let mut matches = None;
        while matches.is_none() {
            let frame = std::future::poll_fn(|cx| match Pin::new(&mut *rest).poll_frame(cx) {
                Poll::Pending if !waits => Poll::Ready(None),
                polled => polled.map(Some),
            });
            let Some(frame) = frame.await else { break };
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => matches = probe.more(&to_bytes(data)),
                end => {
                    self.after = match end {
                        Some(Ok(Err(frame))) => {
                            frame.into_trailers().map_or(After::End, After::Trailers)
                        }
                        Some(Err(error)) => After::Error(error),
                        _ => After::End,
                    };
                    matches = Some(false);
                    break;
                }
            }
        }
        self.read = probe.read.split().freeze();
        if matches.is_none() {
            probe.read.extend_from_slice(&self.read);
            self.probe = Some(Box::new((probe, verdict)));
        }
        matches
    }

    /// Scans `data` on its way to the caller until there is a verdict.
    fn probe(&mut self, data: &[u8]) {
        let Some((mut probe, verdict)) = self.probe.take().map(|open| *open) else { return };
        match probe.more(data) {
            None => self.probe = Some(Box::new((probe, verdict))),
            Some(true) => verdict.rejected(),
            Some(false) => verdict.accepted(),
        }
    }
}

fn to_bytes(mut data: impl Buf) -> Bytes {
    data.copy_to_bytes(data.remaining())
}

impl<B: Body + Unpin> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseBody(…)")
    }
}

impl<B: Body + Unpin> Unpin for ResponseBody<B> {}

impl<B: Body + Unpin> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if !self.read.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.read)))));
        }
        if let After::Rest(rest) = &mut self.after {
            let frame = ready!(Pin::new(&mut *rest).poll_frame(cx))
                .map(|frame| Ok(frame?.map_data(to_bytes)));
            if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
                self.probe(data);
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

    async fn matches(mut self, when: &When, verdict: DeferredVerdict) -> (Self, Option<bool>) {
        if !may_hold_a_verdict(self.body().size_hint().exact(), self.headers()) {
            return (self, Some(false));
        }
        let matches = self.body_mut().matches(when, verdict).await;
        (self, matches)
    }

    async fn discard(self) {
        drain(self.into_body()).await;
    }
}

impl Incoming for Response {
    fn status(&self) -> StatusCode {
        self.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    async fn matches(self, when: &When, verdict: DeferredVerdict) -> (Response, Option<bool>) {
        if !may_hold_a_verdict(self.content_length(), self.headers()) {
            return (self, Some(false));
        }
        let url = self.url().clone();
        let (parts, body) = http::Response::<reqwest::Body>::from(self).into_parts();
        let mut body = ResponseBody::new(body);
        let matches = body.matches(when, verdict).await;
        (with_url(parts, url, reqwest::Body::wrap(body)), matches)
    }

    async fn discard(self) {
        drain(reqwest::Body::from(self)).await;
    }
}

/// Reads the part of a response that has arrived, so that its connection can be used again. It does
/// not wait for more; if the response is incomplete, the connection is closed.
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

/// Whether the body can contain a verdict: it is neither empty nor long, and its content type is
/// not that of a stream.
fn may_hold_a_verdict(length: Option<u64>, headers: &HeaderMap) -> bool {
    if length.is_some_and(|length| length == 0 || length > LONGEST as u64) {
        return false;
    }
    let kind = headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
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
