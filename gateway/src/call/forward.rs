//! Forwarding of one call: it is checked, sent with the token, and answered with the response or
//! with a problem document.

use crate::call::body::{
    Reader, RelayedBody, TOO_MANY_TRAILERS, ToCaller, ToUpstream, UploadFailure, broke_off,
};
use crate::call::caller_body::CallerBody;
use crate::framing::connection_state::ConnectionState;
use crate::framing::machine::Limits;
use crate::route::{ActiveRoute, InFlight};
use crate::rules::callers::{Peer, refuse_foreign_page};
use crate::rules::headers::{asks_for_upgrade, is_websocket};
use crate::rules::problem::Problem;
use crate::rules::redact::Redactor;
use crate::rules::rewrite;
use crate::upstream_slots::UpstreamSlots;
use bootseal::Payload;
use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;

/// The time limit for receiving a body that is buffered for a replay.
const BUFFER_TIMEOUT: Duration = Duration::from_secs(60);

/// The facts about a caller's connection.
pub(crate) struct CallerInfo {
    pub(crate) peer: Peer,
    /// Whether the address is loopback: then only this machine reaches it, and `Host` must name
    /// this machine.
    pub(crate) loopback: bool,
    pub(crate) connection: Arc<ConnectionState>,
    pub(crate) upstreams: Arc<UpstreamSlots>,
    /// Its sender is dropped when every connection must end.
    pub(crate) until: watch::Receiver<()>,
}

/// Answers one call through the route of its address whose prefix matches.
pub(crate) async fn response(
    caller: &CallerInfo,
    routes: &[Arc<ActiveRoute>],
    request: Box<Request<Incoming>>,
) -> Response<ToCaller> {
    let since = Instant::now();
    let (parts, body) = request.into_parts();
    let body = CallerBody::of(&parts, body);
    let unread = body.unread();
    let own = |problem: &Problem, route: &str| {
        let mut response = ToCaller::own(problem.response(route));
        unread.announce_close(response.headers_mut());
        response
    };
    let request = Request::from_parts(parts, ());
    let route = match find(routes, &request) {
        Ok(route) => route,
        Err(problem) => {
            metrics::counter!("bootseal_gateway_errors_total", "route" => "", "error" => problem.name).increment(1);
            return own(&problem, "");
        }
    };
    let response = match forward(caller, route, request, body).await {
        Ok(response) => response,
        Err(problem) => {
            route.stats.failed(&problem);
            own(&problem, &route.name)
        }
    };
    route.stats.responded(response.status().as_u16(), since);
    response
}

/// Finds the route with the longest prefix that matches.
fn find<'a>(
    routes: &'a [Arc<ActiveRoute>],
    request: &Request<()>,
) -> Result<&'a Arc<ActiveRoute>, Problem> {
    // TRACK is another name for TRACE; and some servers ignore the case of a method.
    let refused = ["TRACE", "TRACK", "CONNECT"];
    if refused.iter().any(|method| request.method().as_str().eq_ignore_ascii_case(method)) {
        return Err(Problem::method());
    }
    let path = request.uri().path();
    if !path.starts_with('/') {
        return Err(Problem::target("The target is not a path."));
    }
    let matching = routes.iter().filter(|route| route.target.matches(path));
    matching.max_by_key(|route| route.target.prefix().len()).ok_or_else(|| {
        let prefixes: Vec<&str> = routes.iter().map(|route| route.target.prefix()).collect();
        Problem::no_route(path, &prefixes)
    })
}

