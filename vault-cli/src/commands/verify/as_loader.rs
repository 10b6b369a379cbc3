//! `bootseal verify --as-loader`: runs the loader's own search, and reports what an application
//! would find at startup.

use crate::context::Context;
use crate::trust::locate;
use crate::ui::failure::{Exit, Failure, Result};
use bootseal::Loader;
use bootseal_core::{Kind, Shown};
use serde_json::json;
use std::path::PathBuf;

/// The only variables that the loader reads.
const VARIABLES: &[&str] = &[
    "BOOTSEAL_FILE",
    "BOOTSEAL_IDENTITY",
    "BOOTSEAL_PIN",
    "BOOTSEAL_STATE",
    "BOOTSEAL_PLUGIN",
    "STATE_DIRECTORY",
    "CREDENTIALS_DIRECTORY",
    "XDG_CONFIG_HOME",
    "HOME",
    "APPDATA",
];

pub(crate) fn run(files: &[PathBuf], context: &mut Context<'_>) -> Result<(), Exit> {
    // The user named a file, so it is not replaced by the one in BOOTSEAL_FILE.
    let named = !files.is_empty() || !context.options.file.is_empty();
    let path = match files {
        [] => locate::sealed_file(context)?,
        [path] => path.clone(),
        _ => {
            return Err(Failure::new(
                Kind::Usage,
                "--as-loader takes one file, as an application does",
            )
            .into());
        }
    };
    let variables = VARIABLES
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), context.var(name)?)))
        .collect();
    let loader = if named { Loader::exactly(&path) } else { Loader::new(&path) };
    let mut loader = loader.environment(variables);
    if let [identity] = context.options.identity.as_slice() {
        loader = loader.identity_file(identity);
    } else if !context.options.identity.is_empty() {
        return Err(Failure::new(
            Kind::Usage,
            "--as-loader takes one identity, as the loader does",
        )
        .into());
    }
    for pin in &context.options.pin {
        loader = loader.pin(pin)?;
    }
    let check = loader.check().map_err(|error| Failure::from(error).in_file(&path))?;
    let broken = check.profiles.iter().filter(|(_, error)| error.is_some()).count();
    if context.ui.style.json {
        let sources: serde_json::Map<_, _> =
            check.sources.iter().map(|(what, from)| ((*what).to_owned(), json!(from))).collect();
        let profiles = check
            .profiles
            .iter()
            .map(|(name, error)| json!({ "name": name, "error": error.as_ref().map(|error| error.to_string()) }));
        context.ui.document(&json!({
            "file": check.path.to_string_lossy(), "vault": check.vault.to_string(), "generation": check.generation,
            "signed": true, "sealed": check.values, "sources": sources, "profiles": profiles.collect::<Vec<_>>(),
        }))?;
    } else {
        context.ui.line(format_args!(
            "{}: {}, generation {}, {} values open",
            Shown::path(&check.path),
            check.vault,
            check.generation,
            check.values
        ))?;
        for (what, from) in &check.sources {
            context.ui.line(format_args!("  {what:7} {}", Shown(from)))?;
        }
        for (name, error) in &check.profiles {
            match error {
                None => context.ui.line(format_args!("  profile {name}: valid"))?,
                Some(error) => context.ui.line(format_args!("  profile {name}: {error}"))?,
            }
        }
    }
    // The application would not start with an invalid profile.
    if broken == 0 { Ok(()) } else { Err(Exit::Reported(Kind::Malformed.exit_code())) }
}
