//! Name lookup on a few threads of its own. The system's resolver can block for minutes; a blocked
//! thread here delays neither the end of a runtime nor the lookup of other names.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// The maximum number of threads. Concurrent lookups of one name need only one.
const THREADS: usize = 4;

/// The lookups of this process.
static LOOKUPS: Lookups = Lookups::new(|name| Ok((name, 0).to_socket_addrs()?.collect()));

type Resolve = fn(&str) -> io::Result<Vec<SocketAddr>>;
/// The addresses of a name, or the error, which several callers get.
type Found = Result<Vec<SocketAddr>, (io::ErrorKind, String)>;

/// Looks up a name with the system's resolver.
///
/// # Errors
/// If the name has no address, or if no thread can be started.
pub(crate) async fn look_up(name: &str) -> io::Result<Vec<SocketAddr>> {
    LOOKUPS.look_up(name).await
}

/// Lookups that share a few threads.
struct Lookups {
    resolve: Resolve,
    state: Mutex<Option<State>>,
}

#[derive(Default)]
struct State {
    /// For each name that is being looked up, or waits for a thread: the callers.
    callers: HashMap<String, Vec<oneshot::Sender<Found>>>,
    /// The names that wait for a thread.
    queue: VecDeque<String>,
    threads: usize,
}

impl Lookups {
    const fn new(resolve: Resolve) -> Lookups {
        Lookups { resolve, state: Mutex::new(None) }
    }

    fn state(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn look_up(&'static self, name: &str) -> io::Result<Vec<SocketAddr>> {
        let (caller, found) = oneshot::channel();
        if self.enqueue(name, caller)
            && let Err(error) =
                std::thread::Builder::new().name("bootseal-names".to_owned()).spawn(|| self.work())
        {
            self.give_up(&error);
        }
        match found.await {
            Ok(found) => found.map_err(|(kind, text)| io::Error::new(kind, text)),
            Err(_) => Err(io::Error::other("the name could not be looked up")),
        }
    }

    /// Returns whether one more thread is needed, which is then already counted.
    fn enqueue(&self, name: &str, caller: oneshot::Sender<Found>) -> bool {
        let mut state = self.state();
        let state = state.get_or_insert_default();
        if let Some(callers) = state.callers.get_mut(name) {
            callers.retain(|caller| !caller.is_closed());
            callers.push(caller);
            return false;
        }
        state.callers.insert(name.to_owned(), vec![caller]);
        state.queue.push_back(name.to_owned());
        let more = state.threads < THREADS;
        state.threads += usize::from(more);
        more
    }

    /// A thread: looks up names until none waits.
    fn work(&self) {
        let mut done: Option<(String, Found)> = None;
        loop {
            let callers;
            let next = {
                let mut state = self.state();
                let state = state.get_or_insert_default();
                callers = done.as_ref().and_then(|(name, _)| state.callers.remove(name));
                let next = state.queue.pop_front();
                state.threads -= usize::from(next.is_none());
                next
            };
            if let Some((_, found)) = done {
                callers.into_iter().flatten().for_each(|caller| drop(caller.send(found.clone())));
            }
            let Some(name) = next else { return };
            let found = (self.resolve)(&name).map_err(|error| (error.kind(), error.to_string()));
            done = Some((name, found));
        }
    }

    /// No thread could be started. If none runs, nobody would serve those who wait.
    fn give_up(&self, error: &io::Error) {
        let mut state = self.state();
        let state = state.get_or_insert_default();
        state.threads -= 1;
        if state.threads == 0 {
            state.queue.clear();
            let text = format!("no thread for a name lookup: {error}");
            for caller in std::mem::take(&mut state.callers).into_values().flatten() {
                let _ = caller.send(Err((error.kind(), text.clone())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Condvar, LazyLock};

    static STARTED: AtomicUsize = AtomicUsize::new(0);
    static OPEN: LazyLock<(Mutex<bool>, Condvar)> = LazyLock::new(Default::default);

    /// Blocks until [`OPEN`] is true.
    fn blocked(name: &str) -> io::Result<Vec<SocketAddr>> {
        STARTED.fetch_add(1, Ordering::SeqCst);
        let open = OPEN.0.lock().unwrap();
        drop(OPEN.1.wait_while(open, |open| !*open).unwrap());
        match name.strip_prefix("host-") {
            Some(number) => Ok(vec![([10, 0, 0, number.parse().unwrap()], 0).into()]),
            None => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
        }
    }

    #[tokio::test]
    async fn blocked_lookups_use_a_few_threads_and_each_caller_gets_its_address() {
        static LOOKUPS: Lookups = Lookups::new(blocked);
        let look_up = |name: String| tokio::spawn(async move { LOOKUPS.look_up(&name).await });
        let unknown: Vec<_> = (0..300).map(|_| look_up("unknown".into())).collect();
        let known: Vec<_> =
            (0..300).map(|at| (at % 20_i32, look_up(format!("host-{}", at % 20)))).collect();
        let waiting = || {
            let state = LOOKUPS.state();
            state.iter().flat_map(|state| state.callers.values()).map(Vec::len).sum::<usize>()
        };
        while STARTED.load(Ordering::SeqCst) < THREADS || waiting() < 600 {
            tokio::task::yield_now().await;
        }
        assert_eq!(LOOKUPS.state().as_ref().unwrap().threads, THREADS);
        *OPEN.0.lock().unwrap() = true;
        OPEN.1.notify_all();
        for (number, found) in known {
            let number = u8::try_from(number).unwrap();
            assert_eq!(found.await.unwrap().unwrap(), [([10, 0, 0, number], 0).into()]);
        }
        for found in unknown {
            let error = found.await.unwrap().unwrap_err();
            assert_eq!(
                (error.kind(), error.to_string()),
                (io::ErrorKind::NotFound, "no such name".into())
            );
        }
        assert_eq!(STARTED.load(Ordering::SeqCst), 21);
    }

    #[tokio::test]
    async fn a_real_name_is_looked_up() {
        let found = look_up("localhost").await.unwrap();
        assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_loopback()));
    }
}
