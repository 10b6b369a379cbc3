//! The names in a `.env` file whose values other programs read differently.

use crate::formats::env::dialects::{ALL, parse};
use crate::formats::env::reader::Pair;
use bootseal_core::{PropertyPath, some_names};
use std::collections::{BTreeMap, HashMap};

/// Returns a remark for each group of programs that read some values differently.
pub(in crate::formats) fn remarks(text: &str, pairs: &[Pair]) -> Vec<String> {
    let readings: Vec<(&str, HashMap<String, Pair>)> = ALL
        .iter()
        .map(|(dialect, program)| {
            let pairs = parse(text, *dialect).unwrap_or_default();
            (*program, pairs.into_iter().map(|pair| (pair.name.clone(), pair)).collect())
        })
        .collect();
    let last: HashMap<&str, &Pair> = pairs.iter().map(|pair| (pair.name.as_str(), pair)).collect();
    let mut groups: BTreeMap<Vec<&str>, Vec<String>> = BTreeMap::new();
    for pair in pairs
        .iter()
        .filter(|pair| last.get(pair.name.as_str()).is_some_and(|last| std::ptr::eq(*last, *pair)))
    {
        let differs = |(_, reading): &&(&str, HashMap<String, Pair>)| {
            reading.get(&pair.name).is_none_or(|other| *other.value != *pair.value)
        };
        let programs: Vec<&str> =
            readings.iter().filter(differs).map(|(program, _)| *program).collect();
        let name = PropertyPath::new(vec![pair.name.clone()])
            .map_or_else(|_| String::new(), |path| path.to_string());
        if !programs.is_empty() {
            groups.entry(programs).or_default().push(format!("{name} (line {})", pair.line));
        }
    }
    groups
        .into_iter()
        .map(|(programs, names)| {
            let programs = programs.join(" and ");
            format!(
                "{}: {programs} would read another value; if such a program reads this file, name it with --dialect",
                some_names(&names)
            )
        })
        .collect()
}
