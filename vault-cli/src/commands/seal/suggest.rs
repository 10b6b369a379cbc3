//! The suggestion of what to seal: values that look like secrets by name or by shape, and the
//! question at the terminal.

use crate::commands::seal::list::edited;
use crate::commands::seal::wanted::{Rest, Suggested};
use crate::context::Context;
use crate::formats::Input;
use crate::trust::rules::{Name, is_secret_name, is_secret_shape};
use crate::trust::special_tables::SpecialTables;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, MOST_NAMES, PropertyPath, ValueKind, and_more};
use std::path::Path;

/// Whether a property looks like a secret; of an array, the first name inside it that does.
pub(super) fn suggestion(
    input: &Input,
    (at, path): (usize, &PropertyPath),
    name: &Name,
) -> Result<Option<Option<String>>> {
    if !input.is_array(at, path) {
        let property = input.value(at, path, false)?;
        let (is_name, kind) = (is_secret_name(name.plain()), property.kind);
        let looks = property.value.expose_str(|text| looks_secret(is_name, text, kind));
        return Ok(looks.unwrap_or(true).then_some(None));
    }
    if is_secret_name(name.plain()) {
        return Ok(Some(None));
    }
    let mut found = None;
    input.visit_array(at, path, &mut |element| {
        if found.is_none() {
            let inner = name.element(&element);
            let is_name = is_secret_name(inner.plain());
            let looks = match element.text {
                Some(text) => looks_secret(is_name, text, ValueKind::Text),
                None => is_name,
            };
            found = looks.then(|| Some(inner.shown().to_owned()));
        }
    });
    Ok(found)
}

fn looks_secret(is_name: bool, text: &str, kind: ValueKind) -> bool {
    let is_reference = (text.starts_with("${") || text.starts_with("{{")) && text.ends_with('}');
    match kind {
        _ if text.is_empty() || is_reference => false,
        ValueKind::Toml => is_name && !matches!(text, "true" | "false"),
        _ => is_name || is_secret_shape(text),
    }
}

/// Lists what looks like a secret, and asks what to seal.
///
/// # Errors
/// [`Kind::Usage`] if the answer is none of those that were offered; [`Kind::NoTerminal`] if there is
/// no answer.
pub(super) fn ask(
    path: &Path,
    input: &Input,
    special: &SpecialTables,
    context: &mut Context<'_>,
) -> Result<Rest> {
    let (mut names, mut suggested, mut rows) = (Vec::new(), Suggested::new(), Vec::new());
    for (at, (property, _)) in input.names().enumerate() {
        if special.keep_readable(&property) {
            continue;
        }
        if let Some(inside) = suggestion(input, (at, &property), &Name::of(&property))? {
            rows.push(match &inside {
                Some(inside) => format!("  {property} (because of {inside})"),
                None => format!("  {property}"),
            });
            suggested.insert(property.clone().into_owned(), inside);
        }
        names.push(property.into_owned());
    }
    if names.is_empty() {
        return Ok(Rest::Usual);
    }
    let count = rows.len();
    let mut text = match count {
        0 => "no value looks like a secret, by its name or by its shape".to_owned(),
        1 => "1 value looks like a secret, by its name or by its shape:".to_owned(),
        _ => format!("{count} values look like secrets, by their names or by their shapes:"),
    };
    for row in rows.iter().take(MOST_NAMES) {
        text.push_str(&format!("\n{row}"));
    }
    if let Some(more) = and_more(count.saturating_sub(MOST_NAMES)) {
        text.push_str(&format!("\n  {more}: `edit` shows all"));
    }
    let all = names.len();
    let question = match count {
        0 => format!("Seal all {all}, or edit the choice? [all/edit] "),
        _ => format!(
            "Seal all {all}, the {count} suggested, or edit the choice? [all/suggested/edit] "
        ),
    };
    match context.ui.ask_word(&format!("{text}\n{question}"))?.as_str() {
        "all" | "a" => Ok(Rest::All),
        "suggested" | "s" if count > 0 => Ok(Rest::These(suggested)),
        "edit" | "e" => edited(path, &names, &suggested, context).map(Rest::These),
        _ => {
            let text = "nothing was sealed: the answer is none of these";
            Err(Failure::new(Kind::Usage, text)
                .with_help("Without a question: --all, --suggested, or --only GLOB"))
        }
    }
}
