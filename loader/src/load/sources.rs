//! The token sources created so far, at most one for each login profile.

use crate::token::source::TokenSource;
use bootseal_core::PropertyPath;
use std::collections::HashMap;
use std::sync::Mutex;

/// The token sources by their profile's table.
#[derive(Default)]
pub(crate) struct Sources(pub(crate) Mutex<HashMap<PropertyPath, TokenSource>>);
