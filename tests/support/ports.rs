//! Local ports that no other test and no outgoing connection uses.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic)] // each test uses a part of it

use std::hash::BuildHasher;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::Mutex;

/// Below the ports that the kernel assigns to `bind` with port 0 and to outgoing connections (from
/// 32768 on Linux, from 49152 elsewhere).
const FIRST: u16 = 10_000;
const COUNT: u16 = 22_000;

/// The UDP socket of each port that this process has reserved.
static TAKEN: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());

/// A port on which nothing listens and that no other test gets: for a server that is started later,
/// or for none.
///
/// Binding port 0 and releasing it would not be safe: until the server binds that port, the kernel
/// may assign it to another process. A UDP socket with the same number, kept until the process
/// ends, reserves the port among the tests of all processes.
pub fn free_port() -> u16 {
    let start = std::hash::RandomState::new().hash_one(std::process::id()) % u64::from(COUNT);
    let ports =
        (FIRST..FIRST + COUNT).cycle().skip(usize::try_from(start).unwrap()).take(COUNT.into());
    let mut taken = TAKEN.lock().unwrap();
    for port in ports {
        let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)) else { continue };
        taken.push(socket);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free from {FIRST} to {}", FIRST + COUNT)
}
