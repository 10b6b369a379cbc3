//! `bootseal access list`: who may.

use crate::cli::Everywhere;
use crate::exit::{Done, Result};
use crate::output::Style;
use crate::world::World;
use bootseal_core::Access;
use serde_json::{Value, json};

pub(crate) fn run(everywhere: &Everywhere, style: Style, world: &mut World<'_>) -> Result<(), Done> {
    let file = world.find(everywhere, style)?.file;
    world.answer(style, &document(file.access()), table(file.access()))?;
    Ok(())
}

pub(crate) fn document(access: &[Access]) -> Value {
    let rows = access.iter().map(|access| {
        json!({ "name": access.name, "role": access.role.to_string(), "recipient": access.recipient.to_string(), "passphrase": access.passphrase.is_some() })
    });
    json!({ "access": rows.collect::<Vec<_>>() })
}

pub(crate) fn table(access: &[Access]) -> String {
    let width = access.iter().map(|access| access.name.len()).max().unwrap_or_default();
    let rows = access.iter().map(|access| {
        let passphrase = if access.passphrase.is_some() { "  by passphrase" } else { "" };
        format!("{:width$}  {}  {}{passphrase}", access.name, access.role, access.recipient)
    });
    rows.collect::<Vec<_>>().join("\n")
}
