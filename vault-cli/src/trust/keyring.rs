//! The available identities: key files, locked keys and passphrases. A passphrase is asked for only
//! when a file needs it.

use crate::context::Context;
use crate::trust::plugins;
use crate::ui::Ui;
use crate::ui::failure::{Failure, Result};
use crate::ui::prompt::no_answer;
use bootseal_core::{
    Identity, IdentityFile, Kind, LockedKey, Pin, Plugins, Role, Secret, Shown, VerifiedFile,
    open_source, read_passphrase_from, some_names,
};
use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

const DERIVING: &str = "deriving a key from the passphrase";

/// The available identities, and the pins in their files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    pub(crate) identities: Vec<Identity>,
    /// Identities and SSH keys that are still protected by a passphrase.
    pub(crate) locked: Vec<LockedKey>,
    pub(crate) pins: Vec<Pin>,
    /// Finds the programs of plugins.
    pub(crate) plugins: Plugins,
    /// Each place that was searched, and what was found there, for errors.
    tried: Vec<String>,
    /// Whether `-i`, `BOOTSEAL_IDENTITY` or `--passphrase-fd` named the keys, so that they are
    /// expected to open the file.
    pub(crate) named: bool,
    /// The passphrase from `--passphrase-fd`, read once for all files.
    passphrase: Rc<OnceCell<Secret>>,
}

impl Keys {
    /// Reads the identities from `-i`, else from `BOOTSEAL_IDENTITY`, else from the user's own
    /// identity file and SSH keys.
    pub(crate) fn find(context: &mut Context<'_>) -> Result<Keys> {
        Keys::find_in(context.options.identity.clone(), context)
    }

    /// Does the same as [`Keys::find`], with these files instead of those that `-i` names.
    pub(crate) fn find_in(mut paths: Vec<PathBuf>, context: &mut Context<'_>) -> Result<Keys> {
        one_on_stdin(context)?;
        let mut keys = Keys { named: true, plugins: plugins::at_hand(context)?, ..Keys::default() };
        let mut from_variable = false;
        if paths.is_empty() {
            match context.var("BOOTSEAL_IDENTITY") {
                Some(path) => {
                    paths.push(path.into());
                    from_variable = true;
                }
                None => keys.tried.push("BOOTSEAL_IDENTITY (unset)".into()),
            }
        }
        if paths.is_empty() {
            keys.named = false;
            match own_identity_file(context) {
                Ok(path) if path.exists() => paths.push(path),
                Ok(path) => {
                    keys.tried.push(format!("{} (absent)", shown_from_home(&path, context)))
                }
                Err(_) => {
                    keys.tried.push("your own (neither HOME nor XDG_CONFIG_HOME is set)".into())
                }
            }
        }
        for path in paths {
            if let Some(number) = descriptor(&path) {
                keep_from_programs(number, &mut context.ui)?;
            }
            if path == Path::new("-") {
                context.ui.stdin_taken = true;
                keys.take_from("stdin", IdentityFile::from_reader(&mut context.ui.stdin)?);
            } else {
                let file = IdentityFile::read(&path).map_err(|error| match from_variable {
                    true => Failure::from(error).within("BOOTSEAL_IDENTITY"),
                    false => error.into(),
                })?;
                keys.take_from(&shown_from_home(&path, context), file);
            }
        }
        if let (false, Some(home)) = (keys.named, context.home()) {
            // SSH keys serve another purpose, so an unusable one is not an error.
            for name in ["id_ed25519", "id_rsa"] {
                let path = home.join(".ssh").join(name);
                match IdentityFile::read(&path) {
                    Ok(file) => keys.take_from(&shown_from_home(&path, context), file),
                    Err(_) if !path.exists() => {
                        keys.tried.push(format!("{} (absent)", shown_from_home(&path, context)))
                    }
                    Err(_) => keys
                        .tried
                        .push(format!("{} (not usable here)", shown_from_home(&path, context))),
                }
            }
        }
        if let Some(descriptor) = context.passphrase_fd {
            keys.named = true;
            keys.tried.push(format!("the passphrase on descriptor {descriptor}"));
            // This is done even if no file needs the passphrase, which must never be read as a
            // value.
            keep_from_programs(descriptor, &mut context.ui)?;
        }
        Ok(keys)
    }

    fn take_from(&mut self, place: &str, file: IdentityFile) {
        let open = file.identities.iter().map(Identity::to_string);
        let locked = file.locked.iter().map(|key| format!("{}, locked", key.recipient()));
        let held: Vec<String> = open.chain(locked).collect();
        let held = if held.is_empty() { "no identity".into() } else { some_names(held) };
        self.tried.push(format!("{place} ({held})"));
        self.take(file);
    }

