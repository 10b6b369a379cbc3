//! An HTTP/2 upstream over TLS whose behaviour a test decides.

#![allow(unreachable_pub)] // a test

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Request, Response};
use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// What an upstream does with one call.
pub enum Act {
    Answer,
    /// Refuses the stream unprocessed.
    Refuse,
    /// Answers once this many calls are in flight.
    Together(usize),
    /// Responds with a body of this many bytes.
    Body(usize),
    /// Never reads the request's body.
    Stall,
    /// Sends interim responses without end.
    Interim,
    /// Responds with a header of this many bytes.
    Head(usize),
}

/// What an upstream announces in its SETTINGS.
#[derive(Clone, Copy, Default)]
pub struct Limits {
    pub streams: Option<u32>,
    pub head: Option<u32>,
}

pub struct Http2Upstream {
    pub origin: String,
    pub ca: String,
    pub seen: Arc<Seen>,
    _runtime: tokio::runtime::Runtime,
}

/// What the upstream has seen.
pub struct Seen {
    pub connections: AtomicUsize,
    /// The number of calls over HTTP/1.1.
    pub http1: AtomicUsize,
    /// How often each path arrived over HTTP/2.
    paths: Mutex<HashMap<String, usize>>,
    in_flight: watch::Sender<usize>,
    /// Whether the first connection is silent from now on.
    pub silent: AtomicBool,
}

impl Seen {
    pub fn times(&self, path: &str) -> usize {
        self.paths.lock().unwrap().get(path).copied().unwrap_or(0)
    }
}

type Decide = dyn Fn(&str, usize) -> Act + Send + Sync;

impl Http2Upstream {
    /// `decide` gets the path of a call, and how often that path has arrived.
    pub fn start(
        limits: Limits,
        decide: impl Fn(&str, usize) -> Act + Send + Sync + 'static,
    ) -> Http2Upstream {
        let (ca, acceptor) = tls(&[b"h2", b"http/1.1"]);
        let seen = Arc::new(Seen {
            connections: AtomicUsize::new(0),
            http1: AtomicUsize::new(0),
            paths: Mutex::default(),
            in_flight: watch::channel(0).0,
            silent: AtomicBool::new(false),
        });
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let origin = format!("https://{}", listener.local_addr().unwrap());
        let (served, decide): (_, Arc<Decide>) = (seen.clone(), Arc::new(decide));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = served.connections.fetch_add(1, Ordering::SeqCst);
                let (acceptor, seen, decide) = (acceptor.clone(), served.clone(), decide.clone());
                let stream = MaySilence { stream, seen: seen.clone(), first: number == 0 };
                tokio::spawn(async move {
                    let stream = acceptor.accept(stream).await?;
                    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                        http2(stream, limits, seen, decide).await.map_err(io::Error::other)
                    } else {
                        http1(stream, &seen).await
                    }
                });
            }
        });
        Http2Upstream { origin, ca, seen, _runtime: runtime }
    }
}

/// A certificate for 127.0.0.1 in PEM, and TLS with it, for these protocols.
pub fn tls(protocols: &[&[u8]]) -> (String, TlsAcceptor) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".into()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let mut config = config.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    (made.cert.pem(), TlsAcceptor::from(Arc::new(config)))
}

async fn http1(mut stream: impl AsyncRead + AsyncWrite + Unpin, seen: &Seen) -> io::Result<()> {
    let mut head = Vec::new();
    while stream.read_buf(&mut head).await? > 0 {
        if head.ends_with(b"\r\n\r\n") {
            seen.http1.fetch_add(1, Ordering::SeqCst);
            head.clear();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await?;
        }
    }
    Ok(())
}

async fn http2(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    limits: Limits,
    seen: Arc<Seen>,
    decide: Arc<Decide>,
) -> Result<(), h2::Error> {
    let mut builder = h2::server::Builder::new();
    if let Some(streams) = limits.streams {
        builder.max_concurrent_streams(streams);
    }
    if let Some(head) = limits.head {
        builder.max_header_list_size(head);
    }
    let mut connection = builder.handshake::<_, Bytes>(stream).await?;
    while let Some(call) = connection.accept().await {
        let (request, mut respond) = call?;
        let path = request.uri().path().to_owned();
        let times = {
            let mut paths = seen.paths.lock().unwrap();
            let times = paths.entry(path.clone()).or_default();
            *times += 1;
            *times
        };
        match decide(&path, times) {
            Act::Refuse => respond.send_reset(Reason::REFUSED_STREAM),
            act => {
                tokio::spawn(answer(request, respond, act, seen.clone()));
            }
        }
    }
    Ok(())
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    act: Act,
    seen: Arc<Seen>,
) -> Result<(), h2::Error> {
    let mut body = request.into_body();
    if let Act::Stall = act {
        std::future::pending::<()>().await;
    }
    while let Some(piece) = body.data().await {
        body.flow_control().release_capacity(piece?.len())?;
    }
    seen.in_flight.send_modify(|calls| *calls += 1);
    if let Act::Together(calls) = act {
        let _ = seen.in_flight.subscribe().wait_for(|now| *now >= calls).await;
    }
    while let Act::Interim = act {
        let interim = Response::builder().status(103).body(()).unwrap();
        respond.send_informational(interim)?;
        tokio::task::yield_now().await;
    }
    let length = if let Act::Body(length) = act { length } else { 2 };
    let mut response = Response::new(());
    if let Act::Head(size) = act {
        let value = "h".repeat(size).parse().unwrap();
        response.headers_mut().insert("x-large", value);
    }
    let mut out = respond.send_response(response, false)?;
    out.send_data(vec![b'x'; length].into(), true)
}

/// A stream that can go silent: nothing more is read from it, though it stays open.
struct MaySilence {
    stream: TcpStream,
    seen: Arc<Seen>,
    first: bool,
}

impl AsyncRead for MaySilence {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, into);
        if self.first && self.seen.silent.load(Ordering::SeqCst) {
            into.clear();
            return Poll::Pending;
        }
        read
    }
}

impl AsyncWrite for MaySilence {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
