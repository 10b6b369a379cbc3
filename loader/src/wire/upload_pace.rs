//! Who is late? While a body comes from somebody else, its time is not the time of who has to answer.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// How a body comes in.
pub(crate) struct Pace(Mutex<State>);

#[derive(Clone, Copy)]
enum State {
    /// More of it is waited for.
    Waits,
    /// Since then it is with who has to answer, whole or a piece of it.
    Since(Instant),
}

impl Pace {
    fn set(&self, state: State) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// What comes of `response`; `None` where for as long as `limit` nothing did, and the body was not to blame.
    pub(crate) async fn within<T>(&self, limit: Duration, response: impl Future<Output = T>) -> Option<T> {
        let mut response = std::pin::pin!(response);
        let mut until = Instant::now() + limit;
        loop {
            if let Ok(response) = tokio::time::timeout_at(until, response.as_mut()).await {
                return Some(response);
            }
            let state = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            until = match state {
                State::Waits => Instant::now() + limit,
                State::Since(since) if since + limit > until => since + limit,
                State::Since(_) => return None,
            };
        }
    }
}

/// A body whose pace is watched.
pub(crate) struct Paced {
    body: reqwest::Body,
    pace: Arc<Pace>,
}

impl Paced {
    pub(crate) fn of(body: reqwest::Body) -> (Paced, Arc<Pace>) {
        let pace = Arc::new(Pace(Mutex::new(State::Since(Instant::now()))));
        (Paced { body, pace: pace.clone() }, pace)
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = reqwest::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, reqwest::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        self.pace.set(if frame.is_pending() { State::Waits } else { State::Since(Instant::now()) });
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Paced {
    /// Nothing more is waited for.
    fn drop(&mut self) {
        self.pace.set(State::Since(Instant::now()));
    }
}
