//! The connections to one host: which are ready, and which are idle for too long.

use crate::connection::state::ConnectionState;
use crate::error::{Error, Result};
use crate::pool::waiter::Connection;
use crate::pool::waiter::Waiter;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri, uri};
use hyper::client::conn::{http1, http2};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The hosts of a pool. None is ever removed, so that each index stays valid; a profile has only a
/// few hosts.
#[derive(Default)]
pub(super) struct Hosts {
    pub(super) list: Vec<Host>,
}

/// One host, its connections, and the calls that wait for one.
pub(super) struct Host {
    pub(super) origin: Origin,
    /// The value of `Host` in HTTP/1.1.
    pub(super) name: Option<HeaderValue>,
    pub(super) protocol: Protocol,
    /// HTTP/1.1 connections, the newest last. A connection whose response is still being read is
    /// in this list too, but is not ready.
    pub(super) http1: VecDeque<Http1>,
    pub(super) http2: Vec<Http2>,
    pub(super) waiters: VecDeque<Waiter>,
    /// The number of calls that have ever waited.
    pub(super) waited: u64,
    /// Whether a task serves the waiters.
    pub(super) dispatched: bool,
    /// Notified when a waiter may be served.
    pub(super) freed: Arc<Notify>,
}

pub(super) struct Http1 {
    pub(super) sender: http1::SendRequest<reqwest::Body>,
    state: Arc<ConnectionState>,
    idle_since: Instant,
}

pub(super) struct Http2 {
    sender: http2::SendRequest<reqwest::Body>,
    state: Arc<ConnectionState>,
    used: Instant,
}

/// The protocol that the last connection to a host negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Unknown,
    Http1,
    Http2 {
        /// The number of calls that one connection takes.
        streams: usize,
    },
}

/// The scheme and authority of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    scheme: Scheme,
    authority: Authority,
    /// Whether its connections are for requests that may harm other calls on the same HTTP/2
    /// connection: an upstream may end it because of a large head, and a large body that it does not
    /// read uses up the window of the connection.
    apart: bool,
}

impl Hosts {
    pub(super) fn position(&self, origin: &Origin) -> Option<usize> {
        self.list.iter().position(|host| host.origin == *origin)
    }

    /// Returns the index of a host, which is added if it is new.
    pub(super) fn index(&mut self, origin: &Origin, protocol: Protocol) -> usize {
        self.position(origin).unwrap_or_else(|| {
            self.list.push(Host {
                origin: origin.clone(),
                name: origin.host_header(),
                protocol,
                http1: VecDeque::new(),
                http2: Vec::new(),
                waiters: VecDeque::new(),
                waited: 0,
                dispatched: false,
                freed: Arc::default(),
            });
            self.list.len() - 1
        })
    }

    /// Drops the connections that have been idle since `since` or before. Returns the time since
    /// which the oldest remaining connection has been idle.
    pub(super) fn close_idle(&mut self, since: Option<Instant>, now: Instant) -> Option<Instant> {
        let old = |idle: Instant| since.is_some_and(|since| idle <= since);
        for host in &mut self.list {
            let closed = host.http1.iter().take_while(|kept| old(kept.idle_since)).count();
            host.http1.drain(..closed);
            host.http2.retain_mut(|kept| {
                if !kept.state.is_idle() {
                    kept.used = now;
                }
                !old(kept.used)
            });
        }
        let http1 = self.list.iter().filter_map(|host| host.http1.front());
        let http1 = http1.map(|kept| kept.idle_since);
        http1.chain(self.list.iter().flat_map(|host| &host.http2).map(|kept| kept.used)).min()
    }
}

impl Hosts {
    /// Drops the connections without calls, and returns their number.
    pub(super) fn close_unused(&mut self) -> usize {
        let count = |hosts: &[Host]| -> usize {
            hosts.iter().map(|host| host.http1.len() + host.http2.len()).sum()
        };
        let before = count(&self.list);
        for host in &mut self.list {
            host.http1.retain(|kept| !kept.sender.is_ready() && !kept.sender.is_closed());
            host.http2.retain(|kept| !kept.state.is_idle());
        }
        before - count(&self.list)
    }
}

