//! Merges access lists by name and by recipient. A removal wins over any other change.

use crate::access::recipient::Recipient;
use crate::error::{Error, Kind, Result};
use crate::file::header::Access;
use crate::review::changes::find;
use crate::review::merge::renames::with_all_renames;
use crate::review::merge::side::{Side, Signed};
use crate::shown::shell_word;
use crate::vault::{CanWrite, Vault};

impl Vault<CanWrite> {
    /// Merges the access lists into this vault's list, and returns the entries that were not added.
    pub(super) fn merge_access(
        &mut self,
        base: &Side,
        ours: &Side,
        theirs: &Side,
        now: u64,
    ) -> Result<Vec<Access>> {
        let current = self.file.header.access.clone();
        let (result, mut not_let_in) = match (&ours.signed, &theirs.signed) {
            (Some(ours), Some(theirs)) => self.joined(base.signed.as_ref(), ours, theirs)?,
            // A hand edit contributes only properties.
            _ => (current.clone(), Vec::new()),
        };
        // Additions and changes come first, because the last writer can be removed only after
        // another writer has been added.
        let mut renamed = Vec::new();
        for entry in &result {
            let same_key = current.iter().find(|access| {
                access.recipient == entry.recipient && find(&result, &access.name).is_none()
            });
            match (find(&current, &entry.name), same_key) {
                (None, Some(old)) if old.role == entry.role => {
                    renamed.push(old.name.clone());
                    self.rename_access(&old.name, &entry.name)?;
                }
                (None, Some(old)) => {
                    let what = format!(
                        "one side renamed {} to {} and changed the role",
                        old.name, entry.name
                    );
                    let help = format!(
                        "Abort the merge, rename the member on our side too, commit it, and merge again: bootseal access rename {} {}",
                        shell_word(&old.name),
                        shell_word(&entry.name)
                    );
                    let error = Error::new(Kind::Conflict, what).with_help(help);
                    return Err(self.placed(error));
                }
                (None, None) => self.add_access(entry.clone())?,
                // The side that made this reader a writer has not checked the passphrase.
                (Some(before), _) if entry.clone().in_place_of(&before).is_err() => {
                    not_let_in.push(entry.clone());
                }
                (Some(before), _) if before != *entry => {
                    drop(self.replace_access(entry.clone(), now)?)
                }
                _ => {}
            }
        }
        let gone: Vec<&str> = current
            .iter()
            .map(|access| access.name.as_str())
            .filter(|name| find(&result, name).is_none() && !renamed.iter().any(|old| old == name))
            .collect();
        if !gone.is_empty() {
            // All are removed in one step. If they were removed one at a time, the keys would have
            // to be wrapped for the others, which may be impossible.
            self.remove_all_access(&gone, now)?;
        }
        if let (Some(a), Some(b)) = (&ours.signed, &theirs.signed)
            && (a.vault, a.epoch) == (b.vault, b.epoch)
            && (self.file.header.vault, self.file.header.epoch) == (a.vault, a.epoch)
            && two_keys(base.signed.as_ref(), a, b)
        {
            // One epoch must not have two data keys.
            self.rotate(false)?;
        }
        Ok(not_let_in)
    }