    pub(crate) fn take(&mut self, file: IdentityFile) {
        self.identities.extend(
            file.identities.into_iter().map(|identity| identity.with_plugins(&self.plugins)),
        );
        self.locked.extend(file.locked);
        self.pins.extend(file.pins);
    }

    fn any_locked_in(&self, file: &VerifiedFile) -> bool {
        let recipients = || self.locked.iter().map(LockedKey::recipient);
        file.access()
            .iter()
            .any(|access| recipients().any(|recipient| *recipient == access.recipient))
    }

    /// Adds the keys that this file needs, asking for a passphrase if necessary. The file is
    /// verified and about to be opened.
    pub(crate) fn unlock(&mut self, file: &VerifiedFile, context: &mut Context<'_>) -> Result<()> {
        self.unlock_as(Role::Reader, file, context)
    }

    /// Does the same as [`Keys::unlock`] for a file that is about to be changed: a reader's
    /// identity is not enough.
    pub(crate) fn unlock_to_write(
        &mut self,
        file: &VerifiedFile,
        context: &mut Context<'_>,
    ) -> Result<()> {
        self.unlock_as(Role::Writer, file, context)
    }

    /// Does the same as [`Keys::unlock`] for a command that also works without a key: it uses a
    /// given passphrase, and asks for one only if the key was named.
    pub(crate) fn unlock_unasked(
        &mut self,
        file: &VerifiedFile,
        context: &mut Context<'_>,
    ) -> Result<()> {
        self.unlock_by_given(file, context)?;
        if self.named { self.unlock_locked(Role::Reader, file, context) } else { Ok(()) }
    }

    fn unlock_as(
        &mut self,
        need: Role,
        file: &VerifiedFile,
        context: &mut Context<'_>,
    ) -> Result<()> {
        self.unlock_by_given(file, context)?;
        self.unlock_locked(need, file, context)?;
        let enough = |role: Role| need == Role::Reader || role == Role::Writer;
        let role = file.role_of(&self.identities);
        if role.is_some_and(enough) {
            return Ok(());
        }
        let by_passphrase = file
            .access()
            .iter()
            .filter(|access| access.passphrase.is_some() && enough(access.role));
        let names: Vec<&str> = by_passphrase.map(|access| access.name.as_str()).collect();
        if names.is_empty() || context.passphrase_fd.is_some() || !context.ui.can_ask_passphrase() {
            // The error for a reader, who may not write, is reported when the file is opened.
            return match role {
                Some(_) => Ok(()),
                None => Err(file.no_identity(&some_names(&self.tried)).into()),
            };
        }
        let (name, passphrase) = context.ui.ask_passphrase(&names)?;
        let _working = context.ui.working(DERIVING);
        self.identities.insert(0, file.identity_by_passphrase(&name, &passphrase)?);
        Ok(())
    }

