//! `bootseal login`: logs in to the vendor, and reports the result.

use crate::cli::Login;
use crate::context::Context;
use crate::trust::locate::{self, OpenedFile};
use crate::trust::target::pin_of;
use crate::trust::vouch::vouch_for_use;
use crate::ui::failure::{Exit, Failure, Result};
use crate::ui::output::timestamp;
use bootseal::{Loader, TokenSource};
use bootseal_core::{CanRead, Kind, OpenedValue, Profile, Vault, is_hidden, shell_word};
use serde_json::{Value, json};
use url::Url;

pub(crate) fn run(options: &Login, context: &mut Context<'_>) -> Result<(), Exit> {
    let found = locate::find(context)?;
    let path = found.path.clone();
    log_in(found, options, context).map_err(|done| done.in_file(&path))
}

fn log_in(found: OpenedFile, options: &Login, context: &mut Context<'_>) -> Result<(), Exit> {
    let OpenedFile { path, mut keys, pins, memory, mut file } = found;
    vouch_for_use(&mut file, &memory, &path, context)?;
    // Checked before anything is opened; the error for an unknown name lists the existing ones.
    Profile::read(&file, &options.profile.parse()?)?;
    keys.unlock(&file, context)?;
    let loader = keys
        .identities
        .iter()
        .fold(Loader::exactly(&path), |loader, identity| loader.identity(identity.clone()));
    let vault =
        loader.only_profile(&options.profile)?.pin(&pin_of(&file, &pins).to_string())?.load()?;
    let source = vault.token_source(&options.profile)?;
    // Checked before a login is made.
    let call = options.call.as_deref().map(|text| may_go(&source.profile(), text)).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let working = context.ui.working("logging in");
    let answer = source.token_blocking();
    drop(working);
    match answer {
        Ok(token) => {
            let called = call.map(|url| runtime.block_on(self::call(&source, url))).transpose();
            // The token is not kept, so log out: some vendors limit the number of sessions.
            if source.profile().logout.is_some() && !options.reveal {
                match source.log_out_blocking() {
                    Ok(()) => context.ui.detail("logged out, because the token is not kept"),
                    Err(error) => context.ui.note(format_args!("the logout failed: {error}")),
                }
            }
            let called = called?;
            let document = json!({
                "profile": options.profile, "class": "ok", "status": token.status(),
                "life_seconds": token.lifetime().as_secs(), "expiry_from": token.expiry_from().as_str(),
                "inject": { "header": source.profile().inject[0].0 },
                "claims": token.claims().and_then(|text| serde_json::from_str::<Value>(&text).ok()),
                "retry_after_seconds": null, "call": called.map(|status| json!({ "status": status })),
            });
            say(
                document,
                options
                    .reveal
                    .then(|| token.expose(|bytes| String::from_utf8_lossy(bytes).into_owned())),
                context,
            )
        }
        Err(error) => {
            let class = error.kind().as_str().strip_prefix("login-");
            let Some(class) = class else { return Err(error.into()) };
            let refused = error.kind() == Kind::LoginRefused;
            // The wait time that the vendor asked for, else the backoff of the token source.
            let throttled = error.kind() == Kind::LoginThrottled;
            let held =
                error.retry_after().or_else(|| source.status().held_for.filter(|_| throttled));
            let values = if refused {
                looked_at(&source, &file.open(&keys.identities)?, context.now())
            } else {
                Vec::new()
            };
            if context.ui.style.json {
                context.ui.document(&json!({
                    "profile": options.profile, "class": class, "status": error.status(), "life_seconds": null, "expiry_from": null,
                    "inject": { "header": source.profile().inject[0].0 }, "claims": null,
                    "retry_after_seconds": held.map(|wait| wait.as_secs_f64().ceil() as u64), "call": null,
                    "values": values.iter().map(LookedAt::json).collect::<Vec<_>>(),
                }))?;
            }
            for value in &values {
                context.ui.note(value);
            }
            if let Some(wait) = held.filter(|_| throttled) {
                context.ui.note(format_args!("try again in {} s", wait.as_secs_f64().ceil()));
            }
            Err(here(error, &options.profile).into())
        }
    }
}

/// Replaces the help of the error, which speaks of later attempts and of `bootseal login`.
fn here(error: bootseal::Error, profile: &str) -> Failure {
    let help = match error.kind() {
        Kind::LoginRefused => {
            format!(
                "The vendor refused these credentials. Set the right ones: bootseal set {}.…",
                shell_word(profile)
            )
        }
        Kind::LoginDown => "Check that the vendor is up and reachable from here.".into(),
        Kind::LoginProtocol => format!(
            "[{profile}.login] defines what the response must contain (token, ok_status and others): bootseal edit"
        ),
        _ => return error.into(),
    };
    Failure::from(error).with_other_help(help)
}

