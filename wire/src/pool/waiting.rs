//! The calls that wait for a connection, and the task that serves them: it opens only as many
//! connections as they need, and gives them whatever becomes free first.

use crate::error::{Error, Result, SharedError};
use crate::pool::connections::{Connections, Made};
use crate::pool::host::{Host, Origin, Protocol};
use crate::pool::waiter::{Connection, Waiter};
use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

/// The number of connections that are opened at the same time. As long as none becomes free, as
/// many as were already made.
const AT_ONCE: usize = 8;
/// If connections become free, each is expected to serve one more call, unless no call was served
/// for this long.
const PATIENCE: Duration = Duration::from_millis(50);

/// Queues a call that waits for a connection to `origin`.
pub(super) fn enqueue(pool: &Arc<Connections>, origin: &Origin, mut waiter: Waiter) {
    let mut hosts = pool.hosts();
    let index = pool.index(&mut hosts, origin);
    let host = &mut hosts.list[index];
    waiter.number = host.waited;
    host.waited += 1;
    host.waiters.push_back(waiter);
    host.freed.notify_one();
    let dispatched = std::mem::replace(&mut host.dispatched, true);
    drop(hosts);
    if !dispatched {
        tokio::spawn(Dispatcher::new(pool.clone(), index).run());
    }
}

/// Serves the calls that wait for one host, and ends when none waits.
struct Dispatcher {
    pool: Arc<Connections>,
    index: usize,
    connecting: JoinSet<Result<Made>>,
    /// For each connection in the making, the number of the first call that came after its start.
    began: HashMap<Id, u64>,
    /// The number of connections made, and of those that became free and served a call.
    made: usize,
    freed: usize,
    /// The time at which a call was last served.
    served: Instant,
    done: bool,
}

impl Drop for Dispatcher {
    /// If the runtime ends before the calls were served, each tries again in its own runtime.
    fn drop(&mut self) {
        if !self.done {
            let mut hosts = self.pool.hosts();
            let host = &mut hosts.list[self.index];
            host.dispatched = false;
            host.waiters.clear();
        }
    }
}

impl Dispatcher {
    fn new(pool: Arc<Connections>, index: usize) -> Dispatcher {
        let (connecting, began) = (JoinSet::new(), HashMap::new());
        Dispatcher {
            pool,
            index,
            connecting,
            began,
            made: 0,
            freed: 0,
            served: Instant::now(),
            done: false,
        }
    }

    async fn run(mut self) {
        let freed = self.pool.hosts().list[self.index].freed.clone();
        self.pool.keep_reaping();
        while self.serve() {
            let mut freed = pin!(freed.notified());
            let mut patience = pin!(tokio::time::sleep_until(self.served + PATIENCE));
            let patient = self.freed > 0 && Instant::now() < self.served + PATIENCE;
            let made = std::future::poll_fn(|cx| {
                if let Poll::Ready(Some(made)) = self.connecting.poll_join_next_with_id(cx) {
                    return Poll::Ready(Some(made));
                }
                let free = freed.as_mut().poll(cx).is_ready() || self.http1_is_free(cx);
                let free = free || patient && patience.as_mut().poll(cx).is_ready();
                if free { Poll::Ready(None) } else { Poll::Pending }
            });
            if let Some(made) = made.await {
                self.made(made);
            }
        }
    }

    /// Serves the calls for which there is a connection, and starts the connections that the others
    /// need. Returns `false` if nothing is left to do.
    fn serve(&mut self) -> bool {
        let mut hosts = self.pool.hosts();
        let host = &mut hosts.list[self.index];
        host.waiters.retain(|waiter| !waiter.serve.is_closed());
        host.learn_streams();
        while let Some(connection) = host.for_first_waiter(self.index) {
            host.hand_over(connection, true, self.pool.idle_per_host);
            (self.freed, self.served) = (self.freed + 1, Instant::now());
        }
        let missing = self.missing(host);
        let (origin, freed, came) = (host.origin.clone(), host.freed.clone(), host.waited);
        if host.waiters.is_empty() && self.connecting.is_empty() {
            host.dispatched = false;
            self.done = true;
            return false;
        }
        drop(hosts);
        for _ in 0..missing {
            let connecting = self.pool.clone().connect(origin.clone(), freed.clone());
            let task = self.connecting.spawn(connecting);
            self.began.insert(task.id(), came);
        }
        true
    }

