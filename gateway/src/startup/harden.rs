//! What does the gateway give up before the first call? Dumps, new privileges, files that it does not need, system calls that it never makes. What
//! the system does not have is said, and goes without.

use bootseal::{Loader, harden};
use bootseal_core::Listen;
use std::path::PathBuf;

/// Descriptors that are no connections.
const RESERVED: u64 = 64;
/// More connections are not taken at once, whatever the limit is.
const MOST: u64 = 16_384;

/// No dumps and no core files, from the very start.
pub(crate) fn process() -> bootseal::Hardened {
    harden().and_no_new_privileges()
}

/// As many descriptors as are allowed; how many connections that makes, of which each needs one here and one at the upstream.
#[cfg(unix)]
pub(crate) fn connections() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let (limit, wanted) = (getrlimit(Resource::Nofile), MOST * 2 + RESERVED);
    let current = limit.maximum.unwrap_or(wanted).min(wanted).max(limit.current.unwrap_or(wanted));
    let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum: limit.maximum });
    let now = getrlimit(Resource::Nofile).current.unwrap_or(wanted);
    (now.saturating_sub(RESERVED) / 2).clamp(16, MOST) as usize
}

#[cfg(not(unix))]
pub(crate) fn connections() -> usize {
    MOST as usize
}

/// What it still needs of files.
pub(crate) struct Needs {
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
}

impl Needs {
    pub(crate) fn of<'a>(loader: &Loader, listens: impl Iterator<Item = &'a Listen>) -> Needs {
        let (mut read, state) = loader.folders();
        // Root certificates, names of hosts, the time zone; libraries that look up names; itself, for an audit.
        read.extend(
            ["/etc", "/usr", "/lib", "/lib64", "/proc", "/sys/kernel", "/run/systemd/resolve", "/run/nscd"]
                .map(PathBuf::from),
        );
        let mut write: Vec<PathBuf> = state.into_iter().collect();
        for listen in listens {
            if let Listen::Unix(path) = listen
                && let Some(folder) = path.parent()
            {
                write.push(folder.to_owned());
            }
        }
        Needs { read, write }
    }
}

/// Gives up all other files and the system calls, for this thread and those that it starts. What came of it, for the log.
#[cfg(target_os = "linux")]
pub(crate) fn seal_off(needs: &Needs) -> Vec<(&'static str, String)> {
    vec![("landlock", landlock(needs)), ("seccomp", seccomp())]
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn seal_off(_: &Needs) -> Vec<(&'static str, String)> {
    vec![("landlock", "this system has none".into()), ("seccomp", "this system has none".into())]
}

#[cfg(target_os = "linux")]
fn landlock(needs: &Needs) -> String {
    use landlock::{
        ABI, Access, AccessFs, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
        RulesetStatus,
    };
    let newest = ABI::V5;
    let restrict = || -> Result<_, RulesetError> {
        let mut rules = Ruleset::default().handle_access(AccessFs::from_all(newest))?.create()?;
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let write = read
            | AccessFs::WriteFile
            | AccessFs::MakeReg
            | AccessFs::MakeDir
            | AccessFs::RemoveFile
            | AccessFs::RemoveDir
            | AccessFs::MakeSock
            | AccessFs::Refer
            | AccessFs::Truncate;
        for (folders, access) in [(&needs.read, read), (&needs.write, write)] {
            // What is not there needs no rule.
            for there in folders.iter().filter_map(|folder| PathFd::new(folder).ok()) {
                rules = rules.add_rule(PathBeneath::new(there, access))?;
            }
        }
        for device in ["/dev/null", "/dev/urandom"] {
            if let Ok(there) = PathFd::new(device) {
                rules = rules.add_rule(PathBeneath::new(there, AccessFs::ReadFile | AccessFs::WriteFile))?;
            }
        }
        rules.restrict_self()
    };
    match restrict() {
        Ok(status) => match status.ruleset {
            RulesetStatus::FullyEnforced => "reads and writes only where it must, runs nothing".into(),
            RulesetStatus::PartiallyEnforced => "reads and writes only where it must, as far as this kernel can".into(),
            RulesetStatus::NotEnforced => "this kernel has none: files are not held back".into(),
        },
        Err(error) => format!("not enforced: {error}"),
    }
}

/// Calls that a proxy has no use for, and who takes it over has: they fail as if not permitted. All others go on, so that a newer libc does not end
/// the process.
#[cfg(target_os = "linux")]
fn seccomp() -> String {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};
    let refused = [
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_kcmp,
        libc::SYS_pidfd_getfd,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_keyctl,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_kexec_load,
        libc::SYS_kexec_file_load,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_move_mount,
        libc::SYS_open_tree,
        libc::SYS_fsopen,
        libc::SYS_fsmount,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_setns,
        libc::SYS_unshare,
        libc::SYS_swapon,
        libc::SYS_swapoff,
        libc::SYS_reboot,
        libc::SYS_sethostname,
        libc::SYS_setdomainname,
        libc::SYS_personality,
        libc::SYS_acct,
        libc::SYS_quotactl,
        libc::SYS_nfsservctl,
        libc::SYS_open_by_handle_at,
        libc::SYS_name_to_handle_at,
        libc::SYS_lookup_dcookie,
        libc::SYS_clock_settime,
        libc::SYS_settimeofday,
        libc::SYS_clock_adjtime,
        libc::SYS_adjtimex,
        libc::SYS_syslog,
        libc::SYS_vhangup,
        libc::SYS_setuid,
        libc::SYS_setgid,
        libc::SYS_setresuid,
        libc::SYS_setresgid,
        libc::SYS_setgroups,
        libc::SYS_mknodat,
        libc::SYS_fchownat,
    ];
    let install = || -> Result<(), Box<dyn std::error::Error>> {
        let arch: TargetArch = std::env::consts::ARCH.try_into()?;
        let rules = refused.into_iter().map(|call| (call, Vec::new())).collect();
        let not_permitted = SeccompAction::Errno(libc::EPERM as u32);
        let filter: BpfProgram = SeccompFilter::new(rules, SeccompAction::Allow, not_permitted, arch)?.try_into()?;
        Ok(seccompiler::apply_filter(&filter)?)
    };
    match install() {
        Ok(()) => format!("{} system calls given up", refused.len()),
        Err(error) => format!("not in force: {error}"),
    }
}
