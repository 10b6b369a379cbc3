//! The pins at hand: the vault that a file must be, and its lowest acceptable generation.

use crate::context::Context;
use crate::trust::keyring::Keys;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, Pin};

/// `--pin`, else `BOOTSEAL_PIN`, else the lines of the identity files: the first source that has any decides.
pub(crate) fn at_hand(keys: &Keys, context: &Context<'_>) -> Result<Vec<Pin>> {
    let parse = |text: &str| text.parse::<Pin>().map_err(Failure::from);
    if !context.options.pin.is_empty() {
        return context.options.pin.iter().map(|text| parse(text)).collect();
    }
    if let Some(text) = context.var("BOOTSEAL_PIN") {
        let text = text.to_str().ok_or_else(|| Failure::new(Kind::Usage, "BOOTSEAL_PIN is not text"))?;
        let pins = text.split_whitespace().map(parse).collect::<Result<Vec<_>>>();
        let pins = pins.map_err(|failure| failure.within("BOOTSEAL_PIN"))?;
        // Set and empty must not open the door that the key file's pin keeps shut.
        return match pins.is_empty() {
            true => Err(Failure::new(Kind::Usage, "BOOTSEAL_PIN is set, and holds no pin")),
            false => Ok(pins),
        };
    }
    Ok(keys.pins.clone())
}

/// No pin may be set where a new vault is made: it insists on one that is there.
pub(crate) fn refuse(context: &Context<'_>) -> Result<()> {
    let source = match (context.options.pin.is_empty(), context.var("BOOTSEAL_PIN")) {
        (false, _) => "--pin",
        (true, Some(_)) => "BOOTSEAL_PIN",
        (true, None) => return Ok(()),
    };
    Err(Failure::new(
        Kind::Usage,
        format!("{source} insists on a vault that is there, and this would make a new one; nothing was changed"),
    ))
}
