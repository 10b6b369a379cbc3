//! What is remarkable in the values of an input: ciphertext of other tools, and characters that are
//! easily overlooked.

use crate::formats::ciphertext::{Ciphertext, ciphertext_in};
use crate::formats::input::Input;
use bootseal_core::{Error, PropertyPath, is_hidden, some_names};

/// The remarks on the values of an input, by property.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) ciphertext: Vec<(PropertyPath, Ciphertext)>,
    remarks: Vec<(&'static str, Vec<String>)>,
}

impl Findings {
    /// Reads every value once, one at a time.
    pub(crate) fn of(input: &Input) -> Result<Findings, Error> {
        let mut findings = Findings::default();
        for property in input.properties(|_| true) {
            let property = property?;
            let found = property.value.expose_str(|text| (ciphertext_in(text), remarks(text)));
            let Ok((ciphertext, remarks)) = found else { continue };
            let named = ciphertext.map(|ciphertext| (property.path.clone(), ciphertext));
            findings.ciphertext.extend(named);
            for remark in remarks {
                findings.add(remark, &property.path);
            }
        }
        Ok(findings)
    }

    fn add(&mut self, remark: &'static str, path: &PropertyPath) {
        let name = path.to_string();
        match self.remarks.iter_mut().find(|(other, _)| *other == remark) {
            Some((_, names)) => names.push(name),
            None => self.remarks.push((remark, vec![name])),
        }
    }

    /// Returns one warning for each kind of remark, with the names that it applies to.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = String> {
        self.remarks.iter().map(|(remark, names)| {
            let value = if names.len() == 1 { "the value" } else { "each value" };
            format!("{}: {value} {remark}", some_names(names))
        })
    }
}

/// Remarks on one value: how it may differ from the value that was meant.
pub(crate) fn remarks(text: &str) -> Vec<&'static str> {
    let mut remarks = Vec::new();
    if text.ends_with([' ', '\t']) || text.starts_with([' ', '\t']) {
        remarks.push("begins or ends with a blank");
    }
    if text.contains('\u{a0}') {
        remarks.push("contains a no-break space");
    }
    let line = text.trim_end_matches(['\n', '\r']);
    // A text of several lines, a certificate for example, ends with a line break.
    if line.len() < text.len() && !line.contains('\n') {
        remarks.push("ends with a line break");
    }
    if line.contains("\r\n") {
        remarks.push("has line ends of Windows (CR LF)");
    }
    if line.len() == text.len() && text.len() > 1 && text.ends_with('%') {
        remarks.push("ends with `%`, which zsh shows after output that has no line break at its end; if it is not a part of the value, remove it");
    }
    if text.chars().any(|next| is_hidden(next) && !"\n\r\t\u{a0}".contains(next)) {
        remarks.push("contains an invisible character");
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_may_not_be_meant_have_remarks() {
        for (text, words) in [
            ("a ", "a blank"),
            ("\ta", "a blank"),
            ("a\u{a0}b", "no-break space"),
            ("a\n", "ends with a line break"),
            ("a\r\n", "ends with a line break"),
            ("a\r\nb\r\n", "CR LF"),
            ("a%", "zsh"),
            ("a\u{200b}", "an invisible character"),
            ("a\u{1}b", "an invisible character"),
        ] {
            let found = remarks(text);
            assert!(found.len() == 1 && found[0].contains(words), "{text:?}: {found:?}");
        }
        for text in ["", "a", "a b", "100 %\n of it", "%", "one\ntwo\n", "a%b", "a\tb"] {
            assert_eq!(remarks(text), [""; 0], "{text:?}");
        }
    }
}