    /// The merged list, and the entries that are not added.
    fn joined(
        &self,
        base: Option<&Signed>,
        ours: &Signed,
        theirs: &Signed,
    ) -> Result<(Vec<Access>, Vec<Access>)> {
        let has = |list: &[Access], recipient: &Recipient| {
            list.iter().any(|access| access.recipient == *recipient)
        };
        let base_list = base.map_or(&[][..], |base| &base.access);
        let [base_list, mine, other] = &with_all_renames([base_list, &ours.access, &theirs.access])
            .map_err(|error| self.placed(error))?;
        let conflict = |name: &str| {
            let what = format!("both sides changed the role or recipient of {name} in access");
            let help = format!(
                "Abort the merge, give {name} the role and the recipient of their side on our side too, commit it, and merge again: bootseal access add {} RECIPIENT --replace",
                shell_word(name)
            );
            self.placed(Error::new(Kind::Conflict, what).with_help(help))
        };
        let (mut result, mut not_let_in): (Vec<Access>, Vec<Access>) = (Vec::new(), Vec::new());
        for access in
            mine.iter().chain(other.iter().filter(|access| find(mine, &access.name).is_none()))
        {
            let name = &access.name;
            let (a, b) = (find(mine, name), find(other, name));
            if base.is_none() {
                match (a, b) {
                    (Some(a), Some(b)) if a == b => result.push(a),
                    (Some(_), Some(_)) => return Err(conflict(name)),
                    // The entry was either added on one side or removed on the other; a removal
                    // wins.
                    (a, b) => not_let_in.extend(a.or(b)),
                }
                continue;
            }
            // A side that is older than the other side's new keys may be a restored old version, so
            // its additions are not accepted.
            let entry = match (find(base_list, name), a, b) {
                (_, Some(a), Some(b)) if a == b => a,
                (Some(one), Some(a), Some(b)) if one == b && ours.keys_as_new_as(theirs) => a,
                (Some(one), Some(a), Some(b)) if one == a && theirs.keys_as_new_as(ours) => b,
                (Some(one), Some(a), Some(b)) if one == a || one == b => {
                    let (kept, refused) = if one == a { (a, b) } else { (b, a) };
                    not_let_in.push(refused);
                    kept
                }
                (_, Some(_), Some(_)) => return Err(conflict(name)),
                // The entry is in the common list but missing on one side, where it was removed; a
                // removal wins.
                (Some(_), _, _) => continue,
                (None, Some(a), None) if ours.keys_as_new_as(theirs) => a,
                (None, None, Some(b)) if theirs.keys_as_new_as(ours) => b,
                (None, a, b) => {
                    not_let_in.extend(a.or(b));
                    continue;
                }
            };
            // Recipients are compared as well, because one side may have removed an entry that the
            // other side only renamed.
            let was = has(base_list, &entry.recipient);
            if !was || has(mine, &entry.recipient) && has(other, &entry.recipient) {
                result.push(entry);
            }
        }
        Ok((result, not_let_in))
    }

    /// Marks values as known to the members whom a side has removed, and to those in the list of a
    /// side who are not in the merged list.
    pub(super) fn mark_who_is_gone(&mut self, sides: [&Side; 3]) -> Result<()> {
        let mut marks: Vec<(String, u64)> = Vec::new();
        for side in sides {
            marks.extend(side.marks.iter().cloned());
            let Some(signed) = &side.signed else { continue };
            marks.extend(signed.removed.iter().map(|removed| (removed.name.clone(), removed.at)));
            let newest = side.values.iter().map(|(_, value)| value.set_at).max();
            let here = &self.file.header.access;
            let gone = signed
                .access
                .iter()
                .filter(|access| !here.iter().any(|now| now.recipient == access.recipient));
            marks.extend(gone.filter_map(|access| Some((access.name.clone(), newest?))));
        }
        self.mark(marks)
    }
}

/// Whether two sides of one epoch have different data keys, as far as is known.
fn two_keys(base: Option<&Signed>, ours: &Signed, theirs: &Signed) -> bool {
    match (&ours.key, &theirs.key) {
        (Some(one), Some(other)) => !one.same_as(other),
        _ => base.is_none_or(|base| !base.keys_as_new_as(ours)),
    }
}

#[cfg(test)]
#[allow(clippy::cloned_ref_to_slice_refs)] // one shape for all calls
mod tests {
    use super::*;
    use crate::access::identity::Identity;
    use crate::file::header::Role;
    use crate::review::merge::Taken;
    use crate::review::merge::tests::{Team, read, set, value};
    use crate::text::document::Property;
    use crate::vault::value;

    fn path(text: &str) -> crate::text::path::PropertyPath {
        text.parse().unwrap()
    }

