//! `bootseal accept`: seals a proposed value; the sender of a proposal is not verified.

use crate::cli::Accept;
use crate::context::Context;
use crate::trust::special_tables::SpecialTables;
use crate::trust::target::Target;
use crate::trust::variable;
use crate::ui::failure::{Exit, Failure, Result, unreadable};
use crate::ui::output::timestamp;
use crate::ui::prompt::Consent;
use crate::ui::review::Review;
use crate::ui::review_row::{Row, cut};
use bootseal_core::{
    CanWrite, Error, Kind, PropertyPath, Proposal, Shown, ValueKind, Vault, VerifiedFile,
    open_source, shell_path, some_names,
};
use serde_json::json;
use std::io::Read;
use std::path::Path;

pub(crate) fn run(options: &Accept, context: &mut Context<'_>) -> Result<(), Exit> {
    let (target, file) = Target::find(context)?;
    let sent = read(&options.proposal, context)?;
    let vault = file.open_for_writing(&target.keys().identities)?;
    let from = |error: Error| match options.proposal == Path::new("-") {
        true => error,
        false => error.in_file(&options.proposal),
    };
    let proposal = Proposal::open(&sent, &target.keys().identities).map_err(from)?;
    let now = context.now();
    let before = vault.consider(&proposal, now).map_err(|error| error.in_file(target.path()))?;
    let lookalike = vault.file().lookalike_of(proposal.path());
    if before.is_none() {
        refuse_new(&proposal, options)?;
        refuse_same_variable(proposal.path(), vault.file())?;
    }
    drop(vault);
    let consent = Consent {
        shown: described(&proposal, before, target.path(), lookalike.as_deref()),
        question: "Seal its value and sign?",
        what: "accepting a proposal",
        declined: "not accepted",
        always: true,
    };
    context.ui.agree(consent)?;

    let (known_to, types) = target.change(context, |vault| {
        if vault.consider(&proposal, now)? != before {
            let text =
                format!("{} was changed during the prompt; nothing was written", proposal.path());
            return Err(
                Failure::new(Kind::Conflict, text).with_help("To review it again: bootseal accept")
            );
        }
        let kind = |vault: &Vault<CanWrite>| Some(vault.open(proposal.path()).ok()?.kind);
        let was = kind(vault);
        vault.accept(&proposal, now)?;
        let known_to = vault.file().known_to(proposal.proposed_at());
        let known_to: Vec<String> = known_to.into_iter().map(str::to_owned).collect();
        Ok((known_to, was.zip(kind(vault))))
    })?;
    if let Some((was, is)) = types.filter(|(was, is)| was != is) {
        context.ui.warn(format_args!(
            "{} was {}, and is {} now; an application may expect the former type",
            proposal.path(),
            named(was),
            named(is)
        ));
    }
    if !known_to.is_empty() {
        let text = "was proposed before a member was removed, and counts as known to";
        context.ui.warn(format_args!(
            "{} {text} {}; set it again",
            proposal.path(),
            some_names(&known_to)
        ));
    }
    context.ui.detail(format_args!(
        "{}: {} is sealed",
        Shown::path(target.path()),
        proposal.path()
    ));
    if context.ui.style.json {
        context.ui.document(&json!({
            "name": proposal.path().to_string(),
            "sealed": true,
            "set_at": timestamp(proposal.proposed_at()),
            "replaced": before.map(timestamp),
            "note": proposal.note(),
            "known_to": known_to,
        }))?;
    }
    Ok(())
}

/// The type of a value, in words.
fn named(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Text => "text",
        ValueKind::Bytes => "bytes",
        _ => "a number or another TOML value",
    }
}

fn read(path: &Path, context: &mut Context<'_>) -> Result<String> {
    let mut text = String::new();
    let limit = Proposal::MAX_BYTES as u64 + 1;
    let done = if path != Path::new("-") {
        open_source(path).and_then(|file| file.take(limit).read_to_string(&mut text))
    } else if context.ui.stdin_taken {
        return Err(Failure::new(
            Kind::Usage,
            "stdin cannot be both the identity and the proposal",
        ));
    } else {
        (&mut context.ui.stdin).take(limit).read_to_string(&mut text)
    };
    match done {
        Ok(_) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            Err(Error::new(Kind::Malformed, "is not text, so it is not a proposal")
                .in_file(path)
                .into())
        }
        Err(error) => Err(unreadable(&error).in_file(path).into()),
    }
}

/// Refuses a name that the file does not have, unless it was allowed with --new. The sender chose
/// the name, and it may become a variable that decides what programs run.
fn refuse_new(proposal: &Proposal, options: &Accept) -> Result<()> {
    let path = proposal.path();
    let name =
        variable::of(path, "Reject the proposal. To set such a value yourself: bootseal set")?;
    if options.new {
        return Ok(());
    }
    let what =
        format!("is not in the file yet; `bootseal exec` would pass it as the variable {name}");
    Err(Error::new(Kind::Conflict, what)
        .at(path)
        .with_help(format!(
            "If the name is as agreed: bootseal accept {} --new. If not, reject the proposal.",
            shell_path(&options.proposal)
        ))
        .into())
}

/// Refuses a new name that becomes the variable of another property: `exec` and `export` would pass
/// neither.
fn refuse_same_variable(path: &PropertyPath, file: &VerifiedFile) -> Result<()> {
    let name = variable::name_of(path);
    let special = SpecialTables::of_file(file);
    let mut others = file.names().map(|(other, _)| other);
    let Some(other) = others.find(|other| !special.hold(other) && variable::name_of(other) == name)
    else {
        return Ok(());
    };
    let what = format!(
        "would become the variable {name}, as {other} does: `bootseal exec` and `bootseal export` would fail with both"
    );
    Err(Error::new(Kind::Conflict, what)
        .at(path)
        .with_help(
            "Reject the proposal. If both are needed, rename the other first: bootseal rename",
        )
        .into())
}

/// Describes the proposal before it is accepted, without its value. The note is the sender's text,
/// so it comes first, and what the value becomes comes last.
fn described(
    proposal: &Proposal,
    before: Option<u64>,
    file: &Path,
    lookalike: Option<&str>,
) -> Review {
    let there =
        before.map_or("nothing; it is new".into(), |at| format!("sealed since {}", timestamp(at)));
    let mut review = Review::new(
        Row::fixed("a proposal for ")
            .long(Shown::path(file).to_string())
            .and("; its sender is not verified"),
        "",
    );
    let note = Row::fixed("  note         ");
    review.headline(match proposal.note() {
        "" => note.and("none"),
        text => note.and("\"").long(Shown(text).to_string()).and("\""),
    });
    let at = timestamp(proposal.proposed_at());
    let remark = lookalike.map_or(String::new(), |remark| format!(" [{}]", cut(remark, 100)));
    for row in [
        Row::fixed(format!("  proposed at  {at}, according to the proposal")),
        Row::fixed(format!("  currently    {there}")),
        Row::fixed("  variable     ")
            .long(variable::name_of(proposal.path()))
            .and(", for `bootseal exec`"),
        Row::fixed("  property     ").long(proposal.path().to_string()).and(remark),
    ] {
        review.destination(row);
    }
    review
}
