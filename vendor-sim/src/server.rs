//! The HTTP server of a vendor, on its own thread until it is dropped.

use crate::responses::{Refusal, Responses, VendorResponse};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The protocol names of the TLS handshake (ALPN, RFC 7301).
pub(crate) const HTTP_1: &[u8] = b"http/1.1";
pub(crate) const HTTP_2: &[u8] = b"h2";
pub(crate) const BODY_LIMIT: usize = 1 << 20;

pub(crate) struct Server {
    origin: String,
    /// Ends the thread when it is dropped.
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Binds `address` and serves the vendor that `responses` creates for that origin.
    pub(crate) fn start<A: Responses>(
        address: SocketAddr,
        tls: Option<TlsAcceptor>,
        responses: impl FnOnce(String) -> io::Result<A>,
    ) -> io::Result<(Server, Arc<A>)> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let origin = format!(
            "{}://{}",
            if tls.is_some() { "https" } else { "http" },
            listener.local_addr()?
        );
        let responses = Arc::new(responses(origin.clone())?);
        let (served, (stop, stopped)) = (responses.clone(), tokio::sync::oneshot::channel());
        let (report, started) = std::sync::mpsc::channel();
        // The runtime is created on the new thread: the caller may be an async test, where no
        // runtime may be dropped.
        let thread =
            std::thread::Builder::new().name("bootseal-vendor".to_owned()).spawn(move || {
                match runtime_with(listener, |listener| accept(listener, tls, served)) {
                    Ok(runtime) => {
                        let _ = report.send(Ok(()));
                        let _ = runtime.block_on(stopped);
                    }
                    Err(error) => {
                        let _ = report.send(Err(error));
                    }
                }
                // The runtime is dropped here, which closes every open connection, even one with a
                // delayed response.
            })?;
        started.recv().map_err(io::Error::other)??;
        Ok((Server { origin, stop: Some(stop), thread: Some(thread) }, responses))
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // The test notices a panic of the thread, and drop must not add another.
            let _ = thread.join();
        }
    }
}

/// A runtime that serves as soon as a thread blocks on it.
fn runtime_with<F: Future<Output = ()> + Send + 'static>(
    listener: std::net::TcpListener,
    serve: impl FnOnce(TcpListener) -> F,
) -> io::Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _inside = runtime.enter();
        TcpListener::from_std(listener)?
    };
    runtime.spawn(serve(listener));
    Ok(runtime)
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, responses: Arc<dyn Responses>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(stream, tls.clone(), responses.clone()));
            }
            // For example, no descriptors are left: without a pause this loop would spin.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, responses: Arc<dyn Responses>) {
    // Best effort: only speed depends on it.
    let _ = stream.set_nodelay(true);
    match tls {
        None => serve(stream, false, responses).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                let http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP_2);
                serve(stream, http2, responses).await;
            }
        }
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    http2: bool,
    responses: Arc<dyn Responses>,
) {
    let service = hyper::service::service_fn(move |request| response(responses.clone(), request));
    let stream = TokioIo::new(stream);
    // The client reports a broken connection; the vendor never prints.
    let _ = match http2 {
        true => {
            hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(stream, service)
                .await
        }
        false => hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await,
    };
}

async fn response(
    responses: Arc<dyn Responses>,
    request: Request<Incoming>,
) -> Result<VendorResponse, Infallible> {
    let (head, body) = request.into_parts();
    let (body, length) = read(body).await;
    let delay = responses.arrived(&head, length);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    Ok(responses.response(&head, body))
}

/// Reads the body to its end even if it is too long, so that the client finishes sending and sees
/// the response; such a body is not kept.
async fn read(mut body: Incoming) -> (Result<Vec<u8>, Refusal>, usize) {
    let (mut kept, mut length) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return (Err((StatusCode::BAD_REQUEST, "broken_body")), length);
        };
        let data = frame.into_data().unwrap_or_default();
        length += data.len();
        if length <= BODY_LIMIT {
            kept.extend_from_slice(&data);
        }
    }
    let whole = length <= BODY_LIMIT;
    (if whole { Ok(kept) } else { Err((StatusCode::PAYLOAD_TOO_LARGE, "too_large")) }, length)
}
