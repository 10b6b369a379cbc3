//! Tests of the audit: it counts planted copies, and a second process counts the same from outside.
//!
//! Each test runs in a separate process, because other tests have secrets and copies of them.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use crate::audit;
use crate::tests::degraded::{again, is, refuse_memfd_secret};
use crate::{Secret, SecretBuf};
use std::hint::black_box;
use std::io::Read;
use zeroize::Zeroize;

/// Creates a secret of random bytes that exist nowhere else.
fn random(len: usize) -> Secret {
    let mut buffer = SecretBuf::zeroed(len).unwrap();
    buffer
        .expose_mut(|bytes| std::fs::File::open("/dev/urandom").unwrap().read_exact(bytes))
        .unwrap();
    buffer.freeze()
}

fn counts() -> (usize, usize) {
    let found = audit().unwrap();
    (found.full, found.fragments)
}

#[test]
fn planted_copies_are_counted_and_nothing_else() {
    if !is("planted") {
        again("tests::audited::planted_copies_are_counted_and_nothing_else", "planted");
        return;
    }
    // Short secrets make the search step more finely, so they are tested alone.
    for len in [8, 9, 10, 12, 15] {
        let secret = random(len);
        for shift in [1, 2] {
            let mut heap = secret.expose(|bytes| [&[0; 8][..shift], bytes].concat());
            assert_eq!(counts(), (1, 0), "{len} bytes, shifted by {shift}");
            heap.zeroize();
        }
    }
    let secrets: Vec<Secret> = [16, 38, 712, 5000, 100_000].map(random).into();
    let first = audit().unwrap();
    assert_eq!((first.secrets, first.not_searched, first.full, first.fragments), (5, 0, 0, 0));
    for secret in &secrets {
        // The longest secret is longer than a piece that is read.
        for shift in [0, 1, 7, 11] {
            let mut heap = secret.expose(|bytes| [&[0; 16][..shift], bytes].concat());
            assert_eq!(counts(), (1, 0), "{} bytes, shifted by {shift}", secret.len());
            heap.zeroize();
        }
    }
    for (from, len) in [(0, 16), (1, 16), (7, 16), (13, 25), (22, 16), (0, 37)] {
        let mut heap = secrets[1].expose(|bytes| bytes[from..from + len].to_vec());
        assert_eq!(counts(), (0, 1), "{len} bytes from {from} on");
        heap.zeroize();
    }
    let mut heap = secrets[1].expose(|bytes| bytes[3..18].to_vec());
    assert_eq!(counts(), (0, 0), "15 bytes are not a fragment");
    heap.zeroize();
    // Adjacent copies are counted separately, and not at all once their secret is dropped.
    let mut heap = secrets[1].expose(|bytes| [bytes, bytes, &bytes[..20], bytes].concat());
    assert_eq!(counts(), (3, 1));
    drop(secrets);
    assert_eq!(counts(), (0, 0));
    heap.zeroize();
}

#[test]
fn uniform_and_short_secrets_are_not_searched_for() {
    if !is("uniform") {
        again("tests::audited::uniform_and_short_secrets_are_not_searched_for", "uniform");
        return;
    }
    let held = [vec![0; 64], b"        ----------------".to_vec(), b"1234567".to_vec(), Vec::new()];
    let held: Vec<Secret> = held.iter().map(|bytes| Secret::copy_of(bytes).unwrap()).collect();
    // A repetitive secret is found too.
    let repeating = Secret::copy_of(&b"abcde".repeat(20_000)).unwrap();
    let mut heap = b"abcde".repeat(8);
    let found = audit().unwrap();
    assert_eq!((found.secrets, found.not_searched), (1, 4));
    assert!(found.fragments >= 1, "{found}");
    heap.zeroize();
    drop((held, repeating));
}

