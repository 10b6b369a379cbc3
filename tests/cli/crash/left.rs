//! What a killed verb leaves: each file must be the old or the new one, and nothing has a second
//! copy of a private key.

use crate::crash::killing::Verb;
use crate::support::Home;
use crate::support::team::FILE;
use bootseal_core::{
    Identity, IdentityFile, KnownVaults, Pin, Property, Proposal, SealedFile, VaultId,
};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Each secret value of these tests begins with this word.
pub(crate) const MARKER: &str = "marker-";
pub(crate) const IDENTITY: &str = ".config/bootseal/identity.txt";
const PRIVATE: &str = "AGE-SECRET-KEY-";

/// All files of a home by their paths in it, with content and mode.
#[derive(Clone, PartialEq)]
pub(crate) struct State(BTreeMap<PathBuf, (Vec<u8>, u32)>);

impl State {
    pub(crate) fn of(home: &Home) -> State {
        let files = home.files().into_iter().map(|(path, bytes)| {
            let mode = path.metadata().unwrap().permissions().mode();
            (path.strip_prefix(home.path()).unwrap().to_path_buf(), (bytes, mode))
        });
        // Git changes its own files.
        let counts = |path: &Path| {
            !path.starts_with(".git")
                || path.starts_with(".git/hooks")
                || path == Path::new(".git/config")
        };
        State(files.filter(|(path, _)| counts(path)).collect())
    }

    pub(crate) fn restore(&self, home: &Home) {
        self.restore_beside_temporary(home);
        for path in State::of(home).temporary() {
            std::fs::remove_file(home.path().join(path)).unwrap();
        }
    }

    /// Does the same as [`State::restore`], and keeps the temporary files.
    pub(crate) fn restore_beside_temporary(&self, home: &Home) {
        let now = State::of(home).without_temporary();
        for path in now.0.keys().filter(|path| !self.0.contains_key(*path)) {
            std::fs::remove_file(home.path().join(path)).unwrap();
        }
        for (path, (bytes, mode)) in &self.0 {
            let path = home.path().join(path);
            if std::fs::read(&path).ok().as_ref() != Some(bytes) {
                std::fs::write(&path, bytes).unwrap();
            }
            std::fs::set_permissions(&path, PermissionsExt::from_mode(*mode)).unwrap();
        }
    }

    pub(crate) fn temporary(&self) -> impl Iterator<Item = PathBuf> {
        self.0.keys().filter(|path| is_temporary(path)).cloned()
    }

    pub(crate) fn without_temporary(&self) -> State {
        let files = self.0.iter().filter(|(path, _)| !is_temporary(path));
        State(files.map(|(path, file)| (path.clone(), file.clone())).collect())
    }

    fn text(&self, path: &str) -> Option<String> {
        Some(String::from_utf8(self.0.get(Path::new(path))?.0.clone()).unwrap())
    }

    fn identities(&self) -> Vec<Identity> {
        let text = self.text(IDENTITY);
        text.map_or(Vec::new(), |text| {
            IdentityFile::from_reader(&mut text.as_bytes()).unwrap().identities
        })
    }

    /// Checks each file of this state, which a killed verb left.
    pub(crate) fn judge(&self, old: &State, new: &State, verb: &Verb) {
        let args = verb.args;
        for (path, file) in &self.0 {
            if old.0.get(path) == Some(file) || new.0.get(path) == Some(file) {
                continue;
            }
            if is_temporary(path) {
                let text = String::from_utf8_lossy(&file.0);
                assert!(!text.contains(MARKER) && !text.contains(PRIVATE), "{args:?}: {path:?}");
                continue;
            }
            if path == Path::new("shred.env") {
                let sealed = self.0.get(Path::new("shred.sealed.toml"));
                assert!(sealed.is_some(), "{args:?}: the input was destroyed before it was sealed");
                continue;
            }
            let wanted = new.0.get(path).unwrap_or_else(|| panic!("{args:?} made {path:?}"));
            assert_eq!(file.1, wanted.1, "{args:?}: the mode of {path:?}");
            self.same(path, old, new, args);
        }
        for path in old.0.keys().filter(|path| !self.0.contains_key(*path)) {
            assert!(!new.0.contains_key(path), "{args:?}: {path:?} is gone");
        }
        self.no_second_key(args);
    }

