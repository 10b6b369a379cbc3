//! What of an account's logins outlives the process? What a failed one forbids, one that was begun and never ended, and the last one-time
//! code; so that a crash loop is no login for each start.
//!
//! A small file for each account, in the state folder. Nothing in it is secret: CREDENTIALS are the eight bytes of
//! [`CredentialKey`](bootseal_core::CredentialKey) in hexadecimal.

use crate::login::procedure::CredentialSlot;
use crate::token::backoff::{Doubt, Gate, SavedBackoff};
use bootseal_core::VaultId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// More than this is no such file.
const MOST: u64 = 1 << 16;
/// How long the second start in a row waits whose login was cut off; doubled for each further one.
const CUT_OFF: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// So long a login waits for the folder. One that is slow, or held by another process, costs the memory of this login, not the login.
const PATIENCE: Duration = Duration::from_secs(1);
const LOCK_TRIES: u32 = 25;
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// One account's file.
#[derive(Clone, Debug)]
pub(crate) struct Attempts {
    path: PathBuf,
    account: String,
    credentials: String,
}

/// Times are Unix seconds.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    /// For whoever looks into the folder.
    #[serde(default)]
    account: String,
    credentials: String,
    failed: Option<Failed>,
    unfinished: Option<Unfinished>,
    /// With which password the next login begins.
    #[serde(default)]
    turn: CredentialSlot,
    /// The period of the last one-time code that was sent.
    last_code: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Failed {
    refused: bool,
    until: u64,
    in_a_row: u32,
    #[serde(flatten)]
    doubt: Doubt,
}

#[derive(Debug, Serialize, Deserialize)]
struct Unfinished {
    since: u64,
    in_a_row: u32,
}

/// What an earlier process left behind.
#[derive(Debug, Default)]
pub(crate) struct SavedLoginState {
    pub(crate) gate: Gate,
    /// The process before ended in the middle of a login, and the one before it too.
    pub(crate) cut_off: bool,
    pub(crate) turn: CredentialSlot,
    pub(crate) last_code: Option<u64>,
}

