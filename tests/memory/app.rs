//! The program whose memory is scanned. Each line on its standard input is a command, and its reply
//! is one line:
//!
//! | line | action | reply |
//! |---|---|---|
//! | `call N K` | N calls, K at a time | the number of calls that succeeded |
//! | `renew` | drops the token and logs in | `1` |
//! | `renew-under-load N K` | the same N times, while K tasks call without a pause | the number of calls that failed |
//! | `begin-calls K`, `begin-login` | starts calls or a login without waiting for the end | – |
//! | `pending` | | the number of started ones that have not ended |
//! | `abort` | drops the started ones | – |
//! | `sleep MS` | nothing | – |
//!
//! Its first line is its message at start. It ends with its input.

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use tokio::task::JoinHandle;

/// An account at the vendor, as the scanned program implements it.
pub(crate) trait Account: Clone + Send + Sync + 'static {
    /// Makes a call, some with a body. Returns whether it succeeded.
    fn call(&self, number: u64) -> impl Future<Output = bool> + Send;
    /// Drops the current token and logs in. Returns whether there is a new one.
    fn renew(&self) -> impl Future<Output = bool> + Send;
}

pub(crate) fn serve<A: Account>(hello: &str, open: impl FnOnce() -> A) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    let runtime = runtime.unwrap_or_else(|error| panic!("no runtime: {error}"));
    let account = open();
    let mut pending = Vec::new();
    say(hello);
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let words: Vec<_> = line.split(' ').collect();
        let number = |at: usize| -> u64 {
            words
                .get(at)
                .and_then(|word| word.parse().ok())
                .unwrap_or_else(|| panic!("no number in {line:?}"))
        };
        let answer = match words[0] {
            "call" => runtime.block_on(calls(&account, number(1), number(2))),
            "renew" => u64::from(runtime.block_on(account.renew())),
            "renew-under-load" => {
                runtime.block_on(renew_under_load(&account, number(1), number(2)))
            }
            "begin-calls" => {
                pending.extend(
                    (0..number(1)).map(|number| runtime.spawn(one_call(account.clone(), number))),
                );
                0
            }
            "begin-login" => {
                let account = account.clone();
                pending.push(runtime.spawn(async move { account.renew().await }));
                0
            }
            "pending" => pending.iter().filter(|task| !task.is_finished()).count() as u64,
            "abort" => {
                runtime.block_on(abort(std::mem::take(&mut pending)));
                0
            }
            "sleep" => {
                std::thread::sleep(Duration::from_millis(number(1)));
                0
            }
            _ => panic!("unknown command {line:?}"),
        };
        say(&answer.to_string());
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .unwrap_or_else(|error| panic!("stdout: {error}"));
}

async fn one_call<A: Account>(account: A, number: u64) -> bool {
    account.call(number).await
}

async fn calls<A: Account>(account: &A, count: u64, at_a_time: u64) -> u64 {
    let (next, answered) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let caller = || {
        let (account, next, answered) = (account.clone(), next.clone(), answered.clone());
        tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, SeqCst);
                if number >= count {
                    return;
                }
                answered.fetch_add(u64::from(account.call(number).await), SeqCst);
            }
        })
    };
    let callers: Vec<_> = (0..at_a_time).map(|_| caller()).collect();
    for caller in callers {
        let _ = caller.await;
    }
    answered.load(SeqCst)
}

async fn renew_under_load<A: Account>(account: &A, times: u64, at_a_time: u64) -> u64 {
    let (stop, made, failed) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicU64::new(0)),
    );
    let caller = || {
        let (account, stop, made, failed) =
            (account.clone(), stop.clone(), made.clone(), failed.clone());
        tokio::spawn(async move {
            while !stop.load(SeqCst) {
                let good = account.call(made.fetch_add(1, SeqCst)).await;
                failed.fetch_add(u64::from(!good), SeqCst);
            }
        })
    };
    let callers: Vec<_> = (0..at_a_time).map(|_| caller()).collect();
    for _ in 0..times {
        // Each token is used before it is dropped.
        let enough = made.load(SeqCst) + 2 * at_a_time;
        while made.load(SeqCst) < enough {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if !account.renew().await {
            failed.fetch_add(1, SeqCst);
        }
    }
    stop.store(true, SeqCst);
    for caller in callers {
        let _ = caller.await;
    }
    failed.load(SeqCst)
}

async fn abort(tasks: Vec<JoinHandle<bool>>) {
    for task in tasks {
        task.abort();
        let _ = task.await;
    }
}
