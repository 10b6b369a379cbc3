//! The lineage of a vault: the order in which its versions descend from each other. It determines
//! which sides of a merge can be trusted.

use crate::error::{Error, Kind, Result};
use crate::file::verified::VerifiedFile;
use crate::review::merge::Taken;

/// One side of a merge, after verification.
#[derive(Debug)]
pub enum MergeSide {
    /// The signature is valid, and neither a pin nor the known vaults refuse the file.
    Signed(Box<VerifiedFile>),
    /// The file does not verify, or a pin or the known vaults of this machine refuse it. The string
    /// is the reason, for a message.
    Refused(String),
}

/// The version that a merge starts from, and how its other side is treated.
///
/// Anyone can commit an older signed file, or a file that a former writer signed. Such a side is
/// still merged, but only as a hand edit, whose access list and keys are ignored.
///
/// ```
/// # let (alice, [base, file]) = bootseal_fixtures::file_twice("a = 1\n");
/// use bootseal_core::{MergePlan, MergeSide, Taken};
/// let (_, ours) = file.open_for_writing(&[alice])?.sign_above(0)?;
/// let theirs = MergeSide::Refused("the signature is not valid".into());
/// let plan = MergePlan::of(MergeSide::Signed(Box::new(ours)), theirs, Some(base))?;
/// assert_eq!((plan.side, plan.other.is_none()), (Taken::Ours, true)); // theirs is treated as a hand edit
/// assert_eq!(plan.warnings, ["their side is treated as a hand edit: the signature is not valid"]);
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct MergePlan {
    /// The version that the merge starts from, whose access list and keys stay.
    pub into: VerifiedFile,
    /// The side that `into` comes from.
    pub side: Taken,
    /// The other side, or `None` if it is treated as a hand edit because it is not trusted.
    pub other: Option<VerifiedFile>,
    /// The common version of both sides, if it belongs to this vault.
    pub base: Option<VerifiedFile>,
    /// Warnings for the user.
    pub warnings: Vec<String>,
}

impl MergePlan {
    /// Plans the merge of two sides and their common version, if there is one. `into` may still be
    /// unconfirmed, in which case the caller must ask the user before it continues.
    ///
    /// # Errors
    /// [`Kind::WrongVault`] if neither side verifies.
    pub fn of(ours: MergeSide, theirs: MergeSide, base: Option<VerifiedFile>) -> Result<MergePlan> {
        let mut warnings = Vec::new();
        let ours = believed(ours, "our", base.as_ref(), &mut warnings);
        let mut theirs = believed(theirs, "their", base.as_ref(), &mut warnings);
        let side = match (&ours, &theirs) {
            (Some(ours), Some(theirs)) => goes_on_from(ours, theirs),
            (None, Some(_)) => Some(Taken::Theirs),
            _ => Some(Taken::Ours),
        };
        if side.is_none() {
            // There are two vault ids without a handover from ours to theirs, so their id may be a
            // former writer's.
            warnings.push(
                "their side is treated as a hand edit: it is neither this vault nor one that this vault was handed over to. Members removed there still have access here; hosts that saw it need a new pin"
                    .into(),
            );
            theirs = None;
        }
        let side = side.unwrap_or(Taken::Ours);
        let (into, other) = match (side, ours, theirs) {
            (Taken::Theirs, ours, Some(theirs)) => (theirs, ours),
            (_, Some(ours), theirs) => (ours, theirs),
            _ => {
                let what =
                    "neither side verifies as this vault, so there is no version to start from";
                return Err(Error::new(Kind::WrongVault, what).with_help(
                    "Restore a version that verifies (git checkout REV -- FILE), then: bootseal sign",
                ));
            }
        };
        // An earlier access list counts only if it belongs to this vault.
        let base = base.filter(|base| is_same_line(&into, base));
        // Without a common version, it is unknown which removed members the older side would add
        // again.
        let as_edit = base.is_none() && other.as_ref().is_some_and(|other| is_older(other, &into));
        if as_edit {
            let which = if side == Taken::Theirs { "our" } else { "their" };
            warnings.push(format!(
                "{which} side is treated as a hand edit: it is the older one, and there is no common version"
            ));
        }
        Ok(MergePlan { into, side, other: other.filter(|_| !as_edit), base, warnings })
    }
}

