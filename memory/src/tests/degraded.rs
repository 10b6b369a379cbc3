//! Tests with reduced system features. Each case runs in a separate process that gave up a feature
//! at its start.
//!
//! The test starts itself again with the name of the case in the environment.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use crate::{Level, Secret, report};
use std::process::Command;

const CASE: &str = "BOOTSEAL_MEMORY_TEST_CASE";

/// Runs `case` of the test `name` in a fresh process, and returns what it printed.
pub(crate) fn again(name: &str, case: &str) -> String {
    again_with(name, case, "BOOTSEAL_MEMORY_TEST", "")
}

/// Like `again`, with another environment variable.
pub(crate) fn again_with(name: &str, case: &str, variable: &str, value: &str) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CASE, case)
        .env(variable, value)
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains("1 passed"), "no test is called {name}: {printed}");
    printed
}

pub(crate) fn is(case: &str) -> bool {
    std::env::var(CASE).is_ok_and(|wanted| wanted == case)
}

/// Makes memfd_secret fail as it does under the seccomp filters of many containers.
pub(crate) fn refuse_memfd_secret() {
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut program = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0), // the system call's number
        step(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            0,
            1,
            u32::try_from(libc::SYS_memfd_secret).unwrap(),
        ),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: 4, filter: program.as_mut_ptr() };
    // SAFETY: prctl copies the filter, which lives until the calls are over.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &filter), 0);
    }
}

/// Limits locked memory, and drops the privilege to ignore the limit.
pub(crate) fn allow_locked_bytes(bytes: u64) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    // SAFETY: plain system calls with valid arguments.
    unsafe {
        assert_eq!(libc::setrlimit(libc::RLIMIT_MEMLOCK, &limit), 0);
        if libc::geteuid() == 0 {
            assert_eq!(libc::setuid(65534), 0);
        }
    }
}

#[test]
fn locked_pages_are_used_and_reported_if_memfd_secret_is_refused() {
    if !is("seccomp") {
        let printed = again(
            "tests::degraded::locked_pages_are_used_and_reported_if_memfd_secret_is_refused",
            "seccomp",
        );
        assert!(
            printed.contains(
                "secrets are stored in locked pages (memfd_secret: Operation not permitted"
            ),
            "{printed}"
        );
        return;
    }
    refuse_memfd_secret();
    let report = report().unwrap();
    println!("{report}");
    assert_eq!(report.level, Level::Locked);
    let secret = Secret::copy_of(b"still guarded").unwrap();
    assert!(secret.expose(|bytes| bytes == b"still guarded"));
    // lo: locked, dd: not dumped, wf: zeros in a forked child.
    let address = secret.expose(|bytes| bytes.as_ptr() as usize);
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut inside = false;
    let flags = maps.lines().find(|line| {
        if let Some((from, to)) = line.split_once(' ').and_then(|(span, _)| span.split_once('-')) {
            let bounds = (usize::from_str_radix(from, 16), usize::from_str_radix(to, 16));
            if let (Ok(from), Ok(to)) = bounds {
                inside = from <= address && address < to;
            }
        }
        inside && line.starts_with("VmFlags:")
    });
    let flags = flags.unwrap();
    for flag in [" lo", " dd", " wf"] {
        assert!(flags.contains(flag), "{flags}");
    }
}

#[test]
fn an_exhausted_limit_is_an_error_that_says_how_to_raise_it() {
    if !is("limit") {
        let printed = again(
            "tests::degraded::an_exhausted_limit_is_an_error_that_says_how_to_raise_it",
            "limit",
        );
        assert!(printed.contains("RLIMIT_MEMLOCK) is 65536 bytes"), "{printed}");
        return;
    }
    allow_locked_bytes(64 * 1024);
    let mut held = Vec::new();
    let error = loop {
        match Secret::copy_of(&[7; 1000]) {
            Ok(secret) => held.push(secret),
            Err(error) => break error,
        }
        assert!(held.len() < 1000, "64 KiB cannot hold a thousand of them");
    };
    println!("{error}");
    assert!(error.to_string().contains("LimitMEMLOCK=") && error.to_string().contains("ulimit -l"));
    // Earlier secrets still exist, and returned memory can be used again.
    assert!(held.iter().all(|secret| secret.expose(|bytes| bytes == [7; 1000])));
    held.clear();
    assert!(Secret::copy_of(&[7; 1000]).is_ok());
}

#[test]
fn without_locked_memory_nothing_falls_back_to_the_heap() {
    if !is("none") {
        let printed =
            again("tests::degraded::without_locked_memory_nothing_falls_back_to_the_heap", "none");
        assert!(printed.contains("no guarded memory"), "{printed}");
        return;
    }
    allow_locked_bytes(0);
    println!("{}", report().unwrap_err());
    assert!(Secret::copy_of(b"x").is_err());
}
