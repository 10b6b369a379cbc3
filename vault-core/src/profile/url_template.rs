//! URL templates of a login. The host is fixed, and captured values fill a path segment or a query
//! value.

use crate::error::{Error, Kind, Result};
use crate::profile::template::{Part, Template};
use bootseal_memory::Secret;
use url::Url;

/// A URL with `${name}` in its path or query. The scheme, host and port are fixed, whatever is
/// inserted.
///
/// ```
/// use bootseal_core::UrlTemplate;
/// # use bootseal_core::Secret;
/// let session = UrlTemplate::parse("https://api.acme.example/v1/session/${id}")?;
/// let id = Secret::copy_of(b"../admin?x=1#")?;
/// let url = session.fill(|_| Some(id.clone()))?;
/// assert_eq!(url.as_str(), "https://api.acme.example/v1/session/..%2Fadmin%3Fx%3D1%23");
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlTemplate {
    parts: Vec<Part>,
    base: Url,
}

impl UrlTemplate {
    /// Reads `text`.
    ///
    /// # Errors
    /// [`Kind::Malformed`] if it is not a URL with a host, has credentials or a fragment, or if a
    /// `${name}` is not one whole path segment or one whole query value.
    ///
    /// ```
    /// use bootseal_core::UrlTemplate;
    /// assert!(UrlTemplate::parse("https://${host}/login").is_err());
    /// assert!(UrlTemplate::parse("https://api.acme.example/login?next=${next}").is_ok());
    /// ```
    pub fn parse(text: &str) -> Result<UrlTemplate> {
        let Template(parts) =
            Template::parse(text).map_err(|what| Error::malformed(format!("it {what}")))?;
        // The names serve as sample values: they consist of unreserved characters, which are not
        // encoded.
        let sample = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Name(name) => name.clone(),
        };
        let base = Url::parse(&parts.iter().map(sample).collect::<String>())
            .map_err(|error| Error::malformed(format!("it is not a URL: {error}")))?;
        // A URL parser reads the name in `https:///${x}` as the host.
        let other =
            parts.iter().map(|part| if let Part::Text(text) = part { text } else { "other" });
        if Url::parse(&other.collect::<String>()).map(|other| other.origin()) != Ok(base.origin()) {
            return Err(Error::malformed("its scheme, host and port must not contain ${…}"));
        }
        let mut before = String::new();
        for (index, part) in parts.iter().enumerate() {
            if let Part::Name(name) = part {
                let after = match parts.get(index + 1) {
                    None => "",
                    Some(Part::Text(after)) => after,
                    Some(Part::Name(_)) => "x",
                };
                let (_, path) = before.split_once("://").unwrap_or_default();
                let segment = path.contains('/')
                    && !path.contains('?')
                    && before.ends_with('/')
                    && (after.is_empty() || after.starts_with(['/', '?']));
                let value = path.contains('?')
                    && before.ends_with('=')
                    && (after.is_empty() || after.starts_with('&'));
                if !segment && !value {
                    return Err(Error::malformed(format!(
                        "${{{name}}} must be one whole segment of its path or one whole value of its query, so that no inserted value decides where a password is sent"
                    )));
                }
            }
            before.push_str(&sample(part));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(Error::malformed("it contains credentials")
                .with_help("Seal them as values of the table, and use basic = true."));
        }
        if base.fragment().is_some() || base.host().is_none() {
            return Err(Error::malformed("it must have a host, and no fragment (#…)"));
        }
        Ok(UrlTemplate { parts, base })
    }

    /// The URL as written, with the names in place of the values.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// The pieces, in order. A simulated vendor matches requests against them.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The names in the URL.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Name(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The URL with the values filled in, percent-encoded (RFC 3986 §2.1).
    ///
    /// # Errors
    /// [`Kind::NotFound`] if a name has no value; [`Kind::Malformed`] if a value is empty, `.` or
    /// `..`, or contains control characters.
    ///
    /// ```
    /// # use bootseal_core::{Secret, UrlTemplate};
    /// let url = UrlTemplate::parse("https://api.acme.example/v1/session/${id}")?;
    /// let parent = Secret::copy_of(b"..")?;
    /// assert!(url.fill(|_| Some(parent.clone())).is_err());
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn fill(&self, value: impl Fn(&str) -> Option<Secret>) -> Result<Url> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(piece) => text.push_str(piece),
                Part::Name(name) => {
                    let value = value(name).ok_or_else(|| {
                        Error::new(
                            Kind::NotFound,
                            format!("the earlier response contained no `{name}` for a URL"),
                        )
                    })?;
                    let encoded = value.expose(encode).ok_or_else(|| {
                        Error::malformed(format!(
                            "the value captured as `{name}` cannot be used in a URL"
                        ))
                    })?;
                    text.push_str(&encoded);
                }
            }
        }
        let url = Url::parse(&text)
            .map_err(|error| Error::malformed(format!("the filled URL is not valid: {error}")))?;
        if url.origin() != self.base.origin() {
            return Err(Error::malformed("a filled URL would go to another host"));
        }
        Ok(url)
    }
}

fn encode(bytes: &[u8]) -> Option<String> {
    if bytes.is_empty() || bytes == b"." || bytes == b".." || bytes.iter().any(u8::is_ascii_control)
    {
        return None;
    }
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                text.push(char::from(*byte))
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_a_whole_segment_or_a_whole_query_value_is_filled() {
        for good in [
            "https://a.example/${x}",
            "https://a.example/v1/${x}/y?z=${w}&v=1",
            "https://a.example/?a=${x}",
        ] {
            assert!(UrlTemplate::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "${x}://a.example/",
            "https://${x}/",
            "https://a.example:${x}/",
            "https://a.example${x}/",
            "https://${x}@a.example/",
            "https://a.example/a${x}",
            "https://a.example/${x}b",
            "https://a.example/${x}${y}",
            "https://a.example/?${x}=1",
            "https://a.example/?a=b${x}",
            "https://a.example/#${x}",
            "https:/${x}",
            "https://a.example/${x",
            // A URL parser also treats these as hosts.
            "https:///${x}",
            "https:////${x}/y",
            "https://\t/${x}",
            "https:\\\\${x}/",
            "https://\\${x}/",
        ] {
            assert!(UrlTemplate::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_value_changes_the_host_or_the_path_segments(value in prop::collection::vec(any::<u8>(), 0..40)) {
            let template = UrlTemplate::parse("https://a.example/v1/${x}/end?q=${x}").unwrap();
            let value = Secret::copy_of(&value).unwrap();
            if let Ok(url) = template.fill(|_| Some(value.clone())) {
                prop_assert_eq!(url.origin(), template.base().origin());
                prop_assert_eq!(url.path_segments().unwrap().count(), 3);
                prop_assert_eq!(url.query_pairs().count(), 1);
                prop_assert!(url.path().starts_with("/v1/") && url.path().ends_with("/end") && url.fragment().is_none());
            }
        }
    }
}
