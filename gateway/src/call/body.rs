//! How do bodies pass? Piece by piece, at the pace of who reads them; trailers cleaned, the token starred out, and a call counted as long as its
//! answer runs.

use crate::route::{ActiveRoute, InFlight};
use crate::rules::redact::Mask;
use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

type Boxed = Box<dyn std::error::Error + Send + Sync>;

/// A caller may send slowly; it may not stand still.
const IDLE: Duration = Duration::from_secs(60);

/// Whether, and how, a caller's body broke off: then the upstream is not to blame.
#[derive(Clone, Debug, Default)]
pub(crate) struct Broken(Arc<OnceLock<String>>);

impl Broken {
    pub(crate) fn why(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

/// What is said of a body that ended before its end.
pub(crate) fn broke_off(error: &hyper::Error) -> String {
    format!("broke off: {error}")
}

/// A caller's body on its way to the upstream.
pub(crate) struct ToUpstream {
    body: Incoming,
    live: Arc<ActiveRoute>,
    broken: Broken,
    /// Runs while the next piece is waited for.
    idle: Option<Pin<Box<Sleep>>>,
}

impl ToUpstream {
    pub(crate) fn of(body: Incoming, live: &Arc<ActiveRoute>, broken: &Broken) -> ToUpstream {
        ToUpstream { body, live: live.clone(), broken: broken.clone(), idle: None }
    }

    fn break_off(&self, why: String) -> Poll<Option<Result<Frame<Bytes>, Boxed>>> {
        let error = io::Error::other(format!("the caller's body {why}"));
        let _ = self.broken.0.set(why);
        Poll::Ready(Some(Err(error.into())))
    }
}

impl Body for ToUpstream {
    type Data = Bytes;
    type Error = Boxed;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Boxed>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            let idle = self.idle.get_or_insert_with(|| Box::pin(tokio::time::sleep(IDLE)));
            ready!(idle.as_mut().poll(cx));
            return self.break_off(format!("did not go on within {IDLE:?}"));
        };
        self.idle = None;
        match frame {
            Some(Ok(mut frame)) => {
                if let Some(trailers) = frame.trailers_mut() {
                    self.live.headers.trailers_to_upstream(trailers);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => self.break_off(broke_off(&error)),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer.
pub(crate) enum ToCaller {
    /// Of the gateway's own.
    Own(Option<Bytes>),
    /// The upstream's.
    Passing(Box<Passing>),
}

impl ToCaller {
    /// A whole answer of the gateway's own.
    pub(crate) fn own(response: Response<Bytes>) -> Response<ToCaller> {
        response.map(|text| ToCaller::Own(Some(text)))
    }
}

/// An upstream's body on its way to the caller.
pub(crate) struct Passing {
    pub(crate) body: bootseal::ResponseBody<Incoming>,
    pub(crate) mask: Mask,
    pub(crate) live: Arc<ActiveRoute>,
    pub(crate) _in_flight: InFlight,
    /// What comes behind what was held back.
    pub(crate) after: Option<Frame<Bytes>>,
}

impl Passing {
    fn cleaned(&self, mut frame: Frame<Bytes>) -> Frame<Bytes> {
        if let Some(trailers) = frame.trailers_mut() {
            self.live.headers.to_caller(trailers, false);
            self.mask.headers(trailers);
        }
        frame
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Boxed>>> {
        if let Some(after) = self.after.take() {
            return Poll::Ready(Some(Ok(after)));
        }
        loop {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => Some(frame),
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => None,
            };
            let piece = match frame.map(Frame::into_data) {
                Some(Ok(piece)) => piece,
                Some(Err(other)) => {
                    let other = self.cleaned(other);
                    return Poll::Ready(Some(Ok(match self.mask.rest() {
                        Some(rest) => {
                            self.after = Some(other);
                            Frame::data(rest)
                        }
                        None => other,
                    })));
                }
                None => return Poll::Ready(self.mask.rest().map(|rest| Ok(Frame::data(rest)))),
            };
            let last = self.body.is_end_stream();
            let piece = self.mask.piece(piece, last);
            if !piece.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
        }
    }
}

impl Body for ToCaller {
    type Data = Bytes;
    type Error = Boxed;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Boxed>>> {
        match &mut *self {
            ToCaller::Own(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            ToCaller::Passing(passing) => passing.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ToCaller::Own(text) => text.is_none(),
            ToCaller::Passing(passing) => {
                passing.body.is_end_stream() && passing.mask.held() == 0 && passing.after.is_none()
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ToCaller::Own(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
            ToCaller::Passing(passing) => {
                let hint = passing.body.size_hint();
                // What is held back is still to come.
                match hint.exact() {
                    Some(exact) => SizeHint::with_exact(exact + passing.mask.held()),
                    None => hint,
                }
            }
        }
    }
}
