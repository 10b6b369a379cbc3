//! Sets close-on-exec on a key's file descriptor, so that child processes do not inherit it.

use std::io;

/// Prevents every program that this process starts or executes from inheriting the descriptor
/// `number`, which stays open in this process.
///
/// With `3< FILE`, a shell opens a descriptor for the program that it starts, whose children
/// inherit it too. This function does not close the descriptor or take ownership of it.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] for 0, 1 and 2: every program expects them, and the next file
/// that the program opens would get their number. The system's error if the descriptor is not open.
///
/// ```
/// use std::os::fd::AsRawFd;
///
/// let (_reader, writer) = std::io::pipe()?;
/// bootseal_memory::keep_from_programs(writer.as_raw_fd().unsigned_abs())?;
/// assert!(bootseal_memory::keep_from_programs(0).is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
#[cfg(unix)]
pub fn keep_from_programs(number: u32) -> io::Result<()> {
    if number < 3 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let number = i32::try_from(number).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: F_GETFD takes no pointer and changes nothing; a number that is not open is an error.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: F_SETFD takes no pointer; the descriptor stays open and keeps its owner.
    match unsafe { libc::fcntl(number, libc::F_SETFD, flags | libc::FD_CLOEXEC) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Does nothing: on this system, no program inherits descriptors by number.
///
/// # Errors
/// Never fails on this system.
///
/// ```
/// assert!(cfg!(unix) || bootseal_memory::keep_from_programs(3).is_ok());
/// ```
#[cfg(not(unix))]
pub fn keep_from_programs(_: u32) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix, not(miri)))]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_descriptor_kept_from_programs_stays_open_in_this_process() {
        let (mut reader, writer) = io::pipe().unwrap();
        // dup clears the flag, so that the descriptor is like one from a shell. SAFETY: the
        // descriptor is open, and dup takes no pointer; the test owns the result and closes it
        // below.
        let plain = unsafe { libc::dup(writer.as_raw_fd()) };
        drop(writer);
        let seen = || {
            let list = std::process::Command::new("/bin/ls")
                .arg("-l")
                .arg("/proc/self/fd")
                .output()
                .unwrap();
            let number = plain.to_string();
            String::from_utf8_lossy(&list.stdout)
                .lines()
                .any(|line| line.contains(&format!(" {number} ->")))
        };
        assert!(!cfg!(target_os = "linux") || seen());
        keep_from_programs(plain.unsigned_abs()).unwrap();
        assert!(!cfg!(target_os = "linux") || !seen());
        // SAFETY: the test owns `plain`, which is open; it is closed here and not used again.
        unsafe {
            assert_eq!((libc::write(plain, b"x".as_ptr().cast(), 1), libc::close(plain)), (1, 0))
        };
        let mut read = String::new();
        io::Read::read_to_string(&mut reader, &mut read).unwrap();
        assert_eq!(read, "x");
        assert_eq!(
            keep_from_programs(plain.unsigned_abs()).unwrap_err().raw_os_error(),
            Some(libc::EBADF)
        );
        assert_eq!(keep_from_programs(2).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(keep_from_programs(u32::MAX).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
