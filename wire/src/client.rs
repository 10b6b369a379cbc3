//! The HTTP client for requests with secrets: hyper sees only placeholders, and the writer below
//! hyper writes the secrets.

use crate::connect::{ConnectOptions, Connector};
use crate::endpoint::Endpoint;
use crate::error::{Boxed, Error, Result};
use crate::placeholder::{Placeholders, StandIn};
use crate::pool::Pool;
use crate::upload_pace::UploadPace;
use bootseal_memory::Secret;
use http::{HeaderName, Request, Response};
use hyper::body::Incoming;
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// reqwest's default.
const IDLE_FOR: Duration = Duration::from_secs(90);

/// A header whose value is a secret.
pub type SecretHeader = (HeaderName, Secret);

/// The connection options and time limits of a client.
#[derive(Clone)]
pub struct Options {
    /// The options for new connections.
    pub connect: ConnectOptions,
    /// The maximum number of idle connections to one host.
    pub idle_per_host: usize,
    /// The time after which an idle connection is closed.
    pub idle_for: Duration,
    /// The time limit from sending a request to receiving the response's head; the body may take
    /// longer. `None` means no limit.
    pub response_timeout: Option<Duration>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            connect: ConnectOptions::default(),
            idle_per_host: usize::MAX,
            idle_for: IDLE_FOR,
            response_timeout: None,
        }
    }
}

/// An HTTP client that writes secrets below HTTP. It has a connection pool, so create one client
/// and reuse it.
pub struct SecretClient {
    pool: Pool,
    placeholders: Arc<Placeholders>,
    response_timeout: Option<Duration>,
}

impl SecretClient {
    /// Creates a client for `endpoint`. It calls `allowed` before each connection, so that no
    /// mistake in other code can send a secret to a host that `allowed` refuses.
    ///
    /// # Errors
    /// [`Error::Setup`] if TLS or the proxy cannot be set up; [`Error::System`] if the system has
    /// no random bytes.
    pub fn new(
        endpoint: &Endpoint,
        options: &Options,
        allowed: impl Fn(&Url) -> Result<(), Boxed> + Send + Sync + 'static,
    ) -> Result<SecretClient> {
        let placeholders = Arc::new(Placeholders::new()?);
        let connector =
            Connector::new(endpoint, &options.connect, placeholders.clone(), Arc::new(allowed))?;
        Ok(SecretClient {
            pool: Pool::new(connector, options.idle_per_host, options.idle_for),
            placeholders,
            response_timeout: options.response_timeout,
        })
    }

    /// Takes the request out of `request`, adds `headers`, and sends it without a time limit.
    ///
    /// # Errors
    /// Every [`Error`] except [`Error::Timeout`].
    pub async fn send(
        &self,
        request: &mut Request<reqwest::Body>,
        headers: &[SecretHeader],
    ) -> Result<Response<Incoming>> {
        let mut stand_ins: SmallVec<[StandIn; 2]> = SmallVec::new();
        for (name, secret) in headers {
            let stand_in = self.placeholders.stand_in(secret);
            request.headers_mut().insert(name.clone(), stand_in.header()?);
            stand_ins.push(stand_in);
        }
        let response = self.pool.send(request).await;
        // From now on the placeholders are ordinary text.
        drop(stand_ins);
        response
    }

    /// Like [`send`](SecretClient::send), within the client's time limit. If the body comes from a
    /// client, `pace` records when the upload waits for that client, and the waiting time does not
    /// count.
    ///
    /// # Errors
    /// Every [`Error`]; [`Error::Timeout`] if the response's head does not arrive in time.
    pub async fn send_in_time(
        &self,
        request: &mut Request<reqwest::Body>,
        headers: &[SecretHeader],
        pace: Option<&UploadPace>,
    ) -> Result<Response<Incoming>> {
        match (self.response_timeout, pace) {
            (None, _) => self.send(request, headers).await,
            (Some(limit), None) => tokio::time::timeout(limit, self.send(request, headers))
                .await
                .map_err(|_| Error::Timeout(limit))?,
            (Some(limit), Some(pace)) => {
                let sent = Box::pin(self.send(request, headers));
                pace.within(limit, sent).await.ok_or(Error::Timeout(limit))?
            }
        }
    }
}

impl std::fmt::Debug for SecretClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretClient(…)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn no_connection_is_made_to_a_host_that_is_not_allowed() {
        let allowed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = |listener: &std::net::TcpListener| {
            format!("http://{}/", listener.local_addr().unwrap())
        };
        let host = Url::parse(&url(&allowed)).unwrap().origin();
        let check =
            move |url: &Url| if url.origin() == host { Ok(()) } else { Err("not there".into()) };
        let client = SecretClient::new(&Endpoint::default(), &Options::default(), check).unwrap();
        // Simulates a caller that does not check the host.
        let mut request = Request::new(reqwest::Body::default());
        *request.uri_mut() = url(&other).parse().unwrap();
        let secret = Secret::copy_of(b"token").unwrap();
        let failed =
            client.send(&mut request, &[(http::header::AUTHORIZATION, secret)]).await.unwrap_err();
        assert!(
            matches!(&failed, Error::NotAllowed(error) if error.to_string() == "not there"),
            "{failed:?}"
        );
        other.set_nonblocking(true).unwrap();
        assert!(other.accept().is_err(), "no connection was made");
    }
}