#[test]
fn public_bytes_are_not_searched_for() {
    if !is("public") {
        again("tests::audited::public_bytes_are_not_searched_for", "public");
        return;
    }
    let user = b"a user's name that the file contains, too".to_vec();
    let held = (Secret::of_public(&user).unwrap(), random(38));
    let found = audit().unwrap();
    assert_eq!((found.secrets, found.full, found.fragments), (1, 0, 0));
    assert!(held.0.matches(&user));
}

#[test]
fn secret_pages_are_not_counted_even_if_they_are_readable() {
    if !is("fallback") {
        again("tests::audited::secret_pages_are_not_counted_even_if_they_are_readable", "fallback");
        return;
    }
    refuse_memfd_secret();
    let secret = random(38);
    let twin = secret.expose(Secret::copy_of).unwrap();
    assert_eq!(counts(), (0, 0));
    let mut heap = secret.expose(<[u8]>::to_vec);
    assert_eq!(counts(), (1, 0));
    heap.zeroize();
    drop(twin);
}

#[test]
fn other_threads_may_create_and_drop_secrets_during_an_audit() {
    if !is("busy") {
        again("tests::audited::other_threads_may_create_and_drop_secrets_during_an_audit", "busy");
        return;
    }
    let kept = random(100);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for size in [20, 300, 40_000] {
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    black_box(random(size));
                }
            });
        }
        for _ in 0..50 {
            assert_eq!(counts(), (0, 0));
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    drop(kept);
}

#[test]
fn an_outside_scan_counts_the_same() {
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::fs::FileExt;
    use std::process::{Command, Stdio};
    const NAME: &str = "tests::audited::an_outside_scan_counts_the_same";
    if is("outside") {
        let mut buffer = SecretBuf::zeroed(38).unwrap();
        buffer
            .expose_mut(|bytes| std::fs::File::open("/dev/stdin").unwrap().read_exact(bytes))
            .unwrap();
        let secret = buffer.freeze();
        let copies = secret.expose(|bytes| [bytes.to_vec(), bytes.to_vec(), bytes[5..30].to_vec()]);
        let found = audit().unwrap();
        println!("\ncounted {} {}", found.full, found.fragments);
        // The parent scans this process, then sends a line.
        std::fs::File::open("/dev/stdin").unwrap().read_exact(&mut [0]).unwrap();
        black_box(copies);
        return;
    }
    let secret: Vec<u8> = random(38).expose(<[u8]>::to_vec);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture", "--test-threads=1"])
        .env("BOOTSEAL_MEMORY_TEST_CASE", "outside")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&secret).unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let counted = lines.find_map(|line| line.strip_prefix("counted ").map(str::to_owned)).unwrap();
    // The simple method: every offset of every readable mapping.
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", child.id())).unwrap();
    let memory = std::fs::File::open(format!("/proc/{}/mem", child.id())).unwrap();
    let (mut full, mut fragments) = (0, 0);
    for line in maps.lines().filter(|line| line.contains(" r")) {
        let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let (start, end) =
            (u64::from_str_radix(start, 16).unwrap(), u64::from_str_radix(end, 16).unwrap());
        let mut bytes = vec![0; (end - start) as usize];
        if memory.read_exact_at(&mut bytes, start).is_err() {
            continue;
        }
        let mut at = 0;
        while at + 16 <= bytes.len() {
            let longest = (0..=secret.len() - 16)
                .map(|from| {
                    secret[from..]
                        .iter()
                        .zip(&bytes[at..])
                        .take_while(|(one, other)| one == other)
                        .count()
                })
                .max()
                .unwrap();
            full += usize::from(longest == secret.len());
            fragments += usize::from((16..secret.len()).contains(&longest));
            at += if longest >= 16 { longest } else { 1 };
        }
    }
    input.write_all(b"\n").unwrap();
    lines.for_each(drop);
    assert!(child.wait().unwrap().success());
    assert_eq!(counted, format!("{full} {fragments}"));
    assert_eq!((full, fragments), (2, 1));
}