/// A login that is under way. As long as it is there, who starts beside it knows that nothing was cut off.
#[derive(Debug)]
pub(crate) struct UnderWay(#[allow(dead_code, reason = "its lock is what it is for")] Option<File>);

impl Attempts {
    pub(crate) fn new(folder: &Path, vault: VaultId, table: &str, credentials: [u8; 8]) -> Attempts {
        let account = format!("{vault}:{table}");
        let name = hexadecimal(&Sha256::digest(&account)[..8]);
        Attempts {
            path: folder.join("logins").join(format!("{name}.toml")),
            account,
            credentials: hexadecimal(&credentials),
        }
    }

    /// What cannot be read forbids nothing.
    pub(crate) fn left(&self, monotonic: Duration, unix_time: Duration) -> SavedLoginState {
        self.patiently(move |attempts| attempts.look(monotonic, unix_time)).unwrap_or_default()
    }

    fn look(&self, monotonic: Duration, unix_time: Duration) -> SavedLoginState {
        let file = File::open(&self.path);
        let record = file.and_then(|mut file| self.read(&mut file)).unwrap_or_default();
        let (turn, last_code) = (record.turn, record.last_code);
        let gate = match record.failed {
            Some(Failed { refused, until, in_a_row, doubt }) => {
                let wait = Duration::from_secs(until).saturating_sub(unix_time);
                Gate::restored(SavedBackoff { refused, wait, in_a_row, doubt }, monotonic)
            }
            None => Gate::default(),
        };
        // One may be chance: a stop that came at a bad moment.
        let cut_off = record.unfinished.filter(|unfinished| unfinished.in_a_row > 1 && !self.is_under_way());
        match cut_off {
            Some(Unfinished { since, in_a_row }) if gate.wait(monotonic).is_none() => {
                let wait = CUT_OFF.saturating_mul(1 << (in_a_row - 2).min(8)).min(LONGEST);
                let wait = (Duration::from_secs(since) + wait).saturating_sub(unix_time).min(wait);
                let kept = SavedBackoff { refused: false, wait, in_a_row, doubt: gate.doubt() };
                SavedLoginState { gate: Gate::restored(kept, monotonic), cut_off: true, turn, last_code }
            }
            _ => SavedLoginState { gate, cut_off: false, turn, last_code },
        }
    }

    /// To be said before a login is sent.
    pub(crate) fn begin(&self, unix_time: Duration) -> UnderWay {
        self.patiently(move |attempts| attempts.mark(unix_time)).unwrap_or(UnderWay(None))
    }

    fn mark(&self, unix_time: Duration) -> UnderWay {
        let beside = self.is_under_way();
        let alive = self.open(&self.alive()).ok();
        #[cfg(unix)]
        let alive =
            alive.filter(|file| rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockShared).is_ok());
        self.change(|record| {
            let before = record.unfinished.take().map_or(0, |unfinished| unfinished.in_a_row);
            let in_a_row = if beside { before.max(1) } else { before.saturating_add(1) };
            record.unfinished = Some(Unfinished { since: unix_time.as_secs(), in_a_row });
        });
        UnderWay(alive)
    }

    /// To be said before a one-time code is sent.
    pub(crate) fn code(&self, step: u64) {
        self.patiently(move |attempts| attempts.change(|record| record.last_code = Some(step)));
    }

    /// To be said when one of two passwords was refused, before the other one is sent.
    pub(crate) fn turn(&self, turn: CredentialSlot) {
        self.patiently(move |attempts| attempts.change(|record| record.turn = turn));
    }

    /// Keeps how a login ended. `None`: it worked, or someone opened the gate.
    pub(crate) fn ended(&self, kept: Option<SavedBackoff>, turn: CredentialSlot, unix_time: Duration) {
        self.patiently(move |attempts| {
            attempts.change(|record| {
                (record.unfinished, record.turn) = (None, turn);
                record.failed = kept.map(|kept| Failed {
                    refused: kept.refused,
                    until: (unix_time + kept.wait).as_secs() + 1,
                    in_a_row: kept.in_a_row,
                    doubt: kept.doubt,
                });
            });
        });
    }

    /// On a thread of its own, for which nobody waits longer than [`PATIENCE`]: a folder may lie on a network.
    fn patiently<T: Send + 'static>(&self, work: impl FnOnce(&Attempts) -> T + Send + 'static) -> Option<T> {
        let (done, result) = std::sync::mpsc::sync_channel(1);
        let attempts = self.clone();
        // Who waits may have gone.
        let work = move || drop(done.send(work(&attempts)));
        std::thread::Builder::new().name("bootseal-state".into()).spawn(work).ok()?;
        let result = result.recv_timeout(PATIENCE).ok();
        if result.is_none() {
            tracing::warn!(target: "bootseal", file = %self.path.display(), "the state folder does not answer; how logins went is not remembered beyond this process");
        }
        result
    }

    fn alive(&self) -> PathBuf {
        self.path.with_extension("under-way")
    }

    /// Whether a process that lives is in the middle of a login. A lock goes with its process, in another container too.
    #[cfg(unix)]
    fn is_under_way(&self) -> bool {
        let lock = rustix::fs::FlockOperation::NonBlockingLockExclusive;
        let lock = |file: &File| rustix::fs::flock(file, lock);
        File::open(self.alive()).is_ok_and(|file| lock(&file) == Err(rustix::io::Errno::WOULDBLOCK))
    }

    /// Not told apart from one that was cut off, so none is taken for cut off.
    #[cfg(not(unix))]
    fn is_under_way(&self) -> bool {
        true
    }

    fn read(&self, file: &mut File) -> std::io::Result<Record> {
        let mut text = String::new();
        file.take(MOST).read_to_string(&mut text)?;
        let mut record: Record = toml::from_str(&text).unwrap_or_default();
        if record.credentials != self.credentials {
            // Of other credentials only the codes count: who has a new password may have the same seed.
            record = Record { last_code: record.last_code, ..Record::default() };
        }
        Ok(record)
    }

    fn change(&self, change: impl FnOnce(&mut Record)) {
        if let Err(error) = self.try_change(change) {
            tracing::warn!(target: "bootseal", file = %self.path.display(), %error, "how logins went is not remembered beyond this process");
        }
    }

    /// In place and under a lock: other processes may write it too.
    fn try_change(&self, change: impl FnOnce(&mut Record)) -> std::io::Result<()> {
        let mut file = self.open(&self.path)?;
        lock(&file)?;
        let mut record = self.read(&mut file).unwrap_or_default();
        record.account.clone_from(&self.account);
        record.credentials.clone_from(&self.credentials);
        change(&mut record);
        let text = toml::to_string(&record).map_err(std::io::Error::other)?;
        file.rewind()?;
        file.write_all(text.as_bytes())?;
        file.set_len(text.len() as u64)
    }

    fn open(&self, path: &Path) -> std::io::Result<File> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(path)
    }
}

/// Not for ever: who holds it may have been stopped.
#[cfg(unix)]
fn lock(file: &File) -> std::io::Result<()> {
    for _ in 1..LOCK_TRIES {
        match rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(BETWEEN_TRIES),
            done => return Ok(done?),
        }
    }
    Ok(rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive)?)
}

