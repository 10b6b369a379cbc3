//! `bootseal verify --as-loader`: what would a start of the application find? The loader's own search, said line by line.

use crate::cli::Everywhere;
use crate::context::World;
use crate::ui::failure::{Exit, Failure, Result};
use crate::ui::output::Style;
use bootseal::Loader;
use bootseal_core::{Kind, Shown};
use serde_json::json;
use std::path::PathBuf;

/// All that the loader looks at, and nothing else.
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

pub(crate) fn run(files: &[PathBuf], everywhere: &Everywhere, style: Style, world: &mut World<'_>) -> Result<(), Exit> {
    let path = match files {
        [] => world.sealed_file(everywhere)?,
        [path] => path.clone(),
        _ => return Err(Failure::new(Kind::Usage, "--as-loader looks at one file: an application opens one").into()),
    };
    let variables = VARIABLES.iter().filter_map(|name| Some(((*name).to_owned(), world.var(name)?))).collect();
    let mut loader = Loader::new(&path).environment(variables);
    if let [identity] = everywhere.identity.as_slice() {
        loader = loader.identity_file(identity);
    } else if !everywhere.identity.is_empty() {
        return Err(Failure::new(Kind::Usage, "--as-loader takes one identity: code gives the loader one").into());
    }
    for pin in &everywhere.pin {
        loader = loader.pin(pin)?;
    }
    let check = loader.check().map_err(|error| Failure::from(error).in_file(&path))?;
    let broken = check.profiles.iter().filter(|(_, error)| error.is_some()).count();
    if style.json {
        let sources: serde_json::Map<_, _> =
            check.sources.iter().map(|(what, from)| ((*what).to_owned(), json!(from))).collect();
        let profiles = check
            .profiles
            .iter()
            .map(|(name, error)| json!({ "name": name, "error": error.as_ref().map(|error| error.to_string()) }));
        world.document(&json!({
            "file": check.path.to_string_lossy(), "vault": check.vault.to_string(), "generation": check.generation,
            "signed": true, "sealed": check.values, "sources": sources, "profiles": profiles.collect::<Vec<_>>(),
        }))?;
    } else {
        world.line(format_args!(
            "{}: {}, generation {}, {} values open",
            Shown(&check.path.to_string_lossy()),
            check.vault,
            check.generation,
            check.values
        ))?;
        for (what, from) in &check.sources {
            world.line(format_args!("  {what:7} {}", Shown(from)))?;
        }
        for (name, error) in &check.profiles {
            match error {
                None => world.line(format_args!("  profile {name}: can work"))?,
                Some(error) => world.line(format_args!("  profile {name}: {error}"))?,
            }
        }
    }
    // The application would not start with a profile that cannot work.
    if broken == 0 { Ok(()) } else { Err(Exit::Reported(Kind::Malformed.exit_code())) }
}
