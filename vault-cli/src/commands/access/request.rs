//! `bootseal access request`: prints the command with which a writer gives the user access.

use crate::cli::AccessRequest;
use crate::commands::access::own_name::own_name;
use crate::commands::init::own_recipient;
use crate::context::Context;
use crate::ui::failure::{Exit, Failure, Result};
use bootseal_core::{Access, Kind, Role, shell_path, shell_word};
use serde_json::json;

pub(crate) fn run(options: &AccessRequest, context: &mut Context<'_>) -> Result<(), Exit> {
    let role = if options.writer { Role::Writer } else { Role::Reader };
    let name = match &options.name {
        Some(name) => name.clone(),
        None => own_name(context)?,
    };
    // An invalid name is refused before an identity is created.
    Access::check_name(&name)?;
    let recipient = own_recipient(context)?.ok_or_else(|| {
        let text = "only the plugin knows the recipient of a plugin identity";
        Failure::new(Kind::NoIdentity, text).with_help(format!(
            "The plugin printed it when it created the identity. Send a writer: bootseal access add {name} RECIPIENT"
        ))
    })?;
    let mut command = format!("bootseal access add {name} {}", shell_word(&recipient));
    if options.writer {
        command.push_str(" --writer");
    }
    for file in &context.options.file {
        command.push_str(&format!(" -f {}", shell_path(file)));
    }
    context.ui.note(format_args!(
        "send this line to a writer of the file, who runs it; it is not secret, but must not be replaced on the way"
    ));
    let document = json!({
        "name": name, "role": role.to_string(), "recipient": recipient.to_string(), "command": command,
    });
    context.ui.answer(&document, &command)?;
    Ok(())
}
