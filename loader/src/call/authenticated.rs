//! Sends an authenticated call: checks its destination, adds the token, and replays the call once
//! if the response rejects the token. The client and all layers use this module.

use crate::call::outgoing::Outgoing;
use crate::error::{Error, Result};
use crate::login::clock::Moment;
use crate::login::expiry::Lifetime;
use crate::login::outcome::MAX_TOKEN;
use crate::login::parse::cookie;
use crate::login::response::evidence;
use crate::login::transport::LoginResponse;
use crate::token::source::TokenSource;
use crate::token::token::Token;
use bootseal_core::{Kind, Profile, Replay, ResponsePlace, Secret, When};
use bootseal_memory::SecretBuf;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::sync::Arc;
use url::Url;

/// A response of an HTTP library.
pub(crate) trait Incoming: Sized {
    fn status(&self) -> StatusCode;
    fn headers(&self) -> &HeaderMap;
    /// Returns the response unchanged, and whether its body matches `when`; `None` if the body is a
    /// stream that may never end. In that case, `verdict` receives the result once the caller has
    /// read far enough.
    fn matches(
        self,
        when: &When,
        verdict: DeferredVerdict,
    ) -> impl Future<Output = (Self, Option<bool>)> + Send;
    /// Discards an unread response.
    fn discard(self) -> impl Future<Output = ()> + Send;
}

/// Sends requests of one HTTP library.
pub(crate) trait Sender {
    type Request: Outgoing;
    type Response: Incoming;
    type Error: From<Error>;
    /// Sends a request with the token, which replaces the caller's header of the same name. `again`
    /// is the same request, if it may be sent again.
    fn send(
        &mut self,
        request: Self::Request,
        again: Option<&Self::Request>,
        token: &Token,
    ) -> impl Future<Output = std::result::Result<Self::Response, Self::Error>> + Send;
}

/// Sends a call with the token. If the response rejects the token, the source logs in once for all
/// callers, the call is replayed once, and the second response is returned.
pub(crate) async fn call<S: Sender>(
    source: &TokenSource,
    sender: &mut S,
    request: S::Request,
) -> std::result::Result<S::Response, S::Error> {
    // Checked first, so that a forbidden call causes no login.
    let account = source.account();
    allow(&account.profile, &*request.address()?)?;
    let token = source.token().await?;
    let profile = &token.0.account.profile;
    // Checked again with the token's own account, because the file may have changed while we waited
    // for the token.
    if !Arc::ptr_eq(&account, &token.0.account) {
        allow(profile, &*request.address()?)?;
    }
    let again = if may_replay(profile, request.method()) { request.copy() } else { None };
    let verdict = DeferredVerdict::new(source, &token, false);
    let sent = verdict.sent;
    let (response, rejected) =
        judge(profile, sender.send(request, again.as_ref(), &token).await?, verdict).await;
    match rejected {
        Some(true) => {}
        Some(false) => {
            source.accept(&token, sent, response.status(), response.headers());
            return Ok(response);
        }
        None => {
            source.renew(&token, sent, response.status(), response.headers());
            return Ok(response);
        }
    }
    if !source.reject(&token) {
        return Ok(response);
    }
    match again {
        // Boxed because a replay is rare: unboxed, its future would enlarge the future of every
        // call.
        Some(again) => Box::pin(replay(source, sender, again, response)).await,
        None => Ok(response),
    }
}

/// Replays the call with a newer token than the one that `response` rejects.
async fn replay<S: Sender>(
    source: &TokenSource,
    sender: &mut S,
    again: S::Request,
    response: S::Response,
) -> std::result::Result<S::Response, S::Error> {
    let token = source.token().await?;
    let profile = &token.0.account.profile;
    allow(profile, &*again.address()?)?;
    response.discard().await;
    source.count_replay();
    let verdict = DeferredVerdict::new(source, &token, true);
    let sent = verdict.sent;
    let copy = again.copy();
    let response = sender.send(again, copy.as_ref(), &token).await?;
    let (response, rejected) = judge(profile, response, verdict).await;
    match rejected {
        Some(true) => source.replay_rejected(),
        Some(false) => {
            crate::token::metrics::replay(&profile.table, "ok");
            source.accept(&token, sent, response.status(), response.headers());
        }
        None => source.renew(&token, sent, response.status(), response.headers()),
    }
    Ok(response)
}

/// Receives the verdict on the token while the caller reads the streamed body. By then, it is too
/// late for a replay.
pub(crate) struct DeferredVerdict {
    source: TokenSource,
    token: Token,
    /// The time at which the call was sent.
    sent: Moment,
    replayed: bool,
    /// Whether the status shows that the server checked the token.
    looked_at: bool,
}

impl DeferredVerdict {
    fn new(source: &TokenSource, token: &Token, replayed: bool) -> DeferredVerdict {
        DeferredVerdict {
            source: source.clone(),
            token: token.clone(),
            sent: Moment::now(source.clock()),
            replayed,
            looked_at: true,
        }
    }

