//! Adoption of a hand edit: the vault takes over the properties of the edit, but a sealed value
//! only if a signed version contains it.

use crate::error::{Kind, Result};
use crate::file::header::Access;
use crate::review::changes::{Changes, by_name};
use crate::review::hand_edit::HandEdit;
use crate::text::document::Property;
use crate::text::path::PropertyPath;
use crate::text::toml_value::quoted;
use crate::vault::value::{self, OpenedValue};
use crate::vault::{CanRead, CanWrite, Vault};

impl Vault<CanWrite> {
    /// Takes over the user's part of `edit`. The access list, the keys and the rest of `[bootseal]`
    /// stay. Each sealed value must open in this vault, or occur unchanged in one of `others`,
    /// which are older versions of the same file. Values from older versions are sealed again with
    /// their dates.
    ///
    /// Returns the changes, with the dates of sealed values. Show them before signing.
    ///
    /// # Errors
    /// [`Kind::MovedValue`] if a sealed value opens in no version; [`Kind::Conflict`] if a new host
    /// in a settings table is not written in ASCII.
    pub fn adopt(&mut self, edit: &HandEdit, others: &[Vault<CanRead>]) -> Result<Changes> {
        let before = self.open_all()?;
        let (after, marks) = edit.open_with(self, others)?;
        let mut resealed = Vec::new();
        for (path, opened) in &after {
            let Some(Property::Sealed(text)) = edit.document.get(path) else { continue };
            if value::open(&self.key, &self.file.vault_id(), path, &text).is_err() {
                let sealed = quoted(&self.seal_as_it_was(path, opened)?);
                resealed.extend(edit.document.replaceable(path)?.map(|span| (span, sealed)));
            }
        }
        let changes = Changes::opened(
            &self.file.document,
            &by_name(&before),
            &edit.document,
            &by_name(&after),
        );
        self.replace_text(edit.document.with_values(resealed))?;
        self.mark(marks)?;
        Ok(changes)
    }

    /// Seals a value under the keys of this vault and keeps its date.
    pub(crate) fn seal_as_it_was(
        &self,
        path: &PropertyPath,
        opened: &OpenedValue,
    ) -> Result<String> {
        value::seal(
            &self.key,
            &self.file.vault_id(),
            path,
            opened.kind,
            opened.set_at,
            &opened.secret,
        )
    }
}

/// The opened sealed values of a text, and the removed members who know a value restored from an
/// older version.
type Opened = (Vec<(PropertyPath, OpenedValue)>, Vec<(String, u64)>);

impl HandEdit {
    /// Opens every sealed value of the text, with this vault or with an older version that contains
    /// it.
    pub(crate) fn open_with<R>(
        &self,
        vault: &Vault<R>,
        others: &[Vault<CanRead>],
    ) -> Result<Opened> {
        let own = vault.file();
        let former = own.former_ids();
        // Anyone can create a vault that we can read, so other vaults' versions are ignored.
        let line: Vec<&Vault<CanRead>> = others
            .iter()
            .filter(|other| {
                other.file.vault_id() == own.vault_id() || former.contains(&other.file.vault_id())
            })
            .collect();
        let (mut values, mut marks) = (Vec::new(), Vec::new());
        for (path, property) in self.document.iter() {
            let Property::Sealed(text) = &property else { continue };
            let opened = match value::open(&vault.key, &own.vault_id(), &path, text) {
                Err(error) if error.kind() == Kind::MovedValue => {
                    // The value is accepted only if a signed version has it under the same name.
                    let signed = line
                        .iter()
                        .filter(|other| other.file.document.get(&path).as_ref() == Some(&property));
                    let mut opened =
                        signed.filter_map(|other| Some((other.file(), other.open(&path).ok()?)));
                    let (version, opened) = opened.next().ok_or_else(|| {
                        error.with_help("It was moved, truncated, pasted in, or sealed for another vault. Sign without it, then set it again: bootseal set")
                    })?;
                    let here = |access: &&Access| {
                        own.access().iter().any(|now| now.recipient == access.recipient)
                    };
                    let gone = version.access().iter().filter(|access| !here(access));
                    marks.extend(gone.map(|access| (access.name.clone(), opened.set_at)));
                    let knew =
                        version.header.removed.iter().filter(|removed| opened.set_at <= removed.at);
                    marks.extend(knew.map(|removed| (removed.name.clone(), removed.at)));
                    opened
                }
                other => other?,
            };
            values.push((path, opened));
        }
        Ok((values, marks))
    }
}

#[cfg(test)]
#[allow(clippy::cloned_ref_to_slice_refs)] // one shape for all calls
mod tests {
    use super::*;
    use crate::access::identity::Identity;
    use crate::file::header::Role;
    use crate::file::sealed::SealedFile;
    use crate::file::verified::{Trust, VerifiedFile};
    use crate::vault::value::ValueKind;
    use bootseal_memory::Secret;

    struct Scene {
        alice: Identity,
        text: String,
    }

