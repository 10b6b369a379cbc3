//! What does a caller get that the gateway itself refuses? Never what could pass for the vendor's: a status that says who failed, a header that
//! names why, and a body that says what to do (RFC 9457).

use bootseal::{Error, Kind};
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use std::time::Duration;

/// The header that only the gateway's own answers have.
pub(crate) const ERROR: HeaderName = HeaderName::from_static("x-bootseal-error");

/// An answer of the gateway's own.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    /// As in [`ERROR`], and as a label of metrics.
    pub(crate) name: &'static str,
    title: &'static str,
    detail: String,
    help: String,
    retry_after: Option<Duration>,
}

impl Problem {
    fn new(status: StatusCode, name: &'static str, title: &'static str, detail: impl Into<String>) -> Problem {
        Problem { status, name, title, detail: detail.into(), help: String::new(), retry_after: None }
    }

    fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = help.into();
        self
    }

    pub(crate) fn method() -> Problem {
        let text = "TRACE would send back what was sent, the token with it; CONNECT asks for a tunnel to elsewhere.";
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-refused", "This method is not forwarded", text)
    }

    pub(crate) fn misdirected() -> Problem {
        let text = "The call came in at an address of this machine and names another host.";
        Problem::new(StatusCode::MISDIRECTED_REQUEST, "host-refused", "Not the host of this gateway", text)
            .help("Call it by the address that it listens at, as http://127.0.0.1:9301; so a page of a browser cannot reach it by a name that was made to point here.")
    }

    pub(crate) fn browser() -> Problem {
        let text = "The call came from a page of another site.";
        Problem::new(StatusCode::FORBIDDEN, "origin-refused", "Not for pages of other sites", text).help(
            "Where a browser has to call it, ask for a key: callers = { bearer = \"${caller_key}\" } in the route.",
        )
    }

    pub(crate) fn no_route(path: &str, prefixes: &[&str]) -> Problem {
        let text = format!("No route of this address begins as {path}.", path = serde_json::Value::from(path));
        Problem::new(StatusCode::NOT_FOUND, "no-route", "No such route", text)
            .help(format!("Its routes begin with: {}", prefixes.join(", ")))
    }

    pub(crate) fn caller(what: &str) -> Problem {
        Problem::new(StatusCode::FORBIDDEN, "caller-refused", "The caller may not use this route", what)
            .help("What a caller has to show is in the route: callers = { … }. The gateway takes that off, and puts the token on.")
    }

    pub(crate) fn target(what: &str) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "target-refused", "A target that can be read in two ways", what)
            .help("Send the path as it is meant, without `.` and `..` segments, encoded or not.")
    }

    pub(crate) fn body(what: String) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "body-incomplete", "The call did not come in whole", what)
    }

    pub(crate) fn unasked() -> Problem {
        let text = "It answered 101 (Switching Protocols) to what asked for no WebSocket.";
        Problem::new(StatusCode::BAD_GATEWAY, "upstream-broken", "The upstream gave no answer that can be used", text)
    }

    /// Why a call came to nothing. `held`: how long no login is made; who waited for one that failed is not told by the error.
    pub(crate) fn of(error: &Error, held: impl FnOnce() -> Option<Duration>) -> Problem {
        let (status, name, title) = match error.kind() {
            Kind::LoginRefused => {
                (StatusCode::SERVICE_UNAVAILABLE, "login-refused", "The vendor refuses the credentials")
            }
            Kind::LoginThrottled => {
                (StatusCode::SERVICE_UNAVAILABLE, "login-throttled", "The vendor asks for patience")
            }
            Kind::LoginDown => (StatusCode::SERVICE_UNAVAILABLE, "login-down", "The vendor's login cannot be reached"),
            Kind::LoginTls => (StatusCode::SERVICE_UNAVAILABLE, "login-tls", "No trustworthy connection to the vendor"),
            Kind::LoginProtocol => (
                StatusCode::SERVICE_UNAVAILABLE,
                "login-protocol",
                "The vendor's login answers what the profile does not describe",
            ),
            Kind::NotFound => (StatusCode::SERVICE_UNAVAILABLE, "no-route", "The route is no longer in the file"),
            _ if error.is_timeout() && error.is_connect() => {
                (StatusCode::GATEWAY_TIMEOUT, "upstream-timeout", "No connection to the upstream in time")
            }
            _ if error.is_timeout() => {
                (StatusCode::GATEWAY_TIMEOUT, "upstream-timeout", "No answer from the upstream in time")
            }
            _ if error.is_connect() => {
                (StatusCode::BAD_GATEWAY, "upstream-unreachable", "The upstream cannot be reached")
            }
            _ => (StatusCode::BAD_GATEWAY, "upstream-broken", "The upstream gave no answer that can be used"),
        };
        let mut problem = Problem::new(status, name, title, error.to_string());
        if status == StatusCode::SERVICE_UNAVAILABLE {
            problem.retry_after = error.retry_after().or_else(held).or(Some(Duration::from_secs(1)));
        }
        problem.help = error.help().unwrap_or_default().to_owned();
        // The text of an error says its help at its end.
        if let Some(detail) = problem.detail.strip_suffix(problem.help.as_str()).filter(|_| !problem.help.is_empty()) {
            problem.detail = detail.trim_end().to_owned();
        }
        problem
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

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
            // Rounded up: not one call too early.
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)));
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
        }
        response
    }
}
