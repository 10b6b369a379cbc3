//! `bootseal route`: writes a route of the gateway.

use crate::cli::Route;
use crate::commands::value::generate;
use crate::context::Context;
use crate::trust::target::Target;
use crate::ui::failure::{Exit, Failure, Result};
use bootseal_core::{
    BasicString, Error, Gateway, Kind, Property, PropertyPath, Shown, ValueKind, shell_path,
    shell_word,
};
use serde_json::json;

/// The name of the value that callers of a route present.
const CALLER_KEY: &str = "caller_key";
/// The length of a generated caller key in characters.
const KEY_LENGTH: usize = 32;

pub(crate) fn run(options: &Route, context: &mut Context<'_>) -> Result<(), Exit> {
    let table: PropertyPath = options.name.parse()?;
    let (route, key) = (table.child("route")?, table.child(CALLER_KEY)?);
    let (target, file) = Target::find(context)?;
    if !options.force && file.properties().any(|(path, _)| path.starts_with(route.segments())) {
        let error = Error::new(Kind::Exists, "there is already such a route").at(&route);
        return Err(error.in_file(target.path()).with_help("To replace it: --force").into());
    }
    if !file.profiles().contains(&table) {
        let what = format!("there is no profile [{table}.login], whose token the route would add");
        let help = format!("Create it first: bootseal profile {}", shell_word(&table));
        return Err(Error::new(Kind::NotFound, what).in_file(target.path()).with_help(help).into());
    }
    let file = target.check_writer(file)?;
    let key_is_new = options.bearer && file.property(&key).is_none();
    if options.bearer && matches!(file.property(&key), Some(Property::Readable(_))) {
        let what = "is readable; a key of callers must be sealed";
        let help = format!("Seal a new one: bootseal set {} --generate", shell_word(&key));
        return Err(Error::new(Kind::Conflict, what)
            .at(&key)
            .in_file(target.path())
            .with_help(help)
            .into());
    }
    drop(file);
    let now = context.now();
    let text = text(options, &route);
    let route = target.change(context, |vault| {
        if key_is_new {
            vault.set(&key, ValueKind::Text, &generate(KEY_LENGTH)?, now)?;
        }
        vault.replace_table(&route, &text)?;
        // Every rule of the gateway is checked before anything is written.
        let gateway = Gateway::read(vault.file()).map_err(|error| error.in_file(target.path()))?;
        gateway
            .routes
            .into_iter()
            .find(|route| route.table == table)
            .ok_or_else(|| Failure::new(Kind::Malformed, format!("{route} would not be a route")))
    })?;
    if context.ui.style.json {
        let sealed: Vec<&str> = if key_is_new { vec![CALLER_KEY] } else { Vec::new() };
        return Ok(context.ui.document(&json!({
            "route": table.to_string(), "listen": route.listen.to_string(), "prefix": route.prefix,
            "upstream": route.upstream.as_str(), "sealed": sealed,
        }))?);
    }
    context.ui.note(format_args!(
        "{}: [{table}.route] forwards calls from {}{} to {}",
        Shown::path(target.path()),
        route.listen,
        route.prefix,
        route.upstream
    ));
    if key_is_new {
        context.ui.note(format_args!(
            "{key} was generated and sealed; callers send it as Authorization: Bearer. To print it: bootseal get {}",
            shell_word(&key)
        ));
    }
    let file = shell_path(target.path());
    context.ui.note(format_args!(
        "to check the routes: bootseal-gateway --check -f {file}; to serve them: bootseal-gateway -f {file}"
    ));
    Ok(())
}

/// The text of the route's table.
fn text(options: &Route, route: &PropertyPath) -> String {
    let mut text = format!("[{route}]\nlisten = {}\n", BasicString(&options.listen));
    if let Some(prefix) = &options.prefix {
        text.push_str(&format!("prefix = {}\n", BasicString(prefix)));
    }
    text.push_str(&format!("upstream = {}\n", BasicString(&options.upstream)));
    if options.bearer {
        text.push_str(&format!("callers = {{ bearer = \"${{{CALLER_KEY}}}\" }}\n"));
    }
    text
}
