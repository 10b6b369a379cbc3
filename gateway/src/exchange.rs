//! What becomes of one call? Looked at, sent on with the token, answered; or a problem that says whose fault it is.

use crate::body::{Answer, Passing, ToUpstream};
use crate::callers::{Peer, not_led_here};
use crate::headers::asks_for_upgrade;
use crate::links;
use crate::live::{InFlight, Live};
use crate::mask::Mask;
use crate::problem::Problem;
use crate::strict::Watch;
use bootseal::{Payload, Token};
use http::header::HOST;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A body that is kept for a replay has to come in within this time.
const WHOLE_WITHIN: Duration = Duration::from_secs(60);

/// Where a call came in.
pub(crate) struct Came {
    pub(crate) peer: Peer,
    /// Only this machine can reach the address, so `Host` names it.
    pub(crate) loopback: bool,
    pub(crate) watch: Arc<Watch>,
}

/// Answers one call by one of the routes of its address.
pub(crate) async fn answer(came: &Came, routes: &[Arc<Live>], request: Request<Incoming>) -> Response<Answer> {
    let since = Instant::now();
    let live = match find(routes, &request) {
        Ok(live) => live,
        Err(problem) => return Answer::own(problem.answer("")),
    };
    let answer = match pass(came, live, request).await {
        Ok(answer) => answer,
        Err(problem) => {
            live.counted.failed(&problem);
            Answer::own(problem.answer(&live.name))
        }
    };
    live.counted.answered(answer.status().as_u16(), since);
    answer
}

/// The route with the longest prefix that fits.
fn find<'a>(routes: &'a [Arc<Live>], request: &Request<Incoming>) -> Result<&'a Arc<Live>, Problem> {
    if [Method::TRACE, Method::CONNECT].contains(request.method()) {
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

async fn pass(came: &Came, live: &Arc<Live>, mut request: Request<Incoming>) -> Result<Response<Answer>, Problem> {
    if came.loopback {
        not_led_here(request.uri(), request.headers(), live.check.asks_for_key())?;
    }
    live.check.lets(came.peer, request.headers())?;
    let asked = live.target.uri(request.uri()).map_err(Problem::target)?;
    let in_flight = InFlight::of(&live.counted, &came.watch);
    let origin = origin(request.uri(), request.headers());
    let upgrade = request.version() == Version::HTTP_11 && asks_for_upgrade(request.headers());
    let upgraded = upgrade.then(|| hyper::upgrade::on(&mut request));
    let client = if upgrade { &live.upgrades } else { &live.client };
    let (parts, body) = request.into_parts();
    let mut out = Request::new(payload(live, body).await?);
    *out.method_mut() = parts.method;
    *out.uri_mut() = asked.clone();
    *out.headers_mut() = parts.headers;
    live.headers.to_upstream(out.headers_mut(), upgrade);
    let mut answer =
        client.forward(out).await.map_err(|error| Problem::of(&error, || live.source.status().held_for))?;
    let Some(token) = answer.extensions_mut().remove::<Token>() else {
        return Err(Problem::body("The call went without a token.".into()));
    };
    let theirs = (answer.status() == StatusCode::SWITCHING_PROTOCOLS).then(|| hyper::upgrade::on(&mut answer));
    let mask = Mask::of(token);
    let (parts, body) = answer.into_parts();
    let mut headers = parts.headers;
    live.headers.to_caller(&mut headers, theirs.is_some());
    links::rewrite(&live.target, &origin, &asked, &mut headers);
    mask.headers(&mut headers);
    let body = match (theirs, upgraded) {
        (Some(theirs), Some(ours)) => {
            join(came.watch.clone(), ours, theirs, in_flight);
            Answer::Own(None)
        }
        _ => Answer::Passing(Box::new(Passing { body, mask, live: live.clone(), _in_flight: in_flight, after: None })),
    };
    let mut answer = Response::new(body);
    *answer.status_mut() = parts.status;
    *answer.headers_mut() = headers;
    Ok(answer)
}

/// A body up to the route's limit whole, so that it can be sent once more; a longer one, or one of unknown length, as it comes in.
async fn payload(live: &Arc<Live>, body: Incoming) -> Result<Payload, Problem> {
    match body.size_hint().exact() {
        Some(0) => Ok(Payload::default()),
        Some(length) if length <= live.route.replay_body_limit as u64 => {
            let whole = tokio::time::timeout(WHOLE_WITHIN, body.collect()).await;
            let whole =
                whole.map_err(|_| Problem::body(format!("Its body did not come in within {WHOLE_WITHIN:?}.")))?;
            let whole = whole.map_err(|error| Problem::body(format!("Its body broke off: {error}")))?;
            let trailers = whole.trailers().cloned();
            Ok(match trailers {
                None => Payload::Whole(whole.to_bytes()),
                Some(mut trailers) => {
                    live.headers.trailers_to_upstream(&mut trailers);
                    Payload::Trailed(whole.to_bytes(), trailers)
                }
            })
        }
        _ => Ok(Payload::Streamed(reqwest::Body::wrap(ToUpstream { body, live: live.clone() }))),
    }
}

/// The gateway as the caller calls it.
fn origin(uri: &Uri, headers: &HeaderMap) -> String {
    let named = headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority = named.or(uri.authority().map(|authority| authority.as_str()));
    format!("http://{}", authority.unwrap_or("localhost"))
}

/// Two connections that speak another protocol now.
fn join(watch: Arc<Watch>, ours: hyper::upgrade::OnUpgrade, theirs: hyper::upgrade::OnUpgrade, in_flight: InFlight) {
    watch.upgraded();
    tokio::spawn(async move {
        let _in_flight = in_flight;
        let (Ok(ours), Ok(theirs)) = tokio::join!(ours, theirs) else { return };
        let (mut ours, mut theirs) = (TokioIo::new(ours), TokioIo::new(theirs));
        // Either end may go away at any time.
        let _ = tokio::io::copy_bidirectional(&mut ours, &mut theirs).await;
    });
}
