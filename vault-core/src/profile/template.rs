//! Templates: text that contains `${name}`, and JSON whose strings are such text.

use std::collections::BTreeSet;

/// Text that contains `${name}`. Inserted values are not searched for `${` again.
///
/// ```
/// # use bootseal_fixtures::profile;
/// use bootseal_core::Part;
/// let profile = profile("url = \"https://auth.acme.example/\"\nbasic = true\n");
/// let [Part::Text(before), Part::Name(name)] = profile.inject[0].1.parts() else { panic!() };
/// assert_eq!((before.as_str(), name.as_str()), ("Bearer ", "token")); // "Bearer ${token}"
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(pub(crate) Vec<Part>);

/// A piece of a [`Template`].
///
/// ```
/// use bootseal_core::Part;
/// fn fill(parts: &[Part], token: &str) -> String {
///     parts.iter().map(|part| match part { Part::Text(text) => text.as_str(), Part::Name(_) => token }).collect()
/// }
/// assert_eq!(fill(&[Part::Text("Bearer ".into()), Part::Name("token".into())], "t"), "Bearer t");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Literal text.
    Text(String),
    /// The name of the value to insert.
    Name(String),
}

impl Template {
    /// The pieces, in order. See the example of [`Template`].
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// The names in the template, in order. See the example of [`Template`].
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Name(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    pub(crate) fn parse(text: &str) -> Result<Template, &'static str> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            if at > 0 {
                parts.push(Part::Text(rest[..at].to_owned()));
            }
            let end = rest[at..].find('}').ok_or("has `${` without `}`")?;
            let name = &rest[at + 2..at + end];
            if name.is_empty()
                || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
            {
                return Err("has a `${…}` whose name is not made of letters, digits, `_` and `-`");
            }
            parts.push(Part::Name(name.to_owned()));
            rest = &rest[at + end + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Template(parts))
    }
}

/// JSON whose strings are templates.
///
/// ```
/// # use bootseal_fixtures::profile;
/// use bootseal_core::{Body, JsonTemplate};
/// let profile = profile(r#"
///     url = "https://auth.acme.example/login"
///     json = { user = "${username}", password = "${password}", remember = true }
/// "#);
/// let Body::Json(JsonTemplate::Object(members)) = &profile.login.body else { panic!() };
/// assert!(matches!(&members[2].1, JsonTemplate::Raw(text) if text == "true"));
/// ```
#[derive(Clone, Debug)]
pub enum JsonTemplate {
    /// A string.
    Text(Template),
    /// A number or boolean, as JSON text.
    Raw(String),
    /// An array.
    Array(Vec<JsonTemplate>),
    /// An object, in the order of the profile.
    Object(Vec<(String, JsonTemplate)>),
}

impl JsonTemplate {
    pub(crate) fn names<'a>(&'a self, into: &mut BTreeSet<&'a str>) {
        match self {
            JsonTemplate::Text(template) => into.extend(template.names()),
            JsonTemplate::Raw(_) => {}
            JsonTemplate::Array(elements) => {
                elements.iter().for_each(|element| element.names(into))
            }
            JsonTemplate::Object(members) => {
                members.iter().for_each(|(_, member)| member.names(into))
            }
        }
    }
}
