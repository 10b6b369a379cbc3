//! The body of a response. While it is being read, its call has a place on its connection.

use crate::connection::state::Slot;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The body of a response, as it arrives.
#[derive(Debug)]
pub struct ArrivingBody {
    body: Incoming,
    /// The place on an HTTP/2 connection, until the body ends.
    slot: Option<Slot>,
}

impl ArrivingBody {
    pub(crate) fn new(body: Incoming, slot: Option<Slot>) -> ArrivingBody {
        let slot = slot.filter(|_| !body.is_end_stream());
        ArrivingBody { body, slot }
    }
}

impl Body for ArrivingBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) || self.body.is_end_stream() {
            self.slot = None;
        } else if let (Some(slot), Some(Ok(frame))) = (&self.slot, &frame) {
            slot.read(frame.data_ref().map_or(0, Bytes::len));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
