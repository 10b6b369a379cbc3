//! What becomes of one call? Looked at, sent on with the token, answered; or a problem that says whose fault it is.

use crate::call::body::{Broken, Passing, ToCaller, ToUpstream, broke_off};
use crate::framing::strict_stream::Watch;
use crate::route::{ActiveRoute, InFlight};
use crate::rules::callers::{Peer, not_led_here};
use crate::rules::headers::{asks_for_upgrade, is_websocket};
use crate::rules::problem::Problem;
use crate::rules::redact::Mask;
use crate::rules::rewrite;
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

/// A body that is kept for a replay has to come in within this time.
const WHOLE_WITHIN: Duration = Duration::from_secs(60);

/// Where a call came in.
pub(crate) struct CallerInfo {
    pub(crate) peer: Peer,
    /// Only this machine can reach the address, so `Host` names it.
    pub(crate) loopback: bool,
    pub(crate) watch: Arc<Watch>,
    /// Changes, or has no sender any more, when all has to end.
    pub(crate) until: watch::Receiver<()>,
}

/// Answers one call by one of the routes of its address.
pub(crate) async fn response(
    came: &CallerInfo,
    routes: &[Arc<ActiveRoute>],
    request: Box<Request<Incoming>>,
) -> Response<ToCaller> {
    let since = Instant::now();
    let live = match find(routes, &request) {
        Ok(live) => live,
        Err(problem) => {
            metrics::counter!("bootseal_gateway_errors_total", "route" => "", "error" => problem.name).increment(1);
            return ToCaller::own(problem.response(""));
        }
    };
    let response = match pass(came, live, request).await {
        Ok(response) => response,
        Err(problem) => {
            live.counted.failed(&problem);
            ToCaller::own(problem.response(&live.name))
        }
    };
    live.counted.responded(response.status().as_u16(), since);
    response
}

/// The route with the longest prefix that fits.
fn find<'a>(routes: &'a [Arc<ActiveRoute>], request: &Request<Incoming>) -> Result<&'a Arc<ActiveRoute>, Problem> {
    // TRACK is TRACE by another name; and some servers read a method in any case.
    let refused = ["TRACE", "TRACK", "CONNECT"];
    if refused.iter().any(|method| request.method().as_str().eq_ignore_ascii_case(method)) {
        return Err(Problem::method());
    }
    let path = request.uri().path();
    if !path.starts_with('/') {
        return Err(Problem::target("The target is no path."));
    }
    let fits = routes.iter().filter(|live| live.target.is_for(path));
    fits.max_by_key(|live| live.target.prefix().len()).ok_or_else(|| {
        let prefixes: Vec<&str> = routes.iter().map(|live| live.target.prefix()).collect();
        Problem::no_route(path, &prefixes)
    })
}

async fn pass(
    came: &CallerInfo,
    live: &Arc<ActiveRoute>,
    mut request: Box<Request<Incoming>>,
) -> Result<Response<ToCaller>, Problem> {
    if came.loopback {
        not_led_here(request.uri(), request.headers(), live.check.asks_for_key())?;
    }
    live.check.lets(came.peer, request.headers())?;
    let asked = live.target.uri(request.uri()).map_err(Problem::target)?;
    let in_flight = InFlight::of(&live.counted, &came.watch);
    let (named, authority) = (request.headers().get(HOST).cloned(), request.uri().authority().cloned());
    let upgrade = request.version() == Version::HTTP_11 && asks_for_upgrade(request.headers());
    let upgraded = upgrade.then(|| hyper::upgrade::on(&mut *request));
    let client = if upgrade { &live.upgrades } else { &live.client };
    let (parts, body) = request.into_parts();
    let (payload, broken) = payload(live, body).await?;
    let (mut response, token) =
        client.forward(outgoing(live, parts, payload, &asked, upgrade)).await.map_err(|error| {
            match broken.as_ref().and_then(Broken::why) {
                Some(why) => broken_body(why),
                None => Problem::of(&error, || live.source.status().held_for),
            }
        })?;
    let theirs = (response.status() == StatusCode::SWITCHING_PROTOCOLS).then(|| hyper::upgrade::on(&mut response));
    if theirs.is_some() && !(upgrade && is_websocket(response.headers())) {
        return Err(Problem::unasked());
    }
    let mask = Mask::of(token);
    let (parts, body) = response.into_parts();
    let mut headers = parts.headers;
    live.headers.to_caller(&mut headers, theirs.is_some());
    if rewrite::lead_somewhere(&headers) {
        rewrite::rewrite(&live.target, &origin(named, authority), &asked, &mut headers);
    }
    mask.headers(&mut headers);
    let body = match (theirs, upgraded) {
        (Some(theirs), Some(ours)) => {
            join(came, ours, theirs, mask, in_flight);
            ToCaller::Own(None)
        }
        _ => {
            ToCaller::Passing(Box::new(Passing { body, mask, live: live.clone(), _in_flight: in_flight, after: None }))
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = parts.status;
    *response.headers_mut() = headers;
    Ok(response)
}

fn outgoing(live: &ActiveRoute, parts: Parts, payload: Payload, to: &Uri, upgrade: bool) -> Request<Payload> {
    let mut out = Request::new(payload);
    *out.method_mut() = parts.method;
    *out.uri_mut() = to.clone();
    *out.headers_mut() = parts.headers;
    live.headers.to_upstream(out.headers_mut(), upgrade);
    out
}

/// A body up to the route's limit whole, so that it can be sent once more; a longer one, or one of unknown length, as it comes in.
async fn payload(live: &Arc<ActiveRoute>, body: Incoming) -> Result<(Payload, Option<Broken>), Problem> {
    let payload = match body.size_hint().exact() {
        Some(0) => Payload::default(),
        Some(length) if length <= live.route.replay_body_limit as u64 => {
            let whole = Box::pin(tokio::time::timeout(WHOLE_WITHIN, body.collect())).await;
            let whole = whole.map_err(|_| broken_body(&format!("did not come in within {WHOLE_WITHIN:?}")))?;
            let whole = whole.map_err(|error| broken_body(&broke_off(&error)))?;
            let trailers = whole.trailers().cloned();
            match trailers {
                None => Payload::Whole(whole.to_bytes()),
                Some(mut trailers) => {
                    live.headers.trailers_to_upstream(&mut trailers);
                    Payload::Trailed(whole.to_bytes(), trailers)
                }
            }
        }
        _ => {
            let broken = Broken::default();
            let body = reqwest::Body::wrap(ToUpstream::of(body, live, &broken));
            return Ok((Payload::Streamed(body), Some(broken)));
        }
    };
    Ok((payload, None))
}

fn broken_body(why: &str) -> Problem {
    Problem::body(format!("Its body {why}."))
}

/// The gateway as the caller calls it.
fn origin(named: Option<HeaderValue>, authority: Option<Authority>) -> String {
    let named = named.as_ref().and_then(|host| host.to_str().ok());
    let authority = named.or(authority.as_ref().map(Authority::as_str));
    format!("http://{}", authority.unwrap_or("localhost"))
}

/// Two connections that speak another protocol now, until either goes away.
fn join(came: &CallerInfo, ours: OnUpgrade, theirs: OnUpgrade, mask: Mask, in_flight: InFlight) {
    came.watch.upgraded();
    let mut until = came.until.clone();
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
            let _ = tokio::try_join!(up, mask.stream(from_upstream, to_caller));
        };
        tokio::select! {
            () = both => {}
            _ = until.changed() => {}
        }
    });
}