impl Host {
    /// Returns a connection that is ready for a call. In HTTP/1.1, this is the newest, so that
    /// older connections can expire; connections with long responses move to older positions.
    pub(super) fn take(&mut self, index: usize) -> Option<Connection> {
        self.take_http2().or_else(|| self.take_http1(index))
    }

    pub(super) fn take_http2(&mut self) -> Option<Connection> {
        // Calls in flight on a connection that is dropped here still end as usual.
        self.http2.retain(|kept| !kept.sender.is_closed() && !kept.state.is_going_away());
        self.http2.iter_mut().find_map(|kept| {
            let slot = kept.state.take_slot()?;
            kept.used = Instant::now();
            Some(Connection::Http2 { sender: kept.sender.clone(), slot })
        })
    }

    fn take_http1(&mut self, index: usize) -> Option<Connection> {
        for place in (0..self.http1.len()).rev() {
            let sender = &self.http1[place].sender;
            // A connection that is neither closed nor ready has an unfinished response, and stays
            // in the list.
            if (sender.is_closed() || sender.is_ready())
                && let Some(Http1 { sender, state, .. }) = self.http1.remove(place)
                && sender.is_ready()
            {
                let name = self.name.clone();
                return Some(Connection::Http1 { sender, state, host: index, name });
            }
        }
        None
    }

    /// Keeps an HTTP/1.1 connection, unless enough are kept.
    pub(super) fn keep(
        &mut self,
        sender: http1::SendRequest<reqwest::Body>,
        state: Arc<ConnectionState>,
        most: usize,
    ) {
        if self.http1.len() < most {
            self.http1.push_back(Http1 { sender, state, idle_since: Instant::now() });
            if !self.waiters.is_empty() {
                self.freed.notify_one();
            }
        }
    }

    /// Adds a new HTTP/2 connection, and learns from the former ones how many calls it takes.
    pub(super) fn add_http2(
        &mut self,
        sender: http2::SendRequest<reqwest::Body>,
        state: Arc<ConnectionState>,
    ) {
        self.http2.push(Http2 { sender, state, used: Instant::now() });
        self.learn_streams();
    }

    pub(super) fn learn_streams(&mut self) {
        if let Some(last) = self.http2.iter().map(|kept| kept.state.max_streams()).min() {
            self.protocol = Protocol::Http2 { streams: last.max(1) as usize };
        }
    }

    /// Whether no connection to the host is known to work.
    pub(super) fn has_no_connection(&self) -> bool {
        self.http1.is_empty() && self.http2.is_empty()
    }
}

impl Origin {
    /// The origin of `uri`, with other connections for requests that must stay apart.
    ///
    /// # Errors
    /// [`Error::Unusable`] if `uri` has no scheme and host.
    pub(crate) fn of(uri: &Uri, apart: bool) -> Result<Origin> {
        match (uri.scheme().cloned(), uri.authority().cloned()) {
            (Some(scheme), Some(authority)) => Ok(Origin { scheme, authority, apart }),
            _ => Err(Error::Unusable("the request's URL has no scheme and host".into())),
        }
    }

    pub(super) fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// The value of `Host` in HTTP/1.1, without the scheme's default port. `None` if it is not
    /// valid in a header.
    pub(super) fn host_header(&self) -> Option<HeaderValue> {
        let usual = if self.scheme == Scheme::HTTPS { 443 } else { 80 };
        match self.authority.port_u16().filter(|port| *port != usual) {
            Some(port) => HeaderValue::from_str(&format!("{}:{port}", self.authority.host())).ok(),
            None => HeaderValue::from_str(self.authority.host()).ok(),
        }
    }

    pub(super) fn with_path(&self, path: PathAndQuery) -> Result<Uri> {
        let mut parts = uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).map_err(|error| Error::Connect(error.into()))
    }
}
