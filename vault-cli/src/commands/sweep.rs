//! `bootseal sweep`, hidden: what removes values that lie in memory when the process that they are for has ended.

use crate::ui::failure::Exit;

pub(crate) fn run() -> Result<(), Exit> {
    #[cfg(target_os = "linux")]
    if crate::commands::exec::memory_folder::sweep().is_ok() {
        return Ok(());
    }
    Err(crate::ui::failure::Failure::new(
        bootseal_core::Kind::Usage,
        "this is started by `edit` and `exec`, and by nobody else",
    )
    .into())
}
