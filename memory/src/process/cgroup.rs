//! The memory limit of the cgroup: how much this process can still allocate before the kernel kills
//! it.

use std::path::Path;

/// The memory that a container has left, and its limit, both in bytes.
///
/// ```
/// if let Some(room) = bootseal_memory::room() {
///     println!("{} MiB of {} MiB are free", room.free >> 20, room.limit >> 20);
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// The memory that can still be allocated. The page cache counts as free, because the kernel
    /// drops it on demand.
    pub free: u64,
    /// The limit that applies.
    pub limit: u64,
}

/// Returns the room of the tightest of this process's cgroups (version 1 or 2); `None` if there is
/// no limit or it cannot be read.
///
/// ```
/// let enough = bootseal_memory::room().is_none_or(|room| room.free >= 64 << 20);
/// println!("64 MiB are available: {enough}");
/// ```
pub fn room() -> Option<Room> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    room_in(Path::new("/sys/fs/cgroup"), &std::fs::read_to_string("/proc/self/cgroup").ok()?)
}

/// The file names of one version of cgroups, and the lines of `memory.stat` that count page cache.
struct Names {
    limit: &'static str,
    used: &'static str,
    cache: [&'static str; 2],
}

const V1: Names = Names {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    cache: ["total_inactive_file", "total_active_file"],
};
const V2: Names =
    Names { limit: "memory.max", used: "memory.current", cache: ["inactive_file", "active_file"] };

/// `root` is the mount point of cgroups; `membership` is the content of `/proc/self/cgroup`.
fn room_in(root: &Path, membership: &str) -> Option<Room> {
    let rooms = membership.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':');
        match (parts.next()?, parts.next()?, parts.next()?) {
            ("0", "", path) => tightest(root, path, &V2),
            (_, controllers, path) if controllers.split(',').any(|name| name == "memory") => {
                tightest(&root.join("memory"), path, &V1)
            }
            _ => None,
        }
    });
    rooms.min_by_key(|room| room.free)
}

/// Every parent group counts too. In a container the path often exists only on the host; then the
/// mount point is the group.
fn tightest(mount: &Path, path: &str, names: &Names) -> Option<Room> {
    let mut parts: Vec<&str> =
        path.split('/').filter(|part| !matches!(*part, "" | "." | "..")).collect();
    let mut rooms = Vec::new();
    loop {
        let group = parts.iter().fold(mount.to_path_buf(), |folder, part| folder.join(part));
        rooms.extend(room_of(&group, names));
        if parts.pop().is_none() {
            return rooms.into_iter().min_by_key(|room| room.free);
        }
    }
}

fn room_of(group: &Path, names: &Names) -> Option<Room> {
    let number =
        |name: &str| std::fs::read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
    // `max` means no limit, and does not parse.
    let (limit, used) = (number(names.limit)?, number(names.used)?);
    let stat = std::fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let cache = stat
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(name, _)| names.cache.contains(name));
    let cache: u64 = cache.filter_map(|(_, bytes)| bytes.trim().parse::<u64>().ok()).sum();
    Some(Room { free: limit.saturating_sub(used.saturating_sub(cache)), limit })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;

    const MIB: u64 = 1 << 20;

    fn group(folder: &Path, names: &Names, limit: &str, used: u64, stat: &str) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join(names.limit), format!("{limit}\n")).unwrap();
        fs::write(folder.join(names.used), format!("{used}\n")).unwrap();
        fs::write(folder.join("memory.stat"), stat).unwrap();
    }

    #[test]
    fn the_tightest_group_decides_and_page_cache_is_free() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        group(&at("app.slice/web"), &V2, "max", 50 * MIB, "");
        group(
            &at("app.slice"),
            &V2,
            "134217728",
            100 * MIB,
            "anon 1\ninactive_file 31457280\nactive_file 10485760\n",
        );
        let room = Room { free: 68 * MIB, limit: 128 * MIB };
        assert_eq!(room_in(root.path(), "0::/app.slice/web\n"), Some(room));
        // A container that does not see its own path.
        group(root.path(), &V2, "67108864", 60 * MIB, "");
        assert_eq!(
            room_in(root.path(), "0::/docker/abc\n"),
            Some(Room { free: 4 * MIB, limit: 64 * MIB })
        );
        assert_eq!(
            room_in(root.path(), "0::/../../app.slice\n"),
            Some(Room { free: 4 * MIB, limit: 64 * MIB })
        );
        // The usage exceeds the limit, because the limit was lowered.
        group(root.path(), &V2, "67108864", 90 * MIB, "");
        assert_eq!(room_in(root.path(), "0::/\n"), Some(Room { free: 0, limit: 64 * MIB }));
    }

    #[test]
    fn version_1_is_read_from_its_own_memory_hierarchy() {
        let root = tempfile::tempdir().unwrap();
        group(
            &root.path().join("memory/docker/abc"),
            &V1,
            "268435456",
            100 * MIB,
            "total_inactive_file 1048576\n",
        );
        let lines = "9:name=systemd:/\n4:cpu,memory:/docker/abc\n0::/\n";
        assert_eq!(room_in(root.path(), lines), Some(Room { free: 157 * MIB, limit: 256 * MIB }));
    }

    #[test]
    fn without_a_limit_or_cgroups_there_is_no_room() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(room_in(root.path(), "0::/a\n3:memory:/b\nnonsense\n"), None);
        group(root.path(), &V2, "max", 0, "");
        assert_eq!(room_in(root.path(), "0::/\n"), None);
    }
}
