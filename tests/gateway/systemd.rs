//! The units of examples/systemd, checked by systemd itself and against the gateway's system calls.

use crate::lifecycle::with_socket;
use crate::support;
use crate::support::{Gateway, Usual, ca, call, get};
use crate::under_load::five_times;
use bootseal_vendor_sim::Vendor;
use std::collections::BTreeSet;
use std::fs::{create_dir, read_to_string, write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("examples/systemd").join(name)
}

fn analyze(arguments: &[&str]) -> Output {
    Command::new("systemd-analyze").args(arguments).arg("--no-pager").output().unwrap()
}

fn told(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn systemd_accepts_the_units_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let unit = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for name in ["bootseal-gateway.service", "bootseal-gateway.socket"] {
        let text = read_to_string(example(name)).unwrap();
        // The binary is not installed at the path of the unit.
        write(
            unit(name),
            text.replace("/usr/bin/bootseal-gateway", support::program().to_str().unwrap()),
        )
        .unwrap();
    }
    let output =
        analyze(&["verify", &unit("bootseal-gateway.service"), &unit("bootseal-gateway.socket")]);
    let ours: Vec<String> = told(&output)
        .lines()
        .filter(|line| line.contains("bootseal-gateway"))
        .map(str::to_owned)
        .collect();
    assert!(output.status.success() && ours.is_empty(), "{}", told(&output));
}

#[test]
fn five_starts_and_stops_under_load_leave_nothing_behind() {
    let vendor = Vendor::start().unwrap();
    let usual = Usual::new(vendor.url("").trim_end_matches('/'), &ca(vendor.ca_pem()), "");
    // systemd holds the socket over all starts.
    let listener = std::net::TcpListener::bind(("127.0.0.1", usual.port)).unwrap();
    let state = usual.sealed.at("state");
    create_dir(&state).unwrap();
    five_times(&usual, &vendor, || {
        let mut command = with_socket(&usual, &listener);
        command.env("STATE_DIRECTORY", &state).stdin(Stdio::null());
        Gateway::run(command)
    });
}

/// 15 means an exposure of at most 1.5 of 10.
#[test]
fn the_service_has_a_low_exposure_score() {
    let unit = example("bootseal-gateway.service");
    let output = analyze(&["security", "--offline=true", "--threshold=15", unit.to_str().unwrap()]);
    assert!(output.status.success(), "{}", told(&output));
}

/// The system calls of a group, including those of nested groups.
fn group(name: &str, all: &mut BTreeSet<String>) {
    let output = analyze(&["syscall-filter", name]);
    assert!(output.status.success(), "{}", told(&output));
    for line in told(&output).lines().skip(1).map(str::trim).filter(|line| !line.starts_with('#')) {
        if line.starts_with('@') {
            group(line, all);
        } else {
            all.insert(line.to_owned());
        }
    }
}

#[test]
fn the_system_call_filter_allows_every_call_the_gateway_makes() {
    let mut allowed = BTreeSet::new();
    let unit = read_to_string(example("bootseal-gateway.service")).unwrap();
    for line in unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        let (names, take) = line.strip_prefix('~').map_or((line, true), |names| (names, false));
        let mut set = BTreeSet::new();
        for name in names.split(' ') {
            if name.starts_with('@') {
                group(name, &mut set)
            } else {
                assert!(set.insert(name.to_owned()))
            }
        }
        if take { allowed.extend(set) } else { allowed.retain(|name| !set.contains(name)) }
    }

    let vendor = Vendor::start().unwrap();
    let usual = Usual::new(vendor.url("").trim_end_matches('/'), &ca(vendor.ca_pem()), "");
    let (trace, state) = (usual.sealed.at("trace"), usual.sealed.at("state"));
    create_dir(&state).unwrap();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o"]).arg(&trace).arg(support::program()).arg(usual.sealed.path());
    strace.args(["--audit", "1"]).env_clear().env("BOOTSEAL_IDENTITY", usual.sealed.at("app.key"));
    strace.env("BOOTSEAL_PIN", &usual.sealed.vault).env("STATE_DIRECTORY", &state);
    let mut gateway = Gateway::run(strace);
    assert_eq!(call(usual.port, &get("/orders")).status, 200);
    vendor.revoke_all();
    assert_eq!(call(usual.port, &get("/orders")).status, 200);
    assert!(call(usual.admin, &get("/metrics")).text().contains("bootseal_gateway_calls_total"));
    let newer = usual.sealed.changed(|vault| {
        vault.set_readable(&"acme.note".parse().unwrap(), &"new".into()).unwrap();
    });
    usual.sealed.replace(&newer);
    gateway.log().wait("reloaded");
    // The tracer does not forward signals, so its child gets the signal.
    let below = read_to_string(format!("/proc/{0}/task/{0}/children", gateway.pid())).unwrap();
    assert!(Command::new("kill").arg(below.trim()).status().unwrap().success());
    gateway.ended();

    let text = read_to_string(trace).unwrap();
    let made: BTreeSet<String> = text
        .lines()
        .filter_map(|line| {
            line.split_once(' ')?.1.trim_start().split_once('(').map(|(name, _)| name.to_owned())
        })
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
        .collect();
    assert!(made.contains("connect") && made.contains("seccomp"), "{made:?}");
    let refused: Vec<_> = made.difference(&allowed).collect();
    assert!(refused.is_empty(), "{refused:?}");
}
