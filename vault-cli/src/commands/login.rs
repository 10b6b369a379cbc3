//! `bootseal login`: logs in for real, and says what came back.

use crate::cli::{Everywhere, Login};
use crate::exit::{Done, Failure, Result};
use crate::output::{Style, timestamp};
use crate::target::pin_of;
use crate::vaults::Found;
use crate::world::World;
use bootseal::{Loader, TokenSource};
use bootseal_core::{Kind, OpenedValue, Profile, Property, Reader, Vault, is_hidden};
use serde_json::{Value, json};

pub(crate) fn run(options: &Login, everywhere: &Everywhere, style: Style, world: &mut World<'_>) -> Result<(), Done> {
    let Found { path, mut keys, pins, memory, mut file } = world.find(everywhere, style)?;
    // A password goes where the file says: only a file that someone vouches for may say it.
    world.vouch(&mut file, &memory, &path, style)?;
    // Says which profiles there are, before anything is opened.
    Profile::read(&file, &options.profile.parse()?)?;
    world.unlock(&mut keys, &file, everywhere)?;
    if keys.identities.is_empty() {
        return Err(file.open(&[]).map_or_else(Failure::from, |_| no_identity()).into());
    }
    let loader =
        keys.identities.iter().fold(Loader::exactly(&path), |loader, identity| loader.identity(identity.clone()));
    let vault = loader.only_profile(&options.profile)?.pin(&pin_of(&file, &pins).to_string())?.load()?;
    let source = vault.token_source(&options.profile)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let working = world.working(style, "logging in");
    let answer = source.token_blocking();
    drop(working);
    match answer {
        Ok(token) => {
            let call = options.call.as_deref().map(|url| runtime.block_on(call(&source, url))).transpose()?;
            let document = json!({
                "profile": options.profile, "class": "ok", "status": token.status(),
                "life_seconds": token.life().as_secs(), "expiry_from": token.expiry_from().as_str(),
                "inject": { "header": source.profile().inject[0].0 },
                "claims": token.claims().and_then(|text| serde_json::from_str::<Value>(&text).ok()),
                "retry_after_seconds": null, "call": call.map(|status| json!({ "status": status })),
            });
            say(
                document,
                options.reveal.then(|| token.expose(|bytes| String::from_utf8_lossy(bytes).into_owned())),
                style,
                world,
            )
        }
        Err(error) => {
            let class = error.kind().as_str().strip_prefix("login-");
            let Some(class) = class else { return Err(error.into()) };
            if style.json {
                world.document(&json!({
                    "profile": options.profile, "class": class, "status": error.status(), "life_seconds": null, "expiry_from": null,
                    "inject": { "header": source.profile().inject[0].0 }, "claims": null,
                    "retry_after_seconds": error.retry_after().map(|wait| wait.as_secs()), "call": null,
                }))?;
            }
            if error.kind() == Kind::LoginRefused {
                explain(&source, &file.open(&keys.identities)?, style, world);
            }
            Err(error.into())
        }
    }
}

fn no_identity() -> Failure {
    Failure::new(Kind::NoIdentity, "no identity at hand").with_help("Name one: -i FILE")
}

async fn call(source: &TokenSource, url: &str) -> Result<u16> {
    Ok(source.client().get(url).send().await?.status().as_u16())
}

fn say(mut document: Value, token: Option<String>, style: Style, world: &mut World<'_>) -> Result<(), Done> {
    if style.json {
        if let (Some(token), Some(fields)) = (token, document.as_object_mut()) {
            fields.insert("token".into(), json!(token));
        }
        return Ok(world.document(&document)?);
    }
    let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
    world.line(format_args!("{}: logged in, status {}", text("profile"), document["status"]))?;
    world.line(format_args!("  the token lives {} s (told by: {})", document["life_seconds"], text("expiry_from")))?;
    world.line(format_args!(
        "  it is sent as the header {}",
        document["inject"]["header"].as_str().unwrap_or_default()
    ))?;
    if let Some(claims) = document["claims"].as_object() {
        for (name, value) in claims {
            let date = value
                .as_u64()
                .filter(|_| matches!(name.as_str(), "exp" | "iat" | "nbf"))
                .map_or(String::new(), |at| format!(" ({})", timestamp(at)));
            world.line(format_args!(
                "  claim {}: {}{date}",
                bootseal_core::Shown(name),
                bootseal_core::Shown(&value.to_string())
            ))?;
        }
    }
    if let Some(status) = document["call"]["status"].as_u64() {
        world.line(format_args!("  the call was answered {status}"))?;
    }
    if let Some(token) = token {
        world.line(bootseal_core::Shown(&token))?;
    }
    Ok(())
}

/// What about the refused values may be the reason: their age, and what nobody sees in them.
fn explain(source: &TokenSource, opened: &Vault<Reader>, style: Style, world: &mut World<'_>) {
    let profile = source.profile();
    for name in profile.names() {
        let Ok(path) = profile.table.child(name) else { continue };
        if !matches!(opened.file().property(&path), Some(Property::Sealed(_))) {
            continue;
        }
        if let Ok(OpenedValue { set_at, secret, .. }) = opened.open(&path) {
            let unseen = secret.expose_str(|text| text.chars().any(is_hidden) || text.trim() != text).unwrap_or(true);
            let unseen = if unseen { "; it begins or ends in a blank, or holds an invisible character" } else { "" };
            world.note(style, format_args!("{path} was given {}{unseen}", timestamp(set_at)));
        }
    }
}
