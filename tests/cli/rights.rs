//! Access control lists: a rewritten file gives nobody more rights than before, and a private file
//! is private whatever its folder passes on.

use crate::support::Home;
use rustix::fs::XattrFlags;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";

/// An ACL with these rights of the owner, one named user, the group, the mask and others.
fn list(owner: u16, named: u16, group: u16, mask: u16, others: u16) -> Vec<u8> {
    let none = u32::MAX;
    let entries = [
        (0x01, owner, none),
        (0x02, named, 12345),
        (0x04, group, none),
        (0x10, mask, none),
        (0x20, others, none),
    ];
    let mut bytes = 2u32.to_le_bytes().to_vec();
    for (tag, rights, id) in entries {
        let tag: u16 = tag;
        bytes.extend(tag.to_le_bytes());
        bytes.extend(rights.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

fn set(path: &Path, name: &str, list: &[u8]) {
    rustix::fs::setxattr(path, name, list, XattrFlags::empty()).unwrap();
}

fn get(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 4096];
    let length = rustix::fs::getxattr(path, ACCESS, bytes.as_mut_slice()).ok()?;
    bytes.truncate(length);
    Some(bytes)
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_rewrite_keeps_the_access_control_list_of_a_file() {
    let home = Home::with_vault("[acme]\npassword = \"secret:one\"\n");
    let file = home.at("app.sealed.toml");
    // The group bits are the mask: the group itself has no rights.
    let own = list(6, 4, 0, 4, 0);
    set(&file, ACCESS, &own);
    assert_eq!(mode(&file), 0o640);
    home.ok(&["set", "acme.user", "--plain", "bob"]);
    assert_eq!((get(&file), mode(&file)), (Some(own), 0o640));
}

#[test]
fn a_rewrite_takes_no_rights_from_the_folders_default_list() {
    let home = Home::with_vault("[acme]\npassword = \"secret:one\"\n");
    let file = home.at("app.sealed.toml");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
    set(home.path(), DEFAULT, &list(7, 7, 7, 7, 7));
    home.ok(&["set", "acme.user", "--plain", "bob"]);
    assert_eq!((get(&file), mode(&file)), (None, 0o640));
}

#[test]
fn private_files_are_private_in_a_folder_with_a_default_list() {
    let home = Home::with_vault("[acme]\npassword = \"secret:one\"\n");
    set(home.path(), DEFAULT, &list(7, 7, 7, 7, 7));
    home.ok(&["keygen", "-o", "a.key"]);
    home.ok(&["access", "add", "web", "--new-key", "web.key", "--yes"]);
    home.ok(&["get", "acme.password", "--out", "value"]);
    for name in ["a.key", "web.key", "value"] {
        assert_eq!((get(&home.at(name)), mode(&home.at(name))), (None, 0o600), "{name}");
    }
    // The pin is written in place, which changes no rights.
    home.ok(&["access", "pin", "a.key"]);
    assert_eq!((get(&home.at("a.key")), mode(&home.at("a.key"))), (None, 0o600));
}
