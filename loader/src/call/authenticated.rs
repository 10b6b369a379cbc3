//! How does one call go with a token? Where it may go, how it is put on, what the answer says of it, and the one replay. Client and layers
//! stand on it.

use crate::error::{Error, Result};
use crate::login::clock::Moment;
use crate::login::expiry::Lifetime;
use crate::login::parse::cookie;
use crate::login::response::evidence;
use crate::login::transport::LoginResponse;
use crate::token::source::TokenSource;
use crate::token::token::Token;
use bootseal_core::{Kind, Profile, Replay, ResponsePlace, Secret, When};
use bootseal_memory::SecretBuf;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::borrow::Cow;
use std::sync::Arc;
use url::Url;

/// A request of an HTTP library.
pub(crate) trait Outgoing: Sized {
    /// # Errors
    /// Where it has no whole address.
    fn address(&self) -> Result<Cow<'_, Url>>;
    fn method(&self) -> &Method;
    /// The same once more; `None` where its body can be sent only once.
    fn copy(&self) -> Option<Self>;
}

/// What a library gives for its answer.
pub(crate) trait Incoming: Sized {
    fn status(&self) -> StatusCode;
    fn headers(&self) -> &HeaderMap;
    /// Whether the body says what `when` says; and the answer as it was. Where that is not known without waiting for a body that may never
    /// end, `None`: then `late` is told, once whoever reads the body has come so far.
    fn says(self, when: &When, late: DeferredVerdict) -> impl Future<Output = (Self, Option<bool>)> + Send;
    /// Nobody reads it.
    fn leave(self) -> impl Future<Output = ()> + Send;
}

/// What sends a request of one library.
pub(crate) trait Sender {
    type Request: Outgoing;
    type Response: Incoming;
    type Error: From<Error>;
    /// Sends a request with the token on it, in place of what the caller may have put there.
    fn send(
        &mut self,
        request: Self::Request,
        token: &Token,
    ) -> impl Future<Output = std::result::Result<Self::Response, Self::Error>> + Send;
}

