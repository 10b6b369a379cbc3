//! Five starts, with calls all the time, and five stops in the middle of them.

use crate::support::{Client, Gateway, Usual, get};
use bootseal_vendor_sim::Vendor;
use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const STARTS: u64 = 5;
/// The calls that are answered before each stop.
const CALLS: usize = 200;
const CALLERS: usize = 8;

/// Starts the gateway five times, and stops it while callers call it. Each stop ends in time and
/// with success, each call that is answered succeeds, each start logs in once, and no process, file
/// or listening port is left over.
pub(crate) fn five_times(usual: &Usual, vendor: &Vendor, start: impl Fn() -> Gateway) {
    let folder = usual.sealed.folder.path();
    let mut files = None;
    for round in 1..=STARTS {
        let mut gateway = start();
        let (answered, ends) = (AtomicUsize::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for _ in 0..CALLERS {
                scope.spawn(|| call_until(&ends, usual.port, &answered));
            }
            while answered.load(Ordering::Relaxed) < CALLS {
                std::thread::yield_now();
            }
            gateway.signal("TERM");
            let code = gateway.ended_within(Duration::from_secs(30));
            ends.store(true, Ordering::Relaxed);
            assert_eq!(code, Some(0), "{:?}", gateway.log().lines());
        });
        assert_eq!(vendor.logins(), round);
        assert_eq!(processes_of(folder), Vec::<String>::new());
        assert!(TcpListener::bind(("127.0.0.1", usual.admin)).is_ok(), "the port is in use");
        let now = files_below(folder);
        assert_eq!(*files.get_or_insert_with(|| now.clone()), now);
    }
}

fn call_until(ends: &AtomicBool, port: u16, answered: &AtomicUsize) {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    while !ends.load(Ordering::Relaxed) {
        // While nothing listens, or at the end of a process, there is no answer.
        let Ok(stream) = std::net::TcpStream::connect(address) else { continue };
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut client = Client(std::io::BufReader::new(stream));
        while !ends.load(Ordering::Relaxed) {
            let sent = std::io::Write::write_all(client.0.get_mut(), get("/orders").as_bytes());
            let Some(answer) = sent.ok().and_then(|()| client.answer().ok()) else { break };
            assert_eq!(answer.status, 200, "{}", answer.text());
            answered.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The command lines of the processes that have this folder in theirs.
fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let lines = std::fs::read_dir("/proc").unwrap().filter_map(|process| {
        let line = std::fs::read(process.unwrap().path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    lines.filter(|line| line.contains(folder)).collect()
}

fn files_below(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        }
        found.insert(path.display().to_string());
    }
    found
}
