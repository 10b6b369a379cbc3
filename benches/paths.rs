//! Benchmark of the steps from a sealed file to a call: `cargo bench -p bootseal`.
//!
//! The figures are medians. Compare only figures of the same run.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a benchmark

use bootseal_core::{
    Access, Cost, Identity, Pin, Role, SealedFile, Secret, Side, ValueKind, Vault,
};
use bootseal_vendor_sim::Vendor;
use std::hint::black_box;
use std::time::{Duration, Instant};

fn median(what: &str, runs: usize, per_run: u32, mut work: impl FnMut()) {
    let mut times: Vec<Duration> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed() / per_run
        })
        .collect();
    times.sort();
    println!("{what:55} {:>12.1?}   (min {:.1?})", times[runs / 2], times[0]);
}

/// The time of one run of `work` while two threads run it concurrently.
fn at_once(what: &str, work: impl Fn() + Sync) {
    const PER_RUN: u32 = 1_000_000;
    median(what, 15, PER_RUN, || {
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..PER_RUN).for_each(|_| work()));
            }
        });
    });
}

fn vault_of(count: usize, me: &Identity) -> String {
    let names: String = (0..count).map(|index| format!("key{index} = \"\"\n")).collect();
    let mut vault = Vault::create(
        vec![Access::new("me", Role::Writer, me.recipient()).unwrap()],
        format!("[values]\n{names}"),
    )
    .unwrap();
    let value = Secret::copy_of(b"a password of 31 bytes, as many").unwrap();
    let values: Vec<_> = (0..count)
        .map(|index| {
            (format!("values.key{index}").parse().unwrap(), ValueKind::Text, value.clone())
        })
        .collect();
    vault.set_all(values.into_iter().map(Ok), 1).unwrap();
    vault.sign().unwrap()
}

fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default(); // for bare reqwest
    let me = [Identity::generate().unwrap()];
    for count in [2, 100, 10_000] {
        let text = vault_of(count, &me[0]);
        let pin: Pin = SealedFile::parse(text.clone().into_bytes()).unwrap().claimed_vault().into();
        let verify =
            || SealedFile::parse(text.clone().into_bytes()).unwrap().verify(&[pin]).unwrap();
        let runs = if count > 1000 { 15 } else { 101 };
        median(&format!("verify a file of {count} values"), runs, 1, || drop(black_box(verify())));
        median(&format!("verify it and open all {count} values"), runs, 1, || {
            drop(black_box(verify().open(&me).unwrap().open_all().unwrap()))
        });
        median(&format!("set one of {count} values, and sign"), runs, 1, || {
            let mut vault = verify().open_for_writing(&me).unwrap();
            vault
                .set(
                    &"values.key1".parse().unwrap(),
                    ValueKind::Text,
                    &Secret::copy_of(b"new").unwrap(),
                    2,
                )
                .unwrap();
            black_box(vault.sign().unwrap());
        });
        median(&format!("make new keys for {count} values, and sign"), runs, 1, || {
            let mut vault = verify().open_for_writing(&me).unwrap();
            vault.rotate(true).unwrap();
            black_box(vault.sign().unwrap());
        });
        let branch = |name: &str| {
            let mut vault = verify().open_for_writing(&me).unwrap();
            vault
                .set(&name.parse().unwrap(), ValueKind::Text, &Secret::copy_of(b"new").unwrap(), 2)
                .unwrap();
            vault.sign().unwrap()
        };
        let (ours, theirs) = (branch("values.key0"), branch("values.key1"));
        median(&format!("merge two branches of {count} values, and sign"), runs, 1, || {
            let open = |text: &String| {
                let file =
                    SealedFile::parse(text.clone().into_bytes()).unwrap().verify(&[pin]).unwrap();
                file.open_for_writing(&me).unwrap()
            };
            let (base, mut vault, other) = (open(&text), open(&ours), open(&theirs));
            let (base, mine, other) =
                (Side::of(&base).unwrap(), Side::of(&vault).unwrap(), Side::of(&other).unwrap());
            vault.merge(&base, &mine, &other, |_| None, 3).unwrap();
            black_box(vault.sign().unwrap());
        });
    }
    let passphrase = Secret::copy_of(b"correct horse battery staple").unwrap();
    for (what, cost) in [("64 MiB", Cost::Small), ("256 MiB", Cost::Full)] {
        let access = vec![Access::by_passphrase("app", Role::Writer, cost, &passphrase).unwrap()];
        let text = Vault::create(access, "").unwrap().sign().unwrap();
        let file = SealedFile::parse(text.into_bytes()).unwrap().verify(&[]).unwrap();
        median(&format!("derive an identity from a passphrase, {what}"), 7, 1, || {
            drop(black_box(file.identity_by_any_passphrase(&passphrase).unwrap()))
        });
    }
    let secret = Secret::copy_of(&[7; 32]).unwrap();
    median("read a secret of 32 bytes", 101, 10_000, || {
        for _ in 0..10_000 {
            black_box(secret.expose(|bytes| bytes.iter().fold(0, |sum: u8, byte| sum ^ byte)));
        }
    });
    median("make and drop a secret of 32 bytes", 101, 1_000, || {
        for _ in 0..1_000 {
            black_box(Secret::copy_of(&[7; 32]).unwrap());
        }
    });
    let vendor = Vendor::start().unwrap();
    let readable = format!(
        "[acme]\nusername = \"quickstart\"\n[acme.login]\nurl = \"{}\"\njson = {{ username = \"${{username}}\", password = \"${{password}}\" }}\nca = '''{}'''\n",
        vendor.url("/login"),
        vendor.ca_pem()
    );
    let vault = bootseal::testing::vault([("acme.password", "open sesame")], &readable).unwrap();
    let source = vault.token_source("acme").unwrap();
    source.token_blocking().unwrap();
    median("get a cached token", 101, 10_000, || {
        for _ in 0..10_000 {
            black_box(source.token_blocking().unwrap());
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bare = || {
        let roots = reqwest::Certificate::from_pem(vendor.ca_pem().as_bytes()).unwrap();
        reqwest::Client::builder().tls_certs_only([roots]).no_proxy()
    };
    let url = vendor.url("/orders");
    at_once("get a cached token, on two threads at once", || {
        drop(black_box(source.token_blocking().unwrap()))
    });
    let plain = tokio::sync::RwLock::new(std::sync::Arc::<str>::from("a token of a plain cache"));
    median("get a token from a tokio RwLock<Arc<str>>", 101, 10_000, || {
        for _ in 0..10_000 {
            black_box(plain.blocking_read().clone());
        }
    });
    at_once("the same RwLock, on two threads at once", || {
        drop(black_box(plain.blocking_read().clone()))
    });
    let header = source
        .token_blocking()
        .unwrap()
        .expose(|token| format!("Bearer {}", String::from_utf8_lossy(token)));
    for (version, client, bare) in [
        (
            "HTTP/1.1",
            source.client_builder().http1_only().build(),
            bare().http1_only().build().unwrap(),
        ),
        ("HTTP/2", source.client(), bare().build().unwrap()),
    ] {
        // The clients alternate after each call, so that other load on the machine affects both.
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        runtime.block_on(async {
            for _ in 0..10_000 {
                let start = Instant::now();
                client.get(&url).send().await.unwrap().bytes().await.unwrap();
                ours.push(start.elapsed());
                let start = Instant::now();
                bare.get(&url)
                    .header("authorization", &header)
                    .send()
                    .await
                    .unwrap()
                    .bytes()
                    .await
                    .unwrap();
                theirs.push(start.elapsed());
            }
        });
        for (what, times) in [
            ("a call with the token, HTTPS on loopback", &mut ours),
            ("the same call through bare reqwest", &mut theirs),
        ] {
            times.sort();
            let what = format!("{what}, {version}");
            println!("{what:55} {:>12.1?}   (min {:.1?})", times[times.len() / 2], times[0]);
        }
    }
}
