//! The endpoints of the admin address: `/live`, `/ready`, `/metrics`, and the status page at `/`.

use crate::admin::page;
use crate::call::body::ToCaller;
use crate::call::forward::CallerInfo;
use crate::rules::callers::refuse_foreign_page;
use crate::rules::problem::Problem;
use crate::server::listener::Handler;
use crate::server::table::Running;
use crate::stats::latency;
use bootseal::Result;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use metrics_exporter_prometheus::PrometheusHandle;
use std::sync::{Arc, Weak};

const SECURITY: [(HeaderName, &str); 3] = [
    (
        http::header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    (http::header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (http::header::REFERRER_POLICY, "no-referrer"),
];

/// Applies the loaded file: first its routes, then the admin address, which shows them.
///
/// # Errors
/// If a route cannot be created; nothing changes then.
pub(crate) fn apply(running: &Arc<Running>, metrics: &PrometheusHandle) -> Result<()> {
    running.apply()?;
    running
        .serve_admin(Arc::new(Admin { running: Arc::downgrade(running), metrics: metrics.clone() }))
}

/// The handler of the admin address.
struct Admin {
    /// `Weak`, because the running gateway owns the task that owns this handler.
    running: Weak<Running>,
    metrics: PrometheusHandle,
}

impl Handler for Admin {
    async fn handle(
        self: Arc<Self>,
        caller: Arc<CallerInfo>,
        request: Box<Request<Incoming>>,
    ) -> Response<ToCaller> {
        if caller.loopback
            && let Err(problem) = refuse_foreign_page(request.uri(), request.headers(), false)
        {
            return ToCaller::own(problem.response(""));
        }
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            return ToCaller::own(Problem::method().response(""));
        }
        let response = match (request.uri().path(), self.running.upgrade()) {
            (_, None) => text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
            ("/live", _) => text(StatusCode::OK, "live\n"),
            ("/ready", Some(running)) if running.places().are_short() => text(
                StatusCode::SERVICE_UNAVAILABLE,
                "not ready: no place for another connection\n",
            ),
            ("/ready", Some(running)) if running.is_ready() => text(StatusCode::OK, "ready\n"),
            ("/ready", _) => text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
            ("/metrics", Some(running)) => {
                typed("text/plain; version=0.0.4; charset=utf-8", self.render_metrics(&running))
            }
            ("/", Some(running)) => typed("text/html; charset=utf-8", page::render(&running)),
            ("/status.css", _) => typed("text/css; charset=utf-8", page::STYLE),
            ("/status.js", _) => typed("text/javascript; charset=utf-8", page::SCRIPT),
            _ => text(
                StatusCode::NOT_FOUND,
                "not found; this address serves /live, /ready, /metrics and /\n",
            ),
        };
        ToCaller::own(response)
    }
}

impl Admin {
    fn render_metrics(&self, running: &Running) -> String {
        let mut text = self.metrics.render();
        text.push_str(&latency::heading());
        for route in running.active_routes() {
            text.push_str(&route.stats.latency.render(&route.name));
        }
        text
    }
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