    pub(crate) fn rejected(self) {
        if self.replayed {
            self.source.replay_rejected();
        } else {
            self.source.reject(&self.token);
        }
    }

    pub(crate) fn accepted(self) {
        if self.looked_at {
            self.source.accepted(&self.token, self.sent.monotonic);
        }
    }
}

/// # Errors
/// [`Kind::Usage`] if the token must not be sent to `url`.
pub(crate) fn allow(profile: &Profile, url: &Url) -> Result<()> {
    if profile.allows(url) {
        return Ok(());
    }
    let text = format!(
        "the token of `{}` must not be sent to {}",
        profile.table,
        url.origin().ascii_serialization()
    );
    Err(Error::new(Kind::Usage, text).with_help(format!(
        "It is sent only to {}. Add another host in the profile: [{}.login] hosts = [\"…\"]",
        profile.destinations(),
        profile.table
    )))
}

fn may_replay(profile: &Profile, method: &Method) -> bool {
    match profile.replay {
        Replay::All => true,
        Replay::Idempotent => method.is_idempotent(),
        Replay::None => false,
    }
}

/// Adds the token to a request of the application's HTTP library, whose buffers then contain it.
pub(crate) fn put_on(token: &Token, headers: &mut HeaderMap) -> Result<()> {
    for (name, text) in &token.0.headers {
        let mut value: HeaderValue = text.expose(HeaderValue::from_bytes).map_err(|_| {
            Error::new(
                Kind::LoginProtocol,
                format!("the token is not valid in the header `{name}`"),
            )
        })?;
        value.set_sensitive(true);
        headers.insert(name.clone(), value);
    }
    Ok(())
}

/// Returns the response and whether it rejects the token; `None` if the verdict depends on a body
/// that is still streaming.
async fn judge<A: Incoming>(
    profile: &Profile,
    response: A,
    mut verdict: DeferredVerdict,
) -> (A, Option<bool>) {
    if is_rejection(profile, response.status(), response.headers()) {
        return (response, Some(true));
    }
    match &profile.rejected_when {
        Some(when) => {
            verdict.looked_at = looked_at(response.status());
            Box::pin(response.matches(when, verdict)).await
        }
        None => (response, Some(false)),
    }
}

/// Whether status and headers mean that the token is no longer valid.
fn is_rejection(profile: &Profile, status: StatusCode, headers: &HeaderMap) -> bool {
    if !profile.rejected_status.contains(&status.as_u16()) {
        return false;
    }
    // The token is valid, but its owner does not have the permission (RFC 6750 §3.1), so another
    // token would not help.
    let challenges = headers.get_all(WWW_AUTHENTICATE);
    !challenges.iter().any(|challenge| {
        String::from_utf8_lossy(challenge.as_bytes()).contains("insufficient_scope")
    })
}

/// Whether the server checked the token. An error from a proxy or an overloaded host does not mean
/// that the token was accepted.
fn looked_at(status: StatusCode) -> bool {
    !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS
}

impl TokenSource {
    fn accept(&self, token: &Token, sent: Moment, status: StatusCode, headers: &HeaderMap) {
        if looked_at(status) {
            self.accepted(token, sent.monotonic);
            self.renew(token, sent, status, headers);
        }
    }

    fn renew(&self, token: &Token, sent: Moment, status: StatusCode, headers: &HeaderMap) {
        let profile = &token.0.account.profile;
        if profile.renew_from_answers
            && looked_at(status)
            && let Some(secret) = newer(&profile.token, headers, self.clock().unix_time())
        {
            let (clock, empty) = (self.clock(), SecretBuf::with_capacity(1).map(SecretBuf::freeze));
            let Ok(body) = empty else { return };
            let response =
                LoginResponse { status: status.as_u16(), headers: headers.clone(), body };
            let lifetime =
                Lifetime::of(profile, &evidence(profile, &secret, &response, clock.unix_time()));
            self.renewed(token, secret, lifetime, sent);
        }
    }
}

/// Returns a newer token from an ordinary response.
fn newer(
    place: &ResponsePlace,
    headers: &HeaderMap,
    unix_time: std::time::Duration,
) -> Option<Secret> {
    let found = match place {
        ResponsePlace::Cookie(name) => {
            let cookie = cookie::named(headers, name, unix_time.as_secs_f64()).ok()??;
            Some(cookie.value).filter(|value| value.expose(cookie::can_carry))
        }
        ResponsePlace::Header(name) => Secret::copy_of(headers.get(name.as_str())?.as_bytes()).ok(),
        _ => None,
    };
    found.filter(|value| {
        (1..=MAX_TOKEN).contains(&value.len())
            && !value.expose(|value| value.iter().any(u8::is_ascii_control))
    })
}
