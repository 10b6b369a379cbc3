//! The process that holds a lock, as the kernel lists it.

use std::fmt;
use std::path::Path;

/// Who holds a lock: a process that this one can see, or an unknown one.
pub(super) struct Holder(Option<Process>);

struct Process {
    id: u32,
    name: String,
}

impl Holder {
    /// Finds the holder of the lock of the folder.
    #[cfg(target_os = "linux")]
    pub(super) fn of(folder: &Path) -> Holder {
        use std::os::unix::fs::MetadataExt;
        let process = || {
            let meta = folder.metadata().ok()?;
            let (major, minor) = (rustix::fs::major(meta.dev()), rustix::fs::minor(meta.dev()));
            let locks = std::fs::read_to_string("/proc/locks").ok()?;
            let id = holder(&locks, &format!("{major:02x}:{minor:02x}:{}", meta.ino()))?;
            let name = std::fs::read(format!("/proc/{id}/comm")).ok()?;
            Some(Process { id, name: String::from_utf8_lossy(&name).trim_end().to_owned() })
        };
        Holder(process())
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn of(_: &Path) -> Holder {
        Holder(None)
    }
}

/// Reads `/proc/locks`, with lines such as `1: FLOCK  ADVISORY  WRITE 30952 fe:00:7307301 0 EOF`.
/// A line of a process that waits has `->` after the number.
#[cfg(target_os = "linux")]
fn holder(locks: &str, file: &str) -> Option<u32> {
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, process, locked, ..] = words.as_slice() else { return None };
        // The number is 0 or negative if the process is in another container.
        process.parse().ok().filter(|id| *locked == file && *id > 0)
    })
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(Process { id, name }) => {
                write!(f, "locked by {id} ({})", crate::shown::Shown(name))
            }
            None => f.write_str("locked by another process"),
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_holder_is_found_by_device_and_inode() {
        let locks = "1: POSIX  ADVISORY  WRITE 11 fe:00:7 0 EOF\n\
            2: FLOCK  ADVISORY  WRITE 12 fe:00:77 0 EOF\n\
            3: -> FLOCK  ADVISORY  WRITE 13 fe:00:7 0 EOF\n\
            4: FLOCK  ADVISORY  WRITE 0 fe:00:8 0 EOF\n\
            5: FLOCK  ADVISORY  READ 14 fe:00:7 0 EOF\n";
        assert_eq!(holder(locks, "fe:00:7"), Some(14));
        assert_eq!(holder(locks, "fe:00:77"), Some(12));
        assert_eq!(holder(locks, "fe:00:8"), None);
        assert_eq!(holder(locks, "fe:01:7"), None);
        assert_eq!(holder("", "fe:00:7"), None);
    }

    #[test]
    fn the_name_of_a_process_is_escaped() {
        let process = Process { id: 7, name: "a\u{1b}[2Jb".into() };
        assert_eq!(Holder(Some(process)).to_string(), r"locked by 7 (a\u{1b}[2Jb)");
        assert_eq!(Holder(None).to_string(), "locked by another process");
    }
}