/// A call with the token; where the answer rejects it, one login for all and one more call. The second answer is the caller's.
pub(crate) async fn call<S: Sender>(
    source: &TokenSource,
    sender: &mut S,
    request: S::Request,
) -> std::result::Result<S::Response, S::Error> {
    // Before a login is made for a call that may not be.
    let account = source.account();
    allow(&account.profile, &*request.address()?)?;
    let token = source.token().await?;
    let profile = &token.0.account.profile;
    // By the account that the token was made with: the file may have changed while we waited for it.
    if !Arc::ptr_eq(&account, &token.0.account) {
        allow(profile, &*request.address()?)?;
    }
    let again = if may_replay(profile, request.method()) { request.copy() } else { None };
    let late = DeferredVerdict::new(source, &token, false);
    let sent = late.sent;
    let (response, rejected) = look(profile, sender.send(request, &token).await?, late).await;
    match rejected {
        Some(true) => {}
        Some(false) => {
            source.took(&token, sent, response.status(), response.headers());
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
        // On the heap, as what is rare: room for it would be made, and moved, for each call.
        Some(again) => Box::pin(replay(source, sender, again, response)).await,
        None => Ok(response),
    }
}

/// The call once more, with another token than the one that `response` rejects.
async fn replay<S: Sender>(
    source: &TokenSource,
    sender: &mut S,
    again: S::Request,
    response: S::Response,
) -> std::result::Result<S::Response, S::Error> {
    let token = source.token().await?;
    let profile = &token.0.account.profile;
    allow(profile, &*again.address()?)?;
    response.leave().await;
    source.count_replay();
    let late = DeferredVerdict::new(source, &token, true);
    let sent = late.sent;
    let (response, rejected) = look(profile, sender.send(again, &token).await?, late).await;
    match rejected {
        Some(true) => source.replay_rejected(),
        Some(false) => {
            crate::token::metrics::replay(&profile.table, "ok");
            source.took(&token, sent, response.status(), response.headers());
        }
        None => source.renew(&token, sent, response.status(), response.headers()),
    }
    Ok(response)
}

/// Who is told what an answer says of its token after the answer was handed on: too late for a replay, as with a streamed body.
pub(crate) struct DeferredVerdict {
    source: TokenSource,
    token: Token,
    /// When the call was.
    sent: Moment,
    replayed: bool,
    /// The status does not say that the token was not looked at.
    took: bool,
}

impl DeferredVerdict {
    fn new(source: &TokenSource, token: &Token, replayed: bool) -> DeferredVerdict {
        DeferredVerdict {
            source: source.clone(),
            token: token.clone(),
            sent: Moment::now(source.clock()),
            replayed,
            took: true,
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
        if self.took {
            self.source.accepted(&self.token, self.sent.monotonic);
        }
    }
}

/// An error where the token may not go to `url`.
pub(crate) fn allow(profile: &Profile, url: &Url) -> Result<()> {
    if profile.allows(url) {
        return Ok(());
    }
    let text = format!("the token of `{}` may not go to {}", profile.table, url.origin().ascii_serialization());
    Err(Error::new(Kind::Usage, text).with_help(format!(
        "It goes to {} over TLS. Another host is added in the profile: [{}.login] hosts = [\"…\"]",
        profile.hosts_display(),
        profile.table
    )))
}

/// An error where a `reqwest::Client` of the application's own would carry the token to where a redirect points: of what goes to another
/// host it takes these two headers away, and no other. `told`: it was built with our redirect policy.
pub(crate) fn stays_on_redirects(source: &TokenSource, told: bool) -> Result<()> {
    let account = source.account();
    let stays = |(name, _): &(String, _)| ["authorization", "cookie"].contains(&name.to_ascii_lowercase().as_str());
    if told || account.profile.inject.iter().all(stays) {
        return Ok(());
    }
    let table = &account.profile.table;
    let text =
        format!("a redirect could take the token of `{table}` to another host, for reqwest leaves its header on");
    Err(Error::new(Kind::Usage, text).with_help(
        "Build the reqwest::Client with .redirect(source.redirect_policy()), and say so: .with_redirect_policy()",
    ))
}

fn may_replay(profile: &Profile, method: &Method) -> bool {
    match profile.replay {
        Replay::All => true,
        Replay::Idempotent => method.is_idempotent(),
        Replay::None => false,
    }
}

/// For an HTTP library that is not ours: then its buffers hold the token.
pub(crate) fn put_on(token: &Token, headers: &mut HeaderMap) -> Result<()> {
    for (name, text) in &token.0.headers {
        let mut value: HeaderValue = text
            .expose(HeaderValue::from_bytes)
            .map_err(|_| Error::new(Kind::LoginProtocol, format!("the token holds what the header `{name}` cannot")))?;
        value.set_sensitive(true);
        headers.insert(name.clone(), value);
    }
    Ok(())
}

/// The answer, and whether it rejects the token.
async fn look<A: Incoming>(profile: &Profile, response: A, mut late: DeferredVerdict) -> (A, Option<bool>) {
    if is_rejection(profile, response.status(), response.headers()) {
        return (response, Some(true));
    }
    match &profile.rejected_when {
        Some(when) => {
            late.took = took(response.status());
            Box::pin(response.says(when, late)).await
        }
        None => (response, Some(false)),
    }
}

/// Whether status and headers say that the token is no longer good.
fn is_rejection(profile: &Profile, status: StatusCode, headers: &HeaderMap) -> bool {
    if !profile.rejected_status.contains(&status.as_u16()) {
        return false;
    }
    // A good token whose owner may not do this (RFC 6750 §3.1): another one would not help.
    let challenges = headers.get_all(WWW_AUTHENTICATE);
    !challenges.iter().any(|challenge| String::from_utf8_lossy(challenge.as_bytes()).contains("insufficient_scope"))
}

/// An answer from a proxy or an overloaded host does not mean that the token was taken.
fn took(status: StatusCode) -> bool {
    !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS
}

impl TokenSource {
    fn took(&self, token: &Token, sent: Moment, status: StatusCode, headers: &HeaderMap) {
        if took(status) {
            self.accepted(token, sent.monotonic);
            self.renew(token, sent, status, headers);
        }
    }

    fn renew(&self, token: &Token, sent: Moment, status: StatusCode, headers: &HeaderMap) {
        let profile = &token.0.account.profile;
        if profile.renew_from_answers
            && took(status)
            && let Some(secret) = newer(&profile.token, headers, self.clock().unix_time())
        {
            let (clock, empty) = (self.clock(), SecretBuf::with_capacity(1).map(SecretBuf::freeze));
            let Ok(body) = empty else { return };
            let response = LoginResponse { status: status.as_u16(), headers: headers.clone(), body };
            let lifetime = Lifetime::of(profile, &evidence(profile, &secret, &response, clock.unix_time()));
            self.renewed(token, secret, lifetime, sent);
        }
    }
}

/// A newer token in an ordinary answer.
fn newer(place: &ResponsePlace, headers: &HeaderMap, unix_time: std::time::Duration) -> Option<Secret> {
    let found = match place {
        ResponsePlace::Cookie(name) => {
            let cookie = cookie::named(headers, name, unix_time.as_secs_f64()).ok()??;
            Some(cookie.value).filter(|value| value.expose(cookie::can_carry))
        }
        ResponsePlace::Header(name) => Secret::copy_of(headers.get(name.as_str())?.as_bytes()).ok(),
        _ => None,
    };
    found.filter(|value| !value.is_empty() && !value.expose(|value| value.iter().any(u8::is_ascii_control)))
}