    #[test]
    fn a_removal_wins_whatever_the_other_side_did() {
        let team = Team::new();
        let web1 = Identity::generate().unwrap();
        let removed = team.branch(|vault| drop(vault.remove_access("bob", 200).unwrap()));
        let added = team.branch(|vault| {
            set(vault, "acme.token", "t2", 150);
            vault.add_access(Access::new("web1", Role::Reader, web1.recipient()).unwrap()).unwrap();
        });
        for (ours, theirs) in [(&removed, &added), (&added, &removed)] {
            let (vault, merged) = team.merge(ours, theirs).unwrap();
            let names: Vec<&str> =
                vault.file().access().iter().map(|access| access.name.as_str()).collect();
            // A member added on the side without the new keys is reported and must be added
            // manually: that side may be a restored old file.
            assert_eq!((names, merged.not_let_in.len()), (vec!["alice"], 1));
            assert_ne!(vault.file().vault_id(), read(&team.base).vault_id());
            assert!(vault.file().former_ids().contains(&read(&team.base).vault_id()));
            assert_eq!(value(&vault, "acme.token"), "t2");
            // A member added on that branch has read its values.
            assert_eq!(vault.file().known_to(150), ["web1", "bob"]);
            let text = vault.file().text();
            assert!(read(&text).open(&[team.bob.clone()]).is_err());
            assert!(read(&text).open(&[web1.clone()]).is_err());
        }
    }

    #[test]
    fn a_merge_of_two_removals_has_keys_that_neither_removed_member_has() {
        let team = Team::new();
        let (web1, web2) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        let mut team = team;
        team.base = team.branch(|vault| {
            for (name, who) in [("web1", &web1), ("web2", &web2)] {
                vault
                    .add_access(Access::new(name, Role::Reader, who.recipient()).unwrap())
                    .unwrap();
            }
        });
        let one = team.branch(|vault| drop(vault.remove_access("web1", 200).unwrap()));
        let two = team.branch(|vault| drop(vault.remove_access("web2", 201).unwrap()));
        // Each removed member still opens the branch that removed the other, and so has its data
        // key.
        let leaked = read(&one).open(&[web2.clone()]).unwrap();
        let (vault, _) = team.merge(&one, &two).unwrap();
        assert!(vault.file().epoch() > 2);
        assert_eq!(vault.file().known_to(100), ["web1", "web2"]);
        for who in [&web1, &web2] {
            assert!(read(&vault.file().text()).open(&[who.clone()]).is_err());
        }
        for (name, property) in vault.file().properties() {
            if let Property::Sealed(text) = property {
                assert!(value::open(&leaked.key, &vault.file().vault_id(), &name, &text).is_err());
            }
        }
    }

    #[test]
    fn a_merge_of_two_rotations_has_a_new_epoch() {
        let team = Team::new();
        let one = team.branch(|vault| vault.rotate(false).unwrap());
        let two = team.branch(|vault| {
            vault.rotate(false).unwrap();
            set(vault, "acme.token", "t2", 200);
        });
        let (vault, merged) = team.merge(&one, &two).unwrap();
        assert_eq!(vault.file().epoch(), 3);
        assert_eq!(merged.took.len(), 1);
        assert_eq!(value(&vault, "acme.token"), "t2");
    }

    /// Found by review: numbers of different ids were compared, so a former writer's branch with a
    /// high epoch added members.
    #[test]
    fn a_handed_over_id_ranks_below_every_epoch_of_the_new_one() {
        let team = Team::new();
        let web1 = Identity::generate().unwrap();
        let high = team.branch(|vault| {
            vault.rotate_above(1000).unwrap();
            vault.add_access(Access::new("web1", Role::Reader, web1.recipient()).unwrap()).unwrap();
        });
        let new = team.branch(|vault| drop(vault.remove_access("bob", 200).unwrap()));
        assert!(read(&new).epoch() < read(&high).epoch());
        for (ours, theirs) in [(&new, &high), (&high, &new)] {
            let (vault, merged) = team.merge(ours, theirs).unwrap();
            let names: Vec<&str> =
                vault.file().access().iter().map(|access| access.name.as_str()).collect();
            assert_eq!((names, merged.not_let_in[0].name.as_str()), (vec!["alice"], "web1"));
            assert!(vault.file().former_ids().contains(&read(&team.base).vault_id()));
        }
    }

