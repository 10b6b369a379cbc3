//! Reading the rest of a body whose call is already answered.
//!
//! Many clients send the whole body before they read. If the gateway closed the connection after an
//! early response, their next write would fail, and the response would be lost in a reset (RFC 9112
//! §9.6). So the rest of the body is read and dropped, for a limited time.

use http::header::EXPECT;
use http::{HeaderMap, Version};
use http_body::Body;
use hyper::body::Incoming;
use std::pin::Pin;
use std::time::Duration;

/// The limits of nginx, for the whole rest and for a pause.
const LINGER: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_secs(5);

/// Whether the rest of a body has to be read: in HTTP/2 a single call can be ended, and a caller
/// that waits for 100 (Continue) has not begun to send.
pub(crate) fn is_needed(version: Version, headers: &HeaderMap) -> bool {
    version < Version::HTTP_2 && !headers.contains_key(EXPECT)
}

/// Reads and drops the rest of a body.
pub(crate) fn drop_rest(mut body: Incoming) {
    if body.is_end_stream() {
        return;
    }
    // A body may be dropped while the runtime ends.
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    runtime.spawn(async move {
        let all = async {
            loop {
                let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
                match tokio::time::timeout(PAUSE, frame).await {
                    Ok(Some(Ok(_))) => {}
                    _ => return,
                }
            }
        };
        let _ = tokio::time::timeout(LINGER, all).await;
    });
}
