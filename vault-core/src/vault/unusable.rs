//! Names the members whose recipients the keys cannot be wrapped to, and the command that removes
//! them together.

use crate::access::wrap::can_wrap_to;
use crate::error::Error;
use crate::file::header::Access;
use crate::shown::some_names;
use crate::vault::{CanWrite, Vault};

impl Vault<CanWrite> {
    /// Adds to the error of a wrapping all members of the file whose recipients cannot be wrapped
    /// to, and the command that removes them together with those who are to go. If they were
    /// removed one at a time, each removal would fail, because the keys would still be wrapped for
    /// the others.
    pub(super) fn unusable(&self, error: Error, list: &[Access]) -> Error {
        let (mut gone, mut bad) = (Vec::new(), Vec::new());
        for access in &self.file.header.access {
            let name = access.name.as_str();
            if !list.iter().any(|other| other.name == name) {
                gone.push(name);
            } else if list.contains(access) && !can_wrap_to(&access.recipient) {
                bad.push(name);
            }
        }
        if bad.is_empty() {
            return error;
        }
        let what = format!("the keys cannot be wrapped for {}: {}", some_names(&bad), error.what());
        gone.append(&mut bad);
        let help = error.help().map_or(String::new(), |help| format!("{help}\n  "));
        self.placed(Error::new(error.kind(), what).with_help(format!(
            "{help}To remove all these members in one step: bootseal access remove {}",
            gone.join(" ")
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::identity::Identity;
    use crate::access::recipient::Recipient;
    use crate::error::Kind;
    use crate::file::header::{Role, edit};
    use crate::file::sealed::SealedFile;
    use crate::vault::value::ValueKind;
    use bootseal_memory::Secret;

    fn access(name: &str, role: Role, identity: &Identity) -> Access {
        Access::new(name, role, identity.recipient()).unwrap()
    }

    #[test]
    fn any_number_of_members_can_be_removed_in_one_step() {
        let alice = Identity::generate().unwrap();
        let mut list = vec![access("alice", Role::Writer, &alice)];
        let names: Vec<String> = (0..100).map(|at| format!("ghost{at}")).collect();
        for name in &names {
            list.push(access(name, Role::Reader, &Identity::generate().unwrap()));
        }
        let mut vault = Vault::create(list, "").unwrap();
        let secret = Secret::copy_of(b"x").unwrap();
        vault.set(&"token".parse().unwrap(), ValueKind::Text, &secret, 1000).unwrap();
        vault.remove_access("ghost99", 2000).unwrap();
        let most: Vec<&str> = names.iter().take(99).map(String::as_str).collect();
        vault.remove_all_access(&most, 3000).unwrap();
        let (_, file) = vault.sign_above(0).unwrap();
        assert_eq!(file.access().len(), 1);
        let known = file.known_to(1000);
        assert_eq!(known.len(), 64);
        assert_eq!(known.iter().filter(|name| **name == "earlier-removed-members").count(), 1);
        // The next removal has room too, and a replaced value is known to nobody.
        let mut vault = file.open_for_writing(&[alice]).unwrap();
        vault.set(&"token".parse().unwrap(), ValueKind::Text, &secret, 4000).unwrap();
        let (_, file) = vault.sign_above(0).unwrap();
        assert!(file.known_to(4000).is_empty());
    }

    #[test]
    fn members_who_cannot_be_wrapped_to_are_named_and_removed_in_one_step() {
        let (alice, web1) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        let list = vec![
            access("alice", Role::Writer, &alice),
            access("bob", Role::Writer, &Identity::generate().unwrap()),
            access("web1", Role::Reader, &web1),
        ];
        let mut vault = Vault::create(list, "").unwrap();
        vault
            .set(&"db".parse().unwrap(), ValueKind::Text, &Secret::copy_of(b"x").unwrap(), 9)
            .unwrap();
        // Bob signs two entries that no tool can wrap to; readers do not check them.
        for (name, text) in [("ghost0", "garbage1"), ("ghost1", "garbage2")] {
            let recipient = Recipient::from_file(text);
            let ghost = Access::new(name, Role::Reader, recipient).unwrap();
            vault.file.own = edit::append_access(&vault.file.own, &ghost).unwrap().into();
            vault.file.header.access.push(ghost);
        }
        let file =
            |text: String| SealedFile::parse(text.into_bytes()).unwrap().verify(&[]).unwrap();
        let text = vault.sign().unwrap();
        let open = || file(text.clone()).open_for_writing(std::slice::from_ref(&alice)).unwrap();
        let carol = access("carol", Role::Reader, &Identity::generate().unwrap());
        for (error, command) in [
            (open().remove_access("bob", 50).unwrap_err(), "remove bob ghost0 ghost1"),
            (open().remove_access("ghost0", 50).unwrap_err(), "remove ghost0 ghost1"),
            (open().rotate(true).unwrap_err(), "remove ghost0 ghost1"),
            (open().add_access(carol).unwrap_err(), "remove ghost0 ghost1"),
        ] {
            assert!(error.help().unwrap().ends_with(command), "{error}");
        }
        let all = ["bob", "ghost0", "ghost1", "bob"];
        assert_eq!(open().remove_all_access(&["nobody"], 50).unwrap_err().kind(), Kind::NotFound);
        let error = open().remove_all_access(&["alice", "bob"], 50).unwrap_err();
        assert!(error.kind() == Kind::Conflict && error.what().contains("alice, bob"), "{error}");
        let (before, mut vault) = (file(text.clone()).vault_id(), open());
        assert_eq!(vault.remove_all_access(&all, 50).unwrap().len(), 1);
        let file = file(vault.sign().unwrap());
        let names: Vec<_> = file.access().iter().map(|access| access.name.as_str()).collect();
        assert_eq!((names, file.epoch()), (vec!["alice", "web1"], 1));
        assert_eq!(
            (file.former_ids(), file.known_to(9)),
            (vec![before], vec!["bob", "ghost0", "ghost1"])
        );
        assert!(file.open(&[web1]).unwrap().open_all().is_ok());
    }
}
