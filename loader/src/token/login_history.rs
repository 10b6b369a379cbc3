//! The login history: the facts about a profile's earlier logins that a restart needs.
//!
//! Without it, a crash loop would log in at every start.
//!
//! Each profile of a vault has a small file in the state folder. It contains the backoff of a
//! failed login, the number of logins in a row that were begun but never ended, the password to try
//! next, and the period of the last one-time code.
//! Nothing in it is secret: `credentials` is the eight-byte digest of
//! [`CredentialKey`](bootseal_core::CredentialKey) in hexadecimal.

use crate::login::account::CredentialSlot;
use crate::login::outcome::RefusalHints;
use crate::login::procedure::LoginJournal;
use crate::token::state::backoff::{Backoff, SavedBackoff};
use bootseal_core::{Kind, PrivateFile, VaultId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The maximum size of a file that is read as a login history.
const MOST_BYTES: usize = 1 << 16;
/// The wait after two processes in a row ended during a login. It doubles with each further
/// process.
const CUT_OFF: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// The time that a login waits for the folder. If the folder does not respond in this time, or
/// another process holds its lock, the login is made but not recorded.
const PATIENCE: Duration = Duration::from_secs(1);
/// All profiles share the lock of the folder and hold it for a few milliseconds each. The tries end
/// before [`PATIENCE`] has passed.
const LOCK_TRIES: u32 = 40;
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// The history of one profile, with its present credentials.
#[derive(Clone, Debug)]
pub(crate) struct LoginHistory {
    path: PathBuf,
    account: String,
    credentials: String,
}

/// Times are Unix seconds.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    /// Written for people who inspect the folder.
    #[serde(default)]
    account: String,
    credentials: String,
    failed: Option<Failed>,
    unfinished: Option<Unfinished>,
    /// The password that the next login tries first.
    #[serde(default, rename = "turn")]
    slot: CredentialSlot,
    /// The period of the last one-time code that was sent.
    last_code: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Failed {
    refused: bool,
    until: u64,
    in_a_row: u32,
    #[serde(flatten)]
    hints: RefusalHints,
}

#[derive(Debug, Serialize, Deserialize)]
struct Unfinished {
    since: u64,
    in_a_row: u32,
}

/// The login state that earlier processes saved.
#[derive(Debug, Default)]
pub(crate) struct SavedLoginState {
    pub(crate) backoff: Backoff,
    /// Whether at least the last two processes ended during a login.
    pub(crate) cut_off: bool,
    pub(crate) slot: CredentialSlot,
    pub(crate) last_code: Option<u64>,
}

/// A running login. While this value exists, other processes do not count the login as interrupted.
#[derive(Debug)]
pub(crate) struct UnderWay(#[allow(dead_code, reason = "it holds a lock")] Option<File>);

impl LoginHistory {
    pub(crate) fn new(
        folder: &Path,
        vault: VaultId,
        table: &str,
        credentials: [u8; 8],
    ) -> LoginHistory {
        let account = format!("{vault}:{table}");
        let name = hexadecimal(&Sha256::digest(&account)[..8]);
        LoginHistory {
            path: folder.join("logins").join(format!("{name}.toml")),
            account,
            credentials: hexadecimal(&credentials),
        }
    }

    /// The login state that earlier processes saved. An unreadable file causes no wait.
    pub(crate) fn load(&self, monotonic: Duration, unix_time: Duration) -> SavedLoginState {
        self.patiently(move |history| history.look(monotonic, unix_time)).unwrap_or_default()
    }

    fn look(&self, monotonic: Duration, unix_time: Duration) -> SavedLoginState {
        let record = self.parse(PrivateFile::read(&self.path, MOST_BYTES).ok().flatten());
        let (slot, last_code) = (record.slot, record.last_code);
        let backoff = match record.failed {
            Some(Failed { refused, until, in_a_row, hints }) => {
                let wait = Duration::from_secs(until).saturating_sub(unix_time);
                Backoff::restored(SavedBackoff { refused, wait, in_a_row, hints }, monotonic)
            }
            None => Backoff::default(),
        };
        // A single interruption may be chance: the process may have been stopped at that moment.
        let cut_off =
            record.unfinished.filter(|unfinished| unfinished.in_a_row > 1 && !self.is_under_way());
        match cut_off {
            Some(Unfinished { since, in_a_row }) if backoff.remaining(monotonic).is_none() => {
                let wait = CUT_OFF.saturating_mul(1 << (in_a_row - 2).min(8)).min(LONGEST);
                let wait = (Duration::from_secs(since) + wait).saturating_sub(unix_time).min(wait);
                let saved = SavedBackoff { refused: false, wait, in_a_row, hints: backoff.hints() };
                SavedLoginState {
                    backoff: Backoff::restored(saved, monotonic),
                    cut_off: true,
                    slot,
                    last_code,
                }
            }
            _ => SavedLoginState { backoff, cut_off: false, slot, last_code },
        }
    }

    /// Records that a login is about to be sent.
    pub(crate) fn begin(&self, unix_time: Duration) -> UnderWay {
        self.patiently(move |history| history.mark(unix_time)).unwrap_or(UnderWay(None))
    }

    fn mark(&self, unix_time: Duration) -> UnderWay {
        let beside = self.is_under_way();
        let alive = self.open_alive().ok();
        #[cfg(unix)]
        let alive = alive.filter(|file| {
            rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockShared).is_ok()
        });
        self.change(|record| {
            let before = record.unfinished.take().map_or(0, |unfinished| unfinished.in_a_row);
            let in_a_row = if beside { before.max(1) } else { before.saturating_add(1) };
            record.unfinished = Some(Unfinished { since: unix_time.as_secs(), in_a_row });
        });
        UnderWay(alive)
    }

    /// Records the end of a login. `backoff` is `None` if the login succeeded or an operator reset
    /// the backoff.
    pub(crate) fn login_ended(
        &self,
        backoff: Option<SavedBackoff>,
        slot: CredentialSlot,
        unix_time: Duration,
    ) {
        self.patiently(move |history| {
            history.change(|record| {
                (record.unfinished, record.slot) = (None, slot);
                record.failed = backoff.map(|backoff| Failed {
                    refused: backoff.refused,
                    until: (unix_time + backoff.wait).as_secs() + 1,
                    in_a_row: backoff.in_a_row,
                    hints: backoff.hints,
                });
            });
        });
    }

    /// Runs `work` on its own thread, and waits at most [`PATIENCE`] for it, because the folder may
    /// be on a network.
    fn patiently<T: Send + 'static>(
        &self,
        work: impl FnOnce(&LoginHistory) -> T + Send + 'static,
    ) -> Option<T> {
        let (done, result) = std::sync::mpsc::sync_channel(1);
        let history = self.clone();
        // The receiver may have timed out.
        let work = move || drop(done.send(work(&history)));
        std::thread::Builder::new().name("bootseal-state".into()).spawn(work).ok()?;
        let result = result.recv_timeout(PATIENCE).ok();
        if result.is_none() {
            tracing::warn!(target: "bootseal", file = %self.path.display(), "the state folder does not respond; the login history was not read or saved");
        }
        result
    }

    fn alive(&self) -> PathBuf {
        self.path.with_extension("under-way")
    }

    /// Whether a running process is in the middle of a login. The process holds a lock, which ends
    /// with it, even in another container.
    #[cfg(unix)]
    fn is_under_way(&self) -> bool {
        let lock = rustix::fs::FlockOperation::NonBlockingLockExclusive;
        let lock = |file: &File| rustix::fs::flock(file, lock);
        File::open(self.alive()).is_ok_and(|file| lock(&file) == Err(rustix::io::Errno::WOULDBLOCK))
    }

    /// Without locks, a running login looks like an interrupted login, so no login counts as
    /// interrupted.
    #[cfg(not(unix))]
    fn is_under_way(&self) -> bool {
        true
    }

    /// Parses the record in a file's bytes. An unreadable record counts as empty.
    fn parse(&self, bytes: Option<Vec<u8>>) -> Record {
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        let record: Record = toml::from_str(&text).unwrap_or_default();
        if record.credentials == self.credentials {
            return record;
        }
        // If the credentials have changed, only the last code is kept, because the seed may be the
        // same.
        Record { last_code: record.last_code, ..Record::default() }
    }

    fn change(&self, change: impl FnOnce(&mut Record)) {
        if let Err(error) = self.try_change(change) {
            tracing::warn!(target: "bootseal", file = %self.path.display(), %error, "the login history was not saved");
        }
    }

    /// Changes the record under the folder's lock, because other processes may write it too. A
    /// rename replaces the file, so that a crash leaves either the old record or the new one.
    fn try_change(&self, change: impl FnOnce(&mut Record)) -> bootseal_core::Result<()> {
        let file = self.lock()?;
        let mut record = self.parse(file.read_locked(MOST_BYTES).ok().flatten());
        record.account.clone_from(&self.account);
        record.credentials.clone_from(&self.credentials);
        change(&mut record);
        let text = toml::to_string(&record).map_err(|error| {
            bootseal_core::Error::new(Kind::Io, format!("cannot be written: {error}"))
        })?;
        file.replace(text.as_bytes())
    }

    /// Unlike `PrivateFile::lock`, gives up after [`LOCK_TRIES`], because the process that holds
    /// the lock may be suspended.
    fn lock(&self) -> bootseal_core::Result<PrivateFile> {
        for _ in 1..LOCK_TRIES {
            if let Some(file) = PrivateFile::try_lock(&self.path)? {
                return Ok(file);
            }
            std::thread::sleep(BETWEEN_TRIES);
        }
        let locked =
            || bootseal_core::Error::new(Kind::Io, "another process holds the lock of the folder");
        PrivateFile::try_lock(&self.path)?.ok_or_else(locked)
    }

    /// Opens the file whose lock marks a running login.
    fn open_alive(&self) -> std::io::Result<File> {
        let path = self.alive();
        let mut folder = std::fs::DirBuilder::new();
        folder.recursive(true);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        {
            std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            // Nothing is created through a link, and a pipe is not waited for.
            let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
            std::os::unix::fs::OpenOptionsExt::custom_flags(
                &mut options,
                flags.bits().cast_signed(),
            );
        }
        if let Some(parent) = path.parent() {
            folder.create(parent)?;
        }
        options.open(path)
    }
}

