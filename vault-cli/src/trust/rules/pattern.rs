//! Patterns of property names: `*.password`, `users[*].password`.

use crate::ui::failure::{Failure, Result};
use bootseal_core::{Element, Kind, PropertyPath, Shown};
use zeroize::Zeroizing;

/// A pattern of names.
#[derive(Clone)]
pub(crate) struct Pattern {
    text: String,
    globs: Vec<glob::Pattern>,
}

/// The name of a property, or of an element inside an array.
pub(crate) struct Name {
    /// The name with each segment as TOML writes it: `acme."user.name"`.
    shown: Zeroizing<String>,
    /// The name with each segment as it is, if that differs: `acme.user.name`.
    plain: Option<Zeroizing<String>>,
}

impl Name {
    pub(crate) fn of(path: &PropertyPath) -> Name {
        let (shown, plain) = (path.to_string(), path.segments().join("."));
        let plain = (plain != shown).then(|| Zeroizing::new(plain));
        Name { shown: Zeroizing::new(shown), plain }
    }

    /// The name of an element of the array that this name stands for.
    pub(crate) fn element(&self, element: &Element<'_>) -> Name {
        let join = |above: &str, below: &str| Zeroizing::new([above, below].concat());
        let plain = self.plain.as_ref().unwrap_or(&self.shown);
        let is_same = self.plain.is_none() && element.shown == element.plain;
        Name {
            shown: join(&self.shown, element.shown),
            plain: (!is_same).then(|| join(plain, element.plain)),
        }
    }

    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    pub(crate) fn plain(&self) -> &str {
        self.plain.as_ref().unwrap_or(&self.shown)
    }
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// [`Kind::Usage`] if it is not a pattern.
    pub(crate) fn of(text: &str) -> Result<Pattern> {
        let whole = glob::Pattern::new(text);
        let globs = match (whole, with_indexes(text).map(|text| glob::Pattern::new(&text))) {
            (Ok(whole), Some(Ok(indexed))) => vec![whole, indexed],
            (Ok(whole), _) => vec![whole],
            (Err(_), Some(Ok(indexed))) => vec![indexed],
            (Err(error), _) => {
                let text = format!("`{}` is not a pattern: {error}", Shown(text));
                return Err(Failure::new(Kind::Usage, text));
            }
        };
        Ok(Pattern { text: text.to_owned(), globs })
    }

    pub(crate) fn all(texts: &[String]) -> Result<Vec<Pattern>> {
        texts.iter().map(|text| Pattern::of(text)).collect()
    }

    /// Whether the pattern matches the whole name, in either way of writing it.
    pub(crate) fn matches(&self, name: &Name) -> bool {
        self.matches_with(name, glob::MatchOptions::new())
    }

    /// Does the same as [`Pattern::matches`], but upper and lower case of ASCII letters are the same.
    pub(crate) fn matches_in_any_case(&self, name: &Name) -> bool {
        let options = glob::MatchOptions { case_sensitive: false, ..glob::MatchOptions::new() };
        self.matches_with(name, options)
    }

    fn matches_with(&self, name: &Name, options: glob::MatchOptions) -> bool {
        let plain = name.plain.as_ref().map(|plain| plain.as_str());
        let mut names = [Some(name.shown()), plain].into_iter().flatten();
        names.any(|name| self.globs.iter().any(|glob| glob.matches_with(name, options)))
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}`", Shown(&self.text))
    }
}

/// The pattern with `[0]`, `[*]` and `[]` as indexes of an array; `None` if it has none. In a
/// pattern, `[0]` is the character 0.
fn with_indexes(text: &str) -> Option<String> {
    let (mut out, mut rest, mut found) = (String::new(), text, false);
    while let Some(at) = rest.find('[') {
        let (before, inside) = (&rest[..at], &rest[at + 1..]);
        let index = inside.split_once(']').map(|(index, _)| index).filter(|index| {
            matches!(*index, "" | "*") || index.bytes().all(|byte| byte.is_ascii_digit())
        });
        out.push_str(before);
        match index {
            Some(index) => {
                let index = if index.is_empty() { "*" } else { index };
                out.push_str(&format!("[[]{index}[]]"));
                rest = &rest[at + 1 + inside.find(']').unwrap_or_default() + 1..];
                found = true;
            }
            None => {
                out.push('[');
                rest = inside;
            }
        }
    }
    found.then(|| out + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str, element: &str) -> bool {
        let mut found = false;
        let name = Name::of(&path.parse().unwrap());
        let pattern = Pattern::of(pattern).unwrap();
        if element.is_empty() {
            return pattern.matches(&name);
        }
        bootseal_core::elements(element, &mut |element| {
            found |= pattern.matches(&name.element(&element));
        });
        found
    }

    #[test]
    fn a_pattern_matches_names_in_both_ways_of_writing_them() {
        for (pattern, path, yes) in [
            ("*.password", "acme.password", true),
            ("*.password", "acme.password_old", false),
            ("*.password", "\"spring.datasource.password\"", true),
            ("spring.*", "\"spring.datasource.password\"", true),
            ("*password*", "acme.\"my password\"", true),
            ("acme.\"user.name\"", "acme.\"user.name\"", true),
            ("[ab].x", "a.x", true),
            ("key[0]", "key0", true),
            ("key[0]", "\"key[0]\"", true),
        ] {
            assert_eq!(matches(pattern, path, ""), yes, "{pattern} {path}");
        }
    }

    #[test]
    fn a_pattern_matches_inside_an_array() {
        let users = "[{ name = 'a', password = 'pa', 'x.secret' = [1] }, { name = 'b' }]";
        for (pattern, yes) in [
            ("*password*", true),
            ("*.password", true),
            ("users[0].password", true),
            ("users[*].password", true),
            ("users[].password", true),
            ("users[1].password", false),
            ("*.secret", true),
            ("users.password", false),
            ("password", false),
            ("users[1]", true),
            ("users[2]", false),
        ] {
            assert_eq!(matches(pattern, "users", users), yes, "{pattern}");
        }
    }

    #[test]
    fn a_text_that_is_not_a_pattern_is_refused() {
        for text in ["[", "a[", "***"] {
            assert_eq!(Pattern::of(text).err().map(|error| error.kind()), Some(Kind::Usage));
        }
    }
}