    /// Every signed version is in git, so anyone can put one onto a branch.
    #[test]
    fn a_version_from_before_a_removal_does_not_restore_access() {
        let team = Team::new();
        let web1 = Identity::generate().unwrap();
        let with = team.branch(|vault| {
            vault.add_access(Access::new("web1", Role::Reader, web1.recipient()).unwrap()).unwrap();
        });
        let next = |text: &str, change: &dyn Fn(&mut Vault<CanWrite>)| {
            let mut vault = team.open(text);
            change(&mut vault);
            vault.sign().unwrap()
        };
        let without = next(&with, &|vault| drop(vault.remove_access("web1", 200).unwrap()));
        let ours = next(&without, &|vault| set(vault, "acme.password", "new", 300));
        let (vault, merged) = team.merge(&ours, &with).unwrap();
        assert_eq!((vault.file().access().len(), merged.not_let_in[0].name.as_str()), (2, "web1"));
        assert!(read(&vault.file().text()).open(&[web1]).is_err());
    }

    #[test]
    fn values_set_while_the_removed_member_had_access_stay_marked() {
        let team = Team::new();
        let web1 = Identity::generate().unwrap();
        let mut team = team;
        team.base = team.branch(|vault| {
            vault.add_access(Access::new("web1", Role::Reader, web1.recipient()).unwrap()).unwrap();
        });
        let removed = team.branch(|vault| drop(vault.remove_access("web1", 200).unwrap()));
        let other = team.branch(|vault| set(vault, "acme.token", "t2", 250));
        for (ours, theirs) in [(&removed, &other), (&other, &removed)] {
            let (vault, _) = team.merge(ours, theirs).unwrap();
            assert_eq!(vault.open(&path("acme.token")).unwrap().set_at, 250);
            assert_eq!(vault.file().known_to(250), ["web1"]);
        }
    }

    #[test]
    fn a_removal_matches_the_recipient_even_if_the_member_was_renamed() {
        let team = Team::new();
        let web1 = Identity::generate().unwrap();
        let access = |name: &str| Access::new(name, Role::Reader, web1.recipient()).unwrap();
        let mut team = team;
        team.base = team.branch(|vault| vault.add_access(access("web1")).unwrap());
        let removed = team.branch(|vault| drop(vault.remove_access("web1", 200).unwrap()));
        let renamed = team.branch(|vault| vault.rename_access("web1", "web-1").unwrap());
        for (ours, theirs) in [(&removed, &renamed), (&renamed, &removed)] {
            let (vault, _) = team.merge(ours, theirs).unwrap();
            assert!(read(&vault.file().text()).open(&[web1.clone()]).is_err());
        }
        // A new name alone removes nobody.
        let both = team.branch(|vault| {
            vault.remove_access("web1", 200).unwrap();
            vault.add_access(access("web-1")).unwrap();
        });
        let (vault, _) = team.merge(&both, &renamed).unwrap();
        assert!(read(&vault.file().text()).open(&[web1.clone()]).is_ok());
    }