#[cfg(not(unix))]
fn lock(_: &File) -> std::io::Result<()> {
    Ok(())
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
        doubt: Doubt { perhaps_refused: false, without_token: 0 },
    };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn attempts(folder: &Path, credentials: u8) -> Attempts {
        let (path, account) = (folder.join("logins/acme.toml"), "vault1q…:acme".to_owned());
        Attempts { path, account, credentials: hexadecimal(&[credentials; 8]) }
    }

    #[cfg(unix)]
    #[test]
    fn starts_that_end_in_the_middle_of_a_login_wait_longer_and_longer() {
        let folder = tempfile::tempdir().unwrap();
        let attempts = attempts(folder.path(), 1);
        let mut unix_time = WALL;
        for expected in [0, 0, 30, 60, 120, 240, 480, 900, 900] {
            let left = attempts.left(BOOT, unix_time);
            assert_eq!(left.gate.wait(BOOT), (expected > 0).then(|| seconds(expected)));
            assert_eq!((left.cut_off, left.gate.refused()), (expected > 0, false));
            unix_time += seconds(expected);
            drop(attempts.begin(unix_time));
        }
        // A login that ends, well or not, ends the row.
        drop(attempts.begin(unix_time));
        attempts.ended(None, CredentialSlot::default(), unix_time);
        assert!(attempts.left(BOOT, unix_time).gate.wait(BOOT).is_none());
        drop(attempts.begin(unix_time));
        assert!(attempts.left(BOOT, unix_time).gate.wait(BOOT).is_none());
    }

    #[cfg(unix)]
    #[test]
    fn who_starts_beside_a_login_that_is_under_way_does_not_wait() {
        let folder = tempfile::tempdir().unwrap();
        let attempts = attempts(folder.path(), 1);
        let under_way: Vec<UnderWay> = (0..8).map(|_| attempts.begin(WALL)).collect();
        assert!(attempts.left(BOOT, WALL).gate.wait(BOOT).is_none());
        // All eight end at once, as when the service is stopped: that is one cut, not eight.
        drop(under_way);
        assert!(attempts.left(BOOT, WALL).gate.wait(BOOT).is_none());
    }

    #[test]
    fn a_refusal_is_of_its_credentials_and_a_code_of_the_account() {
        let folder = tempfile::tempdir().unwrap();
        let old = attempts(folder.path(), 1);
        old.code(56_666_666);
        old.ended(Some(REFUSED), CredentialSlot::default(), WALL);
        let left = old.left(BOOT, WALL + seconds(300));
        assert_eq!((left.gate.wait(BOOT), left.gate.refused()), (Some(seconds(601)), true));
        assert_eq!(left.last_code, Some(56_666_666));
        let left = attempts(folder.path(), 2).left(BOOT, WALL);
        assert_eq!((left.gate.wait(BOOT), left.last_code), (None, Some(56_666_666)));
        // Another account has another file.
        let other = Attempts { path: folder.path().join("logins/other.toml"), ..old.clone() };
        assert_eq!(other.left(BOOT, WALL).last_code, None);
    }

    #[test]
    fn what_may_be_a_refusal_and_whose_turn_it_is_outlive_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let attempts = attempts(folder.path(), 1);
        let doubt = Doubt { perhaps_refused: true, without_token: 2 };
        let turn = CredentialSlot { next_first: true, other_refused: true };
        attempts.ended(Some(SavedBackoff { refused: false, wait: seconds(30), in_a_row: 1, doubt }), turn, WALL);
        // Also when the wait is over.
        let left = attempts.left(BOOT, WALL + seconds(60));
        assert_eq!((left.gate.wait(BOOT), left.gate.doubt(), left.turn), (None, doubt, turn));
        attempts.ended(None, turn, WALL);
        let left = attempts.left(BOOT, WALL);
        assert_eq!((left.gate.doubt(), left.turn), (Doubt::default(), turn));
        attempts.turn(CredentialSlot::default());
        assert_eq!(attempts.left(BOOT, WALL).turn, CredentialSlot::default());
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_is_held_or_does_not_answer_holds_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let attempts = attempts(folder.path(), 1);
        attempts.ended(Some(REFUSED), CredentialSlot::default(), WALL);
        let held = File::open(&attempts.path).unwrap();
        rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
        attempts.ended(None, CredentialSlot::default(), WALL);
        drop(held);
        assert!(attempts.left(BOOT, WALL).gate.wait(BOOT).is_some(), "what was not written is as it was");
        // A pipe that nobody writes into: a read of it does not end.
        std::fs::remove_file(&attempts.path).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &attempts.path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        drop(attempts.begin(WALL));
        attempts.code(1);
        assert!(attempts.left(BOOT, WALL).gate.wait(BOOT).is_none());
    }

    #[test]
    fn what_cannot_be_read_forbids_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let attempts = attempts(folder.path(), 1);
        attempts.ended(Some(REFUSED), CredentialSlot::default(), WALL);
        let whole = std::fs::read(&attempts.path).unwrap();
        for cut in 0..whole.len() - 1 {
            std::fs::write(&attempts.path, &whole[..cut]).unwrap();
            attempts.left(BOOT, WALL);
        }
        std::fs::write(&attempts.path, b"\xff\xfe").unwrap();
        assert!(attempts.left(BOOT, WALL).gate.wait(BOOT).is_none());
        // And it is written anew.
        attempts.ended(Some(REFUSED), CredentialSlot::default(), WALL);
        assert!(attempts.left(BOOT, WALL).gate.wait(BOOT).is_some());
    }
}
