//! The choice of a side for each property that both sides changed, and for each member whom both
//! sides renamed: from `--take`, or asked for.

use crate::cli::{Take, Which};
use crate::commands::resolve::sides::Sides;
use crate::context::Context;
use crate::ui::change_report;
use crate::ui::failure::{Failure, Result};
use crate::ui::output::timestamp;
use crate::ui::review_row::{Row, cut};
use bootseal_core::{
    Changes, Clash, Kind, MOST_NAMES, NameClash, Property, PropertyPath, Taken, Typed, and_more,
    near_names, shell_word, some_names,
};
use std::collections::HashMap;

/// A side for each conflict.
pub(super) struct Choices {
    properties: HashMap<PropertyPath, Taken>,
    pub(super) names: Vec<(NameClash, Taken)>,
}

/// The choices of `--take`: by property, by the former name of a member, and the side for all others.
#[derive(Default)]
struct Given {
    properties: HashMap<PropertyPath, Taken>,
    members: HashMap<String, Taken>,
    rest: Option<Taken>,
}

impl Choices {
    /// Decides every conflict.
    ///
    /// # Errors
    /// [`Kind::Usage`] if `--take` names something that is no conflict, or one twice;
    /// [`Kind::NoTerminal`] if there are conflicts that nothing decides and no terminal to ask at.
    pub(super) fn make(
        clashes: &[Clash],
        names: &[NameClash],
        takes: &[Take],
        sides: &Sides,
        context: &mut Context<'_>,
    ) -> Result<Choices> {
        let Given { mut properties, mut members, rest } = given(takes, clashes, names)?;
        if let Some(side) = rest {
            for clash in clashes {
                properties.entry(clash.path.clone()).or_insert(side);
            }
            for clash in names {
                members.entry(clash.name.clone()).or_insert(side);
            }
        }
        let open: Vec<&Clash> =
            clashes.iter().filter(|clash| !properties.contains_key(&clash.path)).collect();
        let renamed: Vec<&NameClash> =
            names.iter().filter(|clash| !members.contains_key(&clash.name)).collect();
        let first = open.first().map(|clash| clash.path.to_string());
        if let Some(first) = first.or_else(|| Some(renamed.first()?.name.clone())) {
            let text = listed(&open, &renamed, sides);
            if !context.ui.can_ask() {
                let first = shell_word(format!("{first}=ours"));
                return Err(Failure::new(Kind::NoTerminal, text).with_help(format!(
                    "Choose a side for each of them: --take {first}, or for all of them: --take ours, or --take theirs"
                )));
            }
            context.ui.note(text);
        }
        for clash in open {
            properties.insert(clash.path.clone(), ask(clash.path.to_string(), context)?);
        }
        for clash in renamed {
            let what = format!("the name of {}", clash.name);
            members.insert(clash.name.clone(), ask(what, context)?);
        }
        let names =
            names.iter().filter_map(|clash| Some((clash.clone(), *members.get(&clash.name)?)));
        Ok(Choices { properties, names: names.collect() })
    }

    pub(super) fn of(&self, clash: &Clash) -> Option<Taken> {
        self.properties.get(&clash.path).copied()
    }
}

/// Reads `--take`. A name that a property and a member have decides both.
fn given(takes: &[Take], clashes: &[Clash], names: &[NameClash]) -> Result<Given> {
    let mut given = Given::default();
    for take in takes {
        let side = match take.side {
            Which::Ours => Taken::Ours,
            Which::Theirs => Taken::Theirs,
        };
        let before = match &take.property {
            None => given.rest.replace(side),
            Some(text) => {
                let path = text.parse::<PropertyPath>();
                let is_property =
                    |path: &&PropertyPath| clashes.iter().any(|clash| clash.path == **path);
                let property = path.as_ref().ok().filter(is_property).cloned();
                let member = names.iter().find(|clash| clash.name == *text);
                if property.is_none() && member.is_none() {
                    return Err(no_clash(text, path.err(), clashes, names));
                }
                let member = member.and_then(|_| given.members.insert(text.clone(), side));
                property.and_then(|path| given.properties.insert(path, side)).or(member)
            }
        };
        if before.is_some() {
            let what = take.property.as_deref().unwrap_or("all properties");
            let text = format!("--take is given twice for {}", Typed(what));
            return Err(Failure::new(Kind::Usage, text));
        }
    }
    Ok(given)
}

/// The error of a name that `--take` gives and that is no conflict.
fn no_clash(
    typed: &str,
    not_a_name: Option<bootseal_core::Error>,
    clashes: &[Clash],
    renamed: &[NameClash],
) -> Failure {
    if let (Some(error), []) = (not_a_name, renamed) {
        return error.into();
    }
    let names: Vec<String> = clashes.iter().map(|clash| clash.path.to_string()).collect();
    let names: Vec<String> =
        names.into_iter().chain(renamed.iter().map(|clash| clash.name.clone())).collect();
    let member = if renamed.is_empty() { "" } else { ", or a member whom both sides renamed" };
    let text = format!(
        "--take names {}, but it is not a property that both sides changed{member}",
        Typed(typed)
    );
    let near = near_names(typed, &names);
    let help = match near.first() {
        Some(near) => format!("Did you mean {near}?"),
        None => format!("Both sides changed: {}", cut(&some_names(names), 400)),
    };
    Failure::new(Kind::Usage, text).with_help(help)
}

/// Describes the conflicts, and who made the two sides.
fn listed(clashes: &[&Clash], renamed: &[&NameClash], sides: &Sides) -> String {
    let mut rows = Vec::new();
    let count = clashes.len();
    let what = if count == 1 { "1 property" } else { &format!("{count} properties") };
    if count > 0 {
        rows.push(format!("both sides changed {what}:"));
    }
    for clash in clashes.iter().take(MOST_NAMES) {
        rows.push(Row::fixed("  ").long(clash.path.to_string()).whole());
        for (name, side) in [("ours:   ", &clash.ours), ("theirs: ", &clash.theirs)] {
            rows.push(Row::fixed(format!("    {name}")).then(described(&clash.path, side)).whole());
        }
    }
    rows.extend(and_more(count.saturating_sub(MOST_NAMES)).map(|more| format!("  {more}")));
    for clash in renamed.iter().take(MOST_NAMES) {
        let NameClash { name, ours, theirs, .. } = clash;
        rows.push(format!(
            "our side renamed the member {name} to {ours}, and their side to {theirs}"
        ));
    }
    rows.extend(and_more(renamed.len().saturating_sub(MOST_NAMES)));
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

fn ask(what: String, context: &mut Context<'_>) -> Result<Taken> {
    let question = Row::default().long(what).and(": take ours or theirs? [o/t] ");
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
