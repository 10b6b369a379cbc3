//! The available pins: the vault that a file must be, and its lowest acceptable generation.

use crate::context::Context;
use crate::trust::keyring::Keys;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, Pin};

/// Returns the pins from `--pin`, else from `BOOTSEAL_PIN`, else from the identity files; the first
/// source that has pins is used.
pub(crate) fn at_hand(keys: &Keys, context: &Context<'_>) -> Result<Vec<Pin>> {
    let parse = |text: &str| text.parse::<Pin>().map_err(Failure::from);
    if !context.options.pin.is_empty() {
        return context.options.pin.iter().map(|text| parse(text)).collect();
    }
    if let Some(text) = context.var("BOOTSEAL_PIN") {
        let text =
            text.to_str().ok_or_else(|| Failure::new(Kind::Usage, "BOOTSEAL_PIN is not text"))?;
        let pins = text.split_whitespace().map(parse).collect::<Result<Vec<_>>>();
        let pins = pins.map_err(|failure| failure.within("BOOTSEAL_PIN"))?;
        // An empty variable must not switch off the pin in the key file.
        return match pins.is_empty() {
            true => Err(Failure::new(Kind::Usage, "BOOTSEAL_PIN is set, but contains no pin")),
            false => Ok(pins),
        };
    }
    Ok(keys.pins.clone())
}

/// Fails if a pin is set although a new vault is to be created: a pin requires an existing one.
pub(crate) fn refuse(context: &Context<'_>) -> Result<()> {
    let source = match (context.options.pin.is_empty(), context.var("BOOTSEAL_PIN")) {
        (false, _) => "--pin",
        (true, Some(_)) => "BOOTSEAL_PIN",
        (true, None) => return Ok(()),
    };
    Err(Failure::new(
        Kind::Usage,
        format!(
            "{source} requires an existing vault, but this would create a new one; nothing was changed"
        ),
    ))
}