    /// Whether an HTTP/1.1 connection may serve a waiting call. Otherwise, each connection wakes the
    /// task when it is free.
    fn http1_is_free(&self, cx: &mut Context<'_>) -> bool {
        let mut hosts = self.pool.hosts();
        let host = &mut hosts.list[self.index];
        if host.waiters.iter().all(|waiter| waiter.new) {
            return false;
        }
        let mut free = false;
        for kept in &mut host.http1 {
            free |= kept.sender.poll_ready(cx).is_ready();
        }
        free
    }

    /// The number of connections to begin now.
    fn missing(&self, host: &Host) -> usize {
        let waiting = host.waiters.len();
        let (needed, most) = match host.protocol {
            // The first connection shows what is needed.
            Protocol::Unknown => (waiting.min(1), 1),
            Protocol::Http1 if self.freed == 0 => (waiting, AT_ONCE.max(self.made)),
            Protocol::Http1 if self.served.elapsed() < PATIENCE => {
                (waiting.saturating_sub(self.made), AT_ONCE)
            }
            Protocol::Http1 => (waiting, AT_ONCE),
            Protocol::Http2 { streams } => (waiting.div_ceil(streams), AT_ONCE),
        };
        needed.min(most).saturating_sub(self.connecting.len())
    }

    /// A connection was made, or could not be made.
    fn made(&mut self, made: std::result::Result<(Id, Result<Made>), JoinError>) {
        let (id, made) = match made {
            Ok(made) => made,
            Err(error) => (error.id(), Err(Error::Connect(error.into()))),
        };
        let came = self.began.remove(&id).unwrap_or(0);
        self.made += usize::from(made.is_ok());
        self.served = Instant::now();
        let mut hosts = self.pool.hosts();
        let host = &mut hosts.list[self.index];
        match made {
            Ok(Made::Http2(sender, state)) => host.add_http2(sender, state),
            Ok(Made::Http1(sender, state)) => {
                host.protocol = Protocol::Http1;
                let name = host.name.clone();
                let connection = Connection::Http1 { sender, state, host: self.index, name };
                host.hand_over(connection, false, self.pool.idle_per_host);
            }
            Err(error) => host.fail(error, came),
        }
    }
}

impl Host {
    /// A connection for the first waiting call that it can serve, which then stands first.
    fn for_first_waiter(&mut self, index: usize) -> Option<Connection> {
        if self.waiters.is_empty() {
            return None;
        }
        if let Some(connection) = self.take_http2() {
            return Some(connection);
        }
        let place = self.waiters.iter().position(|waiter| !waiter.new)?;
        let connection = self.take(index)?;
        if let Some(waiter) = self.waiters.remove(place) {
            self.waiters.push_front(waiter);
        }
        Some(connection)
    }

    /// Gives a connection to the first call that still waits, or keeps it.
    fn hand_over(&mut self, connection: Connection, kept: bool, idle_per_host: usize) {
        let mut given = Ok((connection, kept));
        while let Some(waiter) = self.waiters.pop_front() {
            match waiter.serve.send(given) {
                Ok(()) => return,
                Err(back) => given = back,
            }
        }
        // A new HTTP/1.1 connection is idle from now on; an HTTP/2 connection is in the list.
        if let Ok((Connection::Http1 { sender, state, .. }, _)) = given {
            self.keep(sender, state, idle_per_host);
        }
    }

    /// Ends calls with the error of a connection that could not be made: if no connection to the
    /// host works, all those that were waiting when it was begun, otherwise the first.
    fn fail(&mut self, error: Error, came: u64) {
        let Error::Connect(error) = error else {
            if let Some(waiter) = self.waiters.pop_front() {
                let _ = waiter.serve.send(Err(error));
            }
            return;
        };
        let error = SharedError::new(error);
        let all = self.has_no_connection();
        while let Some(waiter) = self.waiters.pop_front() {
            if waiter.serve.is_closed() {
                continue;
            }
            if waiter.number >= came {
                self.waiters.push_front(waiter);
                return;
            }
            let _ = waiter.serve.send(Err(Error::Connect(Box::new(error.clone()))));
            if !all {
                return;
            }
        }
    }
}