    /// Checks that a file which differs from the old one has the meaning of the new one.
    fn same(&self, path: &Path, old: &State, new: &State, args: &[&str]) {
        let bytes =
            |state: &State| state.0.get(path).map(|file| file.0.clone()).unwrap_or_default();
        let (left, before, after) = (bytes(self), bytes(old), bytes(new));
        let name = path.to_str().unwrap();
        let what = || format!("{args:?}: {name}");
        if name.ends_with(".sealed.toml") {
            let pins = old.text(name).map_or(Vec::new(), |text| id_of(&text));
            let contents = |bytes, state: &State| contents(bytes, &pins, &state.identities());
            assert_eq!(contents(left, self), contents(after, new), "{}", what());
        } else if name.ends_with("known_vaults") {
            let known = |bytes: &[u8]| {
                let store = tempfile::NamedTempFile::new().unwrap();
                std::fs::write(store.path(), bytes).unwrap();
                let known = KnownVaults::load(store.path()).unwrap();
                known
                    .files()
                    .map(|file| (file.path(), file.generation, file.former.len()))
                    .collect::<BTreeSet<_>>()
            };
            let (left, before, after) = (known(&left), known(&before), known(&after));
            // A verb may remember several files, one after the other.
            assert!(
                left.iter().all(|file| before.contains(file) || after.contains(file)),
                "{}",
                what()
            );
            let paths = |known: BTreeSet<(PathBuf, u64, usize)>| {
                known.into_iter().map(|(path, ..)| path).collect::<BTreeSet<_>>()
            };
            let common: BTreeSet<_> = paths(before).intersection(&paths(after)).cloned().collect();
            assert!(paths(left).is_superset(&common), "{}", what());
        } else if name.ends_with(".key") || name == IDENTITY {
            let read = |bytes: &[u8]| IdentityFile::from_reader(&mut &*bytes).unwrap();
            let (now, wanted) = (read(&left), read(&after));
            assert_eq!((now.identities.len(), now.locked.len()), (1, 0), "{}", what());
            if !before.is_empty() {
                let recipient = |file: &IdentityFile| file.identities[0].recipient();
                assert_eq!(recipient(&now), recipient(&wanted), "{}", what());
            }
            // A key file that had a pin always has one, and both for a moment.
            let had = if before.is_empty() { 0 } else { read(&before).pins.len() };
            let (least, most) = (had.min(wanted.pins.len()), had + wanted.pins.len());
            assert!((least..=most).contains(&now.pins.len()), "{}", what());
        } else if name == "new.proposal" {
            let proposed = |bytes: Vec<u8>| {
                let text = String::from_utf8(bytes).unwrap();
                Proposal::open(&text, &self.identities()).unwrap().path().to_string()
            };
            assert_eq!(proposed(left), proposed(after), "{}", what());
        } else if name.contains("/drafts/") {
            let (draft, base) = (String::from_utf8(left).unwrap(), old.text(FILE).unwrap());
            assert!(draft.ends_with(&base) && !draft.contains(MARKER), "{}", what());
        } else if name == ".git/config" {
            let lines = |bytes: Vec<u8>| {
                String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
            };
            let known = [lines(before), lines(after)].concat();
            assert!(lines(left).iter().all(|line| known.contains(line)), "{}", what());
        } else if name == "exported" {
            assert!(after.starts_with(&left), "{}", what());
        } else {
            assert!(left == before || left == after, "{}", what());
        }
    }

    fn no_second_key(&self, args: &[&str]) {
        let mut seen = BTreeSet::new();
        for (path, (bytes, _)) in &self.0 {
            let text = String::from_utf8_lossy(bytes);
            for key in text.lines().filter(|line| line.contains(PRIVATE)) {
                assert!(seen.insert(key.to_owned()), "{args:?}: a second copy in {path:?}");
            }
        }
    }
}

fn is_temporary(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "tmp")
}

fn id_of(text: &str) -> Vec<Pin> {
    let line = text.lines().rev().nth(1).and_then(|line| line.strip_prefix("vault = \""));
    let id = line.and_then(|id| id.trim_end_matches('"').parse::<VaultId>().ok());
    id.into_iter().map(Pin::from).collect()
}

/// What a sealed file means: its numbers, its access list, and its properties with opened values.
fn contents(bytes: Vec<u8>, pins: &[Pin], alice: &[Identity]) -> (Vec<u64>, Vec<(String, String)>) {
    let vault = SealedFile::parse(bytes).unwrap().verify(pins).unwrap();
    let vault = vault.open_for_writing(alice).unwrap();
    vault.check_key_blocks(alice).unwrap();
    let file = vault.file();
    let members = file.access().iter().map(|access| (access.name.clone(), access.role.to_string()));
    let properties = file.properties().map(|(path, property)| {
        let value = match property {
            Property::Readable(value) => value.to_string(),
            Property::Sealed(_) => {
                vault.open(&path).unwrap().secret.expose_str(str::to_owned).unwrap()
            }
        };
        (path.to_string(), value)
    });
    let numbers = vec![file.generation(), file.epoch(), file.former_ids().len() as u64];
    (numbers, members.chain(properties).collect())
}
