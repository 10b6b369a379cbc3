//! Error responses of the gateway itself: a problem document (RFC 9457) that cannot be mistaken for
//! the vendor's. The status shows who failed, a header names the reason, and the body contains the
//! next step.

use bootseal::{Error, Kind};
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use std::time::Duration;

/// The header that only the gateway's own responses carry.
pub(crate) const ERROR: HeaderName = HeaderName::from_static("x-bootseal-error");

/// The name of the error if this process has no place or descriptor left.
pub(crate) const NO_RESOURCES: &str = "overloaded";

/// The response to a connection that gets no place, sent before its request is read.
pub(crate) const OVERLOADED: &str = "HTTP/1.1 503 Service Unavailable\r\nx-bootseal-error: overloaded\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// An error response of the gateway itself.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    /// The value of [`ERROR`], and a label of metrics.
    pub(crate) name: &'static str,
    title: &'static str,
    detail: String,
    help: String,
    retry_after: Option<Duration>,
}

impl Problem {
    fn new(
        status: StatusCode,
        name: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Problem {
        Problem {
            status,
            name,
            title,
            detail: detail.into(),
            help: String::new(),
            retry_after: None,
        }
    }

    fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = help.into();
        self
    }

    pub(crate) fn method() -> Problem {
        let text = "TRACE would echo the request, token included; CONNECT would open a tunnel to another host.";
        Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-refused",
            "This method is not forwarded",
            text,
        )
    }

    pub(crate) fn misdirected() -> Problem {
        let text = "The call came to a loopback address, but its Host header names another host.";
        Problem::new(StatusCode::MISDIRECTED_REQUEST, "host-refused", "Not the host of this gateway", text)
            .help("Use the address that the gateway listens on, such as http://127.0.0.1:9301. This keeps a web page from reaching it through a DNS name that points to this machine.")
    }

    pub(crate) fn browser() -> Problem {
        let text = "The call was sent by a web page of another site.";
        Problem::new(StatusCode::FORBIDDEN, "origin-refused", "Web pages of other sites are refused", text).help(
            "If browsers must call this route, let it require a key: callers = { bearer = \"${caller_key}\" }.",
        )
    }

    pub(crate) fn no_route(path: &str, prefixes: &[&str]) -> Problem {
        let text = format!(
            "The path {path} matches no route of this address.",
            path = serde_json::Value::from(path)
        );
        Problem::new(StatusCode::NOT_FOUND, "no-route", "No such route", text)
            .help(format!("The prefixes of its routes: {}", bootseal_core::some_names(prefixes)))
    }

    pub(crate) fn caller(what: &str) -> Problem {
        Problem::new(StatusCode::FORBIDDEN, "caller-refused", "The caller may not use this route", what)
            .help("The route's `callers` defines what a caller must present. The gateway removes it and adds the token.")
    }

    pub(crate) fn target(what: &str) -> Problem {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "target-refused",
            "The request target is ambiguous",
            what,
        )
        .help("Send the final path, without `.` and `..` segments, encoded or not.")
    }

    /// A head that is refused in HTTP/2; in HTTP/1.1 it is refused before it is parsed.
    pub(crate) fn head(status: StatusCode, what: &str) -> Problem {
        Problem::new(status, "head-refused", "The head of the call is refused", what)
    }

    pub(crate) fn body(what: String) -> Problem {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "body-incomplete",
            "The body of the call is incomplete",
            what,
        )
    }

    /// A call for whose upstream no connection may be made, because too many are in use.
    pub(crate) fn overloaded() -> Problem {
        let text = "As many calls are in flight as the limit on open files allows.";
        let mut problem = Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            NO_RESOURCES,
            "The gateway has no place for another call",
            text,
        )
        .help("Raise the limit on open files of the gateway: `ulimit -n` in a shell, LimitNOFILE= in a systemd unit.");
        problem.retry_after = Some(Duration::from_secs(1));
        problem
    }

    pub(crate) fn unexpected_upgrade() -> Problem {
        let text = "The upstream answered 101 (Switching Protocols) to a call that did not ask for a WebSocket.";
        Problem::new(
            StatusCode::BAD_GATEWAY,
            "upstream-broken",
            "The upstream sent no usable response",
            text,
        )
    }

    /// Describes why a call failed. `held` returns the time without logins, which is missing in the
    /// error of a caller that only waited for a failed login.
    pub(crate) fn from_error(error: &Error, held: impl FnOnce() -> Option<Duration>) -> Problem {
        let (status, name, title) = match error.kind() {
            _ if error.is_out_of_resources() => (
                StatusCode::SERVICE_UNAVAILABLE,
                NO_RESOURCES,
                "The gateway has no descriptor or locked memory left",
            ),
            Kind::LoginRefused => (
                StatusCode::SERVICE_UNAVAILABLE,
                "login-refused",
                "The vendor refuses the credentials",
            ),
            Kind::LoginThrottled => (
                StatusCode::SERVICE_UNAVAILABLE,
                "login-throttled",
                "The vendor limits the rate of logins",
            ),
            Kind::LoginDown => (
                StatusCode::SERVICE_UNAVAILABLE,
                "login-down",
                "The vendor's login cannot be reached",
            ),
            Kind::LoginTls => (
                StatusCode::SERVICE_UNAVAILABLE,
                "login-tls",
                "The TLS connection to the vendor is not trusted",
            ),
            Kind::LoginProtocol => (
                StatusCode::SERVICE_UNAVAILABLE,
                "login-protocol",
                "The vendor's login response does not match the profile",
            ),
            Kind::NotFound => {
                (StatusCode::SERVICE_UNAVAILABLE, "no-route", "The route is no longer in the file")
            }
            _ if error.is_timeout() && error.is_connect() => (
                StatusCode::GATEWAY_TIMEOUT,
                "upstream-timeout",
                "Connecting to the upstream timed out",
            ),
            _ if error.is_timeout() => (
                StatusCode::GATEWAY_TIMEOUT,
                "upstream-timeout",
                "The upstream did not respond in time",
            ),
            _ if error.is_connect() => {
                (StatusCode::BAD_GATEWAY, "upstream-unreachable", "The upstream cannot be reached")
            }
            _ => {
                (StatusCode::BAD_GATEWAY, "upstream-broken", "The upstream sent no usable response")
            }
        };
        let mut problem = Problem::new(status, name, title, error.to_string());
        if status == StatusCode::SERVICE_UNAVAILABLE {
            problem.retry_after =
                error.retry_after().or_else(held).or(Some(Duration::from_secs(1)));
        }
        problem.help = error.help().unwrap_or_default().to_owned();
        // The text of an error ends with its help, which has its own field here.
        if let Some(detail) =
            problem.detail.strip_suffix(problem.help.as_str()).filter(|_| !problem.help.is_empty())
        {
            problem.detail = detail.trim_end().to_owned();
        }
        problem
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// Renders the problem document. `route` is the name of the route, or empty if none matched.
    pub(crate) fn response(&self, route: &str) -> Response<Bytes> {
        let body = serde_json::json!({
            "title": self.title,
            "status": self.status.as_u16(),
            "route": route,
            "detail": self.detail,
            "help": self.help,
        });
        let mut response = Response::new(Bytes::from(format!("{body}\n")));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(ERROR, HeaderValue::from_static(self.name));
        if let Some(wait) = self.retry_after {
            // Rounded up, so that no call comes too early.
            headers.insert(
                RETRY_AFTER,
                HeaderValue::from(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)),
            );
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(
                ALLOW,
                HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
            );
        }
        response
    }
}
