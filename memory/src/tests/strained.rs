//! Tests of the slab under load: many secrets, large secrets, many threads, forks, and the remains
//! of dropped secrets.
//!
//! Tests that kill a process or count its pages run in a separate process.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use crate::tests::degraded::{again, is, refuse_memfd_secret};
use crate::{Level, Secret, SecretBuf, report};

/// Bytes of this process that are locked or on secret pages.
fn locked() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[test]
fn many_and_large_secrets_leave_no_memory_locked() {
    if !is("many") {
        again("tests::strained::many_and_large_secrets_leave_no_memory_locked", "many");
        return;
    }
    let mut secrets: Vec<Secret> =
        (0..100_000_u32).map(|n| Secret::copy_of(&n.to_le_bytes()).unwrap()).collect();
    assert!(
        secrets
            .iter()
            .zip(0_u32..)
            .all(|(secret, n)| secret.expose(|bytes| bytes == n.to_le_bytes()))
    );
    assert!(locked() < 8 << 20, "64 bytes each, and little more: {}", locked());
    secrets.clear();
    for len in [1, 1 << 20] {
        let secret = Secret::copy_of(&vec![0xA5; len]).unwrap();
        assert!(
            secret.expose(|bytes| bytes.len() == len && bytes.iter().all(|byte| *byte == 0xA5))
        );
    }
    // One empty chunk is kept for each size that was in use.
    let floor = locked();
    assert!(floor <= 512 * 1024, "{floor}");
}

#[test]
fn repeated_use_of_mixed_sizes_does_not_grow_memory() {
    if !is("rounds") {
        again("tests::strained::repeated_use_of_mixed_sizes_does_not_grow_memory", "rounds");
        return;
    }
    let mut seed = 7_u64;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % below
    };
    let mut held: Vec<Secret> = Vec::new();
    let mut most = Vec::new();
    for _ in 0..20 {
        let mut peak = 0;
        for step in 0..2000 {
            if held.len() > 300 {
                held.swap_remove(random(300));
            }
            let len = [16, 40, 700, 5000, 40_000][[0, 0, 1, 1, 1, 2, 2, 3, 4][random(9)]];
            held.push(Secret::copy_of(&vec![1; len]).unwrap());
            if step % 50 == 0 {
                peak = peak.max(locked());
            }
        }
        most.push(peak);
    }
    let early = most[..5].iter().max().unwrap();
    assert!(most[15..].iter().all(|peak| *peak <= early * 5 / 4), "{most:?}");
    held.clear();
    assert!(locked() <= 1 << 20, "{}", locked());
}

#[test]
fn sixty_four_threads_read_one_secret() {
    let secret = Secret::copy_of(&[7; 712]).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                (0..1000).for_each(|_| assert!(secret.expose(|bytes| bytes == [7; 712])))
            });
        }
    });
}

#[test]
fn the_memory_of_a_dropped_secret_is_zero() {
    if !is("wiped") {
        again("tests::strained::the_memory_of_a_dropped_secret_is_zero", "wiped");
        return;
    }
    // A secret that stays, so that the page stays mapped.
    let kept = Secret::copy_of(&[1; 100]).unwrap();
    let secret = Secret::copy_of(&[0xA5; 100]).unwrap();
    let place = secret.expose(<[u8]>::as_ptr);
    drop(secret);
    // SAFETY: the page is mapped as long as `kept` lives, and this process has no other thread that
    // uses secrets.
    let left = unsafe { std::slice::from_raw_parts(place, 100) };
    assert!(left.iter().all(|byte| *byte == 0));
    drop(kept);
}

/// The exit code of a child that runs `work`, or the signal that killed it as a negative number.
fn child(work: impl FnOnce() -> i32) -> i32 {
    let mut status = 0;
    // SAFETY: the child does nothing but `work`, which takes no lock and allocates nothing, and
    // ends without running destructors.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            // The test harness's handler would print; the default action kills the child.
            libc::signal(libc::SIGSEGV, libc::SIG_DFL);
            libc::_exit(work());
        }
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
    }
    if libc::WIFSIGNALED(status) { -libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) }
}

fn read(address: *const u8) -> i32 {
    // SAFETY: only called in a child process, whose possible death by a signal is the subject of
    // the test.
    i32::from(unsafe { address.read_volatile() })
}

#[test]
fn a_read_beyond_a_region_kills_the_process() {
    // Larger than any size class, so it has a separate region of whole pages.
    let mut buffer = SecretBuf::zeroed(64 * 1024).unwrap();
    let start = buffer.expose_mut(|bytes| bytes.as_mut_ptr());
    assert_eq!(child(|| read(start.wrapping_sub(1))), -libc::SIGSEGV);
    assert_eq!(child(|| read(start.wrapping_add(64 * 1024))), -libc::SIGSEGV);
}

#[test]
fn a_forked_child_cannot_read_a_secret() {
    let secret = Secret::copy_of(&[7; 32]).unwrap();
    let place = secret.expose(<[u8]>::as_ptr);
    let expected = if report().unwrap().level == Level::MemfdSecret { -libc::SIGSEGV } else { 0 };
    assert_eq!(child(|| read(place)), expected);
    assert_eq!(read(place), 7);
}

#[test]
fn a_forked_child_reads_zeros_on_locked_pages() {
    if !is("fork") {
        again("tests::strained::a_forked_child_reads_zeros_on_locked_pages", "fork");
        return;
    }
    refuse_memfd_secret();
    let secret = Secret::copy_of(&[7; 32]).unwrap();
    let place = secret.expose(<[u8]>::as_ptr);
    assert_eq!(child(|| read(place)), 0);
    assert_eq!(read(place), 7);
}
