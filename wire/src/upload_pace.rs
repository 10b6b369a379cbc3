//! The pace of an upload: time spent waiting for the client's body does not count against the
//! upstream's response timeout.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// The party that an upload is waiting for: the client that sends the body, or the upstream that
/// receives it.
#[derive(Debug)]
pub struct UploadPace(Mutex<Turn>);

#[derive(Clone, Copy, Debug)]
enum Turn {
    /// The client must send more of the body.
    Client,
    /// Since this time, the upstream has had the whole body, or a piece of the body that it must
    /// receive.
    Upstream(Instant),
}

impl UploadPace {
    fn set(&self, turn: Turn) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = turn;
    }

    /// Returns the output of `response`, or `None` if the upstream has caused a delay of `limit`.
    pub(crate) async fn within<T>(
        &self,
        limit: Duration,
        response: impl Future<Output = T>,
    ) -> Option<T> {
        let mut response = std::pin::pin!(response);
        let mut until = Instant::now() + limit;
        loop {
            if let Ok(response) = tokio::time::timeout_at(until, response.as_mut()).await {
                return Some(response);
            }
            let turn = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            until = match turn {
                Turn::Client => Instant::now() + limit,
                Turn::Upstream(since) if since + limit > until => since + limit,
                Turn::Upstream(_) => return None,
            };
        }
    }
}

/// A body that records its pace.
pub struct PacedBody {
    body: reqwest::Body,
    pace: Arc<UploadPace>,
}

impl PacedBody {
    /// Records the pace of `body`.
    pub fn of(body: reqwest::Body) -> (PacedBody, Arc<UploadPace>) {
        let pace = Arc::new(UploadPace(Mutex::new(Turn::Upstream(Instant::now()))));
        (PacedBody { body, pace: pace.clone() }, pace)
    }
}

impl Body for PacedBody {
    type Data = Bytes;
    type Error = reqwest::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, reqwest::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        self.pace.set(if frame.is_pending() {
            Turn::Client
        } else {
            Turn::Upstream(Instant::now())
        });
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for PacedBody {
    /// The upload has ended: from now on, only the upstream can cause a delay.
    fn drop(&mut self) {
        self.pace.set(Turn::Upstream(Instant::now()));
    }
}

impl std::fmt::Debug for PacedBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PacedBody(…)")
    }
}
