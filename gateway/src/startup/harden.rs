//! Hardening of the process before the first call: no core dumps, no new privileges, Landlock for
//! files, seccomp for system calls. A measure that the kernel does not support is logged and left
//! out.

use bootseal::{Loader, harden};
use bootseal_core::Listen;
use std::path::PathBuf;

/// File descriptors reserved for everything but connections.
const RESERVED: u64 = 64;
/// The highest number of connections, whatever the limit on open files is.
const MAX_CONNECTIONS: u64 = 16_384;

/// Turns off core dumps and new privileges. It must be called first.
pub(crate) fn process() -> bootseal::Hardened {
    harden().and_no_new_privileges()
}

/// Raises the limit on open files as far as allowed, and returns the number of connections that it
/// allows: each needs one descriptor here and one at the upstream.
#[cfg(unix)]
pub(crate) fn connections() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let (limit, wanted) = (getrlimit(Resource::Nofile), MAX_CONNECTIONS * 2 + RESERVED);
    let current = limit.maximum.unwrap_or(wanted).min(wanted).max(limit.current.unwrap_or(wanted));
    let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum: limit.maximum });
    let now = getrlimit(Resource::Nofile).current.unwrap_or(wanted);
    (now.saturating_sub(RESERVED) / 2).clamp(16, MAX_CONNECTIONS) as usize
}

#[cfg(not(unix))]
pub(crate) fn connections() -> usize {
    MAX_CONNECTIONS as usize
}

/// The folders that the gateway still needs once the file is open.
pub(crate) struct FileAccess {
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
}

impl FileAccess {
    pub(crate) fn of<'a>(loader: &Loader, listens: impl Iterator<Item = &'a Listen>) -> FileAccess {
        let (mut read, state) = loader.folders();
        // Root certificates, host names and the time zone in /etc; libraries for name lookup in
        // /usr and /lib; the process's own memory, for an audit, in /proc.
        read.extend(
            [
                "/etc",
                "/usr",
                "/lib",
                "/lib64",
                "/proc",
                "/sys/kernel",
                "/run/systemd/resolve",
                "/run/nscd",
            ]
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
        FileAccess { read, write }
    }
}

/// Gives up all other files, and the refused system calls, for this thread and those that it will
/// start. Returns the enforced measures, for the log.
#[cfg(target_os = "linux")]
pub(crate) fn seal_off(access: &FileAccess) -> Vec<(&'static str, String)> {
    vec![("landlock", landlock(access)), ("seccomp", seccomp())]
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn seal_off(_: &FileAccess) -> Vec<(&'static str, String)> {
    vec![
        ("landlock", "not available on this system".into()),
        ("seccomp", "not available on this system".into()),
    ]
}

#[cfg(target_os = "linux")]
fn landlock(needed: &FileAccess) -> String {
    use landlock::{
        ABI, Access, AccessFs, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
        RulesetError, RulesetStatus,
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
        for (folders, access) in [(&needed.read, read), (&needed.write, write)] {
            // A folder that does not exist needs no rule.
            for folder in folders.iter().filter_map(|folder| PathFd::new(folder).ok()) {
                rules = rules.add_rule(PathBeneath::new(folder, access))?;
            }
        }
        for device in ["/dev/null", "/dev/urandom"] {
            if let Ok(device) = PathFd::new(device) {
                rules = rules
                    .add_rule(PathBeneath::new(device, AccessFs::ReadFile | AccessFs::WriteFile))?;
            }
        }
        rules.restrict_self()
    };
    match restrict() {
        Ok(status) => match status.ruleset {
            RulesetStatus::FullyEnforced => {
                "only the needed files can be read and written, and no program can be run".into()
            }
            RulesetStatus::PartiallyEnforced => {
                "only the needed files can be read and written, as far as this kernel supports it"
                    .into()
            }
            RulesetStatus::NotEnforced => {
                "not supported by this kernel: all files stay accessible".into()
            }
        },
        Err(error) => format!("not enforced: {error}"),
    }
}

/// The system calls that [`seccomp`] refuses.
#[cfg(target_os = "linux")]
const REFUSED_CALLS: [libc::c_long; 56] = [
    // Running programs; reading and steering other processes.
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    // Kernel interfaces with a large attack surface.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // Changing the kernel, mounts and namespaces.
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
    // Administration of the machine.
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
    // Changing the user, and files of other users.
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setgroups,
    libc::SYS_mknodat,
    libc::SYS_fchownat,
];

/// Refuses system calls that a proxy never makes but an attacker inside it would. The list has the
/// refused calls, not the allowed ones, so that a newer libc may make a new call.
#[cfg(target_os = "linux")]
fn seccomp() -> String {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};
    let install = || -> Result<(), Box<dyn std::error::Error>> {
        let arch: TargetArch = std::env::consts::ARCH.try_into()?;
        let rules = REFUSED_CALLS.into_iter().map(|call| (call, Vec::new())).collect();
        let not_permitted = SeccompAction::Errno(libc::EPERM as u32);
        let filter: BpfProgram =
            SeccompFilter::new(rules, SeccompAction::Allow, not_permitted, arch)?.try_into()?;
        Ok(seccompiler::apply_filter(&filter)?)
    };
    match install() {
        Ok(()) => format!("{} system calls refused", REFUSED_CALLS.len()),
        Err(error) => format!("not enforced: {error}"),
    }
}
