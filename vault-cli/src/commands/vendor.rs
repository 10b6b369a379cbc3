//! `bootseal vendor`: simulates a profile's vendor on this machine.

use crate::cli::Vendor;
use crate::context::Context;
use crate::trust::locate::{self, OpenedFile};
use crate::trust::vouch::vouch_for_use;
use crate::ui::failure::{Exit, Failure, Result};
use bootseal_core::{Kind, Profile, Shown, shell_path, shell_word};
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

pub(crate) fn run(options: &Vendor, context: &mut Context<'_>) -> Result<(), Exit> {
    let OpenedFile { path, memory, mut file, .. } = locate::find(context)?;
    vouch_for_use(&mut file, &memory, &path, context)?;
    let profile = Profile::read(&file, &options.profile.parse()?)?;
    let (sender, events) = channel();
    let served = sender.clone();
    let behaviour = Behaviour {
        lifetime: options.life,
        revoke_every: options.revoke_every,
        refuse: options.refuse,
        down: options.down,
        slow: options.slow.unwrap_or_default(),
        listener: Some(Arc::new(move |request| drop(served.send(Event::Served(request))))),
    };
    let address = address(&profile, options.port);
    let vendor = Imitation::start(&profile, address, behaviour).map_err(|error| {
        Failure::new(Kind::Io, format!("cannot listen at {address}: {error}"))
            .with_help("To choose another port: --port PORT. To use any free port: --port 0")
    })?;
    end_on_interrupt(sender)?;
    // The address is printed last, for scripts that wait for it.
    let how = how_to_use(&profile, &path, options, context, &vendor);
    context.ui.note(how);
    let document = json!({ "profile": options.profile, "url": vendor.origin() });
    context.ui.answer(&document, vendor.origin())?;
    context.ui.stdout.flush()?;
    for event in events {
        match event {
            Event::Over => break,
            Event::Served(served) => say(&served, context),
        }
    }
    context.ui.note("the simulated vendor has stopped");
    Ok(())
}

/// Returns the profile's own address if it is plain HTTP on this machine, so that the profile needs
/// no change.
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

fn how_to_use(
    profile: &Profile,
    path: &Path,
    options: &Vendor,
    context: &Context<'_>,
    vendor: &Imitation,
) -> String {
    let unnamed = context.options.file.is_empty();
    let (logins, any) = match options.refuse {
        true => ("refuses every login", ""),
        false => ("accepts every user and password", "   (any user and password)"),
    };
    let (table, origin) = (&profile.table, vendor.origin());
    let (name, file) = (shell_word(table), shell_path(path));
    let here = profile.login.url.base().origin().ascii_serialization() == origin;
    let head = format!(
        "a simulated vendor for the profile {table} listens at {origin} until Ctrl-C; it {logins}"
    );
    let option = if unnamed { String::new() } else { format!(" -f {file}") };
    let how = match here {
        true => format!(
            "Try:    bootseal login {name}{option}\n  A call: bootseal login {name}{option} --call {origin}/orders"
        ),
        false => format!(
            "The profile in {} has another address. To make one with this address, in a vault of your own:\n    \
             bootseal init -f dev.sealed.toml\n    \
             bootseal profile {name} --from {file} --url {origin} -f dev.sealed.toml{any}\n    \
             bootseal login {name} -f dev.sealed.toml",
            Shown::path(path)
        ),
    };
    format!("{head}.\n  {how}")
}

fn say(served: &Served, context: &mut Context<'_>) {
    let Served { method, path, status, what, .. } = served;
    let (path, what) = (Shown(path), Shown(what));
    let line = match context.ui.style.json {
        true => json!({ "method": method, "path": path.to_string(), "status": status, "what": what.to_string() })
            .to_string(),
        false => format!("{method} {path} {status} {what}"),
    };
    // A write error is ignored: the vendor continues even if nobody reads the log.
    let _ = writeln!(context.ui.stderr, "{line}");
}

/// Installs the handler of Ctrl-C before it returns, so that the vendor can be stopped as soon as
/// its address is printed.
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
