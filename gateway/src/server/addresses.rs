//! The addresses that a file names: checked before the file is accepted, served afterwards.

use crate::startup::sockets::{Socket, Sockets, Users};
use bootseal::{Gateway, Kind, Result, VerifiedFile};
use bootseal_core::Listen;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// The addresses in force, and the sockets that are open but not served yet.
pub(crate) struct Addresses {
    sockets: Sockets,
    in_force: Mutex<HashSet<Listen>>,
    /// With `--check` only: addresses that another process has bound.
    busy: Option<Mutex<HashSet<Listen>>>,
}

impl Addresses {
    /// `sockets` are those that were handed over. With `check_only`, a bound address is not an
    /// error, because the gateway itself may be running beside this process.
    pub(crate) fn new(sockets: Sockets, check_only: bool) -> Addresses {
        Addresses { sockets, in_force: Mutex::default(), busy: check_only.then(Mutex::default) }
    }

    pub(crate) fn is_busy(&self, listen: &Listen) -> bool {
        let contains = |busy: &Mutex<HashSet<Listen>>| {
            busy.lock().unwrap_or_else(PoisonError::into_inner).contains(listen)
        };
        self.busy.as_ref().is_some_and(contains)
    }

    /// Opens each new address of `file`. The loader calls this before it accepts the file, so a
    /// file whose routes cannot all be served changes nothing.
    ///
    /// # Errors
    /// Those of [`Gateway::read`]; [`Kind::NotFound`] if the file has no route; [`Kind::Io`] if an
    /// address cannot be bound.
    pub(crate) fn vet(&self, file: &VerifiedFile) -> Result<()> {
        let gateway = Gateway::read(file)?;
        if gateway.routes.is_empty() {
            let error = bootseal_core::Error::new(Kind::NotFound, "the file has no route");
            return Err(error
                .with_help(
                    "Add one: bootseal route acme --listen 127.0.0.1:9301 --upstream https://…, or with bootseal edit",
                )
                .into());
        }
        let in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        for listen in named_in(&gateway).iter().filter(|listen| !in_force.contains(listen)) {
            // Either all or none of its routes have callers.
            let users = match gateway.routes.iter().find(|route| route.listen == *listen) {
                None => Users::Usual,
                Some(route) if route.callers.is_some() => Users::All,
                Some(_) => Users::Own,
            };
            let Err(error) = self.sockets.open(listen, users) else { continue };
            let in_use = error.kind() == std::io::ErrorKind::AddrInUse;
            if in_use && let Some(busy) = &self.busy {
                busy.lock().unwrap_or_else(PoisonError::into_inner).insert(listen.clone());
                continue;
            }
            let help = match error.kind() {
                _ if in_use => "Stop the process that uses it, or give the route another `listen`.",
                std::io::ErrorKind::NotFound => {
                    "Create its folder first: under systemd, RuntimeDirectory= creates one."
                }
                _ => "Give the route another `listen`.",
            };
            let error = bootseal_core::Error::new(Kind::Io, format!("cannot listen on {error}"));
            return Err(error.with_help(help).into());
        }
        Ok(())
    }

    /// Hands over the open socket of an address.
    pub(crate) fn take(&self, listen: &Listen) -> Option<Socket> {
        self.sockets.take(listen)
    }

    /// Records that the addresses of `gateway` are in force, and closes every open socket that it
    /// does not name.
    pub(crate) fn put_in_force(&self, gateway: &Gateway) {
        let named = named_in(gateway);
        self.sockets.close_all_but(&named);
        *self.in_force.lock().unwrap_or_else(PoisonError::into_inner) = named;
    }
}

fn named_in(gateway: &Gateway) -> HashSet<Listen> {
    gateway.routes.iter().map(|route| &route.listen).chain(&gateway.admin).cloned().collect()
}