    /// Uses the passphrase from the descriptor, if the file has members who open it by passphrase.
    fn unlock_by_given(&mut self, file: &VerifiedFile, context: &mut Context<'_>) -> Result<()> {
        if context.passphrase_fd.is_none()
            || file.access().iter().all(|access| access.passphrase.is_none())
        {
            return Ok(());
        }
        let passphrase = self.passphrase("", context)?;
        // Inserted first, so that this identity opens the file, and a given passphrase is really
        // tested.
        let _working = context.ui.working(DERIVING);
        match file.identity_by_any_passphrase(&passphrase) {
            Ok(identity) => self.identities.insert(0, identity),
            // It may be the passphrase of a locked key.
            Err(error) if error.kind() == Kind::WrongPassphrase && self.any_locked_in(file) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Unlocks keys that the file lists, if the available identities are not enough.
    fn unlock_locked(
        &mut self,
        need: Role,
        file: &VerifiedFile,
        context: &mut Context<'_>,
    ) -> Result<()> {
        for key in self.locked.clone() {
            let Some(access) =
                file.access().iter().find(|access| access.recipient == *key.recipient())
            else {
                continue;
            };
            let role = file.role_of(&self.identities);
            // Do not ask for a passphrase that would give no further rights.
            if role != Some(Role::Writer)
                && role != Some(access.role)
                && (role.is_none() || need == Role::Writer)
            {
                let prompt = format!("Passphrase of the {} of {}: ", key.what(), access.name);
                let passphrase = self.passphrase(&prompt, context)?;
                self.identities.push(key.unlock(&passphrase)?);
            }
        }
        Ok(())
    }

    /// Returns the passphrase from the descriptor, which is read once; else asks for one.
    fn passphrase(&mut self, prompt: &str, context: &mut Context<'_>) -> Result<Secret> {
        match (context.passphrase_fd, self.passphrase.get()) {
            (Some(_), Some(known)) => Ok(known.clone()),
            (Some(descriptor), None) => {
                let passphrase = passphrase_from(descriptor, &mut context.ui)?;
                Ok(self.passphrase.get_or_init(|| passphrase).clone())
            }
            (None, _) => context.ui.terminal()?.secret(prompt).map_err(|error| {
                no_answer(error)
                    .with_help("Pass the passphrase on a file descriptor: --passphrase-fd 3 3< FILE, or --passphrase-fd 0 for stdin")
            }),
        }
    }
}

/// The user's own identity file, in their configuration folder.
pub(crate) fn own_identity_file(context: &Context<'_>) -> Result<PathBuf> {
    let folder = context.user_folder("APPDATA", "XDG_CONFIG_HOME", ".config");
    folder.map(|folder| folder.join("bootseal").join("identity.txt")).ok_or_else(|| {
        Failure::new(
            Kind::Usage,
            "neither HOME nor XDG_CONFIG_HOME is set, so there is no folder for your identity",
        )
        .with_help("Name a file: -i FILE, or keygen -o FILE")
    })
}

/// Shows a path with `~` for the home folder.
fn shown_from_home(path: &Path, context: &Context<'_>) -> String {
    let below = context
        .home()
        .filter(|home| !home.as_os_str().is_empty())
        .and_then(|home| path.strip_prefix(home).ok().map(Path::to_path_buf));
    let text = below.map_or_else(
        || path.display().to_string(),
        |below| Path::new("~").join(below).display().to_string(),
    );
    Shown(&text).to_string()
}

/// Makes sure that a descriptor with a key is neither read as a value nor inherited by a program.
fn keep_from_programs(descriptor: u32, ui: &mut Ui<'_>) -> Result<()> {
    match descriptor {
        0 => ui.stdin_taken = true,
        1 | 2 => {
            let what = format!(
                "descriptor {descriptor} is for results and messages, and cannot be used for a key"
            );
            return Err(Failure::new(Kind::Usage, what)
                .with_help("Let the shell open another descriptor for reading: … 3< FILE"));
        }
        // A descriptor that is not open is reported when it is read.
        number => drop(bootseal_memory::keep_from_programs(number)),
    }
    Ok(())
}

/// Reads a passphrase from an open descriptor, to its end.
pub(crate) fn passphrase_from(descriptor: u32, ui: &mut Ui<'_>) -> Result<Secret> {
    let typed = "this descriptor is a terminal, which would show what is typed; without --passphrase-fd the prompt has no echo";
    if descriptor == 0 {
        if ui.stdin_is_terminal {
            return Err(Failure::new(Kind::Usage, typed));
        }
        ui.stdin_taken = true;
        return Ok(read_passphrase_from(&mut ui.stdin)?);
    }
    if !cfg!(unix) {
        return Err(Failure::new(
            Kind::Usage,
            "on this system a passphrase is read from descriptor 0 only",
        ));
    }
    let failed = |error: std::io::Error| {
        Failure::new(Kind::Io, format!("descriptor {descriptor} cannot be read: {error}"))
            .with_help(format!(
                "Let the shell open it: bootseal … --passphrase-fd {descriptor} {descriptor}< FILE"
            ))
    };
    // Opened by its path in /dev/fd, because adopting the number would need unsafe code.
    let mut source = open_source(Path::new(&format!("/dev/fd/{descriptor}"))).map_err(failed)?;
    if std::io::IsTerminal::is_terminal(&source) {
        return Err(Failure::new(Kind::Usage, typed));
    }
    Ok(read_passphrase_from(&mut source)?)
}

/// Returns the descriptor that a path such as /dev/fd/3 names.
fn descriptor(path: &Path) -> Option<u32> {
    if path == Path::new("/dev/stdin") {
        return Some(0);
    }
    let folder = ["/dev/fd", "/proc/self/fd", "/proc/thread-self/fd"];
    let number = folder.iter().find_map(|folder| path.strip_prefix(folder).ok())?;
    number.to_str()?.parse().ok()
}

/// Fails if both an identity and a passphrase are to be read from stdin.
pub(crate) fn one_on_stdin(context: &Context<'_>) -> Result<()> {
    match context.passphrase_fd == Some(0)
        && context.options.identity.iter().any(|path| path == Path::new("-"))
    {
        true => Err(Failure::new(Kind::Usage, "stdin cannot be both an identity and a passphrase")),
        false => Ok(()),
    }
}
