//! Suggestions for a misspelt name ("did you mean"), which are known names that are similar.

/// The minimum similarity of a suggestion. Equal names have similarity 1, and names with nothing in
/// common have similarity 0.
const CLOSE: f64 = 0.85;

/// The names in `names` of which `name` may be a misspelling, the closest first. Case is ignored.
///
/// ```
/// use bootseal_core::near_names;
/// assert_eq!(near_names("metohd", &["url", "method", "mode"]), ["method"]);
/// assert!(near_names("token", &["url", "method"]).is_empty());
/// ```
pub fn near_names<'a, T: AsRef<str> + 'a>(
    name: &str,
    names: impl IntoIterator<Item = &'a T>,
) -> Vec<&'a str> {
    let name = name.to_lowercase();
    let scored = names
        .into_iter()
        .map(|other| (score(&name, &other.as_ref().to_lowercase()), other.as_ref()));
    let mut near: Vec<(f64, &str)> = scored.filter(|(score, _)| *score > CLOSE).collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    near.into_iter().map(|(_, other)| other).collect()
}

/// The closest name in `names`, if any is close enough.
pub(crate) fn nearest<'a, T: AsRef<str> + 'a>(
    name: &str,
    names: impl IntoIterator<Item = &'a T>,
) -> Option<&'a str> {
    near_names(name, names).first().copied()
}

fn score(name: &str, other: &str) -> f64 {
    // Jaro-Winkler gives too low a score to a short name with two swapped letters.
    let is_word = name.len().max(other.len()) > 2;
    let one_slip = if is_word && strsim::osa_distance(name, other) <= 1 { 0.9 } else { 0.0 };
    strsim::jaro_winkler(name, other).max(one_slip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_is_close_and_another_word_is_not() {
        let keys = ["url", "json", "form", "basic", "headers"];
        for (typed, meant) in
            [("urll", "url"), ("jsno", "json"), ("Form", "form"), ("header", "headers")]
        {
            assert_eq!(nearest(typed, &keys), Some(meant), "{typed}");
        }
        for other in ["token", "retries", "x"] {
            assert_eq!(nearest(other, &keys), None, "{other}");
        }
        // Any two letters are one slip apart.
        assert_eq!(nearest("x", &["a", "b"]), None);
    }

    #[test]
    fn the_closest_comes_first() {
        assert_eq!(
            near_names("acme.pasword", &["acme.passwords", "acme.password"]),
            ["acme.password", "acme.passwords"]
        );
    }
}
