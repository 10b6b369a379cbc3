//! `bootseal sweep`, a hidden command: removes values from a memory file system when the process
//! that used them has ended.

use crate::ui::failure::Exit;

pub(crate) fn run() -> Result<(), Exit> {
    #[cfg(target_os = "linux")]
    if crate::commands::exec::memory_folder::sweep().is_ok() {
        return Ok(());
    }
    Err(crate::ui::failure::Failure::new(
        bootseal_core::Kind::Usage,
        "this command is started by `edit` and `exec` only",
    )
    .into())
}