/// Checks that the token may be sent to the address of `--call`.
fn may_go(profile: &Profile, text: &str) -> Result<Url> {
    let wrong =
        |what: String| Failure::new(Kind::Usage, format!("--call {what}; nothing was sent"));
    let url = Url::parse(text).map_err(|error| wrong(format!("is not a URL: {error}")))?;
    if profile.allows(&url) {
        return Ok(url);
    }
    let to = url.origin().ascii_serialization();
    Err(wrong(format!("names {to}, to which the token of {} must not be sent", profile.table)).with_help(format!(
        "It may be sent to {}. To allow another host, add it to the profile: [{}.login] hosts = [\"…\"]",
        profile.destinations(),
        profile.table
    )))
}

async fn call(source: &TokenSource, url: Url) -> Result<u16> {
    Ok(source.client().get(url).send().await?.status().as_u16())
}

fn say(mut document: Value, token: Option<String>, context: &mut Context<'_>) -> Result<(), Exit> {
    if context.ui.style.json {
        if let (Some(token), Some(fields)) = (token, document.as_object_mut()) {
            fields.insert("token".into(), json!(token));
        }
        return Ok(context.ui.document(&document)?);
    }
    let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
    context.ui.line(format_args!(
        "{}: logged in, status {}",
        text("profile"),
        document["status"]
    ))?;
    let seconds = document["life_seconds"].as_u64().unwrap_or_default();
    context.ui.line(format_args!(
        "  the token's lifetime is {} (from {}: {})",
        spelled(seconds),
        text("expiry_from"),
        rule(&text("expiry_from"))
    ))?;
    context.ui.line(format_args!(
        "  the token is sent in the header {}",
        document["inject"]["header"].as_str().unwrap_or_default()
    ))?;
    if let Some(claims) = document["claims"].as_object() {
        for (name, value) in claims {
            let date = value
                .as_u64()
                .filter(|_| matches!(name.as_str(), "exp" | "iat" | "nbf"))
                .map_or(String::new(), |at| format!(" ({})", timestamp(at)));
            context.ui.line(format_args!(
                "  claim {}: {}{date}",
                bootseal_core::Shown(name),
                bootseal_core::Shown(&value.to_string())
            ))?;
        }
    }
    if let Some(status) = document["call"]["status"].as_u64() {
        context.ui.line(format_args!("  the response to the call has status {status}"))?;
    }
    if let Some(token) = token {
        context.ui.line(bootseal_core::Shown(&token))?;
    }
    Ok(())
}

/// A sealed value of a refused login, with possible reasons for the refusal: its age, and invisible
/// characters.
struct LookedAt {
    name: String,
    set_at: u64,
    age: u64,
    remarks: Vec<&'static str>,
}

fn looked_at(source: &TokenSource, opened: &Vault<CanRead>, now: u64) -> Vec<LookedAt> {
    let profile = source.profile();
    let mut values = Vec::new();
    for name in profile.value_names() {
        let Ok(path) = profile.table.child(name) else { continue };
        if opened.file().is_sealed(&path) != Some(true) {
            continue;
        }
        if let Ok(OpenedValue { set_at, secret, .. }) = opened.open(&path) {
            let remarks = secret.expose_str(remarks).unwrap_or_else(|_| vec!["is not text"]);
            values.push(LookedAt {
                name: path.to_string(),
                set_at,
                age: now.saturating_sub(set_at),
                remarks,
            });
        }
    }
    values
}

fn remarks(text: &str) -> Vec<&'static str> {
    let blank = |next: Option<char>| next.is_some_and(|next| next == ' ' || next == '\t');
    let unseen = |next: char| is_hidden(next) && !"\n\r\t\u{a0}".contains(next);
    [
        (text.is_empty(), "is empty"),
        (blank(text.chars().next()), "begins with a blank"),
        (blank(text.chars().next_back()), "ends with a blank"),
        (text.ends_with(['\n', '\r']), "ends with a line break"),
        (text.contains('\u{a0}'), "contains a no-break space"),
        (text.chars().any(unseen), "contains an invisible character"),
    ]
    .into_iter()
    .filter_map(|(so, remark)| so.then_some(remark))
    .collect()
}

impl LookedAt {
    fn json(&self) -> Value {
        json!({ "name": self.name, "set_at": timestamp(self.set_at), "remarks": self.remarks })
    }
}

impl std::fmt::Display for LookedAt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} was set {}, {}", self.name, timestamp(self.set_at), ago(self.age))?;
        self.remarks.iter().try_for_each(|remark| write!(f, "; it {remark}"))
    }
}

fn ago(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..60 => return "just now".into(),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
}

/// Formats `899` as `14 min 59 s`.
fn spelled(seconds: u64) -> String {
    let parts = [(seconds / 3600, "h"), (seconds % 3600 / 60, "min"), (seconds % 60, "s")];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count} {unit}"))
        .collect();
    if parts.is_empty() { "0 s".into() } else { parts.join(" ") }
}

/// Explains a value of `expiry_from`.
fn rule(word: &str) -> &'static str {
    match word {
        "jwt" => "the token's own `exp`",
        "json" => "a field of the response",
        "header" => "a header of the response",
        "cookie" => "the cookie's Max-Age or Expires",
        "fixed" => "a fixed lifetime in the profile",
        "on-reject" => "until a call rejects it, as the profile says, or max_age",
        _ => {
            "default_life of the profile, because the response has no lifetime; for the exact one, set `expiry`"
        }
    }
}
