//! A finding of `doctor`: the problem, its place, and the command that fixes it.

use bootseal_core::{PropertyPath, Shown, shell_path, shell_word};
use serde_json::{Value, json};
use std::path::Path;

/// One finding, and the command that fixes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Finding {
    pub(super) code: &'static str,
    pub(super) file: Option<String>,
    pub(super) property: Option<String>,
    pub(super) what: String,
    /// The command that fixes it; `mend` is its name in the document of `--json`.
    pub(super) fix: String,
}

impl Finding {
    pub(super) fn of_machine(code: &'static str, what: String, fix: String) -> Finding {
        Finding { code, file: None, property: None, what, fix }
    }

    pub(super) fn of_file(
        code: &'static str,
        file: &Path,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Finding {
        Finding {
            file: Some(Shown::path(file).to_string()),
            ..Finding::of_machine(code, what.into(), fix.into())
        }
    }

    pub(super) fn of_property(
        code: &'static str,
        file: &Path,
        property: &PropertyPath,
        what: impl Into<String>,
    ) -> Finding {
        let fix = format!("bootseal set {} -f {}", shell_word(property), shell_path(file));
        Finding { property: Some(property.to_string()), ..Finding::of_file(code, file, what, fix) }
    }

    pub(super) fn document(&self) -> Value {
        json!({ "finding": self.code, "file": self.file, "property": self.property, "what": self.what, "mend": self.fix })
    }

    pub(super) fn text(&self) -> String {
        let place = [self.file.as_deref(), self.property.as_deref()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(": ");
        let place = if place.is_empty() { "this machine".into() } else { place };
        format!("{place}: {}\n  fix: {}", self.what, self.fix)
    }
}
