//! The gateway's memory contains none of its secrets, under load or idle. The scan is that of
//! tests/memory.

#[path = "../memory/scanner.rs"]
mod scanner;
#[path = "../memory/secrets.rs"]
#[allow(dead_code)] // the settings of the usual application are not used here
mod secrets;

/// Stands for the module of tests/memory from which the scanner takes the path of its script.
mod process {
    use std::path::{Path, PathBuf};

    pub(crate) fn beside(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/memory").join(name)
    }
}

/// Stands for the module of tests/memory from which `secrets` takes the vendor. This vendor runs in
/// the process of the test, which is not scanned.
mod vendor_process {
    pub(crate) struct Vendor(pub(crate) bootseal_vendor_sim::Vendor);

    impl Vendor {
        pub(crate) fn text(&mut self, name: &str) -> String {
            match name {
                "ca" => self.0.ca_pem().to_owned(),
                path => self.0.url(path),
            }
        }
    }
}

use crate::support::{Client, Gateway, free_port, get, post};
use scanner::{places, prove, scan};
use secrets::{Needles, Sealed, USER, password};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use vendor_process::Vendor;

const HOUR: Duration = Duration::from_secs(3600);

struct Scene {
    vendor: Vendor,
    gateway: Gateway,
    port: u16,
    needles: Needles,
    report: String,
}

impl Scene {
    fn look(&mut self, state: &str) {
        let tokens = self.vendor.0.tokens().into_iter().map(String::into_bytes).collect();
        self.needles.insert("token", tokens);
        for (image, found) in scan(self.gateway.pid(), &["memory", "core"], &self.needles) {
            if found.values().any(|finding| finding.total() > 0) {
                self.report += &format!("{state}, {image}:\n{}", places(&found));
            }
        }
    }

    fn calls(&self, count: usize) {
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let port = self.port;
                std::thread::spawn(move || {
                    let mut client = Client::connect(port);
                    for number in 0..count / 8 {
                        let answer = match number % 2 {
                            0 => client.call(&get("/orders")),
                            _ => client.call(&post("/orders", "a lamp")),
                        };
                        assert!([200, 201].contains(&answer.status), "{answer:?}");
                    }
                })
            })
            .collect();
        callers.into_iter().for_each(|caller| caller.join().unwrap());
    }

    fn wait_for(&self, count: impl Fn(&bootseal_vendor_sim::Vendor) -> u64, wanted: u64) {
        let until = Instant::now() + Duration::from_secs(60);
        while count(&self.vendor.0) < wanted {
            assert!(Instant::now() < until);
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

#[test]
fn no_secret_is_found_in_the_memory_of_the_gateway() {
    prove();
    let (folder, password, port) = (tempfile::tempdir().unwrap(), password(), free_port());
    let vendor = bootseal_vendor_sim::Vendor::start().unwrap().with_user(USER, &password);
    vendor.keep_tokens();
    let mut vendor = Vendor(vendor);
    let upstream = vendor.0.url("");
    let route = format!(
        "[acme.route]\nlisten = '127.0.0.1:{port}'\nupstream = '{upstream}'\nanswer_timeout = '1h'\n"
    );
    let sealed = Sealed::make(folder.path(), &mut vendor, &password, &route);
    let mut needles = Needles::from([("password", vec![password.into_bytes()])]);
    needles.extend(sealed.needles);
    let mut command = Command::new(crate::support::program());
    command
        .arg(&sealed.file)
        .arg("--identity")
        .arg(&sealed.key)
        .args(["--workers", "2"])
        .env_clear()
        .stdin(Stdio::null());
    let gateway = Gateway::run(command);
    gateway.log().wait("secrets are stored in memfd_secret");
    let mut scene = Scene { vendor, gateway, port, needles, report: String::new() };
    scene.look("after start");

    scene.calls(2000);
    scene.look("after 2,000 calls, 8 at a time");

    scene.vendor.0.slow(HOUR);
    let calls = scene.vendor.0.calls();
    let waiting: Vec<Client> = (0..8)
        .map(|_| {
            let mut client = Client::connect(port);
            client.send(get("/orders"));
            client
        })
        .collect();
    scene.wait_for(bootseal_vendor_sim::Vendor::calls, calls + 8);
    scene.look("8 calls in flight");
    drop(waiting);
    scene.vendor.0.slow(Duration::ZERO);

    let logins = scene.vendor.0.logins();
    for _ in 0..10 {
        scene.vendor.0.revoke_all();
        scene.calls(64);
    }
    assert!(scene.vendor.0.logins() >= logins + 10);
    scene.look("after ten revocations under load");

    scene.vendor.0.slow(HOUR);
    scene.vendor.0.revoke_all();
    let calls = scene.vendor.0.calls();
    let mut client = Client::connect(port);
    client.send(get("/orders"));
    scene.wait_for(bootseal_vendor_sim::Vendor::calls, calls + 1);
    scene.look("a call in flight whose token was revoked");
    assert!(scene.report.is_empty(), "found in memory\n{}", scene.report);
}
