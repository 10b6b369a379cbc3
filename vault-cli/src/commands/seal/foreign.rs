//! What `seal` says about values that another tool has encrypted: they are not the values.

use crate::formats::{Ciphertext, Findings};
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, PropertyPath, Shown, some_names};
use std::path::Path;

/// Refuses values that another tool has encrypted, unless they are to be kept as they are.
pub(super) fn refuse(findings: &Findings, input: &Path, keep: bool) -> Result<()> {
    let importable = |(_, found): &&(PropertyPath, Ciphertext)| found.from.is_some();
    let Some((_, first)) = findings.ciphertext.iter().find(importable).filter(|_| !keep) else {
        return Ok(());
    };
    let names: Vec<String> =
        findings.ciphertext.iter().filter(importable).map(|(path, _)| path.to_string()).collect();
    let text = format!(
        "{} contains {}, which is not the value, in: {}",
        Shown::path(input),
        first.shown(),
        some_names(&names)
    );
    let keep = "To seal the ciphertext as it is, add --keep-ciphertext";
    Err(Failure::new(Kind::Conflict, text)
        .with_help(format!("{}\n  {keep}", first.help(input)))
        .in_file(input))
}

/// Warnings of the ciphertext that is sealed as it is.
pub(super) fn warnings(findings: &Findings) -> impl Iterator<Item = String> {
    let mut tools: Vec<Ciphertext> = Vec::new();
    for (_, found) in &findings.ciphertext {
        if !tools.contains(found) {
            tools.push(*found);
        }
    }
    tools.into_iter().map(|tool| {
        let of_tool = findings.ciphertext.iter().filter(|(_, found)| *found == tool);
        let names: Vec<String> = of_tool.map(|(path, _)| path.to_string()).collect();
        format!("{}: contains {}, which is sealed as it is", some_names(&names), tool.shown())
    })
}
