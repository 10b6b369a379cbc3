//! The one way from a changed vault to a saved file: it is signed, written and added to the known
//! vaults, and a clock that is behind is reported.

use crate::context::Context;
use crate::trust::memory::remember;
use crate::ui::failure::Result;
use crate::ui::output::timestamp;
use bootseal_core::{CanWrite, Shown, Vault, VerifiedFile};
use std::path::Path;

/// Values that are set one after the other within seconds say nothing about the clock.
const SLACK: u64 = 60;

/// Signs the file at `path` with a generation above `above`, writes it with `write`, and adds it to
/// the known vaults.
pub(crate) fn save(
    vault: Vault<CanWrite>,
    above: u64,
    path: &Path,
    context: &mut Context<'_>,
    write: impl FnOnce(&str) -> Result<()>,
) -> Result<VerifiedFile> {
    let newest = vault.newest_date();
    let (text, file) = vault.sign_above(above)?;
    write(&text)?;
    remember(path, &file, context);
    if let Some(newest) = newest {
        report_clock(newest, path, context);
    }
    Ok(file)
}

/// Warns if the clock is behind the newest date in the file, once in each run.
fn report_clock(newest: u64, path: &Path, context: &mut Context<'_>) {
    if newest <= context.now().saturating_add(SLACK) || context.clock_reported {
        return;
    }
    context.clock_reported = true;
    context.ui.warn(format_args!(
        "the clock of this machine is behind, or another one was ahead: the newest date in {} is {}",
        Shown::path(path),
        timestamp(newest)
    ));
}
