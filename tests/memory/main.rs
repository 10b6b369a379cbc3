//! The memory of an application contains none of its secrets in any state. An application written
//! the usual way contains all of them, which proves that the scan finds them.
//!
//! Alone: `cargo build -p bootseal --all-features --examples && cargo test -p bootseal
//! --all-features --test memory`.
//!
//! Each program goes through the same states, and is scanned in each (see memory/scan.py).
//! `BOOTSEAL_MEMORY_TABLE=path` writes the table for docs/memory.md. The test needs gcore, age and
//! permission to trace; without them it fails with an error that says so.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)] // a test

mod process;
mod scanner;
mod secrets;
mod vendor_process;

use process::{Process, example};
use scanner::{Found, places, prove, scan};
use secrets::{Needles, Sealed, USER, password, settings};
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;
use vendor_process::Vendor;

const HOUR: Duration = Duration::from_secs(3600);
const QUARTER: Duration = Duration::from_secs(15 * 60);
const NEEDLES: [&str; 4] = ["password", "token", "data key", "identity"];
const FULL_SCANS: &[&str] = &["memory", "core"];

/// The programs, in the order of the table.
const USUAL: &str = "reqwest with secrecy";
const WIPING: &str = "Bootseal, with its allocator";
const GLIBC: &str = "Bootseal, glibc's allocator";
const REFUSED: &str = "Bootseal, memfd_secret refused; `gcore` without `-a`";
const OWN_CLIENT: &str = "Bootseal's layer over a reqwest client";
const PROGRAMS: [&str; 5] = [USUAL, OWN_CLIENT, WIPING, GLIBC, REFUSED];

// ---- The tests

#[test]
fn with_the_allocator_no_secret_is_found_in_any_state() {
    measure(Program {
        name: WIPING,
        command: || example("memory-with-allocator", None),
        says: "secrets are stored in memfd_secret",
        images: FULL_SCANS,
    })
    .nothing_is_found();
}

#[test]
fn without_the_allocator_no_secret_is_found() {
    measure(Program {
        name: GLIBC,
        command: || example("memory-without-allocator", None),
        says: "secrets are stored in memfd_secret",
        images: FULL_SCANS,
    })
    .nothing_is_found();
}

#[test]
fn without_memfd_secret_it_is_reported_and_a_core_dump_contains_no_secret() {
    measure(Program {
        name: REFUSED,
        command: || example("memory-with-allocator", Some("no_memfd_secret.py")),
        says: "secrets are stored in locked pages (memfd_secret: Operation not permitted",
        images: &["default core"],
    })
    .nothing_is_found();
}

#[test]
fn in_the_usual_application_every_secret_is_found() {
    let measured = measure(Program {
        name: USUAL,
        command: || example("memory-plain", None),
        says: "no guarded memory",
        images: FULL_SCANS,
    });
    for row in &measured.rows {
        let begun = row.state != "after start";
        for (image, found) in &row.images {
            assert!(
                found["password"].full > 0,
                "{}, {image}: the scan does not see the password",
                row.state
            );
            assert_eq!(
                found["token"].full > 0,
                begun,
                "{}, {image}: the scan does not see the token",
                row.state
            );
        }
    }
}

/// Calls that bypass the writer that inserts the token below HTTP: the scan shows the effect of
/// that writer.
#[cfg(feature = "middleware")]
#[test]
fn with_the_applications_own_client_only_the_token_is_found() {
    let measured = measure(Program {
        name: OWN_CLIENT,
        command: || example("memory-own-client", None),
        says: "secrets are stored in memfd_secret",
        images: FULL_SCANS,
    });
    for row in &measured.rows {
        for (image, found) in &row.images {
            let others = ["password", "data key", "identity"].map(|needle| found[needle].total());
            assert_eq!(others, [0; 3], "{}, {image}:\n{}", row.state, places(found));
            if row.state == "8 calls in flight" {
                assert!(
                    found["token"].full > 0,
                    "{image}: the scan does not see a token in a request"
                );
            }
        }
    }
}

// ---- The states

struct Program {
    name: &'static str,
    command: fn() -> Command,
    /// What the program reports about its memory.
    says: &'static str,
    images: &'static [&'static str],
}

struct Row {
    state: &'static str,
    images: BTreeMap<&'static str, Found>,
}

struct Measured {
    program: &'static str,
    rows: Vec<Row>,
}

