//! One login for all callers that ask at the same time.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_concurrent_tasks_share_one_login_and_one_token() {
    let acme = Acme::new([]);
    acme.vendor.hold();
    let tasks = acme.ask_a_thousand_times();
    acme.vendor.release();
    for task in tasks {
        assert_eq!(text(&task.await.unwrap().unwrap()), "token-1");
    }
    assert_eq!((acme.sends(), acme.source.counts().logins), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_but_the_last_are_cancelled_the_last_gets_the_token_of_the_one_login() {
    let acme = Acme::new([]);
    acme.vendor.hold();
    let mut tasks = acme.ask_a_thousand_times();
    let last = tasks.pop().unwrap();
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    for task in tasks {
        assert!(task.await.unwrap_err().is_cancelled());
    }
    acme.vendor.release();
    assert_eq!(text(&last.await.unwrap().unwrap()), "token-1");
    assert_eq!(acme.sends(), 1);
}

#[test]
fn a_login_outlives_the_runtime_of_the_caller_who_started_it() {
    let acme = Acme::new([]);
    acme.vendor.hold();
    let first = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let (source, arrivals) = (acme.source.clone(), Counter::default());
    first.spawn(arriving(arrivals.clone(), async move { source.token().await }));
    arrivals.wait_for(1);
    drop(first);
    acme.vendor.release();
    assert_eq!(acme.token(), "token-1");
    assert_eq!(acme.sends(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_and_tasks_wait_for_the_same_login() {
    let acme = Acme::new([]);
    acme.vendor.hold();
    let tasks = acme.ask_a_thousand_times();
    let started = Counter::default();
    let threads: Vec<_> = (0..50)
        .map(|_| {
            let (source, started) = (acme.source.clone(), started.clone());
            std::thread::spawn(move || {
                started.add();
                source.token_blocking()
            })
        })
        .collect();
    started.wait_for(50);
    acme.vendor.release();
    for task in tasks {
        assert_eq!(text(&task.await.unwrap().unwrap()), "token-1");
    }
    for thread in threads {
        assert_eq!(text(&thread.join().unwrap().unwrap()), "token-1");
    }
    assert_eq!(acme.sends(), 1);
}

#[test]
fn token_blocking_works_with_and_without_a_runtime() {
    let acme = Acme::new([]);
    assert_eq!(acme.token(), "token-1");
    // On the only thread of a runtime, which the login does not need.
    let acme = Acme::new([]);
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(async { assert_eq!(acme.token(), "token-1") });
}

#[test]
fn the_token_future_needs_no_runtime() {
    let acme = Acme::new([]);
    acme.vendor.hold();
    let mut asked = pin!(acme.source.token());
    assert!(poll_once(asked.as_mut()).is_pending());
    acme.vendor.release();
    acme.landings.wait_for(1);
    // The cell is filled before the waiters are woken, so a request now returns at once.
    assert_eq!(acme.token(), "token-1");
    assert_eq!(acme.sends(), 1);
}

#[test]
fn clones_and_later_handles_share_one_state() {
    let (clock, vendor) = (Clock::new(), Vendor::default());
    let vault = vault("");
    let source = |vendor: &Vendor| {
        vault.token_source_with("acme", Arc::new(clock.clone()), Arc::new(vendor.clone())).unwrap()
    };
    let first = source(&vendor);
    assert_eq!(text(&first.token_blocking().unwrap()), "token-1");
    assert_eq!(text(&first.clone().token_blocking().unwrap()), "token-1");
    assert_eq!(text(&source(&Vendor::default()).token_blocking().unwrap()), "token-1");
    assert_eq!(vendor.sent.get(), 1);
}