/// The file of a trusted side; `None`, with a warning, if it is refused or older than `base`.
fn believed(
    side: MergeSide,
    which: &str,
    base: Option<&VerifiedFile>,
    warnings: &mut Vec<String>,
) -> Option<VerifiedFile> {
    let why = match side {
        // The access list and values of an older version are not changes that were made on that
        // side.
        MergeSide::Signed(file) if base.is_some_and(|base| is_older(&file, base)) => {
            "it is older than the common version of both sides".to_owned()
        }
        MergeSide::Signed(file) => return Some(*file),
        MergeSide::Refused(why) => why,
    };
    warnings.push(format!("{which} side is treated as a hand edit: {why}"));
    None
}

/// The side that a merge starts from, which is the side with the newer keys. `None` if their id is
/// neither our id nor one that ours was handed over to: their side is then not trusted.
///
/// ```
/// # let (alice, [ours, file]) = bootseal_fixtures::file_twice("");
/// use bootseal_core::{Taken, goes_on_from};
/// let mut vault = file.open_for_writing(&[alice])?;
/// vault.rotate(false)?; // new keys
/// let (_, theirs) = vault.sign_above(0)?;
/// assert_eq!(goes_on_from(&ours, &theirs), Some(Taken::Theirs));
/// # Ok::<(), bootseal_core::Error>(())
/// ```
pub fn goes_on_from(ours: &VerifiedFile, theirs: &VerifiedFile) -> Option<Taken> {
    if ours.vault_id() != theirs.vault_id() {
        // A side whose id was handed over is not trusted, because its key may be a former writer's.
        return theirs.former_ids().contains(&ours.vault_id()).then_some(Taken::Theirs);
    }
    Some(if theirs.epoch() > ours.epoch() { Taken::Theirs } else { Taken::Ours })
}

/// Whether `file` has the vault id of `old`, or an id that `old` was handed over to.
fn is_same_line(file: &VerifiedFile, old: &VerifiedFile) -> bool {
    file.vault_id() == old.vault_id() || file.former_ids().contains(&old.vault_id())
}

