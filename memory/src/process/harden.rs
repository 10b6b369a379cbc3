//! Process hardening: no core files and not dumpable. Settings that only the system can change are
//! reported.

use std::fmt;

/// The result of one setting.
///
/// ```
/// use bootseal_memory::Setting;
/// assert_eq!(Setting::NotHere.to_string(), "this system has no such setting");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Setting {
    /// The setting is in force from now on.
    Done,
    /// The system refused, for this reason.
    Refused(String),
    /// The system has no such setting.
    NotHere,
    /// The setting was not requested.
    NotAsked,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Setting::Done => f.write_str("yes"),
            Setting::Refused(reason) => write!(f, "refused: {reason}"),
            Setting::NotHere => f.write_str("this system has no such setting"),
            Setting::NotAsked => f.write_str("not requested"),
        }
    }
}

/// The result of [`harden`].
///
/// ```no_run
/// eprintln!("{}", bootseal_memory::harden());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Hardened {
    /// Not dumpable (`PR_SET_DUMPABLE`): no core from the kernel, and no other process of the same
    /// user can attach.
    pub not_dumpable: Setting,
    /// No core files (`RLIMIT_CORE`), for the children too.
    pub no_core_files: Setting,
    /// No program that this process starts gains privileges (`PR_SET_NO_NEW_PRIVS`).
    pub no_new_privileges: Setting,
    /// `kernel.yama.ptrace_scope`: 3 stops root from attaching too. `None` if the kernel has no
    /// Yama.
    pub ptrace_scope: Option<u8>,
    /// Whether the machine has swap. Secret pages are never swapped; the rest of the process may
    /// be. `None` if it cannot be read.
    pub swap: Option<bool>,
}

impl Hardened {
    /// Permanently prevents programs that this process starts from gaining privileges by
    /// set-user-ID or file capabilities.
    ///
    /// The setting applies to this thread and the threads that it starts afterwards, so call it in
    /// `main` before any other thread exists. Do not use it in a program that starts `sudo`.
    ///
    /// ```no_run
    /// let hardened = bootseal_memory::harden().and_no_new_privileges();
    /// eprintln!("{hardened}");
    /// ```
    #[must_use]
    pub fn and_no_new_privileges(mut self) -> Hardened {
        self.no_new_privileges = sys::no_new_privileges();
        self
    }
}

impl fmt::Display for Hardened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not dumpable: {}; no core files: {}", self.not_dumpable, self.no_core_files)?;
        write!(f, "; no new privileges: {}; ", self.no_new_privileges)?;
        match self.ptrace_scope {
            Some(3) => f.write_str("kernel.yama.ptrace_scope is 3: no process may attach"),
            Some(scope) => {
                write!(f, "kernel.yama.ptrace_scope is {scope}: root may attach (3 stops that)")
            }
            None => f.write_str("no Yama: root may attach"),
        }?;
        f.write_str(match self.swap {
            Some(true) => "; swap is on: memory outside secret pages may be written to it",
            Some(false) => "; no swap",
            None => "; it is not known whether there is swap",
        })
    }
}

/// Permanently makes this process not dumpable and switches core files off. If the system refuses a
/// setting, the result reports it, and the other settings are still applied.
///
/// A program should call this at the start of `main`; the library never calls it. Afterwards
/// `/proc/self/*` belongs to root: a debugger, profiler or crash reporter of the same user can no
/// longer reach the process. [`audit`](crate::audit) still works. A program started by `exec` does
/// not inherit this, except for the core limit and the privileges.
///
/// All settings work on Linux. On other Unix systems this sets only the core limit, and elsewhere
/// nothing. The result shows which settings were applied.
///
/// ```no_run
/// use bootseal_memory::{Setting, harden};
///
/// let hardened = harden();
/// if hardened.not_dumpable != Setting::Done {
///     eprintln!("{hardened}");
/// }
/// ```
pub fn harden() -> Hardened {
    let file = |path| std::fs::read_to_string(path).ok();
    Hardened {
        not_dumpable: sys::not_dumpable(),
        no_core_files: sys::no_core_files(),
        no_new_privileges: Setting::NotAsked,
        ptrace_scope: file("/proc/sys/kernel/yama/ptrace_scope")
            .and_then(|scope| scope.trim().parse().ok()),
        // The first line is a heading; each swap area adds a line.
        swap: file("/proc/swaps").map(|swaps| swaps.lines().count() > 1),
    }
}

#[cfg(unix)]
fn outcome(returned: libc::c_int) -> Setting {
    if returned == 0 {
        Setting::Done
    } else {
        Setting::Refused(std::io::Error::last_os_error().to_string())
    }
}

#[cfg(unix)]
mod sys {
    use super::{Setting, outcome};

    #[cfg(target_os = "linux")]
    pub(super) fn not_dumpable() -> Setting {
        // SAFETY: takes numbers only.
        outcome(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) })
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn not_dumpable() -> Setting {
        Setting::NotHere
    }

    pub(super) fn no_core_files() -> Setting {
        let limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: reads one rlimit through a valid pointer.
        outcome(unsafe { libc::setrlimit(libc::RLIMIT_CORE, &limit) })
    }

    #[cfg(target_os = "linux")]
    pub(super) fn no_new_privileges() -> Setting {
        // SAFETY: takes numbers only.
        outcome(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn no_new_privileges() -> Setting {
        Setting::NotHere
    }
}

#[cfg(not(unix))]
mod sys {
    use super::Setting;

    pub(super) fn not_dumpable() -> Setting {
        Setting::NotHere
    }

    pub(super) fn no_core_files() -> Setting {
        Setting::NotHere
    }

    pub(super) fn no_new_privileges() -> Setting {
        Setting::NotHere
    }
}

#[cfg(all(test, target_os = "linux", not(miri)))]
mod tests {
    #![allow(clippy::unwrap_used, clippy::print_stdout)]
    use super::*;
    use crate::tests::degraded::{again, is};

    #[test]
    fn a_hardened_process_is_closed_to_its_own_user_and_can_still_audit_itself() {
        const NAME: &str = "process::harden::tests::a_hardened_process_is_closed_to_its_own_user_and_can_still_audit_itself";
        if !is("harden") {
            again(NAME, "harden");
            return;
        }
        // Root may open everything, so the test runs as another user.
        crate::tests::degraded::allow_locked_bytes(8 << 20);
        let hardened = harden();
        println!("{hardened}");
        let done = [&hardened.not_dumpable, &hardened.no_core_files, &hardened.no_new_privileges];
        assert_eq!(done, [&Setting::Done, &Setting::Done, &Setting::NotAsked]);
        assert_eq!(hardened.and_no_new_privileges().no_new_privileges, Setting::Done);
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
        assert!(std::fs::File::open("/proc/self/mem").is_err());
        let mut limit = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
        // SAFETY: plain system calls with valid arguments.
        unsafe {
            assert_eq!(libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
            assert_eq!(libc::getrlimit(libc::RLIMIT_CORE, &mut limit), 0);
        }
        assert_eq!((limit.rlim_cur, limit.rlim_max), (0, 0));
        let secret =
            crate::Secret::copy_of(&std::fs::read("/proc/sys/kernel/random/uuid").unwrap())
                .unwrap();
        let planted = secret.expose(<[u8]>::to_vec);
        assert!(crate::audit().unwrap().full >= 1);
        drop(planted);
    }
}
