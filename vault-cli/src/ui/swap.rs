//! Swap on a disk in the clear: what a program has in memory may be written there.

use crate::ui::Ui;
use bootseal_core::{Shown, shell_path};
use std::path::{Path, PathBuf};

impl Ui<'_> {
    /// Warns if values in the clear, which are in `place` on a memory file system, may be written
    /// to swap on a disk.
    pub(crate) fn warn_of_swap(&mut self, place: &str) {
        for swap in SwapFiles::default().in_clear() {
            self.warn(format_args!(
                "{place} may be written to the swap on {}, which is not encrypted. To turn this swap off: sudo swapoff {}",
                Shown::path(&swap),
                shell_path(&swap)
            ));
        }
    }
}

/// The places of the system that list swap and block devices.
pub(crate) struct SwapFiles<'a> {
    /// `/proc/swaps`.
    pub(crate) swaps: &'a Path,
    /// `/sys`.
    pub(crate) sys: &'a Path,
}

impl Default for SwapFiles<'_> {
    fn default() -> Self {
        SwapFiles { swaps: Path::new("/proc/swaps"), sys: Path::new("/sys") }
    }
}

impl SwapFiles<'_> {
    /// The active swap areas that are on a disk and not encrypted. Swap in compressed memory
    /// (zram) is on no disk.
    pub(crate) fn in_clear(&self) -> Vec<PathBuf> {
        let swaps = std::fs::read(self.swaps).unwrap_or_default();
        let lines = swaps.split(|byte| *byte == b'\n').skip(1);
        let names = lines.filter_map(|line| {
            let name = line.split(|byte| b" \t".contains(byte)).next()?;
            (!name.is_empty()).then(|| unescaped(name))
        });
        names.filter(|path| !self.is_safe(path)).collect()
    }

    fn is_safe(&self, path: &Path) -> bool {
        let device = self.device(path).unwrap_or_default();
        device.starts_with("zram") || self.is_encrypted(&device, 0)
    }

    /// The kernel's name of the block device: of the swap area itself, or below a swap file.
    #[cfg(unix)]
    fn device(&self, path: &Path) -> Option<String> {
        use std::os::unix::fs::{FileTypeExt, MetadataExt};
        let number = match path.metadata() {
            Ok(meta) if meta.file_type().is_block_device() => meta.rdev(),
            Ok(meta) => meta.dev(),
            // Not visible here, for example in a container.
            Err(_) => return Some(path.file_name()?.to_string_lossy().into_owned()),
        };
        let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
        let link = self.sys.join(format!("dev/block/{major}:{minor}"));
        Some(std::fs::read_link(link).ok()?.file_name()?.to_string_lossy().into_owned())
    }

    #[cfg(not(unix))]
    fn device(&self, _: &Path) -> Option<String> {
        None
    }

    /// Whether the device is dm-crypt, or a mapping whose parts all are.
    fn is_encrypted(&self, device: &str, depth: usize) -> bool {
        let block = self.sys.join("block").join(device);
        let uuid = std::fs::read_to_string(block.join("dm/uuid")).unwrap_or_default();
        if !device.starts_with("dm-") || uuid.starts_with("CRYPT-") || depth > 8 {
            return device.starts_with("dm-") && uuid.starts_with("CRYPT-");
        }
        let parts = std::fs::read_dir(block.join("slaves")).into_iter().flatten().flatten();
        let parts: Vec<String> =
            parts.map(|part| part.file_name().to_string_lossy().into_owned()).collect();
        !parts.is_empty() && parts.iter().all(|part| self.is_encrypted(part, depth + 1))
    }
}

/// Reads a name in which the kernel writes a blank as `\040`.
fn unescaped(name: &[u8]) -> PathBuf {
    let (mut bytes, mut rest) = (Vec::new(), name);
    while let Some((first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| *first == b'\\');
        let octal = octal.and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => (bytes, rest) = ([bytes, vec![byte]].concat(), &after[3..]),
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    #[cfg(unix)]
    return PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes));
    #[cfg(not(unix))]
    return PathBuf::from(String::from_utf8_lossy(&bytes).into_owned());
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HEAD: &str = "Filename\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";

    #[test]
    fn encrypted_swap_and_swap_in_memory_are_not_reported() {
        let folder = tempfile::tempdir().unwrap();
        let (swaps, sys) = (folder.path().join("swaps"), folder.path().join("sys"));
        for (device, uuid) in
            [("dm-1", "CRYPT-PLAIN-swap\n"), ("dm-2", "LVM-abc\n"), ("dm-3", "LVM-def\n")]
        {
            std::fs::create_dir_all(sys.join("block").join(device).join("dm")).unwrap();
            std::fs::create_dir_all(sys.join("block").join(device).join("slaves")).unwrap();
            std::fs::write(sys.join("block").join(device).join("dm/uuid"), uuid).unwrap();
        }
        // dm-2 is a volume on an encrypted device, dm-3 one on a plain disk.
        std::fs::write(sys.join("block/dm-2/slaves/dm-1"), "").unwrap();
        std::fs::write(sys.join("block/dm-3/slaves/sda3"), "").unwrap();
        let all = "/dev/zram9 partition 1\n/dev/dm-1 partition 1\n/dev/dm-2 partition 1\n\
            /dev/dm-3 partition 1\n/dev/sdz2 partition 1\n/no/swap\\040file file 1\n";
        std::fs::write(&swaps, format!("{HEAD}{all}")).unwrap();
        let files = SwapFiles { swaps: &swaps, sys: &sys };
        let found = files.in_clear();
        assert_eq!(found, ["/dev/dm-3", "/dev/sdz2", "/no/swap file"].map(PathBuf::from));
        std::fs::write(&swaps, HEAD).unwrap();
        assert!(files.in_clear().is_empty());
        let nowhere = SwapFiles { swaps: Path::new("/nowhere/swaps"), sys: &sys };
        assert!(nowhere.in_clear().is_empty());
    }

    #[test]
    fn a_swap_file_is_as_safe_as_the_device_below_it() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        let (swaps, sys) = (folder.path().join("swaps"), folder.path().join("sys"));
        let file = folder.path().join("swapfile");
        std::fs::write(&file, "").unwrap();
        std::fs::write(&swaps, format!("{HEAD}{} file 1\n", file.display())).unwrap();
        let files = SwapFiles { swaps: &swaps, sys: &sys };
        assert_eq!(files.in_clear(), std::slice::from_ref(&file));
        let number = file.metadata().unwrap().dev();
        let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
        std::fs::create_dir_all(sys.join("block/dm-0/dm")).unwrap();
        std::fs::create_dir_all(sys.join("dev/block")).unwrap();
        std::fs::write(sys.join("block/dm-0/dm/uuid"), "CRYPT-LUKS2-x\n").unwrap();
        let link = sys.join(format!("dev/block/{major}:{minor}"));
        std::os::unix::fs::symlink("../../block/dm-0", link).unwrap();
        assert!(files.in_clear().is_empty());
    }
}
