//! The token sources that were asked for: one for each login profile. None without the feature
//! `client`.

#[cfg(feature = "client")]
use crate::token::source::TokenSource;
#[cfg(feature = "client")]
use bootseal_core::PropertyPath;
#[cfg(feature = "client")]
use std::{collections::HashMap, sync::Mutex};

/// The token sources by their profile's table.
#[cfg(feature = "client")]
#[derive(Default)]
pub(crate) struct Sources(pub(crate) Mutex<HashMap<PropertyPath, TokenSource>>);

#[cfg(not(feature = "client"))]
#[derive(Default)]
pub(crate) struct Sources;
