//! The machine's settings for memory that contains secrets: swap, core dumps, tracing and locked
//! memory.
//!
//! Bootseal's own secret pages are never in swap or in a core dump; the memory of a program that
//! received a value from `exec` or `get` may be.

use crate::commands::doctor::finding::Finding;
#[cfg(target_os = "linux")]
use crate::ui::swap::SwapFiles;
use bootseal_core::{Shown, shell_path};
use std::path::PathBuf;

/// The locked memory that the values of a large file need; old containers have a lower limit.
const LOCKED_BYTES: u64 = 1 << 20;

/// The settings of the system. A setting that is unknown is `None` or empty.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    /// Unencrypted swap on a disk.
    pub(crate) swap: Vec<PathBuf>,
    /// The size limit of core dumps in bytes; `Some(None)` means no limit.
    pub(crate) core_limit: Option<Option<u64>>,
    pub(crate) core_pattern: String,
    pub(crate) ptrace_scope: Option<u8>,
    pub(crate) locked_limit: Option<Option<u64>>,
    /// The reason why `memfd_secret` is not in use; `None` if it is in use.
    pub(crate) not_secret: Option<String>,
}

impl Machine {
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for swap in &self.swap {
            findings.push(Finding::of_machine(
                "swap",
                format!(
                    "swap on {} is not encrypted: values in a program's memory may be written there",
                    Shown::path(swap)
                ),
                format!("sudo swapoff {}", shell_path(swap)),
            ));
        }
        if self.core_limit.is_some_and(|limit| limit != Some(0)) {
            let where_to = match self.core_pattern.trim() {
                "" => "a file".into(),
                pattern => format!("`{}`", bootseal_core::Shown(pattern)),
            };
            findings.push(Finding::of_machine(
                "core-dump",
                format!("the memory of a program that crashes is written to {where_to}"),
                "ulimit -c 0   (for a service: LimitCORE=0 in its unit)".into(),
            ));
        }
        if self.ptrace_scope == Some(0) {
            findings.push(Finding::of_machine(
                "ptrace",
                "every program of a user can read the memory of the user's other programs".into(),
                "sudo sysctl -w kernel.yama.ptrace_scope=1".into(),
            ));
        }
        if let Some(Some(limit)) =
            self.locked_limit.filter(|limit| limit.is_some_and(|bytes| bytes < LOCKED_BYTES))
        {
            findings.push(Finding::of_machine(
                "locked-memory",
                format!("only {} KiB of memory may be locked: a large file does not fit", limit >> 10),
                "ulimit -l 8192   (for a service: LimitMEMLOCK=8M in its unit; for a container: --ulimit memlock=8388608)"
                    .into(),
            ));
        }
        if let Some(reason) = &self.not_secret {
            let fix = match reason.contains("not permitted") {
                true => {
                    "docker run --security-opt seccomp=PROFILE …   (a profile that allows memfd_secret)"
                }
                false => {
                    "sudo grubby --update-kernel=ALL --args=secretmem.enable=1   (or the same in GRUB_CMDLINE_LINUX; Linux 5.14 or later)"
                }
            };
            findings.push(Finding::of_machine(
                "memory",
                format!("secrets are in locked pages, which root can read ({reason})"),
                fix.into(),
            ));
        }
        findings
    }
}

#[cfg(target_os = "linux")]
impl Machine {
    pub(crate) fn read() -> Machine {
        use rustix::process::{Resource, getrlimit};
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Machine {
            swap: SwapFiles::default().in_clear(),
            core_limit: Some(getrlimit(Resource::Core).current),
            core_pattern: read("/proc/sys/kernel/core_pattern"),
            ptrace_scope: read("/proc/sys/kernel/yama/ptrace_scope").trim().parse().ok(),
            locked_limit: Some(getrlimit(Resource::Memlock).current),
            not_secret: match bootseal_memory::report() {
                Ok(report) => report.reason,
                Err(error) => Some(error.to_string()),
            },
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Machine {
    /// Not checked on macOS and Windows.
    pub(crate) fn read() -> Machine {
        Machine::default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn each_unsafe_setting_is_one_finding_with_a_command() {
        let sound = Machine {
            core_limit: Some(Some(0)),
            ptrace_scope: Some(1),
            locked_limit: Some(Some(8 << 20)),
            ..Machine::default()
        };
        assert!(sound.findings().is_empty());
        assert!(Machine::default().findings().is_empty());
        let bad = Machine {
            swap: vec!["/dev/sda2".into()],
            core_limit: Some(None),
            core_pattern: "|/usr/lib/apport %p\n".into(),
            ptrace_scope: Some(0),
            locked_limit: Some(Some(64 << 10)),
            not_secret: Some("memfd_secret: Operation not permitted".into()),
        };
        let found = bad.findings();
        let codes: Vec<&str> = found.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, ["swap", "core-dump", "ptrace", "locked-memory", "memory"]);
        assert!(found.iter().all(|finding| !finding.fix.is_empty()));
        assert!(found[1].what.contains("`|/usr/lib/apport %p`"), "{}", found[1].what);
        assert!(found[3].what.contains("only 64 KiB"), "{}", found[3].what);
    }
}
