//! The minimum level of protection that an application accepts.

use crate::pages::{Level, MemoryError, Report, report};
use std::fmt;

/// Guarded memory is weaker than the application requires, or not available.
///
/// ```
/// use bootseal_memory::{Level, LevelError, require};
///
/// match require(Level::MemfdSecret) {
///     Ok(report) => println!("{report}"),
///     Err(LevelError::TooLow { report, .. }) => eprintln!("only {}: {:?}", report.level, report.reason),
///     Err(error) => eprintln!("{error}"),
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum LevelError {
    /// The level reached is too low; the report gives the reason.
    TooLow {
        /// The minimum level that the application accepts.
        least: Level,
        /// The level that this process has, with the reason.
        report: Report,
    },
    /// No guarded memory at all.
    Memory(MemoryError),
}

impl fmt::Display for LevelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LevelError::TooLow { least, report } => write!(
                f,
                "{least} is required, but {report}. memfd_secret needs Linux 5.14 or later that has it enabled \
                 (secretmem.enable=), and a seccomp filter that allows it"
            ),
            LevelError::Memory(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LevelError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LevelError::TooLow { .. } => None,
            LevelError::Memory(error) => Some(error),
        }
    }
}

/// Fails if secrets would be guarded at a lower level than `least`.
///
/// # Errors
/// [`LevelError::TooLow`] with the reason why `least` was not reached, [`LevelError::Memory`] if
/// there is no guarded memory.
///
/// ```
/// use bootseal_memory::{Level, require};
/// let report = require(Level::Locked)?;
/// assert!(report.level >= Level::Locked);
/// # Ok::<(), bootseal_memory::LevelError>(())
/// ```
pub fn require(least: Level) -> Result<Report, LevelError> {
    let report = report().map_err(LevelError::Memory)?;
    if report.level < least { Err(LevelError::TooLow { least, report }) } else { Ok(report) }
}

#[cfg(all(test, target_os = "linux", not(miri)))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::tests::degraded::{again, is, refuse_memfd_secret};

    #[test]
    fn a_level_that_was_not_reached_is_refused_with_the_reason() {
        if !is("level") {
            again("level::tests::a_level_that_was_not_reached_is_refused_with_the_reason", "level");
            return;
        }
        refuse_memfd_secret();
        assert_eq!(require(Level::Locked).unwrap().level, Level::Locked);
        assert_eq!(
            require(Level::MemfdSecret).unwrap_err().to_string(),
            "memfd_secret is required, but secrets are stored in locked pages (memfd_secret: Operation not permitted (os error 1)). \
             memfd_secret needs Linux 5.14 or later that has it enabled (secretmem.enable=), and a seccomp filter that allows it"
        );
    }
}
