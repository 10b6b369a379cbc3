//! POSIX access control lists (ACLs). With an ACL, the group bits of a file's mode are the highest
//! rights of everyone whom the list names, not the rights of the group.

use rustix::fs::{Mode, RawMode};
#[cfg(target_os = "linux")]
use rustix::fs::{XattrFlags, fgetxattr, fremovexattr, fsetxattr};
#[cfg(target_os = "linux")]
use rustix::io::Errno;
use std::fs::File;
use std::io;

/// The mode in which the group has no more rights than everyone.
pub(super) fn group_as_others(mode: Mode) -> Mode {
    let raw = RawMode::from(mode.as_raw_mode());
    Mode::from_raw_mode(raw & !0o2070 | (raw & (raw & 0o7) << 3 & 0o70))
}

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
const ACL: &str = "system.posix_acl_access";
/// The kernel's limit for any extended attribute.
#[cfg(target_os = "linux")]
const LARGEST: usize = 1 << 16;
/// The tag of the owning group's entry.
#[cfg(target_os = "linux")]
const GROUP: u32 = 0x04;
/// The tags of the entries of named users and groups.
#[cfg(target_os = "linux")]
const USER_OF_LIST: u32 = 0x02;
#[cfg(target_os = "linux")]
const GROUP_OF_LIST: u32 = 0x08;

/// Gives `new` the ACL of `old`, or none if `old` has none. If the system refuses, the inner
/// error is the mode of `old`, narrowed to the rights that its group really has.
#[cfg(target_os = "linux")]
pub(super) fn copy(old: &File, new: &File, mode: Mode) -> io::Result<Result<(), Mode>> {
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
#[cfg(target_os = "linux")]
pub(super) fn remove(new: &File) -> io::Result<()> {
    match fremovexattr(new, ACL) {
        Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The mode without an ACL that gives nobody more than `list` does: the group gets the rights of its
/// own entry, as far as the mask allows them, and nobody gets a right that a named entry lacks.
#[cfg(target_os = "linux")]
fn without_mask(mode: Mode, list: &[u8]) -> Mode {
    let two = |entry: &[u8], at| u32::from(u16::from_le_bytes([entry[at], entry[at + 1]]));
    let (mut group, mut named) = (0, 0o7);
    // A version of 4 bytes, then entries of 8 bytes: tag, rights, and an id.
    for entry in list.get(4..).unwrap_or_default().chunks_exact(8) {
        match (two(entry, 0), two(entry, 2)) {
            (GROUP, rights) => group = rights,
            (USER_OF_LIST | GROUP_OF_LIST, rights) => named &= rights,
            _ => {}
        }
    }
    let raw = mode.as_raw_mode();
    Mode::from_raw_mode(raw & !0o077 | (raw & (group & named) << 3 & 0o070) | (raw & named & 0o007))
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

    /// `user::rw-`, `user:12345:rw-`, `group::---`, `mask::rw-`, `other::---`.
    #[cfg(target_os = "linux")]
    const LIST: &[u8] = &[
        2, 0, 0, 0, //
        1, 0, 6, 0, 255, 255, 255, 255, //
        2, 0, 6, 0, 57, 48, 0, 0, //
        4, 0, 0, 0, 255, 255, 255, 255, //
        16, 0, 6, 0, 255, 255, 255, 255, //
        32, 0, 0, 0, 255, 255, 255, 255,
    ];

    #[test]
    #[cfg(target_os = "linux")]
    fn a_mask_is_never_taken_for_the_rights_of_the_group() {
        let narrowed =
            |mode, list: &[u8]| without_mask(Mode::from_raw_mode(mode), list).as_raw_mode();
        assert_eq!(narrowed(0o660, LIST), 0o600);
        let mut readable = LIST.to_vec();
        readable[22] = 4;
        assert_eq!(narrowed(0o660, &readable), 0o640);
        assert_eq!(narrowed(0o620, &readable), 0o600);
        assert_eq!(narrowed(0o664, &[]), 0o604);
        // A named user may have fewer rights than everyone else.
        readable[14] = 0;
        assert_eq!(narrowed(0o664, &readable), 0o600);
    }
}
