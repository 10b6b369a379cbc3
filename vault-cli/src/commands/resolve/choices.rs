//! The choice of a side for each property that both sides changed: from `--take`, or asked for.

use crate::cli::{Take, Which};
use crate::commands::resolve::sides::Sides;
use crate::context::Context;
use crate::ui::change_report;
use crate::ui::failure::{Failure, Result};
use crate::ui::output::timestamp;
use crate::ui::review_row::{Row, cut};
use bootseal_core::{
    Changes, Clash, Kind, MOST_NAMES, Property, PropertyPath, Taken, Typed, and_more, near_names,
    shell_word, some_names,
};
use std::collections::HashMap;

/// A side for each conflict.
pub(super) struct Choices(HashMap<PropertyPath, Taken>);

impl Choices {
    /// Decides every conflict.
    ///
    /// # Errors
    /// [`Kind::Usage`] if `--take` names a property that is no conflict, or one twice;
    /// [`Kind::NoTerminal`] if there are conflicts that nothing decides and no terminal to ask at.
    pub(super) fn make(
        clashes: &[Clash],
        takes: &[Take],
        sides: &Sides,
        context: &mut Context<'_>,
    ) -> Result<Choices> {
        let (mut choices, rest) = given(takes, clashes)?;
        let mut open: Vec<&Clash> = Vec::new();
        for clash in clashes {
            match (choices.contains_key(&clash.path), rest) {
                (true, _) => {}
                (false, Some(side)) => drop(choices.insert(clash.path.clone(), side)),
                (false, None) => open.push(clash),
            }
        }
        if open.is_empty() {
            return Ok(Choices(choices));
        }
        let text = listed(&open, sides);
        if !context.ui.can_ask() {
            let first = shell_word(format!("{}=ours", open[0].path));
            return Err(Failure::new(Kind::NoTerminal, text).with_help(format!(
                "Choose a side for each of them: --take {first}, or for all of them: --take ours, or --take theirs"
            )));
        }
        context.ui.note(text);
        for clash in open {
            choices.insert(clash.path.clone(), ask(clash, context)?);
        }
        Ok(Choices(choices))
    }

    pub(super) fn of(&self, clash: &Clash) -> Option<Taken> {
        self.0.get(&clash.path).copied()
    }
}

/// The choices of `--take`: by property, and the side for all others.
fn given(
    takes: &[Take],
    clashes: &[Clash],
) -> Result<(HashMap<PropertyPath, Taken>, Option<Taken>)> {
    let (mut named, mut rest) = (HashMap::new(), None);
    for take in takes {
        let side = match take.side {
            Which::Ours => Taken::Ours,
            Which::Theirs => Taken::Theirs,
        };
        let before = match &take.property {
            None => rest.replace(side),
            Some(text) => {
                let path: PropertyPath = text.parse()?;
                if !clashes.iter().any(|clash| clash.path == path) {
                    return Err(no_clash(&path, clashes));
                }
                named.insert(path, side)
            }
        };
        if before.is_some() {
            let what = take.property.as_deref().unwrap_or("all properties");
            let text = format!("--take is given twice for {}", Typed(what));
            return Err(Failure::new(Kind::Usage, text));
        }
    }
    Ok((named, rest))
}

fn no_clash(path: &PropertyPath, clashes: &[Clash]) -> Failure {
    let names: Vec<String> = clashes.iter().map(|clash| clash.path.to_string()).collect();
    let text = format!("--take names {path}, but it is not a property that both sides changed");
    let near = near_names(&path.to_string(), &names);
    let help = match near.first() {
        Some(near) => format!("Did you mean {near}?"),
        None => format!("Both sides changed: {}", cut(&some_names(names), 400)),
    };
    Failure::new(Kind::Usage, text).with_help(help)
}

/// Describes the conflicts, and who made the two sides.
fn listed(clashes: &[&Clash], sides: &Sides) -> String {
    let mut rows = Vec::new();
    let count = clashes.len();
    let what = if count == 1 { "1 property" } else { &format!("{count} properties") };
    rows.push(format!("both sides changed {what}:"));
    for clash in clashes.iter().take(MOST_NAMES) {
        rows.push(Row::fixed("  ").long(clash.path.to_string()).whole());
        for (name, side) in [("ours:   ", &clash.ours), ("theirs: ", &clash.theirs)] {
            rows.push(Row::fixed(format!("    {name}")).then(described(&clash.path, side)).whole());
        }
    }
    rows.extend(and_more(count.saturating_sub(MOST_NAMES)).map(|more| format!("  {more}")));
    for (name, change) in ["our side", "their side"].iter().zip(&sides.last_changes) {
        if let Some(change) = change {
            rows.push(format!("  {name} was last changed by {}", cut(change, 160)));
        }
    }
    rows.join("\n")
}

fn described(path: &PropertyPath, (property, at): &(Option<Property>, Option<u64>)) -> Row {
    match property {
        None => Row::fixed("removed"),
        Some(Property::Readable(value)) => change_report::cell(path, value, &Changes::default()),
        Some(Property::Sealed(_)) => {
            let at = at.map_or("at an unknown time".into(), timestamp);
            Row::fixed(format!("sealed, set {at}"))
        }
    }
}

fn ask(clash: &Clash, context: &mut Context<'_>) -> Result<Taken> {
    let question = Row::default().long(clash.path.to_string()).and(": take ours or theirs? [o/t] ");
    loop {
        match context.ui.ask_word(&question.whole()).as_deref() {
            Ok("o" | "ours") => return Ok(Taken::Ours),
            Ok("t" | "theirs") => return Ok(Taken::Theirs),
            Ok(_) => {}
            Err(_) => {
                let text = "no answer from the terminal; nothing was changed";
                return Err(Failure::new(Kind::NoTerminal, text));
            }
        }
    }
}
