//! A hyper proxy that only adds a fixed header: the lower limit for the cost of a proxy on hyper.
//!
//! Usage: `bare PORT UPSTREAM-PORT TOKEN`

use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::error::Error;
use tokio::net::TcpListener;

type Anything = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Anything> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [port, upstream, token] = args.as_slice() else { return Err("usage: bare PORT UPSTREAM-PORT TOKEN".into()) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(port.parse()?, upstream.parse()?, HeaderValue::from_str(&format!("Bearer {token}"))?))
}

async fn serve(port: u16, upstream: u16, header: HeaderValue) -> Result<(), Anything> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<HttpConnector, Incoming> = Client::builder(TokioExecutor::new()).build(connector);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (client, header) = (client.clone(), header.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            let (client, header) = (client.clone(), header.clone());
            async move {
                let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
                *request.uri_mut() = format!("http://127.0.0.1:{upstream}{path}").parse::<Uri>()?;
                request.headers_mut().insert(AUTHORIZATION, header);
                Ok::<_, Anything>(client.request(request).await?)
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}
