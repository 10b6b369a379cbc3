//! Which logins failed here before this start? What a failed login forbids lies in the state folder, so that a crash loop is one login.
//!
//! A line for each account, and nothing secret: `ACCOUNT CREDENTIALS UNTIL KIND N`, where ACCOUNT is vault id and table, CREDENTIALS the
//! eight bytes of [`CredentialKey`](bootseal_core::CredentialKey) in hexadecimal, UNTIL in Unix seconds.

use crate::gate::{Gate, Shut};
use bootseal_core::VaultId;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// More than this is no list of accounts.
const MOST: u64 = 1 << 20;

/// One account's place in the file.
#[derive(Clone, Debug)]
pub(crate) struct Attempts {
    path: PathBuf,
    account: String,
    credentials: String,
}

impl Attempts {
    pub(crate) fn new(folder: &Path, vault: VaultId, table: &str, credentials: [u8; 8]) -> Attempts {
        Attempts {
            path: folder.join("failed_logins"),
            account: format!("{vault}:{}", table.replace(char::is_whitespace, "_")),
            credentials: credentials.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    /// The gate as the last failure with these credentials left it; open where there was none. What cannot be read forbids nothing.
    pub(crate) fn gate(&self, boot: Duration, wall: Duration) -> Gate {
        let text = std::fs::metadata(&self.path)
            .ok()
            .filter(|facts| facts.len() <= MOST)
            .and_then(|_| std::fs::read_to_string(&self.path).ok())
            .unwrap_or_default();
        let mut own = text.lines().filter_map(|line| {
            let mut words = line.split(' ');
            let mine = words.next()? == self.account && words.next()? == self.credentials;
            let (until, kind, count) = (words.next()?.parse().ok()?, words.next()?, words.next()?.parse().ok()?);
            mine.then_some((Duration::from_secs(until), kind == "refused", count))
        });
        match own.next_back() {
            Some((until, refused, count)) => Gate::restored(until.saturating_sub(wall), boot, refused, count),
            None => Gate::default(),
        }
    }

    /// Keeps how a failure left the gate. `None`: a login worked, or someone opened it.
    pub(crate) fn keep(&self, shut: Option<(Shut, Duration, u32)>, wall: Duration) {
        if shut.is_none() && !self.path.exists() {
            return;
        }
        let line = shut.map(|(shut, wait, count)| {
            let kind = if shut == Shut::Refused { "refused" } else { "backoff" };
            let until = (wall + wait).as_secs() + 1;
            format!("{} {} {until} {kind} {count}\n", self.account, self.credentials)
        });
        if let Err(error) = self.replace(&line.unwrap_or_default()) {
            tracing::warn!(target: "bootseal", file = %self.path.display(), %error, "a failed login is not remembered beyond this process");
        }
    }

    /// In place and under a lock: other processes keep their accounts in the same file.
    fn replace(&self, line: &str) -> std::io::Result<()> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&self.path)?;
        #[cfg(unix)]
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
        let text = if file.metadata()?.len() > MOST { String::new() } else { std::io::read_to_string(&file)? };
        let others = text.lines().filter(|other| other.split(' ').next() != Some(self.account.as_str()));
        let whole: String = others.map(|other| format!("{other}\n")).chain([line.to_owned()]).collect();
        if whole != text {
            file.rewind()?;
            file.write_all(whole.as_bytes())?;
            file.set_len(whole.len() as u64)?;
        }
        Ok(())
    }
}
