//! `bootseal vendor`: is the vendor of a profile, on this machine.

use crate::cli::{Everywhere, Vendor};
use crate::context::World;
use crate::trust::locate::OpenedFile;
use crate::ui::failure::{Exit, Failure, Result};
use crate::ui::output::Style;
use bootseal_core::{Kind, Profile, Shown};
use bootseal_vendor_sim::{Behaviour, Imitation, Served};
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

enum Event {
    Served(Served),
    Over,
}

pub(crate) fn run(options: &Vendor, everywhere: &Everywhere, style: Style, world: &mut World<'_>) -> Result<(), Exit> {
    let OpenedFile { path, file, .. } = world.find(everywhere, style)?;
    let profile = Profile::read(&file, &options.profile.parse()?)?;
    let (sender, events) = channel();
    let told = sender.clone();
    let behaviour = Behaviour {
        lifetime: options.life,
        revoke_every: options.revoke_every,
        refuse: options.refuse,
        down: options.down,
        slow: options.slow.unwrap_or_default(),
        listener: Some(Arc::new(move |served| drop(told.send(Event::Served(served))))),
    };
    let address = address(&profile, options.port);
    let vendor = Imitation::start(&profile, address, behaviour).map_err(|error| {
        Failure::new(Kind::Io, format!("{address} cannot be had: {error}"))
            .with_help("Another port: --port PORT; a free one: --port 0")
    })?;
    end_on_interrupt(sender)?;
    // Said last, for whoever waits for it.
    world.note(style, how_to_use(&profile, &path, everywhere, &vendor));
    let document = json!({ "profile": options.profile, "url": vendor.origin() });
    world.answer(style, &document, vendor.origin())?;
    world.stdout.flush()?;
    for event in events {
        match event {
            Event::Over => break,
            Event::Served(served) => say(&served, style, world),
        }
    }
    world.note(style, "the vendor is gone");
    Ok(())
}

/// Where the profile itself says, if that is this machine in clear: then nothing has to be changed to use it.
fn address(profile: &Profile, port: Option<u16>) -> SocketAddr {
    let url = profile.login.url.base();
    let own = match url.host() {
        Some(url::Host::Ipv4(ip)) if ip.is_loopback() => Some(IpAddr::V4(ip)),
        Some(url::Host::Ipv6(ip)) if ip.is_loopback() => Some(IpAddr::V6(ip)),
        _ => None,
    };
    let own = own.filter(|_| url.scheme() == "http").zip(url.port_or_known_default());
    match (own, port) {
        (Some((ip, own)), port) => (ip, port.unwrap_or(own)).into(),
        (None, port) => (Ipv4Addr::LOCALHOST, port.unwrap_or(0)).into(),
    }
}

fn how_to_use(profile: &Profile, path: &Path, everywhere: &Everywhere, vendor: &Imitation) -> String {
    let (name, origin) = (&profile.table, vendor.origin());
    let file = Shown(&path.to_string_lossy()).to_string();
    let here = profile.login.url.base().origin().ascii_serialization() == origin;
    let head = format!(
        "a vendor made up from the profile {name} answers at {origin} until Ctrl-C; every user and password is let in"
    );
    let option = if everywhere.file.is_empty() { String::new() } else { format!(" -f {file}") };
    let how = match here {
        true => format!(
            "Try:    bootseal login {name}{option}\n  A call: bootseal login {name}{option} --call {origin}/orders"
        ),
        false => format!(
            "The profile in {file} goes elsewhere. For one that comes here, in a vault of your own:\n    \
             bootseal init -f dev.sealed.toml\n    \
             bootseal profile {name} --from {file} --url {origin} -f dev.sealed.toml   (any user and password)\n    \
             bootseal login {name} -f dev.sealed.toml"
        ),
    };
    format!("{head}.\n  {how}")
}

fn say(served: &Served, style: Style, world: &mut World<'_>) {
    let Served { method, path, status, what, .. } = served;
    let (path, what) = (Shown(path), Shown(what));
    let line = match style.json {
        true => json!({ "method": method, "path": path.to_string(), "status": status, "what": what.to_string() })
            .to_string(),
        false => format!("{method} {path} {status} {what}"),
    };
    // Whoever watched may have gone; the vendor goes on for whoever calls it.
    let _ = writeln!(world.stderr, "{line}");
}

/// In force when it returns: whoever sees the address may end the vendor at once.
fn end_on_interrupt(sender: Sender<Event>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut interrupt = {
        let _inside = runtime.enter();
        interrupt()?
    };
    std::thread::Builder::new().name("bootseal-interrupt".into()).spawn(move || {
        runtime.block_on(interrupt.recv());
        let _ = sender.send(Event::Over);
    })?;
    Ok(())
}

#[cfg(unix)]
fn interrupt() -> std::io::Result<tokio::signal::unix::Signal> {
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())
}

#[cfg(windows)]
fn interrupt() -> std::io::Result<tokio::signal::windows::CtrlC> {
    tokio::signal::windows::ctrl_c()
}
