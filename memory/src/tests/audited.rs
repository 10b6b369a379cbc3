//! Tests of the audit: it counts copies that are planted, and a second process counts them from
//! outside.
//!
//! Each runs in a process of its own, because other tests hold secrets and copies of them.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use crate::audit;
use crate::tests::degraded::{again, is, refuse_memfd_secret};
use crate::{Secret, SecretBuf};
use std::hint::black_box;
use std::io::Read;
use zeroize::Zeroize;

/// A secret of random bytes that exist nowhere else.
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
    // Short ones make the search step more finely, so they come alone.
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
        // The longest is cut by every piece that is read.
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
    assert_eq!(counts(), (0, 0), "15 bytes are no fragment");
    heap.zeroize();
    // Side by side, and again after they are gone with their secret.
    let mut heap = secrets[1].expose(|bytes| [bytes, bytes, &bytes[..20], bytes].concat());
    assert_eq!(counts(), (3, 1));
    drop(secrets);
    assert_eq!(counts(), (0, 0));
    heap.zeroize();
}

#[test]
fn what_would_be_found_everywhere_is_not_searched_for() {
    if !is("uniform") {
        again("tests::audited::what_would_be_found_everywhere_is_not_searched_for", "uniform");
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
fn what_everybody_may_know_is_not_searched_for() {
    if !is("public") {
        again("tests::audited::what_everybody_may_know_is_not_searched_for", "public");
        return;
    }
    let user = b"a user's name that stands in the file, too".to_vec();
    let held = (Secret::of_public(&user).unwrap(), random(38));
    let found = audit().unwrap();
    assert_eq!((found.secrets, found.full, found.fragments), (1, 0, 0));
    assert!(held.0.matches(&user));
}

#[test]
fn secret_pages_are_not_counted_where_the_kernel_would_show_them() {
    if !is("fallback") {
        again(
            "tests::audited::secret_pages_are_not_counted_where_the_kernel_would_show_them",
            "fallback",
        );
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
fn others_make_and_drop_secrets_meanwhile() {
    if !is("busy") {
        again("tests::audited::others_make_and_drop_secrets_meanwhile", "busy");
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
        // The parent looks, then ends this line.
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
    // The plain way: every readable mapping, every place.
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
