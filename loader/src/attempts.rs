//! What of an account's logins outlives the process? What a failed one forbids, one that was begun and never ended, and the last one-time
//! code; so that a crash loop is no login for each start.
//!
//! A small file for each account, in the state folder. Nothing in it is secret: CREDENTIALS are the eight bytes of
//! [`CredentialKey`](bootseal_core::CredentialKey) in hexadecimal.

use crate::gate::{Gate, Shut};
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
    /// The period of the last one-time code that was sent.
    last_code: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Failed {
    refused: bool,
    until: u64,
    in_a_row: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct Unfinished {
    since: u64,
    in_a_row: u32,
}

/// What an earlier process left behind.
#[derive(Debug, Default)]
pub(crate) struct Left {
    pub(crate) gate: Gate,
    /// The process before ended in the middle of a login, and the one before it too.
    pub(crate) cut_off: bool,
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
    pub(crate) fn left(&self, boot: Duration, wall: Duration) -> Left {
        let file = File::open(&self.path);
        let record = file.and_then(|mut file| self.read(&mut file)).unwrap_or_default();
        let last_code = record.last_code;
        let gate = match record.failed {
            Some(Failed { refused, until, in_a_row }) => {
                let wait = Duration::from_secs(until).saturating_sub(wall);
                Gate::restored(wait, boot, refused, in_a_row)
            }
            None => Gate::default(),
        };
        // One may be chance: a stop that came at a bad moment.
        let cut_off = record.unfinished.filter(|unfinished| unfinished.in_a_row > 1 && !self.is_under_way());
        match cut_off {
            Some(Unfinished { since, in_a_row }) if gate.wait(boot).is_none() => {
                let wait = CUT_OFF.saturating_mul(1 << (in_a_row - 2).min(8)).min(LONGEST);
                let left = (Duration::from_secs(since) + wait).saturating_sub(wall).min(wait);
                Left { gate: Gate::restored(left, boot, false, in_a_row), cut_off: true, last_code }
            }
            _ => Left { gate, cut_off: false, last_code },
        }
    }

    /// To be said before a login is sent.
    pub(crate) fn begin(&self, wall: Duration) -> UnderWay {
        let beside = self.is_under_way();
        let alive = self.open(&self.alive()).ok();
        #[cfg(unix)]
        let alive =
            alive.filter(|file| rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockShared).is_ok());
        self.change(|record| {
            let before = record.unfinished.take().map_or(0, |unfinished| unfinished.in_a_row);
            let in_a_row = if beside { before.max(1) } else { before.saturating_add(1) };
            record.unfinished = Some(Unfinished { since: wall.as_secs(), in_a_row });
        });
        UnderWay(alive)
    }

    /// To be said before a one-time code is sent.
    pub(crate) fn code(&self, step: u64) {
        self.change(|record| record.last_code = Some(step));
    }

    /// Keeps how a failure left the gate. `None`: a login worked, or someone opened it.
    pub(crate) fn ended(&self, shut: Option<(Shut, Duration, u32)>, wall: Duration) {
        self.change(|record| {
            record.unfinished = None;
            record.failed = shut.map(|(shut, wait, in_a_row)| Failed {
                refused: shut == Shut::Refused,
                until: (wall + wait).as_secs() + 1,
                in_a_row,
            });
        });
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
        #[cfg(unix)]
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
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

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const BOOT: Duration = Duration::from_secs(1000);
    const WALL: Duration = Duration::from_secs(1_700_000_000);

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
        let mut wall = WALL;
        for expected in [0, 0, 30, 60, 120, 240, 480, 900, 900] {
            let left = attempts.left(BOOT, wall);
            assert_eq!(left.gate.wait(BOOT), (expected > 0).then(|| seconds(expected)));
            assert_eq!((left.cut_off, left.gate.refused()), (expected > 0, false));
            wall += seconds(expected);
            drop(attempts.begin(wall));
        }
        // A login that ends, well or not, ends the row.
        drop(attempts.begin(wall));
        attempts.ended(None, wall);
        assert!(attempts.left(BOOT, wall).gate.wait(BOOT).is_none());
        drop(attempts.begin(wall));
        assert!(attempts.left(BOOT, wall).gate.wait(BOOT).is_none());
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
        old.ended(Some((Shut::Refused, seconds(900), 1)), WALL);
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
    fn what_cannot_be_read_forbids_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let attempts = attempts(folder.path(), 1);
        attempts.ended(Some((Shut::Refused, seconds(900), 1)), WALL);
        let whole = std::fs::read(&attempts.path).unwrap();
        for cut in 0..whole.len() - 1 {
            std::fs::write(&attempts.path, &whole[..cut]).unwrap();
            attempts.left(BOOT, WALL);
        }
        std::fs::write(&attempts.path, b"\xff\xfe").unwrap();
        assert!(attempts.left(BOOT, WALL).gate.wait(BOOT).is_none());
        // And it is written anew.
        attempts.ended(Some((Shut::Refused, seconds(900), 1)), WALL);
        assert!(attempts.left(BOOT, WALL).gate.wait(BOOT).is_some());
    }
}
