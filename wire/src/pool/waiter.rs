//! A call that waits for a connection, and the connection that it gets.

use crate::connection::state::{ConnectionState, Slot};
use crate::error::Result;
use http::HeaderValue;
use hyper::client::conn::{http1, http2};
use std::sync::Arc;
use tokio::sync::oneshot;

/// A connection that is ready for a call.
pub(super) enum Connection {
    Http1 {
        sender: http1::SendRequest<reqwest::Body>,
        state: Arc<ConnectionState>,
        /// The index of its host.
        host: usize,
        name: Option<HeaderValue>,
    },
    Http2 {
        sender: http2::SendRequest<reqwest::Body>,
        slot: Slot,
    },
}

/// A call that waits for a connection.
pub(super) struct Waiter {
    pub(super) serve: oneshot::Sender<Result<(Connection, bool)>>,
    /// Whether a kept HTTP/1.1 connection does not serve it.
    pub(super) new: bool,
    /// The number of the call among those that have waited for this host.
    pub(super) number: u64,
}

impl Waiter {
    pub(super) fn new(serve: oneshot::Sender<Result<(Connection, bool)>>, new: bool) -> Waiter {
        Waiter { serve, new, number: 0 }
    }
}