/// Whether `file` is older than `base`: its id was handed over to that of `base`, or it has the same
/// id and a lower generation or epoch. The access list of an older file is ignored, and its values
/// are not changes.
///
/// ```
/// # let (alice, [old, file]) = bootseal_fixtures::file_twice("");
/// use bootseal_core::is_older;
/// let (_, new) = file.open_for_writing(&[alice])?.sign_above(0)?;
/// assert!(is_older(&old, &new) && !is_older(&new, &old));
/// # Ok::<(), bootseal_core::Error>(())
/// ```
pub fn is_older(file: &VerifiedFile, base: &VerifiedFile) -> bool {
    base.header.is_newer_than(&file.header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::identity::Identity;
    use crate::file::header::{Access, Role};
    use crate::file::sealed::SealedFile;
    use crate::vault::{CanWrite, Vault};

    struct Writer(Identity);

    impl Writer {
        fn vault(&self) -> Vault<CanWrite> {
            let bob = Access::new("bob", Role::Writer, Identity::generate().unwrap().recipient())
                .unwrap();
            let access = vec![Access::new("me", Role::Writer, self.0.recipient()).unwrap(), bob];
            Vault::create(access, "a = 1\n").unwrap()
        }

        fn change(&self, text: &str, change: impl FnOnce(&mut Vault<CanWrite>)) -> String {
            let mut vault = read(text).open_for_writing(std::slice::from_ref(&self.0)).unwrap();
            change(&mut vault);
            vault.sign().unwrap()
        }
    }

    fn writer() -> Writer {
        Writer(Identity::generate().unwrap())
    }

    fn read(text: &str) -> VerifiedFile {
        SealedFile::parse(text.as_bytes().to_vec()).unwrap().verify(&[]).unwrap()
    }

    fn signed(text: &str) -> MergeSide {
        MergeSide::Signed(Box::new(read(text)))
    }

    fn refused() -> MergeSide {
        MergeSide::Refused("why".into())
    }

    #[test]
    fn two_sides_with_the_same_epoch_are_merged_into_ours() {
        let me = writer();
        let base = me.vault().sign().unwrap();
        let (ours, theirs) = (me.change(&base, |_| {}), me.change(&base, |_| {}));
        let plan = MergePlan::of(signed(&ours), signed(&theirs), Some(read(&base))).unwrap();
        assert_eq!((plan.side, plan.into.text()), (Taken::Ours, ours));
        assert!(plan.other.is_some() && plan.base.is_some() && plan.warnings.is_empty());
    }

    #[test]
    fn a_merge_starts_from_the_side_with_new_keys_or_a_new_id() {
        let me = writer();
        let base = me.vault().sign().unwrap();
        let ours = me.change(&base, |_| {});
        for signing_key in [false, true] {
            let theirs = me.change(&base, |vault| vault.rotate(signing_key).unwrap());
            let plan = MergePlan::of(signed(&ours), signed(&theirs), Some(read(&base))).unwrap();
            assert_eq!((plan.side, plan.into.text()), (Taken::Theirs, theirs.clone()));
            assert!(plan.other.is_some() && plan.base.is_some() && plan.warnings.is_empty());
            // The other way round the old id is not trusted: its key may be a former writer's.
            let plan = MergePlan::of(signed(&theirs), signed(&ours), Some(read(&base))).unwrap();
            assert_eq!((plan.side, plan.other.is_none()), (Taken::Ours, signing_key));
            assert_eq!(plan.warnings.len(), usize::from(signing_key));
        }
    }

    #[test]
    fn a_side_older_than_the_common_version_is_a_hand_edit() {
        let me = writer();
        let first = me.vault().sign().unwrap();
        let base = me.change(&first, |_| {});
        let ours = me.change(&base, |_| {});
        let plan = MergePlan::of(signed(&ours), signed(&first), Some(read(&base))).unwrap();
        assert!(
            plan.other.is_none()
                && plan.warnings[0].contains("older than the common version of both sides")
        );
        let plan = MergePlan::of(signed(&first), signed(&ours), Some(read(&base))).unwrap();
        assert_eq!((plan.side, plan.other.is_none()), (Taken::Theirs, true));
    }

    #[test]
    fn numbers_of_an_id_that_was_handed_over_do_not_count() {
        let me = writer();
        let first = me.vault().sign().unwrap();
        // A former writer signs high numbers under the old id.
        let mut vault = read(&first).open_for_writing(std::slice::from_ref(&me.0)).unwrap();
        vault.rotate_above(1000).unwrap();
        let (high, _) = vault.sign_above(1000).unwrap();
        let new = me.change(&first, |vault| vault.rotate(true).unwrap());
        assert!(is_older(&read(&high), &read(&new)) && !is_older(&read(&new), &read(&high)));
        for (ours, theirs) in [(&new, &first), (&first, &new)] {
            let plan = MergePlan::of(signed(ours), signed(theirs), Some(read(&high))).unwrap();
            assert_eq!((plan.into.text(), plan.into.epoch()), (new.clone(), 1));
        }
    }

    #[test]
    fn without_a_common_version_the_older_side_is_a_hand_edit() {
        let me = writer();
        let first = me.vault().sign().unwrap();
        let ours = me.change(&first, |_| {});
        let foreign = writer().vault().sign().unwrap();
        // A common version of another vault does not count.
        for base in [None, Some(read(&foreign))] {
            let plan = MergePlan::of(signed(&ours), signed(&first), base).unwrap();
            assert!(plan.other.is_none() && plan.base.is_none());
            assert!(
                plan.warnings[0].starts_with("their side")
                    && plan.warnings[0].contains("no common version")
            );
        }
    }

    #[test]
    fn a_foreign_or_refused_side_is_a_hand_edit_and_two_refused_sides_are_an_error() {
        let (me, other) = (writer(), writer());
        let ours = me.vault().sign().unwrap();
        let foreign = other.vault().sign().unwrap();
        let plan = MergePlan::of(signed(&ours), signed(&foreign), None).unwrap();
        assert!(plan.other.is_none() && plan.warnings[0].contains("neither this vault"));
        let plan = MergePlan::of(refused(), signed(&ours), None).unwrap();
        assert_eq!(
            (plan.side, plan.warnings[0].as_str()),
            (Taken::Theirs, "our side is treated as a hand edit: why")
        );
        assert_eq!(MergePlan::of(refused(), refused(), None).unwrap_err().kind(), Kind::WrongVault);
    }
}