impl LoginJournal for LoginHistory {
    fn code_used(&self, period: u64) {
        self.patiently(move |history| history.change(|record| record.last_code = Some(period)));
    }

    fn slot_changed(&self, slot: CredentialSlot) {
        self.patiently(move |history| history.change(|record| record.slot = slot));
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const BOOT: Duration = Duration::from_secs(1000);
    const WALL: Duration = Duration::from_secs(1_700_000_000);

    const REFUSED: SavedBackoff = SavedBackoff {
        refused: true,
        wait: Duration::from_secs(900),
        in_a_row: 1,
        hints: RefusalHints { perhaps_refused: false, without_token: 0 },
    };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn history(folder: &Path, credentials: u8) -> LoginHistory {
        let (path, account) = (folder.join("logins/acme.toml"), "vault1q…:acme".to_owned());
        LoginHistory { path, account, credentials: hexadecimal(&[credentials; 8]) }
    }

    #[cfg(unix)]
    #[test]
    fn consecutive_starts_that_end_during_a_login_wait_longer() {
        let folder = tempfile::tempdir().unwrap();
        let history = history(folder.path(), 1);
        let mut unix_time = WALL;
        for expected in [0, 0, 30, 60, 120, 240, 480, 900, 900] {
            let left = history.load(BOOT, unix_time);
            assert_eq!(left.backoff.remaining(BOOT), (expected > 0).then(|| seconds(expected)));
            assert_eq!((left.cut_off, left.backoff.is_refused()), (expected > 0, false));
            unix_time += seconds(expected);
            drop(history.begin(unix_time));
        }
        // A login that ends, successful or not, resets the count.
        drop(history.begin(unix_time));
        history.login_ended(None, CredentialSlot::default(), unix_time);
        assert!(history.load(BOOT, unix_time).backoff.remaining(BOOT).is_none());
        drop(history.begin(unix_time));
        assert!(history.load(BOOT, unix_time).backoff.remaining(BOOT).is_none());
    }

    #[cfg(unix)]
    #[test]
    fn a_process_that_starts_during_a_running_login_does_not_wait() {
        let folder = tempfile::tempdir().unwrap();
        let history = history(folder.path(), 1);
        let under_way: Vec<UnderWay> = (0..8).map(|_| history.begin(WALL)).collect();
        assert!(history.load(BOOT, WALL).backoff.remaining(BOOT).is_none());
        // All eight end at once, as when the service is stopped: this counts as one interruption.
        drop(under_way);
        assert!(history.load(BOOT, WALL).backoff.remaining(BOOT).is_none());
    }

    #[test]
    fn a_refusal_belongs_to_its_credentials_and_a_code_to_the_account() {
        let folder = tempfile::tempdir().unwrap();
        let old = history(folder.path(), 1);
        old.code_used(56_666_666);
        old.login_ended(Some(REFUSED), CredentialSlot::default(), WALL);
        let left = old.load(BOOT, WALL + seconds(300));
        assert_eq!(
            (left.backoff.remaining(BOOT), left.backoff.is_refused()),
            (Some(seconds(601)), true)
        );
        assert_eq!(left.last_code, Some(56_666_666));
        let left = history(folder.path(), 2).load(BOOT, WALL);
        assert_eq!((left.backoff.remaining(BOOT), left.last_code), (None, Some(56_666_666)));
        // Another account has another file.
        let other = LoginHistory { path: folder.path().join("logins/other.toml"), ..old.clone() };
        assert_eq!(other.load(BOOT, WALL).last_code, None);
    }

    #[test]
    fn refusal_hints_and_the_credential_slot_outlive_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let history = history(folder.path(), 1);
        let hints = RefusalHints { perhaps_refused: true, without_token: 2 };
        let slot = CredentialSlot { next_first: true, other_refused: true };
        history.login_ended(
            Some(SavedBackoff { refused: false, wait: seconds(30), in_a_row: 1, hints }),
            slot,
            WALL,
        );
        // The hints and the slot remain after the wait.
        let left = history.load(BOOT, WALL + seconds(60));
        assert_eq!(
            (left.backoff.remaining(BOOT), left.backoff.hints(), left.slot),
            (None, hints, slot)
        );
        history.login_ended(None, slot, WALL);
        let left = history.load(BOOT, WALL);
        assert_eq!((left.backoff.hints(), left.slot), (RefusalHints::default(), slot));
        history.slot_changed(CredentialSlot::default());
        assert_eq!(history.load(BOOT, WALL).slot, CredentialSlot::default());
    }

