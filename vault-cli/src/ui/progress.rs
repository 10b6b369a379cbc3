//! What does a person see while they wait? From half a second on one line on their terminal, which is gone when the work is done.

use crate::ui::Ui;
use std::io::Write;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What is not done by then is worth a word.
const PATIENCE: Duration = Duration::from_millis(500);
const BEAT: Duration = Duration::from_millis(200);

/// Work that is under way, until this is dropped.
pub(crate) struct Working(Option<(Sender<()>, JoinHandle<()>)>);

impl Ui<'_> {
    /// Says `what` for as long as it takes. Nothing is said without a terminal, with `--quiet`, and where a script reads.
    pub(crate) fn working(&self, what: &'static str) -> Working {
        if !self.stderr_is_terminal || self.style.quiet || self.style.json {
            return Working(None);
        }
        let (done, told) = channel::<()>();
        let began = Instant::now();
        let thread = std::thread::Builder::new().spawn(move || {
            let mut wait = PATIENCE;
            while told.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                wait = BEAT;
                let _ = write!(std::io::stderr(), "\r\x1b[Kbootseal: {what} … {} s", began.elapsed().as_secs());
            }
            if wait == BEAT {
                let _ = write!(std::io::stderr(), "\r\x1b[K");
            }
        });
        Working(thread.ok().map(|thread| (done, thread)))
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        if let Some((done, thread)) = self.0.take() {
            drop(done);
            let _ = thread.join();
        }
    }
}
