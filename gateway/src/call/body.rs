//! Streaming bodies in both directions: piece by piece, at the pace of the reader, with filtered
//! trailers and a redacted token.

use crate::call::caller_body::CallerBody;
use crate::framing::connection_state::ConnectionState;
use crate::framing::machine::Limits;
use crate::route::{ActiveRoute, InFlight};
use crate::rules::redact::Redactor;
use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The longest pause of a caller's body. It may be slow, but not stall.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// The reason why a caller's body ended early, if it did; the upstream is not at fault then.
#[derive(Clone, Debug, Default)]
pub(crate) struct UploadFailure(Arc<OnceLock<String>>);

impl UploadFailure {
    pub(crate) fn why(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

/// Describes a body with more trailers than a head has lines, to follow "the body".
pub(crate) const TOO_MANY_TRAILERS: &str = "has too many trailers";

/// Describes a body that ended early, to follow "the body".
pub(crate) fn broke_off(error: &hyper::Error) -> String {
    format!("ended early: {error}")
}

/// A caller's body on its way to the upstream.
pub(crate) struct ToUpstream {
    body: CallerBody,
    route: Arc<ActiveRoute>,
    failure: UploadFailure,
    /// Runs while the next piece is awaited.
    idle: Option<Pin<Box<Sleep>>>,
}

impl ToUpstream {
    pub(crate) fn of(
        body: CallerBody,
        route: &Arc<ActiveRoute>,
        failure: &UploadFailure,
    ) -> ToUpstream {
        ToUpstream { body, route: route.clone(), failure: failure.clone(), idle: None }
    }

    fn fail(&self, why: String) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let error = io::Error::other(format!("the caller's body {why}"));
        let _ = self.failure.0.set(why);
        Poll::Ready(Some(Err(error.into())))
    }
}

impl Body for ToUpstream {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            let idle = self.idle.get_or_insert_with(|| Box::pin(tokio::time::sleep(IDLE_TIMEOUT)));
            ready!(idle.as_mut().poll(cx));
            return self.fail(format!("stalled for more than {IDLE_TIMEOUT:?}"));
        };
        self.idle = None;
        match frame {
            Some(Ok(mut frame)) => {
                if let Some(trailers) = frame.trailers_mut() {
                    if trailers.len() > Limits::default().headers {
                        return self.fail(TOO_MANY_TRAILERS.into());
                    }
                    self.route.headers.trailers_to_upstream(trailers);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => self.fail(broke_off(&error)),
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

/// The body of a response to the caller.
pub(crate) enum ToCaller {
    /// A body of the gateway itself.
    Own(Option<Bytes>),
    /// A body of the upstream.
    Relayed(Box<RelayedBody>),
}

impl ToCaller {
    /// Turns a complete response of the gateway itself into a response to the caller.
    pub(crate) fn own(response: Response<Bytes>) -> Response<ToCaller> {
        response.map(|text| ToCaller::Own(Some(text)))
    }
}

/// An upstream's body on its way to the caller.
pub(crate) struct RelayedBody {
    pub(crate) body: bootseal::ResponseBody<bootseal::ArrivingBody>,
    pub(crate) redactor: Redactor,
    pub(crate) route: Arc<ActiveRoute>,
    pub(crate) _in_flight: InFlight,
    /// Trailers that follow bytes held back by the redactor.
    pub(crate) after: Option<Frame<Bytes>>,
    pub(crate) reader: Reader,
}

/// The caller that reads a body.
pub(crate) struct Reader {
    connection: Arc<ConnectionState>,
    http2: bool,
    /// A piece waits until the caller gives it a window, in HTTP/2.
    unread: bool,
}

impl Reader {
    pub(crate) fn of(connection: &Arc<ConnectionState>, http2: bool) -> Reader {
        Reader { connection: connection.clone(), http2, unread: false }
    }

    /// Waits until more may be given to the HTTP library: in HTTP/2, the library asks for more only
    /// if the caller gives a window for it.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.http2 {
            return self.connection.pace.poll_ready(cx);
        }
        if std::mem::take(&mut self.unread) {
            self.connection.remove_unread();
        }
        Poll::Ready(())
    }

    /// Counts a piece that is given to the HTTP library. The piece is a part of a larger buffer,
    /// all of which would stay in memory for as long as the caller does not read, so it is copied
    /// unless it is the last one, or the caller reads.
    fn take(&mut self, piece: Bytes, last: bool) -> Bytes {
        let flowing = if self.http2 {
            self.unread = true;
            self.connection.add_unread();
            false
        } else {
            self.connection.pace.add(piece.len());
            self.connection.pace.is_flowing()
        };
        if last || flowing { piece } else { Bytes::copy_from_slice(&piece) }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.unread {
            self.connection.remove_unread();
        }
    }
}

impl RelayedBody {
    fn filtered(&self, mut frame: Frame<Bytes>) -> Frame<Bytes> {
        if let Some(trailers) = frame.trailers_mut() {
            self.route.headers.to_caller(trailers, false);
            self.redactor.headers(trailers);
        }
        frame
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        ready!(self.reader.poll_ready(cx));
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
                    let other = self.filtered(other);
                    return Poll::Ready(Some(Ok(match self.redactor.rest() {
                        Some(rest) => {
                            self.after = Some(other);
                            Frame::data(rest)
                        }
                        None => other,
                    })));
                }
                None => return Poll::Ready(self.redactor.rest().map(|rest| Ok(Frame::data(rest)))),
            };
            let last = self.body.is_end_stream();
            let piece = self.redactor.piece(piece, last);
            if !piece.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(self.reader.take(piece, last)))));
            }
        }
    }
}

impl Body for ToCaller {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut *self {
            ToCaller::Own(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            ToCaller::Relayed(relayed) => relayed.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            ToCaller::Own(text) => text.is_none(),
            ToCaller::Relayed(relayed) => {
                relayed.body.is_end_stream()
                    && relayed.redactor.held() == 0
                    && relayed.after.is_none()
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            ToCaller::Own(text) => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
            ToCaller::Relayed(relayed) => {
                let hint = relayed.body.size_hint();
                // Bytes held back by the redactor are still to be sent.
                match hint.exact() {
                    Some(exact) => SizeHint::with_exact(exact + relayed.redactor.held()),
                    None => hint,
                }
            }
        }
    }
}
