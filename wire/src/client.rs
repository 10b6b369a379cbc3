//! The HTTP client for requests with secrets: hyper sees only placeholders, and the writer below
//! hyper writes the secrets.

use crate::body::ArrivingBody;
use crate::connect::{ConnectOptions, Connector};
use crate::connection::state::SMALL_BODY;
use crate::endpoint::Endpoint;
use crate::error::{Boxed, Error, Result};
use crate::placeholder::{LENGTH, Placeholders, StandIn};
use crate::pool::host::Origin;
use crate::pool::{Pool, SecretHead, head_size};
use crate::resend::{Attempts, ResendReason};
use crate::upload_pace::UploadPace;
use bootseal_memory::Secret;
use http::{HeaderName, Request, Response};
use http_body::Body as _;
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// reqwest's default.
const IDLE_FOR: Duration = Duration::from_secs(90);

/// The sizes from which on a line, or a head, may be too large for an upstream.
const LARGE_LINE: usize = 4000;
const LARGE_HEAD: usize = 8000;

/// Makes a request once more, to send it again.
pub type Again<'a> = dyn Fn() -> Option<Request<reqwest::Body>> + Send + Sync + 'a;

/// Is called each time that a request is sent again.
pub type OnResend = Arc<dyn Fn(ResendReason) + Send + Sync>;

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
    /// Is called each time that a request is sent again.
    pub on_resend: Option<OnResend>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            connect: ConnectOptions::default(),
            idle_per_host: usize::MAX,
            idle_for: IDLE_FOR,
            response_timeout: None,
            on_resend: None,
        }
    }
}

/// An HTTP client that writes secrets below HTTP. It has a connection pool, so create one client
/// and reuse it.
pub struct SecretClient {
    pool: Pool,
    placeholders: Arc<Placeholders>,
    response_timeout: Option<Duration>,
    on_resend: Option<OnResend>,
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
            on_resend: options.on_resend.clone(),
        })
    }

    /// Takes the request out of `request`, adds `headers`, and sends it without a time limit.
    ///
    /// If the upstream provably did not process the request, or closed a kept connection as an
    /// idempotent request arrived, and if `again` returns the request once more, it is sent on
    /// another connection. With `None`, a request is sent again only if no byte of it was written.
    ///
    /// # Errors
    /// Every [`Error`] except [`Error::Timeout`].
    pub async fn send(
        &self,
        request: &mut Request<reqwest::Body>,
        again: Option<&Again<'_>>,
        headers: &[SecretHeader],
    ) -> Result<Response<ArrivingBody>> {
        let origin = Origin::of(request.uri(), must_stay_apart(request))?;
        let growth = headers.iter().map(|(_, secret)| secret.len().saturating_sub(LENGTH)).sum();
        let method = request.method().clone();
        let mut attempts = Attempts::default();
        loop {
            let mut stand_ins: SmallVec<[StandIn; 2]> = SmallVec::new();
            for (name, secret) in headers {
                let stand_in = self.placeholders.stand_in(secret);
                request.headers_mut().insert(name.clone(), stand_in.header()?);
                stand_ins.push(stand_in);
            }
            // If no placeholder was replaced, the head was not written.
            let unwritten = || stand_ins.first().is_some_and(StandIn::is_waiting);
            let number = stand_ins.first().map(StandIn::number);
            let head = SecretHead { number, growth };
            let new = attempts.need_new_connection();
            let sent = self.pool.send(request, &origin, new, head, unwritten).await;
            // From now on the placeholders are ordinary text.
            drop(stand_ins);
            let failed = match sent {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
            let Some(reason) = failed.again.filter(|why| attempts.may_follow(*why, &method)) else {
                return Err(failed.error);
            };
            if !failed.given_back {
                match again.and_then(|again| again()) {
                    Some(once_more) => *request = once_more,
                    None => return Err(failed.error),
                }
            }
            if let Some(on_resend) = &self.on_resend {
                on_resend(reason);
            }
        }
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
        again: Option<&Again<'_>>,
        headers: &[SecretHeader],
        pace: Option<&UploadPace>,
    ) -> Result<Response<ArrivingBody>> {
        match (self.response_timeout, pace) {
            (None, _) => self.send(request, again, headers).await,
            (Some(limit), None) => tokio::time::timeout(limit, self.send(request, again, headers))
                .await
                .map_err(|_| Error::Timeout(limit))?,
            (Some(limit), Some(pace)) => {
                let sent = Box::pin(self.send(request, again, headers));
                pace.within(limit, sent).await.ok_or(Error::Timeout(limit))?
            }
        }
    }
}

/// Whether a request may harm others on its HTTP/2 connection. An upstream may refuse the head as
/// too large, and end the connection for it: nginx takes 8 KiB in one line, and older versions
/// 4 KiB. And it may not read a large body.
fn must_stay_apart(request: &Request<reqwest::Body>) -> bool {
    if request.body().size_hint().upper().is_none_or(|size| size > SMALL_BODY as u64) {
        return true;
    }
    let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    path > LARGE_LINE
        || request.headers().values().any(|value| value.len() > LARGE_LINE)
        || head_size(request) > LARGE_HEAD
}

impl SecretClient {
    /// Closes the connections of this client that serve no call. Returns their number.
    pub fn close_idle(&self) -> usize {
        self.pool.close_idle()
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
        let failed = client
            .send(&mut request, None, &[(http::header::AUTHORIZATION, secret)])
            .await
            .unwrap_err();
        assert!(
            matches!(&failed, Error::NotAllowed(error) if error.to_string() == "not there"),
            "{failed:?}"
        );
        other.set_nonblocking(true).unwrap();
        assert!(other.accept().is_err(), "no connection was made");
    }
}