    fn read(text: &str) -> VerifiedFile {
        SealedFile::parse(text.as_bytes().to_vec()).unwrap().verify(&[]).unwrap()
    }

    fn edit(text: &str) -> HandEdit {
        HandEdit::parse(text.as_bytes().to_vec()).unwrap()
    }

    fn path(text: &str) -> PropertyPath {
        text.parse().unwrap()
    }

    fn sealed(text: &str, name: &str) -> String {
        match read(text).property(&path(name)) {
            Some(Property::Sealed(sealed)) => sealed,
            _ => panic!("{name} is not sealed"),
        }
    }

    impl Scene {
        fn new() -> Scene {
            let alice = Identity::generate().unwrap();
            let access = vec![Access::new("alice", Role::Writer, alice.recipient()).unwrap()];
            let mut vault = Vault::create(access, "# top\n[acme]\nurl = \"u\"\n").unwrap();
            for name in ["acme.password", "acme.token"] {
                vault
                    .set(&path(name), ValueKind::Text, &Secret::copy_of(b"x").unwrap(), 100)
                    .unwrap();
            }
            Scene { text: vault.sign().unwrap(), alice }
        }

        fn writer(&self, text: &str) -> Vault<CanWrite> {
            read(text).open_for_writing(&[self.alice.clone()]).unwrap()
        }
    }

    #[test]
    fn an_edited_bootseal_table_is_ignored() {
        let scene = Scene::new();
        let eve = Identity::generate().unwrap();
        let planted = scene
            .text
            .replace(
                "access = [\n",
                &format!("access = [\n  {{ name = \"eve\", role = \"reader\", recipient = \"{eve}\" }},\n"),
            )
            .replace("generation = 1", "generation = 900")
            .replace("url = \"u\"", "url = \"v\"");
        let mut vault = scene.writer(&scene.text);
        let changes = vault.adopt(&edit(&planted), &[]).unwrap();
        assert_eq!(
            changes.properties().map(|change| change.path.to_string()).collect::<Vec<_>>(),
            ["acme.url"]
        );
        let file = read(&vault.sign().unwrap());
        assert_eq!((file.generation(), file.access().len()), (2, 1));
    }

    #[test]
    fn an_older_value_of_the_same_name_is_reported_with_its_date() {
        let scene = Scene::new();
        let mut vault = scene.writer(&scene.text);
        vault
            .set(&path("acme.password"), ValueKind::Text, &Secret::copy_of(b"new").unwrap(), 200)
            .unwrap();
        let newer = vault.sign().unwrap();
        let pasted =
            newer.replace(&sealed(&newer, "acme.password"), &sealed(&scene.text, "acme.password"));
        let changes = scene.writer(&newer).adopt(&edit(&pasted), &[]).unwrap();
        let change = changes.properties().next().unwrap();
        assert_eq!((change.set_at, change.is_older()), ((Some(200), Some(100)), true));
        // Under another name or from another vault, it does not open at all.
        let moved = newer.replace(&sealed(&newer, "acme.password"), &sealed(&newer, "acme.token"));
        let foreign = newer.replace(
            &sealed(&newer, "acme.password"),
            &sealed(&Scene::new().text, "acme.password"),
        );
        for text in [moved, foreign] {
            assert_eq!(
                scene.writer(&newer).adopt(&edit(&text), &[]).unwrap_err().kind(),
                Kind::MovedValue
            );
        }
    }

    #[test]
    fn values_of_an_older_version_are_sealed_again_under_new_keys() {
        let scene = Scene::new();
        let mut vault = scene.writer(&scene.text);
        vault.rotate(true).unwrap();
        vault.unset(&path("acme.token")).unwrap();
        let newer = vault.sign().unwrap();
        let old = || read(&scene.text).open(&[scene.alice.clone()]).unwrap();
        let mut vault = scene.writer(&newer);
        assert_eq!(vault.adopt(&edit(&scene.text), &[]).unwrap_err().kind(), Kind::MovedValue);
        let changes = vault.adopt(&edit(&scene.text), &[old()]).unwrap();
        let what: Vec<_> = changes.properties().map(|change| change.what()).collect();
        assert_eq!(what, ["added"]);
        let file = read(&vault.sign().unwrap());
        assert_eq!((file.vault_id(), file.epoch()), (read(&newer).vault_id(), 1));
        assert_eq!(
            file.open(&[scene.alice.clone()]).unwrap().open(&path("acme.token")).unwrap().set_at,
            100
        );
    }

    #[test]
    fn without_a_basis_only_listed_members_can_open() {
        let scene = Scene::new();
        let eve = Identity::generate().unwrap();
        // A key block with a recipient that the list does not name.
        let mut other = scene.writer(&scene.text);
        other.add_access(Access::new("eve", Role::Reader, eve.recipient()).unwrap()).unwrap();
        let block = |text: &str| {
            text[text.find("read_key").unwrap()..text.find("write_key").unwrap()].to_owned()
        };
        let planted = scene.text.replace(&block(&scene.text), &block(&other.sign().unwrap()));
        let vault = Vault::without_basis(&edit(&planted), &[scene.alice.clone()]).unwrap();
        assert_eq!(vault.file().trust(), Trust::Unverified);
        assert!(read(&vault.sign().unwrap()).open(&[eve]).is_err());
    }

