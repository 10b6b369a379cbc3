//! A private folder on a memory file system, for values in the clear. The folder is removed when
//! the process that uses it ends, even if the process is killed.

use crate::ui::failure::{Failure, Result};
use bootseal_core::{Error, Kind};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The folder, which is removed on drop. If the process is killed or becomes another program, a
/// helper process removes the folder.
pub(crate) struct MemoryFolder {
    path: PathBuf,
}

impl Drop for MemoryFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

impl MemoryFolder {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file in the folder by a rename, so that a reader sees either the old or the new
    /// file.
    pub(crate) fn write(
        &self,
        name: &Path,
        write: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<PathBuf> {
        let (path, new) = (self.path.join(name), self.path.join(".new"));
        let failed = |error: std::io::Error| {
            Failure::from(
                Error::new(Kind::Io, format!("cannot be written: {error}")).in_file(&path),
            )
        };
        let mut out = std::io::BufWriter::new(private().open(&new).map_err(failed)?);
        let written = write(&mut out).and_then(|()| {
            out.flush().map_err(failed)?;
            std::fs::rename(&new, &path).map_err(failed)
        });
        if written.is_err() {
            let _ = std::fs::remove_file(&new);
        }
        written.map(|()| path)
    }

    pub(crate) fn remove(&self, name: &Path) {
        let _ = std::fs::remove_file(self.path.join(name));
    }

    /// Creates a subfolder, with its missing parents.
    pub(crate) fn make_table(&self, name: &Path) -> Result<()> {
        let path = self.path.join(name);
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).map_err(|error| {
            Error::new(Kind::Io, format!("cannot be made: {error}")).in_file(&path).into()
        })
    }
}

/// Returns the options to create a file that only the owner can read; opening fails if a file or
/// link of this name exists.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(target_os = "linux")]
pub(crate) use linux::sweep;