    #[cfg(unix)]
    #[test]
    fn no_file_is_created_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let history = history(folder.path(), 1);
        std::fs::create_dir(history.path.parent().unwrap()).unwrap();
        let target = folder.path().join("victim");
        std::os::unix::fs::symlink(&target, history.alive()).unwrap();
        drop(history.begin(WALL));
        assert!(!target.exists() && history.alive().is_symlink());
    }

    #[cfg(unix)]
    #[test]
    fn a_locked_or_unresponsive_folder_blocks_no_login() {
        let folder = tempfile::tempdir().unwrap();
        let history = history(folder.path(), 1);
        history.login_ended(Some(REFUSED), CredentialSlot::default(), WALL);
        let held = File::open(history.path.parent().unwrap()).unwrap();
        rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
        history.login_ended(None, CredentialSlot::default(), WALL);
        drop(held);
        assert!(history.load(BOOT, WALL).backoff.remaining(BOOT).is_some(), "the old record stays");
        // A pipe without a writer: opening it for reading blocks.
        let pipe = |path: &Path| {
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o600.into(), 0)
                .unwrap();
        };
        pipe(&history.alive());
        drop(history.begin(WALL));
        history.code_used(1);
        std::fs::remove_file(&history.path).unwrap();
        pipe(&history.path);
        assert!(history.load(BOOT, WALL).backoff.remaining(BOOT).is_none());
        drop(history.begin(WALL));
        history.code_used(1);
    }

    #[cfg(unix)]
    #[test]
    fn a_crash_in_the_middle_of_a_write_leaves_the_old_record() {
        let folder = tempfile::tempdir().unwrap();
        let history = history(folder.path(), 1);
        history.login_ended(Some(REFUSED), CredentialSlot::default(), WALL);
        // A hard link to the old file: writing in place would change it too.
        let old = folder.path().join("old.toml");
        std::fs::hard_link(&history.path, &old).unwrap();
        let record = std::fs::read(&old).unwrap();
        history.login_ended(None, CredentialSlot::default(), WALL);
        assert_eq!(std::fs::read(&old).unwrap(), record);
        assert_ne!(std::fs::read(&history.path).unwrap(), record);
        // A crash before the rename leaves the old record, and a part of the new one under another
        // name.
        std::fs::rename(&old, &history.path).unwrap();
        std::fs::write(
            history.path.with_file_name(".acme.toml.0.tmp"),
            &record[..record.len() / 2],
        )
        .unwrap();
        assert!(history.load(BOOT, WALL).backoff.is_refused());
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_can_read_the_history() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let history = history(folder.path(), 1);
        drop(history.begin(WALL));
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&history.path), mode(history.path.parent().unwrap())), (0o600, 0o700));
    }

    #[test]
    fn an_unreadable_file_causes_no_wait() {
        let folder = tempfile::tempdir().unwrap();
        let history = history(folder.path(), 1);
        history.login_ended(Some(REFUSED), CredentialSlot::default(), WALL);
        let whole = std::fs::read(&history.path).unwrap();
        for cut in 0..whole.len() - 1 {
            std::fs::write(&history.path, &whole[..cut]).unwrap();
            history.load(BOOT, WALL);
        }
        std::fs::write(&history.path, b"\xff\xfe").unwrap();
        assert!(history.load(BOOT, WALL).backoff.remaining(BOOT).is_none());
        // The next write replaces the file.
        history.login_ended(Some(REFUSED), CredentialSlot::default(), WALL);
        assert!(history.load(BOOT, WALL).backoff.remaining(BOOT).is_some());
    }
}
