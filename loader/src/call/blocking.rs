//! Calls from programs without an async runtime: they are sent on an internal runtime, and reading
//! the response blocks.

use crate::call::request::RequestBuilder;
use crate::error::{Error, Result};
use bootseal_core::Kind;
use bytes::{Buf, Bytes};
use http::{HeaderMap, StatusCode};
use std::io::Read;
use std::sync::OnceLock;
use tokio::runtime::{Handle, Runtime};

/// A response whose body is read by blocking calls.
///
/// ```
/// fn orders(client: &bootseal::Client) -> bootseal::Result<String> {
///     let response = client.get("https://api.acme.example/v1/orders").send_blocking()?;
///     assert_eq!(response.status(), 200);
///     response.text()
/// }
/// ```
#[derive(Debug)]
pub struct Response {
    inner: reqwest::Response,
    chunk: Bytes,
}

impl RequestBuilder {
    /// Sends the call and waits for the head of its response.
    ///
    /// # Errors
    /// As [`RequestBuilder::send`]; [`Kind::Usage`] inside an async runtime, because the call would
    /// block a thread of that runtime.
    pub fn send_blocking(self) -> Result<Response> {
        let inner = wait(async { self.send().await })?;
        Ok(Response { inner, chunk: Bytes::new() })
    }
}

impl Response {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.inner.status()
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        self.inner.headers()
    }

    /// The whole body.
    ///
    /// # Errors
    /// [`Kind::Io`] if the connection ends early.
    pub fn bytes(self) -> Result<Bytes> {
        wait(async { Ok(self.inner.bytes().await?) })
    }

    /// The whole body as text; bytes that are not UTF-8 are replaced.
    ///
    /// # Errors
    /// [`Kind::Io`] if the connection ends early.
    pub fn text(self) -> Result<String> {
        wait(async { Ok(self.inner.text().await?) })
    }

    /// The whole body, parsed as JSON.
    ///
    /// # Errors
    /// [`Kind::Io`] if the connection ends early or the body does not fit `T`.
    pub fn json<T: serde::de::DeserializeOwned>(self) -> Result<T> {
        wait(async { Ok(self.inner.json().await?) })
    }
}

impl Read for Response {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while self.chunk.is_empty() {
            match wait(async { Ok(self.inner.chunk().await?) }).map_err(std::io::Error::other)? {
                Some(chunk) => self.chunk = chunk,
                None => return Ok(0),
            }
        }
        let length = self.chunk.len().min(into.len());
        self.chunk.copy_to_slice(&mut into[..length]);
        Ok(length)
    }
}

fn wait<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    // One runtime per process, which drives the idle connections of all clients.
    static RUNTIME: OnceLock<std::result::Result<Runtime, String>> = OnceLock::new();
    if Handle::try_current().is_ok() {
        return Err(Error::new(Kind::Usage, "a blocking call inside an async runtime")
            .with_help("Use send().await there."));
    }
    let runtime = RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let built = builder.worker_threads(1).thread_name("bootseal-calls").enable_all().build();
        built.map_err(|error| format!("cannot start an async runtime for blocking calls: {error}"))
    });
    match runtime {
        Ok(runtime) => runtime.block_on(work),
        Err(text) => Err(Error::new(Kind::Io, text.clone())),
    }
}
