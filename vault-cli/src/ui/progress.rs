//! Progress: a line on the terminal for work that takes longer than half a second, removed when the
//! work is done.

use crate::ui::Ui;
use std::io::Write;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The delay before the line appears.
const PATIENCE: Duration = Duration::from_millis(500);
/// The interval at which the line is updated.
const BEAT: Duration = Duration::from_millis(200);

/// Work in progress; dropping the value removes the line.
pub(crate) struct Working(Option<(Sender<()>, JoinHandle<()>)>);

impl Ui<'_> {
    /// Shows `what` until the result is dropped; nothing without a terminal, with `--quiet` or with
    /// `--json`.
    pub(crate) fn working(&self, what: &'static str) -> Working {
        if !self.stderr_is_terminal || self.style.quiet || self.style.json {
            return Working(None);
        }
        let (done, ended) = channel::<()>();
        let began = Instant::now();
        let thread = std::thread::Builder::new().spawn(move || {
            let mut wait = PATIENCE;
            while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                wait = BEAT;
                let _ = write!(
                    std::io::stderr(),
                    "\r\x1b[Kbootseal: {what} … {} s",
                    began.elapsed().as_secs()
                );
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
