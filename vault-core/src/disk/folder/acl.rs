//! POSIX access control lists (ACLs). With an ACL, the group bits of a file's mode are the highest
//! rights of everyone whom the list names, not the rights of the group.

use rustix::fs::{Mode, RawMode};
use std::fs::File;
use std::io;

/// The mode in which the group has no more rights than everyone.
pub(super) fn group_as_others(mode: Mode) -> Mode {
    let raw = RawMode::from(mode.as_raw_mode());
    Mode::from_raw_mode(raw & !0o2070 | (raw & (raw & 0o7) << 3 & 0o70))
}

#[cfg(target_os = "linux")]
pub(super) use linux::{copy, remove};

/// Other systems do not keep ACLs in extended attributes, and give a new file only the folder's
/// inheritable entries.
#[cfg(not(target_os = "linux"))]
pub(super) fn copy(_: &File, _: &File, _: Mode) -> io::Result<Result<(), Mode>> {
    Ok(Ok(()))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn remove(_: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(target_os = "linux")]
mod linux {
    use super::*;
    use rustix::fs::{XattrFlags, fgetxattr, fremovexattr, fsetxattr};
    use rustix::io::Errno;

    const ACL: &str = "system.posix_acl_access";
    /// The kernel's limit for any extended attribute.
    const LARGEST: usize = 1 << 16;
    /// The tag of the owning group's entry.
    const GROUP: u16 = 0x04;

    /// Gives `new` the ACL of `old`, or none if `old` has none. If the system refuses, the inner
    /// error is the mode of `old`, narrowed to the rights that its group really has.
    pub(in super::super) fn copy(
        old: &File,
        new: &File,
        mode: Mode,
    ) -> io::Result<Result<(), Mode>> {
        let mut buffer = vec![0; LARGEST];
        let list = match fgetxattr(old, ACL, buffer.as_mut_slice()) {
            Ok(length) => &buffer[..length],
            // The folder's default ACL must not become the file's.
            Err(Errno::NODATA) => return remove(new).map(Ok),
            Err(Errno::OPNOTSUPP) => return Ok(Ok(())),
            Err(error) => return Err(error.into()),
        };
        match fsetxattr(new, ACL, list, XattrFlags::empty()) {
            Ok(()) => Ok(Ok(())),
            Err(_) => remove(new).map(|()| Err(without_mask(mode, list))),
        }
    }

    /// Removes the ACL that a new file has from the default ACL of its folder.
    pub(in super::super) fn remove(new: &File) -> io::Result<()> {
        match fremovexattr(new, ACL) {
            Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The mode without an ACL that gives nobody more than `list` does: the group gets the rights
    /// of its own entry, as far as the mask allows them.
    fn without_mask(mode: Mode, list: &[u8]) -> Mode {
        let two = |entry: &[u8], at| u16::from_le_bytes([entry[at], entry[at + 1]]);
        // A version of 4 bytes, then entries of 8 bytes: tag, rights, and an id.
        let entries = list.get(4..).unwrap_or_default().chunks_exact(8);
        let group =
            entries.filter(|entry| two(entry, 0) == GROUP).map(|entry| two(entry, 2)).next();
        let group = RawMode::from(group.unwrap_or(0) & 0o7) << 3;
        let raw = mode.as_raw_mode();
        Mode::from_raw_mode(raw & !0o070 | (raw & 0o070 & group))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        /// `user::rw-`, `user:12345:rw-`, `group::---`, `mask::rw-`, `other::---`.
        const LIST: &[u8] = &[
            2, 0, 0, 0, //
            1, 0, 6, 0, 255, 255, 255, 255, //
            2, 0, 6, 0, 57, 48, 0, 0, //
            4, 0, 0, 0, 255, 255, 255, 255, //
            16, 0, 6, 0, 255, 255, 255, 255, //
            32, 0, 0, 0, 255, 255, 255, 255,
        ];

        #[test]
        fn a_mask_is_never_taken_for_the_rights_of_the_group() {
            let narrowed = |mode, list| without_mask(Mode::from_raw_mode(mode), list).as_raw_mode();
            assert_eq!(narrowed(0o660, LIST), 0o600);
            let mut readable = LIST.to_vec();
            readable[22] = 4;
            assert_eq!(narrowed(0o660, &readable), 0o640);
            assert_eq!(narrowed(0o620, &readable), 0o600);
            assert_eq!(narrowed(0o664, &[]), 0o604);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_group_gets_what_everyone_has() {
        for (mode, expected) in
            [(0o640, 0o600), (0o664, 0o644), (0o644, 0o644), (0o2670, 0o600), (0o604, 0o604)]
        {
            let mode = Mode::from_raw_mode(mode);
            assert_eq!(group_as_others(mode).as_raw_mode(), expected, "{mode:?}");
        }
    }
}
