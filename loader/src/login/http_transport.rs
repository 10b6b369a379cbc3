//! Logins over HTTP. Each login has its own client, which is dropped with its buffers after the
//! login.

use crate::error::Error;
use crate::login::transport::{LoginRequest, LoginResponse, Transport, TransportError};
use bootseal_core::Kind;
use bootseal_memory::SecretBuf;
use bootseal_wire::{ArrivingBody, ConnectOptions, Endpoint, Options, SecretClient};
use bytes::Bytes;
use http_body::Body;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use url::Url;

const MAX_RESPONSE: usize = 1 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Logins over HTTP, each with its own client.
///
/// ```
/// # let (vendor, vault) = bootseal_fixtures::vendor();
/// use bootseal::{HttpTransport, SystemClock};
/// use std::sync::Arc;
/// let acme = vault.token_source_with("acme", Arc::new(SystemClock), Arc::new(HttpTransport))?; // as token_source does
/// acme.token_blocking()?;
/// assert_eq!(vendor.logins(), 1);
/// # Ok::<(), bootseal::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct HttpTransport;

impl Transport for HttpTransport {
    fn send(
        &self,
        request: LoginRequest,
    ) -> Pin<Box<dyn Future<Output = Result<LoginResponse, TransportError>> + Send>> {
        Box::pin(async move {
            let timeout = request.timeout;
            match tokio::time::timeout(timeout, send(request)).await {
                Ok(response) => response,
                Err(_) => Err(TransportError::Timeout),
            }
        })
    }
}

async fn send(request: LoginRequest) -> Result<LoginResponse, TransportError> {
    let origin = request.url.origin();
    let allowed = move |url: &Url| match url.origin() == origin {
        true => Ok(()),
        false => Err(Error::new(Kind::Usage, "a login must not be sent to another origin").into()),
    };
    let connect_timeout = Some(CONNECT_TIMEOUT.min(request.timeout));
    let connect = ConnectOptions { connect_timeout, http1_only: true, ..ConnectOptions::default() };
    let options = Options { connect, idle_per_host: 0, ..Options::default() };
    let endpoint =
        Endpoint { ca: request.ca, client_cert: request.client_cert, proxy: request.proxy };
    let client = SecretClient::new(&endpoint, &options, allowed)?;
    let mut call = http::Request::new(reqwest::Body::default());
    *call.method_mut() = request.method;
    let uri = request.url.as_str().parse();
    *call.uri_mut() =
        uri.map_err(|_| TransportError::Broken("the login's URL is not a valid URI".into()))?;
    if let Some(body) = request.body {
        *call.body_mut() = Bytes::from_owner(body.exposed()).into();
    }
    read(client.send(&mut call, None, &request.headers).await?).await
}

async fn read(response: http::Response<ArrivingBody>) -> Result<LoginResponse, TransportError> {
    let no_memory = |error: bootseal_memory::MemoryError| TransportError::OutOfResources {
        why: error.to_string(),
        sent: true,
    };
    let (parts, mut stream) = response.into_parts();
    let mut body = SecretBuf::with_capacity(4096).map_err(no_memory)?;
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut stream).poll_frame(cx)).await {
        let frame = frame.map_err(|error| TransportError::Broken(bootseal_wire::chain(&error)))?;
        let Some(chunk) = frame.data_ref() else { continue };
        if body.len() + chunk.len() > MAX_RESPONSE {
            return Err(TransportError::Broken("it is larger than 1 MiB".into()));
        }
        body.push(chunk).map_err(no_memory)?;
    }
    Ok(LoginResponse { status: parts.status.as_u16(), headers: parts.headers, body: body.freeze() })
}

impl From<bootseal_wire::Error> for TransportError {
    fn from(error: bootseal_wire::Error) -> TransportError {
        use bootseal_wire::Error as Wire;
        let text = error.to_string();
        match error {
            error if error.is_out_of_resources() => {
                TransportError::OutOfResources { why: text, sent: false }
            }
            error if error.is_tls() => TransportError::Tls(text),
            Wire::Connect(_) | Wire::NotAllowed(_) => TransportError::Connect(text),
            Wire::Timeout(_) => TransportError::Timeout,
            _ => TransportError::Broken(text),
        }
    }
}
