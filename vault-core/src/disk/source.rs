//! Opens files and pipes for reading. The wait for a process that opens a pipe for writing has a
//! limit.

use crate::disk::folder::PATIENCE;
use crate::disk::paths::open;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// Opens a file, a pipe or a device for reading. A named pipe is waited for until some process has
/// opened it for writing, for at most 10 seconds; after that, the writer may take its time.
///
/// # Errors
/// The system's error, or [`TimedOut`](std::io::ErrorKind::TimedOut) if nobody opened the pipe.
///
/// ```
/// # let (_folder, path) = bootseal_fixtures::path("value");
/// # std::fs::write(&path, "one")?;
/// let value = std::io::read_to_string(bootseal_core::open_source(&path)?)?;
/// assert_eq!(value, "one");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn open_source(path: &Path) -> std::io::Result<File> {
    open_within(path, PATIENCE)
}

#[cfg(unix)]
fn open_within(path: &Path, patience: Duration) -> std::io::Result<File> {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    use std::os::unix::fs::FileTypeExt;
    let file = open(path)?;
    if file.metadata()?.file_type().is_fifo() {
        wait_for_writer(&file, patience)?;
    }
    fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
    Ok(file)
}

#[cfg(not(unix))]
fn open_within(path: &Path, _: Duration) -> std::io::Result<File> {
    open(path)
}

#[cfg(unix)]
fn wait_for_writer(pipe: &File, patience: Duration) -> std::io::Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use std::io::Read;
    use std::time::Instant;
    const PAUSE: Duration = Duration::from_millis(10);
    let began = Instant::now();
    loop {
        let left = patience.saturating_sub(began.elapsed());
        let limit = Timespec::try_from(left).map_err(std::io::Error::other)?;
        let mut polled = [PollFd::new(pipe, PollFlags::IN)];
        match poll(&mut polled, Some(&limit)) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        let seen = polled[0].revents();
        // Linux reports the end of a pipe only if it had a writer; other systems report it from the
        // start.
        if seen.contains(PollFlags::IN) || cfg!(target_os = "linux") && !seen.is_empty() {
            return Ok(());
        }
        if seen.is_empty() || left.is_zero() {
            break;
        }
        std::thread::sleep(PAUSE.min(left));
    }
    // A pipe with a writer that has written nothing yet would block; one without a writer ends.
    match (&mut &*pipe).read(&mut [0]) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
        _ => Err(std::io::Error::new(
            std::io::ErrorKind::TimedOut,
            "is a pipe that no process has opened for writing within 10 seconds",
        )),
    }
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)] // tests
    use super::*;
    use std::io::{Read, Write};

    fn pipe() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .unwrap();
        (folder, path)
    }

    fn writer(path: &Path) -> File {
        // Both ends, so that the open does not wait.
        File::options().read(true).write(true).open(path).unwrap()
    }

    #[test]
    fn a_pipe_that_nobody_opens_is_an_error() {
        let (_folder, path) = pipe();
        let error = open_within(&path, Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        assert!(error.to_string().contains("no process has opened"), "{error}");
    }

    #[test]
    fn a_writer_that_has_not_written_yet_is_waited_for() {
        let (_folder, path) = pipe();
        let mut slow = writer(&path);
        let mut file = open_within(&path, Duration::ZERO).unwrap();
        // The read waits, because the file no longer returns at once.
        let reader = std::thread::spawn(move || {
            let mut text = [0; 5];
            file.read_exact(&mut text).map(|()| text)
        });
        slow.write_all(b"value").unwrap();
        assert_eq!(&reader.join().unwrap().unwrap(), b"value");
    }

    #[test]
    fn a_writer_that_opens_later_is_waited_for() {
        let (_folder, path) = pipe();
        let later = path.clone();
        let writer = std::thread::spawn(move || std::fs::write(later, "value"));
        let file = open_within(&path, PATIENCE).unwrap();
        assert_eq!(std::io::read_to_string(file).unwrap(), "value");
        writer.join().unwrap().unwrap();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_pipe_of_a_descriptor_is_read_whether_its_writer_has_ended_or_not() {
        use std::os::fd::AsRawFd;
        for text in ["", "value"] {
            let (read, mut write) = std::io::pipe().unwrap();
            write.write_all(text.as_bytes()).unwrap();
            drop(write);
            let path = format!("/dev/fd/{}", read.as_raw_fd());
            let file = open_within(path.as_ref(), Duration::ZERO).unwrap();
            assert_eq!(std::io::read_to_string(file).unwrap(), text);
        }
    }
}

/// The encoding of a text that is not UTF-8, if it is certain: by its byte order mark, or because
/// every other byte is zero. Windows PowerShell writes UTF-16 by default.
///
/// ```
/// use bootseal_core::other_encoding;
/// assert_eq!(other_encoding(b"\xff\xfea\0"), Some("UTF-16"));
/// assert_eq!(other_encoding(b"a\0b\0"), Some("UTF-16 without a byte order mark"));
/// assert_eq!(other_encoding("gr\u{fc}n".as_bytes()), None);
/// ```
pub fn other_encoding(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] => Some("UTF-32"),
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => Some("UTF-16"),
        [first, 0, third, 0, ..] | [0, first, 0, third, ..] if *first != 0 && *third != 0 => {
            Some("UTF-16 without a byte order mark")
        }
        _ => None,
    }
}

/// The byte order mark of UTF-8, which is not part of a text.
pub(crate) const UTF8_MARK: &[u8] = b"\xEF\xBB\xBF";