    #[test]
    fn a_new_name_on_one_side_and_a_new_key_or_role_on_the_other_are_both_kept() {
        let mut team = Team::new();
        let (old, new) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        let member =
            |name: &str, role, who: &Identity| Access::new(name, role, who.recipient()).unwrap();
        let reader = member("web1", Role::Reader, &old);
        team.base = team.branch(|vault| vault.add_access(reader.clone()).unwrap());
        let renamed = team.branch(|vault| vault.rename_access("web1", "web-1").unwrap());
        for (role, who) in [(Role::Writer, &old), (Role::Reader, &new)] {
            let changed = member("web1", role, who);
            let changed =
                team.branch(|vault| drop(vault.replace_access(changed.clone(), 200).unwrap()));
            for (ours, theirs) in [(&renamed, &changed), (&changed, &renamed)] {
                let (vault, merged) = team.merge(ours, theirs).unwrap();
                let last = vault.file().access().last().unwrap();
                assert_eq!(*last, member("web-1", role, who));
                assert!(merged.not_let_in.is_empty());
                assert_eq!(
                    read(&vault.file().text()).open(&[old.clone()]).is_ok(),
                    who.recipient() == old.recipient()
                );
            }
        }
    }

    #[test]
    fn two_new_names_of_one_member_and_one_name_of_two_members_are_conflicts() {
        let mut team = Team::new();
        let (web1, web2) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        let access =
            |name: &str, who: &Identity| Access::new(name, Role::Reader, who.recipient()).unwrap();
        team.base = team.branch(|vault| vault.add_access(access("web1", &web1)).unwrap());
        let one = team.branch(|vault| vault.rename_access("web1", "web-1").unwrap());
        let other = team.branch(|vault| vault.rename_access("web1", "shop").unwrap());
        let added = team.branch(|vault| vault.add_access(access("web-1", &web2)).unwrap());
        for (ours, theirs, word) in [(&one, &other, "web1"), (&one, &added, "web-1")] {
            for (ours, theirs) in [(ours, theirs), (theirs, ours)] {
                let error = team.merge(ours, theirs).unwrap_err();
                assert_eq!(error.kind(), Kind::Conflict, "{error}");
                assert!(error.to_string().contains(word), "{error}");
            }
        }
    }

    #[test]
    fn no_merge_makes_a_reader_with_a_passphrase_a_writer() {
        let mut team = Team::new();
        let web1 = Identity::generate().unwrap();
        let passphrase = bootseal_memory::Secret::copy_of(b"short").unwrap();
        let glass =
            Access::by_passphrase("glass", Role::Reader, crate::Cost::Small, &passphrase).unwrap();
        team.base = team.branch(|vault| {
            vault.add_access(Access::new("web1", Role::Reader, web1.recipient()).unwrap()).unwrap();
            vault.add_access(glass.clone()).unwrap();
        });
        // Both sides have new keys, and one side let the same recipient in as a writer.
        let ours = team.branch(|vault| drop(vault.remove_access("web1", 200).unwrap()));
        let theirs = team.branch(|vault| {
            vault.remove_access("glass", 200).unwrap();
            let writer = Access::new("glass", Role::Writer, Some(glass.recipient.clone()));
            vault.add_access(writer.unwrap()).unwrap();
        });
        let (vault, merged) = team.merge(&ours, &theirs).unwrap();
        assert!(vault.file().access().contains(&glass));
        assert_eq!(merged.not_let_in.len(), 1);
    }

    #[test]
    fn without_a_signed_common_version_only_members_of_both_sides_stay() {
        let team = Team::new();
        let (web1, web2) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        let mut team = team;
        team.base = team.branch(|vault| {
            for (name, who) in [("web1", &web1), ("web2", &web2)] {
                vault
                    .add_access(Access::new(name, Role::Reader, who.recipient()).unwrap())
                    .unwrap();
            }
        });
        let one = team.open(&team.branch(|vault| drop(vault.remove_access("web1", 200).unwrap())));
        let two = team.open(&team.branch(|vault| drop(vault.remove_access("web2", 200).unwrap())));
        let (a, b) = (Side::of(&one).unwrap(), Side::of(&two).unwrap());
        let mut vault = one;
        let merged = vault.merge(&Side::empty(), &a, &b, |_| Some(Taken::Ours), 300).unwrap();
        assert_eq!((vault.file().access().len(), merged.not_let_in.len()), (2, 2));
        assert!(vault.file().epoch() > 2);
    }
}