    #[test]
    fn invalid_hand_edits_are_refused_with_the_reason() {
        for (text, what) in [
            ("a = 1\n<<<<<<< HEAD\nb = 1\n", "markers"),
            ("[bootseal]\n[other]\na = 1\n", "last table"),
            ("a = \"secret:x\"\n", "secret:"),
            ("a = \n", "not TOML"),
        ] {
            let error = HandEdit::parse(text.into()).unwrap_err();
            assert!(error.what().contains(what), "{error}");
        }
    }

    /// Found by review: a value may come from a version that someone else signed, and a mark may
    /// have been dropped since.
    #[test]
    fn restored_values_come_only_from_this_vault_and_stay_marked_as_known() {
        let scene = Scene::new();
        let web1 = Identity::generate().unwrap();
        let mut vault = scene.writer(&scene.text);
        vault.add_access(Access::new("web1", Role::Reader, web1.recipient()).unwrap()).unwrap();
        let old = vault.sign().unwrap();
        let mut vault = scene.writer(&old);
        vault.remove_access("web1", 150).unwrap();
        vault.unset(&path("acme.token")).unwrap();
        vault
            .set(&path("acme.password"), ValueKind::Text, &Secret::copy_of(b"new").unwrap(), 200)
            .unwrap();
        let now = vault.sign().unwrap();
        assert!(read(&now).known_to(100).is_empty());
        let mut vault = scene.writer(&now);
        let others = [read(&old).open(&[scene.alice.clone()]).unwrap()];
        vault.adopt(&edit(&old), &others).unwrap();
        assert_eq!(read(&vault.sign().unwrap()).known_to(100), ["web1"]);

        let access = vec![
            Access::new("mallory", Role::Writer, web1.recipient()).unwrap(),
            Access::new("alice", Role::Reader, scene.alice.recipient()).unwrap(),
        ];
        let mut foreign = Vault::create(access, "[acme]\n").unwrap();
        foreign
            .set(
                &path("acme.password"),
                ValueKind::Text,
                &Secret::copy_of(b"mallory's").unwrap(),
                900,
            )
            .unwrap();
        let foreign = foreign.sign().unwrap();
        let pasted =
            now.replace(&sealed(&now, "acme.password"), &sealed(&foreign, "acme.password"));
        let others = [read(&foreign).open(&[scene.alice.clone()]).unwrap()];
        let error = scene.writer(&now).adopt(&edit(&pasted), &others).unwrap_err();
        assert_eq!(error.kind(), Kind::MovedValue);
    }

    #[test]
    fn without_a_basis_the_old_data_key_opens_no_new_value() {
        let scene = Scene::new();
        let old = read(&scene.text).open(&[scene.alice.clone()]).unwrap();
        let vault = Vault::without_basis(&edit(&scene.text), &[scene.alice.clone()]).unwrap();
        assert_eq!(
            (vault.file().epoch(), vault.file().former_ids()),
            (1, vec![read(&scene.text).vault_id()])
        );
        for (name, property) in vault.file().properties() {
            if let Property::Sealed(text) = property {
                assert!(value::open(&old.key, &vault.file().vault_id(), &name, &text).is_err());
            }
        }
        let planted = scene.text.replace("epoch = 1", "epoch = 9007199254740992");
        let vault = Vault::without_basis(&edit(&planted), &[scene.alice.clone()]).unwrap();
        assert_eq!(vault.file().epoch(), 1);
        let planted = scene.text.replace("generation = 1", "generation = 9007199254740992");
        assert!(Vault::without_basis(&edit(&planted), &[scene.alice.clone()]).is_err());
    }

    #[test]
    fn moved_comments_and_empty_tables_are_reported() {
        let scene = Scene::new();
        let text = scene
            .text
            .replace("url = \"u\"", "url = \"u\" # safe\nnote = nan # never log")
            .replace("[bootseal]", "[empty]\n\n[bootseal]");
        let mut vault = scene.writer(&scene.text);
        vault.adopt(&edit(&text), &[]).unwrap();
        let text = vault.sign().unwrap();
        assert!(text.contains("[empty]"));
        let swapped = text
            .replace("# safe", "# X")
            .replace("# never log", "# safe")
            .replace("# X", "# never log")
            .replace("[empty]", "[void]");
        let changes = scene.writer(&text).adopt(&edit(&swapped), &[]).unwrap();
        assert!(changes.properties().count() == 0 && !changes.is_empty());
        assert_eq!(
            (changes.moved.len(), changes.empty_tables),
            (2, (vec!["[empty]".to_owned()], vec!["[void]".to_owned()]))
        );
    }
}
