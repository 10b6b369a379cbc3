//! Reloads without the feature `client`: no token source has to follow a newer file.

use crate::error::Result;
use crate::load::secrets::{Secrets, lock};
use crate::load::snapshot::Snapshot;
use std::sync::Arc;

pub(crate) struct Prepared;

impl Secrets {
    pub(crate) fn prepare(&self, _: &Snapshot) -> Result<Prepared> {
        Ok(Prepared)
    }

    pub(crate) fn install(&self, newer: Snapshot, _: Prepared) {
        *lock(&self.0.now) = Arc::new(newer);
    }
}