async fn forward(
    caller: &CallerInfo,
    route: &Arc<ActiveRoute>,
    mut request: Request<()>,
    body: CallerBody,
) -> Result<Response<ToCaller>, Problem> {
    if caller.loopback {
        refuse_foreign_page(request.uri(), request.headers(), route.check.asks_for_key())?;
    }
    route.check.authorize(caller.peer, request.headers())?;
    let uri = route.target.uri(request.uri()).map_err(Problem::target)?;
    let upgrade = request.version() == Version::HTTP_11 && asks_for_upgrade(request.headers());
    let multiplexed = route.is_multiplexed() && !upgrade;
    let slot = caller.upstreams.take(multiplexed).ok_or_else(Problem::overloaded)?;
    let in_flight = InFlight::of(&route.stats, &caller.connection, slot);
    let (host, authority) =
        (request.headers().get(HOST).cloned(), request.uri().authority().cloned());
    let upgraded = upgrade.then(|| hyper::upgrade::on(&mut request));
    let client = if upgrade { &route.upgrade_client } else { &route.client };
    let http2 = request.version() == Version::HTTP_2;
    let (parts, ()) = request.into_parts();
    let (payload, upload_failure) = payload(route, body).await?;
    let (mut response, token) = client
        .forward(to_upstream(route, parts, payload, &uri, upgrade))
        .await
        .map_err(|error| {
            // If the caller's body ended early, the upstream is not at fault.
            match upload_failure.as_ref().and_then(UploadFailure::why) {
                Some(why) => incomplete_body(why),
                None => Problem::from_error(&error, || route.source.status().held_for),
            }
        })?;
    if !upgrade {
        route.set_multiplexed(response.version() == Version::HTTP_2);
    }
    let theirs = (response.status() == StatusCode::SWITCHING_PROTOCOLS)
        .then(|| hyper::upgrade::on(&mut response));
    if theirs.is_some() && !(upgrade && is_websocket(response.headers())) {
        return Err(Problem::unexpected_upgrade());
    }
    let redactor = Redactor::of(token);
    let (parts, body) = response.into_parts();
    let mut headers = parts.headers;
    route.headers.to_caller(&mut headers, theirs.is_some());
    if rewrite::has_links(&headers) {
        rewrite::rewrite(&route.target, &origin(host, authority), &uri, &mut headers);
    }
    redactor.headers(&mut headers);
    let body = match (theirs, upgraded) {
        (Some(theirs), Some(ours)) => {
            relay_upgraded(caller, ours, theirs, redactor, in_flight);
            ToCaller::Own(None)
        }
        _ => ToCaller::Relayed(Box::new(RelayedBody {
            body,
            redactor,
            route: route.clone(),
            _in_flight: in_flight,
            after: None,
            reader: Reader::of(&caller.connection, http2),
        })),
    };
    let mut response = Response::new(body);
    *response.status_mut() = parts.status;
    *response.headers_mut() = headers;
    Ok(response)
}

fn to_upstream(
    route: &ActiveRoute,
    parts: Parts,
    payload: Payload,
    uri: &Uri,
    upgrade: bool,
) -> Request<Payload> {
    let mut out = Request::new(payload);
    *out.method_mut() = parts.method;
    *out.uri_mut() = uri.clone();
    *out.headers_mut() = parts.headers;
    route.headers.to_upstream(out.headers_mut(), upgrade);
    out
}

/// Buffers a body up to the route's limit, so that it can be sent again after a rejected token; a
/// longer one, or one of unknown length, is streamed.
async fn payload(
    route: &Arc<ActiveRoute>,
    body: CallerBody,
) -> Result<(Payload, Option<UploadFailure>), Problem> {
    let payload = match body.size_hint().exact() {
        Some(0) => Payload::default(),
        Some(length) if length <= route.config.replay_body_limit as u64 => {
            let whole = Box::pin(tokio::time::timeout(BUFFER_TIMEOUT, body.collect())).await;
            let whole = whole.map_err(|_| {
                incomplete_body(&format!("did not arrive within {BUFFER_TIMEOUT:?}"))
            })?;
            let whole = whole.map_err(|error| incomplete_body(&broke_off(&error)))?;
            let trailers = whole.trailers().cloned();
            match trailers {
                None => Payload::Whole(whole.to_bytes()),
                Some(trailers) if trailers.len() > Limits::default().headers => {
                    return Err(incomplete_body(TOO_MANY_TRAILERS));
                }
                Some(mut trailers) => {
                    route.headers.trailers_to_upstream(&mut trailers);
                    Payload::Trailed(whole.to_bytes(), trailers)
                }
            }
        }
        _ => {
            let failure = UploadFailure::default();
            let body = reqwest::Body::wrap(ToUpstream::of(body, route, &failure));
            return Ok((Payload::Streamed(body), Some(failure)));
        }
    };
    Ok((payload, None))
}

fn incomplete_body(why: &str) -> Problem {
    Problem::body(format!("The body of the call {why}."))
}

/// Returns the gateway's origin as this caller addressed it.
fn origin(host: Option<HeaderValue>, authority: Option<Authority>) -> String {
    let host = host.as_ref().and_then(|host| host.to_str().ok());
    let authority = host.or(authority.as_ref().map(Authority::as_str));
    format!("http://{}", authority.unwrap_or("localhost"))
}

/// Relays between two upgraded connections until one of them ends, or the address is closed. Only
/// the data from the upstream is redacted.
fn relay_upgraded(
    caller: &CallerInfo,
    ours: OnUpgrade,
    theirs: OnUpgrade,
    redactor: Redactor,
    in_flight: InFlight,
) {
    caller.connection.set_upgraded();
    let mut until = caller.until.clone();
    tokio::spawn(async move {
        let _in_flight = in_flight;
        let both = async {
            let (Ok(ours), Ok(theirs)) = tokio::join!(ours, theirs) else { return };
            let (mut from_caller, to_caller) = tokio::io::split(TokioIo::new(ours));
            let (from_upstream, mut to_upstream) = tokio::io::split(TokioIo::new(theirs));
            let up = async {
                tokio::io::copy(&mut from_caller, &mut to_upstream).await?;
                to_upstream.shutdown().await
            };
            let _ = tokio::try_join!(up, redactor.stream(from_upstream, to_caller));
        };
        tokio::select! {
            () = both => {}
            _ = until.changed() => {}
        }
    });
}
