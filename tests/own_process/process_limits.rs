//! `doctor` reports the limits of the process that it runs in.
//!
//! A process for itself: the loader, which other tests call, lowers the limit of core files for
//! good.

#![allow(clippy::panic, clippy::unwrap_used)] // a test

#[path = "../support/mod.rs"]
mod support;

use serde_json::Value;
use std::process::Command;
use support::{Home, Ran};

#[test]
fn process_limits_are_checked() {
    let home = Home::new();
    let after = |limit: &str| {
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            &format!("{limit} && exec \"$0\" doctor --json"),
            env!("CARGO_BIN_EXE_bootseal"),
        ]);
        let ran: Ran =
            shell.current_dir(home.path()).env("HOME", home.path()).output().unwrap().into();
        let document: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran:?}"));
        let findings = document["findings"].as_array().unwrap().clone();
        assert_eq!(ran.code, i32::from(!findings.is_empty()), "{document}");
        let mends = findings.iter().all(|finding| !finding["mend"].as_str().unwrap().is_empty());
        assert!(mends, "{document}");
        findings
            .iter()
            .map(|finding| finding["finding"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert!(!after("ulimit -c 0").contains(&"core-dump".into()));
    assert!(after("ulimit -S -c 1").contains(&"core-dump".into()));
    assert!(after("ulimit -S -l 64").contains(&"locked-memory".into()));
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    assert_eq!(after("ulimit -c 0").contains(&"ptrace".into()), scope.trim() == "0");
    let swaps = std::fs::read_to_string("/proc/swaps").unwrap_or_default();
    if swaps.lines().count() < 2 {
        assert!(!after("ulimit -c 0").contains(&"swap".into()));
    }
}