fn measure(program: Program) -> Measured {
    static PROVED: LazyLock<()> = LazyLock::new(prove);
    LazyLock::force(&PROVED);
    let folder = tempfile::tempdir().unwrap();
    let mut vendor = Vendor::start();
    let password = password();
    vendor.add_user(USER, &password);
    let sealed = Sealed::make(folder.path(), &mut vendor, &password, "");
    let mut command = (program.command)();
    let ours = program.says != "no guarded memory";
    if ours {
        command.arg(&sealed.file).arg(&sealed.key).arg(vendor.text("orders"));
    } else {
        command.arg(settings(folder.path(), &mut vendor, &password));
    }
    let mut needles = Needles::from([("password", vec![password.into_bytes()])]);
    if ours {
        needles.extend(sealed.needles);
    }
    let app = Process::start(command);
    let hello = app.line();
    assert!(hello.contains(program.says), "{hello}");
    let mut scene = Scene { app, vendor, needles, images: program.images, rows: Vec::new() };
    scene.play();
    let measured = Measured { program: program.name, rows: scene.rows };
    tabulate(&measured);
    measured
}

struct Scene {
    app: Process,
    vendor: Vendor,
    needles: Needles,
    images: &'static [&'static str],
    rows: Vec<Row>,
}

impl Scene {
    fn play(&mut self) {
        self.look("after start");

        assert_eq!(self.app.number("call 2000 8"), 2000);
        self.look("after 2,000 calls, 8 at a time");

        self.app.ask("sleep 1000");
        self.look("idle");

        self.vendor.slow(HOUR);
        let calls = self.vendor.count("calls");
        self.app.ask("begin-calls 8");
        self.vendor.wait_for("calls", calls + 8);
        self.look("8 calls in flight");
        assert_eq!(self.app.number("pending"), 8);

        self.app.ask("abort");
        self.look("after these were aborted");
        self.vendor.slow(Duration::ZERO);

        let logins = self.vendor.count("logins");
        assert_eq!(self.app.number("renew-under-load 30 8"), 0);
        assert_eq!(self.vendor.count("logins"), logins + 30);
        self.look("after 30 logins, calls running");

        self.vendor.lifetime(Duration::from_secs(2));
        assert_eq!(self.app.number("renew"), 1);
        self.vendor.lifetime(QUARTER);
        assert_eq!(self.app.number("call 8 8"), 8);
        self.app.ask("sleep 3000");
        self.look("the token has expired");

        assert_eq!(self.app.number("call 8 8"), 8);
        let logins = self.vendor.count("logins");
        self.vendor.revoke();
        assert_eq!(self.app.number("call 8 8"), 8);
        assert!(self.vendor.count("logins") > logins);
        self.look("after a revocation");

        // The last state: the login request is in flight, and its response does not come.
        self.vendor.slow(HOUR);
        let logins = self.vendor.count("logins");
        self.app.ask("begin-login");
        self.vendor.wait_for("logins", logins + 1);
        self.look("a login in flight");
        assert_eq!(self.app.number("pending"), 1);
    }

    /// Scans for the old tokens too.
    fn look(&mut self, state: &'static str) {
        self.needles.insert("token", self.vendor.tokens());
        let images = scan(self.app.id(), self.images, &self.needles);
        self.rows.push(Row { state, images });
    }
}

// ---- The results

impl Measured {
    fn nothing_is_found(&self) {
        let mut report = String::new();
        for row in &self.rows {
            for (image, found) in &row.images {
                if found.values().any(|finding| finding.total() > 0) {
                    report +=
                        &format!("{}, {}, {image}:\n{}", self.program, row.state, places(found));
                }
            }
        }
        assert!(report.is_empty(), "found in memory\n{report}");
    }

    /// The larger result of the scans, as whole copies + pieces.
    fn lines(&self) -> String {
        let cell = |row: &Row, needle: &str| {
            let findings = row.images.values().filter_map(|found| found.get(needle));
            let most = findings.max_by_key(|finding| (finding.total(), finding.full));
            most.map_or("–".to_owned(), |most| format!("{} + {}", most.full, most.frag))
        };
        let line = |row: &Row| {
            let cells = NEEDLES.map(|needle| cell(row, needle)).join(" | ");
            format!("| {} | {} | {cells} |\n", self.program, row.state)
        };
        self.rows.iter().map(line).collect()
    }
}

/// Prints the table of the measurements so far, and writes it to the requested path.
fn tabulate(measured: &Measured) {
    static TABLES: Mutex<[String; PROGRAMS.len()]> =
        Mutex::new([const { String::new() }; PROGRAMS.len()]);
    let lines = measured.lines();
    eprintln!("{lines}");
    let mut tables = TABLES.lock().unwrap();
    let place = PROGRAMS.iter().position(|program| *program == measured.program).unwrap();
    tables[place] = lines;
    if let Some(path) = std::env::var_os("BOOTSEAL_MEMORY_TABLE") {
        let head = format!(
            "| program | state | {} |\n|---|---|{}\n",
            NEEDLES.join(" | "),
            "---|".repeat(NEEDLES.len())
        );
        std::fs::write(path, head + &tables.concat()).unwrap();
    }
}
