//! How does one ask the gateway how it is? Probes, metrics, and a page for people.

use crate::admin::page;
use crate::call::body::ToCaller;
use crate::call::forward::CallerInfo;
use crate::rules::callers::not_led_here;
use crate::rules::problem::Problem;
use crate::server::listener::Responses;
use crate::server::table::Running;
use crate::stats::latency;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use metrics_exporter_prometheus::PrometheusHandle;
use std::sync::{Arc, OnceLock, Weak};

/// What renders the metrics; set once, at start.
pub(crate) static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();

const SECURITY: [(HeaderName, &str); 3] = [
    (
        http::header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    (http::header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (http::header::REFERRER_POLICY, "no-referrer"),
];

/// The answers of the admin address.
pub(crate) struct Admin(pub(crate) Weak<Running>);

impl Responses for Admin {
    async fn response(self: Arc<Self>, came: Arc<CallerInfo>, request: Box<Request<Incoming>>) -> Response<ToCaller> {
        if came.loopback
            && let Err(problem) = not_led_here(request.uri(), request.headers(), false)
        {
            return ToCaller::own(problem.response(""));
        }
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            return ToCaller::own(Problem::method().response(""));
        }
        let response = match (request.uri().path(), self.0.upgrade()) {
            (_, None) => text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
            ("/live", _) => text(StatusCode::OK, "live\n"),
            ("/ready", Some(running)) if running.is_ready() => text(StatusCode::OK, "ready\n"),
            ("/ready", _) => text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
            ("/metrics", Some(running)) => typed("text/plain; version=0.0.4; charset=utf-8", metrics(&running)),
            ("/", Some(running)) => typed("text/html; charset=utf-8", page::render(&running)),
            ("/status.css", _) => typed("text/css; charset=utf-8", page::STYLE),
            ("/status.js", _) => typed("text/javascript; charset=utf-8", page::SCRIPT),
            _ => text(StatusCode::NOT_FOUND, "here are: /live, /ready, /metrics and /\n"),
        };
        ToCaller::own(response)
    }
}

fn metrics(running: &Running) -> String {
    let mut text = METRICS.get().map(PrometheusHandle::render).unwrap_or_default();
    text.push_str(&latency::heading());
    for live in running.lives() {
        text.push_str(&live.counted.seconds.render(&live.name));
    }
    text
}

fn text(status: StatusCode, text: &'static str) -> Response<Bytes> {
    let mut response = typed("text/plain; charset=utf-8", text);
    *response.status_mut() = status;
    response
}

fn typed(kind: &'static str, content: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(content.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for (name, value) in SECURITY {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
