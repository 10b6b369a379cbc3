//! `bootseal vendor` beside a test: starts it, reads its address, and ends it.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic)] // each test uses a part of it

use crate::support::Home;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Waits until the log of this home's vendor contains `text`, and returns the log. The vendor
/// writes each line after its response.
pub fn log_with(home: &Home, text: &str) -> String {
    log_with_times(home, text, 1)
}

/// The same for `text` this many times.
pub fn log_with_times(home: &Home, text: &str, times: usize) -> String {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let log = home.read("vendor.log");
        if log.matches(text).count() >= times || Instant::now() > until {
            return log;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
    pub origin: String,
}

impl Running {
    /// Starts the vendor and waits until it responds.
    pub fn start(home: &Home, args: &[&str]) -> Running {
        let mut command = home.command(&[&["vendor"], args].concat());
        let log = std::fs::File::create(home.at("vendor.log")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut origin = String::new();
        out.read_line(&mut origin).unwrap();
        assert!(!origin.is_empty(), "{}", home.read("vendor.log"));
        Running { child, out, origin: origin.trim_end().to_owned() }
    }

    /// Sends Ctrl-C; returns the exit code and the rest of stdout.
    pub fn interrupt(mut self) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
