//! The body of a caller's request. What a refused caller still sends is read on within bounds:
//! otherwise the system would reset the connection, and the caller would lose the answer.

use bytes::Bytes;
use http::header::{CONNECTION, EXPECT};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// The time for which the rest of a body is read, and the longest pause in it: those of nginx
/// (`lingering_time`, `lingering_timeout`).
const LONGEST: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_secs(5);
/// The length in bytes up to which a body is read so that the connection can be used again.
const KEPT: u64 = 64 * 1024;

/// A body that is read to its end, or within the bounds after it was dropped.
pub(crate) struct CallerBody {
    body: Option<Incoming>,
    unread: Unread,
    /// Whether the rest may be read after a drop: in HTTP/1.1, unless the caller waits for a
    /// `100 Continue` that a read would send.
    is_read_on: bool,
}

/// Whether the caller may still be sending its body.
#[derive(Clone)]
pub(crate) struct Unread {
    is_at_end: Arc<AtomicBool>,
    is_long: bool,
}

impl CallerBody {
    pub(crate) fn of(parts: &Parts, body: Incoming) -> CallerBody {
        let is_http_1 = parts.version < Version::HTTP_2;
        let expects = parts.headers.contains_key(EXPECT);
        let is_short = body.size_hint().exact().is_some_and(|length| length <= KEPT);
        let unread = Unread {
            is_at_end: Arc::new(AtomicBool::new(body.is_end_stream())),
            is_long: is_http_1 && (!is_short || expects),
        };
        CallerBody { body: Some(body), unread, is_read_on: is_http_1 && !expects }
    }

    pub(crate) fn unread(&self) -> Unread {
        self.unread.clone()
    }
}

impl Unread {
    /// Announces in the gateway's own answer that the connection ends with it, if the caller may
    /// still be sending a long body (RFC 9112 §9.6).
    pub(crate) fn announce_close(&self, headers: &mut HeaderMap) {
        if self.is_long && !self.is_at_end.load(Ordering::Relaxed) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

impl Body for CallerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        // A caller that waited for a `100 Continue` has received it.
        self.is_read_on |= self.unread.is_long;
        if !matches!(frame, Some(Ok(_))) {
            self.unread.is_at_end.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for CallerBody {
    fn drop(&mut self) {
        let is_at_end = self.is_end_stream() || self.unread.is_at_end.load(Ordering::Relaxed);
        if !self.is_read_on || is_at_end {
            return;
        }
        if let (Some(body), Ok(runtime)) = (self.body.take(), tokio::runtime::Handle::try_current())
        {
            runtime.spawn(read_on(body));
        }
    }
}

async fn read_on(mut body: Incoming) {
    let rest =
        async { while let Ok(Some(Ok(_))) = tokio::time::timeout(PAUSE, body.frame()).await {} };
    let _ = tokio::time::timeout(LONGEST, rest).await;
}
