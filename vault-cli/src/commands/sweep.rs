//! `bootseal sweep`, hidden: what removes values that lie in memory when the process that they are for has ended.

use crate::exit::Done;

pub(crate) fn run() -> Result<(), Done> {
    #[cfg(target_os = "linux")]
    if crate::memory_folder::sweep().is_ok() {
        return Ok(());
    }
    Err(crate::exit::Failure::new(
        bootseal_core::Kind::Usage,
        "this is started by `edit` and `exec`, and by nobody else",
    )
    .into())
}
