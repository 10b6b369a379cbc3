//! Several errors or remarks of one file, reported together.

use bootseal_core::{Error, MOST_NAMES, and_more, some_names};

pub(super) const IS_NULL: &str = "is null, which TOML does not have: remove it, or give it a value";
pub(super) const NULL_HELP: &str =
    "To leave such properties out: --null skip; to make them empty strings: --null empty";

/// Joins the errors into one, in which each has its own line; `None` if there are none.
pub(super) fn joined(mut problems: Vec<Error>) -> Option<Error> {
    if problems.len() < 2 {
        return problems.pop();
    }
    let total = problems.len();
    let kind = problems[0].kind();
    let help = problems.iter().find_map(Error::help).map(str::to_owned);
    problems.truncate(MOST_NAMES);
    let mut what = format!("{total} problems; nothing was read");
    for problem in problems {
        let problem = problem.to_string();
        what.push_str(&format!("\n  {}", problem.lines().next().unwrap_or_default()));
    }
    if let Some(more) = and_more(total.saturating_sub(MOST_NAMES)) {
        what.push_str(&format!("\n  {more}"));
    }
    let error = Error::new(kind, what);
    Some(match help {
        Some(help) => error.with_help(help),
        None => error,
    })
}

/// The remarks, of which the first are kept and the others counted.
pub(super) fn bounded(mut remarks: Vec<String>) -> impl Iterator<Item = String> {
    let more = and_more(remarks.len().saturating_sub(MOST_NAMES));
    remarks.truncate(MOST_NAMES);
    let rest = more.map(|more| format!("{more} remarks of this kind"));
    remarks.into_iter().chain(rest)
}

/// The remark on properties that are null and were left out.
pub(super) fn skipped(names: &[String]) -> Option<String> {
    (!names.is_empty()).then(|| format!("{}: null, so left out", some_names(names)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bootseal_core::Kind;

    #[test]
    fn one_error_stays_as_it_is_and_many_are_cut() {
        let error = |line| Error::new(Kind::Malformed, "is null").at_line(line, 1);
        assert!(joined(Vec::new()).is_none());
        assert_eq!(joined(vec![error(3)]).unwrap().to_string(), "line 3, column 1: is null");
        let many = joined((1..=50).map(error).collect()).unwrap().to_string();
        assert_eq!(many.lines().count(), 22);
        assert!(many.starts_with("50 problems; nothing was read\n  line 1, column 1: is null\n"));
        assert!(many.ends_with("\n  … and 30 more"), "{many}");
    }
}
