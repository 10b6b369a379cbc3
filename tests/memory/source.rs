//! The token source of an application, opened as the README shows: a loader, the sealed file and
//! the key.

use bootseal::{Loader, TokenSource};
use std::error::Error;

/// The source, and the address of its calls.
pub(crate) fn open() -> Result<(TokenSource, String), Box<dyn Error>> {
    let [sealed, key, orders] = &std::env::args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("it is run as: PROGRAM SEALED-FILE KEY-FILE URL-OF-ORDERS".into());
    };
    let vault = Loader::exactly(sealed).identity_file(key).load()?;
    Ok((vault.token_source("acme")?, orders.clone()))
}

pub(crate) async fn renew(source: &TokenSource) -> bool {
    match source.token().await {
        Ok(token) => source.reject(&token) && source.token().await.is_ok(),
        Err(_) => false,
    }
}

/// A sentence about the memory that contains the secrets of this program.
pub(crate) fn memory() -> String {
    bootseal::report().map_or_else(|error| error.to_string(), |report| report.to_string())
}