#[cfg(target_os = "linux")]
mod linux {
    use crate::commands::exec::memory_folder::MemoryFolder;
    use crate::context::Context;
    use crate::ui::failure::{Failure, Result};
    use bootseal_core::{Error, Kind, Shown};
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::fs::{FlockOperation, flock, statfs};
    use rustix::process::{PidfdFlags, getpid, getuid, pidfd_open};
    use std::fs::File;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};

    const TMPFS: u32 = 0x0102_1994;
    const RAMFS: u32 = 0x8584_58f6;
    const NAME: &str = "bootseal.";

    impl MemoryFolder {
        /// Creates a new folder in `$XDG_RUNTIME_DIR`, else in /dev/shm.
        pub(crate) fn create(context: &Context<'_>) -> Result<MemoryFolder> {
            let runtime = context
                .var("XDG_RUNTIME_DIR")
                .map(PathBuf::from)
                .filter(|folder| folder.is_absolute());
            let places: Vec<PathBuf> =
                runtime.into_iter().chain([PathBuf::from("/dev/shm")]).collect();
            for place in places.iter().filter(|place| in_memory(place)) {
                remove_left_over(place);
                // Try again if another user has a folder of that name.
                for _ in 0..8 {
                    let path = place.join(new_name()?);
                    match make(&path) {
                        Ok(()) => return guarded(path),
                        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                        Err(_) => break,
                    }
                }
            }
            let tried: Vec<String> =
                places.iter().map(|place| Shown::path(place).to_string()).collect();
            let what = format!(
                "no folder can be created on a memory file system; tried: {}",
                tried.join(", ")
            );
            Err(Failure::new(Kind::Io, what).with_help(
                "Values are never written to a disk in the clear. To mount a memory file system: mount -t tmpfs -o mode=1777 tmpfs /dev/shm",
            ))
        }

        /// Uses the named folder, which is created or is an empty folder of the user.
        pub(crate) fn create_at(path: &Path) -> Result<MemoryFolder> {
            let path = std::path::absolute(path)
                .map_err(|error| Failure::new(Kind::Io, error.to_string()))?;
            let refuse = |kind, what: &str| Error::new(kind, what).in_file(&path);
            let above = path.parent().unwrap_or(Path::new("/"));
            if !in_memory(if path.exists() { &path } else { above }) {
                let error = refuse(
                    Kind::UnsafeFile,
                    "is not on a memory file system (tmpfs or ramfs), and values are never written to a disk in the clear",
                );
                return Err(error
                    .with_help(
                        "Leave DIR out, or name a folder below /dev/shm or $XDG_RUNTIME_DIR.",
                    )
                    .into());
            }
            match make(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    let found = std::fs::symlink_metadata(&path)
                        .map_err(|error| refuse(Kind::Io, &error.to_string()))?;
                    if !found.is_dir()
                        || found.uid() != getuid().as_raw()
                        || found.mode() & 0o077 != 0
                    {
                        return Err(refuse(
                            Kind::UnsafeFile,
                            "exists, and is not a folder that only you can access (mode 0700)",
                        )
                        .into());
                    }
                    if std::fs::read_dir(&path).map_or(true, |mut inside| inside.next().is_some()) {
                        return Err(refuse(
                            Kind::Exists,
                            "exists, and is not empty; nothing was written",
                        )
                        .into());
                    }
                }
                Err(error) => {
                    return Err(refuse(Kind::Io, &format!("cannot be made: {error}")).into());
                }
            }
            guarded(path)
        }
    }

    fn in_memory(path: &Path) -> bool {
        // The integer type of `f_type` depends on the architecture; the values do not.
        statfs(path).is_ok_and(|found| [TMPFS, RAMFS].contains(&(found.f_type as u32)))
    }

    fn make(path: &Path) -> std::io::Result<()> {
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)?;
        // The umask may have removed permissions that the owner needs.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
    }

    /// Returns `bootseal.PID.STARTED.RANDOM`, which identifies the owning process even after it has
    /// ended.
    fn new_name() -> Result<String> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| {
            Failure::new(Kind::Io, format!("no random numbers from the system: {error}"))
        })?;
        let pid = getpid().as_raw_nonzero();
        let started = started(&pid.to_string()).unwrap_or_default();
        Ok(format!("{NAME}{pid}.{started}.{:016x}", u64::from_ne_bytes(random)))
    }

    /// The start time of a process in ticks, which distinguishes it from a later process with the
    /// same PID.
    fn started(pid: &str) -> Option<String> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.to_owned())
    }

    /// Starts the sweeper, a process that removes the folder when this process has ended. The
    /// sweeper is not a child of this process, so a program that waits for all its children does
    /// not wait for the sweeper.
    fn guarded(path: PathBuf) -> Result<MemoryFolder> {
        let folder = MemoryFolder { path };
        let failed = |what: &str, error: std::io::Error| {
            Failure::new(
                Kind::Io,
                format!(
                    "the process that removes the values from memory at the end cannot be started: {what}: {error}"
                ),
            )
        };
        let own = pidfd_open(getpid(), PidfdFlags::empty())
            .map_err(|error| failed("pidfd_open (Linux 5.3)", error.into()))?;
        let lock = File::open(&folder.path).map_err(|error| failed("the folder", error))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|error| failed("its lock", error.into()))?;
        let status = sweeper().stdin(Stdio::from(own)).stdout(Stdio::from(lock)).status();
        match status {
            Ok(status) if status.success() => Ok(folder),
            Ok(status) => Err(failed("/proc/self/exe", std::io::Error::other(status.to_string()))),
            Err(error) => Err(failed("/proc/self/exe", error)),
        }
    }

    fn sweeper() -> Command {
        let mut command = Command::new("/proc/self/exe");
        command.arg("sweep").env_clear().current_dir("/").stderr(Stdio::null());
        command
    }

    /// Set for the second of the two sweeper processes. The first starts the second and ends, so
    /// that no parent has to wait for the second.
    const DETACHED: &str = "BOOTSEAL_SWEEP";

    /// Runs `bootseal sweep`: stdin is a descriptor of the process to wait for, stdout the locked
    /// folder. It fails without changes if either is something else.
    pub(crate) fn sweep() -> std::io::Result<()> {
        let process = std::fs::read_link("/proc/self/fd/0")?;
        let folder = std::fs::read_link("/proc/self/fd/1")?;
        if !process.to_string_lossy().contains("pidfd") || !folder.is_dir() {
            return Err(std::io::ErrorKind::InvalidInput.into());
        }
        if std::env::var_os(DETACHED).is_none() {
            // A separate process group does not receive Ctrl-C, which is meant for the program.
            return sweeper().env(DETACHED, "1").process_group(0).spawn().map(drop);
        }
        // These signals are ignored: stopping a service signals this process too, while the program
        // may still be running.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let _inside = runtime.enter();
        let _deaf = [
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?,
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?,
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?,
        ];
        let stdin = std::io::stdin();
        while let Err(rustix::io::Errno::INTR) =
            poll(&mut [PollFd::new(&stdin, PollFlags::IN)], None)
        {}
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes folders whose process and sweeper have both ended, for example after a whole
    /// container or session was killed.
    fn remove_left_over(place: &Path) {
        for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str().and_then(|name| name.strip_prefix(NAME)) else {
                continue;
            };
            let mut parts = name.split('.');
            let (Some(pid), Some(since), Some(_), None) =
                (parts.next(), parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            let ours = entry
                .metadata()
                .is_ok_and(|found| found.is_dir() && found.uid() == getuid().as_raw());
            if !ours || started(pid).as_deref() == Some(since) {
                continue;
            }
            // In another container, the process may have another PID. Its sweeper then holds the
            // lock.
            let Ok(folder) = File::open(entry.path()) else { continue };
            if flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok() {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use crate::commands::exec::memory_folder::MemoryFolder;
    use crate::context::Context;
    use crate::ui::failure::{Failure, Result};
    use bootseal_core::{Error, Kind, Shown};
    use std::path::Path;

    impl MemoryFolder {
        /// Creates a new folder in the user's temporary folder: this system has no memory file
        /// system.
        pub(crate) fn create(_: &Context<'_>) -> Result<MemoryFolder> {
            let mut random = [0; 8];
            getrandom::fill(&mut random).map_err(|error| {
                Failure::new(Kind::Io, format!("no random numbers from the system: {error}"))
            })?;
            let path =
                std::env::temp_dir().join(format!("bootseal.{:016x}", u64::from_ne_bytes(random)));
            let mut builder = std::fs::DirBuilder::new();
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(&path).map_err(|error| {
                Error::new(Kind::Io, format!("cannot be made: {error}")).in_file(&path)
            })?;
            Ok(MemoryFolder { path })
        }

        pub(crate) fn create_at(path: &Path) -> Result<MemoryFolder> {
            let what = format!(
                "{}: this system has no memory file system, and values are never written to a disk in the clear",
                Shown::path(&path)
            );
            Err(Failure::new(Kind::UnsafeFile, what)
                .with_help("Pass them in the environment: leave --files out."))
        }
    }
}
