//! `bootseal man`: prints manual pages, from the same definitions as `--help`.

use crate::cli::reference::{ENVIRONMENT, EXEC_EXIT_CODES, EXIT_CODES, Entry, FILES};
use crate::cli::{Cli, Man};
use crate::context::Context;
use crate::ui::failure::{Exit, Failure, Result};
use bootseal_core::{Error, FileLock, Kind, Shown, shell_path};
use clap::{Command, CommandFactory};
use serde_json::json;

pub(crate) fn run(options: &Man, context: &mut Context<'_>) -> Result<(), Exit> {
    let mut command = Cli::command();
    command.build();
    let Some(folder) = &options.out else {
        let page = page(&command)?;
        return Ok(context.ui.answer(&json!({ "page": page }), page.trim_end())?);
    };
    let failed = |error: std::io::Error| {
        Failure::from(Error::new(Kind::Io, error.to_string()).in_file(folder))
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut names = Vec::new();
    for command in with_verbs(&command) {
        let name = clap_mangen::Man::new(command.clone()).get_filename();
        FileLock::acquire_unlinked(&folder.join(&name))?.put(&page(command)?)?;
        names.push(name);
    }
    if context.ui.style.json {
        return Ok(context
            .ui
            .document(&json!({ "folder": folder.to_string_lossy(), "pages": names }))?);
    }
    let shown = Shown::path(folder).to_string();
    context.ui.note(format_args!(
        "{} pages in {shown}; to read one: man -l {}",
        names.len(),
        shell_path(&folder.join("bootseal.1"))
    ));
    Ok(())
}

/// Returns the command and each verb below it, without hidden verbs.
fn with_verbs(command: &Command) -> Vec<&Command> {
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
    std::iter::once(command).chain(verbs.flat_map(with_verbs)).collect()
}

fn page(command: &Command) -> Result<String> {
    let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let man = clap_mangen::Man::new(command.clone().after_help(""));
    let mut page = Vec::new();
    // No date, so that builds are reproducible.
    let name = man.get_filename().trim_end_matches(".1").to_uppercase();
    let title = format!(".TH {name} 1 \"\" \"bootseal {}\" Bootseal\n", env!("CARGO_PKG_VERSION"));
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.get_subcommands().any(|verb| !verb.is_hide_set()) {
        man.render_subcommands_section(&mut page)?;
    }
    let mut page = title + &String::from_utf8_lossy(&page);
    if !examples.is_empty() {
        // Written line by line, because clap_mangen would join the lines.
        page.push_str(".SH EXAMPLES\n.nf\n");
        let examples = examples.split("\n\nExit codes").next().unwrap_or_default();
        for line in examples.lines().filter(|line| !matches!(*line, "Examples:" | "Example:" | ""))
        {
            page.push_str(&format!("\\&{}\n", escaped(line)));
        }
        page.push_str(".fi\n");
    }
    let codes = if name == "BOOTSEAL-EXEC" { EXEC_EXIT_CODES } else { EXIT_CODES };
    page.push_str(&section("EXIT STATUS", codes));
    page.push_str(&section("ENVIRONMENT", ENVIRONMENT));
    page.push_str(&section("FILES", FILES));
    page.push_str(&see_also(command));
    Ok(page)
}

fn section(title: &str, entries: &[Entry]) -> String {
    let mut text = format!(".SH \"{title}\"\n");
    for (term, what) in entries {
        text.push_str(&format!(".TP\n\\fB{}\\fR\n{}\n", escaped(term), escaped(what)));
    }
    text
}

/// The pages of the verbs below this one, or of the commands above it, and of other programs.
fn see_also(command: &Command) -> String {
    let own = command.get_display_name().unwrap_or("bootseal");
    let below: Vec<String> = command
        .get_subcommands()
        .filter(|verb| !verb.is_hide_set())
        .filter_map(|verb| verb.get_display_name().map(str::to_owned))
        .collect();
    let above = own.match_indices('-').map(|(at, _)| own[..at].to_owned());
    let others: &[&str] = if own == "bootseal" { &["bootseal-gateway", "age", "git"] } else { &[] };
    let names: Vec<String> = below
        .into_iter()
        .chain(above)
        .chain(others.iter().map(|name| (*name).to_owned()))
        .collect();
    let pages = names.iter().map(|name| format!(".BR {} (1)", escaped(name)));
    format!(".SH \"SEE ALSO\"\n{}\n", pages.collect::<Vec<_>>().join(",\n"))
}

/// Escapes a line of text for roff.
fn escaped(line: &str) -> String {
    line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq")
}
